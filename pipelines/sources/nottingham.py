"""nottingham: British and American folk tunes in ABC notation, with chords.

`cleaned` has the tunes of which Jukedeck repaired the notation, `original` the same before,
`shlien` the collection as another copy of the database holds it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import ClassVar, Literal

from pipelines.collection import Collection
from pipelines.formats import abc_files, abc_notation
from pipelines.music_archives import Archive, Place
from pipelines.music_files import files_below, printable
from pipelines.reading_result import Reading
from pipelines.settings import flag
from pipelines.sources.source import Notation, Piece, with_notes

COMMIT = "0992bb6cd864f6d4b90d6663e08c0ef53ffaa08f"
JUKEDECK = (f"https://codeload.github.com/jukedeck/nottingham-dataset/zip/{COMMIT}",)
JUKEDECK_SHA256 = "9c9c87d745779af617ad4cd0d715210bfc17ff89bc427928593462872542f9a8"


@dataclasses.dataclass(frozen=True)
class Source(Notation, Collection):
    """The Nottingham Music Database, in one of its copies."""

    name: ClassVar[str] = "nottingham"
    licence: ClassVar[str] = (
        "GPL-3.0 for Jukedeck's copies; none stated for the database (E. Foxley, J. Glanville, "
        "J. Allwright, S. Shlien)"
    )
    citation: ClassVar[str] = (
        "E. Foxley, Nottingham Music Database; Jukedeck, a cleaned version of the Nottingham "
        "dataset, 2017"
    )
    homepage: ClassVar[str] = "https://github.com/jukedeck/nottingham-dataset"
    download_bytes: ClassVar[int | None] = 1_828_800
    suffixes: ClassVar[tuple[str, ...]] = (".abc",)
    genre: ClassVar[str] = "folk"
    archives: ClassVar[tuple[Archive, ...]] = (
        Archive(
            name="nottingham-dataset.zip",
            urls=JUKEDECK,
            sha256=JUKEDECK_SHA256,
            size_bytes=1_828_800,
            edition="cleaned",
            root=f"nottingham-dataset-{COMMIT}",
            pieces=1034,
        ),
        Archive(
            name="nottingham-dataset.zip",
            urls=JUKEDECK,
            sha256=JUKEDECK_SHA256,
            size_bytes=1_828_800,
            edition="original",
            root=f"nottingham-dataset-{COMMIT}",
            pieces=1037,
        ),
        Archive(
            name="nottingham_database.zip",
            urls=("https://ifdo.ca/~seymour/nottingham/nottingham_database.zip",),
            sha256="f79a4bffe78b16d630d4d69f9c62775a7aa246d0973c4d8714ab6c5139ff5a3b",
            size_bytes=142_934,
            edition="shlien",
        ),
    )

    copy: Literal["cleaned", "original", "shlien"] = flag(
        default="cleaned",
        help="copy of the database: cleaned has repaired notation, original is the same before, "
        "shlien is another copy",
    )

    def edition(self) -> str:
        """See `Collection.edition`."""
        return self.copy

    def listed(self, here: Place) -> Iterator[Piece]:
        """Lists the tunes of the files of this copy."""
        for path in files_below(here.path, self.suffixes):
            if self.copy != "shlien" and path.parent.name != f"ABC_{self.copy}":
                continue
            for number in abc_files.tune_numbers(path):
                yield self.piece(
                    here,
                    path,
                    key=f"{printable(path.name)}#{number}",
                    title=f"{path.stem} {number}",
                    number=number,
                )

    def read_counted(self, piece: Piece) -> Reading:
        """Reads a tune. See `source.Source.read_counted`."""
        return with_notes(abc_notation.read(piece.path, piece.number, self.plays_repeats))
