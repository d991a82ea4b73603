"""windows: where the windows of a batch start, drawn from (seed, step), and their arrays.

Each kind of random number has a stream of its own under the seed, so that a new kind changes
no other. A row of a batch is the same whichever of the rows a process makes.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any, NamedTuple

import tensorflow as tf

GOLDEN_RATIO = 0.618_033_988_749_895  # Its multiples, without whole parts, fill [0, 1) evenly.
PLASTIC_RATIO = 0.754_877_666_246_693  # Likewise, and unlike those.

# Random streams: order of the visits of an epoch; start steps, numbers for the transform,
# transposition and stretch of a batch; order of the shards of an epoch.
VISITS, PLACES, UNIFORM, TRANSPOSITION, STRETCH, SHARDS = range(6)


@dataclasses.dataclass(frozen=True)
class Sampling:
    """How windows are drawn at random, by the rule of `weighting`.

    The pieces of an epoch are laid end to end. Its visits are `spacing` steps apart there, and each
    visits the piece that it lies on: so a piece has visits in proportion to its length, its
    expected number rounded up or down. The first visit lies at another place in each epoch, so
    that over many epochs all steps have equal shares.

    Attributes:
      window_steps: steps of a window.
      look_ahead_steps: steps after it that are gathered too, where the piece has them.
      batch_size: windows per batch.
      seed: random seed.
      visits: visits per epoch, one window each; those that fill no batch are left out.
      total_steps: steps of all pieces.
      lead_steps: makes the start of a piece likelier: start steps are drawn from -lead_steps on,
        and those below 0 become 0. With 4, step 0 is 5 times as likely as step 1.
      stride: start steps are multiples of it.
    """

    window_steps: int
    look_ahead_steps: int
    batch_size: int
    seed: int
    visits: int
    total_steps: int
    lead_steps: int = 0
    stride: int = 1

    @property
    def spacing(self) -> float:
        """Steps from one visit to the next."""
        return self.total_steps / self.visits

    def first_place(self, epoch: Any) -> Any:
        """Gives the place of an epoch's first visit, in steps from the first piece's beginning.

        Args:
          epoch: a float, or a float64 scalar tensor.

        Returns:
          The same, at least 0 and below `spacing`.
        """
        return (epoch * GOLDEN_RATIO + self.seed * PLASTIC_RATIO) % 1 * self.spacing

    def visits_before(self, steps: int, epoch: int) -> int:
        """Counts the visits of an epoch that lie on its first `steps` steps."""
        if steps >= self.total_steps:
            return self.visits
        return max(0, math.ceil((steps - self.first_place(float(epoch))) / self.spacing))

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


def visited(places: tf.Tensor, sizes: tf.Tensor) -> tf.Tensor:
    """Gives the piece of each visit: int64 [row].

    Args:
      places: float64 [row], where the visits lie on the pieces laid end to end, steps.
      sizes: int64 [piece], length in steps.
    """
    ends = tf.cumsum(sizes)
    # Rounding may put the outermost visits a little outside.
    steps = tf.clip_by_value(tf.cast(places, tf.int64), 0, ends[-1] - 1)
    return tf.searchsorted(ends, steps, side="right", out_type=tf.int64)


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
