"""Reads MusicXML (.musicxml, .xml, .mxl) and Humdrum **kern (.krn) as Scores.

A Score gets: sounding pitches, tied notes as one, a track per staff, meters, keys and metronome
marks as printed; velocities from the dynamics of each staff (pppp ... ffff; the level before the
first is mf). Repeats, endings and jumps are played. What is not read is counted: docs/data.md.
"""

from __future__ import annotations

import os
from pathlib import Path

from pipelines.formats import kern, musicxml, notation_score, score_files
from pipelines.reading_result import Reading

MUSICXML_SUFFIXES = (".musicxml", ".xml", ".mxl")
KERN_SUFFIXES = (".krn",)
SUFFIXES = MUSICXML_SUFFIXES + KERN_SUFFIXES


def read(path: str | os.PathLike[str], plays_repeats: bool = True) -> Reading:
    """Reads a file.

    Args:
      path: of the file.
      plays_repeats: whether repeats, endings and jumps such as D.C. are played; else all music is
        played once as it is written.

    Raises:
      ValueError: it is too large, or no sound score.
      OSError: the path cannot be read.
    """
    is_kern = Path(path).suffix.lower() in KERN_SUFFIXES
    content = score_files.read(path)
    music = kern.read(content) if is_kern else musicxml.read(content)
    if music.title == Path(path).name:  # As music21 and others write where there is no title.
        music.title = ""
    return notation_score.reading_of(music, plays_repeats)
