"""Colour map of velocities, softest to loudest, shared by all piano rolls."""

from __future__ import annotations

from itertools import pairwise

SOFT_TO_LOUD = (  # (position, colour), 0 is velocity 1. Steepest where most music lies.
    (0.0, "#a8dccb"),
    (0.3, "#45aab0"),
    (0.48, "#2f6fb3"),
    (0.63, "#5a3795"),
    (0.8, "#b0246e"),
    (1.0, "#f0562b"),
)


def colour_at(where: float, whitened: float = 0.0) -> str:
    """Gives the colour "#rrggbb" at a position of the colour map.

    Args:
      where: 0 (velocity 1) to 1 (velocity 127).
      whitened: share of white in it, for dark backgrounds.

    Raises:
      ValueError: `where` is not in 0..1.
    """
    for (left, first), (right, second) in pairwise(SOFT_TO_LOUD):
        if left <= where <= right:
            weight = (where - left) / (right - left)
            pairs = zip(_channels(first), _channels(second), strict=True)
            mixed = ((1 - weight) * one + weight * other for one, other in pairs)
            return "#" + "".join(f"{round(c + whitened * (255 - c)):02x}" for c in mixed)
    raise ValueError(f"position {where} is not on the colour map; give 0 to 1")


def _channels(colour: str) -> tuple[int, ...]:
    return tuple(int(colour[first : first + 2], 16) for first in (1, 3, 5))
