"""char_rnn: a recurrent network that writes tokens one after another.

The networks of Karpathy 2015 ("The unreasonable effectiveness of recurrent neural networks"),
as music has been written with them: a GRU or LSTM of 100 units over chorales in sixteenths,
a character a voice; three LSTMs of 512 units over performance events (Deep Symphony,
Performance RNN: Oore et al. 2018, arXiv 1808.03715); one over the characters of ABC.

In: GRU or LSTM, any depth, over any codec that gives tokens; dropout between the layers;
temperature, top-k, top-p, a primer, and a grammar. Its perplexity is exp of the mean nats of
held-out tokens, each given all before it in its piece: nothing else is called so.

Left out: training with a state carried from window to window; the seeds' log-probabilities
divided by a temperature without being normalised again, which are no perplexity.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import keras
from keras import ops

from crnn_gan.autoregressive import Autoregressive, LikelihoodConfig
from crnn_gan.emissions import Tokens
from crnn_gan.layers.recurrent import LSTM
from pipelines.codecs.codec import Kind, Spec
from pipelines.command_line import flag


@dataclasses.dataclass(frozen=True)
class Config(LikelihoodConfig):
    """Settings of char_rnn."""

    cell: Literal["lstm", "gru"] = flag("lstm", "what each layer is made of")
    hidden_size: int = flag(256, "units of each layer")
    num_layers: int = flag(2, "layers")
    embedding_size: int = flag(128, "numbers that stand for a token")

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require_at_least(hidden_size=1, num_layers=1, embedding_size=1)


# Of the source documents: the chorales' char-RNN, Deep Symphony's, and its first one over ABC.
CHORALES = dict(
    cell="gru", hidden_size=100, num_layers=1, embedding_size=100, songlength=200, batch_size=1,
    learning_rate=5e-4, max_grad_norm=1e9,
)  # fmt: skip
DEEP_SYMPHONY = dict(
    cell="lstm", hidden_size=512, num_layers=3, embedding_size=128, songlength=512, batch_size=64,
)  # fmt: skip


class Model(Autoregressive):
    """Recurrent layers over tokens [batch, time]."""

    accepts: ClassVar[tuple[Kind, ...]] = ("tokens",)
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "chorales": CHORALES,
        "deep_symphony": DEEP_SYMPHONY,
    }
    rows_together: ClassVar[int] = 2  # One row would add in another order (batch_independence.py).

    def __init__(self, config: Config, spec: Spec, seed: int = 0):
        super().__init__(config, spec, seed, name="char_rnn")
        self.emission = Tokens(spec, name="emission")
        self.embed = keras.layers.Embedding(
            self.emission.vocabulary, config.embedding_size, name="embed"
        )
        self.embed.build((None, None))
        self.layers_of_time = [self._draw_layer(k) for k in range(config.num_layers)]
        self.drops = [
            keras.layers.Dropout(config.dropout, seed=k) for k in range(config.num_layers)
        ]
        self.emission.build((None, None, config.hidden_size))
        self.networks = [self.embed, *self.layers_of_time, self.emission]
        self.built = True

    def _draw_layer(self, number: int) -> keras.layers.Layer:
        config = self.config
        if config.cell == "lstm":
            layer = LSTM(config.hidden_size, name=f"lstm_{number}")
        else:
            layer = keras.layers.GRU(
                config.hidden_size, return_sequences=True, name=f"gru_{number}"
            )
        layer.build((None, None, config.hidden_size if number else config.embedding_size))
        return layer

    def hidden(self, past: Any, batch: Mapping[str, Any], training: bool) -> Any:
        """See `Autoregressive.hidden`."""
        x = self.embed(past)
        for layer, drop in zip(self.layers_of_time, self.drops, strict=True):
            x = drop(layer(x), training=training)
        return x

    def initial_state(self, batch: Any) -> tuple[Any, ...]:
        """See `Autoregressive.initial_state`: zeros, of an LSTM h and c."""
        zeros = ops.zeros((batch, self.config.hidden_size))
        each = (zeros, zeros) if self.config.cell == "lstm" else (zeros,)
        return tuple(each for _ in self.layers_of_time)

    def advance(
        self, state: tuple[Any, ...], heard: Any, controls: Mapping[str, Any]
    ) -> tuple[tuple[Any, ...], Any]:
        """See `Autoregressive.advance`."""
        x = ops.cast(self.embed(heard), "float32")
        states: list[tuple[Any, ...]] = []
        for layer, before in zip(self.layers_of_time, state, strict=True):
            if isinstance(layer, LSTM):
                x, after = layer.step(x, before)
                states.append(after)
            else:
                x, _ = layer.cell(x, list(before))
                x = ops.cast(x, "float32")
                states.append((x,))
        return tuple(states), x
