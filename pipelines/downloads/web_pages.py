"""Downloads of web pages and small files to memory."""

from __future__ import annotations

import re
import time
from collections.abc import Callable

from pipelines.downloads.byte_progress import ByteProgress, megabytes
from pipelines.downloads.http_answers import (
    Dead,
    Refused,
    answer,
    next_block,
    persist,
    tells_its_end,
)
from pipelines.downloads.known_file import DeadAddressError, DownloadError, require_http

LARGEST_TEXT_BYTES = 16 << 20


def fetch_text(
    url: str,
    largest_bytes: int = LARGEST_TEXT_BYTES,
    *,
    wait: Callable[[float], object] = time.sleep,
) -> str:
    """Gives the text of a page, decoded as it says, else as UTF-8 or else as Latin-1.

    Raises:
      DeadAddressError: it answers 403, 404 or 410.
      DownloadError: it cannot be reached, or gives more than `largest_bytes`.
    """
    content, charset = _whole_page(url, largest_bytes, wait, has_end=False)
    for encoding in (charset, "utf-8"):
        try:
            return content.decode(encoding)
        except (LookupError, UnicodeDecodeError):
            continue
    return content.decode("latin-1")


def fetch_bytes(
    url: str,
    largest_bytes: int = LARGEST_TEXT_BYTES,
    *,
    wait: Callable[[float], object] = time.sleep,
) -> bytes:
    """Gives the bytes of a small file, which has no published checksum.

    Raises:
      DownloadError: as `fetch_text`; or the server does not say how long the file is.
    """
    return _whole_page(url, largest_bytes, wait, has_end=True)[0]


def _whole_page(
    url: str, largest_bytes: int, wait: Callable[[float], object], has_end: bool
) -> tuple[bytes, str]:
    """Gives the bytes of a page and the charset that its server names, or "", trying again."""
    require_http(url)
    say = ByteProgress(url).say
    try:
        return persist(lambda: _page(url, largest_bytes, has_end), lambda: 0, say, wait)
    except Dead as refusal:
        raise DeadAddressError(f"cannot read {url}: {refusal}") from refusal
    except Refused as refusal:
        raise DownloadError(f"cannot read {url}: {refusal}; try again later") from refusal


def _page(url: str, largest_bytes: int, has_end: bool) -> tuple[bytes, str]:
    """Asks for a page once; with `has_end`, one that may be cut off unseen is refused."""
    with answer(url, {}) as response:
        if response.status_code != 200:
            raise Refused(f"it answers HTTP {response.status_code} to a plain request")
        if has_end and not tells_its_end(response):
            raise Refused("it does not say how long the file is, and no checksum is published")
        content = bytearray()
        while block := next_block(response, decode=True):
            content += block
            if len(content) > largest_bytes:
                raise Refused(f"it is longer than {megabytes(largest_bytes)}")
        named = re.search(r"charset=[\"']?([\w-]+)", response.headers.get("Content-Type", ""))
        return bytes(content), named.group(1) if named else ""
