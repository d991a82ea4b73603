"""Shards: written by worker processes, each from the parts that hold its arrays.

Beside a finished shard there is a receipt with its records and its SHA-256. A shard that
matches its receipt is not written again.
"""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import json
from collections.abc import Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

import numpy as np

from pipelines import records
from pipelines.atomic_file import write_atomically
from pipelines.codecs.codec import Codec
from pipelines.preparation import parts, pool
from pipelines.preparation.parts import Entry
from pipelines.preparation.plan import Plan
from pipelines.preparation.tasks import part_path
from pipelines.records import seal, unseal
from pipelines.split import SPLITS
from pipelines.tfrecord import array_bytes

TASK, PLACE, CLASSES = 0, 1, 2  # Columns of `Shard.records`; CLASSES and following.


@dataclasses.dataclass(frozen=True, eq=False)
class Shard:
    """A shard to write.

    Attributes:
      folder: holds the parts and takes the shard.
      name: of the file.
      records: int32 [record, column]: task, place in its part, index of each class.
      class_names: of those columns.
      codec: of the records; the parts hold arrays of its `exact`.
      size_bytes: of the arrays, at least 1.
    """

    folder: Path
    name: str
    records: np.ndarray
    class_names: tuple[str, ...]
    codec: Codec
    size_bytes: int

    @property
    def receipt(self) -> Path:
        """The file that marks it as finished."""
        return self.folder / f"{self.name}.receipt"


def shards_of(
    plan: Plan,
    folder: Path,
    places: np.ndarray,
    sizes_bytes: np.ndarray,
    class_names: Sequence[str],
    codec: Codec,
) -> dict[str, list[Shard]]:
    """Gives the shards of each split.

    Args:
      plan: where each piece goes.
      folder: see `Shard`.
      places: int32 [piece, column] as `Shard.records`.
      sizes_bytes: int64 [piece], of the arrays.
      class_names, codec: see `Shard`.
    """
    shards: dict[str, list[Shard]] = {}
    for which, split in enumerate(SPLITS):
        pieces, count = np.flatnonzero(plan.splits == which), plan.shard_counts[which]
        ends = np.searchsorted(plan.shards[pieces], np.arange(count + 1))
        shards[split] = []
        for number, (first, last) in enumerate(itertools.pairwise(ends.tolist())):
            chosen = pieces[first:last]
            size = max(1, int(sizes_bytes[chosen].sum()))
            name = records.shard_name(split, number, count)
            shard = Shard(folder, name, places[chosen], tuple(class_names), codec, size)
            shards[split].append(shard)
    return shards


def write(shard: Shard) -> None:
    """Writes a shard and its receipt, unless it is there. In a worker process.

    Raises:
      OSError: the disk is full, or a part is damaged.
    """
    found = list(_by_part(shard))
    made_of = _digest(shard, [entry for _, entries in found for entry in entries])
    if _is_finished(shard, made_of):
        return
    facts = records.write_shard(shard.folder / shard.name, _examples(shard, found))
    receipt = {"made_of": made_of, "facts": facts}
    write_atomically(shard.receipt, seal(json.dumps(receipt).encode()))


def _by_part(shard: Shard) -> Iterator[tuple[Path, list[Entry]]]:
    """Gives the parts that hold records of a shard, each with their entries."""
    tasks, begins = np.unique(shard.records[:, TASK], return_index=True)
    for task, rows in zip(tasks.tolist(), np.split(shard.records, begins[1:]), strict=True):
        path = part_path(shard.folder, task)
        entries = parts.read_entries(path)
        if entries is None:
            raise parts.damaged(path)
        chosen = [entries[place] for place in rows[:, PLACE].tolist()]
        yield path, [entry for entry in chosen if isinstance(entry, Entry)]


def _digest(shard: Shard, entries: Sequence[Entry]) -> str:
    """Gives the SHA-256 of all that decides what a shard holds."""
    digest = hashlib.sha256(json.dumps([shard.class_names, shard.codec.to_json()]).encode())
    for entry, classes in zip(entries, shard.records[:, CLASSES:].tolist(), strict=True):
        digest.update(json.dumps([entry.row["key"], entry.shape, classes]).encode())
        digest.update(entry.sha256)
    return digest.hexdigest()


def _examples(shard: Shard, found: Sequence[tuple[Path, list[Entry]]]) -> Iterator[bytes]:
    classes = iter(shard.records[:, CLASSES:].tolist())
    for path, entries in found:
        for entry, array in zip(entries, parts.read_arrays(path, entries), strict=True):
            indices = dict(zip(shard.class_names, next(classes), strict=True))
            content = _recoded(shard.codec, array, entry.shape)
            yield records.example_of(entry.row["key"], entry.shape, content, indices)


def _recoded(codec: Codec, content: bytes, shape: tuple[int, ...]) -> bytes:
    """Gives the bytes of an array of `Codec.exact` as the codec has it."""
    dtype = np.dtype(codec.spec.dtype)
    array = np.frombuffer(content, dtype.newbyteorder("<")).reshape(shape)
    recoded = codec.recoded(array)
    return content if recoded is array else array_bytes(recoded)


def _is_finished(shard: Shard, made_of: str) -> bool:
    receipt = _receipt(shard)
    if receipt is None or receipt["made_of"] != made_of:
        return False
    return records.is_as_written(shard.folder / shard.name, receipt["facts"])


def _receipt(shard: Shard) -> dict[str, Any] | None:
    content = unseal(shard.receipt.read_bytes()) if shard.receipt.is_file() else None
    return None if content is None else json.loads(content)


def run(shards: Sequence[Shard], runner: pool.Runner) -> None:
    """Writes every shard that is missing or not whole.

    Raises:
      OSError: the disk is full, a part is damaged, or a worker process died twice.
    """
    suspects = runner.run(write, shards, "writing records")
    with pool.Pool(1) as one:
        for shard in suspects:
            try:
                one.call(write, shard)
            except BrokenProcessPool as error:
                raise OSError(
                    f"the process that wrote {shard.name} died twice: killed, perhaps for want of "
                    "memory; the same command again goes on"
                ) from error


def facts(shard: Shard) -> dict[str, Any]:
    """Gives file, bytes, sha256 and records of a shard that was just written."""
    receipt = _receipt(shard)
    if receipt is None:
        raise OSError(f"{shard.receipt}, just written, is gone or damaged; is the disk whole?")
    return receipt["facts"]
