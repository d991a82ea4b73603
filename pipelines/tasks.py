"""Tasks: pieces to records in worker processes, restartable, whatever a worker does.

A task is a few pieces; what it gives is one file, its part. A part that is whole is not
made again. A worker that dies (the system kills it, a library crashes) takes no other
piece with it: the tasks that were running are done again piece by piece in a process
alone, and a piece that kills that one too is skipped.
"""

from __future__ import annotations

import concurrent.futures
import dataclasses
import json
import multiprocessing
import multiprocessing.connection
import os
import signal
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

from pipelines.atomic_file import write_atomically
from pipelines.codecs.codec import Codec
from pipelines.records import Record, array_bytes, seal, unseal
from pipelines.sources.source import Piece, Source, SourceError

PROGRESS_SECONDS = 5.0  # Between lines of progress where they do not overwrite each other.


@dataclasses.dataclass(frozen=True)
class Skipped:
    """A piece that gave no record, and why; a fault of ours is tried again another time."""

    key: str
    reason: str
    is_fault: bool = False


Outcome = Record | Skipped


@dataclasses.dataclass(frozen=True)
class Task:
    """Some pieces to read and encode, and the file for what they give."""

    source: Source
    codec: Codec
    pieces: tuple[Piece, ...]
    part: Path

    @property
    def size_bytes(self) -> int:
        """Bytes of music to read; at least 1."""
        return max(1, sum(piece.size_bytes for piece in self.pieces))


def cpu_cores() -> int:
    """The CPU cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


# In a worker process.


def encode_piece(source: Source, codec: Codec, piece: Piece) -> Outcome:
    """Reads and encodes one piece. Raises SourceError alone."""
    try:
        score = source.read(piece)
        array = codec.encode(score)
    except SourceError:
        raise
    except OSError as error:
        return Skipped(piece.key, error.strerror or str(error))  # Without this machine's path.
    except ValueError as error:
        return Skipped(piece.key, str(getattr(error, "reason", error)))  # MidiError has one.
    except Exception as error:  # A fault of ours; one piece shall not stop the others.
        return Skipped(piece.key, f"{type(error).__name__}: {error}", is_fault=True)
    if not len(array):
        return Skipped(piece.key, f"the codec {codec.name} finds nothing to encode in it")
    row = {
        "key": piece.key,
        "title": score.title or piece.title,
        "composer": piece.composer,
        "genre": piece.genre,
        "group": piece.group,
        "licence": piece.licence,
        "steps": len(array),
        "notes": len(score.notes),
        "notes_digest": score.notes_digest(),
    }
    return Record(row, array.shape, array_bytes(array))


def run_task(task: Task) -> None:
    """Does a task and writes its part."""
    write_part(task, [encode_piece(task.source, task.codec, piece) for piece in task.pieces])


def write_part(task: Task, outcomes: Sequence[Outcome]) -> None:
    """Writes what a task gave: a checksum, a line of JSON an outcome, and the arrays."""
    facts, arrays = [], []
    for outcome in outcomes:
        if isinstance(outcome, Record):
            facts.append({"row": outcome.row, "shape": outcome.shape, "bytes": len(outcome.array)})
            arrays.append(outcome.array)
        else:
            facts.append(dataclasses.asdict(outcome))
    write_atomically(task.part, seal(json.dumps(facts).encode() + b"\n" + b"".join(arrays)))


def read_part(path: Path) -> list[Outcome] | None:
    """Reads a part; None where it is missing or damaged."""
    content = unseal(path.read_bytes()) if path.is_file() else None
    if content is None:
        return None
    facts, _, arrays = content.partition(b"\n")
    outcomes: list[Outcome] = []
    for fact in json.loads(facts):
        if "reason" in fact:
            outcomes.append(Skipped(**fact))
        else:
            outcomes.append(Record(fact["row"], tuple(fact["shape"]), arrays[: fact["bytes"]]))
            arrays = arrays[fact["bytes"] :]
    return outcomes


def _is_done(task: Task) -> bool:
    outcomes = read_part(task.part)
    return outcomes is not None and not any(
        isinstance(outcome, Skipped) and outcome.is_fault for outcome in outcomes
    )


def _start_worker() -> None:
    """Leaves Ctrl-C to the main process, and ends this one when that has ended."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()


def _end_with(sentinel: int) -> None:
    multiprocessing.connection.wait([sentinel])
    os._exit(1)


# In the main process.


def run(
    source: Source, codec: Codec, pieces: Sequence[Piece], folder: Path, workers: int
) -> list[Outcome]:
    """Gives the outcome of every piece, in their order.

    Args:
      folder: holds the parts; those that are whole are taken as they are.
      workers: processes at once.

    Raises:
      OSError: the disk is full or the folder cannot be written.
    """
    size = source.pieces_per_task
    tasks = [
        Task(source, codec, tuple(pieces[first : first + size]), folder / f"{first:07d}.part")
        for first in range(0, len(pieces), size)
    ]
    undone = [task for task in tasks if not _is_done(task)]
    if len(undone) < len(tasks):
        print(f"going on: {len(tasks) - len(undone)} of {len(tasks)} tasks were done before")
    undone.sort(key=lambda task: -task.size_bytes)  # The longest first, so that all end together.
    progress = Progress(undone)
    suspects: list[Task] = []
    while undone:
        suspects += _run_until_a_death(undone, workers, progress)
    for task in suspects:
        write_part(task, list(_alone(task)))
        progress.advance(task)
    progress.end()
    return [outcome for task in tasks for outcome in _finished(task)]


def _finished(task: Task) -> list[Outcome]:
    outcomes = read_part(task.part)
    if outcomes is None:
        raise OSError(f"{task.part}, just written, is gone or damaged; is the disk whole?")
    return outcomes


def _pool(workers: int) -> concurrent.futures.ProcessPoolExecutor:
    context = multiprocessing.get_context("spawn")  # A fork would carry the parent's threads.
    return concurrent.futures.ProcessPoolExecutor(workers, context, _start_worker)


def _run_until_a_death(undone: list[Task], workers: int, progress: Progress) -> list[Task]:
    """Takes tasks from the list and does them; gives those that ran when a worker died."""
    running: dict[concurrent.futures.Future[None], Task] = {}
    with _pool(min(workers, len(undone))) as pool:
        try:
            while undone or running:
                while undone and len(running) <= workers:  # One waits, so that no worker does.
                    future = pool.submit(run_task, undone[0])
                    running[future] = undone.pop(0)
                first = concurrent.futures.FIRST_COMPLETED
                for future in concurrent.futures.wait(running, return_when=first).done:
                    future.result()
                    progress.advance(running.pop(future))
        except BrokenProcessPool:
            return list(running.values())
    return []


def _alone(task: Task) -> Iterator[Outcome]:
    """Gives the outcomes of a task, each piece in a process that runs nothing else."""
    pool = _pool(1)
    for piece in task.pieces:
        try:
            yield pool.submit(encode_piece, task.source, task.codec, piece).result()
        except BrokenProcessPool:
            yield Skipped(piece.key, "its worker process died: killed, or a crash in a library")
            pool = _pool(1)
    pool.shutdown()


class Progress:
    """Says on standard error how far the tasks are, and the time left."""

    def __init__(self, tasks: Iterable[Task]) -> None:
        self.bytes_left = self.bytes = sum(task.size_bytes for task in tasks)
        self.started = self.said = time.monotonic()
        self.overwrites = sys.stderr.isatty()

    def advance(self, task: Task) -> None:
        """Counts a task that is done."""
        self.bytes_left -= task.size_bytes
        now = time.monotonic()
        if self.overwrites or now - self.said > PROGRESS_SECONDS:
            self.said = now
            share = 1 - self.bytes_left / self.bytes
            left = (now - self.started) * (1 / share - 1)
            line = f"reading music: {share:4.0%}, {left:.0f} s left"
            print(f"\r{line} " if self.overwrites else line, end="", file=sys.stderr)
            print("", end="" if self.overwrites else "\n", file=sys.stderr, flush=True)

    def end(self) -> None:
        """Ends the line that is overwritten."""
        if self.overwrites:
            print(file=sys.stderr)
