"""Progress of a download on standard error: amount, share, speed and time left."""

from __future__ import annotations

import sys
import time

from pipelines.command_line import duration

LINE_SECONDS = 5.0  # Between lines of progress where they do not overwrite each other.
OVERWRITE_SECONDS = 0.2
ERASE = "\r\033[K"  # To the start of the line, and delete it.


class ByteProgress:
    """A progress line: overwritten on a terminal, elsewhere printed every few seconds."""

    def __init__(self, name: str, is_shown: bool = True) -> None:
        """Args: the name that each line opens with, and whether progress is shown at all."""
        self._name, self._is_shown = name, is_shown
        self._overwrites = sys.stderr.isatty()
        self._started = self._said = time.monotonic()
        self._first: int | None = None  # Bytes that were there when this run began.
        self._is_line_open = False

    def __enter__(self) -> ByteProgress:
        return self

    def __exit__(self, *exception: object) -> None:
        self.end()

    def advance(self, count: int, total: int | None) -> None:
        """Shows that `count` bytes are there, of `total` if that is known."""
        now = time.monotonic()
        if self._first is None or count < self._first:
            self._first, self._started = count, now
        pause = OVERWRITE_SECONDS if self._overwrites else LINE_SECONDS
        if not self._is_shown or now - self._said < pause:
            return
        self._said = now
        line = described(self._name, count, total, count - self._first, now - self._started)
        if self._overwrites:
            print(f"{ERASE}{line}", end="", file=sys.stderr, flush=True)
            self._is_line_open = True
        else:
            print(line, file=sys.stderr, flush=True)

    def say(self, text: str) -> None:
        """Prints a line that stays, whether progress is shown or not."""
        start = ERASE if self._is_line_open else ""
        print(f"{start}{self._name}: {text}", file=sys.stderr, flush=True)
        self._is_line_open = False

    def end(self, text: str = "") -> None:
        """Ends the line that is overwritten; the text takes its place where progress is shown."""
        if text and self._is_shown:
            self.say(text)
        elif self._is_line_open:
            print(file=sys.stderr, flush=True)
            self._is_line_open = False


def described(name: str, count: int, total: int | None, new: int, seconds: float) -> str:
    """Gives a line of progress; `new` bytes came in the last `seconds`."""
    speed = new / seconds if seconds > 0 else 0.0
    per_second = f"{speed / 1e6:.1f} MB/s"
    if not total:
        return f"{name}: {megabytes(count)}, {per_second}"
    line = f"{name}: {count / 1e6:.1f} of {megabytes(total)} ({count / total:.0%}), {per_second}"
    return f"{line}, {duration((total - count) / speed)} left" if speed > 0 else line


def megabytes(count: int) -> str:
    """Gives a number of bytes as MB, or as bytes where it is small."""
    return f"{count / 1e6:.1f} MB" if count >= 100_000 else f"{count} bytes"
