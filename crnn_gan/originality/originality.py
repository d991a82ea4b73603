"""Originality: figures, labels and shared passages of pieces, as plain values.

A figure says how much of a piece occurs in reference pieces, in any transposition. It is compared
with the same figure of held-out real music of as many notes. Field names are keys of metrics.json:
there "known" stands for a reference piece, "row" for a passage, "verdict" for the label.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Literal

Label = Literal["original", "borrows", "copied"]
LABELS: tuple[Label, ...] = ("original", "borrows", "copied")

LENGTHS = (8, 16, 24)  # Notes of the shared passages whose share is measured.
FIGURES = ("common_subsequence", "longest_row", *(f"copied_{length}" for length in LENGTHS))


@dataclasses.dataclass(frozen=True)
class Match:
    """A passage that a piece shares with a reference piece, up to transposition.

    Notes are counted in the order of `interval_sequences.NoteSequence`: chords from the lowest note
    up, without drums. Ranges are (first, last + 1); quarters are (first onset, last end) from the
    beginning of the piece; bars are (first, last), 1 is the first, by the meters of each piece, 4/4
    where none is given.

    Attributes:
      known: name of the reference piece.
      notes: number of notes of the passage.
      piece_notes, known_notes: where it is, in notes.
      piece_quarters, known_quarters: the same in quarters.
      piece_bars, known_bars: the same in bars.
      transposition: semitones from the reference piece to this one.
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
    """How much of a piece occurs in the reference pieces.

    Attributes:
      notes: number of its notes, without drums.
      nearest: name of the reference piece with the longest common subsequence, "" where none has
        one.
      transposition: semitones from the nearest reference piece to this one.
      common_subsequence: share of its notes in the longest common subsequence with the nearest
        reference piece (the same order, gaps allowed), 0..1.
      longest_row: notes of its longest passage that occurs in any reference piece.
      copied: {"8": share of its notes that lie in shared passages of 8 notes or more}, 0..1, for
        each of `LENGTHS`.
      matches: shared passages, in the nearest piece where it has them, longest first.
      verdict: label, "original", "borrows" or "copied"; "" before classification.
      reason: why it has the label, without a full stop.
      limits: {name in `FIGURES`: 99th percentile over held-out real music of about as many
        notes}; empty where there is none.
    """

    notes: int
    nearest: str
    transposition: int
    common_subsequence: float
    longest_row: int
    copied: Mapping[str, float]
    matches: tuple[Match, ...]
    verdict: Label | Literal[""] = ""
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
    """Originality of a set of pieces, and of held-out real music.

    Attributes:
      pieces: of each generated piece, in the order given.
      real: of each held-out real window, against the same reference pieces; their labels show
        how often real music itself is above the limits.
      real_made: how the windows were cut, without a full stop.
      limits: those of most of the generated pieces; see `PieceOriginality.limits`.
      limits_made: how the limits were computed, without a full stop.
      known: number of reference pieces.
      known_notes: number of notes of all of them.
    """

    pieces: tuple[PieceOriginality, ...]
    real: tuple[PieceOriginality, ...]
    real_made: str
    limits: Mapping[str, float]
    limits_made: str
    known: int
    known_notes: int

    @property
    def label_counts(self) -> dict[str, int]:
        """{label: number of generated pieces}, in the order original, borrows, copied."""
        return _counts(self.pieces)

    @property
    def real_label_counts(self) -> dict[str, int]:
        """{label: number of held-out real windows}, in the same order."""
        return _counts(self.real)


def _counts(pieces: Sequence[PieceOriginality]) -> dict[str, int]:
    found = [piece.verdict for piece in pieces]
    return {label: found.count(label) for label in LABELS}
