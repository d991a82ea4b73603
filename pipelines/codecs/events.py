"""events: a performance as MIDI-like tokens: note-on, note-off, time shift and velocity.

The representation of Performance RNN (Simon and Oore 2017; Oore et al. 2018, arXiv
1808.03715, section 3.1): 128 note-ons, 128 note-offs, 100 time shifts of 10 ms to 1 s and
32 velocities, 388 tokens. Time starts at 0, so a rest before the first note is kept. A
velocity token stands before a note-on, and only where it differs from the last one. Within one
step note-offs come first, then the pedal, then note-ons, each from low to high.
`pedal_levels` adds tokens of the sustain pedal after all others: 2 are up and down, more
include half pedal. There are no tokens of beginning and end: a model that needs a start token
takes an index of its own, such as `spec.size`.

Lost: time below the step; tempo, meters and keys (seconds are kept, at a fixed tempo);
voices and programs; drums; the exact velocity and pedal value within their levels; the
sostenuto and the soft pedal, and without `pedal_levels` the sustain pedal; unisons, and the
rest of a note that is repeated while it sounds; what ends after 74 hours.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
from typing import Any, ClassVar

import numpy as np

from pipelines.array_operations import operations_on
from pipelines.codecs.codec import Onsets
from pipelines.codecs.note_codec import NoteCodec
from pipelines.grid import notes_in_real_time
from pipelines.note_tensors import in_rows
from pipelines.score import Score
from pipelines.score_arrays import LAST_TICK, SUSTAIN
from pipelines.settings import flag
from pipelines.spec import Spec

VELOCITY_AT_FIRST = 64  # Of note-ons before any velocity token.
OFF, PEDAL, ON = range(3)  # The order of events in one step.


@dataclasses.dataclass(frozen=True)
class Codec(NoteCodec):
    """Tokens of note-on, note-off, time shift, velocity and, with `pedal_levels`, pedal.

    Raises ValueError where a field is out of its bounds.
    """

    name: ClassVar[str] = "events"

    step_milliseconds: int = flag(
        10, "time quantisation: length of a step, milliseconds", at_least=1, at_most=1000
    )
    shift_steps: int = flag(
        100, "longest time shift that one token holds, steps", at_least=10, at_most=10_000
    )
    velocity_levels: int = flag(
        32, "velocity quantisation: number of velocity tokens", at_least=1, at_most=127
    )
    pedal_levels: int = flag(
        0,
        "number of sustain pedal tokens: 0 leaves the pedal out, 2 are up and down, more include "
        "half pedal; 1 is refused",
        at_least=0,
        at_most=128,
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require(self.pedal_levels != 1, "pedal_levels is 1; give 0 for none, or 2 to 128")

    @property
    def ticks_per_quarter(self) -> int:
        """500, so that one tick is a millisecond."""
        return 500

    @property
    def microseconds_per_quarter(self) -> int:
        """120 quarter notes per minute, whatever the tempo was."""
        return 500_000

    @property
    def has_pedal(self) -> bool:
        """Whether there are tokens of the sustain pedal."""
        return self.pedal_levels > 0

    @functools.cached_property
    def blocks(self) -> tuple[tuple[str, int, int], ...]:
        """The vocabulary: (name, first token, size)."""
        # The first two stand here, so that the remainder by 128 of their tokens is the pitch.
        sizes = [("note_on", 128), ("note_off", 128), ("time_shift", self.shift_steps)]
        sizes += [("velocity", self.velocity_levels)]
        sizes += [("pedal", self.pedal_levels)] if self.has_pedal else []
        firsts = itertools.accumulate([size for _, size in sizes], initial=0)
        return tuple((name, next(firsts), size) for name, size in sizes)

    @functools.cached_property
    def spec(self) -> Spec:
        """Tokens [event] of uint16."""
        size = sum(size for _, _, size in self.blocks)
        return Spec("tokens", (None,), "uint16", size, "event", self.blocks)

    @functools.cached_property
    def _first(self) -> dict[str, int]:
        """The first token of each block; of the pedal's also where there are none."""
        return {"pedal": self.spec.size} | {name: first for name, first, _ in self.blocks}

    @functools.cached_property
    def _levels(self) -> np.ndarray:
        """The level of each velocity, int64 [128]; of 32 the last has three, the others four."""
        return np.maximum(np.arange(128) - 1, 0) * self.velocity_levels // 127

    @functools.cached_property
    def _velocities(self) -> np.ndarray:
        """What a note-on has before any velocity, then the middle of each level: int64."""
        firsts = np.searchsorted(self._levels[1:], np.arange(self.velocity_levels + 1)) + 1
        return np.append(VELOCITY_AT_FIRST, (firsts[:-1] + firsts[1:] - 1) // 2)

    @functools.cached_property
    def _waits(self) -> np.ndarray:
        """The steps that each token waits, int64 [token]; 0 of all but time shifts."""
        waits = np.zeros(self.spec.size, np.int64)
        first = self._first["time_shift"]
        waits[first : first + self.shift_steps] = np.arange(1, self.shift_steps + 1)
        return waits

    @functools.cached_property
    def _pedal_values(self) -> np.ndarray:
        """The controller value of each level, int64 [level]: the middle, at the ends 0 and 127."""
        count = self.pedal_levels
        firsts = -(-128 * np.arange(count + 1) // max(count, 1))
        values = (firsts[:-1] + firsts[1:] - 1) // 2
        values[:1], values[-1:] = 0, 127
        return values

    # From a Score to tokens.

    def encode(self, score: Score) -> np.ndarray:
        """Gives uint16 [event]."""
        events = np.sort(np.concatenate([self._note_events(score), self._pedal_events(score)]))
        step, kind, number = events >> 16, events >> 14 & 3, events >> 7 & 127
        gap = step - np.concatenate([[0], step[:-1]])[: len(step)]
        shifts = -(-gap // self.shift_steps)
        is_on = np.flatnonzero(kind == ON)
        level = events[is_on] & 127
        changes = np.ones(len(is_on), np.bool_)
        changes[1:] = level[1:] != level[:-1]
        announced = np.zeros(len(events), np.int64)
        announced[is_on] = changes
        place = np.cumsum(shifts + announced + 1) - 1
        longest = self._first["time_shift"] + self.shift_steps - 1
        tokens = np.full(place[-1] + 1 if len(place) else 0, longest, np.uint16)
        firsts = [self._first[name] for name in ("note_off", "pedal", "note_on")]
        tokens[place] = np.array(firsts)[kind] + number
        tokens[place[is_on[changes]] - 1] = self._first["velocity"] + level[changes]
        waits = np.flatnonzero(shifts)
        rest = (gap[waits] - 1) % self.shift_steps
        tokens[place[waits] - announced[waits] - 1] = self._first["time_shift"] + rest
        return tokens

    def _note_events(self, score: Score) -> np.ndarray:
        """Gives int64 [event]: step, kind, pitch and level in one number, to be sorted."""
        onset, length, pitch, velocity = notes_in_real_time(score, self.step_milliseconds)
        on = ((onset * 4 + ON) * 128 + pitch) * 128 + self._levels[velocity]
        off = (((onset + length) * 4 + OFF) * 128 + pitch) * 128
        return np.concatenate([off, on])

    def _pedal_events(self, score: Score) -> np.ndarray:
        """Gives int64 [event] as those of notes: the last of a step, where the level changes."""
        if not self.has_pedal:
            return np.zeros(0, np.int64)
        pedal = score.pedal[score.pedal["controller"] == SUSTAIN]
        seconds = score.seconds_at(pedal["tick"])
        step = np.rint(seconds * 1000 / self.step_milliseconds).astype(np.int64)
        level = pedal["value"].astype(np.int64) * self.pedal_levels // 128
        is_last = np.ones(len(step), np.bool_)
        is_last[:-1] = step[1:] != step[:-1]
        is_last &= step * self.step_milliseconds <= LAST_TICK
        step, level = step[is_last], level[is_last]
        differs = level != np.concatenate([[0], level[:-1]])[: len(level)]  # It is up at first.
        return (step[differs] * 4 + PEDAL << 7 | level[differs]) << 7

    # From tokens to notes, by operations that NumPy and TensorFlow share.

    def notes(self, arrays: Any, lengths: Any) -> tuple[Any, Any, Any]:
        """See `NoteCodec.notes`. NumPy arrays give NumPy arrays.

        A note without a note-off ends with the last token. Dropped: note-offs of keys that
        are up; notes that end or are repeated in the step in which they begin; notes that end
        after 74 hours.
        """
        ops, tokens, counts, ticks, end_of_row = self._read(arrays, lengths)
        rows, time = ops.shape(tokens)
        flat = ops.reshape(tokens, [-1])
        places = ops.places(ops.reshape(counts & (tokens < self._first["time_shift"]), [-1]))
        # What happens to each key of each row, in turn.
        pitch = ops.cast(ops.take(flat, places) % 128, "uint8")
        places = ops.take(places, ops.order(pitch))
        token, row = ops.take(flat, places), places // time
        tick, pitch = ops.take(ops.reshape(ticks, [-1]), places), token % 128
        is_on = token < self._first["note_off"]
        key = row * 128 + pitch
        is_same = key[1:] == key[:-1]
        never = is_on[:1] & ~is_on[:1]
        has_next = ops.concat([is_same, never])
        was_on = ops.concat([never, is_same & is_on[:-1]])
        last = ops.maximum(ops.take(end_of_row, row), tick + self.step_milliseconds)
        end = ops.where(has_next, ops.concat([tick[1:], tick[:1]]), last)
        valid = is_on & (end > tick) & (end <= LAST_TICK)
        lost = ops.places((is_on & ~valid) | ~(is_on | was_on))
        dropped = ops.cast(ops.count(ops.take(row, lost), rows), "int32")
        # Back in the order of time.
        kept = ops.places(valid)
        kept = ops.take(kept, ops.order(ops.take((row * 2**28 + tick) * 128 + pitch, kept)))
        velocity = self._velocity_at(ops, tokens, counts, ops.take(places, kept))
        columns = [*(ops.take(x, kept) for x in (tick, end - tick, pitch)), velocity]
        return *in_rows(ops.take(row, kept), ops.stack(columns, axis=1), rows), dropped

    def pedal(self, arrays: Any, lengths: Any) -> tuple[Any, Any]:
        """See `NoteCodec.pedal`. NumPy arrays give NumPy arrays. A pedal token is an event."""
        ops, tokens, counts, ticks, _ = self._read(arrays, lengths)
        rows, time = ops.shape(tokens)
        is_pedal = counts & (tokens >= self._first["pedal"]) & (ticks <= LAST_TICK)
        places = ops.places(ops.reshape(is_pedal, [-1]))
        level = ops.take(ops.reshape(tokens, [-1]), places) - self._first["pedal"]
        tick = ops.take(ops.reshape(ticks, [-1]), places)
        value = ops.take(self._pedal_values, level)
        events = ops.stack([tick, 0 * tick + SUSTAIN, value], axis=1)
        return in_rows(places // time, events, rows)

    def _read(self, arrays: Any, lengths: Any) -> tuple[Any, Any, Any, Any, Any]:
        """Gives the operations; of each token itself, whether it counts, its tick; each row's end.

        The first three are [batch, time], of int64, bool and int64; the end is int64 [batch].
        """
        ops = operations_on(arrays)
        tokens = ops.cast(arrays, "int64")
        counts = ops.range(ops.shape(tokens)[1])[None, :] < ops.cast(lengths, "int64")[:, None]
        waits = ops.take(self._waits * self.step_milliseconds, tokens)
        ticks = ops.cumsum(ops.where(counts, waits, 0), axis=1)
        # Only what counts takes time, so the last tick is that of the end.
        return ops, tokens, counts, ticks, ops.reshape(ticks[:, -1:], [-1])

    def _velocity_at(self, ops: Any, tokens: Any, counts: Any, places: Any) -> Any:
        """Gives int64 [place], the velocity that the last token of it in the row has set."""
        level = tokens - self._first["velocity"]
        is_velocity = counts & (level >= 0) & (level < self.velocity_levels)
        is_velocity, level = (ops.reshape(x, [-1]) for x in (is_velocity, level))
        # The first stands for those before any velocity token.
        said = ops.take(self._velocities, 1 + ops.take(level, ops.places(is_velocity)))
        said = ops.concat([self._velocities[:1], said])
        number = ops.concat([np.zeros(1, np.int64), ops.cumsum(ops.cast(is_velocity, "int64"))])
        time = ops.shape(tokens)[1]
        at, before = ops.take(number, places + 1), ops.take(number, places // time * time)
        return ops.take(said, ops.where(at > before, at, 0))

    # Augmentation and conditions, in TensorFlow ops.

    def transpose(self, arrays: Any, semitones: Any) -> Any:
        """See `Codec.transpose`."""
        import tensorflow as tf

        tokens, semitones = tf.cast(arrays, tf.int32), tf.cast(semitones, tf.int32)[:, None]
        is_note = tokens < self._first["time_shift"]
        moved = tokens % 128 + semitones
        stays = tf.reduce_all(~is_note | ((moved >= 0) & (moved < 128)), axis=1, keepdims=True)
        return tf.cast(tokens + tf.where(is_note & stays, semitones, 0), tf.as_dtype("uint16"))

    def stretch(self, arrays: Any, factors: Any) -> Any:
        """See `Codec.stretch`.

        The time up to each token is stretched and rounded to the step, so that rounding errors
        do not add up. But each time shift stays one token, of 1 to `shift_steps` steps: what
        would be shorter or longer is clipped, and that error does add up. In performances it is
        small (two of them, stretched by .9 and 1.1, came out at .90 and 1.10); music of nothing
        but shifts of one step cannot be made faster.
        """
        import tensorflow as tf

        tokens = tf.cast(arrays, tf.int64)
        shifts = tf.gather(self._waits, tokens)
        steps = tf.cast(tf.cumsum(shifts, axis=1), tf.float64)
        steps = tf.round(steps * tf.cast(factors, tf.float64)[:, None])
        steps = tf.cast(steps - tf.pad(steps, [[0, 0], [1, 0]])[:, :-1], tf.int64)
        steps = tf.clip_by_value(steps, 1, self.shift_steps)
        return tf.cast(tf.where(shifts > 0, tokens + steps - shifts, tokens), tf.as_dtype("uint16"))

    def onsets(self, arrays: Any) -> Onsets:
        """See `Codec.onsets`. A step is a token; only time shifts take time."""
        import tensorflow as tf

        tokens = tf.cast(arrays, tf.int32)
        is_on = tokens < self._first["note_off"]
        classes = tf.one_hot(tf.where(is_on, tokens % 12, -1), 12)
        pitch = tf.cast(tf.where(is_on, tokens, 0), tf.float32)
        seconds = (self._waits * (self.step_milliseconds / 1000)).astype(np.float32)
        return Onsets(classes, pitch, tf.gather(seconds, tokens))
