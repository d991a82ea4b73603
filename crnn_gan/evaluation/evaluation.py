"""Evaluation: the results for a set of pieces, as plain values.

`measure` (measuring.py) computes one, metrics.json stores one (its keys are the field names), the
report shows one. No number is NaN or infinite: an undefined one is None, with a reason.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from crnn_gan.metrics.bands import Band
from crnn_gan.metrics.distances import Overlap
from crnn_gan.originality.originality import SetOriginality

Wanted = Literal["low", "high", "as real"]


@dataclasses.dataclass(frozen=True)
class SetFacts:
    """A set of pieces and its origin.

    Attributes:
      name: name of the folder, run or model.
      made: origin of the set, in words, without a full stop.
      pieces: number of pieces measured.
      notes: their total number of notes.
      seconds: their total duration.
      left_out: skipped pieces, a line each with the reason.
    """

    name: str
    made: str
    pieces: int
    notes: int
    seconds: float
    left_out: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class StatisticRow:
    """One statistic over both sets.

    Attributes:
      name: name of the function in `crnn_gan.metrics`.
      group: "the paper's", "pitch", "rhythm", "texture", "expression".
      unit: unit in words, "" where it has none.
      description: one line.
      generated: value of each generated piece, in the order of `Evaluation.pieces`.
      real: value of each real window.
      mean: over the generated pieces.
      band: band of the real windows.
      inside: share of the generated pieces inside the band, 0..1.
      overlap: overlap of the distances between pieces (MGEval); None where all values are equal.
      edition: 1, or 2 of statistics that figures of sets leave out to stay comparable (see
        `crnn_gan.metrics.Statistic`).
    """

    name: str
    group: str
    unit: str
    description: str
    generated: tuple[float, ...]
    real: tuple[float, ...]
    mean: float
    band: Band
    inside: float
    overlap: Overlap
    edition: int = 1


@dataclasses.dataclass(frozen=True)
class HistogramRow:
    """One histogram or transition matrix over both sets.

    Attributes:
      name: name of the function in `crnn_gan.metrics.histograms`.
      description: one line.
      shape: (bins,) or (rows, columns).
      bins: names of the bins, or of rows and columns.
      generated: mean over the pieces, flattened; sums to the share of them with a non-zero
        histogram.
      real: the same of the real windows.
      overlap: overlap of the distances between pieces (MGEval).
    """

    name: str
    description: str
    shape: tuple[int, ...]
    bins: tuple[str, ...]
    generated: tuple[float, ...]
    real: tuple[float, ...]
    overlap: Overlap


@dataclasses.dataclass(frozen=True)
class Figure:
    """One number about the whole set, and the same number of real music.

    Attributes:
      name: full name, with all conventions it depends on.
      group: "distances", "all statistics" (distances again, with the statistics of the second
        edition), "bleu" or "likeness".
      value: of the generated set; None where undefined.
      real: of held-out real music in place of the generated set; None where undefined.
      wanted: which is better: "low", "high", or "as real".
      description: one line.
      reason: why a value is None; "" where neither is.
    """

    name: str
    group: str
    value: float | None
    real: float | None
    wanted: Wanted
    description: str
    reason: str = ""


def figure_named(figures: Sequence[Figure], name: str) -> Figure | None:
    """Gives the first figure of a name without its conventions, such as "recall"."""
    return next((figure for figure in figures if figure.name.startswith(f"{name} (")), None)


@dataclasses.dataclass(frozen=True)
class PieceRow:
    """One generated piece.

    Attributes:
      name: name of the file, or model and seed.
      notes: number of notes.
      seconds: end of its last note.
      statistics: {name: value}.
    """

    name: str
    notes: int
    seconds: float
    statistics: Mapping[str, float]


@dataclasses.dataclass(frozen=True)
class Training:
    """Settings, curves and alarms of a training run.

    Attributes:
      settings: {name of the flag: value in words}.
      epochs: numbers of the epochs, 1 is the first.
      curves: {statistic or loss: value per epoch, None where not measured}.
      alarms: lines of alarms.txt.
      held_out_nats: held-out negative log-likelihood, nats per step of the validation split, after
        the epoch whose weights were sampled; None where it was not measured.
    """

    settings: Mapping[str, str]
    epochs: tuple[int, ...]
    curves: Mapping[str, tuple[float | None, ...]]
    alarms: tuple[str, ...]
    held_out_nats: float | None = None


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """All results of an evaluation.

    Attributes:
      title: name of what was evaluated.
      generated, reference: the two sets; `reference` is windows of real music.
      pieces: the generated pieces.
      statistics, histograms, figures: the measurements.
      repeated: number of generated pieces that equal an earlier one note for note.
      originality: None where it was not measured.
      training: None where there is no run.
      cards: {"model" or "data": Markdown text}, those that exist.
      notes: caveats, a sentence each.
      against: whether the real windows are of "training" or of "held_out" pieces; of a folder of
        files, which has no splits, "training".
    """

    title: str
    generated: SetFacts
    reference: SetFacts
    pieces: tuple[PieceRow, ...]
    statistics: tuple[StatisticRow, ...]
    histograms: tuple[HistogramRow, ...]
    figures: tuple[Figure, ...]
    repeated: int
    originality: SetOriginality | None
    training: Training | None
    cards: Mapping[str, str]
    notes: tuple[str, ...]
    against: Literal["training", "held_out"] = "training"

    def to_json(self) -> dict[str, Any]:
        """Converts to plain JSON values, the content of metrics.json."""
        return dataclasses.asdict(self)
