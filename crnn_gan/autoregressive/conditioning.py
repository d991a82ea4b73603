"""What a model is told of the music ahead, in training and by whoever asks for music.

In training each condition is hidden from some of the examples, so that one model writes with
any of them and with none. Beside its value stands whether it is shown.
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
OPEN = -1.0  # Of density and mean pitch: whoever asks leaves it to the model.
CONTROLS = {
    "pitch_class_histogram": Control(
        (0.0,) * 12,
        0.0,
        1.0,
        "shares of the pitch classes from C of the notes, which sum to 1; all 0 leaves it open",
        sums_to_one=True,
    ),
    "density": Control(OPEN, OPEN, 100.0, "notes struck a second; -1 leaves it open"),
    "mean_pitch": Control(OPEN, OPEN, 127.0, "of the notes, a MIDI key number; -1 leaves it open"),
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

    def windows_of(self, codec: Codec) -> Conditions | None:
        """Gives the conditions that a batch holds beside the music; None where there are none."""
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
    def told_size(self) -> int:
        """Numbers that stand for the conditions of a step: each value, and whether it is shown."""
        return sum(SIZES[name] + 1 for name in self.conditions)

    @property
    def condition_controls(self) -> dict[str, Control]:
        """What a caller may ask for, by name."""
        return {name: CONTROLS[name] for name in self.conditions}


def told_in_training(
    config: ConditionConfig, batch: Mapping[str, Any], drawn: Any = None
) -> Any | None:
    """Gives what each step of a batch is told: float32 [batch, time, told_size]; None of nothing.

    What is told of step t is what the batch says at index t - 1 of the music after that; of the
    first step, which has no such index, what it says at 0, where step 0 is left out.

    Args:
      config: of the model.
      batch: each condition [batch, time, size]; one that is not there is hidden from all.
      drawn: float32 [batch, conditions] in [0, 1): a condition is hidden from a row where this is
        below condition_dropout. None hides none.
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
        shown = ops.ones((rows, 1, 1))
        if drawn is not None:
            shown = ops.cast(drawn[:, index] >= config.condition_dropout, "float32")[:, None, None]
        parts.append(_with_flag(values, ops.broadcast_to(shown, (rows, time, 1))))
    return ops.concatenate(parts, axis=-1)


def told_by_controls(config: ConditionConfig, controls: Mapping[str, Any]) -> Any | None:
    """Gives what every step of pieces is told: float32 [batch, told_size]; None of nothing.

    Args:
      config: of the model.
      controls: by name, [batch] or [batch, 12].
    """
    if not config.conditions:
        return None
    parts = []
    for name in config.conditions:
        values = controls[name]
        values = values if len(values.shape) == 2 else values[:, None]
        asked = ops.any(values > 0, axis=-1, keepdims=True) if SIZES[name] > 1 else values > OPEN
        parts.append(_with_flag(_scaled(name, values), ops.cast(asked, "float32")))
    return ops.concatenate(parts, axis=-1)


def _with_flag(values: Any, shown: Any) -> Any:
    return ops.concatenate([values * shown, shown], axis=-1)


def _scaled(name: str, values: Any) -> Any:
    """Brings values [..., size] near [-1, 1], as a network likes them."""
    if name == "density":
        return ops.log1p(ops.maximum(values, 0.0)) / 3.0
    if name == "mean_pitch":
        return (values - 64.0) / 24.0
    return values
