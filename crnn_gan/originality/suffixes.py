"""Suffixes: where a row of steps is found in millions of others, however long it is.

An array of suffixes (Manber and Myers 1993): every place of the text, in the order of what
follows there. What begins as a query does stands next to where the query would stand.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np

AT_ONCE = 5  # Steps in a word of 64 bits, 11 bits each.
DEPTH = 512  # Steps that decide the order; places that agree so far stand in any order.
_BITS = 11


@dataclasses.dataclass(frozen=True, eq=False)
class Suffixes:
    """The places of a text in the order of what follows.

    Attributes:
      words: uint64 [place], the next `AT_ONCE` steps of each place; 0 ends a piece.
      order: int32 [place], the places.
      owner: int32 [place], whose each place is.
      before, after: int32 [rank], for each rank the nearest one below or above with another
        owner; -1 or the number of places where there is none.
    """

    words: np.ndarray
    order: np.ndarray
    owner: np.ndarray
    before: np.ndarray
    after: np.ndarray

    @classmethod
    def of(cls, text: np.ndarray, owner: np.ndarray) -> Suffixes:
        """Sorts the places of a text. It takes O(n log n), some 2 s a million.

        Args:
          text: uint16 [place], steps, pieces ended by 0.
          owner: int32 [place].
        """
        words = packed(text)
        rank = np.unique(words, return_inverse=True)[1].astype(np.int64)
        width = AT_ONCE
        while width < DEPTH and len(rank) and rank.max() + 1 < len(rank):
            follows = np.zeros_like(rank)
            follows[:-width] = rank[width:] + 1
            rank = np.unique(rank * (len(rank) + 1) + follows, return_inverse=True)[1]
            width *= 2
        order = np.argsort(rank, kind="stable").astype(np.int32)
        of_rank = owner[order]
        ranks = np.arange(len(order), dtype=np.int32)
        changes = np.diff(of_rank) != 0
        begins = np.maximum.accumulate(np.where(np.append(True, changes), ranks, 0)[: len(ranks)])
        lasts = np.where(np.append(changes, True), ranks, len(ranks))[: len(ranks)]
        ends = np.minimum.accumulate(lasts[::-1])[::-1]
        return cls(words, order, owner, begins - 1, ends + 1)

    def ranks(self, queries: np.ndarray, chosen: np.ndarray) -> np.ndarray:
        """Finds where queries would stand.

        Args:
          queries: uint64 [n], words of the text of the queries (`packed`).
          chosen: int64 [query], where each begins.

        Returns:
          int64 [query], the first rank whose place does not come before.
        """
        first = self.words[self.order]
        low = np.searchsorted(first, queries[chosen], side="left")
        high = np.searchsorted(first, queries[chosen], side="right")
        while len(open_ := np.flatnonzero(low < high)):
            middle = (low[open_] + high[open_]) // 2
            comes_before = self._compare(self.order[middle], queries, chosen[open_], DEPTH)[1]
            low[open_[comes_before]] = middle[comes_before] + 1
            high[open_[~comes_before]] = middle[~comes_before]
        return low

    def neighbours(
        self, ranks: np.ndarray, ignored: np.ndarray, count: int
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Gives the places beside ranks, the nearest first: those that continue most alike.

        Args:
          ranks: int64 [query], as `ranks` gives them.
          ignored: int32 [query], the owner that is passed over, -1 for none.
          count: places on either side.

        Yields:
          int64 [n], which queries, and [n], a place for each; `count` times below and above.
        """
        below, above = ranks - 1, ranks
        for _ in range(count):
            below = self._passed(below, self.before, ignored)
            yield self._there(below)
            above = self._passed(above, self.after, ignored)
            yield self._there(above)
            below, above = below - 1, above + 1

    def _passed(self, ranks: np.ndarray, other: np.ndarray, ignored: np.ndarray) -> np.ndarray:
        """Ranks, those of the ignored owner moved on to the next of another."""
        queries, places = self._there(ranks)
        is_ignored = self.owner[places] == ignored[queries]
        passed = ranks.copy()
        passed[queries[is_ignored]] = other[ranks[queries[is_ignored]]]
        return passed

    def _there(self, ranks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Which ranks exist, and their places."""
        there = np.flatnonzero((ranks >= 0) & (ranks < len(self.order)))
        return there, self.order[ranks[there]]

    def common(
        self, places: np.ndarray, queries: np.ndarray, chosen: np.ndarray, depth: int = DEPTH
    ) -> np.ndarray:
        """int64 [query], how many steps the text at a place has in common with the query.

        Steps past the end of a piece are counted too: take the smaller of this and what is
        left of the query.
        """
        return self._compare(places, queries, chosen, depth)[0]

    def _compare(
        self, places: np.ndarray, queries: np.ndarray, chosen: np.ndarray, depth: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Gives common steps, at most `depth` and a few, and whether the place comes before."""
        common = np.zeros(len(places), np.int64)
        before = np.zeros(len(places), bool)
        active = np.arange(len(places))
        for skipped in range(0, depth, AT_ONCE):
            if len(active) == 0:
                break
            known = _at(self.words, places[active] + skipped)
            asked = _at(queries, chosen[active] + skipped)
            equal = known == asked
            common[active] += np.where(equal, AT_ONCE, _leading(known ^ asked))
            before[active] = known < asked
            active = active[equal]
        return common, before


def packed(text: np.ndarray) -> np.ndarray:
    """uint64 [place], the next `AT_ONCE` steps of a text [place], the first in the highest bits."""
    words = np.zeros(len(text), np.uint64)
    padded = np.append(text, np.zeros(AT_ONCE, text.dtype)).astype(np.uint64)
    for shift in range(AT_ONCE):
        words = (words << np.uint64(_BITS)) | padded[shift : shift + len(text)]
    return words


def _at(words: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Words at places; 0 past the end."""
    if len(words) == 0:
        return np.zeros(len(places), np.uint64)
    found = words[np.minimum(places, len(words) - 1)]
    found[places >= len(words)] = 0
    return found


def _leading(difference: np.ndarray) -> np.ndarray:
    """int64 [n], equal steps before the first different one, of XORed words that differ."""
    # The highest set bit: frexp of a float64 would round up words of more than 53 bits.
    bits = np.frexp((difference >> np.uint64(_BITS)).astype(np.float64))[1] + _BITS
    return AT_ONCE - 1 - (np.maximum(bits, 1) - 1) // _BITS
