"""A generator and a critic that are trained against each other: their losses and phases.

A critic is a discriminator, whose output for a row is the logit that the row is real music, or a
Wasserstein critic, whose output is a number without bounds. A model says what is generated, what
is real and how music is scored; the rest is here.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, cast

import keras
from keras import ops

from crnn_gan.adversarial import losses
from crnn_gan.adversarial.config import (
    AdversarialLoss,
    CrossEntropySettings,
    FreezingSettings,
    LossSettings,
    WassersteinSettings,
)
from crnn_gan.adversarial.stabilisers import ReplayBuffer
from crnn_gan.training.phases import JointPhase, LossesOfBoth, Phase

Batch = Mapping[str, Any]


class Scores(NamedTuple):
    """What a critic gives for music.

    Attributes:
      output: logits that music is real, or scores of a Wasserstein critic: float32 [batch].
      features: float32 [batch, time, units], for feature matching; or None.
    """

    output: Any
    features: Any = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class CriticAndGenerator:
    """A generator, its critic, and how they learn from each other.

    ```
    both = CriticAndGenerator(
        generator=[generator], critic=[discriminator], loss="non_saturating",
        settings=CrossEntropySettings(r1=0.3), seed=keras.random.SeedGenerator(0),
        produce=lambda batch: generator(noise_for(batch)),
        real=lambda batch: (batch["music"], None),
        scores=lambda music, mask: Scores(discriminator(music)[:, 0]),
    )
    stages = [Stage("adversarial", 20, both.phases)]
    ```

    Attributes:
      generator, critic: networks that the phase "generator", or "discriminator", moves.
      loss: by name.
      settings: of that loss.
      seed: random numbers of the losses come from it.
      produce: batch -> as much generated music as it has real music, float32 [batch, ...].
      real: batch -> (real music, float32 [batch, ...]; bool [batch, time], the steps that count,
        or None where all do and the loss is not `wasserstein`).
      scores: (music [rows, ...], mask [rows, time] or None) -> `Scores`.
      logits_for_r1: as `scores`, -> float32 [rows] whose gradient R1 penalises; by default the
        output of `scores`.
      add_instance_noise: music -> music with noise, applied once per pass, and before penalties
        are taken; None where there is no noise, or where `scores` adds it.
      replay_buffer: of generated music, for the critic's phase alone; or None.
      feature_matching: the generator minimises `losses.feature_matching_loss` with this reduction;
        None: the adversarial loss.
      kinds: how losses of probabilities on real and on generated music make the discriminator's:
        their sum, or their mean, which halves its gradients.
      rows_compared: whether a row's score depends on the other rows (minibatch discrimination).
        Then real and generated music are two batches to the critic, unless `generator_sees_real`.
      generator_sees_real: whether real and generated music are one batch to the critic in every
        phase, the generator's too; else that scores generated music alone.
      generator_first: whether the generator's phase runs before the critic's, where there are two.
      l2: `Phase.l2` of both.
      generator_reports: `Phase.reports` of the generator; `adversarial` is there to be shown.
    """

    generator: Sequence[keras.layers.Layer]
    critic: Sequence[keras.layers.Layer]
    loss: AdversarialLoss
    settings: LossSettings
    seed: keras.random.SeedGenerator
    produce: Callable[[Batch], Any]
    real: Callable[[Batch], tuple[Any, Any]]
    scores: Callable[[Any, Any], Scores]
    logits_for_r1: Callable[[Any, Any], Any] | None = None
    add_instance_noise: Callable[[Any], Any] | None = None
    replay_buffer: ReplayBuffer | None = None
    feature_matching: losses.Reduction | None = None
    kinds: losses.Reduction = "sum"
    rows_compared: bool = False
    generator_sees_real: bool = False
    generator_first: bool = False
    l2: float = 0.0
    generator_reports: Sequence[str] = ()

    # --- Phases ---

    @property
    def phases(self) -> list[Phase | JointPhase]:
        """The phases of a batch: one joint phase where that is exact, else one for each network.

        A batch holds the music of all updates, see `critic_updates`; a joint phase is the last.
        """
        last = self.critic_updates - 1
        critics = [self.critic_phase(part) for part in range(last + 1)]
        generator = self.generator_phase(last)
        balances = isinstance(self.settings, CrossEntropySettings) and self.settings.balance_above
        if balances or self.replay_buffer or self.feature_matching or self.rows_compared:
            return [generator, *critics] if self.generator_first else [*critics, generator]
        joint = JointPhase(
            critics[-1],
            generator,
            produce=lambda batch: self.produce(self._part(batch, last)),
            losses_of_both=lambda batch, fake: self.losses_of_both(self._part(batch, last), fake),
        )
        return [*critics[:-1], joint]

    @property
    def critic_updates(self) -> int:
        """Updates of the critic per batch, each of which takes an equal part of its rows."""
        return self.settings.critic_steps if isinstance(self.settings, WassersteinSettings) else 1

    def critic_phase(self, part: int = 0) -> Phase:
        """Gives the phase "discriminator", on one part of a batch."""
        reports = ("distance", "penalty")
        if isinstance(self.settings, CrossEntropySettings):
            reports = ("real", "fake", *(("r1",) if self.settings.r1 else ()))
        loss = lambda batch: self.critic_loss(self._part(batch, part))  # noqa: E731
        return self._phase("discriminator", self.critic, loss, reports)

    def generator_phase(self, part: int = 0) -> Phase:
        """Gives the phase "generator", on one part of a batch."""
        loss = lambda batch: self.generator_loss(self._part(batch, part))  # noqa: E731
        return self._phase("generator", self.generator, loss, self.generator_reports)

    def _phase(self, name: Any, networks: Any, loss: Any, reports: Sequence[str]) -> Phase:
        settings, rule = self.settings, None
        if isinstance(settings, FreezingSettings) and settings.freezing != "off":
            rule = losses.freezing_rule(settings.freezing, name)
        phase = Phase(name, networks, loss, reports, l2=self.l2, enabled=rule)
        return (
            add_balancer(phase, settings) if isinstance(settings, CrossEntropySettings) else phase
        )

    def _part(self, batch: Batch, part: int) -> Batch:
        return part_of(batch, part, self.critic_updates)

    # --- Losses ---

    def losses_of_both(self, batch: Batch, fake: Any) -> LossesOfBoth:
        """Gives the losses of both networks from one pass over real and generated music.

        Args:
          batch: as `real` takes it.
          fake: as `produce` gave it.
        """
        real, fake, mask, real_scores, fake_scores = self._scored(batch, fake)
        return self._losses(real, fake, mask, real_scores.output, fake_scores.output)

    def critic_loss(self, batch: Batch) -> tuple[Any, Mapping[str, Any]]:
        """Gives the critic's loss on a batch and newly generated music, and its reports.

        The reports are the mean probabilities `real` and `fake` that music of either kind is real,
        and `r1`; or, of a Wasserstein critic, its `distance` and gradient `penalty`.
        """
        fake = ops.stop_gradient(self.produce(batch))
        if self.replay_buffer is not None:
            fake = self.replay_buffer(fake, self._uniform((fake.shape[0] // 2,)))
        both = self.losses_of_both(batch, fake)
        return both.critic_loss, both.critic_reports

    def generator_loss(self, batch: Batch) -> tuple[Any, Mapping[str, Any]]:
        """Gives the generator's loss on newly generated music, and the report `adversarial`."""
        fake = self.produce(batch)
        if self.feature_matching:
            _, _, mask, real_scores, fake_scores = self._scored(batch, fake)
            distance = losses.feature_matching_loss(
                real_scores.features, fake_scores.features, mask, self.feature_matching
            )
            return distance, self._adversarial(fake_scores.output)
        if self.generator_sees_real:
            both = self.losses_of_both(batch, fake)
            return both.generator_loss, both.generator_reports
        output = self._generated_output(batch, fake)
        return self._generator_loss(output), self._adversarial(output)

    def reward(self, batch: Batch, fake: Any) -> tuple[Any, Mapping[str, Any]]:
        """Gives what each generated row adds to minus the generator's loss: float32 [batch]; and
        the report `adversarial`.

        Args:
          batch: as `real` takes it.
          fake: as `produce` gave it.
        """
        output = self._generated_output(batch, fake)
        return losses.reward(output, self.loss), self._adversarial(output)

    def _generated_output(self, batch: Batch, fake: Any) -> Any:
        """Gives the critic's output for generated music alone, unless rows are compared and it
        `generator_sees_real`: float32 [batch]."""
        if self.rows_compared and self.generator_sees_real:
            return self._scored(batch, fake)[-1].output
        if self.add_instance_noise is not None:
            fake = self.add_instance_noise(fake)
        return self.scores(fake, self.real(batch)[1]).output

    def _scored(self, batch: Batch, fake: Any) -> tuple[Any, Any, Any, Scores, Scores]:
        """Gives real and generated music as they were scored, their mask, and both scores."""
        real, mask = self.real(batch)
        if self.rows_compared and not self.generator_sees_real:
            if self.add_instance_noise is not None:
                real, fake = self.add_instance_noise(real), self.add_instance_noise(fake)
            return real, fake, mask, self.scores(real, mask), self.scores(fake, mask)
        music = ops.concatenate([real, fake], axis=0)
        if self.add_instance_noise is not None:
            music = self.add_instance_noise(music)
            real, fake = ops.split(music, 2)
        both = self.scores(music, None if mask is None else ops.concatenate([mask, mask], axis=0))
        halves = [(None, None) if part is None else ops.split(part, 2) for part in both]
        real_scores, fake_scores = (Scores(*parts) for parts in zip(*halves, strict=True))
        return real, fake, mask, real_scores, fake_scores

    def _losses(
        self, real: Any, fake: Any, mask: Any, real_output: Any, fake_output: Any
    ) -> LossesOfBoth:
        if isinstance(self.settings, WassersteinSettings):
            distance = ops.mean(real_output) - ops.mean(fake_output)
            penalty = losses.gradient_penalty(
                lambda x: self.scores(x, mask).output,
                real,
                fake,
                self._uniform((real.shape[0], 1, 1)),
                mask,
            )
            loss = self.settings.gradient_penalty * penalty - distance
            reports = {"distance": distance, "penalty": penalty}
            ratio = -ops.ones_like(fake_output)
        else:
            settings, name = self.settings, self._cross_entropy
            loss = losses.discriminator_loss(
                real_output, fake_output, settings.label_smoothing, self.kinds
            )
            reports = {
                "real": ops.mean(ops.sigmoid(real_output)),
                "fake": ops.mean(ops.sigmoid(fake_output)),
            }
            logits = self.logits_for_r1 or (lambda x, mask: self.scores(x, mask).output)
            loss, reports = losses.add_r1_penalty(
                loss, reports, lambda x: logits(x, mask), real, settings.r1
            )
            ratio = losses.gradient_ratio(fake_output, name, self.kinds)
        return LossesOfBoth(
            critic_loss=loss,
            generator_loss=self._generator_loss(fake_output),
            gradient_ratio=ratio,
            critic_reports=reports,
            generator_reports=self._adversarial(fake_output),
        )

    def _generator_loss(self, fake_output: Any) -> Any:
        if isinstance(self.settings, WassersteinSettings):
            return -ops.mean(fake_output)
        return losses.generator_loss(fake_output, self._cross_entropy)

    def _adversarial(self, fake_output: Any) -> dict[str, Any]:
        """Gives the generator's loss as it is shown and as the freezing rule sees it.

        Of logits it is -ln D(G(z)), which unlike the saturating ln(1 - D(G(z))) is never
        negative, so that 70 % of it means something.
        """
        if isinstance(self.settings, WassersteinSettings):
            return {"adversarial": -ops.mean(fake_output)}
        return {"adversarial": losses.generator_loss(fake_output, "non_saturating")}

    @property
    def _cross_entropy(self) -> losses.CrossEntropy:
        return cast(losses.CrossEntropy, self.loss)

    def _uniform(self, shape: Sequence[Any]) -> Any:
        return keras.random.uniform(shape, dtype="float32", seed=self.seed)


def part_of(batch: Batch, part: int, parts: int) -> Batch:
    """Gives one of so many equal parts of a batch's rows, counted from 0."""
    if parts == 1:
        return batch
    rows = next(iter(batch.values())).shape[0] // parts
    return {name: values[part * rows : (part + 1) * rows] for name, values in batch.items()}


def add_balancer(phase: Phase, settings: CrossEntropySettings) -> Phase:
    """Gives a phase that runs again while its loss is above `balance_above`, if that is not 0."""
    if not settings.balance_above:
        return phase
    return dataclasses.replace(
        phase, balance_above=settings.balance_above, balance_most=settings.balance_most
    )
