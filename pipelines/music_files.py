"""Files of a collection on disk: listing, printable names, checksums."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path


def files_below(folder: Path, suffixes: tuple[str, ...]) -> Iterator[Path]:
    """Lists the files of a folder with some suffixes, at any depth; hidden ones are skipped.

    Nothing where there is no such folder.

    Raises:
      OSError: a folder below it cannot be read.
    """

    if not folder.is_dir():
        return
    for directory, files in folders_below(folder):
        for name in files:
            if name.lower().endswith(suffixes) and not name.startswith("."):
                yield Path(directory, name)


def folders_below(folder: Path) -> Iterator[tuple[str, list[str]]]:
    """Gives (path, names of its files) of a folder and all below it, hidden ones skipped.

    Symbolic links to folders are followed. One that leads back to a folder above it, or to one
    that was given already, is not: each folder is given once.

    Raises:
      OSError: a folder cannot be read.
    """

    def stop(error: OSError) -> None:
        raise error

    seen = {_identity(folder)}
    for directory, folders, files in os.walk(folder, onerror=stop, followlinks=True):
        fresh = []
        for name in sorted(folders):
            path = os.path.join(directory, name)  # noqa: PTH118 - a Path is slow.
            if not name.startswith((".", "__MACOSX")) and _identity(path) not in seen:
                seen.add(_identity(path))
                fresh.append(name)
        folders[:] = fresh
        yield directory, files


def _identity(path: str | Path) -> tuple[int, int]:
    """Gives device and inode, which all links to a folder share."""
    status = os.stat(path)  # noqa: PTH116 - a Path is slow.
    return status.st_dev, status.st_ino


def printable(name: str) -> str:
    """Gives a file name as text that any file may hold; bytes that are no UTF-8 as \\xNN."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def file_sha256(path: str | Path) -> str:
    """Gives the SHA-256 of a file, in hexadecimal."""
    with open(path, "rb", buffering=0) as file:  # noqa: PTH123 - a Path is slow.
        return hashlib.file_digest(file, "sha256").hexdigest()
