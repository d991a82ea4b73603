"""Known rows: which notes of a piece lie in rows that are known, and where those are."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np

from crnn_gan.originality.interval_sequences import SHORTEST, Row, is_telling
from crnn_gan.originality.originality import LENGTHS, Match
from crnn_gan.originality.suffixes import DEPTH

MATCHES = 20  # Rows that are reported of a piece.


class KnownRow(NamedTuple):
    """A row of a piece that is known and goes on at neither end.

    Attributes:
      first: its first note.
      last: one past its last note.
      place: of the known text, where it was found; others may hold it too.
      counted: int64 [n], its notes that are in a row of `SHORTEST` notes that is not trivial.
    """

    first: int
    last: int
    place: int
    counted: np.ndarray


def known_rows(row: Row, length: np.ndarray, place: np.ndarray, text: np.ndarray) -> list[KnownRow]:
    """Gives the known rows of `SHORTEST` notes or more in which a note counts.

    Args:
      row: the piece.
      length: int64 [note], known steps from each note on; those of `DEPTH` and more may go on.
      place: int64 [note], where in the text they are.
      text: uint16 [place], of the known pieces.
    """
    is_deep = length >= DEPTH
    goes_on = (length[1:] < length[:-1]) | (
        is_deep[1:] & is_deep[:-1] & (place[1:] == place[:-1] + 1)
    )
    begins = (length >= SHORTEST - 1) & ~np.append(False, goes_on)[: len(length)]
    telling = np.flatnonzero(is_telling(row.steps))
    found = []
    for first in np.flatnonzero(begins).tolist():
        steps, where = int(length[first]), int(place[first])
        if is_deep[first]:
            steps += _agreeing(row.steps[first + steps :], text[where + steps :])
        last = first + steps + 1
        low, high = np.searchsorted(telling, [first, last - SHORTEST + 1])
        if low < high:
            spread = telling[low:high, np.newaxis] + np.arange(SHORTEST)
            found.append(KnownRow(first, last, where, np.unique(spread)))
    return found


def _agreeing(asked: np.ndarray, known: np.ndarray) -> int:
    """How many steps two rows of steps begin with alike."""
    size = min(len(asked), len(known))
    different = np.flatnonzero(asked[:size] != known[:size])
    return int(different[0]) if len(different) else size


def copied_shares(found: Iterable[KnownRow], notes: int) -> dict[str, float]:
    """Gives for each of `LENGTHS` the share of the notes that lie in known rows of so many.

    Trivial notes neither count in a row nor in the share.
    """
    covered = {length: np.zeros(notes, bool) for length in LENGTHS}
    for known in found:
        for length, mask in covered.items():
            if len(known.counted) >= length:
                mask[known.counted] = True
    return {str(length): float(mask.mean()) if notes else 0.0 for length, mask in covered.items()}


def matches(
    row: Row, found: Sequence[KnownRow], locate: Callable[[KnownRow], tuple[str, Row, int]]
) -> tuple[Match, ...]:
    """Gives the `MATCHES` longest known rows; those mostly in a longer one are left out.

    Args:
      row: the piece.
      found: its known rows.
      locate: gives name and row of a known piece that holds it, and its first note there.
    """
    taken = np.zeros(len(row), bool)
    chosen: list[Match] = []
    for known in sorted(found, key=lambda known: (-len(known.counted), known.first)):
        here = slice(known.first, known.last)
        if len(chosen) < MATCHES and taken[here].mean() <= 0.5:
            taken[here] = True
            chosen.append(_match(row, known, *locate(known)))
    return tuple(chosen)


def _match(row: Row, found: KnownRow, name: str, other: Row, first: int) -> Match:
    notes = found.last - found.first
    piece_quarters = _quarters(row, found.first, notes)
    known_quarters = _quarters(other, first, notes)
    return Match(
        known=name,
        notes=notes,
        piece_notes=(found.first, found.last),
        known_notes=(first, first + notes),
        piece_quarters=piece_quarters,
        known_quarters=known_quarters,
        piece_bars=_bars(row, found.first, notes),
        known_bars=_bars(other, first, notes),
        transposition=int(row.pitch[found.first]) - int(other.pitch[first]),
    )


def _quarters(row: Row, first: int, notes: int) -> tuple[float, float]:
    """From the first onset to the last end."""
    here = slice(first, first + notes)
    return float(row.onset_quarters[here].min()), float(row.end_quarters[here].max())


def _bars(row: Row, first: int, notes: int) -> tuple[int, int]:
    """In which bars the first and the last note are struck."""
    bars = row.bar[first : first + notes]
    return int(bars.min()), int(bars.max())
