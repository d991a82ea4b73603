"""The suffix array against brute force."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crnn_gan.originality import suffix_array
from crnn_gan.originality.suffix_array import SuffixArray, packed

TOKENS = st.lists(st.integers(1, 3), min_size=1, max_size=14)


def text_of(pieces: list[list[int]]) -> tuple[np.ndarray, np.ndarray]:
    text = np.array([step for steps in pieces for step in [*steps, 0]], np.uint16)
    owner = np.repeat(np.arange(len(pieces)), [len(steps) + 1 for steps in pieces])
    return text, owner.astype(np.int32)


def common(query: list[int], steps: list[int]) -> int:
    """Length of the longest common prefix."""
    size = min(len(query), len(steps))
    return next((i for i in range(size) if query[i] != steps[i]), size)


@given(st.lists(TOKENS, min_size=1, max_size=5), TOKENS, st.integers(-1, 4))
def test_the_nearest_neighbour_has_as_much_in_common_as_any_place(
    pieces: list[list[int]], query: list[int], ignored: int
):
    text, owner = text_of(pieces)
    index, asked = SuffixArray.of(text, owner), packed(np.array([*query, 0], np.uint16))
    chosen = np.arange(len(query))
    found = np.zeros(len(query), int)
    without = np.full(len(query), ignored)
    for notes, places in index.neighbours(index.ranks(asked, chosen), without, 1):
        assert not (owner[places] == ignored).any()
        found[notes] = np.maximum(found[notes], index.common(places, asked, notes))
    found = np.minimum(found, len(query) - chosen)
    kept = [steps for number, steps in enumerate(pieces) if number != ignored]
    assert found.tolist() == [
        max((common(query[i:], steps[j:]) for steps in kept for j in range(len(steps))), default=0)
        for i in range(len(query))
    ]


@given(st.lists(TOKENS, min_size=1, max_size=5))
def test_places_stand_in_the_order_of_what_follows(pieces: list[list[int]]):
    text, owner = text_of(pieces)
    order = SuffixArray.of(text, owner).order
    following = [text[place:].tolist() for place in order]
    assert following == sorted(following)
    assert sorted(order.tolist()) == list(range(len(text)))


def test_tokens_of_all_sizes_are_distinguished():
    # One token that differs, of 2047 in the first to the fifth place of a word and beyond.
    for place in range(12):
        steps = np.full(13, 2047, np.uint16)
        steps[12] = 0
        other = steps.copy()
        other[place] = 2046
        index = SuffixArray.of(other, np.zeros(13, np.int32))
        found = index.common(np.array([0]), packed(steps), np.array([0]))
        assert found.tolist() == [place]


@pytest.mark.parametrize("size", [suffix_array.MAX_DEPTH - 3, 2 * suffix_array.MAX_DEPTH])
def test_a_text_of_one_step_is_sorted_without_end(size: int):
    text = np.append(np.ones(size, np.uint16), np.uint16(0))
    index = SuffixArray.of(text, np.zeros(size + 1, np.int32))
    assert sorted(index.order.tolist()) == list(range(size + 1))
