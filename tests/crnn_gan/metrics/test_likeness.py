"""Notes that pieces share: by hand, equal and foreign pieces, no notes, any number of pieces."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crnn_gan.metrics.likeness import shared_notes
from tests.crnn_gan.metrics.written_pieces import (
    DRUMS,
    EMPTY,
    FOUR_TONES,
    ONE_TONE,
    played,
    scores,
)


def test_notes_are_the_same_where_pitch_and_sixteenth_are():
    # 12 ticks a quarter: a sixteenth has 3, and a tick early or late is the same one.
    first = played((0, 12, 60, 64), (6, 12, 62, 64), (9, 12, 64, 64), (12, 12, 65, 64))
    second = played((1, 3, 60, 90), (5, 1, 62, 64), (10, 12, 64, 1), (14, 12, 65, 64))
    # 60, 62 and 64 are in both, 65 begins a sixteenth apart.
    assert shared_notes([first, second]).value == pytest.approx(3 / 4)


def test_other_ticks_are_the_same_sixteenths():
    fine = played((480, 480, 60, 64), ticks_per_quarter=480)
    assert shared_notes([ONE_TONE, fine]).value == 1


def test_a_pair_of_three_shares_a_third():
    foreign = played((0, 12, 30, 64))
    assert shared_notes([ONE_TONE, ONE_TONE, foreign]).value == pytest.approx(1 / 3)


def test_a_note_that_is_struck_twice_in_a_sixteenth_counts_once():
    twice = played((12, 1, 60, 64), (13, 1, 60, 64))
    assert shared_notes([ONE_TONE, twice]).value == 1


def test_pieces_without_notes_share_none():
    assert shared_notes([ONE_TONE, EMPTY]).value == 0
    assert shared_notes([EMPTY, DRUMS]).reason == "no piece has a note"
    assert shared_notes([FOUR_TONES]).reason == "too few pieces: 1, needs 2 or more"


@given(st.lists(scores, min_size=2, max_size=5))
def test_it_is_a_share_and_equal_pieces_have_all(pieces):
    found = shared_notes(pieces).value
    assert found is None or 0 <= found <= 1
    equal = shared_notes(pieces[:1] * 3).value
    assert equal == (None if np.all(pieces[0].notes["is_drum"]) else 1)


@given(st.lists(scores, min_size=2, max_size=5), st.randoms())
def test_the_order_of_pieces_is_nothing(pieces, chance):
    turned = chance.sample(pieces, len(pieces))
    assert shared_notes(turned) == shared_notes(pieces)
