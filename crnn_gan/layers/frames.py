"""Frames of piano rolls, the steps of a roll, as inputs and outputs of networks."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from pipelines.spec import Spec


class Frames(keras.layers.Layer):
    """Base class of layers over a roll's frames: a frame as the vector of its cells, 0 or 1.

    Attributes:
      frame_shape: (pitches, planes).
      noise_size: cells of a frame, pitches * planes.
    """

    def __init__(self, spec: Spec, **kwargs: Any):
        """Makes it for a Spec of a roll.

        Raises:
          ValueError: a plane holds velocities, which are not 0 or 1.
        """
        super().__init__(dtype="float32", **kwargs)
        if "velocity" in [name for name, _, _ in spec.blocks]:
            raise ValueError(
                "the roll has a plane of velocities, which are no bits; prepare it with "
                "--planes=onset,frame, --planes=frame or --planes=onset"
            )
        self.frame_shape = tuple(int(size or 0) for size in spec.shape[1:])
        self.noise_size = self.frame_shape[0] * self.frame_shape[1]

    def inputs(self, step: Any) -> Any:
        """Gives frames [..., pitches, planes] as cells, float32 [..., noise_size]."""
        bits = ops.cast(step > 0, "float32")
        return ops.reshape(bits, (*ops.shape(bits)[:-2], self.noise_size))

    def shifted(self, music: Any) -> Any:
        """Gives the frame before each of [batch, time, pitches, planes], zeros before the first.

        float32 [batch, time, noise_size]: at index 3 the cells of frame 2.
        """
        cells = self.inputs(music)
        return ops.concatenate([ops.zeros_like(cells[:, :1]), cells[:, :-1]], axis=1)

    def start_input(self, batch: Any) -> Any:
        """Gives the input of the first step, zeros: float32 [batch, noise_size]."""
        return ops.zeros((batch, self.noise_size))

    def to_frames(self, bits: Any) -> Any:
        """Gives cells [batch, noise_size] as frames, int32 [batch, pitches, planes]."""
        return ops.cast(ops.reshape(bits, (ops.shape(bits)[0], *self.frame_shape)), "int32")
