"""The decisions that make a cell, one after another: time, number of tones, then each tone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from crnn_gan.autoregressive.cell_fields import TONE_FIELDS, CellFields, OneHots
from crnn_gan.autoregressive.key_state import KeyState, at_time
from crnn_gan.autoregressive.sampling import FORBIDDEN
from crnn_gan.layers.row_product import row_product

# From (field, tone or None, logits float32 [rows, categories]) to what is chosen, one-hot, float32.
Choose = Callable[[str, int | None, Any], Any]


class CellDecisions(keras.layers.Layer):
    """Categorical distributions of a cell's fields, each given those before it.

    By the chain rule p(cell) = p(time) p(tones | time) p(pitch 1 | time, tones) ... Logits of a
    field are a dense layer on the rectified context; then an embedding of the choice is added to
    the context. After the time the keys that still sound and the place in the beat are known, and
    are added too. Pitches of a cell ascend: those that are not above the last one, or leave no room
    for the tones to come, are impossible. So are more tones than pitches, and a second velocity in
    a piece of one.

    Args:
      fields: of the Spec.
      units: size of the context.
    """

    def __init__(self, fields: CellFields, units: int, **kwargs: Any):
        super().__init__(**kwargs, dtype="float32")
        self.fields, self.units = fields, units

    def build(self, *_: Any) -> None:
        """Makes the weights."""
        sizes, tones = self.fields.sizes, range(self.fields.most_tones)
        names = ["time", "tones", *(f"{n}_{t + 1}" for t in tones for n in TONE_FIELDS)]
        categories = {name: sizes[name.split("_")[0]] for name in names}
        self.heads = {
            name: (
                self.add_weight((self.units, size), "glorot_uniform", name=f"{name}_kernel"),
                self.add_weight((size,), "zeros", name=f"{name}_bias"),
            )
            for name, size in categories.items()
        }
        added = {**categories, "beat_phase": sizes["beat_phase"], "sounding": sizes["pitch"]}
        self.embeddings = {
            name: self.add_weight((size, self.units), "glorot_uniform", name=f"{name}_embedding")
            for name, size in added.items()
            if name != names[-1]  # Nothing comes after the last decision.
        }

    def walk(
        self, context: Any, state: KeyState, velocities: Any, mask: Any, choose: Choose
    ) -> None:
        """Goes through the decisions of cells in order.

        Args:
          context: float32 [rows, units].
          state: before the cells.
          velocities: bool [rows, velocities], those that a row's tones may have.
          mask: float32 [rows, units], multiplied with the rectified context (dropout); or None.
          choose: called for each decision.
        """
        sizes = self.fields.sizes

        def decide(name: str, tone: int | None = None, allowed: Any = None) -> Any:
            nonlocal context
            key = name if tone is None else f"{name}_{tone + 1}"
            kernel, bias = self.heads[key]
            active = ops.relu(context)
            logits = row_product(active if mask is None else active * mask, kernel) + bias
            if allowed is not None:
                logits = ops.where(allowed, logits, FORBIDDEN)
            chosen = choose(name, tone, logits)
            if name != "time" and key in self.embeddings:
                context = context + row_product(chosen, self.embeddings[key])
            return chosen

        time = decide("time")
        begun = at_time(self.fields, state, time)
        phase = ops.one_hot(begun.phase, sizes["beat_phase"], dtype="float32")
        sounding = ops.cast(begun.ticks_left > 0, "float32")
        is_later = ops.expand_dims(1 - state.is_first, -1)
        context = context + row_product(is_later * time, self.embeddings["time"])
        context = context + row_product(phase, self.embeddings["beat_phase"])
        context = context + row_product(sounding, self.embeddings["sounding"])

        numbers = ops.arange(sizes["tones"], dtype="int32")
        count = decide("tones", None, numbers < sizes["pitch"])
        is_above: Any = True
        key = ops.arange(sizes["pitch"], dtype="int32")
        for tone in range(self.fields.most_tones):
            # Tones to come after this one, of those that are there.
            numbers = ops.cast(ops.arange(self.fields.most_tones) - tone, "float32")
            after = ops.cast(ops.sum(count * ops.maximum(numbers, 0.0), axis=-1), "int32")
            has_room = key < sizes["pitch"] - after[:, None]
            pitch = decide("pitch", tone, has_room & is_above)
            is_above = ops.cumsum(pitch, axis=-1) - pitch > 0.5
            decide("length", tone)
            decide("velocity", tone, velocities)

    def negative_log_likelihood(
        self, context: Any, state: KeyState, velocities: Any, cells: OneHots, mask: Any = None
    ) -> tuple[Any, dict[str, Any]]:
        """Gives -ln p of cells, nats: float32 [rows]; and its parts by field, of all tones.

        Args:
          context, state, velocities, mask: see `walk`.
          cells: each [rows, categories]. The first cell's time is not counted.
        """
        nats: dict[str, Any] = {}

        def choose(name: str, tone: int | None, logits: Any) -> Any:
            true = getattr(cells, name) if tone is None else getattr(cells, name)[tone]
            log_p = ops.log_softmax(logits, axis=-1)
            # One product of a 0 and a logarithm of 0 would be no number.
            found = -ops.sum(ops.where(true > 0, log_p, 0.0), axis=-1)
            nats[name] = nats.get(name, 0.0) + found
            return true

        self.walk(context, state, velocities, mask, choose)
        nats["time"] = nats["time"] * (1 - state.is_first)
        return sum(nats.values()), nats
