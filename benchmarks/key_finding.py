"""How often and how much faster pipelines.keys finds the key that music21 does.

On Bach chorales of the music21 corpus, read through the cache of pipelines.sources.corpus.
Prints for both profiles how many keys agree with music21's analysis of the same name, and
with music21's default; and the ratio of processor time, music21 on streams that are already
parsed, ours on Scores, one after the other on each chorale in a shuffled order, in one run.
Ours is called 100 times in a row, as where many pieces are prepared: a first call after
music21 finds the processor's caches full of other things, and takes ten times as long.

    python benchmarks/key_finding.py [--chorales=100]
"""

from __future__ import annotations

import dataclasses
import random
import sys
import time
import warnings
from importlib import metadata
from typing import Any

import music21
from machine import machine
from music21.analysis import discrete

from pipelines.command_line import parse, run_command
from pipelines.keys import Key, find_key
from pipelines.settings import Settings, flag
from pipelines.sources import corpus
from pipelines.sources.source import Piece

ANALYSES: dict[str, Any] = {
    "aarden_essen": discrete.AardenEssen,
    "krumhansl_kessler": discrete.KrumhanslKessler,
}
CALLS = {"ours": 100, "music21": 1}


@dataclasses.dataclass(frozen=True)
class Flags(Settings):
    """How many chorales."""

    chorales: int = flag(100, "chorales to analyse", at_least=1)
    seed: int = flag(0, "random seed of the order of turns", at_least=0)


def stream_of(piece: Piece) -> Any:
    """Parses a piece with music21."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return music21.converter.parse(piece.path, number=piece.number, storePickle=False)


def key_of(found: Any) -> Key:
    """Gives music21's key as ours."""
    return Key(found.tonic.pitchClass, found.mode == "minor")


def main(argv: list[str]) -> None:
    """Runs the comparison and prints it."""
    (flags,) = parse(argv, __doc__ or "", Flags)
    print(machine())
    chance = random.Random(flags.seed)
    source = corpus.Source(composer=("bach",), works_per_composer=flags.chorales)
    seconds: dict[tuple[str, str], float] = {}
    agreeing: dict[tuple[str, str], int] = {}
    pieces = source.pieces()
    for piece in pieces:
        score, stream = source.read(piece), stream_of(piece)
        finders: dict[tuple[str, str], Any] = {
            ("music21", "default"): lambda s=stream: s.analyze("key")
        }
        for profile, analysis in ANALYSES.items():
            finders["music21", profile] = lambda s=stream, a=analysis: a().getSolution(s)
            finders["ours", profile] = lambda s=score, p=profile: find_key(s, p)
        keys = {}
        for name in chance.sample(sorted(finders), len(finders)):
            calls = CALLS[name[0]]
            begin = time.process_time()
            for _ in range(calls):
                found = finders[name]()
            seconds[name] = seconds.get(name, 0.0) + (time.process_time() - begin) / calls
            keys[name] = found if isinstance(found, Key) else key_of(found)
        for profile in ANALYSES:
            for theirs in (profile, "default"):
                same = keys["ours", profile] == keys["music21", theirs]
                agreeing[profile, theirs] = agreeing.get((profile, theirs), 0) + int(same)
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in ("music21", "numpy"))
    print(f"{len(pieces)} chorales, seed {flags.seed}; {versions}")
    for profile in ANALYSES:
        ratio = seconds["music21", profile] / seconds["ours", profile]
        same, default = (agreeing[profile, theirs] for theirs in (profile, "default"))
        print(f"{profile:18} {same:4} keys as music21's of that name, {default:4} as its default")
        print(f"{'':18} {ratio:,.0f} times faster than music21's of that name")
    ratio = seconds["music21", "default"] / seconds["ours", "aarden_essen"]
    print(f"aarden_essen {ratio:,.0f} times faster than music21's default")


def run() -> int:
    """The command's exit status."""
    return run_command(main)


if __name__ == "__main__":
    sys.exit(run())
