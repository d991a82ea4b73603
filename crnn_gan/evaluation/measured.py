"""Statistics and histograms of each piece of a set, before sets are compared."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np

from crnn_gan import metrics
from crnn_gan.evaluation.reference import NamedScore
from crnn_gan.metrics import histograms
from pipelines.score import Score


@dataclasses.dataclass(frozen=True)
class Measured:
    """Statistics and histograms of the pieces of a set.

    Attributes:
      scores: [piece].
      statistics: float64 [piece, statistic], in the order of `metrics.STATISTICS`.
      histograms: for each of `histograms.HISTOGRAMS` float64 [piece, bin].
    """

    scores: tuple[Score, ...]
    statistics: np.ndarray
    histograms: tuple[np.ndarray, ...]

    @classmethod
    def of(cls, pieces: Sequence[NamedScore]) -> Measured:
        """Measures pieces, of which there may be none."""
        scores = tuple(piece.score for piece in pieces)
        rows = [list(metrics.statistics(score).values()) for score in scores]
        tables = tuple(
            np.array([np.ravel(histogram.function(score)) for score in scores]).reshape(
                len(scores), math.prod(histogram.shape)
            )
            for histogram in histograms.HISTOGRAMS
        )
        return cls(scores, np.array(rows).reshape(len(scores), len(metrics.STATISTICS)), tables)
