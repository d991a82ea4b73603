"""Recurrent layers: an LSTM, and the stack of LSTMs that hears its own output.

The weights are laid out as those of `keras.layers.LSTM`, and the results are the same. The
gradients are written by hand, the second derivatives of `LSTM` too: see `backpropagation.py`
and docs/decisions/0002-hoisted-recurrence.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import keras
from keras import ops

from crnn_gan.layers.backpropagation import cell, dot, lstm, with_bias
from crnn_gan.layers.feedback_backpropagation import (
    FeedbackWeights,
    bounded,
    feedback_lstm,
    feedback_step,
)

# Closes an input gate for good: sigmoid gives exactly 0 in float32, and float16 can hold it.
CLOSED = -3e4
BLOCK = 64  # Columns that a product of one step takes at a time.


def _weight(layer: Any, name: str, shape: Sequence[int | None], initializer: Any) -> Any:
    """Adds a weight that stays float32 until a product casts it."""
    return layer.add_weight(shape, initializer, name=name, autocast=False)


def _time_major(x: Any) -> Any:
    return ops.transpose(x, (1, 0, 2))


def _dense(x: Any, kernel: Any, bias: Any, dtype: str) -> Any:
    """Gives x [time, batch, features] * kernel + bias as float32, in one product of `dtype`."""
    time, batch = ops.shape(x)[:2]
    z = dot(ops.reshape(x, (-1, kernel.shape[0])), ops.cast(kernel, dtype))
    z = z if bias is None else with_bias(z, ops.convert_to_tensor(bias))
    return ops.reshape(z, (time, batch, kernel.shape[1]))


def _in_blocks(kernel: Any) -> Any:
    """Gives a kernel [rows, columns] as [blocks, rows, columns of a block].

    So laid out, oneDNN multiplies a few rows without first making a copy of the kernel, which
    takes longer than the product, and adds in the same order for one row as for many; ratios
    are printed by benchmarks/char_rnn.py.
    """
    rows, columns = kernel.shape
    width = BLOCK if columns % BLOCK == 0 else columns
    return ops.transpose(ops.reshape(kernel, (rows, columns // width, width)), (1, 0, 2))


def _by_blocks(x: Any, kernel: Any) -> Any:
    """Gives x [batch, rows] * kernel `_in_blocks` as float32 [batch, columns], in its dtype."""
    blocks, _, width = kernel.shape
    z = ops.matmul(ops.cast(x, kernel.dtype)[None], kernel)
    return ops.cast(ops.reshape(ops.transpose(z, (1, 0, 2)), (-1, blocks * width)), "float32")


def _with_closed_gates(z: Any, mask: Any) -> Any:
    """Shuts the input gates of z [time, batch, size] where mask [time, batch or 1] is False."""
    time, batch, size = ops.shape(z)
    shut = ops.where(mask, 0.0, CLOSED)[:, :, None, None] * ops.one_hot(0, 4)[:, None]
    return ops.reshape(ops.reshape(z, (time, batch, 4, size // 4)) + shut, (time, batch, size))


@keras.saving.register_keras_serializable("crnn_gan")
class LSTM(keras.layers.Layer):
    """A layer of long short-term memory (Hochreiter and Schmidhuber 1997), all steps out.

    Its weights and results are those of `keras.layers.LSTM(units, return_sequences=True)`.
    States and what is pointwise are float32, products are in the compute dtype.

    Args:
      units: size of the state, 1 or more.
      reverse: from the last step to the first; the outputs stay aligned with the inputs.
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
        self.kernel = _weight(self, "kernel", (inputs_shape[-1], size), "glorot_uniform")
        self.recurrent_kernel = _weight(self, "recurrent_kernel", (self.units, size), "orthogonal")
        self.bias = _weight(self, "bias", (size,), self._open_forget_gates)

    def _open_forget_gates(self, shape: Any, dtype: Any = None) -> Any:
        """Gives a bias of 1 to forget gates (Gers et al. 2000), 0 to the others."""
        return ops.repeat(ops.cast([0, 1, 0, 0], dtype), shape[0] // 4)

    def call(self, inputs: Any, mask: Any = None) -> Any:
        """Gives outputs [batch, time, units] in the compute dtype.

        Args:
          inputs: [batch, time, features].
          mask: bool [batch, time], [1, time] or [time], False for padding at the end. With
            `reverse` the state stays at exactly zero until the first real step; without, the
            outputs from the padding on mean nothing.
        """
        h = self.time_major(_time_major(inputs), None if mask is None else ops.transpose(mask))
        return ops.cast(_time_major(h), self.compute_dtype)

    def time_major(self, inputs: Any, mask: Any = None) -> Any:
        """Gives outputs [time, batch, units], float32, of inputs [time, batch, features].

        What stacks of layers use. `mask` is bool [time, batch] or [time].
        """
        z = _dense(inputs, self.kernel, self.bias, self.compute_dtype)
        if mask is not None:
            z = _with_closed_gates(z, mask if len(mask.shape) == 2 else mask[:, None])
        return lstm(z, ops.cast(self.recurrent_kernel, self.compute_dtype), self.reverse)

    def initial_state(self, batch: Any) -> tuple[Any, Any, Any]:
        """Gives the state before the first step: zeros for h and c, float32 [batch, units], and
        both kernels as steps read them, which goes through all steps as it is."""
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
        heard = ops.concatenate([ops.cast(inputs, "float32"), h], axis=-1)
        h, c, _ = cell(_by_blocks(heard, kernels) + self.bias, c)
        return h, (h, c, kernels)

    def compute_output_shape(self, inputs_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Gives (batch, time, units)."""
        return (*inputs_shape[:2], self.units)

    def get_config(self) -> dict[str, Any]:
        """Gives the arguments, as plain values."""
        return {**super().get_config(), "units": self.units, "reverse": self.reverse}


@keras.saving.register_keras_serializable("crnn_gan")
class FeedbackLSTM(keras.layers.Layer):
    """LSTMs that hear their own output: the generator of C-RNN-GAN (Mogren 2016, section 3).

    At each step u = relu(inputs * input_kernel + y_before * feedback_kernel + bias), then
    `num_layers` LSTMs, then y = activation(h * output_kernel + bias), which the next step
    hears. Products with recurrent kernels are in the compute dtype. Those with inputs and y
    are float32, and so is y: features are few, and bfloat16 is coarser than what a codec
    tells apart.

    Args:
      features: size of y, 1 or more.
      units: size of u and of each LSTM, 1 or more.
      num_layers: LSTMs, 1 or more.
      activation: "linear", or "tanh" times `output_scale`.
      output_scale: the bound of y where the activation is "tanh"; above 0.
      feedback: False cuts y_before off (`disable_feed_previous` of the original).
      dense_initializer: of the input, feedback and output kernels; the original has a
        normal distribution of deviation 1.
    """

    def __init__(
        self,
        features: int,
        units: int,
        num_layers: int = 2,
        activation: Literal["linear", "tanh"] = "linear",
        output_scale: float = 1.0,
        feedback: bool = True,
        dense_initializer: Any = "glorot_uniform",
        **kwargs: Any,
    ):
        super().__init__(**kwargs, autocast=False)
        if min(features, units, num_layers) < 1:
            raise ValueError(
                f"features {features}, units {units}, num_layers {num_layers}: each is 1 or more"
            )
        if activation not in ("linear", "tanh"):
            raise ValueError(f"activation is {activation!r}; give linear or tanh")
        if output_scale <= 0:
            raise ValueError(f"output_scale is {output_scale}; give more than 0")
        self.features, self.units, self.num_layers = features, units, num_layers
        self.activation, self.output_scale, self.feedback = activation, output_scale, feedback
        self.dense_initializer = keras.initializers.get(dense_initializer)
        self.layers = [LSTM(units, dtype=self.dtype_policy) for _ in range(num_layers)]

    def build(self, inputs_shape: tuple[int | None, ...], *_: Any) -> None:
        """Makes the weights for inputs [batch, time, n]."""

        def dense(name: str, *shape: int | None) -> Any:
            return _weight(self, name, shape, self.dense_initializer.clone())

        self.input_kernel = dense("input_kernel", inputs_shape[-1], self.units)
        if self.feedback:
            self.feedback_kernel = dense("feedback_kernel", self.features, self.units)
        self.input_bias = _weight(self, "input_bias", (self.units,), "zeros")
        for layer in self.layers:
            layer.build((None, None, self.units))
        self.output_kernel = dense("output_kernel", self.units, self.features)
        self.output_bias = _weight(self, "output_bias", (self.features,), "zeros")

    def call(self, inputs: Any, first: Any, dropout_masks: Sequence[Any] | None = None) -> Any:
        """Gives y float32 [batch, time, features], each step hearing the one before.

        Differentiable once by hand-written gradients, further by those of the backend.

        Args:
          inputs: [batch, time, n], noise and what else is known of each step.
          first: [batch, features], what the first step hears.
          dropout_masks: for each LSTM [batch, time, units] to multiply its outputs by, on
            their way up only; scaled already.
        """
        if not self.feedback:
            return self.teacher_forced(inputs, None, dropout_masks)
        x = self._known(_time_major(inputs))
        masks = [_time_major(ops.cast(mask, "float32")) for mask in dropout_masks or ()]
        first = ops.cast(first, "float32")
        return _time_major(feedback_lstm(x, first, self._weights(), masks, self._limit))

    def teacher_forced(
        self, inputs: Any, previous: Any, dropout_masks: Sequence[Any] | None = None
    ) -> Any:
        """Gives y as `call` does, but hearing `previous` [batch, time, features].

        All steps at once but for the LSTMs. `previous` may be None where `feedback` is False.
        """
        self._require_weights()
        u = self._known(_time_major(inputs))
        if self.feedback:
            u = u + _dense(_time_major(previous), self.feedback_kernel, None, "float32")
        h = ops.relu(u)
        for k, layer in enumerate(self.layers):
            h = layer.time_major(h)
            h = h * _time_major(ops.cast(dropout_masks[k], "float32")) if dropout_masks else h
        y = _dense(h, self.output_kernel, self.output_bias, "float32")
        return _time_major(bounded(y, self._limit))

    def step(
        self, inputs: Any, previous: Any, states: Sequence[Any]
    ) -> tuple[Any, tuple[Any, ...]]:
        """Gives (y [batch, features], states) of one step, without dropout.

        Args:
          inputs: [batch, n].
          previous: [batch, features], y of the step before.
          states: as `initial_states` or the step before gave them.
        """
        self._require_weights()
        weights = self._weights()
        x, y = self._known(inputs[None])[0], ops.cast(previous, "float32")
        (y, *states), _ = feedback_step(x, (y, *states), (), weights, self._limit)
        return y, tuple(states)

    def initial_states(self, batch: Any) -> tuple[Any, ...]:
        """Gives zeros: for each LSTM h and c, float32 [batch, units]."""
        return tuple(ops.zeros((batch, self.units)) for _ in range(2 * self.num_layers))

    def _require_weights(self) -> None:
        if not self.built:
            raise ValueError(f"{self.name} has no weights yet: call it, or build it, first")

    @property
    def _limit(self) -> float | None:
        return self.output_scale if self.activation == "tanh" else None

    def _known(self, inputs: Any) -> Any:
        """Gives what u hears that is known beforehand, of inputs [time, batch, n]."""
        return _dense(inputs, self.input_kernel, self.input_bias, "float32")

    def _weights(self) -> FeedbackWeights:
        """Gives the weights as `feedback_lstm` takes them; no feedback is one of zeros."""

        def cast(weight: Any) -> Any:
            return ops.cast(weight, self.compute_dtype)

        output, bias = map(ops.convert_to_tensor, (self.output_kernel, self.output_bias))
        zeros = ops.zeros((self.features, self.units))
        heard = ops.convert_to_tensor(self.feedback_kernel) if self.feedback else zeros
        layers = tuple(
            (cast(each.kernel), cast(each.recurrent_kernel), ops.convert_to_tensor(each.bias))
            for each in self.layers
        )
        return FeedbackWeights(heard, output, bias, layers)

    def compute_output_spec(self, inputs: Any, *_: Any, **__: Any) -> keras.KerasTensor:
        """Gives [batch, time, features], float32."""
        return keras.KerasTensor((*inputs.shape[:2], self.features), "float32")

    def get_config(self) -> dict[str, Any]:
        """Gives the arguments, as plain values."""
        names = ("features", "units", "num_layers", "activation", "output_scale", "feedback")
        arguments = {name: getattr(self, name) for name in names}
        initializer = keras.initializers.serialize(self.dense_initializer)
        return {**super().get_config(), **arguments, "dense_initializer": initializer}
