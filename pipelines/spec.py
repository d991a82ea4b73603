"""Spec: what the array of a piece is; the only thing that crosses from data to model.

It is written in the manifest and fixes the record, the tf.data element, the network's input
and the export signature.
"""

from __future__ import annotations

import dataclasses
from typing import Any, Literal

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
