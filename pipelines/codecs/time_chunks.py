"""time_chunks: a performance as chunks of equal duration, each a set of events.

The representation of TimeStepMusic, made for permutation-invariant set autoencoders (PISA,
Kortvelesy et al. 2023, arXiv 2302.12826). A chunk of `chunk_seconds` holds the notes and the
pedal movements that begin in it, up to `events_per_chunk`, by onset, pedals first, then by
pitch; decoding takes them in any order. An event has seven features:

  start        onset within the chunk, -1 to 1
  length       log-normal cumulative distribution function of the seconds, scaled to -1 to 1
  intensity    velocity, or how far the pedal is down: 64 is 0
  octave       of the MIDI key number: that of 60 to 71 is 0, of a piano's ends -1 and 1
  pitch_class  C is -1, B is 1
  pedal        0 is a note; 1/3, 2/3 and 1 are the sustain, sostenuto and soft pedal
  presence     1; an empty place is 0 in all features

A pedal's values are quantised to `pedal_levels` levels; a run within one level is an event of
its mean value, weighted by time, and the lowest level, the pedal up, is no event. Unlike the
authors' code: lengths are seconds, not ticks; pitch classes begin at C; every MIDI key can be
held; a feature marks empty places.

Lost: events beyond `events_per_chunk` in a chunk, the last ones (`left_out` counts them); time
below 1 ms; lengths closer than 1 %, and above some 20 s by default, where float32 no longer
resolves the distribution function; pedal values within a level, and pedals up for less than
1 % of the length before; tempo, meters and keys; voices and programs; drums; unisons, and the
rest of a note that is repeated while it sounds; what ends after 74 hours.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from typing import Any, ClassVar

import numpy as np

from pipelines.chunk_events import CONTROLLERS, LONGEST_MILLISECONDS, Events, events_of
from pipelines.codecs.codec import Onsets
from pipelines.codecs.note_codec import NoteCodec
from pipelines.note_tensors import in_rows, one_note_per_pitch, round_to_int
from pipelines.score import Score
from pipelines.score_arrays import LAST_TICK
from pipelines.settings import flag
from pipelines.spec import Spec

FEATURES = ("start", "length", "intensity", "octave", "pitch_class", "pedal", "presence")
START, LENGTH, INTENSITY, OCTAVE, PITCH_CLASS, PEDAL, PRESENCE = range(len(FEATURES))
FINEST = 2.0**-21  # Between the features of two lengths; float32 holds its multiples exactly.
# The features of each MIDI key, float32 [pitch]; octaves 1 to 9 are a piano's.
OCTAVES = (np.arange(128) // 12 / 4 - 1.25).astype(np.float32)
PITCH_CLASSES = (np.arange(128) % 12 / 5.5 - 1).astype(np.float32)


@dataclasses.dataclass(frozen=True)
class Codec(NoteCodec):
    """Sets of events, scaled so that a network sees numbers near [-1, 1].

    Raises ValueError where a field is out of its bounds.
    """

    name: ClassVar[str] = "time_chunks"

    chunk_seconds: float = flag(
        0.5, "length of a chunk, seconds; a multiple of 0.001", at_least=0.05, at_most=10
    )
    events_per_chunk: int = flag(
        30, "most events of a chunk; the last ones beyond are lost", at_least=1, at_most=1000
    )
    pedal_levels: int = flag(
        4, "pedal quantisation: number of levels; the lowest is up", at_least=2, at_most=128
    )
    median_seconds: float = flag(
        0.11,
        "median of the log-normal distribution that scales lengths, seconds",
        at_least=0.01,
        at_most=10,
    )
    spread: float = flag(
        1.16,
        "standard deviation of the natural logarithm of lengths in that distribution",
        at_least=0.1,
        at_most=10,
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require(
            abs(self.chunk_seconds * 1000 - self._chunk) <= 1e-6,
            f"chunk_seconds is {self.chunk_seconds}; give whole milliseconds",
        )

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
        """True: pedal movements are events, as notes are."""
        return True

    @property
    def bytes_per_step(self) -> int:
        """See `Codec`."""
        return 512 + 256 * self.events_per_chunk

    @property
    def _chunk(self) -> int:
        """Milliseconds of a chunk."""
        return round(self.chunk_seconds * 1000)

    @functools.cached_property
    def spec(self) -> Spec:
        """A set [chunk, event, feature] of float32."""
        blocks = tuple((name, first, 1) for first, name in enumerate(FEATURES))
        shape = (None, self.events_per_chunk, len(FEATURES))
        step = f"chunk of {self.chunk_seconds:g} s"
        return Spec("set", shape, "float32", len(FEATURES), step, blocks)

    @functools.cached_property
    def _lengths(self) -> tuple[np.ndarray, np.ndarray]:
        """The lengths there are, int64 [level] of milliseconds, and their features, float32."""
        levels = [1]
        while levels[-1] < LONGEST_MILLISECONDS:
            levels.append(max(levels[-1] + 1, round(levels[-1] * 1.01)))
        scale = self.spread * math.sqrt(2)
        features = [math.erf(math.log(ms / 1000 / self.median_seconds) / scale) for ms in levels]
        steps, chosen = np.unique(np.rint(np.array(features) / FINEST), return_index=True)
        return np.array(levels)[chosen], (steps * FINEST).astype(np.float32)

    # From a Score to sets.

    def encode(self, score: Score) -> np.ndarray:
        """Gives float32 [chunk, event, feature], up to the chunk of the last onset."""
        events = events_of(score, self._chunk, self.pedal_levels)
        events = events.take(events.place < self.events_per_chunk)
        chunk = events.start // self._chunk
        chunks = int(chunk[-1]) + 1 if len(chunk) else 0
        is_note = events.kind == 0
        columns: dict[int, Any] = {
            START: events.start % self._chunk * 2 / self._chunk - 1,
            LENGTH: self._lengths[1][self._length_levels(events)],
            INTENSITY: events.intensity / 64 - 1,
            OCTAVE: np.where(is_note, OCTAVES[events.pitch], 0),
            PITCH_CLASS: np.where(is_note, PITCH_CLASSES[events.pitch], 0),
            PEDAL: events.kind / 3,
            PRESENCE: 1,
        }
        array = np.zeros((chunks, self.events_per_chunk, len(FEATURES)), np.float32)
        for column, values in columns.items():
            array[chunk, events.place, column] = values
        return array

    def left_out(self, score: Score) -> int:
        """Counts the notes and pedal events of a Score beyond `events_per_chunk`."""
        return int(
            np.count_nonzero(
                events_of(score, self._chunk, self.pedal_levels).place >= self.events_per_chunk
            )
        )

    def _length_levels(self, events: Events) -> np.ndarray:
        """Gives the index of each event's length: the nearest for a note.

        A pedal that moves on to another level holds at least until then, else it would be
        up for a moment; one that goes up is not longer than it was, else it would not.
        """
        lengths, _ = self._lengths
        length = events.end - events.start
        nearest = np.searchsorted((lengths[:-1] + lengths[1:]) / 2, length)
        by_kind = np.lexsort((events.start, events.kind))
        moves_on = np.zeros(len(length), np.bool_)
        before, after = by_kind[:-1], by_kind[1:]
        moves_on[before] = (events.end[before] == events.start[after]) & (
            events.kind[before] == events.kind[after]
        )
        above = np.minimum(np.searchsorted(lengths, length), len(lengths) - 1)
        below = np.maximum(np.searchsorted(lengths, length, side="right") - 1, 0)
        return np.where(events.kind == 0, nearest, np.where(moves_on, above, below))

    # From sets to notes and pedal, in TensorFlow ops.

    def notes(self, arrays: Any, lengths: Any) -> tuple[Any, Any, Any]:
        """See `NoteCodec.notes`. Dropped: NaN, keys above 127, unisons."""
        import tensorflow as tf

        start, length, kind, pitch, intensity, meant, valid = self._decoded(arrays, lengths)
        is_note = (kind == 0) & (pitch <= 127)
        velocity = tf.maximum(intensity, 1)
        onset, length = tf.cast(start, tf.int32), tf.cast(length, tf.int32)
        notes, count = one_note_per_pitch(onset, length, pitch, velocity, valid & is_note)
        meant &= (kind == 0) | ~valid
        return notes, count, tf.reduce_sum(tf.cast(meant, tf.int32), axis=1) - count

    def pedal(self, arrays: Any, lengths: Any) -> tuple[Any, Any]:
        """See `NoteCodec.pedal`. A pedal goes up after its length, unless it moves before."""
        import tensorflow as tf

        start, length, kind, _, intensity, _, valid = self._decoded(arrays, lengths)
        places = tf.where(valid & (kind > 0))
        columns = (start, length, tf.cast(kind, tf.int64), tf.cast(intensity, tf.int64))
        start, length, kind, value = (tf.gather_nd(column, places) for column in columns)
        key = places[:, 0] * 4 + kind
        order = tf.argsort(key * 2**29 + start, stable=True)
        start, length, value, key = (tf.gather(x, order) for x in (start, length, value, key))
        has_next = tf.pad(key[1:] == key[:-1], [[0, 1]])[: tf.size(key)]
        following = tf.where(has_next, tf.roll(start, -1, axis=0), tf.int64.max)
        end, up = start + length, tf.zeros_like(value)
        # Of two that begin together the last stays.
        kept, goes_up = following > start, end < following
        moves = tf.concat(
            [
                tf.stack([key, start, value], axis=1)[kept],
                tf.stack([key, end, up], axis=1)[goes_up],
            ],
            axis=0,
        )
        row = moves[:, 0] // 4
        order = tf.argsort((row * 2**29 + moves[:, 1]) * 4 + moves[:, 0] % 4, stable=True)
        row, moves = tf.gather(row, order), tf.gather(moves, order)
        controller = tf.gather(tf.constant((0, *CONTROLLERS), tf.int64), moves[:, 0] % 4)
        events = tf.stack([moves[:, 1], controller, moves[:, 2]], axis=1)
        return in_rows(row, events, tf.shape(arrays, tf.int64)[0])

    def _decoded(self, arrays: Any, lengths: Any) -> tuple[Any, ...]:
        """Gives the events of sets, each [batch, time * event].

        They are start and length in milliseconds (int64), kind, pitch and intensity (int32),
        whether the event is meant, and whether it can be kept as well (bool).
        """
        import tensorflow as tf

        arrays = tf.convert_to_tensor(arrays, tf.float32)
        batch, time = tf.shape(arrays)[0], tf.shape(arrays)[1]
        finite = tf.reduce_all(tf.math.is_finite(arrays), axis=-1)
        counts = tf.sequence_mask(lengths, time)[..., None]
        meant = counts & ((arrays[..., PRESENCE] > 0.5) | ~finite)
        x = tf.unstack(tf.where(finite[..., None], arrays, 0.0), num=len(FEATURES), axis=-1)
        milliseconds, features = self._lengths
        level = tf.searchsorted((features[:-1] + features[1:]) / 2, tf.reshape(x[LENGTH], [-1]))
        length = tf.reshape(tf.gather(milliseconds, level), tf.shape(x[LENGTH]))
        start = round_to_int((x[START] + 1) * (self._chunk / 2), 0, self._chunk - 1)
        chunk = tf.range(tf.cast(time, tf.int64))[:, None] * self._chunk
        start = tf.cast(start, tf.int64) + chunk
        pitch = round_to_int((x[OCTAVE] + 1.25) * 4, 0, 10) * 12 + round_to_int(
            (x[PITCH_CLASS] + 1) * 5.5, 0, 11
        )
        intensity, kind = (
            round_to_int((x[INTENSITY] + 1) * 64, 0, 127),
            round_to_int(x[PEDAL] * 3, 0, 3),
        )
        valid = meant & finite & (start + length <= LAST_TICK)
        start = tf.minimum(start, LAST_TICK)
        parts = (start, length, kind, pitch, intensity, meant, valid)
        return tuple(tf.reshape(part, [batch, time * self.events_per_chunk]) for part in parts)

    # Augmentation and conditions, in TensorFlow ops.

    def transpose(self, arrays: Any, semitones: Any) -> Any:
        """See `Codec.transpose`."""
        import tensorflow as tf

        arrays = tf.convert_to_tensor(arrays, tf.float32)
        semitones = tf.cast(semitones, tf.int32)[:, None, None]
        is_note, pitch = self._sounding(arrays)
        moved = pitch + semitones
        inside = ~is_note | ((moved >= 0) & (moved <= 127))
        moves = is_note & tf.reduce_all(inside, axis=[1, 2], keepdims=True) & (semitones != 0)
        columns = tf.unstack(arrays, num=len(FEATURES), axis=-1)
        for column, table in ((OCTAVE, OCTAVES), (PITCH_CLASS, PITCH_CLASSES)):
            value = tf.gather(table, tf.clip_by_value(moved, 0, 127))
            columns[column] = tf.where(moves, value, columns[column])
        return tf.stack(columns, axis=-1)

    def onsets(self, arrays: Any) -> Onsets:
        """See `Codec.onsets`. A step is a chunk."""
        import tensorflow as tf

        arrays = tf.convert_to_tensor(arrays, tf.float32)
        is_note, pitch = self._sounding(arrays)
        classes = tf.reduce_sum(tf.one_hot(tf.where(is_note, pitch % 12, -1), 12), axis=2)
        pitch_sum = tf.reduce_sum(tf.cast(tf.where(is_note, pitch, 0), tf.float32), axis=2)
        return Onsets(classes, pitch_sum, tf.fill(tf.shape(pitch_sum), self.chunk_seconds))

    def _sounding(self, arrays: Any) -> tuple[Any, Any]:
        """Gives bool and int32 [batch, time, event]: which are notes, and their pitches."""
        import tensorflow as tf

        batch, time = tf.shape(arrays)[0], tf.shape(arrays)[1]
        _, _, kind, pitch, _, _, valid = self._decoded(arrays, tf.fill([batch], time))
        shape = [batch, time, self.events_per_chunk]
        is_note = valid & (kind == 0) & (pitch <= 127)
        return tf.reshape(is_note, shape), tf.reshape(pitch, shape)
