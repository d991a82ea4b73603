"""Losses that families share: the slope of a discriminator by hand."""

import numpy as np
import pytest
from keras import ops

from crnn_gan.adversarial.losses import slope_at_real


def test_the_slope_at_real_music_is_squared_summed_over_a_piece_and_the_mean_of_pieces():
    real = np.array([[[1.0, 2.0], [3.0, 4.0]], [[0.0, 0.0], [0.0, 1.0]]], np.float32)

    def logits(x):
        return ops.sum(0.5 * ops.square(x), axis=(1, 2)) + 3 * x[:, 0, 0]

    # The gradient is x, and 3 more of the first number.
    expected = np.mean([4**2 + 2**2 + 3**2 + 4**2, 3**2 + 1])
    assert float(slope_at_real(logits, ops.convert_to_tensor(real))) == pytest.approx(expected)
