"""Emissions: what a step is drawn from, given what a network knows of the steps before it.

An emission turns a hidden vector a step into a distribution over what the codec may write
there. It says how the past is given to the network, what a step costs in nats, and how one is
drawn. Its head is float32, whatever the precision of training.
"""

from __future__ import annotations

from typing import Any, Protocol

import keras
from keras import ops

from crnn_gan.autoregressive.grammar import NEVER, Events, Grammar, grammar_of
from crnn_gan.autoregressive.nade import Notewise
from crnn_gan.autoregressive.sampling import TEMPERATURE, TOP_K, TOP_P, draw_bits, draw_token
from crnn_gan.music_model import Control
from pipelines.spec import Spec

LONGEST_NOTE = Control(
    300,
    0,
    1_000_000,
    "steps of time after which a key is released, by default of 10 ms each; 0: no limit",
    "int32",
)
CLOSES = Control(
    1, 0, 1, "1 releases every key within the piece, whose last tokens are for that; 0 does not",
    "int32",
)  # fmt: skip


def controls_of(spec: Spec) -> dict[str, Control]:
    """Names what a caller may set of how steps of a Spec are drawn."""
    if spec.kind == "roll":
        return {"temperature": TEMPERATURE}
    controls = {"temperature": TEMPERATURE, "top_k": TOP_K, "top_p": TOP_P}
    if isinstance(grammar_of(spec), Events):
        controls |= {"closes": CLOSES, "longest_note": LONGEST_NOTE}
    return controls


class Emission(Protocol):
    """What an autoregressive model asks of an emission, which is a Keras layer."""

    noise_size: int

    def build(self, hidden_shape: tuple[int | None, ...]) -> None:
        """Makes the weights for hidden [..., units]."""

    def past(self, music: Any) -> Any:
        """Gives what the network hears at each step: the step before, at first silence."""

    def heard(self, step: Any) -> Any:
        """Gives what the network hears after one step [batch, ...] of music."""

    def silence(self, batch: Any) -> Any:
        """Gives what the network hears before the first step: [batch, ...]."""

    def nats(self, hidden: Any, music: Any, training: bool = False) -> Any:
        """Gives -ln p of each step.

        Args:
          hidden: [batch, time, units].
          music: [batch, time, ...] as the Spec says.
          training: whether units are dropped.

        Returns:
          float32 [batch, time].
        """

    def next_nats(self, hidden: Any, state: tuple[Any, ...], step: Any) -> Any:
        """Gives -ln p of one step [batch, ...], given hidden [batch, units] and the state of
        drawing: float32 [batch]."""

    def start(self, batch: Any) -> tuple[Any, ...]:
        """Gives the state of drawing, beside the network's."""

    def after(self, state: tuple[Any, ...], step: Any) -> tuple[Any, ...]:
        """Gives the state of drawing after one step [batch, ...] of music."""

    def draw(
        self, hidden: Any, state: tuple[Any, ...], uniform: Any, left: Any, controls: Any
    ) -> Any:
        """Draws a step [batch, ...].

        Args:
          hidden: [batch, units].
          state: as `start` or `after` gave it.
          uniform: float32 [batch, noise_size] in [0, 1).
          left: int32 [batch], steps to come, this one included.
          controls: by name, each [batch].
        """


@keras.saving.register_keras_serializable("crnn_gan")
class Tokens(keras.layers.Layer):
    """One token of a vocabulary a step: softmax, and a grammar while drawing."""

    noise_size = 1

    def __init__(self, spec: Spec, **kwargs: Any):
        """Makes it for a Spec of tokens, or of audio, whose levels are tokens."""
        super().__init__(dtype="float32", **kwargs)
        self.size = spec.size
        self.grammar: Grammar = grammar_of(spec)
        self.head = keras.layers.Dense(spec.size, dtype="float32", name="logits")

    def build(self, hidden_shape: tuple[int | None, ...]) -> None:
        """Makes the head for hidden [..., units]."""
        self.head.build(hidden_shape)

    @property
    def vocabulary(self) -> int:
        """Indices that `past` may hold: the tokens, and silence after them."""
        return self.size + 1

    def past(self, music: Any) -> Any:
        """See `Emission`: int32 [batch, time]."""
        first = ops.full_like(music[:, :1], self.size)
        return ops.concatenate([first, music[:, :-1]], axis=1)

    def heard(self, step: Any) -> Any:
        """See `Emission`: int32 [batch]."""
        return step

    def silence(self, batch: Any) -> Any:
        """See `Emission`: int32 [batch]."""
        return ops.full((batch,), self.size, "int32")

    def nats(self, hidden: Any, music: Any, training: bool = False) -> Any:
        """See `Emission`."""
        logits = self.head(ops.cast(hidden, "float32"))
        return ops.sparse_categorical_crossentropy(music, logits, from_logits=True)

    def next_nats(self, hidden: Any, state: tuple[Any, ...], step: Any) -> Any:
        """See `Emission`."""
        return self.nats(hidden, step)

    def start(self, batch: Any) -> tuple[Any, ...]:
        """See `Emission`: the grammar's."""
        return self.grammar.start(batch)

    def after(self, state: tuple[Any, ...], step: Any) -> tuple[Any, ...]:
        """See `Emission`."""
        return self.grammar.after(state, step)

    def draw(
        self, hidden: Any, state: tuple[Any, ...], uniform: Any, left: Any, controls: Any
    ) -> Any:
        """See `Emission`: int32 [batch]."""
        if "closes" in controls:
            left = ops.where(controls["closes"] > 0, left, NEVER)
        longest = controls.get("longest_note", 0)
        allowed = self.grammar.allowed(state, left, longest)
        temperature, top_k, top_p = (controls[n] for n in ("temperature", "top_k", "top_p"))
        # In a stack of one, a row is added up alike alone and beside others.
        logits = ops.matmul(hidden[None], self.head.kernel[None])[0] + self.head.bias
        return draw_token(logits, uniform[:, 0], temperature, top_k, top_p, allowed)


class Frames(keras.layers.Layer):
    """What emissions of a roll's frames share: a frame is heard as its cells, which are bits."""

    def __init__(self, spec: Spec, **kwargs: Any):
        """Makes it for a Spec of a roll.

        Raises:
          ValueError: a plane holds velocities, which are no bits.
        """
        super().__init__(dtype="float32", **kwargs)
        if "velocity" in [name for name, _, _ in spec.blocks]:
            raise ValueError(
                "the roll has a plane of velocities, which are no bits; prepare it with "
                "--planes=onset,frame, --planes=frame or --planes=onset"
            )
        self.frame_shape = tuple(int(size or 0) for size in spec.shape[1:])
        self.noise_size = self.frame_shape[0] * self.frame_shape[1]

    def heard(self, step: Any) -> Any:
        """See `Emission`: float32 [..., cells] of [..., pitches, planes]."""
        bits = ops.cast(step > 0, "float32")
        return ops.reshape(bits, (*ops.shape(bits)[:-2], self.noise_size))

    def past(self, music: Any) -> Any:
        """See `Emission`: float32 [batch, time, cells]."""
        cells = self.heard(music)
        return ops.concatenate([ops.zeros_like(cells[:, :1]), cells[:, :-1]], axis=1)

    def silence(self, batch: Any) -> Any:
        """See `Emission`: float32 [batch, cells]."""
        return ops.zeros((batch, self.noise_size))

    def framed(self, bits: Any) -> Any:
        """Gives float32 bits [batch, cells] as int32 [batch, pitches, planes]."""
        return ops.cast(ops.reshape(bits, (ops.shape(bits)[0], *self.frame_shape)), "int32")


def _cost(logits: Any, bits: Any) -> Any:
    """Gives -ln p of bits, summed over the last axis.

    -ln sigmoid(x) is softplus(-x) = softplus(x) - x, that of the complement softplus(x).
    """
    return ops.sum(ops.softplus(logits) - logits * bits, axis=-1)


@keras.saving.register_keras_serializable("crnn_gan")
class Keys(Frames):
    """Every cell of a frame a bit of its own: independent Bernoulli distributions."""

    def __init__(self, spec: Spec, **kwargs: Any):
        """Makes it for a Spec of a roll; see `Frames`."""
        super().__init__(spec, **kwargs)
        self.head = keras.layers.Dense(self.noise_size, dtype="float32", name="logits")

    def build(self, hidden_shape: tuple[int | None, ...]) -> None:
        """Makes the head for hidden [..., units]."""
        self.head.build(hidden_shape)

    def logits(self, outputs: Any) -> Any:
        """Gives ln(q / (1 - q)) of the probabilities q that the head's outputs stand for."""
        return outputs

    def nats(self, hidden: Any, music: Any, training: bool = False) -> Any:
        """See `Emission`: the sum over the cells of each frame."""
        logits = self.logits(self.head(ops.cast(hidden, "float32")))
        return _cost(logits, self.heard(music))

    def predicted(self, hidden: Any, threshold: float) -> Any:
        """Gives which cells are more probable than `threshold`: float32 [batch, cells]."""
        logits = self.logits(self.head(ops.cast(hidden, "float32")))
        return ops.cast(ops.sigmoid(logits) > threshold, "float32")

    def next_nats(self, hidden: Any, state: tuple[Any, ...], step: Any) -> Any:
        """See `Emission`."""
        return self.nats(hidden, step)

    def start(self, batch: Any) -> tuple[Any, ...]:
        """See `Emission`: there is none."""
        return ()

    def after(self, state: tuple[Any, ...], step: Any) -> tuple[Any, ...]:
        """See `Emission`."""
        return state

    def draw(
        self, hidden: Any, state: tuple[Any, ...], uniform: Any, left: Any, controls: Any
    ) -> Any:
        """See `Emission`: int32 [batch, pitches, planes]."""
        return self.framed(draw_bits(self.head(hidden), uniform, controls["temperature"]))


@keras.saving.register_keras_serializable("crnn_gan")
class NotewiseKeys(Frames):
    """The keys of a frame one after another, each told those already decided.

    It hears the last frames itself, around each key: see `layers.notewise`. Where nothing is told
    of what is decided, keys are independent of each other.
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
        decides: bool = True,
        **kwargs: Any,
    ):
        """Makes it for a Spec of a roll of one plane.

        Args:
          spec: of the roll.
          hidden, layers, dropout, span, reach: of `Notewise`.
          frames: past frames that are heard around each key, 1 or more.
          frames_dropout: share of their cells that is dropped in training.
          decides: whether a key is told of those decided before it.

        Raises:
          ValueError: the roll has more than one plane, or holds velocities.
        """
        super().__init__(spec, **kwargs)
        if self.frame_shape[1] != 1:
            raise ValueError(
                "keys hear each other and past frames of a roll of one plane; prepare it with "
                "--planes=frame or --planes=onset, or give --notes=independent"
            )
        self.frames, self.decides = frames, decides
        self.drop = keras.layers.Dropout(frames_dropout, seed=4, dtype="float32")
        self.head = Notewise(
            self.noise_size, hidden, span=span, reach=reach, layers=layers, dropout=dropout, seed=3
        )

    def build(self, hidden_shape: tuple[int | None, ...]) -> None:
        """Makes the weights for hidden [..., units]."""
        cells = (*hidden_shape[:-1], self.noise_size)
        self.head.build(hidden_shape, cells, (*cells, self.frames))

    def _last(self, cells: Any) -> Any:
        """Gives the frames before each of [batch, time, cells]: [batch, time, cells, frames], the
        nearest first."""
        count, time = self.frames, ops.shape(cells)[1]
        padded = ops.pad(cells, ((0, 0), (count, 0), (0, 0)))
        return ops.stack([padded[:, count - k : count - k + time] for k in range(1, count + 1)], -1)

    def nats(self, hidden: Any, music: Any, training: bool = False) -> Any:
        """See `Emission`: the sum over the keys of each frame."""
        cells = self.heard(music)
        last = self.drop(self._last(cells), training=training)
        logits = self.head(ops.cast(hidden, "float32"), self._told(cells), last, training=training)
        return _cost(logits, cells)

    def _told(self, cells: Any) -> Any:
        return cells if self.decides else ops.zeros_like(cells)

    def next_nats(self, hidden: Any, state: tuple[Any, ...], step: Any) -> Any:
        """See `Emission`."""
        cells = self.heard(step)
        return _cost(self.head(hidden, self._told(cells), state[0]), cells)

    def start(self, batch: Any) -> tuple[Any, ...]:
        """See `Emission`: the last frames, float32 [batch, cells, frames], the nearest first."""
        return (ops.zeros((batch, self.noise_size, self.frames)),)

    def after(self, state: tuple[Any, ...], step: Any) -> tuple[Any, ...]:
        """See `Emission`."""
        newest = self.heard(step)[..., None]
        return (ops.concatenate([newest, state[0][..., :-1]], axis=-1),)

    def draw(
        self, hidden: Any, state: tuple[Any, ...], uniform: Any, left: Any, controls: Any
    ) -> Any:
        """See `Emission`: int32 [batch, pitches, planes]."""
        temperature = controls["temperature"]
        if self.decides:
            return self.framed(self.head.draw(hidden, uniform, temperature, state[0]))
        logits = self.head(hidden, ops.zeros_like(uniform), state[0])
        return self.framed(draw_bits(logits, uniform, temperature))
