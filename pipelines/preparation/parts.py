"""Parts: files of the results of tasks, kept until all is known that records need.

A part has the arrays of its pieces one after the other, then a header of a JSON line per
piece, then the header's SHA-256 and length. The header says where each array is, and its
SHA-256. It is at the end so that arrays are written as they come.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from pipelines.atomic_file import open_atomically

TAIL = struct.Struct("<32sQ")  # SHA-256 and length of the header.


@dataclasses.dataclass(frozen=True)
class Skipped:
    """A piece without a record, and the reason; a fault of ours is tried again next time."""

    key: str
    reason: str
    is_fault: bool = False


@dataclasses.dataclass(frozen=True)
class Described:
    """What is known of a piece that was encoded.

    Attributes:
      row: of `records.read_pieces`, as far as it is known.
      notes_digest: see `Score.notes_digest`.
      digest, sketch: see `duplicates`; b"" where copies of that kind are kept.
      counts: as `data_counts.packed` gives them.
      values: as `Codec.value_counts` gives them.
      shape: of the array.
    """

    row: dict[str, Any]
    notes_digest: bytes
    digest: bytes
    sketch: bytes
    counts: bytes
    values: dict[str, dict[int, int]]
    shape: tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class Encoded(Described):
    """An encoded piece; its array as `array_bytes` gives it."""

    array: bytes


@dataclasses.dataclass(frozen=True)
class Entry(Described):
    """A piece in a part, and where its array is.

    Attributes:
      first: the byte of the part where the array begins.
      size: bytes of the array.
      sha256: of the array.
    """

    first: int
    size: int
    sha256: bytes


def write(path: Path, outcomes: Iterable[Encoded | Skipped]) -> None:
    """Writes a part, one outcome after the other."""
    lines, first = [], 0
    # Not flushed, so that no worker waits for the disk: a part tells whether it is whole.
    with open_atomically(path, flush=False) as file:
        for outcome in outcomes:
            if isinstance(outcome, Skipped):
                lines.append(json.dumps(dataclasses.asdict(outcome)))
                continue
            file.write(outcome.array)
            fact = {
                "row": outcome.row,
                "notes_digest": outcome.notes_digest.hex(),
                "digest": outcome.digest.hex(),
                "sketch": outcome.sketch.hex(),
                "counts": outcome.counts.hex(),
                "values": {name: list(c.items()) for name, c in outcome.values.items()},
                "shape": outcome.shape,
                "first": first,
                "size": len(outcome.array),
                "sha256": hashlib.sha256(outcome.array).hexdigest(),
            }
            lines.append(json.dumps(fact))
            first += len(outcome.array)
        header = "\n".join(lines).encode()
        file.write(header + TAIL.pack(hashlib.sha256(header).digest(), len(header)))


def read_entries(path: Path) -> list[Entry | Skipped] | None:
    """Reads the header of a part; None where it is missing or damaged."""
    try:
        with path.open("rb") as file:
            return _entries(file)
    except FileNotFoundError:
        return None


def _entries(file: BinaryIO) -> list[Entry | Skipped] | None:
    size = file.seek(0, 2)
    if size < TAIL.size:
        return None
    file.seek(size - TAIL.size)
    digest, length = TAIL.unpack(file.read())
    if length > size - TAIL.size:
        return None
    file.seek(size - TAIL.size - length)
    header = file.read(length)
    if hashlib.sha256(header).digest() != digest:
        return None
    return [_entry(json.loads(line)) for line in header.splitlines()]


def _entry(fact: dict[str, Any]) -> Entry | Skipped:
    if "reason" in fact:
        return Skipped(**fact)
    for name in ("notes_digest", "digest", "sketch", "counts", "sha256"):
        fact[name] = bytes.fromhex(fact[name])
    values = {name: dict(pairs) for name, pairs in fact["values"].items()}  # JSON has text keys.
    return Entry(**{**fact, "values": values, "shape": tuple(fact["shape"])})


def read_arrays(path: Path, entries: Iterable[Entry]) -> Iterator[bytes]:
    """Gives the arrays of some pieces of a part.

    Raises:
      OSError: one is not as it was written.
    """
    with path.open("rb") as file:
        for entry in entries:
            file.seek(entry.first)
            array = file.read(entry.size)
            if hashlib.sha256(array).digest() != entry.sha256:
                raise damaged(path)
            yield array


def damaged(path: Path) -> OSError:
    """Gives the error of a part that was whole before."""
    return OSError(
        f"{path}, written before, is gone or damaged; is the disk whole? The same command again "
        "makes it anew and goes on"
    )


def is_done(path: Path) -> bool:
    """Tells whether a part is there, whole to the last byte, and without a fault of ours."""
    entries = read_entries(path)
    if entries is None:
        return False
    if any(isinstance(entry, Skipped) and entry.is_fault for entry in entries):
        return False
    try:
        for _ in read_arrays(path, [entry for entry in entries if isinstance(entry, Entry)]):
            pass
    except OSError:
        return False
    return True
