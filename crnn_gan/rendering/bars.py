"""Score -> its bars, and the grid of 16ths and triplets on which it is notated.

Each beat is divided as fits its onsets: a quarter into four 16ths or three triplet 8ths; where the
meter counts 8ths, an 8th into two 16ths or three triplet 16ths. 32nds and triplet 16ths in a
quarter are notated only in quantised pieces, those with nearly all onsets on such a grid already.
"""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import numpy as np

from pipelines.score import Score

TICKS = 24  # A quarter note; 3 are a 32nd, 6 a 16th, 4 a triplet 16th, 8 a triplet 8th.
THIRTY_SECOND, SIXTEENTH, TRIPLET_SIXTEENTH, TRIPLET_EIGHTH = 3, 6, 4, 8
COARSE, FINE = (SIXTEENTH, TRIPLET_EIGHTH), (THIRTY_SECOND, TRIPLET_SIXTEENTH)

WRITTEN_SHARE = 0.9  # Share of onsets on the fine grid from which a piece counts as quantised.
EXACT = TICKS / 96  # Ticks; within this distance an onset is on the grid.
# Largest error of triplets relative to 16ths: for all onsets of a beat, for a single one.
TRIPLET_ERROR, LONE_TRIPLET_ERROR = 0.6, 0.2
END_WEIGHT = 0.1  # Weight of the errors of note ends relative to onsets.
MOST_BARS = 4000


class Bar(NamedTuple):
    """A bar.

    Attributes:
      start, end: ticks.
      numerator, denominator: of the current meter; a bar cut by the next meter is shorter.
      is_new_meter: whether that meter begins here.
    """

    start: int
    end: int
    numerator: int
    denominator: int
    is_new_meter: bool

    @property
    def is_whole(self) -> bool:
        """Whether it is as long as its meter says."""
        return self.end - self.start == 4 * TICKS * self.numerator // self.denominator

    @property
    def is_compound(self) -> bool:
        """Whether its beats are dotted: 6/8, 9/8, 12/8, 6/16."""
        return self.denominator >= 8 and self.numerator % 3 == 0 and self.numerator > 3

    @property
    def beat(self) -> int:
        """Ticks of a beat."""
        return (
            4 * TICKS * 3 // self.denominator
            if self.is_compound
            else min(TICKS, 4 * TICKS // self.denominator * 2)
        )

    @property
    def cell(self) -> int:
        """Ticks of a cell, which is divided into 16ths or triplets."""
        return max(THIRTY_SECOND, min(TICKS, 4 * TICKS // self.denominator))


def bars_of(score: Score) -> list[Bar]:
    """Lists the bars from tick 0 until the last note ends; 4/4 before the first meter.

    Raises:
      ValueError: a meter counts 64ths or shorter, or there are more than `MOST_BARS` bars.
    """
    meters = {0: (4, 4)}
    for tick, numerator, denominator in score.meters.tolist():
        at = round(tick * TICKS / score.ticks_per_quarter / THIRTY_SECOND) * THIRTY_SECOND
        meters[at] = (numerator, denominator)
    latest = int(score.notes["onset"].max(initial=0))
    ends = score.length_ticks, latest + score.ticks_per_quarter * THIRTY_SECOND / TICKS
    last = max(1, round(max(ends) * TICKS / score.ticks_per_quarter))
    bars: list[Bar] = []
    changes = sorted(meters)
    for begin, end in zip(changes, [*changes[1:], None], strict=True):
        numerator, denominator = meters[begin]
        if denominator > 32:
            raise ValueError(f"meter {numerator}/{denominator} has beats shorter than 32nds")
        length = 4 * TICKS * numerator // denominator
        is_new = not bars or bars[-1][2:4] != (numerator, denominator)
        stop = last if end is None else min(last, end)
        for start in range(begin, stop, length):
            bar_end = start + length if end is None else min(start + length, end)
            bars.append(Bar(start, bar_end, numerator, denominator, is_new and start == begin))
            if len(bars) > MOST_BARS:
                raise ValueError(f"it has more than {MOST_BARS} bars")
    return bars


@dataclasses.dataclass(frozen=True)
class Grid:
    """Division of the beats of a piece.

    Attributes:
      edges: int64 [cell + 1], starts of the cells and the end of the last, ticks.
      steps: int64 [cell], ticks between grid points.
    """

    edges: np.ndarray
    steps: np.ndarray

    def cell_of(self, ticks: np.ndarray) -> np.ndarray:
        """Gives the cell in which each of [n] ticks falls: int64 [n]."""
        return np.clip(np.searchsorted(self.edges, ticks, "right") - 1, 0, len(self.steps) - 1)

    def rounded(self, ticks: np.ndarray) -> np.ndarray:
        """Rounds float [n] ticks to the nearest grid point, halves up: int64 [n]."""
        cell = self.cell_of(ticks)
        start, step = self.edges[cell], self.steps[cell]
        places = start + step * np.floor((ticks - start) / step + 0.5).astype(np.int64)
        return np.minimum(places, self.edges[cell + 1])


def is_written(onsets: np.ndarray) -> bool:
    """Tells whether a piece is quantised, by its onsets, float [note] in ticks."""
    is_exact = np.minimum(_error(onsets, THIRTY_SECOND), _error(onsets, TRIPLET_SIXTEENTH)) <= EXACT
    return bool(len(onsets)) and bool(is_exact.mean() >= WRITTEN_SHARE)


def grid_of(bars: list[Bar], onsets: np.ndarray, ends: np.ndarray, allows_fine: bool) -> Grid:
    """Chooses the division of each beat that moves the notes least.

    Args:
      bars: of the piece.
      onsets, ends: float64 [note], ticks.
      allows_fine: whether 32nds and triplet 16ths are allowed where all onsets of a beat are on
        them.
    """
    edges = _cells(bars)
    lengths = np.diff(edges)
    whole = Grid(edges, lengths)
    cells = len(lengths)
    at, at_end = whole.cell_of(onsets), whole.cell_of(ends)
    inside, inside_end = onsets - edges[at], ends - edges[at_end]

    def moved(step: int) -> np.ndarray:
        """Total displacement of the notes of each cell: float64 [cell]."""
        error = np.bincount(at, _error(inside, step), cells)
        return error + END_WEIGHT * np.bincount(at_end, _error(inside_end, step), cells)

    def exact(step: int) -> np.ndarray:
        """Whether no onset of a cell moves: bool [cell]."""
        is_off = _error(inside, step) > EXACT
        return (np.bincount(at, is_off, cells) == 0) & (lengths % step == 0)

    binary = np.where(lengths % SIXTEENTH == 0, SIXTEENTH, np.gcd(lengths, THIRTY_SECOND))
    triplet = np.where(lengths == TICKS, TRIPLET_EIGHTH, TRIPLET_SIXTEENTH)
    has_triplets = (lengths == TICKS) | (lengths == TICKS // 2)
    binary_moves = moved(SIXTEENTH)
    triplet_moves = np.where(lengths == TICKS, moved(TRIPLET_EIGHTH), moved(TRIPLET_SIXTEENTH))
    count = np.bincount(at, minlength=cells)
    limit = np.where(count == 1, LONE_TRIPLET_ERROR, TRIPLET_ERROR)
    steps = np.where(has_triplets & (triplet_moves < limit * binary_moves), triplet, binary)
    if allows_fine:
        is_coarse = exact(SIXTEENTH) | (exact(TRIPLET_EIGHTH) & (steps == TRIPLET_EIGHTH))
        fits_triplets = exact(TRIPLET_SIXTEENTH) & has_triplets
        steps = np.where(~is_coarse & fits_triplets, TRIPLET_SIXTEENTH, steps)
        steps = np.where(~is_coarse & exact(THIRTY_SECOND), THIRTY_SECOND, steps)
    return Grid(edges, steps)


def _error(ticks: np.ndarray, step: int) -> np.ndarray:
    """How far each of [n] ticks is from the nearest multiple of `step`: float64 [n]."""
    return np.abs(ticks - step * np.floor(ticks / step + 0.5))


def _cells(bars: list[Bar]) -> np.ndarray:
    edges = [tick for bar in bars for tick in range(bar.start, bar.end, bar.cell)]
    return np.array([*edges, bars[-1].end], np.int64)
