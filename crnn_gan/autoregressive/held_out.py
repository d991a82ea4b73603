"""Held-out negative log-likelihood, nats per step: of each step given all before it in its piece.

Every piece is evaluated once, from its first step to its last, not in windows, and every step
counts. The exponential of the mean is the perplexity. The published protocol of the polyphonic
benchmark leaves the first step of each piece out (frames 2..T); both sums are kept.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from crnn_gan.music_model import MusicModel
    from pipelines.batches.conditions import Conditions
    from pipelines.batches.prepared_pieces import Pieces, Shards

SHORTEST = 64  # Steps of a batch at least. Longer ones are padded to some four lengths per octave.


@dataclasses.dataclass(frozen=True)
class Likelihood:
    """Negative log-likelihood of some pieces.

    Attributes:
      total_nats: -ln p of all pieces together, nats.
      first_step_nats: the part of `total_nats` of the first step of each piece.
      steps: number of steps.
      pieces: number of pieces.
    """

    total_nats: float
    first_step_nats: float
    steps: int
    pieces: int

    @property
    def nats_per_step(self) -> float:
        """Mean over all steps, frames 1..T."""
        return self.total_nats / self.steps

    @property
    def nats_per_later_step(self) -> float:
        """Mean without the first step of each piece, frames 2..T; NaN where there is no other."""
        later = self.steps - self.pieces
        return (self.total_nats - self.first_step_nats) / later if later else math.nan

    @property
    def perplexity(self) -> float:
        """exp of `nats_per_step`."""
        return math.exp(self.nats_per_step)

    def __add__(self, other: Likelihood) -> Likelihood:
        mine, others = dataclasses.astuple(self), dataclasses.astuple(other)
        return Likelihood(*(a + b for a, b in zip(mine, others, strict=True)))


NOTHING = Likelihood(0.0, 0.0, 0, 0)


def held_out_likelihood(
    model: MusicModel,
    pieces: Pieces | Shards,
    conditions: Conditions | None = None,
    most_steps: int | None = None,
    batch_size: int = 32,
) -> Likelihood:
    """Evaluates the likelihood of pieces that a model was not trained on.

    Args:
      model: one that `measures_likelihood`.
      pieces: as `open_pieces` gives them.
      conditions: that the model is given, as in training; None hides all.
      most_steps: evaluates the beginning of each piece only, cut to one length at which all have
        about so many steps together; None evaluates all.
      batch_size: pieces per batch.

    Raises:
      ValueError: the model gives no probabilities.
    """
    if not model.measures_likelihood:
        raise ValueError(f"{model.name} gives no probabilities, so there is no likelihood")
    found = NOTHING
    for batch, lengths in held_out_batches(pieces, conditions, most_steps, batch_size):
        nats = np.asarray(model.predict_on_batch({"batch": batch}), np.float64)
        is_music = np.arange(nats.shape[1]) < lengths[:, None]
        nats = np.where(is_music, nats[: len(lengths)], 0.0)
        found += Likelihood(
            float(nats.sum()), float(nats[:, 0].sum()), int(lengths.sum()), len(lengths)
        )
    return found


def held_out_batches(
    pieces: Pieces | Shards,
    conditions: Conditions | None = None,
    most_steps: int | None = None,
    batch_size: int = 32,
) -> Iterator[tuple[dict[str, np.ndarray], np.ndarray]]:
    """Gives all pieces, as (batch for `MusicModel.negative_log_likelihood`, lengths of its pieces).

    The batch is padded to `batch_size` rows and to a length of few, so that few graphs are traced.
    Rows beyond the number of lengths, and steps beyond each, are padding.
    """
    from pipelines.batches.whole_pieces import whole_pieces

    longest = None if most_steps is None else longest_of(pieces.sizes, most_steps)
    for batch in whole_pieces(pieces, batch_size, conditions):
        batch = {name: values.numpy() for name, values in batch.items()}
        lengths = batch.pop("lengths")
        del batch["piece"]
        lengths = lengths if longest is None else np.minimum(lengths, longest)
        rows = -len(lengths) % batch_size
        time = _padded_length(int(lengths.max())) - batch["music"].shape[1]
        batch["valid_steps"] = lengths.astype(np.int32)
        yield {name: _resized(values, rows, time) for name, values in batch.items()}, lengths


def longest_of(sizes: np.ndarray, most_steps: int) -> int:
    """Gives the length at which pieces, cut to it, have at most `most_steps` steps together.

    Args:
      sizes: int64 [piece], their lengths.
      most_steps: 1 or more; below the number of pieces each keeps one step.
    """
    ascending = np.sort(sizes)
    # With the k shortest whole and the others cut to one length.
    left = most_steps - np.concatenate([[0], np.cumsum(ascending)[:-1]])
    cut = left // np.arange(len(ascending), 0, -1)
    is_cut = cut < ascending
    return max(1, int(cut[np.argmax(is_cut)])) if is_cut.any() else int(ascending[-1])


def _padded_length(time: int) -> int:
    """Gives the length that a batch of `time` steps is padded to."""
    size = SHORTEST
    while size < time:
        size += max(SHORTEST, 2 ** (size.bit_length() - 1) // 4)
    return size


def _resized(values: np.ndarray, rows: int, time: int) -> np.ndarray:
    """Pads [batch, time, ...] by so many rows and steps of zeros; a negative `time` cuts steps.

    Values without a time axis (classes) are padded by rows only.
    """
    widths = [(0, rows)] + [(0, 0)] * (values.ndim - 1)
    if values.ndim > 1:
        values = values[:, : values.shape[1] + time] if time < 0 else values
        widths[1] = (0, max(time, 0))
    return np.pad(values, widths)
