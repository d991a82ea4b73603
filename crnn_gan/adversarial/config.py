"""Settings of adversarial training that families share: of every GAN, and of each kind of loss.

The settings of a loss are a dataclass of their own, so that those of another loss cannot be given
to it. A model's Config derives from `AdversarialConfig` and from the settings of each loss that it
offers, because flags and config.json are flat; `loss` gives those of the loss that was chosen.
Each stabiliser is off where its number is 0, so that a run can say what any of them is worth.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pipelines.settings import Settings, UsageError, flag

AdversarialLoss = Literal["non_saturating", "saturating", "wasserstein"]


@dataclasses.dataclass(frozen=True)
class CrossEntropySettings(Settings):
    """Settings of the losses of probabilities: `non_saturating` and `saturating`."""

    balance_above: float = flag(
        0.0,
        "generator or discriminator, whichever has a loss above this, is updated again on the same "
        "batch and new noise; 0: neither is",
        at_least=0,
    )
    balance_most: int = flag(
        5, "largest number of such further updates per batch, with balance_above", at_least=0
    )
    label_smoothing: float = flag(
        0.0,
        "one-sided label smoothing: the discriminator's target for real music is 1 minus this",
        at_least=0,
        below=0.5,
    )
    r1: float = flag(
        0.0,
        "weight of the R1 penalty in the discriminator's loss: half the squared norm of its "
        "logit's gradient at real music",
        at_least=0,
    )


@dataclasses.dataclass(frozen=True)
class FreezingSettings(CrossEntropySettings):
    """Settings of the losses of probabilities, of a model that has C-RNN-GAN's freezing rule."""

    freezing: Literal["off", "paper", "code"] = flag(
        "off",
        "skip updates of a network whose loss is below 70 % of the other's (paper); of the "
        "generator where either loss is below 2.0 (code)",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.balance_above and self.freezing != "off":
            raise UsageError("--balance_above and --freezing both balance the networks; give one")


@dataclasses.dataclass(frozen=True)
class WassersteinSettings(Settings):
    """Settings of the Wasserstein loss with gradient penalty."""

    gradient_penalty: float = flag(10.0, "weight of the gradient penalty", at_least=0)
    critic_steps: int = flag(1, "updates of the critic per update of the generator", at_least=1)


LossSettings = CrossEntropySettings | WassersteinSettings


@dataclasses.dataclass(frozen=True)
class AdversarialConfig(Settings):
    """Settings that every model of a generator and a discriminator has, whatever its loss.

    Attributes:
      adversarial_loss: the chosen loss; a field, or a constant where a model offers one loss.
      settings_of_loss: the losses that a model offers, each with the class of its settings.
    """

    settings_of_loss: ClassVar[Mapping[str, type[LossSettings]]] = {
        "non_saturating": CrossEntropySettings
    }

    max_epoch: int = flag(20, "epochs of training, of all stages together", at_least=1)
    learning_rate: float = flag(5e-4, "learning rate of the generator", above=0)
    d_learning_rate: float = flag(1e-3, "learning rate of the discriminator", above=0)
    lr_decay: float = flag(
        1.0, "factor per epoch on both learning rates, after epochs_before_decay", above=0
    )
    epochs_before_decay: int = flag(60, "epochs before the learning rates decay", at_least=0)
    max_grad_norm: float = flag(5.0, "largest global norm of a gradient", above=0)
    average: float = flag(
        0.99,
        "decay rate of the exponential moving average of the generator's weights, which generates; "
        "0: the weights themselves do",
        at_least=0,
        below=1,
    )
    instance_noise: float = flag(
        0.0,
        "standard deviation of the Gaussian noise on all that the discriminator sees, in the first "
        "epoch; 0: none",
        at_least=0,
    )
    instance_noise_epochs: int = flag(
        0, "epochs over which that noise falls linearly to 0; 0: all epochs of the run", at_least=0
    )
    replay: int = flag(
        0,
        "capacity of the replay buffer, in generated windows of earlier batches: half of the "
        "generated windows that the discriminator learns from are sampled from it; 0: no buffer",
        at_least=0,
    )
    minibatch_d: bool = flag(False, "minibatch discrimination in the discriminator")

    def __post_init__(self) -> None:
        """Raises UsageError where a setting of a loss that was not chosen is not its default."""
        super().__post_init__()
        defaults = {field.name: field.default for field in dataclasses.fields(self)}
        for name, default in defaults.items():
            losses = [loss for loss in self.settings_of_loss if name in self._names_of(loss)]
            if losses and self.adversarial_loss not in losses and getattr(self, name) != default:
                raise UsageError(
                    f"--{name} is a setting of --adversarial_loss={' or '.join(losses)}, but "
                    f"--adversarial_loss is {self.adversarial_loss}; leave out --{name}, or give "
                    "another --adversarial_loss"
                )

    @property
    def adversarial_loss(self) -> str:
        """The name of the loss, one of `settings_of_loss`."""
        return next(iter(self.settings_of_loss))

    def _names_of(self, loss: str) -> set[str]:
        return {field.name for field in dataclasses.fields(self.settings_of_loss[loss])}

    @property
    def loss(self) -> LossSettings:
        """The settings of the chosen loss, and of no other."""
        names = self._names_of(self.adversarial_loss)
        values = {name: getattr(self, name) for name in names}
        return self.settings_of_loss[self.adversarial_loss](**values)

    def decayed_learning_rate(self, phase: str, epoch: int) -> float:
        """Gives the learning rate of a phase in an epoch, from 0.

        That of "discriminator" begins with `d_learning_rate`, that of others with `learning_rate`.
        """
        rate = self.d_learning_rate if phase == "discriminator" else self.learning_rate
        return rate * self.decay(epoch)

    def decay(self, epoch: int) -> float:
        """Gives the factor of `lr_decay` on learning rates in an epoch, from 0."""
        return self.lr_decay ** max(epoch - self.epochs_before_decay, 0)

    def instance_noise_deviation(self, epoch: int) -> float:
        """Gives the standard deviation of the instance noise in an epoch, from 0.

        It falls linearly (Sønderby et al. 2017, arXiv 1610.04490, section 2.2).
        """
        last = self.instance_noise_epochs or self.max_epoch
        return self.instance_noise * max(0.0, 1 - epoch / last)


@dataclasses.dataclass(frozen=True)
class AnyLossConfig(AdversarialConfig, FreezingSettings, WassersteinSettings):
    """Settings of a model that offers every loss; see `AdversarialConfig`."""

    settings_of_loss: ClassVar[Mapping[str, type[LossSettings]]] = {
        "wasserstein": WassersteinSettings,
        "non_saturating": FreezingSettings,
        "saturating": FreezingSettings,
    }

    adversarial_loss: Literal["wasserstein", "non_saturating", "saturating"] = flag(
        "wasserstein",
        "wasserstein: with gradient penalty; non_saturating: the generator's loss is -log D(G); "
        "saturating: it is log(1 - D(G))",
    )


def changed_default(settings: type[Settings], name: str, default: Any) -> Any:
    """Makes a dataclass field that is one of another class's but for its default.

    Args:
      settings: the class that has the field, with its help text and bounds.
      name: of the field.
      default: the new one.
    """
    [field] = [field for field in dataclasses.fields(settings) if field.name == name]
    return dataclasses.field(default=default, metadata=field.metadata, kw_only=True)


def changed_fields(config: Settings, settings: type[Settings]) -> list[str]:
    """Names the fields of a class of settings that are not their defaults in `config`."""
    fields = dataclasses.fields(settings)
    return [f.name for f in fields if getattr(config, f.name) != f.default]
