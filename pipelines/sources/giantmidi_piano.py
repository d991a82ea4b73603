"""giantmidi_piano: classical piano transcribed from recordings by a network, with pedal.

Files are `Surname, First name, Title, VIDEO.mid`: a group is all but the video.
"""

from __future__ import annotations

import dataclasses
from pathlib import PurePosixPath
from typing import ClassVar

from pipelines.collection import Collection
from pipelines.music_archives import Archive


@dataclasses.dataclass(frozen=True)
class Source(Collection):
    """GiantMIDI-Piano, got by hand."""

    name: ClassVar[str] = "giantmidi_piano"
    licence: ClassVar[str] = "CC BY 4.0, after a disclaimer that you accept yourself"
    citation: ClassVar[str] = (
        "Q. Kong, B. Li, J. Chen and Y. Wang, GiantMIDI-Piano: a large-scale MIDI dataset for "
        "classical piano music, Transactions of ISMIR 5(1), 2022"
    )
    homepage: ClassVar[str] = "https://github.com/bytedance/GiantMIDI-Piano"
    by_hand: ClassVar[str] = (
        "read disclaimer.md on its home page and take the archive of MIDI files (193 MB) from "
        "the Google Drive it names."
    )
    genre: ClassVar[str] = "classical"
    archives: ClassVar[tuple[Archive, ...]] = (Archive(name="", pieces=10_855),)

    def described(self, place: PurePosixPath) -> dict[str, str]:
        """See `Collection.described`."""
        words = place.stem.split(", ")
        if len(words) < 4:  # Not named as the collection names its files.
            return {}
        composer, title = ", ".join(words[:2]), ", ".join(words[2:-1])
        return {
            "composer": composer,
            "title": title,
            "group": f"{composer}: {title}".casefold(),
        }
