"""Sampling from logits, with temperature, top-k and top-p (nucleus sampling).

Inverse transform sampling: randomness comes in as uniform numbers, one per sample, and the inverse
of the cumulative distribution turns each into a token. So the same number and the same logits give
the same token.
"""

from __future__ import annotations

from collections.abc import Sequence
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
    logits: Any,
    uniform: Any,
    temperature: Any,
    top_k: Any = None,
    top_p: Any = None,
    allowed: Any = None,
    blocks: Sequence[tuple[int, int]] = (),
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
      top_p: float32 [batch], above 0, up to 1; 1 for no limit. Without both the graph has no part
        that sorts tokens.
      allowed: bool [batch, tokens], the grammar's mask, True in one or more of each row. None
        allows all.
      blocks: (first token, size) of the blocks that keep their probability, before temperature,
        top-k and top-p: see `renormalise_within_blocks`.
    """
    if allowed is not None:
        logits = renormalise_within_blocks(logits, allowed, blocks)
    # Whole vector registers: the last elements of others go through another exp than the rest, and
    # which those are depends on the batch.
    filling = -logits.shape[-1] % REGISTER
    logits = ops.pad(logits, ((0, 0), (0, filling)), constant_values=FORBIDDEN)
    logits = logits - ops.max(logits, axis=-1, keepdims=True)
    is_coldest = temperature <= 0
    weights = ops.exp(logits / ops.where(is_coldest, 1.0, temperature)[:, None])
    if top_k is None and top_p is None:
        weights = ops.where(is_coldest[:, None], ops.cast(logits >= 0, "float32"), weights)
    else:
        top_k = ops.where(is_coldest, 1, top_k)
        limited = ops.any((top_k > 0) | (top_p < 1))
        weights = ops.cond(limited, lambda: _truncated(weights, top_k, top_p), lambda: weights)
    cumulated = ops.cumsum(weights, axis=-1)
    total = cumulated[:, -1:]
    # Rounding may bring the product up to the total: then it is the last token with a weight.
    is_below = (cumulated <= uniform[:, None] * total) & (cumulated < total)
    return ops.sum(ops.cast(is_below, "int32"), axis=-1)


def renormalise_within_blocks(logits: Any, allowed: Any, blocks: Sequence[tuple[int, int]]) -> Any:
    """Gives logits float32 [batch, tokens] in which forbidden tokens have no probability.

    Each block keeps the probability it had, and shares it among its allowed tokens in proportion. A
    block of which no token is allowed gives its own to the others, in proportion. With .3 and .1 in
    one block and .4 and .2 in another, the first token forbidden: 0, .4, .4, .2; the first two
    forbidden: 0, 0, .67, .33. Without blocks, the first forbidden: 0, .14, .57, .29.

    Args:
      logits: float32 [batch, tokens].
      allowed: bool [batch, tokens], True in one or more of each row.
      blocks: (first token, size) of each, which follow each other and fill the vocabulary; or none.
    """
    limited = ops.where(allowed, logits, FORBIDDEN)
    if not blocks:
        return limited
    totals = _block_totals(ops.stack([logits, limited], axis=1), blocks)
    gain, rows = totals[:, 0] - totals[:, 1], ops.shape(logits)[0]
    # Broadcasting: to look up each token's block takes as long as all the rest.
    gains = [ops.broadcast_to(gain[:, n : n + 1], (rows, s)) for n, (_, s) in enumerate(blocks)]
    return ops.where(allowed, logits + ops.concatenate(gains, axis=-1), FORBIDDEN)


def _block_totals(logits: Any, blocks: Sequence[tuple[int, int]]) -> Any:
    """Gives ln of the sum of exp of each block's logits [batch, several, tokens]: float32 [batch,
    several, blocks]."""
    # A power of two, in whole vector registers.
    width = max(REGISTER, *(1 << (size - 1).bit_length() for _, size in blocks))

    def filled(x: Any, filling: int, value: float) -> Any:
        return ops.pad(x, ((0, 0), (0, 0), (0, filling)), constant_values=value)

    parts = [filled(logits[..., a : a + size], width - size, FORBIDDEN) for a, size in blocks]
    parts = ops.stack(parts, axis=2)
    # Each less its own greatest: a block far less probable than others keeps what it has.
    greatest = ops.max(parts, axis=-1)
    sums = ops.exp(parts - greatest[..., None])
    while width > 1:
        # In halves: XLA adds up the rows of a small batch in another order than those of a large.
        width //= 2
        sums = sums[..., :width] + sums[..., width:]
    logarithms = ops.log(filled(sums[..., 0], -len(blocks) % REGISTER, 1.0))
    return greatest + logarithms[..., : len(blocks)]


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
