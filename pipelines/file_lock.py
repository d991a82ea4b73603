"""A lock between processes, by a file; it is released when its process ends."""

from __future__ import annotations

import contextlib
import fcntl
import os
import sys
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def locked(path: Path, waiting: str = "waiting for another process to get it") -> Iterator[None]:
    """Lets one process at a time write `path`; others wait, and say so.

    The file beside it that carries the lock is gone afterwards.

    Args:
      path: need not exist.
      waiting: text that a waiting process prints.

    Raises:
      OSError: the folder is missing or may not be written.
    """
    lock = path.with_name(f".{path.name}.lock")
    descriptor = _take(lock, f"{path.name}: {waiting}")
    try:
        yield
    finally:
        lock.unlink(missing_ok=True)
        os.close(descriptor)


def _take(lock: Path, waiting: str) -> int:
    has_said = False
    while True:
        descriptor = os.open(lock, os.O_CREAT | os.O_RDWR, 0o666)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if not has_said:
                    print(waiting, file=sys.stderr, flush=True)
                    has_said = True
                fcntl.flock(descriptor, fcntl.LOCK_EX)
            # Who had it before has deleted the file: a lock on it would keep nobody out.
            with contextlib.suppress(FileNotFoundError):
                if os.fstat(descriptor).st_ino == lock.stat().st_ino:
                    return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)
