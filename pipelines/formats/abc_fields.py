"""Fields of an ABC tune that change its notes: key, meter, unit length, tempo, parts.

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
_SHARPS_OF_LETTER = dict(zip("FCGDAEB", range(-1, 6), strict=True))  # As major keys.
_MODES = {
    "": 0,
    "maj": 0,
    "ion": 0,
    "m": -3,
    "min": -3,
    "aeo": -3,
    "mix": -1,
    "dor": -2,
    "phr": -4,
    "lyd": 1,
    "loc": -5,
}
_MINOR_MODES = ("m", "min", "aeo")
ALTERATIONS = {"^^": 2, "^": 1, "=": 0, "_": -1, "__": -2}
_KEY = re.compile(
    r"(?P<tonic>[A-G])(?P<sign>[#b]?)\s*(?P<mode>(?:maj|min|mix|dor|phr|lyd|loc|ion|aeo)[a-z]*"
    r"|m(?![a-z]))?(?:\s*(?P<exp>exp)\b)?(?=$|[^a-z]|\s)",
    re.IGNORECASE,
)
_KEY_ACCIDENTAL = re.compile(r"\s*(\^\^?|__?|=)([A-Ga-g])(?![a-z]*=)")
_PROPERTY = re.compile(r"(?:(octave|transpose|clef)\s*=\s*)?([^\s=]+)(?:=\S*)?")
_CLEF = re.compile(r"(?:treble|alto|tenor|bass|soprano|mezzosoprano|baritone|perc)\d?([+-]8)?")
_TEMPO = re.compile(r"^((?:\d+\s*/\s*\d+\s*)+)=\s*(\d+(?:\.\d+)?)")
_TEMPO_OF_UNITS = re.compile(r"^(?:C(\d*)\s*=\s*)?(\d+(?:\.\d+)?)\b")
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


class Key(NamedTuple):
    """A key: its signature and what else its field says.

    Attributes:
      sharps: of the signature; negative for flats.
      is_minor: of minor and aeolian; other modes have no place in a Score.
      alterations: semitones of each letter, C to B, with the field's own accidentals.
      is_plain: whether the signature is all that the field changes.
      semitones: to add to each pitch, from octave=, transpose= and clefs such as treble-8.
      is_named: whether the field names a key; K:none names none.
    """

    sharps: int = 0
    is_minor: bool = False
    alterations: tuple[int, ...] = (0,) * 7
    is_plain: bool = True
    semitones: int = 0
    is_named: bool = True


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
def key(text: str) -> Key:
    """Reads a K: field, ABC 2.1 section 3.1.14.

    Of the two keys of the Highland pipes, HP and Hp, both sound two sharps.
    """
    text = text.strip()
    if text[:2] in ("HP", "Hp"):
        return Key(2, False, _signature(2), semitones=semitones(text[2:]))
    is_none = bool(re.match(r"none\b|$", text, re.IGNORECASE)) or names_no_key(text)
    found = None if is_none else _KEY.match(text)
    if found is None and not is_none:
        raise AbcError(f"key {text[:20]!r}: expected a tonic A to G and a mode, HP or none")
    sharps, is_minor, rest = 0, False, text
    if found is not None:
        mode = (found["mode"] or "").lower()[:3]
        tonic = found["tonic"].upper()
        sharps = _SHARPS_OF_LETTER[tonic] + {"": 0, "#": 7, "b": -7}[found["sign"].lower()]
        sharps, is_minor = sharps + _MODES[mode], mode in _MINOR_MODES
        sharps = 0 if found["exp"] else sharps
        rest = text[found.end() :]
    alterations, is_plain = list(_signature(sharps)), -7 <= sharps <= 7
    for sign, letter in _KEY_ACCIDENTAL.findall(rest):
        alterations[LETTERS.index(letter.upper())] = ALTERATIONS[sign]
        is_plain = False
    return Key(sharps, is_minor, tuple(alterations), is_plain, semitones(rest), not is_none)


def names_no_key(text: str) -> bool:
    """Tells whether a K: field names no key but a clef and the like."""
    return bool(re.match(r"[a-z]+\s*=", text) or _CLEF.match(text))


def _signature(sharps: int) -> tuple[int, ...]:
    """Half tones of each letter, C to B, of a signature of any number of sharps or flats."""
    # F C G D A E B get the first, second ... sharp; above 7 the second ones.
    places = {letter: place for place, letter in enumerate("FCGDAEB")}
    return tuple((sharps - places[letter] + 6) // 7 for letter in LETTERS)


@functools.lru_cache(256)
def semitones(text: str) -> int:
    """Gives the transposition by octave=, transpose= and an 8 at the clef, semitones."""
    total = 0
    for name, value in _PROPERTY.findall(text):
        clef = _CLEF.fullmatch(value)
        if name in ("octave", "transpose") and re.fullmatch(r"[+-]?\d{1,2}", value):
            total += int(value) * (12 if name == "octave" else 1)
        elif clef is not None and clef[1] is not None:
            total += 12 if clef[1] == "+8" else -12
    return total


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


@functools.lru_cache(256)
def unit(text: str) -> Fraction:
    """Reads an L: field, ABC 2.1 section 3.1.7, in quarter notes."""
    found = re.fullmatch(r"(\d+)\s*/\s*(\d+)|1", text.strip())
    if found is not None:
        numerator, denominator = number(found[1] or "1"), number(found[2] or "1")
        if numerator and denominator in (1, 2, 4, 8, 16, 32, 64, 128, 256, 512):
            return Fraction(4 * numerator, denominator)
    raise AbcError(f"unit length {text[:20]!r}: expected one such as 1/8, down to 1/512")


def default_unit(of: Meter | None) -> Fraction:
    """The unit length of a tune without an L: field: a 16th where bars are below 3/4."""
    return Fraction(1, 4) if of is not None and of.quarters < 3 else Fraction(1, 2)


@functools.lru_cache(256)
def tempo(text: str, unit_quarters: Fraction) -> int | None:
    """Reads a Q: field, ABC 2.1 section 3.1.8; None where it is only words.

    Args:
      unit_quarters: the unit length, which is the beat of "Q:120" and "Q:C=120".

    Returns:
      Microseconds per quarter note.
    """
    bare = re.sub(r'"[^"]*"', "", text).strip()
    if not bare:
        return None
    found, counted = _TEMPO.match(bare), _TEMPO_OF_UNITS.match(bare)
    if found is not None and len(bare) < 100:
        lengths = _FRACTION.findall(found[1])
        beats = [(number(numerator), number(denominator)) for numerator, denominator in lengths]
        quarters = sum((Fraction(4 * n, d) for n, d in beats if d), Fraction(0))
        speed = found[2]
    elif counted is not None and len(bare) < 100:
        quarters = unit_quarters * number(counted[1] or "1")
        speed = counted[2]
    else:
        raise AbcError(f"tempo {text[:20]!r}: expected one such as 1/4=120")
    a_minute = quarters * Fraction(speed)
    microseconds = round(60_000_000 / a_minute) if a_minute else 0
    if not 1 <= microseconds <= SLOWEST_TEMPO:
        raise AbcError(f"tempo {text[:20]!r}: expected 4 or more quarter notes a minute")
    return microseconds


@functools.lru_cache(4096)
def length(text: str) -> Fraction:
    """Reads the length behind a note: 2, 3/2, /, //, /4; ABC 2.1 section 4.3."""
    numerator, slash, denominator = text.partition("/")
    if len(text) <= 2 * MOST_DIGITS and (numerator.isdigit() or not numerator):
        factor = Fraction(int(numerator or "1"))
        if not slash:
            return _not_zero(factor, text)
        if not denominator.strip("/"):
            return _not_zero(factor / 2 ** (1 + len(denominator)), text)
        if denominator.isdigit() and int(denominator):
            return _not_zero(factor / int(denominator), text)
    raise AbcError(f"length {text[:20]!r}: expected one such as 2, 3/2, / or /4")


def _not_zero(factor: Fraction, text: str) -> Fraction:
    if not 0 < factor <= 10**MOST_DIGITS or factor.denominator > 10**MOST_DIGITS:
        raise AbcError(f"length {text[:20]!r}: expected more than 0, and no more than a million")
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
