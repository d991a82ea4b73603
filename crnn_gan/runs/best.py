"""The best epoch of a run: the one whose pieces lie nearest to real music, by its row.

Or, of models that measure it, the one that gives held-out music the greatest likelihood.

Only epochs that have a checkpoint can be best. The choice is a pure function of what stands
in the run directory (statistics.tsv, bands.json, and which checkpoints there are), so a run
that was killed and resumed makes the same one, and no file of its own can be out of step with
them. Needs no Keras.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path

from crnn_gan import metrics
from crnn_gan.metrics.bands import Band, from_json, in_words
from crnn_gan.runs.collapse import too_alike
from crnn_gan.runs.configuration import RunConfig
from crnn_gan.runs.criteria import BAND_DISTANCE, HELD_OUT_NATS
from crnn_gan.runs.tables import (
    GENERATED,
    LOSSES_FILE,
    STATISTICS_FILE,
    Losses,
    Row,
    read_losses,
    read_rows,
)
from pipelines.json_file import read_json

BANDS_FILE = "bands.json"
COMPARED = tuple(s.name for s in metrics.STATISTICS if s.group == metrics.THE_PAPERS)
NO_WIDTH = 1e-5  # Of a mean: less than this is rounding, of sums and of a row's six digits.


@dataclasses.dataclass(frozen=True)
class Best:
    """The best of some epochs; as a string, what it is in words.

    Attributes:
      epoch: 1 is the first.
      by: what was compared: a statistic, "band_distance" or "held_out_nats".
      distance: of its pieces from real music; or nats a step.
      pieces: generated after that epoch.
    """

    epoch: int
    by: str
    distance: float
    pieces: int

    def __str__(self) -> str:
        if self.by == HELD_OUT_NATS:
            return f"the best by held-out music ({self.distance:.4f} nats a step)"
        return f"the best by {in_words(self.by)} ({self.distance:.3f} over {self.pieces} pieces)"


def statistic_distance(mean: float, band: Band) -> float:
    """Gives the distance of a mean from real music's mean, in widths of the band.

    The width is from the 5th to the 95th percentile of real windows, or to their mean where
    that lies outside. Where all of real music has one value, it is 1 in the statistic's unit.
    """
    width = max(band.high, band.mean) - min(band.low, band.mean)
    if width <= NO_WIDTH * max(1.0, abs(band.mean)):
        width = 1.0
    return abs(mean - band.mean) / width


def band_distance(row: Row, bands: Mapping[str, Band]) -> float | None:
    """Gives the distance of an epoch's pieces from real music in the paper's statistics, 0..1.

    The mean over these statistics of `statistic_distance`, each clipped at 1, so
    that one statistic alone does not decide. Pieces that repeat another count as 1 in
    all of them: (1 - r) * mean + r, with r the share of such pieces; where pieces are so alike
    that they have collapsed, r is the share of their notes, if that is more.

    Returns:
      None where the row or the bands lack one of the statistics.
    """
    if not all(name in row.statistics and name in bands for name in COMPARED):
        return None
    near = [min(1.0, statistic_distance(row.statistics[n], bands[n])) for n in COMPARED]
    repeated = max(row.repeated / row.pieces, too_alike(row))
    return (1 - repeated) * sum(near) / len(near) + repeated


def distance(row: Row, bands: Mapping[str, Band], by: str) -> float | None:
    """Gives the distance of an epoch by a statistic or "band_distance"; None where unknown."""
    if by == BAND_DISTANCE:
        return band_distance(row, bands)
    if by not in row.statistics or by not in bands:
        return None
    return statistic_distance(row.statistics[by], bands[by])


def choose(
    rows: Sequence[Row],
    bands: Mapping[str, Band],
    by: str,
    epochs: Collection[int],
    losses: Sequence[Losses] = (),
) -> Best | None:
    """Gives the best of some epochs, of equal ones the latest; None where none was measured.

    Args:
      rows: as read from statistics.tsv, not before they were rounded.
      bands: of real windows.
      by: a statistic, "band_distance" or "held_out_nats".
      epochs: those that have a checkpoint.
      losses: as read from losses.tsv, for "held_out_nats".
    """
    pieces = {row.epoch: row.pieces for row in rows}
    measured: Iterable[tuple[float | None, int]]
    if by == HELD_OUT_NATS:
        measured = ((row.losses.get(HELD_OUT_NATS), row.epoch) for row in losses)
    else:
        measured = ((distance(row, bands, by), row.epoch) for row in rows)
    known = [(value, epoch) for value, epoch in measured if value is not None and epoch in epochs]
    if not known:
        return None
    value, epoch = min(known, key=lambda pair: (pair[0], -pair[1]))
    return Best(epoch, by, value, pieces.get(epoch, 0))


def read_bands(run_dir: Path) -> dict[str, Band]:
    """Reads the bands of real music that a run keeps.

    Raises:
      ValueError: there are none, or they are damaged.
    """
    path = run_dir / BANDS_FILE
    if not path.exists():
        raise ValueError(f"{run_dir} has no {BANDS_FILE}; training writes it when it starts")
    try:
        return from_json(read_json(path))
    except ValueError as error:
        raise ValueError(
            f"{path}: {error}; move it away: training writes it again when it goes on"
        ) from None


def best_of_run(run_dir: Path, epochs: Collection[int]) -> Best:
    """Gives the best of a run's epochs, by the `best_by` of its config.json.

    Args:
      run_dir: of the run.
      epochs: those that have a checkpoint.

    Raises:
      ValueError: the run was trained without --best_by, or none of the epochs has a row.
    """
    by = RunConfig.read(run_dir).training.get("best_by", "")
    if not by:
        raise ValueError(
            f"{run_dir} knows no best epoch: it was trained without --best_by; train on with "
            f"--best_by={BAND_DISTANCE}, or give another --checkpoint"
        )
    path = run_dir / GENERATED / STATISTICS_FILE
    losses = read_losses(run_dir / GENERATED / LOSSES_FILE)
    found = choose(read_rows(path), read_bands(run_dir), by, epochs, losses)
    if found is None:
        raise ValueError(
            f"{run_dir} knows no best epoch: {path} has no {by} of an epoch that has a "
            "checkpoint; give another --checkpoint"
        )
    return found
