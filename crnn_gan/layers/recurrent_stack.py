"""A stack of LSTM or GRU layers, over whole sequences and step by step."""

from __future__ import annotations

from typing import Any, Literal

import keras
from keras import ops

from crnn_gan.layers.recurrent import LSTM

REGISTER = 16  # float32 numbers in the largest vector register of a processor.
State = tuple[tuple[Any, ...], ...]


@keras.saving.register_keras_serializable("crnn_gan")
class RecurrentStack(keras.layers.Layer):
    """Stacked LSTM or GRU layers, with dropout after each.

    Args:
      cell: "lstm" or "gru" (Cho et al. 2014, in the form that cuDNN computes).
      units: units of each layer, 1 or more.
      num_layers: number of layers, 1 or more.
      dropout: dropout rate of each layer's outputs to the layer above, not of its recurrent state
        (Zaremba et al. 2014, arXiv 1409.2329).
    """

    def __init__(
        self,
        cell: Literal["lstm", "gru"],
        units: int,
        num_layers: int,
        dropout: float = 0.0,
        **kwargs: Any,
    ):
        super().__init__(**kwargs, autocast=False)
        if cell not in ("lstm", "gru"):
            raise ValueError(f"cell is {cell!r}; give lstm or gru")
        if min(units, num_layers) < 1:
            raise ValueError(f"units {units}, num_layers {num_layers}: each is 1 or more")
        self.cell, self.units, self.num_layers, self.dropout = cell, units, num_layers, dropout
        self.layers = [self._layer(number) for number in range(num_layers)]
        self.drops = [keras.layers.Dropout(dropout, seed=number) for number in range(num_layers)]

    def _layer(self, number: int) -> keras.layers.Layer:
        name = f"{self.cell}_{number}"
        if self.cell == "lstm":
            return LSTM(self.units, name=name, dtype=self.dtype_policy)
        return keras.layers.GRU(
            self.units, return_sequences=True, name=name, dtype=self.dtype_policy
        )

    def build(self, inputs_shape: tuple[int | None, ...]) -> None:
        """Makes the weights for inputs [batch, time, features]."""
        for layer in self.layers:
            layer.build((None, None, inputs_shape[-1]))
            inputs_shape = (None, None, self.units)

    def call(self, inputs: Any, training: bool = False) -> Any:
        """Gives outputs [batch, time, units] in the compute dtype."""
        for layer, drop in zip(self.layers, self.drops, strict=True):
            inputs = drop(layer(inputs), training=training)
        return inputs

    @property
    def rows_together(self) -> int:
        """See `MusicModel`: 1 where a row of `step` is bitwise the same alone and in any batch."""
        return 1 if self.cell == "lstm" and self.units % REGISTER == 0 else REGISTER

    def initial_state(self, batch: Any) -> State:
        """Gives each layer's state before the first step: see `LSTM.initial_state`; of a GRU zeros
        float32 [batch, units]."""
        return tuple(
            layer.initial_state(batch)
            if isinstance(layer, LSTM)
            else (ops.zeros((batch, self.units)),)
            for layer in self.layers
        )

    def step(self, state: State, inputs: Any) -> tuple[State, Any]:
        """Gives (state, outputs float32 [batch, units]) of one step, as `call` would.

        Args:
          state: as `initial_state` or the step before gave it.
          inputs: [batch, features].
        """
        after: list[tuple[Any, ...]] = []
        for layer, before in zip(self.layers, state, strict=True):
            if isinstance(layer, LSTM):
                inputs, both = layer.step(inputs, before)
                after.append(both)
            else:
                inputs, _ = layer.cell(ops.cast(inputs, layer.compute_dtype), list(before))
                inputs = ops.cast(inputs, "float32")
                after.append((inputs,))
        return tuple(after), inputs

    def compute_output_shape(self, inputs_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Gives (batch, time, units)."""
        return (*inputs_shape[:2], self.units)

    def get_config(self) -> dict[str, Any]:
        """Gives the arguments, as plain values."""
        names = ("cell", "units", "num_layers", "dropout")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}
