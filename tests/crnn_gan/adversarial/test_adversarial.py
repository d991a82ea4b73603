"""Blur and replay: what a discriminator sees."""

import keras
import numpy as np
from keras import ops

from crnn_gan.adversarial.config import AdversarialConfig, Blur, Replay


def test_noise_falls_in_a_line_to_nothing_and_stays_there():
    config = AdversarialConfig(instance_noise=0.4, instance_noise_epochs=4)
    found = [config.noise_of(epoch, max_epoch=10) for epoch in (0, 1, 3, 4, 9)]
    np.testing.assert_allclose(found, [0.4, 0.3, 0.1, 0.0, 0.0], atol=1e-9)
    assert AdversarialConfig(instance_noise=0.4).noise_of(5, max_epoch=10) == 0.2


def test_blur_adds_noise_of_its_deviation():
    blur = Blur(0.5)
    x, noise = np.ones((2, 3), np.float32), np.full((2, 3), 2, np.float32)
    np.testing.assert_allclose(np.asarray(blur(x, noise)), np.full((2, 3), 2.0))


def rows(*values):
    return np.repeat(np.array(values, np.float32)[:, None], 2, axis=1)


def test_half_of_the_pieces_are_kept_ones_and_the_oldest_go_first():
    kept = Replay(3, (2,))
    draws = np.array([0.0, 0.99], np.float32)
    # Nothing is kept yet: all are fresh, and the first half stays.
    np.testing.assert_array_equal(kept(rows(1, 2, 3, 4), draws), rows(1, 2, 3, 4))
    # 1 and 2 are kept; 5 takes the free place, 6 that of 1.
    np.testing.assert_array_equal(kept(rows(5, 6, 7, 8), draws), rows(5, 6, 1, 2))
    np.testing.assert_array_equal(np.asarray(kept.pieces), rows(6, 2, 5))
    np.testing.assert_array_equal(kept(rows(9, 9, 9, 9), draws), rows(9, 9, 6, 5))


def test_more_pieces_than_places_are_cut():
    kept = Replay(1, (2,))
    kept(rows(1, 2, 3, 4), np.zeros(2, np.float32))
    np.testing.assert_array_equal(np.asarray(kept.pieces), rows(1))


def test_a_batch_of_an_odd_size_is_as_long_as_it_was():
    kept = Replay(4, (2,))
    for _ in range(2):
        learned = kept(rows(1, 2, 3, 4, 5), np.zeros(2, np.float32))
    assert ops.shape(learned) == (5, 2)
    np.testing.assert_array_equal(learned, rows(1, 2, 3, 1, 1))


def test_settings_of_zero_leave_a_phase_as_it_is():
    from crnn_gan.training.phases import Phase

    phase = Phase("side", [keras.layers.Dense(1)], lambda batch: (0.0, {}))
    assert AdversarialConfig().balanced(phase) is phase
    balanced = AdversarialConfig(balance_above=0.8, balance_most=7).balanced(phase)
    assert (balanced.balance_above, balanced.balance_most) == (0.8, 7)
