"""Jobs in worker processes: each done once, even if workers die.

When a worker dies (the system kills it, a library crashes) the jobs that were running are
given back, to be tried alone. Workers load no TensorFlow.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import multiprocessing
import multiprocessing.connection
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures.process import BrokenProcessPool
from typing import Any, Protocol, Self, TypeVar

from pipelines import stopping
from pipelines.command_line import duration

PROGRESS_SECONDS = 5.0  # Between lines of progress where they do not overwrite each other.


class Job(Protocol):
    """The argument of a function that a worker calls."""

    @property
    def size_bytes(self) -> int:
        """Its rough cost; at least 1."""


AnyJob = TypeVar("AnyJob", bound=Job)


class Runner(Protocol):
    """Runs jobs: in processes of this machine, or on Beam."""

    def start(self, example: Any) -> None:
        """Starts workers in the background; `example` is of the class of the jobs to come."""

    def run(
        self, function: Callable[[AnyJob], None], jobs: Sequence[AnyJob], doing: str
    ) -> list[AnyJob]:
        """Runs jobs, in any order; gives those that were running when a worker died.

        Args:
          function: at the top of a module; it writes its results in files.
          jobs: arguments of the function.
          doing: text of the progress line, such as "reading music".

        Raises:
          Exception: what `function` raises, which ends all.
        """

    def __enter__(self) -> Self: ...

    def __exit__(self, *error: object) -> None: ...


def cpu_cores() -> int:
    """The CPU cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class Pool:
    """Worker processes of this machine. See `Runner`.

    Args:
      workers: processes at once.
    """

    def __init__(self, workers: int) -> None:
        self.workers = workers
        self._executor: concurrent.futures.ProcessPoolExecutor | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        if self._executor is not None:
            if isinstance(error[1], stopping.Stopped):
                for worker in multiprocessing.active_children():
                    if worker.pid is not None:
                        with contextlib.suppress(ProcessLookupError):
                            os.kill(worker.pid, signal.SIGINT)
            self._executor.shutdown(cancel_futures=True)
            self._executor = None

    def start(self, example: Any) -> None:
        """Starts the workers; they import what `example` is made of. See `Runner.start`."""
        if self._executor is None:
            self._executor = _executor(self.workers)
        for _ in range(self.workers):
            self._submit(_take, example)

    def run(
        self, function: Callable[[AnyJob], None], jobs: Sequence[AnyJob], doing: str
    ) -> list[AnyJob]:
        """See `Runner.run`."""
        # The largest first, so that all end together.
        undone = sorted(jobs, key=lambda job: job.size_bytes)
        progress = Progress(doing, undone)
        suspects: list[AnyJob] = []
        while undone:
            suspects += self._run_until_a_death(function, undone, progress)
        progress.end()
        return suspects

    def _run_until_a_death(
        self, function: Callable[[AnyJob], None], undone: list[AnyJob], progress: Progress
    ) -> list[AnyJob]:
        """Takes jobs from the end of the list and does them; gives those that a death hit."""
        running: dict[concurrent.futures.Future[None], AnyJob] = {}
        if self._executor is None:
            self._executor = _executor(self.workers)
        try:
            while undone or running:
                while undone and len(running) <= self.workers:  # One waits: no worker does.
                    future = self._submit(function, undone[-1])
                    running[future] = undone.pop()
                first = concurrent.futures.FIRST_COMPLETED
                for future in concurrent.futures.wait(running, return_when=first).done:
                    future.result()
                    progress.advance(running.pop(future))
        except BrokenProcessPool:
            self._executor = None
            return list(running.values())
        return []

    def call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Gives what a function gives in a worker, while nothing else runs.

        Raises:
          BrokenProcessPool: the worker died; the next call has another.
          Exception: what `function` raises.
        """
        if self._executor is None:
            self._executor = _executor(self.workers)
        try:
            return self._submit(function, *arguments).result()
        except BrokenProcessPool:
            self._executor = None
            raise

    def _submit(
        self, function: Callable[..., Any], *arguments: Any
    ) -> concurrent.futures.Future[Any]:
        """Hands a job out, for which a worker may be started: with SIGINT blocked, see there."""
        assert self._executor is not None
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            return self._executor.submit(_do, function, *arguments)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def _executor(workers: int) -> concurrent.futures.ProcessPoolExecutor:
    context = multiprocessing.get_context("spawn")  # A fork would carry the parent's threads.
    return concurrent.futures.ProcessPoolExecutor(workers, context, _start_worker)


def _take(example: Any) -> None:
    """Does nothing. On the way here `example` was unpickled, and its modules imported."""


def _do(function: Callable[..., Any], *arguments: Any) -> Any:
    """Does a job. In a worker."""
    with stopping.raised_at_once():
        return function(*arguments)


def _start_worker() -> None:
    """Lets Ctrl-C end jobs, not this process, which ends when the main process has ended."""
    stopping.note_sigint()
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})  # Blocked while Python started.
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()


def _end_with(sentinel: int) -> None:
    multiprocessing.connection.wait([sentinel])
    os._exit(1)


class Progress:
    """Shows on standard error how many jobs are done, and the time left."""

    def __init__(self, doing: str, jobs: Sequence[Job]) -> None:
        self.doing = doing
        self.bytes_left = self.bytes = sum(job.size_bytes for job in jobs)
        self.started = self.said = time.monotonic()
        self.overwrites = sys.stderr.isatty()

    def advance(self, job: Job) -> None:
        """Counts a job that is done."""
        self.bytes_left -= job.size_bytes
        now = time.monotonic()
        if self.overwrites or now - self.said > PROGRESS_SECONDS:
            self.said = now
            share = 1 - self.bytes_left / self.bytes
            left = (now - self.started) * (1 / share - 1)
            line = f"{self.doing}: {share:4.0%}, {duration(left)} left"
            print(f"\r{line} " if self.overwrites else line, end="", file=sys.stderr)
            print("", end="" if self.overwrites else "\n", file=sys.stderr, flush=True)

    def end(self) -> None:
        """Ends the line that is overwritten."""
        if self.overwrites:
            print(file=sys.stderr)
