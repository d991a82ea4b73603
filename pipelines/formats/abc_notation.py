"""Reads ABC notation (ABC 2.1) as Scores, one per tune, without music21.

Repeats, endings and the order of parts are expanded. Each voice (V:) is a track, and so is each
level of its overlays (&), behind them. Velocities follow !pppp! to !ffff!; before the first they
are mf. Programs, channels and transposition follow %%MIDI; channel 10 is of drums.

Lost, and counted in `Reading.left_out`: grace notes, to which notation gives no time; chord
symbols, annotations, decorations, slurs; lyrics, symbol lines (s:), macros (m:); jumps such as
D.C.; other directives (%%). Modes other than minor keep their signature alone.
"""

from __future__ import annotations

import dataclasses
import os

from pipelines.formats import abc_music, abc_scores
from pipelines.formats.abc_fields import AbcError
from pipelines.formats.abc_files import tunes_by_number
from pipelines.formats.abc_sounds import MEANINGLESS
from pipelines.reading_result import Reading

__all__ = ["MEANINGLESS", "AbcError", "TuneReading", "read", "read_tune"]

LARGEST_TUNE = 2**18  # Characters.


@dataclasses.dataclass(frozen=True)
class TuneReading(Reading):
    """A Score, whose `abc` is the tune's text, and counts of what of the tune is not in it.

    Attributes:
      faults: how often something could not be parsed and was skipped; only by
        `read_tune(lenient=True)`.
    """

    faults: int = 0


def read(
    path: str | os.PathLike[str], number: int | None = None, plays_repeats: bool = True
) -> TuneReading:
    """Reads a tune of a file.

    Args:
      path: of the file.
      number: of the tune, as `abc_files.tunes` numbers them; None if there is only one.
      plays_repeats: see `read_tune`.

    Raises:
      AbcError: there is no such tune, or it cannot be read.
      OSError: the path cannot be read.
    """
    path = os.fspath(path)
    found = tunes_by_number(path)
    if number is None and len(found) == 1:
        number = next(iter(found))
    if number not in found:
        there = f"{len(found)} tunes, {min(found)} to {max(found)}" if found else "no tune"
        wanted = "one tune" if number is None else f"tune {number}"
        raise AbcError(f"has {there}; expected {wanted}", path=path)
    try:
        return read_tune(found[number].text, plays_repeats)
    except AbcError as error:
        name = f"{path}, tune {number}"
        raise AbcError(error.text, error.line, error.column, path=name) from error


def read_tune(text: str, plays_repeats: bool = True, lenient: bool = False) -> TuneReading:
    """Reads the text of one tune.

    Args:
      plays_repeats: whether repeats, endings and parts are expanded; else all music is played
        once as it is written.
      lenient: whether to skip and count what cannot be parsed, in place of an error.

    Raises:
      AbcError: something cannot be read, or the tune is too long.
    """
    if len(text) > LARGEST_TUNE:
        if not lenient:
            raise AbcError(f"is longer than {LARGEST_TUNE} characters")
        cut, text = len(text) - LARGEST_TUNE, text[:LARGEST_TUNE]
    else:
        cut = 0
    parsed = abc_music.parse(text, lenient)
    score, faults = abc_scores.score_of(parsed, text, plays_repeats, lenient)
    return TuneReading(score, dict(+parsed.left_out), dict(+parsed.doubtful), faults + cut)
