"""Settings of adversarial training: those of one loss are refused with another."""

import dataclasses

import pytest

from crnn_gan.adversarial.config import (
    AdversarialConfig,
    AnyLossConfig,
    CrossEntropySettings,
    FreezingSettings,
    WassersteinSettings,
    changed_default,
)
from pipelines.settings import UsageError


def test_instance_noise_falls_in_a_line_to_nothing_and_stays_there():
    config = AnyLossConfig(instance_noise=0.4, instance_noise_epochs=4, max_epoch=10)
    found = [config.instance_noise_deviation(epoch) for epoch in (0, 1, 3, 4, 9)]
    assert found == pytest.approx([0.4, 0.3, 0.1, 0.0, 0.0], abs=1e-9)
    assert AnyLossConfig(instance_noise=0.4, max_epoch=10).instance_noise_deviation(5) == 0.2


def test_learning_rates_decay_after_the_first_epochs():
    config = AnyLossConfig(
        learning_rate=0.1, d_learning_rate=0.2, lr_decay=0.5, epochs_before_decay=2
    )
    for phase, first in (("generator", 0.1), ("pretraining", 0.1), ("discriminator", 0.2)):
        found = [config.decayed_learning_rate(phase, epoch) for epoch in (0, 2, 3, 4)]
        assert found == pytest.approx([first, first, first / 2, first / 4])


def test_the_settings_are_those_of_the_chosen_loss_alone():
    assert AnyLossConfig(critic_steps=2).loss == WassersteinSettings(critic_steps=2)
    config = AnyLossConfig(adversarial_loss="saturating", r1=0.5)
    assert config.loss == FreezingSettings(r1=0.5)
    assert not hasattr(config.loss, "critic_steps")


OF_WASSERSTEIN = {"gradient_penalty": 5.0, "critic_steps": 2}
OF_CROSS_ENTROPY = {
    "balance_above": 0.5, "balance_most": 3, "label_smoothing": 0.1, "r1": 0.1, "freezing": "code",
}  # fmt: skip


def test_a_setting_of_another_loss_is_refused_with_the_names_of_both_flags():
    for chosen, others, owners in (
        ("wasserstein", OF_CROSS_ENTROPY, "non_saturating or saturating"),
        ("non_saturating", OF_WASSERSTEIN, "wasserstein"),
        ("saturating", OF_WASSERSTEIN, "wasserstein"),
    ):
        for name, value in others.items():
            with pytest.raises(UsageError) as raised:
                AnyLossConfig(adversarial_loss=chosen, **{name: value})
            assert str(raised.value) == (
                f"--{name} is a setting of --adversarial_loss={owners}, but --adversarial_loss is "
                f"{chosen}; leave out --{name}, or give another --adversarial_loss"
            )


def test_every_setting_of_a_loss_is_refused_with_another():
    names = {field.name for field in dataclasses.fields(FreezingSettings)}
    assert names == OF_CROSS_ENTROPY.keys()
    assert {f.name for f in dataclasses.fields(WassersteinSettings)} == OF_WASSERSTEIN.keys()


def test_a_default_that_a_model_changes_counts_as_not_set():
    @dataclasses.dataclass(frozen=True)
    class Config(AnyLossConfig):
        r1: float = changed_default(CrossEntropySettings, "r1", 0.3)

    assert Config().r1 == 0.3
    with pytest.raises(UsageError, match="--r1 is a setting of"):
        Config(r1=0.0)
    with pytest.raises(UsageError, match=r"--r1 is -1\.0; give 0 or more"):
        Config(r1=-1.0, adversarial_loss="saturating")


def test_balancing_and_freezing_are_refused_together():
    with pytest.raises(UsageError, match="both balance the networks; give one"):
        FreezingSettings(balance_above=0.8, freezing="paper")


def test_a_model_of_one_loss_has_no_other_settings():
    @dataclasses.dataclass(frozen=True)
    class Config(AdversarialConfig, CrossEntropySettings):
        pass

    assert Config().adversarial_loss == "non_saturating"
    assert Config(label_smoothing=0.1).loss == CrossEntropySettings(label_smoothing=0.1)
    assert "gradient_penalty" not in dataclasses.asdict(Config())
