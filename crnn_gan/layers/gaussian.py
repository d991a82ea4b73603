"""Gaussian distributions: negative log-likelihoods, Kullback-Leibler divergence, tails.

What Parallel WaveNet's Gaussian form (ClariNet; Ping et al. 2019, arXiv 1807.07281) computes with.
A standard deviation is given by its natural logarithm, the log deviation. All is elementwise, on
float32 tensors of one shape, or of shapes that broadcast.
"""

from __future__ import annotations

import math
from typing import Any

from keras import ops

# ClariNet's bound on the teacher's log deviation. e^-9 is 1.2e-4, and the narrowest mu-law levels
# are 1.7e-4 wide: a narrower Gaussian would tell apart what levels do not.
LEAST_LOG_DEVIATION = -9.0
# Of the polynomial in `log_normal_cdf`.
ERFC_COEFFICIENTS = (
    -1.26551223, 1.00002368, 0.37409196, 0.09678418, -0.18628806,
    0.27886807, -1.13520398, 1.48851587, -0.82215223, 0.17087277,
)  # fmt: skip


def density_negative_log_likelihood(x: Any, mean: Any, log_deviation: Any) -> Any:
    """Gives -ln of the probability density at x, nats.

    Log deviations below `LEAST_LOG_DEVIATION` are clipped to it.
    """
    log_deviation = ops.maximum(log_deviation, LEAST_LOG_DEVIATION)
    distance = (x - mean) * ops.exp(-log_deviation)
    return 0.5 * ops.square(distance) + log_deviation + 0.5 * math.log(2 * math.pi)


def interval_negative_log_likelihood(low: Any, high: Any, mean: Any, log_deviation: Any) -> Any:
    """Gives -ln P(low < X < high), nats, where low is below high.

    Accurate to some 1e-3 of itself for intervals of any width, anywhere in the tails. Log
    deviations below `LEAST_LOG_DEVIATION` are clipped to it.
    """
    scale = ops.exp(-ops.maximum(log_deviation, LEAST_LOG_DEVIATION))
    low = (low - mean) * scale
    high = (high - mean) * scale
    # Mirrored to below the mean, where logarithms tell small from smaller.
    is_above = low + high > 0
    low, high = ops.where(is_above, -high, low), ops.where(is_above, -low, high)
    # Narrow ones: the density in the middle c times the width 2 h, times the mean of exp(-c t),
    # |t| < h, which is sinh(c h) / (c h). The rest, exp(-t^2 / 2), is 1 - h^2 / 6 in the mean.
    middle, half = 0.5 * (low + high), 0.5 * (high - low)
    slope = ops.maximum(-middle * half, 1e-6)
    narrow = ops.log(2 * half) - 0.5 * (ops.square(middle) + math.log(2 * math.pi))
    narrow = narrow + slope + ops.log(-ops.expm1(-2 * slope) / (2 * slope)) - half**2 / 6
    log_low, log_high = log_normal_cdf(low), log_normal_cdf(high)
    wide = log_high + ops.log1p(-ops.exp(ops.minimum(log_low - log_high, -1e-7)))
    return -ops.where(half < 0.05, narrow, wide)


def kl_divergence_and_regularizer(
    own_mean: Any, own_log_deviation: Any, mean: Any, log_deviation: Any, least: float
) -> tuple[Any, Any]:
    """Gives (KL(q || p) in nats, squared difference of the log deviations), for distillation.

    KL(q || p) = ln(s_p / s_q) + (s_q^2 - s_p^2 + (m_p - m_q)^2) / (2 s_p^2) of the student's
    Gaussian q and the teacher's p (ClariNet, section 3.3).

    Args:
      own_mean, own_log_deviation: of q.
      mean, log_deviation: of p.
      least: log deviations below it are clipped to it in the divergence. Those of the second
        number are not, so that it also has a gradient where the divergence has none.
    """
    regularizer = ops.square(log_deviation - own_log_deviation)
    own_log_deviation = ops.maximum(own_log_deviation, least)
    log_deviation = ops.maximum(log_deviation, least)
    difference = (mean - own_mean) * ops.exp(-log_deviation)
    ratio = own_log_deviation - log_deviation
    return 0.5 * (ops.exp(2 * ratio) - 1 + ops.square(difference)) - ratio, regularizer


def log_normal_cdf(x: Any) -> Any:
    """Gives ln P(X < x) of a standard normal X, to 1e-6 of itself or better.

    ln erfc by a polynomial (Press et al. 1992, Numerical Recipes in C, section 6.2), which is
    good to 1.2e-7 of erfc however small that is; Keras has erf alone, which is 1 from 4 on.
    """
    u = ops.abs(x) * math.sqrt(0.5)
    t = 1 / (1 + 0.5 * u)
    sum_of_powers = 0.0
    for coefficient in reversed(ERFC_COEFFICIENTS):
        sum_of_powers = sum_of_powers * t + coefficient
    log_tail = ops.log(t) - ops.square(u) + sum_of_powers - math.log(2)
    return ops.where(x > 0, ops.log1p(-ops.exp(log_tail)), log_tail)
