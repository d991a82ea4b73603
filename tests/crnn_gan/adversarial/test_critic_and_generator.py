"""A generator and a critic: one joint phase or two, whose gradients are equal, and their losses."""

import dataclasses

import keras
import numpy as np
import pytest
from keras import ops

from crnn_gan.adversarial.config import CrossEntropySettings, FreezingSettings, WassersteinSettings
from crnn_gan.adversarial.critic_and_generator import CriticAndGenerator, Scores, part_of
from crnn_gan.adversarial.stabilisers import ReplayBuffer
from crnn_gan.training import phases
from crnn_gan.training.phases import JointPhase, Phase

LOSSES = {
    "non_saturating": CrossEntropySettings(label_smoothing=0.1),
    "saturating": CrossEntropySettings(),
    "wasserstein": WassersteinSettings(gradient_penalty=3.0),
}


class Networks(keras.Model):
    """A generator of 2 features at each of 3 steps, and a critic: the mean of w . tanh(x)."""

    def __init__(self, bias=0.0):
        super().__init__()
        self.generator = keras.layers.Dense(2, kernel_initializer=keras.initializers.Constant(0.4))
        self.critic = keras.layers.Dense(
            1,
            kernel_initializer=keras.initializers.Constant(0.7),
            bias_initializer=keras.initializers.Constant(bias),
        )
        self.generator.build((None, 3, 4))
        self.critic.build((None, 3, 2))
        self.seed = keras.random.SeedGenerator(0)
        self.built = True

    def scores(self, music, mask):
        return Scores(ops.mean(self.critic(ops.tanh(music))[..., 0], axis=1), music)

    def both(self, loss, **options):
        return CriticAndGenerator(
            **dict(
                generator=[self.generator], critic=[self.critic], loss=loss, seed=self.seed,
                settings=LOSSES[loss], produce=lambda batch: self.generator(batch["noise"]),
                real=lambda batch: (batch["music"], ops.ones(batch["music"].shape[:2], "bool")),
                scores=self.scores,
            ) | options
        )  # fmt: skip


def batch(rows=4):
    random = np.random.default_rng(0)
    return {
        "noise": ops.convert_to_tensor(random.normal(size=(rows, 3, 4)).astype(np.float32)),
        "music": ops.convert_to_tensor(random.normal(size=(rows, 3, 2)).astype(np.float32)),
    }


def gradients(networks, phase, of):
    """Gradients of the critic's and of the generator's variables."""
    if isinstance(phase, JointPhase):

        def losses(generated):
            both = phase.losses_of_both(of, generated)
            return both.critic_loss, both.gradient_ratio, None

        return phases.steps.joint_gradients(
            networks, lambda: phase.produce(of), losses, phase.generator.variables,
            phase.critic.variables,
        )[1:]  # fmt: skip
    return phases.steps.gradients(networks, lambda: phase.loss(of), phase.variables)[1]


@pytest.mark.parametrize("kinds", ["sum", "mean"])
@pytest.mark.parametrize("loss", LOSSES)
def test_one_joint_phase_has_the_gradients_of_two_phases(loss, kinds):
    networks = Networks()
    [joint] = networks.both(loss, kinds=kinds).phases
    networks.seed.state.assign([0, 0])  # The same mixtures of real and generated music.
    of_critic, of_generator = gradients(networks, joint, batch())
    networks.seed.state.assign([0, 0])
    apart = (
        gradients(networks, joint.critic, batch()),
        gradients(networks, joint.generator, batch()),
    )
    for found, expected in zip((of_critic, of_generator), apart, strict=True):
        for one, other in zip(found, expected, strict=True):
            np.testing.assert_allclose(np.asarray(one), np.asarray(other), rtol=2e-4, atol=1e-6)
        assert np.abs(np.asarray(expected[0])).max() > 1e-4


def test_wasserstein_losses_are_means_of_scores_and_the_penalty_has_its_weight():
    networks = Networks()
    of, fake = batch(), ops.convert_to_tensor(np.zeros((4, 3, 2), np.float32))
    found = networks.both("wasserstein").losses_of_both(of, fake)
    # The critic has the weights 0.7: a score of 0 for generated zeros.
    real = np.mean(0.7 * np.tanh(np.asarray(of["music"])).sum(axis=-1))
    assert float(found.critic_reports["distance"]) == pytest.approx(real, rel=1e-5)
    penalty = float(found.critic_reports["penalty"])
    assert float(found.critic_loss) == pytest.approx(3 * penalty - real, rel=1e-4)
    assert float(found.generator_loss) == pytest.approx(0, abs=1e-6)
    np.testing.assert_array_equal(np.asarray(found.gradient_ratio), -np.ones(4))


def test_cross_entropies_of_equal_scores_are_2_ln_2_and_ln_2():
    of, zeros = batch(), ops.convert_to_tensor(np.zeros((4, 3, 2), np.float32))
    of = of | {"music": zeros}
    for kinds, expected in (("sum", 2 * np.log(2)), ("mean", np.log(2))):
        found = Networks().both("saturating", kinds=kinds).losses_of_both(of, zeros)
        assert float(found.critic_loss) == pytest.approx(expected, rel=1e-5)
        assert float(found.generator_loss) == pytest.approx(-np.log(2), rel=1e-5)
        assert float(found.generator_reports["adversarial"]) == pytest.approx(np.log(2))
        shown = {name: float(value) for name, value in found.critic_reports.items()}
        assert shown == {"real": pytest.approx(0.5), "fake": pytest.approx(0.5)}


@pytest.mark.parametrize(
    "options",
    [
        {"settings": CrossEntropySettings(balance_above=0.5)},
        {"replay_buffer": ReplayBuffer(3, (3, 2))},
        {"feature_matching": "mean"},
        {"rows_compared": True},
    ],
    ids=lambda options: next(iter(options)),
)
def test_there_are_two_phases_where_one_is_not_exact(options):
    both = Networks().both("non_saturating", **options)
    assert [phase.name for phase in both.phases] == ["discriminator", "generator"]
    turned = dataclasses.replace(both, generator_first=True)
    assert [phase.name for phase in turned.phases] == ["generator", "discriminator"]


def test_each_update_of_a_wasserstein_critic_takes_a_part_of_the_batch_and_the_last_is_joint():
    networks = Networks()
    settings = WassersteinSettings(critic_steps=3, gradient_penalty=0.0)
    both = networks.both("wasserstein", settings=settings)
    first, second, joint = both.phases
    assert (first.name, second.name, type(joint)) == (*["discriminator"] * 2, JointPhase)
    of = batch(rows=6)
    shown = [float(phase.loss(of)[0]) for phase in (first, second, joint.critic)]
    alone = networks.both("wasserstein", settings=WassersteinSettings(gradient_penalty=0.0))
    expected = [float(alone.critic_loss(part_of(of, part, 3))[0]) for part in range(3)]
    assert shown == pytest.approx(expected, rel=1e-5)
    assert len(set(np.round(expected, 5))) == 3


def test_features_are_matched_row_by_row():
    of = batch()
    both = Networks().both("non_saturating", feature_matching="sum")
    loss, _ = both.generator_loss(of)  # The features of this critic are the music.
    expected = np.square(np.asarray(of["music"]) - np.asarray(both.produce(of))).sum()
    assert float(loss) == pytest.approx(expected, rel=1e-5)


def test_phases_balance_and_freeze_as_the_settings_say():
    plain = Networks().both("saturating")
    [joint] = plain.phases
    assert joint.critic.enabled is None and joint.critic.balance_most == 0
    balanced = Networks().both(
        "saturating", settings=CrossEntropySettings(balance_above=0.8, balance_most=7)
    )
    for phase in balanced.phases:
        assert isinstance(phase, Phase)
        assert (phase.balance_above, phase.balance_most) == (0.8, 7)
    [joint] = Networks().both("saturating", settings=FreezingSettings(freezing="paper")).phases
    losses = {"discriminator_loss": 0.6, "generator_adversarial": 1.0}
    last = {name: ops.convert_to_tensor(value) for name, value in losses.items()}
    assert not bool(joint.critic.enabled(last)) and bool(joint.generator.enabled(last))


def test_parts_of_a_batch_are_its_rows_in_order():
    found = part_of({"music": np.arange(6)}, 1, 3)
    np.testing.assert_array_equal(found["music"], [2, 3])
