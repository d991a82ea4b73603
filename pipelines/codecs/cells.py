"""cells: a piece as a sequence of cells of some notes that begin together, all categories.

The cells of C-RNN-GAN (Mogren 2016, arXiv 1611.09904, section 3; `note_tuples`) with every field a
category: the place of the onset in its quarter note (`beat_phase`), the time since the previous
cell, how many tones begin, and for each of them pitch, length and velocity. Tones stand from low to
high; more than `tones_per_cell` of one onset fill further cells, whose time is 0. `Spec.values`
says what each category stands for. Tables that are not given are measured from the training music
when it is prepared (docs/decisions/0040); before that they have every value.

A value that is not in its table becomes the nearest one: times and lengths by log(1 + ticks), but
no time above 0 becomes 0; velocities by their difference. A pitch out of the range moves by
octaves. What a time is then too long or too short is made up for by the times after it, as far as
the table allows, but for whole quarter notes: so errors do not add up, and the beat is found again.
A time above `longest_quarters` loses whole quarter notes. In every encoded array
`beat_phase[t] = (beat_phase[t - 1] + time[t]) modulo ticks_per_quarter`.

Lost: tempo (one fixed tempo comes back), pedal, meters, keys, voices, programs, drums; whole
quarters before the first note; time below the grid of `ticks_per_quarter`; gaps and lengths above
`longest_quarters`; what the tables do not have; unisons, and the rest of a note that is repeated
while it sounds.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from pipelines.cell_tables import (
    FIELDS,
    HEAD,
    LENGTH,
    PHASE,
    PITCH,
    TIME,
    TONES,
    VELOCITY,
    WIDENED,
    Cells,
    CellTables,
    measured,
)
from pipelines.codecs.codec import Onsets
from pipelines.codecs.note_codec import NoteCodec
from pipelines.grid import notes_on_grid, slots_of, until_next_onset
from pipelines.note_tensors import one_note_per_pitch
from pipelines.score import Score
from pipelines.score_arrays import LAST_TICK
from pipelines.settings import flag
from pipelines.spec import Spec


@dataclasses.dataclass(frozen=True)
class Codec(NoteCodec):
    """Cells of one time and up to k tones, each field a category.

    Raises ValueError where a field is out of its bounds.
    """

    name: ClassVar[str] = "cells"

    tones_per_cell: int = flag(
        4, "most tones of a cell, one step of the sequence", at_least=1, at_most=128
    )
    ticks_per_quarter: int = flag(  # type: ignore[assignment]
        12, "time quantisation: ticks per quarter note", at_least=1, at_most=960
    )
    longest_quarters: int = flag(
        16,
        "longest time between onsets and longest note, quarter notes; longer ones are clipped",
        at_least=1,
        at_most=64,
    )
    quarters_per_minute: float = flag(
        100.0, "tempo of decoded pieces, quarter notes per minute", at_least=10, at_most=1000
    )
    most_values: int = flag(
        64, "most categories of times, of lengths and of velocities", at_least=2, at_most=1024
    )
    times: tuple[int, ...] = flag(
        (),
        "times between onsets that have a category, ticks, ascending from 0; by default those of "
        "the training music",
        at_least=0,
    )
    lengths: tuple[int, ...] = flag(
        (),
        "lengths of notes that have a category, ticks, ascending; by default those of the training "
        "music",
        at_least=1,
    )
    velocities: tuple[int, ...] = flag(
        (),
        "velocities that have a category, ascending; by default those of the training music",
        at_least=1,
        at_most=127,
    )
    pitches: tuple[int, ...] = flag(
        (),
        "MIDI key numbers that have a category, an octave or more without a gap; by default those "
        f"from {WIDENED} below the lowest of the training music to {WIDENED} above the highest",
        at_least=0,
        at_most=127,
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        # Here, so that tables are looked at however the codec is made.
        fault = self._tables.fault(self.most_values)
        self.require(not fault, fault)

    @property
    def longest_ticks(self) -> int:
        """The longest time between onsets, and the longest note, ticks."""
        return self.longest_quarters * self.ticks_per_quarter

    @property
    def microseconds_per_quarter(self) -> int:
        """Tempo of decoded pieces."""
        return round(60_000_000 / self.quarters_per_minute)

    @property
    def bytes_per_step(self) -> int:
        """See `Codec.bytes_per_step`: every tone may be a note."""
        return 256 + 256 * self.tones_per_cell

    @functools.cached_property
    def _tables(self) -> CellTables:
        """What the categories stand for, and the category of each value."""
        tables = (self.times, self.lengths, self.velocities, self.pitches)
        return CellTables(*tables, self.ticks_per_quarter, self.longest_ticks, self.tones_per_cell)

    @functools.cached_property
    def spec(self) -> Spec:
        """Cells [cell, field] of int32."""
        names = ["beat_phase", "time", "tones"]
        for tone in range(1, self.tones_per_cell + 1):
            names += [f"pitch {tone}", f"length {tone}", f"velocity {tone}"]
        values = {name: tuple(table.tolist()) for name, table in self._tables.values.items()}
        sizes = [len(values[name.partition(" ")[0]]) for name in names]
        blocks = tuple(zip(names, range(len(names)), sizes, strict=True))
        step = "note" if self.tones_per_cell == 1 else f"cell of up to {self.tones_per_cell} notes"
        return Spec("cells", (None, len(names)), "int32", len(names), step, blocks, {}, values)

    # From a Score to cells.

    def encode(self, score: Score) -> np.ndarray:
        """Gives int32 [cell, field]. Notes are taken in the order (onset, pitch)."""
        onset, length, pitch, velocity = notes_on_grid(score, self.ticks_per_quarter)
        pitch, velocity = pitch.astype(np.int64), velocity.astype(np.int64)
        gap, quarter = np.diff(onset, prepend=onset[:1]), self.ticks_per_quarter
        gap -= -(-np.maximum(gap - self.longest_ticks, 0) // quarter) * quarter
        phase = int(onset[0]) % quarter if len(onset) else 0
        length = np.minimum(length, self.longest_ticks)
        length = until_next_onset(phase + np.cumsum(gap), length, pitch)
        slot = slots_of(gap, self.tones_per_cell)
        time = gap[slot % self.tones_per_cell == 0]
        cells = Cells(phase, time, slot // self.tones_per_cell, length, pitch, velocity)
        return self._tables.encode(cells)

    # Tables measured from the training music.

    def exact(self) -> Codec:
        """See `Codec.exact`: every value is a category."""
        return dataclasses.replace(self, times=(), lengths=(), velocities=(), pitches=())

    def value_counts(self, array: np.ndarray) -> dict[str, dict[int, int]]:
        """See `Codec.value_counts`. The first cell's time belongs to no onset before it."""
        cells = self._tables.decode(array)
        parts = {
            "time": cells.time[1:],
            "pitch": cells.pitch,
            "length": cells.length,
            "velocity": cells.velocity,
        }
        counted = {name: np.unique(part, return_counts=True) for name, part in parts.items()}
        return {
            name: dict(zip(values.tolist(), counts.tolist(), strict=True))
            for name, (values, counts) in counted.items()
        }

    def fitted(self, counts: Mapping[str, Mapping[int, int]]) -> Codec:
        """See `Codec.fitted` and `cell_tables.measured`."""
        times, lengths, velocities, pitches = measured(counts, self.most_values)
        return dataclasses.replace(
            self,
            times=self.times or times,
            lengths=self.lengths or lengths,
            velocities=self.velocities or velocities,
            pitches=self.pitches or pitches,
        )

    def recoded(self, array: np.ndarray) -> np.ndarray:
        """See `Codec.recoded`."""
        exact = self.exact()
        return array if exact == self else self._tables.encode(exact._tables.decode(array))

    def duration_quarters(self, array: np.ndarray) -> float:
        """See `Codec.duration_quarters`: to the onset of the last cell, from a quarter note."""
        if not len(array):
            return 0.0
        ticks = int(array[0, PHASE]) + int(self._tables.values["time"][array[1:, TIME]].sum())
        return ticks / self.ticks_per_quarter

    # From cells to notes, in TensorFlow ops.

    def notes(self, arrays: Any, lengths: Any) -> tuple[Any, Any, Any]:
        """See `NoteCodec.notes`. Categories that are none are clipped.

        The first onset is at the first cell's beat phase; its time, and the beat phases of the
        other cells, are ignored. Dropped: of tones of one onset and pitch all but the longest;
        notes that end after the last tick of a MIDI file.
        """
        import tensorflow as tf

        cells = self._clipped(arrays)
        batch, time = tf.shape(cells)[0], tf.shape(cells)[1]
        counts = tf.range(time)[None, :] < tf.cast(lengths, tf.int32)[:, None]
        meant = counts[..., None] & self._sounding(cells)
        tones = self._tones(cells)
        length, pitch, velocity = (
            self._taken(name, tones[..., field])
            for name, field in (("length", LENGTH), ("pitch", PITCH), ("velocity", VELOCITY))
        )
        onset = self._onset(cells[:, :1, PHASE], cells[..., TIME])
        onset = onset[..., None] + tf.zeros_like(length, tf.int64)
        valid = meant & (onset + tf.cast(length, tf.int64) <= LAST_TICK)
        onset = tf.cast(tf.minimum(onset, LAST_TICK), tf.int32)
        flat = [batch, time * self.tones_per_cell]
        parts = [tf.reshape(x, flat) for x in (onset, length, pitch, velocity, valid)]
        notes, count = one_note_per_pitch(*parts)
        return notes, count, tf.reduce_sum(tf.cast(meant, tf.int32), axis=[1, 2]) - count

    def _clipped(self, arrays: Any) -> Any:
        """Gives int32 [..., field], each in the range of its field."""
        import tensorflow as tf

        last = np.array([size - 1 for _, _, size in self.spec.blocks], np.int32)
        return tf.clip_by_value(tf.cast(arrays, tf.int32), 0, last)

    def _tones(self, cells: Any) -> Any:
        """Gives the fields of the tones: int32 [batch, cell, tone, field]."""
        import tensorflow as tf

        shape = [tf.shape(cells)[0], tf.shape(cells)[1], self.tones_per_cell, FIELDS]
        return tf.reshape(cells[..., HEAD:], shape)

    def _sounding(self, cells: Any) -> Any:
        """Whether each tone is there: bool [batch, cell, tone]."""
        import tensorflow as tf

        return tf.range(self.tones_per_cell) <= cells[..., TONES, None]

    def _taken(self, name: str, categories: Any) -> Any:
        """Gives what categories stand for: int32 [...]."""
        import tensorflow as tf

        return tf.gather(tf.constant(self._tables.values[name], tf.int32), categories)

    def _onset(self, phase: Any, time: Any) -> Any:
        """Gives the onsets of cells, int64 [batch, cell], ticks.

        Args:
          phase: int32 [batch, 1], the beat phase of the first cell.
          time: int32 [batch, cell], categories; that of the first cell is ignored.
        """
        import tensorflow as tf

        times = self._taken("time", time[:, 1:])
        return tf.cumsum(tf.cast(tf.concat([phase, times], 1), tf.int64), axis=1)

    # Augmentation and conditions, in TensorFlow ops.

    def transpose(self, arrays: Any, semitones: Any) -> Any:
        """See `Codec.transpose`."""
        import tensorflow as tf

        cells = tf.cast(arrays, tf.int32)
        tones, is_there = self._tones(cells), self._sounding(cells)
        pitch = tones[..., PITCH] + tf.cast(semitones, tf.int32)[:, None, None]
        is_within = (pitch >= 0) & (pitch < len(self._tables.values["pitch"]))
        fits = tf.reduce_all(is_within | ~is_there, axis=[1, 2], keepdims=True)
        pitch = tf.where(fits & is_there, pitch, tones[..., PITCH])
        return self._with_tones(cells[..., :HEAD], pitch, tones[..., LENGTH], tones[..., VELOCITY])

    def stretch(self, arrays: Any, factors: Any) -> Any:
        """See `Codec.stretch`.

        Onsets, counted from the quarter note of the first, and ends are multiplied and rounded,
        then the gaps and lengths between them go to the nearest category. The errors of the
        rounding do not add up, those of the categories do. No time above 0 becomes 0.
        """
        import tensorflow as tf

        cells = tf.cast(arrays, tf.int32)
        tones, is_there = self._tones(cells), self._sounding(cells)
        factors = tf.cast(factors, tf.float64)[:, None]
        onset = tf.cast(self._onset(cells[:, :1, PHASE], cells[..., TIME]), tf.float64)
        length = tf.cast(self._taken("length", tones[..., LENGTH]), tf.float64)
        moved = tf.round(onset * factors)
        end = tf.round((onset[..., None] + length) * factors[..., None])
        times = self._taken("time", cells[..., TIME])
        first = tf.round(tf.cast(times[:, :1], tf.float64) * factors)
        gaps = tf.concat([first, moved[:, 1:] - moved[:, :-1]], axis=1)
        time = self._nearest("time", tf.where(times > 0, tf.maximum(gaps, 1), 0))
        length = self._nearest("length", tf.maximum(end - moved[..., None], 1))
        length = tf.where(is_there, length, tones[..., LENGTH])
        phase = tf.cast(moved[:, :1], tf.int32) % self.ticks_per_quarter
        phase = tf.cast(self._onset(phase, time) % self.ticks_per_quarter, tf.int32)
        head = tf.stack([phase, time, cells[..., TONES]], axis=-1)
        return self._with_tones(head, tones[..., PITCH], length, tones[..., VELOCITY])

    def _nearest(self, name: str, ticks: Any) -> Any:
        """Gives the category of float64 [...] of ticks, int32; those above the longest are cut."""
        import tensorflow as tf

        ticks = tf.cast(tf.clip_by_value(ticks, 0, self.longest_ticks), tf.int32)
        return tf.gather(tf.constant(self._tables.categories[name], tf.int32), ticks)

    def _with_tones(self, head: Any, *fields: Any) -> Any:
        """Puts pitch, length and velocity, int32 [batch, cell, tone], behind their cell's head."""
        import tensorflow as tf

        tones = tf.stack(fields, axis=-1)
        shape = [tf.shape(head)[0], tf.shape(head)[1], self.tones_per_cell * FIELDS]
        return tf.concat([head, tf.reshape(tones, shape)], axis=-1)

    def onsets(self, arrays: Any) -> Onsets:
        """See `Codec.onsets`. The time after the last cell is not known; it is 0 here."""
        import tensorflow as tf

        cells = tf.cast(arrays, tf.int32)
        sounds = tf.cast(self._sounding(cells), tf.float32)
        pitch = self._taken("pitch", self._tones(cells)[..., PITCH])
        pitch_classes = tf.one_hot(pitch % 12, 12) * sounds[..., None]
        ticks = tf.pad(self._taken("time", cells[:, 1:, TIME]), [[0, 0], [0, 1]])
        tick_seconds = self.microseconds_per_quarter / 1e6 / self.ticks_per_quarter
        return Onsets(
            tf.reduce_sum(pitch_classes, axis=-2),
            tf.reduce_sum(tf.cast(pitch, tf.float32) * sounds, axis=-1),
            tf.cast(ticks, tf.float32) * tick_seconds,
        )
