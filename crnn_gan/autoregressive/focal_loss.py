"""Focal loss of binary outputs, and the probabilities that its minimiser stands for.

Cross-entropy with less weight on examples that are predicted well already (Lin et al. 2017, "Focal
loss for dense object detection", arXiv 1708.02002, section 3), for ones that are rare.
"""

from __future__ import annotations

import math
from typing import Any, Literal

import keras
from keras import ops

from crnn_gan.autoregressive.frame_distributions import IndependentBernoulli
from pipelines.spec import Spec

LARGEST_OUTPUT = 30.0  # Outputs are clipped to +-this before their exponentials are taken.


def focal_loss(
    outputs: Any, targets: Any, alpha: float, gamma_of_ones: float, gamma_of_zeros: float
) -> Any:
    """Gives the focal loss of each output, with a focusing parameter for ones and one for zeros.

    -alpha (1 - p)^gamma_of_ones ln p where the target is 1, else
    -(1 - alpha) p^gamma_of_zeros ln(1 - p).

    Args:
      outputs: float32, of a network; p is their sigmoid.
      targets: float32 of that shape, 0 or 1.
      alpha: weight of ones, in (0, 1).
      gamma_of_ones, gamma_of_zeros: focusing parameters, 0 or more; 0 is cross-entropy.
    """
    one, zero = ops.softplus(-outputs), ops.softplus(outputs)  # -ln p, -ln(1 - p)
    of_one = alpha * ops.exp(-gamma_of_ones * zero) * one
    of_zero = (1 - targets) * (1 - alpha) * ops.exp(-gamma_of_zeros * one) * zero
    return targets * of_one + of_zero


def calibrated_logits(
    outputs: Any, alpha: float, gamma_of_ones: float, gamma_of_zeros: float
) -> Any:
    """Gives the logits ln(q / (1 - q)), q the probability of a one where `outputs` minimise
    `focal_loss`.

    Their sigmoid p is not that probability (Charoenphakdee et al. 2021, arXiv 2011.09172). With a
    one's loss f(p) and a zero's F(p), q f + (1 - q) F is least where q / (1 - q) = -F' / f':
      -f' = alpha (1 - p)^(g - 1) ((1 - p) / p - g ln p), where g is gamma_of_ones;
       F' = (1 - alpha) p^(h - 1) (p / (1 - p) - h ln(1 - p)), where h is gamma_of_zeros.

    Args:
      outputs, alpha, gamma_of_ones, gamma_of_zeros: as for `focal_loss`.
    """
    x = ops.clip(outputs, -LARGEST_OUTPUT, LARGEST_OUTPUT)
    one, zero = ops.softplus(-x), ops.softplus(x)
    of_one = ops.log(ops.exp(-x) + gamma_of_ones * one) - (gamma_of_ones - 1) * zero
    of_zero = ops.log(ops.exp(x) + gamma_of_zeros * zero) - (gamma_of_zeros - 1) * one
    return of_zero - of_one + math.log((1 - alpha) / alpha)


class FocalBernoulli(IndependentBernoulli):
    """Independent Bernoulli distributions of a frame's cells, trained by one of three criteria.

    bce is binary cross-entropy, focal the focal loss of RetinaNet. focal_positive is a mended form
    of the "focal+" of Deep Musician, a source document, which is the sum of focal over cells that
    are 1 alone, of a sigmoid of the sigmoid: cells that are 0 cost nothing, and all notes on is its
    optimum. In focal_positive cells that are 1 cost what they do in focal, and those that are 0
    what they do in cross-entropy, times 1 - alpha.

    Negative log-likelihood, samples and thresholds are of calibrated probabilities, whatever the
    criterion.
    """

    def __init__(
        self,
        spec: Spec,
        criterion: Literal["bce", "focal", "focal_positive"],
        alpha: float,
        gamma: float,
        prior: float,
        **kwargs: Any,
    ):
        """Makes it for a Spec of a roll.

        Args:
          spec: of the roll.
          criterion: see above.
          alpha, gamma: of `focal_loss`; gamma is that of the cells which it is focal of.
          prior: probability of each cell at initialisation, set by the output's bias.
          kwargs: as for a Keras layer.
        """
        super().__init__(spec, **kwargs)
        self.head.bias_initializer = keras.initializers.Constant(math.log(prior / (1 - prior)))
        self.is_focal = criterion != "bce"
        self.focus = (alpha, gamma, gamma if criterion == "focal" else 0.0)

    def criterion(self, outputs: Any, bits: Any) -> Any:
        """Gives the loss of the head's outputs [..., cells], summed over the cells: [...]."""
        if self.is_focal:
            return ops.sum(focal_loss(outputs, bits, *self.focus), axis=-1)
        return ops.sum(ops.softplus(outputs) - outputs * bits, axis=-1)

    def logits(self, outputs: Any) -> Any:
        """See `IndependentBernoulli`: calibrated, where the criterion is a focal loss."""
        return calibrated_logits(outputs, *self.focus) if self.is_focal else outputs
