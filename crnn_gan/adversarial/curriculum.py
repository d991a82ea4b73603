"""A curriculum of length: sequences that grow from epoch to epoch (Bengio et al. 2009)."""

from __future__ import annotations

import dataclasses
from typing import Any, Literal

import keras
from keras import ops

from crnn_gan.training.phases import leading_steps
from pipelines.settings import Settings, flag

GROWTH = 4  # Steps that the sequence grows by per epoch.


@dataclasses.dataclass(frozen=True)
class CurriculumSettings(Settings):
    """Settings of a curriculum of length."""

    curriculum: Literal["off", "pretraining", "whole"] = flag(
        "off",
        "windows grow by 4 steps per epoch: while pretraining (C-RNN-GAN's paper), or until they "
        "are window_steps long (its code)",
    )


class LengthCurriculum(keras.layers.Layer):
    """Says how many of a window's steps are trained on: 4, 8, 12, ..., up to all of them.

    Mogren 2016, "C-RNN-GAN", arXiv 1611.09904, section 4, and its authors' code.

    Args:
      curriculum: as in `CurriculumSettings`; "off": all steps throughout.
      window_steps: all of them.

    Attributes:
      length: int32, of the current epoch.
    """

    def __init__(self, curriculum: str, window_steps: int, **kwargs: Any):
        super().__init__(**kwargs)
        self.curriculum, self.window_steps = curriculum, window_steps
        self.length = self.add_weight(
            shape=(), dtype="int32", initializer="zeros", trainable=False, name="length"
        )
        self.length.assign(window_steps)
        self.built = True

    def begin_epoch(self, epoch: int, is_pretraining: bool) -> None:
        """Sets the length for an epoch, counted from 0 over all stages."""
        grown = min(GROWTH * (epoch + 1), self.window_steps)
        grows = self.curriculum == "whole" or (self.curriculum == "pretraining" and is_pretraining)
        self.length.assign(grown if grows else self.window_steps)

    def cut(self, music: Any) -> tuple[Any, Any]:
        """Gives music and a bool mask [batch, time] of the steps that are trained on.

        TensorFlow cuts the other steps off; JAX, whose shapes are fixed, keeps them.

        Args:
          music: [batch, time, ...].
        """
        if self.curriculum == "off":
            return music, ops.ones(music.shape[:2], "bool")
        return leading_steps(music, self.length)
