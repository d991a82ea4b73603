"""Codec and Spec: how a Score becomes the array a network sees, and comes back.

`Spec` is the only thing that crosses from data to model. It is written in the manifest
and fixes the record, the tf.data element, the network's input and the export signature.
"""

from __future__ import annotations

import abc
import dataclasses
import importlib
import pkgutil
from typing import Any, ClassVar, Literal, NamedTuple

import numpy as np

from pipelines.score import NOTE, TEMPO, Score

Kind = Literal["tokens", "vectors", "roll", "set", "audio"]


@dataclasses.dataclass(frozen=True)
class Spec:
    """What an array is.

    Attributes:
      kind: "tokens", "vectors", "roll", "set" or "audio".
      shape: shape of one record; None where it varies. For vectors [None, features].
      dtype: NumPy name of the record's dtype.
      size: features of a vector, or tokens in the vocabulary.
      step: what one step of the first axis is, in words ("cell of 3 notes", "16th").
      blocks: named blocks of the last axis (vectors) or of the vocabulary (tokens),
        each [name, first, size].
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


class Decoded(NamedTuple):
    """A Score and how many notes of the array were dropped on the way to it."""

    score: Score
    dropped: int


class Codec(abc.ABC):
    """Turns Scores into arrays and back. One file a codec; its fields are its flags.

    Subclasses are named `Codec` in their file, are frozen dataclasses whose fields have
    a help text in `metadata["help"]`, and give `spec`, `encode`, `notes`.
    The encoding side is NumPy; TensorFlow is imported only when `notes` is called.
    """

    name: ClassVar[str]

    @property
    @abc.abstractmethod
    def spec(self) -> Spec:
        """The arrays this codec makes."""

    @abc.abstractmethod
    def encode(self, score: Score) -> np.ndarray:
        """Gives the array of a Score, as `spec` says; never fails on a valid Score."""

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

    @property
    @abc.abstractmethod
    def ticks_per_quarter(self) -> int:
        """Ticks in a quarter note of what `notes` gives."""

    @property
    @abc.abstractmethod
    def microseconds_per_quarter(self) -> int:
        """Tempo of what `decode` gives."""

    def dequantize(self, arrays: Any, uniform: Any) -> Any:
        """Spreads each value evenly over what decodes alike; see the codecs that can.

        Raises:
          ValueError: this codec's arrays cannot be spread.
        """
        raise ValueError(f"codec {self.name!r} has nothing to spread; add --nodequantize")

    def decode(self, array: np.ndarray) -> Decoded:
        """Gives the Score of one array [time, ...]. Total."""
        array = np.asarray(array)
        rows, count, dropped = self.notes(array[None], np.array([len(array)], np.int32))
        rows = np.asarray(rows)[0, : int(np.asarray(count)[0])]
        notes = np.zeros(len(rows), NOTE)
        for column, field in enumerate(("onset", "duration", "pitch", "velocity")):
            notes[field] = rows[:, column]
        tempi = np.array([(0, self.microseconds_per_quarter)], TEMPO)
        score = Score(self.ticks_per_quarter, notes, tempi=tempi)
        return Decoded(score, int(np.asarray(dropped)[0]))

    def to_json(self) -> dict[str, Any]:
        """Gives {"name": ..., fields}, from which `from_json` builds an equal codec."""
        return {"name": self.name, **dataclasses.asdict(self)}  # type: ignore[call-overload]


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


def codec_from_json(values: dict[str, Any]) -> Codec:
    """Builds the codec that `Codec.to_json` described."""
    values = dict(values)
    return codec_class(values.pop("name"))(**values)
