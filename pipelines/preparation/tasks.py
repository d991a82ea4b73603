"""Tasks: pieces to arrays, restartable, even if worker processes die.

A task is a few consecutive pieces of the sorted list, and writes one file, its part. A part
that is whole is not written again. A piece that kills the process which reads it alone is
skipped.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

from pipelines.codecs.codec import Codec
from pipelines.preparation import data_counts, duplicates, parts, pool
from pipelines.preparation.parts import Encoded, Skipped
from pipelines.score import Score
from pipelines.shaping import Shaping
from pipelines.sources.source import Piece, Source, SourceError
from pipelines.tfrecord import array_bytes


@dataclasses.dataclass(frozen=True)
class Recipe:
    """How pieces are read, shaped and encoded."""

    source: Source
    codec: Codec
    shaping: Shaping

    def shaping_flags(self) -> dict[str, Any]:
        """The fields of the shaping as plain JSON values."""
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in dataclasses.asdict(self.shaping).items()
        }


@dataclasses.dataclass(frozen=True)
class Task:
    """Pieces to read and encode, and the file for the results."""

    recipe: Recipe
    pieces: tuple[Piece, ...]
    part: Path

    @property
    def size_bytes(self) -> int:
        """Bytes of music to read; at least 1."""
        return max(1, sum(piece.size_bytes for piece in self.pieces))


# In a worker process.


def encode_piece(recipe: Recipe, piece: Piece) -> Encoded | Skipped:
    """Reads, shapes and encodes one piece. Raises nothing but SourceError."""
    try:
        reading = recipe.source.read_counted(piece)
        as_read = reading.score
        score = recipe.shaping.apply(as_read)
        codec = recipe.codec.exact()
        array = codec.encode(score)
        values = codec.value_counts(array)
    except SourceError:
        raise
    except OSError as error:
        return Skipped(piece.key, error.strerror or str(error))  # Without this machine's path.
    except ValueError as error:
        return Skipped(piece.key, str(getattr(error, "reason", error)))  # MidiError has one.
    except Exception as error:  # A fault of ours; one piece shall not stop the others.
        return Skipped(piece.key, f"{type(error).__name__}: {error}", is_fault=True)
    if not len(array):
        return Skipped(piece.key, f"the codec {recipe.codec.name} finds nothing to encode in it")
    title = (score.title or piece.title).encode("utf-8", "backslashreplace").decode()
    row = {
        "key": piece.key,
        "title": title,
        "composer": piece.composer,
        "genre": piece.genre,
        "group": piece.group,
        "licence": piece.licence,
        "steps": len(array),
        "notes": len(score.notes),
        "seconds": round(score.length_seconds, 3),
        "left_out": dict(reading.left_out),
        "doubtful": dict(reading.doubtful),
    }
    digest, sketch = _copy_marks(recipe.shaping, score)
    # As it was read: whatever the shaping, a piece stays in its split.
    notes_digest = bytes.fromhex(as_read.notes_digest())
    counts = data_counts.packed(data_counts.counts(score))
    content = array_bytes(array)
    return Encoded(row, notes_digest, digest, sketch, counts, values, array.shape, content)


def _copy_marks(shaping: Shaping, score: Score) -> tuple[bytes, bytes]:
    """Gives the digest and the sketch that copies of the kind to be left out are known by."""
    digest = b"" if shaping.duplicates == "keep" else duplicates.digest(score)
    return digest, duplicates.sketch(score) if shaping.duplicates == "near" else b""


def run_task(task: Task) -> None:
    """Runs a task and writes its part, unless that is whole already."""
    if not parts.is_done(task.part):
        parts.write(task.part, (encode_piece(task.recipe, piece) for piece in task.pieces))


# In the main process.


def tasks_of(recipe: Recipe, pieces: Sequence[Piece], folder: Path) -> list[Task]:
    """Divides pieces, in their order, into tasks whose parts go in a folder."""
    size = recipe.source.pieces_per_task
    return [
        Task(recipe, tuple(pieces[first : first + size]), part_path(folder, number))
        for number, first in enumerate(range(0, len(pieces), size))
    ]


def part_path(folder: Path, number: int) -> Path:
    """The part of the task of that number."""
    return folder / f"{number:07d}.part"


def run(tasks: Sequence[Task], runner: pool.Runner) -> None:
    """Writes the part of every task that is missing or not whole.

    Raises:
      OSError: the disk is full or the folder cannot be written.
    """
    before = [task for task in tasks if task.part.exists()]
    suspects: list[Task] = []
    if before:
        print(f"going on: {len(before)} of {len(tasks)} tasks were done before", flush=True)
        suspects += runner.run(run_task, before, "looking at what was done before")
        found = {task.part for task in before}
        tasks = [task for task in tasks if task.part not in found]
    suspects += runner.run(run_task, tasks, "reading music")
    for task in suspects:
        parts.write(task.part, _each_alone(task))


def _each_alone(task: Task) -> Iterator[Encoded | Skipped]:
    """Gives what each piece of a task does, in a process that runs nothing else."""
    with pool.Pool(1) as one:
        for piece in task.pieces:
            try:
                yield one.call(encode_piece, task.recipe, piece)
            except BrokenProcessPool:
                reason = "its worker process died: killed, or a crash in a library"
                yield Skipped(piece.key, reason)
