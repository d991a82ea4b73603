"""Whether each fault of a set of pieces shows in the figure that is meant for it.

Splits the piano scores of the shared data into two halves by piece, takes windows of 100 notes of
the first, introduces one fault into each set of them, and evaluates it against the second half:

    real         the windows as they are
    shuffled     the pitches of a piece in another order, its rhythm kept
    noise        each note transposed by -6 to 6 semitones
    transposed   each piece transposed by -24 to 24 semitones
    mechanical   every note as long and as loud as every other, at equal distances
    collapsed    one window, over and over, one note changed
    one note     the pitch of every note is the same
    copied       windows of the second half, transposed
    half copied  of each piece the first half is from the second half, transposed

    python benchmarks/evaluation_faults.py --path=../shared/data/scores/piano-midi.de

Prints a row per set: means beside the band, overlap areas, distances, BLEU, and classes of
originality; a figure that shows a fault is marked by *. Ends with status 1 when the real windows
are not clean, or a fault does not show in the figure that is meant for it.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from crnn_gan.evaluation.evaluation import Evaluation
from crnn_gan.evaluation.generated import Generated
from crnn_gan.evaluation.measuring import find_copies, measure
from crnn_gan.evaluation.reference import NamedScore, Reference, halves, read_folder
from crnn_gan.evaluation.reference_windows import windows_of_notes
from crnn_gan.metrics.bands import number
from pipelines.command_line import parse, run_command
from pipelines.score import Score
from pipelines.score_arrays import sorted_notes
from pipelines.settings import Settings, flag

Fault = Callable[[Score, np.random.Generator], Score]


@dataclasses.dataclass(frozen=True)
class Flags(Settings):
    """Which music, and how much."""

    path: str = flag("../shared/data/scores/piano-midi.de", "folder of real music")
    pieces: int = flag(200, "windows per set", at_least=6)
    notes: int = flag(100, "notes per window", at_least=8)
    seed: int = flag(0, "random seed of the windows and the faults", at_least=0)


def with_pitches(score: Score, pitches: np.ndarray) -> Score:
    """The same rhythm with other pitches, those beyond the keyboard at its edge."""
    notes = score.notes.copy()
    notes["pitch"] = np.clip(pitches, 0, 127)
    return dataclasses.replace(score, notes=sorted_notes(notes), abc="")


def shuffled(score: Score, chance: np.random.Generator) -> Score:
    return with_pitches(score, chance.permutation(score.notes["pitch"]))


def noise(score: Score, chance: np.random.Generator) -> Score:
    moved = score.notes["pitch"].astype(int) + chance.integers(-6, 7, len(score.notes))
    return with_pitches(score, moved)


def transposed(score: Score, chance: np.random.Generator) -> Score:
    return with_pitches(score, score.notes["pitch"].astype(int) + chance.integers(-24, 25))


def mechanical(score: Score, chance: np.random.Generator) -> Score:
    notes = score.notes.copy()
    notes["onset"] = np.arange(len(notes)) * (score.ticks_per_quarter // 4)
    notes["duration"], notes["velocity"] = score.ticks_per_quarter // 4, 64
    return dataclasses.replace(score, notes=sorted_notes(notes), abc="")


def one_note(score: Score, chance: np.random.Generator) -> Score:
    return with_pitches(score, np.full(len(score.notes), score.notes["pitch"][0]))


def moved_a_little(score: Score, chance: np.random.Generator) -> Score:
    semitones = int(chance.choice([-3, -2, -1, 1, 2, 3]))
    return with_pitches(score, score.notes["pitch"].astype(int) + semitones)


FAULTS: Mapping[str, Fault] = {
    "shuffled": shuffled,
    "noise": noise,
    "transposed": transposed,
    "mechanical": mechanical,
    "one note": one_note,
}


def collapsed(window: NamedScore, count: int, chance: np.random.Generator) -> list[NamedScore]:
    """One window over and over, the pitch of one note changed in each."""
    pieces = []
    for index in range(count):
        pitches = window.score.notes["pitch"].astype(int)
        pitches[chance.integers(len(pitches))] += 1
        pieces.append(NamedScore(f"collapsed {index}", with_pitches(window.score, pitches)))
    return pieces


def joined(first: Score, second: Score) -> Score:
    """The first half of one window, then the second half of another, in its own time."""
    half = len(first.notes) // 2
    opening, rest = first.notes[:half].copy(), second.notes[half:].copy()
    ratio = first.ticks_per_quarter / second.ticks_per_quarter
    start = int((opening["onset"] + opening["duration"]).max())
    onset = (rest["onset"] - rest["onset"][0]) * ratio
    rest["onset"] = start + onset.astype(np.int64)
    rest["duration"] = np.maximum(1, rest["duration"] * ratio)
    notes = sorted_notes(np.concatenate([opening, rest]))
    return Score(first.ticks_per_quarter, notes, tempi=first.tempi[:1])


def sets_of(flags: Flags, first: Sequence[NamedScore], second: Sequence[NamedScore]) -> dict:
    """The sets to evaluate, by name."""
    chance = np.random.default_rng(flags.seed)
    size = [flags.notes]
    real = windows_of_notes(first, size, flags.pieces, flags.seed)
    known = windows_of_notes(second, size, flags.pieces, flags.seed + 1)
    sets = {"real": real}
    for name, spoil in FAULTS.items():
        sets[name] = [NamedScore(piece.name, spoil(piece.score, chance)) for piece in real]
    sets["collapsed"] = collapsed(real[0], flags.pieces, chance)
    sets["copied"] = [NamedScore(p.name, moved_a_little(p.score, chance)) for p in known]
    sets["half copied"] = [
        NamedScore(p.name, joined(moved_a_little(copy.score, chance), p.score))
        for p, copy in zip(real, known, strict=True)
    ]
    return sets


@dataclasses.dataclass(frozen=True)
class Column:
    """A figure of the table: how it is read, and when it shows a fault beside the real set."""

    name: str
    of: Callable[[Evaluation], float]
    shows: Callable[[float, float], bool]


def mean(name: str) -> Callable[[Evaluation], float]:
    return lambda found: next(row.mean for row in found.statistics if row.name == name)


def inside(name: str) -> Callable[[Evaluation], float]:
    return lambda found: next(row.inside for row in found.statistics if row.name == name)


def area(name: str) -> Callable[[Evaluation], float]:
    def read(found: Evaluation) -> float:
        row = next(row for row in found.histograms if row.name == name)
        return row.overlap.area if row.overlap.area is not None else 0.0

    return read


def mean_area(found: Evaluation) -> float:
    """The mean overlap area over the statistics of the first edition and all histograms."""
    rows = [row for row in found.statistics if row.edition == 1]
    areas = [row.overlap.area for row in (*rows, *found.histograms)]
    return float(np.mean([value for value in areas if value is not None]))


def figure(beginning: str) -> Callable[[Evaluation], float]:
    def read(found: Evaluation) -> float:
        value = next(f.value for f in found.figures if f.name.startswith(beginning))
        return float("nan") if value is None else value

    return read


def not_original(found: Evaluation) -> float:
    """The share of pieces that are not classified as original."""
    assert found.originality
    return 1 - found.originality.label_counts["original"] / len(found.pieces)


def lower(by: float) -> Callable[[float, float], bool]:
    return lambda value, real: value < real - by


def higher(by: float) -> Callable[[float, float], bool]:
    return lambda value, real: value > real + by


COLUMNS = (
    Column("mean overlap", mean_area, lower(0.1)),
    Column("scale", mean("scale_consistency"), lower(0.1)),
    Column("tones inside", inside("unique_tones"), lower(0.3)),
    Column("register inside", inside("mean_pitch"), lower(0.3)),
    Column("transitions", area("pitch_class_transitions"), lower(0.1)),
    Column("velocity inside", inside("velocity_standard_deviation"), lower(0.3)),
    Column("lengths", area("note_length_histogram"), lower(0.1)),
    Column("Frechet", figure("Fréchet"), lambda value, real: value > 3 * real),
    Column("precision", figure("precision"), lower(0.2)),
    Column("recall", figure("recall"), lower(0.2)),
    Column("BLEU", figure("BLEU"), lambda value, real: abs(value - real) > 0.05),
    Column("Self-BLEU", figure("Self-BLEU"), higher(0.05)),
    Column("not original", not_original, higher(0.2)),
)
MEANT_FOR = {
    "shuffled": "transitions",
    "noise": "scale",
    "transposed": "register inside",
    "mechanical": "velocity inside",
    "one note": "tones inside",
    "collapsed": "Self-BLEU",
    "copied": "not original",
    "half copied": "not original",
}


def evaluate(
    name: str, pieces: Sequence[NamedScore], reference: Reference, seed: int
) -> Evaluation:
    generated = Generated(name, "made by this benchmark", tuple(pieces))
    return measure(generated, reference, find_copies(generated, reference, seed), seed=seed)


def main(argv: list[str]) -> None:
    """Prints the table.

    Raises:
      ValueError: real music is not clean, or a fault does not show.
    """
    [flags] = parse(argv, __doc__ or "", Flags)
    pieces, left_out = read_folder(Path(flags.path))
    first, second = halves(pieces)
    reference = Reference("second half", second, second, second, knows_held_out=True)
    sets = sets_of(flags, first, second)
    print(f"{len(pieces)} pieces ({len(left_out)} skipped), {flags.pieces} windows per set\n")
    print("  ".join(["set".ljust(12), *(column.name for column in COLUMNS)]))
    rows: dict[str, dict[str, float]] = {}
    for name, made in sets.items():
        found = evaluate(name, made, reference, flags.seed)
        rows[name] = {column.name: column.of(found) for column in COLUMNS}
        print_row(name, rows[name], rows["real"])
    hidden = [
        f"{fault} in {name}" for fault, name in MEANT_FOR.items() if not shows(name, rows, fault)
    ]
    real = rows["real"]
    if real["mean overlap"] < 0.9:
        hidden.append(f"two halves of real music have a mean overlap of {real['mean overlap']:.2f}")
    if real["not original"] > 0.05:
        hidden.append(f"{real['not original']:.0%} of real windows are not classified as original")
    if hidden:
        raise ValueError(f"does not show: {'; '.join(hidden)}")
    print("\nreal music is clean, and every fault shows in the figure meant for it")


def shows(name: str, rows: Mapping[str, Mapping[str, float]], fault: str) -> bool:
    column = next(column for column in COLUMNS if column.name == name)
    return column.shows(rows[fault][name], rows["real"][name])


def print_row(name: str, row: Mapping[str, float], real: Mapping[str, float]) -> None:
    cells = [name.ljust(12)]
    for column in COLUMNS:
        mark = "*" if name != "real" and column.shows(row[column.name], real[column.name]) else " "
        cells.append(f"{number(row[column.name])}{mark}".rjust(len(column.name)))
    print("  ".join(cells), flush=True)


if __name__ == "__main__":
    sys.exit(run_command(main))
