"""Dilated causal convolutions with gates, the body of WaveNet.

van den Oord et al. 2016 (arXiv 1609.03499), sections 2.1 and 2.3 to 2.5. `call` computes all
steps of a sequence at once, for training. `step` computes one, for generation: each layer's past
inputs lie in a ring buffer (Le Paine et al. 2016, arXiv 1611.09482), so that a step costs as much
as there are layers, however far back they hear. Both give the same.

The weights of one kind are one tensor for all layers. So a step reads every layer's past in
one gather, multiplies it in one product, and adds what the layers pass on in one more.
"""

from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np
from keras import ops

from crnn_gan.layers.backpropagation import dot, with_bias

State = tuple[Any, Any]


@keras.saving.register_keras_serializable("crnn_gan")
class DilatedStack(keras.layers.Layer):
    """Layers of dilated causal convolutions, [batch, time, residual_channels] in.

    With x what a layer hears, each computes, over `kernel_size` steps that lie `dilation`
    apart, the last of them the present one,

        z = tanh(filter * x + c_filter) . sigmoid(gate * x + c_gate)

    where c, zero without `condition_channels`, is a projection of the condition of this step;
    passes x + residual * z on to the next layer, and z to the output:

        out = relu(end * relu(sum of skip * z over the layers)).

    Each product but that with the condition has a bias, one for all skips. The last layer
    passes nothing on. Before the first step every layer hears zeros. Weights and what is
    pointwise are float32, products are in the compute dtype.

    Args:
      blocks: how often the dilations 1, 2, 4, ... are gone through, 1 or more.
      layers: convolutions in a block, 1 or more; the last has dilation 2^(layers - 1).
      kernel_size: steps that a convolution hears, 2 or more.
      residual_channels: size of what layers hear and pass on, and of the inputs.
      dilation_channels: size of z.
      skip_channels: size of the sum over the layers.
      end_channels: size of the outputs.
      condition_channels: size of the condition of a step; 0 for none.
      gated: False for z = relu(filter * x + c_filter).
      dropout: the share of what a convolution hears that is zeroed in training; what is
        passed on to the next layer stays whole.
      skip_dropout: the share of the sum over the layers that is.
      seed: of the dropout.
    """

    def __init__(
        self,
        blocks: int,
        layers: int,
        kernel_size: int,
        residual_channels: int,
        dilation_channels: int,
        skip_channels: int,
        end_channels: int,
        condition_channels: int = 0,
        gated: bool = True,
        dropout: float = 0.0,
        skip_dropout: float = 0.0,
        seed: int | None = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs, autocast=False)
        sizes = {
            "blocks": blocks,
            "layers": layers,
            "residual_channels": residual_channels,
            "dilation_channels": dilation_channels,
            "skip_channels": skip_channels,
            "end_channels": end_channels,
        }
        for name, size in sizes.items():
            if size < 1:
                raise ValueError(f"{name} is {size}; give 1 or more")
        if kernel_size < 2:
            raise ValueError(f"kernel_size is {kernel_size}; give 2 or more, or nothing is heard")
        if condition_channels < 0:
            raise ValueError(f"condition_channels is {condition_channels}; give 0 or more")
        for name, share in {"dropout": dropout, "skip_dropout": skip_dropout}.items():
            if not 0 <= share < 1:
                raise ValueError(f"{name} is {share}; give 0 or more, below 1")
        self.blocks, self.layers, self.kernel_size = blocks, layers, kernel_size
        self.residual_channels, self.dilation_channels = residual_channels, dilation_channels
        self.skip_channels, self.end_channels = skip_channels, end_channels
        self.condition_channels = condition_channels
        self.gated, self.dropout, self.skip_dropout, self.seed = gated, dropout, skip_dropout, seed
        self.seed_generator = keras.random.SeedGenerator(seed) if dropout or skip_dropout else None

    @property
    def dilations(self) -> tuple[int, ...]:
        """Steps between two that a convolution hears, a layer."""
        return tuple(2**layer for layer in range(self.layers)) * self.blocks

    @property
    def receptive_field(self) -> int:
        """Steps that an output depends on, its own among them."""
        return (self.kernel_size - 1) * sum(self.dilations) + 1

    def build(self, x_shape: tuple[int | None, ...], *_: Any, **__: Any) -> None:
        """Makes the weights for x [batch, time, residual_channels].

        Kernels are uniform within Glorot's bounds, those of a layer for filter, gate and
        residual; the skips are one kernel, so the sum does not grow with the layers.
        """
        if x_shape[-1] != self.residual_channels:
            raise ValueError(
                f"{self.name} has residual_channels={self.residual_channels} and got inputs of "
                f"{x_shape[-1]}: embed or project them to residual_channels first"
            )
        depth, past_taps = len(self.dilations), self.kernel_size - 1
        heard, z = self.residual_channels, self.dilation_channels
        gates = 2 * z if self.gated else z

        def kernel(name: str, fans: int, *shape: int) -> Any:
            limit = math.sqrt(6 / fans)
            uniform = keras.initializers.RandomUniform(-limit, limit)
            return self.add_weight(shape, uniform, name=name, autocast=False)

        def bias(name: str, *shape: int) -> Any:
            return self.add_weight(shape, "zeros", name=name, autocast=False)

        fans = self.kernel_size * (heard + z)
        self.past_kernel = kernel("past_kernel", fans, depth, past_taps, heard, gates)
        self.present_kernel = kernel("present_kernel", fans, depth, heard, gates)
        self.gate_bias = bias("gate_bias", depth, gates)
        if n := self.condition_channels:
            self.condition_kernel = kernel("condition_kernel", n + z, depth, n, gates)
        if depth > 1:
            self.residual_kernel = kernel("residual_kernel", z + heard, depth - 1, z, heard)
            self.residual_bias = bias("residual_bias", depth - 1, heard)
        fans = depth * z + self.skip_channels
        self.skip_kernel = kernel("skip_kernel", fans, depth * z, self.skip_channels)
        self.skip_bias = bias("skip_bias", self.skip_channels)
        fans = self.skip_channels + self.end_channels
        self.end_kernel = kernel("end_kernel", fans, self.skip_channels, self.end_channels)
        self.end_bias = bias("end_bias", self.end_channels)

    # All steps at once.

    def call(self, x: Any, condition: Any = None, training: bool = False) -> Any:
        """Gives outputs float32 [batch, time, end_channels]; one depends on x up to its step.

        Args:
          x: [batch, time, residual_channels].
          condition: [batch, time, condition_channels], None where there are none.
          training: whether to drop out.
        """
        self._check_condition(condition)
        batch, time = ops.shape(x)[:2]
        # Rows [time * batch, channels]: then a delay moves whole rows, and a convolution is
        # products of matrices. TensorFlow has no gradient of a dilated one on CPUs without
        # oneDNN.
        x = ops.cast(_rows(x), "float32")
        past, present, biases, residual, residual_bias = self._by_layer()
        projections = []
        if condition is not None:
            condition = _rows(condition)
            projections = _unstacked(self.condition_kernel, self.compute_dtype)
        passed: list[Any] = []
        for layer, dilation in enumerate(self.dilations):
            if layer:
                x = x + with_bias(dot(passed[-1], residual[layer - 1]), residual_bias[layer - 1])
            heard = x
            if training and self.dropout:
                heard = keras.random.dropout(x, self.dropout, seed=self.seed_generator)
            gates = with_bias(dot(heard, present[layer]), biases[layer])
            for tap, kernel in enumerate(ops.unstack(past[layer], self.kernel_size - 1)):
                steps = (self.kernel_size - 1 - tap) * dilation
                gates = gates + dot(_delayed(heard, steps * batch), kernel)
            if condition is not None:
                gates = gates + dot(condition, projections[layer])
            passed.append(self._activated(gates))
        out = ops.reshape(self._out(passed, training), (time, batch, self.end_channels))
        return ops.transpose(out, (1, 0, 2))

    # One step.

    def initial_state(self, batch: Any) -> State:
        """Gives the state before the first step: nothing heard.

        Returns:
          The place in the rings, int32 scalar, from 0 up to the longest ring; and the rings of
          all layers one after the other, float32 [slots, batch, residual_channels]. A layer's
          ring has (kernel_size - 1) * dilation slots.
        """
        slots = self.receptive_field - 1
        return ops.zeros((), "int32"), ops.zeros((slots, batch, self.residual_channels))

    def step(self, state: State, x: Any, condition: Any = None) -> tuple[State, Any]:
        """Gives (state, output float32 [batch, end_channels]) of one step, without dropout.

        Args:
          state: as `initial_state` or the step before gave it.
          x: [batch, residual_channels].
          condition: [batch, condition_channels], None where there are none.
        """
        if not self.built:
            raise ValueError(f"{self.name} has no weights yet: call it, or build it, first")
        self._check_condition(condition)
        place, rings = state
        dilations = np.array(self.dilations, "int32")
        sizes = (self.kernel_size - 1) * dilations
        begins = np.cumsum(sizes, dtype="int32") - sizes
        # The oldest input lies where the present one goes, younger ones each `dilation` later.
        later = dilations[:, None] * np.arange(self.kernel_size - 1, dtype="int32")
        slots = begins[:, None] + (place + later) % sizes[:, None]
        past = ops.take(rings, slots, axis=0)

        gates = ops.sum(dot(past, self._cast(self.past_kernel)), axis=1)
        gates = gates + ops.convert_to_tensor(self.gate_bias)[:, None]
        if condition is not None:
            gates = gates + dot(condition[None], self._cast(self.condition_kernel))
        gates = ops.unstack(gates, len(dilations))
        _, present, _, residual, residual_bias = self._by_layer()
        x = ops.cast(x, "float32")
        heard: list[Any] = []
        passed: list[Any] = []
        for layer, kernel in enumerate(present):
            if layer:
                x = x + (dot(passed[-1], residual[layer - 1]) + residual_bias[layer - 1])
            heard.append(x)
            passed.append(self._activated(gates[layer] + dot(x, kernel)))
        rings = ops.scatter_update(rings, slots[:, :1], ops.stack(heard))
        # The longest ring is a multiple of all: counting modulo its size never overflows.
        return ((place + 1) % int(sizes.max()), rings), self._out(passed)

    # What both share.

    def _activated(self, gates: Any) -> Any:
        if not self.gated:
            return ops.relu(gates)
        filtered, gate = ops.split(gates, 2, axis=-1)
        return ops.tanh(filtered) * ops.sigmoid(gate)

    def _out(self, passed: list[Any], training: bool = False) -> Any:
        """Gives outputs [rows, end_channels] of what each layer passes, [rows, channels]."""
        skips = dot(ops.concatenate(passed, axis=-1), self._cast(self.skip_kernel))
        skips = ops.relu(with_bias(skips, ops.convert_to_tensor(self.skip_bias)))
        if training and self.skip_dropout:
            skips = keras.random.dropout(skips, self.skip_dropout, seed=self.seed_generator)
        end = dot(skips, self._cast(self.end_kernel))
        return ops.relu(with_bias(end, ops.convert_to_tensor(self.end_bias)))

    def _cast(self, kernel: Any) -> Any:
        return ops.cast(kernel, self.compute_dtype)

    def _by_layer(self) -> tuple[list[Any], ...]:
        """Gives kernels of the past and the present, bias, residual kernel and bias, a layer."""
        narrow = self.compute_dtype
        past, present = (_unstacked(k, narrow) for k in (self.past_kernel, self.present_kernel))
        biases = _unstacked(self.gate_bias, "float32")
        if len(biases) == 1:
            return past, present, biases, [], []
        residual = _unstacked(self.residual_kernel, narrow)
        return past, present, biases, residual, _unstacked(self.residual_bias, "float32")

    def _check_condition(self, condition: Any) -> None:
        size = 0 if condition is None else condition.shape[-1]
        if size != self.condition_channels:
            raise ValueError(
                f"{self.name} has condition_channels={self.condition_channels} and got "
                f"{size or 'no condition'}: give condition [..., condition_channels], or None for 0"
            )

    def compute_output_spec(self, x: Any, *_: Any, **__: Any) -> keras.KerasTensor:
        """Gives [batch, time, end_channels], float32."""
        return keras.KerasTensor((*x.shape[:2], self.end_channels), "float32")

    def get_config(self) -> dict[str, Any]:
        """Gives the arguments, as plain values."""
        names = (
            "blocks", "layers", "kernel_size", "residual_channels", "dilation_channels",
            "skip_channels", "end_channels", "condition_channels", "gated", "dropout",
            "skip_dropout", "seed",
        )  # fmt: skip
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


def _rows(x: Any) -> Any:
    """Gives [time * batch, channels] of x [batch, time, channels]."""
    return ops.reshape(ops.transpose(x, (1, 0, 2)), (-1, x.shape[-1]))


def _delayed(x: Any, rows: Any) -> Any:
    """Gives x [any, channels] `rows` later: zeros, then x but for its end."""
    return ops.pad(x, ((rows, 0), (0, 0)))[: ops.shape(x)[0]]


def _unstacked(weight: Any, dtype: str) -> list[Any]:
    """Gives a weight's parts along the first axis, in `dtype`."""
    return ops.unstack(ops.cast(weight, dtype), weight.shape[0])
