"""Suffix array (Manber and Myers 1993): finds token sequences in a text of millions of tokens.

It holds every place of the text, sorted by the suffix that begins there. The suffixes with the
longest common prefix with a query are next to the rank at which the query would be inserted.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np

TOKENS_PER_WORD = 5  # Tokens in a word of 64 bits, 11 bits each.
MAX_DEPTH = 512  # Tokens compared when sorting; the order of longer common prefixes is arbitrary.
_BITS = 11


@dataclasses.dataclass(frozen=True, eq=False)
class SuffixArray:
    """The positions of a text, sorted by suffix.

    Attributes:
      words: uint64 [place], the next `TOKENS_PER_WORD` tokens from each place; 0 ends a piece.
      order: int32 [rank], the places, sorted by suffix.
      owner: int32 [place], the work that each place belongs to.
      before, after: int32 [rank], for each rank the nearest one below or above with another
        owner; -1 or the number of places where there is none.
    """

    words: np.ndarray
    order: np.ndarray
    owner: np.ndarray
    before: np.ndarray
    after: np.ndarray

    @classmethod
    def of(cls, text: np.ndarray, owner: np.ndarray) -> SuffixArray:
        """Sorts the places of a text in O(n log n), some 2 s per million.

        Args:
          text: uint16 [place], tokens, 0 after each piece.
          owner: int32 [place].
        """
        words = packed(text)
        rank = np.unique(words, return_inverse=True)[1].astype(np.int64)
        width = TOKENS_PER_WORD
        while width < MAX_DEPTH and len(rank) and rank.max() + 1 < len(rank):
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
        """Finds the ranks at which queries would be inserted.

        Args:
          queries: uint64 [n], words of the text of the queries (`packed`).
          chosen: int64 [query], the place in `queries` where each begins.

        Returns:
          int64 [query], the first rank whose suffix is not smaller.
        """
        first = self.words[self.order]
        low = np.searchsorted(first, queries[chosen], side="left")
        high = np.searchsorted(first, queries[chosen], side="right")
        while len(open_ := np.flatnonzero(low < high)):
            middle = (low[open_] + high[open_]) // 2
            comes_before = self._compare(self.order[middle], queries, chosen[open_], MAX_DEPTH)[1]
            low[open_[comes_before]] = middle[comes_before] + 1
            high[open_[~comes_before]] = middle[~comes_before]
        return low

    def neighbours(
        self, ranks: np.ndarray, ignored: np.ndarray, count: int
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Gives the places next to ranks, those with the longest common prefixes first.

        Args:
          ranks: int64 [query], as `ranks` gives them.
          ignored: int32 [query], the owner whose places are skipped, -1 for none.
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
        """Ranks; those of the ignored owner are replaced by the next of another owner."""
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
        self, places: np.ndarray, queries: np.ndarray, chosen: np.ndarray, depth: int = MAX_DEPTH
    ) -> np.ndarray:
        """Gives the length of the longest common prefix of place and query: int64 [query].

        Tokens past the end of a piece count too: take the minimum with what remains of the query.
        """
        return self._compare(places, queries, chosen, depth)[0]

    def _compare(
        self, places: np.ndarray, queries: np.ndarray, chosen: np.ndarray, depth: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Common prefixes, up to `depth` or a few more, and whether the place is smaller."""
        common = np.zeros(len(places), np.int64)
        before = np.zeros(len(places), bool)
        active = np.arange(len(places))
        for skipped in range(0, depth, TOKENS_PER_WORD):
            if len(active) == 0:
                break
            found = _at(self.words, places[active] + skipped)
            asked = _at(queries, chosen[active] + skipped)
            equal = found == asked
            common[active] += np.where(equal, TOKENS_PER_WORD, _leading(found ^ asked))
            before[active] = found < asked
            active = active[equal]
        return common, before


def packed(text: np.ndarray) -> np.ndarray:
    """Packs the next `TOKENS_PER_WORD` tokens of each place, first in the highest bits: uint64."""
    words = np.zeros(len(text), np.uint64)
    padded = np.append(text, np.zeros(TOKENS_PER_WORD, text.dtype)).astype(np.uint64)
    for shift in range(TOKENS_PER_WORD):
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
    """int64 [n], equal tokens before the first different one, of XORed words that differ."""
    # The highest set bit: frexp of a float64 would round up words of more than 53 bits.
    bits = np.frexp((difference >> np.uint64(_BITS)).astype(np.float64))[1] + _BITS
    return TOKENS_PER_WORD - 1 - (np.maximum(bits, 1) - 1) // _BITS
