"""Spectral normalisation, against NumPy's singular values."""

import keras
import numpy as np
import pytest

from crnn_gan.adversarial.spectral_norm import SpectralDense


@pytest.fixture(name="layer")
def of_known_kernel():
    layer = SpectralDense(5)
    layer.build((None, 7))
    layer.kernel.assign(np.random.default_rng(0).normal(size=(7, 5)).astype("float32") * 3)
    return layer


def test_the_largest_singular_value_becomes_one(layer):
    x = np.eye(7, dtype=np.float32)
    for _ in range(60):
        y = layer(x, training=True)
    largest = np.linalg.svd(np.asarray(layer.kernel), compute_uv=False)[0]
    np.testing.assert_allclose(np.asarray(y), np.asarray(layer.kernel) / largest, rtol=1e-3)


def test_out_of_training_it_stays_as_it_is(layer):
    before = np.asarray(layer.left)
    first = layer(np.ones((1, 7), np.float32))
    np.testing.assert_array_equal(np.asarray(layer.left), before)
    np.testing.assert_array_equal(first, layer(np.ones((1, 7), np.float32)))


def test_it_comes_back_from_its_config(layer):
    again = keras.layers.deserialize(keras.layers.serialize(layer))
    assert isinstance(again, SpectralDense) and again.units == 5
