"""Training of any model as stages of phases inside fit(), on TensorFlow or JAX.

A phase minimises one loss over the weights of one group of networks with one optimizer. A stage is
some epochs of the same phases. This is written once, over the few functions that
`tensorflow_steps.py` and `jax_steps.py` both give.
"""

from __future__ import annotations

import dataclasses
import importlib
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
from keras import ops

steps = importlib.import_module(f"crnn_gan.training.{keras.backend.backend()}_steps")
input_gradient = steps.input_gradient
leading_steps = steps.leading_steps
make_deterministic = steps.make_deterministic

Reports = Mapping[str, Any]
MOST_SKIPPED_IN_A_ROW = 20  # Updates of a phase with a loss that is not finite: the run ends.
FIRST_LAST_LOSS = 10.0  # At the first batch, the "previous batch's losses" of `Phase.enabled`.


@dataclasses.dataclass(frozen=True)
class Phase:
    """One loss, minimised over the weights of one group of networks with one optimizer.

    Two rules, of which a phase may have one, keep a generator and its critic from outrunning each
    other. Freezing: `enabled` skips the update where the previous batch's losses say so. Balancing:
    the update is repeated while the loss is above `balance_above`.

    Attributes:
      name: also the optimizer's; the same name in two stages is the same optimizer.
      networks: the layers or models whose trainable variables are updated.
      loss: batch -> (scalar, {report: scalar}), without L2.
      reports: names of those reports, in logs `<name>_<report>`.
      repeats: updates per batch.
      l2: weight of L2 regularisation: adds l2 * sum(w^2) / 2 over the variables to the loss.
      enabled: freezing: {name in logs: value of the previous batch} -> whether to update; None:
        always.
      longest_freeze: freezing: after so many batches without an update there is one all the same.
      balance_above: balancing: while the loss of the last update is above it, there is another
        update, on the same batch with new random numbers.
      balance_most: balancing: further updates per batch at most; 0 for none. Their number is in
        logs as `<name>_more`; loss and reports there are those of the last of `repeats`.
    """

    name: str
    networks: Sequence[keras.layers.Layer]
    loss: Callable[[Any], tuple[Any, Reports]]
    reports: Sequence[str] = ()
    repeats: int = 1
    l2: float = 0.0
    enabled: Callable[[Mapping[str, Any]], Any] | None = None
    longest_freeze: int = 20
    balance_above: float = math.inf
    balance_most: int = 0

    def __post_init__(self) -> None:
        if self.enabled is not None and self.balance_most:
            raise ValueError(
                f"the phase {self.name!r} has both `enabled` and `balance_most`; give one of them"
            )

    @property
    def moves(self) -> tuple[Phase, ...]:
        """The phases whose variables it updates: itself."""
        return (self,)

    @property
    def variables(self) -> list[keras.Variable]:
        """The variables that it updates."""
        return [v for network in self.networks for v in network.trainable_variables]


@dataclasses.dataclass(frozen=True)
class LossesOfBoth:
    """What one pass through a critic says of it and of its generator.

    Attributes:
      critic_loss, generator_loss: scalars, without L2.
      gradient_ratio: float32 [batch], for each generated row the derivative of the generator's
        loss over that of the critic's, by the critic's output for the row.
      critic_reports, generator_reports: scalars by name, to be shown.
    """

    critic_loss: Any
    generator_loss: Any
    gradient_ratio: Any
    critic_reports: Reports = dataclasses.field(default_factory=dict)
    generator_reports: Reports = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class JointPhase:
    """Moves a critic and its generator from one pass through the critic.

    Exact where, for each row i, the gradient of the generator's loss by its output is
    `gradient_ratio[i]` times that of the critic's loss: -log p against -log(1 - p) gives
    -(1 - p) / p, a Wasserstein critic gives -1. Not where rows mix in the critic (minibatch
    discrimination) or the generator has another objective (feature matching). Both move at once,
    from the weights before the batch.

    Attributes:
      critic, generator: as phases; their `loss` serves evaluation and other stages.
      produce: batch -> generated batch.
      losses_of_both: (batch, generated batch) -> losses, from one pass through the critic.
    """

    critic: Phase
    generator: Phase
    produce: Callable[[Any], Any]
    losses_of_both: Callable[[Any, Any], LossesOfBoth]
    repeats: int = 1

    @property
    def moves(self) -> tuple[Phase, ...]:
        """The optimizer groups that it moves: the critic's and the generator's."""
        return (self.critic, self.generator)


@dataclasses.dataclass(frozen=True)
class Stage:
    """Some epochs of training in which the same phases run, in order, on every batch."""

    name: str
    epochs: int
    phases: Sequence[Phase | JointPhase]


class PhaseOptimizers(keras.optimizers.Optimizer):
    """One optimizer per phase, which fit() takes for one.

    Attributes:
      by_phase: {name of a phase: its optimizer}.
      moved: {name of a phase: the variables that its optimizer was built with}.
    """

    def __init__(
        self,
        by_phase: Mapping[str, keras.optimizers.Optimizer],
        moved: Mapping[str, Sequence[keras.Variable]],
    ):
        super().__init__(learning_rate=0.0, name="phase_optimizers")
        self.by_phase, self.moved = dict(by_phase), dict(moved)

    @property
    def variables(self) -> list[keras.Variable]:
        """All variables of all phases' optimizers."""
        return [v for optimizer in self.by_phase.values() for v in optimizer.variables]

    def build(self, variables: Any) -> None:
        """Does nothing: each phase's optimizer is built with its own variables."""
        self.built = True

    def finalize_variable_values(self, var_list: Any) -> None:
        """Does nothing: there are no moving averages of weights."""


class PhasedModel(keras.Model):
    """Base class of all models; a subclass gives `stages` and `optimizer_for(phase)`.

    Attributes:
      clip_norm: gradient clipping: largest global norm of a phase's gradient, or None.
      traces: number of times that a training graph was traced.
    """

    clip_norm: float | None = None

    def compile(self, **kwargs: Any) -> None:
        """Builds the optimizers, the loss trackers and the guards; enters the first stage."""
        groups = {g.name: g for s in self.stages for p in s.phases for g in p.moves}
        if keras.config.dtype_policy().name == "mixed_float16":
            make = lambda name: keras.optimizers.LossScaleOptimizer(self.optimizer_for(name))  # noqa: E731
        else:
            make = self.optimizer_for
        optimizers = {name: make(name) for name in groups}
        moved = {name: group.variables for name, group in groups.items()}
        for name, optimizer in optimizers.items():
            optimizer.build(moved[name])
        moving = [g for stage in self.stages for p in stage.phases for g in p.moves]
        names = dict.fromkeys(name for phase in moving for name in _names_in_logs(phase))
        self.trackers = {name: keras.metrics.Mean(name=name) for name in names}
        self.last = {name: _variable(FIRST_LAST_LOSS, f"last_{name}") for name in self.trackers}
        self.skipped = {name: _variable(0, f"skipped_{name}") for name in groups}
        self.skipped_in_a_row = {name: _variable(0, f"in_a_row_{name}") for name in groups}
        self.frozen = {name: _variable(0, f"frozen_{name}") for name in groups}
        self.traces = 0
        self.built = True  # The networks were built in __init__.
        self.enter(self.stages[0])
        super().compile(
            optimizer=PhaseOptimizers(optimizers, moved), auto_scale_loss=False, **kwargs
        )

    def enter(self, stage: Stage) -> None:
        """Makes `stage` the one that fit() runs; its graph is traced at the next batch."""
        self.stage = stage
        self.train_function = self.test_function = None

    train_step = steps.train_step
    test_step = steps.test_step

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        """The loss trackers."""
        return list(getattr(self, "trackers", {}).values())

    def run_phases(self, batch: Any) -> dict[str, Any]:
        """Runs the stage's phases on a batch; gives the logs of fit(), {name: value}."""
        self.traces += 1
        logs: dict[str, Any] = {}
        last = {name: ops.convert_to_tensor(variable) for name, variable in self.last.items()}
        for phase in self.stage.phases:
            for _ in range(phase.repeats):
                if isinstance(phase, JointPhase):
                    logs |= self._run_joint(phase, batch, last)
                else:
                    logs |= self._run(phase, batch, last)
            if isinstance(phase, Phase) and phase.balance_most:
                logs |= self._balance(phase, batch, last, logs[f"{phase.name}_loss"])
        for name, value in logs.items():
            self.last[name].assign(value)
            self.trackers[name].update_state(value)
        self.after_batch()
        return {name: self.trackers[name].result() for name in logs}

    def after_batch(self) -> None:
        """Called in the graph after the phases of a batch; for averages of weights."""

    def _run(self, phase: Phase, batch: Any, last: Mapping[str, Any]) -> dict[str, Any]:
        scale = _scale_of(self.optimizer.by_phase[phase.name])

        def scaled_loss() -> tuple[Any, Any]:
            loss, reports = phase.loss(batch)
            return loss * scale, (loss, reports)

        of_phase, gradients = steps.gradients(self, scaled_loss, phase.variables)
        return self._update(phase, of_phase, gradients, last)

    def _balance(
        self, phase: Phase, batch: Any, last: Mapping[str, Any], loss: Any
    ) -> dict[str, Any]:
        """Repeats a phase while its loss is above `balance_above`; gives the number of repeats."""
        count = steps.repeat_while(
            self,
            lambda loss: loss > phase.balance_above,
            lambda: self._run(phase, batch, last)[f"{phase.name}_loss"],
            loss,
            phase.balance_most,
        )
        return {f"{phase.name}_more": ops.cast(count, "float32")}

    def _run_joint(self, phase: JointPhase, batch: Any, last: Mapping[str, Any]) -> dict[str, Any]:
        # With loss scaling the two optimizers may stand at different scales.
        scale = _scale_of(self.optimizer.by_phase[phase.critic.name])
        rescale = _scale_of(self.optimizer.by_phase[phase.generator.name]) / scale

        def scaled_losses(generated: Any) -> tuple[Any, Any, Any]:
            both = phase.losses_of_both(batch, generated)
            of_critic = both.critic_loss, both.critic_reports
            of_generator = both.generator_loss, both.generator_reports
            return (
                both.critic_loss * scale,
                both.gradient_ratio * rescale,
                (of_critic, of_generator),
            )

        (of_critic, of_generator), critic_gradients, generator_gradients = steps.joint_gradients(
            self,
            lambda: phase.produce(batch),
            scaled_losses,
            phase.generator.variables,
            phase.critic.variables,
        )
        return {
            **self._update(phase.critic, of_critic, critic_gradients, last),
            **self._update(phase.generator, of_generator, generator_gradients, last),
        }

    def _update(
        self,
        phase: Phase,
        of_phase: tuple[Any, Reports],
        gradients: Sequence[Any],
        last: Mapping[str, Any],
    ) -> dict[str, Any]:
        """Clips the gradients and applies them where all is finite; gives {name in logs: value}."""
        optimizer = self.optimizer.by_phase[phase.name]
        scale, (loss, reports) = _scale_of(optimizer), of_phase
        logs = {f"{phase.name}_loss": loss}
        logs |= {f"{phase.name}_{name}": reports[name] for name in phase.reports}
        if phase.l2:
            weights = [ops.cast(v, "float32") for v in phase.variables]
            gradients = [g + phase.l2 * scale * w for g, w in zip(gradients, weights, strict=True)]
            squares = sum(ops.sum(ops.square(w)) for w in weights)
            logs[f"{phase.name}_l2"] = phase.l2 * squares / 2
        norm = ops.sqrt(sum(ops.sum(ops.square(g)) for g in gradients))
        finite = ops.isfinite(norm) & ops.isfinite(loss)
        if self.clip_norm:
            factor = self.clip_norm * scale / ops.maximum(norm, self.clip_norm * scale)
            gradients = [g * ops.cast(factor, g.dtype) for g in gradients]
        wanted = self._wanted(phase, last)
        # A loss scaler must get overflows itself, to lower its scale; it then skips as well.
        scaled = isinstance(optimizer, keras.optimizers.LossScaleOptimizer)
        steps.apply_if(
            self, wanted if scaled else wanted & finite, optimizer, gradients, phase.variables
        )
        count = ops.cast(~finite, "int32")
        self.skipped[phase.name].assign(self.skipped[phase.name] + count)
        in_a_row = self.skipped_in_a_row[phase.name]
        in_a_row.assign((in_a_row + 1) * count)
        # A loss that is not finite is kept out of the epoch's mean and of the freezing rule, until
        # there have been too many: then it is in the logs, and `StopOnNaN` ends the run.
        too_many = in_a_row >= MOST_SKIPPED_IN_A_ROW
        return {
            name: ops.where(ops.isfinite(value) | too_many, value, last[name])
            for name, value in ((n, ops.cast(v, "float32")) for n, v in logs.items())
        }

    def _wanted(self, phase: Phase, last: Mapping[str, Any]) -> Any:
        """Tells whether the freezing rule lets this phase update, as a scalar bool."""
        if phase.enabled is None:
            return ops.convert_to_tensor(True)
        frozen = self.frozen[phase.name]
        wanted = phase.enabled(last) | (frozen >= phase.longest_freeze)
        frozen.assign((frozen + 1) * ops.cast(~wanted, "int32"))
        return wanted

    def evaluate_phases(self, batch: Any) -> dict[str, Any]:
        """Gives the losses of the stage's phases on a batch, without an update."""
        logs = {}
        for phase in (g for p in self.stage.phases for g in p.moves):
            logs[f"{phase.name}_loss"], _ = phase.loss(batch)
        for name, value in logs.items():
            self.trackers[name].update_state(value)
        return {name: self.trackers[name].result() for name in logs}


def _variable(value: float, name: str) -> keras.Variable:
    dtype = "int32" if isinstance(value, int) else "float32"
    return keras.Variable(value, dtype=dtype, trainable=False, name=name)


def _names_in_logs(phase: Phase) -> list[str]:
    """Gives the names of all values of a phase in the logs."""
    names = ["loss", *phase.reports] + (["l2"] if phase.l2 else [])
    names += ["more"] if phase.balance_most else []
    return [f"{phase.name}_{name}" for name in names]


def _scale_of(optimizer: keras.optimizers.Optimizer) -> Any:
    if isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
        return ops.convert_to_tensor(optimizer.dynamic_scale)
    return 1.0
