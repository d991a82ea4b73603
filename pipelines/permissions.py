"""Permissions of what is written: those that the umask leaves, as of any file a program makes.

What is made under a temporary name with Python's tempfile may be read by its owner alone.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path


def give_usual_permissions(path: Path) -> None:
    """Gives a file or folder the permissions that the umask leaves: 0666 or 0777 without its bits.

    Raises:
      OSError: it is not there, or belongs to somebody else.
    """
    before = path.stat().st_mode
    all_of_them = 0o777 if stat.S_ISDIR(before) else 0o666
    # A folder whose files take its group (setgid) was made so by the one that it is in.
    path.chmod(all_of_them & ~umask() | before & stat.S_ISGID)


def umask() -> int:
    """Gives the umask of this process."""
    try:
        # Elsewhere it can only be read by setting it, which other threads would notice.
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1], 8) for line in lines if line.startswith("Umask:"))
    except (OSError, StopIteration):  # No Linux, or an old one.
        mask = os.umask(0o077)
        os.umask(mask)
        return mask
