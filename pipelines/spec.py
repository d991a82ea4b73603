"""Spec: shape, dtype and meaning of a piece's array; all that a model knows of the data.

It is written in the manifest and determines the record, the tf.data element, the network's input
and the export signature.
"""

from __future__ import annotations

import dataclasses
from typing import Annotated, Any, Literal

import numpy as np

from pipelines.json_schema import value_of
from pipelines.settings import Bounds

Kind = Literal["tokens", "vectors", "cells", "roll", "set", "audio"]
DType = Literal["uint8", "uint16", "int32", "int64", "float32"]
Size = Annotated[int, Bounds(at_least=1)]
First = Annotated[int, Bounds(at_least=0)]


@dataclasses.dataclass(frozen=True)
class Spec:
    """Shape, dtype and meaning of the arrays of a codec.

    Attributes:
      kind: "tokens", "vectors", "cells", "roll", "set" or "audio".
      shape: of one record; None where it varies. [time] of tokens and audio, [time, feature] of
        vectors, [time, field] of cells, [time, pitch, plane] of a roll, [time, member, feature] of
        a set.
      dtype: NumPy name of the record's dtype.
      size: number of tokens in the vocabulary or of levels of audio, which are 0 to size - 1;
        else the length of the last axis. A roll may hold any value of its dtype.
      step: what one step of the first axis is, in words ("cell of 3 notes", "16th").
      blocks: named blocks of the vocabulary (tokens), else of the last axis, each
        [name, first, size]. Of cells the fields: [name, place on the last axis, number of its
        categories], which are 0 to that number - 1.
      classes: categorical side inputs of each record, with their values in index order;
        for example {"composer": ("bach", "mozart")}.
      values: of cells, what each category of a field stands for, ascending; of the fields of all
        tones once, by the name without the tone's number. {"velocity": (44, 72)} says that
        category 1 of "velocity 1", and of "velocity 2", is velocity 72.
    """

    kind: Kind
    shape: tuple[Size | None, ...]
    dtype: DType
    size: Size
    step: str
    blocks: tuple[tuple[str, First, Size], ...] = ()
    classes: dict[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)
    values: dict[str, tuple[int, ...]] = dataclasses.field(default_factory=dict)

    def allows(self, array: np.ndarray) -> bool:
        """Tells whether tokens, levels or categories are those there are; other kinds allow all.

        Args:
          array: of this shape and dtype.
        """
        if self.kind in ("tokens", "audio"):
            return bool(array.min(initial=0) >= 0 and array.max(initial=0) < self.size)
        if self.kind == "cells":
            return bool(((array >= 0) & (array < [size for _, _, size in self.blocks])).all())
        return True

    def to_json(self) -> dict[str, Any]:
        """Gives the Spec as plain JSON values."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, values: Any, where: str = "spec") -> Spec:
        """Reads what `to_json` gave; `where` is its key's path.

        Raises:
          SchemaError: it is no Spec.
        """
        spec: Spec = value_of(cls, values, where)
        return spec
