"""What was found about the originality of pieces, as plain values.

A figure says how much of a piece is in the known pieces, the pitches moved by any interval. What
it means stands beside it: the same figure of held-out real music of as many notes.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Literal

Verdict = Literal["original", "borrows", "copied"]
VERDICTS: tuple[Verdict, ...] = ("original", "borrows", "copied")

LENGTHS = (8, 16, 24)  # Notes of the rows whose share is measured.
FIGURES = ("common_subsequence", "longest_row", *(f"copied_{length}" for length in LENGTHS))


@dataclasses.dataclass(frozen=True)
class Match:
    """A row of notes that a piece shares with a known one, the pitches moved by one interval.

    Notes are counted in the order of `interval_sequences.Row`: chords from the lowest note up,
    drums left out. Ranges are (first, last + 1); quarters are (onset of the first note, end of the
    last to end), from the beginning; bars are (first, last), 1 is the first, by the meters of each
    piece, 4/4 where none is given.

    Attributes:
      known: name of the known piece.
      notes: how many the row has.
      piece_notes, known_notes: where it is, in notes.
      piece_quarters, known_quarters: the same in quarters.
      piece_bars, known_bars: the same in bars.
      transposition: semitones from the known piece to this one.
    """

    known: str
    notes: int
    piece_notes: tuple[int, int]
    known_notes: tuple[int, int]
    piece_quarters: tuple[float, float]
    known_quarters: tuple[float, float]
    piece_bars: tuple[int, int]
    known_bars: tuple[int, int]
    transposition: int


@dataclasses.dataclass(frozen=True)
class PieceOriginality:
    """How much of one piece is known.

    Attributes:
      notes: of the piece, drums left out.
      nearest: name of the known piece that it shares most with, "" where it shares nothing.
      transposition: semitones from the nearest known piece to this one.
      common_subsequence: share of the piece's notes that are in the nearest known piece in the
        same order, others in between allowed; 0..1.
      longest_row: notes of the longest unbroken row that is in any known piece.
      copied: for each of `LENGTHS`, {"8": share of the piece's notes that lie in a row of at
        least so many notes that is in any known piece}, 0..1.
      matches: rows shared with known pieces, the nearest where it has the row, longest first.
      verdict: "original", "borrows" or "copied"; "" before it is compared with real music.
      reason: of the verdict, in words with figures, without a full stop.
      limits: {name in `FIGURES`: the most that held-out real music of about as many notes
        reaches}; empty where there is none to compare with.
    """

    notes: int
    nearest: str
    transposition: int
    common_subsequence: float
    longest_row: int
    copied: Mapping[str, float]
    matches: tuple[Match, ...]
    verdict: Verdict | Literal[""] = ""
    reason: str = ""
    limits: Mapping[str, float] = dataclasses.field(default_factory=dict)

    @property
    def figures(self) -> dict[str, float]:
        """{name in `FIGURES`: value}."""
        return {
            "common_subsequence": self.common_subsequence,
            "longest_row": float(self.longest_row),
            **{f"copied_{length}": share for length, share in self.copied.items()},
        }


@dataclasses.dataclass(frozen=True)
class SetOriginality:
    """How much of a set of pieces is known, beside held-out real music.

    Attributes:
      pieces: of each generated piece, in the order given.
      real: of each held-out real window, against the same known pieces; their verdicts say how
        often real music itself is above the limits.
      real_made: how the windows came about, in words, without a full stop.
      limits: those of most of the generated pieces; see `PieceOriginality.limits`.
      limits_made: how the limits came about, in words, without a full stop.
      known: number of known pieces.
      known_notes: of all of them.
    """

    pieces: tuple[PieceOriginality, ...]
    real: tuple[PieceOriginality, ...]
    real_made: str
    limits: Mapping[str, float]
    limits_made: str
    known: int
    known_notes: int

    @property
    def verdicts(self) -> dict[str, int]:
        """{verdict: number of generated pieces}, in the order original, borrows, copied."""
        return _counts(self.pieces)

    @property
    def real_verdicts(self) -> dict[str, int]:
        """{verdict: number of held-out real windows}, in the same order."""
        return _counts(self.real)


def _counts(pieces: Sequence[PieceOriginality]) -> dict[str, int]:
    found = [piece.verdict for piece in pieces]
    return {verdict: found.count(verdict) for verdict in VERDICTS}
