"""Overlap of distances: point masses by hand, scipy's kernel density, real music in halves."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy.spatial.distance import cdist, pdist
from scipy.stats import gaussian_kde, norm

from crnn_gan.metrics.distances import Overlap, density_on_grid, overlap, scott_bandwidth

# Three corners of a triangle of side 1; the fourth corner of the tetrahedron; the middle.
HEIGHT = math.sqrt(3) / 2
TRIANGLE = np.array([[0.0, 0.0, 0.0], [1.0, 0.0, 0.0], [0.5, HEIGHT, 0.0]])
SUMMIT = np.array([[0.5, HEIGHT / 3, math.sqrt(2 / 3)]])
MIDDLE = np.array([[0.5, HEIGHT / 3, 0.0]])
SETS = st.integers(1, 3).flatmap(
    lambda width: st.tuples(
        *[
            arrays.arrays(
                np.float64,
                st.tuples(st.integers(0, 7), st.just(width)),
                elements=st.one_of(
                    st.integers(-2, 2).map(float),
                    st.floats(allow_nan=False, allow_infinity=False),
                ),
            )
        ]
        * 2
    )
)


def test_equal_point_masses_overlap_wholly():
    # Six distances of 1: three among the corners, three from them to the summit.
    assert overlap(TRIANGLE, SUMMIT) == Overlap(1.0, 0.0)


def test_point_masses_at_other_places_do_not_overlap():
    # 1 among the corners, 1 / sqrt(3) to the middle.
    assert overlap(TRIANGLE, MIDDLE) == Overlap(
        0.0,
        None,
        "the divergence is infinite: the distances among generated pieces are all equal",
    )


def test_a_feature_that_is_constant_in_both_sets_overlaps_wholly():
    assert overlap(np.full((4, 1), 0.1), np.full((3, 1), 0.1)) == Overlap(1.0, 0.0)


def test_a_collapsed_generator_overlaps_no_density():
    real = np.random.default_rng(0).normal(size=(50, 1))
    found = overlap(np.full((9, 1), real.mean()), real)
    assert (found.area, found.divergence) == (0.0, None)
    assert "all equal" in found.reason


def test_a_point_mass_overlaps_the_share_of_distances_at_that_point():
    # Generated pieces at 0; three of four real windows there too, so 3/4 of the distances.
    found = overlap(np.zeros((3, 1)), np.array([[0.0], [0.0], [0.0], [5.0]]))
    assert found.area == pytest.approx(0.75)
    assert found.divergence == pytest.approx(-math.log(0.75))


def test_generated_pieces_that_vary_diverge_without_limit_from_equal_inter_set_distances():
    # Corners of a square around the real window: all 1 / sqrt(2) away, 1 or sqrt(2) apart.
    square = np.array([[0.0, 0], [0, 1], [1, 0], [1, 1]])
    assert overlap(square, np.array([[0.5, 0.5]])) == Overlap(
        0.0,
        None,
        "the divergence is infinite: the distances from generated to real pieces are all equal",
    )


def test_sets_far_apart_do_not_overlap():
    chance = np.random.default_rng(1)
    found = overlap(chance.normal(size=(30, 1)), chance.normal(1000, 1, size=(30, 1)))
    assert found.area == pytest.approx(0, abs=1e-6)
    # Where no real window is, the density is the floor: 1e-6 / 32768 a point, 24 nats at most.
    assert found.divergence is not None
    assert 5 < found.divergence < math.log(32768 / 1e-6)


@pytest.mark.parametrize("pieces", [0, 1, 2])
def test_fewer_than_three_generated_pieces_give_a_reason(pieces: int):
    assert overlap(np.zeros((pieces, 2)), np.ones((9, 2))) == Overlap(
        None, None, f"too few generated pieces: {pieces}, needs 3 or more"
    )


def test_no_real_window_gives_a_reason():
    assert overlap(np.ones((9, 2)), []).reason == "too few real windows: 0, needs 1 or more"


def test_a_broken_number_gives_a_reason():
    found = overlap(np.array([[0.0], [1.0], [np.nan]]), np.ones((3, 1)))
    assert found.area is None
    assert "1 of 3 generated pieces" in found.reason


def test_the_density_of_one_distance_is_the_kernel():
    grid = np.linspace(-6, 6, 1201)
    density = density_on_grid(np.array([0.305]), grid, 0.5)  # Between two points of the grid.
    np.testing.assert_allclose(density / 0.01, norm.pdf(grid, 0.305, 0.5), atol=1e-4)


def test_the_density_is_that_of_scipy():
    distances = np.random.default_rng(2).gamma(2.0, size=500)
    grid = np.linspace(-3, 20, 2**15)
    bandwidth = scott_bandwidth(distances, len(distances))
    expected = gaussian_kde(distances)(grid[::64])
    density = density_on_grid(distances, grid, bandwidth)[::64] / (grid[1] - grid[0])
    np.testing.assert_allclose(density, expected, atol=1e-6)


def test_the_figures_are_those_of_scipy_densities():
    chance = np.random.default_rng(3)
    generated, real = chance.normal(size=(40, 2)), chance.normal(0.7, 1.3, size=(50, 2))
    # Leave-one-out takes each pair in both orders.
    intra = gaussian_kde(np.repeat(pdist(generated), 2))
    inter = gaussian_kde(cdist(generated, real).ravel())
    grid, step = np.linspace(-2, 12, 4001, retstep=True)
    within, between = intra(grid), inter(grid)
    found = overlap(generated, real)
    assert found.area == pytest.approx(np.minimum(within, between).sum() * step, abs=1e-5)
    is_there = within > 1e-12
    ratio = np.log(within[is_there] / between[is_there])
    assert found.divergence == pytest.approx((within[is_there] * ratio).sum() * step, abs=1e-4)


@settings(deadline=None)
@given(SETS)
def test_figures_are_in_range_or_have_a_reason(sets):
    found = overlap(*sets)
    assert (found.reason == "") == (found.area is not None and found.divergence is not None)
    assert found.area is None or 0 <= found.area <= 1
    assert found.divergence is None or 0 <= found.divergence < 25


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_the_order_of_pieces_and_the_unit_do_not_matter(seed: int):
    chance = np.random.default_rng(seed)
    generated, real = chance.normal(size=(8, 2)), chance.normal(size=(5, 2))
    found = overlap(generated, real)
    moved = overlap(1e6 * chance.permutation(generated), 1e6 * chance.permutation(real))
    assert moved.area == pytest.approx(found.area, abs=1e-9)
    assert moved.divergence == pytest.approx(found.divergence, abs=1e-9)
