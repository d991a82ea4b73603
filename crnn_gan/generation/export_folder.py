"""Folders of exported models: one appears whole under its name, whoever else exports there."""

from __future__ import annotations

import shutil
from pathlib import Path

from pipelines import stopping
from pipelines.atomic_file import sync
from pipelines.file_lock import locked
from pipelines.leftovers import made_for, remove_leftovers, temporary_folder

RETIRED_END = ".old"  # Of the name of a model while another takes its place.


def clean(folder: Path) -> None:
    """Removes what killed exports left beside a folder.

    A model comes back that was put aside by an export that was killed before another had its place.

    Raises:
      OSError: the parent is missing, or may not be written.
    """
    remove_leftovers(folder.parent)
    with locked(folder):
        for retired in made_for(folder, RETIRED_END):
            if not folder.exists() and (retired / "saved_model.pb").is_file():
                retired.rename(folder)
            else:
                shutil.rmtree(retired, ignore_errors=True)


def put_in_place(staging: Path, folder: Path) -> None:
    """Gives a whole model its name, when all of it is on the disk.

    Of two exports at once the later one stays.

    Raises:
      OSError: it cannot be done; a model that was there stays.
    """
    for path in (staging, *staging.rglob("*")):
        sync(path)
    with stopping.deferred("when the model is in place"), locked(folder):
        if folder.exists():
            _replace(folder, staging)
        else:
            staging.rename(folder)


def _replace(folder: Path, staging: Path) -> None:
    with temporary_folder(folder, RETIRED_END) as retired:
        folder.rename(retired)  # Onto an empty directory, which is what POSIX allows.
        try:
            staging.rename(folder)
        except OSError:
            retired.rename(folder)
            raise
