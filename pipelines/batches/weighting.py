"""weighting: how often windows of each piece are drawn, one rule for training and for comparing.

A window is of a piece in proportion to its length in steps, among the pieces that are long enough,
and begins at a step drawn uniformly from those that leave room for it. The draw is stratified: in
a set of windows a piece has its expected number, rounded up or down. So real windows that generated
pieces are compared with (`real_windows`, and `windows_of_steps` and `windows_of_notes` of
crnn_gan/evaluation/reference_windows.py) are of the music that a model was trained on
(`Sampling` of windows.py), each piece weighted as it was there. Models whose windows are padded
train on shorter pieces too, and their bands are made of them.

Codecs whose windows are beginnings of pieces (`ScoreCodec.starts_anywhere` is False) have another
rule where music is compared: `beginnings`, at most one window per piece.
"""

from __future__ import annotations

from typing import Any

import numpy as np

DIGITS = 9  # Sums of shares that differ from a whole number by less than 1e-9 are that number.


def draw_pieces(lengths: Any, sizes: Any, random: np.random.Generator) -> np.ndarray:
    """Draws the piece of each window, in proportion to the lengths of those that are long enough.

    Systematic sampling (Madow 1949): the expected numbers of windows per piece are laid end to end,
    and points 1 apart, shifted at random, are counted on each. Windows of the larger sizes then
    take at random from the pieces that are long enough for them; since pieces are laid from the
    longest to the shortest, there are always enough. All are shuffled.

    Args:
      lengths: int [piece], length of each; a piece of length 0 counts as one of 1.
      sizes: int [window], the length that the piece of each window must have; 0 takes any piece.
        Where no piece is long enough, all are.
      random: source of randomness.

    Returns:
      int64 [window], indices of pieces. The number of windows of a piece differs by less than 1
      from its expectation. Without a piece there is no window.
    """
    lengths, sizes = np.maximum(np.asarray(lengths, np.int64), 1), np.asarray(sizes, np.int64)
    if not len(lengths) or not len(sizes):
        return np.zeros(0, np.int64)
    order = random.permutation(len(lengths))  # Of pieces of one length.
    order = order[np.argsort(-lengths[order], kind="stable")]
    ordered = lengths[order]
    asked = np.where(sizes <= ordered[0], sizes, 0)
    expected = np.zeros(len(ordered))
    for size, windows in zip(*np.unique(asked, return_counts=True), strict=True):
        weights = np.where(ordered >= size, ordered, 0)
        expected += windows * (weights / weights.sum())
    ends = np.floor(np.round(np.cumsum(expected), DIGITS) + random.random())
    left = np.repeat(np.arange(len(order)), np.diff(ends, prepend=0).astype(np.int64))
    pieces = np.zeros(len(sizes), np.int64)
    for size in np.unique(asked)[::-1]:
        windows = np.flatnonzero(asked == size)
        fits = np.searchsorted(-ordered[left], -size, side="right")  # The first ones are longer.
        taken = random.permutation(fits)[: len(windows)]
        pieces[windows] = order[left[taken]]
        left = np.delete(left, taken)
    return pieces


def draw_start(length: int, size: int, random: np.random.Generator) -> int:
    """Draws where a window of `size` begins in a piece of `length`; 0 in one that is shorter."""
    return int(random.integers(max(length - size, 0) + 1))


def beginnings(pieces: int, count: int, random: np.random.Generator) -> np.ndarray:
    """Draws `count` of some pieces, each at most once: int64 [window], fewer where there are fewer.

    For windows that are beginnings of pieces, of which a piece has one.
    """
    return random.permutation(pieces)[:count]
