"""windows: where the windows of a batch start, drawn from (seed, step), and their arrays.

Each kind of random number has a stream of its own under the seed, so that a new kind changes
no other. A row of a batch is the same whichever of the rows a process makes.
"""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

import tensorflow as tf

# Random streams: order of the visits of an epoch; start steps, numbers for the transform,
# transposition and stretch of a batch; order of the shards of an epoch.
VISITS, PLACES, UNIFORM, TRANSPOSITION, STRETCH, SHARDS = range(6)


@dataclasses.dataclass(frozen=True)
class Sampling:
    """How windows are drawn at random.

    Attributes:
      window_steps: steps of a window.
      look_ahead_steps: steps after it that are gathered too, where the piece has them.
      batch_size: windows per batch.
      seed: random seed.
      windows_per_piece: visits of a piece per epoch, one window each.
      lead_steps: makes the start of a piece likelier: start steps are drawn from -lead_steps on,
        and those below 0 become 0. With 4, step 0 is 5 times as likely as step 1.
      by_length: visits a piece once for each `window_steps` of its length, so that steps of long
        and short pieces are equally likely; else each piece is visited equally often.
      stride: start steps are multiples of it.
    """

    window_steps: int
    look_ahead_steps: int
    batch_size: int
    seed: int
    windows_per_piece: int
    lead_steps: int = 0
    by_length: bool = False
    stride: int = 1

    def visits(self, sizes: Any) -> Any:
        """Gives the visits of each piece, for one window per piece: [piece].

        Args:
          sizes: [piece], steps of each; a NumPy array or a tensor of int64.
        """
        return -(-sizes // self.window_steps) if self.by_length else sizes * 0 + 1

    def seed_of(self, stream: int, count: Any) -> tf.Tensor:
        """Gives the int64 [2] random seed of a stream at an epoch or a training step."""
        seed = tf.constant([self.seed, stream], tf.int64)
        return tf.random.fold_in(seed, count, alg="philox")

    def uniform(self, stream: int, step: tf.Tensor, slots: tf.Tensor) -> tf.Tensor:
        """Draws a uniform number in [0, 1) for some rows of a step's batch: float64 [slot]."""
        drawn = tf.random.stateless_uniform(
            [self.batch_size], self.seed_of(stream, step), dtype=tf.float64, alg="philox"
        )
        return tf.gather(drawn, slots)


class Music(NamedTuple):
    """The arrays of pieces that are as long as a window or longer, in host memory.

    Attributes:
      steps: [step, ...], the arrays of all pieces concatenated.
      starts, sizes: int64 [piece], where each piece begins in `steps`, and its length in steps.
      classes: for each class of the spec int32 [piece].
    """

    steps: tf.Tensor
    starts: tf.Tensor
    sizes: tf.Tensor
    classes: dict[str, tf.Tensor]


class Rows(NamedTuple):
    """Rows of a batch as they were cut out of their pieces.

    Attributes:
      music: [row, window_steps + look_ahead_steps, ...]; padded by repeating the last step.
      valid_steps: int64 [row], steps before the padding: those of the piece.
      start_step: int64 [row], the step of the piece that the row begins with.
      classes: for each class of the spec int32 [row].
    """

    music: tf.Tensor
    valid_steps: tf.Tensor
    start_step: tf.Tensor
    classes: dict[str, tf.Tensor]


def visited(sampling: Sampling, visit: tf.Tensor, sizes: tf.Tensor) -> tf.Tensor:
    """Gives the piece of each visit: int64 [row].

    Args:
      visit: int64 [row], number of a visit, 0 or more.
      sizes: int64 [piece], length in steps.
    """
    ends = tf.cumsum(sampling.visits(sizes))
    return tf.searchsorted(ends, visit % ends[-1], side="right", out_type=tf.int64)


def cut(
    sampling: Sampling, music: Music, piece: tf.Tensor, step: tf.Tensor, slots: tf.Tensor
) -> Rows:
    """Cuts one window out of each visited piece, from a start step drawn from (seed, step).

    Args:
      piece: int64 [row], the piece that each row visits.
      step: int64 scalar, training step.
      slots: int64 [row], index of each row in the whole batch.
    """
    sizes = tf.gather(music.sizes, piece)
    # A piece that is shorter than a window has one start step, 0.
    starts = tf.cast(
        tf.maximum(sizes - sampling.window_steps, 0) + 1 + sampling.lead_steps, tf.float64
    )
    start_step = tf.cast(sampling.uniform(PLACES, step, slots) * starts, tf.int64)
    start_step = (
        tf.maximum(start_step - sampling.lead_steps, 0) // sampling.stride * sampling.stride
    )
    valid_steps = tf.minimum(sizes - start_step, sampling.window_steps + sampling.look_ahead_steps)
    offsets = tf.range(sampling.window_steps + sampling.look_ahead_steps, dtype=tf.int64)[None, :]
    offsets = tf.minimum(offsets, valid_steps[:, None] - 1)
    start = tf.gather(music.starts, piece) + start_step
    steps = tf.gather(music.steps, start[:, None] + offsets)
    classes = {name: tf.gather(v, piece) for name, v in music.classes.items()}
    return Rows(steps, valid_steps, start_step, classes)
