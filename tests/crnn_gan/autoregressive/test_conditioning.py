"""Conditions of the music ahead, in training and as a caller of generate sets them."""

import math

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from crnn_gan.autoregressive.conditioning import (
    CONTROLS,
    SIZES,
    encode_batch_conditions,
    encode_control_conditions,
)
from crnn_gan.models.conditional_char_rnn import Config, Model
from pipelines.batches import conditions
from pipelines.codecs.events import Codec

BOTH = Config(conditions=("density", "mean_pitch"), condition_dropout=0.5)
BATCH = {
    "music": np.zeros((2, 3), np.int32),
    "density": np.array([[[0], [math.e**3 - 1], [0]], [[0], [0], [0]]], np.float32),
    "mean_pitch": np.array([[[64], [88], [40]], [[64], [64], [64]]], np.float32),
}


def test_the_conditions_are_those_that_data_can_have():
    assert SIZES == conditions.SIZES
    assert CONTROLS.keys() == SIZES.keys()


def test_the_condition_of_a_step_is_that_of_the_music_after_the_step_before():
    encoded = np.asarray(encode_batch_conditions(BOTH, BATCH))
    assert encoded.shape == (2, 3, BOTH.condition_channels) == (2, 3, 4)
    # Density ln(1 + d) / 3, given; mean pitch (p - 64) / 24, given. Step 2 has that at index 1.
    np.testing.assert_allclose(encoded[0, 0], [0, 1, 0, 1], atol=1e-6)
    np.testing.assert_allclose(encoded[0, 1], [0, 1, 0, 1], atol=1e-6)
    np.testing.assert_allclose(encoded[0, 2], [1, 1, 1, 1], atol=1e-6)


def test_each_condition_is_hidden_from_a_row_by_a_random_number_of_its_own():
    uniform = np.array([[0.4, 0.6], [0.9, 0.1]], np.float32)
    encoded = np.asarray(encode_batch_conditions(BOTH, BATCH, uniform))
    np.testing.assert_allclose(encoded[0, 2], [0, 0, 1, 1], atol=1e-6)
    np.testing.assert_allclose(encoded[1, 2], [0, 1, 0, 0], atol=1e-6)


def test_a_condition_that_is_not_in_the_batch_is_hidden_from_all():
    encoded = np.asarray(encode_batch_conditions(BOTH, {"music": BATCH["music"]}))
    assert not encoded.any()
    assert encode_batch_conditions(Config(condition_dropout=0), BATCH) is not None


def test_controls_are_encoded_as_in_training_and_each_may_be_unset():
    config = Config()
    histogram = np.zeros((2, 12), np.float32)
    histogram[0, [0, 7]] = 0.5
    controls = {
        "pitch_class_histogram": histogram,
        "density": np.array([math.e**3 - 1, -1], np.float32),
        "mean_pitch": np.array([88, -1], np.float32),
    }
    encoded = np.asarray(
        encode_control_conditions(config, {n: ops.array(v) for n, v in controls.items()})
    )
    expected = [0.5, 0, 0, 0, 0, 0, 0, 0.5, 0, 0, 0, 0, 1, 1, 1, 1, 1]
    np.testing.assert_allclose(encoded[0], expected, atol=1e-6)
    assert not encoded[1].any()


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"conditions": ("loudness",)}, "--conditions has loudness; give some of pitch_class"),
        ({"conditions": ()}, "--conditions is empty; name one or more, or train --model=char_rnn"),
        ({"condition_dropout": 1.5}, "--condition_dropout is 1.5; give 0 to 1"),
    ],
)
def test_settings_out_of_range_are_refused_in_words(settings, words):
    with pytest.raises(ValueError, match=words):
        Config(**settings)


def test_the_window_that_leaks_is_an_option_of_its_own():
    codec = Codec()
    assert Config().conditions_of(codec).centred_steps == 0
    assert Config(centred_steps=50).conditions_of(codec).centred_steps == 50


@pytest.fixture(scope="module")
def conditioned():
    """A model that has learned that a dense piece is all of token 60 and a thin one all of 70."""
    keras.utils.set_random_seed(0)
    config = Config(
        conditions=("density",), hidden_size=16, num_layers=1, embedding_size=8, window_steps=8,
        batch_size=16, learning_rate=0.03, condition_dropout=0.25,
    )  # fmt: skip
    model = Model(config, Codec().spec, seed=0)
    model.compile(jit_compile=keras.backend.backend() == "jax")
    is_dense = np.arange(16) % 2
    batch = {
        "music": np.where(is_dense[:, None], 60, 70).repeat(8, axis=1).astype(np.uint16),
        "density": np.where(is_dense, 20, 1)[:, None, None].repeat(8, axis=1).astype("float32"),
        "valid_steps": np.full(16, 8, np.int32),
        "start_step": np.zeros(16, np.int32),
    }
    batches = tf.data.Dataset.from_tensors(batch).repeat(120)
    model.fit(batches, verbose=0, shuffle=False)
    return model, batch


def test_a_model_generates_what_the_condition_says(conditioned):
    model, _ = conditioned
    rows = 2
    controls = {
        "temperature": np.zeros(rows, np.float32), "top_k": np.zeros(rows, np.int32),
        "top_p": np.ones(rows, np.float32), "closes": np.zeros(rows, np.int32),
        "density": np.array([20.0, 1.0], np.float32),
    }  # fmt: skip
    controls = {name: ops.convert_to_tensor(value) for name, value in controls.items()}
    noise = {"draw": ops.full((rows, 1, 1), 0.5)}
    assert np.asarray(model.generate(noise, **controls))[:, 0].tolist() == [60, 70]


def test_a_condition_lowers_the_negative_log_likelihood(conditioned):
    model, batch = conditioned
    given = {name: batch[name] for name in ("music", "density")}
    knows = np.asarray(model.predict_on_batch({"batch": given}))[:, 0].mean()
    guesses = np.asarray(model.predict_on_batch({"batch": {"music": batch["music"]}}))[:, 0].mean()
    assert knows < 0.2
    assert guesses == pytest.approx(math.log(2), abs=0.2)
