"""Intervals of time: their union, and the cells of a grid that they reach."""

from __future__ import annotations

import numpy as np


def union(starts: np.ndarray, ends: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Gives the union of intervals as intervals that neither overlap nor touch.

    Args:
      starts, ends: int64 [interval], in any order, each end after its start.

    Returns:
      Starts and ends, int64 [interval], in the order of time.
    """
    order = np.argsort(starts, kind="stable")
    starts, reached = starts[order], np.maximum.accumulate(ends[order])
    is_first = np.ones(len(starts), bool)
    is_first[1:] = starts[1:] > reached[:-1]
    return starts[is_first], reached[np.roll(is_first, -1)]


def cells_reached(first: np.ndarray, last: np.ndarray) -> int:
    """Counts the cells that at least one interval reaches.

    Args:
      first, last: int64 [interval], index of the first and last cell of each; neither decreases.
    """
    unseen = np.maximum(first, np.concatenate([[-1], last[:-1]]) + 1)
    return int(np.maximum(last - unseen + 1, 0).sum())
