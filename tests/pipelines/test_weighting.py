"""Tests of pipelines/batches/weighting.py: how many windows each piece has in a set."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.batches.weighting import beginnings, draw_pieces, draw_start


def drawn(lengths, sizes, seed=0):
    return draw_pieces(lengths, sizes, np.random.default_rng(seed)).tolist()


def test_windows_are_in_proportion_to_the_lengths_of_the_pieces():
    # 100 + 50 + 250 = 400 steps; 8 windows are 2, 1 and 5.
    pieces = drawn([100, 50, 250], [32] * 8)
    assert np.bincount(pieces).tolist() == [2, 1, 5]


def test_a_share_that_is_no_whole_number_is_rounded_up_or_down_and_right_on_average():
    # Of 3 windows expected 1.2, 0.3, 1.5.
    counts = [
        np.bincount(drawn([40, 10, 50], [1] * 3, seed), minlength=3).tolist()
        for seed in range(1000)
    ]
    assert {tuple(count) for count in counts} <= {(1, 0, 2), (1, 1, 1), (2, 0, 1), (2, 1, 0)}
    # The standard deviation of a mean of 1000 is at most 0.016.
    assert np.mean(counts, axis=0) == pytest.approx([1.2, 0.3, 1.5], abs=0.06)


def test_pieces_shorter_than_the_window_have_none_unless_all_are():
    assert set(drawn([31, 32, 1000], [32] * 2000)) == {1, 2}
    # None is long enough: 1 of 3, 2 of 3.
    assert np.bincount(drawn([10, 20], [32] * 30)).tolist() == [10, 20]


def test_windows_of_several_sizes_are_of_pieces_that_are_long_enough_for_each():
    lengths = np.array([10, 20, 30])
    sizes = np.array([25, 5, 15, 5] * 10)
    pieces = np.array(drawn(lengths, sizes))
    assert (lengths[pieces] >= sizes).all()
    # Of 10 windows of 25 all are of the last; of 10 of 15 4 and 6; of 20 of 5 3.3, 6.7 and 10.
    counts = np.bincount(pieces).tolist()
    assert counts[0] in (3, 4) and counts[1] in (10, 11) and counts[2] == 26


@given(
    st.lists(st.integers(0, 60), min_size=1, max_size=12),
    st.lists(st.integers(0, 70), min_size=1, max_size=40),
    st.integers(0, 2**32 - 1),
)
def test_every_count_differs_from_its_expectation_by_less_than_one(lengths, sizes, seed):
    pieces = np.array(drawn(lengths, sizes, seed))
    of = np.maximum(np.array(lengths), 1)
    expected = np.zeros(len(lengths))
    for size, piece in zip(sizes, pieces, strict=True):
        fits = of >= size if size <= of.max() else np.ones(len(of), bool)
        assert fits[piece]
        expected += np.where(fits, of, 0) / of[fits].sum()
    counts = np.bincount(pieces, minlength=len(lengths))
    assert (np.abs(counts - expected) < 1 + 1e-6).all()


def test_the_order_is_shuffled():
    pieces = drawn([1] * 50, [1] * 50)
    assert sorted(pieces) == list(range(50)) and pieces != list(range(50))


def test_no_piece_or_no_window_gives_none():
    assert drawn([], [5, 5]) == drawn([5, 5], []) == []


def test_every_start_that_leaves_room_is_drawn_and_a_short_piece_begins_at_its_first_step():
    random = np.random.default_rng(0)
    assert {draw_start(7, 4, random) for _ in range(100)} == {0, 1, 2, 3}
    assert draw_start(3, 4, random) == 0


def test_beginnings_are_of_different_pieces():
    random = np.random.default_rng(0)
    assert sorted(beginnings(4, 9, random)) == [0, 1, 2, 3]
    assert len(set(beginnings(9, 4, random).tolist())) == 4
