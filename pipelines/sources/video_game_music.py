"""video_game_music: 90,000 MIDI files of video game music from archive.org."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

from pipelines.collection import Collection
from pipelines.music_archives import Archive


@dataclasses.dataclass(frozen=True)
class Source(Collection):
    """Video game music, got by hand."""

    name: ClassVar[str] = "video_game_music"
    licence: ClassVar[str] = "none stated; the music is under copyright: do not redistribute"
    citation: ClassVar[str] = "archive.org, Video Game Music: 90000 MIDI files"
    homepage: ClassVar[str] = "https://archive.org/details/video-game-music-90000-midi-files"
    by_hand: ClassVar[str] = (
        "see whether you may use it; take the .zip from its page, which archive.org packs anew "
        "each time, so that it has no checksum."
    )
    genre: ClassVar[str] = "video game"
    archives: ClassVar[tuple[Archive, ...]] = (Archive(name="", pieces=92_861),)
