"""Tries many settings of a model, and says which came nearest to real music."""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import itertools
import json
import os
import shlex
import subprocess
import sys
import time
import typing
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from crnn_gan.runs import presets
from pipelines.atomic_file import write_atomically
from pipelines.command_line import UsageError, duration, flag, parse, peek, run_command

if TYPE_CHECKING:
    from crnn_gan.sweeping.runs import SweepRun

USAGE = """python -m crnn_gan.sweep --model=NAME --data_dir=DIR --sweep_dir=DIR --vary=SETTINGS
    [--runs=12] [--processes=2] [settings that all runs have]

Trains a model many times, each time with other settings, and compares what comes out by
--best_by. SETTINGS are ranges and lists of flags: 'learning_rate=1e-5..1e-3 log; batch_size=16,32'.
A run that collapses or diverges is ended early. The sweep directory gets the runs, a table
(sweep.tsv) and a picture (sweep.png); at the end stands the command that trains the winner. The
same command again goes on with a sweep that was stopped."""

SETTINGS_FILE = "sweep.json"
MAY_CHANGE = ("sweep_dir", "processes", "runs")  # A longer sweep begins with the shorter.
LOOK_SECONDS = 0.5  # Between two looks at the runs.
CHILD = ("-m", "crnn_gan.sweeping.child")


@dataclasses.dataclass(frozen=True)
class Sweep:
    """Settings of the sweep."""

    sweep_dir: str = flag(help="directory of the sweep; made if it is missing")
    vary: str = flag(help="what differs: 'FLAG=LOW..HIGH [log]; FLAG=VALUE,VALUE'")
    runs: int | None = flag(None, "how many; by default 12, or all combinations of a grid")
    processes: int = flag(2, "runs that are trained at once")
    search: Literal["random", "grid", "halving"] = flag(
        "random",
        "random: each run draws its settings; grid: all combinations of lists; halving: random, "
        "and the best one of --halving_factor goes on, for as many times more epochs",
    )
    halving_factor: int = flag(3, "of halving: of so many runs one goes on")
    sweep_seed: int = flag(0, "decides what the runs draw")
    patience: int = flag(
        10, "epochs in a row with collapsed pieces after which a run is ended; 0: never"
    )

    def __post_init__(self) -> None:
        for name, low in {"runs": 1, "processes": 1, "halving_factor": 2, "patience": 0}.items():
            value = getattr(self, name)
            if value is not None and value < low:
                raise UsageError(f"--{name} is {value}; give {low} or more")


def main(argv: list[str]) -> None:
    """Sweeps as the command line says."""
    from crnn_gan.music_model import config_class, model_class
    from crnn_gan.train import Flags

    name = peek(argv, "model", "c_rnn_gan")
    cls, config = model_class(name), config_class(name)
    if peek(argv, "run_dir", ""):
        raise UsageError("--run_dir is given; a sweep makes those of its runs under --sweep_dir")
    settings, flags, model_config = parse(
        presets.expanded([*argv, "--run_dir=RUN"], cls.presets),
        USAGE,
        Sweep,
        Flags,
        config,
        aliases=cls.aliases,
        retired=cls.retired,
    )
    _, fixed = words_parted(argv, [field.name for field in dataclasses.fields(Sweep)])
    hints = typing.get_type_hints(Flags) | typing.get_type_hints(config)
    for forbidden in ("model", "data_dir", "run_dir", "preset", "max_epoch", "best_by"):
        hints.pop(forbidden, None)
    tried = settings_of_runs(settings, hints)
    # A run whose settings cannot be taken is named before any is trained.
    for number, values in enumerate(tried):
        words = [*fixed, *(f"--{n}={v}" for n, v in values.items()), "--run_dir=RUN"]
        try:
            words = presets.expanded(words, cls.presets, warn=False)
            parse(words, USAGE, Flags, config, aliases=cls.aliases, retired=cls.retired)
        except ValueError as error:
            raise UsageError(f"run {number} of the sweep cannot be made: {error}") from None
    folder = Path(settings.sweep_dir)
    with held(folder):
        agree(folder, settings, fixed)
        sweep(settings, flags, model_config.max_epoch, fixed, tried)


def settings_of_runs(settings: Sweep, hints: Mapping[str, Any]) -> list[dict[str, str]]:
    """Gives what each run tries, {flag: value}.

    Raises:
      UsageError: --vary or --runs cannot be taken.
    """
    from crnn_gan.sweeping import space

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
def held(folder: Path) -> Iterator[None]:
    """Holds a sweep directory, so that no other sweep works in it.

    Raises:
      ValueError: another does.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ValueError(
                f"another sweep is at work in {folder}; wait for it, or give another --sweep_dir"
            ) from None
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
    before = json.loads(path.read_text(encoding="utf-8"))
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
    from crnn_gan.sweeping import results, runs

    every = [
        runs.SweepRun(number, values, Path(settings.sweep_dir))
        for number, values in enumerate(tried)
    ]
    by = best_by(flags)
    factor = settings.halving_factor
    levels = [max_epoch]
    if settings.search == "halving":
        levels = runs.rungs(max_epoch, len(every), factor)
    print(f"sweep: {len(every)} runs, {settings.processes} at a time, in {settings.sweep_dir}")
    began, left = time.monotonic(), list(every)
    for level in levels:
        Trainer(settings, fixed, max_epoch).train(left, level)
        if level < max_epoch:
            alive = [run for run in left if not run.ended[0] and run.epoch >= level]
            nearest = [run for _, run in runs.best_of(alive, by, level)]
            left = nearest[: max(1, len(left) // factor)]
            for run in nearest[len(left) :]:
                run.end(runs.DROPPED, f"others were nearer after epoch {level}")
    table = results.table(every, by)
    results.write(Path(settings.sweep_dir), every, table, by)
    print(f"\n{results.in_columns(table)}\n")
    took = duration(time.monotonic() - began)
    print(f"swept in {took}: {settings.sweep_dir}/sweep.tsv and sweep.png")
    finished = [run for run in every if run.ended[0] == runs.DONE]
    ranked = runs.best_of(finished, by)
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
    from crnn_gan.train import resolved
    from pipelines import records

    by: str = resolved(flags, records.read_manifest(flags.data_dir))[0].best_by
    if not by:
        raise UsageError("--best_by is empty; a sweep compares its runs by it: give one")
    return by


class Trainer:
    """Trains runs, some at once, each in a process of its own."""

    def __init__(self, settings: Sweep, fixed: Sequence[str], max_epoch: int):
        """Makes it for runs that have the words `fixed` in common."""
        self.settings, self.fixed, self.max_epoch = settings, fixed, max_epoch

    def train(self, runs: Sequence[SweepRun], epoch: int) -> None:
        """Trains runs that have not ended until they have a checkpoint of `epoch`, or end."""
        waiting = [run for run in runs if not run.ended[0] and run.epoch < epoch]
        if epoch == self.max_epoch:
            waiting = [run for run in runs if not run.ended[0]]
        working: dict[int, tuple[SweepRun, subprocess.Popen]] = {}
        try:
            while waiting or working:
                while waiting and len(working) < self.settings.processes:
                    run = waiting.pop(0)
                    working[run.number] = run, self._start(run)
                time.sleep(LOOK_SECONDS)
                for run, process in list(working.values()):
                    if self._look(run, process, epoch):
                        del working[run.number]
        finally:
            for _, process in working.values():
                _stop(process)

    def _start(self, run: SweepRun) -> subprocess.Popen:
        words = [*self.fixed, *(f"--{name}={value}" for name, value in run.tried.items())]
        command = [sys.executable, *CHILD, *words]
        threads = str(max(1, (os.cpu_count() or 1) // self.settings.processes))
        names = ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")
        environment = {
            **os.environ, **dict.fromkeys(names, threads), "TF_FORCE_GPU_ALLOW_GROWTH": "true",
        }  # fmt: skip
        run.log.parent.mkdir(parents=True, exist_ok=True)
        with run.log.open("a") as log:
            return subprocess.Popen(
                [*command, f"--run_dir={run.run_dir}"], stdin=subprocess.PIPE, stdout=log,
                stderr=subprocess.STDOUT, env=environment,
            )  # fmt: skip

    def _look(self, run: SweepRun, process: subprocess.Popen, epoch: int) -> bool:
        """Looks at a run that is trained; gives whether its process has ended."""
        from crnn_gan.sweeping import runs

        status = process.poll()
        how, why = "", ""
        if self.settings.patience and run.epoch:
            how, why = run.trouble(self.settings.patience)
        if not how and status is None:
            if epoch == self.max_epoch or run.epoch < epoch:
                return False
            why = f"at epoch {run.epoch}, waits"
        elif not how and status == 0:
            how = runs.DONE
        elif not how and runs.NOT_FINITE in run.last_words():
            how, why = runs.DIVERGED, run.last_words()
        elif not how:
            why = f"failed, exit status {status}: {run.last_words()}"
        _stop(process)
        if how:
            run.end(how, why)
        said = [f"{how} after epoch {run.epoch}" if how else "", why]
        print(f"run {run.name}: {': '.join(filter(None, said))}", flush=True)
        return True


def _stop(process: subprocess.Popen) -> None:
    """Ends a process, if it has not ended, and lets go of it."""
    with process:  # Closes its standard input, and waits.
        process.terminate()


def run() -> int:
    """Runs the command; gives its exit status."""
    return run_command(main)


if __name__ == "__main__":
    sys.exit(run())
