"""Codec: how a Score becomes the array a network sees, and comes back."""

from __future__ import annotations

import abc
import dataclasses
import importlib
import pkgutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np

from pipelines.score import Score
from pipelines.settings import Settings
from pipelines.spec import Kind, Spec

BASES = {"codec", "note_codec"}  # Modules beside the codecs that are none.


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


class Decoded(NamedTuple):
    """A Score and how many notes of the array were dropped on the way to it."""

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
    """Turns Scores into arrays. One file a codec; its fields are its flags.

    Subclasses are named `Codec` in their file and are frozen dataclasses whose fields are made
    by `flag`. The encoding side is NumPy; TensorFlow is imported
    only when one of the methods on tensors is called. Most are `NoteCodec`s; text is a
    `ScoreCodec`; of sound no Score comes back.

    Attributes:
      name: of its file.
      file: what an exported model writes of each piece.
      epoch_files: what a run writes of the pieces that it samples after each epoch, in words.
      gives_scores: whether its arrays become Scores again, so that notes can be counted,
        compared and engraved. Then it is a `ScoreCodec`: see `require_scores`.
      own_suffixes: of files that hold what its arrays hold, and that are no Scores: see `read`.
    """

    name: ClassVar[str]
    file: ClassVar[File]
    epoch_files: ClassVar[str]
    gives_scores: ClassVar[bool] = False
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

    @property
    def ticks_per_quarter(self) -> int | None:
        """Ticks per quarter note of the notes that an exported model gives; None without notes."""
        return None

    @property
    def microseconds_per_quarter(self) -> int | None:
        """Tempo of the notes that an exported model gives; None without notes."""
        return None

    def require_scores(self) -> ScoreCodec:
        """Gives the codec itself, as one that gives Scores.

        Raises:
          ValueError: no Scores come back from its arrays; the text names codecs that do.
        """
        raise ValueError(
            f"codec {self.name!r} gives {self.file.suffix} files, from which no notes come back; "
            "for notes, prepare with another codec: "
            f"--codec={'|'.join(_names_of_score_codecs())}"
        )

    def duration_quarters(self, array: np.ndarray) -> float:
        """Gives how long an array [time, ...] lasts, in quarter notes: where what follows begins.

        0 where arrays are no Scores: a step of sound is a time by itself.
        """
        return 0.0

    def lost_pitches(self, score: Score, array: np.ndarray) -> tuple[int, ...]:
        """Gives the MIDI key numbers of a Score, drums apart, that its array has lost; sorted.

        Of codecs that keep no notes, or the text of the piece, none is lost.
        """
        return ()

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

    def onsets(self, arrays: Any) -> Onsets:
        """Gives the onsets at each step, in TensorFlow ops, for conditions.

        Args:
          arrays: [batch, time, ...] tensor as `spec` says.

        Raises:
          ValueError: this codec's arrays have no onsets.
        """
        raise ValueError(
            f"codec {self.name!r} says of no step which notes begin there, so nothing can be "
            "conditioned on onsets; prepare with another codec"
        )

    def to_json(self) -> dict[str, Any]:
        """Gives {"name": ..., fields}, from which `from_json` builds an equal codec."""
        return {"name": self.name, **dataclasses.asdict(self)}  # type: ignore[call-overload]


class ScoreCodec(Codec):
    """Base class of codecs whose arrays become Scores again.

    Attributes:
      starts_anywhere: whether what begins within an array decodes as it does there. Where it
        does not, windows of real music are the beginnings of pieces.
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
        """Gives the Score of one array [time, ...]. Total."""

    def decode_all(self, arrays: Sequence[np.ndarray]) -> list[Decoded]:
        """Gives the Score of each array [time, ...], as `decode` does."""
        return [self.decode(array) for array in arrays]


def codec_class(name: str) -> type[Codec]:
    """Finds a codec by the name of its file. ValueError names those there are."""
    names = codec_names()
    if name not in names:
        raise ValueError(f"there is no codec {name!r}; the codecs are: {', '.join(names)}")
    return importlib.import_module(f"pipelines.codecs.{name}").Codec


def codec_names() -> list[str]:
    """Lists the codecs, from the files beside this one."""
    package = importlib.import_module("pipelines.codecs")
    names = {module.name for module in pkgutil.iter_modules(package.__path__)}
    return sorted(names - BASES)


def codecs_of(kinds: Sequence[Kind]) -> list[str]:
    """Names the codecs whose Spec, with their default settings, is of one of some kinds."""
    return [name for name in codec_names() if codec_class(name)().spec.kind in kinds]


def codec_from_json(values: dict[str, Any]) -> Codec:
    """Builds the codec that `Codec.to_json` described."""
    values = dict(values)
    return codec_class(values.pop("name"))(**values)


def score_codec(codec: Codec) -> ScoreCodec:
    """See `Codec.require_scores`."""
    return codec.require_scores()


def _names_of_score_codecs() -> list[str]:
    return [name for name in codec_names() if codec_class(name).gives_scores]
