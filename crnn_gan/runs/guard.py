"""Callbacks that steer a run and keep it: schedules, checkpoints, and its end before time."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

import keras

from crnn_gan.runs import checkpoint
from crnn_gan.runs.best import Best
from crnn_gan.training.phases import MOST_SKIPPED_IN_A_ROW
from pipelines import stopping


class TrainingError(ValueError):
    """Training that cannot go on, as its updates are not finite."""


class EpochSchedule(keras.callbacks.Callback):
    """Passes the number of the epoch to the model, for learning rates and curricula."""

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Calls `MusicModel.begin_epoch`."""
        self.model.begin_epoch(epoch)


class StopOnNaN(keras.callbacks.Callback):
    """Ends the run when too many updates of a phase in a row were not finite.

    Single ones are skipped inside the graph; their number is printed after each epoch.
    """

    def on_train_batch_end(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Looks for the mark that the graph leaves.

        Raises:
          TrainingError: names the phase.
        """
        for name, value in (logs or {}).items():
            if name.endswith("_loss") and not math.isfinite(float(value)):
                raise TrainingError(
                    f"the phase {name.removesuffix('_loss')!r} gave no finite update "
                    f"{MOST_SKIPPED_IN_A_ROW} times in a row. The last checkpoint is good: try a "
                    "lower --learning_rate, a lower --max_grad_norm or --precision=float32"
                )

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Prints how many updates were skipped so far, if any."""
        counts = {name: int(v) for name, v in self.model.skipped.items() if int(v)}
        if counts:
            said = ", ".join(f"{count} of {name}" for name, count in counts.items())
            print(f"updates skipped so far because they were not finite: {said}", flush=True)


class SaveCheckpoint(keras.callbacks.Callback):
    """Writes a checkpoint at the end of every n-th epoch, and of the last; spares the best.

    Put it after what writes the epoch's row: from the rows it is chosen which is best.
    """

    def __init__(
        self,
        run_dir: Path,
        every: int,
        total_epochs: int,
        choose: Callable[[Collection[int]], Best | None] = lambda epochs: None,
    ):
        """Makes the callback.

        Args:
          run_dir: of the run.
          every: epochs from one checkpoint to the next.
          total_epochs: of all stages.
          choose: epochs that have a checkpoint -> the best of them, which stays.
        """
        super().__init__()
        self.run_dir, self.every, self.total_epochs = run_dir, every, total_epochs
        self.choose = choose

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Writes it.

        Raises:
          CheckpointError: it could not be written; earlier ones are untouched.
        """
        number = epoch + 1
        if number % self.every == 0 or number == self.total_epochs:
            best = self.choose([*checkpoint.epochs(self.run_dir), number])
            spared = [best.epoch] if best else []
            checkpoint.save(self.run_dir, self.model, number, spared)


class StopOnSignal(keras.callbacks.Callback):
    """Ends the run between two batches, or when an epoch's files are written, after a signal.

    Put it last. Within an epoch nothing is saved: a checkpoint falls on the end of one, so that a
    resumed run is the same as one that was never stopped. An exception in the signal's own handler
    could be lost, where the garbage collector happens to be at work, or leave half a checkpoint.
    """

    def __init__(self, run_dir: Path):
        """Makes the callback; `run_dir` is the run's."""
        super().__init__()
        self.run_dir, self.epoch = run_dir, 0

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Counts; the epoch 1 is the first."""
        self.epoch = epoch + 1

    def on_train_batch_begin(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Raises Stopped if a signal has come: the first batch of all is traced, which is slow."""
        stopping.check(lambda: self._where(batch))

    def on_train_batch_end(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Raises Stopped if a signal has come."""
        stopping.check(lambda: self._where(batch + 1))

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Raises Stopped if a signal has come."""
        stopping.check(lambda: f" after epoch {epoch + 1}; {self._kept()}")

    def _where(self, batches: int) -> str:
        of = f"{batches} of {self.params['steps']} batches"
        return f" in epoch {self.epoch}, after {of}; {self._kept()}"

    def _kept(self) -> str:
        newest = max(checkpoint.epochs(self.run_dir), default=0)
        if not newest:
            return "no epoch has a checkpoint yet, so training begins again"
        return f"the checkpoint of epoch {newest} stays"
