"""piano_midi_de: Bernd Krueger's classical piano pieces, played in by hand and edited.

One archive per composer, without a published checksum. The short names are those that public
scripts have used; an archive that is no longer there is reported and skipped. Each piece
is there twice, of which `_format0` is the same notes in one track: it is left out.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import ClassVar

from pipelines.collection import Collection
from pipelines.downloads.known_file import DownloadError
from pipelines.music_archives import Archive, Place
from pipelines.settings import flag
from pipelines.sources.source import Piece

ADDRESS = "http://www.piano-midi.de/zip"
# Composers by the short name of their archive.
COMPOSERS = {
    "albeniz": "albeniz",
    "bach": "bach",
    "balakir": "balakirev",
    "beeth": "beethoven",
    "borodin": "borodin",
    "brahms": "brahms",
    "burgm": "burgmueller",
    "chopin": "chopin",
    "debussy": "debussy",
    "granados": "granados",
    "grieg": "grieg",
    "haydn": "haydn",
    "liszt": "liszt",
    "mendelssohn": "mendelssohn",
    "mozart": "mozart",
    "muss": "mussorgsky",
    "schubert": "schubert",
    "schumann": "schumann",
    "tschai": "tchaikovsky",
}


@dataclasses.dataclass(frozen=True)
class Source(Collection):
    """The pieces of piano-midi.de, of some composers."""

    name: ClassVar[str] = "piano_midi_de"
    licence: ClassVar[str] = "CC BY-SA 3.0 Germany; name Bernd Krueger and www.piano-midi.de"
    citation: ClassVar[str] = "B. Krueger, Classical Piano MIDI Page, http://www.piano-midi.de"
    homepage: ClassVar[str] = "http://www.piano-midi.de/copy.htm"
    download_bytes: ClassVar[int | None] = None
    genre: ClassVar[str] = "classical"
    archives: ClassVar[tuple[Archive, ...]] = tuple(
        Archive(name=f"{short}.zip", urls=(f"{ADDRESS}/{short}.zip",), edition=composer)
        for short, composer in COMPOSERS.items()
    )

    composer: tuple[str, ...] = flag(
        default=("all",), help="composers to take, separated by commas; or all"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        known = {archive.edition for archive in self.archives}
        unknown = sorted(set(self.composer) - known - {"all"})
        if unknown or not self.composer:
            raise ValueError(
                f"piano-midi.de has no archive of {', '.join(unknown) or 'nobody'}; --composer "
                f"takes all, or some of {', '.join(sorted(known))}"
            )

    def wanted(self) -> tuple[Archive, ...]:
        """See `Collection.wanted`."""
        return tuple(a for a in self.archives if {a.edition, "all"} & set(self.composer))

    def fetch(self) -> None:
        """Gets the archives; one that is dead does not stop the others.

        Raises:
          OSError: none could be got.
        """
        if self.path:
            return super().fetch()
        dead = []
        for archive in self.wanted():
            try:
                if self._kept(archive) is None:
                    self._get(archive)
            except DownloadError as error:
                dead.append(archive.edition)
                print(f"note: no music of {archive.edition}: {error}", file=sys.stderr)
                if len(dead) == len(self.wanted()):
                    raise

    def places(self) -> list[Place]:
        """What is here, which is less than all where an archive is dead."""
        if self.path:
            return super().places()
        found = [self._kept(archive) for archive in self.wanted()]
        return [here for here in found if here is not None] or super().places()

    def is_present(self) -> bool:
        """Tells whether every archive is here."""
        return bool(self.path) or all(self._kept(archive) for archive in self.wanted())

    def listed(self, here: Place) -> Iterator[Piece]:
        """Lists all but the copies in one track."""
        for piece in super().listed(here):
            if not PurePosixPath(piece.key).stem.lower().endswith("_format0"):
                if not self.path:  # Each archive is of one composer.
                    composer = here.archive.edition
                    key = f"{composer}/{PurePosixPath(piece.key).name}"
                    piece = dataclasses.replace(piece, composer=composer, key=key)
                yield piece

    def described(self, place: PurePosixPath) -> dict[str, str]:
        """See `Collection.described`."""
        folder = place.parts[0].lower() if len(place.parts) > 1 else ""
        return {"composer": COMPOSERS.get(folder, folder)} if folder else {}
