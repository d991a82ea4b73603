"""conditional_char_rnn: a char-RNN conditioned on summaries of the music ahead.

The conditional char-RNN of Deep Symphony, with the conditions of Oore et al. 2018 (arXiv
1808.03715, section 5): pitch class histogram, density and mean pitch of the music ahead are inputs
at each step, beside the token before.

In: conditions of a window of seconds ahead, which holds no step of the input; Deep Symphony's
window of 50 events around the target as an option that is named a leak (`--centred_steps=50`);
each condition hidden from half of the training examples, so that one model follows any of them, or
none. How well it follows them is measured by `benchmarks/obedience.py`.

Left out: Deep Symphony's conditions in bins of ten; here they are numbers.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import keras
from keras import ops

from crnn_gan.autoregressive.base import Autoregressive
from crnn_gan.autoregressive.conditioning import SIZES, ConditionConfig
from crnn_gan.autoregressive.likelihood_training import LikelihoodConfig
from crnn_gan.autoregressive.output_distributions import Categorical
from crnn_gan.layers.recurrent_stack import RecurrentStack
from pipelines.settings import UsageError, flag
from pipelines.spec import Kind, Spec


@dataclasses.dataclass(frozen=True)
class Config(ConditionConfig, LikelihoodConfig):
    """Settings of conditional_char_rnn."""

    conditions: tuple[str, ...] = flag(
        tuple(SIZES),
        "conditions given to the model at each step, summaries of the music ahead: some of "
        "pitch_class_histogram, density, mean_pitch; separated by commas",
    )
    cell: Literal["lstm", "gru"] = flag("lstm", "cell of each recurrent layer")
    hidden_size: int = flag(256, "units of each recurrent layer", at_least=1)
    num_layers: int = flag(2, "recurrent layers", at_least=1, at_most=64)
    embedding_size: int = flag(128, "size of the embedding of a token", at_least=1)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.conditions:
            raise UsageError(
                "--conditions is empty; name one or more, or train --model=char_rnn, which has none"
            )


TINY = dict(
    window_steps=64, batch_size=4, max_epoch=2, hidden_size=8, num_layers=2, embedding_size=8,
)  # fmt: skip


class Model(Autoregressive):
    """Recurrent layers over tokens [batch, time] and conditions [batch, time, channels].

    Two pieces of 16 events with eight notes per second, of a model with random weights:

    >>> import numpy as np
    >>> from pipelines.codecs import events
    >>> model = Model(Config(conditions=("density",), **TINY), events.Codec().spec)
    >>> controls = {name: np.full(2, c.default, c.dtype) for name, c in model.controls.items()}
    >>> controls["density"] = np.full(2, 8, "float32")
    >>> pieces = model.generate({"draw": np.random.rand(2, 16, 1).astype("float32")}, **controls)
    >>> keras.ops.shape(pieces)
    (2, 16)
    """

    accepts: ClassVar[tuple[Kind, ...]] = ("tokens",)
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {"tiny": TINY}

    # ---------------------------------------------------------------------------------------------
    # Layers.

    def __init__(self, config: Config, spec: Spec, seed: int = 0):
        super().__init__(config, spec, seed, name="conditional_char_rnn")
        self.output_distribution = Categorical(spec, name="output_distribution")
        self.embed = keras.layers.Embedding(
            self.output_distribution.input_vocabulary, config.embedding_size, name="embed"
        )
        self.embed.build((None, None))
        self.stack = RecurrentStack(
            config.cell, config.hidden_size, config.num_layers, config.dropout, name="stack"
        )
        self.stack.build((None, None, config.embedding_size + config.condition_channels))
        self.rows_together = self.stack.rows_together
        self.output_distribution.build((None, None, config.hidden_size))
        self.networks = [self.embed, self.stack, self.output_distribution]
        self.built = True

    # ---------------------------------------------------------------------------------------------
    # The network over whole sequences, for training, and step by step, for generation.

    def _stack_inputs(self, inputs: Any, conditions: Any) -> Any:
        embedded = self.embed(inputs)
        return ops.concatenate([embedded, ops.cast(conditions, embedded.dtype)], axis=-1)

    def hidden(self, inputs: Any, conditions: Any, training: bool) -> Any:
        """See `Autoregressive.hidden`."""
        return self.stack(self._stack_inputs(inputs, conditions), training=training)

    def initial_state(self, batch: Any) -> tuple[Any, ...]:
        """See `Autoregressive.initial_state`."""
        return self.stack.initial_state(batch)

    def advance(
        self, state: tuple[Any, ...], inputs: Any, conditions: Any
    ) -> tuple[tuple[Any, ...], Any]:
        """See `Autoregressive.advance`."""
        return self.stack.step(state, self._stack_inputs(inputs, conditions))
