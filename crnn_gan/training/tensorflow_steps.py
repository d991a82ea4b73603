"""The primitives of a training step on TensorFlow: gradients, conditional updates, fit()'s step.

The same functions as `jax_steps.py`; `phases.py` takes one or the other by Keras' backend.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf


def make_deterministic(seed: int) -> None:
    """Makes runs bitwise reproducible on one machine: seeds all, fixes the order of operations."""
    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()


def leading_steps(x: Any, length: Any) -> tuple[Any, Any]:
    """Gives the first `length` steps of [batch, time, ...] and their mask, bool [batch, time].

    `length` is a scalar tensor, so that growing sequences share one graph. TensorFlow cuts x; JAX,
    whose shapes are fixed, keeps all steps and masks the later ones.
    """
    x = x[:, : tf.convert_to_tensor(length)]
    return x, tf.ones(tf.shape(x)[:2], tf.bool)


def input_gradient(function: Callable[[Any], Any], x: Any) -> Any:
    """Gives d sum(function(x)) / dx."""
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = function(x)
    return tape.gradient(y, x)


def gradients(model: keras.Model, loss: Callable, variables: Sequence[keras.Variable]) -> Any:
    """Gives (auxiliary outputs of the loss, gradients by `variables`).

    Args:
      model: the loss depends on its variables.
      loss: () -> (scalar to differentiate, auxiliary outputs).
      variables: to differentiate by.
    """
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch([v.value for v in variables])
        scaled, auxiliary = loss()
    return auxiliary, _dense(tape.gradient(scaled, [v.value for v in variables]), variables)


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
    with tf.GradientTape(watch_accessed_variables=False) as outer:
        outer.watch([v.value for v in generator])
        generated = produce()
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch([generated, *(v.value for v in critic)])
        scaled, ratio, shown = losses_of_both(generated)
    *gradients, back = tape.gradient(scaled, [*(v.value for v in critic), generated])
    back *= tf.cast(tf.reshape(ratio, [-1] + [1] * (len(back.shape) - 1)), back.dtype)
    produced = outer.gradient(generated, [v.value for v in generator], output_gradients=back)
    return shown, _dense(gradients, critic), _dense(produced, generator)


def _dense(gradients: Sequence[Any], variables: Sequence[keras.Variable]) -> list[Any]:
    """Gives each gradient as a tensor; zeros where the loss does not depend on the variable."""
    return [
        tf.zeros(v.shape, v.dtype) if g is None else tf.convert_to_tensor(g)
        for g, v in zip(gradients, variables, strict=True)
    ]


def apply_if(model: keras.Model, wanted: Any, optimizer: Any, gradients: Any, moved: Any) -> None:
    """Applies gradients to the variables `moved` where `wanted`, a scalar bool, is true."""

    def apply() -> Any:
        optimizer.apply(gradients, moved)
        return tf.constant(True)

    tf.cond(wanted, apply, lambda: tf.constant(False))


def repeat_while(model: keras.Model, again: Any, run: Any, loss: Any, most: int) -> Any:
    """Calls `run` while `again` holds of its last loss; gives the number of calls, int32.

    Args:
      model: `run` updates its variables and its optimizers'.
      again: loss -> whether to call `run`, a scalar bool.
      run: () -> the next loss, a float32 scalar.
      loss: the first loss.
      most: largest number of calls.
    """
    count, _ = tf.while_loop(
        lambda _, loss: again(loss), lambda count, _: (count + 1, run()), (0, loss),
        maximum_iterations=most,
    )  # fmt: skip
    return count


def train_step(model: keras.Model, batch: Any) -> dict[str, Any]:
    """Runs the model's phases on a batch, as fit() wants it."""
    return model.run_phases(batch)


def test_step(model: keras.Model, batch: Any) -> dict[str, Any]:
    """Runs the model's losses on a batch, as evaluate() wants it."""
    return model.evaluate_phases(batch)
