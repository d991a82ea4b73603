"""wavenet over tokens, rolls and sound: what is refused, and that its two forms agree."""

import keras
import numpy as np
import pytest
from keras import ops

from crnn_gan.autoregressive.conditioning import encode_batch_conditions
from crnn_gan.models.wavenet import Config, Model
from pipelines.codecs import audio, events, note_tuples, piano_roll

SMALL = dict(
    window_steps=8, batch_size=2, blocks=2, layers_per_block=3, residual_channels=6,
    dilation_channels=5, skip_channels=7, end_channels=8, notewise_hidden=5, notewise_span=3,
    notewise_reach=2, notewise_frames=2,
)  # fmt: skip
FRAMES = piano_roll.Codec(planes="frame", pitches=12).spec


def built(spec, **settings):
    keras.utils.set_random_seed(0)
    model = Model(Config(**(SMALL | settings)), spec, seed=0)
    for variable in model.trainable_variables:  # So that biases, which begin at 0, count too.
        noise = np.random.default_rng(len(variable.path)).normal(size=variable.shape)
        variable.assign(variable + 0.1 * noise.astype("float32"))
    return model


def music(spec, rows, time):
    random, shape = np.random.default_rng(3), (rows, time, *spec.shape[1:])
    if spec.kind == "roll":
        return (random.random(shape) < 0.3).astype(spec.dtype)
    return random.integers(0, spec.size, shape).astype(spec.dtype)


def at_once(model, batch):
    """The nats of each step as training computes them, all steps at once."""
    music = ops.cast(batch["music"], "int32")
    conditions = encode_batch_conditions(model.config, batch)
    hidden = model.hidden(model.output_distribution.shifted(music), conditions, training=False)
    return np.asarray(model.output_distribution.negative_log_likelihood(hidden, music))


@pytest.mark.parametrize(
    ("spec", "settings"),
    [
        (events.Codec(shift_steps=10, velocity_levels=2).spec, {}),
        (piano_roll.Codec(pitches=12).spec, {"kernel_size": 3, "gated": False}),
        (FRAMES, {"notes": "one_by_one"}),
        (FRAMES, {"notes": "neighbours"}),
        (audio.Codec().spec, {}),
    ],
    ids=["tokens", "roll", "one_by_one", "neighbours", "audio"],
)
def test_all_steps_at_once_and_one_by_one_cost_the_same_nats(spec, settings):
    model = built(spec, **settings)
    batch = {"music": ops.convert_to_tensor(music(spec, 2, 40))}  # Far beyond its receptive field.
    assert model.stack.receptive_field < 40
    np.testing.assert_allclose(
        at_once(model, batch), np.asarray(model.negative_log_likelihood(batch)), atol=1e-4
    )


def test_conditions_reach_every_layer_and_both_forms_agree_on_them():
    spec = events.Codec(shift_steps=10, velocity_levels=2).spec
    model = built(spec, conditions=("density",))
    density = np.linspace(0, 20, 2 * 40).reshape(2, 40, 1).astype("float32")
    batch = {"music": ops.convert_to_tensor(music(spec, 2, 40)), "density": density}
    given = np.asarray(model.negative_log_likelihood(batch))
    np.testing.assert_allclose(at_once(model, batch), given, atol=1e-4)
    assert (
        np.abs(given - np.asarray(model.negative_log_likelihood({"music": batch["music"]}))).max()
        > 0.01
    )


@pytest.mark.parametrize("notes", ["one_by_one", "neighbours", "independent"])
def test_a_frame_is_sampled_as_often_as_its_likelihood_says(notes):
    # Of 3 keys there are 8 frames: the shares of 4000 draws are exp(-nats).
    spec = piano_roll.Codec(planes="frame", pitches=3).spec
    model = built(spec, notes=notes)
    every = np.array([[b >> 2, b >> 1 & 1, b & 1] for b in range(8)], np.uint8)[:, None, :, None]
    expected = np.exp(
        -np.asarray(model.negative_log_likelihood({"music": ops.convert_to_tensor(every)}))[:, 0]
    )
    assert expected.sum() == pytest.approx(1, abs=1e-4)
    uniform = np.random.default_rng(0).random((4000, 1, 3)).astype("float32")
    noise = {"draw": ops.convert_to_tensor(uniform)}
    frames = np.asarray(model.generate(noise, temperature=ops.ones((4000,))))[:, 0, :, 0]
    shares = np.bincount(frames @ [4, 2, 1], minlength=8) / 4000
    np.testing.assert_allclose(shares, expected, atol=0.03)


@pytest.mark.parametrize(
    ("spec", "settings", "words"),
    [
        (note_tuples.Codec().spec, {}, r"gives 'vectors'; wavenet takes .*--codec=abc_text\|audio"),
        (piano_roll.Codec(planes="onset,velocity").spec, {}, "plane of velocities"),
        (piano_roll.Codec().spec, {"notes": "one_by_one"}, "need a roll of one plane"),
        (FRAMES, {"kernel_size": 1}, "--kernel_size is 1; give 2 or more"),
        (FRAMES, {"dropout": 1.0}, "--dropout is 1.0; give 0 or more, below 1"),
        (FRAMES, {"end_dropout": -0.1}, "--end_dropout is -0.1; give 0 or more, below 1"),
    ],
)
def test_what_it_cannot_learn_is_refused_in_words(spec, settings, words):
    with pytest.raises(ValueError, match=words):
        built(spec, **settings)
