"""Quantisation of notes to a grid of time, one note at a time per key, in NumPy."""

from __future__ import annotations

import numpy as np

from pipelines.score import Score
from pipelines.score_arrays import LAST_TICK


def round_ratio(ticks: np.ndarray, numerator: int, denominator: int) -> np.ndarray:
    """Rounds ticks * numerator / denominator to integers, halves up, exactly."""
    return (2 * ticks * numerator + denominator) // (2 * denominator)


def longest_of_equal_keys(key: np.ndarray, length: np.ndarray) -> np.ndarray:
    """Gives the indices that sort int64 [note] keys; of equal keys, only the longest note."""
    order = np.argsort(key, kind="stable")
    key_sorted = key[order]
    is_same = key_sorted[1:] == key_sorted[:-1]
    if not is_same.any():
        return order
    order = np.lexsort((-length, key))
    return order[np.concatenate([[True], ~is_same])]


def until_next_onset(onset: np.ndarray, length: np.ndarray, pitch: np.ndarray) -> np.ndarray:
    """Shortens [note], sorted by onset, to the next onset of their pitch; gives the lengths."""
    by_pitch = np.argsort(pitch, kind="stable")
    before, after = by_pitch[:-1], by_pitch[1:]
    is_same = pitch[before] == pitch[after]
    before, after = before[is_same], after[is_same]
    length[before] = np.minimum(length[before], onset[after] - onset[before])
    return length


def one_note_per_key(
    onset: np.ndarray, end: np.ndarray, key: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Makes each key (a pitch or a voice, 0 to 127) monophonic.

    Of notes of a key with the same onset the longest stays; a note ends at the next onset of
    its key at the latest. A note lasts at least one step.

    Args:
      onset, end: int64 [note], steps.
      key: integers [note].

    Returns:
      (int64 [kept], which notes stay, sorted by (onset, key); int64 [kept], their lengths).
    """
    length = np.maximum(end - onset, 1)
    order = longest_of_equal_keys(onset * 128 + key, length)
    return order, until_next_onset(onset[order], length[order], key[order])


def steps_of(first: np.ndarray, length: np.ndarray) -> np.ndarray:
    """Gives the steps in which each of [note] sounds, concatenated: int64 [sum of length]."""
    before = np.cumsum(length) - length
    return np.arange(int(length.sum())) + np.repeat(first - before, length)


def slots_of(time: np.ndarray, tones_per_cell: int) -> np.ndarray:
    """Puts notes into cells: up to `tones_per_cell` of one onset share a cell.

    Args:
      time: int64 [note], the gap before each note, in the order of onsets.
      tones_per_cell: slots of a cell.

    Returns:
      int64 [note], cell * tones_per_cell + place in the cell.
    """
    index = np.arange(len(time))
    starts = time > 0
    starts[:1] = True
    # The place of each note among those of the same onset, then in its cell.
    place = (index - np.maximum.accumulate(np.where(starts, index, 0))) % tones_per_cell
    return (np.cumsum(place == 0) - 1) * tones_per_cell + place


def notes_on_grid(
    score: Score, ticks_per_quarter: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Quantises notes to note values: onset and length in ticks, pitch, velocity, each [note].

    Sorted by (onset, pitch), one note at a time per pitch, no drums.
    """
    grid, ticks, notes = ticks_per_quarter, score.ticks_per_quarter, score.notes
    if notes["is_drum"].any():
        notes = notes[~notes["is_drum"]]
    # A copy: in the records these fields are unaligned, and slow to work on.
    onset = notes["onset"].copy()
    end = round_ratio(onset + notes["duration"], grid, ticks)
    onset = round_ratio(onset, grid, ticks)
    order, length = one_note_per_key(onset, end, notes["pitch"])
    return onset[order], length, notes["pitch"][order], notes["velocity"][order]


def notes_in_real_time(
    score: Score, step_milliseconds: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Quantises notes in real time: onset and length in steps, pitch, velocity, each [note].

    Sorted by (onset, pitch), one note at a time per pitch, no drums, none that ends after
    `LAST_TICK` milliseconds.
    """
    notes = score.notes
    if notes["is_drum"].any():
        notes = notes[~notes["is_drum"]]
    # A copy: in the records these fields are unaligned, and slow to work on.
    onset = notes["onset"].copy()
    steps_per_second = 1000 / step_milliseconds
    end = np.rint(score.seconds_at(onset + notes["duration"]) * steps_per_second).astype(np.int64)
    onset = np.rint(score.seconds_at(onset) * steps_per_second).astype(np.int64)
    order, length = one_note_per_key(onset, end, notes["pitch"])
    onset, pitch, velocity = onset[order], notes["pitch"][order], notes["velocity"][order]
    is_late = (onset + length) * step_milliseconds > LAST_TICK
    if is_late.any():
        onset, length, pitch, velocity = (x[~is_late] for x in (onset, length, pitch, velocity))
    return onset, length, pitch, velocity
