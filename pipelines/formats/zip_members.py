"""Members of zip archives, bounded while they are unpacked.

What an archive says of its sizes is not believed: bytes are counted as they come out.
"""

from __future__ import annotations

import os
import zipfile
import zlib
from typing import BinaryIO

LARGEST_DIRECTORY_BYTES = 2**20  # Of the list of an archive's members, 10,000 and more.
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # Others unpack without a bound.
_END_RECORD, _ZIP64_LOCATOR = b"PK\x05\x06", b"PK\x06\x07"


def open_archive(file: BinaryIO) -> zipfile.ZipFile:
    """Opens a zip archive whose list of members is of a sound size.

    Raises:
      ValueError: it is damaged, or has too many members.
    """
    size = file.seek(0, os.SEEK_END)
    tail_bytes = min(size, 2**16 + 64)
    file.seek(size - tail_bytes)
    tail = file.read(tail_bytes)
    at = tail.rfind(_END_RECORD)
    directory = int.from_bytes(tail[at + 12 : at + 16], "little")
    if at >= 0 and (directory > LARGEST_DIRECTORY_BYTES or _ZIP64_LOCATOR in tail):
        raise ValueError("its archive has too many members")
    try:
        return zipfile.ZipFile(file)
    except (zipfile.BadZipFile, ValueError, NotImplementedError, OSError) as error:
        raise ValueError(f"its archive is damaged: {error}") from error


def read_member(packed: zipfile.ZipFile, name: str, largest_bytes: int) -> bytes:
    """Unpacks a member of an archive, as far as a bound.

    Raises:
      ValueError: it is not there, larger than that, damaged, encrypted, or packed by a method
        other than deflate.
    """
    try:
        info = packed.getinfo(name)
        if info.compress_type not in _METHODS:
            raise ValueError(f"{name!r} is packed by method {info.compress_type}")
        with packed.open(info) as stream:
            content = stream.read(largest_bytes + 1)
    except KeyError:
        raise ValueError(f"its archive has no member {name[:100]!r}") from None
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError) as error:
        raise ValueError(f"its archive is damaged: {error}") from error
    if len(content) > largest_bytes:
        raise ValueError(f"{name[:100]!r} is larger than {largest_bytes} bytes")
    return content
