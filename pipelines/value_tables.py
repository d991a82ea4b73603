"""Tables of values: which values categories stand for, measured from how often each occurs."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

COVERAGE = 0.999  # Share of the occurrences that a table of the commonest values should have.
LEAST_COVERAGE = 0.99  # Below it values are many, and the table is one of classes.


def measured(counts: Mapping[int, int], most_values: int, is_logarithmic: bool) -> tuple[int, ...]:
    """Gives the table of values that occur so often, at most `most_values` of them.

    The commonest values that together have `COVERAGE` of the occurrences, as of scores, whose
    values are few. Where the commonest `most_values` have less than `LEAST_COVERAGE`, as of
    performances, the table stands for all values, closest where most of them are; see `classes`.

    Args:
      counts: {value, 0 or more: how often it occurs}.
      most_values: the largest size of the table.
      is_logarithmic: whether distances are those of log(1 + value).

    Returns:
      Values that occur, ascending; () without any.
    """
    values = np.array(sorted(counts), np.int64)
    occurrences = np.array([counts[value] for value in values.tolist()], np.int64)
    values, occurrences = values[occurrences > 0], occurrences[occurrences > 0]
    if not len(values):
        return ()
    order = np.argsort(-occurrences, kind="stable")  # Of equally common ones the smaller first.
    covered = np.cumsum(occurrences[order]) / occurrences.sum()
    enough = int(np.searchsorted(covered, COVERAGE)) + 1
    size = min(enough, most_values)
    if covered[size - 1] >= LEAST_COVERAGE:
        return tuple(np.sort(values[order[:size]]).tolist())
    return classes(values, occurrences, most_values, is_logarithmic)


def classes(
    values: np.ndarray, occurrences: np.ndarray, count: int, is_logarithmic: bool
) -> tuple[int, ...]:
    """Divides values into classes, and gives the median of each.

    Args:
      values: int64 [value], ascending.
      occurrences: int64 [value], how often each occurs, 1 or more.
      count: of classes, fewer than there are values.
      is_logarithmic: whether distances are those of log(1 + value).

    Returns:
      Values that occur, ascending, at most `count`.
    """
    weights = occurrences
    middles = np.cumsum(weights) - weights / 2
    which = (middles * count / weights.sum()).astype(np.int64)
    table = []
    for number in np.unique(which):
        among = which == number
        totals = np.cumsum(occurrences[among])
        table.append(int(values[among][np.searchsorted(totals, totals[-1] / 2)]))
    return tuple(table)


def nearest(table: np.ndarray, highest: int, is_logarithmic: bool) -> np.ndarray:
    """Gives the place in a table of the value that is nearest to each of 0 to `highest`.

    Of two that are equally near it is the lower one.

    Args:
      table: int64 [place], ascending, 1 or more values.
      highest: the last value that is asked for.
      is_logarithmic: whether distances are those of log(1 + value).

    Returns:
      int64 [highest + 1].
    """
    asked = np.arange(highest + 1)
    above = np.minimum(np.searchsorted(table, asked), len(table) - 1)
    below = np.maximum(above - 1, 0)
    low, high = table[below], table[above]
    if is_logarithmic:  # Above the geometric mean.
        is_above = (1 + asked) ** 2 > (1 + low) * (1 + high)
    else:
        is_above = 2 * asked > low + high
    return np.where(is_above, above, below)
