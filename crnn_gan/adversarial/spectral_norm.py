"""A dense layer whose kernel stretches nothing by more than one."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable("crnn_gan")
class SpectralDense(keras.layers.Dense):
    """`Dense` with its kernel divided by that's largest singular value.

    Miyato et al. 2018, "Spectral normalization for generative adversarial networks", arXiv
    1802.05957, section 2.1 and algorithm 1: the singular value is followed by one step of power
    iteration each time the layer is called in training. Keras' own wrapper assigns to the kernel
    within the function that is differentiated, which JAX cannot.
    """

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Makes the weights, and the singular vector, which no gradient moves."""
        super().build(input_shape)
        self.left = self.add_weight(
            shape=(1, self.units),
            initializer=keras.initializers.RandomNormal(seed=1),
            trainable=False,
            name="left",
        )

    def call(self, inputs: Any, training: bool = False) -> Any:
        """Gives [..., units]."""
        kernel = ops.cast(self.kernel, "float32")
        left = ops.cast(self.left, "float32")
        fixed = ops.stop_gradient(kernel)
        right = _unit(ops.matmul(left, ops.transpose(fixed)))
        left = _unit(ops.matmul(right, fixed))
        if training:
            self.left.assign(left)
        largest = ops.sum(ops.matmul(right, kernel) * left)
        dtype = self.compute_dtype
        x = ops.matmul(ops.cast(inputs, dtype), ops.cast(kernel / largest, dtype))
        x = x + ops.cast(self.bias, dtype) if self.use_bias else x
        return self.activation(x) if self.activation is not None else x


def _unit(x: Any) -> Any:
    return x / ops.maximum(ops.sqrt(ops.sum(ops.square(x))), 1e-12)
