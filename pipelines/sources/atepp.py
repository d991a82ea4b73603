"""atepp: performances by 49 pianists, transcribed from recordings by a network, with pedal.

Files are COMPOSER/WORK/MOVEMENT/NUMBER.mid, several performances per movement; a group is a
work.
"""

from __future__ import annotations

import dataclasses
from pathlib import PurePosixPath
from typing import ClassVar

from pipelines.collection import Collection
from pipelines.music_archives import Archive


@dataclasses.dataclass(frozen=True)
class Source(Collection):
    """ATEPP 1.1, got by hand."""

    name: ClassVar[str] = "atepp"
    licence: ClassVar[str] = "CC BY 4.0, after a disclaimer that you accept yourself"
    citation: ClassVar[str] = (
        "H. Zhang, J. Tang, S. Rafee, S. Dixon and G. Fazekas, ATEPP: a dataset of automatically "
        "transcribed expressive piano performance, ISMIR 2022"
    )
    homepage: ClassVar[str] = "https://github.com/BetsyTang/ATEPP"
    by_hand: ClassVar[str] = (
        "read disclaimer.md on its home page and take version 1.1 (212 MB) from the Google "
        "Drive it names."
    )
    genre: ClassVar[str] = "classical"
    archives: ClassVar[tuple[Archive, ...]] = (Archive(name="", root="ATEPP-1.1", pieces=11_677),)

    def described(self, place: PurePosixPath) -> dict[str, str]:
        """See `Collection.described`."""
        folders = place.parts[:-1]
        if len(folders) < 2:  # Not laid out as the collection is.
            return {}
        return {
            "composer": folders[0].replace("_", " "),
            "title": " ".join(folders[1:]).replace("_", " "),
            "group": "/".join(folders[:2]),
        }
