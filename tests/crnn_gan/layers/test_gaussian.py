"""Gaussians: densities, intervals, divergences and tails, by hand and as SciPy has them."""

import numpy as np
import pytest
from scipy.special import log_ndtr

from crnn_gan.layers.gaussian import (
    LEAST_LOG_DEVIATION,
    density_negative_log_likelihood,
    interval_negative_log_likelihood,
    kl_divergence_and_regularizer,
    log_normal_cdf,
)
from pipelines.codecs.audio import BOUNDARIES, OUTER_LOWER_BOUNDS, OUTER_UPPER_BOUNDS


def numbers(*tensors):
    return [np.asarray(tensor) for tensor in tensors]


def test_the_divergence_of_two_gaussians_is_that_of_the_formula():
    # q = N(1, 2^2) and p = N(3, 4^2): ln(4 / 2) + (4 - 16 + (3 - 1)^2) / (2 * 16)
    # = 0.693147 - 8 / 32 = 0.443147; and (ln 4 - ln 2)^2 = 0.693147^2 = 0.480453.
    logs = np.log([2.0, 4.0]).astype("float32")
    divergence, regularizer = kl_divergence_and_regularizer(1.0, logs[0], 3.0, logs[1], -7.0)
    assert float(divergence) == pytest.approx(0.443147, abs=1e-5)
    assert float(regularizer) == pytest.approx(0.480453, abs=1e-5)
    # The other way round: ln(2 / 4) + (16 - 4 + 4) / (2 * 4) = -0.693147 + 2.
    assert float(
        kl_divergence_and_regularizer(3.0, logs[1], 1.0, logs[0], -7.0)[0]
    ) == pytest.approx(1.306853)


def test_equal_gaussians_have_no_divergence_and_deviations_below_the_least_only_regularise():
    assert [float(n) for n in kl_divergence_and_regularizer(0.3, -2.0, 0.3, -2.0, -7.0)] == [
        0.0,
        0.0,
    ]
    # Both cut to -7: the same; their logarithms are 2 apart.
    assert [float(n) for n in kl_divergence_and_regularizer(0.3, -8.0, 0.3, -10.0, -7.0)] == [
        0.0,
        4.0,
    ]


def test_the_density_costs_what_a_gaussian_says_and_no_deviation_is_below_the_least():
    # N(0, 1) at 2: 2^2 / 2 + ln(2 pi) / 2 = 2 + 0.918939. At its mean of the least: 0.918939 - 9.
    found = numbers(
        density_negative_log_likelihood(2.0, 0.0, 0.0),
        density_negative_log_likelihood(0.5, 0.5, -30.0),
    )
    assert found == pytest.approx([2.918939, 0.918939 + LEAST_LOG_DEVIATION], abs=1e-5)


def test_the_levels_of_a_gaussian_sum_to_1_wherever_and_however_sharp_it_is():
    mean, log_deviation = (a.ravel() for a in np.meshgrid((0, 0.003, -0.5, 3), (-12, -7, -3, 1)))
    every = np.repeat(np.arange(256)[:, None], len(mean), axis=1)
    low, high = OUTER_LOWER_BOUNDS[every], OUTER_UPPER_BOUNDS[every]
    nats = interval_negative_log_likelihood(low, high, mean.astype("f"), log_deviation.astype("f"))
    found = np.asarray(nats, np.float64)
    assert np.isfinite(found).all()
    np.testing.assert_allclose(np.exp(-found).sum(0), 1, atol=1e-6)
    # Each as SciPy integrates it in float64.
    edges = np.concatenate([[-1e9], BOUNDARIES, [1e9]]).astype(np.float64)[:, None]
    edges = (edges - mean) / np.exp(np.maximum(log_deviation, LEAST_LOG_DEVIATION))
    low, high = edges[:-1], edges[1:]
    low, high = np.where(low + high > 0, (-high, -low), (low, high))
    expected = -log_ndtr(high) - np.log1p(-np.exp(log_ndtr(low) - log_ndtr(high)))
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-6)


def test_tails_are_as_scipy_has_them_far_beyond_what_erf_can_tell():
    x = np.linspace(-50, 8, 2001).astype("float32")
    np.testing.assert_allclose(np.asarray(log_normal_cdf(x)), log_ndtr(x), rtol=1e-6, atol=2e-6)
