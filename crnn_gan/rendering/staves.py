"""Score -> staves: the notes of each staff, on the grid of `bars`.

Several tracks have a staff each. A single track is treated as a piano's: its notes are split
between two staves, in each bar at the wide gap between hands nearest to middle C. Drums have no
staff.

Lost: timing below the grid. Simultaneous notes of one pitch on a staff become one; a note ends at
the next onset of its pitch.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from crnn_gan.rendering.bars import EXACT, TICKS, Bar, Grid, grid_of, is_written
from pipelines.score import Score

MIDDLE_C = 60
BORDERS = np.arange(48, 73)  # Notes from this pitch up belong to the right hand.
REACH = 16  # Semitones that a hand spans at once.
MOST_STAVES = 15  # One MIDI channel each, without that of drums.

# Costs of the split point of a bar per note, and of moving it.
BEYOND_REACH, AWAY_FROM_MIDDLE, BETWEEN_NEIGHBOURS, MOVED = 1.0, 0.02, 0.3, 0.15


@dataclasses.dataclass(frozen=True)
class Staff:
    """The notes of a staff, sorted by (onset, pitch).

    Attributes:
      onset, end: int64 [note], ticks of the grid.
      pitch: int64 [note].
      latest_end: int64 [note], the next onset of the same pitch, else a very large tick.
      ends_on_grid: bool [note], whether the piece is quantised and the end was on the grid.
      grid: division of its beats.
      program: General MIDI program of most of its notes.
      merged: number of notes merged with another.
    """

    onset: np.ndarray
    end: np.ndarray
    pitch: np.ndarray
    latest_end: np.ndarray
    ends_on_grid: np.ndarray
    grid: Grid
    program: int
    merged: int


def staves_of(score: Score, bars: list[Bar]) -> list[Staff]:
    """Gives the staves from top to bottom: one per track, or of two hands.

    Raises:
      ValueError: there is nothing to notate, or there are too many tracks.
    """
    drums = score.notes["is_drum"]
    if drums.all():
        raise ValueError("it has no notes" if len(drums) == 0 else "it has only drums")
    scale = TICKS / score.ticks_per_quarter
    onsets, ends = score.notes["onset"] * scale, score.end_ticks * scale
    tracks = np.unique(score.notes["track"][~drums])
    if len(tracks) > MOST_STAVES:
        raise ValueError(f"it has {len(tracks)} tracks; the most for sheet music is {MOST_STAVES}")
    chosen = [~drums & (score.notes["track"] == track) for track in tracks]
    if len(chosen) == 1:
        is_right = right_hand(score.notes["pitch"], onsets, bars)
        hands = [~drums & is_right, ~drums & ~is_right]
        chosen = [hand for hand in hands if hand.any()]
    fine = is_written(onsets[~drums])
    return [_staff(score.notes[rows], onsets[rows], ends[rows], bars, fine) for rows in chosen]


def _staff(
    notes: np.ndarray, onsets: np.ndarray, ends: np.ndarray, bars: list[Bar], fine: bool
) -> Staff:
    grid = grid_of(bars, onsets, ends, fine)
    onset = grid.rounded(onsets)
    # An onset rounded to the end of the piece would have no duration.
    onset = np.minimum(onset, bars[-1].end - grid.steps[-1])
    shortest = onset + grid.steps[grid.cell_of(onset)]
    rounded = grid.rounded(ends)
    end = np.maximum(rounded, shortest)
    pitch = notes["pitch"].astype(np.int64)
    order = np.lexsort((-end, pitch, onset))
    onset, end, pitch = onset[order], end[order], pitch[order]
    ends_on_grid = fine & (np.abs(ends - rounded)[order] <= EXACT)
    is_first = np.ones(len(onset), bool)
    is_first[1:] = (onset[1:] != onset[:-1]) | (pitch[1:] != pitch[:-1])
    onset, end, pitch = onset[is_first], end[is_first], pitch[is_first]
    latest_end = _next_onset_of_pitch(onset, pitch)
    programs = np.bincount(notes["program"], minlength=1)
    return Staff(
        onset,
        np.minimum(end, latest_end),
        pitch,
        latest_end,
        ends_on_grid[is_first],
        grid,
        int(programs.argmax()),
        int((~is_first).sum()),
    )


def _next_onset_of_pitch(onset: np.ndarray, pitch: np.ndarray) -> np.ndarray:
    """int64 [note], the next onset of the same pitch, else a very large tick."""
    order = np.lexsort((onset, pitch))
    following = np.full(len(onset), np.int64(2**40))
    same = pitch[order][1:] == pitch[order][:-1]
    following[order[:-1][same]] = onset[order[1:][same]]
    return following


def right_hand(pitch: np.ndarray, onsets: np.ndarray, bars: list[Bar]) -> np.ndarray:
    """Tells which notes belong to the right hand: bool [note].

    The split points of the bars minimise, over the piece, a cost of chords wider than a hand, of
    separated neighbouring pitches, of distance from middle C and of movement between bars.

    Args:
      pitch: integers [note].
      onsets: float64 [note], ticks.
      bars: of the piece.
    """
    bar = np.searchsorted([each.start for each in bars], onsets, "right") - 1
    cost = np.zeros((len(bars), len(BORDERS)))
    _, moment = np.unique(onsets, return_inverse=True)
    moments = int(moment.max(initial=-1)) + 1
    bar_of_moment = np.zeros(moments, np.int64)
    bar_of_moment[moment] = bar
    for column, border in enumerate(BORDERS.tolist()):
        is_right = pitch >= border
        for hand in (is_right, ~is_right):
            low, high = np.full(moments, 127), np.zeros(moments, np.int64)
            np.minimum.at(low, moment[hand], pitch[hand])
            np.maximum.at(high, moment[hand], pitch[hand])
            beyond = np.maximum(high - low - REACH, 0) * BEYOND_REACH
            cost[:, column] += np.bincount(bar_of_moment, beyond, len(bars))
        near = np.exp(-np.abs(pitch - (border - 0.5)) / 2) * BETWEEN_NEIGHBOURS
        cost[:, column] += np.bincount(bar, near, len(bars))
    notes = np.bincount(bar, minlength=len(bars))[:, None]
    cost += np.abs(BORDERS - MIDDLE_C) * AWAY_FROM_MIDDLE * notes
    return pitch >= BORDERS[_cheapest_path(cost, MOVED)][bar]


def _cheapest_path(cost: np.ndarray, moved: float) -> np.ndarray:
    """Cheapest column of each row of float64 [row, column], with a cost of moves: int64 [row]."""
    columns = np.arange(cost.shape[1])
    moves = moved * np.abs(columns[:, None] - columns)
    total, back = cost[0], []
    for row in cost[1:]:
        through = total + moves  # [column, column before]
        back.append(through.argmin(axis=1))
        total = row + through.min(axis=1)
    path = [int(total.argmin())]
    for step in reversed(back):
        path.append(int(step[path[-1]]))
    return np.array(path[::-1])
