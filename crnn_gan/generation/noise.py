"""Random numbers: the noises of `MusicModel.generate`, drawn from each piece's seed."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from crnn_gan.generation.controls import Noise

PHILOX = 1  # The algorithm's number in TensorFlow's operations.
NUMBERS_TOGETHER = 4  # float32 numbers that Philox makes of one value of its counter.


def draw(
    noises: Mapping[str, Noise], seeds: Any, before: Mapping[str, Any] | None = None
) -> dict[str, tf.Tensor]:
    """Draws each noise from (row's seed, noise's name, step), never from the batch's shape.

    A row is one stream of the Philox counter generator (Salmon et al. 2011, "Parallel
    random numbers: as easy as 1, 2, 3") with the seed and a hash of the name as its key.
    Time is its slowest axis, so a longer request begins with the shorter one exactly. Any
    two (seed, name) have streams of their own, whatever the other rows are.

    Args:
      noises: as `MusicModel.noise_spec` names them; their first axis is not read.
      seeds: int64 [batch], any number of 64 bits.
      before: by name, how many numbers of a row are passed over, a multiple of 4; none by default.
        What follows the first 1,000 steps is drawn without them.

    Returns:
      float32 tensors [batch, ...] of the shapes that the noises state.
    """
    seeds = tf.convert_to_tensor(seeds, tf.int64)
    before = before or dict.fromkeys(noises, 0)
    return {n: _draw(noise, seeds, stream(n), before[n]) for n, noise in noises.items()}


def draw_numpy(noises: Mapping[str, Noise], seeds: Any) -> dict[str, np.ndarray]:
    """Gives the numbers of `draw` as NumPy arrays, for a model on another backend."""
    return {name: values.numpy() for name, values in draw(noises, seeds).items()}


def between(ones: tf.Tensor, others: tf.Tensor, mix: tf.Tensor) -> tf.Tensor:
    """Gives normal noise between two: along the arc, whose every point is as normal as its ends.

    A line would pass nearer to zero than noise ever is.

    Args:
      ones, others: [batch, ...], drawn independently of each other.
      mix: float32 [batch] in [0, 1]: 0 gives `ones`, 1 `others`.
    """
    angle = tf.reshape(mix, [-1] + [1] * (len(ones.shape) - 1)) * (math.pi / 2)
    blended = tf.cos(angle) * ones + tf.sin(angle) * others
    # The cosine of half a turn is not quite 0.
    return tf.where(angle >= np.float32(math.pi / 2), others, blended)


def stream(name: str) -> int:
    """Gives the int64 that stands for a noise's name: the first 8 bytes of its SHA-256."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big", signed=True)


def numbers_of_row(noise: Noise) -> tf.Tensor:
    """Gives how many numbers a row of a noise has: int64 scalar."""
    return tf.reduce_prod(tf.cast(tf.convert_to_tensor(noise.shape[1:]), tf.int64))


def _draw(noise: Noise, seeds: tf.Tensor, key: int, before: Any) -> tf.Tensor:
    sampler = {
        "uniform": tf.raw_ops.StatelessRandomUniformV2,
        "normal": tf.raw_ops.StatelessRandomNormalV2,
    }[noise.distribution]
    row_shape = tf.convert_to_tensor(noise.shape[1:], tf.int32)
    passed = tf.cast(tf.convert_to_tensor(before, tf.int64) // NUMBERS_TOGETHER, tf.uint64)

    def row(seed: tf.Tensor) -> tf.Tensor:
        both = tf.stack([seed, tf.constant(key, tf.int64)])
        # As tf.random.stateless_uniform and its like, but for where the counter begins.
        own_key, counter = tf.raw_ops.StatelessRandomGetKeyCounter(seed=both)
        counter = tf.stack([counter[0] + passed, counter[1]])
        return sampler(shape=row_shape, key=own_key, counter=counter, alg=PHILOX)

    rows = tf.map_fn(row, seeds, fn_output_signature=tf.float32)
    known = [size if isinstance(size, int) else None for size in noise.shape[1:]]
    return tf.ensure_shape(rows, [None, *known])
