"""Whether our statistics agree with muspy's, and what each difference comes from.

On scores and performances drawn from the shared data, as many of each. muspy measures a Music made
of the very notes of our Score, so that only the definitions differ. Where they do, the indented row
below measures the two again under one convention: theirs in ours, or ours in theirs. So each
reason is checked. Prints for each statistic how many pieces are equal to 1e-6, the largest
difference, and why they differ.

    python benchmarks/metrics_agreement.py --path=../shared/data

Ends with status 1 when a difference is left that its reason does not explain.
"""

from __future__ import annotations

import dataclasses
import functools
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

from crnn_gan import metrics
from crnn_gan.metrics.measures import Measures, measures
from crnn_gan.metrics.rhythm import STEPS_PER_QUARTER
from crnn_gan.metrics.scale import MEMBERS
from crnn_gan.metrics.tones import tones
from pipelines.command_line import parse, run_command
from pipelines.formats import midi
from pipelines.keys import find_key
from pipelines.score import Score
from pipelines.settings import Settings, flag

try:
    import muspy
except ImportError as error:
    sys.exit(f"error: {error}; run/setup.sh compare installs it")

EQUAL = 1e-6
HEADER = ("statistic", "equal", "of", "largest difference", "why")


@dataclasses.dataclass(frozen=True)
class Flags(Settings):
    """What to compare."""

    path: str = flag("../shared/data", "folder with scores/ and performances/")
    pieces: int = flag(200, "pieces, half of them performances", at_least=2)
    seed: int = flag(0, "random seed of the choice of pieces", at_least=0)


@dataclasses.dataclass(frozen=True)
class Case:
    """A piece in our words and in muspy's; on the grid of `groove_consistency` too."""

    name: str
    score: Score

    @functools.cached_property
    def music(self) -> muspy.Music:
        """The same notes, in the ticks of the Score."""
        return as_music(self.score)

    @functools.cached_property
    def music_on_grid(self) -> muspy.Music:
        """The same notes, rounded to 24 steps per quarter."""
        return as_music(self.score.quantized(STEPS_PER_QUARTER))

    @functools.cached_property
    def bars(self) -> Measures:
        """The bars of the Score."""
        return measures(self.score)

    def bar_length(self, ticks_per_quarter: int) -> int:
        """Length of a bar of the only meter, ticks."""
        whole_notes = self.bars.numerators[0] / self.bars.denominators[0]
        return int(whole_notes * ticks_per_quarter / self.score.ticks_per_quarter)


@dataclasses.dataclass(frozen=True)
class Comparison:
    """Two figures that should be equal.

    Attributes:
      name: of our statistic; indented where it is measured again under one convention.
      ours, theirs: the figures of a piece.
      where: which pieces are compared.
      why: what differs, "" where nothing does.
    """

    name: str
    ours: Callable[[Case], float]
    theirs: Callable[[Case], float]
    why: str = ""
    where: Callable[[Case], bool] = lambda case: True


def as_music(score: Score) -> muspy.Music:
    """Makes muspy's object of the notes of a Score, a track per voice and program."""
    tracks: dict[tuple[int, int, bool], list[muspy.Note]] = {}
    for onset, duration, pitch, velocity, track, program, is_drum in score.notes.tolist():
        notes = tracks.setdefault((track, program, is_drum), [])
        notes.append(muspy.Note(onset, pitch, duration, velocity))
    return muspy.Music(
        resolution=score.ticks_per_quarter,
        tracks=[
            muspy.Track(program=program, is_drum=is_drum, notes=notes)
            for (_, program, is_drum), notes in tracks.items()
        ],
    )


def longer(score: Score) -> Score:
    """Every note a tick longer, so that it reaches into what begins at its end, as in muspy."""
    notes = score.notes.copy()
    notes["duration"] += 1
    return dataclasses.replace(score, notes=notes, abc="")


def longer_on_grid(case: Case) -> Score:
    """The same on the grid of `groove_consistency`."""
    return longer(case.score.quantized(STEPS_PER_QUARTER))


def consistency_of_two_modes(case: Case) -> float:
    """Scale consistency without harmonic minor."""
    pitches = tones(case.score)["pitch"]
    inside = MEMBERS[:24] @ np.bincount(pitches % 12, minlength=12)
    return float(inside.max() / len(pitches))


def rate_of_key(case: Case) -> float:
    """muspy's pitch-in-scale rate of the key that we find."""
    tonic, is_minor = find_key(case.score)
    return muspy.pitch_in_scale_rate(case.music, tonic, "minor" if is_minor else "major")


def has_one_meter(case: Case) -> bool:
    """Whether muspy, which takes one length of a bar, can measure the piece."""
    return len(case.bars.starts) == 1


def is_major(case: Case) -> bool:
    """Whether the key that we find is a major one."""
    return not find_key(case.score).is_minor


def on_score(function: Callable[[Score], float]) -> Callable[[Case], float]:
    """Measures the Score of a case."""
    return lambda case: function(case.score)


def on_music(function: Callable[[muspy.Music], float]) -> Callable[[Case], float]:
    """Measures the Music of a case."""
    return lambda case: function(case.music)


def empty_measures(case: Case) -> float:
    """muspy's rate for the meter of the piece."""
    return muspy.empty_measure_rate(case.music, case.bar_length(case.score.ticks_per_quarter))


def groove(case: Case) -> float:
    """muspy's groove for the meter of the piece, on our grid."""
    return muspy.groove_consistency(case.music_on_grid, case.bar_length(STEPS_PER_QUARTER))


SAME = {
    "tone_span": muspy.pitch_range,
    "unique_tones": muspy.n_pitches_used,
    "pitch_classes_used": muspy.n_pitch_classes_used,
    "pitch_entropy": muspy.pitch_entropy,
    "pitch_class_entropy": muspy.pitch_class_entropy,
    "mean_polyphony": muspy.polyphony,
}
LATER = "theirs extends a note into what begins at its end, and adds one at the end of the piece"
COMPARISONS = (
    *(
        Comparison(name, on_score(getattr(metrics, name)), on_music(theirs))
        for name, theirs in SAME.items()
    ),
    Comparison(
        "scale_consistency",
        on_score(metrics.scale_consistency),
        on_music(muspy.scale_consistency),
        "ours has harmonic minor too",
    ),
    Comparison(
        "  ours without harmonic minor",
        consistency_of_two_modes,
        on_music(muspy.scale_consistency),
    ),
    Comparison(
        "key_obedience",
        on_score(metrics.key_obedience),
        rate_of_key,
        "theirs (pitch_in_scale_rate of our key) has natural minor alone",
    ),
    Comparison("  in major", on_score(metrics.key_obedience), rate_of_key, where=is_major),
    Comparison(
        "polyphony_rate",
        on_score(metrics.polyphony_rate),
        on_music(muspy.polyphony_rate),
        "theirs asks for more than 2 pitches, though its documentation says multiple",
    ),
    Comparison(
        "  theirs with threshold=1",
        on_score(metrics.polyphony_rate),
        lambda case: muspy.polyphony_rate(case.music, threshold=1),
    ),
    Comparison(
        "empty_beat_rate", on_score(metrics.empty_beat_rate), on_music(muspy.empty_beat_rate), LATER
    ),
    Comparison(
        "  ours with notes a tick longer",
        lambda case: metrics.empty_beat_rate(longer(case.score)),
        on_music(muspy.empty_beat_rate),
    ),
    Comparison(
        "empty_measure_rate",
        on_score(metrics.empty_measure_rate),
        empty_measures,
        f"{LATER}; pieces of one meter",
        has_one_meter,
    ),
    Comparison(
        "  ours with notes a tick longer",
        lambda case: metrics.empty_measure_rate(longer(case.score)),
        empty_measures,
        where=has_one_meter,
    ),
    Comparison(
        "groove_consistency",
        on_score(metrics.groove_consistency),
        groove,
        "theirs has an empty bar more where a piece ends on a bar line; pieces of one meter",
        has_one_meter,
    ),
    Comparison(
        "  ours with notes a step longer",
        lambda case: metrics.groove_consistency(longer_on_grid(case)),
        groove,
        where=has_one_meter,
    ),
)


@dataclasses.dataclass
class Tally:
    """What was found of a comparison."""

    compared: int = 0
    equal: int = 0
    largest: float = 0.0

    def add(self, comparison: Comparison, case: Case) -> None:
        """Measures a piece."""
        difference = abs(comparison.ours(case) - comparison.theirs(case))
        self.compared += 1
        self.equal += difference <= EQUAL
        self.largest = max(self.largest, difference)


def drawn(folder: Path, pieces: int, chance: np.random.Generator) -> Iterable[Case]:
    """Draws MIDI files below a folder, in the order of their names.

    Raises:
      ValueError: it has fewer.
    """
    paths = sorted(folder.rglob("*.mid"))
    if len(paths) < pieces:
        raise ValueError(f"{folder} has {len(paths)} MIDI files, not {pieces}; give --path")
    for index in sorted(chance.choice(len(paths), pieces, replace=False)):
        yield Case(paths[index].name, midi.read_score(paths[index]))


def main(argv: list[str]) -> None:
    """Compares and prints.

    Raises:
      ValueError: there are too few pieces, or a difference is left without a reason.
    """
    (flags,) = parse(argv, __doc__ or "", Flags)
    chance = np.random.default_rng(flags.seed)
    tallies = [Tally() for _ in COMPARISONS]
    notes, with_drums = 0, 0
    for folder in ("scores", "performances"):
        for case in drawn(Path(flags.path) / folder, flags.pieces // 2, chance):
            notes += len(case.score.notes)
            with_drums += bool(case.score.notes["is_drum"].any())
            for comparison, tally in zip(COMPARISONS, tallies, strict=True):
                if comparison.where(case):
                    tally.add(comparison, case)
    print(f"muspy {muspy.__version__}, {tallies[0].compared} pieces of {notes:,} notes,")
    print(f"{with_drums} of them with drums; seed {flags.seed}; equal is within {EQUAL:g}\n")
    print_table(tallies)
    left = [
        comparison.name.strip()
        for comparison, tally in zip(COMPARISONS, tallies, strict=True)
        if not comparison.why and tally.equal < tally.compared
    ]
    if left:
        raise ValueError(f"there are differences without a reason: {', '.join(left)}")


def print_table(tallies: list[Tally]) -> None:
    """Prints a row per comparison."""
    print(f"{HEADER[0]:34}{HEADER[1]:>6}{HEADER[2]:>5}{HEADER[3]:>20}  {HEADER[4]}")
    for comparison, tally in zip(COMPARISONS, tallies, strict=True):
        figures = f"{tally.equal:6}{tally.compared:5}{tally.largest:20.2g}"
        print(f"{comparison.name:34}{figures}  {comparison.why}".rstrip())


if __name__ == "__main__":
    sys.exit(run_command(main))
