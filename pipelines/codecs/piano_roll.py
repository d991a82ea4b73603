"""piano_roll: a piece as a piano roll [time, pitch], of one to three planes.

  onset     1 in the step of a note's onset
  frame     1 while a note sounds, from its onset to its end
  velocity  1..127 while a note sounds

How a roll is decoded, by the planes that it has:
  with onset     a note begins at each onset, and lasts while frame (without it: velocity) is
                 above 0 and no other onset comes; with neither it lasts one step. Frames that
                 no onset began are dropped, and counted.
  without        a note is a run of steps in which frame (without it: velocity) is above 0.
  with velocity  the note has that of its first step, at least 1; else it is `VELOCITY`.

A step is a note value or, with `step_seconds`, a time. The roll ends with its last note.

Lost: pedal, meters, keys, voices, programs, drums; pitches outside of the range; time below
the grid and after `LONGEST_STEPS`; unisons, and the rest of a note that is repeated while it
sounds. Without onset: notes of one pitch that touch become one, as loud as the first. With
onset alone: how long notes last. Without velocity: how loud they are. Of steps by note value:
the tempo (one fixed tempo comes back); of steps by seconds: the beat.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import Any, ClassVar, Literal, NamedTuple

import numpy as np

from pipelines.codecs.codec import Onsets
from pipelines.codecs.note_codec import NoteCodec
from pipelines.grid import one_note_per_key, round_ratio, steps_of
from pipelines.note_tensors import in_rows
from pipelines.score import Score
from pipelines.settings import flag
from pipelines.spec import Spec

VELOCITY = 64  # Of the notes of a roll without that plane.
LONGEST_STEPS = 2**20  # 36 hours of 16ths at 120 quarter notes per minute, 3 hours of 10 ms.


class Runs(NamedTuple):
    """The notes of a batch of rolls in one list, sorted by (row, pitch, onset): TF [note].

    Attributes:
      row, onset, end, pitch, velocity: int32; `end` is the first step after the note.
      is_begun: bool, false for sound that no onset began.
    """

    row: Any
    onset: Any
    end: Any
    pitch: Any
    velocity: Any
    is_begun: Any


@dataclasses.dataclass(frozen=True)
class Codec(NoteCodec):
    """Piano rolls of uint8 [time, pitch, plane].

    Raises ValueError where a field is out of its bounds.
    """

    name: ClassVar[str] = "piano_roll"

    planes: Literal[
        "onset,frame",
        "onset,frame,velocity",
        "onset,velocity",
        "frame,velocity",
        "onset",
        "frame",
        "velocity",
    ] = flag(
        "onset,frame",
        "planes of the piano roll: onset is 1 where a note begins, frame is 1 while it sounds, "
        "velocity is 1 to 127 while it sounds",
    )
    lowest_pitch: int = flag(
        21,
        "MIDI key number of the first row; 21 is the lowest key of a piano",
        at_least=0,
        at_most=127,
    )
    pitches: int = flag(
        88,
        "number of pitches (rows); lowest_pitch + pitches is at most 128",
        at_least=1,
        at_most=128,
    )
    steps_per_quarter: int = flag(
        4, "time quantisation: steps per quarter note; 4 are 16ths", at_least=1, at_most=960
    )
    step_seconds: float = flag(
        0.0,
        "seconds per step, in place of steps_per_quarter; 0 turns it off",
        at_least=0,
        at_most=2,
    )
    quarters_per_minute: float = flag(
        100.0,
        "tempo of decoded pieces, quarter notes per minute, unless step_seconds is set",
        at_least=10,
        at_most=1000,
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require(
            self.lowest_pitch + self.pitches <= 128,
            f"lowest_pitch is {self.lowest_pitch}, pitches {self.pitches}; give a range in 0..127",
        )
        self.require(
            self.step_seconds == 0 or self.step_seconds >= 0.001,
            f"step_seconds is {self.step_seconds}; give 0.001 to 2, or 0 for a note value",
        )

    @property
    def bytes_per_step(self) -> int:
        """See `Codec`: of a step in which every key is struck."""
        return 512 + 300 * self.pitches

    @property
    def ticks_per_quarter(self) -> int:
        """Steps per quarter note; with `step_seconds`, steps in about half a second."""
        if not self.step_seconds:
            return self.steps_per_quarter
        return max(1, round(0.5 / self.step_seconds))

    @property
    def microseconds_per_quarter(self) -> int:
        """Tempo of decoded pieces."""
        if not self.step_seconds:
            return round(60_000_000 / self.quarters_per_minute)
        return round(self.step_seconds * 1e6 * self.ticks_per_quarter)

    @property
    def seconds_per_step(self) -> float:
        """Seconds per step of decoded pieces.

        With `step_seconds` it equals that to half a millionth, since a MIDI file can hold no
        finer tempo.
        """
        return self.microseconds_per_quarter / self.ticks_per_quarter / 1e6

    @functools.cached_property
    def spec(self) -> Spec:
        """A roll [time, pitch, plane] of uint8."""
        names = self.planes.split(",")
        shape = (None, self.pitches, len(names))
        step = f"1/{self.steps_per_quarter} quarter"
        step = f"{self.step_seconds} s" if self.step_seconds else step
        blocks = tuple((name, index, 1) for index, name in enumerate(names))
        return Spec("roll", shape, "uint8", len(names), step, blocks)

    # From a Score to a roll.

    def encode(self, score: Score) -> np.ndarray:
        """Gives uint8 [time, pitch, plane], from tick 0 to the end of the last note."""
        onset, length, row, velocity = self._on_grid(score)
        names = self.planes.split(",")
        if names == ["onset"]:
            length = np.ones_like(length)
        if "onset" not in names:
            velocity = _of_first_that_touches(onset, length, row, velocity)
        steps = int((onset + length).max(initial=0))
        roll = np.zeros((steps, self.pitches, len(names)), np.uint8)
        sounding = steps_of(onset, length), np.repeat(row, length)
        for plane, name in enumerate(names):
            if name == "onset":
                roll[onset, row, plane] = 1
            else:
                value = np.repeat(velocity, length) if name == "velocity" else 1
                roll[(*sounding, plane)] = value
        return roll

    def _on_grid(self, score: Score) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Gives onset and length in steps, row of the roll and velocity, each [note]."""
        notes = score.notes
        row = notes["pitch"].astype(np.int64) - self.lowest_pitch
        is_kept = (row >= 0) & (row < self.pitches) & ~notes["is_drum"]
        onset, end = self._steps(score, notes["onset"]), self._steps(score, score.end_ticks)
        is_kept &= onset < LONGEST_STEPS
        onset, end, row = onset[is_kept], np.minimum(end[is_kept], LONGEST_STEPS), row[is_kept]
        order, length = one_note_per_key(onset, end, row)
        return onset[order], length, row[order], notes["velocity"][is_kept][order]

    def _steps(self, score: Score, ticks: np.ndarray) -> np.ndarray:
        """Rounds ticks to steps, halves up."""
        if self.step_seconds:
            return np.floor(score.seconds_at(ticks) / self.seconds_per_step + 0.5).astype(np.int64)
        return round_ratio(ticks, self.steps_per_quarter, score.ticks_per_quarter)

    # From a roll to notes, in TensorFlow ops.

    def notes(self, arrays: Any, lengths: Any) -> tuple[Any, Any, Any]:
        """See `NoteCodec.notes`. A tick is a step."""
        import tensorflow as tf

        arrays = tf.cast(arrays, tf.uint8)  # Models give int32.
        batch = tf.shape(arrays)[0]
        runs = self._runs(arrays, lengths)
        unbegun = tf.cast(~runs.is_begun, tf.int32)
        dropped = tf.math.unsorted_segment_sum(unbegun, runs.row, batch)
        key = (tf.cast(runs.row, tf.int64) * 2**31 + tf.cast(runs.onset, tf.int64)) * 128
        order = tf.argsort(key + tf.cast(runs.pitch, tf.int64))
        order = tf.boolean_mask(order, tf.gather(runs.is_begun, order))
        columns = (runs.onset, runs.end - runs.onset, runs.pitch, runs.velocity)
        values = tf.cast(tf.gather(tf.stack(columns, axis=1), order), tf.int64)
        row = tf.cast(tf.gather(runs.row, order), tf.int64)
        return *in_rows(row, values, tf.cast(batch, tf.int64)), dropped

    def _planes(self, arrays: Any) -> tuple[Any, Any, Any]:
        """Gives bool onset, None where there is none, bool sound, and the velocity, or None."""
        parts = {name: arrays[..., first] for name, first, _ in self.spec.blocks}
        onset, velocity = parts.get("onset"), parts.get("velocity")
        onset = None if onset is None else onset > 0
        held = parts.get("frame", velocity)
        if held is None:
            return onset, onset, velocity
        sound = held > 0 if onset is None else (held > 0) | onset
        return onset, sound, velocity

    def _onsets(self, onset: Any, sound: Any) -> tuple[Any, Any]:
        """Gives the onsets, and the onsets with the beginnings of sound that has none."""
        import tensorflow as tf

        before = tf.pad(sound, [[0, 0], [1, 0], [0, 0]])[:, :-1]
        rises = sound & ~before
        return (rises, rises) if onset is None else (onset, onset | rises)

    def _runs(self, arrays: Any, lengths: Any) -> Runs:
        """Finds the notes of uint8 [batch, time, pitch, plane]."""
        import tensorflow as tf

        time = tf.shape(arrays)[1]
        counts = tf.range(time)[None, :] < tf.convert_to_tensor(lengths)[:, None]
        onset, sound, velocity = self._planes(tf.where(counts[:, :, None, None], arrays, 0))
        is_onset, begins = self._onsets(onset, sound)
        after = tf.pad(sound & ~begins, [[0, 0], [0, 1], [0, 0]])[:, 1:]
        ends = sound & ~after

        def places(cells: Any) -> Any:
            """int64 [cell, 3] of row, pitch and time, in this order."""
            return tf.where(tf.transpose(cells, [0, 2, 1]))

        # As many begin as end, and neither can begin twice before it ends: they pair in order.
        place, last = places(begins), places(ends)
        row, pitch, begin = tf.unstack(place, axis=1)
        at = tf.stack([row, begin, pitch], axis=1)
        loud = tf.fill(tf.shape(row), VELOCITY)
        if velocity is not None:
            loud = tf.clip_by_value(tf.cast(tf.gather_nd(velocity, at), tf.int32), 1, 127)
        columns = (row, begin, last[:, 2] + 1, pitch + self.lowest_pitch)
        row, onset, end, pitch = (tf.cast(column, tf.int32) for column in columns)
        return Runs(row, onset, end, pitch, loud, tf.gather_nd(is_onset, at))

    def transpose(self, arrays: Any, semitones: Any) -> Any:
        """See `Codec.transpose`."""
        import tensorflow as tf

        arrays = tf.cast(arrays, tf.uint8)  # Models give int32.
        semitones = tf.cast(semitones, tf.int32)[:, None]
        rows = tf.range(self.pitches)[None, :]
        is_used = tf.reduce_any(arrays > 0, axis=[1, 3])
        moved = rows + semitones
        leaves = tf.reduce_any(is_used & ((moved < 0) | (moved >= self.pitches)), 1, keepdims=True)
        source = rows - tf.where(leaves, 0, semitones)
        is_inside = (source >= 0) & (source < self.pitches)
        source = tf.clip_by_value(source, 0, self.pitches - 1)
        rolled = tf.gather(arrays, source, axis=2, batch_dims=1)
        return tf.where(is_inside[:, None, :, None], rolled, 0)

    def stretch(self, arrays: Any, factors: Any) -> Any:
        """See `Codec.stretch`. Needs `step_seconds`: steps by note value have no seconds.

        Onsets and ends are multiplied and rounded to steps. The number of steps stays: a slower
        piece loses its end, a faster one ends with a rest.
        """
        import tensorflow as tf

        if not self.step_seconds:
            return super().stretch(arrays, factors)
        arrays = tf.cast(arrays, tf.uint8)  # Models give int32.
        batch, time = tf.shape(arrays)[0], tf.shape(arrays)[1]
        runs = self._runs(arrays, tf.fill([batch], time))
        factor = tf.gather(tf.cast(factors, tf.float64), runs.row)

        def moved(step: Any) -> Any:
            longer = tf.minimum(tf.cast(step, tf.float64) * factor, tf.cast(time, tf.float64))
            return tf.cast(tf.round(longer), tf.int32)

        onset = moved(runs.onset)
        # One that falls on the next of its pitch becomes part of it.
        is_same = (runs.row[1:] == runs.row[:-1]) & (runs.pitch[1:] == runs.pitch[:-1])
        following = tf.concat([tf.where(is_same, onset[1:], time), [time]], 0)[: tf.size(onset)]
        end = tf.minimum(tf.maximum(moved(runs.end), onset + 1), following)
        pitch = runs.pitch - self.lowest_pitch

        def laid(values: Any, *steps: Any) -> Any:
            """int32 [batch, time, pitch], the sums of values at steps; those at `time` fall off."""
            places = [tf.stack([runs.row, step, pitch], axis=1) for step in steps]
            shape = [batch, time + 1, self.pitches]
            return tf.scatter_nd(tf.concat(places, 0), values, shape)[:, :-1]

        def held(value: Any) -> Any:
            """int32 [batch, time, pitch], the value of each note from its onset to its end."""
            return tf.cumsum(laid(tf.concat([value, -value], 0), onset, end), axis=1)

        planes = {
            "onset": lambda: tf.minimum(laid(tf.cast(runs.is_begun, tf.int32), onset), 1),
            "frame": lambda: held(tf.ones_like(onset)),
            "velocity": lambda: held(runs.velocity),
        }
        names = self.planes.split(",")
        return tf.cast(tf.stack([planes[name]() for name in names], axis=-1), tf.uint8)

    def onsets(self, arrays: Any) -> Onsets:
        """See `Codec.onsets`."""
        import tensorflow as tf

        onset, sound, _ = self._planes(tf.convert_to_tensor(arrays, tf.uint8))
        begins = tf.cast(self._onsets(onset, sound)[0], tf.float32)
        pitch = self.lowest_pitch + np.arange(self.pitches)
        classes = np.eye(12, dtype=np.float32)[pitch % 12]
        return Onsets(
            tf.einsum("btp,pc->btc", begins, classes),
            tf.reduce_sum(begins * pitch.astype(np.float32), axis=-1),
            tf.fill(tf.shape(begins)[:2], np.float32(self.seconds_per_step)),
        )


def _of_first_that_touches(
    onset: np.ndarray, length: np.ndarray, row: np.ndarray, velocity: np.ndarray
) -> np.ndarray:
    """Gives each of [note], sorted by onset, the velocity of the first it is joined to."""
    by_row = np.argsort(row, kind="stable")
    before, after = by_row[:-1], by_row[1:]
    touches = (row[before] == row[after]) & (onset[before] + length[before] == onset[after])
    first = np.arange(len(by_row))
    first[1:][touches] = 0
    spread = velocity.copy()
    spread[by_row] = velocity[by_row[np.maximum.accumulate(first)]]
    return spread
