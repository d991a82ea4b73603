"""musicnet: MIDI of the classical recordings that MusicNet annotates, made from scores.

Files are COMPOSER/NUMBER_work_movement.mid: the movements of a work are one group.
"""

from __future__ import annotations

import dataclasses
from pathlib import PurePosixPath
from typing import ClassVar

from pipelines.collection import Collection
from pipelines.music_archives import Archive


@dataclasses.dataclass(frozen=True)
class Source(Collection):
    """MusicNet's reference MIDI."""

    name: ClassVar[str] = "musicnet"
    licence: ClassVar[str] = "CC BY 4.0, as Zenodo states"
    citation: ClassVar[str] = (
        "J. Thickstun, Z. Harchaoui and S. M. Kakade, Learning features of music from scratch, "
        "ICLR 2017"
    )
    homepage: ClassVar[str] = "https://zenodo.org/record/5120004"
    download_bytes: ClassVar[int | None] = 2_601_302
    genre: ClassVar[str] = "classical"
    archives: ClassVar[tuple[Archive, ...]] = (
        Archive(
            name="musicnet_midis.tar.gz",
            urls=("https://zenodo.org/record/5120004/files/musicnet_midis.tar.gz",),
            sha256="943cc47731ec5f397bd6fbab4dff78342472890cd484bd30ffb2e16047eef908",
            size_bytes=2_601_302,
            root="musicnet_midis",
            pieces=330,
        ),
    )

    def described(self, place: PurePosixPath) -> dict[str, str]:
        """See `Collection.described`."""
        composer = place.parts[0]
        words = place.stem.split("_")[1:] or [place.stem]
        work = "_".join(words[:-1] or words)
        return {"composer": composer, "group": f"{composer}: {work}"}
