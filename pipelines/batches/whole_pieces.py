"""whole_pieces: the pieces of a split from beginning to end, in padded batches, to evaluate on.

Pieces of similar length share a batch, so that little of it is padding. Nothing is random.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from pipelines.batches import streaming
from pipelines.batches.conditions import Conditions
from pipelines.batches.prepared_pieces import Pieces, Shards, spec_steps


def whole_pieces(
    pieces: Pieces | Shards, batch_size: int, conditions: Conditions | None = None
) -> tf.data.Dataset:
    """Gives every piece once, whole, the shortest first; where they are on disk, group by group.

    Args:
      pieces: as `open_pieces` gives them.
      batch_size: pieces per batch; the last batch of a group may have fewer.
      conditions: to add to each batch.

    Returns:
      A dataset of "music": [batch, longest, ...] of the spec's dtype, 0 beyond each piece's end;
      "lengths": int32 [batch], steps of each; "piece": int64 [batch], its index among the
      pieces; for each class of the spec int32 [batch]; and for each condition float32
      [batch, longest, size].

    Raises:
      ValueError: batch_size is not positive, or a piece is larger than half the budget.
    """
    if batch_size < 1:
        raise ValueError(f"batch_size is {batch_size}; give 1 or more")
    spec = pieces.spec
    groups = [np.arange(len(pieces))]
    if isinstance(pieces, Shards):
        groups = streaming.groups_of(pieces, streaming.units_of(pieces))
    class_names = list(pieces.spec.classes)
    signature = {
        "music": tf.TensorSpec([None, None, *spec_steps(spec)], spec.dtype),
        "lengths": tf.TensorSpec([None], tf.int32),
        "piece": tf.TensorSpec([None], tf.int64),
        **{name: tf.TensorSpec([None], tf.int32) for name in class_names},
    }

    def batches() -> Iterator[dict[str, np.ndarray]]:
        for group in groups:
            held = pieces.read(group) if isinstance(pieces, Shards) else pieces
            order = np.argsort(held.sizes, kind="stable")
            for first in range(0, len(order), batch_size):
                chosen = order[first : first + batch_size]
                facts = {name: held.classes[name][chosen] for name in class_names}
                yield {**_padded(held, chosen), "piece": group[chosen], **facts}

    dataset = tf.data.Dataset.from_generator(batches, output_signature=signature)
    if conditions:
        dataset = dataset.map(lambda batch: {**batch, **_conditions(conditions, batch)})
    return dataset.prefetch(1)


def _padded(pieces: Pieces, chosen: np.ndarray) -> dict[str, np.ndarray]:
    """Some pieces in one array, and their lengths."""
    lengths = pieces.sizes[chosen]
    music = np.zeros((len(chosen), int(lengths.max()), *pieces.music.shape[1:]), pieces.spec.dtype)
    for row, piece in enumerate(chosen):
        music[row, : lengths[row]] = pieces.arrays[piece]
    return {"music": music, "lengths": lengths.astype(np.int32)}


def _conditions(conditions: Conditions, batch: dict[str, Any]) -> dict[str, tf.Tensor]:
    lengths = tf.cast(batch["lengths"], tf.int64)
    return conditions(batch["music"], lengths, tf.shape(batch["music"])[1])
