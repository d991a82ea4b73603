"""Overlap of the intra-set and inter-set distances of two sets of pieces (MGEval).

Yang & Lerch 2018, "On the evaluation of generative models in music" (Neural Computing and
Applications): for each feature the Euclidean distances from each generated piece to each other
one (intra-set) and to each real one (inter-set), a Gaussian kernel density of each, the area
under both and the Kullback-Leibler divergence of the two.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from scipy.spatial.distance import cdist, pdist
from scipy.special import rel_entr

from crnn_gan.metrics.feature_sets import as_feature_sets, reason_against

GRID_POINTS = 2**15
MARGIN = 5.0  # Bandwidths beyond the outermost distances; a Gaussian has 3e-7 beyond 5.
FLOOR = 1e-6  # Of the inter-set density, spread evenly over the grid.
ROUNDING = 1e-12  # Distances of features up to 1 that differ by less are equal.


@dataclasses.dataclass(frozen=True)
class Overlap:
    """Agreement of the intra-set and inter-set densities of distances (Yang & Lerch 2018).

    Attributes:
      area: overlap area, 0 (disjoint) to 1 (equal); None where it is undefined.
      divergence: KL(intra || inter), nats; None where it is undefined or infinite.
      reason: why a value is None; "" where neither is.
    """

    area: float | None
    divergence: float | None
    reason: str = ""


def overlap(generated: Any, real: Any) -> Overlap:
    """Compares the distances among generated pieces with those from generated to real ones.

    The kernels are scipy's gaussian_kde (Scott's rule; each intra-set distance counts twice, as in
    the protocol). Both densities are evaluated on one grid: 32,768 points from the smallest to the
    largest distance of both sets and 5 of the larger bandwidth beyond; a bandwidth is at least 2
    steps of it. The area is the sum of the smaller density. In the divergence the inter-set density
    is (1 - 1e-6) times itself plus 1e-6 spread evenly over the grid, so that it is finite where no
    inter-set distance lies.

    Where the distances of a set are all equal, as those of a collapsed generator are, they are
    a point mass and have no bandwidth. Then the area is the share of the other set's
    distances that lie on that point: 1 for equal point masses, 0 for any continuous density.
    The divergence of a point mass from a set with such a share is -ln(share); else it is
    infinite, which is None with a reason.

    Args:
      generated: numbers [piece, feature]; of a histogram, its bins.
      real: numbers [window, feature].

    Returns:
      None twice and the reason for fewer than 3 generated pieces (two have one distance, which
      is no density), no real window, or numbers that are not finite. Memory: a few times 8
      bytes per pair of pieces.

    Raises:
      ValueError: they are not two tables of the same features.
    """
    generated, real = as_feature_sets(generated, real)
    reason = reason_against(generated, real, least_generated=3, least_real=1)
    if reason:
        return Overlap(None, None, reason)
    largest = max(np.abs(generated).max(), np.abs(real).max())
    if largest > 0:  # The figures do not depend on the unit.
        generated, real = generated / largest, real / largest
    intra, inter = pdist(generated), cdist(generated, real).ravel()
    if np.ptp(intra) <= ROUNDING or np.ptp(inter) <= ROUNDING:
        return _overlap_of_point_mass(intra, inter)
    low, high = min(intra.min(), inter.min()), max(intra.max(), inter.max())
    bandwidths = scott_bandwidth(intra, 2 * len(intra)), scott_bandwidth(inter, len(inter))
    margin = MARGIN * max(bandwidths)
    grid = np.linspace(low - margin, high + margin, GRID_POINTS)
    within, between = (
        density_on_grid(distances, grid, bandwidth)
        for distances, bandwidth in zip((intra, inter), bandwidths, strict=True)
    )
    floored = (1 - FLOOR) * between + FLOOR / GRID_POINTS
    area = float(np.minimum(within, between).sum())
    divergence = float(rel_entr(within, floored).sum())
    return Overlap(min(area, 1.0), max(divergence, 0.0))  # Beyond only by rounding.


def scott_bandwidth(distances: np.ndarray, count: int) -> float:
    """Gives the bandwidth of Scott's rule, as scipy's gaussian_kde computes it.

    Args:
      distances: float64 [distance].
      count: number of distances that they represent, at least 2.
    """
    deviation = float(distances.std()) * (count / (count - 1)) ** 0.5
    return deviation * count**-0.2


def density_on_grid(distances: np.ndarray, grid: np.ndarray, bandwidth: float) -> np.ndarray:
    """Computes a Gaussian kernel density of distances as probabilities that sum to 1.

    Each distance is shared between its two neighbours on the grid, and the kernels are added
    by a Fourier transform: time grows with the distances, not with distances times grid.

    Args:
      distances: float64 [distance], within the grid by some bandwidths.
      grid: float64 [point], evenly spaced.
      bandwidth: standard deviation of the kernel, at least 2 steps of the grid; a smaller one
        is taken as that.

    Returns:
      float64 [point].
    """
    points, step = len(grid), (grid[-1] - grid[0]) / (len(grid) - 1)
    places = (distances - grid[0]) / step
    left = np.clip(places.astype(np.int64), 0, points - 2)
    upper = np.bincount(left, places - left, points)
    masses = np.bincount(left, minlength=points) - upper
    masses[1:] += upper[:-1]
    frequencies = 2 * np.pi * np.fft.rfftfreq(points)  # Radians per step.
    kernel = np.exp(-0.5 * (frequencies * max(bandwidth / step, 2.0)) ** 2)
    density = np.fft.irfft(np.fft.rfft(masses) * kernel, points).clip(min=0)
    return density / density.sum()


def _overlap_of_point_mass(intra: np.ndarray, inter: np.ndarray) -> Overlap:
    """Compares sets of distances of which one at least is all equal."""
    intra_is_point = np.ptp(intra) <= ROUNDING
    point, others = (intra[0], inter) if intra_is_point else (inter[0], intra)
    share = float((np.abs(others - point) <= ROUNDING).mean())
    if intra_is_point and share > 0:
        return Overlap(share, -float(np.log(share)) + 0.0)
    which = "among generated" if intra_is_point else "from generated to real"
    reason = f"the divergence is infinite: the distances {which} pieces are all equal"
    return Overlap(share, None, reason)
