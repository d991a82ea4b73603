"""Piano rolls whose cells are on or off: sampling them, and onsets and frames that agree."""

from __future__ import annotations

import dataclasses
from typing import Any

from keras import ops

from pipelines.spec import Spec


@dataclasses.dataclass(frozen=True)
class WindowSampler:
    """Turns what a network says of a window's cells into a piano roll of cells on or off.

    A window is [time, pitch, plane], or [cells], which is the same flattened.

    Attributes:
      steps, pitches, planes: of a window.
      steps_per_number: steps of a pitch, in all planes, that one random number decides. Of 4 the
        first number of a pitch decides steps 0 to 3, the second steps 4 to 7.
      onsets_from_frames: whether the planes are onset and frame, and are made to agree.
    """

    steps: int
    pitches: int
    planes: int
    steps_per_number: int
    onsets_from_frames: bool

    @classmethod
    def of(
        cls, spec: Spec, steps: int, steps_per_number: int, onsets_from_frames: bool
    ) -> WindowSampler:
        """Makes it for a Spec of a piano roll; only planes of onsets and frames are made to agree.

        Args:
          spec: of kind "roll", [time, pitch, plane].
          steps, steps_per_number, onsets_from_frames: see the attributes.
        """
        pitches, planes = (int(size or 0) for size in spec.shape[1:])
        has_both = [name for name, _, _ in spec.blocks] == ["onset", "frame"]
        return cls(steps, pitches, planes, steps_per_number, onsets_from_frames and has_both)

    @property
    def numbers_shape(self) -> tuple[int, int]:
        """Shape of the random numbers of a window: [stretch of time, pitch]."""
        return -(-self.steps // self.steps_per_number), self.pitches

    def for_each_cell(self, numbers: Any) -> Any:
        """Gives the number of each cell: [batch, cells] of [batch, stretch, pitch]."""
        by_step = ops.repeat(numbers, self.steps_per_number, axis=1)[:, : self.steps]
        cells = ops.repeat(by_step[..., None], self.planes, axis=-1)
        return ops.reshape(cells, (-1, self.steps * self.pitches * self.planes))

    def straight_through(self, soft: Any, limit: Any) -> Any:
        """Gives cells that are 1 above a limit and else -1, with the gradients of `soft`.

        The straight-through estimator: Bengio et al. 2013, arXiv 1308.3432. Notes of the first step
        may have begun before the window.

        Args:
          soft: float32 [batch, cells] in [-1, 1].
          limit: float32 [batch, cells], or a number.

        Returns:
          float32 [batch, cells].
        """
        hard = ops.where(soft > limit, 1.0, -1.0)
        cells = hard + (soft - ops.stop_gradient(soft))
        if not self.onsets_from_frames:
            return cells
        shape = (-1, self.steps, self.pitches, self.planes)
        bits = 0.5 + 0.5 * ops.reshape(cells, shape)
        bits = make_onsets_and_frames_agree(bits, sounding_before=True)
        return 2 * ops.reshape(bits, (-1, self.steps * self.pitches * self.planes)) - 1

    def piano_roll(self, on: Any, before: Any) -> Any:
        """Gives the piano roll of windows in a row.

        Args:
          on: bool [batch, windows, cells].
          before: int32 [batch, 1, pitch, plane], the step of the roll before them; zeros where
            there is none.

        Returns:
          int32 [batch, windows * steps, pitch, plane].
        """
        batch, windows = ops.shape(on)[0], ops.shape(on)[1]
        shape = (batch, windows * self.steps, self.pitches, self.planes)
        bits = ops.cast(ops.reshape(on, shape), "int32")
        if not self.onsets_from_frames:
            return bits
        bits = ops.concatenate([before, bits], axis=1)
        return make_onsets_and_frames_agree(bits, sounding_before=False)[:, 1:]


def make_onsets_and_frames_agree(piano_roll: Any, sounding_before: bool) -> Any:
    """Gives a piano roll in which each note begins with an onset, and each onset begins a note.

    A cell with an onset gets its frame; a frame that follows none of its pitch gets its onset:
    frames 0 1 1 with onsets 0 0 0 have the onsets 0 1 0 then. It is made of products and sums, so
    that the gradient by an onset reaches the frames that it was derived from.

    Args:
      piano_roll: [batch, time, pitch, plane] of 0 and 1, any dtype; the planes are onset and frame.
      sounding_before: whether all pitches sounded before the first step, so that none of its
        frames needs an onset; or none did.

    Returns:
      The same shape and dtype.
    """
    onset, frame = piano_roll[..., 0], piano_roll[..., 1]
    frame = onset + frame - onset * frame
    first = ops.ones_like(frame[:, :1]) if sounding_before else ops.zeros_like(frame[:, :1])
    before = ops.concatenate([first, frame[:, :-1]], axis=1)
    begins = frame * (1 - before)
    return ops.stack([onset + begins - onset * begins, frame], axis=-1)
