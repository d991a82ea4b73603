"""parallel_wavenet: Gaussians and mu-law by hand, flows one by one, who moves in which stage."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops
from scipy.special import log_ndtr

from crnn_gan.models.parallel_wavenet import (
    BEGINS,
    CENTRES,
    LEAST_LOG_DEVIATION,
    Config,
    Model,
    density_nats,
    divergences,
    level_nats,
    levels_of,
    log_below,
    mean_spectrum,
    spectral_distance,
)
from pipelines.codecs import audio, events

SMALL = dict(
    window_steps=64, batch_size=2, max_epoch=2, teacher_epochs=1, blocks=2, layers_per_block=3,
    residual_channels=6, dilation_channels=5, skip_channels=7, end_channels=8, spectral_frame=16,
)  # fmt: skip
SPEC = audio.Codec().spec
WARM = {"temperature": ops.ones((2,))}


def drawn(**settings):
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


def test_the_divergence_of_two_gaussians_is_that_of_the_formula():
    # q = N(1, 2^2) and p = N(3, 4^2): ln(4 / 2) + (4 - 16 + (3 - 1)^2) / (2 * 16)
    # = 0.693147 - 8 / 32 = 0.443147; and (ln 4 - ln 2)^2 = 0.693147^2 = 0.480453.
    logs = np.log([2.0, 4.0]).astype("float32")
    divergence, regularizer = divergences(1.0, logs[0], 3.0, logs[1], -7.0)
    assert float(divergence) == pytest.approx(0.443147, abs=1e-5)
    assert float(regularizer) == pytest.approx(0.480453, abs=1e-5)
    # The other way round: ln(2 / 4) + (16 - 4 + 4) / (2 * 4) = -0.693147 + 2.
    assert float(divergences(3.0, logs[1], 1.0, logs[0], -7.0)[0]) == pytest.approx(1.306853)


def test_equal_gaussians_have_no_divergence_and_deviations_below_the_least_only_regularise():
    assert [float(n) for n in divergences(0.3, -2.0, 0.3, -2.0, -7.0)] == [0.0, 0.0]
    # Both cut to -7: the same; their logarithms are 2 apart.
    assert [float(n) for n in divergences(0.3, -8.0, 0.3, -10.0, -7.0)] == [0.0, 4.0]


def test_the_density_costs_what_a_gaussian_says_and_no_deviation_is_below_the_least():
    # N(0, 1) at 2: 2^2 / 2 + ln(2 pi) / 2 = 2 + 0.918939. At its mean of the least: 0.918939 - 9.
    found = numbers(density_nats(2.0, 0.0, 0.0), density_nats(0.5, 0.5, -30.0))
    assert found == pytest.approx([2.918939, 0.918939 + LEAST_LOG_DEVIATION], abs=1e-5)


def test_the_levels_of_a_gaussian_sum_to_1_wherever_and_however_sharp_it_is():
    mean, log_deviation = (a.ravel() for a in np.meshgrid((0, 0.003, -0.5, 3), (-12, -7, -3, 1)))
    every = np.repeat(np.arange(256)[:, None], len(mean), axis=1)
    nats = level_nats(ops.convert_to_tensor(every), *(a.astype("f") for a in (mean, log_deviation)))
    found = np.asarray(nats, np.float64)
    assert np.isfinite(found).all()
    np.testing.assert_allclose(np.exp(-found).sum(0), 1, atol=1e-6)
    # Each as SciPy integrates it in float64.
    edges = np.concatenate([[-1e9], BEGINS, [1e9]]).astype(np.float64)[:, None]
    edges = (edges - mean) / np.exp(np.maximum(log_deviation, LEAST_LOG_DEVIATION))
    low, high = edges[:-1], edges[1:]
    low, high = np.where(low + high > 0, (-high, -low), (low, high))
    expected = -log_ndtr(high) - np.log1p(-np.exp(log_ndtr(low) - log_ndtr(high)))
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-6)


def test_tails_are_as_scipy_has_them_far_beyond_what_erf_can_tell():
    x = np.linspace(-50, 8, 2001).astype("float32")
    np.testing.assert_allclose(np.asarray(log_below(x)), log_ndtr(x), rtol=1e-6, atol=2e-6)


def test_sound_has_the_levels_that_the_codec_gives_it():
    random = np.random.default_rng(0)
    sound = np.concatenate([random.uniform(-1.1, 1.1, 20000), random.normal(size=20000) / 1000])
    sound = np.append(sound, [-1, 0, 1, *BEGINS]).astype("float32")
    np.testing.assert_array_equal(levels_of(sound[None])[0], audio.to_levels(sound))
    np.testing.assert_array_equal(levels_of(CENTRES[None])[0], np.arange(256))


def test_a_flow_says_nothing_of_a_number_by_itself_or_by_those_after_and_can_be_undone():
    flow, z = drawn().flows[0], noise(time=12)
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
    model, z = drawn(flows=3), noise(time=10)
    states = [flow.stack.initial_state(2) for flow in model.flows]
    heard = [np.zeros((2, 1), "float32") for _ in model.flows]
    expected = []
    for t in range(10):
        x = z[:, t : t + 1]
        for k, flow in enumerate(model.flows):
            states[k], mean, log_deviation = flow.step(states[k], heard[k])
            heard[k] = x
            x = np.asarray(mean) + np.asarray(ops.exp(log_deviation)) * x
        expected.append(x)
    sound, mean, log_deviation = numbers(*model.flowed(z))
    np.testing.assert_allclose(sound, np.concatenate(expected, axis=1), atol=1e-5)
    np.testing.assert_allclose(z * np.exp(log_deviation) + mean, sound, atol=1e-5)


def test_the_teacher_draws_by_the_gaussians_it_says_of_what_it_drew():
    model, z = drawn(composes="teacher"), noise()
    sound = np.asarray(model.teacher_sound(ops.convert_to_tensor(z)))
    assert model.teacher.stack.receptive_field < 40
    mean, log_deviation = numbers(*model.teacher(sound))
    again = np.clip(mean + z * np.exp(np.maximum(log_deviation, LEAST_LOG_DEVIATION)), -1, 1)
    np.testing.assert_allclose(sound, again, atol=1e-4)
    levels = np.asarray(model.generate({"noise": ops.convert_to_tensor(z)}, **WARM))
    np.testing.assert_array_equal(levels, audio.to_levels(sound.ravel()).reshape(2, 40))


@pytest.mark.parametrize("composes", ["student", "teacher"])
def test_a_longer_piece_begins_with_the_shorter_and_at_temperature_0_all_are_one(composes):
    model, z = drawn(composes=composes), ops.convert_to_tensor(noise(time=600))
    long = np.asarray(model.generate({"noise": z}, **WARM))
    short = np.asarray(model.generate({"noise": z[:, :300]}, **WARM))
    np.testing.assert_array_equal(long[:, :300], short)
    assert long.dtype == np.int32 and not np.array_equal(long[0], long[1])
    cold = np.asarray(model.generate({"noise": z}, temperature=ops.zeros((2,))))
    np.testing.assert_array_equal(cold[0], cold[1])


def test_equal_sounds_have_no_spectral_distance_and_one_twice_as_loud_has_1():
    # |2 a - a|^2 / |a|^2 = 1, whatever the spectrum.
    sound = noise()
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


def batch():
    levels = np.random.default_rng(3).integers(60, 200, (2, 64)).astype("uint8")
    return {"music": levels, "known": np.full(2, 64, "int32"), "place": np.zeros(2, "int32")}


def test_each_stage_moves_its_own_networks_and_leaves_the_others():
    model = drawn()
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
    model = drawn(learning_rate=3e-3)
    model.compile(jit_compile=keras.backend.backend() == "jax")
    data = tf.data.Dataset.from_tensors(batch()).repeat(20)
    for stage in model.stages:
        model.enter(stage)
        losses = model.fit(data, epochs=3, verbose=0, shuffle=False).history[f"{stage.name}_loss"]
        assert losses[2] < 0.95 * losses[0]


def test_the_density_over_a_level_costs_in_the_mean_more_than_the_level():
    # A level from 2 deviations below the mean to 2 above: x^2 / 2 is 2^2 / 6 in the mean, so the
    # density costs 0.6667 + ln(2 pi) / 2 - ln 4 = 0.1993; the level -ln 0.9545 = 0.0466.
    low, high = BEGINS[239:241]
    mean, log_deviation = (low + high) / 2, np.log((high - low) / 4)
    inside = np.linspace(low, high, 2001).astype("float32")
    density = np.asarray(density_nats(inside, mean, log_deviation)).mean() - np.log(high - low)
    assert density == pytest.approx(0.1993, abs=1e-3)
    assert float(level_nats(np.array([240]), mean, log_deviation)[0]) == pytest.approx(
        0.0466, abs=1e-4
    )


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


def test_a_teacher_alone_may_be_trained_and_composes():
    settings = {"composes": "teacher", "teacher_epochs": 2}
    assert [stage.name for stage in drawn(**settings).stages] == ["teacher"]
