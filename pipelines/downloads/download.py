"""Downloads that resume, and are verified and whole, or not there.

A file is downloaded under another name and renamed once its bytes are those that were
published. An interrupted download resumes where it broke, in the same run or in a later one
(RFC 9110, sections 13.1.5 and 14). An address that is dead is given up at once, and the next
one is tried. Where nobody publishes a checksum, that of the first download is written beside
the file, and every later one has to be equal to it.
"""

from __future__ import annotations

import functools
import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import requests

from pipelines.atomic_file import FULL_DISK
from pipelines.downloads.byte_progress import ByteProgress, megabytes
from pipelines.downloads.http_answers import (
    Interrupted,
    Refused,
    answer,
    content_length,
    content_range,
    next_block,
    persist,
    tells_its_end,
    validator_of,
)
from pipelines.downloads.known_file import (
    Download,
    DownloadError,
    fault_of,
    fault_of_file,
    record_path,
    with_record,
)
from pipelines.downloads.partial_file import PartialFile, write_alone
from pipelines.file_lock import locked
from pipelines.music_files import file_sha256

LARGEST_BYTES = 8 << 30


def fetch(
    wanted: Download,
    path: Path,
    *,
    progress: bool = True,
    largest_bytes: int = LARGEST_BYTES,
    wait: Callable[[float], object] = time.sleep,
) -> Path:
    """Downloads a file, unless it is there already, and gives its path.

    Several processes may ask for the same file at once: one downloads it, the others wait.

    Args:
      wanted: addresses of the file, and how it is verified.
      path: where it goes; missing folders are created.
      progress: whether to show progress on standard error. Retries are always reported.
      largest_bytes: the most bytes to take, whatever the server sends.
      wait: sleeps for some seconds, between tries.

    Raises:
      DownloadError: no address gave the file, or it cannot be written. What came is kept
        and resumed the next time, unless it proved to be something else.
    """
    path = Path(path)
    try:
        known = with_record(wanted, path)
        if known.sha256 and path.is_file() and not fault_of_file(known, path):
            return path
        path.parent.mkdir(parents=True, exist_ok=True)
        with locked(path), ByteProgress(path.name, progress) as shown:
            return _Fetch(wanted, path, shown, largest_bytes, wait)()
    except DownloadError:
        raise
    except OSError as error:
        raise DownloadError(_disk_fault(error, path)) from error


class _Fetch:
    """One call of `fetch` that has the lock."""

    def __init__(
        self,
        wanted: Download,
        path: Path,
        progress: ByteProgress,
        largest_bytes: int,
        wait: Callable[[float], object],
    ) -> None:
        self.wanted, self.path, self.progress = wanted, path, progress
        self.largest_bytes, self.wait = largest_bytes, wait
        self.known = with_record(wanted, path)
        self.asks_for_ranges = True  # Until an address proves to give wrong ones.

    def __call__(self) -> Path:
        if self.path.exists() and self._takes_what_is_there():
            return self.path
        with PartialFile(self.path) as self.part:
            if self.part.was_damaged:
                self.progress.say("what an earlier run left is damaged; from the first byte again")
            if not self._has_all_from_before():
                self._get()
            if not self.known.sha256:
                part = self.part
                self._record(part.address, part.validator, part.sha256, part.count)
            self.part.publish(self.path)
            self.progress.end(f"{megabytes(self.part.count)}, whole, in {self.path.parent}")
        return self.path

    def _takes_what_is_there(self) -> bool:
        if not self.path.is_file():
            raise DownloadError(f"{self.path} is no file; move it away")
        fault = fault_of_file(self.known, self.path)
        if fault:
            self.progress.say(f"is there, but {fault}; getting it again")
        elif not self.known.sha256:
            self._record("", "", file_sha256(self.path), self.path.stat().st_size)
        return not fault

    def _has_all_from_before(self) -> bool:
        """Whether an earlier run got all and was stopped before it could rename it."""
        is_all = self.part.is_whole or bool(self.known.sha256)
        return self.part.count > 0 and is_all and not self._fault_of_part()

    def _record(self, address: str, validator: str, digest: str, size_bytes: int) -> None:
        facts = {
            "address": address or "found here, not downloaded",
            "validator": validator,
            "size_bytes": size_bytes,
            "sha256": digest,
        }
        record = record_path(self.path)
        write_alone(record, json.dumps(facts, indent=1).encode() + b"\n")
        self.progress.say(
            f"nobody publishes its checksum; SHA-256 {digest[:12]}... is now in {record.name}, "
            "and what is downloaded later has to be equal to it"
        )

    def _get(self) -> None:
        # An address that has given a part goes first, or its mirror would begin again.
        addresses = sorted(self.wanted.urls, key=lambda url: url != self.part.address)
        reasons = []
        for url in addresses:
            self.asks_for_ranges = True
            try:
                attempt = functools.partial(self._request, url)
                persist(attempt, lambda: self.part.count, self._say_interrupted, self.wait)
                return
            except Refused as refusal:
                reasons.append(f"  {url}: {refusal}")
        raise DownloadError(
            f"cannot download {self.path.name}:\n" + "\n".join(reasons) + f"\n{self._advice()}"
        )

    def _say_interrupted(self, text: str) -> None:
        self.part.keep()
        self.progress.say(f"{text}, {megabytes(self.part.count)} are here")

    def _advice(self) -> str:
        kept = f" ({megabytes(self.part.count)} of it are kept)" if self.part.count else ""
        size, digest = self.known.size_bytes, self.known.sha256
        facts = [f"{size} bytes"] if size is not None else []
        facts += [f"SHA-256 {digest}"] if digest else []
        text = f"try again later{kept}, or get it by hand and put it at {self.path}"
        text += f" ({', '.join(facts)})" if facts else ""
        if digest and not self.wanted.sha256:
            text += (
                f"; that checksum is of the first download: if you trust the new file, delete "
                f"{record_path(self.path)}"
            )
        return text

    def _request(self, url: str) -> None:
        """Gets the file, or the rest of it; Interrupted or Refused where that fails."""
        part, headers = self.part, {}
        can_resume = part.address == url and (part.validator or self.known.sha256)
        have = part.count if can_resume and self.asks_for_ranges else 0
        if have:
            headers["Range"] = f"bytes={have}-"
            if part.validator:
                headers["If-Range"] = part.validator
        with answer(url, headers) as response:
            if response.status_code == 416:
                raise self._begin_again(f"it has no bytes from {have} on")
            self._check_header(url, response)
            if response.status_code == 206:
                self._check_range(response, have)
                part.is_resumed = True
            else:
                if have:
                    self.progress.say("the server gives it from the first byte again")
                part.restart(url, validator_of(response.headers), content_length(response.headers))
            self._check_room()
            self._receive(response)
        fault = self._fault_of_part()
        if fault:
            was_resumed = part.is_resumed
            part.restart("", "", None)
            if was_resumed or not tells_its_end(response):
                raise self._begin_again(fault)
            raise Refused(fault)

    def _begin_again(self, reason: str) -> Exception:
        """The next request asks for everything, or, where this one did, there is none."""
        if not self.asks_for_ranges:
            return Refused(reason)
        self.asks_for_ranges = False
        return Interrupted(f"{reason}; from the first byte again", 0.0)

    def _check_header(self, url: str, response: requests.Response) -> None:
        """Refuses an answer that cannot be the file, or cannot be told from a wrong one."""
        if self.known.sha256:
            return
        encoding = response.headers.get("Content-Encoding", "identity")
        if encoding.lower() != "identity":
            raise Refused(f"it sends the file packed as {encoding}, though asked not to")
        if url.startswith("https:") and response.url.startswith("http:"):
            raise Refused("it leads from https to http, and no checksum is published")
        if self.known.size_bytes is None and not tells_its_end(response):
            raise Refused("it does not say how long the file is, and no checksum is published")

    def _check_range(self, response: requests.Response, have: int) -> None:
        """Drops nothing: the next request takes all where this one is not the rest."""
        part, validator = self.part, validator_of(response.headers)
        first, total = content_range(response.headers) or (None, None)
        is_same = validator in ("", part.validator) and part.total in (None, total)
        if not have or first != have or not is_same:
            told = response.headers.get("Content-Range", "nothing")
            raise self._begin_again(f"asked for what follows byte {have}, it gives {told}")
        part.total = total

    def _check_room(self) -> None:
        total, size = self.part.total, self.known.size_bytes
        if total is None:
            return
        if size is not None and total != size:
            raise Refused(f"it has {total} bytes, {size} were expected")
        if total > self.largest_bytes:
            raise Refused(f"it has {megabytes(total)}, the most is {megabytes(self.largest_bytes)}")
        free = shutil.disk_usage(self.path.parent).free
        if total - self.part.count > free:
            raise DownloadError(
                f"{self.path.name} needs {megabytes(total - self.part.count)} more in "
                f"{self.path.parent}, where {megabytes(free)} are free; make room and try again"
            )

    def _receive(self, response: requests.Response) -> None:
        part = self.part
        self.progress.advance(part.count, part.total)
        while block := next_block(response):
            if part.count + len(block) > self.largest_bytes:
                raise Refused(f"it goes on after {megabytes(self.largest_bytes)}")
            part.append(block)
            self.progress.advance(part.count, part.total)
        if part.total is not None and part.count < part.total:
            raise Interrupted("the connection ended early")

    def _fault_of_part(self) -> str:
        """Says what is wrong with what came; "" where it is the file."""
        fault = fault_of(self.known, self.part.count, lambda: self.part.sha256)
        starts = self.part.head().lstrip().lower().startswith((b"<!doctype html", b"<html"))
        is_page = starts and self.path.suffix.lower() not in (".htm", ".html")
        if is_page and (fault or not self.known.sha256):
            return "it sends a web page instead of the file"
        return fault and f"what it sends {fault}"


def _disk_fault(error: OSError, path: Path) -> str:
    if error.errno in FULL_DISK:
        return (
            f"no room for {path.name} in {path.parent} ({error.strerror}); make room and try "
            "again: what came is kept"
        )
    return f"cannot write {path} ({error.strerror or error}); give a folder that can be written"
