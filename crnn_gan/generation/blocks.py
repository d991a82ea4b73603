"""Pieces written block after block, in the memory of one block and of what is written."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from crnn_gan.generation import noise
from crnn_gan.generation.controls import GeneratesMusic
from crnn_gan.generation.excerpt import Excerpt
from crnn_gan.generation.memory import LIMIT_BYTES, Memory
from pipelines.codecs.codec import Codec

# Copies that may be alive at once; benchmarks/sampling_memory.py measures what comes of them.
STATES, BLOCKS, ARRAYS = 4, 6, 4


def pieces(
    model: GeneratesMusic,
    codec: Codec,
    seeds: Any,
    lengths: Any,
    controls: Mapping[str, Any],
    primer: Any = None,
    excerpt: Excerpt | None = None,
) -> dict[str, tf.Tensor]:
    """Makes one piece a seed. Checks nothing.

    Args:
      model: on the TensorFlow backend; its `generate` makes all as long as the longest.
      codec: makes files and notes of the model's arrays.
      seeds: int64 [batch], one or more.
      lengths: int32 [batch], steps of each piece.
      controls: all that the model has, each [batch].
      primer: [steps, ...] that all pieces begin with, before their length counts; or None.
      excerpt: the steps of each piece that are given, the others are cut away; None for all.

    Returns:
      What `codec.output_descriptions` names, each [batch, ...]: the bytes of complete files, and
      what is in them as numbers.
    """
    from crnn_gan.layers.loops import forward_only  # Imports Keras, which `load` does without.
    from crnn_gan.layers.recurrent_stack import REGISTER

    batch = tf.size(seeds)
    # Rows that nobody asked for are made, and cut away, so that a piece is the same in any batch.
    together = model.rows_together
    rows = tf.minimum(tf.range((batch + together - 1) // together * together), batch - 1)
    seeds = tf.gather(tf.cast(seeds, tf.int64), rows)
    lengths = tf.gather(tf.cast(lengths, tf.int32), rows)
    controls = {
        n: tf.gather(tf.cast(v, model.controls[n].dtype), rows) for n, v in controls.items()
    }
    spec = codec.spec
    is_integer = np.issubdtype(spec.dtype, np.integer)
    dtype = tf.uint8 if spec.kind == "roll" else tf.int32 if is_integer else tf.float32
    with forward_only():
        arrays = _write(model, seeds, lengths, controls, primer, batch, dtype)
    lengths = lengths[:batch]
    if primer is not None:
        begun = tf.repeat(tf.cast(primer, dtype)[None], batch, axis=0)
        arrays, lengths = tf.concat([begun, arrays], 1), lengths + tf.shape(primer)[0]
    if excerpt is not None:
        arrays = arrays[:, excerpt.first - 1 : excerpt.last]
        lengths = tf.clip_by_value(lengths - (excerpt.first - 1), 0, excerpt.steps)
    if not is_integer:
        # Whole vector registers, as `rows_together` says: codecs compute with these numbers.
        filling = -tf.shape(arrays)[1] % REGISTER
        arrays = tf.pad(arrays, [[0, 0], [0, filling], *[[0, 0]] * (len(spec.shape) - 1)])
    return codec.outputs(arrays, lengths)


def _write(
    model: GeneratesMusic,
    seeds: tf.Tensor,
    lengths: tf.Tensor,
    controls: Mapping[str, tf.Tensor],
    primer: tf.Tensor | None,
    count: tf.Tensor,
    dtype: tf.DType,
) -> tf.Tensor:
    """Gives the arrays [count, time, ...] of pieces, as long as the longest.

    Args:
      model: on the TensorFlow backend.
      seeds: int64 [batch], in a multiple of `model.rows_together`.
      lengths: int32 [batch], steps of each piece.
      controls: all that the model has, each [batch].
      primer: [steps, ...] that all pieces go on from; or None.
      count: how many of the pieces, from the first on, are given.
      dtype: of what is given.
    """
    time = tf.reduce_max(lengths)
    known = {"length": lengths, "primer": primer} if model.continues else {}
    if not model.steps_together:
        drawn = _draw(model, seeds, controls, time)
        return tf.cast(model.generate(drawn, **known, **controls)[:count], dtype)
    together = tf.constant(model.steps_together)
    begun = {"primer": primer} if model.continues else {}
    state = model.begin(lengths, _draw(model, seeds, controls, None), **begun, **controls)
    blocks = (time + together - 1) // together
    shape = [None, None, *model.spec.shape[1:]]  # [steps, count, ...]: the last block is shorter.
    written = tf.TensorArray(dtype, blocks, element_shape=shape, infer_shape=False)

    def body(at: tf.Tensor, state: Any, written: tf.TensorArray) -> tuple[Any, ...]:
        first = at * together
        steps = tf.minimum(together, time - first)
        drawn = _draw(model, seeds, controls, steps, first)
        state, arrays = model.extend(state, drawn, **controls)
        return at + 1, state, written.write(at, _swapped(tf.cast(arrays[:count], dtype)))

    loop = (tf.constant(0), state, written)
    # One after the other: the noise of those to come would wait in memory.
    loop = tf.while_loop(lambda at, *_: at < blocks, body, loop, parallel_iterations=1)
    return _swapped(loop[2].concat())


def memory_of(model: GeneratesMusic, codec: Codec) -> Memory:
    """Gives the bounds of a model's requests, by its noises, state, activations and codec."""
    steps = model.steps_together or 1
    cells = math.prod(size or 1 for size in model.spec.shape[1:])
    noises = model.noise_spec(1, steps).values()
    numbers = cells + sum(math.prod(n.shape) for n in noises if n.per_step) / steps
    of_row = 4 * sum(math.prod(n.shape) for n in noises if not n.per_step)
    if model.steps_together:
        # What the rows share, such as weights in another layout, is no part of a row.
        of_row += _bytes_of_state(model, 2) - _bytes_of_state(model, 1)
    return Memory(
        limit_bytes=LIMIT_BYTES,
        rows_together=model.rows_together,
        steps_together=model.steps_together,
        bytes_per_row=STATES * of_row + model.bytes_per_row,
        bytes_per_row_and_step=math.ceil(BLOCKS * 4 * numbers) + model.bytes_per_row_and_step,
        bytes_per_step=ARRAYS * 4 * cells + codec.bytes_per_step,
    )


def _bytes_of_state(model: GeneratesMusic, rows: int) -> int:
    seeds, values = tf.zeros(rows, tf.int64), {}
    for name, control in model.controls.items():
        value = np.full((rows, *np.shape(control.default)), control.default, control.dtype)
        values[name] = tf.constant(value)
    state = model.begin(tf.ones(rows, tf.int32), _draw(model, seeds, values, None), **values)
    return sum(np.asarray(x).nbytes for x in tf.nest.flatten(state))


def _draw(
    model: GeneratesMusic,
    seeds: tf.Tensor,
    controls: Mapping[str, tf.Tensor],
    steps: tf.Tensor | None,
    first: tf.Tensor | None = None,
) -> dict[str, tf.Tensor]:
    """Draws the noises of some steps.

    Args:
      model, seeds, controls: as for `write`.
      steps: how many; None draws those noises alone that are not per step.
      first: the step that they begin with; None draws all noises of whole pieces.
    """
    spec = model.noise_spec(tf.size(seeds), 1 if steps is None else steps)
    if first is None:
        before = {name: 0 for name, each in spec.items() if steps is not None or not each.per_step}
    else:
        passed = model.noise_spec(1, first)
        before = {n: noise.numbers_of_row(passed[n]) for n, each in spec.items() if each.per_step}
    spec = {name: spec[name] for name in before}
    drawn = noise.draw(spec, seeds, before)
    for name in model.interpolated:
        if name in drawn:
            other_seeds = tf.cast(controls["other_seed"], tf.int64)
            others = noise.draw({name: spec[name]}, other_seeds, before)
            drawn[name] = noise.between(drawn[name], others[name], controls["mix"])
    return drawn


def _swapped(x: tf.Tensor) -> tf.Tensor:
    """Gives [batch, time, ...] as [time, batch, ...], or the other way round."""
    order = (1, 0, *range(2, len(x.shape)))
    if x.dtype == tf.int32 and len(order) > 2:
        # Categories of cells, below 2**24: of whole numbers oneDNN says that it transposes none.
        return tf.cast(tf.transpose(tf.cast(x, tf.float32), order), tf.int32)
    return tf.transpose(x, order)
