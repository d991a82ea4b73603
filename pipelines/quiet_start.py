"""A quiet start: hides the lines that TensorFlow prints while it is imported on any machine.

Its C++ side writes to file descriptor 2 before a program can set a log level, and marks one line
as an error on every machine without a GPU. `install` makes the first import of TensorFlow pass
what is written there through a filter, which drops the lines of `START_UP_LINES` and lets all
others through. TF_CPP_MIN_LOG_LEVEL=0 shows everything. Other levels do not: TensorFlow itself sets
1 when it is imported, which its child processes inherit.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType

ERRORS_AND_FATAL = "2"  # Log level: hides TensorFlow's INFO and WARNING, where it obeys one.
# Parts of lines. Of cuInit only error 303, which says that there is no driver library at all.
START_UP_LINES = (
    "All log messages before absl::InitializeLog() is called are written to STDERR",
    "Could not find cuda drivers on your machine, GPU will not be used",
    "failed call to cuInit: INTERNAL: CUDA error: Failed call to cuInit: UNKNOWN ERROR (303)",
    "oneDNN custom operations are on. You may see slightly different numerical results",
)
# A process of its own: a thread could not run while a library loads, and what is written before
# a crash would be lost with it.
FILTER = """
import sys
hidden = [text.encode() for text in sys.argv[1:]]
for line in sys.stdin.buffer:
    if not any(text in line for text in hidden):
        sys.stdout.buffer.write(line)
        sys.stdout.buffer.flush()
"""
FILTER_SECONDS = 5.0  # To wait for its last line.


def install() -> None:
    """Hides the start-up lines of TensorFlow, should this process import it later.

    It does nothing where the user asks for the lines, where TensorFlow is imported already, or
    where there is no standard error.
    """
    level = os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", ERRORS_AND_FATAL)
    is_late = "tensorflow" in sys.modules or _FINDER in sys.meta_path
    if level != "0" and sys.stderr and not is_late:
        sys.meta_path.insert(0, _FINDER)


class _Finder:
    """Finds TensorFlow as the other finders do, and wraps what executes it."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """See `importlib.abc.MetaPathFinder`."""
        if name != "tensorflow":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        if spec is None or spec.loader is None:
            return spec
        execute = spec.loader.exec_module

        def execute_filtered(module: ModuleType) -> None:
            with filtered_stderr():
                execute(module)
                # Looks for GPUs, which prints too, but sets up none: all may still be configured.
                module.config.list_physical_devices()

        spec.loader.exec_module = execute_filtered  # type: ignore[method-assign]
        return spec


_FINDER = _Finder()


@contextlib.contextmanager
def filtered_stderr(hidden: Sequence[str] = START_UP_LINES) -> Iterator[None]:
    """Drops lines from what this process, native code included, writes to standard error.

    Args:
      hidden: parts of the lines that are dropped.
    """
    lines = subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", FILTER, *hidden],
        stdin=subprocess.PIPE,
        stdout=2,
        start_new_session=True,  # Ctrl-C is for the command.
    )
    assert lines.stdin
    kept = os.dup(2)
    os.dup2(lines.stdin.fileno(), 2)
    lines.stdin.close()
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        # A process that was started meanwhile may hold the other end for longer.
        with contextlib.suppress(subprocess.TimeoutExpired):
            lines.wait(FILTER_SECONDS)
