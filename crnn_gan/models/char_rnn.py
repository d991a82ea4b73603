"""char_rnn: a recurrent network that writes tokens one after another.

The networks of Karpathy 2015 ("The unreasonable effectiveness of recurrent neural networks"),
as music has been written with them: a GRU or LSTM of 100 units over chorales in sixteenths,
a character a voice; three LSTMs of 512 units over performance events (Deep Symphony,
Performance RNN: Oore et al. 2018, arXiv 1808.03715); one over the characters of ABC.

In: GRU or LSTM, any depth, over any codec that gives tokens; dropout after the layers;
temperature, top-k, top-p, a primer, and a grammar. It also takes rolls, a frame a step, so that
likelihoods of a recurrent network stand beside those of others. Its perplexity is exp of the
mean nats of held-out tokens, each given all before it in its piece: nothing else is called so.

Left out: training with a state carried from window to window; the seeds' log-probabilities
divided by a temperature without being normalised again, which are no perplexity.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import keras

from crnn_gan.autoregressive.base import Autoregressive, LikelihoodConfig
from crnn_gan.autoregressive.output_distributions import Keys, Tokens
from crnn_gan.layers.recurrent_stack import RecurrentStack
from pipelines.settings import flag
from pipelines.spec import Kind, Spec


@dataclasses.dataclass(frozen=True)
class Config(LikelihoodConfig):
    """Settings of char_rnn."""

    cell: Literal["lstm", "gru"] = flag("lstm", "cell of each recurrent layer")
    hidden_size: int = flag(256, "units of each recurrent layer", at_least=1)
    num_layers: int = flag(2, "recurrent layers", at_least=1)
    embedding_size: int = flag(128, "size of the embedding of a token or frame", at_least=1)


# Of the source documents: the chorales' char-RNN, and Deep Symphony's.
CHORALES = dict(
    cell="gru", hidden_size=100, num_layers=1, embedding_size=100, window_steps=200, batch_size=1,
    learning_rate=5e-4, max_grad_norm=1e9,
)  # fmt: skip
DEEP_SYMPHONY = dict(
    cell="lstm", hidden_size=512, num_layers=3, embedding_size=128, window_steps=512, batch_size=64,
)  # fmt: skip

TINY = dict(
    window_steps=64, batch_size=4, max_epoch=2, hidden_size=8, num_layers=2, embedding_size=8,
)  # fmt: skip


class Model(Autoregressive):
    """Recurrent layers over tokens [batch, time] or rolls [batch, time, pitches, planes]."""

    accepts: ClassVar[tuple[Kind, ...]] = ("tokens", "roll")
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "chorales": CHORALES,
        "deep_symphony": DEEP_SYMPHONY,
        "tiny": TINY,
    }

    def __init__(self, config: Config, spec: Spec, seed: int = 0):
        super().__init__(config, spec, seed, name="char_rnn")
        if spec.kind == "tokens":
            self.emission = Tokens(spec, name="emission")
            self.embed = keras.layers.Embedding(
                self.emission.vocabulary, config.embedding_size, name="embed"
            )
        else:
            self.emission = Keys(spec, name="emission")
            self.embed = keras.layers.Dense(config.embedding_size, name="embed")
        self.embed.build((None, None, self.emission.noise_size))
        self.stack = RecurrentStack(
            config.cell, config.hidden_size, config.num_layers, config.dropout, name="stack"
        )
        self.stack.build((None, None, config.embedding_size))
        if spec.kind == "tokens":
            self.rows_together = self.stack.rows_together
        self.emission.build((None, None, config.hidden_size))
        self.networks = [self.embed, self.stack, self.emission]
        self.built = True

    def hidden(self, past: Any, told: Any, training: bool) -> Any:
        """See `Autoregressive.hidden`."""
        return self.stack(self.embed(past), training=training)

    def initial_state(self, batch: Any) -> tuple[Any, ...]:
        """See `Autoregressive.initial_state`."""
        return self.stack.initial_state(batch)

    def advance(self, state: tuple[Any, ...], heard: Any, told: Any) -> tuple[tuple[Any, ...], Any]:
        """See `Autoregressive.advance`."""
        return self.stack.step(state, self.embed(heard))
