"""char_rnn: a recurrent neural network that writes token after token, or frame after frame.

The character-level language model of Karpathy 2015 ("The unreasonable effectiveness of recurrent
neural networks"), as it has been used for music: a GRU or LSTM of 100 units over chorales in
sixteenths, one character per voice; three LSTMs of 512 units over performance events (Deep
Symphony; Performance RNN: Oore et al. 2018, arXiv 1808.03715); one over the characters of ABC.

In: GRU or LSTM of any depth, over any codec of tokens; dropout; temperature, top-k, top-p, a
primer, and a grammar in sampling. It also takes piano rolls, one frame per step, with independent
cells, so that the likelihood of a recurrent network stands beside those of others. Its perplexity
is exp of the held-out negative log-likelihood, nats per token, of each token given all before it in
its piece; nothing else is called so.

Left out: states carried from window to window in training (truncated backpropagation through
time); the source documents' log-probabilities divided by a temperature and not normalised again,
which are no perplexity.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import keras

from crnn_gan.autoregressive.base import Autoregressive
from crnn_gan.autoregressive.frame_distributions import IndependentBernoulli
from crnn_gan.autoregressive.likelihood_training import LikelihoodConfig
from crnn_gan.autoregressive.output_distributions import Categorical
from crnn_gan.layers.recurrent_stack import RecurrentStack
from pipelines.settings import flag
from pipelines.spec import Kind, Spec


@dataclasses.dataclass(frozen=True)
class Config(LikelihoodConfig):
    """Settings of char_rnn."""

    cell: Literal["lstm", "gru"] = flag("lstm", "cell of each recurrent layer")
    hidden_size: int = flag(256, "units of each recurrent layer", at_least=1)
    num_layers: int = flag(2, "recurrent layers", at_least=1, at_most=64)
    embedding_size: int = flag(128, "size of the embedding of a token or frame", at_least=1)


# As in the source documents: the char-RNN of chorales, and Deep Symphony's.
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
    """Recurrent layers over tokens [batch, time] or rolls [batch, time, pitches, planes].

    Two pieces of 16 events each, of a model with random weights:

    >>> import numpy as np
    >>> from pipelines.codecs import events
    >>> model = Model(Config(**TINY), events.Codec().spec)
    >>> controls = {name: np.full(2, c.default, c.dtype) for name, c in model.controls.items()}
    >>> pieces = model.generate({"draw": np.random.rand(2, 16, 1).astype("float32")}, **controls)
    >>> keras.ops.shape(pieces)
    (2, 16)
    """

    accepts: ClassVar[tuple[Kind, ...]] = ("tokens", "roll")
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "chorales": CHORALES,
        "deep_symphony": DEEP_SYMPHONY,
        "tiny": TINY,
    }

    # ---------------------------------------------------------------------------------------------
    # Layers.

    def __init__(self, config: Config, spec: Spec, seed: int = 0):
        super().__init__(config, spec, seed, name="char_rnn")
        if spec.kind == "tokens":
            self.output_distribution = Categorical(spec, name="output_distribution")
            self.embed = keras.layers.Embedding(
                self.output_distribution.input_vocabulary, config.embedding_size, name="embed"
            )
        else:
            self.output_distribution = IndependentBernoulli(spec, name="output_distribution")
            self.embed = keras.layers.Dense(config.embedding_size, name="embed")
        self.embed.build((None, None, self.output_distribution.noise_size))
        self.stack = RecurrentStack(
            config.cell, config.hidden_size, config.num_layers, config.dropout, name="stack"
        )
        self.stack.build((None, None, config.embedding_size))
        if spec.kind == "tokens":
            self.rows_together = self.stack.rows_together
        self.output_distribution.build((None, None, config.hidden_size))
        self.networks = [self.embed, self.stack, self.output_distribution]
        self.built = True

    # ---------------------------------------------------------------------------------------------
    # The network over whole sequences, for training, and step by step, for generation.

    def hidden(self, inputs: Any, conditions: Any, training: bool) -> Any:
        """See `Autoregressive.hidden`."""
        return self.stack(self.embed(inputs), training=training)

    def initial_state(self, batch: Any) -> tuple[Any, ...]:
        """See `Autoregressive.initial_state`."""
        return self.stack.initial_state(batch)

    def advance(
        self, state: tuple[Any, ...], inputs: Any, conditions: Any
    ) -> tuple[tuple[Any, ...], Any]:
        """See `Autoregressive.advance`."""
        return self.stack.step(state, self.embed(inputs))
