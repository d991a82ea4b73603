"""The bytes of score files, plain or packed (.mxl), bounded while they are read.

What an archive says of its sizes is not believed: bytes are counted as they are unpacked.
"""

from __future__ import annotations

import os
import stat
import zipfile
import zlib
from pathlib import Path
from typing import BinaryIO
from xml.etree import ElementTree as ET

from pipelines.formats import musicxml_tree

LARGEST_BYTES = 32 * 2**20  # Of a file, and of what is unpacked from it.
LARGEST_DIRECTORY_BYTES = 2**20  # Of the list of an archive's members; of 10,000 and more.
LARGEST_CONTAINER_BYTES = 2**16
CONTAINER = "META-INF/container.xml"
SCORE_SUFFIXES = (".musicxml", ".xml")
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # Others unpack without a bound.
_END_RECORD, _ZIP64_LOCATOR = b"PK\x05\x06", b"PK\x06\x07"


def read(path: str | os.PathLike[str]) -> bytes:
    """Reads a file; of a zip archive the score that its container names.

    Raises:
      ValueError: it is no regular file, too large, or an archive that is damaged, holds no score
        or several without saying which.
      OSError: the path cannot be read.
    """
    with Path(path).open("rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise ValueError("it is not a regular file")
        content = file.read(LARGEST_BYTES + 1)
        if len(content) > LARGEST_BYTES:
            raise ValueError(f"it is larger than {LARGEST_BYTES} bytes")
        if not content.startswith(b"PK\x03\x04"):
            return content
        with open_archive(file) as packed:
            return read_member(packed, _root_file(packed), LARGEST_BYTES)


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


def _root_file(packed: zipfile.ZipFile) -> str:
    names = packed.namelist()
    if CONTAINER in names:
        return _first_root_file(read_member(packed, CONTAINER, LARGEST_CONTAINER_BYTES))
    scores = [
        name
        for name in names
        if name.lower().endswith(SCORE_SUFFIXES)
        and not any(part.startswith((".", "__MACOSX", "META-INF")) for part in name.split("/"))
    ]
    if len(scores) != 1:
        raise ValueError(f"its archive has no {CONTAINER} and {len(scores)} scores; expected one")
    return scores[0]


def _first_root_file(content: bytes) -> str:
    """Gives the path of the first root file of MusicXML's media type, or of none."""
    try:
        container: ET.Element = musicxml_tree.parse_elements(content)
    except ValueError as error:
        raise ValueError(f"{CONTAINER}: {error}") from error
    for root in container.iter("rootfile"):
        path = root.get("full-path")
        if path and "musicxml" in root.get("media-type", "musicxml").lower():
            return path
    raise ValueError(f"{CONTAINER} names no MusicXML file")
