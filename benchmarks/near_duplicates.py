"""What share of sketches copies, other pieces and performances of one work have in common.

Prints, for thresholds around that of pipelines.preparation.duplicates, how many of the pairs of
near_duplicate_scores.tsv lie above it (recall), and how many pairs drawn from the scores of
different groups of piece_groups.tsv, and how many of all pairs of performances of one group
(false positives); which pieces are then skipped; and the time and memory of a million random
sketches.

    python benchmarks/near_duplicates.py --path=../shared/data [--pieces=1000000]
"""

from __future__ import annotations

import collections
import csv
import dataclasses
import itertools
import resource
import sys
import time
from pathlib import Path

import numpy as np
from machine import machine

from pipelines.command_line import parse, run_command
from pipelines.formats import midi
from pipelines.preparation.duplicates import (
    DIGEST_BYTES,
    LEAST_IN_COMMON,
    SKETCH_BYTES,
    copies,
    digest,
    sketch,
)
from pipelines.settings import Settings, flag

Pairs = list[tuple[str, str]]


@dataclasses.dataclass(frozen=True)
class Flags(Settings):
    """What to compare."""

    path: str = flag("../shared/data", "folder with the two tables and the music they name")
    pairs: int = flag(500, "random pairs of different scores", at_least=1)
    pieces: int = flag(1_000_000, "random sketches to search for copies; 0 skips this", at_least=0)
    seed: int = flag(0, "random seed", at_least=0)


def rows_of(path: Path) -> list[dict[str, str]]:
    """Reads a tab-separated table."""
    with path.open(newline="") as file:
        return list(csv.DictReader(file, delimiter="\t"))


def different(paths: list[str], group: dict[str, str], count: int, seed: int) -> Pairs:
    """Draws pairs of files of different groups."""
    chance = np.random.default_rng(seed)
    pairs: Pairs = []
    while len(pairs) < count:
        first, second = (paths[index] for index in chance.choice(len(paths), 2, replace=False))
        if group[first] != group[second]:
            pairs.append((first, second))
    return pairs


def together(paths: list[str], group: dict[str, str]) -> Pairs:
    """Gives all pairs of files of one group."""
    members = collections.defaultdict(list)
    for path in paths:
        members[group[path]].append(path)
    return [pair for those in members.values() for pair in itertools.combinations(those, 2)]


def search(count: int, seed: int) -> None:
    """Prints what it takes to find the copies among random sketches, one in ten a copy."""
    chance, content = np.random.default_rng(seed), bytearray()
    for first in range(0, count, 1000):
        some = chance.integers(0, 2**16, (min(1000, count - first), SKETCH_BYTES // 2), np.uint16)
        some[9::10, :64] = some[4::10, :64][: len(some[9::10])]  # Half of the hashes in common.
        content += some.astype("<u2").tobytes()
    keys = [f"{index:08d}" for index in range(count)]
    digests = chance.bytes(count * DIGEST_BYTES)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    begin = time.process_time()
    found = copies(keys, digests, content, "near")
    seconds = time.process_time() - begin
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    made = range(9, count, 10)
    right = sum(found.get(keys[index]) == keys[index - 5] for index in made)
    print(f"{count} random sketches of {SKETCH_BYTES} bytes: {right} of {len(made)} copies found,")
    print(
        f"  {len(found) - right} wrong; {seconds:.0f} s of one processor, memory grew by ", end=""
    )
    print(f"{grown / 1024:.0f} MiB")


def main(argv: list[str]) -> None:
    """Runs the comparison and prints it."""
    (flags,) = parse(argv, __doc__ or "", Flags)
    print(machine())
    root = Path(flags.path)
    group = {row["path"]: row["group"] for row in rows_of(root / "piece_groups.tsv")}
    listed = [(r["file_a"], r["file_b"]) for r in rows_of(root / "near_duplicate_scores.tsv")]
    pieces = {path: midi.read_score(root / path) for path in sorted(group)}
    begin = time.process_time()
    sketches = {path: sketch(score) for path, score in pieces.items()}
    milliseconds = 1e3 * (time.process_time() - begin)
    notes = sum(len(score.notes) for score in pieces.values())
    print(
        f"{len(pieces)} files; a sketch takes {2000 * milliseconds / notes:.2f} ms per 2,000 notes"
    )
    hashes = {path: np.frombuffer(content, "<u2") for path, content in sketches.items()}
    scores, performances = (
        [path for path in pieces if path.startswith(folder)] for folder in ("scores/", "perf")
    )
    kinds = {
        "listed copies": listed,
        "different scores": different(scores, group, flags.pairs, flags.seed),
        "performances of one work": together(performances, group),
    }
    thresholds = (0.2, 0.25, 0.3, LEAST_IN_COMMON, 0.4, 0.5)
    print(f"{'pairs with in common at least':32}{''.join(f'{value:8}' for value in thresholds)}")
    for name, pairs in kinds.items():
        shares = np.array([(hashes[a] == hashes[b]).mean() for a, b in pairs])
        above = "".join(f"{(shares >= value).sum():8}" for value in thresholds)
        print(f"{f'{name}, {len(pairs)}':32}{above}")
    for name, paths in (("scores", scores), ("performances", performances)):
        digests = b"".join(digest(pieces[path]) for path in paths)
        content = b"".join(sketches[path] for path in paths)
        found = copies(paths, digests, content, "near")
        other = [pair for pair in found.items() if group[pair[0]] != group[pair[1]]]
        exact = len(copies(paths, digests, content, "exact"))
        print(f"of {len(paths)} {name} {len(found)} are near copies, {exact} as exact")
        print("".join(f"  in another group: {a} as {b}\n" for a, b in other), end="")
    if flags.pieces:
        search(flags.pieces, flags.seed)


def run() -> int:
    """The command's exit status."""
    return run_command(main)


if __name__ == "__main__":
    sys.exit(run())
