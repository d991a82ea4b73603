"""The recurrent layers beside plain Keras ones: values, first and second derivatives."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import ops

from crnn_gan.layers.backpropagation import lstm
from crnn_gan.layers.feedback_lstm import FeedbackLSTM
from crnn_gan.layers.recurrent import LSTM

BATCH, TIME, FEATURES, UNITS = 3, 4, 4, 5
TOLERANCE = 1e-5


def random(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng([seed, *shape]).normal(size=shape).astype("float32")


def gradients(function, tensors, create_graph=None):
    """Gives the derivatives of a scalar function(*tensors) by each of `tensors`.

    With `create_graph`, gives those of create_graph(derivatives), a scalar.
    """
    if keras.backend.backend() == "jax":
        import jax

        every = tuple(range(len(tensors)))
        first = jax.grad(function, every)
        if create_graph is None:
            return jax.jit(first)(*tensors)
        return jax.jit(jax.grad(lambda *tensors: create_graph(first(*tensors)), every))(*tensors)
    import tensorflow as tf

    @tf.function(autograph=False)
    def run(*tensors):
        with tf.GradientTape() as outer:
            outer.watch(tensors)
            with tf.GradientTape() as inner:
                inner.watch(tensors)
                value = function(*tensors)
            first = inner.gradient(value, tensors)
            second = None if create_graph is None else create_graph(first)
        return first if second is None else outer.gradient(second, tensors)

    return run(*map(tf.constant, tensors))


def layer_gradients(function, layers, tensors, create_graph=None):
    """As `gradients`, of function(*tensors), by the weights of the layers, then by `tensors`."""
    variables = [v for layer in layers for v in layer.trainable_variables]

    def of_weights(*arguments):
        values, tensors = arguments[: len(variables)], arguments[len(variables) :]
        mapping = list(zip(variables, values, strict=True))
        with keras.StatelessScope(state_mapping=mapping):
            return function(*tensors)

    values = [np.asarray(ops.convert_to_numpy(v)) for v in variables]
    return gradients(of_weights, [*values, *tensors], create_graph)


def assert_close(ours, theirs, tolerance=TOLERANCE):
    for one, other in zip(ours, theirs, strict=True):
        one, other = ops.convert_to_numpy(one), ops.convert_to_numpy(other)
        assert one.shape == other.shape
        scale = max(1.0, float(np.abs(other).max()))
        np.testing.assert_allclose(one / scale, other / scale, rtol=0, atol=tolerance)


def pair(units=UNITS, features=FEATURES, reverse=False):
    """Gives our layer and Keras' with the same random weights."""
    ours, theirs = LSTM(units, reverse), PlainLSTM(units, reverse)
    for layer in (ours, theirs):
        layer.build((None, None, features))
    weights = [random(*w.shape, seed=features + reverse) / 2 for w in ours.get_weights()]
    ours.set_weights(weights)
    theirs.lstm.set_weights(weights)
    return ours, theirs


class PlainLSTM(keras.layers.Layer):
    """keras.layers.LSTM; from the last step to the first, its outputs in the inputs' order."""

    def __init__(self, units, reverse):
        super().__init__()
        self.reverse = reverse
        self.lstm = keras.layers.LSTM(
            units, return_sequences=True, go_backwards=reverse, use_cudnn=False
        )

    def build(self, shape):
        self.lstm.build(shape)

    def call(self, inputs):
        outputs = self.lstm(inputs)
        return ops.flip(outputs, axis=1) if self.reverse else outputs


def critic(index):
    """A forward layer, a reversed one on it, and a score of what they give; ours or Keras'."""
    pairs = [pair(), pair(features=UNITS, reverse=True)]
    layers = [both[index] for both in pairs]

    def score(x):
        return ops.sum(ops.tanh(ops.sum(layers[1](layers[0](x)), axis=-1)))

    return layers, score


@pytest.mark.parametrize("reverse", [False, True])
def test_an_lstm_gives_what_keras_gives(reverse):
    x = random(BATCH, TIME, FEATURES)
    ours, theirs = pair(reverse=reverse)
    assert_close([ours(x)], [theirs(x)])


def test_one_step_of_time_is_enough():
    x = random(BATCH, 1, FEATURES)
    ours, theirs = pair()
    assert_close([ours(x)], [theirs(x)])


def test_new_weights_open_the_forget_gates():
    layer = LSTM(2)
    layer.build((None, None, 3))
    np.testing.assert_array_equal(layer.bias, [0, 0, 1, 1, 0, 0, 0, 0])


def test_first_derivatives_of_a_stack_of_both_directions_are_those_of_keras():
    x = random(BATCH, TIME, FEATURES)
    ours, theirs = (layer_gradients(score, layers, [x]) for layers, score in map(critic, (0, 1)))
    assert_close(ours, theirs)


def test_the_gradient_of_a_gradient_penalty_is_that_of_keras():
    x = random(BATCH, TIME, FEATURES)

    def penalty(derivatives):
        norm = ops.sqrt(ops.sum(ops.square(derivatives[-1]), axis=(1, 2)))
        return ops.mean(ops.square(norm - 1.0))

    ours, theirs = (
        layer_gradients(score, layers, [x], penalty) for layers, score in map(critic, (0, 1))
    )
    assert_close(ours, theirs)


@pytest.mark.parametrize("reverse", [False, True])
def test_every_second_derivative_is_that_of_the_unrolled_recurrence(reverse):
    z, kernel, weight = random(TIME, BATCH, 4 * UNITS), random(UNITS, 4 * UNITS), random(UNITS)
    directions = [random(*t.shape, seed=1) for t in (z, kernel)]

    def unrolled(z, kernel):
        h = c = ops.zeros((BATCH, UNITS))
        outputs = []
        for t in range(TIME)[:: -1 if reverse else 1]:
            i, f, g, o = ops.split(z[t] + ops.matmul(h, kernel), 4, axis=-1)
            c = ops.sigmoid(f) * c + ops.sigmoid(i) * ops.tanh(g)
            h = ops.sigmoid(o) * ops.tanh(c)
            outputs.append(h)
        return ops.stack(outputs[:: -1 if reverse else 1])

    def along(derivatives):
        return sum(ops.sum(d * v) for d, v in zip(derivatives, directions, strict=True))

    def loss(function):
        return lambda z, kernel: ops.sum(ops.square(function(z, kernel)) * weight)

    ours = gradients(loss(lambda z, kernel: lstm(z, kernel, reverse)), [z, kernel], along)
    assert_close(ours, gradients(loss(unrolled), [z, kernel], along))


def test_padding_at_the_end_leaves_the_reversed_state_at_zero():
    x = random(BATCH, TIME, FEATURES)
    layer, _ = pair(reverse=True)
    mask = np.arange(TIME) < np.array([[4], [3], [1]])
    outputs = ops.convert_to_numpy(layer(x, mask=mask))
    for row, length in enumerate((4, 3, 1)):
        assert (outputs[row, length:] == 0).all()
        alone = layer(x[row : row + 1, :length])
        np.testing.assert_allclose(outputs[row, :length], alone[0], atol=1e-6)


def test_a_mask_of_steps_is_a_mask_of_every_row():
    x, mask = random(BATCH, TIME, FEATURES), np.arange(TIME) < 3
    layer, _ = pair(reverse=True)
    assert_close([layer(x, mask=mask)], [layer(x, mask=np.tile(mask, (BATCH, 1)))], 1e-7)


# FeedbackLSTM.


def feedback_layer(noise=2, **arguments):
    layer = FeedbackLSTM(FEATURES, UNITS, 2, **arguments)
    layer.build((None, None, noise))
    layer.set_weights([random(*w.shape, seed=k) / 2 for k, w in enumerate(layer.get_weights())])
    return layer


def inputs_of_feedback():
    masks = [2.0 * (random(BATCH, TIME, UNITS, seed=k) > 0) for k in (1, 2)]
    return random(BATCH, TIME, 2), random(BATCH, FEATURES), *np.float32(masks)


def plain_feedback(layer):
    """The layer's mathematics as a Python loop over Keras' cells, which share its weights."""
    cells = [keras.layers.LSTMCell(UNITS) for _ in layer.layers]
    for cell, ours in zip(cells, layer.layers, strict=True):
        cell.built = True
        cell.kernel, cell.recurrent_kernel = ours.kernel, ours.recurrent_kernel
        cell.bias = ours.bias

    def run(x, y, *masks):
        states = [[ops.zeros((BATCH, UNITS))] * 2 for _ in cells]
        outputs = []
        for t in range(TIME):
            h = ops.matmul(x[:, t], layer.input_kernel) + layer.input_bias
            h = ops.relu(h + ops.matmul(y, layer.feedback_kernel) if layer.feedback else h)
            for k, cell in enumerate(cells):
                h, states[k] = cell(h, states[k])
                h = h * masks[k][:, t] if masks else h
            y = ops.matmul(h, layer.output_kernel) + layer.output_bias
            y = layer.output_scale * ops.tanh(y) if layer.activation == "tanh" else y
            outputs.append(y)
        return ops.stack(outputs, axis=1)

    return run


FEEDBACK_ARGUMENTS = [
    {},
    {"activation": "tanh", "output_scale": 1.5},
    {"feedback": False},
]


@pytest.mark.parametrize("arguments", FEEDBACK_ARGUMENTS)
def test_feedback_gives_what_a_python_loop_of_keras_cells_gives(arguments):
    layer = feedback_layer(**arguments)
    x, first, *masks = inputs_of_feedback()
    plain = plain_feedback(layer)
    assert_close([layer(x, first)], [plain(x, first)])
    assert_close([layer(x, first, dropout_masks=masks)], [plain(x, first, *masks)])


@pytest.mark.parametrize(
    "arguments, dropout", zip(FEEDBACK_ARGUMENTS, (True, False, True), strict=True)
)
def test_derivatives_of_feedback_are_those_of_a_python_loop(arguments, dropout):
    layer = feedback_layer(**arguments)
    x, first, *masks = inputs_of_feedback()
    masks = masks if dropout else []
    weight = random(BATCH, TIME, FEATURES)
    plain = plain_feedback(layer)

    # One input, as without feedback nothing depends on `first`.
    tensors = [x, first] if layer.feedback else [x]

    def loss(function):
        return lambda x, first=first: ops.sum(ops.square(function(x, first)) * weight)

    def ours(x, first):
        return layer(x, first, dropout_masks=masks or None)

    def theirs(x, first):
        return plain(x, first, *masks)

    assert_close(
        layer_gradients(loss(ours), [layer], tensors),
        layer_gradients(loss(theirs), [layer], tensors),
    )


def test_second_derivatives_of_feedback_are_those_of_a_python_loop():
    layer = feedback_layer(activation="tanh")
    x, first, *masks = inputs_of_feedback()

    def norm(derivatives):
        return ops.sum(ops.square(derivatives[-2]))

    def loss(function):
        return lambda x, first: ops.sum(ops.square(function(x, first)))

    ours = layer_gradients(
        loss(lambda x, first: layer(x, first, dropout_masks=masks)), [layer], [x, first], norm
    )
    plain = plain_feedback(layer)
    theirs = layer_gradients(
        loss(lambda x, first: plain(x, first, *masks)), [layer], [x, first], norm
    )
    assert_close(ours, theirs)


@pytest.mark.parametrize("arguments", FEEDBACK_ARGUMENTS)
def test_teacher_forcing_with_its_own_outputs_gives_them_again(arguments):
    layer = feedback_layer(**arguments)
    x, first, *masks = inputs_of_feedback()
    y = ops.convert_to_numpy(layer(x, first, dropout_masks=masks))
    previous = np.concatenate([first[:, None], y[:, :-1]], axis=1)
    assert_close([layer.teacher_forced(x, previous, dropout_masks=masks)], [y])


@pytest.mark.parametrize("arguments", FEEDBACK_ARGUMENTS)
def test_step_by_step_gives_what_one_call_gives(arguments):
    layer = feedback_layer(**arguments)
    x, y, *_ = inputs_of_feedback()
    whole = ops.convert_to_numpy(layer(x, y))
    states = layer.initial_states(BATCH)
    for t in range(TIME):
        y, states = layer.step(x[:, t], y, states)
        np.testing.assert_allclose(y, whole[:, t], atol=TOLERANCE)


def test_feedback_without_weights_says_so():
    with pytest.raises(ValueError, match="call it, or build it, first"):
        FeedbackLSTM(1, 2).step(random(3, 2), random(3, 1), ())


# Keras around them.


def test_they_run_in_a_functional_model_of_unknown_length():
    x, first = keras.Input((None, 2)), keras.Input((FEATURES,))
    y = feedback_layer()(x, first)
    outputs = LSTM(UNITS, reverse=True)(y)
    assert y.shape == (None, None, FEATURES)
    assert outputs.shape == (None, None, UNITS)
    model = keras.Model([x, first], outputs)
    for time in (1, 4):
        given = [random(BATCH, time, 2), random(BATCH, FEATURES)]
        assert model(given).shape == (BATCH, time, UNITS)


@pytest.mark.tensorflow_only  # Shapes are static in JAX.
def test_one_graph_of_unknown_batch_and_time_takes_them_all():
    import tensorflow as tf

    layer, plain = pair()
    generator = feedback_layer()

    @tf.function(
        input_signature=[tf.TensorSpec((None, None, FEATURES)), tf.TensorSpec((None, None, 2))],
        autograph=False,
    )
    def penalty_gradient(x, noise):
        fake = generator(noise, tf.zeros((tf.shape(noise)[0], FEATURES)))
        with tf.GradientTape() as outer:
            with tf.GradientTape() as inner:
                inner.watch(x)
                score = tf.reduce_sum(layer(x) ** 2) + tf.reduce_sum(layer(fake))
            penalty = tf.reduce_sum(inner.gradient(score, x) ** 2)
        return outer.gradient(penalty, layer.trainable_variables)

    @tf.function(autograph=False)
    def theirs(x):
        with tf.GradientTape() as outer:
            with tf.GradientTape() as inner:
                inner.watch(x)
                score = tf.reduce_sum(plain(x) ** 2)
            penalty = tf.reduce_sum(inner.gradient(score, x) ** 2)
        return outer.gradient(penalty, plain.lstm.trainable_variables)

    for batch, time in ((1, 1), (2, 5)):
        x = tf.constant(random(batch, time, FEATURES))
        assert_close(penalty_gradient(x, random(batch, time, 2)), theirs(x))
    assert penalty_gradient.experimental_get_tracing_count() == 1


@pytest.mark.parametrize("layer", [LSTM(3, True), FeedbackLSTM(2, 3, 1, "tanh", 1.5, False)])
def test_a_layer_comes_back_from_its_configuration(layer):
    again = type(layer).from_config(layer.get_config())
    assert again.get_config() == layer.get_config()


@pytest.mark.parametrize("policy, tolerance", [("mixed_bfloat16", 0.03), ("mixed_float16", 0.004)])
def test_mixed_precision_stays_close_to_float32(policy, tolerance):
    """The tolerance is about four steps of the narrow dtype near 1."""
    x, first, *_ = inputs_of_feedback()
    exact, narrow = LSTM(UNITS), LSTM(UNITS, dtype=policy)
    generator, narrow_generator = feedback_layer(), feedback_layer(dtype=policy)
    y = generator(x, first)
    narrow_y = narrow_generator(x, first)
    assert keras.backend.standardize_dtype(narrow_y.dtype) == "float32"
    assert_close([narrow_y], [y], tolerance)
    exact.build(y.shape), narrow.build(y.shape)
    narrow.set_weights(exact.get_weights())
    outputs = narrow(y)
    assert keras.backend.standardize_dtype(outputs.dtype) == narrow.compute_dtype
    assert_close([ops.cast(outputs, "float32")], [exact(y)], tolerance)

    def loss(layer):
        return lambda x: ops.sum(ops.square(ops.cast(layer(x), "float32")))

    y = ops.convert_to_numpy(y)
    assert_close(
        layer_gradients(loss(narrow), [narrow], [y]),
        layer_gradients(loss(exact), [exact], [y]),
        2 * tolerance,
    )


def test_float16_stays_finite_on_large_inputs():
    x = 100 * random(BATCH, TIME, FEATURES)
    layer = LSTM(UNITS, reverse=True, dtype="mixed_float16")
    mask = np.arange(TIME) < 2
    layer.build(x.shape)

    def loss(x):
        return ops.sum(ops.cast(layer(x, mask=mask), "float32"))

    for derivative in layer_gradients(loss, [layer], [x]):
        assert np.isfinite(ops.convert_to_numpy(derivative)).all()
