"""folder: any directory of music files, with all directories below it.

Read are MIDI (.mid .midi .kar .rmi), ABC (.abc), MusicXML (.musicxml .xml .mxl) and kern
(.krn), in any case of letters; hidden files are passed over, and links to folders followed. Of an
ABC file of several tunes each is a piece: x.abc#12 is tune 12.

Composer and genre come from the directories: genre/composer/.../x.mid, composer/x.mid, or
x.mid alone (unknown).

Pieces whose notes are equal fall in the same split. A `pieces.tsv` in the directory says
more: tab-separated, with a header, a column `path` (relative to the directory), a column
`group` (files of one group, such as performances of one work, fall in the same split)
and if wanted a column `composer`; other columns are ignored. It wins over the rules above.
"""

from __future__ import annotations

import csv
import dataclasses
import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

from pipelines.formats import abc_files, reading
from pipelines.music_files import file_sha256, folders_below, printable
from pipelines.reading_result import Reading
from pipelines.settings import flag
from pipelines.sources import source
from pipelines.sources.source import UNKNOWN, Piece, with_notes

SUFFIXES = reading.SUFFIXES
PIECES = "pieces.tsv"


@dataclasses.dataclass(frozen=True)
class Source(source.Notation, source.Source):
    """Music files of your own."""

    name: ClassVar[str] = "folder"
    licence: ClassVar[str] = "not stated: as the files' owner says"
    citation: ClassVar[str] = ""
    homepage: ClassVar[str] = ""

    pieces_per_task: ClassVar[int] = 64

    path: str = flag(
        default="",
        help=f"directory of music files ({' '.join(SUFFIXES)}), searched at any depth",
    )

    def pieces(self) -> list[Piece]:
        """Lists the music files of the directory. See `source.Source.pieces`.

        Raises:
          ValueError: no path, not a directory, no music file in it, or a wrong pieces.tsv.
        """
        root = _directory(self.path)
        said = _read_pieces(root / PIECES)
        places = sorted({*_music_files(root), *(p for p in said if _is_music(p))})
        if not places:
            raise ValueError(
                f"{root} and the directories below it hold no music file ({', '.join(SUFFIXES)}); "
                "give another directory, or put some there"
            )
        listed = [p for place in places for p in _pieces_of(root, place, said.get(place, {}))]
        return sorted(listed, key=lambda piece: piece.key)

    def read_counted(self, piece: Piece) -> Reading:
        """Reads a piece. See `source.Source.read_counted`."""
        return with_notes(reading.read_counted(piece.path, piece.number, self.plays_repeats))

    def flags(self) -> dict[str, Any]:
        """See `source.Source.flags`; its files decide which music comes out, not its path."""
        return {name: value for name, value in super().flags().items() if name != "path"}


def _directory(path: str) -> Path:
    if not path:
        raise ValueError("--source=folder needs --path=DIRECTORY with music files")
    root = Path(path).expanduser()
    if not root.exists():
        raise ValueError(f"there is no directory {root}; give one with music files")
    if not root.is_dir():
        raise ValueError(f"{root} is a file; give the directory that holds it")
    return root


def _is_music(place: str) -> bool:
    return place.lower().endswith(SUFFIXES) and not place.rpartition("/")[2].startswith(".")


def _music_files(root: Path) -> list[str]:
    """Lists the music files below a directory, relative to it, with / between the parts."""

    places = []
    for folder, files in folders_below(root):
        inside = Path(folder).relative_to(root).as_posix()
        before = "" if inside == "." else f"{inside}/"
        places += [before + name for name in files if _is_music(name)]
    return places


def _read_pieces(path: Path) -> dict[str, dict[str, str]]:
    """Reads pieces.tsv: {path: row}; {} where there is none."""
    if not path.is_file():
        return {}
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        missing = {"path", "group"} - set(reader.fieldnames or ())
        if missing:
            raise ValueError(
                f"{path} has no column {' and no column '.join(sorted(missing))}; its first line "
                "must name the columns path and group, with a tab between"
            )
        rows = {}
        for row in reader:
            place = Path(row["path"] or "").as_posix()
            if not row["group"] or place.startswith("/") or ".." in Path(place).parts:
                raise ValueError(
                    f"{path}, line {reader.line_num}: path {row['path']!r}, group "
                    f"{row['group']!r}; give a path inside the directory, a tab and a group"
                )
            rows[place] = row
    return rows


def _pieces_of(root: Path, place: str, said: Mapping[str, str]) -> Iterator[Piece]:
    """Describes the pieces in the file at `place` below the root; `said` is its row of pieces.tsv.

    A file that is not there or whose tunes cannot be separated is one piece; `read` says why.
    """
    path = f"{root}/{place}"
    *folders, name = place.split("/")
    composer = folders[min(1, len(folders) - 1)] if folders else UNKNOWN
    size_bytes, fingerprint = _size_and_digest(path)
    piece = Piece(
        key=printable(place),
        group=f"{PIECES}: {said['group']}" if said else "",
        composer=said.get("composer") or printable(composer),
        genre=printable(folders[0]) if len(folders) > 1 else UNKNOWN,
        title=printable(os.path.splitext(name)[0]),  # noqa: PTH122 - a Path is slow.
        licence=Source.licence,
        path=path,
        size_bytes=size_bytes,
        fingerprint=fingerprint,
    )
    is_abc = fingerprint and name.lower().endswith(reading.ABC_SUFFIXES)
    tunes = _tunes(path) if is_abc else []
    if len(tunes) < 2:
        yield piece
    for tune in tunes if len(tunes) > 1 else []:
        yield dataclasses.replace(
            piece,
            key=f"{piece.key}#{tune.number}",
            title=tune.title or f"{piece.title} {tune.number}",
            number=tune.number,
            size_bytes=len(tune.text),
        )


def _size_and_digest(path: str) -> tuple[int, str]:
    """Gives the bytes of a file and their SHA-256; 0 and "" where it cannot be read."""
    try:
        status = os.stat(path)  # noqa: PTH116 - a Path is slow.
        if not stat.S_ISREG(status.st_mode):
            return 0, ""  # A pipe may never end.
        return status.st_size, file_sha256(path)
    except OSError:
        return 0, ""


def _tunes(path: str) -> list[abc_files.TuneText]:
    try:
        return abc_files.tunes_of_file(path)
    except (ValueError, OSError):
        return []
