"""Evaluation: what was found about a set of pieces, as plain values.

`measure` (measuring.py) makes one, metrics.json holds one, the report shows one. No number in
it is NaN or infinite: where there is none, it is None and a reason stands beside it in words.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Literal

from crnn_gan.metrics.bands import Band
from crnn_gan.metrics.distances import Overlap
from crnn_gan.originality.originality import SetOriginality

Wanted = Literal["low", "high", "as real"]


@dataclasses.dataclass(frozen=True)
class SetFacts:
    """A set of pieces and how it came about.

    Attributes:
      name: of the folder, run or model.
      made: how the set came about, in words, without a full stop.
      pieces: pieces that were measured.
      notes: of all of them together.
      seconds: of all of them together.
      left_out: what was not measured, a line each with the reason.
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
      name: of the function, in `crnn_gan.metrics`.
      group: what it is about: "the paper's", "pitch", "rhythm", "texture", "expression".
      unit: in words, "" for a plain number.
      description: one line.
      generated: its value for each generated piece, in the order of `Evaluation.pieces`.
      real: its value for each real window.
      mean: over the generated pieces.
      band: of the real windows.
      inside: share of the generated pieces that lie in the band, 0..1.
      overlap: of the distances between pieces (MGEval); none where all values are equal.
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


@dataclasses.dataclass(frozen=True)
class HistogramRow:
    """One histogram or transition matrix over both sets.

    Attributes:
      name: of the function, in `crnn_gan.metrics.histograms`.
      description: one line.
      shape: (bins,) or (rows, columns).
      bins: what each bin, or row and column, is called.
      generated: mean over the pieces, flattened; sums to the share of them that have something
        to count.
      real: the same of the real windows.
      overlap: of the distances between pieces (MGEval).
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
    """One number about the whole set, beside the same number of real music.

    Attributes:
      name: says every convention it depends on.
      group: "distances", "bleu" or "likeness".
      value: None where there is none.
      real: the same figure of held-out real music in place of the generated; None where unknown.
      wanted: "low", "high", or "as real".
      description: one line.
      reason: why a value is None; "" where both are there.
    """

    name: str
    group: str
    value: float | None
    real: float | None
    wanted: Wanted
    description: str
    reason: str = ""


@dataclasses.dataclass(frozen=True)
class PieceRow:
    """One generated piece.

    Attributes:
      name: of the file, or model and seed.
      notes: how many.
      seconds: until its last note ends.
      statistics: {name: value}.
    """

    name: str
    notes: int
    seconds: float
    statistics: Mapping[str, float]


@dataclasses.dataclass(frozen=True)
class Training:
    """What a run says of itself.

    Attributes:
      settings: what was trained, {name: value in words}.
      epochs: numbers of the epochs, 1 is the first.
      curves: {statistic or loss: a value an epoch, None where it was not measured}.
      alarms: lines of alarms.txt.
    """

    settings: Mapping[str, str]
    epochs: tuple[int, ...]
    curves: Mapping[str, tuple[float | None, ...]]
    alarms: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """All that was found.

    Attributes:
      title: what was evaluated.
      generated, reference: the two sets; `reference` are windows of real music.
      pieces: the generated pieces.
      statistics, histograms, figures: what was measured.
      repeated: generated pieces that repeat an earlier one note for note.
      originality: None where it was not asked for.
      training: None where no run is known.
      cards: {"model" or "data": Markdown text}, those that are known.
      notes: what a reader has to know to trust this, a sentence each.
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

    def to_json(self) -> dict[str, Any]:
        """Gives plain JSON values."""
        return dataclasses.asdict(self)
