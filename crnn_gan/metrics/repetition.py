"""Repetitions: pairs of equal short sequences of pitches (n-grams)."""

from __future__ import annotations

import numpy as np

from crnn_gan.metrics.tones import tones
from pipelines.score import Score


def repetitions(score: Score, length: int = 3, as_coded: bool = False) -> float:
    """Counts the repetitions of sequences of `length` pitches.

    Mogren 2016 (arXiv 1611.09904, section 3.1): "repetitions of short subsequences", which "takes
    only the tones and their order into account, not their timing". It is the number of pairs of
    positions i, j, with j >= i + length, at which the same `length` pitches begin; of tones that
    start together the lowest comes first. It grows with the square of the
    length: compare pieces of as many tones.

    As coded (`repetitions` of midi_statistics.py): one track after the other; the ranges
    end one too early, so the last tone is ignored; and sequences of half the tones or
    more (length >= tones // 2) count 0.

    Args:
      score: any piece; one of fewer than 2 * `length` tones gives 0.
      length: pitches per sequence, 2..9.
      as_coded: count as the reference code does.

    Raises:
      ValueError: `length` is out of range.
    """
    if not 2 <= length <= 9:
        raise ValueError(f"length is {length}; give 2 to 9")
    pitches = tones(score, as_coded)["pitch"]
    if as_coded:
        pitches = pitches[: -1 if length < len(pitches) // 2 else 0]
    return float(_repeated_pairs(pitches, length))


def _repeated_pairs(pitches: np.ndarray, length: int) -> int:
    """Counts pairs i, j >= i + length of equal sequences; sorts instead of comparing all pairs."""
    places = len(pitches) - length + 1
    if places <= length:
        return 0
    rows = np.zeros(places, np.int64)
    for step in range(length):  # 7 bits per pitch: 9 pitches fill the 63 bits.
        rows = rows * 128 + pitches[step : step + places]
    _, row = np.unique(rows, return_inverse=True)
    # Keys of one sequence are consecutive and further than `length` from those of the next.
    keys = np.sort(row * (places + length) + np.arange(places))
    first = np.searchsorted(keys, keys - keys % (places + length))
    earlier = np.searchsorted(keys, keys - length, side="right")
    return int((earlier - first).sum())
