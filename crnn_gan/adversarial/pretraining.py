"""Pretraining of a generator by teacher forcing, before the adversarial stage: its settings."""

from __future__ import annotations

import dataclasses
import math
from typing import Literal

from pipelines.settings import Settings, flag

LAST_RATE = 0.02  # Of the cosine schedule, a share of the first.


@dataclasses.dataclass(frozen=True)
class PretrainingSettings(Settings):
    """Settings of a stage of pretraining (C-RNN-GAN: Mogren 2016, section 3.2)."""

    pretraining_epochs: int = flag(
        41, "epochs of teacher forcing alone; those after them are adversarial", at_least=0
    )
    pretraining_learning_rate: float = flag(
        4e-3, "learning rate of the generator while pretraining", above=0
    )
    pretraining_schedule: Literal["constant", "cosine"] = flag(
        "cosine", "learning rate while pretraining; cosine: falls to 2 % over its epochs"
    )
    pretraining_d: bool = flag(False, "also train the discriminator while pretraining")

    def pretraining_rate(self, epoch: int) -> float:
        """Gives the learning rate of the pretraining in an epoch, from 0: at its middle."""
        if self.pretraining_schedule == "constant":
            return self.pretraining_learning_rate
        done = min(1.0, (epoch + 0.5) / max(1, self.pretraining_epochs))
        falling = LAST_RATE + (1 - LAST_RATE) * (0.5 + 0.5 * math.cos(math.pi * done))
        return self.pretraining_learning_rate * falling
