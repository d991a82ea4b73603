"""Records: sharded TFRecord files of arrays, tables of pieces, and the manifest.

A record is a `tf.train.Example` with the features
  array     bytes, the array's elements, little-endian, in row-major order
  shape     int64, the array's shape; the dtype stands in the manifest's spec
  key       bytes, the piece's key
  composer, genre, ...  int64, the index into the spec's classes of that name
Beside the shards there are tables of JSON lines: `pieces.jsonl`, a row per record, and
`skipped.jsonl`, a row per piece without a record, both sorted by key; and `counts.jsonl`, a row
per split, from which the data card is plotted.

All is written without TensorFlow (a worker process need not load it) and equal byte for
byte between runs. The manifest, `manifest.json`, is written last: a directory without one
is not prepared. It holds the SHA-256 of every other file, no time and no path.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from pipelines.atomic_file import open_atomically
from pipelines.json_schema import WORDS
from pipelines.manifest import MANIFEST, Manifest, ShardFacts, TableFacts, read_manifest
from pipelines.music_files import file_sha256
from pipelines.split import SPLITS
from pipelines.tfrecord import example, frames

__all__ = ["MANIFEST", "Manifest", "read_manifest"]  # And what is below.

PIECES, SKIPPED, COUNTS = "pieces", "skipped", "counts"  # The tables.
SHARD_BYTES = 2**23  # Of arrays, in a shard.
BYTES_AT_ONCE = 2**20  # Of records that are framed together; they fit in a processor's cache.
SHARD_RECORDS = 2**12  # At most; where arrays are small.
ROW = {"key": str, "split": str, "composer": str, "shard": str, "index": int, "steps": int}
ROW |= {"group": str}
ROW |= {"reason": str}  # Of a skipped piece.


# Bytes that tell whether they are whole.


def seal(content: bytes) -> bytes:
    """Puts the SHA-256 of the content before it."""
    return hashlib.sha256(content).digest() + content


def unseal(sealed: bytes) -> bytes | None:
    """Gives back what `seal` was given; None where a byte differs or is missing."""
    content = sealed[32:]
    return content if hashlib.sha256(content).digest() == sealed[:32] else None


class _Hashed:
    """A file being written, and what the manifest says of it."""

    def __init__(self, name: str, file: BinaryIO) -> None:
        self._file, self._sha256 = file, hashlib.sha256()
        self.name, self.bytes = name, 0

    def write(self, content: bytes) -> None:
        self._file.write(content)
        self._sha256.update(content)
        self.bytes += len(content)

    def facts(self) -> dict[str, Any]:
        """Gives file, bytes and sha256."""
        return {"file": self.name, "bytes": self.bytes, "sha256": self._sha256.hexdigest()}


@contextlib.contextmanager
def _hashed(path: Path) -> Iterator[_Hashed]:
    with open_atomically(path) as file:
        yield _Hashed(path.name, file)


def is_as_written(path: Path, facts: Mapping[str, Any]) -> bool:
    """Tells whether a file has the size and the SHA-256 of `facts`."""
    if not path.is_file() or path.stat().st_size != facts["bytes"]:
        return False
    return file_sha256(path) == facts["sha256"]


# Shards.


def example_of(
    key: str, shape: Sequence[int], array: bytes, class_indices: Mapping[str, int]
) -> bytes:
    """Gives the serialised `tf.train.Example` of a record."""
    classes = {name: [index] for name, index in class_indices.items()}
    return example({"array": array, "shape": shape, "key": key.encode(), **classes})


def shards_of(array_sizes: np.ndarray) -> np.ndarray:
    """Divides the records of a split, in their order, into shards of about `SHARD_BYTES`.

    Args:
      array_sizes: int64 [record], bytes of each array.

    Returns:
      int64 [record], the shard of each, from 0 without a gap.
    """
    sizes = np.maximum(array_sizes, SHARD_BYTES // SHARD_RECORDS)
    begins = np.cumsum(sizes) - sizes
    return np.unique(begins // SHARD_BYTES, return_inverse=True)[1]


def shard_name(split: str, shard: int, count: int) -> str:
    """Gives the name of one of the `count` shards of a split."""
    return f"{split}-{shard:05d}-of-{count:05d}.tfrecord"


def write_shard(path: Path, examples: Iterable[bytes]) -> dict[str, Any]:
    """Writes a shard; gives its file, bytes, sha256 and records."""
    records, held, held_bytes = 0, [], 0
    with _hashed(path) as file:
        for record in examples:
            held.append(record)
            held_bytes += len(record)
            if held_bytes >= BYTES_AT_ONCE:
                file.write(frames(held))
                records, held, held_bytes = records + len(held), [], 0
        file.write(frames(held))
    return {**file.facts(), "records": records + len(held)}


# Tables: the rows of pieces, and of splits.


class Table:
    """A table that is being written: one JSON object per line."""

    def __init__(self, file: _Hashed) -> None:
        self._file, self.rows = file, 0

    def add(self, row: Mapping[str, Any]) -> None:
        """Writes a row; those of pieces come sorted by key."""
        self._file.write(json.dumps(row, ensure_ascii=False).encode() + b"\n")
        self.rows += 1

    def facts(self) -> dict[str, Any]:
        """Gives the file, its bytes, sha256 and rows, once it is written."""
        return {**self._file.facts(), "rows": self.rows}


@contextlib.contextmanager
def open_table(folder: Path, name: str) -> Iterator[Table]:
    """Gives a table ("pieces", "skipped", "counts") to write in a folder; whole or not at all."""
    with _hashed(folder / f"{name}.jsonl") as file:
        yield Table(file)


# Tables that are read.


def read_pieces(
    data_dir: str | Path, manifest: Manifest, needed: Sequence[str] = ("key",)
) -> Iterator[dict[str, Any]]:
    """Gives the row of each piece in turn, sorted by key.

    A row has key, title, composer, genre, group, split, licence, steps (of the array),
    notes, seconds, left_out and doubtful (see `reading_result.Reading`), shard (the name of its
    file) and index (of its record in there).

    Args:
      data_dir, manifest: of the prepared directory.
      needed: what is looked at to be there, of `ROW`.

    Raises:
      ValueError: the file of rows is missing, or not as it was written.
    """
    return _read_table(data_dir, manifest, PIECES, needed)


def read_skipped(data_dir: str | Path, manifest: Manifest) -> Iterator[dict[str, Any]]:
    """Gives key and reason of each piece that gave no record, sorted by key.

    Raises:
      ValueError: as `read_pieces`.
    """
    return _read_table(data_dir, manifest, SKIPPED, ("key", "reason"))


def read_counts(data_dir: str | Path, manifest: Manifest) -> Iterator[dict[str, Any]]:
    """Gives for each split its name and what `data_counts` counts in its pieces, summed.

    Raises:
      ValueError: as `read_pieces`.
    """
    return _read_table(data_dir, manifest, COUNTS, ("split",))


def _read_table(
    data_dir: str | Path, manifest: Manifest, name: str, needed: Sequence[str]
) -> Iterator[dict[str, Any]]:
    facts = manifest.table(name)
    _refuse(_fault(data_dir, facts), data_dir)
    path, types = Path(data_dir) / facts["file"], [(key, ROW[key]) for key in needed]
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            try:
                row = json.loads(line)
            except (ValueError, RecursionError):
                row = None
            if not isinstance(row, dict) or not all(isinstance(row.get(k), t) for k, t in types):
                expected = ", ".join(f"{key} ({WORDS[kind]})" for key, kind in types)
                raise ValueError(f"{path}, line {number} is no row; expected {expected}")
            yield row


def fault(data_dir: str | Path, manifest: Manifest, split: str | None = None) -> str:
    """Describes what is wrong with the shards of a split, or any file; "" if nothing is."""
    files: list[TableFacts | ShardFacts] = [] if split else list(manifest.tables.values())
    for name in SPLITS if split is None else (split,):
        files += manifest.split(name)["shards"]
    return next(filter(None, (_fault(data_dir, facts) for facts in files)), "")


def _fault(data_dir: str | Path, facts: Mapping[str, Any]) -> str:
    path = Path(data_dir) / facts["file"]
    if not path.is_file():
        return f"{path} is missing"
    if not is_as_written(path, facts):
        return f"{path} is not what was written: its SHA-256 differs"
    return ""


def verify(data_dir: str | Path, manifest: Manifest, split: str | None = None) -> None:
    """Checks that the shards of a split, or all files, are as written. ValueError names one not."""
    _refuse(fault(data_dir, manifest, split), data_dir)


def _refuse(wrong: str, data_dir: str | Path) -> None:
    if wrong:
        raise ValueError(f"{wrong}; delete {Path(data_dir) / MANIFEST} and prepare again")
