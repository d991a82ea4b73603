"""windows: where the windows of a batch lie, drawn from (seed, step), and their music.

Each draw has a stream of its own under the seed, so that a new kind of draw changes no
other. A row of a batch is drawn alike whichever of the rows a process makes.
"""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

import tensorflow as tf

# Streams of draws: of an epoch's visits, a step's places, its numbers for the transform, its
# transposition and stretch, and an epoch's order of shards.
VISITS, PLACES, UNIFORM, TRANSPOSITION, STRETCH, SHARDS = range(6)


@dataclasses.dataclass(frozen=True)
class Sampling:
    """How windows are drawn.

    Attributes:
      length: steps of a window.
      look_ahead: steps after it that are gathered too, where the piece has them.
      batch_size: windows of a batch.
      seed: of every draw.
      windows_per_piece: visits of a piece in an epoch.
      lead: how many times the first place of a piece counts beside every other: a window that
        would begin so many steps before the piece, or fewer, begins with it.
      by_length: a piece is visited so often for each window's length of it, not once whatever its
        length, so that each of its steps is as likely as those of other pieces.
      stride: windows begin with the piece, or a multiple of so many steps later.
    """

    length: int
    look_ahead: int
    batch_size: int
    seed: int
    windows_per_piece: int
    lead: int = 0
    by_length: bool = False
    stride: int = 1

    def visits(self, sizes: Any) -> Any:
        """Gives how often each piece is visited before any is visited again so: [piece].

        Args:
          sizes: [piece], steps of each; a NumPy array or a tensor of int64.
        """
        return -(-sizes // self.length) if self.by_length else sizes * 0 + 1

    def seed_of(self, stream: int, count: Any) -> tf.Tensor:
        """Gives the int64 [2] seed of a stream at an epoch or a step."""
        seed = tf.constant([self.seed, stream], tf.int64)
        return tf.random.fold_in(seed, count, alg="philox")

    def uniform(self, stream: int, step: tf.Tensor, slots: tf.Tensor) -> tf.Tensor:
        """Draws a number in [0, 1) for each of some rows of a step's batch: float64 [slot]."""
        drawn = tf.random.stateless_uniform(
            [self.batch_size], self.seed_of(stream, step), dtype=tf.float64, alg="philox"
        )
        return tf.gather(drawn, slots)


class Music(NamedTuple):
    """The music of pieces that are long enough for a window, in the machine's memory.

    Attributes:
      steps: [step, ...], pieces one after the other.
      starts, sizes: int64 [piece], where each begins in it, and its steps.
      classes: for each class of the spec int32 [piece].
    """

    steps: tf.Tensor
    starts: tf.Tensor
    sizes: tf.Tensor
    classes: dict[str, tf.Tensor]


class Rows(NamedTuple):
    """Rows of a batch as they lie in their pieces.

    Attributes:
      music: [row, length + look_ahead, ...]; the last step repeats beyond the piece's end.
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
      visit: int64 [row], 0 or more.
      sizes: int64 [piece], steps of each.
    """
    ends = tf.cumsum(sampling.visits(sizes))
    return tf.searchsorted(ends, visit % ends[-1], side="right", out_type=tf.int64)


def cut(
    sampling: Sampling, music: Music, piece: tf.Tensor, step: tf.Tensor, slots: tf.Tensor
) -> Rows:
    """Cuts one window out of each visited piece, at a place drawn from (seed, step).

    Args:
      piece: int64 [row], the piece that each row visits.
      step: int64 scalar.
      slots: int64 [row], the place of each row in the step's whole batch.
    """
    sizes = tf.gather(music.sizes, piece)
    # A piece that is shorter than a window has one place, its beginning.
    starts = tf.cast(tf.maximum(sizes - sampling.length, 0) + 1 + sampling.lead, tf.float64)
    start_step = tf.cast(sampling.uniform(PLACES, step, slots) * starts, tf.int64)
    start_step = tf.maximum(start_step - sampling.lead, 0) // sampling.stride * sampling.stride
    valid_steps = tf.minimum(sizes - start_step, sampling.length + sampling.look_ahead)
    offsets = tf.range(sampling.length + sampling.look_ahead, dtype=tf.int64)[None, :]
    offsets = tf.minimum(offsets, valid_steps[:, None] - 1)
    start = tf.gather(music.starts, piece) + start_step
    steps = tf.gather(music.steps, start[:, None] + offsets)
    classes = {name: tf.gather(v, piece) for name, v in music.classes.items()}
    return Rows(steps, valid_steps, start_step, classes)
