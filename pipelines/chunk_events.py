"""Notes and pedal movements in milliseconds, in the order in which time_chunks holds them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from pipelines.grid import notes_in_real_time
from pipelines.score import Score
from pipelines.score_arrays import LAST_TICK, SOFT, SOSTENUTO, SUSTAIN

CONTROLLERS = (SUSTAIN, SOSTENUTO, SOFT)  # The kinds 1, 2 and 3 of an event; 0 is a note.
LONGEST_MILLISECONDS = 60_000


class Events(NamedTuple):
    """Notes and pedal movements, int64 [event] each, in the order in which chunks hold them.

    Attributes:
      start, end: milliseconds.
      kind: 0 is a note; 1, 2 and 3 are the pedals of `CONTROLLERS`.
      pitch: MIDI key number; 0 of a pedal.
      intensity: velocity, or mean value of the pedal.
      place: index of the event in its chunk.
    """

    start: np.ndarray
    end: np.ndarray
    kind: np.ndarray
    pitch: np.ndarray
    intensity: np.ndarray
    place: np.ndarray

    def take(self, chosen: np.ndarray) -> Events:
        """Gives the events of some indices."""
        return Events(*(values[chosen] for values in self))


def events_of(score: Score, chunk_milliseconds: int, pedal_levels: int) -> Events:
    """Gives the notes, without drums, and each pedal's runs above its lowest level."""
    onset, length, pitch, velocity = notes_in_real_time(score, 1)
    ends = onset + length
    zeros = np.zeros_like(onset)
    parts: list[tuple[np.ndarray, ...]]
    parts = [(onset, ends, zeros, pitch.astype(np.int64), velocity.astype(np.int64))]
    for kind in range(1, len(CONTROLLERS) + 1):
        parts.append(_pressed(score, kind, pedal_levels, int(ends.max(initial=0))))
    start, end, kinds, pitch, intensity = (np.concatenate(p) for p in zip(*parts, strict=True))
    number = np.where(kinds > 0, kinds, len(CONTROLLERS) + 1 + pitch)
    order = np.argsort(start * 256 + number, kind="stable")
    chunk = start[order] // chunk_milliseconds
    place = np.arange(len(order)) - np.searchsorted(chunk, chunk)
    start, end, kinds, pitch, intensity = (x[order] for x in (start, end, kinds, pitch, intensity))
    return Events(start, end, kinds, pitch, intensity, place)


def _pressed(
    score: Score, kind: int, pedal_levels: int, end_of_notes: int
) -> tuple[np.ndarray, ...]:
    """Gives start, end, kind, pitch and intensity of a pedal's runs above the lowest level."""
    pedal = score.pedal[score.pedal["controller"] == CONTROLLERS[kind - 1]]
    time = np.rint(score.seconds_at(pedal["tick"]) * 1000).astype(np.int64)
    is_last = np.ones(len(time), np.bool_)  # Of those in one millisecond.
    is_last[:-1] = time[1:] != time[:-1]
    is_last &= time < LAST_TICK - LONGEST_MILLISECONDS
    time, value = time[is_last], pedal["value"][is_last].astype(np.int64)
    level = value * pedal_levels // 128
    begins = np.flatnonzero(level != np.concatenate([[0], level[:-1]])[: len(level)])
    last = max(end_of_notes, int(time.max(initial=0)) + 1)
    passed = np.diff(np.append(time, last))
    start, end = time[begins], np.append(time[begins[1:]], last)[: len(begins)]
    if len(begins):
        value = np.add.reduceat(value * passed, begins) / np.add.reduceat(passed, begins)
    is_down = level[begins] > 0
    zeros = np.zeros(np.count_nonzero(is_down), np.int64)
    value = np.rint(value[: len(begins)]).astype(np.int64)
    return start[is_down], end[is_down], zeros + kind, zeros, value[is_down]
