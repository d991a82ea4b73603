"""Codec and Spec: how a Score becomes the array a network sees, and comes back.

`Spec` is the only thing that crosses from data to model. It is written in the manifest
and fixes the record, the tf.data element, the network's input and the export signature.
"""

from __future__ import annotations

import abc
import dataclasses
import importlib
import pkgutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal, NamedTuple

import numpy as np

from pipelines.score import NOTE, PEDAL, TEMPO, Score, sorted_by_tick
from pipelines.settings import Settings

NOTE_COLUMNS = ("onset", "duration", "pitch", "velocity")  # Of what `NoteCodec.notes` gives.
PEDAL_COLUMNS = ("tick", "controller", "value")
STEPS_TOGETHER = 2**15  # Of a batch that is decoded at once: bounds its memory.

Kind = Literal["tokens", "vectors", "roll", "set", "audio"]


@dataclasses.dataclass(frozen=True)
class Spec:
    """What an array is.

    Attributes:
      kind: "tokens", "vectors", "roll", "set" or "audio".
      shape: shape of one record; None where it varies. For tokens and audio [None], vectors
        [None, features], a roll [None, pitches, planes], a set [None, members, features].
      dtype: NumPy name of the record's dtype.
      size: tokens in the vocabulary, levels of audio, else the length of the last axis.
        Tokens and levels are 0 to size - 1; a roll may hold whatever its dtype does.
      step: what one step of the first axis is, in words ("cell of 3 notes", "16th").
      blocks: named blocks of the vocabulary (tokens), else of the last axis, each
        [name, first, size].
      classes: named side inputs of each record, with their values in index order;
        for example {"composer": ("bach", "mozart")}.
    """

    kind: Kind
    shape: tuple[int | None, ...]
    dtype: str
    size: int
    step: str
    blocks: tuple[tuple[str, int, int], ...] = ()
    classes: dict[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Gives the Spec as plain JSON values."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Spec:
        """Reads what `to_json` gave."""
        values = dict(values)
        values["shape"] = tuple(values["shape"])
        values["blocks"] = tuple((name, first, size) for name, first, size in values["blocks"])
        values["classes"] = {name: tuple(names) for name, names in values["classes"].items()}
        return cls(**values)


@dataclasses.dataclass(frozen=True)
class File:
    """The file that an exported model gives of each piece.

    Attributes:
      output: the output that holds its bytes, a string [batch].
      suffix: of its name.
      kind: what it is, in words.
    """

    output: str
    suffix: str
    kind: str


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


class Decoded(NamedTuple):
    """A Score and how many notes of the array were dropped on the way to it."""

    score: Score
    dropped: int


class Struck(NamedTuple):
    """The notes that begin at each step of a batch of arrays, as TensorFlow tensors.

    Attributes:
      pitch_classes: float32 [batch, time, 12], how many notes of each pitch class, C first.
      pitch_sum: float32 [batch, time], the sum of their pitches.
      seconds: float32 [batch, time], from the beginning of the step to that of the next.
    """

    pitch_classes: Any
    pitch_sum: Any
    seconds: Any


class Codec(Settings, abc.ABC):
    """Turns Scores into arrays. One file a codec; its fields are its flags.

    Subclasses are named `Codec` in their file and are frozen dataclasses whose fields are made
    by `flag`. The encoding side is NumPy; TensorFlow is imported
    only when one of the methods on tensors is called. Most are `NoteCodec`s; text is a
    `ScoreCodec`; of sound no Score comes back.

    Attributes:
      name: of its file.
      file: what an exported model writes of each piece.
      own_suffixes: of files that hold what its arrays hold, and that are no Scores: see `read`.
    """

    name: ClassVar[str]
    file: ClassVar[File]
    own_suffixes: ClassVar[tuple[str, ...]] = ()

    @property
    @abc.abstractmethod
    def spec(self) -> Spec:
        """The arrays this codec makes."""

    @abc.abstractmethod
    def encode(self, score: Score) -> np.ndarray:
        """Gives the array of a Score, as `spec` says; never fails on a valid Score."""

    @property
    @abc.abstractmethod
    def offers(self) -> dict[str, str]:
        """What an exported model gives of each piece: {output: what it is, in words}."""

    @abc.abstractmethod
    def outputs(self, arrays: Any, lengths: Any) -> dict[str, Any]:
        """Gives what `offers` names, in TensorFlow ops, for the graph of an exported model.

        Args:
          arrays: [batch, time, ...] tensor as `spec` says, of any integer dtype where that is
            one.
          lengths: int32 [batch], the steps of each row that count.

        Returns:
          {output: tensor [batch, ...]}, the output that `file` names among them.
        """

    def read(self, path: Path) -> np.ndarray:
        """Gives the array of a file of one of `own_suffixes`.

        Raises:
          ValueError: it cannot be read. OSError: it is not there.
        """
        raise ValueError(f"codec {self.name!r} reads no files of its own")

    def without_end(self, array: np.ndarray) -> np.ndarray:
        """Gives the array of a piece without what says that it ends, for something to follow."""
        return array

    def require(self, fact: bool, text: str) -> None:
        """Raises ValueError, the codec's name before the text, where the fact does not hold."""
        if not fact:
            raise ValueError(f"codec {self.name}: {text}")

    def dequantize(self, arrays: Any, uniform: Any) -> Any:
        """Spreads each value evenly over what decodes alike; see the codecs that can.

        Raises:
          ValueError: this codec's arrays cannot be spread.
        """
        raise ValueError(f"codec {self.name!r} has nothing to spread; add --nodequantize")

    def transpose(self, arrays: Any, semitones: Any) -> Any:
        """Moves the notes of each row, in TensorFlow ops, for augmentation.

        Args:
          arrays: [batch, time, ...] tensor as `spec` says.
          semitones: int32 [batch], up where positive. A row that would leave the codec's
            pitches stays as it is.

        Returns:
          Tensor of the shape and dtype of `arrays`.

        Raises:
          ValueError: this codec's arrays cannot be transposed.
        """
        raise ValueError(f"codec {self.name!r} cannot transpose; add --transpose_semitones=0")

    def stretch(self, arrays: Any, factors: Any) -> Any:
        """Makes the times of each row longer, in TensorFlow ops, for augmentation.

        Args:
          arrays: [batch, time, ...] tensor as `spec` says.
          factors: float32 [batch], slower above 1.

        Returns:
          Tensor of the shape and dtype of `arrays`; times are rounded to the codec's grid.

        Raises:
          ValueError: this codec's arrays have no seconds to stretch.
        """
        raise ValueError(f"codec {self.name!r} cannot stretch time; add --stretch_percent=0")

    def struck(self, arrays: Any) -> Struck:
        """Gives the notes that begin at each step, in TensorFlow ops, for conditions.

        Args:
          arrays: [batch, time, ...] tensor as `spec` says.

        Raises:
          ValueError: this codec's arrays do not say which notes begin where.
        """
        raise ValueError(
            f"codec {self.name!r} does not say which notes begin where, so nothing can be "
            "conditioned on them; prepare with another codec"
        )

    def to_json(self) -> dict[str, Any]:
        """Gives {"name": ..., fields}, from which `from_json` builds an equal codec."""
        return {"name": self.name, **dataclasses.asdict(self)}  # type: ignore[call-overload]


class ScoreCodec(Codec):
    """A codec whose arrays are Scores again.

    Attributes:
      starts_anywhere: whether what begins within an array decodes as it does there. Where it
        does not, windows of real music are the beginnings of pieces.
    """

    starts_anywhere: ClassVar[bool] = True

    @abc.abstractmethod
    def decode(self, array: np.ndarray) -> Decoded:
        """Gives the Score of one array [time, ...]. Total."""

    def decode_all(self, arrays: Sequence[np.ndarray]) -> list[Decoded]:
        """Gives the Score of each array [time, ...], as `decode` does."""
        return [self.decode(array) for array in arrays]


class NoteCodec(ScoreCodec):
    """A codec whose arrays are notes again, by ops that an exported graph can hold.

    Subclasses give `spec`, `encode`, `notes`, `ticks_per_quarter`,
    `microseconds_per_quarter`, and `pedal` where they keep it.
    """

    file: ClassVar[File] = MIDI_FILE

    @property
    def offers(self) -> dict[str, str]:
        """See `Codec.offers`. The pedal, of a codec that keeps it, is in `midi_bytes` too."""
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
        """Whether `pedal` gives anything."""
        return False

    @abc.abstractmethod
    def notes(self, arrays: Any, lengths: Any) -> tuple[Any, Any, Any]:
        """Gives the notes of a batch of arrays, in TensorFlow ops.

        Used by `decode` and by the exported graph alike. Total: whatever `spec` allows,
        NaN included, gives valid notes.

        Args:
          arrays: [batch, time, ...] tensor as `spec` says.
          lengths: int32 [batch], the steps of each row that count.

        Returns:
          notes: int32 [batch, note, 4] of onset tick, duration ticks, pitch, velocity;
            the valid ones first, sorted by (onset, pitch); zeros after.
          count: int32 [batch], valid notes of each row.
          dropped: int32 [batch], notes that were meant but could not be kept.
        """

    def pedal(self, arrays: Any, lengths: Any) -> tuple[Any, Any]:
        """Gives the pedal of a batch of arrays, in TensorFlow ops. Total, as `notes`.

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
        """Ticks in a quarter note of what `notes` gives."""

    @property
    @abc.abstractmethod
    def microseconds_per_quarter(self) -> int:
        """Tempo of what `decode` gives."""

    def decode(self, array: np.ndarray) -> Decoded:
        """Gives the Score of one array [time, ...]. Total."""
        return self.decode_all([array])[0]

    def decode_all(self, arrays: Sequence[np.ndarray]) -> list[Decoded]:
        """Gives the Score of each array [time, ...], as `decode` does; many short ones faster."""
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
        lengths = np.array([len(array) for array in arrays], np.int32)
        batch = np.zeros((len(arrays), lengths.max(), *arrays[0].shape[1:]), arrays[0].dtype)
        for row, array in zip(batch, arrays, strict=True):
            row[: len(array)] = array
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


def _records(rows: np.ndarray, dtype: np.dtype, fields: tuple[str, ...]) -> np.ndarray:
    """Gives [row] of a structured dtype, whose `fields` are the columns of [row, column]."""
    records = np.zeros(len(rows), dtype)
    for column, field in enumerate(fields):
        records[field] = rows[:, column]
    return records


def codec_class(name: str) -> type[Codec]:
    """Finds a codec by the name of its file. ValueError names those there are."""
    names = codec_names()
    if name not in names:
        raise ValueError(f"there is no codec {name!r}; the codecs are: {', '.join(names)}")
    return importlib.import_module(f"pipelines.codecs.{name}").Codec


def codec_names() -> list[str]:
    """Lists the codecs, from the files beside this one."""
    package = importlib.import_module("pipelines.codecs")
    return sorted(m.name for m in pkgutil.iter_modules(package.__path__) if m.name != "codec")


def codecs_of(kinds: Sequence[Kind]) -> list[str]:
    """Names the codecs whose Spec, with their default settings, is of one of some kinds."""
    return [name for name in codec_names() if codec_class(name)().spec.kind in kinds]


def codec_from_json(values: dict[str, Any]) -> Codec:
    """Builds the codec that `Codec.to_json` described."""
    values = dict(values)
    return codec_class(values.pop("name"))(**values)


def score_codec(codec: Codec) -> ScoreCodec:
    """Gives the codec itself. ValueError where no Scores come back from its arrays."""
    if not isinstance(codec, ScoreCodec):
        raise ValueError(
            f"codec {codec.name!r} gives {codec.file.suffix} files, from which no notes come back; "
            "for notes, prepare with another codec: "
            f"--codec={'|'.join(_names_of_score_codecs())}"
        )
    return codec


def _names_of_score_codecs() -> list[str]:
    return [name for name in codec_names() if issubclass(codec_class(name), ScoreCodec)]
