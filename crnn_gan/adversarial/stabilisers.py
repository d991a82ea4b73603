"""Layers that stabilise adversarial training: instance noise and a replay buffer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops


class InstanceNoise(keras.layers.Layer):
    """Adds noise to what a discriminator sees, so that real and generated music overlap.

    Sønderby et al. 2017, "Amortised MAP inference for image super-resolution", arXiv 1610.04490,
    section 2.2.

    Attributes:
      deviation: standard deviation of the noise, a variable, which the model sets each epoch.
    """

    def __init__(self, deviation: float, **kwargs: Any):
        super().__init__(**kwargs, dtype="float32")
        self.deviation = self.add_weight(
            shape=(), initializer="zeros", trainable=False, name="deviation"
        )
        self.deviation.assign(deviation)
        self.built = True

    def call(self, x: Any, noise: Any) -> Any:
        """Gives x [batch, ...] with noise added, float32.

        Args:
          x: [batch, ...].
          noise: standard normal numbers of x's shape.
        """
        return ops.cast(x, "float32") + self.deviation * noise


class ReplayBuffer(keras.layers.Layer):
    """Keeps generated windows of earlier batches (Shrivastava et al. 2017, arXiv 1612.07828, 2.3).

    A discriminator that sees the newest alone forgets what the generator did before, and the
    two can go round in circles.

    Args:
      capacity: windows that the buffer holds, 1 or more.
      shape: of a window.
    """

    def __init__(self, capacity: int, shape: Sequence[int], **kwargs: Any):
        super().__init__(**kwargs, dtype="float32")
        self.capacity = capacity
        self.buffer = self.add_weight(
            shape=(capacity, *shape), initializer="zeros", trainable=False, name="buffer"
        )
        self.count = self.add_weight(
            shape=(), dtype="int32", initializer="zeros", trainable=False, name="count"
        )
        self.built = True

    def call(self, fresh: Any, uniform: Any) -> Any:
        """Gives windows to learn from: the second half of `fresh` replaced by earlier ones.

        Then the first half is stored, each in the place of the oldest. Until the buffer is full
        windows are sampled from those that it has; of the first batch all are fresh.

        Args:
          fresh: generated windows [batch, ...].
          uniform: float32 [batch // 2] in [0, 1), which choose the windows.

        Returns:
          [batch, ...].
        """
        half = ops.shape(uniform)[0]
        stored_before = ops.minimum(self.count, self.capacity)
        chosen = ops.cast(uniform * ops.cast(stored_before, "float32"), "int32")
        old = ops.take(self.buffer, ops.minimum(chosen, self.capacity - 1), axis=0)
        first, second = fresh[: ops.shape(fresh)[0] - half], fresh[ops.shape(fresh)[0] - half :]
        mixed = ops.concatenate([first, ops.where(stored_before > 0, old, second)], axis=0)
        # More than the capacity would write into one place twice.
        stored = ops.stop_gradient(ops.cast(fresh[: min(int(half), self.capacity)], "float32"))
        places = (self.count + ops.arange(stored.shape[0])) % self.capacity
        self.buffer.assign(ops.scatter_update(self.buffer, places[:, None], stored))
        self.count.assign(self.count + stored.shape[0])
        return mixed


def make_instance_noise(deviation: float) -> InstanceNoise | None:
    """Gives a layer named "instance_noise"; None for a standard deviation of 0."""
    return InstanceNoise(deviation, name="instance_noise") if deviation else None


def make_replay_buffer(capacity: int, shape: Sequence[int]) -> ReplayBuffer | None:
    """Gives a buffer named "replay_buffer" for windows of a shape; None for a capacity of 0."""
    return ReplayBuffer(capacity, shape, name="replay_buffer") if capacity else None
