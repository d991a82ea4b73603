"""Focal loss of bits, and the probabilities that what minimises it stands for.

Cross-entropy with less weight on what is predicted already (Lin et al. 2017, "Focal loss for
dense object detection", arXiv 1708.02002, section 3), for ones that are rare.
"""

from __future__ import annotations

import math
from typing import Any

from keras import ops

SURE = 30.0  # Outputs are bounded by it before their exponentials are taken.


def focal_loss(outputs: Any, bits: Any, alpha: float, of_ones: float, of_zeros: float) -> Any:
    """Gives -alpha (1 - p)^of_ones ln p of ones, -(1 - alpha) p^of_zeros ln(1 - p) of zeros.

    Args:
      outputs: float32, of a network; p is their sigmoid.
      bits: float32 of that shape, 0 or 1.
      alpha: in (0, 1).
      of_ones, of_zeros: 0 or more; 0 is cross-entropy.
    """
    one, zero = ops.softplus(-outputs), ops.softplus(outputs)  # -ln p, -ln(1 - p)
    of_one = alpha * ops.exp(-of_ones * zero) * one
    return bits * of_one + (1 - bits) * (1 - alpha) * ops.exp(-of_zeros * one) * zero


def logits_of(outputs: Any, alpha: float, of_ones: float, of_zeros: float) -> Any:
    """Gives ln(q / (1 - q)), q the probability of a one where `outputs` minimise `focal_loss`.

    p itself is none (Charoenphakdee et al. 2021, arXiv 2011.09172). With a one's loss f(p) and
    a zero's F(p), q f + (1 - q) F is least where q / (1 - q) = -F' / f':
      -f' = alpha (1 - p)^(g - 1) ((1 - p) / p - g ln p), where g is of_ones;
       F' = (1 - alpha) p^(h - 1) (p / (1 - p) - h ln(1 - p)), where h is of_zeros.
    """
    x = ops.clip(outputs, -SURE, SURE)
    one, zero = ops.softplus(-x), ops.softplus(x)
    of_one = ops.log(ops.exp(-x) + of_ones * one) - (of_ones - 1) * zero
    of_zero = ops.log(ops.exp(x) + of_zeros * zero) - (of_zeros - 1) * one
    return of_zero - of_one + math.log((1 - alpha) / alpha)
