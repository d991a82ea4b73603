"""Sampling from logits, with temperature, top-k and top-p (nucleus sampling).

Inverse transform sampling: randomness comes in as uniform numbers, one per sample, and the inverse
of the cumulative distribution turns each into a token. So the same number and the same logits give
the same token.
"""

from __future__ import annotations

from typing import Any

from keras import ops

from crnn_gan.layers.recurrent_stack import REGISTER
from crnn_gan.music_model import Control

TEMPERATURE = Control(
    1.0,
    0.0,
    10.0,
    "sampling temperature, divides the logits: below 1 less random, above 1 more; 0: the most "
    "probable",
)
TOP_K = Control(
    0, 0, 1_000_000, "top-k sampling: from the k most probable tokens only; 0: from all", "int32"
)
TOP_P = Control(
    1.0,
    0.001,
    1.0,
    "top-p (nucleus) sampling: from the fewest most probable tokens that sum to this probability",
)
FORBIDDEN = -1e9  # Logit of a token that a grammar forbids: its probability is exactly 0.
COLDEST = 1e-6  # Temperature that stands for 0 where outputs are independent bits.


def sample_token(
    logits: Any, uniform: Any, temperature: Any, top_k: Any, top_p: Any, allowed: Any = None
) -> Any:
    """Samples one token per row: int32 [batch].

    The logits are divided by the temperature; then only the `top_k` most probable tokens stay; of
    those the fewest that hold `top_p` of their probability (Holtzman et al. 2020, arXiv
    1904.09751, section 3.1). Tokens as probable as the last one that stays, stay too.

    Args:
      logits: float32 [batch, tokens].
      uniform: float32 [batch] in [0, 1).
      temperature: float32 [batch], 0 or more; 0 takes the most probable.
      top_k: int32 [batch], 0 for no limit.
      top_p: float32 [batch], above 0, up to 1; 1 for no limit.
      allowed: bool [batch, tokens], the grammar's mask, True in one or more of each row. None
        allows all.
    """
    if allowed is not None:
        logits = ops.where(allowed, logits, FORBIDDEN)
    # Whole vector registers: the last elements of others go through another exp than the rest, and
    # which those are depends on the batch.
    filling = -logits.shape[-1] % REGISTER
    logits = ops.pad(logits, ((0, 0), (0, filling)), constant_values=FORBIDDEN)
    logits = logits - ops.max(logits, axis=-1, keepdims=True)
    is_coldest = temperature <= 0
    weights = ops.exp(logits / ops.where(is_coldest, 1.0, temperature)[:, None])
    top_k = ops.where(is_coldest, 1, top_k)
    limited = ops.any((top_k > 0) | (top_p < 1))
    weights = ops.cond(limited, lambda: _truncated(weights, top_k, top_p), lambda: weights)
    cumulated = ops.cumsum(weights, axis=-1)
    total = cumulated[:, -1:]
    # Rounding may bring the product up to the total: then it is the last token with a weight.
    is_below = (cumulated <= uniform[:, None] * total) & (cumulated < total)
    return ops.sum(ops.cast(is_below, "int32"), axis=-1)


def _truncated(weights: Any, top_k: Any, top_p: Any) -> Any:
    """Gives the weights [batch, tokens] with 0 for the tokens that top-k and top-p leave out."""
    tokens = weights.shape[-1]
    descending = -ops.sort(-weights, axis=-1)
    rank = ops.arange(tokens, dtype="int32")[None, :]
    is_kept = rank < ops.where(top_k > 0, top_k, tokens)[:, None]
    kept = ops.where(is_kept, descending, 0.0)
    before = ops.cumsum(kept, axis=-1) - kept
    is_kept = is_kept & (before < top_p[:, None] * ops.sum(kept, axis=-1, keepdims=True))
    least = ops.min(ops.where(is_kept, descending, 2.0), axis=-1, keepdims=True)
    return ops.where(weights >= least, weights, 0.0)


def sample_bits(logits: Any, uniform: Any, temperature: Any) -> Any:
    """Samples independent Bernoulli variables: float32 of the shape of `logits`, 0 or 1.

    Args:
      logits: float32 [batch, ...] of a 1.
      uniform: float32 of that shape in [0, 1).
      temperature: float32 [batch], 0 or more; at 0 a bit is 1 where that is more probable.
    """
    shape = (-1, *[1] * (len(logits.shape) - 1))
    temperature = ops.reshape(ops.maximum(temperature, COLDEST), shape)
    # The number is kept from 0, so that a 1 of probability 0 is never sampled.
    return ops.cast(uniform + 1e-12 < ops.sigmoid(logits / temperature), "float32")
