"""A sweep: what its runs try, their training, and what came of them."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import json
import shlex
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from crnn_gan.runs.trainer_flags import resolved
from crnn_gan.sweeping import results, space, sweep_runs
from crnn_gan.sweeping.flags import Sweep
from crnn_gan.sweeping.processes import TrainerProcesses
from pipelines import records
from pipelines.atomic_file import write_atomically
from pipelines.command_line import duration
from pipelines.file_lock import held
from pipelines.json_file import read_json
from pipelines.json_schema import value_of
from pipelines.leftovers import remove_leftovers
from pipelines.settings import UsageError

SETTINGS_FILE = "sweep.json"
MAY_CHANGE = ("sweep_dir", "processes", "runs")  # A longer sweep begins with the shorter.


def settings_of_runs(settings: Sweep, hints: Mapping[str, Any]) -> list[dict[str, str]]:
    """Gives what each run tries, {flag: value}.

    Raises:
      UsageError: --vary or --runs cannot be taken.
    """
    varied = space.parse_varied(settings.vary, hints)
    if settings.search != "grid":
        return space.drawn(varied, settings.runs or 12, settings.sweep_seed)
    combinations = space.grid(varied)
    if settings.runs is not None and settings.runs != len(combinations):
        raise UsageError(
            f"--runs is {settings.runs}, but the grid has {len(combinations)} combinations: leave "
            "--runs out, or give other lists"
        )
    return combinations


def words_parted(argv: Sequence[str], names: Sequence[str]) -> tuple[list[str], list[str]]:
    """Gives the words of some flags of a command line, and the others."""
    own: list[str] = []
    others: list[str] = []
    words = iter(argv)
    for word in words:
        name, equals, _ = word.lstrip("-").partition("=")
        if not (word.startswith("-") and name in names):
            others.append(word)
            continue
        own.append(word)
        if not equals:
            own.extend(itertools.islice(words, 1))  # Its value is a word of its own.
    return own, others


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Holds a sweep directory, so that no other sweep works in it.

    Raises:
      ValueError: another does.
    """
    folder.mkdir(parents=True, exist_ok=True)
    remedy = "wait for it, stop it, or give another --sweep_dir"
    with held(folder / "sweep", f"another sweep is at work in {folder}", remedy):
        for place in (folder, folder / sweep_runs.ENDED):
            remove_leftovers(place)
        yield


def agree(folder: Path, settings: Sweep, fixed: Sequence[str]) -> None:
    """Checks that a directory that holds a sweep holds this one; else writes it down.

    Raises:
      ValueError: it holds another; what differs is named.
    """
    now = {**dataclasses.asdict(settings), "fixed": sorted(fixed)}
    for name in MAY_CHANGE:
        del now[name]
    path = folder / SETTINGS_FILE
    if not path.exists():
        write_atomically(path, (json.dumps(now, indent=1) + "\n").encode())
        return
    try:
        before = value_of(dict[str, Any], read_json(path))
    except ValueError as error:
        raise ValueError(f"{path}: {error}; mend it, or give another --sweep_dir") from None
    different = [
        f"{name} is {before.get(name)!r} there and {now.get(name)!r} here"
        for name in sorted(before.keys() | now.keys())
        if before.get(name) != now.get(name)
    ]
    if different:
        raise ValueError(
            f"{folder} holds a sweep with other settings: {'; '.join(different)}. Give the same "
            "ones to go on with it, or another --sweep_dir"
        )


def sweep(
    settings: Sweep,
    flags: Any,
    max_epoch: int,
    fixed: Sequence[str],
    tried: Sequence[Mapping[str, str]],
) -> None:
    """Trains all runs, compares them, and writes what came out.

    Args:
      settings: of the sweep.
      flags: of the trainer, as all runs have them.
      max_epoch: of a run that is trained to its end.
      fixed: words of the command line that all runs have.
      tried: what each run has for itself.

    Raises:
      ValueError: no run came to its end.
    """
    every = [
        sweep_runs.SweepRun(number, values, Path(settings.sweep_dir))
        for number, values in enumerate(tried)
    ]
    by = best_by(flags)
    factor = settings.halving_factor
    levels = [max_epoch]
    if settings.search == "halving":
        levels = sweep_runs.rungs(max_epoch, len(every), factor)
    print(f"sweep: {len(every)} runs, {settings.processes} at a time, in {settings.sweep_dir}")
    began, left = time.monotonic(), list(every)
    for level in levels:
        TrainerProcesses(settings, fixed, max_epoch).train(left, level)
        if level < max_epoch:
            alive = [run for run in left if not run.ended[0] and run.epoch >= level]
            nearest = [run for _, run in sweep_runs.best_of(alive, by, level)]
            left = nearest[: max(1, len(left) // factor)]
            for run in nearest[len(left) :]:
                run.end(sweep_runs.DROPPED, f"others were nearer after epoch {level}")
    table = results.table(every, by)
    results.write(Path(settings.sweep_dir), every, table, by)
    print(f"\n{results.in_columns(table)}\n")
    took = duration(time.monotonic() - began)
    print(f"swept in {took}: {settings.sweep_dir}/sweep.tsv and sweep.png")
    finished = [run for run in every if run.ended[0] == sweep_runs.DONE]
    ranked = sweep_runs.best_of(finished, by)
    if not ranked:
        raise ValueError(
            "no run came to its end, so none has won: the table says how each ended. Give another "
            "--vary, more --patience, or mend what failed and start the same command again"
        )
    distance, winner = ranked[0]
    print(f"the winner by {by} ({distance:.4g}): run {winner.name}, in {winner.run_dir}; again:")
    words = [*fixed, *(f"--{name}={value}" for name, value in winner.tried.items())]
    print(f"  python -m crnn_gan.train {shlex.join(words)} --run_dir=train/winner")


def best_by(flags: Any) -> str:
    """Gives what the runs are compared by.

    Raises:
      UsageError: the trainer's flags say that epochs are not compared.
    """
    by: str = resolved(flags, records.read_manifest(flags.data_dir))[0].best_by
    if not by:
        raise UsageError("--best_by is empty; a sweep compares its runs by it: give one")
    return by
