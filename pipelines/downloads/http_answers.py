"""Answers of web servers: which failures are temporary, and how long to wait."""

from __future__ import annotations

import contextlib
import email.utils
import random
import re
import time
from collections.abc import Callable, Iterator, Mapping
from typing import TypeVar

import requests
import urllib3

TRIES = 6  # In a row that bring nothing new.
UNREACHABLE_TRIES = 3  # Where not even a connection comes about.
FIRST_WAIT_SECONDS, LONGEST_WAIT_SECONDS = 1.0, 60.0
LONGEST_RETRY_AFTER_SECONDS = 600.0  # Where a server asks for more, it is given up for now.
CONNECT_SECONDS, STALL_SECONDS = 15.0, 60.0
BLOCK_BYTES = 1 << 16
PASSING = {408, 425, 429}  # And 500 or more.
LASTING = {403, 404, 410}
# What came is the file as it is, not packed for the way.
HEADERS = {"Accept-Encoding": "identity", "User-Agent": "crnn-gan"}

_jitter = random.Random()  # Of its own: nobody's seed decides how long to wait, or is moved.
_Result = TypeVar("_Result")


class Refused(Exception):  # noqa: N818 - an outcome, caught where it is raised.
    """The address does not give what is wanted, and asking again does not help."""


class Dead(Refused):
    """The address answers that it does not give what is wanted, now or later."""


class Interrupted(Exception):  # noqa: N818 - an outcome, caught where it is raised.
    """The address may give more when it is asked again.

    Attributes:
      wait_seconds: how long to wait before; None where the server does not say.
      is_unreachable: whether there was no connection at all.
    """

    def __init__(
        self, reason: str, wait_seconds: float | None = None, is_unreachable: bool = False
    ) -> None:
        super().__init__(reason)
        self.wait_seconds, self.is_unreachable = wait_seconds, is_unreachable


def persist(
    attempt: Callable[[], _Result],
    reached: Callable[[], int],
    say: Callable[[str], None],
    wait: Callable[[float], object],
) -> _Result:
    """Gives what the attempt gives; tries again while it is interrupted.

    Args:
      attempt: raises Interrupted or Refused where it fails.
      reached: gives the progress; tries are counted anew after progress.
      say: reports each interruption, before the wait.
      wait: sleeps for some seconds.

    Raises:
      Refused: by the attempt, or after `TRIES` interruptions in a row.
    """
    failures, farthest = 0, reached()
    while True:
        try:
            return attempt()
        except Interrupted as interruption:
            if reached() > farthest:
                failures, farthest = 0, reached()
            failures += 1
            if failures >= (UNREACHABLE_TRIES if interruption.is_unreachable else TRIES):
                raise Refused(f"{interruption}, {failures} times in a row") from interruption
            seconds = _wait_seconds(interruption, failures)
            say(f"{interruption}; again in {seconds:.0f} s")
            wait(seconds)


def _wait_seconds(interruption: Interrupted, failures: int) -> float:
    seconds = interruption.wait_seconds
    if seconds is None:
        seconds = min(LONGEST_WAIT_SECONDS, FIRST_WAIT_SECONDS * 2 ** (failures - 1))
        return seconds * _jitter.uniform(0.5, 1.0)
    if seconds > LONGEST_RETRY_AFTER_SECONDS:
        raise Refused(f"{interruption}, and it asks to come back in {seconds:.0f} s")
    return seconds


@contextlib.contextmanager
def answer(url: str, headers: Mapping[str, str]) -> Iterator[requests.Response]:
    """Asks for an address; gives an answer of status 200, 206 or 416, its body unread.

    Raises:
      Refused, Interrupted: there is none.
    """
    timeout, headers = (CONNECT_SECONDS, STALL_SECONDS), {**HEADERS, **headers}
    with requests.Session() as session:
        try:
            response = session.get(url, headers=headers, stream=True, timeout=timeout)
        except requests.RequestException as error:
            raise _failure(error) from error
        with response:
            _check_status(response)
            yield response


def _failure(error: requests.RequestException) -> Exception:
    reason = getattr(error.args[0] if error.args else None, "reason", error)
    if isinstance(error, requests.exceptions.SSLError):
        return Refused(f"no secure connection: {reason}")
    if isinstance(error, requests.ReadTimeout):
        return Interrupted("it does not answer")
    if isinstance(error, requests.ConnectTimeout):
        return Interrupted("it cannot be reached", is_unreachable=True)
    if isinstance(reason, urllib3.exceptions.NewConnectionError):
        return Interrupted(f"it cannot be reached ({reason})", is_unreachable=True)
    if isinstance(error, requests.ConnectionError | requests.exceptions.ChunkedEncodingError):
        return Interrupted(f"the connection broke off ({_cause(reason)})")
    return Refused(f"{type(error).__name__}: {error}")  # A redirect in a circle, or to nowhere.


def _cause(error: BaseException) -> object:
    """The innermost of an error that was wrapped as (text, error)."""
    while error.args and isinstance(error.args[-1], BaseException):
        error = error.args[-1]
    return str(error) or type(error).__name__


def _check_status(response: requests.Response) -> None:
    status = response.status_code
    if status in (200, 206, 416):
        return
    text = f"HTTP {status} {response.reason}"
    if status in PASSING or status >= 500:
        raise Interrupted(text, retry_after_seconds(response.headers))
    raise Dead(text) if status in LASTING else Refused(text)


def next_block(response: requests.Response, decode: bool = False) -> bytes:
    """Gives the next bytes of a body, b"" after the last. Interrupted where it breaks off."""
    try:
        return response.raw.read1(BLOCK_BYTES, decode_content=decode)
    except urllib3.exceptions.ReadTimeoutError:
        raise Interrupted("the server stopped sending") from None
    except (urllib3.exceptions.HTTPError, OSError) as error:
        raise Interrupted(f"the connection broke off ({_cause(error)})") from error


# Header fields (RFC 9110).


def retry_after_seconds(headers: Mapping[str, str]) -> float | None:
    """Gives how long a server asks to wait, in seconds; None where it does not say."""
    text = headers.get("Retry-After", "").strip()
    if text.isascii() and text.isdigit():
        return float(text)
    until = _seconds_of_date(text)
    if until is None:
        return None
    now = _seconds_of_date(headers.get("Date", ""))  # By the server's own clock.
    return max(0.0, until - (time.time() if now is None else now))


def _seconds_of_date(text: str) -> float | None:
    try:
        return email.utils.parsedate_to_datetime(text).timestamp()
    except (ValueError, OverflowError):
        return None


def content_length(headers: Mapping[str, str]) -> int | None:
    """Gives the bytes of a body; None where the server does not say, or not in digits."""
    text = headers.get("Content-Length", "")
    return int(text) if text.isascii() and text.isdigit() else None


def content_range(headers: Mapping[str, str]) -> tuple[int, int] | None:
    """Gives the first byte of a part and the bytes of the whole; None where it is no part."""
    found = re.fullmatch(r"bytes (\d+)-\d+/(\d+)", headers.get("Content-Range", ""), re.ASCII)
    return (int(found.group(1)), int(found.group(2))) if found else None


def validator_of(headers: Mapping[str, str]) -> str:
    """Gives the validator of a version of a file: a strong ETag, a date, or ""."""
    etag = headers.get("ETag", "")
    return etag if etag.startswith('"') else headers.get("Last-Modified", "")


def tells_its_end(response: requests.Response) -> bool:
    """Whether a body that was cut off can be distinguished from a whole one."""
    is_chunked = "chunked" in response.headers.get("Transfer-Encoding", "").lower()
    return is_chunked or content_length(response.headers) is not None
