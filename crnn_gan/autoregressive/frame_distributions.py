"""Output distributions over the frames of piano rolls, whose cells are 0 or 1.

See `OutputDistribution` for what they give.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from crnn_gan.autoregressive.nade import NADE
from crnn_gan.autoregressive.sampling import sample_bits
from crnn_gan.layers.frames import Frames
from pipelines.spec import Spec


def _cross_entropy(logits: Any, bits: Any) -> Any:
    """Gives the binary cross-entropy of bits, summed over the last axis.

    -ln sigmoid(x) is softplus(-x) = softplus(x) - x, that of the complement softplus(x).
    """
    return ops.sum(ops.softplus(logits) - logits * bits, axis=-1)


@keras.saving.register_keras_serializable("crnn_gan")
class IndependentBernoulli(Frames):
    """Independent Bernoulli distributions of the cells of a frame."""

    def __init__(self, spec: Spec, **kwargs: Any):
        """Makes it for a Spec of a roll; see `Frames`."""
        super().__init__(spec, **kwargs)
        self.head = keras.layers.Dense(self.noise_size, dtype="float32", name="logits")

    def build(self, hidden_shape: tuple[int | None, ...]) -> None:
        """Makes the head for hidden states [..., units]."""
        self.head.build(hidden_shape)

    def logits(self, outputs: Any) -> Any:
        """Gives the logits ln(q / (1 - q)) of the probabilities q, from the head's outputs.

        Here they are the outputs. A subclass with another loss than cross-entropy corrects them.
        """
        return outputs

    def negative_log_likelihood(self, hidden: Any, music: Any, training: bool = False) -> Any:
        """See `OutputDistribution`: the sum over the cells of each frame."""
        logits = self.logits(self.head(ops.cast(hidden, "float32")))
        return _cross_entropy(logits, self.inputs(music))

    def predict_cells(self, hidden: Any, threshold: float) -> Any:
        """Gives which cells are more probable than `threshold`: float32 [batch, noise_size]."""
        logits = self.logits(self.head(ops.cast(hidden, "float32")))
        return ops.cast(ops.sigmoid(logits) > threshold, "float32")

    def step_negative_log_likelihood(self, hidden: Any, state: tuple[Any, ...], step: Any) -> Any:
        """See `OutputDistribution`."""
        return self.negative_log_likelihood(hidden, step)

    def initial_state(self, batch: Any) -> tuple[Any, ...]:
        """See `OutputDistribution`: there is none."""
        return ()

    def next_state(self, state: tuple[Any, ...], step: Any) -> tuple[Any, ...]:
        """See `OutputDistribution`."""
        return state

    def sample(
        self, hidden: Any, state: tuple[Any, ...], uniform: Any, steps_left: Any, controls: Any
    ) -> Any:
        """See `OutputDistribution`: int32 [batch, pitches, planes]."""
        return self.to_frames(sample_bits(self.head(hidden), uniform, controls["temperature"]))


@keras.saving.register_keras_serializable("crnn_gan")
class NADEKeys(Frames):
    """Autoregressive distribution over the keys of a frame, from the lowest key up: see `NADE`.

    Past frames around each key are its inputs too, beside the hidden state. Without
    `autoregressive` those are all it has, and the keys are independent Bernoulli.
    """

    def __init__(
        self,
        spec: Spec,
        hidden: int = 64,
        layers: int = 2,
        dropout: float = 0.0,
        span: int = 24,
        reach: int = 16,
        frames: int = 4,
        frames_dropout: float = 0.0,
        autoregressive: bool = True,
        **kwargs: Any,
    ):
        """Makes it for a Spec of a roll of one plane.

        Args:
          spec: of the roll.
          hidden, layers, dropout, span, reach: of `NADE`.
          frames: past frames that are inputs, 1 or more.
          frames_dropout: dropout rate of their cells.
          autoregressive: whether the keys below a key are its inputs.

        Raises:
          ValueError: the roll has more than one plane, or holds velocities.
        """
        super().__init__(spec, **kwargs)
        if self.frame_shape[1] != 1:
            raise ValueError(
                "neighbours and one_by_one need a roll of one plane; prepare it with "
                "--planes=frame or --planes=onset, or give --notes=independent"
            )
        self.frames, self.autoregressive = frames, autoregressive
        self.drop = keras.layers.Dropout(frames_dropout, seed=4, dtype="float32")
        self.head = NADE(
            self.noise_size, hidden, span=span, reach=reach, layers=layers, dropout=dropout, seed=3
        )

    def build(self, hidden_shape: tuple[int | None, ...]) -> None:
        """Makes the weights for hidden states [..., units]."""
        cells = (*hidden_shape[:-1], self.noise_size)
        self.head.build(hidden_shape, cells, (*cells, self.frames))

    def _past_frames(self, cells: Any) -> Any:
        """Gives the frames before each of [batch, time, cells], the nearest first.

        [batch, time, cells, frames]: at index 3 frames 2, 1, 0 and then zeros.
        """
        count, time = self.frames, ops.shape(cells)[1]
        padded = ops.pad(cells, ((0, 0), (count, 0), (0, 0)))
        return ops.stack([padded[:, count - k : count - k + time] for k in range(1, count + 1)], -1)

    def negative_log_likelihood(self, hidden: Any, music: Any, training: bool = False) -> Any:
        """See `OutputDistribution`: the sum over the keys of each frame."""
        cells = self.inputs(music)
        past = self.drop(self._past_frames(cells), training=training)
        below = self._keys_below(cells)
        logits = self.head(ops.cast(hidden, "float32"), below, past, training=training)
        return _cross_entropy(logits, cells)

    def _keys_below(self, cells: Any) -> Any:
        """Gives the frames of which `NADE` uses, for each key, those below it."""
        return cells if self.autoregressive else ops.zeros_like(cells)

    def step_negative_log_likelihood(self, hidden: Any, state: tuple[Any, ...], step: Any) -> Any:
        """See `OutputDistribution`."""
        cells = self.inputs(step)
        return _cross_entropy(self.head(hidden, self._keys_below(cells), state[0]), cells)

    def initial_state(self, batch: Any) -> tuple[Any, ...]:
        """See `OutputDistribution`: the past frames, float32 [batch, cells, frames]."""
        return (ops.zeros((batch, self.noise_size, self.frames)),)

    def next_state(self, state: tuple[Any, ...], step: Any) -> tuple[Any, ...]:
        """See `OutputDistribution`."""
        newest = self.inputs(step)[..., None]
        return (ops.concatenate([newest, state[0][..., :-1]], axis=-1),)

    def sample(
        self, hidden: Any, state: tuple[Any, ...], uniform: Any, steps_left: Any, controls: Any
    ) -> Any:
        """See `OutputDistribution`: int32 [batch, pitches, planes]."""
        temperature = controls["temperature"]
        if self.autoregressive:
            return self.to_frames(self.head.sample(hidden, uniform, temperature, state[0]))
        logits = self.head(hidden, ops.zeros_like(uniform), state[0])
        return self.to_frames(sample_bits(logits, uniform, temperature))
