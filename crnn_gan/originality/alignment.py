"""Alignment: the longest common subsequence of a piece and the known pieces, in any key.

A long piece is cut into stretches, and each is compared by itself: the longest common
subsequence with a whole piece of thousands of notes would say nothing, nearly every short row
is in there somehow. The places that continue as the piece does vote for where a stretch may
come from (known piece, transposition and shift); there the stretch is compared exactly with a
window that is half as long again (RapidFuzz's bit-parallel algorithm, Hyyro 2004).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from rapidfuzz.distance import LCSseq

STRETCH = 400  # Notes, at most, that are compared at once: it bounds the time of long pieces.
CANDIDATES = 256  # Places that a stretch is compared with.
SMALLEST_MARGIN = 4  # Notes that a window goes beyond a stretch, at either end.


class Votes(NamedTuple):
    """Places that continue as a piece does.

    Attributes:
      note: int64 [vote], of which note, counted through all pieces.
      known: int64 [vote], the known piece.
      known_note: int64 [vote], its note.
      transposition: int64 [vote], semitones from the known piece to this one.
      weight: float64 [vote].
    """

    note: np.ndarray
    known: np.ndarray
    known_note: np.ndarray
    transposition: np.ndarray
    weight: np.ndarray


class Aligned(NamedTuple):
    """Where a stretch has most in common with the known.

    Attributes:
      common: notes of the longest common subsequence.
      known: the known piece, -1 where nothing voted.
      transposition: semitones from it to the stretch.
    """

    common: int
    known: int
    transposition: int


class Stretches(NamedTuple):
    """Pieces cut into stretches of at most `STRETCH` notes.

    Attributes:
      piece: int64 [stretch], which piece.
      first, last: int64 [stretch], notes first..last - 1, counted through all pieces.
    """

    piece: np.ndarray
    first: np.ndarray
    last: np.ndarray


def stretches(sizes: Sequence[int]) -> Stretches:
    """Cuts pieces of so many notes into stretches, those of a piece as equal as can be."""
    bounds = [(piece, *edges) for piece, size in enumerate(sizes) if size for edges in _edges(size)]
    piece, first, last = np.array(bounds, np.int64).reshape(-1, 3).T
    begins = np.cumsum(sizes) - sizes
    return Stretches(piece, first + begins[piece], last + begins[piece])


def _edges(size: int) -> Iterator[tuple[int, int]]:
    count = -(-size // STRETCH)
    edges = [size * index // count for index in range(count + 1)]
    return itertools.pairwise(edges)


def letters(pitch: np.ndarray) -> str:
    """Gives a text of pitches, -256..767: a letter each."""
    return (pitch.astype(np.uint32) + 256).tobytes().decode("utf-32-le")


def align(
    cut: Stretches, pitch: np.ndarray, known_letters: Sequence[str], votes: Votes
) -> list[Aligned]:
    """Finds where each stretch has most in common with the known pieces.

    Args:
      cut: the stretches.
      pitch: uint8 [note], of all pieces.
      known_letters: of each known piece, as `letters` gives them.
      votes: in any order.
    """
    best = [Aligned(0, -1, 0)] * len(cut.piece)
    written: dict[tuple[int, int], str] = {}
    for stretch, known, transposition, first, last in _candidates(cut, known_letters, votes):
        if (stretch, transposition) not in written:
            notes = pitch[cut.first[stretch] : cut.last[stretch]]
            written[stretch, transposition] = letters(notes.astype(int) - transposition)
        window = known_letters[known][max(first, 0) : max(last, 0)]
        piece = written[stretch, transposition]
        # 0 where it is no more than what was found before.
        common = LCSseq.similarity(piece, window, score_cutoff=best[stretch].common + 1)
        if common:
            best[stretch] = Aligned(common, known, transposition)
    return best


def _candidates(
    cut: Stretches, known_letters: Sequence[str], votes: Votes
) -> list[tuple[int, int, int, int, int]]:
    """Gives the windows with most votes: stretch, known piece, transposition, first and last note.

    Those of a stretch come in the order of their votes.
    """
    stretch = np.searchsorted(cut.last, votes.note, side="right")
    sizes = cut.last - cut.first
    margin = np.maximum(sizes // 4, SMALLEST_MARGIN)
    # Shifts are binned by the margin; two neighbouring bins together make a candidate.
    shift = votes.known_note - (votes.note - cut.first[stretch]) + STRETCH
    bins = shift // margin[stretch]
    bases = (
        len(known_letters),
        256,
        (max(map(len, known_letters)) + STRETCH) // SMALLEST_MARGIN + 2,
    )
    key = stretch
    for base, digit in zip(bases, (votes.known, votes.transposition + 128, bins), strict=True):
        key = key * base + digit
    key, inverse = np.unique(key, return_inverse=True)
    count = np.bincount(inverse, votes.weight, len(key))
    count[:-1] += np.where(np.diff(key) == 1, count[1:], 0)
    digits = []
    rest = key
    for base in reversed(bases):
        rest, digit = np.divmod(rest, base)
        digits.append(digit)
    bins, transposition, known = digits
    order = np.lexsort((-count, rest))
    place = np.arange(len(order)) - np.searchsorted(rest[order], rest[order])
    chosen = order[place < CANDIDATES]
    of = rest[chosen]
    first = bins[chosen] * margin[of] - STRETCH
    last = first + sizes[of] + 2 * margin[of]
    columns = (of, known[chosen], transposition[chosen] - 128, first, last)
    return list(zip(*(column.tolist() for column in columns), strict=True))
