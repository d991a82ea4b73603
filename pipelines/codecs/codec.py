"""Codec: encodes a Score as the array that a network is trained on, and decodes arrays."""

from __future__ import annotations

import abc
import dataclasses
import importlib
import pkgutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np

from pipelines.json_file import shown
from pipelines.json_schema import SchemaError, object_of, value_of
from pipelines.score import Score
from pipelines.settings import Settings
from pipelines.spec import Kind, Spec

BASES = {"codec", "note_codec"}  # Modules beside the codecs that are none.


@dataclasses.dataclass(frozen=True)
class File:
    """The file that an exported model writes for each piece.

    Attributes:
      output: name of the output with the bytes of the files, string [batch].
      suffix: of the file's name, such as ".mid".
      kind: the format in words.
    """

    output: str
    suffix: str
    kind: str


class Decoded(NamedTuple):
    """A decoded Score, and how many notes of the array could not be kept in it."""

    score: Score
    dropped: int


class Onsets(NamedTuple):
    """The onsets of notes at each step of a batch of arrays, as TensorFlow tensors.

    Attributes:
      pitch_classes: float32 [batch, time, 12], onsets of each pitch class, C first.
      pitch_sum: float32 [batch, time], the sum of their pitches.
      seconds: float32 [batch, time], from the beginning of the step to that of the next.
    """

    pitch_classes: Any
    pitch_sum: Any
    seconds: Any


class Codec(Settings, abc.ABC):
    """Base class of codecs: encodes Scores as arrays. One file per codec; fields are flags.

    Subclasses are named `Codec` in their file, and are frozen dataclasses whose fields are made
    by `flag`. Encoding is NumPy; TensorFlow is imported only when a method on tensors is called.
    Most codecs are `NoteCodec`s; `abc_text` is a `ScoreCodec`; sound cannot be decoded to a
    Score.

    Attributes:
      name: of its file, and the value of --codec.
      file: the file that an exported model writes for each piece.
      epoch_files: what a run writes of the pieces that it samples after each epoch, in words.
      gives_scores: whether arrays can be decoded to Scores, so that notes can be counted,
        compared and engraved. Then it is a `ScoreCodec`: see `require_scores`.
      own_suffixes: suffixes of files in a format of the codec's own, which `read` encodes
        without a Score (".wav" of audio).
    """

    name: ClassVar[str]
    file: ClassVar[File]
    epoch_files: ClassVar[str]
    gives_scores: ClassVar[bool] = False
    own_suffixes: ClassVar[tuple[str, ...]] = ()

    @property
    @abc.abstractmethod
    def spec(self) -> Spec:
        """What the arrays of this codec are."""

    @abc.abstractmethod
    def encode(self, score: Score) -> np.ndarray:
        """Encodes a Score as an array, as `spec` says; never fails on a valid Score."""

    @property
    def bytes_per_step(self) -> int:
        """Upper bound of the memory that `outputs` takes for a step of a row, its results included;
        benchmarks/sampling_memory.py measures it. Of vectors the distances of a tone's pitch from
        all 128 take most."""
        return 2048 + 128 * self.spec.size if self.spec.kind == "vectors" else 512

    @property
    @abc.abstractmethod
    def output_descriptions(self) -> dict[str, str]:
        """The outputs of an exported model for each piece: {name of the output: description}."""

    @abc.abstractmethod
    def outputs(self, arrays: Any, lengths: Any) -> dict[str, Any]:
        """Gives the outputs of `output_descriptions`, in TensorFlow ops, for an exported graph.

        Args:
          arrays: [batch, time, ...] tensor as `spec` says; of any integer dtype where the spec's
            is an integer.
          lengths: int32 [batch], the valid steps of each row.

        Returns:
          {output: tensor [batch, ...]}, the output that `file` names among them.
        """

    def read(self, path: Path) -> np.ndarray:
        """Encodes a file of one of `own_suffixes`.

        Raises:
          ValueError: it cannot be read.
          OSError: there is no such file.
        """
        raise ValueError(f"codec {self.name!r} reads no files of its own")

    @property
    def ticks_per_quarter(self) -> int | None:
        """Ticks per quarter note of the outputs of an exported model; None without notes."""
        return None

    @property
    def microseconds_per_quarter(self) -> int | None:
        """Tempo of the outputs of an exported model; None without notes."""
        return None

    def require_scores(self) -> ScoreCodec:
        """Gives the codec itself, as a `ScoreCodec`.

        Raises:
          ValueError: its arrays cannot be decoded to Scores; the text names codecs whose can.
        """
        raise ValueError(
            f"codec {self.name!r} gives {self.file.suffix} files, from which no notes come back; "
            "for notes, prepare with another codec: "
            f"--codec={'|'.join(_names_of_score_codecs())}"
        )

    def duration_quarters(self, array: np.ndarray) -> float:
        """Gives the duration of an array [time, ...] in quarter notes; a continuation begins there.

        0.0 for codecs without Scores, whose continuation begins with the next step.
        """
        return 0.0

    def lost_pitches(self, score: Score, array: np.ndarray) -> tuple[int, ...]:
        """Gives the pitches of a Score, without drums, that are missing in its array.

        Args:
          score: any Score.
          array: the Score as `encode` gives it, or a part of it.

        Returns:
          MIDI key numbers, sorted; () for codecs that are not `NoteCodec`s.
        """
        return ()

    def without_end(self, array: np.ndarray) -> np.ndarray:
        """Gives the array without its end token and what follows it, to be continued."""
        return array

    def require_spec(self, spec: Spec) -> None:
        """Raises SchemaError where a Spec read from a file, classes aside, is not this codec's."""
        own, there = self.spec.to_json(), spec.to_json()
        for name in own:
            if name != "classes" and own[name] != there[name]:
                raise SchemaError(
                    f"spec.{name} is {shown(there[name])}; expected {shown(own[name])}, as the "
                    f"codec {self.name} with these settings has it"
                )

    def require(self, fact: bool, text: str) -> None:
        """Raises ValueError, whose text begins with the codec's name, where the fact is false."""
        if not fact:
            raise ValueError(f"codec {self.name}: {text}")

    def dequantize(self, arrays: Any, uniform: Any) -> Any:
        """Adds uniform noise that does not change the notes an array decodes to.

        Without it a critic could tell real music by its values on a grid. See `note_tuples`.

        Raises:
          ValueError: this codec's arrays cannot be dequantized.
        """
        raise ValueError(f"codec {self.name!r} cannot be dequantized; add --nodequantize")

    def transpose(self, arrays: Any, semitones: Any) -> Any:
        """Transposes each row, in TensorFlow ops, for augmentation.

        Args:
          arrays: [batch, time, ...] tensor as `spec` says.
          semitones: int32 [batch], up where positive. A row with a note that would leave the
            codec's range of pitches is not transposed.

        Returns:
          Tensor of the shape and dtype of `arrays`.

        Raises:
          ValueError: this codec's arrays cannot be transposed.
        """
        raise ValueError(f"codec {self.name!r} cannot transpose; add --transpose_semitones=0")

    def stretch(self, arrays: Any, factors: Any) -> Any:
        """Multiplies the times of each row, in TensorFlow ops, for augmentation.

        Args:
          arrays: [batch, time, ...] tensor as `spec` says.
          factors: float32 [batch]; above 1 the music is slower.

        Returns:
          Tensor of the shape and dtype of `arrays`; times are rounded to the codec's grid.

        Raises:
          ValueError: this codec's arrays have no seconds to stretch.
        """
        raise ValueError(f"codec {self.name!r} cannot stretch time; add --stretch_percent=0")

    def onsets(self, arrays: Any) -> Onsets:
        """Gives the onsets of notes at each step, in TensorFlow ops, for conditions.

        Args:
          arrays: [batch, time, ...] tensor as `spec` says.

        Raises:
          ValueError: this codec's arrays have no onsets.
        """
        raise ValueError(
            f"codec {self.name!r} says of no step which notes begin there, so nothing can be "
            "conditioned on onsets; prepare with another codec"
        )

    # Tables measured from the music, where `spec.values` is not empty; see docs/decisions/0040.

    def exact(self) -> Codec:
        """Gives the codec that encodes without loss what tables are measured from.

        Pieces are encoded by it first; once it is known which are for training, `fitted` gives
        the codec with its tables, and `recoded` maps their arrays. The codec itself where nothing
        is measured.
        """
        return self

    def value_counts(self, array: np.ndarray) -> dict[str, dict[int, int]]:
        """Counts the values in an array of `exact`: {name in `Spec.values`: {value: count}}."""
        return {}

    def fitted(self, counts: Mapping[str, Mapping[int, int]]) -> Codec:
        """Gives the codec with tables measured from the sums of `value_counts`; given ones stay."""
        return self

    def recoded(self, array: np.ndarray) -> np.ndarray:
        """Gives an array of `exact` as this codec encodes it, of the same shape and dtype."""
        return array

    def to_json(self) -> dict[str, Any]:
        """Gives {"name": ..., fields}, from which `codec_from_json` builds an equal codec."""
        fields = dataclasses.asdict(self)  # type: ignore[call-overload]
        lists = {name: list(v) for name, v in fields.items() if isinstance(v, tuple)}
        return {"name": self.name, **fields, **lists}


class ScoreCodec(Codec):
    """Base class of codecs whose arrays become Scores again.

    Attributes:
      starts_anywhere: whether a part of an array decodes to that part of the piece. Else, as of
        text whose header says the key, only beginnings of pieces are compared with real music.
    """

    epoch_files: ClassVar[str] = "MIDI, piano rolls and statistics"
    gives_scores: ClassVar[bool] = True
    starts_anywhere: ClassVar[bool] = True

    def require_scores(self) -> ScoreCodec:
        """Gives the codec itself."""
        return self

    def duration_quarters(self, array: np.ndarray) -> float:
        """See `Codec.duration_quarters`: to the end of the last note."""
        score = self.decode(array).score
        return score.length_ticks / score.ticks_per_quarter

    @abc.abstractmethod
    def decode(self, array: np.ndarray) -> Decoded:
        """Decodes an array [time, ...]. Total: any array that `spec` allows gives a valid Score."""

    def decode_all(self, arrays: Sequence[np.ndarray]) -> list[Decoded]:
        """Decodes each array [time, ...], as `decode` does."""
        return [self.decode(array) for array in arrays]


def codec_class(name: str) -> type[Codec]:
    """Gives the codec of a name. ValueError, which lists all names, where there is none."""
    names = codec_names()
    if name not in names:
        raise ValueError(f"there is no codec {name!r}; the codecs are: {', '.join(names)}")
    return importlib.import_module(f"pipelines.codecs.{name}").Codec


def codec_names() -> list[str]:
    """Lists the names of the codecs: of the files beside this one."""
    package = importlib.import_module("pipelines.codecs")
    names = {module.name for module in pkgutil.iter_modules(package.__path__)}
    return sorted(names - BASES)


def codecs_of(kinds: Sequence[Kind]) -> list[str]:
    """Names the codecs whose Spec, with their default settings, is of one of some kinds."""
    return [name for name in codec_names() if codec_class(name)().spec.kind in kinds]


def codec_from_json(values: Any, where: str = "codec") -> Codec:
    """Builds a codec from what `Codec.to_json` gave; `where` is its key's path.

    Raises:
      SchemaError: it is of no codec of this version.
    """
    fields = dict(value_of(dict[str, Any], values, where))
    name = value_of(str, fields.pop("name", None), f"{where}.name")
    if name not in codec_names():
        raise SchemaError(
            f"{where}.name is {shown(name)}; expected one of {'|'.join(codec_names())}"
        )
    codec: Codec = object_of(codec_class(name), fields, where)
    return codec


def _names_of_score_codecs() -> list[str]:
    return [name for name in codec_names() if codec_class(name).gives_scores]
