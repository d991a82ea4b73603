"""A line per epoch: losses, speed, and the time that is left."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import keras

from crnn_gan.metrics.bands import in_words
from pipelines.command_line import duration


class Progress(keras.callbacks.Callback):
    """Prints one line an epoch: losses, speed, and the time left for the whole run.

    Training is one fit() a stage; the epochs of all stages are counted together. The time
    left takes the rest to be as fast as the last ten epochs of this fit(), of which the
    first counts only while there is no other: it traces and compiles.
    """

    def __init__(
        self, total_epochs: int, stage: str = "", clock: Callable[[], float] = time.monotonic
    ):
        """Makes the callback.

        Args:
          total_epochs: epochs of all stages.
          stage: name of the stage, for the lines.
          clock: gives seconds.
        """
        super().__init__()
        self.total_epochs, self.stage, self.clock = total_epochs, stage, clock
        self._ends: list[float] = []
        self._started = self._trained = 0.0
        self._steps = 0

    def on_train_begin(self, logs: Mapping[str, Any] | None = None) -> None:
        """Starts the clock."""
        self._ends = [self.clock()]

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Starts the epoch's clock."""
        self._started, self._steps = self.clock(), 0

    def on_train_batch_end(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Counts; `batch` is the last step of a call that ran several."""
        self._trained, self._steps = self.clock(), batch + 1

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Prints the line."""
        self._ends.append(self.clock())
        stage = f" ({self.stage})" if self.stage else ""
        parts = [f"{in_words(name)} {float(value):.4g}" for name, value in (logs or {}).items()]
        if self._steps and self._trained > self._started:
            parts.append(f"{self._steps / (self._trained - self._started):.3g} steps/s")
        left = self._seconds_an_epoch() * (self.total_epochs - epoch - 1)
        parts.append(f"{duration(left)} left")
        print(f"epoch {epoch + 1} of {self.total_epochs}{stage}: {', '.join(parts)}", flush=True)

    def _seconds_an_epoch(self) -> float:
        ends = self._ends[1:] if len(self._ends) > 2 else self._ends
        ends = ends[-11:]
        return (ends[-1] - ends[0]) / (len(ends) - 1)
