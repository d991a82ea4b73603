"""Dynamics of notation as velocities."""

from __future__ import annotations

import bisect
import re
from collections.abc import Callable
from fractions import Fraction
from typing import Any

# Velocities of the dynamics that last until the next one; sf, fp and the like do not.
LEVELS = {
    "pppp": 8,
    "ppp": 16,
    "pp": 30,
    "p": 44,
    "mp": 58,
    "mf": 72,
    "f": 86,
    "ff": 100,
    "fff": 114,
    "ffff": 127,
}
DEFAULT_LEVEL = "mf"
FORTE = Fraction(90)  # The velocity that MusicXML calls 100 percent.


def velocity_of_level(text: str) -> int | None:
    """Gives the velocity of a dynamic that lasts, such as "mf" or "sempre pp"; else None.

    Of several the last counts. More than four letters are as four.
    """
    for word in reversed(re.findall(r"[a-z]+", text.lower())):
        level = word[:4] if re.fullmatch("p{5,}|f{5,}", word) else word
        if level in LEVELS:
            return LEVELS[level]
    return None


def velocity_of_percent(percent: Fraction) -> int:
    """Gives the velocity of MusicXML's percent of forte, 1 to 127."""
    return min(max(round(percent * FORTE / 100), 1), 127)


class DynamicsInForce:
    """The dynamics of several staves, by their time.

    Times are of any kind that can be compared.
    """

    def __init__(self) -> None:
        self._written: list[tuple[Any, Callable[[Any], bool], int]] = []
        self._of_staff: dict[Any, tuple[list[Any], list[int]]] = {}

    def add(self, time: Any, holds_for: Callable[[Any], bool], velocity: int) -> None:
        """Adds a dynamic; of one time the last counts.

        Args:
          holds_for: tells whether it holds for a staff. It may not know before all is read.
        """
        self._written.append((time, holds_for, velocity))

    def velocity(self, time: Any, staff: Any) -> int:
        """Gives the velocity in force on a staff; none may be added afterwards."""
        if staff not in self._of_staff:
            held = [dynamic for dynamic in self._written if dynamic[1](staff)]
            held.sort(key=lambda dynamic: dynamic[0])
            self._of_staff[staff] = ([d[0] for d in held], [d[2] for d in held])
        times, velocities = self._of_staff[staff]
        last = bisect.bisect_right(times, time) - 1
        return velocities[last] if last >= 0 else LEVELS[DEFAULT_LEVEL]
