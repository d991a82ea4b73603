"""parallel_wavenet: mu-law by hand, flows one by one, who moves in which stage."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from crnn_gan.layers.gaussian import LEAST_LOG_DEVIATION, density_negative_log_likelihood
from crnn_gan.models.parallel_wavenet import Config, Model, level_negative_log_likelihood, to_levels
from pipelines.codecs import audio, events
from pipelines.codecs.audio import BOUNDARIES, CENTRES

SMALL = dict(
    window_steps=64, batch_size=2, max_epoch=2, teacher_epochs=1, blocks=2, layers_per_block=3,
    residual_channels=6, dilation_channels=5, skip_channels=7, end_channels=8, spectral_frame=16,
)  # fmt: skip
SPEC = audio.Codec().spec
WARM = {"temperature": ops.ones((2,))}


def built(**settings):
    keras.utils.set_random_seed(0)
    model = Model(Config(**(SMALL | settings)), SPEC, seed=0)
    for variable in model.trainable_variables:  # So that biases, which begin at 0, count too.
        noise = np.random.default_rng(len(variable.path)).normal(size=variable.shape)
        variable.assign(variable + 0.1 * noise.astype("float32"))
    return model


def noise(rows=2, time=40):
    return np.random.default_rng(1).normal(size=(rows, time)).astype("float32")


def numbers(*tensors):
    return [np.asarray(tensor) for tensor in tensors]


def test_sound_has_the_levels_that_the_codec_gives_it():
    random = np.random.default_rng(0)
    sound = np.concatenate([random.uniform(-1.1, 1.1, 20000), random.normal(size=20000) / 1000])
    sound = np.append(sound, [-1, 0, 1, *BOUNDARIES]).astype("float32")
    np.testing.assert_array_equal(to_levels(sound[None])[0], audio.to_levels(sound))
    np.testing.assert_array_equal(to_levels(CENTRES[None])[0], np.arange(256))


def test_a_flow_says_nothing_of_a_number_by_itself_or_by_those_after_and_can_be_undone():
    flow, z = built().flows[0], noise(time=12)
    mean, log_deviation = numbers(*flow(z))
    x = z * np.exp(log_deviation) + mean
    other = z.copy()
    other[:, 5:] += 1
    for before, after in zip((mean, log_deviation), numbers(*flow(other)), strict=True):
        np.testing.assert_allclose(before[:, :6], after[:, :6], atol=1e-6)
        assert np.abs(before[:, 6] - after[:, 6]).min() > 1e-5
    undone = np.zeros_like(x)
    for t in range(12):  # Each from those already undone.
        mean, log_deviation = (a[:, t] for a in numbers(*flow(undone)))
        undone[:, t] = (x[:, t] - mean) * np.exp(-log_deviation)
    np.testing.assert_allclose(undone, z, atol=1e-4)


def test_flows_together_are_what_they_are_one_after_another_sample_by_sample():
    model, z = built(flows=3), noise(time=10)
    states = [flow.stack.initial_state(2) for flow in model.flows]
    before = [np.zeros((2, 1), "float32") for _ in model.flows]
    expected = []
    for t in range(10):
        x = z[:, t : t + 1]
        for k, flow in enumerate(model.flows):
            states[k], mean, log_deviation = flow.step(states[k], before[k])
            before[k] = x
            x = np.asarray(mean) + np.asarray(ops.exp(log_deviation)) * x
        expected.append(x)
    sound, mean, log_deviation = numbers(*model.apply_flows(z))
    np.testing.assert_allclose(sound, np.concatenate(expected, axis=1), atol=1e-5)
    np.testing.assert_allclose(z * np.exp(log_deviation) + mean, sound, atol=1e-5)


def test_the_teacher_samples_from_its_gaussians_given_its_own_samples():
    model, z = built(sampled_network="teacher"), noise()
    state = model.begin(ops.full((2,), 40, "int32"), {})
    sound = np.asarray(model.extend_teacher(state, ops.convert_to_tensor(z))[1])
    assert model.teacher.stack.receptive_field < 40
    mean, log_deviation = numbers(*model.teacher(sound))
    again = np.clip(mean + z * np.exp(np.maximum(log_deviation, LEAST_LOG_DEVIATION)), -1, 1)
    np.testing.assert_allclose(sound, again, atol=1e-4)
    levels = np.asarray(model.generate({"noise": ops.convert_to_tensor(z)}, **WARM))
    np.testing.assert_array_equal(levels, audio.to_levels(sound.ravel()).reshape(2, 40))


@pytest.mark.parametrize("sampled_network", ["student", "teacher"])
def test_a_longer_piece_begins_with_the_shorter_and_at_temperature_0_all_are_one(sampled_network):
    model, z = built(sampled_network=sampled_network), ops.convert_to_tensor(noise(time=600))
    long = np.asarray(model.generate({"noise": z}, **WARM))
    short = np.asarray(model.generate({"noise": z[:, :300]}, **WARM))
    np.testing.assert_array_equal(long[:, :300], short)
    assert long.dtype == np.int32 and not np.array_equal(long[0], long[1])
    cold = np.asarray(model.generate({"noise": z}, temperature=ops.zeros((2,))))
    np.testing.assert_array_equal(cold[0], cold[1])


def batch():
    levels = np.random.default_rng(3).integers(60, 200, (2, 64)).astype("uint8")
    return {
        "music": levels,
        "valid_steps": np.full(2, 64, "int32"),
        "start_step": np.zeros(2, "int32"),
    }


def test_each_stage_moves_its_own_networks_and_leaves_the_others():
    model = built()
    model.compile(jit_compile=keras.backend.backend() == "jax")
    data = tf.data.Dataset.from_tensors(batch())
    networks = {"teacher": [model.teacher], "student": model.flows}
    for stage in model.stages:
        before = {who: [w for n in each for w in n.get_weights()] for who, each in networks.items()}
        model.enter(stage)
        history = model.fit(data, verbose=0, shuffle=False).history
        assert all(np.isfinite(values).all() for values in history.values())
        for who, each in networks.items():
            after = [w for n in each for w in n.get_weights()]
            equal = [np.array_equal(a, b) for a, b in zip(before[who], after, strict=True)]
            assert not any(equal) if who == stage.name else all(equal)
    assert {"student_divergence", "student_regularizer", "student_spectral_distance"} < set(history)


def test_training_brings_the_student_nearer_to_its_teacher_and_the_teacher_to_the_music():
    model = built(learning_rate=3e-3)
    model.compile(jit_compile=keras.backend.backend() == "jax")
    data = tf.data.Dataset.from_tensors(batch()).repeat(20)
    for stage in model.stages:
        model.enter(stage)
        losses = model.fit(data, epochs=3, verbose=0, shuffle=False).history[f"{stage.name}_loss"]
        assert losses[2] < 0.95 * losses[0]


def test_the_density_over_a_level_costs_in_the_mean_more_than_the_level():
    # A level from 2 deviations below the mean to 2 above: x^2 / 2 is 2^2 / 6 in the mean, so the
    # density costs 0.6667 + ln(2 pi) / 2 - ln 4 = 0.1993; the level -ln 0.9545 = 0.0466.
    low, high = BOUNDARIES[239:241]
    mean, log_deviation = (low + high) / 2, np.log((high - low) / 4)
    inside = np.linspace(low, high, 2001).astype("float32")
    density = np.asarray(
        density_negative_log_likelihood(inside, mean, log_deviation)
    ).mean() - np.log(high - low)
    assert density == pytest.approx(0.1993, abs=1e-3)
    assert float(
        level_negative_log_likelihood(np.array([240]), mean, log_deviation)[0]
    ) == pytest.approx(0.0466, abs=1e-4)


@pytest.mark.parametrize(
    ("spec", "settings", "words"),
    [
        (events.Codec().spec, {}, r"gives 'tokens'; parallel_wavenet takes .*--codec=audio"),
        (SPEC, {"teacher_epochs": 2}, "no student would be trained: give fewer"),
        (SPEC, {"teacher_epochs": 0}, "--teacher_epochs is 0; give 1 or more"),
        (SPEC, {"spectral_weight": -1.0}, "--spectral_weight is -1.0; give 0 or more"),
    ],
)
def test_what_it_cannot_do_is_refused_in_words(spec, settings, words):
    with pytest.raises(ValueError, match=words):
        Model(Config(**(SMALL | settings)), spec)


def test_a_teacher_alone_may_be_trained_and_sampled():
    settings = {"sampled_network": "teacher", "teacher_epochs": 2}
    assert [stage.name for stage in built(**settings).stages] == ["teacher"]
