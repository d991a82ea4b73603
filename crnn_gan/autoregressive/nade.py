"""Neural autoregressive distribution estimator (NADE) over the keys of a frame.

NADE (Larochelle and Murray 2011) on top of a network through time, as the RNN-NADE of
Boulanger-Lewandowski et al. 2012 (arXiv 1206.6392, section 6): the probability of each key depends
on a context vector and on the keys below it. Beside it, features of relative pitch, shared by all
keys as in a convolution: the keys within a span below, and past frames around the key.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from crnn_gan.autoregressive.sampling import sample_bits
from crnn_gan.layers.loops import scan, stacked


@keras.saving.register_keras_serializable("crnn_gan")
class NADE(keras.layers.Layer):
    """Autoregressive distribution over a frame's keys, from the lowest to the highest.

    p(frame) is the product over the keys of p(key | keys below, context, past frames). With f the
    frame, p the past frames, c the context, and keys k from 0:

      z_k = c * context_kernel + key_bias_k + sum over j < k of f_j * key_kernel_j
            + sum over 1 <= d <= span of f_(k-d) * span_kernel_(span-d)
            + sum over -reach <= d <= reach of p_(k+d) * reach_kernel_(reach+d)
      logit_k = relu(z_k) . output_kernel_k + c * direct_kernel_k + output_bias_k

    with more layers of `hidden` units, shared by all keys, between the two where `layers` is
    above 1. All is float32. Key 3 has keys 0 to 2 as input.

    From the lowest key up: the better order on the validation split of JSB Chorales.

    Args:
      keys: keys of a frame, 1 or more.
      hidden: hidden units per key, 1 or more.
      span: keys right below a key whose weights depend on the interval only; 0 or more.
      reach: keys of `previous` on each side of a key that are inputs; 0 or more.
      layers: hidden layers, 1 or more.
      dropout: dropout rate of hidden units, in [0, 1).
      seed: random seed of dropout.
    """

    def __init__(
        self,
        keys: int,
        hidden: int,
        span: int = 12,
        reach: int = 12,
        layers: int = 1,
        dropout: float = 0.0,
        seed: int | None = None,
        **kwargs: Any,
    ):
        super().__init__(**{"dtype": "float32", **kwargs})
        if min(keys, hidden, layers) < 1 or min(span, reach) < 0:
            raise ValueError(
                f"keys {keys}, hidden {hidden}, layers {layers}: each is 1 or more; span {span}, "
                f"reach {reach}: each is 0 or more"
            )
        self.keys, self.hidden, self.layers = keys, hidden, layers
        self.span, self.reach = span, reach
        self.dropout, self.seed = dropout, seed
        self.drop = keras.layers.Dropout(dropout, seed=seed, dtype=self.dtype_policy)

    def build(
        self,
        context_shape: tuple[int | None, ...],
        frames_shape: tuple[int | None, ...] | None = None,
        previous_shape: tuple[int | None, ...] | None = None,
    ) -> None:
        """Makes the weights for context [..., n] and previous [..., keys, channels] or None."""
        n, hidden = context_shape[-1], self.hidden

        def weight(name: str, *shape: int | None, initializer: Any = "glorot_uniform") -> Any:
            return self.add_weight(shape, initializer, name=name)

        self.context_kernel = weight("context_kernel", n, hidden)
        self.key_bias = weight("key_bias", self.keys, hidden)
        self.key_kernel = weight("key_kernel", self.keys, hidden)
        self.span_kernel = weight("span_kernel", self.span, 1, hidden) if self.span else None
        self.reach_kernel = None
        if previous_shape is not None:
            self.reach_kernel = weight(
                "reach_kernel", 2 * self.reach + 1, previous_shape[-1], hidden
            )
        self.deeper = [
            (
                weight(f"kernel_{k}", hidden, hidden),
                weight(f"bias_{k}", hidden, initializer="zeros"),
            )
            for k in range(1, self.layers)
        ]
        self.output_kernel = weight("output_kernel", self.keys, hidden)
        self.output_bias = weight("output_bias", self.keys, initializer="zeros")
        self.direct_kernel = weight("direct_kernel", n, self.keys)

    def call(
        self, context: Any, frames: Any, previous: Any = None, training: bool | None = None
    ) -> Any:
        """Gives the logit of each key, float32 [..., keys].

        The logit of a key depends on `context`, `previous` and the lower keys of `frames`: the
        negative log-likelihood of a frame is the sum over its keys of the binary cross-entropy.

        Args:
          context: [..., n], such as the hidden state of a network through time.
          frames: [..., keys], 0 or 1.
          previous: [..., keys, channels], features of each key, such as its past frames; or None.
          training: whether dropout is on.
        """
        leading = ops.shape(frames)[:-1]
        context = ops.reshape(context, (-1, context.shape[-1]))
        frames = ops.reshape(ops.cast(frames, "float32"), (-1, self.keys))
        if previous is not None:
            previous = ops.reshape(previous, (-1, *previous.shape[-2:]))
        fixed, direct = self._fixed_terms(context, previous)
        # Key k is an input of key k + 1 and above: shifted by one row, then summed up.
        added = frames[:, :-1, None] * self.key_kernel[:-1]
        z = fixed + ops.cumsum(ops.pad(added, ((0, 0), (1, 0), (0, 0))), axis=1)
        if self.span_kernel is not None:
            below = ops.pad(frames[:, :-1], ((0, 0), (self.span, 0)))
            z = z + ops.conv(below[:, :, None], self.span_kernel, padding="valid")
        logits = ops.sum(self._hidden_units(z, training) * self.output_kernel, axis=-1) + direct
        return ops.reshape(logits, (*leading, self.keys))

    def sample(self, context: Any, uniforms: Any, temperature: Any, previous: Any = None) -> Any:
        """Samples frames, float32 [batch, keys], from the lowest key to the highest.

        Args:
          context: [batch, n].
          uniforms: float32 [batch, keys] in [0, 1), a number per key.
          temperature: float32 [batch], 0 or more: divides the logits; at 0 each key is what is
            more probable, given those below.
          previous: [batch, keys, channels], as in `call`.
        """
        fixed, direct = self._fixed_terms(context, previous)
        span = max(self.span, 1)
        kernel = ops.zeros((1, self.hidden))
        if self.span_kernel is not None:
            kernel = ops.convert_to_tensor(self.span_kernel)[:, 0]

        def step(state: Any, elements: Any) -> Any:
            below, window = state
            fixed, direct, uniform, own, output = elements
            h = self._hidden_units(fixed + below + ops.matmul(window, kernel), training=False)
            logit = ops.sum(h * output, axis=-1, keepdims=True) + direct
            on = sample_bits(logit, uniform, temperature)
            window = ops.concatenate([window[:, 1:], on], axis=-1)
            return (below + on * own, window), (on,)

        batch = ops.shape(context)[0]
        elements = (
            ops.transpose(fixed, (1, 0, 2)),
            ops.transpose(direct)[:, :, None],
            ops.transpose(uniforms)[:, :, None],
            ops.convert_to_tensor(self.key_kernel)[:, None],
            ops.convert_to_tensor(self.output_kernel)[:, None],
        )
        initial = (ops.zeros((batch, self.hidden)), ops.zeros((batch, span)))
        (series,) = scan(step, initial, elements, [1])
        return ops.transpose(stacked(series)[:, :, 0])

    def _fixed_terms(self, context: Any, previous: Any) -> tuple[Any, Any]:
        """Gives the terms of z and of the logits that no key of the frame changes."""
        if not self.built:
            raise ValueError(f"{self.name} has no weights yet: call it, or build it, first")
        if (previous is None) != (self.reach_kernel is None):
            kind = "without" if self.reach_kernel is None else "with"
            raise ValueError(f"{self.name} was built {kind} `previous`: call it so, each time")
        context = ops.cast(context, "float32")
        fixed = ops.matmul(context, self.context_kernel)[:, None] + self.key_bias
        if self.reach_kernel is not None:
            sides = ((0, 0), (self.reach, self.reach), (0, 0))
            around = ops.pad(ops.cast(previous, "float32"), sides)
            fixed = fixed + ops.conv(around, self.reach_kernel, padding="valid")
        return fixed, ops.matmul(context, self.direct_kernel) + self.output_bias

    def _hidden_units(self, z: Any, training: bool | None) -> Any:
        """Gives the last hidden layer, from the first one's inputs z [..., hidden]."""
        h = self.drop(ops.relu(z), training=training)
        for kernel, bias in self.deeper:
            h = self.drop(ops.relu(ops.matmul(h, kernel) + bias), training=training)
        return h

    def compute_output_spec(self, context: Any, frames: Any, *_: Any, **__: Any) -> Any:
        """Gives [..., keys], float32."""
        return keras.KerasTensor(frames.shape, "float32")

    def get_config(self) -> dict[str, Any]:
        """Gives the arguments, as plain values."""
        names = ("keys", "hidden", "span", "reach", "layers", "dropout", "seed")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}
