"""vgmusic: the Video Game Music Archive, 31,581 MIDI files.

Its archive holds programs and a sound font too: nothing but MIDI files is unpacked.
"""

from __future__ import annotations

import dataclasses
from typing import ClassVar

from pipelines.collection import Collection
from pipelines.music_archives import Archive


@dataclasses.dataclass(frozen=True)
class Source(Collection):
    """The Video Game Music Archive, got by hand."""

    name: ClassVar[str] = "vgmusic"
    licence: ClassVar[str] = "none stated; the music is under copyright: do not redistribute"
    citation: ClassVar[str] = "Video Game Music Archive, https://www.vgmusic.com"
    homepage: ClassVar[str] = "https://www.vgmusic.com"
    by_hand: ClassVar[str] = (
        "see whether you may use it; archive.org has its files as the item "
        "31581VideogameMusicMIDIFileswReplayGain8mbgmsfx.sf2, a .zip. Run no program of it."
    )
    genre: ClassVar[str] = "video game"
    archives: ClassVar[tuple[Archive, ...]] = (Archive(name="", pieces=31_581),)
