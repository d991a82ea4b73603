"""Notes on a grid of time, one at a time a key: what codecs share on the NumPy side."""

from __future__ import annotations

import numpy as np


def round_ratio(ticks: np.ndarray, numerator: int, denominator: int) -> np.ndarray:
    """Rounds ticks * numerator / denominator to whole numbers, halves up, exactly."""
    return (2 * ticks * numerator + denominator) // (2 * denominator)


def longest_of_equal_keys(key: np.ndarray, length: np.ndarray) -> np.ndarray:
    """Gives the order of int64 [note] keys; of notes with equal keys only the longest is in it."""
    order = np.argsort(key, kind="stable")
    key_sorted = key[order]
    is_same = key_sorted[1:] == key_sorted[:-1]
    if not is_same.any():
        return order
    order = np.lexsort((-length, key))
    return order[np.concatenate([[True], ~is_same])]


def until_struck_again(onset: np.ndarray, length: np.ndarray, pitch: np.ndarray) -> np.ndarray:
    """Gives the lengths of [note] sorted by onset, each up to the next note of its pitch."""
    by_pitch = np.argsort(pitch, kind="stable")
    before, after = by_pitch[:-1], by_pitch[1:]
    is_same = pitch[before] == pitch[after]
    before, after = before[is_same], after[is_same]
    length[before] = np.minimum(length[before], onset[after] - onset[before])
    return length
