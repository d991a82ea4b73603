"""Two sets of features: what is refused, what is said, and one scale for both."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from crnn_gan.metrics.feature_sets import as_feature_sets, reason_against, standardized

FINITE = st.floats(allow_nan=False, allow_infinity=False)


def test_the_real_set_gets_mean_0_and_deviation_1_and_the_generated_the_same_scale():
    # Real 1 and 5: mean 3, deviation 2. Real 0 and 2: mean 1, deviation 1.
    generated, real = standardized(np.array([[7.0, 1.0]]), np.array([[1.0, 0.0], [5.0, 2.0]]))
    np.testing.assert_allclose(real, [[-1, -1], [1, 1]])
    np.testing.assert_allclose(generated, [[2, 0]])


def test_a_feature_that_only_the_real_set_holds_still_is_divided_by_the_deviation_of_both():
    # 0, 0, 3, 3 have a deviation of 1.5.
    generated, real = standardized(np.full((2, 1), 3.0), np.zeros((2, 1)))
    np.testing.assert_allclose(generated, 2.0)
    np.testing.assert_allclose(real, 0.0)


def test_a_feature_that_is_equal_in_both_sets_becomes_0():
    # 0.1 is no binary fraction: its mean over three rows need not be 0.1 again.
    for table in standardized(np.full((3, 1), 0.1), np.full((3, 1), 0.1)):
        np.testing.assert_array_equal(table, 0.0)


@settings(deadline=None)
@given(
    arrays.arrays(np.float64, (3, 2), elements=FINITE),
    arrays.arrays(np.float64, (4, 2), elements=FINITE),
)
def test_standardised_features_are_finite_whatever_the_numbers(generated, real):
    for table in standardized(generated, real):
        assert np.isfinite(table).all()


def test_a_set_of_no_piece_fits_any_features():
    generated, real = as_feature_sets([], np.ones((4, 3)))
    assert generated.shape == (0, 3)
    assert real.shape == (4, 3)


@pytest.mark.parametrize("generated", [np.zeros(4), np.zeros((4, 3)), np.zeros((4, 1, 2))])
def test_tables_of_other_features_are_refused(generated):
    with pytest.raises(ValueError, match=r"cannot be compared; give \[piece, feature\] twice"):
        as_feature_sets(generated, np.zeros((5, 2)))


def test_a_reason_counts_what_is_there_and_what_is_needed():
    two, five = np.zeros((2, 1)), np.zeros((5, 1))
    assert reason_against(two, five, 2, 5) == ""
    assert reason_against(two, five, 3, 5) == "too few generated pieces: 2, needs 3 or more"
    assert reason_against(two, five, 2, 6) == "too few real windows: 5, needs 6 or more"


def test_a_reason_counts_pieces_with_broken_numbers():
    real = np.array([[np.nan, np.inf], [0.0, 1.0], [1.0, -np.inf]])
    assert reason_against(np.zeros((2, 2)), real, 1, 1) == (
        "2 of 3 real windows have a feature that is not a finite number"
    )
