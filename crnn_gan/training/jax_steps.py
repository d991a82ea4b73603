"""The primitives of a training step on JAX: gradients, conditional updates, fit()'s step.

The same functions as `tensorflow_steps.py`; `phases.py` imports one or the other by Keras' backend.
JAX functions are pure. A step runs in one StatelessScope, which keeps assignments to variables and
gives them where variables are read; each differentiated function runs in a scope of its own, whose
assignments are then carried over.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import keras
from keras import ops


def make_deterministic(seed: int) -> None:
    """Makes runs bitwise reproducible on one machine: seeds all; XLA fixes the orders."""
    keras.utils.set_random_seed(seed)


def leading_steps(x: Any, length: Any) -> tuple[Any, Any]:
    """Gives all steps of [batch, time, ...] and the mask of the first; see TensorFlow's."""
    mask = ops.arange(x.shape[1]) < length
    return x, ops.broadcast_to(mask, x.shape[:2])


def input_gradient(function: Callable[[Any], Any], x: Any) -> Any:
    """Gives d sum(function(x)) / dx."""
    return jax.grad(lambda v: ops.sum(function(v)))(x)


def _scoped(
    model: keras.Model, function: Callable, variables: Sequence[keras.Variable]
) -> Callable:
    every = [(v, v.value) for v in model.variables]
    side = [v for v in model.variables if not v.trainable]

    def run(values: Sequence[Any], *args: Any) -> tuple[Any, Any]:
        moved = {id(v): value for v, value in zip(variables, values, strict=True)}
        mapping = [(v, moved.get(id(v), value)) for v, value in every]
        with keras.StatelessScope(state_mapping=mapping) as scope:
            result = function(*args)
        return result, [scope.get_current_value(v) for v in side]

    return run


def _carry_over(model: keras.Model, values: Sequence[Any]) -> None:
    for variable, value in zip(
        (v for v in model.variables if not v.trainable), values, strict=True
    ):
        if value is not None:
            variable.assign(value)


def gradients(model: keras.Model, loss: Callable, variables: Sequence[keras.Variable]) -> Any:
    """Gives (auxiliary outputs of the loss, gradients by `variables`).

    Args:
      model: the loss depends on its variables.
      loss: () -> (scalar to differentiate, auxiliary outputs).
      variables: to differentiate by.
    """
    run = _scoped(model, loss, variables)

    def scalar(values: Sequence[Any]) -> tuple[Any, Any]:
        (scaled, auxiliary), side = run(values)
        return scaled, (auxiliary, side)

    (_, (auxiliary, side)), gradients = jax.value_and_grad(scalar, has_aux=True)(
        [v.value for v in variables]
    )
    _carry_over(model, side)
    return auxiliary, gradients


def joint_gradients(
    model: keras.Model,
    produce: Callable,
    losses_of_both: Callable,
    generator: Sequence[keras.Variable],
    critic: Sequence[keras.Variable],
) -> Any:
    """Gives (what else `losses_of_both` gave, gradients by `critic`, gradients by `generator`).

    Args:
      model: whose variables they read.
      produce: () -> generated batch.
      losses_of_both: generated batch -> (scalar to differentiate, ratio [batch], anything else);
        the generator's gradient is, row by row, ratio times the scalar's by what it generated.
      generator, critic: variables to differentiate by.
    """
    generated, pull_back, side = jax.vjp(
        _scoped(model, produce, generator), [v.value for v in generator], has_aux=True
    )
    _carry_over(model, side)
    run = _scoped(model, losses_of_both, critic)

    def scalar(values: Sequence[Any], generated: Any) -> tuple[Any, Any]:
        (scaled, ratio, shown), side = run(values, generated)
        return scaled, (ratio, shown, side)

    (_, (ratio, shown, side)), (gradients, back) = jax.value_and_grad(
        scalar, argnums=(0, 1), has_aux=True
    )([v.value for v in critic], generated)
    _carry_over(model, side)
    back = back * ops.cast(ops.reshape(ratio, [-1] + [1] * (back.ndim - 1)), back.dtype)
    return shown, gradients, pull_back(back)[0]


def apply_if(model: keras.Model, wanted: Any, optimizer: Any, gradients: Any, moved: Any) -> None:
    """Applies gradients to the variables `moved` where `wanted`, a scalar bool, is true."""
    before = [v.value for v in moved], [v.value for v in optimizer.variables]
    after = optimizer.stateless_apply(before[1], gradients, before[0])
    for variables, old, new in zip((moved, optimizer.variables), before, after, strict=True):
        for variable, was, becomes in zip(variables, old, new, strict=True):
            variable.assign(ops.where(wanted, becomes, was))


def repeat_while(model: keras.Model, again: Any, run: Any, loss: Any, most: int) -> Any:
    """Calls `run` while `again` holds of its last loss; see TensorFlow's."""
    variables = [*model.variables, *model.optimizer.variables]

    def wanted(carried: Any) -> Any:
        count, loss, _ = carried
        return (count < most) & again(loss)

    def once(carried: Any) -> Any:
        count, _, values = carried
        mapping = list(zip(variables, values, strict=True))
        with keras.StatelessScope(state_mapping=mapping) as scope:
            loss = run()
        return count + 1, loss, [scope.get_current_value(v) for v in variables]

    first = (jax.numpy.int32(0), loss, [v.value for v in variables])
    count, _, values = jax.lax.while_loop(wanted, once, first)
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)
    return count


def _stateless(
    model: keras.Model, groups: Sequence[Sequence[keras.Variable]], state: Any, step: Any
) -> Any:
    mapping = [
        pair
        for group, values in zip(groups, state, strict=True)
        for pair in zip(group, values, strict=True)
    ]
    with keras.StatelessScope(state_mapping=mapping) as scope:
        logs = step()
    return logs, tuple([scope.get_current_value(v) for v in group] for group in groups)


def train_step(model: keras.Model, state: Any, batch: Any) -> Any:
    """Runs the model's phases on a batch, as fit() wants it."""
    groups = (
        model.trainable_variables,
        model.non_trainable_variables,
        model.optimizer.variables,
        model.metrics_variables,
    )
    return _stateless(model, groups, state, lambda: model.run_phases(batch))


def test_step(model: keras.Model, state: Any, batch: Any) -> Any:
    """Runs the model's losses on a batch, as evaluate() wants it."""
    groups = (model.trainable_variables, model.non_trainable_variables, model.metrics_variables)
    return _stateless(model, groups, state, lambda: model.evaluate_phases(batch))
