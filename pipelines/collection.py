"""Collection: base class of sources that are downloaded, or got by hand, and cached.

A subclass in `pipelines/sources` states where its archives are, their checksums, and how their
files are named; all else is here. What is got by hand goes through the same checks: the
checksum where one is known, and the number of pieces.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import Any, ClassVar

from pipelines.cache_folder import DEFAULT_IN_WORDS, cache_folder
from pipelines.downloads import download, unpacking
from pipelines.formats import midi, reading
from pipelines.music_archives import UNPACKED_HERE, Archive, Place, is_packed, root_of, stem
from pipelines.music_files import file_sha256, files_below, printable
from pipelines.reading_result import Reading
from pipelines.settings import flag
from pipelines.sources import source
from pipelines.sources.source import UNKNOWN, Piece, with_notes


@dataclasses.dataclass(frozen=True)
class Collection(source.Source):
    """A collection of music that is downloaded or got by hand.

    Attributes:
      archives: all archives; `wanted` gives those that the flags choose.
      suffixes: of the files of pieces, in lower case.
      metadata_suffixes: of other files to unpack.
      genre: of each piece for which `described` gives none.
    """

    archives: ClassVar[tuple[Archive, ...]] = ()
    suffixes: ClassVar[tuple[str, ...]] = reading.MIDI_SUFFIXES
    metadata_suffixes: ClassVar[tuple[str, ...]] = ()
    genre: ClassVar[str] = UNKNOWN
    download_bytes: ClassVar[int | None] = None

    path: str = flag(
        default="",
        help="path of a copy of the collection that you got by hand: its folder or archive; by "
        "default the collection is downloaded, where that is possible",
    )
    cache_dir: str = flag(
        default="",
        help=f"directory of downloads, packed and unpacked; by default {DEFAULT_IN_WORDS}",
    )

    # What a subclass may override.

    def edition(self) -> str:
        """The value of the flag that chooses between archives; "" where there is none."""
        return ""

    def wanted(self) -> tuple[Archive, ...]:
        """The archives that the flags choose."""
        return tuple(a for a in self.archives if a.edition in ("", self.edition()))

    def described(self, place: PurePosixPath) -> dict[str, str]:
        """Fields of the `Piece` of a file, from its path in the archive."""
        return {}

    def listed(self, here: Place) -> Iterable[Piece]:
        """Lists the pieces of one archive, in any order."""
        for path in files_below(here.path, self.suffixes):
            yield self.piece(here, path)

    # The methods of a source.

    def fetch(self) -> None:
        """Downloads and unpacks what is missing. See `source.Source.fetch`."""
        for archive in self.wanted():
            if self.path:
                self._take(archive)
            elif self._kept(archive) is None:
                self._get(archive)

    def is_present(self) -> bool:
        """Tells whether all archives that the flags choose are here and verified."""
        try:
            return len(self.places()) > 0
        except (ValueError, OSError):
            return False

    def pieces(self) -> list[Piece]:
        """Lists the pieces of the archives. See `source.Source.pieces`.

        Raises:
          ValueError: it is not here, or holds no music.
        """
        places = self.places()
        listed = sorted((p for here in places for p in self.listed(here)), key=lambda p: p.key)
        if not listed:
            raise ValueError(
                f"{places[0].path} holds no piece of {self.name} ({', '.join(self.suffixes)})"
            )
        self._say_what_differs(len(listed))
        return listed

    def read_counted(self, piece: Piece) -> Reading:
        """Reads a MIDI file. See `source.Source.read_counted`."""
        return with_notes(midi.read(piece.path))

    def flags(self) -> dict[str, Any]:
        """See `source.Source.flags`; paths do not change which music comes out."""
        values = super().flags()
        return {name: values[name] for name in values if name not in ("path", "cache_dir")}

    @property
    def home(self) -> Path:
        """The folder of this collection in the cache."""
        return cache_folder(self.cache_dir) / "collections" / self.name

    def places(self) -> list[Place]:
        """Where the archives that the flags choose are unpacked.

        Raises:
          ValueError: something is missing, or not what it should be.
        """
        found: dict[Path, Place] = {}
        for archive in self.wanted():
            here = self._given(archive) if self.path else self._kept(archive)
            if here is None:
                raise ValueError(self.how_to_get(archive))
            found.setdefault(here.path, here)
        return list(found.values())

    def piece(self, here: Place, path: Path, **fields: Any) -> Piece:
        """Makes the `Piece` of a file: by `described`, then by `fields`."""
        place = path.relative_to(root_of(here)).as_posix()
        there = path.is_file()
        values = {
            "key": printable(place),
            "group": "",
            "composer": UNKNOWN,
            "genre": self.genre,
            "title": printable(path.stem),
            "licence": self.licence,
            "path": str(path),
            "size_bytes": path.stat().st_size if there else 0,
            "fingerprint": here.fingerprint or (file_sha256(path) if there else ""),
            **self.described(PurePosixPath(printable(place))),
            **fields,
        }
        return Piece(**values)

    # Getting it.

    def _get(self, archive: Archive) -> None:
        """Downloads and unpacks one archive."""
        if not archive.urls:
            raise ValueError(self.how_to_get(archive))
        self.home.mkdir(parents=True, exist_ok=True)
        wanted = download.Download(archive.urls, archive.sha256, archive.size_bytes)
        path = download.fetch(wanted, self.home / archive.name)
        if archive.is_packed:
            self._unpack(path, self._unpacked_folder(archive))

    def _take(self, archive: Archive) -> None:
        """Verifies and unpacks what was got by hand."""
        path = self._given_path(archive)
        if path.is_file() and archive.is_packed:
            target = self._folder_for(path, archive)
            if not unpacking.is_unpacked(target):
                self._unpack(path, target)
        self._given(archive)

    def _unpack(self, path: Path, target: Path) -> None:
        target.parent.mkdir(parents=True, exist_ok=True)
        # Artists and titles of a collection may differ in case alone.
        suffixes = self.suffixes + self.metadata_suffixes
        unpacking.unpack(path, target, suffixes, case_matters=True)

    def _kept(self, archive: Archive) -> Place | None:
        """What the cache holds of an archive, verified; None where it does not."""
        if archive.urls and archive.is_packed:
            folder = self._unpacked_folder(archive)
            if not unpacking.is_unpacked(folder, archive.sha256 or None):
                return None
            return Place(folder, archive, archive.sha256)
        if archive.name:
            path = self.home / archive.name
            sha256 = file_sha256(path) if path.is_file() else ""
            return Place(path, archive, sha256) if sha256 and sha256 == archive.sha256 else None
        if next(files_below(self.home, self.suffixes), None) is not None:
            return Place(self.home, archive)
        return None

    def _given(self, archive: Archive) -> Place:
        """What --path gives of an archive. ValueError where it is something else."""
        path = self._given_path(archive)
        if path.is_dir():
            return Place(path, archive)
        if not archive.is_packed:
            return self._verified(path, archive)
        target = self._folder_for(path, archive)
        if not unpacking.is_unpacked(target):
            raise ValueError(f"{path} is not unpacked yet; `fetch` does that")
        return Place(target, archive, archive.sha256)

    def _given_path(self, archive: Archive) -> Path:
        """The file or folder that --path means for an archive."""
        path = Path(self.path).expanduser()
        if not path.exists():
            raise ValueError(f"there is no {path}; {self.how_to_get(archive)}")
        if path.is_file():
            return path
        if archive.name:
            found = sorted(path.rglob(archive.name))
            if found:
                return found[0]
        if not archive.is_packed:
            raise ValueError(f"{path} holds no {archive.name}; {self.how_to_get(archive)}")
        if next(files_below(path, self.suffixes), None) is not None:
            return path
        packed = [file for file in sorted(path.iterdir()) if is_packed(file.name)]
        if len(packed) == 1:
            return packed[0]
        raise ValueError(
            f"{path} holds no file of {self.name} ({', '.join(self.suffixes)}); "
            f"{self.how_to_get(archive)}"
        )

    def _folder_for(self, path: Path, archive: Archive) -> Path:
        """Where an archive got by hand is unpacked. ValueError where it is the wrong one."""
        if not is_packed(path.name):
            raise ValueError(
                f"{path.name} cannot be unpacked here ({', '.join(UNPACKED_HERE)} can); unpack it "
                f"yourself (7-Zip takes .rar and .7z) and give --path the folder"
            )
        if archive.sha256:
            self._verified(path, archive)
            return self._unpacked_folder(archive)
        # Not inside `home`, which may hold music that was put there by hand.
        return self.home.with_name(f"{self.name}-by-hand") / file_sha256(path)[:16]

    def _unpacked_folder(self, archive: Archive) -> Path:
        return self.home / stem(archive.name)

    def _verified(self, path: Path, archive: Archive) -> Place:
        sha256 = file_sha256(path)
        if archive.sha256 and sha256 != archive.sha256:
            raise ValueError(
                f"{path} has the SHA-256 {sha256}, and {archive.name} of {self.name} has "
                f"{archive.sha256}: it is damaged or another edition; get it again from "
                f"{' or '.join(archive.urls) or self.homepage}"
            )
        return Place(path, archive, sha256)

    # Saying it.

    def how_to_get(self, archive: Archive) -> str:
        """Explains where to get an archive, and where to put it."""
        if archive.urls:
            return (
                f"{self.name} needs {archive.name}: prepare downloads it; or get it by hand from "
                f"{' or '.join(archive.urls)} and give --path the file, or the folder it gives"
            )
        return (
            f"{self.name} is to be got by hand: {self.by_hand} Licence: {self.licence}. Home page: "
            f"{self.homepage}. Then give --path the folder or the archive, or unpack it in "
            f"{self.home}"
        )

    def _say_what_differs(self, found: int) -> None:
        counts = [archive.pieces for archive in self.wanted()]
        expected = sum(count for count in counts if count is not None)
        if None not in counts and found != expected:
            print(
                f"note: {self.name} is known to hold {expected} pieces; {found} are here",
                file=sys.stderr,
            )
