"""conditions: statistics of the music that follows each step, as inputs of a model, in tf.data.

A model that predicts step t + 1 from steps 0 to t may be conditioned, at index t, on
statistics of a window that begins with step t + 1. Index 2, for example, predicts step 3: its
window begins with step 3 and covers the steps whose onset is less than so many seconds after
that of step 3. The window follows the piece, also beyond the training window, and ends with
the piece. It never covers the model's inputs, steps 0 to t. It does cover the target: the
statistics say of step t + 1 what is in their sums, and no more; where few notes follow, as at
the end of a piece, that is all there is to know. So likelihoods are comparable only between
models of the same conditions.

  pitch_class_histogram  [12] share of the onsets per pitch class, C first; sums to 1
  density                [1]  onsets per second
  mean_pitch             [1]  mean MIDI key number of the onsets

A window holds at most `look_ahead_steps` steps, wherever it lies; where more begin in its
seconds the rest is not counted. So a condition is a function of piece and step.

`centred_steps` gives another window instead, that of Deep Symphony (there 50 steps), and it
leaks: N steps around step t + 1, half of them before it, the window moved where it would
leave the piece. It covers inputs of the model, and the target among few others. Its density
is onsets per step, as there.

Oore et al. 2018 (arXiv 1808.03715, section 5) condition on histogram and density over the next
5 and 3 seconds (Performance RNN's code), the first weighted by duration; here each note
counts one.
"""

from __future__ import annotations

import dataclasses

import tensorflow as tf

from pipelines.codecs.codec import Codec, Onsets

SIZES = {"pitch_class_histogram": 12, "density": 1, "mean_pitch": 1}
PRIOR_NOTES = 0.01  # Added to the onsets of each pitch class: without onsets it is uniform.
SILENT_PITCH = 64.0  # The mean pitch where there are no onsets.
EDGE_SECONDS = 1e-4  # Below any grid; a step on the window's end is outside, however sums round.


@dataclasses.dataclass(frozen=True)
class Conditions:
    """Which statistics a model is conditioned on, and over which windows.

    Attributes:
      codec: of the arrays; it has to give `onsets`.
      names: some of `SIZES`, which holds the number of features of each.
      histogram_seconds, density_seconds, mean_pitch_seconds: length of each window.
      look_ahead_steps: the most steps of a window.
      centred_steps: 0 for windows that begin with the target; N for the leaking window of N
        steps around it.

    Raises:
      ValueError: an unknown name, a length of 0, or the codec has no onsets.
    """

    codec: Codec
    names: tuple[str, ...] = tuple(SIZES)
    histogram_seconds: float = 5.0
    density_seconds: float = 3.0
    mean_pitch_seconds: float = 5.0
    look_ahead_steps: int = 256
    centred_steps: int = 0

    def __post_init__(self) -> None:
        unknown = sorted(set(self.names) - set(SIZES))
        if unknown or not self.names:
            raise ValueError(
                f"conditions has {', '.join(unknown) or 'none'}; give some of {', '.join(SIZES)}"
            )
        for name in ("histogram_seconds", "density_seconds", "mean_pitch_seconds"):
            if not 0 < getattr(self, name) <= 3600:
                raise ValueError(
                    f"{name} is {getattr(self, name)}; give a number above 0, at most 3600"
                )
        if self.look_ahead_steps < 1 or self.centred_steps < 0:
            raise ValueError(
                f"look_ahead_steps is {self.look_ahead_steps} and centred_steps "
                f"{self.centred_steps}; give 1 or more, and 0 or more"
            )
        # Here, where nothing has begun yet, a codec that cannot says so.
        self.codec.onsets(tf.zeros([1, 1, *self.codec.spec.shape[1:]], self.codec.spec.dtype))

    def __call__(
        self, music: tf.Tensor, valid_steps: tf.Tensor, length: int
    ) -> dict[str, tf.Tensor]:
        """Gives the conditions at the first `length` steps.

        Args:
          music: [row, time, ...] as the codec's spec says, `length` steps or more.
          valid_steps: int64 [row], its steps before the padding, which is not looked at.
          length: int, or int scalar tensor.

        Returns:
          For each name float32 [row, length, size].
        """
        return self.of_onsets(self.codec.onsets(music), valid_steps, length)

    def of_onsets(
        self, onsets: Onsets, valid_steps: tf.Tensor, length: int
    ) -> dict[str, tf.Tensor]:
        """Gives the same from the onsets at each step."""
        notes = tf.concat([onsets.pitch_classes, onsets.pitch_sum[..., None]], axis=-1)
        # Whole numbers: a difference of sums is exact however long the piece is.
        notes = tf.cast(notes, tf.int32)
        seconds = tf.cast(onsets.seconds, tf.float64)
        # The onsets, and the time that passed, before each step and after the last.
        notes_before = tf.pad(tf.cumsum(notes, axis=1), [[0, 0], [1, 0], [0, 0]])
        begins = tf.pad(tf.cumsum(seconds, axis=1), [[0, 0], [1, 0]])
        valid_steps = valid_steps[:, None]
        return {
            name: self._one(name, notes_before, begins, valid_steps, length) for name in self.names
        }

    def _one(
        self,
        name: str,
        notes_before: tf.Tensor,
        begins: tf.Tensor,
        valid_steps: tf.Tensor,
        length: int,
    ) -> tf.Tensor:
        window_seconds = {
            "pitch_class_histogram": self.histogram_seconds,
            "density": self.density_seconds,
            "mean_pitch": self.mean_pitch_seconds,
        }[name]
        if self.centred_steps:
            first, after = self._centred(valid_steps, length)
            unit: tf.Tensor = tf.cast(tf.maximum(after - first, 1), tf.float32)
        else:
            first, after = self._ahead(begins, window_seconds, valid_steps, length)
            unit = tf.constant(window_seconds, tf.float32)
        notes = tf.gather(notes_before, after, batch_dims=1)
        notes -= tf.gather(notes_before, first, batch_dims=1)
        notes = tf.cast(notes, tf.float32)
        pitch_classes, pitch_sum = notes[..., :12], notes[..., 12]
        count = tf.reduce_sum(pitch_classes, axis=-1)
        if name == "pitch_class_histogram":
            return (pitch_classes + PRIOR_NOTES) / (count + 12 * PRIOR_NOTES)[..., None]
        if name == "density":
            return (count / unit)[..., None]
        mean = tf.where(count > 0, pitch_sum / tf.maximum(count, 1.0), SILENT_PITCH)
        return mean[..., None]

    def _ahead(
        self, begins: tf.Tensor, seconds: float, valid_steps: tf.Tensor, length: int
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """The first step of each window ahead, and the one after its last: int64 [row, length]."""
        first = tf.range(1, tf.cast(length, tf.int64) + 1)[None, :]
        end = begins[:, 1 : length + 1] + (seconds - EDGE_SECONDS)
        after = tf.searchsorted(begins, end, out_type=tf.int64)
        after = tf.minimum(tf.minimum(after, first + self.look_ahead_steps), valid_steps)
        return tf.minimum(first, valid_steps), tf.maximum(after, tf.minimum(first, valid_steps))

    def _centred(self, valid_steps: tf.Tensor, length: int) -> tuple[tf.Tensor, tf.Tensor]:
        """The same of windows around the step after each."""
        target = tf.range(1, tf.cast(length, tf.int64) + 1)[None, :]
        first = tf.minimum(target - self.centred_steps // 2, valid_steps - self.centred_steps)
        first = tf.maximum(first, 0)
        return first, tf.minimum(first + self.centred_steps, valid_steps)
