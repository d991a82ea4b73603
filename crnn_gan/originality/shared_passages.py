"""Shared passages: runs of notes of a piece that occur in a reference piece, and where."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np

from crnn_gan.originality.interval_sequences import SHORTEST, NoteSequence, is_nontrivial
from crnn_gan.originality.originality import LENGTHS, Match
from crnn_gan.originality.suffix_array import MAX_DEPTH

MAX_MATCHES = 20  # Passages reported per piece.


class SharedPassage(NamedTuple):
    """A passage of a piece that occurs in a reference piece and can be extended at neither end.

    Attributes:
      first: its first note.
      last: one past its last note.
      place: index into the reference text where it was found; it may occur elsewhere too.
      counted: int64 [n], its notes that lie in a non-trivial passage of `SHORTEST` notes.
    """

    first: int
    last: int
    place: int
    counted: np.ndarray


def shared_passages(
    sequence: NoteSequence, length: np.ndarray, place: np.ndarray, text: np.ndarray
) -> list[SharedPassage]:
    """Gives the shared passages of `SHORTEST` notes or more in which a note counts.

    Args:
      sequence: the piece.
      length: int64 [note], shared tokens from each note on; `MAX_DEPTH` or more may continue.
      place: int64 [note], index into `text` where they are.
      text: uint16 [place], tokens of the reference pieces.
    """
    is_deep = length >= MAX_DEPTH
    goes_on = (length[1:] < length[:-1]) | (
        is_deep[1:] & is_deep[:-1] & (place[1:] == place[:-1] + 1)
    )
    begins = (length >= SHORTEST - 1) & ~np.append(False, goes_on)[: len(length)]
    nontrivial = np.flatnonzero(is_nontrivial(sequence.tokens))
    found = []
    for first in np.flatnonzero(begins).tolist():
        tokens, where = int(length[first]), int(place[first])
        if is_deep[first]:
            tokens += _common_prefix(sequence.tokens[first + tokens :], text[where + tokens :])
        last = first + tokens + 1
        low, high = np.searchsorted(nontrivial, [first, last - SHORTEST + 1])
        if low < high:
            spread = nontrivial[low:high, np.newaxis] + np.arange(SHORTEST)
            found.append(SharedPassage(first, last, where, np.unique(spread)))
    return found


def _common_prefix(one: np.ndarray, other: np.ndarray) -> int:
    """The length of the longest common prefix of two token arrays."""
    size = min(len(one), len(other))
    different = np.flatnonzero(one[:size] != other[:size])
    return int(different[0]) if len(different) else size


def copied_shares(found: Iterable[SharedPassage], notes: int) -> dict[str, float]:
    """Gives for each of `LENGTHS` the share of the notes that lie in shared passages as long.

    Trivial notes count neither in the length of a passage nor in the share.
    """
    covered = {length: np.zeros(notes, bool) for length in LENGTHS}
    for passage in found:
        for length, mask in covered.items():
            if len(passage.counted) >= length:
                mask[passage.counted] = True
    return {str(length): float(mask.mean()) if notes else 0.0 for length, mask in covered.items()}


def matches(
    sequence: NoteSequence,
    found: Sequence[SharedPassage],
    locate: Callable[[SharedPassage], tuple[str, NoteSequence, int]],
) -> tuple[Match, ...]:
    """Gives the `MAX_MATCHES` longest shared passages, without those mostly inside a longer one.

    Args:
      sequence: the piece.
      found: its shared passages.
      locate: gives name and sequence of a reference piece with the passage, and its first note
        there.
    """
    taken = np.zeros(len(sequence), bool)
    chosen: list[Match] = []
    for passage in sorted(found, key=lambda passage: (-len(passage.counted), passage.first)):
        here = slice(passage.first, passage.last)
        if len(chosen) < MAX_MATCHES and taken[here].mean() <= 0.5:
            taken[here] = True
            chosen.append(_match(sequence, passage, *locate(passage)))
    return tuple(chosen)


def _match(
    sequence: NoteSequence, passage: SharedPassage, name: str, other: NoteSequence, first: int
) -> Match:
    notes = passage.last - passage.first
    return Match(
        known=name,
        notes=notes,
        piece_notes=(passage.first, passage.last),
        known_notes=(first, first + notes),
        piece_quarters=_quarters(sequence, passage.first, notes),
        known_quarters=_quarters(other, first, notes),
        piece_bars=_bars(sequence, passage.first, notes),
        known_bars=_bars(other, first, notes),
        transposition=int(sequence.pitch[passage.first]) - int(other.pitch[first]),
    )


def _quarters(sequence: NoteSequence, first: int, notes: int) -> tuple[float, float]:
    """From the first onset to the last end, quarters."""
    here = slice(first, first + notes)
    return float(sequence.onset_quarters[here].min()), float(sequence.end_quarters[here].max())


def _bars(sequence: NoteSequence, first: int, notes: int) -> tuple[int, int]:
    """The bars of the first and the last onset."""
    bars = sequence.bar[first : first + notes]
    return int(bars.min()), int(bars.max())
