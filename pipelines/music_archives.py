"""Archives of collections: where they are published, and where they are unpacked."""

from __future__ import annotations

import dataclasses
from pathlib import Path

UNPACKED_HERE = (".zip", ".tar.gz", ".tgz", ".tar")  # By `unpacking`.


@dataclasses.dataclass(frozen=True)
class Archive:
    """A published file of a collection, and how it is verified.

    Attributes:
      name: of the file; an archive is unpacked.
      urls: addresses, in the order to try; () where it can only be got by hand.
      sha256, size_bytes: of the file; "" and None where they are not published.
      edition: value of the collection's flag that chooses it; "" where there is no such flag.
      root: folder in the archive that holds the music; "" where there is none.
      pieces: number of pieces in it; None where it is not known.
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
    """Where the music of an archive is on this machine.

    Attributes:
      path: a folder, or a file where the archive is not packed.
      archive: that the music came from.
      fingerprint: of all files in it; "" where each file has its own.
    """

    path: Path
    archive: Archive
    fingerprint: str = ""


def root_of(here: Place) -> Path:
    """The folder to which keys of pieces are relative; so they are equal on every machine."""
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
