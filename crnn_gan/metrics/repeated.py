"""Repeated pieces: exact duplicates within a set."""

from __future__ import annotations

from collections.abc import Sequence

from pipelines.score import Score


def repeated_pieces(scores: Sequence[Score]) -> int:
    """Counts the pieces that equal an earlier one of the list, note for note.

    Onset, length, pitch and velocity of all notes are compared; tempo and names are not.
    """
    return len(scores) - len({_notes(score) for score in scores})


def _notes(score: Score) -> bytes:
    fields = ["onset", "duration", "pitch", "velocity"]
    ticks = score.ticks_per_quarter.to_bytes(2, "big")
    return ticks + b"".join(score.notes[field].tobytes() for field in fields)
