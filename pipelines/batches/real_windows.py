"""Windows of real music as arrays: the reference that generated pieces are compared with."""

from __future__ import annotations

import numpy as np

from pipelines.batches import streaming, weighting
from pipelines.batches.prepared_pieces import Pieces, Shards


def real_windows(
    pieces: Pieces | Shards,
    count: int,
    window_steps: int,
    seed: int,
    padded: bool = False,
    anywhere: bool = True,
) -> list[np.ndarray]:
    """Draws windows of real music by the rule of `weighting`: pieces in proportion to their length.

    Args:
      pieces: as `open_pieces` gives them. Of pieces on disk, windows come from shards drawn at
        random that fill at most half the budget.
      count: windows to draw.
      window_steps: steps of a window.
      seed: random seed; the same seed gives the same windows.
      padded: takes pieces shorter than a window too, whole.
      anywhere: whether windows may start at any step; else each is the beginning of a piece.

    Returns:
      `count` arrays [window_steps, ...] as the spec says; shorter ones of shorter pieces. Where
      windows are beginnings, at most one per piece.

    Raises:
      ValueError: no piece is as long as a window.
    """
    chosen = np.arange(len(pieces)) if padded else long_enough(pieces, window_steps)
    random = np.random.Generator(np.random.Philox(seed))
    if isinstance(pieces, Shards):
        pieces = pieces.subset(chosen)
        units = streaming.units_of(pieces)
        drawn = [units[unit] for unit in random.permutation(len(units))]
        pieces = pieces.read(streaming.groups_of(pieces, drawn)[0])
        chosen = np.arange(len(pieces))
    sizes = pieces.sizes[chosen]
    if not anywhere:
        drawn_pieces = weighting.beginnings(len(chosen), count, random)
        return [pieces.arrays[chosen[piece]][:window_steps].copy() for piece in drawn_pieces]
    windows = []
    for piece in weighting.draw_pieces(sizes, np.zeros(count), random):
        start = weighting.draw_start(sizes[piece], window_steps, random)
        windows.append(pieces.arrays[chosen[piece]][start : start + window_steps].copy())
    return windows


def long_enough(pieces: Pieces | Shards, window_steps: int) -> np.ndarray:
    """Gives the indices of the pieces of `window_steps` steps or more. ValueError without any."""
    found = np.flatnonzero(pieces.sizes >= window_steps)
    if not len(found):
        longest = int(np.argmax(pieces.sizes))
        steps = pieces.sizes[longest]
        raise ValueError(
            f"no piece is as long as a window of {window_steps} steps ({pieces.spec.step}); the "
            f"longest, {pieces.key_of(longest)}, has {steps}: give --window_steps={steps} or less, "
            "or prepare longer pieces"
        )
    return found
