"""What tables of the codec `cells` lose of real music, on grids of several sizes.

Measures the tables from all pieces of a folder, or of music21's corpus without one, as prepare
would from its training split; then prints for each grid the sizes of the tables and which share of
the values is not in them; the mean error of onsets and lengths that they add to that of the grid,
which is a quarter of a tick, in milliseconds of the default tempo, 120 quarter notes per minute;
and the share of onsets that is off, with and without later times that make up for it. Errors of
onsets are counted within a quarter note: whole ones that a long rest loses are not made up for.

    python benchmarks/measured_tables.py [--path=../shared/data/performances] [--grids=12,48]
"""

from __future__ import annotations

import collections
import dataclasses
import sys

import numpy as np
from machine import machine

from pipelines import value_tables
from pipelines.codecs import cells
from pipelines.command_line import parse, run_command
from pipelines.score import Score
from pipelines.settings import Settings, flag
from pipelines.sources import corpus, folder

TABLES = ("time", "pitch", "length", "velocity")
HEADER = (
    *("grid", "times", "pitches", "lengths", "velocities", "moved, %"),
    *("onset, ms", "length, ms", "onsets off, %", "off without making up, %", "tones per cell"),
)


@dataclasses.dataclass(frozen=True)
class Flags(Settings):
    """What is measured."""

    path: str = flag("", "folder of music; the corpus of music21 without one")
    grids: tuple[int, ...] = flag((12, 24, 48, 96), "ticks per quarter note", at_least=1)
    most_values: int = flag(64, "most values of a table", at_least=2, at_most=1024)


def scores_of(path: str) -> list[Score]:
    """Reads all pieces; says which cannot be read."""
    source = folder.Source(path=path) if path else corpus.Source()
    scores = []
    for piece in source.pieces():
        try:
            scores.append(source.read(piece))
        except ValueError as error:
            print(f"{piece.key}: {error}", file=sys.stderr)
    return scores


def onsets_of(codec: cells.Codec, array: np.ndarray) -> np.ndarray:
    """Gives the onset of each cell, int64 [cell], ticks."""
    times = np.array(codec.spec.values["time"])[array[:, 1]]
    return array[:1, 0] + np.cumsum(times) - times[:1]


def lengths_of(codec: cells.Codec, array: np.ndarray) -> np.ndarray:
    """Gives the length of each tone, int64 [tone], ticks."""
    tones = array[:, 3:].reshape(len(array), -1, 3)
    is_there = np.arange(tones.shape[1]) <= array[:, 2, None]
    return np.array(codec.spec.values["length"])[tones[is_there][:, 1]]


def within_quarter(ticks: np.ndarray, quarter: int) -> np.ndarray:
    """Gives the distances of ticks from the nearest quarter note."""
    return np.abs((ticks + quarter // 2) % quarter - quarter // 2)


def row_of(scores: list[Score], grid: int, most_values: int) -> list[str]:
    """Measures one grid."""
    exact = cells.Codec(ticks_per_quarter=grid, most_values=most_values)
    arrays = [exact.encode(score) for score in scores]
    counts: dict[str, collections.Counter[int]] = collections.defaultdict(collections.Counter)
    for array in arrays:
        for name, counted in exact.value_counts(array).items():
            counts[name].update(counted)
    codec = exact.fitted(counts)
    onset_errors, length_errors, kept_errors, tones = [], [], [], 0
    times = np.array(codec.spec.values["time"])
    nearest = value_tables.nearest(times, exact.longest_ticks, is_logarithmic=True)
    for array in arrays:
        coded = codec.recoded(array)
        onset = onsets_of(exact, array)
        onset_errors.append(within_quarter(onsets_of(codec, coded) - onset, grid))
        alone = array.copy()
        alone[:, 1] = nearest[array[:, 1]]
        kept_errors.append(within_quarter(onsets_of(codec, alone) - onset, grid))
        length_errors.append(np.abs(lengths_of(codec, coded) - lengths_of(exact, array)))
        tones += len(length_errors[-1])
    onset, kept, length = map(np.concatenate, (onset_errors, kept_errors, length_errors))
    milliseconds = 500 / grid
    moved = []
    for name in TABLES:
        total = sum(counts[name].values())
        there = sum(counts[name][value] for value in codec.spec.values[name])
        moved.append(f"{100 * (1 - there / total):.2f}")
    sizes = [str(len(codec.spec.values[name])) for name in TABLES]
    return [
        *(str(grid), *sizes, " / ".join(moved)),
        *(f"{error.mean() * milliseconds:.2f}" for error in (onset, length)),
        *(f"{100 * (error > 0).mean():.2f}" for error in (onset, kept)),
        f"{tones / len(onset):.2f}",
    ]


def main(argv: list[str]) -> None:
    """Prints the table, Markdown."""
    (flags,) = parse(argv, __doc__ or "", Flags)
    print(machine())
    scores = scores_of(flags.path)
    notes = sum(len(score.notes) for score in scores)
    print(f"{len(scores)} pieces, {notes:,} notes; moved: time / pitch / length / velocity")
    for line in (HEADER, ["---"] * len(HEADER)):
        print(f"| {' | '.join(line)} |")
    for grid in flags.grids:
        print(f"| {' | '.join(row_of(scores, grid, flags.most_values))} |", flush=True)


def run() -> int:
    """The command's exit status."""
    return run_command(main)


if __name__ == "__main__":
    sys.exit(run())
