"""Fréchet distance: Gaussians worked out by hand, sets of few pieces, constant features."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from crnn_gan.metrics.frechet import covariance, frechet_distance, frechet_name, gaussian_frechet

ELEMENTS = st.floats(allow_nan=False, allow_infinity=False)
MINUS_AND_PLUS_ONE = np.array([[-1.0], [1.0]])  # Mean 0, standard deviation 1.


def column(*values: float) -> np.ndarray:
    return np.array(values)[:, None]


def test_gaussians_on_a_line_are_apart_by_their_means_and_deviations():
    # (4 - 1)^2 + (5 - 2)^2
    found = gaussian_frechet(
        np.array([1.0]), np.array([[4.0]]), np.array([4.0]), np.array([[25.0]])
    )
    assert found == pytest.approx(18)


def test_gaussians_that_stretch_along_other_axes_are_apart_though_their_traces_agree():
    # (3 - 1)^2 + (1 - 3)^2 along the two axes.
    mean = np.zeros(2)
    found = gaussian_frechet(mean, np.diag([9.0, 1.0]), mean, np.diag([1.0, 9.0]))
    assert found == pytest.approx(8)


def test_gaussians_that_differ_in_correlation_alone_are_apart():
    # Eigenvalues 2 and 0 against 1 and 1: 2 + 2 - 2 * (sqrt(2) + 0).
    mean = np.zeros(2)
    found = gaussian_frechet(mean, np.ones((2, 2)), mean, np.eye(2))
    assert found == pytest.approx(4 - 2 * 2**0.5)


def test_the_covariance_divides_by_the_number_of_pieces():
    np.testing.assert_allclose(covariance(np.array([[0.0, 1.0], [4.0, -1.0]])), [[4, -2], [-2, 1]])


def test_the_real_set_gives_the_unit():
    # Mean 3 and deviation 2 against 0 and 1: 9 + 1. The same in another unit and place.
    generated = column(1, 5)
    assert frechet_distance(generated, MINUS_AND_PLUS_ONE).value == pytest.approx(10)
    moved = frechet_distance(7 + 1e9 * generated, 7 + 1e9 * MINUS_AND_PLUS_ONE)
    assert moved.value == pytest.approx(10)


def test_equal_sets_are_not_apart():
    real = np.random.default_rng(0).normal(size=(9, 20))  # Singular: fewer pieces than features.
    value = frechet_distance(real[::-1], real).value
    assert value == pytest.approx(0, abs=1e-12)


def test_a_constant_feature_equal_in_both_sets_changes_nothing():
    generated, real = np.c_[column(1, 5), [0.1, 0.1]], np.c_[MINUS_AND_PLUS_ONE, [0.1, 0.1]]
    assert frechet_distance(generated, real).value == pytest.approx(10)


def test_a_feature_that_only_real_music_holds_still_counts():
    # The deviation of 0, 0, 3, 3 is 1.5, so the means are 2 apart.
    assert frechet_distance(column(3, 3), column(0, 0)).value == pytest.approx(4)
    # The deviation of 0, 0, -1, 1 is sqrt(1/2), so that of -1, 1 is sqrt(2).
    assert frechet_distance(MINUS_AND_PLUS_ONE, column(0, 0)).value == pytest.approx(2)


def test_a_collapsed_generator_is_apart_by_the_deviation_that_it_lacks():
    assert frechet_distance(np.zeros((5, 1)), MINUS_AND_PLUS_ONE).value == pytest.approx(1)


@pytest.mark.parametrize(
    ("generated", "real", "reason"),
    [
        (0, 4, "too few generated pieces: 0, needs 2 or more"),
        (1, 4, "too few generated pieces: 1, needs 2 or more"),
        (4, 1, "too few real windows: 1, needs 2 or more"),
    ],
)
def test_sets_of_fewer_than_two_give_a_reason(generated: int, real: int, reason: str):
    found = frechet_distance(np.zeros((generated, 3)), np.zeros((real, 3)))
    assert (found.value, found.reason) == (None, reason)


def test_a_broken_number_gives_a_reason():
    assert "1 of 2 real windows" in frechet_distance(column(1, 2), column(1, np.inf)).reason


@settings(deadline=None)
@given(
    arrays.arrays(np.float64, (4, 3), elements=ELEMENTS),
    arrays.arrays(np.float64, (3, 3), elements=ELEMENTS),
)
def test_any_two_sets_are_a_finite_distance_apart(generated, real):
    value = frechet_distance(generated, real).value
    assert value is not None
    assert 0 <= value < np.inf


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_it_is_symmetric_between_gaussians_and_blind_to_the_order_of_pieces(seed: int):
    chance = np.random.default_rng(seed)
    first, second = chance.normal(size=(6, 3)), chance.normal(size=(5, 3))
    one = (first.mean(axis=0), covariance(first))
    other = (second.mean(axis=0), covariance(second))
    there, back = gaussian_frechet(*one, *other), gaussian_frechet(*other, *one)
    assert there == pytest.approx(back, abs=1e-9)
    shuffled = frechet_distance(chance.permutation(first), chance.permutation(second)).value
    assert shuffled == pytest.approx(frechet_distance(first, second).value, abs=1e-9)


def test_the_name_says_what_the_figure_depends_on():
    assert frechet_name(30, 600, 23) == (
        "Fréchet distance (23 features standardised by the real set, maximum likelihood "
        "covariance, 30 pieces against 600 windows)"
    )
