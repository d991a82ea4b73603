"""Output distributions of autoregressive models: p(step | steps before), from a hidden state.

`Categorical` over the tokens of a vocabulary stands here; `IndependentBernoulli` and `NADEKeys`,
over the cells of a roll's frame, in `frame_distributions.py`. Each says what the network's input is
after a step, gives the negative log-likelihood of steps, and samples. Its head is float32, whatever
the precision of training.
"""

from __future__ import annotations

from typing import Any, Protocol

import keras
from keras import ops

from crnn_gan.autoregressive.grammar import NEVER, Events, Grammar, grammar_of
from crnn_gan.autoregressive.sampling import TEMPERATURE, TOP_K, TOP_P, sample_token
from crnn_gan.layers.row_product import row_product
from crnn_gan.music_model import Control
from pipelines.spec import Spec

LONGEST_NOTE = Control(
    300,
    0,
    1_000_000,
    "longest note, steps of time (by default 10 ms each), after which it is released; 0: no limit",
    "int32",
)
CLOSES = Control(
    1, 0, 1, "1 releases every note within the piece, for which its last tokens are; 0 does not",
    "int32",
)  # fmt: skip


def sampling_controls(spec: Spec) -> dict[str, Control]:
    """Gives what a caller may set of how steps of a Spec are sampled."""
    if spec.kind == "roll":
        return {"temperature": TEMPERATURE}
    controls = {"temperature": TEMPERATURE, "top_k": TOP_K, "top_p": TOP_P}
    if isinstance(grammar_of(spec), Events):
        controls |= {"closes": CLOSES, "longest_note": LONGEST_NOTE}
    return controls


class OutputDistribution(Protocol):
    """What an autoregressive model needs of its output distribution, a Keras layer.

    It may have a state beside the network's, which follows the steps: a grammar's, or past frames.

    Attributes:
      noise_size: uniform numbers that `sample` uses per step.
    """

    noise_size: int

    def build(self, hidden_shape: tuple[int | None, ...]) -> None:
        """Makes the weights for hidden states [..., units]."""

    def shifted(self, music: Any) -> Any:
        """Gives the network's inputs for music [batch, time, ...], shifted by one step.

        At index 3 that for step 2; at index 0 `start_input`.
        """

    def inputs(self, step: Any) -> Any:
        """Gives the network's input after one step of music [batch, ...]."""

    def start_input(self, batch: Any) -> Any:
        """Gives the network's input before the first step: [batch, ...]."""

    def negative_log_likelihood(self, hidden: Any, music: Any, training: bool = False) -> Any:
        """Gives -ln p of each step, nats.

        Args:
          hidden: [batch, time, units].
          music: [batch, time, ...] as the Spec says.
          training: whether dropout is on.

        Returns:
          float32 [batch, time].
        """

    def step_negative_log_likelihood(self, hidden: Any, state: tuple[Any, ...], step: Any) -> Any:
        """Gives -ln p of one step, nats: float32 [batch].

        Args:
          hidden: [batch, units].
          state: as `initial_state` or `next_state` gave it.
          step: [batch, ...], the music of the step.
        """

    def initial_state(self, batch: Any) -> tuple[Any, ...]:
        """Gives the distribution's state before the first step."""

    def next_state(self, state: tuple[Any, ...], step: Any) -> tuple[Any, ...]:
        """Gives the distribution's state after one step of music [batch, ...]."""

    def sample(
        self, hidden: Any, state: tuple[Any, ...], uniform: Any, steps_left: Any, controls: Any
    ) -> Any:
        """Samples a step: int32 [batch, ...].

        Args:
          hidden: float32 [batch, units].
          state: as `initial_state` or `next_state` gave it.
          uniform: float32 [batch, noise_size] in [0, 1).
          steps_left: int32 [batch], steps to come, this one included.
          controls: by name, each [batch].
        """


@keras.saving.register_keras_serializable("crnn_gan")
class Categorical(keras.layers.Layer):
    """Categorical distribution over a vocabulary: a softmax, and a grammar in sampling."""

    noise_size = 1

    def __init__(self, spec: Spec, **kwargs: Any):
        """Makes it for a Spec of tokens, or of audio, whose levels are the tokens."""
        super().__init__(dtype="float32", **kwargs)
        self.size = spec.size
        self.grammar: Grammar = grammar_of(spec)
        self.head = keras.layers.Dense(spec.size, dtype="float32", name="logits")

    def build(self, hidden_shape: tuple[int | None, ...]) -> None:
        """Makes the head for hidden states [..., units]."""
        self.head.build(hidden_shape)

    @property
    def input_vocabulary(self) -> int:
        """Indices that inputs may hold: the tokens, and after them the start token."""
        return self.size + 1

    def shifted(self, music: Any) -> Any:
        """See `OutputDistribution`: int32 [batch, time]."""
        first = ops.full_like(music[:, :1], self.size)
        return ops.concatenate([first, music[:, :-1]], axis=1)

    def inputs(self, step: Any) -> Any:
        """See `OutputDistribution`: int32 [batch]."""
        return step

    def start_input(self, batch: Any) -> Any:
        """See `OutputDistribution`: the start token, int32 [batch]."""
        return ops.full((batch,), self.size, "int32")

    def negative_log_likelihood(self, hidden: Any, music: Any, training: bool = False) -> Any:
        """See `OutputDistribution`."""
        logits = self.head(ops.cast(hidden, "float32"))
        return ops.sparse_categorical_crossentropy(music, logits, from_logits=True)

    def step_negative_log_likelihood(self, hidden: Any, state: tuple[Any, ...], step: Any) -> Any:
        """See `OutputDistribution`."""
        return self.negative_log_likelihood(hidden, step)

    def initial_state(self, batch: Any) -> tuple[Any, ...]:
        """See `OutputDistribution`: the grammar's."""
        return self.grammar.initial_state(batch)

    def next_state(self, state: tuple[Any, ...], step: Any) -> tuple[Any, ...]:
        """See `OutputDistribution`."""
        return self.grammar.next_state(state, step)

    def sample(
        self, hidden: Any, state: tuple[Any, ...], uniform: Any, steps_left: Any, controls: Any
    ) -> Any:
        """See `OutputDistribution`: int32 [batch]."""
        if "closes" in controls:
            steps_left = ops.where(controls["closes"] > 0, steps_left, NEVER)
        longest_note = controls.get("longest_note", 0)
        allowed = self.grammar.allowed(state, steps_left, longest_note)
        temperature, top_k, top_p = (controls[n] for n in ("temperature", "top_k", "top_p"))
        logits = row_product(hidden, self.head.kernel) + self.head.bias
        blocks = self.grammar.blocks
        return sample_token(logits, uniform[:, 0], temperature, top_k, top_p, allowed, blocks)
