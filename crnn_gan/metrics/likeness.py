"""Likeness: similarity of the pieces of a set, note by note."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from crnn_gan.metrics.feature_sets import Value
from crnn_gan.metrics.tones import tones
from pipelines.score import Score

STEPS_PER_QUARTER = 4  # Onsets are rounded to sixteenths.
SHARED_NOTES_NAME = "shared notes (of two pieces; same pitch, begun at the same sixteenth)"


def shared_notes(scores: Sequence[Score]) -> Value:
    """Gives the probability that a random note of one piece also occurs in another piece.

    The note is uniform over the distinct notes of all pieces, the other piece uniform over the
    rest. Two notes are the same if their pitch and their onset, rounded to the nearest sixteenth
    from the beginning, are equal. 1 where all pieces are equal, 0 where none shares a note.
    Unlike Self-BLEU it does not grow with the number of pieces. Lengths and velocities are not
    compared, drums are ignored, and a piece that is shifted, transposed or slowed down counts as
    another.

    Args:
      scores: [piece].

    Returns:
      0..1, or None with the reason: fewer than two pieces, or no note in any.
    """
    if len(scores) < 2:
        return Value(None, f"too few pieces: {len(scores)}, needs 2 or more")
    notes = np.concatenate([_notes(score) for score in scores])
    if not len(notes):
        return Value(None, "no piece has a note")
    _, found_in = np.unique(notes, axis=0, return_counts=True)
    pairs = (found_in * (found_in - 1)).sum()
    return Value(float(pairs / (len(notes) * (len(scores) - 1))))


def _notes(score: Score) -> np.ndarray:
    """Gives the distinct notes of a piece: int64 [note, (sixteenth, pitch)]."""
    notes = tones(score)
    ticks = score.ticks_per_quarter
    step = (notes["onset"].astype(np.int64) * STEPS_PER_QUARTER + ticks // 2) // ticks
    return np.unique(np.stack([step, notes["pitch"].astype(np.int64)], axis=1), axis=0)
