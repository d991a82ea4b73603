"""symbolic_music_midi_data: C. Walder's pool of classical collections, version 1.1.

Its MIDI files are taken. Its tables of notes (.csv) and the split that they tell are not
read: their layout is not published where it could be checked.
"""

from __future__ import annotations

import dataclasses
from typing import ClassVar

from pipelines.collection import Collection
from pipelines.music_archives import Archive


@dataclasses.dataclass(frozen=True)
class Source(Collection):
    """Symbolic Music Midi Data 1.1, got by hand."""

    name: ClassVar[str] = "symbolic_music_midi_data"
    licence: ClassVar[str] = "none stated"
    citation: ClassVar[str] = (
        "C. Walder, Modelling symbolic music: beyond the piano roll, ACML 2016; Symbolic music "
        "data version 1.0, arXiv 1606.02542"
    )
    homepage: ClassVar[str] = "https://arxiv.org/abs/1606.01368"
    by_hand: ClassVar[str] = (
        "the paper names the address, a file on Google Drive that asks for a confirmation; take "
        "the archive that holds MIDI files."
    )
    genre: ClassVar[str] = "classical"
    archives: ClassVar[tuple[Archive, ...]] = (Archive(name=""),)
