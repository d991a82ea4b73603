"""Dilated convolutions beside plain Keras ones, and step by step; compiled loops beside plain."""

from __future__ import annotations

import math

import keras
import numpy as np
import pytest
from keras import ops

from crnn_gan.layers.dilated import DilatedStack
from crnn_gan.layers.loops import forward_only, run_compiled, scan, stacked

ON_TENSORFLOW = keras.backend.backend() == "tensorflow"
BATCH, TIME, CONDITION = 2, 20, 3
SIZES = {
    "residual_channels": 4,
    "dilation_channels": 5,
    "skip_channels": 6,
    "end_channels": 7,
}
VARIANTS = [
    {"blocks": 2, "layers": 3, "kernel_size": 2},
    {"blocks": 1, "layers": 2, "kernel_size": 3, "condition_channels": CONDITION},
    {"blocks": 1, "layers": 1, "kernel_size": 4, "gated": False},
]


def random(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng([seed, *shape]).normal(size=shape).astype("float32")


def stack(**arguments) -> DilatedStack:
    """A stack with random weights, biases too."""
    layer = DilatedStack(**{**VARIANTS[0], **SIZES, **arguments})
    layer.build((None, None, layer.residual_channels))
    layer.set_weights([random(*w.shape, seed=k) / 2 for k, w in enumerate(layer.get_weights())])
    return layer


def inputs(layer, time=TIME, batch=BATCH):
    """Inputs, and a condition where the layer has one."""
    condition = random(batch, time, CONDITION) if layer.condition_channels else None
    return random(batch, time, layer.residual_channels, seed=1), condition


def whole(layer, x, condition=None):
    return ops.convert_to_numpy(layer(x, condition))


def step_by_step(layer, x, condition=None, state=None):
    """Gives what `step` gives for x [batch, time, channels], and the last state."""
    state = layer.initial_state(len(x)) if state is None else state
    outputs = []
    for t in range(x.shape[1]):
        state, out = layer.step(state, x[:, t], None if condition is None else condition[:, t])
        outputs.append(ops.convert_to_numpy(out))
    return np.stack(outputs, axis=1), state


def plain(layer, x, condition=None):
    """The same network of Keras' own layers, which take over the weights."""
    names = [weight.name for weight in layer.weights]
    weights = dict(zip(names, layer.get_weights(), strict=True))
    gates = weights["gate_bias"].shape[1]
    passed = 0
    for k, dilation in enumerate(layer.dilations):
        convolution = keras.layers.Conv1D(
            gates, layer.kernel_size, padding="causal", dilation_rate=dilation
        )
        convolution.build(x.shape)
        taps = [weights["past_kernel"][k], weights["present_kernel"][k][None]]
        convolution.set_weights([np.concatenate(taps), weights["gate_bias"][k]])
        z = convolution(x)
        if condition is not None:
            z = z + ops.matmul(condition, weights["condition_kernel"][k])
        if layer.gated:
            z = ops.tanh(z[..., : gates // 2]) * ops.sigmoid(z[..., gates // 2 :])
        else:
            z = ops.relu(z)
        rows = slice(k * layer.dilation_channels, (k + 1) * layer.dilation_channels)
        passed = passed + ops.matmul(z, weights["skip_kernel"][rows])
        if k + 1 < len(layer.dilations):
            x = x + ops.matmul(z, weights["residual_kernel"][k]) + weights["residual_bias"][k]
    skips = ops.relu(passed + weights["skip_bias"])
    return ops.relu(ops.matmul(skips, weights["end_kernel"]) + weights["end_bias"])


# What is computed.


def test_one_layer_is_what_the_hand_works_out():
    layer = DilatedStack(1, 1, 2, 1, 1, 1, 1, gated=False)
    layer.build((None, None, 1))
    weights = {
        "past_kernel": 2.0, "present_kernel": 3.0, "gate_bias": -1.0,
        "skip_kernel": 0.5, "skip_bias": -1.0, "end_kernel": 4.0, "end_bias": 1.0,
    }  # fmt: skip
    for weight in layer.weights:
        if weight.name in weights:
            weight.assign(np.full(weight.shape, weights[weight.name]))
    x = np.array([[[1.0], [2.0], [-1.0]]], "float32")
    # z = relu(2 * before + 3 * now - 1):  relu(0 + 3 - 1) = 2, relu(2 + 6 - 1) = 7,
    #                                      relu(4 - 3 - 1) = 0
    # skips = relu(0.5 * z - 1):           0, 2.5, 0
    # out = relu(4 * skips + 1):           1, 11, 1
    expected = [[[1.0], [11.0], [1.0]]]
    np.testing.assert_allclose(whole(layer, x), expected, atol=1e-6)
    np.testing.assert_allclose(step_by_step(layer, x)[0], expected, atol=1e-6)


def test_one_gated_layer_is_tanh_times_sigmoid_with_the_condition_in_both():
    layer = DilatedStack(1, 1, 2, 1, 1, 1, 1, condition_channels=1)
    layer.build((None, None, 1))
    weights = {
        "past_kernel": [1.0, 0.0], "present_kernel": [0.0, 2.0], "condition_kernel": [3.0, -1.0],
        "skip_kernel": [1.0], "end_kernel": [1.0],
    }  # fmt: skip
    for weight in layer.weights:
        if weight.name in weights:
            weight.assign(np.reshape(weights[weight.name], weight.shape))
    x = np.array([[[0.5], [0.25]]], "float32")
    condition = np.array([[[0.1], [0.2]]], "float32")
    # filter = before + 3 c, gate = 2 now - c: (0.3, 0.9), then (0.5 + 0.6, 0.5 - 0.2).
    expected = [math.tanh(f) / (1 + math.exp(-g)) for f, g in ((0.3, 0.9), (1.1, 0.3))]
    np.testing.assert_allclose(whole(layer, x, condition)[0, :, 0], expected, atol=1e-6)


@pytest.mark.parametrize("arguments", VARIANTS)
def test_it_is_the_network_of_plain_causal_convolutions(arguments):
    layer = stack(**arguments)
    x, condition = inputs(layer)
    expected = ops.convert_to_numpy(plain(layer, x, condition))
    np.testing.assert_allclose(whole(layer, x, condition), expected, atol=1e-5)


def test_what_a_layer_passes_on_begins_within_the_bounds_of_glorot():
    layer = DilatedStack(2, 3, 2, **SIZES)
    layer.build((None, None, 4))
    # A filter has 2 taps of 4 inputs and 5 outputs: bound sqrt(6 / (2 * 4 + 2 * 5)).
    bound = math.sqrt(6 / 18)
    for kernel in (layer.past_kernel, layer.present_kernel):
        largest = np.abs(ops.convert_to_numpy(kernel)).max()
        assert 0.9 * bound < largest <= bound


# What depends on what.


@pytest.mark.parametrize("arguments", VARIANTS)
def test_a_step_does_not_depend_on_later_ones(arguments):
    layer = stack(**arguments)
    x, condition = inputs(layer)
    changed = x.copy()
    changed[:, 12] += 1
    before, after = whole(layer, x, condition), whole(layer, changed, condition)
    np.testing.assert_array_equal(before[:, :12], after[:, :12])
    assert (before[:, 12] != after[:, 12]).any()


@pytest.mark.parametrize(
    "arguments, receptive_field",
    # (kernel_size - 1) * blocks * (2^layers - 1) + 1.
    zip(VARIANTS, (1 * 2 * 7 + 1, 2 * 1 * 3 + 1, 3 * 1 * 1 + 1), strict=True),
)
def test_the_receptive_field_reaches_back_so_far_and_no_farther(arguments, receptive_field):
    layer = stack(**arguments)
    # Nothing is cut off at zero, so that every input shows.
    for bias in (layer.gate_bias, layer.skip_bias, layer.end_bias):
        bias.assign(np.full(bias.shape, 5.0))
    assert layer.receptive_field == receptive_field
    x, condition = inputs(layer)
    last = whole(layer, x, condition)[:, -1]
    for ago, is_input in ((receptive_field - 1, True), (receptive_field, False)):
        changed = x.copy()
        changed[:, -1 - ago] += 10
        assert (whole(layer, changed, condition)[:, -1] != last).any() == is_input


def test_a_batch_gives_each_row_what_it_gives_alone():
    layer = stack(**VARIANTS[1])
    x, condition = inputs(layer, batch=3)
    together, _ = step_by_step(layer, x, condition)
    for row in range(3):
        one = slice(row, row + 1)
        alone, _ = step_by_step(layer, x[one], condition[one])
        np.testing.assert_allclose(together[one], alone, atol=1e-6)
        np.testing.assert_allclose(together[one], whole(layer, x[one], condition[one]), atol=1e-5)


# Step by step.


@pytest.mark.parametrize("arguments", VARIANTS)
def test_step_by_step_gives_what_one_call_gives(arguments):
    layer = stack(**arguments)
    x, condition = inputs(layer, time=40)
    outputs, _ = step_by_step(layer, x, condition)
    np.testing.assert_allclose(outputs, whole(layer, x, condition), atol=1e-4)


@pytest.mark.parametrize("arguments", VARIANTS)
def test_steps_go_on_from_the_state_that_a_primer_left(arguments):
    layer = stack(**arguments)
    x, condition = inputs(layer, time=60)
    primer, rest = slice(40), slice(40, None)
    conditions = [None if condition is None else condition[:, part] for part in (primer, rest)]
    _, state = step_by_step(layer, x[:, primer], conditions[0])
    outputs, _ = step_by_step(layer, x[:, rest], conditions[1], state)
    np.testing.assert_allclose(outputs, whole(layer, x, condition)[:, rest], atol=1e-4)


def test_the_state_does_not_grow():
    layer = stack()  # The longest ring has (2 - 1) * 4 slots, all together 2 * (1 + 2 + 4).
    _, (place, rings) = step_by_step(layer, inputs(layer)[0])
    assert rings.shape == (14, BATCH, 4)
    assert int(place) == TIME % 4


def test_mixed_precision_stays_close_to_float32():
    exact, narrow = stack(), stack(dtype="mixed_bfloat16")
    x, _ = inputs(exact)
    outputs = narrow(x)
    assert keras.backend.standardize_dtype(outputs.dtype) == "float32"
    expected = whole(exact, x)
    scale = np.abs(expected).max()
    # About four steps of bfloat16 near 1.
    np.testing.assert_allclose(whole(narrow, x) / scale, expected / scale, atol=0.03)
    np.testing.assert_allclose(step_by_step(narrow, x)[0] / scale, expected / scale, atol=0.03)


# Training.


def gradients(layer, x, condition, training=True):
    """Gives the derivatives of the mean square of the outputs by the weights."""
    if not ON_TENSORFLOW:
        import jax

        def loss(values):
            state = [v.value for v in layer.non_trainable_variables]
            out, _ = layer.stateless_call(values, state, x, condition, training=training)
            return ops.mean(ops.square(out))

        return jax.jit(jax.grad(loss))([v.value for v in layer.trainable_variables])
    import tensorflow as tf

    @tf.function(autograph=False)
    def run():
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.square(layer(x, condition, training=training)))
        return tape.gradient(loss, [v.value for v in layer.trainable_variables])

    return run()


@pytest.mark.parametrize("arguments", VARIANTS)
def test_every_weight_has_a_finite_gradient_under_dropout(arguments):
    layer = stack(**arguments, dropout=0.3, seed=0)
    # Without this nothing passes a last rectifier that is shut.
    layer.end_bias.assign(np.full(layer.end_bias.shape, 5.0))
    x, condition = inputs(layer)
    for weight, gradient in zip(
        layer.trainable_variables, gradients(layer, x, condition), strict=True
    ):
        gradient = ops.convert_to_numpy(gradient)
        assert np.isfinite(gradient).all(), weight.name
        assert gradient.any(), weight.name


def test_gradients_are_those_of_plain_causal_convolutions():
    layer = stack(**VARIANTS[1])
    x, condition = inputs(layer)
    ours = dict(
        zip(
            (weight.name for weight in layer.trainable_variables),
            map(ops.convert_to_numpy, gradients(layer, x, condition)),
            strict=True,
        )
    )
    # Central differences of the plain network, along one direction for each kind of weight.
    for weight in layer.trainable_variables:
        value, direction = np.array(weight), random(*weight.shape, seed=9)
        losses = []
        for sign in (1, -1):
            weight.assign(value + sign * 1e-2 * direction)
            out = ops.convert_to_numpy(plain(layer, x, condition)).astype("float64")
            losses.append(np.square(out).mean())
        weight.assign(value)
        slope = (losses[0] - losses[1]) / 2e-2
        expected = float((ours[weight.name] * direction).sum())
        assert slope == pytest.approx(expected, rel=2e-2, abs=2e-2), weight.name


def test_dropout_is_for_training_alone_and_is_repeatable():
    layer, again = stack(dropout=0.5, seed=3), stack(dropout=0.5, seed=3)
    x, _ = inputs(layer)
    kept, dropped = whole(layer, x), ops.convert_to_numpy(layer(x, training=True))
    np.testing.assert_array_equal(kept, whole(stack(), x))
    assert (kept != dropped).any()
    np.testing.assert_array_equal(dropped, ops.convert_to_numpy(again(x, training=True)))


# Keras around it.


def test_it_runs_in_a_functional_model_of_unknown_length():
    layer = stack(**VARIANTS[1])
    x, condition = keras.Input((None, 4)), keras.Input((None, CONDITION))
    outputs = layer(x, condition)
    assert outputs.shape == (None, None, 7)
    model = keras.Model([x, condition], outputs)
    for time in (1, 5):
        given = inputs(layer, time)
        np.testing.assert_allclose(model(list(given)), whole(layer, *given), atol=1e-6)


@pytest.mark.parametrize("arguments", VARIANTS)
def test_it_comes_back_from_its_configuration(arguments):
    layer = DilatedStack(**arguments, **SIZES, dropout=0.1, seed=5)
    assert DilatedStack.from_config(layer.get_config()).get_config() == layer.get_config()


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"blocks": 0}, "blocks is 0; give 1 or more"),
        ({"skip_channels": -1}, "skip_channels is -1; give 1 or more"),
        ({"kernel_size": 1}, "kernel_size is 1; give 2 or more"),
        ({"condition_channels": -1}, "condition_channels is -1; give 0 or more"),
        ({"dropout": 1.0}, "dropout is 1.0; give 0 or more, below 1"),
    ],
)
def test_arguments_out_of_range_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        stack(**arguments)


def test_inputs_that_do_not_fit_are_refused():
    layer = DilatedStack(**VARIANTS[0], **SIZES)
    with pytest.raises(ValueError, match="residual_channels=4 and got inputs of 3"):
        layer(random(1, 2, 3))
    with pytest.raises(ValueError, match="call it, or build it, first"):
        layer.step(layer.initial_state(1), random(1, 4))
    with pytest.raises(ValueError, match="condition_channels=0 and got 3"):
        layer(random(1, 2, 4), random(1, 2, 3))
    with pytest.raises(ValueError, match="condition_channels=3 and got no condition"):
        stack(condition_channels=3)(random(1, 2, 4))


# In loops.


def generated(layer, loop, noise):
    """Draws values one after the other, each the input of the next; float32 [time, batch, 4]."""

    def step(state, elements):
        y, memory = state
        memory, out = layer.step(memory, y)
        y = ops.tanh(out[:, :4]) + elements[0]
        return (y, memory), (y,)

    first = ops.zeros_like(noise[0])
    return stacked(loop(step, (first, layer.initial_state(ops.shape(noise)[1])), (noise,), (4,))[0])


def in_small_chunks(*arguments):
    return run_compiled(*arguments, chunk=8)[1]


def graph(layer, loop):
    """One compiled function for all batches and lengths, where the backend can."""
    if not ON_TENSORFLOW:
        import jax

        return jax.jit(lambda noise: generated(layer, loop, noise))
    import tensorflow as tf

    signature = [tf.TensorSpec((None, None, 4))]
    return tf.function(
        lambda noise: generated(layer, loop, noise), input_signature=signature, autograph=False
    )


def python_loop(layer, noise):
    y, state, outputs = np.zeros_like(noise[0]), layer.initial_state(noise.shape[1]), []
    for row in noise:
        state, out = layer.step(state, y)
        y = np.tanh(ops.convert_to_numpy(out)[:, :4]) + row
        outputs.append(y)
    return np.stack(outputs)


@pytest.mark.parametrize("loop", [scan, in_small_chunks])
def test_a_loop_gives_what_python_gives_whatever_the_length(loop):
    layer = stack()
    run = graph(layer, loop)
    # No chunk is full, one is, two are, the third is begun.
    for time, batch in ((1, 1), (8, 1), (16, 3), (19, 3)):
        noise = random(time, batch, 4)
        np.testing.assert_allclose(run(noise), python_loop(layer, noise), atol=1e-4)


@pytest.mark.parametrize("loop", [scan, in_small_chunks])
def test_longer_begins_with_shorter(loop):
    run, noise = graph(stack(), loop), random(19, 2, 4)
    np.testing.assert_allclose(run(noise)[:11], run(noise[:11]), atol=1e-6)


def test_a_series_of_one_loop_is_what_another_reads():
    noise = ops.convert_to_tensor(random(11, 2, 4))

    def sums(state, elements):
        total, (count,) = state
        total = total + elements[0]
        return (total, (count + 1,)), (total, ops.cast(count, "float32") * total[:, :1])

    first = (ops.zeros((2, 4)), (ops.zeros((), "int32"),))
    series = in_small_chunks(sums, first, (noise,), (4, 1))
    again = in_small_chunks(sums, first, series[:1], (4, 1))
    expected = np.cumsum(random(11, 2, 4), axis=0)
    np.testing.assert_allclose(stacked(series[0]), expected, atol=1e-5)
    counts = np.arange(11)[:, None, None]
    np.testing.assert_allclose(stacked(series[1]), counts * expected[..., :1], atol=1e-4)
    np.testing.assert_allclose(stacked(again[0]), np.cumsum(expected, axis=0), atol=1e-4)


@pytest.mark.tensorflow_only  # A SavedModel is TensorFlow's.
def test_a_compiled_loop_lives_in_a_saved_model(tmp_path):
    import tensorflow as tf

    layer, noise = stack(), random(19, 2, 4)
    module = tf.Module()
    module.kept = [weight.value for weight in layer.weights]
    with forward_only():
        module.generate = graph(layer, in_small_chunks)
        tf.saved_model.save(module, str(tmp_path))
    expected = python_loop(layer, noise)
    loaded = tf.saved_model.load(str(tmp_path))
    np.testing.assert_allclose(loaded.generate(noise), expected, atol=1e-4)
    # The loop reads the weights that were loaded: others give other values.
    for weight in loaded.kept:
        weight.assign(weight + 0.1)
    assert (np.abs(loaded.generate(noise) - expected) > 1e-3).any()
