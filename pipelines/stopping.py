"""Ctrl-C and SIGTERM: the first asks a command to stop, a second ends it at once.

Within `stoppable` the first signal raises `Stopped` in the main thread; within `deferred`, in
training, it is only noted, and `check` raises at places where nothing is half done. Python runs a
handler of its own between two bytecodes of the main thread, so during a long call of TensorFlow it
waits. A thread that reads Python's wake-up descriptor notices a signal meanwhile: it ends the
process where the signal may, and says that it waits where not.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import select
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

NAMES = {signal.SIGINT: "Ctrl-C", signal.SIGTERM: "SIGTERM"}
TOGETHER_SECONDS = 0.5  # Signals so close are one request: `timeout` sends two.
PATIENCE_SECONDS = 1.0  # In which the main thread may stop by itself.


class Stopped(KeyboardInterrupt):
    """A signal asked the process to stop.

    Attributes:
      number: of the signal.
      where: how "stopped by Ctrl-C" goes on, as in " in epoch 4; that of epoch 3 stays"; "" where
        nothing more is known.
    """

    def __init__(self, number: int, where: str = ""):
        """Makes it; the fields are its attributes."""
        super().__init__(number, where)
        self.number, self.where = number, where


@dataclasses.dataclass
class Request:
    """What signals have asked of this process, which has one main thread and one set of handlers.

    Attributes:
      number: the first signal's, once the main thread knows of it; 0 before.
      since: when that was, in seconds of `time.monotonic`.
      is_lost: whether the exception was raised where Python throws exceptions away.
      until: what is waited for where signals are deferred; "" where they are not.
      is_listening: whether the handlers are installed.
    """

    number: int = 0
    since: float = 0.0
    is_lost: bool = False
    until: str = ""
    is_listening: bool = False


_request = Request()


def status(number: int) -> int:
    """Gives the exit status of a process that a signal ended: 130 of Ctrl-C, 143 of SIGTERM."""
    return 128 + number


def check(where: Callable[[], str] = lambda: "") -> None:
    """Raises `Stopped` where a signal has come; `where` gives its words."""
    if _request.number:
        raise Stopped(_request.number, where())


@contextlib.contextmanager
def stoppable(say: Callable[[int], None] = lambda number: None) -> Iterator[Request]:
    """Raises `Stopped` in the main thread on the first signal within the block.

    Where the main thread does not come to it, since a library computes, the process ends after
    `PATIENCE_SECONDS`. That is safe, as files are written whole or not at all. Outside the main
    thread nothing happens. The handlers that were there come back at the end.

    Args:
      say: prints the command's last words before the process ends so; gets the signal's number.
    """
    if threading.current_thread() is not threading.main_thread():
        yield Request()
        return
    _request.number, _request.is_lost, _request.is_listening = 0, False, True
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    watcher = threading.Thread(target=_watch, args=(reader, say), daemon=True)
    watcher.start()
    # Also where SIGINT is ignored, as of a script's background process: who sends it means it.
    handlers = {number: signal.signal(number, _receive) for number in NAMES}
    wakeup = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    hook, sys.unraisablehook = sys.unraisablehook, _note_lost(sys.unraisablehook)
    try:
        yield _request
    finally:
        sys.unraisablehook = hook
        signal.set_wakeup_fd(wakeup)
        for number, handler in handlers.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
        os.close(writer)  # Which ends the thread.
        watcher.join()
        os.close(reader)
        _request.number, _request.is_listening = 0, False


@contextlib.contextmanager
def deferred(until: str) -> Iterator[None]:
    """Within the block a first signal is only noted; `check` raises, at the latest at its end.

    Outside the main thread nothing happens.

    Args:
      until: what is waited for, as in "stops at the end of this batch".
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # Signals raise in the main thread, whose block this is not.
        return
    with contextlib.ExitStack() as stack:
        if not _request.is_listening:
            stack.enter_context(stoppable())
        outer, _request.until = _request.until, until
        try:
            yield
        finally:
            _request.until = outer
        if not outer:
            check()


def note_sigint() -> None:
    """Has Ctrl-C only noted in this process, a worker, but for `raised_at_once`."""
    _request.until = "at the end of this job"
    signal.signal(signal.SIGINT, _receive)


@contextlib.contextmanager
def raised_at_once() -> Iterator[None]:
    """Within the block signals raise `Stopped`, where else they are only noted."""
    outer, _request.until = _request.until, ""
    try:
        check()
        yield
    finally:
        _request.until = outer


def _receive(number: int, frame: FrameType | None) -> None:
    """Is the handler."""
    del frame
    is_repeated = bool(_request.number) and time.monotonic() - _request.since < TOGETHER_SECONDS
    if not _request.number:
        _request.number, _request.since = number, time.monotonic()
    if not _request.until and not is_repeated:
        raise Stopped(number)


def _note_lost(hook: Callable[[Any], None]) -> Callable[[Any], None]:
    """Gives a hook that notes a `Stopped` raised in a destructor or a callback of the collector."""

    def note(unraisable: Any) -> None:
        if isinstance(unraisable.exc_value, Stopped):
            _request.is_lost = True
        else:
            hook(unraisable)

    return note


def _watch(reader: int, say: Callable[[int], None]) -> None:
    """Reads the numbers of signals as they come; ends with the descriptor."""
    first, since = 0, 0.0
    patience: float | None = None
    while True:
        if not select.select([reader], [], [], patience)[0]:
            patience = None
            _lose_patience(first, say)
            continue
        came = os.read(reader, 64)
        for number in came:
            if number in NAMES and first:
                if time.monotonic() - since > TOGETHER_SECONDS:
                    os._exit(status(number))
            elif number in NAMES:
                first, since, patience = number, time.monotonic(), PATIENCE_SECONDS
        if not came:
            return


def _lose_patience(number: int, say: Callable[[int], None]) -> None:
    name = NAMES[signal.Signals(number)]
    if _request.until:
        again = f"{name}: stops {_request.until}; a second one stops it at once\n"
        os.write(2, again.encode())  # Not print, whose lock the main thread may hold.
    elif not _request.number or _request.is_lost:
        say(number)
        os._exit(status(number))
