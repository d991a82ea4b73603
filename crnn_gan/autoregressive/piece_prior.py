"""What is the same for all cells of a piece, drawn once before its first cell."""

from __future__ import annotations

from typing import Any, NamedTuple

import keras
from keras import ops

from crnn_gan.autoregressive.cell_fields import TONALITIES, CellFields
from crnn_gan.autoregressive.sampling import sample_token

# What is drawn, in order; the first is the place in the beat of the first cell.
DRAWN = ("beat_phase", "dynamics", "tonality")


class OfPiece(NamedTuple):
    """What is the same for all cells of a piece, int32 [rows]; see `CellFields`."""

    dynamics: Any
    tonality: Any


class PiecePrior(keras.layers.Layer):
    """Categorical distributions, independent of each other, of what is drawn once for a piece.

    Args:
      fields: of the Spec.
    """

    def __init__(self, fields: CellFields, **kwargs: Any):
        super().__init__(**kwargs, dtype="float32")
        self.fields = fields

    def build(self, *_: Any) -> None:
        """Makes the weights."""
        velocities = self.fields.sizes["velocity"] + 1
        sizes = (self.fields.sizes["beat_phase"], velocities, TONALITIES)
        self.logits = {
            name: self.add_weight((size,), "zeros", name=f"{name}_logits")
            for name, size in zip(DRAWN, sizes, strict=True)
        }
        self.input_size = velocities + TONALITIES

    def of(self, music: Any, valid_steps: Any = None) -> OfPiece:
        """Gives what is the same for all cells of given pieces.

        Args:
          music, valid_steps: see `CellFields.dynamics`.
        """
        fields = self.fields
        return OfPiece(fields.dynamics(music, valid_steps), fields.tonality(music, valid_steps))

    def inputs(self, piece: OfPiece) -> Any:
        """Gives it as inputs of a network: float32 [rows, input_size]."""
        sizes = (self.fields.sizes["velocity"] + 1, TONALITIES)
        pairs = zip(piece, sizes, strict=True)
        return ops.concatenate([ops.one_hot(x, n, dtype="float32") for x, n in pairs], axis=-1)

    def negative_log_likelihood(self, phase: Any, piece: OfPiece, transposition: Any = 0) -> Any:
        """Gives -ln p of what is drawn once for pieces, nats: float32 [rows].

        Args:
          phase: int32 [rows], the first cell's place in the beat, ticks.
          piece: of each row.
          transposition: int32 [rows], semitones up; the tonality before counts.
        """
        tonic = (piece.tonality % 12 - transposition) % 12
        tonality = tonic + piece.tonality // 12 * 12
        nats = 0.0
        for name, category in zip(DRAWN, (phase, piece.dynamics, tonality), strict=True):
            log_p = ops.log_softmax(self.logits[name][None], axis=-1)
            nats = nats - ops.take(log_p[0], category, axis=0)
        return nats

    def sample(self, uniform: Any, temperature: Any) -> tuple[Any, OfPiece]:
        """Samples pieces' first place in the beat, ticks, int32 [rows], and what else is drawn.

        Args:
          uniform: float32 [rows, 3] in [0, 1).
          temperature: float32 [rows].
        """
        rows, drawn = ops.shape(uniform)[0], []
        for index, name in enumerate(DRAWN):
            logits = self.logits[name]
            logits = ops.broadcast_to(logits[None], (rows, logits.shape[0]))
            drawn.append(sample_token(logits, uniform[:, index], temperature))
        phase, *piece = drawn
        return phase, OfPiece(*piece)
