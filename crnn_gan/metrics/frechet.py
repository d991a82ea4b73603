"""Fréchet distance of two sets of pieces, on statistics of the notes.

The formula of the Fréchet inception distance (Heusel et al. 2017, arXiv 1706.08500) and of the
Fréchet music distance (Retkowski et al. 2024, arXiv 2412.07948): both sets are taken as
Gaussian. Those use the embeddings of a network, this one statistics of the notes: the values
cannot be compared with theirs.

The covariances are the maximum likelihood estimates. They bias the distance of small sets
upwards: it can only be compared with that of as many pieces of real music, and `frechet_name`
states how many. Shrinkage (Ledoit-Wolf) was tried and rejected: it lowers that bias, but hides
dependence between features. With 20 pieces, real music whose features were shuffled among the
pieces then comes out nearer to real music than real music does
(benchmarks/set_distance_agreement.py).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import linalg

from crnn_gan.metrics.feature_sets import Value, as_feature_sets, reason_against, standardized


def frechet_distance(generated: Any, real: Any) -> Value:
    """Gives the squared Fréchet distance on features standardised by the real set.

    Args:
      generated: numbers [piece, feature].
      real: numbers [window, feature].

    Returns:
      A number of at least 0, or the reason for fewer than 2 pieces in a set, or for numbers
      that are not finite.

    Raises:
      ValueError: they are not two tables of the same features.
    """
    generated, real = as_feature_sets(generated, real)
    reason = reason_against(generated, real, least_generated=2, least_real=2)
    if reason:
        return Value(None, reason)
    generated, real = standardized(generated, real)
    return Value(
        gaussian_frechet(
            generated.mean(axis=0), covariance(generated), real.mean(axis=0), covariance(real)
        )
    )


def frechet_name(generated: int, real: int, features: int) -> str:
    """Gives the full name of the figure.

    Args:
      generated: pieces.
      real: windows.
      features: number of features.
    """
    return (
        f"Fréchet distance ({features} features standardised by the real set, maximum likelihood "
        f"covariance, {generated} pieces against {real} windows)"
    )


def covariance(pieces: np.ndarray) -> np.ndarray:
    """Gives the maximum likelihood covariance [feature, feature] of [piece, feature]."""
    centered = pieces - pieces.mean(axis=0)
    return centered.T @ centered / len(pieces)


def gaussian_frechet(
    mean: np.ndarray, covariance: np.ndarray, other_mean: np.ndarray, other_covariance: np.ndarray
) -> float:
    """Gives the squared Fréchet (2-Wasserstein) distance of two Gaussians, at least 0.

    |m - n|^2 + Tr(S + T - 2 (S T)^(1/2)) (Dowson & Landau 1982). The trace of the root is the
    sum of the singular values of S^(1/2) T^(1/2): real and not negative, also where a
    covariance is singular.

    Args:
      mean, other_mean: float64 [feature].
      covariance, other_covariance: float64 [feature, feature], symmetric, not negative.
    """
    product = _root(covariance) @ _root(other_covariance)
    traces = np.trace(covariance) + np.trace(other_covariance)
    offset = mean - other_mean
    # Of equal sets rounding leaves a little on either side of 0.
    return max(float(offset @ offset + traces - 2 * linalg.svdvals(product).sum()), 0.0)


def _root(covariance: np.ndarray) -> np.ndarray:
    """The symmetric square root of a symmetric matrix; eigenvalues rounded below 0 count as 0."""
    values, vectors = linalg.eigh(covariance)
    return (vectors * np.sqrt(values.clip(min=0))) @ vectors.T
