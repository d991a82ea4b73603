"""Windows of real music as arrays, to compare generated pieces with."""

from __future__ import annotations

import numpy as np

from pipelines.batches import streaming
from pipelines.batches.prepared_pieces import Pieces, Shards


def real_windows(
    pieces: Pieces | Shards,
    count: int,
    length: int,
    seed: int,
    padded: bool = False,
    anywhere: bool = True,
) -> list[np.ndarray]:
    """Draws windows of real music to compare with: pieces in turn, places at random.

    Args:
      pieces: as `open_pieces` gives them. Where they are on disk, the windows come from shards
        drawn at random that fill no more than half the budget.
      count: windows to draw; above the number of pieces, more than one of each.
      length: steps of a window.
      seed: of order and places; the same seed gives the same windows.
      padded: takes shorter pieces too, whole.
      anywhere: else only the beginnings of pieces, each once.

    Returns:
      `count` arrays [length, ...] as the spec says; of shorter pieces shorter ones. Not from
      anywhere, no more than there are pieces.

    Raises:
      ValueError: no piece is as long as a window.
    """
    chosen = np.arange(len(pieces)) if padded else long_enough(pieces, length)
    random = np.random.Generator(np.random.Philox(seed))
    if isinstance(pieces, Shards):
        pieces = pieces.subset(chosen)
        units = streaming.units_of(pieces)
        drawn = [units[unit] for unit in random.permutation(len(units))]
        pieces = pieces.read(streaming.groups_of(pieces, drawn)[0])
        chosen = np.arange(len(pieces))
    order = random.permutation(chosen)
    windows = []
    for index in range(count if anywhere else min(count, len(order))):
        array = pieces.arrays[order[index % len(order)]]
        start = random.integers(max(len(array) - length, 0) + 1) if anywhere else 0
        windows.append(array[start : start + length].copy())
    return windows


def long_enough(pieces: Pieces | Shards, length: int) -> np.ndarray:
    """The indices of the pieces of `length` steps or more."""
    found = np.flatnonzero(pieces.sizes >= length)
    if not len(found):
        longest = int(np.argmax(pieces.sizes))
        steps = pieces.sizes[longest]
        raise ValueError(
            f"no piece is as long as a window of {length} steps ({pieces.spec.step}); the longest, "
            f"{pieces.key_of(longest)}, has {steps}: give --window_steps={steps} or less, or "
            "prepare longer pieces"
        )
    return found
