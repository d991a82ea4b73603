"""What the categories of the codec cells stand for, and the category of each value."""

from __future__ import annotations

import dataclasses
import functools
import itertools
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from pipelines import value_tables
from pipelines.grid import longest_of_equal_keys, until_next_onset

PHASE, TIME, TONES = range(3)  # The fields of a cell; those of its tones follow.
PITCH, LENGTH, VELOCITY = range(3)  # The fields of a tone.
HEAD, FIELDS = 3, 3  # How many there are of each.
OCTAVE, WIDENED = 12, 6  # Semitones.


class Cells(NamedTuple):
    """The notes of a piece in cells.

    Attributes:
      phase: the first onset, ticks from its quarter note.
      time: int64 [cell], ticks since the cell before.
      cell: int64 [note], the cell of each note; it does not decrease.
      length, pitch, velocity: int64 [note].
    """

    phase: int
    time: np.ndarray
    cell: np.ndarray
    length: np.ndarray
    pitch: np.ndarray
    velocity: np.ndarray


@dataclasses.dataclass(frozen=True)
class CellTables:
    """The tables of a codec. An empty one stands for every value that there can be.

    Attributes:
      times, lengths: ticks, ascending; the first time is 0.
      velocities: 1 to 127, ascending.
      pitches: MIDI key numbers, an octave or more without a gap.
      ticks_per_quarter: ticks per quarter note.
      longest_ticks: the longest time, and the longest length.
      tones_per_cell: most tones of a cell.
    """

    times: tuple[int, ...]
    lengths: tuple[int, ...]
    velocities: tuple[int, ...]
    pitches: tuple[int, ...]
    ticks_per_quarter: int
    longest_ticks: int
    tones_per_cell: int

    def fault(self, most_values: int) -> str:
        """Describes what is wrong with the tables, of at most so many values; "" if nothing is."""
        for name in ("times", "lengths", "velocities", "pitches"):
            table = getattr(self, name)
            if any(low >= high for low, high in itertools.pairwise(table)):
                return f"{name} are {_shown(table)}; give each value once, ascending"
            if name != "pitches" and len(table) > most_values:
                return f"{name} have {len(table)} values; most_values allows {most_values}"
            if name in ("times", "lengths") and max(table, default=0) > self.longest_ticks:
                return (
                    f"{name} go up to {table[-1]} ticks; longest_quarters x ticks_per_quarter "
                    f"allows {self.longest_ticks}"
                )
        if self.times and self.times[0]:
            return (
                f"times are {_shown(self.times)}; begin with 0, the time of a piece's first cell "
                "and of cells that begin together"
            )
        span = self.pitches[-1] - self.pitches[0] + 1 if self.pitches else OCTAVE
        if span < OCTAVE or (self.pitches and span > len(self.pitches)):
            return (
                f"pitches are {_shown(self.pitches)}; give every key number from the lowest to "
                "the highest, an octave or more"
            )
        return ""

    @functools.cached_property
    def values(self) -> dict[str, np.ndarray]:
        """What each category stands for: int64 [category] by the name in `Spec.values`."""
        tables = {
            "beat_phase": range(self.ticks_per_quarter),
            "time": self.times or range(self.longest_ticks + 1),
            "tones": range(1, self.tones_per_cell + 1),
            "pitch": self.pitches or range(128),
            "length": self.lengths or range(1, self.longest_ticks + 1),
            "velocity": self.velocities or range(1, 128),
        }
        return {name: np.array(table, np.int64) for name, table in tables.items()}

    @functools.cached_property
    def categories(self) -> dict[str, np.ndarray]:
        """The category of each value, int64 [value from 0 on]: of time, length, velocity, pitch.

        A value that is not in its table has the category of the nearest: of times and lengths by
        log(1 + ticks), but no time above 0 has that of 0; of velocities by their difference. A
        pitch out of the range has that of another octave.
        """
        longest = self.longest_ticks
        time = np.zeros(longest + 1, np.int64)
        if len(self.values["time"]) > 1:
            later = self.values["time"][1:]
            time[1:] = 1 + value_tables.nearest(later, longest, is_logarithmic=True)[1:]
        low, high = int(self.values["pitch"][0]), int(self.values["pitch"][-1])
        pitch = np.arange(128)
        pitch += OCTAVE * np.maximum(-((pitch - low) // OCTAVE), 0)
        pitch -= OCTAVE * np.maximum(-((high - pitch) // OCTAVE), 0)
        return {
            "time": time,
            "pitch": pitch - low,
            "length": value_tables.nearest(self.values["length"], longest, is_logarithmic=True),
            "velocity": value_tables.nearest(self.values["velocity"], 127, is_logarithmic=False),
        }

    def time_categories(self, times: np.ndarray) -> np.ndarray:
        """Gives the categories of the times of a piece, such that errors do not add up.

        What a time is then too long or too short is taken from the times after it, as far as the
        table allows, but for whole quarter notes. Times of 0 stay 0.

        Args:
          times: int64 [cell], 0 to `longest_ticks`.

        Returns:
          int64 [cell].
        """
        found = self.categories["time"][times]
        wrong = np.flatnonzero(self.values["time"][found] != times)
        if not len(wrong):
            return found
        nearest, values = self.categories["time"].tolist(), self.values["time"].tolist()
        quarter, late = self.ticks_per_quarter, 0
        for cell, time in enumerate(times[wrong[0] :].tolist(), int(wrong[0])):
            if time:
                category = nearest[min(max(time - late, 1), self.longest_ticks)]
                late += values[category] - time
                late = (late + quarter // 2) % quarter - quarter // 2
                found[cell] = category
        return found

    def encode(self, cells: Cells) -> np.ndarray:
        """Gives int32 [cell, field] of notes whose times and lengths are not above the longest."""
        time = self.time_categories(cells.time)
        onset = cells.phase + np.cumsum(self.values["time"][time])
        pitch = self.categories["pitch"][cells.pitch]
        # Octaves may have moved tones onto each other, or past each other.
        order = longest_of_equal_keys(cells.cell * 128 + pitch, cells.length)
        cell, pitch, length = cells.cell[order], pitch[order], cells.length[order]
        length = np.maximum(until_next_onset(onset[cell], length, pitch), 1)
        tones = np.bincount(cell, minlength=len(time))
        place = np.arange(len(cell)) - (np.cumsum(tones) - tones)[cell]
        array = np.zeros((len(time), HEAD + FIELDS * self.tones_per_cell), np.int32)
        array[:, PHASE] = onset % self.ticks_per_quarter
        array[:, TIME], array[:, TONES] = time, tones - 1
        first = HEAD + FIELDS * place
        array[cell, first + PITCH] = pitch
        array[cell, first + LENGTH] = self.categories["length"][length]
        array[cell, first + VELOCITY] = self.categories["velocity"][cells.velocity[order]]
        return array

    def decode(self, array: np.ndarray) -> Cells:
        """Gives the notes of int32 [cell, field] that `encode` gave."""
        values = self.values
        tones = array[:, HEAD:].reshape(-1, self.tones_per_cell, FIELDS)
        is_there = np.arange(self.tones_per_cell) <= array[:, TONES, None]
        fields = tones[is_there]
        return Cells(
            int(array[0, PHASE]) if len(array) else 0,
            values["time"][array[:, TIME]],
            np.nonzero(is_there)[0],
            values["length"][fields[:, LENGTH]],
            values["pitch"][fields[:, PITCH]],
            values["velocity"][fields[:, VELOCITY]],
        )


def measured(
    counts: Mapping[str, Mapping[int, int]], most_values: int
) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
    """Measures times, lengths, velocities and pitches from how often each value occurs.

    The times have 0 in any case, and of the pitches there are `WIDENED` more on either side, for
    transposition.

    Args:
      counts: {"time", "length", "velocity" or "pitch": {value: how often it occurs}}, of one note
        or more.
      most_values: the largest size of the first three tables.
    """
    times = {time: count for time, count in counts["time"].items() if time}
    later = value_tables.measured(times, most_values - 1, is_logarithmic=True)
    lengths = value_tables.measured(counts["length"], most_values, is_logarithmic=True)
    velocities = value_tables.measured(counts["velocity"], most_values, is_logarithmic=False)
    low, high = min(counts["pitch"]) - WIDENED, max(counts["pitch"]) + WIDENED
    # At an end of the keyboard an octave needs more on the other side.
    low, high = max(min(low, 128 - OCTAVE), 0), min(max(high, OCTAVE - 1), 127)
    return (0, *later), lengths, velocities, tuple(range(low, high + 1))


def _shown(table: tuple[int, ...]) -> str:
    """Writes the first values of a table."""
    return ",".join(map(str, table[:8])) + (",..." if len(table) > 8 else "")
