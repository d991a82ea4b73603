"""Two sets of pieces as tables [piece, feature]: checks, and standardisation by the real set."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np


@dataclasses.dataclass(frozen=True)
class Value:
    """A number, or the reason why it is undefined.

    Attributes:
      value: a finite number, or None.
      reason: why it is None, without a full stop; "" where there is a number.
    """

    value: float | None
    reason: str = ""


def as_feature_sets(generated: Any, real: Any) -> tuple[np.ndarray, np.ndarray]:
    """Converts two sets to float64 [piece, feature].

    Args:
      generated: numbers [piece, feature]; a set of no piece may have any shape that holds none.
      real: numbers [window, feature], the same features.

    Raises:
      ValueError: they are not two tables of the same features.
    """
    tables = [np.asarray(table, np.float64) for table in (generated, real)]
    widths = {table.shape[1] for table in tables if table.ndim == 2 and table.size}
    if any(table.ndim != 2 and table.size for table in tables) or len(widths) > 1:
        shapes = " and ".join(str(table.shape) for table in tables)
        raise ValueError(
            f"sets of shapes {shapes} cannot be compared; give [piece, feature] twice, with the "
            "same features (one feature alone as [piece, 1])"
        )
    width = widths.pop() if widths else 1
    first, second = (table if table.size else np.zeros((0, width)) for table in tables)
    return first, second


def reason_against(
    generated: np.ndarray, real: np.ndarray, least_generated: int, least_real: int
) -> str:
    """Explains why a figure about two sets is undefined; "" where it is defined.

    Args:
      generated: float64 [piece, feature].
      real: float64 [window, feature].
      least_generated: generated pieces that the figure needs.
      least_real: real windows that it needs.
    """
    if len(generated) < least_generated:
        return f"too few generated pieces: {len(generated)}, needs {least_generated} or more"
    if len(real) < least_real:
        return f"too few real windows: {len(real)}, needs {least_real} or more"
    for name, table in (("generated pieces", generated), ("real windows", real)):
        broken = int((~np.isfinite(table)).any(axis=1).sum())
        if broken:
            return f"{broken} of {len(table)} {name} have a feature that is not a finite number"
    return ""


def standardized(generated: np.ndarray, real: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Standardises each feature by the mean and standard deviation of the real set.

    A feature that is constant in the real set is divided by the standard deviation of both
    sets together, so that a generator that varies it shows and nothing is infinite;
    one that is constant and equal in both becomes 0.

    Args:
      generated: finite float64 [piece, feature].
      real: finite float64 [window, feature], at least one window.

    Returns:
      The two tables, of the same shapes.
    """
    # Divided first: squares of huge or tiny numbers would leave the range of float64.
    largest = np.maximum(np.abs(generated).max(axis=0, initial=0), np.abs(real).max(axis=0))
    largest = np.where(largest > 0, largest, 1.0)
    generated, real = generated / largest, real / largest
    center = real.mean(axis=0)
    scale = real.std(axis=0)
    pooled = np.concatenate([generated, real]).std(axis=0)
    rounding = 1e-12  # Of features up to 1: what float64 makes of equal numbers stays below.
    scale = np.where(scale > rounding, scale, np.where(pooled > rounding, pooled, np.inf))
    return (generated - center) / scale, (real - center) / scale
