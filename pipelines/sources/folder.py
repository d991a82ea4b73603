"""folder: any directory of MIDI files, with all directories below it.

Composer and genre come from the directories: genre/composer/.../x.mid, composer/x.mid, or
x.mid alone (unknown). Files are .mid or .midi in any case; hidden ones are passed over.

Pieces whose notes are equal fall in the same split. A `pieces.tsv` in the directory says
more: tab-separated, with a header, a column `path` (relative to the directory), a column
`group` (files of one group, such as performances of one work, fall in the same split)
and if wanted a column `composer`; other columns are ignored. It wins over the rules above.
"""

from __future__ import annotations

import csv
import dataclasses
import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from pipelines import midi
from pipelines.command_line import flag
from pipelines.score import Score
from pipelines.sources import source
from pipelines.sources.source import UNKNOWN, Piece

SUFFIXES = (".mid", ".midi")
PIECES = "pieces.tsv"


@dataclasses.dataclass(frozen=True)
class Source(source.Source):
    """MIDI files of your own."""

    name: ClassVar[str] = "folder"
    licence: ClassVar[str] = "not stated: as the files' owner says"
    citation: ClassVar[str] = ""
    homepage: ClassVar[str] = ""

    path: str = flag(default="", help="directory of MIDI files, searched with all below it")

    def pieces(self) -> list[Piece]:
        """Lists the MIDI files of the directory. See `source.Source.pieces`.

        Raises:
          ValueError: no path, not a directory, no MIDI file in it, or a wrong pieces.tsv.
        """
        root = _directory(self.path)
        said = _read_pieces(root / PIECES)
        places = sorted({*_midi_files(root), *(p for p in said if _is_midi(p))})
        if not places:
            raise ValueError(
                f"{root} and the directories below it hold no MIDI file ({', '.join(SUFFIXES)}); "
                "give --path another directory, or put some there"
            )
        return sorted(
            (_piece(root, place, said.get(place, {})) for place in places), key=lambda p: p.key
        )

    def read(self, piece: Piece) -> Score:
        """Reads a MIDI file. See `source.Source.read`."""
        score = midi.read(piece.path).score
        if not len(score.notes):
            raise ValueError("it has no notes")
        return score


def _directory(path: str) -> Path:
    if not path:
        raise ValueError("--source=folder needs --path=DIRECTORY with MIDI files")
    root = Path(path).expanduser()
    if not root.exists():
        raise ValueError(f"there is no directory {root}; --path takes one with MIDI files")
    if not root.is_dir():
        raise ValueError(f"{root} is a file; --path takes the directory that holds it")
    return root


def _is_midi(place: str) -> bool:
    return place.lower().endswith(SUFFIXES) and not Path(place).name.startswith(".")


def _midi_files(root: Path) -> list[str]:
    """Lists the MIDI files below a directory, relative to it, with / between the parts."""

    def stop(error: OSError) -> None:
        raise error

    places = []
    for folder, folders, files in os.walk(root, onerror=stop):
        folders[:] = [name for name in folders if not name.startswith(".")]
        inside = Path(folder).relative_to(root)
        places += [(inside / name).as_posix() for name in files if _is_midi(name)]
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


def _piece(root: Path, place: str, said: Mapping[str, str]) -> Piece:
    """Describes the file at `place` below the root; `said` is its row of pieces.tsv."""
    path, folders = root / place, Path(place).parts[:-1]
    composer = folders[min(1, len(folders) - 1)] if folders else UNKNOWN
    there = path.is_file()
    return Piece(
        key=_printable(place),
        group=f"{PIECES}: {said['group']}" if said else "",
        composer=said.get("composer") or _printable(composer),
        genre=_printable(folders[0]) if len(folders) > 1 else UNKNOWN,
        title=_printable(path.stem),
        licence=Source.licence,
        path=str(path),
        size_bytes=path.stat().st_size if there else 0,
        fingerprint=_digest(path) if there else "",
    )


def _printable(name: str) -> str:
    """Gives a file name as text that any file may hold; bytes that are no UTF-8 as \\xNN."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
