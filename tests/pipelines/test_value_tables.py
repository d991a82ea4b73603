"""Tables of values: the commonest where they are few, classes of many, and what is nearest."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.value_tables import classes, measured, nearest


def test_a_table_has_the_commonest_values_that_together_are_999_of_1000():
    # 9,000 + 900 + 90 are 9,990 of 10,000; the last two are 10.
    counts = {12: 9000, 6: 900, 18: 90, 7: 6, 11: 4}
    assert measured(counts, 3, is_logarithmic=True) == (6, 12, 18)
    assert measured(counts, 64, is_logarithmic=True) == (6, 12, 18)
    counts[18] -= 1
    counts[11] += 1
    assert measured(counts, 64, is_logarithmic=True) == (6, 7, 12, 18)


def test_of_values_as_common_the_smaller_is_taken_and_none_that_never_occurs():
    # 1,996 of 1,998 are not quite 999 of 1,000.
    assert measured({9: 1, 8: 1, 5: 998, 4: 998, 3: 0}, 64, is_logarithmic=False) == (4, 5, 8)
    assert measured({64: 7}, 64, is_logarithmic=False) == (64,)
    assert measured({64: 0}, 64, is_logarithmic=False) == ()


def test_more_values_than_the_table_holds_become_classes_with_their_medians():
    # Eight values, as common: two in each of four classes; the lower of two is the median.
    assert measured(dict.fromkeys(range(1, 9), 5), 4, is_logarithmic=False) == (1, 3, 5, 7)


def test_a_common_value_is_a_class_of_its_own_and_the_rest_shares_the_others():
    # Square roots: 100, and 8 times 10. A fifth of 180 is 36; of what is left each takes 20.
    counts = {1: 10_000, **dict.fromkeys(range(2, 10), 100)}
    assert measured(counts, 5, is_logarithmic=False) == (1, 2, 4, 6, 8)


def test_on_a_logarithmic_scale_classes_widen_with_their_values():
    table = classes(np.arange(1, 1001), np.ones(1000, np.int64), 20, is_logarithmic=True)
    steps = np.diff(table)
    assert len(table) == 20 and table[0] <= 3
    assert (np.diff(steps[:-1]) >= 0).all() and steps[0] < 10 < 80 < steps[-2]


values = st.dictionaries(st.integers(1, 300), st.integers(1, 10_000), min_size=1, max_size=60)


@given(values, st.integers(2, 20), st.booleans())
def test_a_table_has_values_that_occur_ascending_and_not_too_many(counts, most, is_logarithmic):
    table = measured(counts, most, is_logarithmic)
    assert 1 <= len(table) <= most
    assert list(table) == sorted(set(table)) and set(table) <= counts.keys()
    backwards = dict(reversed(counts.items()))
    assert measured(backwards, most, is_logarithmic) == table


@pytest.mark.parametrize(
    ("is_logarithmic", "places"),
    [
        (False, [0, 0, 0, 0, 1, 1, 1, 1]),  # 3.5 lies in the middle.
        (True, [0, 0, 0, 0, 1, 1, 1, 1]),  # (1 + 3) ** 2 is below (1 + 2)(1 + 5), 25 above.
    ],
)
def test_the_nearest_value_is_that_on_this_side_of_the_middle(is_logarithmic, places):
    assert nearest(np.array([2, 5]), 7, is_logarithmic).tolist() == places


def test_of_two_values_as_near_the_lower_is_taken():
    assert nearest(np.array([2, 6]), 6, is_logarithmic=False).tolist() == [0, 0, 0, 0, 0, 1, 1]
    # (1 + 7) ** 2 = (1 + 3)(1 + 15); by difference 9 would be the middle.
    assert nearest(np.array([3, 15]), 15, is_logarithmic=True).tolist() == [0] * 8 + [1] * 8
    assert nearest(np.array([4]), 5, is_logarithmic=True).tolist() == [0] * 6
