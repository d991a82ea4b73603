"""The runs of a sweep: where they are, how they stand, what they came to.

All that is known of a run stands in its run directory, in its log, and in a file that says how
it ended, so a sweep that was killed reads where it was from there.
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
NOT_FINITE = "gave no finite update"  # What the trainer says of a run that it gives up.


@dataclasses.dataclass(frozen=True)
class SweepRun:
    """One run of a sweep.

    Attributes:
      number: 0 is the first.
      tried: {flag: value} that it has for itself.
      folder: of the sweep.
    """

    number: int
    tried: Mapping[str, str]
    folder: Path

    @property
    def name(self) -> str:
        """Its number, with zeros before it."""
        return f"{self.number:03d}"

    @property
    def run_dir(self) -> Path:
        """Its run directory."""
        return self.folder / "runs" / self.name

    @property
    def log(self) -> Path:
        """What its trainer said."""
        return self.folder / "logs" / f"{self.name}.log"

    @property
    def _ended_file(self) -> Path:
        return self.folder / "ended" / f"{self.name}.txt"

    @property
    def ended(self) -> tuple[str, str]:
        """How it ended, and why; "", "" where it has not, or failed and may be tried again."""
        if not self._ended_file.is_file():
            return "", ""
        how, _, why = self._ended_file.read_text(encoding="utf-8").partition(":")
        return how.strip(), why.strip()

    def end(self, how: str, why: str = "") -> None:
        """Writes down how it ended."""
        self._ended_file.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(self._ended_file, f"{how}: {why}\n".encode())

    @property
    def epoch(self) -> int:
        """The newest epoch that it has a checkpoint of; 0 for none."""
        return max(checkpoint.epochs(self.run_dir), default=0)

    @property
    def losses(self) -> list[Losses]:
        """Its losses, a row an epoch."""
        return read_losses(self.run_dir / GENERATED / LOSSES_FILE)

    def best(self, by: str, last: int | None = None) -> Best | None:
        """Gives the best of all epochs that it has a row of, also of those without a checkpoint.

        Args:
          by: see `best.choose`.
          last: epochs after it do not count; None: all do.
        """
        if not (self.run_dir / FILE).is_file():
            return None
        rows = read_rows(self.run_dir / GENERATED / STATISTICS_FILE)
        epochs = {row.epoch for row in rows if last is None or row.epoch <= last}
        return choose(rows, self._bands, by, epochs, self.losses)

    def trouble(self, patience: int) -> tuple[str, str]:
        """Says that it has collapsed or diverged, and how; "", "" where it has not.

        Args:
          patience: epochs in a row that have to be collapsed.
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
        """Gives the last line of its log that says an error, else the last; "" for none."""
        if not self.log.is_file():
            return ""
        lines = [x for x in self.log.read_text("utf-8", "replace").splitlines() if x.strip()]
        errors = [line for line in lines if line.startswith("error: ")]
        return (errors or lines or [""])[-1].removeprefix("error: ")


def rungs(max_epoch: int, runs: int, factor: int) -> list[int]:
    """Gives the epochs at which successive halving compares, the last being `max_epoch`.

    At each, the best one of `factor` runs goes on, to `factor` times as many epochs (Jamieson
    and Talwalkar 2016, arXiv 1502.07943; the dual of their algorithm 1, with the epochs given).

    Args:
      max_epoch: of a run that is never dropped.
      runs: at the beginning.
      factor: 2 or more.
    """
    found = [max_epoch]
    while runs >= factor and found[0] >= factor:
        found.insert(0, found[0] // factor)
        runs //= factor
    return found


def best_of(
    runs: Sequence[SweepRun], by: str, last: int | None = None
) -> list[tuple[float, SweepRun]]:
    """Gives (distance, run) of those that know one, the best first; of equal ones the first."""
    found = [(best.distance, run) for run in runs if (best := run.best(by, last)) is not None]
    return sorted(found, key=lambda pair: (pair[0], pair[1].number))
