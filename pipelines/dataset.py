"""dataset: prepared records to batches of windows, each a pure function of (seed, step).

There is no iterator whose state would have to be saved: training that goes on at step k
sees what it would have seen without a break.

An epoch visits each piece `windows_per_piece` times in an order drawn from (seed, epoch),
and takes at each visit a window of `length` steps from a place drawn from (seed, step).
Every place is as likely. The last visits of an epoch that fill no batch are left out;
they are others in each epoch. All arrays of a split are held in memory.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from pipelines import records
from pipelines.codecs.codec import Spec
from pipelines.records import Manifest
from pipelines.split import SPLITS, Split, spread_sample

Transform = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]
ORDER, PLACE, UNIFORM = range(3)  # What is drawn; keeps the streams of one seed apart.


@dataclasses.dataclass(frozen=True, eq=False)
class Pieces:
    """The pieces of a split.

    Attributes:
      spec: of the arrays; its classes name the indices.
      keys: [piece] names.
      arrays: [piece], each [time, ...] as the spec says.
      classes: for each class of the spec int32 [piece], the index of its value.
    """

    spec: Spec
    keys: tuple[str, ...]
    arrays: tuple[np.ndarray, ...]
    classes: dict[str, np.ndarray]

    def __len__(self) -> int:
        return len(self.keys)


@dataclasses.dataclass(frozen=True)
class Summary:
    """What a set of windows is made of; counts, and steps of the codec."""

    pieces: int
    too_short: int
    longest_steps: int
    steps_per_epoch: int


def load(
    data_dir: str | Path,
    split: Split,
    composer: Sequence[str] = (),
    works_per_composer: int | None = None,
) -> Pieces:
    """Loads a split of a prepared directory.

    Args:
      data_dir: what `pipelines.prepare` wrote.
      split: "train", "validation" or "test".
      composer: takes the pieces of these composers alone; () takes all.
      works_per_composer: takes at most so many pieces of each composer, the same each time.

    Raises:
      ValueError: not prepared, damaged, a composer that is not there, or nothing left.
    """
    manifest = records.read_manifest(data_dir)
    chosen = _chosen(data_dir, manifest, split, composer, works_per_composer)
    records.verify(data_dir, manifest, split)
    files = [str(Path(data_dir) / shard["file"]) for shard in manifest.splits[split]["shards"]]
    keys, arrays = [], []
    classes: dict[str, list[int]] = {name: [] for name in manifest.spec.classes}
    for record in tf.data.TFRecordDataset(files).map(_parser(manifest.spec)):
        key = record["key"].numpy().decode()
        if key in chosen:
            keys.append(key)
            shape = record["shape"].numpy()
            arrays.append(_array(record["array"].numpy(), manifest.spec.dtype, shape))
            for name, values in classes.items():
                values.append(int(record[name]))
    indices = {name: np.array(values, np.int32) for name, values in classes.items()}
    return Pieces(manifest.spec, tuple(keys), tuple(arrays), indices)


def _chosen(
    data_dir: str | Path,
    manifest: Manifest,
    split: str,
    composer: Sequence[str],
    works_per_composer: int | None,
) -> set[str]:
    """The keys of the pieces to load."""
    there = manifest.spec.classes["composer"]
    unknown = sorted(set(composer) - set(there))
    if split not in SPLITS:
        raise ValueError(f"there is no split {split!r}; the splits are {', '.join(SPLITS)}")
    if unknown:
        raise ValueError(
            f"{data_dir} holds no music of {', '.join(unknown)}; composer takes some of "
            f"{', '.join(there)}"
        )
    if works_per_composer is not None and works_per_composer < 1:
        raise ValueError(f"works_per_composer is {works_per_composer}; give 1 or more")
    chosen: set[str] = set()
    rows = [row for row in records.read_pieces(data_dir, manifest) if row["split"] == split]
    for name in composer or there:
        keys = (row["key"] for row in rows if row["composer"] == name)
        chosen |= set(spread_sample(keys, works_per_composer))
    if not chosen:
        raise ValueError(
            f"the {split} split of {data_dir} has no piece of {', '.join(composer or there)}; "
            "choose other composers, or prepare more music"
        )
    return chosen


def _parser(spec: Spec) -> Callable[[tf.Tensor], dict[str, tf.Tensor]]:
    text, number = tf.io.FixedLenFeature([], tf.string), tf.io.FixedLenFeature([], tf.int64)
    shape = tf.io.FixedLenFeature([len(spec.shape)], tf.int64)
    features = {"key": text, "array": text, "shape": shape, **dict.fromkeys(spec.classes, number)}
    return lambda record: tf.io.parse_single_example(record, features)


def _array(content: bytes, dtype: str, shape: np.ndarray) -> np.ndarray:
    stored = np.frombuffer(content, np.dtype(dtype).newbyteorder("<"))
    return stored.astype(dtype, copy=False).reshape(shape)


class Windows:
    """Batches of windows of some pieces.

    Args:
      pieces: as `load` gives them; those shorter than `length` are left out and counted.
      length: steps of a window.
      batch_size: windows of a batch.
      seed: of order, places and `uniform`.
      windows_per_piece: visits of a piece in an epoch.
      transform: called inside tf.data with music [batch, length, ...] and `uniform`,
        float32 of its shape in [-0.5, 0.5); gives the music to train on.

    Attributes:
      summary: what was left out, and steps_per_epoch.

    Raises:
      ValueError: no piece is as long as a window, or a batch is larger than an epoch.
    """

    def __init__(
        self,
        pieces: Pieces,
        length: int,
        batch_size: int,
        seed: int,
        windows_per_piece: int = 1,
        transform: Transform | None = None,
    ) -> None:
        for name, value in (
            ("length", length),
            ("batch_size", batch_size),
            ("windows_per_piece", windows_per_piece),
        ):
            if value < 1:
                raise ValueError(f"{name} is {value}; give 1 or more")
        long_enough = _long_enough(pieces, length)
        visits = len(long_enough) * windows_per_piece
        if batch_size > visits:
            raise ValueError(
                f"a batch of {batch_size} is larger than the data: {len(long_enough)} pieces of "
                f"{length} steps or more, {windows_per_piece} windows each; lower batch_size to "
                f"{visits}, raise windows_per_piece or prepare more music"
            )
        self.length, self.batch_size, self.seed = length, batch_size, seed
        self.transform = transform
        steps = np.array([len(array) for array in pieces.arrays])
        self.summary = Summary(
            pieces=len(long_enough),
            too_short=len(pieces) - len(long_enough),
            longest_steps=int(steps.max()),
            steps_per_epoch=visits // batch_size,
        )
        self._visits = visits
        self._music = tf.constant(np.concatenate([pieces.arrays[i] for i in long_enough]))
        self._sizes = tf.constant(steps[long_enough], tf.int64)
        self._classes = {
            name: tf.constant(values[long_enough], tf.int32)
            for name, values in pieces.classes.items()
        }

    def batch(self, step: Any) -> dict[str, tf.Tensor]:
        """Gives the batch of a step, counted from the start of training.

        Args:
          step: int64 scalar, 0 or more.

        Returns:
          "music": [batch, length, ...] of the spec's dtype, or what `transform` makes of it;
          and for each class of the spec, by its name, int32 [batch].
        """
        step = tf.convert_to_tensor(step, tf.int64)
        piece = self._visited(step)
        last = tf.gather(self._sizes, piece) - self.length
        place = tf.random.stateless_uniform(
            [self.batch_size], self._seed(PLACE, step), dtype=tf.float64, alg="philox"
        )
        start = tf.cast(place * tf.cast(last + 1, tf.float64), tf.int64)
        start += tf.gather(tf.cumsum(self._sizes, exclusive=True), piece)
        music = tf.gather(self._music, start[:, None] + tf.range(self.length, dtype=tf.int64))
        if self.transform is not None:
            uniform = tf.random.stateless_uniform(
                tf.shape(music), self._seed(UNIFORM, step), alg="philox"
            )
            music = self.transform(music, uniform - 0.5)
        return {"music": music, **{n: tf.gather(v, piece) for n, v in self._classes.items()}}

    def dataset(self, start_step: int = 0) -> tf.data.Dataset:
        """Gives the batches of start_step, start_step + 1, ... without end, prefetched."""
        steps = tf.data.Dataset.counter(start_step)
        batches = steps.map(self.batch, num_parallel_calls=2, deterministic=True)
        return batches.prefetch(2)

    def _visited(self, step: tf.Tensor) -> tf.Tensor:
        """The pieces of a batch: int64 [batch]."""
        epoch, place = step // self.summary.steps_per_epoch, step % self.summary.steps_per_epoch
        visit = place * self.batch_size + tf.range(self.batch_size, dtype=tf.int64)
        last = tf.constant(self._visits - 1, tf.int64)
        shuffled = tf.random.experimental.index_shuffle(visit, self._seed(ORDER, epoch), last)
        return shuffled % tf.size(self._sizes, tf.int64)

    def _seed(self, stream: int, count: tf.Tensor) -> tf.Tensor:
        """An int64 [2] seed of (seed, stream, epoch or step)."""
        seed = tf.constant([self.seed, stream], tf.int64)
        return tf.random.fold_in(seed, count, alg="philox")


def real_windows(pieces: Pieces, count: int, length: int, seed: int) -> list[np.ndarray]:
    """Draws windows of real music to compare with: pieces in turn, places at random.

    Args:
      pieces: as `load` gives them.
      count: windows to draw; above the number of pieces, more than one of each.
      length: steps of a window.
      seed: of order and places; the same seed gives the same windows.

    Returns:
      `count` arrays [length, ...] as the spec says.

    Raises:
      ValueError: no piece is as long as a window.
    """
    long_enough = _long_enough(pieces, length)
    random = np.random.Generator(np.random.Philox(seed))
    order = random.permutation(long_enough)
    windows = []
    for index in range(count):
        array = pieces.arrays[order[index % len(order)]]
        start = random.integers(len(array) - length + 1)
        windows.append(array[start : start + length])
    return windows


def _long_enough(pieces: Pieces, length: int) -> np.ndarray:
    """The indices of the pieces of `length` steps or more."""
    steps = np.array([len(array) for array in pieces.arrays])
    found = np.flatnonzero(steps >= length)
    if not len(found):
        longest = int(np.argmax(steps))
        raise ValueError(
            f"no piece is as long as a window of {length} steps ({pieces.spec.step}); the longest, "
            f"{pieces.keys[longest]}, has {steps[longest]}: give "
            f"--songlength={steps[longest]} or less, or prepare longer pieces"
        )
    return found
