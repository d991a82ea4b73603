"""streaming: batches of windows from shards that do not fit in memory together.

An epoch takes the shards in an order drawn from (seed, epoch), and reads as many at once as
fit half the memory budget: a group; the next group is read while one is used. Visits are dealt to
pieces as `Sampling` says, the pieces in the order of the groups; those of a group are shuffled
among each other. Rows at the end of a group that fill no batch are kept for the next group, so that
every batch of an epoch is full. All follows from (seed, step) and the lengths of the pieces,
without state.
"""

from __future__ import annotations

import contextlib
import dataclasses
import re
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from pipelines.batches.prepared_pieces import MEBIBYTE, Shards, spec_steps
from pipelines.batches.windows import SHARDS, VISITS, Music, Rows, Sampling, cut, visited

# What a generator raised, in the text of TensorFlow's error.
SAID = re.compile(r"^(?:\{\{.*\}\} )?\w+Error: (.*?)\nTraceback", re.DOTALL | re.MULTILINE)


class Portion(NamedTuple):
    """A group of pieces that are in memory together, and which of its visits are taken.

    Attributes:
      epoch, group: from 0.
      pieces: int64 [piece] of the group, indices into the shards' pieces.
      first_visit, visits: the first of the group's visits that is taken, and how many.
      row: of the first visit, counted over all batches from the start of training.
      group_visits: all visits of the group in the epoch.
      first_place: where the first of these lies, in steps from the first piece's beginning.
    """

    epoch: int
    group: int
    pieces: np.ndarray
    first_visit: int
    visits: int
    row: int
    group_visits: int
    first_place: float


class Unit(NamedTuple):
    """Consecutive pieces of a shard, which are read together: int64 [piece], and their bytes."""

    pieces: np.ndarray
    bytes: int


def units_of(shards: Shards) -> list[Unit]:
    """Cuts the pieces where shards end, and where a part of a shard fills half the budget.

    Raises:
      ValueError: a piece is larger than half the budget.
    """
    sizes, most = shards.sizes_bytes, shards.memory_bytes // 2
    largest = int(np.argmax(sizes))
    if sizes[largest] > most:
        raise ValueError(
            f"{shards.key_of(largest)} takes {sizes[largest] / MEBIBYTE:.1f} MB, more than half "
            "of what memory may hold; give --memory_megabytes="
            f"{-(-2 * sizes[largest] // MEBIBYTE)} or more"
        )
    units: list[list[int]] = []
    unit_bytes: list[int] = []
    before = -1
    for piece, (shard, size) in enumerate(zip(shards.shard.tolist(), sizes.tolist(), strict=True)):
        if shard != before or unit_bytes[-1] + size > most:
            units.append([])
            unit_bytes.append(0)
        units[-1].append(piece)
        unit_bytes[-1] += size
        before = shard
    return [Unit(np.array(unit), size) for unit, size in zip(units, unit_bytes, strict=True)]


def groups_of(shards: Shards, units: Sequence[Unit]) -> list[np.ndarray]:
    """Joins units, in their order, to groups that fit half the budget: int64 [piece] each."""
    groups: list[list[np.ndarray]] = []
    left = 0
    for unit in units:
        if not groups or unit.bytes > left:
            groups.append([])
            left = shards.memory_bytes // 2
        groups[-1].append(unit.pieces)
        left -= unit.bytes
    return [np.concatenate(group) for group in groups]


@dataclasses.dataclass(frozen=True, eq=False)
class Plan:
    """Which pieces are read together, and when.

    Attributes:
      shards: the pieces, each as long as a window or longer.
      sampling: how windows are drawn.
      steps_per_epoch: batches per epoch.
      units: consecutive pieces that are read together.
    """

    shards: Shards
    sampling: Sampling
    steps_per_epoch: int
    units: list[Unit] = dataclasses.field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "units", units_of(self.shards))

    def groups(self, epoch: int) -> list[np.ndarray]:
        """Gives the pieces of each group of an epoch: int64 [piece] each."""
        key = np.array([self.sampling.seed, SHARDS]).astype(np.uint64)
        random = np.random.Philox(key=key, counter=[0, 0, 0, epoch])
        order = np.argsort(random.random_raw(len(self.units)), kind="stable")
        return groups_of(self.shards, [self.units[unit] for unit in order])

    def portions(self, first_step: int) -> Iterator[Portion]:
        """Gives what is read from a training step on, without end."""
        sampling = self.sampling
        rows = self.steps_per_epoch * sampling.batch_size  # Of an epoch.
        epoch, place = divmod(first_step * sampling.batch_size, rows)
        while True:
            first, steps = 0, 0  # Visits and steps of the epoch before the group.
            for number, pieces in enumerate(self.groups(epoch)):
                first_place = sampling.first_place(float(epoch)) + first * sampling.spacing - steps
                steps += int(self.shards.sizes[pieces].sum())
                after = sampling.visits_before(steps, epoch)
                begin, end = max(first, place), min(after, rows)
                if begin < end:
                    yield Portion(
                        epoch=epoch,
                        group=number,
                        pieces=pieces,
                        first_visit=begin - first,
                        visits=end - begin,
                        row=epoch * rows + begin,
                        group_visits=after - first,
                        first_place=first_place,
                    )
                first = after
            epoch, place = epoch + 1, 0


@contextlib.contextmanager
def faults_in_words() -> Iterator[None]:
    """Gives what a pipeline could not read as the sentence that its reader said.

    TensorFlow passes on what a generator raises as an error of its own, with both their tracebacks
    in the text.

    Raises:
      ValueError: a shard is gone or damaged; the file is named, with what to do.
    """
    try:
        yield
    except tf.errors.OpError as error:
        said = SAID.search(str(error))
        if said is None:
            raise
        raise ValueError(" ".join(said[1].split())) from None


def rows(plan: Plan, first_step: int, slots: np.ndarray, class_names: list[str]) -> tf.data.Dataset:
    """Gives (step, Rows) of first_step, first_step + 1, ... without end.

    Args:
      slots: int64 [row], which rows of each batch.
      class_names: of the spec's classes.
    """
    sampling, spec = plan.sampling, plan.shards.spec
    number, numbers = tf.TensorSpec([], tf.int64), tf.TensorSpec([None], tf.int64)
    signature = (
        Music(
            tf.TensorSpec([None, *spec_steps(spec)], spec.dtype),
            numbers,
            numbers,
            {name: tf.TensorSpec([None], tf.int32) for name in class_names},
        ),
        {
            **dict.fromkeys(("epoch", "group", "first_visit", "visits", "row"), number),
            "group_visits": number,
            "first_place": tf.TensorSpec([], tf.float64),
        },
    )

    def read() -> Iterator[Any]:
        for portion in plan.portions(first_step):
            pieces = plan.shards.read(portion.pieces)
            facts = {
                name: np.asarray(getattr(portion, name), fact.dtype.as_numpy_dtype)
                for name, fact in signature[1].items()
            }
            music = Music(pieces.music, pieces.starts, pieces.sizes, pieces.classes)
            del pieces  # TensorFlow shares its memory, and shall be the last to let it go.
            yield music, facts

    @tf.autograph.experimental.do_not_convert
    def keep(kept: Rows, portion: Any) -> Any:
        """Gives the first rows of the batch that a group begins and does not fill, for the next.

        Beside it the group and the rows kept before it. Rows of other slots mean nothing.
        """
        music, facts = portion
        unfilled = (facts["row"] + facts["visits"]) // sampling.batch_size
        slots = np.arange(sampling.batch_size)
        return _rows_of(sampling, unfilled, slots, kept, music, facts), (music, facts, kept)

    @tf.autograph.experimental.do_not_convert
    def batches(music: Music, facts: dict, kept: Rows) -> tf.data.Dataset:
        """The batches that end in a group."""
        first = facts["row"] // sampling.batch_size
        end = (facts["row"] + facts["visits"]) // sampling.batch_size
        return tf.data.Dataset.range(first, end).map(
            tf.autograph.experimental.do_not_convert(
                lambda step: (step, _rows_of(sampling, step, slots, kept, music, facts))
            ),
            num_parallel_calls=2,
            deterministic=True,
        )

    portions = tf.data.Dataset.from_generator(read, output_signature=signature).prefetch(1)
    span = sampling.window_steps + sampling.look_ahead_steps
    size = sampling.batch_size
    nothing = Rows(
        tf.zeros([size, span, *spec_steps(spec)], spec.dtype),
        tf.zeros([size], tf.int64),
        tf.zeros([size], tf.int64),
        {name: tf.zeros([size], tf.int32) for name in class_names},
    )
    return portions.scan(nothing, keep).flat_map(batches)


def _rows_of(
    sampling: Sampling, step: tf.Tensor, slots: np.ndarray, kept: Rows, music: Music, facts: dict
) -> Rows:
    """Gives some rows of a step's batch, of which those before this group's first are kept."""
    row = step * sampling.batch_size + slots
    before = tf.reduce_sum(tf.cast(row < facts["row"], tf.int64))
    seed = tf.random.fold_in(sampling.seed_of(VISITS, facts["epoch"]), facts["group"], alg="philox")
    last = facts["group_visits"] - 1
    visit = tf.minimum(row[before:] - facts["row"] + facts["first_visit"], last)
    # The operation refuses an empty vector.
    visit = tf.random.experimental.index_shuffle(tf.pad(visit, [[0, 1]]), seed, last)[:-1]
    mine = tf.constant(slots)
    places = facts["first_place"] + tf.cast(visit, tf.float64) * sampling.spacing
    piece = visited(places, music.sizes)
    here = cut(sampling, music, piece, step, mine[before:])
    own = tf.nest.map_structure(lambda part: tf.gather(part, mine[:before]), kept)
    joined = tf.nest.map_structure(lambda *parts: tf.concat(parts, axis=0), own, here)
    return tf.nest.map_structure(
        lambda part: tf.ensure_shape(part, [len(slots), *part.shape[1:]]), joined
    )
