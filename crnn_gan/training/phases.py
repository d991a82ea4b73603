"""Trains any model as stages of phases inside fit(), on TensorFlow or JAX.

A phase is one loss that moves one group of networks with one optimizer. A stage is some
epochs of the same phases. The engine is written once over three primitives, which are the
only backend code: gradients, gradients of a joint phase, and applying an update or not.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
from keras import ops

Reports = Mapping[str, Any]
MOST_SKIPPED_IN_A_ROW = 20  # Updates of a phase, before the run is given up.
FIRST_LAST_LOSS = 10.0  # What a rule on the previous batch's losses sees at the first batch.


@dataclasses.dataclass(frozen=True)
class Phase:
    """One loss that moves one group of networks with one optimizer.

    Attributes:
      name: also the optimizer's; the same name in two stages is the same optimizer.
      networks: the layers or models whose trainable variables move.
      loss: batch -> (scalar, {report: scalar}), without L2.
      reports: names of those reports; they show as `<name>_<report>`.
      repeats: updates a batch.
      l2: adds l2 * sum(w^2) / 2 over the moved variables to what is minimised.
      enabled: previous batch's values by shown name -> whether to update; None for always.
      longest_freeze: after so many batches without an update there is one all the same.
    """

    name: str
    networks: Sequence[keras.layers.Layer]
    loss: Callable[[Any], tuple[Any, Reports]]
    reports: Sequence[str] = ()
    repeats: int = 1
    l2: float = 0.0
    enabled: Callable[[Mapping[str, Any]], Any] | None = None
    longest_freeze: int = 20

    @property
    def moves(self) -> tuple[Phase, ...]:
        """The optimizer groups that it moves: itself."""
        return (self,)

    @property
    def variables(self) -> list[keras.Variable]:
        """The variables that it moves."""
        return [v for network in self.networks for v in network.trainable_variables]


@dataclasses.dataclass(frozen=True)
class JointPhase:
    """Moves a critic and its generator from one pass through the critic.

    Exact where, for each row i, the generator's gradient with respect to its output is
    ratio_i times the critic's: -log p against -log(1 - p) gives -(1 - p) / p, a Wasserstein
    critic gives -1. Not where rows mix in the critic (minibatch discrimination) or the
    generator has another objective (feature matching). Both move at once, from the
    weights before the batch.

    Attributes:
      critic, generator: as phases; their `loss` serves evaluation and other stages.
      produce: batch -> generated batch.
      judge: (batch, generated) -> (critic's loss, ratio [batch], {critic's report: scalar},
        generator's loss, {generator's report: scalar}).
    """

    critic: Phase
    generator: Phase
    produce: Callable[[Any], Any]
    judge: Callable[[Any, Any], tuple[Any, Any, Reports, Any, Reports]]
    repeats: int = 1

    @property
    def moves(self) -> tuple[Phase, ...]:
        """The optimizer groups that it moves: the critic's and the generator's."""
        return (self.critic, self.generator)


@dataclasses.dataclass(frozen=True)
class Stage:
    """Epochs during which the same phases run, in order, on every batch."""

    name: str
    epochs: int
    phases: Sequence[Phase | JointPhase]


class PhaseOptimizers(keras.optimizers.Optimizer):
    """One optimizer a phase, seen by fit() and by checkpoints as one."""

    def __init__(self, by_phase: Mapping[str, keras.optimizers.Optimizer]):
        super().__init__(learning_rate=0.0, name="phase_optimizers")
        self.by_phase = dict(by_phase)

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
    """Base of all models; a subclass gives `stages` and `optimizer_for(phase)`.

    Attributes:
      clip_norm: largest global norm of a phase's gradient, or None.
      traces: how often a training graph was traced.
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
        for name, optimizer in optimizers.items():
            optimizer.build(groups[name].variables)
        shown = [
            n for stage in self.stages for p in stage.phases for g in p.moves for n in _shown(g)
        ]
        self.trackers = {name: keras.metrics.Mean(name=name) for name in dict.fromkeys(shown)}
        self.last = {name: _variable(FIRST_LAST_LOSS, f"last_{name}") for name in self.trackers}
        self.skipped = {name: _variable(0, f"skipped_{name}") for name in groups}
        self.skipped_in_a_row = {name: _variable(0, f"in_a_row_{name}") for name in groups}
        self.frozen = {name: _variable(0, f"frozen_{name}") for name in groups}
        self.traces = 0
        self.built = True  # The networks were drawn in __init__.
        self.enter(self.stages[0])
        super().compile(optimizer=PhaseOptimizers(optimizers), auto_scale_loss=False, **kwargs)

    def enter(self, stage: Stage) -> None:
        """Makes `stage` the one that fit() runs; its graph is traced at the next batch."""
        self.stage = stage
        self.train_function = self.test_function = None

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        """The loss trackers."""
        return list(getattr(self, "trackers", {}).values())

    def run_phases(self, batch: Any) -> dict[str, Any]:
        """Runs the stage's phases on a batch and gives what fit() logs."""
        self.traces += 1
        shown: dict[str, Any] = {}
        last = {name: ops.convert_to_tensor(variable) for name, variable in self.last.items()}
        for phase in self.stage.phases:
            run = self._run_joint if isinstance(phase, JointPhase) else self._run
            for _ in range(phase.repeats):
                shown |= run(phase, batch, last)
        for name, value in shown.items():
            self.last[name].assign(value)
            self.trackers[name].update_state(value)
        self.after_batch()
        return {name: self.trackers[name].result() for name in shown}

    def after_batch(self) -> None:
        """Is called in the graph when a batch's phases have run; for averages of weights."""

    def _run(self, phase: Phase, batch: Any, last: Mapping[str, Any]) -> dict[str, Any]:
        scale = _scale_of(self.optimizer.by_phase[phase.name])

        def scaled_loss() -> tuple[Any, Any]:
            loss, reports = phase.loss(batch)
            return loss * scale, (loss, reports)

        (loss, reports), gradients = self.gradients(scaled_loss, phase.variables)
        return self._update(phase, loss, reports, gradients, last)

    def _run_joint(self, phase: JointPhase, batch: Any, last: Mapping[str, Any]) -> dict[str, Any]:
        # With loss scaling the two optimizers may stand at different scales.
        scale = _scale_of(self.optimizer.by_phase[phase.critic.name])
        rescale = _scale_of(self.optimizer.by_phase[phase.generator.name]) / scale

        def judge(generated: Any) -> tuple[Any, Any, Any]:
            loss, ratio, reports, generator_loss, generator_reports = phase.judge(batch, generated)
            return (
                loss * scale,
                ratio * rescale,
                (
                    (loss, reports),
                    (generator_loss, generator_reports),
                ),
            )

        losses, critic_gradients, generator_gradients = self.joint_gradients(
            lambda: phase.produce(batch),
            judge,
            phase.generator.variables,
            phase.critic.variables,
        )
        return self._update(phase.critic, *losses[0], critic_gradients, last) | self._update(
            phase.generator, *losses[1], generator_gradients, last
        )

    def _update(
        self,
        phase: Phase,
        loss: Any,
        reports: Reports,
        gradients: Sequence[Any],
        last: Mapping[str, Any],
    ) -> dict[str, Any]:
        """Clips, guards and applies; gives the values to show by name."""
        optimizer = self.optimizer.by_phase[phase.name]
        scale = _scale_of(optimizer)
        shown = {f"{phase.name}_loss": loss}
        shown |= {f"{phase.name}_{name}": reports[name] for name in phase.reports}
        if phase.l2:
            weights = [ops.cast(v, "float32") for v in phase.variables]
            gradients = [g + phase.l2 * scale * w for g, w in zip(gradients, weights, strict=True)]
            squares = sum(ops.sum(ops.square(w)) for w in weights)
            shown[f"{phase.name}_l2"] = phase.l2 * squares / 2
        norm = ops.sqrt(sum(ops.sum(ops.square(g)) for g in gradients))
        finite = ops.isfinite(norm) & ops.isfinite(loss)
        if self.clip_norm:
            factor = self.clip_norm * scale / ops.maximum(norm, self.clip_norm * scale)
            gradients = [g * ops.cast(factor, g.dtype) for g in gradients]
        wanted = self._wanted(phase, last)
        # A loss scaler must see overflow itself, to lower its scale; it then skips as well.
        scaled = isinstance(optimizer, keras.optimizers.LossScaleOptimizer)
        self.apply_if(wanted if scaled else wanted & finite, optimizer, gradients, phase.variables)
        count = ops.cast(~finite, "int32")
        self.skipped[phase.name].assign(self.skipped[phase.name] + count)
        in_a_row = self.skipped_in_a_row[phase.name]
        in_a_row.assign((in_a_row + 1) * count)
        # A loss that is not a number must not poison the epoch's mean or the freezing rule,
        # until there have been too many: then it shows, and `StopOnNaN` ends the run.
        too_many = in_a_row >= MOST_SKIPPED_IN_A_ROW
        return {
            name: ops.where(ops.isfinite(value) | too_many, value, last[name])
            for name, value in ((n, ops.cast(v, "float32")) for n, v in shown.items())
        }

    def _wanted(self, phase: Phase, last: Mapping[str, Any]) -> Any:
        """Whether the freezing rule lets this phase move, as a scalar bool."""
        if phase.enabled is None:
            return ops.convert_to_tensor(True)
        frozen = self.frozen[phase.name]
        wanted = phase.enabled(last) | (frozen >= phase.longest_freeze)
        frozen.assign((frozen + 1) * ops.cast(~wanted, "int32"))
        return wanted

    def evaluate_phases(self, batch: Any) -> dict[str, Any]:
        """Gives the losses of the stage's phases on a batch; nothing moves."""
        shown = {}
        for phase in (g for p in self.stage.phases for g in p.moves):
            shown[f"{phase.name}_loss"], _ = phase.loss(batch)
        for name, value in shown.items():
            self.trackers[name].update_state(value)
        return {name: self.trackers[name].result() for name in shown}


def _variable(value: float, name: str) -> keras.Variable:
    dtype = "int32" if isinstance(value, int) else "float32"
    return keras.Variable(value, dtype=dtype, trainable=False, name=name)


def _shown(phase: Phase) -> list[str]:
    names = ["loss", *phase.reports] + (["l2"] if phase.l2 else [])
    return [f"{phase.name}_{name}" for name in names]


def _scale_of(optimizer: keras.optimizers.Optimizer) -> Any:
    if isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
        return ops.convert_to_tensor(optimizer.dynamic_scale)
    return 1.0


if keras.backend.backend() == "tensorflow":
    import tensorflow as tf

    def make_deterministic(seed: int) -> None:
        """Makes a run bitwise equal each time on one machine: seeds all, fixes all orders."""
        keras.utils.set_random_seed(seed)
        tf.config.experimental.enable_op_determinism()

    def leading_steps(x: Any, length: Any) -> tuple[Any, Any]:
        """Gives the first `length` steps of [batch, time, ...] and which of them count.

        `length` is a scalar tensor: growing sequences share one graph. TensorFlow cuts;
        JAX, whose shapes are fixed, gives all steps. The mask is bool [batch, time].
        """
        x = x[:, : tf.convert_to_tensor(length)]
        return x, tf.ones(tf.shape(x)[:2], tf.bool)

    def input_gradient(function: Callable[[Any], Any], x: Any) -> Any:
        """Gives d sum(function(x)) / dx."""
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = function(x)
        return tape.gradient(y, x)

    def _gradients(self: PhasedModel, loss: Callable, variables: Sequence[keras.Variable]) -> Any:
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch([v.value for v in variables])
            scaled, shown = loss()
        return shown, _dense(tape.gradient(scaled, [v.value for v in variables]), variables)

    def _joint_gradients(
        self: PhasedModel,
        produce: Callable,
        judge: Callable,
        generator: Sequence[keras.Variable],
        critic: Sequence[keras.Variable],
    ) -> Any:
        with tf.GradientTape(watch_accessed_variables=False) as outer:
            outer.watch([v.value for v in generator])
            generated = produce()
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch([generated, *(v.value for v in critic)])
            scaled, ratio, shown = judge(generated)
        *gradients, back = tape.gradient(scaled, [*(v.value for v in critic), generated])
        back *= tf.cast(tf.reshape(ratio, [-1] + [1] * (len(back.shape) - 1)), back.dtype)
        produced = outer.gradient(generated, [v.value for v in generator], output_gradients=back)
        return shown, _dense(gradients, critic), _dense(produced, generator)

    def _dense(gradients: Sequence[Any], variables: Sequence[keras.Variable]) -> list[Any]:
        """Gives each gradient as a tensor; a variable that the loss does not touch has zeros."""
        return [
            tf.zeros(v.shape, v.dtype) if g is None else tf.convert_to_tensor(g)
            for g, v in zip(gradients, variables, strict=True)
        ]

    def _apply_if(
        self: PhasedModel, wanted: Any, optimizer: Any, gradients: Any, moved: Any
    ) -> None:
        def apply() -> Any:
            optimizer.apply(gradients, moved)
            return tf.constant(True)

        tf.cond(wanted, apply, lambda: tf.constant(False))

    def _train_step(self: PhasedModel, batch: Any) -> dict[str, Any]:
        return self.run_phases(batch)

    def _test_step(self: PhasedModel, batch: Any) -> dict[str, Any]:
        return self.evaluate_phases(batch)

else:
    import jax

    def make_deterministic(seed: int) -> None:
        """Makes a run bitwise equal each time on one machine: seeds all; XLA fixes the orders."""
        keras.utils.set_random_seed(seed)

    def leading_steps(x: Any, length: Any) -> tuple[Any, Any]:
        """Gives the steps of [batch, time, ...] and which of them count; see TensorFlow's."""
        mask = ops.arange(x.shape[1]) < length
        return x, ops.broadcast_to(mask, x.shape[:2])

    def input_gradient(function: Callable[[Any], Any], x: Any) -> Any:
        """Gives d sum(function(x)) / dx."""
        return jax.grad(lambda v: ops.sum(function(v)))(x)

    # JAX functions are pure. A step runs in one StatelessScope, in which assigning to a
    # variable is noted and reading it gives what was noted; each differentiated function
    # runs in a scope of its own, whose notes are then carried over.

    def _scoped(
        self: PhasedModel, function: Callable, variables: Sequence[keras.Variable]
    ) -> Callable:
        every = [(v, v.value) for v in self.variables]
        side = [v for v in self.variables if not v.trainable]

        def run(values: Sequence[Any], *args: Any) -> tuple[Any, Any]:
            moved = {id(v): value for v, value in zip(variables, values, strict=True)}
            mapping = [(v, moved.get(id(v), value)) for v, value in every]
            with keras.StatelessScope(state_mapping=mapping) as scope:
                result = function(*args)
            return result, [scope.get_current_value(v) for v in side]

        return run

    def _carry_over(self: PhasedModel, values: Sequence[Any]) -> None:
        for variable, value in zip(
            (v for v in self.variables if not v.trainable), values, strict=True
        ):
            if value is not None:
                variable.assign(value)

    def _gradients(self: PhasedModel, loss: Callable, variables: Sequence[keras.Variable]) -> Any:
        run = _scoped(self, loss, variables)

        def scalar(values: Sequence[Any]) -> tuple[Any, Any]:
            (scaled, shown), side = run(values)
            return scaled, (shown, side)

        (_, (shown, side)), gradients = jax.value_and_grad(scalar, has_aux=True)(
            [v.value for v in variables]
        )
        _carry_over(self, side)
        return shown, gradients

    def _joint_gradients(
        self: PhasedModel,
        produce: Callable,
        judge: Callable,
        generator: Sequence[keras.Variable],
        critic: Sequence[keras.Variable],
    ) -> Any:
        generated, pull_back, side = jax.vjp(
            _scoped(self, produce, generator), [v.value for v in generator], has_aux=True
        )
        _carry_over(self, side)
        run = _scoped(self, judge, critic)

        def scalar(values: Sequence[Any], generated: Any) -> tuple[Any, Any]:
            (scaled, ratio, shown), side = run(values, generated)
            return scaled, (ratio, shown, side)

        (_, (ratio, shown, side)), (gradients, back) = jax.value_and_grad(
            scalar, argnums=(0, 1), has_aux=True
        )([v.value for v in critic], generated)
        _carry_over(self, side)
        back = back * ops.cast(ops.reshape(ratio, [-1] + [1] * (back.ndim - 1)), back.dtype)
        return shown, gradients, pull_back(back)[0]

    def _apply_if(
        self: PhasedModel, wanted: Any, optimizer: Any, gradients: Any, moved: Any
    ) -> None:
        before = [v.value for v in moved], [v.value for v in optimizer.variables]
        after = optimizer.stateless_apply(before[1], gradients, before[0])
        for variables, old, new in zip((moved, optimizer.variables), before, after, strict=True):
            for variable, was, becomes in zip(variables, old, new, strict=True):
                variable.assign(ops.where(wanted, becomes, was))

    def _stateless(
        self: PhasedModel, groups: Sequence[Sequence[keras.Variable]], state: Any, step: Any
    ) -> Any:
        mapping = [
            pair
            for group, values in zip(groups, state, strict=True)
            for pair in zip(group, values, strict=True)
        ]
        with keras.StatelessScope(state_mapping=mapping) as scope:
            logs = step()
        return logs, tuple([scope.get_current_value(v) for v in group] for group in groups)

    def _train_step(self: PhasedModel, state: Any, batch: Any) -> Any:
        groups = (
            self.trainable_variables,
            self.non_trainable_variables,
            self.optimizer.variables,
            self.metrics_variables,
        )
        return _stateless(self, groups, state, lambda: self.run_phases(batch))

    def _test_step(self: PhasedModel, state: Any, batch: Any) -> Any:
        groups = (self.trainable_variables, self.non_trainable_variables, self.metrics_variables)
        return _stateless(self, groups, state, lambda: self.evaluate_phases(batch))


PhasedModel.gradients = _gradients
PhasedModel.joint_gradients = _joint_gradients
PhasedModel.apply_if = _apply_if
PhasedModel.train_step = _train_step
PhasedModel.test_step = _test_step
