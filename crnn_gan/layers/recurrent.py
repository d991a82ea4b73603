"""An LSTM layer with hand-written first and second derivatives, and what recurrent layers share.

The weights are laid out as those of `keras.layers.LSTM`, and the results are the same. Gradient
penalties need the second derivatives: see `backpropagation.py` and
docs/decisions/0002-hoisted-recurrence.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from crnn_gan.layers.backpropagation import cell, dot, lstm, with_bias
from crnn_gan.layers.loops import run, stacked

# Logit that closes an input gate: its sigmoid is exactly 0 in float32, and float16 can hold it.
CLOSED = -3e4
BLOCK = 64  # Columns per block of the kernels that steps multiply by.


def add_weight(layer: Any, name: str, shape: Sequence[int | None], initializer: Any) -> Any:
    """Adds a weight to a layer that stays float32 until a product casts it."""
    return layer.add_weight(shape, initializer, name=name, autocast=False)


def time_major(x: Any) -> Any:
    """Gives [batch, time, size] as [time, batch, size], or the other way round."""
    return ops.transpose(x, (1, 0, 2))


def dense(x: Any, kernel: Any, bias: Any, dtype: str) -> Any:
    """Gives x [time, batch, features] * kernel + bias as float32, in one product in `dtype`.

    `bias` may be None.
    """
    time, batch = ops.shape(x)[:2]
    z = dot(ops.reshape(x, (-1, kernel.shape[0])), ops.cast(kernel, dtype))
    z = z if bias is None else with_bias(z, ops.convert_to_tensor(bias))
    return ops.reshape(z, (time, batch, kernel.shape[1]))


def _in_blocks(kernel: Any) -> Any:
    """Gives a kernel [rows, columns] as [blocks, rows, columns of a block].

    In this layout oneDNN multiplies a few rows without first copying the kernel, which takes longer
    than the product, and adds in the same order for one row as for many; benchmarks/char_rnn.py
    prints the ratios.
    """
    rows, columns = kernel.shape
    width = BLOCK if columns % BLOCK == 0 else columns
    return ops.transpose(ops.reshape(kernel, (rows, columns // width, width)), (1, 0, 2))


def _by_blocks(x: Any, kernel: Any) -> Any:
    """Gives x [batch, rows] * kernel (of `_in_blocks`) as float32 [batch, columns].

    The product is computed in the kernel's dtype.
    """
    blocks, _, width = kernel.shape
    z = ops.matmul(ops.cast(x, kernel.dtype)[None], kernel)
    return ops.cast(ops.reshape(ops.transpose(z, (1, 0, 2)), (-1, blocks * width)), "float32")


def _with_closed_gates(z: Any, mask: Any) -> Any:
    """Closes the input gates of z [time, batch, size] where mask [time, batch or 1] is False."""
    time, batch, size = ops.shape(z)
    closed = ops.where(mask, 0.0, CLOSED)[:, :, None, None] * ops.one_hot(0, 4)[:, None]
    return ops.reshape(ops.reshape(z, (time, batch, 4, size // 4)) + closed, (time, batch, size))


@keras.saving.register_keras_serializable("crnn_gan")
class LSTM(keras.layers.Layer):
    """Long short-term memory layer (Hochreiter and Schmidhuber 1997) that returns sequences.

    Its weights and results are those of `keras.layers.LSTM(units, return_sequences=True)`. States
    and elementwise operations are float32; matrix products are computed in the compute dtype.

    Args:
      units: size of the hidden state, 1 or more.
      reverse: from the last step to the first; outputs stay aligned with inputs.
    """

    def __init__(self, units: int, reverse: bool = False, **kwargs: Any):
        super().__init__(**kwargs, autocast=False)
        if units < 1:
            raise ValueError(f"an LSTM has 1 unit or more, not {units}")
        self.units, self.reverse = units, reverse
        self.supports_masking = True

    def build(self, inputs_shape: tuple[int | None, ...]) -> None:
        """Makes the weights for inputs [batch, time, features]."""
        size = 4 * self.units
        self.kernel = add_weight(self, "kernel", (inputs_shape[-1], size), "glorot_uniform")
        self.recurrent_kernel = add_weight(
            self, "recurrent_kernel", (self.units, size), "orthogonal"
        )
        self.bias = add_weight(self, "bias", (size,), self._unit_forget_bias)

    def _unit_forget_bias(self, shape: Any, dtype: Any = None) -> Any:
        """Gives the initial bias: 1 of forget gates (Gers et al. 2000), 0 of the others."""
        return ops.repeat(ops.cast([0, 1, 0, 0], dtype), shape[0] // 4)

    def call(self, inputs: Any, mask: Any = None) -> Any:
        """Gives outputs [batch, time, units] in the compute dtype.

        Args:
          inputs: [batch, time, features].
          mask: bool [batch, time], [1, time] or [time], False for padding at the end. With
            `reverse` the state stays exactly 0 until the first step that is not padding; without,
            outputs of padding are undefined.
        """
        h = self.time_major(time_major(inputs), None if mask is None else ops.transpose(mask))
        return ops.cast(time_major(h), self.compute_dtype)

    def time_major(self, inputs: Any, mask: Any = None) -> Any:
        """Gives outputs [time, batch, units], float32, of inputs [time, batch, features].

        For stacks of layers. `mask` is bool [time, batch] or [time].
        """
        z = dense(inputs, self.kernel, self.bias, self.compute_dtype)
        if mask is not None:
            z = _with_closed_gates(z, mask if len(mask.shape) == 2 else mask[:, None])
        return lstm(z, ops.cast(self.recurrent_kernel, self.compute_dtype), self.reverse)

    def extend(self, state: tuple[Any, Any], inputs: Any) -> tuple[tuple[Any, Any], Any]:
        """Gives (state, outputs [time, batch, units]) of further steps, as `time_major` would.

        For generation: without gradients, in the memory of the outputs alone.

        Args:
          state: h and c, float32 [batch, units], zeros at first.
          inputs: [time, batch, features].
        """
        kernel = ops.cast(self.recurrent_kernel, self.compute_dtype)

        def step(state: Any, elements: Any) -> tuple[tuple[Any, Any], tuple[Any]]:
            h, c, _ = cell(elements[0] + dot(state[0], kernel), state[1])
            return (h, c), (h,)

        z = dense(inputs, self.kernel, self.bias, self.compute_dtype)
        (h, c), (outputs,) = run(step, state, [z], [self.units])
        return (h, c), stacked(outputs)

    def initial_state(self, batch: Any) -> tuple[Any, Any, Any]:
        """Gives the state before the first step: h and c, zeros float32 [batch, units], and both
        kernels in the layout that `step` multiplies by, which stays as it is."""
        zeros = ops.zeros((batch, self.units))
        kernels = ops.concatenate([self.kernel, self.recurrent_kernel], axis=0)
        return zeros, zeros, _in_blocks(ops.cast(kernels, self.compute_dtype))

    def step(self, inputs: Any, state: tuple[Any, Any, Any]) -> tuple[Any, tuple[Any, Any, Any]]:
        """Gives (h float32 [batch, units], state) of one step, as `call` would.

        Args:
          inputs: [batch, features].
          state: as `initial_state` or the step before gave it.
        """
        h, c, kernels = state
        both = ops.concatenate([ops.cast(inputs, "float32"), h], axis=-1)
        h, c, _ = cell(_by_blocks(both, kernels) + self.bias, c)
        return h, (h, c, kernels)

    def compute_output_shape(self, inputs_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Gives (batch, time, units)."""
        return (*inputs_shape[:2], self.units)

    def get_config(self) -> dict[str, Any]:
        """Gives the arguments, as plain values."""
        return {**super().get_config(), "units": self.units, "reverse": self.reverse}
