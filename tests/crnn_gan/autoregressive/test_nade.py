"""The keys of a frame one after another: values by hand, order, normalisation, and drawing."""

from __future__ import annotations

import itertools

import keras
import numpy as np
import pytest
from keras import ops

from crnn_gan.autoregressive.nade import NADE

KEYS, CONTEXT, CHANNELS = 5, 3, 2


def random(*shape: int) -> np.ndarray:
    return np.random.default_rng([*shape]).normal(size=shape).astype("float32")


def frames(*shape: int) -> np.ndarray:
    return (random(*shape) > 0).astype("float32")


def nade(keys=KEYS, channels=CHANNELS, **kwargs):
    """Gives a layer of random weights, biases included."""
    layer = NADE(keys, hidden=20, **{"span": 2, "reach": 1, **kwargs})
    layer.build((None, CONTEXT), (None, keys), (None, keys, channels) if channels else None)
    layer.set_weights([random(*w.shape) / 3 for w in layer.get_weights()])
    return layer


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def test_logits_are_what_is_worked_out_by_hand():
    layer = NADE(3, hidden=1, span=1, reach=1)
    layer.build((None, 1), (None, 3), (None, 3, 1))
    for name, value in {
        "context_kernel": [[1.0]],
        "key_bias": [[0.0], [1.0], [2.0]],
        "key_kernel": [[10.0], [20.0], [40.0]],
        "span_kernel": [[[3.0]]],
        "reach_kernel": [[[100.0]], [[200.0]], [[400.0]]],
        "output_kernel": [[1.0], [1.0], [-1.0]],
        "output_bias": [0.0, 0.5, 0.0],
        "direct_kernel": [[1000.0, 2000.0, 3000.0]],
    }.items():
        getattr(layer, name).assign(np.array(value, "float32"))
    # The lowest and the highest key are down; the highest was down before.
    logits = layer(
        np.array([[2.0]]), np.array([[1.0, 0.0, 1.0]]), np.array([[[0.0], [0.0], [1.0]]])
    )
    lowest = (2 + 0) + 2000
    # 10 of the lowest key, 3 of the interval; 400 of the key above it, down before.
    middle = (2 + 1 + 10 + 3 + 400) + 4000 + 0.5
    # 10 of the lowest key, the one in between is up; 200 of its own being down before.
    highest = -(2 + 2 + 10 + 200) + 6000
    np.testing.assert_allclose(ops.convert_to_numpy(logits), [[lowest, middle, highest]])


@pytest.mark.parametrize("kwargs", [{}, {"layers": 2}, {"span": 0, "reach": 0}, {"span": 9}])
def test_a_key_depends_on_the_keys_below_it_and_on_no_other(kwargs):
    layer = nade(**kwargs)
    context, previous = random(1, CONTEXT), frames(1, KEYS, CHANNELS)
    frame = frames(1, KEYS)
    before = ops.convert_to_numpy(layer(context, frame, previous))[0]
    for key in range(KEYS):
        flipped = frame.copy()
        flipped[0, key] = 1 - flipped[0, key]
        after = ops.convert_to_numpy(layer(context, flipped, previous))[0]
        np.testing.assert_array_equal(after[: key + 1], before[: key + 1])
        assert (after[key + 1 :] != before[key + 1 :]).all()


@pytest.mark.parametrize("channels", [0, CHANNELS])
def test_the_probabilities_of_all_frames_add_up_to_1(channels):
    layer = nade(keys=4, channels=channels)
    every = np.array(list(itertools.product([0.0, 1.0], repeat=4)), "float32")
    context = np.repeat(random(1, CONTEXT), 16, axis=0)
    previous = np.repeat(frames(1, 4, channels), 16, axis=0) if channels else None
    of_on = sigmoid(ops.convert_to_numpy(layer(context, every, previous)).astype("float64"))
    of_frames = np.prod(np.where(every == 1, of_on, 1 - of_on), axis=-1)
    assert of_frames.max() < 0.9
    assert of_frames.sum() == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("temperature", [0.0, 1.0, 3.0])
@pytest.mark.parametrize("kwargs", [{}, {"layers": 2}, {"span": 0}, {"channels": 0}])
def test_what_is_sampled_is_what_the_logits_of_the_sampled_frame_say(kwargs, temperature):
    batch = 40
    layer = nade(**kwargs)
    context, previous = random(batch, CONTEXT), frames(batch, KEYS, CHANNELS)
    previous = None if kwargs.get("channels") == 0 else previous
    uniforms = np.random.default_rng(0).random((batch, KEYS), "float32")
    temperatures = np.full(batch, temperature, "float32")
    sampled = ops.convert_to_numpy(layer.sample(context, uniforms, temperatures, previous))
    logits = ops.convert_to_numpy(layer(context, sampled, previous))
    expected = logits > 0 if temperature == 0 else uniforms < sigmoid(logits / temperature)
    np.testing.assert_array_equal(sampled, expected)
    assert 0.1 < sampled.mean() < 0.9


def test_steps_of_time_are_judged_apart():
    layer = nade()
    context, frame = random(2, 3, CONTEXT), frames(2, 3, KEYS)
    previous = frames(2, 3, KEYS, CHANNELS)
    whole = ops.convert_to_numpy(layer(context, frame, previous))
    assert whole.shape == (2, 3, KEYS) and whole.dtype == np.float32
    one = ops.convert_to_numpy(layer(context[:, 1], frame[:, 1], previous[:, 1]))
    np.testing.assert_allclose(whole[:, 1], one, atol=1e-5)


def test_drawing_runs_within_a_loop():
    layer = nade(channels=0)
    context, uniforms = random(2, CONTEXT), np.random.default_rng(0).random((3, 2, KEYS), "float32")
    ones = np.ones(2, "float32")

    def step(sampled, uniforms):
        sampled = layer.sample(context, uniforms, ones)
        return sampled, sampled

    @_compiled
    def run(uniforms):
        return ops.scan(step, ops.zeros((2, KEYS)), uniforms)[1]

    together = ops.convert_to_numpy(run(ops.convert_to_tensor(uniforms)))
    one_by_one = [ops.convert_to_numpy(layer.sample(context, each, ones)) for each in uniforms]
    np.testing.assert_array_equal(together, one_by_one)


def _compiled(function):
    if keras.backend.backend() == "jax":
        import jax

        return jax.jit(function)
    import tensorflow as tf

    return tf.function(function, autograph=False)


@pytest.mark.parametrize("has_previous", [False, True])
def test_a_model_is_sampled_once_and_read_back(tmp_path, has_previous):
    shapes = [(CONTEXT,), (KEYS,), (KEYS, CHANNELS)][: 3 if has_previous else 2]
    tensors = [keras.Input((None, *shape)) for shape in shapes]
    layer = NADE(KEYS, hidden=6, layers=2, dropout=0.5, seed=1)
    model = keras.Model(tensors, layer(*tensors))
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    inputs = [random(2, 3, *shape) for shape in shapes]
    one, other = (ops.convert_to_numpy(each(inputs)) for each in (model, again))
    np.testing.assert_array_equal(one, other)
    assert np.abs(one - ops.convert_to_numpy(model(inputs, training=True))).max() > 1e-3


def test_what_cannot_be_is_refused():
    with pytest.raises(ValueError, match="hidden 0"):
        NADE(4, 0)
    with pytest.raises(ValueError, match="span -1"):
        NADE(4, 2, span=-1)
    with pytest.raises(ValueError, match="no weights yet"):
        NADE(4, 2).sample(random(1, 3), random(1, 4), random(1))
    with pytest.raises(ValueError, match="built with `previous`"):
        nade()(random(1, CONTEXT), frames(1, KEYS))
    with pytest.raises(ValueError, match="built without `previous`"):
        nade(channels=0)(random(1, CONTEXT), frames(1, KEYS), frames(1, KEYS, CHANNELS))
