"""Reads files of music as Scores; the suffix chooses the reader."""

from __future__ import annotations

import os
from pathlib import Path

from pipelines.formats import abc_notation, midi, music21_stream
from pipelines.score import Score

MIDI_SUFFIXES = (".mid", ".midi", ".kar", ".rmi")
ABC_SUFFIXES = (".abc",)
MUSIC21_SUFFIXES = tuple(music21_stream.FORMATS)
SUFFIXES = MIDI_SUFFIXES + ABC_SUFFIXES + MUSIC21_SUFFIXES


def read(path: str | os.PathLike[str], number: int | None = None) -> Score:
    """Reads a file of one of `SUFFIXES`, in any case of letters.

    Args:
      number: the tune to read from an ABC file of several.

    Raises:
      ValueError: the file cannot be read, or its suffix is none of `SUFFIXES`. Its `reason`
        where it has one, or else its text, does not hold the path: prepared data keeps it.
      OSError: the path cannot be read.
    """
    suffix = Path(path).suffix.lower()
    if suffix in ABC_SUFFIXES:
        return abc_notation.read(path, number).score
    if number is not None:
        raise ValueError(f"only ABC files have numbers; asked for {number}")
    if suffix in MIDI_SUFFIXES:
        return midi.read_score(path)
    if suffix in MUSIC21_SUFFIXES:
        return music21_stream.read(path)
    raise ValueError(
        f"{suffix or 'no suffix'} is not read; give a file that ends in {', '.join(SUFFIXES)}"
    )
