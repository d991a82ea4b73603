"""Gated dilated causal convolutions, the body of WaveNet.

van den Oord et al. 2016 (arXiv 1609.03499), sections 2.1 and 2.3 to 2.5. `call` computes all steps
of a sequence at once, for training. `step` computes one, for generation: each layer's past inputs
are in a ring buffer (Le Paine et al. 2016, arXiv 1611.09482), so that the cost of a step is
proportional to the number of layers, whatever the receptive field. Both give the same.

The weights of one kind are one tensor for all layers. So a step reads every layer's past in one
gather, multiplies it in one product, and sums the skip connections in one more.
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

    With x the input of a layer, each computes, over `kernel_size` steps `dilation` apart, the last
    of them the present one,

        z = tanh(filter * x + c_filter) . sigmoid(gate * x + c_gate)

    where c, zero without `condition_channels`, is a projection of the condition of this step. Its
    residual output, the next layer's input, is x + residual * z; its skip output is z:

        out = relu(end * relu(sum of skip * z over the layers)).

    Each product but that with the condition has a bias, one for all skips. The last layer has no
    residual output. Before the first step every input is zeros. Weights and elementwise operations
    are float32; products are computed in the compute dtype.

    Args:
      blocks: blocks of layers, each with dilations 1, 2, 4, ...; 1 or more.
      layers: convolutions per block, 1 or more; the last has dilation 2^(layers - 1).
      kernel_size: of each convolution, steps, 2 or more.
      residual_channels: of the inputs and of the residual path.
      dilation_channels: of z.
      skip_channels: of the sum of the skip connections.
      end_channels: of the outputs.
      condition_channels: of the condition of a step; 0 for none.
      gated: False for z = relu(filter * x + c_filter).
      dropout: dropout rate of a convolution's input; the residual path is not dropped.
      skip_dropout: dropout rate of the sum of the skip connections.
      seed: random seed of the dropout.
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
        sizes = dict(
            blocks=blocks, layers=layers, residual_channels=residual_channels,
            dilation_channels=dilation_channels, skip_channels=skip_channels,
            end_channels=end_channels,
        )  # fmt: skip
        for name, size in sizes.items():
            if size < 1:
                raise ValueError(f"{name} is {size}; give 1 or more")
        if kernel_size < 2:
            raise ValueError(
                f"kernel_size is {kernel_size}; give 2 or more: with 1 no past step is an input"
            )
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
        """Of each layer, steps between two inputs of its convolution."""
        return tuple(2**layer for layer in range(self.layers)) * self.blocks

    @property
    def receptive_field(self) -> int:
        """Steps of input that an output depends on, its own among them."""
        return (self.kernel_size - 1) * sum(self.dilations) + 1

    def build(self, x_shape: tuple[int | None, ...], *_: Any, **__: Any) -> None:
        """Makes the weights for x [batch, time, residual_channels].

        Kernels are Glorot uniform: filter, gate and residual with the fans of one layer; the skip
        kernel with those of all layers, so that the sum does not grow with their number.
        """
        if x_shape[-1] != self.residual_channels:
            raise ValueError(
                f"{self.name} has residual_channels={self.residual_channels} and got inputs of "
                f"{x_shape[-1]}: embed or project them to residual_channels first"
            )
        depth, past_taps = len(self.dilations), self.kernel_size - 1
        x, z = self.residual_channels, self.dilation_channels
        gates = 2 * z if self.gated else z

        def kernel(name: str, fans: int, *shape: int) -> Any:
            limit = math.sqrt(6 / fans)
            uniform = keras.initializers.RandomUniform(-limit, limit)
            return self.add_weight(shape, uniform, name=name, autocast=False)

        def bias(name: str, *shape: int) -> Any:
            return self.add_weight(shape, "zeros", name=name, autocast=False)

        fans = self.kernel_size * (x + z)
        self.past_kernel = kernel("past_kernel", fans, depth, past_taps, x, gates)
        self.present_kernel = kernel("present_kernel", fans, depth, x, gates)
        self.gate_bias = bias("gate_bias", depth, gates)
        if n := self.condition_channels:
            self.condition_kernel = kernel("condition_kernel", n + z, depth, n, gates)
        if depth > 1:
            self.residual_kernel = kernel("residual_kernel", z + x, depth - 1, z, x)
            self.residual_bias = bias("residual_bias", depth - 1, x)
        fans = depth * z + self.skip_channels
        self.skip_kernel = kernel("skip_kernel", fans, depth * z, self.skip_channels)
        self.skip_bias = bias("skip_bias", self.skip_channels)
        fans = self.skip_channels + self.end_channels
        self.end_kernel = kernel("end_kernel", fans, self.skip_channels, self.end_channels)
        self.end_bias = bias("end_bias", self.end_channels)

    def call(self, x: Any, condition: Any = None, training: bool = False) -> Any:
        """Gives outputs float32 [batch, time, end_channels]; step 3 depends on x of steps 0 to 3.

        Args:
          x: [batch, time, residual_channels].
          condition: [batch, time, condition_channels]; None without any.
          training: whether dropout is on.
        """
        self._check_condition(condition)
        batch, time = ops.shape(x)[:2]
        # Rows [time * batch, channels]: then a delay moves whole rows, and a convolution is matrix
        # products. TensorFlow has no gradient of a dilated one on CPUs without oneDNN.
        x = ops.cast(_rows(x), "float32")
        past, present, biases, residual, residual_bias = self._by_layer()
        projections = []
        if condition is not None:
            condition = _rows(condition)
            projections = _unstacked(self.condition_kernel, self.compute_dtype)
        gated: list[Any] = []
        for layer, dilation in enumerate(self.dilations):
            if layer:
                x = x + with_bias(dot(gated[-1], residual[layer - 1]), residual_bias[layer - 1])
            inputs = x
            if training and self.dropout:
                inputs = keras.random.dropout(x, self.dropout, seed=self.seed_generator)
            gates = with_bias(dot(inputs, present[layer]), biases[layer])
            for tap, kernel in enumerate(ops.unstack(past[layer], self.kernel_size - 1)):
                steps = (self.kernel_size - 1 - tap) * dilation
                gates = gates + dot(_delayed(inputs, steps * batch), kernel)
            if condition is not None:
                gates = gates + dot(condition, projections[layer])
            gated.append(self._activated(gates))
        out = ops.reshape(self._out(gated, training), (time, batch, self.end_channels))
        return ops.transpose(out, (1, 0, 2))

    def initial_state(self, batch: Any) -> State:
        """Gives the state before the first step.

        Returns:
          (steps so far modulo the longest ring buffer, int32 scalar; the ring buffers of all layers
          one after the other, zeros float32 [slots, batch, residual_channels]). A layer's ring
          buffer has (kernel_size - 1) * dilation slots.
        """
        slots = self.receptive_field - 1
        return ops.zeros((), "int32"), ops.zeros((slots, batch, self.residual_channels))

    def step(self, state: State, x: Any, condition: Any = None) -> tuple[State, Any]:
        """Gives (state, output float32 [batch, end_channels]) of one step, without dropout.

        Args:
          state: as `initial_state` or the step before gave it.
          x: [batch, residual_channels].
          condition: [batch, condition_channels]; None without any.
        """
        if not self.built:
            raise ValueError(f"{self.name} has no weights yet: call it, or build it, first")
        self._check_condition(condition)
        index, rings = state
        dilations = np.array(self.dilations, "int32")
        sizes = (self.kernel_size - 1) * dilations
        begins = np.cumsum(sizes, dtype="int32") - sizes
        # The oldest input is where the present one goes, later ones each `dilation` slots on.
        later = dilations[:, None] * np.arange(self.kernel_size - 1, dtype="int32")
        slots = begins[:, None] + (index + later) % sizes[:, None]
        past = ops.take(rings, slots, axis=0)

        gates = ops.sum(dot(past, self._cast(self.past_kernel)), axis=1)
        gates = gates + ops.convert_to_tensor(self.gate_bias)[:, None]
        if condition is not None:
            gates = gates + dot(condition[None], self._cast(self.condition_kernel))
        gates = ops.unstack(gates, len(dilations))
        _, present, _, residual, residual_bias = self._by_layer()
        x = ops.cast(x, "float32")
        inputs: list[Any] = []
        gated: list[Any] = []
        for layer, kernel in enumerate(present):
            if layer:
                x = x + (dot(gated[-1], residual[layer - 1]) + residual_bias[layer - 1])
            inputs.append(x)
            gated.append(self._activated(gates[layer] + dot(x, kernel)))
        rings = ops.scatter_update(rings, slots[:, :1], ops.stack(inputs))
        # The longest ring is a multiple of all: counting modulo its size never overflows.
        return ((index + 1) % int(sizes.max()), rings), self._out(gated)

    def _activated(self, gates: Any) -> Any:
        if not self.gated:
            return ops.relu(gates)
        filtered, gate = ops.split(gates, 2, axis=-1)
        return ops.tanh(filtered) * ops.sigmoid(gate)

    def _out(self, gated: list[Any], training: bool = False) -> Any:
        """Gives outputs [rows, end_channels] from each layer's z, [rows, dilation_channels]."""
        skips = dot(ops.concatenate(gated, axis=-1), self._cast(self.skip_kernel))
        skips = ops.relu(with_bias(skips, ops.convert_to_tensor(self.skip_bias)))
        if training and self.skip_dropout:
            skips = keras.random.dropout(skips, self.skip_dropout, seed=self.seed_generator)
        end = dot(skips, self._cast(self.end_kernel))
        return ops.relu(with_bias(end, ops.convert_to_tensor(self.end_bias)))

    def _cast(self, kernel: Any) -> Any:
        return ops.cast(kernel, self.compute_dtype)

    def _by_layer(self) -> tuple[list[Any], ...]:
        """Gives, per layer: kernels of past and present taps, bias, residual kernel and bias."""
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
    """Gives x [any, channels] shifted by `rows`: zeros, then x without its last `rows`."""
    return ops.pad(x, ((rows, 0), (0, 0)))[: ops.shape(x)[0]]


def _unstacked(weight: Any, dtype: str) -> list[Any]:
    """Gives a weight's parts along the first axis, in `dtype`."""
    return ops.unstack(ops.cast(weight, dtype), weight.shape[0])
