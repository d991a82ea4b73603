"""Losses and rules of adversarial training that families share. All in float32."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

from keras import ops

from crnn_gan.training.phases import input_gradient

EPSILON = 1e-7  # Keeps the logarithm of a probability finite.


def discriminator_loss(of_real: Any, of_fake: Any, smoothing: float = 0.0) -> Any:
    """Gives mean(-log D(x) - log(1 - D(G(z)))) of probabilities [batch] (Goodfellow 2014).

    Args:
      of_real, of_fake: [batch].
      smoothing: what D(x) is to lack of 1 (Salimans et al. 2016, section 3.4, one-sided).
    """
    of_real, of_fake = _inside(of_real), _inside(of_fake)
    real = (1 - smoothing) * ops.log(of_real) + smoothing * ops.log(1 - of_real)
    return ops.mean(-real - ops.log(1 - of_fake))


def generator_loss(of_fake: Any, kind: Literal["non_saturating", "saturating"]) -> tuple[Any, Any]:
    """Gives the generator's loss of probabilities [batch], and what it makes of a joint phase.

    Returns:
      mean(-log D(G(z))), or mean(log(1 - D(G(z)))) where saturating; and the ratio [batch] of
      its derivative to that of `discriminator_loss`.
    """
    of_fake = _inside(of_fake)
    if kind == "saturating":
        return ops.mean(ops.log(1 - of_fake)), -ops.ones_like(of_fake)
    return -ops.mean(ops.log(of_fake)), -(1 - of_fake) / of_fake


def _inside(probability: Any) -> Any:
    return ops.clip(probability, EPSILON, 1 - EPSILON)


def gradient_penalty(
    critic: Callable[[Any], Any], real: Any, fake: Any, share: Any, mask: Any
) -> Any:
    """Gives mean((|gradient| - 1)^2) of a critic between real and generated music.

    Gulrajani et al. 2017, arXiv 1704.00028, section 4.

    Args:
      critic: music [batch, time, features] -> verdicts [batch].
      real, fake: [batch, time, features].
      share: [batch, 1, 1] in [0, 1), of the real in the mixture.
      mask: bool [batch, time], the steps that count.
    """
    between = share * real + (1 - share) * ops.stop_gradient(fake)
    slope = ops.cast(input_gradient(critic, between), "float32")
    slope = slope * ops.cast(mask, "float32")[..., None]
    norm = ops.sqrt(ops.sum(ops.square(slope), axis=(1, 2)) + EPSILON)
    return ops.mean(ops.square(norm - 1))


def slope_at_real(logits: Callable[[Any], Any], real: Any) -> Any:
    """Gives mean(|gradient|^2) of a discriminator's logits at real music, "R1".

    Mescheder et al. 2018, "Which training methods for GANs do actually converge?", arXiv
    1801.04406, section 4.1. A discriminator that is sure of itself is steep; one that is kept
    from it goes on telling the generator which way to go.

    Args:
      logits: music [batch, ...] -> float32 [batch]. Where rows are judged together (minibatch
        discrimination) it is the slope of their sum.
      real: [batch, ...].
    """
    slope = ops.cast(input_gradient(logits, real), "float32")
    return ops.mean(ops.sum(ops.square(slope), axis=tuple(range(1, len(slope.shape)))))


def feature_distance(
    of_real: Any, of_fake: Any, mask: Any, reduction: Literal["mean", "sum"]
) -> Any:
    """Gives the squared distance of the i-th real piece's features and the i-th fake's.

    Mogren 2016, section 3: summed over time and features, then over the batch its mean (the
    paper) or its sum (the reference code). Not the distance of the batch's means of
    Salimans et al. 2016.

    Args:
      of_real, of_fake: [batch, time, units].
      mask: bool [batch, time], the steps that count.
      reduction: over the batch.
    """
    squares = ops.square(of_real - of_fake) * ops.cast(mask, "float32")[..., None]
    distance = ops.sum(squares, axis=(1, 2))
    return ops.sum(distance) if reduction == "sum" else ops.mean(distance)


def freezing_rule(
    rule: Literal["paper", "code"], who: Literal["discriminator", "generator"]
) -> Callable[[Mapping[str, Any]], Any]:
    """Gives the rule by which `who` may move, from the values shown for the batch before.

    paper (Mogren 2016, section 4): whoever's loss is below 70 % of the other's stands still;
    the losses are those without L2, which would hide the difference.
    code (the authors'): with L2; where either is below 2.0 the generator stands still, and
    the discriminator where it is below 70 % of the generator's.
    """

    def paper(last: Mapping[str, Any]) -> Any:
        of_d, of_g = last["discriminator_loss"], last["generator_adversarial"]
        return of_d >= 0.7 * of_g if who == "discriminator" else of_g >= 0.7 * of_d

    def code(last: Mapping[str, Any]) -> Any:
        of_d = last["discriminator_loss"] + last.get("discriminator_l2", 0.0)
        of_g = last["generator_adversarial"] + last.get("generator_l2", 0.0)
        low = (of_d < 2.0) | (of_g < 2.0)
        return ~(low & (0.7 * of_g > of_d)) if who == "discriminator" else ~low

    return paper if rule == "paper" else code
