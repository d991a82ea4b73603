"""magic_of_midi: The Magic of MIDI, 169,454 files of all sorts from the early web."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

from pipelines.collection import Collection
from pipelines.music_archives import Archive


@dataclasses.dataclass(frozen=True)
class Source(Collection):
    """The Magic of MIDI, got by hand."""

    name: ClassVar[str] = "magic_of_midi"
    licence: ClassVar[str] = "none stated, of mixed origin: do not redistribute"
    citation: ClassVar[str] = "archive.org, The Magic of MIDI, version 1"
    homepage: ClassVar[str] = "https://archive.org/details/themagicofmidiv1"
    by_hand: ClassVar[str] = (
        "see whether you may use it; take The_Magic_of_MIDI.7z from its page and unpack it with "
        "7-Zip (7z x The_Magic_of_MIDI.7z)."
    )
    archives: ClassVar[tuple[Archive, ...]] = (Archive(name="", pieces=169_454),)
