"""How fast codecs encode and decode, beside libraries that do the same.

All work on the same pieces in memory, at 120 quarters per minute and 480 ticks per quarter, one
track of piano without drums, in one process, taking turns in a shuffled order. Printed is
the median over the rounds, and the range, of the ratio of processor times:

  events      MidiTok's MIDILike on symusic Scores: steps of 10 ms (50 per beat), time shifts up
              to a second, 32 velocities, a piano's 88 pitches (ours 128). Its encode rounds
              to this grid itself, as that of events does. Both decode their own tokens.
  piano_roll  symusic's own piano roll (C++) of the Score, resampled to 16ths in it: onset and
              frame of 88 pitches. Encode only: symusic has no way back.

Then the notes per second of processor time of every codec, with its defaults, on as many of the
pieces as `--seconds` allows; for codecs that give text or sound, of encoding alone. Codecs that
keep nothing of such pieces (abc_text) are skipped. Files are evenly spaced among those of a folder.

    python benchmarks/codecs.py --path=DIR [--files=60]
"""

from __future__ import annotations

import dataclasses
import random
import statistics
import sys
import time
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import symusic
from machine import machine

from pipelines.codecs import events, piano_roll
from pipelines.codecs.codec import Codec, codec_class, codec_names
from pipelines.codecs.note_codec import NoteCodec
from pipelines.command_line import parse, run_command
from pipelines.formats import midi
from pipelines.score import FLAT_TICKS_PER_QUARTER, Score
from pipelines.settings import Settings, flag

try:
    import miditok
except ImportError as error:
    sys.exit(f"error: {error}; run/setup.sh compare installs it")

TARGETS = {"events encode": 20.0, "events decode": 10.0}
PIANO = (21, 109)


@dataclasses.dataclass(frozen=True)
class Flags(Settings):
    """Which files, and how often."""

    path: str = flag("../shared/data/performances", "folder of MIDI files, searched to any depth")
    files: int = flag(60, "files to read, evenly spaced among all", at_least=1)
    rounds: int = flag(7, "turns of each codec on all files", at_least=1)
    seconds: float = flag(5.0, "processor seconds per codec and direction", above=0)
    seed: int = flag(0, "random seed of the order of turns", at_least=0)


@dataclasses.dataclass(frozen=True)
class Piece:
    """A piece, as we and as symusic hold it."""

    ours: Score
    theirs: Any

    @classmethod
    def read(cls, path: Path) -> Piece:
        """Reads a MIDI file and flattens its tempo."""
        score = midi.read_score(path).with_flattened_tempo()
        notes = score.notes[~score.notes["is_drum"]].copy()
        for field in ("track", "program"):
            notes[field] = 0
        score = dataclasses.replace(score, notes=notes)
        theirs = symusic.Score(FLAT_TICKS_PER_QUARTER)
        track = symusic.Track(program=0)
        track.notes = symusic.Note.from_numpy(
            time=notes["onset"].astype(np.int32),
            duration=notes["duration"].astype(np.int32),
            pitch=notes["pitch"].astype(np.int8),
            velocity=notes["velocity"].astype(np.int8),
        )
        theirs.tracks.append(track)
        theirs.tempos.append(symusic.Tempo(time=0, qpm=120))
        return cls(score, theirs)


def midi_like() -> Any:
    """MidiTok with the time, velocities and pitches of `events`."""
    settings = miditok.TokenizerConfig(
        pitch_range=PIANO,
        beat_res={(0, 2): 50},
        num_velocities=32,
        use_programs=False,
        use_tempos=False,
        use_time_signatures=False,
    )
    return miditok.MIDILike(settings)


def rivals(pieces: list[Piece]) -> dict[str, tuple[str, Callable[[], Any], Callable[[], Any]]]:
    """Gives, for each task, the baseline's name, what we do, and what it does, on all pieces."""
    tokenizer, codec, roll = midi_like(), events.Codec(), piano_roll.Codec()
    their_tokens = [tokenizer.encode(piece.theirs.copy()) for piece in pieces]
    our_tokens = [codec.encode(piece.ours) for piece in pieces]

    def their_rolls() -> None:
        for piece in pieces:
            resampled = piece.theirs.resample(roll.steps_per_quarter, min_dur=1)
            resampled.tracks[0].pianoroll(modes=["onset", "frame"], pitch_range=PIANO)

    return {
        "events encode": (
            "MidiTok MIDILike",
            lambda: [codec.encode(piece.ours) for piece in pieces],
            lambda: [tokenizer.encode(piece.theirs) for piece in pieces],
        ),
        "events decode": (
            "MidiTok MIDILike",
            lambda: [codec.decode(tokens) for tokens in our_tokens],
            # A list of their own: decode puts other things into the one it is given.
            lambda: [tokenizer.decode([*tokens]) for tokens in their_tokens],
        ),
        "piano_roll encode": (
            "symusic",
            lambda: [roll.encode(piece.ours) for piece in pieces],
            their_rolls,
        ),
    }


def seconds_of(work: Callable[[], Any]) -> float:
    """Gives the processor seconds that some work takes."""
    begin = time.process_time()
    work()
    return time.process_time() - begin


def compare(pieces: list[Piece], flags: Flags) -> None:
    """Prints a line for each task that a library does too."""
    chance = random.Random(flags.seed)
    notes = sum(len(piece.ours.notes) for piece in pieces)
    print(f"{'':18} {'baseline':17} {'ours':>12} {'baseline':>12}   ours is faster")
    for task, (name, ours, theirs) in rivals(pieces).items():
        taken: dict[Callable[[], Any], list[float]] = {ours: [], theirs: []}
        for work in taken:
            work()  # Imports and caches are not what is measured.
        for _ in range(flags.rounds):
            for work in chance.sample([ours, theirs], 2):
                taken[work].append(seconds_of(work))
        ratios = [b / a for a, b in zip(taken[ours], taken[theirs], strict=True)]
        rates = [f"{notes / statistics.median(taken[work]):,.0f}/s" for work in (ours, theirs)]
        target = f"; target {TARGETS[task]:.0f}x" if task in TARGETS else ""
        print(
            f"{task:18} {name:17} {rates[0]:>12} {rates[1]:>12}   {statistics.median(ratios):.1f}x "
            f"({min(ratios):.1f} to {max(ratios):.1f}{target})"
        )


def rate(pieces: list[Piece], work: Callable[[Piece], Any], limit: float) -> float:
    """Gives notes per second of processor time, on as many pieces as `limit` seconds allow."""
    work(pieces[0])
    notes, passed = 0, 0.0
    for piece in pieces:
        passed += seconds_of(lambda piece=piece: work(piece))  # type: ignore[misc]
        notes += len(piece.ours.notes)
        if passed > limit:
            break
    return notes / passed


def list_codecs(pieces: list[Piece], limit: float) -> None:
    """Prints the notes per second of every codec."""
    print(f"\n{'notes per second':18} {'encode':>12} {'decode':>12}")
    for name in codec_names():
        codec: Codec = codec_class(name)()
        if codec.encode(pieces[0].ours).size == 0:
            continue
        encoded = f"{rate(pieces, lambda piece, c=codec: c.encode(piece.ours), limit):,.0f}"  # type: ignore[misc]
        decoded = ""
        if isinstance(codec, NoteCodec):
            arrays = {id(piece): codec.encode(piece.ours) for piece in pieces}
            work = lambda piece, c=codec, a=arrays: c.decode(a[id(piece)])  # noqa: E731
            decoded = f"{rate(pieces, work, limit):,.0f}"
        print(f"{name:18} {encoded:>12} {decoded:>12}")


def main(argv: list[str]) -> None:
    """Runs the comparison and prints it."""
    (flags,) = parse(argv, __doc__ or "", Flags)
    print(machine())
    found = sorted(Path(flags.path).rglob("*.mid"))
    if not found:
        raise ValueError(f"there is no .mid file in {flags.path}; give --path=DIR")
    count = min(flags.files, len(found))
    pieces = [Piece.read(found[index * len(found) // count]) for index in range(count)]
    notes = sum(len(piece.ours.notes) for piece in pieces)
    versions = ", ".join(f"{n} {metadata.version(n)}" for n in ("miditok", "symusic", "numpy"))
    print(f"{count} files, {notes} notes, {flags.rounds} rounds, seed {flags.seed}; {versions}")
    compare(pieces, flags)
    list_codecs(pieces, flags.seconds)


def run() -> int:
    """The command's exit status."""
    return run_command(main)


if __name__ == "__main__":
    sys.exit(run())
