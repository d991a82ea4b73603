"""Measures: the bars of a piece by its time signatures."""

from __future__ import annotations

import dataclasses

import numpy as np

from pipelines.score import Score
from pipelines.score_arrays import METER

COMMON_TIME = np.array([(0, 4, 4)], METER)  # In force until the first meter.


@dataclasses.dataclass(frozen=True)
class Measures:
    """The bars of a piece, in sections of one meter. A meter event begins a new bar.

    A repeated event of the same meter on a bar line continues its section.

    Attributes:
      starts: int64 [section], ticks.
      numerators: int64 [section]. Bar n of a section begins numerators * n / denominators
        ticks after the section.
      denominators: int64 [section].
      first: int64 [section], index of the first bar; 0 is the first of the piece.
    """

    starts: np.ndarray
    numerators: np.ndarray
    denominators: np.ndarray
    first: np.ndarray

    @classmethod
    def of(cls, meters: np.ndarray, ticks_per_quarter: int) -> Measures:
        """Computes them from [event] of `METER`; 4/4 where there is none."""
        if len(meters) == 0 or meters["tick"][0] > 0:
            meters = np.concatenate([COMMON_TIME, meters])
        tick = meters["tick"].copy()
        counts = np.append(tick[1:] > tick[:-1], True)  # Of meters on one tick the last.
        tick, meters = tick[counts], meters[counts]
        numerators = 4 * ticks_per_quarter * meters["numerator"].astype(np.int64)
        denominators = meters["denominator"].astype(np.int64)
        is_new = np.ones(len(tick), bool)
        is_new[1:] = np.diff(numerators).astype(bool) | np.diff(denominators).astype(bool)
        is_new[1:] |= (np.diff(tick) * denominators[1:] % numerators[1:]).astype(bool)
        starts, above, below = tick[is_new], numerators[is_new], denominators[is_new]
        bars = -(-np.diff(starts) * below[:-1] // above[:-1])  # Rounded up.
        return cls(starts, above, below, np.concatenate([[0], np.cumsum(bars)]))

    def section(self, ticks: np.ndarray) -> np.ndarray:
        """Gives the section of each of int64 [time], ticks."""
        return np.searchsorted(self.starts, ticks, side="right") - 1

    def bar_and_position(self, ticks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Gives the bar of each of int64 [time], and the whole ticks since it began."""
        section = self.section(ticks)
        passed = (ticks - self.starts[section]) * self.denominators[section]
        bars, rest = np.divmod(passed, self.numerators[section])
        return self.first[section] + bars, rest // self.denominators[section]

    def begins(self, last: int, most: int) -> np.ndarray:
        """Gives the onsets of the bars before tick `last`, at most `most`: float64 [bar], ticks."""
        ends = [*self.starts[1:].tolist(), last]
        found, count = [], 0
        for start, above, below, end in zip(
            self.starts.tolist(), self.numerators, self.denominators, ends, strict=True
        ):
            bar = above / below
            found.append(np.arange(start, min(end, last, start + (most - count) * bar), bar))
            count += len(found[-1])
        return np.concatenate(found)[:most]

    def bar(self, ticks: np.ndarray) -> np.ndarray:
        """Gives the bar of each of int64 [time], ticks; 0 is the first."""
        return self.bar_and_position(ticks)[0]


def measures(score: Score) -> Measures:
    """Gives the bars of a piece, in its ticks."""
    return Measures.of(score.meters, score.ticks_per_quarter)
