"""NoteCodec: base class of codecs that decode arrays to notes in TensorFlow ops."""

from __future__ import annotations

import abc
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

import numpy as np

from pipelines.codecs.codec import Decoded, File, ScoreCodec
from pipelines.score import Score
from pipelines.score_arrays import NOTE, PEDAL, TEMPO, sorted_by_tick

NOTE_COLUMNS = ("onset", "duration", "pitch", "velocity")  # Of what `NoteCodec.notes` gives.
PEDAL_COLUMNS = ("tick", "controller", "value")
STEPS_TOGETHER = 2**15  # Steps of a batch that is decoded at once: bounds its memory.
MIDI_FILE = File("midi_bytes", ".mid", "Standard MIDI File")
NOTE_OUTPUTS = {
    "midi_bytes": "complete Standard MIDI Files",
    "notes": "onset tick, duration ticks, pitch, velocity; zeros after the notes of a row",
    "note_count": "notes of each row",
}
PEDAL_OUTPUTS = {
    "controls": "tick, controller (64, 66 or 67), value; zeros after the events of a row",
    "control_count": "controls of each row",
}


class NoteCodec(ScoreCodec):
    """Base class of codecs that decode arrays to notes in ops that an exported graph can hold.

    Subclasses define `spec`, `encode`, `notes`, `ticks_per_quarter`,
    `microseconds_per_quarter`, and `pedal` where they keep it.
    """

    file: ClassVar[File] = MIDI_FILE

    @property
    def output_descriptions(self) -> dict[str, str]:
        """See `Codec.output_descriptions`. `midi_bytes` holds the pedal too, if there is one."""
        return NOTE_OUTPUTS | (PEDAL_OUTPUTS if self.has_pedal else {})

    def outputs(self, arrays: Any, lengths: Any) -> dict[str, Any]:
        """See `Codec.outputs`: notes int32 [batch, note, 4], controls int32 [batch, event, 3]."""
        import tensorflow as tf

        from pipelines.midi_bytes import midi_bytes

        notes, count, _ = self.notes(arrays, lengths)
        made = {"notes": notes[:, : tf.reduce_max(count)], "note_count": count}
        pedal: dict[str, Any] = {}
        if self.has_pedal:
            events, count = self.pedal(arrays, lengths)
            pedal = {"controls": events[:, : tf.reduce_max(count)], "control_count": count}
        time = (self.ticks_per_quarter, self.microseconds_per_quarter)
        files = midi_bytes(made["notes"], made["note_count"], *time, **pedal)
        return {"midi_bytes": files, **made, **pedal}

    @property
    def has_pedal(self) -> bool:
        """Whether the codec keeps a pedal, so that `pedal` gives events."""
        return False

    @abc.abstractmethod
    def notes(self, arrays: Any, lengths: Any) -> tuple[Any, Any, Any]:
        """Decodes a batch of arrays to notes, in TensorFlow ops.

        Used by `decode` and by the exported graph alike. Total: whatever `spec` allows,
        NaN included, gives valid notes.

        Args:
          arrays: [batch, time, ...] tensor as `spec` says.
          lengths: int32 [batch], the valid steps of each row.

        Returns:
          notes: int32 [batch, note, 4] of onset tick, duration ticks, pitch, velocity;
            the valid ones first, sorted by (onset, pitch); zeros after.
          count: int32 [batch], valid notes of each row.
          dropped: int32 [batch], notes in the array that could not be kept.
        """

    def pedal(self, arrays: Any, lengths: Any) -> tuple[Any, Any]:
        """Decodes the pedal of a batch of arrays, in TensorFlow ops. Total, as `notes`.

        Args:
          arrays, lengths: as for `notes`.

        Returns:
          events: int32 [batch, event, 3] of tick, controller (64, 66 or 67), value 0..127;
            the valid ones first, sorted by tick; zeros after.
          count: int32 [batch], valid events of each row.
        """
        import tensorflow as tf

        batch = tf.shape(arrays)[0]
        return tf.zeros([batch, 0, 3], tf.int32), tf.zeros([batch], tf.int32)

    @property
    @abc.abstractmethod
    def ticks_per_quarter(self) -> int:
        """Ticks per quarter note of what `notes` gives."""

    @property
    @abc.abstractmethod
    def microseconds_per_quarter(self) -> int:
        """Tempo of decoded pieces."""

    def duration_quarters(self, array: np.ndarray) -> float:
        """See `Codec.duration_quarters`: to the end of the last step, rests included."""
        seconds = float(np.asarray(self.onsets(array[None]).seconds, np.float64).sum())
        return seconds * 1e6 / self.microseconds_per_quarter

    def lost_pitches(self, score: Score, array: np.ndarray) -> tuple[int, ...]:
        """See `Codec.lost_pitches`: those that no note of the decoded array has."""
        pitches = set(score.notes["pitch"][~score.notes["is_drum"]].tolist())
        return tuple(sorted(pitches - set(self.decode(array).score.notes["pitch"].tolist())))

    def decode(self, array: np.ndarray) -> Decoded:
        """Decodes an array [time, ...]. See `ScoreCodec.decode`."""
        return self.decode_all([array])[0]

    def decode_all(self, arrays: Sequence[np.ndarray]) -> list[Decoded]:
        """Decodes arrays [time, ...], in batches of similar length."""
        arrays = [np.asarray(array) for array in arrays]
        decoded: dict[int, Decoded] = {}
        order = sorted(range(len(arrays)), key=lambda index: len(arrays[index]))
        while order:  # Of those that are left, the longest is the last.
            together = max(1, STEPS_TOGETHER // max(1, len(arrays[order[-1]])))
            chosen, order = order[-together:], order[:-together]
            found = self._decode_together([arrays[index] for index in chosen])
            decoded.update(zip(chosen, found, strict=True))
        return [decoded[index] for index in range(len(arrays))]

    def _decode_together(self, arrays: Sequence[np.ndarray]) -> Iterator[Decoded]:
        """Decodes arrays as one batch, the shorter ones filled up with zeros."""
        batch, lengths = padded(arrays)
        notes, counts, dropped = map(np.asarray, self.notes(batch, lengths))
        events, numbers = np.zeros((len(arrays), 0, 3)), np.zeros(len(arrays), np.int32)
        if self.has_pedal:
            events, numbers = map(np.asarray, self.pedal(batch, lengths))
        tempi = np.array([(0, self.microseconds_per_quarter)], TEMPO)
        for row in range(len(arrays)):
            played = _records(notes[row, : counts[row]], NOTE, NOTE_COLUMNS)
            pedal = sorted_by_tick(_records(events[row, : numbers[row]], PEDAL, PEDAL_COLUMNS))
            score = Score(self.ticks_per_quarter, played, pedal=pedal, tempi=tempi)
            yield Decoded(score, int(dropped[row]))


def padded(arrays: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Gives arrays [time, ...] as [batch, time, ...], filled up with zeros, and int32 lengths."""
    lengths = np.array([len(array) for array in arrays], np.int32)
    batch = np.zeros((len(arrays), lengths.max(), *arrays[0].shape[1:]), arrays[0].dtype)
    for row, array in zip(batch, arrays, strict=True):
        row[: len(array)] = array
    return batch, lengths


def _records(rows: np.ndarray, dtype: np.dtype, fields: tuple[str, ...]) -> np.ndarray:
    """Gives [row] of a structured dtype, whose `fields` are the columns of [row, column]."""
    records = np.zeros(len(rows), dtype)
    for column, field in enumerate(fields):
        records[field] = rows[:, column]
    return records
