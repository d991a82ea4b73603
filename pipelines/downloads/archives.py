"""The members of zip and tar archives, one after the other, without trust in headers.

Bytes are counted as they come out; sizes in headers decide nothing. What
cannot be read, or is no plain file or folder, is an UnpackError that names the member.
"""

from __future__ import annotations

import bz2
import contextlib
import dataclasses
import gzip
import lzma
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO, Protocol, cast

LARGEST_RATIO = 200  # Of bytes that come out to bytes that are there, above `SMALL_BYTES`.
SMALL_BYTES = 1 << 20
LARGEST_HEADER_BYTES = 1 << 20  # Of a tar member: its name, mostly.
BLOCK_BYTES = 1 << 16
ENCRYPTED = 0x1 | 0x40 | 0x2000  # Flags of a zip member: content, strong, headers.
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


class UnpackError(ValueError):
    """An archive that is damaged or dangerous; says which member, and what is wrong with it."""


class Readable(Protocol):
    """A stream of bytes."""

    def read(self, size: int, /) -> bytes:
        """Gives at most `size` bytes, b"" at the end."""


@dataclasses.dataclass(frozen=True)
class Member:
    """A file or a folder of an archive.

    Attributes:
      name: as the archive has it.
      is_folder: whether it has no content.
      blocks: gives its content piece by piece, once, before the next member is taken.
    """

    name: str
    is_folder: bool
    blocks: Callable[[], Iterator[bytes]]


def members(file: BinaryIO, size_bytes: int) -> Iterator[Member]:
    """Gives the members of a zip or tar archive, in its order.

    Args:
      file: open at its first byte.
      size_bytes: of the file.

    Raises:
      UnpackError: it is another kind of file, damaged, or holds what is no file or folder.
    """
    head = file.read(512)
    file.seek(0)
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        yield from _zip_members(file)
        return
    with contextlib.ExitStack() as stack:
        unpacked: Readable = file
        if head.startswith(b"\x1f\x8b"):
            unpacked = stack.enter_context(gzip.GzipFile(fileobj=file))
        elif head.startswith(b"BZh"):
            unpacked = stack.enter_context(bz2.BZ2File(file))
        elif head.startswith(b"\xfd7zXZ\0"):
            unpacked = stack.enter_context(lzma.LZMAFile(file))
        elif head[257:262] != b"ustar":
            raise UnpackError(
                f"it is neither zip nor tar (.gz, .bz2, .xz): it begins with {head[:8]!r}"
            )
        yield from _tar_members(_Counted(unpacked, size_bytes))


@contextlib.contextmanager
def _named(name: str) -> Iterator[None]:
    """Turns whatever the libraries raise at damaged archives into an UnpackError."""
    try:
        yield
    except UnpackError:
        raise
    except (
        zipfile.BadZipFile,
        tarfile.TarError,
        zlib.error,
        lzma.LZMAError,
        struct.error,
        EOFError,
        OSError,  # gzip and bz2 say so of their streams.
        ValueError,
        NotImplementedError,
    ) as error:
        raise UnpackError(f"{name} is damaged: {error}") from error


# zip.


def _zip_members(file: BinaryIO) -> Iterator[Member]:
    with _named("the archive"):
        packed = zipfile.ZipFile(file)
    with packed:
        for info in packed.infolist():
            _check_zip_member(info)
            yield Member(info.filename, info.is_dir(), _zip_blocks(packed, info))


def _check_zip_member(info: zipfile.ZipInfo) -> None:
    name, kind = repr(info.orig_filename), stat.S_IFMT(info.external_attr >> 16)
    if "\0" in info.orig_filename:
        raise UnpackError(f"{name} has a NUL in its name")
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise UnpackError(f"{name} is a link or a device")
    if info.flag_bits & ENCRYPTED:
        raise UnpackError(f"{name} is encrypted")
    if info.compress_type not in METHODS and not info.is_dir():
        raise UnpackError(
            f"{name} is packed by method {info.compress_type}; unpack the archive by hand"
        )


def _zip_blocks(packed: zipfile.ZipFile, info: zipfile.ZipInfo) -> Callable[[], Iterator[bytes]]:
    def blocks() -> Iterator[bytes]:
        name, count = repr(info.filename), 0
        with _named(name), packed.open(info) as stream:
            while block := stream.read(BLOCK_BYTES):
                count += len(block)
                if count > max(SMALL_BYTES, LARGEST_RATIO * info.compress_size):
                    raise UnpackError(f"{name} is a bomb: {info.compress_size} bytes give {count}")
                yield block
            if count != info.file_size:
                raise UnpackError(f"{name} has {count} bytes, its header says {info.file_size}")

    return blocks


# tar.


class _Counted:
    """The bytes of a tar as they come out of its packing.

    Attributes:
      allowance: how many more may be read; None is any number.
      tail: the last bytes that were read, at most 512.
    """

    def __init__(self, unpacked: Readable, packed_bytes: int) -> None:
        self._unpacked = unpacked
        self._left = max(SMALL_BYTES, LARGEST_RATIO * packed_bytes)
        self.allowance: int | None = None
        self.tail = b""

    def read(self, size: int, /) -> bytes:
        block = self._unpacked.read(size)
        self.tail = (self.tail + block)[-512:]
        self._left -= len(block)
        if self._left < 0:
            raise UnpackError(f"the archive is a bomb: more than {LARGEST_RATIO} times its size")
        if self.allowance is not None:
            self.allowance -= len(block)
            if self.allowance < 0:
                raise UnpackError(f"a header is longer than {LARGEST_HEADER_BYTES} bytes")
        return block


def _tar_members(stream: _Counted) -> Iterator[Member]:
    # Names that are not UTF-8 keep their bytes, as surrogates.
    with _named("the archive"):
        stream.allowance = LARGEST_HEADER_BYTES
        packed = tarfile.open(  # noqa: SIM115 - closed below; opening it can fail on its own.
            fileobj=cast(Any, stream), mode="r|", encoding="utf-8", errors="surrogateescape"
        )
    with packed:
        before = "the archive"
        unread = 0
        while True:
            stream.allowance = LARGEST_HEADER_BYTES + unread
            with _named(f"what follows {before}"):
                info = packed.next()
            stream.allowance = None
            if info is None:
                break
            packed.members.clear()  # type: ignore[attr-defined]  # It would remember all.
            before = repr(info.name)
            _check_tar_member(info)
            was_read: list[bool] = []
            yield Member(info.name, info.isdir(), _tar_blocks(packed, info, was_read))
            unread = 0 if was_read else info.size
        with _named("the end of the archive"):
            while stream.read(BLOCK_BYTES):  # The checksum of its packing is at the very end.
                pass
        if stream.tail.strip(b"\0") or len(stream.tail) < 512:
            raise UnpackError("the archive is cut short: it does not end in zeros")


def _check_tar_member(info: tarfile.TarInfo) -> None:
    if not (info.isreg() or info.isdir()) or info.issparse() or info.size < 0:
        raise UnpackError(f"{info.name!r} is a link, a device or full of holes")


def _tar_blocks(
    packed: tarfile.TarFile, info: tarfile.TarInfo, was_read: list[bool]
) -> Callable[[], Iterator[bytes]]:
    def blocks() -> Iterator[bytes]:
        was_read.append(True)
        with _named(repr(info.name)):
            stream = packed.extractfile(info)
            assert stream is not None  # Only of what is no file.
            with stream:
                while block := stream.read(BLOCK_BYTES):
                    yield block

    return blocks
