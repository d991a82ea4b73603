"""Atomic writes: a file is there whole or not at all, even if the machine stops meanwhile."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from pipelines import leftovers
from pipelines.permissions import give_usual_permissions

FULL_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}  # The errno where no room is left.


def sync(path: Path) -> None:
    """Makes sure that a file, or the names in a folder, survive whatever happens to the machine."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_atomically(path: Path, content: bytes) -> None:
    """Writes a file under a temporary name in the same folder, then renames it.

    Raises:
      OSError: the folder is missing or full, or may not be written; an older file of that
        name is still there, unchanged.
    """
    with open_atomically(path) as file:
        file.write(content)


@contextlib.contextmanager
def open_atomically(path: Path, flush: bool = True) -> Iterator[BinaryIO]:
    """Gives a file to write, which takes its name where the block ends without an error.

    Args:
      path: its name.
      flush: waits until it is on the disk; without, a machine that stops may leave part of
        it, which its reader must find out.

    Raises:
      OSError: as `write_atomically`.
    """
    handle, temporary = leftovers.make_file(path)
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            if flush:
                os.fsync(file.fileno())
            # While it is open, which keeps others from taking it for a leftover.
            give_usual_permissions(Path(temporary))
            Path(temporary).replace(path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            Path(temporary).unlink()
        raise
