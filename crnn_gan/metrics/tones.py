"""Tones: the notes that statistics count, all but drums, in order of onset."""

from __future__ import annotations

import numpy as np

from pipelines.score import Score


def tones(score: Score, as_coded: bool = False) -> np.ndarray:
    """Gives the tones of a piece.

    Args:
      score: any piece, empty ones included.
      as_coded: those of the reference code of C-RNN-GAN (`get_tones` of midi_statistics.py): every
        track, drums included, one track after the other. Otherwise in order of onset without
        drums, which have no pitch.

    Returns:
      [tone] of `score_arrays.NOTE`, sorted by (onset, pitch, track), or by
      (track, onset, pitch) as coded.
    """
    notes = score.notes
    if as_coded:
        return notes[np.lexsort((notes["pitch"], notes["onset"], notes["track"]))]
    return notes[~notes["is_drum"]]


def end_tick(tones: np.ndarray) -> int:
    """Gives the end of the last of [tone] of `score_arrays.NOTE`, ticks; 0 where none is."""
    return int((tones["onset"] + tones["duration"]).max(initial=0))
