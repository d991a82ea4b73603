"""The memory that a request of a model takes at most, and its limit, in words."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # TensorFlow is slow to import, and refusing needs none.
    import tensorflow as tf

LIMIT_BYTES = 4 * 2**30  # Beside the weights and TensorFlow itself.
GIBIBYTE = 2**30
MOST = 2**53  # Above it float64, which graphs compute in, does not hold every integer.


@dataclasses.dataclass(frozen=True)
class Memory:
    """Upper bounds of what a request takes, and how much it may.

    Rows are pieces, their number rounded up to a multiple of `rows_together`; steps are those of
    the longest piece, a primer's among them; steps_at_once the smaller of them and
    `steps_together`. A request takes at most rows * (bytes_per_row + steps_at_once *
    bytes_per_row_and_step) + pieces * steps * bytes_per_step.

    Attributes:
      limit_bytes: that a request may take.
      rows_together: see `MusicModel`.
      steps_together: see `MusicModel`; 0 where a piece is written as a whole.
      bytes_per_row: state and activations while a step is written.
      bytes_per_row_and_step: noise and activations of each of the steps that are written at once.
      bytes_per_step: the array, and what the codec makes of it.
    """

    limit_bytes: int
    rows_together: int
    steps_together: int
    bytes_per_row: int
    bytes_per_row_and_step: int
    bytes_per_step: int

    def __post_init__(self) -> None:
        """Raises ValueError where a number, which a file may hold, is none or out of range."""
        for name, value in dataclasses.asdict(self).items():
            least = int(name in ("limit_bytes", "rows_together", "bytes_per_step"))
            if type(value) is not int or not least <= value < MOST:
                raise ValueError(f"memory has {name} {value!r}; give {least} to {MOST - 1}")

    def of(self, pieces: Any, steps: Any) -> Any:
        """Gives the bytes that a request takes at most; of numbers, or of float64 tensors."""
        rows = -(-pieces // self.rows_together) * self.rows_together
        return rows * self._of_row(steps) + pieces * steps * self.bytes_per_step

    def _of_row(self, steps: Any) -> Any:
        at_once = steps
        if self.steps_together:  # The smaller of the two, of tensors too.
            at_once = (steps + self.steps_together - abs(steps - self.steps_together)) // 2
        return self.bytes_per_row + at_once * self.bytes_per_row_and_step

    def most_pieces(self, steps: Any) -> Any:
        """Gives the most pieces of a request, 0 where one is too long; as `of`."""
        together, of_piece = self.rows_together, steps * self.bytes_per_step
        of_rows = together * self._of_row(steps)
        groups = self.limit_bytes // (of_rows + together * of_piece)
        left = self.limit_bytes - groups * (of_rows + together * of_piece)
        more = (left - of_rows) // of_piece  # Of a group that is not whole; negative is none.
        return groups * together + (abs(more) + more) // 2

    @property
    def most_steps(self) -> int:
        """The most steps of one piece."""
        of_rows = self.rows_together * self._of_row(self.steps_together)
        if self.steps_together and self.of(1, self.steps_together) <= self.limit_bytes:
            return (self.limit_bytes - of_rows) // self.bytes_per_step
        of_step = self.rows_together * self.bytes_per_row_and_step + self.bytes_per_step
        return max(0, (self.limit_bytes - self.rows_together * self.bytes_per_row) // of_step)

    def refuse(self, pieces: int, steps: int) -> None:
        """Checks a request before anything heavy is loaded.

        Args:
          pieces: how many are made at once.
          steps: of the longest, a primer's among them.

        Raises:
          ValueError: it may take more than the limit; says how much to ask for.
        """
        if (taken := self.of(pieces, steps)) > self.limit_bytes:
            most = self.most_pieces(steps)
            advice = self._fewer("".join, str(most)) if most else self._shorter
            size = f"{taken / GIBIBYTE:.1f}"
            raise ValueError(self._words("".join, str(pieces), str(steps), size, advice))

    def assertion(self, pieces: tf.Tensor, steps: tf.Tensor) -> Any:
        """Gives an assertion of a graph that fails where `refuse` does, with its words.

        Args:
          pieces, steps: integer scalars.
        """
        import tensorflow as tf

        def text(number: tf.Tensor) -> tf.Tensor:
            return tf.strings.as_string(tf.cast(number, tf.int64))

        # Products of what any caller may ask for overflow no float64.
        taken = self.of(tf.cast(pieces, tf.float64), tf.cast(steps, tf.float64))
        most = self.most_pieces(tf.cast(steps, tf.float64))
        advice = tf.where(most > 0, self._fewer(tf.strings.join, text(most)), self._shorter)
        size = tf.strings.as_string(taken / GIBIBYTE, precision=1)
        words = self._words(tf.strings.join, text(pieces), text(steps), size, advice)
        return tf.debugging.Assert(taken <= self.limit_bytes, [words])

    def _words(self, join: Callable, pieces: Any, steps: Any, size: Any, advice: Any) -> Any:
        # No apostrophe: TensorFlow would put a backslash before it.
        of = [pieces, " x ", steps, " steps (count x length, those of a primer included) take "]
        limit = f" GiB of memory; the limit of this model is {self.limit_bytes / GIBIBYTE:.1f}: "
        return join([*of, "up to ", size, limit, advice])

    @staticmethod
    def _fewer(join: Callable, most: Any) -> Any:
        return join(["ask for at most ", most, " pieces at a time; piece i is that of seed + i"])

    @property
    def _shorter(self) -> str:
        return f"ask for at most {self.most_steps} steps"
