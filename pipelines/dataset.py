"""dataset: batches of windows of prepared pieces, each a pure function of (seed, step).

There is no iterator whose state would have to be saved: training that resumes at step k gets
the batches that it would have got without a break.

An epoch visits pieces in proportion to their lengths (`pipelines.batches.weighting`), in an order
drawn from (seed, epoch), and takes at each visit a window of `window_steps` steps from a start step
drawn from (seed, step); all start steps of a piece are equally likely. The last visits of an epoch
that fill no batch are left out; they differ from epoch to epoch. Pieces in memory are shuffled all
together; those on disk are read in groups, see `pipelines.batches.streaming`.

A window is transposed and stretched (`Augmentation`), then conditions are computed from it and
from what follows it in its piece (`Conditions`), then the model's transform is applied.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from pipelines.batches import streaming
from pipelines.batches.augmentation import Augmentation
from pipelines.batches.conditions import Conditions
from pipelines.batches.prepared_pieces import Pieces, Shards, load, open_pieces
from pipelines.batches.real_windows import long_enough, real_windows
from pipelines.batches.streaming import faults_in_words
from pipelines.batches.windows import (
    STRETCH,
    TRANSPOSITION,
    UNIFORM,
    VISITS,
    Music,
    Rows,
    Sampling,
    cut,
    visited,
)

__all__ = [
    "Pieces",
    "Shards",
    "Summary",
    "Windows",
    "faults_in_words",
    "load",
    "open_pieces",
    "real_windows",
]

Transform = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]
CALLS_AT_ONCE = 2  # Batches that are made at the same time, beside the training.
BATCHES_AHEAD = 2


@dataclasses.dataclass(frozen=True)
class Summary:
    """Counts of a set of windows: pieces, those left out, batches per epoch; lengths in steps."""

    pieces: int
    too_short: int
    longest_steps: int
    steps_per_epoch: int


class Windows:
    """Batches of windows of some pieces, in memory or streamed from disk.

    Args:
      pieces: as `open_pieces` gives them; those shorter than `window_steps` are left out and
        counted, unless windows are `padded`.
      window_steps: steps of a window.
      batch_size: windows per batch.
      seed: random seed of order, start steps, augmentation and `uniform`.
      windows_per_piece: windows per epoch, as a multiple of the number of pieces: their mean
        number per piece. Where windows are `padded`, as a multiple of the windows that the pieces
        have if each is cut from beginning to end.
      transform: called inside tf.data with music [batch, window_steps, ...] and `uniform`,
        float32 random numbers of its shape in [-0.5, 0.5); gives the music to train on.
      augmentation: random transposition and stretching, for training.
      conditions: to add to each batch.
      padded: takes shorter pieces too, whole, padded by repeating their last step. Step 0 of a
        piece is `window_steps` + 1 times as likely a start as another step, so that a model learns
        how pieces begin. Batches have "valid_steps" and "start_step".
      stride: start steps are multiples of it; so the last steps of a piece, fewer than that, may
        be in no window.
      least_steps: batches per epoch, at least: of few pieces more windows are drawn than
        `windows_per_piece` says.

    Attributes:
      summary: counts of pieces and of batches per epoch.
      sampling: how windows are drawn at random.

    Raises:
      ValueError: no piece is as long as a window, a batch is larger than an epoch, or a piece
        on disk is larger than half the budget.
    """

    def __init__(
        self,
        pieces: Pieces | Shards,
        window_steps: int,
        batch_size: int,
        seed: int,
        windows_per_piece: int = 1,
        transform: Transform | None = None,
        augmentation: Augmentation | None = None,
        conditions: Conditions | None = None,
        padded: bool = False,
        stride: int = 1,
        least_steps: int = 0,
    ) -> None:
        for name, value in (
            ("window_steps", window_steps),
            ("batch_size", batch_size),
            ("windows_per_piece", windows_per_piece),
            ("stride", stride),
        ):
            if value < 1:
                raise ValueError(f"{name} is {value}; give 1 or more")
        chosen = np.arange(len(pieces)) if padded else long_enough(pieces, window_steps)
        look_ahead, lead = (
            conditions.look_ahead_steps if conditions else 0,
            window_steps if padded else 0,
        )
        sizes = pieces.sizes[chosen]
        visits = windows_per_piece * (
            int((-(-sizes // window_steps)).sum()) if padded else len(chosen)
        )
        visits = max(visits, least_steps * batch_size)
        total = int(sizes.sum())
        self.sampling = Sampling(
            window_steps, look_ahead, batch_size, seed, visits, total, lead, stride
        )
        if batch_size > visits:
            raise ValueError(
                f"a batch of {batch_size} is larger than the data: {len(chosen)} pieces"
                f"{'' if padded else f' of {window_steps} steps or more'}, {visits} windows "
                f"per epoch; lower batch_size to {visits}, raise windows_per_piece or prepare "
                "more music"
            )
        self.transform, self.augmentation, self.conditions = transform, augmentation, conditions
        self.padded = padded
        self.summary = Summary(
            pieces=len(chosen),
            too_short=len(pieces) - len(chosen),
            longest_steps=int(pieces.sizes.max()),
            steps_per_epoch=visits // batch_size,
        )
        self._class_names = list(pieces.spec.classes)
        self._music = self._plan = None
        if isinstance(pieces, Shards):
            self._plan = streaming.Plan(
                pieces.subset(chosen), self.sampling, self.summary.steps_per_epoch
            )
        else:
            self._music = _music(pieces, chosen)

    @property
    def in_memory(self) -> bool:
        """Whether the pieces are in memory, not on disk."""
        return self._plan is None

    def batch(self, step: Any) -> dict[str, tf.Tensor]:
        """Gives the batch of a training step.

        Args:
          step: int64 scalar, counted from 0 at the start of training; where pieces are on disk,
            an int.

        Returns:
          "music": [batch, window_steps, ...] of the spec's dtype, or what `transform` makes of it;
          for each class of the spec, by its name, int32 [batch]; with transposition
          "transposition" int32 [batch], the semitones that a window was moved up by; for each
          condition float32 [batch, window_steps, size]; and of padded windows "valid_steps" int32
          [batch], the steps before the padding, and "start_step" int32 [batch], the step of its
          piece that a window begins with. A window of steps 8 to 15 of a piece of 11 steps has
          start_step 8 and valid_steps 3.
        """
        if self._plan is not None:
            return next(iter(self.dataset(step)))
        slots = tf.range(self.sampling.batch_size, dtype=tf.int64)
        step = tf.convert_to_tensor(step, tf.int64)
        return self._finished(step, self._rows(step, slots), slots)

    def dataset(
        self, first_step: int = 0, input_context: tf.distribute.InputContext | None = None
    ) -> tf.data.Dataset:
        """Gives the batches of first_step, first_step + 1, ... without end, prefetched.

        Args:
          first_step: training step of the first batch.
          input_context: what `distribute_datasets_from_function` passes. The rows of a batch
            are divided among the replicas in order; the dataset gives the parts of this
            worker's replicas in turn. Concatenated they are the batch that one device would get.

        Raises:
          ValueError: the batch cannot be divided evenly.
        """
        slots, replicas = self._part(input_context)
        if self._plan is None:
            steps = tf.data.Dataset.counter(first_step)

            @tf.autograph.experimental.do_not_convert
            def finished(step: tf.Tensor) -> dict[str, tf.Tensor]:
                return self._finished(step, self._rows(step, tf.constant(slots)), slots)

            batches = steps.map(finished, CALLS_AT_ONCE, deterministic=True)
        else:
            rows = streaming.rows(self._plan, first_step, slots, self._class_names)

            @tf.autograph.experimental.do_not_convert
            def finished_rows(step: tf.Tensor, rows: Rows) -> dict[str, tf.Tensor]:
                return self._finished(step, rows, slots)

            batches = rows.map(finished_rows, CALLS_AT_ONCE, deterministic=True)
        if replicas > 1:
            size = len(slots) // replicas
            batches = batches.map(
                lambda batch: {
                    name: tf.reshape(value, [replicas, size, *value.shape[1:]])
                    for name, value in batch.items()
                }
            ).unbatch()
        options = tf.data.Options()
        # They have nothing to gain here, and would copy the music that the pipeline holds.
        options.experimental_optimization.apply_default_optimizations = False
        # The rows are divided above.
        options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.OFF
        return batches.prefetch(BATCHES_AHEAD * replicas).with_options(options)

    def _part(self, context: tf.distribute.InputContext | None) -> tuple[np.ndarray, int]:
        """The rows of each batch that are made here, int64 [row], and for how many replicas."""
        size = self.sampling.batch_size
        if context is None:
            return np.arange(size), 1
        if size % context.num_replicas_in_sync:
            raise ValueError(
                f"a batch of {size} cannot be divided evenly among {context.num_replicas_in_sync} "
                "replicas; give a batch_size that is a multiple of them"
            )
        replicas = context.num_replicas_in_sync // context.num_input_pipelines
        own = size // context.num_replicas_in_sync * replicas
        return np.arange(own) + own * context.input_pipeline_id, replicas

    def _rows(self, step: tf.Tensor, slots: tf.Tensor) -> Rows:
        """The rows of some slots of a step's batch, from memory."""
        assert self._music is not None
        sampling, steps = self.sampling, self.summary.steps_per_epoch
        visit = step % steps * sampling.batch_size + slots
        last = tf.constant(sampling.visits - 1, tf.int64)
        seed = sampling.seed_of(VISITS, step // steps)
        shuffled = tf.random.experimental.index_shuffle(visit, seed, last)
        first = sampling.first_place(tf.cast(step // steps, tf.float64))
        places = first + tf.cast(shuffled, tf.float64) * sampling.spacing
        piece = visited(places, self._music.sizes)
        return cut(sampling, self._music, piece, step, slots)

    def _finished(self, step: tf.Tensor, rows: Rows, slots: Any) -> dict[str, tf.Tensor]:
        """The batch that rows become."""
        sampling, music = self.sampling, rows.music
        batch = dict(rows.classes)
        if self.augmentation:
            music, semitones = self.augmentation(
                music,
                sampling.uniform(TRANSPOSITION, step, slots),
                sampling.uniform(STRETCH, step, slots),
            )
            if self.augmentation.transpose_semitones:
                batch["transposition"] = semitones
        if self.padded:
            batch["valid_steps"] = tf.cast(
                tf.minimum(rows.valid_steps, sampling.window_steps), tf.int32
            )
            batch["start_step"] = tf.cast(rows.start_step, tf.int32)
        if self.conditions:
            batch |= self.conditions(music, rows.valid_steps, sampling.window_steps)
            music = music[:, : sampling.window_steps]
        if self.transform:
            # Drawn for the whole batch, so that a row's numbers do not depend on who makes it.
            shape = tf.concat([[sampling.batch_size], tf.shape(music)[1:]], 0)
            seed = sampling.seed_of(UNIFORM, step)
            uniform = tf.random.stateless_uniform(shape, seed, alg="philox")
            music = self.transform(music, tf.gather(uniform, slots) - 0.5)
        return {"music": music, **batch}


def _music(pieces: Pieces, chosen: np.ndarray) -> Music:
    """Some pieces as tensors in the machine's memory, also where there is a GPU."""
    with tf.device("CPU:0"):
        classes = {n: tf.constant(v[chosen], tf.int32) for n, v in pieces.classes.items()}
        starts, sizes = (tf.constant(v[chosen]) for v in (pieces.starts, pieces.sizes))
        return Music(pieces.tensor(), starts, sizes, classes)
