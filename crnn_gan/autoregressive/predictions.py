"""Density, precision and recall of a roll model's predictions, in training and of held-out music.

Predicted of a frame are the cells more probable than a threshold, given the true frames before it
in its piece. Density is notes per frame; precision the share of predicted cells that are on; recall
the share of cells that are on that were predicted (Deep Musician, a source document).
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np
from keras import ops

from crnn_gan.autoregressive.frame_distributions import IndependentBernoulli
from crnn_gan.autoregressive.held_out import held_out_batches

if TYPE_CHECKING:
    from crnn_gan.autoregressive.base import Autoregressive
    from pipelines.batches.prepared_pieces import Pieces, Shards


NOTE_METRICS = ("density", "precision", "recall")


@dataclasses.dataclass(frozen=True)
class Predictions:
    """Counts of cells of some pieces.

    Attributes:
      true_positives: cells that were predicted and are on.
      predicted: cells that were predicted.
      on: cells that are on.
      frames: number of frames.
    """

    true_positives: int
    predicted: int
    on: int
    frames: int

    @property
    def density(self) -> float:
        """Notes predicted per frame."""
        return self.predicted / self.frames

    @property
    def true_density(self) -> float:
        """Notes per frame of the music itself."""
        return self.on / self.frames

    @property
    def precision(self) -> float:
        """Share of predicted cells that are on; NaN where none was predicted."""
        return self.true_positives / self.predicted if self.predicted else float("nan")

    @property
    def recall(self) -> float:
        """Share of cells that are on that were predicted; NaN where none is on."""
        return self.true_positives / self.on if self.on else float("nan")


def held_out_predictions(
    model: Autoregressive, pieces: Pieces | Shards, threshold: float = 0.5, batch_size: int = 32
) -> Predictions:
    """Predicts each frame of pieces that a model was not trained on.

    Args:
      model: one whose output distribution is `IndependentBernoulli`.
      pieces: rolls, as `open_pieces` gives them.
      threshold: probability above which a cell is predicted, in (0, 1).
      batch_size: pieces per batch.

    Raises:
      ValueError: the threshold is out of its range, or the model gives no independent
        probability of each key.
    """
    if not 0 < threshold < 1:
        raise ValueError(f"the threshold is {threshold}; give more than 0, below 1")
    distribution = getattr(model, "output_distribution", None)
    if not isinstance(distribution, IndependentBernoulli):
        raise ValueError(f"{model.name} gives no probability of each key by itself")

    def counts(hidden: Any, _: Any, music: Any) -> Any:
        predicted, on = distribution.predict_cells(hidden, threshold), distribution.inputs(music)
        return ops.stack([ops.sum(x, axis=-1) for x in (predicted * on, predicted, on)], -1)

    total, frames = np.zeros(3, np.int64), 0
    for batch, lengths in held_out_batches(pieces, batch_size=batch_size):
        found = np.asarray(model.map_steps(batch, counts, 3))[: len(lengths)]
        is_music = np.arange(found.shape[1]) < lengths[:, None]
        total += found[is_music].sum(axis=0).astype(np.int64)
        frames += int(lengths.sum())
    true_positives, predicted, on = map(int, total)
    return Predictions(true_positives, predicted, on, frames)


def note_metrics(predicted: Any, target: Any, weights: Any) -> dict[str, Any]:
    """Gives density, precision and recall of predicted notes, float32 scalars.

    Density is predicted notes per frame; precision the share of predicted notes that are in the
    target, 0 where none is predicted; recall the share of the target's notes that are predicted, 0
    where it has none.

    Args:
      predicted, target: [batch, time, cells], whether each is on.
      weights: float32 [batch, time], 1 for frames that count, else 0.
    """
    predicted, target = (ops.cast(x, "float32") * weights[..., None] for x in (predicted, target))
    right, notes, there = (ops.sum(x) for x in (predicted * target, predicted, target))
    shares = [notes / ops.maximum(ops.sum(weights), 1.0)]
    shares += [right / ops.maximum(of, 1.0) for of in (notes, there)]
    return dict(zip(NOTE_METRICS, shares, strict=True))
