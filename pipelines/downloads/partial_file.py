"""A partial download, from which a later one resumes.

Beside `x.part` there is `x.part.json`: where the bytes come from, and how many of them, with
which SHA-256, have reached the disk. Only those are kept; what was written after them may be
missing or zeros if the machine stopped.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import time
from pathlib import Path
from typing import Any

from pipelines.atomic_file import sync

KEEP_SECONDS = 1.0  # Between writes of the note: what a `kill -9` can cost.
BLOCK_BYTES = 1 << 20


class PartialFile:
    """A partial download. Its folder exists, and the caller holds a lock.

    Every method raises OSError where the disk is full or may not be written.

    Attributes:
      address: where the bytes come from; "" where there are none.
      validator: of this version of the file: ETag or Last-Modified, or "".
      total: bytes of the whole file, as the server says; None where it does not.
      count: bytes that are there.
      is_resumed: whether some of them are from an earlier answer of the server.
      was_damaged: whether what an earlier process left is not what its note says.
    """

    def __init__(self, path: Path) -> None:
        """Resumes an earlier download of `path`, as far as its bytes are verified."""
        self.part = path.with_name(f"{path.name}.part")
        self.note = path.with_name(f"{path.name}.part.json")
        note = _read_note(self.note)
        self.address: str = note["address"]
        self.validator: str = note["validator"]
        self.total: int | None = note["total"]
        self.is_resumed = False
        self.was_damaged = False
        self._file = os.fdopen(os.open(self.part, os.O_RDWR | os.O_CREAT, 0o666), "r+b", 0)
        try:
            self._take_up(note["kept_bytes"], note["kept_sha256"])
        except BaseException:
            self._file.close()
            raise

    def _take_up(self, kept_bytes: int, kept_sha256: str) -> None:
        self.count, self._digest = 0, hashlib.sha256()
        while self.count < kept_bytes:
            block = self._file.read(min(BLOCK_BYTES, kept_bytes - self.count))
            if not block:
                break
            self._digest.update(block)
            self.count += len(block)
        if kept_bytes and self.sha256 != kept_sha256:
            self.was_damaged = True
            self.restart("", "", None)
        self._file.truncate(self.count)
        self._kept_count, self._kept_at = self.count, time.monotonic()

    def __enter__(self) -> PartialFile:
        return self

    def __exit__(self, *exception: object) -> None:
        with contextlib.suppress(OSError):  # A full disk: the note before holds.
            self.keep()
        self._file.close()
        if not self.count:
            self.part.unlink(missing_ok=True)
            self._forget_note()

    @property
    def sha256(self) -> str:
        """SHA-256 of the bytes that are there, hexadecimal."""
        return self._digest.hexdigest()

    @property
    def is_whole(self) -> bool:
        """Whether as many bytes are there as the server said."""
        return self.count > 0 and self.count == self.total

    def restart(self, address: str, validator: str, total: int | None) -> None:
        """Drops the bytes that are there; the next ones come from `address`."""
        self.note.unlink(missing_ok=True)
        self._file.seek(0)
        self._file.truncate()
        self.address, self.validator, self.total = address, validator, total
        self.count, self._digest, self.is_resumed = 0, hashlib.sha256(), False
        self._kept_count, self._kept_at = 0, time.monotonic()

    def append(self, block: bytes) -> None:
        """Appends some bytes."""
        rest = memoryview(block)
        while rest:
            written = self._file.write(rest)
            self._digest.update(rest[:written])
            self.count += written
            rest = rest[written:]
        if time.monotonic() - self._kept_at > KEEP_SECONDS:
            self.keep()

    def keep(self) -> None:
        """Flushes to disk, so that the bytes survive a stop of the machine."""
        if self.count == self._kept_count:
            return
        os.fsync(self._file.fileno())
        note = {
            "address": self.address,
            "validator": self.validator,
            "total": self.total,
            "kept_bytes": self.count,
            "kept_sha256": self.sha256,
        }
        write_alone(self.note, json.dumps(note, indent=1).encode() + b"\n")
        self._kept_count, self._kept_at = self.count, time.monotonic()

    def head(self) -> bytes:
        """Gives the first bytes, at most 512."""
        return os.pread(self._file.fileno(), 512, 0)

    def publish(self, path: Path) -> None:
        """Gives the file its name; from here on it is whole."""
        os.fsync(self._file.fileno())
        self.part.replace(path)
        sync(path.parent)
        self._kept_count = self.count
        self._forget_note()

    def _forget_note(self) -> None:
        self.note.unlink(missing_ok=True)
        self.note.with_name(f"{self.note.name}.new").unlink(missing_ok=True)


def _read_note(path: Path) -> dict[str, Any]:
    """Reads a note; where there is none that can be read, nothing is known and nothing kept."""
    unknown = {"address": "", "validator": "", "total": None, "kept_bytes": 0, "kept_sha256": ""}
    try:
        note = json.loads(path.read_bytes())
    except (FileNotFoundError, ValueError):
        return unknown
    types = {"address": str, "validator": str, "kept_bytes": int, "kept_sha256": str}
    is_whole = isinstance(note, dict) and all(type(note.get(k)) is t for k, t in types.items())
    return note if is_whole and type(note.get("total")) in (int, type(None)) else unknown


def write_alone(path: Path, content: bytes) -> None:
    """Writes a file whole or not at all, for a caller that has a lock.

    The temporary name is always the same: what a killed process leaves does not add up.
    """
    temporary = path.with_name(f"{path.name}.new")
    with temporary.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
