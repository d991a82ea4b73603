"""What models trained by maximum likelihood share: settings, and which steps of a window count."""

from __future__ import annotations

import dataclasses
import math
from typing import Any, Literal

from keras import ops

from pipelines.settings import Settings, flag


@dataclasses.dataclass(frozen=True)
class LikelihoodConfig(Settings):
    """Settings that models trained by maximum likelihood share."""

    window_steps: int = flag(
        256, "length of a training window, steps of the codec", at_least=2, at_most=1_000_000
    )
    batch_size: int = flag(32, "windows per batch", at_least=1)
    max_epoch: int = flag(20, "epochs of training", at_least=1)
    dropout: float = flag(0.0, "dropout rate between layers", at_least=0, below=1)
    learning_rate: float = flag(1e-3, "peak learning rate of Adam", above=0)
    lr_schedule: Literal["decay", "cosine"] = flag(
        "decay",
        "learning rate schedule; decay: constant, then times lr_decay per epoch after "
        "epochs_before_decay; cosine: to 0 at max_epoch, so that training on with a larger "
        "max_epoch begins by raising the rate again",
    )
    lr_decay: float = flag(
        1.0, "of decay: factor per epoch on the learning rate, after epochs_before_decay", above=0
    )
    epochs_before_decay: int = flag(
        10, "of decay: epochs at the peak learning rate before it decays", at_least=0
    )
    warmup_epochs: int = flag(
        0, "first epochs, over which the learning rate rises linearly to its peak", at_least=0
    )
    max_grad_norm: float = flag(
        3.0, "gradient clipping: largest global norm of the gradient", above=0
    )
    average: float = flag(
        0.0,
        "decay per batch of an exponential moving average of the weights, which then generates and "
        "is evaluated in their place; 0 for none",
        at_least=0,
        below=1,
    )

    def learning_rate_of(self, epoch: int) -> float:
        """Gives the learning rate of an epoch, counted from 0.

        Of the cosine schedule it is the rate at the middle of the epoch.
        """
        rising = min(1.0, (epoch + 1) / (self.warmup_epochs + 1))
        if self.lr_schedule == "cosine":
            falling = 0.5 + 0.5 * math.cos(math.pi * (epoch + 0.5) / self.max_epoch)
        else:
            falling = self.lr_decay ** max(epoch - self.epochs_before_decay, 0)
        return self.learning_rate * rising * falling


def step_weights(valid_steps: Any, time: Any, skips_first: Any) -> Any:
    """Gives the weight of each step of windows in a mean loss: float32 [batch, time], 0 or 1.

    0 of padding, and of the first step of a window that begins within a piece: it is input only,
    as what comes before it is not in the window.

    Args:
      valid_steps: int32 [batch], steps of each window before its padding.
      time: steps of a window, padding included.
      skips_first: bool [batch], whether the first step has weight 0.
    """
    step = ops.arange(time, dtype="int32")[None, :]
    is_counted = (step < valid_steps[:, None]) & ((step > 0) | ~skips_first[:, None])
    return ops.cast(is_counted, "float32")
