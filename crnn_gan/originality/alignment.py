"""Alignment: the longest common subsequence (LCS) of a piece and reference pieces, in any key.

A long piece is cut into segments of at most `SEGMENT_NOTES` notes, and each is aligned by itself:
the LCS with a whole piece of thousands of notes is long for any music. Suffixes with a common
prefix vote for candidates (reference piece, transposition and shift); at these the LCS of the
segment with a window half as long again is computed exactly (RapidFuzz's bit-parallel algorithm,
Hyyro 2004).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from rapidfuzz.distance import LCSseq

SEGMENT_NOTES = 400  # Most notes of a segment; bounds the time of long pieces.
CANDIDATES = 256  # Windows that a segment is compared with.
SMALLEST_MARGIN = 4  # Notes by which a window exceeds a segment at either end.


class Votes(NamedTuple):
    """Votes for alignments: notes of pieces and of reference pieces whose suffixes agree.

    Attributes:
      note: int64 [vote], index of the note, counted through all pieces.
      reference: int64 [vote], index of the reference piece.
      reference_note: int64 [vote], index of the note in it.
      transposition: int64 [vote], semitones from the reference piece to this one.
      weight: float64 [vote].
    """

    note: np.ndarray
    reference: np.ndarray
    reference_note: np.ndarray
    transposition: np.ndarray
    weight: np.ndarray


class Alignment(NamedTuple):
    """The best alignment of a segment.

    Attributes:
      common: notes of the longest common subsequence.
      reference: index of the reference piece, -1 where there was no vote.
      transposition: semitones from it to the segment.
    """

    common: int
    reference: int
    transposition: int


class Segments(NamedTuple):
    """Pieces cut into segments of at most `SEGMENT_NOTES` notes.

    Attributes:
      piece: int64 [segment], index of the piece.
      first, last: int64 [segment], its notes first..last - 1, counted through all pieces.
    """

    piece: np.ndarray
    first: np.ndarray
    last: np.ndarray


def segments(sizes: Sequence[int]) -> Segments:
    """Cuts pieces of `sizes` notes into segments, those of a piece of about equal size."""
    bounds = [(piece, *edges) for piece, size in enumerate(sizes) if size for edges in _edges(size)]
    piece, first, last = np.array(bounds, np.int64).reshape(-1, 3).T
    begins = np.cumsum(sizes) - sizes
    return Segments(piece, first + begins[piece], last + begins[piece])


def _edges(size: int) -> Iterator[tuple[int, int]]:
    count = -(-size // SEGMENT_NOTES)
    edges = [size * index // count for index in range(count + 1)]
    return itertools.pairwise(edges)


def as_text(pitch: np.ndarray) -> str:
    """Encodes pitches, -256..767, as text of one character each."""
    return (pitch.astype(np.uint32) + 256).tobytes().decode("utf-32-le")


def align(
    cut: Segments, pitch: np.ndarray, reference_texts: Sequence[str], votes: Votes
) -> list[Alignment]:
    """Finds the best alignment of each segment with the reference pieces.

    Args:
      cut: the segments.
      pitch: uint8 [note], of all pieces.
      reference_texts: pitches of each reference piece, by `as_text`.
      votes: in any order.
    """
    best = [Alignment(0, -1, 0)] * len(cut.piece)
    written: dict[tuple[int, int], str] = {}
    for segment, reference, transposition, first, last in _candidates(cut, reference_texts, votes):
        if (segment, transposition) not in written:
            notes = pitch[cut.first[segment] : cut.last[segment]]
            written[segment, transposition] = as_text(notes.astype(int) - transposition)
        window = reference_texts[reference][max(first, 0) : max(last, 0)]
        piece = written[segment, transposition]
        # 0 where it is no longer than the best so far.
        common = LCSseq.similarity(piece, window, score_cutoff=best[segment].common + 1)
        if common:
            best[segment] = Alignment(common, reference, transposition)
    return best


def _candidates(
    cut: Segments, reference_texts: Sequence[str], votes: Votes
) -> list[tuple[int, int, int, int, int]]:
    """Gives (segment, reference, transposition, first, last note) of the windows with most votes.

    Those of a segment are sorted by votes, most first.
    """
    segment = np.searchsorted(cut.last, votes.note, side="right")
    sizes = cut.last - cut.first
    margin = np.maximum(sizes // 4, SMALLEST_MARGIN)
    # Shifts are binned by the margin; two neighbouring bins together make a candidate.
    shift = votes.reference_note - (votes.note - cut.first[segment]) + SEGMENT_NOTES
    bins = shift // margin[segment]
    bases = (
        len(reference_texts),
        256,
        (max(map(len, reference_texts)) + SEGMENT_NOTES) // SMALLEST_MARGIN + 2,
    )
    key = segment
    for base, digit in zip(bases, (votes.reference, votes.transposition + 128, bins), strict=True):
        key = key * base + digit
    key, inverse = np.unique(key, return_inverse=True)
    count = np.bincount(inverse, votes.weight, len(key))
    count[:-1] += np.where(np.diff(key) == 1, count[1:], 0)
    digits = []
    rest = key
    for base in reversed(bases):
        rest, digit = np.divmod(rest, base)
        digits.append(digit)
    bins, transposition, reference = digits
    order = np.lexsort((-count, rest))
    place = np.arange(len(order)) - np.searchsorted(rest[order], rest[order])
    chosen = order[place < CANDIDATES]
    of = rest[chosen]
    first = bins[chosen] * margin[of] - SEGMENT_NOTES
    last = first + sizes[of] + 2 * margin[of]
    columns = (of, reference[chosen], transposition[chosen] - 128, first, last)
    return list(zip(*(column.tolist() for column in columns), strict=True))
