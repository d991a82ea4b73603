"""Losses and rules of adversarial training that families share. All in float32.

Losses of probabilities take logits: ln(D / (1 - D)) of the probability D that music is real.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

from keras import ops

from crnn_gan.training.phases import input_gradient

EPSILON = 1e-7  # Keeps the square root of a squared norm differentiable at 0.
LARGEST_EXPONENT = 60.0  # e to the power of more, times a gradient, may leave float32.
SMALLEST_WEIGHT = 1e-30  # Of a step in a mean; keeps its logarithm finite.

CrossEntropy = Literal["non_saturating", "saturating"]
Reduction = Literal["sum", "mean"]


def discriminator_loss(
    real_logits: Any, fake_logits: Any, label_smoothing: float = 0.0, kinds: Reduction = "sum"
) -> Any:
    """Gives the binary cross-entropy -ln D(x) - ln(1 - D(G(z))), averaged over the batch.

    Goodfellow et al. 2014, arXiv 1406.2661, algorithm 1.

    Args:
      real_logits, fake_logits: float32 [batch].
      label_smoothing: what the target of real music lacks of 1 (Salimans et al. 2016, arXiv
        1606.03498, section 3.4, one-sided).
      kinds: sum of the two kinds' cross-entropies, 2 ln 2 where they cannot be told apart; or their
        mean, ln 2.

    Returns:
      A float32 scalar, in nats.
    """
    real = ops.softplus(-real_logits) + label_smoothing * real_logits
    total = ops.mean(real) + ops.mean(ops.softplus(fake_logits))
    return 0.5 * total if kinds == "mean" else total


def generator_loss(fake_logits: Any, loss: CrossEntropy) -> Any:
    """Gives the mean of -ln D(G(z)) (non_saturating) or of ln(1 - D(G(z))) (saturating), in nats.

    Goodfellow et al. 2014, arXiv 1406.2661, section 3.

    Args:
      fake_logits: float32 [batch].
      loss: which.
    """
    if loss == "saturating":
        return -ops.mean(ops.softplus(fake_logits))
    return ops.mean(ops.softplus(-fake_logits))


def gradient_ratio(fake_logits: Any, loss: CrossEntropy, kinds: Reduction = "sum") -> Any:
    """Gives the derivative of `generator_loss` over that of `discriminator_loss`, by each logit.

    By a logit -ln D has the derivative -(1 - D), ln(1 - D) has -D, and the discriminator's
    -ln(1 - D) has D (D / 2 with `kinds` mean), which is small, not 0, where it is confident.

    Args:
      fake_logits: float32 [batch].
      loss: the generator's.
      kinds: as in `discriminator_loss`.

    Returns:
      float32 [batch], negative.
    """
    scale = -2.0 if kinds == "mean" else -1.0
    if loss == "saturating":
        return scale * ops.ones_like(fake_logits)
    return scale * ops.exp(ops.minimum(-fake_logits, LARGEST_EXPONENT))


def logit_of_mean_probability(logits: Any, weights: Any) -> Any:
    """Gives the logit of a weighted mean of probabilities: ln(p / (1 - p)), p = sum(w sigmoid(x)).

    Args:
      logits: float32 [batch, time].
      weights: float32 [batch, time], each row's sum 1.

    Returns:
      float32 [batch].
    """
    weights = ops.log(ops.maximum(weights, SMALLEST_WEIGHT))
    true, false = (
        ops.logsumexp(weights - ops.softplus(-sign * logits), axis=1) for sign in (1, -1)
    )
    return true - false


def gradient_penalty(
    critic: Callable[[Any], Any], real: Any, fake: Any, share: Any, mask: Any
) -> Any:
    """Gives mean((|gradient| - 1)^2) of a critic between real and generated music.

    Gulrajani et al. 2017, arXiv 1704.00028, section 4.

    Args:
      critic: music [batch, time, features] -> scores [batch].
      real, fake: [batch, time, features].
      share: [batch, 1, 1] in [0, 1), of the real in the mixture.
      mask: bool [batch, time], the steps that count.
    """
    between = share * real + (1 - share) * ops.stop_gradient(fake)
    gradient = ops.cast(input_gradient(critic, between), "float32")
    gradient = gradient * ops.cast(mask, "float32")[..., None]
    norm = ops.sqrt(ops.sum(ops.square(gradient), axis=(1, 2)) + EPSILON)
    return ops.mean(ops.square(norm - 1))


def r1_penalty(logits: Callable[[Any], Any], real: Any) -> Any:
    """Gives R1: mean(|gradient|^2) of a discriminator's logits at real music, without its weight.

    Mescheder et al. 2018, "Which training methods for GANs do actually converge?", arXiv
    1801.04406, section 4.1. It keeps a discriminator from becoming confident, so that it goes on
    giving the generator a gradient.

    Args:
      logits: music [batch, ...] -> float32 [batch]. Where rows are scored together (minibatch
        discrimination) the gradient is that of their sum.
      real: [batch, ...].
    """
    gradient = ops.cast(input_gradient(logits, real), "float32")
    return ops.mean(ops.sum(ops.square(gradient), axis=tuple(range(1, len(gradient.shape)))))


def add_r1_penalty(
    loss: Any, reports: Mapping[str, Any], logits: Callable[[Any], Any], real: Any, weight: float
) -> tuple[Any, dict[str, Any]]:
    """Adds weight / 2 times R1 to a discriminator's loss, and the report `r1`; not with weight 0.

    It is a forward pass of its own: layers that draw random numbers draw again.

    Args:
      loss: scalar.
      reports: scalars by name.
      logits, real: as in `r1_penalty`.
      weight: gamma in Mescheder et al. 2018, equation 9.
    """
    if not weight:
        return loss, dict(reports)
    penalty = r1_penalty(logits, real)
    return loss + 0.5 * weight * penalty, {**reports, "r1": penalty}


def reward(output: Any, loss: str) -> Any:
    """Gives what each generated row adds to minus the generator's loss: float32 [batch].

    Args:
      output: float32 [batch], logits or a Wasserstein critic's scores of generated music.
      loss: "wasserstein", "non_saturating" or "saturating".
    """
    if loss == "wasserstein":
        return output
    return ops.softplus(output) if loss == "saturating" else -ops.softplus(-output)


def feature_matching_loss(
    real_features: Any, fake_features: Any, mask: Any, reduction: Reduction
) -> Any:
    """Gives the squared distance of the i-th real window's features and the i-th fake's.

    Mogren 2016, section 3: summed over time and features, then over the batch its mean (the
    paper) or its sum (the reference code). Not the distance of the batch's means of
    Salimans et al. 2016.

    Args:
      real_features, fake_features: [batch, time, units].
      mask: bool [batch, time], the steps that count.
      reduction: over the batch.
    """
    squares = ops.square(real_features - fake_features) * ops.cast(mask, "float32")[..., None]
    distance = ops.sum(squares, axis=(1, 2))
    return ops.sum(distance) if reduction == "sum" else ops.mean(distance)


def freezing_rule(
    rule: Literal["paper", "code"], network: Literal["discriminator", "generator"]
) -> Callable[[Mapping[str, Any]], Any]:
    """Gives the rule by which a network is updated, from the values shown for the batch before.

    paper (Mogren 2016, section 4): a network whose loss is below 70 % of the other's is frozen;
    the losses are those without L2, which would hide the difference.
    code (the authors'): with L2; where either is below 2.0 the generator is frozen, and
    the discriminator where it is below 70 % of the generator's.

    Args:
      rule, network: which rule, for which network.

    Returns:
      values by shown name (`discriminator_loss`, `generator_adversarial`) -> scalar bool, true
      where the network is updated.
    """

    def paper(last: Mapping[str, Any]) -> Any:
        of_d, of_g = last["discriminator_loss"], last["generator_adversarial"]
        return of_d >= 0.7 * of_g if network == "discriminator" else of_g >= 0.7 * of_d

    def code(last: Mapping[str, Any]) -> Any:
        of_d = last["discriminator_loss"] + last.get("discriminator_l2", 0.0)
        of_g = last["generator_adversarial"] + last.get("generator_l2", 0.0)
        low = (of_d < 2.0) | (of_g < 2.0)
        return ~(low & (0.7 * of_g > of_d)) if network == "discriminator" else ~low

    return paper if rule == "paper" else code
