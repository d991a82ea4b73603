"""Tables of values: which values categories stand for, measured from how often each occurs."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

COVERAGE = 0.999  # Share of the occurrences that a table of the commonest values has.


def measured(counts: Mapping[int, int], most_values: int, is_logarithmic: bool) -> tuple[int, ...]:
    """Gives the table of values that occur so often, at most `most_values` of them.

    The commonest values that together have `COVERAGE` of the occurrences, as of scores, whose
    values are few. Where those are more than `most_values`, as of performances, the table stands
    for all values, closest where most of them are; see `classes`.

    Args:
      counts: {value, 0 or more: how often it occurs}.
      most_values: the largest size of the table.
      is_logarithmic: whether distances are those of log(1 + value).

    Returns:
      Values that occur, ascending; () without any.
    """
    values = np.array(sorted(value for value, count in counts.items() if count), np.int64)
    occurrences = np.array([counts[value] for value in values.tolist()], np.int64)
    order = np.argsort(-occurrences, kind="stable")  # Of equally common ones the smaller first.
    before = np.cumsum(occurrences[order]) - occurrences[order]
    size = np.count_nonzero(before < COVERAGE * occurrences.sum())
    if size <= most_values:
        return tuple(np.sort(values[order[:size]]).tolist())
    return classes(values, occurrences, most_values, is_logarithmic)


def classes(
    values: np.ndarray, occurrences: np.ndarray, count: int, is_logarithmic: bool
) -> tuple[int, ...]:
    """Divides values into classes of consecutive ones, and gives the median of each.

    The mean absolute error of a fine quantisation is smallest where the density of its levels is
    proportional to the square root of that of the values (P. Panter and W. Dite, Quantization
    distortion in pulse-count modulation, 1951, have the cube root for the squared error). So
    classes have equal shares of that square root, which is more classes of rare values than
    classes of equally many occurrences are.

    Args:
      values: int64 [value], 1 or more, ascending.
      occurrences: int64 [value], how often each occurs, 1 or more.
      count: of classes, fewer than there are values.
      is_logarithmic: whether distances are those of log(1 + value).

    Returns:
      Values that occur, ascending, at most `count`.
    """
    widths = np.log1p(1 / (values + 0.5)) if is_logarithmic else np.ones(len(values))
    weights = np.sqrt(occurrences * widths)
    table: list[int] = []
    first, held, left = 0, 0.0, float(weights.sum())
    for place, weight in enumerate(weights.tolist()):
        # A value that fills most of a class by itself has one of its own.
        if held and len(table) < count - 1 and held + weight / 2 > left / (count - len(table)):
            table.append(_median(values[first:place], occurrences[first:place]))
            first, held, left = place, 0.0, left - held
        held += weight
    return (*table, _median(values[first:], occurrences[first:]))


def _median(values: np.ndarray, occurrences: np.ndarray) -> int:
    """Gives the lower median of values that occur so often."""
    upto = np.cumsum(occurrences)
    return int(values[np.searchsorted(2 * upto, upto[-1])])


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
