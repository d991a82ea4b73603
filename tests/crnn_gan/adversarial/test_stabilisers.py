"""Instance noise and the replay buffer: what a discriminator sees."""

import numpy as np
from keras import ops

from crnn_gan.adversarial.stabilisers import (
    InstanceNoise,
    ReplayBuffer,
    make_instance_noise,
    make_replay_buffer,
)


def test_instance_noise_has_its_standard_deviation():
    layer = InstanceNoise(0.5)
    x, noise = np.ones((2, 3), np.float32), np.full((2, 3), 2, np.float32)
    np.testing.assert_allclose(np.asarray(layer(x, noise)), np.full((2, 3), 2.0))


def test_layers_that_would_do_nothing_are_not_there():
    assert make_instance_noise(0.0) is None and make_replay_buffer(0, (2,)) is None
    assert make_replay_buffer(3, (2,)).capacity == 3
    assert float(make_instance_noise(0.5).deviation) == 0.5


def rows(*values):
    return np.repeat(np.array(values, np.float32)[:, None], 2, axis=1)


def test_half_of_the_windows_are_earlier_ones_and_the_oldest_go_first():
    replay = ReplayBuffer(3, (2,))
    uniform = np.array([0.0, 0.99], np.float32)
    # Nothing is stored yet: all are fresh, and the first half stays.
    np.testing.assert_array_equal(replay(rows(1, 2, 3, 4), uniform), rows(1, 2, 3, 4))
    # 1 and 2 are stored; 5 takes the free place, 6 that of 1.
    np.testing.assert_array_equal(replay(rows(5, 6, 7, 8), uniform), rows(5, 6, 1, 2))
    np.testing.assert_array_equal(np.asarray(replay.buffer), rows(6, 2, 5))
    np.testing.assert_array_equal(replay(rows(9, 9, 9, 9), uniform), rows(9, 9, 6, 5))


def test_more_windows_than_the_capacity_are_cut():
    replay = ReplayBuffer(1, (2,))
    replay(rows(1, 2, 3, 4), np.zeros(2, np.float32))
    np.testing.assert_array_equal(np.asarray(replay.buffer), rows(1))


def test_a_batch_of_an_odd_size_is_as_long_as_it_was():
    replay = ReplayBuffer(4, (2,))
    for _ in range(2):
        mixed = replay(rows(1, 2, 3, 4, 5), np.zeros(2, np.float32))
    assert ops.shape(mixed) == (5, 2)
    np.testing.assert_array_equal(mixed, rows(1, 2, 3, 1, 1))
