"""Notes that a model of rolls predicts of held-out music, beside those that come.

Each frame is predicted given the true frames before it in its piece: the notes more probable than
a threshold. Density is notes a frame; precision the share of those predicted that come; recall
the share of those that come that were predicted (Deep Musician, a source document).
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np
from keras import ops

from crnn_gan.autoregressive.held_out import held_out_batches
from crnn_gan.autoregressive.output_distributions import Keys

if TYPE_CHECKING:
    from crnn_gan.autoregressive.base import Autoregressive
    from pipelines.batches.prepared_pieces import Pieces, Shards


@dataclasses.dataclass(frozen=True)
class Predictions:
    """What was predicted of some pieces.

    Attributes:
      right: cells of the roll that were predicted and came.
      predicted, came: cells that were predicted; that came.
      frames: that were predicted.
    """

    right: int
    predicted: int
    came: int
    frames: int

    @property
    def density(self) -> float:
        """Notes predicted a frame."""
        return self.predicted / self.frames

    @property
    def true_density(self) -> float:
        """Notes that came a frame."""
        return self.came / self.frames

    @property
    def precision(self) -> float:
        """Share of the predicted that came; NaN where none was predicted."""
        return self.right / self.predicted if self.predicted else float("nan")

    @property
    def recall(self) -> float:
        """Share of those that came that were predicted; NaN where none came."""
        return self.right / self.came if self.came else float("nan")


def held_out_predictions(
    model: Autoregressive, pieces: Pieces | Shards, threshold: float = 0.5, batch_size: int = 32
) -> Predictions:
    """Predicts each frame of pieces that a model was not trained on.

    Args:
      model: one whose keys are independent, each frame given those before it.
      pieces: rolls, as `open_pieces` gives them.
      threshold: probability above which a note is predicted, in (0, 1).
      batch_size: pieces that are predicted at once.

    Raises:
      ValueError: the threshold is none, or the model gives no probability of each key.
    """
    if not 0 < threshold < 1:
        raise ValueError(f"the threshold is {threshold}; give more than 0, below 1")
    emission = getattr(model, "emission", None)
    if not isinstance(emission, Keys):
        raise ValueError(f"{model.name} gives no probability of each key by itself")

    def counts(hidden: Any, drawing: Any, music: Any) -> Any:
        predicted, came = emission.predicted(hidden, threshold), emission.heard(music)
        return ops.stack([ops.sum(x, axis=-1) for x in (predicted * came, predicted, came)], -1)

    total, frames = np.zeros(3, np.int64), 0
    for batch, lengths in held_out_batches(pieces, batch_size=batch_size):
        found = np.asarray(model.along(batch, counts, 3))[: len(lengths)]
        is_music = np.arange(found.shape[1]) < lengths[:, None]
        total += found[is_music].sum(axis=0).astype(np.int64)
        frames += int(lengths.sum())
    right, predicted, came = map(int, total)
    return Predictions(right, predicted, came, frames)
