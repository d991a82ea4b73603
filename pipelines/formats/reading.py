"""Reads files of music as Scores, with or without counts; the suffix chooses the reader."""

from __future__ import annotations

import os
from pathlib import Path

from pipelines.formats import abc_notation, midi, notation
from pipelines.reading_result import Reading
from pipelines.score import Score

MIDI_SUFFIXES = (".mid", ".midi", ".kar", ".rmi")
ABC_SUFFIXES = (".abc",)
SUFFIXES = MIDI_SUFFIXES + ABC_SUFFIXES + notation.SUFFIXES


def read(
    path: str | os.PathLike[str], number: int | None = None, plays_repeats: bool = True
) -> Score:
    """Reads a file as a Score. See `read_counted`."""
    return read_counted(path, number, plays_repeats).score


def read_counted(
    path: str | os.PathLike[str], number: int | None = None, plays_repeats: bool = True
) -> Reading:
    """Reads a file of one of `SUFFIXES`, in any case of letters.

    Args:
      path: of the file.
      number: the tune to read from an ABC file of several.
      plays_repeats: whether repeats, endings and jumps of notation are played, as they sound;
        else each passage is read once, as it stands on the page.

    Returns:
      The Score, and counts of what of the file is not in it.

    Raises:
      ValueError: the file cannot be read, or its suffix is none of `SUFFIXES`. Its `reason`
        where it has one, or else its text, does not hold the path: prepared data keeps it.
      OSError: the path cannot be read.
    """
    suffix = Path(path).suffix.lower()
    if suffix in ABC_SUFFIXES:
        return abc_notation.read(path, number, plays_repeats)
    if number is not None:
        raise ValueError(f"only ABC files have numbers; asked for {number}")
    if suffix in MIDI_SUFFIXES:
        return midi.read(path)
    if suffix in notation.SUFFIXES:
        return notation.read(path, plays_repeats)
    raise ValueError(
        f"{suffix or 'no suffix'} is not read; give a file that ends in {', '.join(SUFFIXES)}"
    )
