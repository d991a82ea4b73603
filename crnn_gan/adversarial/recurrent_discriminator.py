"""A discriminator of sequences: stacks of LSTMs in each direction, and a mean over the steps."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from crnn_gan.adversarial.critic_and_generator import Scores
from crnn_gan.adversarial.losses import logit_of_mean_probability
from crnn_gan.adversarial.minibatch_discrimination import MinibatchDiscrimination
from crnn_gan.layers.recurrent import LSTM


class RecurrentDiscriminator(keras.Model):
    """Scores music by independent stacks of LSTMs, one in each direction (Mogren 2016, section 3).

    music [batch, time, features], mask bool [batch, time] -> outputs of the steps, float32
    [batch, time, 1], and the last layers' features [batch, time, units]; see `scores`.

    Args:
      features: of a step of music.
      units: of each layer and direction.
      layers: of each direction.
      bidirectional: whether there is a stack from the last step to the first.
      dropout: rate, before each layer and after the last; 0 for none.
      minibatch: whether there is minibatch discrimination.
      masked: whether steps may not count; else the network takes no mask.
      ends_only: whether the mean is that of the first and the last step alone.
      of_probabilities: whether the outputs of the steps are logits, of whose probabilities the
        mean is taken; else the scores of a Wasserstein critic.
      dense_initializer: of the output layer's kernel.
    """

    def __init__(
        self,
        features: int,
        units: int,
        layers: int,
        *,
        bidirectional: bool = True,
        dropout: float = 0.0,
        minibatch: bool = False,
        masked: bool = False,
        ends_only: bool = False,
        of_probabilities: bool = True,
        dense_initializer: Any = "glorot_uniform",
        name: str | None = None,
    ):
        seeds = iter(range(1, 99))

        def dropped(x: Any) -> Any:
            return keras.layers.Dropout(dropout, seed=next(seeds))(x) if dropout else x

        music = keras.Input((None, features))
        mask = keras.Input((None,), dtype="bool") if masked else None
        bottom, stacks = dropped(music), []
        for reverse in (False, True) if bidirectional else (False,):
            x = bottom
            for _ in range(layers):
                x = dropped(LSTM(units, reverse=reverse)(x, mask=mask))
            stacks.append(x)
        join = keras.layers.Concatenate(dtype="float32")
        if minibatch:
            stacks.append(MinibatchDiscrimination()(join(stacks) if stacks[1:] else stacks[0]))
        top = join(stacks) if stacks[1:] else stacks[0]
        dense = keras.layers.Dense(1, kernel_initializer=dense_initializer, dtype="float32")
        super().__init__(
            inputs=[music, mask] if masked else music, outputs=[dense(top), top], name=name
        )
        self.masked, self.ends_only, self.of_probabilities = masked, ends_only, of_probabilities

    def scores(self, music: Any, mask: Any) -> Scores:
        """Gives the output of each row, float32 [batch], and features [batch, time, units].

        The output is the logit of the mean over the steps of probabilities (not of logits); or of
        a Wasserstein critic the mean over the steps of its scores.

        Args:
          music: [batch, time, features].
          mask: bool [batch, time], the steps that count.
        """
        outputs, features = self._of_steps(music, mask)
        if self.of_probabilities:
            output = logit_of_mean_probability(outputs, self._weights(mask))
        else:
            output = ops.sum(outputs * self._weights(mask), axis=1)
        return Scores(output, ops.cast(features, "float32"))

    def mean_output(self, music: Any, mask: Any) -> Any:
        """Gives the mean over the steps of logits (not of probabilities): float32 [batch].

        Args:
          music, mask: as in `scores`.
        """
        return ops.sum(self._of_steps(music, mask)[0] * self._weights(mask), axis=1)

    def _of_steps(self, music: Any, mask: Any) -> tuple[Any, Any]:
        outputs, features = self([music, mask] if self.masked else music, training=True)
        return ops.cast(outputs[..., 0], "float32"), features

    def _weights(self, mask: Any) -> Any:
        """Gives the weight of each step in the mean: float32 [batch, time], each row's sum 1."""
        weight = ops.cast(mask, "float32")
        if self.ends_only:
            after = ops.concatenate([weight[:, 1:], ops.zeros_like(weight[:, :1])], axis=1)
            before = ops.concatenate([ops.zeros_like(weight[:, :1]), weight[:, :-1]], axis=1)
            weight = (weight - after) * weight + (1 - before) * weight
        return weight / ops.sum(weight, axis=1, keepdims=True)
