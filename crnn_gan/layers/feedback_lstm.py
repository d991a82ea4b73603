"""A stack of LSTMs with output feedback; its gradients are in `feedback_backpropagation.py`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import keras
from keras import ops

from crnn_gan.layers.feedback_backpropagation import (
    FeedbackWeights,
    bounded,
    feedback_lstm,
    feedback_step,
)
from crnn_gan.layers.loops import run, stacked
from crnn_gan.layers.recurrent import LSTM, add_weight, dense, time_major


@keras.saving.register_keras_serializable("crnn_gan")
class FeedbackLSTM(keras.layers.Layer):
    """Stack of LSTMs with output feedback: the generator of C-RNN-GAN (Mogren 2016, section 3).

    At each step u = relu(inputs * input_kernel + y_before * feedback_kernel + bias), then
    `num_layers` LSTMs, then y = activation(h * output_kernel + bias), which is an input of the next
    step. Products with recurrent kernels are in the compute dtype. Those with inputs and y are
    float32, and so is y: features are few, and bfloat16 is coarser than a codec's resolution.

    Args:
      features: size of y, 1 or more.
      units: size of u and of each LSTM, 1 or more.
      num_layers: number of LSTMs, 1 or more.
      activation: "linear", or "tanh" times `output_scale`.
      output_scale: bound of |y| where the activation is "tanh"; above 0.
      feedback: False leaves y_before out (`disable_feed_previous` of the original).
      dense_initializer: of the input, feedback and output kernels; the original has a normal
        distribution of standard deviation 1.
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

        def kernel(name: str, *shape: int | None) -> Any:
            return add_weight(self, name, shape, self.dense_initializer.clone())

        self.input_kernel = kernel("input_kernel", inputs_shape[-1], self.units)
        if self.feedback:
            self.feedback_kernel = kernel("feedback_kernel", self.features, self.units)
        self.input_bias = add_weight(self, "input_bias", (self.units,), "zeros")
        for layer in self.layers:
            layer.build((None, None, self.units))
        self.output_kernel = kernel("output_kernel", self.units, self.features)
        self.output_bias = add_weight(self, "output_bias", (self.features,), "zeros")

    def call(self, inputs: Any, first: Any, dropout_masks: Sequence[Any] | None = None) -> Any:
        """Gives y float32 [batch, time, features]; y of step 3 has y of step 2 as input.

        The first derivatives are written by hand, further ones are the backend's.

        Args:
          inputs: [batch, time, n], noise and other inputs of each step.
          first: [batch, features], the first step's y_before.
          dropout_masks: for each LSTM [batch, time, units], multiplied with its outputs to the
            layer above, not with its recurrent state; scaled already.
        """
        if not self.feedback:
            return self.teacher_forced(inputs, None, dropout_masks)
        x = self._input_terms(time_major(inputs))
        masks = [time_major(ops.cast(mask, "float32")) for mask in dropout_masks or ()]
        first = ops.cast(first, "float32")
        return time_major(feedback_lstm(x, first, self._weights(), masks, self._limit))

    def teacher_forced(
        self, inputs: Any, previous: Any, dropout_masks: Sequence[Any] | None = None
    ) -> Any:
        """Gives y as `call` does, with `previous` [batch, time, features] as y_before of each step.

        The dense layers run over all steps at once. `previous` may be None where `feedback` is
        False.
        """
        self._require_weights()
        u = self._input_terms(time_major(inputs))
        if self.feedback:
            u = u + dense(time_major(previous), self.feedback_kernel, None, "float32")
        h = ops.relu(u)
        for k, layer in enumerate(self.layers):
            h = layer.time_major(h)
            h = h * time_major(ops.cast(dropout_masks[k], "float32")) if dropout_masks else h
        y = dense(h, self.output_kernel, self.output_bias, "float32")
        return time_major(bounded(y, self._limit))

    def extend(
        self, state: Sequence[Any], inputs: Any, dropout_masks: Sequence[Any] | None = None
    ) -> tuple[tuple[Any, ...], Any]:
        """Gives (state, y [batch, time, features]) of further steps, as `call` would.

        For generation: without gradients, in the memory of y alone.

        Args:
          state: y of the step before, and then as `initial_states`; or as `extend` gave it.
          inputs, dropout_masks: of these steps, as for `call`.
        """
        self._require_weights()
        x = self._input_terms(time_major(inputs))
        masks = [time_major(ops.cast(mask, "float32")) for mask in dropout_masks or ()]
        if not self.feedback:
            return self._extend_without_feedback(state, x, masks)
        weights = self._weights()

        def step(state: Any, elements: Any) -> tuple[tuple[Any, ...], tuple[Any]]:
            state, _ = feedback_step(elements[0], state, elements[1:], weights, self._limit)
            return state, (state[0],)

        state, (y,) = run(step, tuple(state), (x, *masks), [self.features])
        return tuple(state), time_major(stacked(y))

    def _extend_without_feedback(
        self, state: Sequence[Any], x: Any, masks: Sequence[Any]
    ) -> tuple[tuple[Any, ...], Any]:
        """See `extend`; x and masks [time, batch, units]."""
        after: list[Any] = []
        h = ops.relu(x)
        for k, layer in enumerate(self.layers):
            both, h = layer.extend((state[1 + 2 * k], state[2 + 2 * k]), h)
            after += both
            h = h * masks[k] if masks else h
        y = bounded(dense(h, self.output_kernel, self.output_bias, "float32"), self._limit)
        return (y[-1], *after), time_major(y)

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
        x, y = self._input_terms(inputs[None])[0], ops.cast(previous, "float32")
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

    def _input_terms(self, inputs: Any) -> Any:
        """Gives the part of relu's argument that inputs [time, batch, n] make, bias included."""
        return dense(inputs, self.input_kernel, self.input_bias, "float32")

    def _weights(self) -> FeedbackWeights:
        """Gives the weights as `feedback_lstm` takes them; without feedback its kernel is zeros."""

        def cast(weight: Any) -> Any:
            return ops.cast(weight, self.compute_dtype)

        output, bias = map(ops.convert_to_tensor, (self.output_kernel, self.output_bias))
        zeros = ops.zeros((self.features, self.units))
        kernel = ops.convert_to_tensor(self.feedback_kernel) if self.feedback else zeros
        layers = tuple(
            (cast(each.kernel), cast(each.recurrent_kernel), ops.convert_to_tensor(each.bias))
            for each in self.layers
        )
        return FeedbackWeights(kernel, output, bias, layers)

    def compute_output_spec(self, inputs: Any, *_: Any, **__: Any) -> keras.KerasTensor:
        """Gives [batch, time, features], float32."""
        return keras.KerasTensor((*inputs.shape[:2], self.features), "float32")

    def get_config(self) -> dict[str, Any]:
        """Gives the arguments, as plain values."""
        names = ("features", "units", "num_layers", "activation", "output_scale", "feedback")
        arguments = {name: getattr(self, name) for name in names}
        initializer = keras.initializers.serialize(self.dense_initializer)
        return {**super().get_config(), **arguments, "dense_initializer": initializer}
