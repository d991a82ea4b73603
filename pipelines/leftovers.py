"""Temporary files and folders, and what killed processes left of them.

Whoever makes one holds a lock (flock) on it, which the system lets go when the process ends. So one
that can be locked belongs to nobody, whatever process has its number now. Its name says the host:
on a shared disk those of other hosts are left alone, as not every file system passes locks on.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import re
import shutil
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

HOST = f"@{hashlib.sha256(socket.gethostname().encode()).hexdigest()[:8]}"  # In names.
FILE_END, FOLDER_END = ".tmp", ".part"
LONGEST_STEM_BYTES = 180  # Of the name in a temporary name, which may be no longer than 255.


def make_file(path: Path) -> tuple[int, Path]:
    """Makes a temporary file beside `path`; gives its descriptor, which holds its lock, and path.

    Raises:
      OSError: the folder is missing or full, or may not be written.
    """
    while True:
        handle, name = tempfile.mkstemp(f".{HOST}{FILE_END}", _start(path), path.parent)
        if _hold(handle, Path(name)):
            return handle, Path(name)
        os.close(handle)


@contextlib.contextmanager
def temporary_folder(path: Path, end: str) -> Iterator[Path]:
    """Gives a new folder beside `path` that only this user may read; it is gone at the end.

    Args:
      path: what it is made for.
      end: of its name; `FOLDER_END` if `remove_leftovers` may remove it.

    Raises:
      OSError: as `make_file`.
    """
    handle, folder = _make_folder(path, end)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(handle)


def _make_folder(path: Path, end: str) -> tuple[int, Path]:
    while True:
        folder = Path(tempfile.mkdtemp(f".{HOST}{end}", _start(path), path.parent))
        with contextlib.suppress(FileNotFoundError):  # It was removed before it had its lock.
            handle = os.open(folder, os.O_RDONLY)
            if _hold(handle, folder):
                return handle, folder
            os.close(handle)


def remove_leftovers(folder: Path) -> None:
    """Removes the temporary files and folders in a folder whose processes have ended.

    What lives stays, and what cannot be removed.
    """
    found = [path for end in (FILE_END, FOLDER_END) for path in folder.glob(f".*.{HOST}{end}")]
    for path in found:
        with contextlib.suppress(OSError):
            # For writing, without which NFS locks no file; of a folder there it never does.
            handle = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(path) if path.is_dir() else path.unlink()
            finally:
                os.close(handle)


def made_for(path: Path, end: str) -> list[Path]:
    """Lists the temporary folders of this host beside `path` that were made for it."""
    # The whole name: ".v1." also begins those of a folder v1.2.
    name = re.compile(re.escape(_start(path)) + r"[a-z0-9_]+" + re.escape(f".{HOST}{end}"))
    found = path.parent.glob(f".*.{HOST}{end}")
    return sorted(other for other in found if name.fullmatch(other.name))


def _start(path: Path) -> str:
    return f".{os.fsencode(path.name)[:LONGEST_STEM_BYTES].decode(errors='ignore')}."


def _hold(handle: int, path: Path) -> bool:
    """Locks what was just made; whether it is still there, as others remove what has no lock."""
    with contextlib.suppress(OSError):  # A file system without locks; nothing is removed there.
        fcntl.flock(handle, fcntl.LOCK_SH)
    return path.exists() and os.fstat(handle).st_nlink > 0
