"""How often adversarial training collapses, over seeds, and what its pieces are like.

Each setting is trained with the same data and flags from seed 0, 1, 2, ..., each in a run of its
own, several at once; a run that is there already goes on, or is taken as it is. A run has
collapsed if it diverged, or if its last epochs' pieces have (`crnn_gan/runs/collapse.py`).

    python benchmarks/gan_stability.py --model=mlp_gan --data_dir=DIR --out_dir=DIR --seeds=20 \
        --settings='ours:; original: --preset=original' [flags of the trainer that all have]

Prints the definition; for each setting the share that collapsed, the band distance, and the
median over seeds of each of the paper's statistics at the last epoch beside the band of real
windows. Where settings differ in --batch_size, so do their steps: give all the same.
"""

from __future__ import annotations

import dataclasses
import shlex
import statistics
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from crnn_gan.runs.best import BANDS_FILE, COMPARED, band_distance, read_bands
from crnn_gan.runs.collapse import DEFINITION, collapse_of_last
from crnn_gan.runs.tables import GENERATED, STATISTICS_FILE, Row, read_rows
from crnn_gan.sweeping.flags import Sweep
from crnn_gan.sweeping.processes import TrainerProcesses
from crnn_gan.sweeping.search import words_parted
from crnn_gan.sweeping.sweep_runs import COLLAPSED, DIVERGED, DONE, SweepRun
from pipelines.command_line import parse, run_command
from pipelines.settings import Settings, UsageError, flag


@dataclasses.dataclass(frozen=True)
class Flags(Settings):
    """What is compared, and how often."""

    out_dir: str = flag(help="directory of the runs; made if it is missing")
    settings: str = flag("ours:", "'NAME: flags; NAME: flags', of the trainer")
    seeds: int = flag(20, "runs of each", at_least=1)
    processes: int = flag(2, "runs that are trained at once", at_least=1)
    last: int = flag(3, "epochs that have to be collapsed", at_least=1)


def main(argv: list[str]) -> None:
    """Trains what is missing, and prints."""
    names = [field.name for field in dataclasses.fields(Flags)]
    own, common = words_parted(argv, ["help", *names])
    (flags,) = parse(own, __doc__ or "", Flags)
    print(DEFINITION.replace("the last epochs", f"the last {flags.last} epochs"), flush=True)
    for name, words in parse_settings(flags.settings).items():
        runs = trained(flags, Path(flags.out_dir) / name, [*common, *words])
        report(name, runs, flags.last)


def parse_settings(text: str) -> dict[str, list[str]]:
    """Reads 'NAME: flags; NAME: flags'.

    Raises:
      UsageError: a part has no name, or another's.
    """
    found: dict[str, list[str]] = {}
    for part in filter(None, (part.strip() for part in text.split(";"))):
        name, colon, words = part.partition(":")
        if not colon or not name.isidentifier() or name in found:
            raise UsageError(f"--settings has {part!r}; give 'NAME: flags', each name once")
        found[name] = shlex.split(words)
    if not found:
        raise UsageError("--settings names none; give 'ours:', or 'NAME: flags; NAME: flags'")
    return found


def trained(flags: Flags, folder: Path, words: Sequence[str]) -> list[SweepRun]:
    """Trains a setting once a seed; gives the runs."""
    runs = [SweepRun(seed, {"seed": str(seed)}, folder) for seed in range(flags.seeds)]
    settings = Sweep(sweep_dir=str(folder), vary="seed", processes=flags.processes, patience=0)
    TrainerProcesses(settings, words, max_epoch=sys.maxsize).train(runs, sys.maxsize)
    lost = [run for run in runs if run.ended[0] not in (DONE, DIVERGED)]
    if lost:
        raise ValueError(
            f"{len(lost)} of {len(runs)} runs in {folder} failed, as {lost[0].log} says: "
            f"{lost[0].last_words()}. Mend that and start the same command again"
        )
    return runs


def report(name: str, runs: Sequence[SweepRun], last: int) -> None:
    """Prints what became of a setting's runs."""
    tables = [rows_of(run) for run in runs]
    begun = [run.run_dir for run in runs if (run.run_dir / BANDS_FILE).is_file()]
    bands = read_bands(begun[0]) if begun else {}
    ends = [run.ended[0] for run in runs]
    fates = [
        how if how == DIVERGED else COLLAPSED if collapse_of_last(rows, bands, last) else DONE
        for how, rows in zip(ends, tables, strict=True)
    ]
    lost = len(fates) - fates.count(DONE)
    print(
        f"{name}: {lost} of {len(runs)} seeds collapsed ({lost / len(runs):.0%}; "
        f"{fates.count(DIVERGED)} of them diverged)"
    )
    ended = [rows[-1] for rows in tables if rows]
    print_medians(ended, bands)


def rows_of(run: SweepRun) -> list[Row]:
    """Reads the statistics of a run, a row an epoch."""
    return read_rows(run.run_dir / GENERATED / STATISTICS_FILE)


def print_medians(rows: Sequence[Row], bands: Mapping) -> None:
    """Prints the median over seeds of what the last epochs' pieces are like."""
    if not rows:
        print("  no epoch of any seed was measured")
        return
    distances = [far for row in rows if (far := band_distance(row, bands)) is not None]
    if distances:
        print(
            f"  band distance: median {statistics.median(distances):.3f}, "
            f"{min(distances):.3f} to {max(distances):.3f}"
        )
    alike = [row.shared_notes for row in rows if row.shared_notes is not None]
    if alike:
        print(f"  shared notes: median {statistics.median(alike):.3g}, {max(alike):.3g} at most")
    for statistic in COMPARED:
        values = [row.statistics[statistic] for row in rows if statistic in row.statistics]
        if values and statistic in bands:
            band = bands[statistic]
            print(
                f"  {statistic}: median {statistics.median(values):.3g} (real {band.mean:.3g}, "
                f"5 % to 95 % {band.low:.3g} to {band.high:.3g})"
            )


if __name__ == "__main__":
    sys.exit(run_command(main))
