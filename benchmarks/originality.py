"""Times originality, and shows which fault each of its figures sees.

    python benchmarks/originality.py --path=../shared/data [--pieces=1000] [--notes=300]

Deals the works of the scores and performances (groups of piece_groups.tsv) into known and held
out. Compares windows of held-out real music and of the known pieces, copied in several ways,
with the known pieces. Prints seconds; the ratio to a table in NumPy for the common subsequence
of one pair; and a table: for each set the median of each figure and the share of each verdict.
Ends with status 1 above 90 seconds, or where a verdict is not the one expected of most pieces.
"""

from __future__ import annotations

import csv
import dataclasses
import resource
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from machine import machine
from rapidfuzz.distance import LCSseq

from crnn_gan.metrics.bands import number
from crnn_gan.originality.alignment import as_text
from crnn_gan.originality.comparing import set_originality
from crnn_gan.originality.interval_sequences import CHORD_SECONDS
from crnn_gan.originality.originality import FIGURES, LABELS, SetOriginality
from crnn_gan.originality.reference_pieces import ReferencePieces
from pipelines.command_line import parse, run_command
from pipelines.formats.midi import read_score
from pipelines.score import Score
from pipelines.settings import Settings, flag
from pipelines.split import unit_hash

LIMIT_SECONDS = 90
PAIRS = 20  # That the baseline compares.
# A work that piece_groups.tsv has in two groups, found by this benchmark: {part of a path: work}.
SAME_WORK = {"Piano_Sonatas/664-1": "D664", "_D664_": "D664"}


@dataclasses.dataclass(frozen=True)
class Flags(Settings):
    """How much."""

    path: str = flag("../shared/data", "folder with scores/, performances/, piece_groups.tsv")
    pieces: int = flag(1000, "generated pieces, and reference pieces at most", at_least=1)
    notes: int = flag(300, "notes per generated piece", at_least=8)


def music(path: Path, pieces: int) -> tuple[list[tuple[str, Score]], list[Score]]:
    """Gives known pieces with their names, at most so many, and held-out ones; no work in both."""
    with (path / "piece_groups.tsv").open(encoding="utf-8") as lines:
        rows = sorted(csv.DictReader(lines, delimiter="\t"), key=lambda row: unit_hash(row["path"]))
    known, held_out = [], []
    for row in rows:
        score = read_score(path / row["path"])
        group = next(
            (work for mark, work in SAME_WORK.items() if mark in row["path"]), row["group"]
        )
        if unit_hash(group) < 0.75:
            known.append((row["path"], score))
        else:
            held_out.append(score)
    return known[:pieces], held_out


def windows(
    scores: Sequence[Score], count: int, notes: int, draw: np.random.Generator
) -> list[Score]:
    """Cuts windows out of pieces in turn, those that have so many notes."""
    long = [score for score in scores if len(score.notes) > notes]
    cut = []
    for index in range(count):
        score = long[index % len(long)]
        first = int(draw.integers(len(score.notes) - notes))
        onsets = score.notes["onset"]
        last = max(int(onsets[first + notes]), int(onsets[first]) + 1)
        cut.append(score.crop(int(onsets[first]), last))
    return cut


def with_pitches(score: Score, pitches: np.ndarray) -> Score:
    notes = score.notes.copy()
    notes["pitch"] = np.clip(pitches, 0, 127)
    return Score.from_unsorted(score.ticks_per_quarter, notes, tempi=score.tempi)


def changed(score: Score, share: float, draw: np.random.Generator) -> Score:
    """Moves a share of the notes by up to five semitones."""
    moved = draw.integers(1, 6, len(score.notes)) * draw.choice([-1, 1], len(score.notes))
    moved *= draw.random(len(score.notes)) < share
    return with_pitches(score, score.notes["pitch"] + moved)


def in_another_rhythm(score: Score, draw: np.random.Generator) -> Score:
    """Strikes the notes in their order, at times drawn by chance."""
    notes = score.notes.copy()
    between = draw.choice([1, 2, 4, 8], len(notes)) * score.ticks_per_quarter // 4
    is_new = np.diff(score.onset_seconds, prepend=-1) > CHORD_SECONDS
    notes["onset"] = np.cumsum(np.where(is_new, between, 0))
    return Score.from_unsorted(score.ticks_per_quarter, notes, tempi=score.tempi)


def table_row_by_row(one: np.ndarray, other: np.ndarray) -> int:
    """The longest common subsequence by the textbook's table, a row at a time in NumPy."""
    row = np.zeros(len(other) + 1, np.int64)
    for pitch in one:
        diagonal = row[:-1] + (other == pitch)
        row[1:] = np.maximum.accumulate(np.maximum(row[1:], diagonal))
    return int(row[-1])


def timed(call: Callable[[], object]) -> float:
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def print_ratio(pieces: Sequence[Score], known: Sequence[Score]) -> None:
    """Prints how many times faster a common subsequence is found than by a table in NumPy."""
    pairs = [
        (a.notes["pitch"].astype(int), b.notes["pitch"][: len(a.notes) * 3 // 2].astype(int))
        for a, b in zip(pieces[:PAIRS], known, strict=False)
    ]
    texts = [(as_text(one), as_text(other)) for one, other in pairs]
    equal = [LCSseq.similarity(*t) for t in texts] == [table_row_by_row(*p) for p in pairs]
    slow = timed(lambda: [table_row_by_row(*pair) for pair in pairs])
    fast = timed(lambda: [LCSseq.similarity(*text) for _ in range(100) for text in texts]) / 100
    print(
        f"common subsequence of {len(pieces[0].notes)} notes and half as many again: "
        f"{slow / fast:.0f} times as fast as a table in NumPy, "
        f"{'EQUAL' if equal else 'DIFFERENT'} lengths"
    )


def line(name: str, found: SetOriginality) -> str:
    medians = [float(np.median([p.figures[figure] for p in found.pieces])) for figure in FIGURES]
    shares = [count / len(found.pieces) for count in found.label_counts.values()]
    cells = [number(value) for value in medians] + [f"{share:.1%}" for share in shares]
    return f"{name:28}" + "".join(f"{cell:>20}" for cell in cells)


def main(argv: list[str]) -> None:
    """Measures and prints.

    Raises:
      ValueError: a limit is passed, or a verdict is not as expected.
    """
    [flags] = parse(argv, __doc__ or "", Flags)
    print(machine())
    draw = np.random.default_rng(0)
    named, held_out = music(Path(flags.path), flags.pieces)
    names, known_scores = zip(*named, strict=True)
    middle = len(held_out) // 2  # One half is classified, the other is the yardstick.
    classified, yardstick = held_out[:middle], held_out[middle:]
    generated = windows(classified, flags.pieces, flags.notes, draw)
    started = time.perf_counter()
    known = ReferencePieces.of(names, known_scores)
    made = time.perf_counter() - started
    real = set_originality(generated, known, yardstick)
    seconds = time.perf_counter() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"{len(generated)} pieces of {flags.notes} notes against {len(names)} known pieces of "
        f"{known.notes} notes: {seconds:.0f} s, limit {LIMIT_SECONDS}; of that {made:.1f} s for "
        f"the known pieces; peak memory {peak:.0f} MB with the music"
    )
    print_ratio(generated, known_scores)
    few = windows(known_scores, 200, flags.notes, draw)
    sets = {
        "copied": few,
        "transposed": [score.transpose(int(draw.integers(-6, 7))) for score in few],
        "10 % of notes changed": [changed(score, 0.1, draw) for score in few],
        "20 % of notes changed": [changed(score, 0.2, draw) for score in few],
        "30 % of notes changed": [changed(score, 0.3, draw) for score in few],
        "in another rhythm": [in_another_rhythm(score, draw) for score in few],
        "pitches shuffled": [
            with_pitches(score, draw.permutation(score.notes["pitch"])) for score in few
        ],
        "pitches random": [
            with_pitches(score, draw.integers(40, 90, len(score.notes))) for score in few
        ],
    }
    print(f"\n{'median':28}" + "".join(f"{name:>20}" for name in (*FIGURES, *LABELS)))
    print(line("real, held out", real))
    found = {name: set_originality(scores, known, yardstick) for name, scores in sets.items()}
    for name, result in found.items():
        print(line(name, result))
    limits = "".join(f"{number(real.limits[figure]):>20}" for figure in FIGURES)
    print(f"{'limit':28}{limits}\n{real.limits_made}")
    expected = dict.fromkeys(list(sets)[:3], "copied") | {"in another rhythm": "copied"}
    expected |= {"pitches shuffled": "original", "pitches random": "original"}
    wrong = [n for n, verdict in expected.items() if found[n].label_counts[verdict] <= 100]
    if seconds > LIMIT_SECONDS or wrong or real.label_counts["original"] < 0.9 * len(generated):
        raise ValueError(f"over {LIMIT_SECONDS} s, or other verdicts than expected: {wrong}")


if __name__ == "__main__":
    sys.exit(run_command(main))
