"""Archives of collections: where they are published, and where their music lies here."""

from __future__ import annotations

import dataclasses
from pathlib import Path

UNPACKED_HERE = (".zip", ".tar.gz", ".tgz", ".tar")  # By `unpacking`.


@dataclasses.dataclass(frozen=True)
class Archive:
    """A file to get, and how to tell that it is the right one.

    Attributes:
      name: what the file is called; one that can be unpacked is.
      urls: where it is, in the order to try; () where it can only be got by hand.
      sha256, size_bytes: of the file; "" and None where nobody has said.
      edition: which value of the collection's flag it belongs to; "" where there is no such flag.
      root: folder inside it that holds the music, where all is in one.
      pieces: how many it holds; None where nobody has said.
    """

    name: str
    urls: tuple[str, ...] = ()
    sha256: str = ""
    size_bytes: int | None = None
    edition: str = ""
    root: str = ""
    pieces: int | None = None

    @property
    def is_packed(self) -> bool:
        """Whether it is unpacked before it is read."""
        return not self.name or is_packed(self.name)


@dataclasses.dataclass(frozen=True)
class Place:
    """Music that is here: a folder or a file, and what it came out of.

    Attributes:
      path: a folder, or a file where the archive is not packed.
      archive: as the collection describes it.
      fingerprint: of all that is in it; "" where only each file can tell.
    """

    path: Path
    archive: Archive
    fingerprint: str = ""


def root_of(here: Place) -> Path:
    """The folder that keys are relative to, so that they are the same on every machine."""
    if here.path.is_file():
        return here.path.parent
    inside = here.path / here.archive.root
    return inside if here.archive.root and inside.is_dir() else here.path


def is_packed(name: str) -> bool:
    """Tells whether a file of that name is an archive that can be unpacked here."""
    return name.lower().endswith(UNPACKED_HERE)


def stem(name: str) -> str:
    """The name of an archive without its suffix."""
    for suffix in UNPACKED_HERE:
        if name.lower().endswith(suffix):
            return name[: -len(suffix)]
    return name
