"""CategoricalGenerator: losses of the adversarial stage, noises and controls of sampling."""

from __future__ import annotations

import types

import keras
import numpy as np
import pytest
from compiled import as_one_graph

from crnn_gan.autoregressive.categorical_generator import FIELDS, CategoricalGenerator
from pipelines.codecs import cells

SPEC = cells.Codec(
    tones_per_cell=2,
    times=(0, 6, 12),
    lengths=(6, 12),
    velocities=(50, 80),
    pitches=(*range(60, 72),),
).spec
MUSIC = np.zeros((6, 5, SPEC.size), "int32")


@pytest.fixture(scope="module")
def generator() -> CategoricalGenerator:
    keras.utils.set_random_seed(0)
    config = types.SimpleNamespace(hidden_size_g=8, num_layers_g=1, keep_prob=1.0)
    made = CategoricalGenerator(config, SPEC, keras.random.SeedGenerator(0))
    # Pieces begin at tick 11 of a beat and have several velocities.
    for logits in made.network.prior.logits.values():
        logits.assign(50.0 * np.eye(logits.shape[0])[-1])
    return made


def cells_of(generator: CategoricalGenerator, one_hot: np.ndarray) -> np.ndarray:
    """The cells int32 [batch, time, fields] of one-hot vectors, but for their place in the beat."""
    sizes = [size for _, _, size in SPEC.blocks[1:]]
    # Pitches of all tones stand together, then lengths, then velocities.
    order = [0, 1] + [2 + field + 3 * tone for field in range(3) for tone in range(2)]
    ends = np.cumsum([sizes[n] for n in order])[:-1]
    parts = np.split(one_hot, ends, axis=-1)
    music = np.zeros((*one_hot.shape[:2], SPEC.size), "int32")
    for n, part in zip(order, parts, strict=True):
        music[..., 1 + n] = part.argmax(axis=-1)
    return music


def test_the_policy_loss_is_the_likelihood_of_samples_weighted_by_their_advantage(generator):
    rewards, seen = np.array([4, 0, 1, 1, 0, 0], "float32"), []

    def reward_of(one_hot):
        seen.append(np.asarray(one_hot))
        return rewards, {"adversarial": 7}

    loss, reports = generator.policy_loss({"music": MUSIC}, reward_of)
    assert reports == {"adversarial": 7}
    music = cells_of(generator, seen[0])
    music[:, 0, 0] = 11
    likelihood = as_one_graph(generator.network.negative_log_likelihood)
    nats = np.asarray(likelihood(music)[0]).mean(axis=1)
    # The others' mean reward is (6 - reward) / 5.
    advantage = (rewards - (6 - rewards) / 5) / rewards.std()
    assert float(loss) == pytest.approx(float((advantage * nats).mean()), rel=1e-4)


def test_music_is_sampled_anew_each_time_and_has_the_shape_of_the_batch(generator):
    first, second = (np.asarray(generator.sample_like(MUSIC)) for _ in range(2))
    assert first.shape == MUSIC.shape
    assert not np.array_equal(first, second)


def test_a_critic_sees_samples_as_it_sees_real_music(generator):
    real, mask = generator.real({"music": MUSIC})
    produced = generator.produce({"music": MUSIC})
    assert real.shape == produced.shape == (6, 5, generator.critic_size)
    assert np.asarray(mask).all()
    within_a_piece = MUSIC.copy()
    within_a_piece[:, 0, 1] = 2  # A first cell's time, which samples never have.
    assert np.array_equal(generator.real({"music": within_a_piece})[0], real)
    for music in (real, produced, generator.straight_through({"music": MUSIC})):
        values = np.asarray(music)
        assert np.abs(values - values.round()).max() < 1e-6
        assert (values[..., :3].sum(axis=-1).round(5) == 1).all()  # One time of three.


def test_a_temperature_of_one_field_is_a_factor_on_the_whole(generator):
    noise = {
        name: np.random.default_rng(3).random(each.shape).astype("float32")
        for name, each in generator.noise_spec(16, 10).items()
    }

    def sampled(**changed: float) -> np.ndarray:
        names = generator.controls_for(None)
        controls = {n: np.full(16, changed.get(n, 1.0), "float32") for n in names}
        return np.asarray(generator.extend(generator.begin(noise, controls), noise, controls)[1])

    cold = dict.fromkeys((f"{name}_temperature" for name in FIELDS), 0.0)
    everything = sampled(temperature=0.0)
    assert np.array_equal(everything[0], everything[1])
    assert np.array_equal(sampled(**cold), everything)
    pitches = sampled(pitch_temperature=0.0)
    assert not np.array_equal(pitches, sampled())
    assert len(np.unique(pitches[..., 3])) < len(np.unique(sampled()[..., 3]))
