"""Loops over time and custom gradients, on TensorFlow and JAX.

The one file of the layers that names a backend. A series is the output of a loop, one element per
step: on JAX an array; on TensorFlow a TensorArray, so that what only another loop reads is never
copied into one tensor; from a compiled loop a tensor.
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
    """Within it `with_gradient` leaves the custom gradient out.

    For a graph that is saved: a SavedModel cannot hold gradients written in Python, and warns of
    each at loading.
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
    """Gives the outputs of `step` over time, as series.

    In place of `keras.ops.scan`, whose gradient on TensorFlow is slow and fails under XLA.

    Args:
      step: from (state, elements of this step) to (next state, outputs of this step).
      initial: the state before the first step, tensors [batch, ...] or nested tuples of them.
      elements: tensors [time, batch, ...] or series. time is 1 or more, and may be
        unknown while TensorFlow traces.
      sizes: the last axis of each output; outputs are float32 [batch, size].
      reverse: from the last step to the first; outputs stay aligned with `elements`.

    Returns:
      A series for each output of `step`.
    """
    return list(run(step, initial, elements, sizes, reverse)[1])


def fold(step: Step, initial: Sequence[Any], elements: Sequence[Any]) -> tuple[Any, ...]:
    """Gives the state after the last step, of a `step` without outputs; see `scan`."""
    return run(step, initial, elements, ())[0]


def run(
    step: Step,
    initial: Sequence[Any],
    elements: Sequence[Any],
    sizes: Sequence[int],
    reverse: bool = False,
) -> tuple[Any, Any]:
    """Gives (the state after the last step, a series for each output); see `scan`."""
    if _on_jax():
        import jax

        return jax.lax.scan(step, tuple(initial), tuple(elements), reverse=reverse)
    import tensorflow as tf

    reads = [_tensor_array(tf, element) for element in elements]
    time, batch = reads[0].size(), reads[0].element_shape[0]
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
    # XLA cannot differentiate a loop whose longest run it does not know.
    return tf.while_loop(lambda count, *_: count < time, body, loop, maximum_iterations=time)[1:]


def run_compiled(
    step: Step,
    initial: Sequence[Any],
    elements: Sequence[Any],
    sizes: Sequence[int],
    chunk: int = 256,
) -> tuple[Any, Any]:
    """Gives the same as `run`, by steps that XLA compiles; for generation, without gradients.

    On TensorFlow a plain loop takes longer to dispatch the small operations of a step than to
    compute them. XLA fuses them, but would compile the loop anew for every length. So an outer
    loop calls a compiled one of `chunk` steps: one compilation for each batch size, at the first
    call, whatever the length. The last chunk stops where the elements end. On JAX this is `run`,
    as JAX compiles what calls it.

    Call it within a tf.function, which may be saved; called outside one it compiles each time.

    Args:
      step, initial, elements, sizes: as for `scan`.
      chunk: steps of a compiled loop, 1 or more.
    """
    if _on_jax():
        return run(step, initial, elements, sizes)
    import tensorflow as tf

    elements = [stacked(element) for element in elements]
    time, batch = tf.shape(elements[0])[0], elements[0].shape[1]
    chunks = (time + chunk - 1) // chunk
    whole = [_in_chunks(tf, element, chunks, chunk) for element in elements]

    @tf.function(jit_compile=True, autograph=False)
    def compiled(steps: Any, state: Any, elements: Any) -> Any:
        writes = tuple(tf.TensorArray(tf.float32, chunk, element_shape=(batch, s)) for s in sizes)

        def body(at: Any, state: Any, writes: Any) -> tuple[Any, Any, Any]:
            state, outputs = step(state, [element[at] for element in elements])
            pairs = zip(writes, outputs, strict=True)
            return at + 1, state, tuple(array.write(at, output) for array, output in pairs)

        loop = (0, state, writes)
        _, state, writes = tf.while_loop(
            lambda at, *_: at < steps, body, loop, maximum_iterations=chunk
        )
        return state, [array.stack() for array in writes]

    def body(at: Any, state: Any, writes: Any) -> tuple[Any, Any, Any]:
        steps = tf.minimum(chunk, time - at * chunk)
        state, outputs = compiled(steps, state, [element[at] for element in whole])
        pairs = zip(writes, outputs, strict=True)
        return at + 1, state, tuple(array.write(at, output) for array, output in pairs)

    writes = tuple(
        tf.TensorArray(tf.float32, chunks, element_shape=(chunk, batch, size)) for size in sizes
    )
    loop = (0, tuple(initial), writes)
    _, state, writes = tf.while_loop(lambda at, *_: at < chunks, body, loop)
    return state, [array.concat()[:time] for array in writes]


def _in_chunks(tf: Any, element: Any, chunks: Any, chunk: int) -> Any:
    """Gives [chunks, chunk, ...] of [time, ...], with zeros at the end."""
    shape = tf.shape(element)
    zeros = tf.zeros(tf.concat([[chunks * chunk - shape[0]], shape[1:]], 0), element.dtype)
    chunked = tf.reshape(tf.concat([element, zeros], 0), tf.concat([[chunks, chunk], shape[1:]], 0))
    return tf.ensure_shape(chunked, (None, chunk, *element.shape[1:]))


def _tensor_array(tf: Any, element: Any) -> Any:
    if isinstance(element, tf.TensorArray):
        return element
    time = tf.shape(element)[0]
    shape = element.shape[1:]
    array = tf.TensorArray(element.dtype, time, element_shape=shape, clear_after_read=False)
    return array.unstack(element)


def stacked(series: Any) -> Any:
    """Gives a series as one tensor [time, batch, size]."""
    return series.stack() if hasattr(series, "stack") else series


def with_gradient(
    function: Callable[..., tuple[Any, Callable]], inputs: Sequence[Any], constants: Sequence[Any]
) -> Any:
    """Gives the output of `function`, with the custom gradient that it gives.

    Args:
      function: from (*inputs, *constants) to (output tensor, gradient); `gradient` takes
        the derivative by the output and gives a tuple of derivatives, shaped as `inputs`. It may
        itself be differentiated.
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
