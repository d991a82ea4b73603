"""What a disk or TensorFlow's writers and readers say of files, in one sentence."""

from __future__ import annotations

import errno
import os
import re
from pathlib import Path

from pipelines.atomic_file import FULL_DISK

LONGEST = 200  # Characters of a reason.


def write_error(error: Exception, place: Path, remedy: str) -> OSError:
    """Gives the error of a file that could not be written.

    Args:
      error: an OSError, or one of TensorFlow's.
      place: what was to be written.
      remedy: what to do once there is room.
    """
    code = error.errno if isinstance(error, OSError) else None
    if code == errno.EFBIG or "File too large" in str(error):
        return OSError(
            f"{place} could not be written, files may not grow so large here (ulimit -f): raise "
            f"the limit and {remedy}"
        )
    if code in FULL_DISK or "No space left on device" in str(error):
        return OSError(f"{place} could not be written, no room is left: make room and {remedy}")
    return OSError(f"{place} could not be written ({reason(error)}): mend that and {remedy}")


def reason(error: Exception) -> str:
    """Gives the reason of an error on one line, without the names of TensorFlow's operations."""
    if isinstance(error, OSError) and error.strerror:
        named = f"{os.fspath(error.filename)}: " if isinstance(error.filename, str) else ""
        return f"{named}{error.strerror}"
    words = re.sub(r"\{\{.*?\}\}|\[Op:\w+\]|\[\[.*?\]\]", " ", str(error))
    return " ".join(words.split())[:LONGEST] or type(error).__name__
