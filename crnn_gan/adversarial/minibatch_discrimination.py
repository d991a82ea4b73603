"""Minibatch discrimination: a discriminator that sees how alike the rows of a batch are."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops


class MinibatchDiscrimination(keras.layers.Layer):
    """Tells each row how close the others are (Salimans et al. 2016, section 3.2, as coded).

    [batch, time, features] -> [batch, time, kernels]: at each step, for each kernel, the sum
    over the batch of exp(-L1 distance), the row itself included.
    """

    def __init__(self, kernels: int = 25, dimensions: int = 10, **kwargs: Any):
        super().__init__(**kwargs)
        self.kernels, self.dimensions = kernels, dimensions
        self.project = keras.layers.Dense(kernels * dimensions, "sigmoid")

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        self.project.build(input_shape)

    def call(self, inputs: Any) -> Any:
        x = ops.cast(self.project(inputs), "float32")
        batch, time = ops.shape(inputs)[0], ops.shape(inputs)[1]
        x = ops.reshape(x, (batch, time, self.kernels, self.dimensions))
        distance = ops.sum(ops.abs(x[:, None] - x[None]), axis=-1)
        return ops.sum(ops.exp(-distance), axis=1)
