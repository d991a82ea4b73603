"""classical_archives: The Greats, the MIDI library of a commercial site, by composer."""

from __future__ import annotations

import dataclasses
from pathlib import PurePosixPath
from typing import ClassVar

from pipelines.collection import Collection
from pipelines.music_archives import Archive


@dataclasses.dataclass(frozen=True)
class Source(Collection):
    """Classical Archives' The Greats, got by hand."""

    name: ClassVar[str] = "classical_archives"
    licence: ClassVar[str] = (
        "none stated: the library of a commercial site, uploaded again by others; do not "
        "redistribute"
    )
    citation: ClassVar[str] = "Classical Archives, The Greats (MIDI Library)"
    homepage: ClassVar[str] = "https://www.classicalarchives.com"
    by_hand: ClassVar[str] = (
        "see whether you may use it; the item ClassicalArchivesTheGreatsMIDILibrary of "
        "archive.org is a .rar, which 7-Zip or unrar unpacks."
    )
    genre: ClassVar[str] = "classical"
    archives: ClassVar[tuple[Archive, ...]] = (
        Archive(name="", root="Classical Archives - The Greats (MIDI)", pieces=4918),
    )

    def described(self, place: PurePosixPath) -> dict[str, str]:
        """See `Collection.described`."""
        return {"composer": place.parts[0]} if len(place.parts) > 1 else {}
