"""The MLP GAN: losses by hand, both sides from one pass, its options, windows, cells taken."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from compiled import compiled
from keras import ops

from crnn_gan.generation import saved_model
from crnn_gan.generation.noise import draw_numpy
from crnn_gan.models.mlp_gan import NEAREST_TO_LIMIT, ORIGINAL, Config, Model
from crnn_gan.training.phases import JointPhase
from pipelines.codecs.codec import codec_class
from pipelines.spec import Spec

BLOCKS = (("onset", 0, 1), ("frame", 1, 1))
SPEC = Spec("roll", (None, 3, 2), "uint8", 2, "16th", BLOCKS)
SMALL = dict(
    window_steps=4, batch_size=4, max_epoch=2, latent_size=3, generator_units=(5, 6),
    discriminator_units=(5, 4), onsets_from_frames=False, r1=0.0, lr_decay=1.0,
)  # fmt: skip
JIT = keras.backend.backend() == "jax"


def model(traced=False, **settings):
    keras.utils.set_random_seed(0)
    return compiled(Model(Config(**SMALL | settings), SPEC), traced)


def batch(rows=4):
    random = np.random.default_rng(0)
    return {"music": (random.random((rows, 4, 3, 2)) < 0.3).astype(np.uint8)}


def train(of, epochs=1):
    data = tf.data.Dataset.from_tensors(batch()).repeat()
    return of.fit(data, epochs=epochs, steps_per_epoch=2, verbose=0, shuffle=False).history


def compose(of, count=2, length=4, **controls):
    noise = draw_numpy(of.noise_spec(count, length), np.arange(count))
    values = {n: np.full(count, c.default, c.dtype) for n, c in of.controls.items()}
    values |= {n: np.full(count, v, values[n].dtype) for n, v in controls.items()}
    return np.asarray(of.predict_on_batch({"noise": noise, "controls": values}))


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"label_smoothing": 0.1, "discriminator_dropout": 0.3, "average": 0.0},
        {"instance_noise": 0.5, "instance_noise_epochs": 1, "replay": 3},
        {"replay": 9, "balance_above": 0.1, "balance_most": 2},
        {"spectral_norm": True},
        {"minibatch_d": True},
        {"r1": 2.0, "onsets_from_frames": True},
        {"r1": 2.0, "replay": 3, "instance_noise": 0.5},
        {"r1": 2.0, "spectral_norm": True, "discriminator_dropout": 0.3},
        {"fake_cells": "hard", "centred": False},
        ORIGINAL | {"window_steps": 4, "max_epoch": 2, "batch_size": 4},
    ],
    ids=lambda settings: ",".join(settings) if len(settings) < 5 else "original",
)
def test_each_option_trains_both_sides_and_composes_bits(settings):
    made = model("balance_above" in settings or "spectral_norm" in settings, **settings)
    sides = made.generator, made.discriminator
    before = [[np.array(v) for v in side.trainable_variables] for side in sides]
    history = train(made, epochs=2)
    assert all(np.isfinite(values).all() for values in history.values())
    for side, weights in zip(sides, before, strict=True):
        assert all(
            not np.array_equal(v, was)
            for v, was in zip(side.trainable_variables, weights, strict=True)
            if v.name != "bias" or side is made.discriminator
        )
    composed = compose(made)
    assert composed.shape == (2, 4, 3, 2) and set(np.unique(composed)) <= {0, 1}


def test_one_pass_gives_the_losses_of_both_sides_and_the_ratio_of_their_derivatives():
    made = model(average=0.0)
    [joint] = made.stages[0].phases
    assert isinstance(joint, JointPhase)
    fake = np.random.default_rng(1).uniform(-1, 1, (4, made.cells)).astype(np.float32)
    losses = made.critic_and_generator.losses_of_both(batch(), ops.convert_to_tensor(fake))
    logits = np.asarray(made.discriminator(fake, training=True))[:, 0]
    real = 2.0 * batch()["music"].reshape(4, -1) - 1
    of_real = np.asarray(made.discriminator(real.astype(np.float32), training=True))[:, 0]
    expected = 0.5 * (np.log1p(np.exp(-of_real)).mean() + np.log1p(np.exp(logits)).mean())
    assert float(losses.critic_loss) == pytest.approx(expected, rel=1e-5)
    assert float(losses.generator_loss) == pytest.approx(np.log1p(np.exp(-logits)).mean(), rel=1e-5)
    p = 1 / (1 + np.exp(-logits))
    # Derivatives of the two losses by a logit: -(1 - p) / batch, and p / 2 / batch.
    np.testing.assert_allclose(np.asarray(losses.gradient_ratio) * p / 2, -(1 - p), rtol=1e-4)
    assert float(losses.critic_reports["fake"]) == pytest.approx(p.mean(), rel=1e-5)


def test_the_generator_learns_from_one_pass_however_sure_the_discriminator_is():
    made = model(average=0.0, learning_rate=1e-3)
    last = made.discriminator.layers[-2]
    last.bias.assign([-45.0])  # Generated music is real with a probability of e^-45.
    before = [np.array(v) for v in made.generator.trainable_variables]
    train(made)
    moved = [np.abs(np.array(v) - b).max() for v, b in zip(
        made.generator.trainable_variables, before, strict=True)]  # fmt: skip
    assert moved[-1] == pytest.approx(2e-3, rel=0.2)  # Two steps of Adam, of the bias at the end.


def test_half_the_squared_gradient_at_real_music_is_a_part_of_the_loss():
    plain, penalised = model(average=0.0), model(average=0.0, r1=3.0)
    fake = ops.convert_to_tensor(np.ones((4, plain.cells), np.float32))
    less, more = (
        made.critic_and_generator.losses_of_both(batch(), fake) for made in (plain, penalised)
    )
    logits = lambda x: np.asarray(penalised.discriminator(x, training=True))[:, 0]  # noqa: E731
    real = 2.0 * batch()["music"].reshape(4, -1) - 1
    nudges = 1e-2 * np.eye(plain.cells)
    by_cell = [(logits(real + n) - logits(real - n)) / 2e-2 for n in nudges]
    expected = np.square(by_cell).sum(axis=0).mean()
    assert float(more.critic_reports["r1"]) == pytest.approx(expected, rel=1e-2)
    added = float(more.critic_loss) - float(less.critic_loss)
    assert added == pytest.approx(1.5 * expected, rel=1e-2)
    apart = [
        float(made.critic_and_generator.critic_loss(batch())[1].get("r1", -1))
        for made in (plain, penalised)
    ]
    assert apart == [-1, pytest.approx(expected, rel=1e-2)]


def test_the_r1_penalty_moves_the_discriminator_alone():
    moved = []
    for r1 in (0.0, 9.0):
        made = model(average=0.0, r1=r1)
        tf_data = tf.data.Dataset.from_tensors(batch())
        made.fit(tf_data, epochs=1, verbose=0, shuffle=False)
        sides = made.generator, made.discriminator
        moved.append([[np.array(v) for v in side.trainable_variables] for side in sides])
    for weights, others in zip(moved[0][0], moved[1][0], strict=True):
        np.testing.assert_allclose(weights, others, rtol=1e-4, atol=1e-6)
    assert any(np.abs(a - b).max() > 1e-5 for a, b in zip(moved[0][1], moved[1][1], strict=True))


@pytest.mark.parametrize("settings", [{}, {"replay": 3}, {"minibatch_d": True}])
def test_a_discriminator_with_the_r1_penalty_is_less_confident(settings):
    sure = {}
    for r1 in (0.0, 20.0):
        made = model(traced=True, r1=r1, d_learning_rate=0.02, learning_rate=1e-6, **settings)
        history = train(made, epochs=20)
        sure[r1] = history["discriminator_real"][-1] - history["discriminator_fake"][-1]
    assert sure[20.0] < 0.5 * sure[0.0]


@pytest.mark.parametrize(("real_range", "seen"), [("tanh", {-1.0, 1.0}), ("unit", {0.0, 1.0})])
def test_real_cells_are_seen_in_the_range_of_the_settings(real_range, seen):
    made = model(real_range=real_range, fake_cells="soft")
    assert set(np.unique(np.asarray(made._real(batch())))) == seen


def test_generated_cells_are_seen_soft_or_as_those_of_real_music():
    assert 0 < np.abs(np.asarray(model(fake_cells="soft").produce(batch()))).max() < 1
    for cells in ("hard", "drawn"):
        assert set(np.unique(np.asarray(model(fake_cells=cells).produce(batch())))) <= {-1.0, 1.0}


def test_one_number_decides_a_pitch_for_the_steps_of_a_draw_and_all_planes():
    made = model(fake_cells="drawn", draw_steps=3, window_steps=4)
    draws = np.random.default_rng(0).random((2, 2, 3)).astype(np.float32)
    limits = np.asarray(made.sampler.for_each_cell(draws)).reshape(2, 4, 3, 2)
    for time in range(4):
        for plane in range(2):
            np.testing.assert_array_equal(limits[:, time, :, plane], draws[:, time // 3])
    produced = np.asarray(made.produce(batch(rows=200))).reshape(200, 4, 3, 2)
    # Before training all cells are on by one half: those that one number decides, alike.
    assert np.mean(produced[:, 0] == produced[:, 2]) > 0.7
    assert abs(np.mean(produced[:, 0] == produced[:, 3]) - 0.5) < 0.1


def test_soft_cells_are_composed_as_they_were_seen():
    for cells, agree in (("hard", True), ("soft", False)):
        made = model(fake_cells=cells, onsets_from_frames=True)
        assert made.sampler.onsets_from_frames == agree


@pytest.mark.parametrize("cells", ["hard", "drawn"])
def test_pieces_and_what_the_discriminator_sees_have_no_note_without_an_onset(cells):
    made = model(fake_cells=cells, onsets_from_frames=True)
    train(made)
    pieces = compose(made, count=20, length=9)
    seen = 0.5 + 0.5 * np.asarray(made.produce(batch(rows=20))).reshape(20, 4, 3, 2)
    for bits, first in ((pieces, 0), (seen, 1)):
        onset, frame = bits[..., 0] > 0, bits[..., 1] > 0
        before = np.concatenate([np.zeros_like(frame[:, :1]), frame[:, :-1]], axis=1)
        assert frame.any() and not (onset & ~frame).any()
        assert not (frame & ~before & ~onset)[:, first:].any()


def test_gradients_of_cells_that_are_on_or_off_are_those_of_their_tanh():
    moved = {}
    for name in ("soft", "hard", "drawn"):
        made = model(fake_cells=name, average=0.0, beta_1=0.0)
        before = np.array(made.generator.layers[-2].bias)
        train(made)
        moved[name] = np.array(made.generator.layers[-2].bias) - before
    # A step of Adam is the sign of a gradient, which the discriminator's weights decide.
    for cells in ("hard", "drawn"):
        assert np.abs(moved[cells]).min() > 0
        assert np.mean(np.sign(moved[cells]) == np.sign(moved["soft"])) > 0.6


@pytest.mark.parametrize("real_range", ["tanh", "unit"])
def test_before_training_cells_are_as_probable_as_those_of_real_windows(real_range):
    made = model(real_range=real_range, fake_cells="soft")
    music = np.zeros((40, 4, 3, 2), np.uint8)
    music[:10, 0, 0, 0] = 1
    music[:, 1, 1, 1] = 1
    made.adapt(iter([{"music": music[:25]}, {"music": music[25:]}]))
    expected = music.mean(axis=0).reshape(-1)
    p = np.tanh(np.array(made.generator.get_layer("cells").bias))
    p = p if real_range == "unit" else (p + 1) / 2
    rarest = NEAREST_TO_LIMIT / (1 if real_range == "unit" else 2)
    np.testing.assert_allclose(p, np.clip(expected, rarest, 1 - rarest), atol=1e-6)
    even = model(real_range=real_range, fake_cells="soft", centred=False)
    even.adapt(iter([{"music": music}]))
    assert not np.array(even.generator.get_layer("cells").bias).any()


def test_the_discriminator_sees_what_differs_from_the_mean_of_real_windows():
    made = model(real_range="unit", fake_cells="soft")
    music = np.zeros((4, 4, 3, 2), np.uint8)
    music[:2, 0, 0, 0] = 1
    made.adapt(iter([{"music": music}]))
    for layer in made.discriminator.layers:
        if layer.weights:
            layer.kernel.assign(np.ones(layer.kernel.shape))
            layer.bias.assign(np.zeros(layer.bias.shape))
    logits = np.asarray(made._logits(made._real({"music": music})))
    # Half of the windows have the cell on that is on in half of them; the others are never on.
    rest = NEAREST_TO_LIMIT * (made.cells - 1)
    layers = np.prod([5, 4])
    np.testing.assert_allclose(logits[:2], layers * (0.5 - rest), rtol=1e-3)
    np.testing.assert_allclose(logits[2:], layers * 0.2**2 * (-0.5 - rest), rtol=1e-3)


def test_the_balancer_runs_a_side_again_and_says_how_often():
    made = model(traced=True, balance_above=1e-6, balance_most=3, d_learning_rate=1e-6)
    history = train(made)
    assert history["discriminator_more"] == [3.0] and history["generator_more"] == [3.0]
    assert "generator_more" not in train(model())


def test_instance_noise_falls_from_epoch_to_epoch():
    made = model(instance_noise=0.8, max_epoch=4)
    found = []
    for epoch in range(4):
        made.begin_epoch(epoch)
        found.append(float(made.instance_noise_layer.deviation))
    np.testing.assert_allclose(found, [0.8, 0.6, 0.4, 0.2], rtol=1e-6)


def test_learning_rates_fall_after_the_first_epochs():
    made = model(learning_rate=4e-3, d_learning_rate=1e-3, lr_decay=0.5, epochs_before_decay=2)
    rates = []
    for epoch in (0, 2, 3, 4):
        made.begin_epoch(epoch)
        by_phase = made.optimizer.by_phase
        rates.append([float(by_phase[p].learning_rate) for p in ("generator", "discriminator")])
    np.testing.assert_allclose(
        rates, [[4e-3, 1e-3], [4e-3, 1e-3], [2e-3, 5e-4], [1e-3, 2.5e-4]], rtol=1e-6
    )


def test_a_longer_piece_is_several_windows_of_which_the_first_is_the_shorter_one():
    made = model()
    train(made)
    long, short = compose(made, length=9, sampled=1), compose(made, length=4, sampled=1)
    assert long.shape == (2, 12, 3, 2)
    np.testing.assert_array_equal(long[:, :4], short)
    assert not np.array_equal(long[:, 4:8], short)


def test_cells_above_the_threshold_are_taken_or_each_is_drawn():
    made = model()
    kernel = made.generator.layers[-2]
    kernel.kernel.assign(np.zeros(kernel.kernel.shape))
    for average, weight in made._averages_and_weights:
        average.assign(np.array(weight))
    bias = np.zeros(made.cells, np.float32)
    bias[0], bias[1] = np.arctanh(0.5), -np.arctanh(0.5)  # Probabilities .75 and .25.
    made.averages["generator/cells/bias"].assign(bias)
    taken = compose(made, sampled=0, threshold=0.7).reshape(2, -1)
    np.testing.assert_array_equal(taken, np.eye(1, made.cells, dtype=int).repeat(2, axis=0))
    assert compose(made, sampled=0, threshold=0.2).sum() == 2 * made.cells
    drawn = compose(made, count=400, sampled=1).reshape(400, -1).mean(axis=0)
    np.testing.assert_allclose(drawn[:3], [0.75, 0.25, 0.5], atol=0.1)
    sampled = [model(fake_cells=cells).controls["sampled"].default for cells in ("soft", "drawn")]
    assert sampled == [0, 1]
    cold = compose(made, count=50, sampled=1, temperature=0.0).reshape(50, -1)
    assert cold[:, 0].all() and not cold[:, 1].any()


@pytest.mark.skipif(JIT, reason="models are sampled and exported on TensorFlow")
def test_pieces_lie_between_those_of_two_seeds():
    made = model()
    train(made)
    sampler = saved_model.build(made, codec_class("piano_roll")(lowest_pitch=60, pitches=3), 8)

    def piece(seed, **controls):
        drawn = sampler.generate(seed=tf.constant(seed, tf.int64), **controls)
        return drawn["midi_bytes"].numpy()[0]

    assert piece(3) == piece(3, mix=0.0, other_seed=4) != piece(4)
    assert piece(3, mix=1.0, other_seed=4) == piece(4)
    assert len({piece(3), piece(3, mix=0.5, other_seed=4), piece(4)}) == 3


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"batch_size": 1}, "--batch_size is 1; give 2 or more"),
        ({"generator_units": (0, 3)}, "--generator_units is 0,3; give 1 to 65536 for each"),
        ({"discriminator_units": ()}, "--discriminator_units is empty"),
        ({"label_smoothing": 0.6}, "--label_smoothing is 0.6; give 0"),
        ({"replay": -1}, "--replay is -1; give 0"),
        ({"r1": -1.0}, "--r1 is -1.0; give 0"),
        ({"lr_decay": 0.0}, "--lr_decay is 0.0; give a number above 0"),
        ({"epochs_before_decay": -1}, "--epochs_before_decay is -1; give 0 or more"),
        ({"balance_above": float("nan")}, "--balance_above is nan"),
        ({"beta_1": 1.0}, "--beta_1 is 1.0; give 0 or more, below 1"),
        ({"learning_rate": 0.0}, "--learning_rate is 0.0; give a number above 0"),
        (
            {"fake_cells": "hard", "real_range": "unit"},
            "--fake_cells is hard, whose cells are -1 or 1",
        ),
    ],
)
def test_settings_out_of_range_are_refused(settings, said):
    with pytest.raises(ValueError, match=said.replace(".", r"\.")):
        Config(**SMALL | settings)


def test_a_roll_with_velocities_is_refused():
    spec = codec_class("piano_roll")(planes="onset,frame,velocity").spec
    with pytest.raises(ValueError, match="--planes=onset,frame"):
        Model(Config(**SMALL), spec)
