"""Fields of an ABC tune that change its notes: meter, unit length, tempo, parts.

ABC 2.1, section 3. Everything here is a function of the field's text.
"""

from __future__ import annotations

import functools
import re
from fractions import Fraction
from typing import NamedTuple

from pipelines.score_arrays import SLOWEST_TEMPO

MOST_PARTS = 1000  # Parts that the order in a P: field may play.
MOST_DIGITS = 6  # Of any number in a tune.

LETTERS = "CDEFGAB"
ALTERATIONS = {"^^": 2, "^": 1, "=": 0, "_": -1, "__": -2}
# A speed such as 120 or 76.5, but not 120-140 or 3/8.
_SPEED = r"(\d+(?:\.\d+)?)(?!\.?\d|\s*[-\u2013/=]\s*\d)"
_TEMPO = re.compile(r"((?:\d+\s*/\s*\d+\s*)+)=\s*(?:[a-z]{1,6}\.?|~)?\s*" + _SPEED, re.IGNORECASE)
_TEMPO_OF_UNITS = re.compile(r"^(?:C(\d*)\s*=\s*)?" + _SPEED)
_METER = re.compile(r"(\d{1,3})\s*/\s*(\d{1,3})(?!\d)|C\|?(?![a-z|])", re.IGNORECASE)
_FRACTION = re.compile(r"(\d+)\s*/\s*(\d+)")


class AbcError(ValueError):
    """A tune that cannot be read.

    Attributes:
      reason: what is wrong and what was expected, with line and column, without the file's name.
      line: from 1, in the tune; 0 where no line is to blame.
      column: from 1; 0 where no column is.
    """

    def __init__(self, text: str, line: int = 0, column: int = 0, path: str = "") -> None:
        where = f"line {line}, column {column}: " if column else f"line {line}: " if line else ""
        self.reason = where + text
        super().__init__(f"{path}: {self.reason}" if path else self.reason)
        self.text, self.line, self.column = text, line, column


class Meter(NamedTuple):
    """A meter."""

    numerator: int
    denominator: int

    @property
    def quarters(self) -> Fraction:
        """Length of a bar, quarter notes."""
        return Fraction(4 * self.numerator, self.denominator)

    @property
    def is_compound(self) -> bool:
        """Whether its beats divide into three."""
        return self.numerator in (6, 9, 12)


@functools.lru_cache(1024)
def meter(text: str) -> Meter | None:
    """Reads an M: field, ABC 2.1 section 3.1.6: 6/8, C, C|, (2+3)/8, none."""
    text = text.strip()
    if text in ("C", "C|"):
        return Meter(4, 4) if text == "C" else Meter(2, 2)
    if text.lower() in ("none", ""):
        return None
    found = re.fullmatch(r"\(?\s*(\d+(?:\s*\+\s*\d+)*)\s*\)?\s*/\s*(\d+)", text)
    if found is not None and len(text) < 40:
        numerator = sum(number(part) for part in found[1].split("+"))
        denominator = number(found[2])
        if 1 <= numerator <= 255 and denominator in (1, 2, 4, 8, 16, 32, 64, 128):
            return Meter(numerator, denominator)
    raise AbcError(f"meter {text[:20]!r}: expected one such as 6/8, C, C|, (2+3)/8 or none")


def meter_in(text: str) -> Meter | None:
    """Gives the first meter in a text that is no plain one, such as "6/8 3/4" or "C|3/2".

    Numbers are clearer than C; None where no meter is in it.
    """
    for found in sorted(_METER.finditer(text), key=lambda found: found[1] is None):
        try:
            return meter(found[0])
        except AbcError:
            continue
    return None


@functools.lru_cache(256)
def unit(text: str) -> Fraction:
    """Reads an L: field, ABC 2.1 section 3.1.7, in quarter notes."""
    found = re.fullmatch(r"(\d+)\s*/\s*(\d+)|1", text.strip())
    if found is not None:
        numerator, denominator = number(found[1] or "1"), number(found[2] or "1")
        if numerator and denominator in (1, 2, 4, 8, 16, 32, 64, 128, 256, 512):
            return Fraction(4 * numerator, denominator)
    raise AbcError(f"unit length {text[:20]!r}: expected one such as 1/8, down to 1/512")


def unit_in(text: str) -> Fraction | None:
    """Gives the unit length that a text begins with, such as "1/8 (quavers)"."""
    found = re.match(r"\s*\d+\s*/\s*\d+(?!\s*[\d/])", text)
    return unit(found[0]) if found is not None else None


def default_unit(of: Meter | None) -> Fraction:
    """The unit length of a tune without an L: field: a 16th where bars are below 3/4."""
    return Fraction(1, 4) if of is not None and of.quarters < 3 else Fraction(1, 2)


@functools.lru_cache(256)
def tempo(text: str, unit_quarters: Fraction) -> int | None:
    """Reads a Q: field, ABC 2.1 section 3.1.8; None where no speed is clear in it.

    Words may stand around it, in quotation marks or without: "Allegro 1/4=ca. 120".

    Args:
      unit_quarters: the unit length, which is the beat of "Q:120" and "Q:C=120".

    Returns:
      Microseconds per quarter note.
    """
    bare = re.sub(r'"[^"]*"', "", text).strip()
    if not bare:
        return None
    if len(bare) >= 100:
        return None
    found, counted = _TEMPO.search(bare), _TEMPO_OF_UNITS.match(bare)
    if found is not None:
        lengths = _FRACTION.findall(found[1])
        beats = [(int(numerator), int(denominator)) for numerator, denominator in lengths]
        quarters = sum((Fraction(4 * n, d) for n, d in beats if d), Fraction(0))
        speed = found[2]
    elif counted is not None:
        quarters = unit_quarters * int(counted[1] or "1")
        speed = counted[2]
    else:
        return None
    a_minute = quarters * Fraction(speed)
    microseconds = round(60_000_000 / a_minute) if a_minute else 0
    return microseconds if 1 <= microseconds <= SLOWEST_TEMPO else None


@functools.lru_cache(4096)
def length(text: str) -> Fraction:
    """Reads the length behind a note: 2, 3/2, /, //, /4; ABC 2.1 section 4.3.

    0 and /0 are 0.
    """
    numerator, slash, denominator = text.partition("/")
    if len(text) <= 2 * MOST_DIGITS and (numerator.isdigit() or not numerator):
        factor = Fraction(int(numerator or "1"))
        if not slash:
            return _within_bounds(factor, text)
        if not denominator.strip("/"):
            return _within_bounds(factor / 2 ** (1 + len(denominator)), text)
        if denominator.isdigit():
            parts = int(denominator)
            return _within_bounds(factor / parts if parts else Fraction(0), text)
    raise AbcError(f"length {text[:20]!r}: expected one such as 2, 3/2, / or /4")


def _within_bounds(factor: Fraction, text: str) -> Fraction:
    if factor > 10**MOST_DIGITS or factor.denominator > 10**MOST_DIGITS:
        raise AbcError(f"length {text[:20]!r}: expected no more than a million, nor smaller parts")
    return factor


def number(text: str) -> int:
    """Reads a number of up to six digits."""
    if len(text.strip()) > MOST_DIGITS:
        raise AbcError(f"number {text[:20]!r}: expected up to {MOST_DIGITS} digits")
    return int(text)


def part_order(text: str) -> list[str]:
    """Reads the order in a P: field, ABC 2.1 section 3.1.9: "A(BC)2D3" is A BC BC D D D."""
    open_groups: list[list[list[str]]] = [[]]  # Each holds units: what a number repeats.
    for found in re.finditer(r"([A-Z])|(\()|(\))|(\d+)|[.*,\s]|(.)", text):
        letter, opens, closes, times, wrong = found.groups()
        units = open_groups[-1]
        if letter:
            units.append([letter])
        elif opens:
            open_groups.append([])
        elif closes and len(open_groups) > 1:
            open_groups.pop()
            open_groups[-1].append(_joined(units))
        elif times and units:
            units.append(_joined([units.pop()] * min(number(times), MOST_PARTS + 1)))
        elif closes or times or wrong:
            raise _wrong_order(text)
    if len(open_groups) > 1:
        raise _wrong_order(text)
    return _joined(open_groups[0])


def _joined(units: list[list[str]]) -> list[str]:
    if sum(map(len, units)) > MOST_PARTS:
        raise AbcError(f"order of parts: expected up to {MOST_PARTS}")
    return [letter for unit in units for letter in unit]


def _wrong_order(text: str) -> AbcError:
    return AbcError(f"order of parts {text[:20]!r}: expected one such as AABB or A(BC)2")
