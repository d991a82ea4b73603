"""Locks between processes, by a file; the system lets go of one when its process ends.

The file says who holds it. Whoever takes a lock that a killed process held takes its file over.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

WITHOUT_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP}  # Of some network file systems.


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
    with _taken(path, lambda holder: print(f"{path.name}: {waiting}", file=sys.stderr, flush=True)):
        yield


@contextlib.contextmanager
def held(path: Path, doing: str, remedy: str) -> Iterator[None]:
    """Lets one process at a time work on `path`; others are refused.

    Args:
      path: as for `locked`.
      doing: what the holder does, as in "another process trains train/monday".
      remedy: what who is refused may do.

    Raises:
      ValueError: another process holds it; its number and host are named.
      OSError: as for `locked`.
    """

    def refuse(holder: str) -> None:
        raise ValueError(f"{doing} ({holder or 'which has just begun'}): {remedy}")

    with _taken(path, refuse):
        yield


@contextlib.contextmanager
def _taken(path: Path, busy: Callable[[str], None]) -> Iterator[None]:
    lock = path.with_name(f".{path.name}.lock")
    descriptor = _take(lock, busy)
    try:
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"process {os.getpid()} on {socket.gethostname()}".encode())
        yield
    finally:
        lock.unlink(missing_ok=True)
        os.close(descriptor)


def _take(lock: Path, busy: Callable[[str], None]) -> int:
    """Gives the descriptor that holds the lock; calls `busy` once if another process holds it."""
    has_said = False
    while True:
        descriptor = os.open(lock, os.O_CREAT | os.O_RDWR, 0o666)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if not has_said:
                    busy(os.pread(descriptor, 1000, 0).decode(errors="replace"))
                    has_said = True
                fcntl.flock(descriptor, fcntl.LOCK_EX)
            except OSError as error:
                if error.errno not in WITHOUT_LOCKS:
                    raise
                print(
                    f"note: the file system of {lock.parent} locks no files, so nothing keeps a "
                    "second process out of it",
                    file=sys.stderr,
                )
                return descriptor
            # Who had it before has deleted the file: a lock on it would keep nobody out.
            with contextlib.suppress(FileNotFoundError):
                if os.fstat(descriptor).st_ino == lock.stat().st_ino:
                    return descriptor
        except BaseException as error:
            os.close(descriptor)
            if isinstance(error, OSError):
                error.filename = str(lock)
            raise
        os.close(descriptor)
