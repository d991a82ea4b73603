"""The bytes of score files, plain or packed (.mxl), bounded while they are read.

What an archive says of its sizes is not believed: bytes are counted as they are unpacked.
"""

from __future__ import annotations

import os
import posixpath
import stat
import zipfile
from pathlib import Path
from xml.etree import ElementTree as ET

from pipelines.formats import musicxml_tree
from pipelines.formats.zip_members import open_archive, read_member

LARGEST_BYTES = 32 * 2**20  # Of a file, and of what is unpacked from it.
LARGEST_CONTAINER_BYTES = 2**16
CONTAINER = "META-INF/container.xml"
SCORE_SUFFIXES = (".musicxml", ".xml")


def read(path: str | os.PathLike[str]) -> bytes:
    """Reads a file; of a zip archive the score that its container names.

    Raises:
      ValueError: it is no regular file, too large, or an archive that is damaged, holds no score
        or several without saying which.
      OSError: the path cannot be read.
    """
    # Before it is opened: a pipe that nobody writes to would wait for ever.
    if not stat.S_ISREG(Path(path).stat().st_mode):
        raise ValueError("it is not a regular file")
    with Path(path).open("rb") as file:
        content = file.read(LARGEST_BYTES + 1)
        if len(content) > LARGEST_BYTES:
            raise ValueError(f"it is larger than {LARGEST_BYTES} bytes")
        if not content.startswith(b"PK\x03\x04"):
            return content
        with open_archive(file) as packed:
            return read_member(packed, _root_file(packed), LARGEST_BYTES)


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
            return posixpath.normpath(path).lstrip("/")
    raise ValueError(f"{CONTAINER} names no MusicXML file")
