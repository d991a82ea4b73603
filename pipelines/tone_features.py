"""Tone features: time, length, pitch, velocity and presence of a tone, scaled, and back.

The codec `note_tuples` writes them in its cells. With the scaling "unit" times are logarithmic
and all features near [-1, 1]; with "raw" times are ticks, pitches Hz and velocities 0..127, as
in Mogren 2016 (arXiv 1611.09904). "time" is the time since the previous onset.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import Any, Literal

import numpy as np

PITCH_CENTRE, PITCH_SCALE = 64.0, 24.0  # Semitones; two octaves are one unit.
CIRCLE_RADIUS = 0.7
CIRCLE_NOISE = 0.18  # Half the distance between neighbours on the circle: 0.7 * sin(pi / 12).
VELOCITY_SCALE = 64.0
PRESENCE = 0.7  # Of a tone that sounds; its negative of an empty slot.


@dataclasses.dataclass(frozen=True)
class ToneFeatures:
    """Scales the features of tones, and scales them back.

    Attributes:
      longest_ticks: the longest time and length; longer ones are clipped to it.
      scaling: "unit" or "raw".
      pitch_features: "circle_of_fifths" has three features per pitch, "number" one.
    """

    longest_ticks: int
    scaling: Literal["unit", "raw"]
    pitch_features: Literal["circle_of_fifths", "number"]

    # From whole numbers to features.

    def encode(self, name: str, values: np.ndarray) -> np.ndarray:
        """Gives float32 [..., feature] of integers; those above the table are clipped."""
        return self.tables[name].take(values, axis=0, mode="clip")

    @functools.cached_property
    def tables(self) -> dict[str, np.ndarray]:
        """{name: float32 [value, feature]}, the features of every value from 0 on."""
        ticks, velocity = np.arange(self.longest_ticks + 1), np.arange(128)
        columns: dict[str, np.ndarray] = {"time": ticks, "length": ticks, "velocity": velocity}
        if self.scaling == "unit":
            longest = self.longest_ticks
            columns["time"] = 2 * np.log1p(ticks) / np.log1p(longest) - 1
            # No note lasts 0 ticks, which have no logarithm.
            columns["length"] = 2 * np.log(np.maximum(ticks, 1)) / np.log(longest) - 1
            columns["velocity"] = velocity / VELOCITY_SCALE - 1
            columns["presence"] = np.array([-PRESENCE, PRESENCE])
        tables = {name: column[:, None].astype(np.float32) for name, column in columns.items()}
        return {**tables, "pitch": self._pitch_table}

    @functools.cached_property
    def _pitch_table(self) -> np.ndarray:
        """The features of each of the 128 pitches: float32 [128, 1 or 3]."""
        pitch = np.arange(128)
        if self.scaling == "raw":
            return (440.0 * 2.0 ** ((pitch - 69) / 12))[:, None].astype(np.float32)
        height = (pitch - PITCH_CENTRE) / PITCH_SCALE
        if self.pitch_features == "number":
            return height[:, None].astype(np.float32)
        angle = 2 * np.pi * (7 * pitch % 12) / 12
        circle = [CIRCLE_RADIUS * np.cos(angle), CIRCLE_RADIUS * np.sin(angle)]
        return np.stack([height, *circle], axis=1).astype(np.float32)

    # From features to numbers, in TensorFlow ops.

    def ticks(self, name: Literal["time", "length"], feature: Any) -> Any:
        """Gives ticks, not rounded, of the feature of a time or a length."""
        import tensorflow as tf

        if self.scaling == "raw":
            return feature
        place = (tf.clip_by_value(feature, -2.0, 1.0) + 1) / 2
        if name == "time":
            return tf.math.expm1(place * np.log1p(self.longest_ticks))
        return tf.exp(place * np.log(self.longest_ticks))

    def velocity(self, feature: Any) -> Any:
        """Gives velocities, not rounded."""
        return feature if self.scaling == "raw" else (feature + 1) * VELOCITY_SCALE

    def nearest_pitch(self, features: Any) -> Any:
        """Gives the pitch whose features are nearest: int32 [...] of finite [..., feature]."""
        import tensorflow as tf

        table = self._pitch_table
        if self.scaling == "raw":  # Nearest in semitones, not in Hz.
            table, features = np.log2(table), tf.math.log(tf.maximum(features, 1e-3)) / np.log(2.0)
        # No matmul: a GPU may round its factors to 10 bits, more than half a tone at the top.
        distance = sum(
            (features[..., j, None] - tf.constant(table[:, j])) ** 2 for j in range(table.shape[1])
        )
        return tf.argmin(distance, axis=-1, output_type=tf.int32)

    def pitch(self, height: Any) -> Any:
        """Gives the pitch, float32, of the first feature that `encode` gave for it."""
        import tensorflow as tf

        if self.scaling == "raw":
            return tf.round(69 + 12 / np.log(2.0) * tf.math.log(height / 440))
        return tf.round(height * PITCH_SCALE + PITCH_CENTRE)

    def dequantize(self, name: str, features: Any, uniform: Any) -> Any:
        """Adds uniform noise within what rounds to the same value.

        Args:
          name: of the feature.
          features: float32 [..., feature] as `encode` gives them.
          uniform: float32, the same shape, in [-0.5, 0.5) times `spread`.

        Returns:
          float32 tensor of the same shape, which rounds to the same values.
        """
        import tensorflow as tf

        if name == "presence":
            return features + uniform * PRESENCE
        if name == "velocity":
            return features + uniform / (1.0 if self.scaling == "raw" else VELOCITY_SCALE)
        if name == "pitch":
            if self.scaling == "raw":
                return features * 2.0 ** (uniform / 12)
            noise = [1 / PITCH_SCALE] + [CIRCLE_NOISE] * (features.shape[-1] - 1)
            return features + uniform * tf.constant(noise, tf.float32)
        ticks = tf.round(self.ticks(name, features)) + uniform  # type: ignore[arg-type]
        if self.scaling == "raw":
            return ticks
        if name == "time":
            return 2 * tf.math.log1p(ticks) / np.log1p(self.longest_ticks) - 1
        return 2 * tf.math.log(ticks) / np.log(self.longest_ticks) - 1

    @property
    def spread(self) -> float:
        """The share of the rounding interval that noise may fill.

        float32 keeps a logarithmic time to about 1e-6 of itself; noise stays clear of the
        edge by twice that, so that it never changes a note.
        """
        return 1 - 1e-3 - 4e-6 * self.longest_ticks
