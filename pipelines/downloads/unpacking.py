"""Safe unpacking of archives, to folders that are whole or not there.

An archive is unpacked to a temporary folder, which is renamed when it is whole. A stamp inside
records the archive and the number of files. What a killed process left is removed by the
next one.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import re
import shutil
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from pipelines.atomic_file import FULL_DISK, sync
from pipelines.downloads.archives import Member, UnpackError, members
from pipelines.downloads.byte_progress import ByteProgress, megabytes
from pipelines.file_lock import locked
from pipelines.music_files import file_sha256

__all__ = ["UnpackError", "is_unpacked", "unpack"]

STAMP = ".unpacked.json"
LARGEST_BYTES = 32 << 30
LARGEST_FILE_BYTES = 512 << 20
MOST_FILES = 2_000_000
LONGEST_NAME_BYTES, LONGEST_PATH_BYTES = 255, 1000


@dataclasses.dataclass(frozen=True)
class Limits:
    """Limits of an archive, counted while it is unpacked."""

    bytes: int
    file_bytes: int
    members: int


def unpack(
    archive: Path,
    folder: Path,
    suffixes: tuple[str, ...],
    *,
    largest_bytes: int = LARGEST_BYTES,
    largest_file_bytes: int = LARGEST_FILE_BYTES,
    most_files: int = MOST_FILES,
    case_matters: bool = False,
    progress: bool = True,
) -> None:
    """Unpacks the files of a zip or tar archive whose names end in one of the suffixes.

    Does nothing if that is done already. Other files, and those whose own or whose folder's name
    begins with a point, are left out and counted. Archives inside are not opened.

    Args:
      archive: zip, or tar, plain or packed by gzip, bzip2 or xz.
      folder: gets the files; missing or empty, or unpacked by this function before.
      suffixes: with their point, in lower case; the case of names does not matter.
      largest_bytes, largest_file_bytes, most_files: where to stop, of all the files that
        come out, of one of them, and of members of any kind.
      case_matters: whether two names may differ in case alone; else that is refused, since
        not every disk can hold both.
      progress: whether to show it on standard error.

    Raises:
      UnpackError: the archive is damaged or dangerous, or holds no such file, or something
        else lies in the folder. The text names the archive and the member.
      OSError: the archive cannot be read, or the disk is full or may not be written.
    """
    archive, folder = Path(archive), Path(folder).resolve()
    digest = file_sha256(archive)
    wanted = {"archive_sha256": digest, "suffixes": sorted(suffixes)}
    if _holds(folder, wanted):
        return
    limits = Limits(largest_bytes, largest_file_bytes, most_files)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with locked(folder), ByteProgress(f"unpacking {archive.name}", progress) as shown:
        if _holds(folder, wanted):
            return
        if folder.exists() and not is_unpacked(folder) and any(folder.iterdir()):
            raise UnpackError(
                f"{folder} holds files that were not unpacked from an archive; move it away"
            )
        with _temporary(folder) as temporary:
            try:
                counts = _Unpacking(temporary, suffixes, limits, case_matters)(archive, shown)
            except UnpackError as error:
                raise UnpackError(f"{archive}: {error}; nothing of it was kept") from error
            stamp = {"archive": archive.name, **wanted, **counts}
            (temporary / STAMP).write_text(json.dumps(stamp, indent=1) + "\n", "utf-8")
            os.sync()  # Before the name: one fsync a file takes minutes where there are many.
            _publish(temporary, folder)
        shown.end(
            f"{counts['files']} files, {megabytes(counts['bytes'])}, in {folder}; "
            f"{counts['left_out']} others left out"
        )


def is_unpacked(folder: Path, archive_sha256: str | None = None) -> bool:
    """Tells whether a folder holds all of an archive: of any, or of that with the SHA-256."""
    return _holds(folder, {} if archive_sha256 is None else {"archive_sha256": archive_sha256})


def _holds(folder: Path, wanted: dict[str, Any]) -> bool:
    try:
        stamp = json.loads((folder / STAMP).read_bytes())
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return False
    return isinstance(stamp, dict) and all(stamp.get(name) == wanted[name] for name in wanted)


@contextlib.contextmanager
def _temporary(folder: Path) -> Iterator[Path]:
    """Gives an empty folder beside another, and removes it, and what was left of earlier ones."""
    temporary, old = folder.with_name(f".{folder.name}.unpacking"), _old(folder)
    for left in (temporary, old):
        shutil.rmtree(left, ignore_errors=True)
    temporary.mkdir()
    try:
        yield temporary
    except OSError as error:
        if error.errno not in FULL_DISK:
            raise
        raise OSError(f"no room in {folder.parent} to unpack; make room and try again") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


def _old(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}.old")


def _publish(temporary: Path, folder: Path) -> None:
    """Gives the folder its name. A stop between the two leaves none, which is unpacked again."""
    if folder.exists():
        folder.rename(_old(folder))
    temporary.rename(folder)
    sync(folder.parent)


class _Unpacking:
    """One archive on its way into a folder; counts what comes out."""

    def __init__(
        self, folder: Path, suffixes: Iterable[str], limits: Limits, case_matters: bool
    ) -> None:
        self.folder, self.suffixes, self.limits = folder, tuple(suffixes), limits
        self._folded: Callable[[str], str] = str if case_matters else str.casefold
        self.files = self.bytes = self.left_out = self.renamed = 0
        self._seen: set[str] = set()
        self._folders = {folder}

    def __call__(self, archive: Path, progress: ByteProgress) -> dict[str, int]:
        size = archive.stat().st_size
        with archive.open("rb") as file:
            for number, member in enumerate(members(file, size), start=1):
                if number > self.limits.members:
                    raise UnpackError(f"it has more than {self.limits.members} members")
                self._take(member)
                progress.advance(file.tell(), size)
        if not self.files:
            raise UnpackError(f"it holds no file that ends in {', '.join(self.suffixes)}")
        names = ("files", "bytes", "left_out", "renamed")
        return {name: getattr(self, name) for name in names}

    def _take(self, member: Member) -> None:
        place = safe_path(member.name)
        if member.is_folder:
            return
        is_hidden = any(part.startswith(".") for part in place.parts)
        if is_hidden or not place.name.lower().endswith(self.suffixes):
            self.left_out += 1
            return
        folded = self._folded(unicodedata.normalize("NFC", str(place)))
        if folded in self._seen:
            raise UnpackError(f"{member.name!r} is there twice, or differs in case alone")
        self._seen.add(folded)
        self.files += 1
        self.renamed += str(place) != str(PurePosixPath(member.name))
        self._write(member, self.folder.joinpath(place))

    def _write(self, member: Member, path: Path) -> None:
        try:
            if path.parent not in self._folders:
                path.parent.mkdir(parents=True, exist_ok=True)
                self._folders.add(path.parent)
            file = path.open("xb")
        except (FileExistsError, NotADirectoryError) as error:
            raise UnpackError(f"{member.name!r} is a file and a folder, or there twice") from error
        with file:
            count = 0
            for block in member.blocks():
                count += len(block)
                self.bytes += len(block)
                if count > self.limits.file_bytes:
                    most = megabytes(self.limits.file_bytes)
                    raise UnpackError(f"{member.name!r} is larger than {most}")
                if self.bytes > self.limits.bytes:
                    most = megabytes(self.limits.bytes)
                    raise UnpackError(f"it holds more than {most}, up to {member.name!r}")
                file.write(block)


def safe_path(name: str) -> PurePosixPath:
    """Gives the place of a member below the folder.

    Bytes of a name that are not UTF-8 are taken as Latin-1.

    Raises:
      UnpackError: it would lie elsewhere, or no disk could hold a name like that.
    """
    text = os.fsencode(name).decode("latin-1") if re.search("[\ud800-\udfff]", name) else name
    place = PurePosixPath(text)
    if re.search(r"[\\\x00-\x1f\x7f]", text):
        raise UnpackError(f"{name!r} has a backslash or a control character in its name")
    if place.is_absolute() or ".." in place.parts or re.match("[A-Za-z]:", text):
        raise UnpackError(f"{name!r} would lie outside of the folder")
    longest = max((len(part.encode()) for part in place.parts), default=0)
    if longest > LONGEST_NAME_BYTES or len(text.encode()) > LONGEST_PATH_BYTES:
        raise UnpackError(f"{name[:50]!r}... has too long a name ({len(name)} characters)")
    return place
