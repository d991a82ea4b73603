"""Losses that families share, against sums by hand."""

import numpy as np
import pytest
from keras import ops

from crnn_gan.adversarial.losses import (
    add_r1_penalty,
    discriminator_loss,
    generator_loss,
    gradient_ratio,
    logit_of_mean_probability,
    r1_penalty,
)

REAL, FAKE = np.array([0.9, 0.6]), np.array([0.2, 0.3])  # Probabilities.


def logits(probabilities):
    return ops.convert_to_tensor(np.log(probabilities / (1 - probabilities)).astype(np.float32))


def test_losses_of_logits_are_cross_entropies_of_their_probabilities():
    plain = -np.mean(np.log(REAL) + np.log(1 - FAKE))
    of_both = logits(REAL), logits(FAKE)
    assert float(discriminator_loss(*of_both)) == pytest.approx(plain, rel=1e-5)
    assert float(discriminator_loss(*of_both, kinds="mean")) == pytest.approx(plain / 2, rel=1e-5)
    found = float(generator_loss(logits(FAKE), "non_saturating"))
    assert found == pytest.approx(-np.mean(np.log(FAKE)), rel=1e-5)
    found = float(generator_loss(logits(FAKE), "saturating"))
    assert found == pytest.approx(np.mean(np.log(1 - FAKE)), rel=1e-5)


def test_a_discriminator_that_cannot_tell_has_a_loss_of_ln_2_per_kind():
    zeros = ops.zeros((3,))
    assert float(discriminator_loss(zeros, zeros)) == pytest.approx(2 * np.log(2), rel=1e-6)
    assert float(discriminator_loss(zeros, zeros, kinds="mean")) == pytest.approx(np.log(2))


def test_smoothed_labels_are_of_real_music_alone():
    smoothed = -np.mean(0.8 * np.log(REAL) + 0.2 * np.log(1 - REAL) + np.log(1 - FAKE))
    found = float(discriminator_loss(logits(REAL), logits(FAKE), 0.2))
    assert found == pytest.approx(smoothed, rel=1e-5)
    plain = float(discriminator_loss(logits(REAL), logits(FAKE)))
    assert plain != pytest.approx(smoothed, rel=1e-3)


@pytest.mark.parametrize(("kinds", "of_discriminator"), [("sum", FAKE), ("mean", FAKE / 2)])
def test_the_ratio_is_that_of_the_derivatives_by_a_logit(kinds, of_discriminator):
    # Of -ln(1 - D) by the logit D; of -ln D it is -(1 - D), of ln(1 - D) it is -D.
    for loss, of_generator in (("non_saturating", -(1 - FAKE)), ("saturating", -FAKE)):
        found = np.asarray(gradient_ratio(logits(FAKE), loss, kinds))
        np.testing.assert_allclose(found, of_generator / of_discriminator, rtol=1e-5)


def test_losses_of_very_confident_discriminators_are_finite():
    far = ops.convert_to_tensor(np.array([-200.0, 200.0], np.float32))
    assert float(generator_loss(far, "non_saturating")) == pytest.approx(100)
    assert float(discriminator_loss(far, far)) == pytest.approx(200)
    assert np.isfinite(np.asarray(gradient_ratio(far, "non_saturating"))).all()


def test_the_logit_of_a_mean_probability_is_of_the_steps_that_have_weight():
    weights = np.array([[0.5, 0.5, 0.0], [0.25, 0.25, 0.5]], np.float32)
    p = np.array([[0.2, 0.6, 0.9], [0.2, 0.6, 0.9]])
    found = np.asarray(logit_of_mean_probability(logits(p), ops.convert_to_tensor(weights)))
    mean = np.array([0.4, 0.65])
    np.testing.assert_allclose(found, np.log(mean / (1 - mean)), rtol=1e-4)
    sure = ops.convert_to_tensor(np.array([[-50.0, -50.0]], np.float32))
    half = ops.convert_to_tensor(np.array([[0.5, 0.5]], np.float32))
    assert float(logit_of_mean_probability(sure, half)[0]) == pytest.approx(-50, rel=1e-5)


def test_r1_is_the_squared_gradient_summed_over_a_piece_and_the_mean_of_pieces():
    real = np.array([[[1.0, 2.0], [3.0, 4.0]], [[0.0, 0.0], [0.0, 1.0]]], np.float32)

    def logits(x):
        return ops.sum(0.5 * ops.square(x), axis=(1, 2)) + 3 * x[:, 0, 0]

    # The gradient is x, and 3 more of the first number.
    expected = np.mean([4**2 + 2**2 + 3**2 + 4**2, 3**2 + 1])
    real = ops.convert_to_tensor(real)
    assert float(r1_penalty(logits, real)) == pytest.approx(expected)
    loss, reports = add_r1_penalty(1.0, {"real": 0.5}, logits, real, weight=0.2)
    assert float(loss) == pytest.approx(1 + 0.1 * expected)
    assert reports["real"] == 0.5 and float(reports["r1"]) == pytest.approx(expected)
    assert add_r1_penalty(1.0, {"real": 0.5}, logits, real, weight=0.0) == (1.0, {"real": 0.5})
