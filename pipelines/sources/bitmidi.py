"""bitmidi: MIDI files that users put on bitmidi.com."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

from pipelines.collection import Collection
from pipelines.music_archives import Archive


@dataclasses.dataclass(frozen=True)
class Source(Collection):
    """BitMidi, got by hand."""

    name: ClassVar[str] = "bitmidi"
    licence: ClassVar[str] = (
        "none stated: put there by users, much of it under copyright; do not redistribute"
    )
    citation: ClassVar[str] = "BitMidi, https://bitmidi.com"
    homepage: ClassVar[str] = "https://bitmidi.com"
    by_hand: ClassVar[str] = (
        "there is no archive of it, and its pages are not meant to be gone through by a program: "
        "save the files you may use in one folder."
    )
    archives: ClassVar[tuple[Archive, ...]] = (Archive(name=""),)
