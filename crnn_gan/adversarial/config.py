"""Options that keep the two sides of adversarial training in step, for any model of two sides.

Each is off where its number is 0, a factor where it is 1, so that a run can say what any of them
is worth.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
from keras import ops

from crnn_gan.adversarial.losses import slope_at_real
from crnn_gan.training.phases import Phase
from pipelines.settings import flag


@dataclasses.dataclass(frozen=True)
class AdversarialConfig:
    """What models of a generator and a discriminator have in common."""

    balance_above: float = flag(
        0.0, "a side whose loss is above this trains again, on new noise; 0: none does"
    )
    balance_most: int = flag(5, "of balance_above: at most so many times more a batch")
    label_smoothing: float = flag(
        0.0, "the discriminator is to say 1 minus this of real music, not 1"
    )
    instance_noise: float = flag(
        0.0, "deviation of the noise on all that the discriminator sees, in the first epoch"
    )
    instance_noise_epochs: int = flag(
        0, "epochs over which that noise falls to nothing; 0: all of the run"
    )
    replay: int = flag(
        0,
        "generated pieces of earlier batches that are kept: a half of those that the "
        "discriminator learns from is drawn from them",
    )
    r1: float = flag(
        0.0,
        "weight of half the squared slope of the discriminator's logit at real music, which keeps "
        "it from being sure; a part of its loss",
    )
    minibatch_d: bool = flag(False, "minibatch discrimination in the discriminator")
    lr_decay: float = flag(1.0, "factor an epoch on the learning rates, after epochs_before_decay")
    epochs_before_decay: int = flag(60, "epochs before the learning rates decay")

    def __post_init__(self) -> None:
        for name in (
            "balance_above", "balance_most", "instance_noise", "instance_noise_epochs", "r1",
        ):  # fmt: skip
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(f"--{name} is {getattr(self, name)}; give 0 (off) or more")
        if not 0 <= self.label_smoothing < 0.5:
            raise ValueError(
                f"--label_smoothing is {self.label_smoothing}; give 0 (off) or more, below 0.5"
            )
        if self.replay < 0:
            raise ValueError(f"--replay is {self.replay}; give 0 (off) or more")
        if not self.lr_decay > 0:
            raise ValueError(f"--lr_decay is {self.lr_decay}; give a number above 0")
        if self.epochs_before_decay < 0:
            raise ValueError(f"--epochs_before_decay is {self.epochs_before_decay}; give 0 or more")

    def balanced(self, phase: Phase) -> Phase:
        """Gives a phase with the balancer of these settings, if there is one."""
        if not self.balance_above:
            return phase
        return dataclasses.replace(
            phase, balance_above=self.balance_above, balance_most=self.balance_most
        )

    def restrained(
        self, loss: Any, reports: Mapping[str, Any], logits: Callable[[Any], Any], real: Any
    ) -> tuple[Any, dict[str, Any]]:
        """Gives a discriminator's loss and reports with its slope, where `r1` asks for that.

        It is a pass of its own: layers that draw, draw again.
        """
        if not self.r1:
            return loss, dict(reports)
        slope = slope_at_real(logits, real)
        return loss + 0.5 * self.r1 * slope, {**reports, "slope": slope}

    @property
    def discriminator_reports(self) -> tuple[str, ...]:
        """Names of what a discriminator of probabilities reports."""
        return ("real", "fake", "slope") if self.r1 else ("real", "fake")

    def decayed(self, learning_rate: float, epoch: int) -> float:
        """Gives what is left of a learning rate in an epoch, from 0."""
        return learning_rate * self.lr_decay ** max(epoch - self.epochs_before_decay, 0)

    def noise_of(self, epoch: int, max_epoch: int) -> float:
        """Gives the deviation of the instance noise in an epoch, from 0.

        It falls in a line (Sønderby et al. 2017, arXiv 1610.04490, section 2.2).
        """
        last = self.instance_noise_epochs or max_epoch
        return self.instance_noise * max(0.0, 1 - epoch / last)


class Blur(keras.layers.Layer):
    """Adds noise to what a discriminator sees, so that real and generated music overlap.

    `deviation` is a variable, which the model sets each epoch.
    """

    def __init__(self, deviation: float, **kwargs: Any):
        super().__init__(**kwargs, dtype="float32")
        self.deviation = self.add_weight(
            shape=(), initializer="zeros", trainable=False, name="deviation"
        )
        self.deviation.assign(deviation)
        self.built = True

    def call(self, x: Any, noise: Any) -> Any:
        """Gives x with noise of its shape added, float32."""
        return ops.cast(x, "float32") + self.deviation * noise


class Replay(keras.layers.Layer):
    """Keeps generated pieces of earlier batches (Shrivastava et al. 2017, arXiv 1612.07828, 2.3).

    A discriminator that sees the newest alone forgets what the generator did before, and the
    two can go round in circles.

    Args:
      kept: pieces, 1 or more.
      shape: of a piece.
    """

    def __init__(self, kept: int, shape: Sequence[int], **kwargs: Any):
        super().__init__(**kwargs, dtype="float32")
        self.kept = kept
        self.pieces = self.add_weight(
            shape=(kept, *shape), initializer="zeros", trainable=False, name="pieces"
        )
        self.count = self.add_weight(
            shape=(), dtype="int32", initializer="zeros", trainable=False, name="count"
        )
        self.built = True

    def call(self, fresh: Any, draws: Any) -> Any:
        """Gives pieces to learn from: the second half of `fresh` replaced by kept ones.

        Then the first half is kept, each in the place of the oldest. Where fewer are kept than
        there are places, those are drawn from; of the first batch all are fresh.

        Args:
          fresh: [batch, ...].
          draws: float32 [batch // 2] in [0, 1).
        """
        half = ops.shape(draws)[0]
        begun = ops.minimum(self.count, self.kept)
        chosen = ops.cast(draws * ops.cast(begun, "float32"), "int32")
        old = ops.take(self.pieces, ops.minimum(chosen, self.kept - 1), axis=0)
        first, second = fresh[: ops.shape(fresh)[0] - half], fresh[ops.shape(fresh)[0] - half :]
        learned = ops.concatenate([first, ops.where(begun > 0, old, second)], axis=0)
        # More than there are places would write into one place twice.
        stored = ops.stop_gradient(ops.cast(fresh[: min(int(half), self.kept)], "float32"))
        places = (self.count + ops.arange(stored.shape[0])) % self.kept
        self.pieces.assign(ops.scatter_update(self.pieces, places[:, None], stored))
        self.count.assign(self.count + stored.shape[0])
        return learned
