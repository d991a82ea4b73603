"""augmentation: training windows moved in pitch and stretched in time, in tf.data.

Each window by its own amount, drawn from (seed, step); the codec does it. Validation and
test music stays as it is.
"""

from __future__ import annotations

import dataclasses

import tensorflow as tf

from pipelines.codecs.codec import Codec

LARGEST_SEMITONES, LARGEST_PERCENT = 24, 50


@dataclasses.dataclass(frozen=True)
class Augmentation:
    """How far windows are moved and stretched.

    Attributes:
      codec: of the arrays.
      transpose_semitones: N moves by a whole number from -N to N, each as likely; 0 for none.
      stretch_percent: P makes times 1 - P/100 to 1 + P/100 as long, uniformly; 0 for none.

    Raises:
      ValueError: out of range, or the codec cannot.
    """

    codec: Codec
    transpose_semitones: int = 0
    stretch_percent: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.transpose_semitones <= LARGEST_SEMITONES:
            raise ValueError(
                f"transpose_semitones is {self.transpose_semitones}; give 0 to {LARGEST_SEMITONES}"
            )
        if not 0 <= self.stretch_percent <= LARGEST_PERCENT:
            raise ValueError(
                f"stretch_percent is {self.stretch_percent}; give 0 to {LARGEST_PERCENT}"
            )
        middle = tf.fill([1], tf.constant(0.5, tf.float64))
        shape = [1, 1, *self.codec.spec.shape[1:]]
        # Here, where nothing has begun yet, a codec that cannot says so.
        self(tf.zeros(shape, self.codec.spec.dtype), middle, middle)

    def __call__(self, music: tf.Tensor, transposition: tf.Tensor, stretch: tf.Tensor) -> tf.Tensor:
        """Gives the music moved, then stretched.

        Args:
          music: [row, time, ...] as the codec's spec says.
          transposition, stretch: float64 [row] in [0, 1), uniform draws.

        Returns:
          Tensor of the same shape and dtype.
        """
        shape = music.shape
        if self.transpose_semitones:
            n = self.transpose_semitones
            semitones = tf.cast(tf.floor(transposition * (2 * n + 1)), tf.int32) - n
            music = self.codec.transpose(music, semitones)
        if self.stretch_percent:
            factors = 1 + (2 * stretch - 1) * (self.stretch_percent / 100)
            music = self.codec.stretch(music, tf.cast(factors, tf.float32))
        return tf.ensure_shape(music, shape)
