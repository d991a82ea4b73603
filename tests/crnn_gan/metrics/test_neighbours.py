"""Precision, recall, density, coverage: a few points by hand, brute force, collapsed sets."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from crnn_gan.metrics.feature_sets import Value
from crnn_gan.metrics.neighbours import (
    BATCH_ROWS,
    NeighbourFigures,
    neighbour_figures,
    neighbours_name,
    radii,
)


def column(*values: float) -> np.ndarray:
    return np.array(values)[:, None]


def values(figures: NeighbourFigures) -> list[float | None]:
    return [
        figure.value
        for figure in (figures.precision, figures.recall, figures.density, figures.coverage)
    ]


# On a line the unit does not matter, so that these can be read as they stand.
# Their nearest neighbours are 1, 1, 2 and 4 away.
REAL = column(0, 1, 3, 7)


def test_radii_are_the_distances_of_the_nearest_neighbours():
    np.testing.assert_array_equal(radii(REAL, 1), [1, 1, 2, 4])
    np.testing.assert_array_equal(radii(REAL, 2), [3, 2, 3, 6])


def test_generated_pieces_near_and_far_from_real_ones():
    # 0.5 is near 0 and 1 (0.5 away, within 1); 5.5 is near 7 (1.5, within 4), not near 3 (2.5);
    # 20 is near none: precision 2/3, density (2 + 1 + 0) / 3, coverage 3/4 (not 3).
    # Generated radii 5, 5, 14.5 reach every real window: recall 1.
    assert values(neighbour_figures(column(0.5, 5.5, 20), REAL, 1)) == pytest.approx(
        [2 / 3, 1, 1, 3 / 4]
    )


def test_generated_pieces_that_miss_a_real_one():
    # 0.5 and 0.8 are near 0 and 1, 6 is near 7: precision 1, density 5/3, coverage 3/4.
    # Generated radii 0.3, 0.3, 5.2: 0 is 0.5, 0.8 and 6 away, near none; 1 is near 0.8;
    # 3 and 7 are near 6: recall 3/4.
    assert values(neighbour_figures(column(0.5, 0.8, 6), REAL, 1)) == pytest.approx(
        [1, 3 / 4, 5 / 3, 3 / 4]
    )


def test_a_copy_of_the_real_set_has_full_figures():
    real = np.random.default_rng(0).normal(size=(40, 3))
    figures = neighbour_figures(real[::-1], real)
    assert values(figures)[:2] == [1, 1]
    assert figures.coverage.value == 1
    # Each copy is near its original and near those that have it among their five neighbours.
    assert figures.density.value == pytest.approx((5 + 1) / 5)


def test_a_generator_collapsed_onto_a_real_piece_is_precise_and_covers_little():
    real = np.random.default_rng(1).normal(size=(200, 3))
    figures = neighbour_figures(np.repeat(real[:1], 50, axis=0), real)
    assert figures.precision.value == 1
    assert figures.recall.value == 1 / 200  # Radii of 0 reach the original alone.
    assert figures.coverage.value is not None
    assert figures.coverage.value < 0.1


def test_copies_of_one_piece_are_near_each_other():
    assert values(neighbour_figures(np.full((9, 2), 0.1), np.full((8, 2), 0.1))) == [
        1,
        1,
        8 / 5,  # All eight real windows are near each piece.
        1,
    ]


def test_a_constant_that_real_music_does_not_have_is_near_nothing():
    assert values(neighbour_figures(np.full((9, 1), 0.2), np.full((8, 1), 0.1))) == [0] * 4


def test_blocks_of_rows_give_what_one_block_gives():
    chance = np.random.default_rng(2)
    generated, real = chance.normal(size=(BATCH_ROWS + 5, 1)), chance.normal(size=(40, 1))
    figures = neighbour_figures(generated, real, 2)
    near = np.abs(generated - real.T) <= np.sort(np.abs(real - real.T))[:, 2]
    assert figures.density.value == pytest.approx(near.sum() / 2 / len(generated))
    assert figures.coverage.value == near.any(axis=0).mean()


@pytest.mark.parametrize(
    ("generated", "real", "missing"),
    [(6, 6, 0), (5, 6, 1), (6, 5, 3), (5, 5, 4), (0, 6, 4), (6, 0, 4)],
)
def test_each_figure_needs_a_neighbour_more_than_it_looks_at(generated, real, missing):
    figures = neighbour_figures(np.zeros((generated, 2)), np.zeros((real, 2)))
    assert sum(value is None for value in values(figures)) == missing
    if generated == 5 and real == 6:
        assert figures.recall == Value(None, "too few generated pieces: 5, needs 6 or more")


def test_a_broken_number_gives_a_reason_for_each():
    broken = np.full((9, 1), np.nan)
    figures = neighbour_figures(broken, np.zeros((9, 1)))
    assert values(figures) == [None] * 4
    assert "9 of 9 generated pieces" in figures.density.reason


def test_no_neighbours_are_refused():
    with pytest.raises(ValueError, match="give 1 or more"):
        neighbour_figures(REAL, REAL, 0)


ELEMENTS = st.one_of(
    st.integers(-2, 2).map(float), st.floats(allow_nan=False, allow_infinity=False)
)


@settings(deadline=None)
@given(
    arrays.arrays(np.float64, (7, 2), elements=ELEMENTS),
    arrays.arrays(np.float64, (8, 2), elements=ELEMENTS),
)
def test_figures_are_in_range_whatever_the_pieces(generated, real):
    figures = neighbour_figures(generated, real, 3)
    for figure in (figures.precision, figures.recall, figures.coverage):
        assert figure.value is not None
        assert 0 <= figure.value <= 1
    assert figures.density.value is not None
    assert 0 <= figures.density.value <= 8 / 3
    # Both ask whether a piece and a window are near; no other pair counts.
    assert (figures.precision.value == 0) == (figures.coverage.value == 0)


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_the_order_of_pieces_does_not_matter(seed: int):
    chance = np.random.default_rng(seed)
    generated, real = chance.normal(size=(9, 3)), chance.normal(size=(8, 3))
    shuffled = neighbour_figures(chance.permutation(generated), chance.permutation(real), 2)
    assert values(shuffled) == pytest.approx(values(neighbour_figures(generated, real, 2)))


def test_the_name_says_k_and_the_features():
    assert neighbours_name("recall", 23) == (
        "recall (k = 5, 23 features standardised by the real set)"
    )
