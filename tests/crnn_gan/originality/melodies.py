"""Pieces for the tests of originality, made of pitches."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pipelines.score import Score
from pipelines.score_arrays import METER, NOTE


def piece(pitches: Sequence[int], onsets: Sequence[int] | None = None, **fields: object) -> Score:
    """Notes of a quarter, 480 ticks, one after the other unless their onsets are given."""
    notes = np.zeros(len(pitches), NOTE)
    notes["onset"] = np.arange(len(pitches)) * 480 if onsets is None else onsets
    notes["duration"], notes["velocity"], notes["pitch"] = 480, 64, pitches
    return Score.from_unsorted(480, notes, **fields)


def random_pitches(seed: int, notes: int = 100) -> np.ndarray:
    """Pitches 48..83, drawn one by one."""
    return np.random.default_rng(seed).integers(48, 84, notes)


def in_meter(numerator: int, denominator: int) -> np.ndarray:
    return np.array([(0, numerator, denominator)], METER)
