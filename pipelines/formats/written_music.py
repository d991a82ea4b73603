"""What readers of notation give: notes and signs at written times, and the sections to play.

Times are quarter notes from the beginning, as written: every measure once. `notation_score`
plays the sections and makes a Score of it.
"""

from __future__ import annotations

import dataclasses
import functools
import re
from collections import Counter
from fractions import Fraction
from typing import Any

from pipelines.score_arrays import LAST_TICK

LAST_QUARTER = LAST_TICK // 480  # Of what is written; a Score of 480 ticks holds it.
MOST_NOTES = 2**19  # Of a piece as it is played: 30 times the longest symphony movements.
MOST_TRACKS = 2**10


@dataclasses.dataclass(slots=True)
class WrittenNote:
    """A note that sounds.

    Attributes:
      onset, end: written time, quarters.
      pitch: MIDI key number, as it sounds.
      part: index of the part or spine; ties stay inside.
      staff, voice: names of the staff and the voice inside of the part.
      ties_on: whether a tie begins here.
      is_tied: whether a tie ends here.
    """

    onset: Fraction
    end: Fraction
    pitch: int
    velocity: int
    track: int
    program: int
    part: int
    staff: str
    voice: str
    ties_on: bool = False
    is_tied: bool = False


@dataclasses.dataclass(slots=True, kw_only=True)
class Jumps:
    """Signs of jumps, of a section or of a measure.

    Attributes:
      segno, coda: labels of the signs at its beginning, "" for one without a label.
      to_coda, dal_segno: labels of the signs to jump to from its end; None without a jump.
      da_capo, fine: whether the sign stands at its end.
    """

    segno: str | None = None
    coda: str | None = None
    to_coda: str | None = None
    dal_segno: str | None = None
    da_capo: bool = False
    fine: bool = False


@dataclasses.dataclass(slots=True)
class Section(Jumps):
    """A stretch of music between two barlines, or signs of repetition, with the signs it bears.

    Attributes:
      start, end: written time, quarters.
      begins_repeat: whether a repeat begins here.
      times: how often the music up to the end of this section is played; 0 without a repeat sign.
      ending: the passes in which this is played, of a first or second ending; else empty.
    """

    start: Fraction
    end: Fraction
    begins_repeat: bool = False
    times: int = 0
    ending: frozenset[int] = frozenset()


@dataclasses.dataclass
class WrittenMusic:
    """A piece as it is written.

    Attributes:
      notes: in any order.
      sections: all of the piece, in order, without gaps.
      tempi: (time, quarters per minute).
      meters: (time, numerator, denominator).
      keys: (time, sharps, is_minor).
      order: the sections to play by their index, where the file says it, else None; empty where
        what it says makes no sense.
      left_out, doubtful: as of a Reading.
    """

    notes: list[WrittenNote] = dataclasses.field(default_factory=list)
    sections: list[Section] = dataclasses.field(default_factory=list)
    tempi: list[tuple[Fraction, float]] = dataclasses.field(default_factory=list)
    meters: list[tuple[Fraction, int, int]] = dataclasses.field(default_factory=list)
    keys: list[tuple[Fraction, int, bool]] = dataclasses.field(default_factory=list)
    order: list[int] | None = None
    title: str = ""
    left_out: Counter[str] = dataclasses.field(default_factory=Counter)
    doubtful: Counter[str] = dataclasses.field(default_factory=Counter)


@functools.lru_cache(maxsize=2**12)
def number(text: str | None, what: str) -> Fraction:
    """Gives the value of a decimal number of at most nine digits before its point.

    Raises:
      ValueError: it is no such number; the text names `what`.
    """
    found = (text or "").strip()
    if not re.fullmatch(r"[-+]?(\d{1,9}(\.\d{0,15})?|\.\d{1,15})", found, re.ASCII):
        raise ValueError(f"{what} is {found[:40]!r}; expected a number")
    return Fraction(found)


def integer(text: str | None, what: str) -> int:
    """Gives the value of a whole number. ValueError as of `number`."""
    value = number(text, what)
    if value.denominator != 1:
        raise ValueError(f"{what} is {(text or '').strip()[:40]!r}; expected a whole number")
    return int(value)


def check_time(time: Fraction) -> Fraction:
    """Gives the time. ValueError where no Score could hold it."""
    if time > LAST_QUARTER:
        raise ValueError(f"it is longer than {LAST_QUARTER} quarter notes")
    return time


def check_count(items: Any, most: int, what: str) -> None:
    """Raises a ValueError where there are more of them than `most`."""
    if len(items) > most:
        raise ValueError(f"it has {len(items)} {what}; at most {most} are read")
