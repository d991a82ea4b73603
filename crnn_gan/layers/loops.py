"""Loops over time and hand-written gradients, on TensorFlow and JAX.

The one file of the recurrent layers that names a backend. A series is what a loop has
written, one element a step: on JAX an array, on TensorFlow a TensorArray, so that what
only another loop reads is never copied into one tensor.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import keras

Step = Callable[[tuple[Any, ...], Sequence[Any]], tuple[tuple[Any, ...], tuple[Any, ...]]]


_is_forward_only = ContextVar("is_forward_only", default=False)


@contextmanager
def forward_only() -> Iterator[None]:
    """Within it `with_gradient` computes alone.

    For a graph that is saved: a SavedModel cannot hold gradients written in Python, and
    warns of each at loading.
    """
    token = _is_forward_only.set(True)
    try:
        yield
    finally:
        _is_forward_only.reset(token)


def _on_jax() -> bool:
    name = keras.backend.backend()
    if name not in ("tensorflow", "jax"):
        raise ValueError(
            f"the recurrent layers run on tensorflow and jax, not on {name!r}: set KERAS_BACKEND"
        )
    return name == "jax"


def scan(
    step: Step,
    initial: Sequence[Any],
    elements: Sequence[Any],
    sizes: Sequence[int],
    reverse: bool = False,
) -> list[Any]:
    """Gives what `step` returns over time, as series.

    `keras.ops.scan` would do, but for its gradient on TensorFlow, which is slow and fails
    under XLA.

    Args:
      step: from (state, elements of this step) to (next state, outputs of this step).
      initial: the state before the first step, float32 tensors [batch, size].
      elements: tensors [time, batch, size] or series. time is 1 or more, and may be
        unknown while TensorFlow traces.
      sizes: the last axis of each output; outputs are float32 [batch, size].
      reverse: from the last step to the first; outputs stay aligned with `elements`.

    Returns:
      A series for each output of `step`.
    """
    if _on_jax():
        import jax

        return list(jax.lax.scan(step, tuple(initial), tuple(elements), reverse=reverse)[1])
    import tensorflow as tf

    reads = [_tensor_array(tf, element) for element in elements]
    time, batch = reads[0].size(), initial[0].shape[0]
    # Eager gradients may read an element twice.
    writes = tuple(
        tf.TensorArray(tf.float32, time, element_shape=(batch, size), clear_after_read=False)
        for size in sizes
    )

    def body(count: Any, state: Any, writes: Any) -> tuple[Any, Any, Any]:
        at = time - 1 - count if reverse else count
        state, outputs = step(state, [array.read(at) for array in reads])
        pairs = zip(writes, outputs, strict=True)
        return count + 1, state, tuple(array.write(at, output) for array, output in pairs)

    loop = (0, tuple(initial), writes)
    return list(tf.while_loop(lambda count, *_: count < time, body, loop)[2])


def _tensor_array(tf: Any, element: Any) -> Any:
    if isinstance(element, tf.TensorArray):
        return element
    time = tf.shape(element)[0]
    shape = element.shape[1:]
    array = tf.TensorArray(element.dtype, time, element_shape=shape, clear_after_read=False)
    return array.unstack(element)


def stacked(series: Any) -> Any:
    """Gives a series as one tensor [time, batch, size]."""
    return series if _on_jax() else series.stack()


def with_gradient(
    function: Callable[..., tuple[Any, Callable]], inputs: Sequence[Any], constants: Sequence[Any]
) -> Any:
    """Gives what `function` computes, with the gradient that it says.

    Args:
      function: from (*inputs, *constants) to (output tensor, gradient); `gradient` takes
        the derivative by the output and gives a tuple of derivatives, shaped as `inputs`.
        What `gradient` computes may itself be differentiated.
      inputs: tensors, or nested tuples of them, to differentiate by.
      constants: tensors and series that no derivative flows to.
    """
    if _is_forward_only.get():
        return function(*inputs, *constants)[0]
    if not _on_jax():
        import tensorflow as tf

        inputs = tf.nest.map_structure(tf.convert_to_tensor, tuple(inputs))  # Not variables.
        return tf.custom_gradient(lambda *inputs: function(*inputs, *constants))(*inputs)
    import jax

    def padded(*arguments: Any) -> tuple[Any, Callable]:
        output, gradient = function(*arguments)
        return output, lambda upstream: (*gradient(upstream), *(None for _ in constants))

    constants = [jax.lax.stop_gradient(constant) for constant in constants]
    return jax.custom_gradient(padded)(*inputs, *constants)
