"""The cache folder, for what can be computed or downloaded again."""

from __future__ import annotations

import os
from pathlib import Path

CACHE_VARIABLE = "CRNN_GAN_CACHE_DIR"
DEFAULT_IN_WORDS = f"${CACHE_VARIABLE}, or crnn_gan in the user's cache folder"


def cache_folder(given: str = "") -> Path:
    """Gives the folder `given`, else $CRNN_GAN_CACHE_DIR, else one in the user's cache."""
    if given:
        return Path(given).expanduser()
    if os.environ.get(CACHE_VARIABLE):
        return Path(os.environ[CACHE_VARIABLE])
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "crnn_gan"
