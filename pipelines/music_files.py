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

    def stop(error: OSError) -> None:
        raise error

    if not folder.is_dir():
        return
    for directory, folders, files in os.walk(folder, onerror=stop):
        folders[:] = [name for name in folders if not name.startswith((".", "__MACOSX"))]
        for name in files:
            if name.lower().endswith(suffixes) and not name.startswith("."):
                yield Path(directory, name)


def printable(name: str) -> str:
    """Gives a file name as text that any file may hold; bytes that are no UTF-8 as \\xNN."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def file_sha256(path: str | Path) -> str:
    """Gives the SHA-256 of a file, in hexadecimal."""
    with open(path, "rb", buffering=0) as file:  # noqa: PTH123 - a Path is slow.
        return hashlib.file_digest(file, "sha256").hexdigest()
