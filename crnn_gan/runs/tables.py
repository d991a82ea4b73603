"""The tables of a run, a row per epoch: statistics.tsv and losses.tsv; names of its files.

Columns are found by their names, so a run that was begun with other statistics, or whose
stages have other losses, goes on: each row keeps what was measured then, and a cell of what
was not is empty. Needs no Keras.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from pipelines.atomic_file import write_atomically
from pipelines.json_file import read_text, shown

GENERATED = "generated_data"
STATISTICS_FILE = "statistics.tsv"
LOSSES_FILE = "losses.tsv"
ALARMS_FILE = "alarms.txt"
MOST_EPOCHS = 999_999  # What the names of checkpoints have digits for.
SHARED_NOTES = "shared_notes"  # A column of statistics.tsv: of the set, not a mean.
Cells = Mapping[str, str]  # Of one row: {column: text}.
R = TypeVar("R")


@dataclasses.dataclass(frozen=True)
class Row:
    """The statistics of the pieces generated after an epoch.

    Attributes:
      epoch: 1 is the first.
      stage: name of the stage of training.
      pieces: how many pieces the means are over.
      repeated: how many of them repeat an earlier one note for note.
      statistics: mean of each statistic over the pieces, of those that were measured.
      shared_notes: how alike the pieces are (`metrics.likeness`), 0..1; None where it was not
        measured, or there are not two pieces with notes.
    """

    epoch: int
    stage: str
    pieces: int
    repeated: int
    statistics: Mapping[str, float]
    shared_notes: float | None = None

    @property
    def values(self) -> dict[str, float]:
        """All that was measured, by its column: of the set, then means over its pieces."""
        of_set = {} if self.shared_notes is None else {SHARED_NOTES: self.shared_notes}
        return {**of_set, **self.statistics}


@dataclasses.dataclass(frozen=True)
class Losses:
    """The losses of an epoch.

    Attributes:
      epoch: 1 is the first.
      stage: name of the stage of training.
      losses: mean over the epoch's steps of each loss and report that the stage has.
    """

    epoch: int
    stage: str
    losses: Mapping[str, float]


def read_rows(path: Path) -> list[Row]:
    """Reads a statistics.tsv; none when there is no such file.

    Raises:
      ValueError: it is no such table; the line is named.
    """

    def row(own: Cells, values: Mapping[str, float]) -> Row:
        counts = pieces, repeated = int(own["pieces"]), int(own["repeated"])
        if not 0 <= repeated <= pieces or not pieces:
            raise ValueError(f"{repeated} of {pieces} pieces repeat another; expected 1 or more")
        statistics = dict(values)
        alike = statistics.pop(SHARED_NOTES, None)  # Tables of earlier versions have none.
        return Row(_epoch(own["epoch"]), own["stage"], *counts, statistics, alike)

    return _read(path, ("epoch", "stage", "pieces", "repeated"), row)


def write_rows(path: Path, rows: Sequence[Row]) -> None:
    """Writes a statistics.tsv: a line of column names, then one a row; whole or not at all."""
    own = [(row.epoch, row.stage, row.pieces, row.repeated) for row in rows]
    names = ("epoch", "stage", "pieces", "repeated")
    _write(path, names, own, [row.values for row in rows])


def read_losses(path: Path) -> list[Losses]:
    """Reads a losses.tsv; none when there is no such file.

    Raises:
      ValueError: it is no such table; the line is named.
    """

    def row(own: Cells, values: Mapping[str, float]) -> Losses:
        return Losses(_epoch(own["epoch"]), own["stage"], values)

    return _read(path, ("epoch", "stage"), row)


def write_losses(path: Path, rows: Sequence[Losses]) -> None:
    """Writes a losses.tsv, as `write_rows` does."""
    own = [(row.epoch, row.stage) for row in rows]
    _write(path, ("epoch", "stage"), own, [row.losses for row in rows])


def read_alarms(path: Path) -> list[tuple[int, str]]:
    """Reads an alarms.txt: the epoch and the line of each alarm; none when there is no such file.

    Raises:
      ValueError: it is no such file; the line is named.
    """
    if not path.exists():
        return []
    found = []
    for number, line in enumerate(read_text(path).splitlines(), 1):
        begun, _, _ = line.partition(":")
        try:
            found.append((_epoch(begun.removeprefix("epoch ")), line))
        except ValueError:
            raise ValueError(
                f"{path}, line {number} is {shown(line)}; expected 'epoch 7: ...'. Mend the line, "
                "or move the file away: the run goes on without its earlier alarms"
            ) from None
    return found


def require_readable(run_dir: Path) -> None:
    """Reads all tables of a run, so that a damaged one is named before an epoch is trained.

    Raises:
      ValueError: one is damaged.
    """
    read_rows(run_dir / GENERATED / STATISTICS_FILE)
    read_losses(run_dir / GENERATED / LOSSES_FILE)
    read_alarms(run_dir / ALARMS_FILE)


def _epoch(text: str) -> int:
    """Reads the number of an epoch."""
    epoch = int(text)
    if not 1 <= epoch <= MOST_EPOCHS:
        raise ValueError(f"the epoch is {shown(text)}; expected 1 to {MOST_EPOCHS}")
    return epoch


def _read(
    path: Path, names: Sequence[str], row: Callable[[Cells, Mapping[str, float]], R]
) -> list[R]:
    if not path.exists():
        return []
    head, *lines = read_text(path).splitlines() or [""]
    columns, rows = head.split("\t"), []
    for number, line in enumerate([head, *lines], 1):
        try:
            cells = dict(zip(columns, line.split("\t"), strict=True))
            own = {name: cells.pop(name) for name in names}
            if number > 1:
                rows.append(row(own, {name: float(text) for name, text in cells.items() if text}))
        except (ValueError, KeyError) as error:
            lost = f"it has no column {error}" if isinstance(error, KeyError) else str(error)
            raise ValueError(
                f"{path}, line {number}: {lost}; this is no table of a run. Mend the line, or move "
                "the file away: the run goes on without the rows of its earlier epochs"
            ) from None
    return rows


def _write(
    path: Path,
    names: Sequence[str],
    own: Sequence[Sequence[object]],
    values: Sequence[Mapping[str, float]],
) -> None:
    # The order follows from the rows alone, so that a resumed run writes the same bytes.
    newest = list(values[-1]) if values else []
    older = {name for row in values for name in row}
    columns = [*newest, *sorted(older - set(newest))]
    lines: list[Sequence[object]] = [(*names, *columns)]
    for cells, row in zip(own, values, strict=True):
        lines.append((*cells, *(f"{row[n]:.6g}" if n in row else "" for n in columns)))
    text = "".join("\t".join(map(str, line)) + "\n" for line in lines)
    write_atomically(path, text.encode())
