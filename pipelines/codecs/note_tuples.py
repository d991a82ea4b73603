"""note_tuples: a piece as a sequence of notes, each a handful of real numbers.

The representation of C-RNN-GAN (Mogren 2016, arXiv 1611.09904, section 3): one cell an
event, holding the time since the previous onset and, for each of its tones, length,
pitch and velocity. With `tones_per_cell` = k, up to k tones that start together share a
cell and its time (C-RNN-GAN-3 as the authors' code has it); with `quadruplet_per_tone`
any k consecutive tones share a cell and each has a time of its own (as the paper says).
There a velocity of 0 is an empty slot; here a feature of its own says so, `presence`, or a
generator that hesitates between a tone and none would write every velocity in between.

Lost: tempo (one fixed tempo comes back), pedal, meters, keys, voices, programs, drums;
time below the grid of `ticks_per_quarter`; gaps and lengths above `longest_quarters`;
unisons, and the rest of a note that is struck again while it sounds.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
from typing import Any, ClassVar, Literal

import numpy as np

from pipelines.codecs.codec import Struck
from pipelines.codecs.note_codec import NoteCodec
from pipelines.grid import one_at_a_time, round_ratio
from pipelines.note_tensors import single_voice_a_pitch, whole
from pipelines.score import LAST_TICK, Score
from pipelines.settings import flag
from pipelines.spec import Spec

PITCH_CENTRE, PITCH_SCALE = 64.0, 24.0  # Half tones; two octaves are one unit.
CIRCLE_RADIUS = 0.7
CIRCLE_NOISE = 0.18  # Half the distance between neighbours on the circle: 0.7 * sin(pi / 12).
VELOCITY_SCALE = 64.0
PRESENCE = 0.7  # Of a tone that sounds; its negative of an empty slot.


@dataclasses.dataclass(frozen=True)
class Codec(NoteCodec):
    """Cells of one time and k tones, scaled so that a network sees numbers near [-1, 1].

    Raises ValueError when a field is out of its range.
    """

    name: ClassVar[str] = "note_tuples"

    tones_per_cell: int = flag(1, "tones that share a cell; 3 is C-RNN-GAN-3", at_least=1)
    quadruplet_per_tone: bool = flag(
        False, "each tone of a cell has a time of its own (the paper), not one a cell (its code)"
    )
    ticks_per_quarter: int = flag(  # type: ignore[assignment]
        12, "grid of time, ticks in a quarter note; the paper has 384", at_least=1, at_most=960
    )
    longest_quarters: int = flag(
        16, "longest gap and longest note, quarters; above it is cut", at_least=1, at_most=64
    )
    pitch_features: Literal["circle_of_fifths", "number"] = flag(
        "circle_of_fifths",
        "circle_of_fifths: height and the place of the pitch class on the circle of fifths; "
        "number: height alone, as in the paper",
    )
    scaling: Literal["unit", "raw"] = flag(
        "unit",
        "unit: logarithmic times, everything near [-1, 1]; raw: ticks, Hz and 0..127 as the "
        "paper has it (needs pitch_features=number)",
    )
    presence: bool = flag(
        True,
        "where cells hold several tones, a feature of its own says whether a tone sounds; "
        "nopresence: a velocity of 0 is silence, as in the paper",
    )
    quarters_per_minute: float = flag(100.0, "tempo of decoded pieces", at_least=10, at_most=1000)

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
        """The longest gap or note, ticks."""
        return self.longest_quarters * self.ticks_per_quarter

    @property
    def microseconds_per_quarter(self) -> int:
        """Tempo of what `decode` gives."""
        return round(60_000_000 / self.quarters_per_minute)

    @property
    def has_presence(self) -> bool:
        """Whether a feature says of each tone if it sounds; a lone tone always does."""
        return self.presence and self.tones_per_cell > 1 and self.scaling == "unit"

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
        onset, length, pitch, velocity = self._on_grid(score)
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
            tones[:, :, columns] = self._features(name, slots)
        array[:, :head] = self._features("time", time[is_first])[:, :head]
        return array

    def _on_grid(self, score: Score) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Gives onset and length in ticks of this codec, pitch and velocity, each [note].

        Sorted by (onset, pitch), one note at a time a pitch, no drums.
        """
        grid, ticks, notes = self.ticks_per_quarter, score.ticks_per_quarter, score.notes
        if notes["is_drum"].any():
            notes = notes[~notes["is_drum"]]
        # A copy: in the records these fields are unaligned, and slow to work on.
        onset = notes["onset"].copy()
        end = round_ratio(onset + notes["duration"], grid, ticks)
        onset = round_ratio(onset, grid, ticks)
        order, length = one_at_a_time(onset, end, notes["pitch"])
        return onset[order], length, notes["pitch"][order], notes["velocity"][order]

    def _slots(self, time: np.ndarray) -> np.ndarray:
        """Gives cell * tones_per_cell + place in the cell of each note, from the gap before it."""
        index, k = np.arange(len(time)), self.tones_per_cell
        if self.quadruplet_per_tone or k == 1:
            return index
        starts = time > 0
        starts[:1] = True
        # The place of each note among those of the same onset, then in its cell.
        place = (index - np.maximum.accumulate(np.where(starts, index, 0))) % k
        return (np.cumsum(place == 0) - 1) * k + place

    def _features(self, name: str, values: np.ndarray) -> np.ndarray:
        """Gives float32 [..., feature] of whole numbers; what is above the longest is cut to it."""
        return self._tables[name].take(values, axis=0, mode="clip")

    @functools.cached_property
    def _tables(self) -> dict[str, np.ndarray]:
        """The features of every value, by name: float32 [value, feature]."""
        ticks, velocity = np.arange(self.longest_ticks + 1), np.arange(128)
        columns: dict[str, np.ndarray] = {"time": ticks, "length": ticks, "velocity": velocity}
        if self.scaling == "unit":
            longest = self.longest_ticks
            columns["time"] = 2 * np.log1p(ticks) / np.log1p(longest) - 1
            # No note lasts 0 ticks, which have no logarithm.
            columns["length"] = 2 * np.log(np.maximum(ticks, 1)) / np.log(longest) - 1
            columns["velocity"] = velocity / VELOCITY_SCALE - 1
            columns["presence"] = np.array([-PRESENCE, PRESENCE])
        tables = {name: column[:, None].astype(np.float32) for name, column in columns.items()}
        return {**tables, "pitch": self._pitch_table}

    @functools.cached_property
    def _pitch_table(self) -> np.ndarray:
        """The features of each of the 128 pitches: float32 [128, 1 or 3]."""
        pitch = np.arange(128)
        if self.scaling == "raw":
            return (440.0 * 2.0 ** ((pitch - 69) / 12))[:, None].astype(np.float32)
        height = (pitch - PITCH_CENTRE) / PITCH_SCALE
        if self.pitch_features == "number":
            return height[:, None].astype(np.float32)
        angle = 2 * np.pi * (7 * pitch % 12) / 12
        circle = [CIRCLE_RADIUS * np.cos(angle), CIRCLE_RADIUS * np.sin(angle)]
        return np.stack([height, *circle], axis=1).astype(np.float32)

    # From cells to notes, in TensorFlow ops.

    def notes(self, arrays: Any, lengths: Any) -> tuple[Any, Any, Any]:
        """See `NoteCodec.notes`. Silence is a negative presence, or a velocity of 0 or less."""
        import tensorflow as tf

        arrays = tf.convert_to_tensor(arrays, tf.float32)
        batch, cells = tf.shape(arrays)[0], tf.shape(arrays)[1]
        counts = tf.range(cells)[None, :] < tf.convert_to_tensor(lengths)[:, None]
        tones = []
        for t in range(self.tones_per_cell):
            if t == 0 or self.quadruplet_per_tone:
                time = self._unscale_time(arrays[..., self._block("time", t)][..., 0])
                tones_time = whole(time, 0, self.longest_ticks)
            else:
                tones_time = tf.zeros([batch, cells], tf.int32)
            length = self._unscale_length(arrays[..., self._block("length", t)][..., 0])
            velocity = self._unscale_velocity(arrays[..., self._block("velocity", t)][..., 0])
            pitch_features = arrays[..., self._block("pitch", t)]
            finite = tf.reduce_all(tf.math.is_finite(pitch_features), -1)
            finite &= tf.math.is_finite(length) & tf.math.is_finite(velocity)
            pitch = self._nearest_pitch(tf.where(finite[..., None], pitch_features, 0.0))
            if self.has_presence:
                presence = arrays[..., self._block("presence", t)][..., 0]
                finite &= tf.math.is_finite(presence)
                velocity = tf.where(presence > 0, whole(velocity, 1, 127), 0)
            else:
                velocity = whole(velocity, 0, 127)
            meant = counts & ((velocity > 0) | ~finite)
            whole_length = whole(length, 1, self.longest_ticks)
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
        notes, count = single_voice_a_pitch(onset, length, pitch, velocity, valid)
        return notes, count, tf.reduce_sum(tf.cast(meant, tf.int32), axis=1) - count

    def _unscale_time(self, feature: Any) -> Any:
        import tensorflow as tf

        if self.scaling == "raw":
            return feature
        feature = tf.clip_by_value(feature, -2.0, 1.0)
        return tf.math.expm1((feature + 1) / 2 * np.log1p(self.longest_ticks))

    def _unscale_length(self, feature: Any) -> Any:
        import tensorflow as tf

        if self.scaling == "raw":
            return feature
        return tf.exp((tf.clip_by_value(feature, -2.0, 1.0) + 1) / 2 * np.log(self.longest_ticks))

    def _unscale_velocity(self, feature: Any) -> Any:
        return feature if self.scaling == "raw" else (feature + 1) * VELOCITY_SCALE

    def _nearest_pitch(self, features: Any) -> Any:
        import tensorflow as tf

        table = self._pitch_table
        if self.scaling == "raw":  # Nearest in half tones, not in Hz.
            table, features = np.log2(table), tf.math.log(tf.maximum(features, 1e-3)) / np.log(2.0)
        # No matmul: a GPU may round its factors to 10 bits, more than half a tone at the top.
        distance = sum(
            (features[..., j, None] - tf.constant(table[:, j])) ** 2 for j in range(table.shape[1])
        )
        return tf.argmin(distance, axis=-1, output_type=tf.int32)

    @property
    def _spread(self) -> float:
        """The part of what rounds to a value that `dequantize` uses.

        float32 keeps a logarithmic time to about 1e-6 of itself; noise stays clear of the
        edge by twice that, so that it never changes a note.
        """
        return 1 - 1e-3 - 4e-6 * self.longest_ticks

    def dequantize(self, arrays: Any, uniform: Any) -> Any:
        """Spreads each value evenly over what rounds to it, so that a critic cannot read the grid.

        Args:
          arrays: float32 [..., feature] as `encode` gives them.
          uniform: float32, the same shape, in [-0.5, 0.5).

        Returns:
          float32 tensor of the same shape, which decodes to the same notes.
        """
        import tensorflow as tf

        arrays = tf.convert_to_tensor(arrays, tf.float32)
        uniform = tf.convert_to_tensor(uniform, tf.float32) * self._spread
        columns = []
        for name, first, size in self.blocks:
            x, u = arrays[..., first : first + size], uniform[..., first : first + size]
            if name.startswith("time"):
                ticks = tf.round(self._unscale_time(x)) + u
                columns.append(
                    ticks
                    if self.scaling == "raw"
                    else 2 * tf.math.log1p(ticks) / np.log1p(self.longest_ticks) - 1
                )
            elif name.startswith("length"):
                ticks = tf.round(self._unscale_length(x)) + u
                columns.append(
                    ticks
                    if self.scaling == "raw"
                    else 2 * tf.math.log(ticks) / np.log(self.longest_ticks) - 1
                )
            elif name.startswith("presence"):
                columns.append(x + u * PRESENCE)
            elif name.startswith("velocity"):
                columns.append(x + u / (1.0 if self.scaling == "raw" else VELOCITY_SCALE))
            elif self.scaling == "raw":
                columns.append(x * 2.0 ** (u / 12))
            else:
                noise = [1 / PITCH_SCALE] + [CIRCLE_NOISE] * (size - 1)
                columns.append(x + u * tf.constant(noise, tf.float32))
        return tf.concat(columns, axis=-1)

    # Augmentation and conditions, in TensorFlow ops.

    def transpose(self, arrays: Any, semitones: Any) -> Any:
        """See `Codec.transpose`. Empty slots move with their cell; values are those of `encode`."""
        import tensorflow as tf

        arrays = tf.convert_to_tensor(arrays, tf.float32)
        pitch = self._pitches(arrays) + tf.cast(semitones, tf.float32)[:, None, None]
        # A row that holds what is not a number does not fit.
        fits = tf.reduce_all((pitch >= 0) & (pitch <= 127), axis=[1, 2], keepdims=True)
        moved = self._with_values(arrays, {"pitch": whole(pitch, 0, 127)})
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
        lengths = tf.where(self._sounding(arrays), whole(end - moved, 1, self.longest_ticks), 1)
        values = {"time": whole(gaps, 0, self.longest_ticks), "length": lengths}
        finite = tf.reduce_all(tf.math.is_finite(time + length), axis=[1, 2], keepdims=True)
        return tf.where(finite, self._with_values(arrays, values), arrays)

    def struck(self, arrays: Any) -> Struck:
        """See `Codec.struck`. A cell begins with its first tone, after the gap before it.

        The time from the last cell to the next is not known; it is 0 here.
        """
        import tensorflow as tf

        arrays = tf.convert_to_tensor(arrays, tf.float32)
        sounds = tf.cast(self._sounding(arrays), tf.float32)
        pitch = whole(self._pitches(arrays), 0, 127)
        pitch_classes = tf.one_hot(pitch % 12, 12) * sounds[..., None]
        ticks = whole(self._ticks("time", arrays), 0, self.longest_ticks)
        until_next = tf.pad(ticks[:, 1:, 0], [[0, 0], [0, 1]])
        ticks = tf.reduce_sum(ticks[..., 1:], axis=-1) + until_next
        tick_seconds = self.microseconds_per_quarter / 1e6 / self.ticks_per_quarter
        return Struck(
            tf.reduce_sum(pitch_classes, axis=-2),
            tf.reduce_sum(tf.cast(pitch, tf.float32) * sounds, axis=-1),
            tf.cast(ticks, tf.float32) * tick_seconds,
        )

    def _pitches(self, arrays: Any) -> Any:
        """The pitch of each tone, of arrays that `encode` gave: whole float32 [..., tone]."""
        import tensorflow as tf

        firsts = [self._block("pitch", tone).start for tone in range(self.tones_per_cell)]
        height = tf.gather(arrays, firsts, axis=-1)
        if self.scaling == "raw":
            return tf.round(69 + 12 / np.log(2.0) * tf.math.log(height / 440))
        return tf.round(height * PITCH_SCALE + PITCH_CENTRE)

    def _ticks(self, name: Literal["time", "length"], arrays: Any) -> Any:
        """Gap before or length of each tone: whole float32 [..., tone]."""
        import tensorflow as tf

        unscale = self._unscale_time if name == "time" else self._unscale_length
        shares = name == "time" and not self.quadruplet_per_tone
        firsts = range(1 if shares else self.tones_per_cell)
        columns = [self._block(name, tone).start for tone in firsts]
        ticks = tf.round(unscale(tf.gather(arrays, columns, axis=-1)))
        # The other tones of a cell begin with its first.
        silent = self.tones_per_cell - len(columns)
        return tf.pad(ticks, [[0, 0], [0, 0], [0, silent]]) if silent else ticks

    def _sounding(self, arrays: Any) -> Any:
        """Whether each tone is there, of arrays that `encode` gave: bool [..., tone]."""
        import tensorflow as tf

        name = "presence" if self.has_presence else "velocity"
        columns = [self._block(name, tone).start for tone in range(self.tones_per_cell)]
        values = tf.gather(arrays, columns, axis=-1)
        return values > 0 if self.has_presence else self._unscale_velocity(values) >= 0.5

    def _with_values(self, arrays: Any, values: dict[str, Any]) -> Any:
        """Puts other values, int32 [..., tone] by name, in the place of their features."""
        import tensorflow as tf

        columns = []
        for name, first, size in self.blocks:
            kind, _, tone = name.partition(" ")
            if kind in values:
                table = tf.constant(self._tables[kind])
                columns.append(tf.gather(table, values[kind][..., int(tone or 1) - 1]))
            else:
                columns.append(arrays[..., first : first + size])
        return tf.concat(columns, axis=-1)
