"""Precision, recall, density and coverage: whose neighbours are among whom.

Precision and recall: Kynkäänniemi et al. 2019, "Improved precision and recall metric for
assessing generative models" (arXiv 1904.06991). Density and coverage: Naeem et al. 2020,
"Reliable fidelity and diversity metrics for generative models" (arXiv 2002.09797).
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from scipy.spatial.distance import cdist

from crnn_gan.metrics.feature_sets import Value, as_feature_sets, reason_against, standardized

NEIGHBOURS = 5
ROWS_AT_ONCE = 1024  # Rows of distances in memory.


@dataclasses.dataclass(frozen=True)
class NeighbourFigures:
    """What of each set lies near the other; near is within a piece's k-th neighbour of its set.

    Attributes:
      precision: share of generated pieces that are near a real one, 0..1.
      recall: share of real windows that are near a generated one, 0..1.
      density: real windows that a generated piece is near, over k, mean; about 1 for a set of
        the same distribution, more where the generated crowd in the thick of the real ones.
      coverage: share of real windows that have a generated piece near them, 0..1.
    """

    precision: Value
    recall: Value
    density: Value
    coverage: Value


def neighbour_figures(generated: Any, real: Any, neighbours: int = NEIGHBOURS) -> NeighbourFigures:
    """Gives precision, recall, density and coverage on features standardised by the real set.

    A piece is near another if its distance is at most that of the other's k-th nearest neighbour
    in its own set, itself not counted; at most, as Kynkäänniemi et al. write, so that copies of
    copies (a distance of 0) are near.

    Args:
      generated: numbers [piece, feature].
      real: numbers [window, feature].
      neighbours: k, at least 1.

    Returns:
      A reason in place of each figure that lacks pieces: those of one set need k + 1 of it
      (recall: generated, the others: real) and 1 of the other.

    Raises:
      ValueError: the two are no tables of the same features, or k is below 1.
    """
    if neighbours < 1:
        raise ValueError(f"figures of {neighbours} neighbours cannot be had; give 1 or more")
    generated, real = as_feature_sets(generated, real)
    of_real = reason_against(generated, real, 1, neighbours + 1)
    of_generated = reason_against(generated, real, neighbours + 1, 1)
    precision = density = coverage = Value(None, of_real)
    recall = Value(None, of_generated)
    if not (of_real and of_generated):
        generated, real = standardized(generated, real)
    if not of_real:
        near_of_generated, is_covered = _near(generated, real, radii(real, neighbours))
        precision = Value(float((near_of_generated > 0).mean()))
        density = Value(float(near_of_generated.mean() / neighbours))
        coverage = Value(float(is_covered.mean()))
    if not of_generated:
        near_of_real, _ = _near(real, generated, radii(generated, neighbours))
        recall = Value(float((near_of_real > 0).mean()))
    return NeighbourFigures(precision, recall, density, coverage)


def neighbours_name(figure: str, features: int, neighbours: int = NEIGHBOURS) -> str:
    """Gives the full name of a figure, such as "precision"."""
    return f"{figure} (k = {neighbours}, {features} features standardised by the real set)"


def radii(pieces: np.ndarray, neighbours: int) -> np.ndarray:
    """Gives the distance of each piece to its k-th nearest neighbour in the set.

    Args:
      pieces: float64 [piece, feature], more than k pieces.
      neighbours: k.

    Returns:
      float64 [piece].
    """
    found = [
        # The nearest, in place 0, is the piece itself, or an equal one.
        np.partition(cdist(pieces[first : first + ROWS_AT_ONCE], pieces), neighbours)[:, neighbours]
        for first in range(0, len(pieces), ROWS_AT_ONCE)
    ]
    return np.concatenate(found)


def _near(
    pieces: np.ndarray, others: np.ndarray, radii: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Counts for each piece the others it is near, and tells which others have one near.

    Returns:
      int64 [piece] and bool [other].
    """
    counts = []
    has_one = np.zeros(len(others), bool)
    for first in range(0, len(pieces), ROWS_AT_ONCE):
        is_near = cdist(pieces[first : first + ROWS_AT_ONCE], others) <= radii
        counts.append(is_near.sum(axis=1))
        has_one |= is_near.any(axis=0)
    return np.concatenate(counts), has_one
