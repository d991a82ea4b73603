"""Conditions: summaries of the music ahead that a model is given at each step.

In training each condition is hidden from some of the examples, so that one model generates with
any of them and with none (as classifier-free guidance trains; Ho and Salimans 2022, arXiv
2207.12598, without its guidance). A condition is encoded as its value, scaled to about [-1, 1],
and a flag: 1 where it is given, 0 where it is hidden, and then the value is 0 too.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from keras import ops

from crnn_gan.music_model import Control
from pipelines.codecs.codec import Codec
from pipelines.settings import Settings, UsageError, flag

if TYPE_CHECKING:
    from pipelines.batches.conditions import Conditions

SIZES = {"pitch_class_histogram": 12, "density": 1, "mean_pitch": 1}
UNSET = -1.0  # Of density and mean pitch: the caller sets no condition.
CONTROLS = {
    "pitch_class_histogram": Control(
        (0.0,) * 12,
        0.0,
        1.0,
        "shares of the pitch classes from C of the notes, which sum to 1; all 0: no condition",
        sums_to_one=True,
    ),
    "density": Control(UNSET, UNSET, 100.0, "notes struck per second; -1: no condition"),
    "mean_pitch": Control(
        UNSET, UNSET, 127.0, "mean pitch of the notes, MIDI note number; -1: no condition"
    ),
}


@dataclasses.dataclass(frozen=True)
class ConditionConfig(Settings):
    """Settings of the conditions that a model is given."""

    conditions: tuple[str, ...] = flag(
        (),
        "conditions given to the model at each step, summaries of the music ahead: some of "
        "pitch_class_histogram, density, mean_pitch; separated by commas",
    )
    histogram_seconds: float = flag(
        5.0, "pitch class histogram: seconds of music ahead that it covers", above=0, at_most=3600
    )
    density_seconds: float = flag(
        3.0, "density: seconds of music ahead that it covers", above=0, at_most=3600
    )
    mean_pitch_seconds: float = flag(
        5.0, "mean pitch: seconds of music ahead that it covers", above=0, at_most=3600
    )
    centred_steps: int = flag(
        0,
        "0: conditions of the music ahead; N: of N steps around the target, as Deep Symphony has "
        "it with 50, which LEAKS the target: the N steps hold it and steps of the input",
        at_least=0,
    )
    condition_dropout: float = flag(
        0.5, "probability that a condition is hidden from a training example", at_least=0, at_most=1
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        unknown = sorted(set(self.conditions) - set(SIZES))
        if unknown:
            raise UsageError(
                f"--conditions has {', '.join(unknown)}; give some of {', '.join(SIZES)}"
            )

    def conditions_of(self, codec: Codec) -> Conditions | None:
        """Gives the conditions that a batch holds beside the music; None without any."""
        if not self.conditions:
            return None
        from pipelines.batches.conditions import Conditions

        return Conditions(
            codec,
            tuple(self.conditions),
            self.histogram_seconds,
            self.density_seconds,
            self.mean_pitch_seconds,
            centred_steps=self.centred_steps,
        )

    @property
    def condition_channels(self) -> int:
        """Numbers that encode the conditions of a step: each value, and whether it is given."""
        return sum(SIZES[name] + 1 for name in self.conditions)

    @property
    def condition_controls(self) -> dict[str, Control]:
        """The conditions that a caller of `generate` may set, by name."""
        return {name: CONTROLS[name] for name in self.conditions}


def encode_batch_conditions(
    config: ConditionConfig, batch: Mapping[str, Any], uniform: Any = None
) -> Any | None:
    """Encodes the conditions of each step of a batch.

    The condition of step t is the batch's at index t - 1, of the music after step t - 1: step 3 is
    given that at index 2, which covers step 3 and later. Step 0 is given that at index 0, which
    covers step 1 and later, as there is none before.

    Args:
      config: of the model.
      batch: each condition [batch, time, size], and "music"; a condition not in it is hidden.
      uniform: float32 [batch, conditions] in [0, 1): a condition is hidden from a row where this is
        below condition_dropout. None hides none.

    Returns:
      float32 [batch, time, condition_channels]; None without conditions.
    """
    if not config.conditions:
        return None
    parts = []
    rows, time = ops.shape(batch["music"])[:2]
    for index, name in enumerate(config.conditions):
        if name not in batch:
            parts.append(ops.zeros((rows, time, SIZES[name] + 1)))
            continue
        values = _scaled(name, batch[name])
        values = ops.concatenate([values[:, :1], values[:, :-1]], axis=1)
        given = ops.ones((rows, 1, 1))
        if uniform is not None:
            is_given = uniform[:, index] >= config.condition_dropout
            given = ops.cast(is_given, "float32")[:, None, None]
        parts.append(_with_flag(values, ops.broadcast_to(given, (rows, time, 1))))
    return ops.concatenate(parts, axis=-1)


def encode_control_conditions(config: ConditionConfig, controls: Mapping[str, Any]) -> Any | None:
    """Encodes the conditions that a caller of `generate` sets, which hold for every step.

    Args:
      config: of the model.
      controls: by name, [batch] or [batch, 12]; see `CONTROLS` for what sets none.

    Returns:
      float32 [batch, condition_channels]; None without conditions.
    """
    if not config.conditions:
        return None
    parts = []
    for name in config.conditions:
        values = controls[name]
        values = values if len(values.shape) == 2 else values[:, None]
        given = ops.any(values > 0, axis=-1, keepdims=True) if SIZES[name] > 1 else values > UNSET
        parts.append(_with_flag(_scaled(name, values), ops.cast(given, "float32")))
    return ops.concatenate(parts, axis=-1)


def _with_flag(values: Any, given: Any) -> Any:
    return ops.concatenate([values * given, given], axis=-1)


def _scaled(name: str, values: Any) -> Any:
    """Scales values [..., size] to about [-1, 1]."""
    if name == "density":
        return ops.log1p(ops.maximum(values, 0.0)) / 3.0
    if name == "mean_pitch":
        return (values - 64.0) / 24.0
    return values
