"""note_tuples: a piece as a sequence of notes, each a vector of real-valued features.

The representation of C-RNN-GAN (Mogren 2016, arXiv 1611.09904, section 3): one cell per
event, with the time since the previous onset and, for each of its tones, length, pitch and
velocity. With `tones_per_cell` = k, up to k tones with the same onset share a cell and its
time (C-RNN-GAN-3 in the authors' code); with `quadruplet_per_tone` any k consecutive tones
share a cell and each has a time of its own (as in the paper). There an empty slot has the
velocity 0. Here a feature of its own, `presence`, marks it: else a generator that is undecided
between a tone and an empty slot would write velocities in between.

Lost: tempo (one fixed tempo comes back), pedal, meters, keys, voices, programs, drums;
time below the grid of `ticks_per_quarter`; gaps and lengths above `longest_quarters`;
unisons, and the rest of a note that is repeated while it sounds.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
from typing import Any, ClassVar, Literal

import numpy as np

from pipelines.codecs.codec import Onsets
from pipelines.codecs.note_codec import NoteCodec
from pipelines.grid import notes_on_grid, slots_of
from pipelines.note_tensors import one_note_per_pitch, round_to_int
from pipelines.score import Score
from pipelines.score_arrays import LAST_TICK
from pipelines.settings import flag
from pipelines.spec import Spec
from pipelines.tone_features import ToneFeatures


@dataclasses.dataclass(frozen=True)
class Codec(NoteCodec):
    """Cells of one time and k tones, scaled so that a network sees numbers near [-1, 1].

    Raises ValueError where a field is out of its bounds.
    """

    name: ClassVar[str] = "note_tuples"

    tones_per_cell: int = flag(
        1, "most tones of a cell, one step of the sequence; 3: C-RNN-GAN-3", at_least=1, at_most=128
    )
    quadruplet_per_tone: bool = flag(
        False,
        "each tone of a cell has a time of its own (Mogren's paper), not one time per cell (its "
        "code)",
    )
    ticks_per_quarter: int = flag(  # type: ignore[assignment]
        12,
        "time quantisation: ticks per quarter note; the C-RNN-GAN paper has 384",
        at_least=1,
        at_most=960,
    )
    longest_quarters: int = flag(
        16,
        "longest time between onsets and longest note, quarter notes; longer ones are clipped",
        at_least=1,
        at_most=64,
    )
    pitch_features: Literal["circle_of_fifths", "number"] = flag(
        "circle_of_fifths",
        "features of a pitch: circle_of_fifths has the MIDI key number and the coordinates of the "
        "pitch class on the circle of fifths; number has the MIDI key number alone, as the "
        "C-RNN-GAN paper",
    )
    scaling: Literal["unit", "raw"] = flag(
        "unit",
        "scaling of features: unit has logarithmic times and all features near [-1, 1]; raw has "
        "ticks, Hz and velocities 0 to 127, as the C-RNN-GAN paper (needs pitch_features=number)",
    )
    presence: bool = flag(
        True,
        "adds a feature to each tone of cells of several, which says whether the slot holds a "
        "tone; nopresence: an empty slot has the velocity 0, as in the C-RNN-GAN paper",
    )
    quarters_per_minute: float = flag(
        100.0, "tempo of decoded pieces, quarter notes per minute", at_least=10, at_most=1000
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require(
            self.longest_ticks >= 2,
            "longest_quarters x ticks_per_quarter is 1 tick, which has no logarithm to divide by; "
            "give more of either",
        )
        self.require(
            self.scaling == "unit" or self.pitch_features == "number",
            "scaling=raw has no circle of fifths; add --pitch_features=number",
        )

    @property
    def longest_ticks(self) -> int:
        """The longest time between onsets, and the longest note, ticks."""
        return self.longest_quarters * self.ticks_per_quarter

    @property
    def microseconds_per_quarter(self) -> int:
        """Tempo of decoded pieces."""
        return round(60_000_000 / self.quarters_per_minute)

    @property
    def has_presence(self) -> bool:
        """Whether tones have the feature `presence`; the only tone of a cell needs none."""
        return self.presence and self.tones_per_cell > 1 and self.scaling == "unit"

    @functools.cached_property
    def _features(self) -> ToneFeatures:
        """The numbers that stand for a tone's time, length, pitch, velocity and presence."""
        return ToneFeatures(self.longest_ticks, self.scaling, self.pitch_features)

    @functools.cached_property
    def _tone_columns(self) -> dict[str, slice]:
        """The features of a tone: name -> place among them."""
        pitch = 3 if self.pitch_features == "circle_of_fifths" else 1
        sizes = {"time": 1} if self.quadruplet_per_tone else {}
        sizes |= {"length": 1, "pitch": pitch, "velocity": 1}
        sizes |= {"presence": 1} if self.has_presence else {}
        lasts = np.cumsum(list(sizes.values())).tolist()
        return {n: slice(last - sizes[n], last) for n, last in zip(sizes, lasts, strict=True)}

    @functools.cached_property
    def blocks(self) -> tuple[tuple[str, int, int], ...]:
        """The features of a cell: (name, first, size); "pitch 2" is that of the second tone."""
        sizes = [] if self.quadruplet_per_tone else [("time", 1)]
        for tone in range(1, self.tones_per_cell + 1):
            sizes += [(f"{n} {tone}", c.stop - c.start) for n, c in self._tone_columns.items()]
        firsts = itertools.accumulate([size for _, size in sizes], initial=0)
        return tuple((name, next(firsts), size) for name, size in sizes)

    @functools.cached_property
    def spec(self) -> Spec:
        """Vectors [cell, feature] of float32."""
        size = sum(size for _, _, size in self.blocks)
        step = "note" if self.tones_per_cell == 1 else f"cell of up to {self.tones_per_cell} notes"
        return Spec("vectors", (None, size), "float32", size, step, self.blocks)

    def _block(self, name: str, tone: int) -> slice:
        wanted = (name, f"{name} {tone + 1}")
        first, size = next((first, size) for n, first, size in self.blocks if n in wanted)
        return slice(first, first + size)

    # From a Score to cells.

    def encode(self, score: Score) -> np.ndarray:
        """Gives float32 [cell, feature]. Notes are taken in the order (onset, pitch)."""
        onset, length, pitch, velocity = notes_on_grid(score, self.ticks_per_quarter)
        time = np.concatenate([[0], onset[1:] - onset[:-1]])[: len(onset)]
        k, slot = self.tones_per_cell, self._slots(time)
        is_first = slot % k == 0
        cells = np.count_nonzero(is_first)
        # An empty slot repeats what it can of its cell's first tone: nothing to spot for a critic.
        silence = velocity[is_first][:, None] if self.has_presence else 0
        empty = {"time": 0, "length": 1, "pitch": pitch[is_first][:, None], "velocity": silence}
        values = {"time": time, "length": length, "pitch": pitch, "velocity": velocity}
        empty["presence"], values["presence"] = 0, np.ones_like(time)
        array = np.empty((cells, self.spec.size), np.float32)
        head = 0 if self.quadruplet_per_tone else 1
        tones = array[:, head:].reshape(cells, k, (self.spec.size - head) // k)
        for name, columns in self._tone_columns.items():
            slots = np.full((cells, k), empty[name], np.int64)
            slots.reshape(-1)[slot] = values[name]
            tones[:, :, columns] = self._features.encode(name, slots)
        array[:, :head] = self._features.encode("time", time[is_first])[:, :head]
        return array

    def _slots(self, time: np.ndarray) -> np.ndarray:
        """Gives cell * tones_per_cell + place in the cell of each note, from the gap before it."""
        if self.quadruplet_per_tone or self.tones_per_cell == 1:
            return np.arange(len(time))
        return slots_of(time, self.tones_per_cell)

    # From cells to notes, in TensorFlow ops.

    def notes(self, arrays: Any, lengths: Any) -> tuple[Any, Any, Any]:
        """See `NoteCodec.notes`. Empty slots have a presence of 0 or less, or velocity 0."""
        import tensorflow as tf

        arrays = tf.convert_to_tensor(arrays, tf.float32)
        batch, cells = tf.shape(arrays)[0], tf.shape(arrays)[1]
        counts = tf.range(cells)[None, :] < tf.convert_to_tensor(lengths)[:, None]
        tones = []
        for t in range(self.tones_per_cell):
            if t == 0 or self.quadruplet_per_tone:
                time = self._features.ticks("time", arrays[..., self._block("time", t)][..., 0])
                tones_time = round_to_int(time, 0, self.longest_ticks)
            else:
                tones_time = tf.zeros([batch, cells], tf.int32)
            length = self._features.ticks("length", arrays[..., self._block("length", t)][..., 0])
            velocity = self._features.velocity(arrays[..., self._block("velocity", t)][..., 0])
            pitch_features = arrays[..., self._block("pitch", t)]
            finite = tf.reduce_all(tf.math.is_finite(pitch_features), -1)
            finite &= tf.math.is_finite(length) & tf.math.is_finite(velocity)
            pitch = self._features.nearest_pitch(tf.where(finite[..., None], pitch_features, 0.0))
            if self.has_presence:
                presence = arrays[..., self._block("presence", t)][..., 0]
                finite &= tf.math.is_finite(presence)
                velocity = tf.where(presence > 0, round_to_int(velocity, 1, 127), 0)
            else:
                velocity = round_to_int(velocity, 0, 127)
            meant = counts & ((velocity > 0) | ~finite)
            whole_length = round_to_int(length, 1, self.longest_ticks)
            tones.append((tones_time, whole_length, pitch, velocity, meant, meant & finite))
        time, length, pitch, velocity, meant, valid = (
            tf.reshape(tf.stack(parts, axis=2), [batch, -1]) for parts in zip(*tones, strict=True)
        )
        # A piece starts with its first sound: the gap before it belongs to another window.
        first = tf.cumsum(tf.cast(valid, tf.int32), axis=1, exclusive=True) == 0
        onset = tf.cumsum(tf.cast(time, tf.int64), axis=1)
        before = tf.reduce_max(tf.where(first & valid, onset, 0), axis=1, keepdims=True)
        onset = tf.maximum(onset - before, 0)
        valid &= onset + tf.cast(length, tf.int64) <= LAST_TICK
        onset = tf.cast(tf.minimum(onset, LAST_TICK), tf.int32)
        notes, count = one_note_per_pitch(onset, length, pitch, velocity, valid)
        return notes, count, tf.reduce_sum(tf.cast(meant, tf.int32), axis=1) - count

    def dequantize(self, arrays: Any, uniform: Any) -> Any:
        """Adds uniform noise within what rounds to the same value. See `Codec.dequantize`.

        Args:
          arrays: float32 [..., feature] as `encode` gives them.
          uniform: float32, the same shape, in [-0.5, 0.5).

        Returns:
          float32 tensor of the same shape, which decodes to the same notes.
        """
        import tensorflow as tf

        arrays = tf.convert_to_tensor(arrays, tf.float32)
        # Before it is cut into columns: beside another constant TensorFlow would multiply the two
        # first, which rounds in another way.
        uniform = tf.convert_to_tensor(uniform, tf.float32) * self._features.spread
        columns = []
        for name, first, size in self.blocks:
            kind, place = name.partition(" ")[0], slice(first, first + size)
            columns.append(self._features.dequantize(kind, arrays[..., place], uniform[..., place]))
        return tf.concat(columns, axis=-1)

    # Augmentation and conditions, in TensorFlow ops.

    def transpose(self, arrays: Any, semitones: Any) -> Any:
        """See `Codec.transpose`. Empty slots move with their cell; values are those of `encode`."""
        import tensorflow as tf

        arrays = tf.convert_to_tensor(arrays, tf.float32)
        pitch = self._pitches(arrays) + tf.cast(semitones, tf.float32)[:, None, None]
        # A row that holds what is not a number does not fit.
        fits = tf.reduce_all((pitch >= 0) & (pitch <= 127), axis=[1, 2], keepdims=True)
        moved = self._with_values(arrays, {"pitch": round_to_int(pitch, 0, 127)})
        return tf.where(fits, moved, arrays)

    def stretch(self, arrays: Any, factors: Any) -> Any:
        """See `Codec.stretch`.

        Onsets and ends are multiplied and rounded, then gaps and lengths are taken between
        them, so that errors do not add up. No note is shorter than a tick; what is above
        `longest_quarters` is cut. Empty slots stay as they are.
        """
        import tensorflow as tf

        arrays = tf.convert_to_tensor(arrays, tf.float32)
        time, length = self._ticks("time", arrays), self._ticks("length", arrays)
        shape = tf.shape(time)
        onset = tf.cumsum(tf.reshape(tf.cast(time, tf.float64), [shape[0], -1]), axis=1)
        onset = tf.reshape(onset, shape)
        factors = tf.cast(factors, tf.float64)[:, None, None]
        moved = tf.round(onset * factors)
        end = tf.round((onset + tf.cast(length, tf.float64)) * factors)
        flat = tf.reshape(moved, [shape[0], -1])
        gaps = tf.reshape(flat - tf.pad(flat, [[0, 0], [1, 0]])[:, :-1], shape)
        lengths = tf.where(
            self._sounding(arrays), round_to_int(end - moved, 1, self.longest_ticks), 1
        )
        values = {"time": round_to_int(gaps, 0, self.longest_ticks), "length": lengths}
        finite = tf.reduce_all(tf.math.is_finite(time + length), axis=[1, 2], keepdims=True)
        return tf.where(finite, self._with_values(arrays, values), arrays)

    def onsets(self, arrays: Any) -> Onsets:
        """See `Codec.onsets`. A cell begins with its first tone, after the gap before it.

        The time from the last cell to the next is not known; it is 0 here.
        """
        import tensorflow as tf

        arrays = tf.convert_to_tensor(arrays, tf.float32)
        sounds = tf.cast(self._sounding(arrays), tf.float32)
        pitch = round_to_int(self._pitches(arrays), 0, 127)
        pitch_classes = tf.one_hot(pitch % 12, 12) * sounds[..., None]
        ticks = round_to_int(self._ticks("time", arrays), 0, self.longest_ticks)
        until_next = tf.pad(ticks[:, 1:, 0], [[0, 0], [0, 1]])
        ticks = tf.reduce_sum(ticks[..., 1:], axis=-1) + until_next
        tick_seconds = self.microseconds_per_quarter / 1e6 / self.ticks_per_quarter
        return Onsets(
            tf.reduce_sum(pitch_classes, axis=-2),
            tf.reduce_sum(tf.cast(pitch, tf.float32) * sounds, axis=-1),
            tf.cast(ticks, tf.float32) * tick_seconds,
        )

    def _pitches(self, arrays: Any) -> Any:
        """The pitch of each tone, of arrays that `encode` gave: whole float32 [..., tone]."""
        import tensorflow as tf

        firsts = [self._block("pitch", tone).start for tone in range(self.tones_per_cell)]
        return self._features.pitch(tf.gather(arrays, firsts, axis=-1))

    def _ticks(self, name: Literal["time", "length"], arrays: Any) -> Any:
        """Gap before or length of each tone: whole float32 [..., tone]."""
        import tensorflow as tf

        shares = name == "time" and not self.quadruplet_per_tone
        firsts = range(1 if shares else self.tones_per_cell)
        columns = [self._block(name, tone).start for tone in firsts]
        ticks = tf.round(self._features.ticks(name, tf.gather(arrays, columns, axis=-1)))
        # The other tones of a cell begin with its first.
        silent = self.tones_per_cell - len(columns)
        return tf.pad(ticks, [[0, 0], [0, 0], [0, silent]]) if silent else ticks

    def _sounding(self, arrays: Any) -> Any:
        """Whether each tone is there, of arrays that `encode` gave: bool [..., tone]."""
        import tensorflow as tf

        name = "presence" if self.has_presence else "velocity"
        columns = [self._block(name, tone).start for tone in range(self.tones_per_cell)]
        values = tf.gather(arrays, columns, axis=-1)
        return values > 0 if self.has_presence else self._features.velocity(values) >= 0.5

    def _with_values(self, arrays: Any, values: dict[str, Any]) -> Any:
        """Puts other values, int32 [..., tone] by name, in the place of their features."""
        import tensorflow as tf

        columns = []
        for name, first, size in self.blocks:
            kind, _, tone = name.partition(" ")
            if kind in values:
                table = tf.constant(self._features.tables[kind])
                columns.append(tf.gather(table, values[kind][..., int(tone or 1) - 1]))
            else:
                columns.append(arrays[..., first : first + size])
        return tf.concat(columns, axis=-1)
