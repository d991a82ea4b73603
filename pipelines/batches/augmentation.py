"""augmentation: training windows transposed and time-stretched at random, in tf.data.

Each window by an amount of its own, drawn from (seed, step); the codec moves the notes.
Validation and test music is not augmented.
"""

from __future__ import annotations

import dataclasses

import tensorflow as tf

from pipelines.codecs.codec import Codec

LARGEST_SEMITONES, LARGEST_PERCENT = 24, 50


@dataclasses.dataclass(frozen=True)
class Augmentation:
    """Random transposition and time stretching of windows.

    Attributes:
      codec: of the arrays.
      transpose_semitones: the largest transposition N: each window moves by a whole number of
        semitones from -N to N, uniformly; 0 turns it off.
      stretch_percent: the largest stretch P: times of each window are multiplied by a factor
        from 1 - P/100 to 1 + P/100, uniformly; 0 turns it off.

    Raises:
      ValueError: a number is out of its range, or the codec cannot transpose or stretch.
    """

    codec: Codec
    transpose_semitones: int = 0
    stretch_percent: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.transpose_semitones <= LARGEST_SEMITONES:
            raise ValueError(
                f"--transpose_semitones is {self.transpose_semitones}; give 0 to "
                f"{LARGEST_SEMITONES}"
            )
        if not 0 <= self.stretch_percent <= LARGEST_PERCENT:
            raise ValueError(
                f"--stretch_percent is {self.stretch_percent}; give 0 to {LARGEST_PERCENT}"
            )
        middle = tf.fill([1], tf.constant(0.5, tf.float64))
        shape = [1, 1, *self.codec.spec.shape[1:]]
        # Here, where nothing has begun yet, a codec that cannot says so.
        self(tf.zeros(shape, self.codec.spec.dtype), middle, middle)

    def __call__(
        self, music: tf.Tensor, transposition: tf.Tensor, stretch: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Gives the music transposed, then stretched, and the semitones of each row: int32 [row].

        Args:
          music: [row, time, ...] as the codec's spec says.
          transposition, stretch: float64 [row] in [0, 1), uniform random numbers.

        Returns:
          Tensor of the same shape and dtype, and 0 semitones where a row would have left the
          codec's range.
        """
        shape, before = music.shape, music
        semitones = tf.zeros_like(transposition, tf.int32)
        if self.transpose_semitones:
            n = self.transpose_semitones
            semitones = tf.cast(tf.floor(transposition * (2 * n + 1)), tf.int32) - n
            music = self.codec.transpose(music, semitones)
            differs = tf.reshape(music != before, [tf.shape(music)[0], -1])
            semitones = tf.where(tf.reduce_any(differs, axis=1), semitones, 0)
        if self.stretch_percent:
            factors = 1 + (2 * stretch - 1) * (self.stretch_percent / 100)
            music = self.codec.stretch(music, tf.cast(factors, tf.float32))
        return tf.ensure_shape(music, shape), semitones
