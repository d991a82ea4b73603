"""The runs of a sweep: directories, status, results.

The state of a run is in its run directory, its log, and a file with its final status, from which
a killed sweep resumes.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from crnn_gan.runs import checkpoint
from crnn_gan.runs.best import Best, choose, read_bands
from crnn_gan.runs.collapse import collapse_of_last
from crnn_gan.runs.configuration import FILE
from crnn_gan.runs.tables import (
    GENERATED,
    LOSSES_FILE,
    STATISTICS_FILE,
    Losses,
    read_losses,
    read_rows,
)
from pipelines.atomic_file import write_atomically

DONE, COLLAPSED, DIVERGED, DROPPED = "done", "collapsed", "diverged", "dropped"
ENDED = "ended"  # Folder of final statuses.
NOT_FINITE = "gave no finite update"  # In the trainer's error where it gives up a run.


@dataclasses.dataclass(frozen=True)
class SweepRun:
    """One run of a sweep.

    Attributes:
      number: 0 is the first.
      tried: {flag: value} of the varied settings.
      folder: folder of the sweep.
    """

    number: int
    tried: Mapping[str, str]
    folder: Path

    @property
    def name(self) -> str:
        """Its number, padded with zeros."""
        return f"{self.number:03d}"

    @property
    def run_dir(self) -> Path:
        """Its run directory."""
        return self.folder / "runs" / self.name

    @property
    def log(self) -> Path:
        """The output of its trainer."""
        return self.folder / "logs" / f"{self.name}.log"

    @property
    def _ended_file(self) -> Path:
        return self.folder / ENDED / f"{self.name}.txt"

    @property
    def ended(self) -> tuple[str, str]:
        """Final status and reason; "", "" where it has not ended, or failed and may be retried."""
        if not self._ended_file.is_file():
            return "", ""
        how, _, why = self._ended_file.read_text(encoding="utf-8").partition(":")
        return how.strip(), why.strip()

    def end(self, how: str, why: str = "") -> None:
        """Stores its final status."""
        self._ended_file.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(self._ended_file, f"{how}: {why}\n".encode())

    @property
    def epoch(self) -> int:
        """The epoch of its newest checkpoint; 0 for none."""
        return max(checkpoint.epochs(self.run_dir), default=0)

    @property
    def losses(self) -> list[Losses]:
        """Its losses, a row per epoch."""
        return read_losses(self.run_dir / GENERATED / LOSSES_FILE)

    def best(self, by: str, last: int | None = None) -> Best | None:
        """Gives the best of all epochs with statistics, with or without a checkpoint.

        Args:
          by: see `best.choose`.
          last: last epoch to consider; None for all.
        """
        if not (self.run_dir / FILE).is_file():
            return None
        rows = read_rows(self.run_dir / GENERATED / STATISTICS_FILE)
        epochs = {row.epoch for row in rows if last is None or row.epoch <= last}
        return choose(rows, self._bands, by, epochs, self.losses)

    def trouble(self, patience: int) -> tuple[str, str]:
        """Detects collapse and divergence: status and reason; "", "" where there is neither.

        Args:
          patience: consecutive collapsed epochs required.
        """
        for row in self.losses[-1:]:
            broken = [name for name, value in row.losses.items() if not math.isfinite(value)]
            if broken:
                return DIVERGED, f"{', '.join(broken)} not finite after epoch {row.epoch}"
        rows = read_rows(self.run_dir / GENERATED / STATISTICS_FILE)
        found = collapse_of_last(rows, self._bands, patience) if rows else ""
        return (COLLAPSED, f"{found}, after epoch {rows[-1].epoch}") if found else ("", "")

    @functools.cached_property
    def _bands(self) -> Mapping:
        return read_bands(self.run_dir)

    def last_words(self) -> str:
        """Gives the last error line of its log, else the last line; "" for none."""
        if not self.log.is_file():
            return ""
        lines = [x for x in self.log.read_text("utf-8", "replace").splitlines() if x.strip()]
        errors = [line for line in lines if line.startswith("error: ")]
        return (errors or lines or [""])[-1].removeprefix("error: ")


def rungs(max_epoch: int, runs: int, factor: int) -> list[int]:
    """Gives the rungs of successive halving, in epochs, the last being `max_epoch`.

    At each, the best 1 / `factor` of the runs continue, to `factor` times as many epochs (Jamieson
    and Talwalkar 2016, arXiv 1502.07943; the dual of their algorithm 1, with the epochs given).

    Args:
      max_epoch: epochs of a run that is never dropped.
      runs: initial number of runs.
      factor: reduction factor, 2 or more.
    """
    found = [max_epoch]
    while runs >= factor and found[0] >= factor:
        found.insert(0, found[0] // factor)
        runs //= factor
    return found


def best_of(
    runs: Sequence[SweepRun], by: str, last: int | None = None
) -> list[tuple[float, SweepRun]]:
    """Gives (distance, run) of runs that have one, best first; ties by number."""
    found = [(best.distance, run) for run in runs if (best := run.best(by, last)) is not None]
    return sorted(found, key=lambda pair: (pair[0], pair[1].number))
