"""conditional_char_rnn: a recurrent network that is told what the music ahead shall be like.

The conditional char-RNN of Deep Symphony, with the conditions of Oore et al. 2018 (arXiv
1808.03715, section 5): the pitch class histogram, the density and the mean pitch of the music
ahead stand beside each token that the network hears.

In: windows of seconds ahead that hold nothing of what was heard; Deep Symphony's window of 50
events around the target as an option that says that it leaks (`--centred_steps=50`); each
condition hidden from half of the examples, so that one model obeys any of them, or none.
How well it obeys is measured by `benchmarks/obedience.py`.

Left out: Deep Symphony's conditions in bins of ten; here they are numbers.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import keras
from keras import ops

from crnn_gan.autoregressive.base import Autoregressive, LikelihoodConfig
from crnn_gan.autoregressive.conditioning import SIZES, ConditionConfig
from crnn_gan.autoregressive.output_distributions import Tokens
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
    num_layers: int = flag(2, "recurrent layers", at_least=1)
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
    """Recurrent layers over tokens [batch, time] and conditions [batch, time, n]."""

    accepts: ClassVar[tuple[Kind, ...]] = ("tokens",)
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {"tiny": TINY}

    def __init__(self, config: Config, spec: Spec, seed: int = 0):
        super().__init__(config, spec, seed, name="conditional_char_rnn")
        self.emission = Tokens(spec, name="emission")
        self.embed = keras.layers.Embedding(
            self.emission.vocabulary, config.embedding_size, name="embed"
        )
        self.embed.build((None, None))
        self.stack = RecurrentStack(
            config.cell, config.hidden_size, config.num_layers, config.dropout, name="stack"
        )
        self.stack.build((None, None, config.embedding_size + config.told_size))
        self.rows_together = self.stack.rows_together
        self.emission.build((None, None, config.hidden_size))
        self.networks = [self.embed, self.stack, self.emission]
        self.built = True

    def _inputs(self, heard: Any, told: Any) -> Any:
        embedded = self.embed(heard)
        return ops.concatenate([embedded, ops.cast(told, embedded.dtype)], axis=-1)

    def hidden(self, past: Any, told: Any, training: bool) -> Any:
        """See `Autoregressive.hidden`."""
        return self.stack(self._inputs(past, told), training=training)

    def initial_state(self, batch: Any) -> tuple[Any, ...]:
        """See `Autoregressive.initial_state`."""
        return self.stack.initial_state(batch)

    def advance(self, state: tuple[Any, ...], heard: Any, told: Any) -> tuple[tuple[Any, ...], Any]:
        """See `Autoregressive.advance`."""
        return self.stack.step(state, self._inputs(heard, told))
