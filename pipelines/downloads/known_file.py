"""A published file: its addresses, checksum and size, and the check of a copy."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Callable
from pathlib import Path

from pipelines.music_files import file_sha256


class DownloadError(OSError):
    """A file could not be downloaded; the text says from where, why, and what to do."""


class DeadAddressError(DownloadError):
    """An address answers that it does not give the file, now or later."""


@dataclasses.dataclass(frozen=True)
class Download:
    """A file to download.

    Attributes:
      urls: its address, then those of its mirrors.
      sha256: of the file, as published; "" where nobody publishes it.
      size_bytes: of the file; None where nobody publishes it.
    """

    urls: tuple[str, ...]
    sha256: str = ""
    size_bytes: int | None = None

    def __post_init__(self) -> None:
        for url in self.urls:
            require_http(url)
        if not self.urls:
            raise ValueError("a download needs an address")
        if not re.fullmatch("([0-9a-f]{64})?", self.sha256):
            raise ValueError(f"sha256 is {self.sha256!r}; give 64 digits of 0-9 and a-f, or ''")


def require_http(url: str) -> None:
    """Raises ValueError where an address is neither http nor https."""
    if not url.startswith(("http://", "https://")):
        raise ValueError(f"address {url!r} begins with neither http:// nor https://")


def fault_of(known: Download, size_bytes: int, sha256: Callable[[], str]) -> str:
    """Describes how a file differs from what is published of it; "" if it does not."""
    if known.size_bytes is not None and size_bytes != known.size_bytes:
        return f"has {size_bytes} bytes, {known.size_bytes} were expected"
    if known.sha256 and (digest := sha256()) != known.sha256:
        return f"has the SHA-256 {digest}, {known.sha256} was expected"
    return ""


def fault_of_file(known: Download, path: Path) -> str:
    """Describes how a file on disk differs from what is published of it; "" if not."""
    return fault_of(known, path.stat().st_size, lambda: file_sha256(path))


def record_path(path: Path) -> Path:
    """The file beside another that records its first download."""
    return path.with_name(f"{path.name}.json")


def with_record(wanted: Download, path: Path) -> Download:
    """Adds the checksum of the first download, where nobody publishes one.

    Raises:
      DownloadError: what was written down of it is damaged.
    """
    record = record_path(path)
    if wanted.sha256 or not record.exists():
        return wanted
    try:
        facts = json.loads(record.read_bytes())
        size = facts["size_bytes"] if wanted.size_bytes is None else wanted.size_bytes
        known = dataclasses.replace(wanted, sha256=facts["sha256"], size_bytes=size)
    except (ValueError, KeyError, TypeError) as error:
        raise DownloadError(
            f"{record}, which holds the checksum of {path.name}, is damaged; delete it, and "
            "what is downloaded next is trusted"
        ) from error
    return known
