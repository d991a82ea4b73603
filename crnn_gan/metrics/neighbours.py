"""Precision, recall, density and coverage of two sets, by k nearest neighbours.

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
BATCH_ROWS = 1024  # Rows of distances in memory at once.


@dataclasses.dataclass(frozen=True)
class NeighbourFigures:
    """Precision, recall, density and coverage.

    A piece is near another if it lies within the distance of the other's k-th nearest neighbour in
    the other's own set.

    Attributes:
      precision: share of generated pieces that are near a real one, 0..1.
      recall: share of real windows that are near a generated one, 0..1.
      density: mean number of real windows that a generated piece is near, divided by k; about 1
        for equal distributions, more where generated pieces concentrate in dense regions.
      coverage: share of real windows that have a generated piece near them, 0..1.
    """

    precision: Value
    recall: Value
    density: Value
    coverage: Value


def neighbour_figures(generated: Any, real: Any, neighbours: int = NEIGHBOURS) -> NeighbourFigures:
    """Gives precision, recall, density and coverage on features standardised by the real set.

    A piece is near another if its distance is at most that of the other's k-th nearest neighbour in
    its own set, itself not counted. "At most" (Kynkäänniemi et al., equation 1), so that pieces at
    distance 0 are near.

    Args:
      generated: numbers [piece, feature].
      real: numbers [window, feature].
      neighbours: k, at least 1.

    Returns:
      Each with a reason instead where pieces are too few: k + 1 are needed of the set whose
      radii are used (recall: generated, the others: real), and 1 of the other.

    Raises:
      ValueError: they are not two tables of the same features, or k is below 1.
    """
    if neighbours < 1:
        raise ValueError(f"neighbours is {neighbours}; give 1 or more")
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
    """Gives the full name of a figure, its conventions included, such as of "precision"."""
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
        np.partition(cdist(pieces[first : first + BATCH_ROWS], pieces), neighbours)[:, neighbours]
        for first in range(0, len(pieces), BATCH_ROWS)
    ]
    return np.concatenate(found)


def _near(
    pieces: np.ndarray, others: np.ndarray, radii: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Counts the others that each piece is near, and finds the others that have a piece near them.

    Returns:
      int64 [piece] and bool [other].
    """
    counts = []
    has_one = np.zeros(len(others), bool)
    for first in range(0, len(pieces), BATCH_ROWS):
        is_near = cdist(pieces[first : first + BATCH_ROWS], others) <= radii
        counts.append(is_near.sum(axis=1))
        has_one |= is_near.any(axis=0)
    return np.concatenate(counts), has_one
