"""Mean spectra of sines and of noise, and their distances."""

import numpy as np
import pytest
from keras import ops

from crnn_gan.layers.spectra import mean_spectrum, spectral_distance


def test_equal_sounds_have_no_spectral_distance_and_one_twice_as_loud_has_1():
    # |2 a - a|^2 / |a|^2 = 1, whatever the spectrum.
    sound = np.random.default_rng(1).normal(size=(2, 40)).astype("float32")
    quiet, loud = (mean_spectrum(ops.convert_to_tensor(s), 16) for s in (sound, 2 * sound))
    assert quiet.shape == (9,)
    assert float(spectral_distance(quiet, quiet)) == 0
    assert float(spectral_distance(loud, quiet)) == pytest.approx(1, abs=1e-4)


def test_the_spectrum_of_a_sine_is_at_its_frequency():
    # 4 periods in a frame of 16; a sine's magnitude is half the window's sum, 8 / 2.
    sine = np.sin(2 * np.pi * 4 / 16 * np.arange(64)).astype("float32")[None]
    spectrum = np.asarray(mean_spectrum(ops.convert_to_tensor(sine), 16))
    assert spectrum.argmax() == 4
    assert spectrum[4] == pytest.approx(4, abs=1e-4)
