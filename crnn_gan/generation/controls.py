"""What `MusicModel.generate` takes: named noises, and controls that a caller may set."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Literal, Protocol

from pipelines.spec import Spec


@dataclasses.dataclass(frozen=True)
class Noise:
    """One named noise that `generate` wants.

    Attributes:
      shape: [batch, ...]; when `per_step`, [batch, time, ...].
      distribution: "uniform" in [0, 1) or "normal" (mean 0, deviation 1).
      per_step: the second axis is time, so a longer piece begins with the shorter one.
    """

    shape: tuple[int, ...]
    distribution: Literal["uniform", "normal"]
    per_step: bool


@dataclasses.dataclass(frozen=True)
class Control:
    """What a caller of `generate` may set for each piece.

    Attributes:
      default: a number; or a tuple, where it is as many numbers.
      low, high: of each number, both ends included.
      help: what it does, in a sentence.
      dtype: of the numbers.
      sums_to_one: whether the numbers of a tuple have to; all 0 is taken as well.
    """

    default: float | tuple[float, ...]
    low: float
    high: float
    help: str
    dtype: Literal["float32", "int32"] = "float32"
    sums_to_one: bool = False


class GeneratesMusic(Protocol):
    """What sampling and exporting ask of a model; `MusicModel` documents each part."""

    rows_together: int
    steps_together: int
    bytes_per_row: int
    bytes_per_row_and_step: int
    spec: Spec
    interpolated: tuple[str, ...]
    continues: bool

    @property
    def controls(self) -> Mapping[str, Control]:
        """What a caller may set, by name."""

    @property
    def variables(self) -> Sequence[Any]:
        """All variables, as `keras.Model` lists them."""

    def noise_spec(self, count: Any, length: Any) -> dict[str, Noise]:
        """Names the noises of `count` pieces of `length` steps (ints, or scalar tensors)."""

    def generate(self, noise: Mapping[str, Any], **controls: Any) -> Any:
        """Gives codec arrays [batch, time, ...]."""

    def begin(self, length: Any, noise: Mapping[str, Any], **controls: Any) -> tuple[Any, ...]:
        """Gives the state before the first step."""

    def extend(
        self, state: tuple[Any, ...], noise: Mapping[str, Any], **controls: Any
    ) -> tuple[tuple[Any, ...], Any]:
        """Gives (state, codec arrays [batch, steps, ...]) of the next steps."""
