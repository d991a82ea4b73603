"""How alike the pieces of a set are, note by note."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from crnn_gan.metrics.feature_sets import Value
from crnn_gan.metrics.tones import tones
from pipelines.score import Score

PARTS_OF_A_QUARTER = 4  # Notes whose onsets are nearest to the same sixteenth begin together.
SHARED_NOTES_NAME = "shared notes (of two pieces; same pitch, begun at the same sixteenth)"


def shared_notes(scores: Sequence[Score]) -> Value:
    """Gives the chance that a note of one piece stands in another piece too.

    The note is any of all pieces, the other piece any but its own; it stands there if a note of
    the same pitch begins there at the same sixteenth from the beginning, each onset rounded to the
    nearest. 1 where all pieces are equal, 0 where none shares a note. Unlike Self-BLEU it does not
    grow with the number of pieces. Lengths and velocities are not compared, drums have no pitch,
    and a piece that comes again later, higher or slower counts as another.

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
    """Gives a piece's notes, each once: int64 [note, (sixteenth, pitch)]."""
    notes = tones(score)
    ticks = score.ticks_per_quarter
    part = (notes["onset"].astype(np.int64) * PARTS_OF_A_QUARTER + ticks // 2) // ticks
    return np.unique(np.stack([part, notes["pitch"].astype(np.int64)], axis=1), axis=0)
