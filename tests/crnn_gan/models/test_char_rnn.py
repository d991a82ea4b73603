"""char_rnn: its layers by the step, what it learns, and what it writes."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from crnn_gan.autoregressive.likelihood_training import step_weights
from crnn_gan.layers.recurrent_stack import RecurrentStack
from crnn_gan.models.char_rnn import Config, Model
from pipelines.codecs import note_tuples
from pipelines.spec import Spec

SPEC = Spec("tokens", (None,), "uint8", 4, "step", (("all", 0, 4),))


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_a_stack_gives_the_same_by_the_step(cell):
    keras.utils.set_random_seed(0)
    stack = RecurrentStack(cell, 5, 2)
    x = np.random.default_rng(0).normal(size=(3, 7, 4)).astype("float32")
    whole = np.asarray(stack(x))
    state = stack.initial_state(3)
    for time in range(7):
        state, out = stack.step(state, ops.convert_to_tensor(x[:, time]))
        np.testing.assert_allclose(np.asarray(out), whole[:, time], atol=1e-6)


def test_padding_and_the_first_step_of_a_later_window_have_no_weight():
    valid_steps = ops.convert_to_tensor(np.array([4, 2, 3], np.int32))
    skips_first = ops.convert_to_tensor(np.array([False, False, True]))
    assert np.asarray(step_weights(valid_steps, 4, skips_first)).tolist() == [
        [1, 1, 1, 1],
        [1, 1, 0, 0],
        [0, 1, 1, 0],
    ]


@pytest.fixture(scope="module")
def learned():
    """A model that has learned 0 1 2 3 0 1 2 3 ... by heart."""
    keras.utils.set_random_seed(0)
    config = Config(
        hidden_size=16, num_layers=1, embedding_size=8, window_steps=8, batch_size=4,
        learning_rate=0.03,
    )  # fmt: skip
    model = Model(config, SPEC, seed=0)
    model.compile(jit_compile=keras.backend.backend() == "jax")
    batch = {
        "music": np.tile(np.arange(8) % 4, (4, 1)).astype(np.uint8),
        "valid_steps": np.full(4, 8, np.int32),
        "start_step": np.zeros(4, np.int32),
    }
    model.fit(tf.data.Dataset.from_tensors(batch).repeat(80), verbose=0, shuffle=False)
    return model


def written(model, length, primer=None, **controls):
    values = {
        name: ops.convert_to_tensor(np.full(1, controls.get(name, control.default)), control.dtype)
        for name, control in model.controls.items()
    }
    noise = {"draw": ops.full((1, length, 1), 0.5)}
    primer = None if primer is None else ops.convert_to_tensor(np.array(primer, np.int32))
    return np.asarray(model.generate(noise, primer=primer, **values))[0].tolist()


def test_it_writes_what_it_learned(learned):
    assert written(learned, 9, temperature=0) == [0, 1, 2, 3, 0, 1, 2, 3, 0]


def test_it_goes_on_from_a_primer_and_does_not_repeat_it(learned):
    assert written(learned, 5, primer=[0, 1, 2], temperature=0) == [3, 0, 1, 2, 3]


def test_its_perplexity_on_what_it_knows_is_near_1_and_on_the_reverse_is_not(learned):
    def perplexity(row):
        music = ops.convert_to_tensor(np.array([row], np.uint8))
        return float(np.exp(np.mean(np.asarray(learned.negative_log_likelihood({"music": music})))))

    assert perplexity([0, 1, 2, 3] * 3) < 1.2
    assert perplexity([3, 2, 1, 0] * 3) > 5


def test_the_learning_rate_decays_after_the_epochs_it_should():
    config = Config(learning_rate=0.1, lr_decay=0.5, epochs_before_decay=2, hidden_size=4)
    model = Model(config, SPEC)
    model.compile()
    rates = []
    for epoch in range(5):
        model.begin_epoch(epoch)
        rates.append(float(model.optimizer.by_phase["likelihood"].learning_rate))
    np.testing.assert_allclose(rates, [0.1, 0.1, 0.1, 0.05, 0.025], rtol=1e-6)


def test_another_kind_of_data_is_refused_with_the_codecs_that_fit():
    with pytest.raises(
        ValueError, match=r"gives 'vectors'; char_rnn takes 'tokens' or 'roll': .*events"
    ):
        Model(Config(), note_tuples.Codec().spec)


@pytest.mark.parametrize("field", ["hidden_size", "num_layers", "embedding_size", "batch_size"])
def test_sizes_of_nothing_are_refused(field):
    with pytest.raises(ValueError, match=f"--{field} is 0; give 1 "):
        Config(**{field: 0})
