"""Trains the runs of a sweep, several at the same time, each in a process of its own."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Sequence

from crnn_gan.sweeping import sweep_runs
from crnn_gan.sweeping.flags import Sweep
from crnn_gan.sweeping.sweep_runs import SweepRun

LOOK_SECONDS = 0.5  # Between two looks at the runs.
STOP_SECONDS = 10.0  # For runs to stop by themselves.
CHILD = ("-m", "crnn_gan.sweeping.child")


class TrainerProcesses:
    """Trains runs, some at once, each in a process of its own."""

    def __init__(self, settings: Sweep, fixed: Sequence[str], max_epoch: int):
        """Makes it for runs that have the words `fixed` in common."""
        self.settings, self.fixed, self.max_epoch = settings, fixed, max_epoch

    def train(self, every: Sequence[SweepRun], epoch: int) -> None:
        """Trains runs that have not ended until they have a checkpoint of `epoch`, or end."""
        waiting = [run for run in every if not run.ended[0] and run.epoch < epoch]
        if epoch == self.max_epoch:
            waiting = [run for run in every if not run.ended[0]]
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
            _stop([process for _, process in working.values()])

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
                start_new_session=True,  # Ctrl-C is for the sweep, which passes it on once.
            )  # fmt: skip

    def _look(self, run: SweepRun, process: subprocess.Popen, epoch: int) -> bool:
        """Looks at a run that is trained; gives whether its process has ended."""
        status = process.poll()
        how, why = "", ""
        if self.settings.patience and run.epoch:
            how, why = run.trouble(self.settings.patience)
        if not how and status is None:
            if epoch == self.max_epoch or run.epoch < epoch:
                return False
            why = f"at epoch {run.epoch}, waits"
        elif not how and status == 0:
            how = sweep_runs.DONE
        elif not how and sweep_runs.NOT_FINITE in run.last_words():
            how, why = sweep_runs.DIVERGED, run.last_words()
        elif not how:
            why = f"failed, exit status {status}: {run.last_words()}"
        _stop([process])
        if how:
            run.end(how, why)
        said = [f"{how} after epoch {run.epoch}" if how else "", why]
        print(f"run {run.name}: {': '.join(filter(None, said))}", flush=True)
        return True


def _stop(processes: Sequence[subprocess.Popen]) -> None:
    """Ends processes that have not ended, and lets go of them.

    They may end a batch, or an epoch's files, so that they leave nothing half written.
    """
    for process in processes:
        process.terminate()
    last = time.monotonic() + STOP_SECONDS
    for process in processes:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(max(0.0, last - time.monotonic()))
        with process:  # Closes its standard input, which ends it at once, and waits.
            pass
