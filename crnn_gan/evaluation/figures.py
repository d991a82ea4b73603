"""Figures of a whole set: distances, BLEU, likeness, each with that of held-out real music.

Distances are over the statistics of the first edition (`metrics.Statistic`), so that figures of
different times can be compared, and once more over all statistics.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator

import numpy as np

from crnn_gan import metrics
from crnn_gan.evaluation.evaluation import Figure, Wanted
from crnn_gan.evaluation.measured import Measured
from crnn_gan.evaluation.reference import Against
from crnn_gan.metrics import bleu
from crnn_gan.metrics.distances import Overlap, overlap
from crnn_gan.metrics.feature_sets import Value
from crnn_gan.metrics.frechet import frechet_distance, frechet_name
from crnn_gan.metrics.likeness import SHARED_NOTES_NAME, shared_notes
from crnn_gan.metrics.neighbours import neighbour_figures, neighbours_name

MOST_REFERENCES = 500  # Of BLEU, which grows with their number: its name states it.
BLEU_N = 4
NO_HELD_OUT = Value(None, "there is no held-out real music")
NO_SPREAD = Value(None, "no statistic differs among the middle 90 % of the real windows")

GROUPS = ("distances", "all statistics", "bleu")
HELD_OUT = ", compared with held-out pieces"  # Part of the names of figures where they are.

NEIGHBOURS: tuple[tuple[str, Wanted, str], ...] = (
    ("precision", "high", "share of the pieces near a real window: fidelity"),
    ("recall", "high", "share of real windows near a piece: diversity"),
    ("density", "as real", "density of real windows around the pieces; 1 for equal distributions"),
    ("coverage", "high", "share of real windows that have a piece near them"),
)


@dataclasses.dataclass(frozen=True)
class Overlaps:
    """The overlap of a set of pieces with real windows, in each statistic and histogram.

    Attributes:
      statistics: in the order of `metrics.STATISTICS`.
      histograms: in the order of `histograms.HISTOGRAMS`.
    """

    statistics: tuple[Overlap, ...]
    histograms: tuple[Overlap, ...]

    @classmethod
    def of(cls, pieces: Measured, real: Measured) -> Overlaps:
        """Computes them; this takes most of the time of all figures."""
        columns = range(real.statistics.shape[1])
        pairs = zip(pieces.histograms, real.histograms, strict=True)
        return cls(
            tuple(overlap(pieces.statistics[:, [i]], real.statistics[:, [i]]) for i in columns),
            tuple(overlap(made, known) for made, known in pairs),
        )


def figures(
    generated: Measured,
    real: Measured,
    held_out: Measured,
    overlaps: Overlaps,
    against: Against = "training",
) -> tuple[Figure, ...]:
    """Computes all figures of the generated set, and each of the held-out one.

    Args:
      generated: one piece or more.
      real: windows to compare with, one or more.
      held_out: windows in place of the generated set; may be empty.
      overlaps: of the generated set with the real one.
      against: which pieces the real windows are of; the names of figures that depend on them say
        so where it is held-out pieces.
    """
    sets = (generated, real, held_out)
    of_held_out = Overlaps.of(held_out, real)
    with_real = [*_overlaps(*sets, overlaps, of_held_out), *_distances(*sets), _bleu(*sets)]
    # Stable: the figures over all statistics come after those over the first edition.
    with_real.sort(key=lambda figure: GROUPS.index(figure.group))
    if against == "held_out":
        with_real = [
            dataclasses.replace(f, name=f"{f.name.removesuffix(')')}{HELD_OUT})") for f in with_real
        ]
    return (*with_real, _self_bleu(generated, held_out), _likeness(generated, held_out))


def _likeness(generated: Measured, held_out: Measured) -> Figure:
    return _beside(
        SHARED_NOTES_NAME,
        "likeness",
        "low",
        "similarity of the pieces, note by note; far above real is collapse",
        lambda pieces: shared_notes(pieces.scores),
        generated,
        held_out,
    )


def _beside(
    name: str,
    group: str,
    wanted: Wanted,
    description: str,
    of: Callable[[Measured], Value],
    generated: Measured,
    held_out: Measured,
) -> Figure:
    """One figure of both sets."""
    value = of(generated)
    real = of(held_out) if held_out.scores else NO_HELD_OUT
    reasons = [
        found.reason if found is NO_HELD_OUT else f"{what}: {found.reason}"
        for what, found in (("generated", value), ("held-out real music", real))
        if found.value is None
    ]
    # Both sets are of the same size, so most reasons apply to both.
    reason = value.reason if value == real else "; ".join(reasons)
    return Figure(name, group, value.value, real.value, wanted, description, reason)


def _overlaps(
    generated: Measured,
    real: Measured,
    held_out: Measured,
    overlaps: Overlaps,
    of_held_out: Overlaps,
) -> Iterable[Figure]:
    """Mean overlap area of each group of statistics, and of the histograms.

    A statistic that is constant over all three sets, such as the pedal's where there is none, is
    excluded: its area of 1 would raise the mean without evidence.
    """
    all_values = np.concatenate([generated.statistics, real.statistics, held_out.statistics])
    varies = np.ptp(all_values, axis=0) > 0
    found = {id(generated): overlaps, id(held_out): of_held_out}
    for group in dict.fromkeys(statistic.group for statistic in metrics.STATISTICS):
        is_in = np.array([statistic.group == group for statistic in metrics.STATISTICS])
        for figure_group, columns in _editions(varies & is_in):

            def mean_of(pieces: Measured, columns: np.ndarray = columns) -> Value:
                return mean_area(found[id(pieces)].statistics[i] for i in columns)

            name = f"mean overlap area, {group} statistics ({len(columns)}, MGEval)"
            text = "agreement of the distances between pieces with those to real ones; 1 is equal"
            yield _beside(name, figure_group, "high", text, mean_of, generated, held_out)

    def mean_of_histograms(pieces: Measured) -> Value:
        return mean_area(found[id(pieces)].histograms)

    name = f"mean overlap area, histograms ({len(real.histograms)}, MGEval)"
    text = "the same for pitch classes, note lengths and transitions"
    yield _beside(name, "distances", "high", text, mean_of_histograms, generated, held_out)


def _editions(taken: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """Gives the group of figures and the columns of the first edition, then of all statistics.

    The latter only where it differs.

    Args:
      taken: bool [statistic], which count.
    """
    is_first = np.array([statistic.edition == 1 for statistic in metrics.STATISTICS])
    yield "distances", np.flatnonzero(taken & is_first)
    if (taken & ~is_first).any():
        yield "all statistics", np.flatnonzero(taken)


def mean_area(overlaps: Iterable[Overlap]) -> Value:
    """Gives the mean of the overlap areas that are defined."""
    found = list(overlaps)
    areas = [one.area for one in found if one.area is not None]
    if not areas:
        return Value(None, found[0].reason if found else "all values of all sets are equal")
    return Value(float(np.mean(areas)))


def _distances(generated: Measured, real: Measured, held_out: Measured) -> Iterable[Figure]:
    """Fréchet distance, precision, recall, density and coverage on the statistics.

    A statistic whose real band has zero width, such as the share of empty bars, is excluded: scaled
    by the few windows that differ it would outweigh all others.
    """
    low, high = np.percentile(real.statistics, [5, 95], axis=0)
    for group, columns in _editions(high > low):
        made, known, baseline = (
            dataclasses.replace(pieces, statistics=pieces.statistics[:, columns])
            for pieces in (generated, real, held_out)
        )
        yield from _distances_on(made, known, baseline, group)


def _distances_on(
    generated: Measured, real: Measured, held_out: Measured, group: str
) -> Iterable[Figure]:
    """The same on these statistics."""
    width = real.statistics.shape[1]
    yield _beside(
        frechet_name(len(generated.scores), len(real.scores), width),
        group,
        "low",
        "distance of the sets in mean and covariance of the statistics",
        lambda pieces: frechet_distance(pieces.statistics, real.statistics) if width else NO_SPREAD,
        generated,
        held_out,
    )
    found = {
        id(pieces): neighbour_figures(pieces.statistics, real.statistics)
        for pieces in (generated, held_out)
    }
    for name, wanted, text in NEIGHBOURS:

        def of(pieces: Measured, name: str = name) -> Value:
            return getattr(found[id(pieces)], name) if width else NO_SPREAD

        yield _beside(neighbours_name(name, width), group, wanted, text, of, generated, held_out)


def _bleu(generated: Measured, real: Measured, held_out: Measured) -> Figure:
    """BLEU against real windows."""
    references = [bleu.pitch_tokens(score) for score in real.scores[:MOST_REFERENCES]]

    def against_real(pieces: Measured) -> Value:
        return bleu.bleu([bleu.pitch_tokens(score) for score in pieces.scores], references, BLEU_N)

    return _beside(
        bleu.bleu_name(len(references), BLEU_N),
        "bleu",
        "as real",
        "share of pitch n-grams that occur in real music; above real is a sign of copying",
        against_real,
        generated,
        held_out,
    )


def _self_bleu(generated: Measured, held_out: Measured) -> Figure:
    """BLEU of each piece against the others of its set."""

    def among_themselves(pieces: Measured) -> Value:
        return bleu.self_bleu([bleu.pitch_tokens(score) for score in pieces.scores], BLEU_N)

    return _beside(
        bleu.self_bleu_name(len(generated.scores), BLEU_N),
        "bleu",
        "as real",
        "similarity of the pieces by pitch n-grams; above real is a sign of collapse",
        among_themselves,
        generated,
        held_out,
    )
