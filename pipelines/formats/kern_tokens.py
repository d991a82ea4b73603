"""Tokens of Humdrum **kern: notes, meters, keys, instruments."""

from __future__ import annotations

import dataclasses
import re
from fractions import Fraction

STEPS = {"c": 0, "d": 2, "e": 4, "f": 5, "g": 7, "a": 9, "b": 11}
SHARPS = "fcgdaeb"  # In the order that signatures write them; flats are in the other.
FIFTHS_OF_MAJOR = {"c": 0, "g": 1, "d": 2, "a": 3, "e": 4, "b": 5, "f": -1}
# What signifiers of a note are not read. **kern, "Signifiers".
NOT_READ = {
    "T": "trills",
    "t": "trills",
    "M": "mordents",
    "m": "mordents",
    "W": "mordents",
    "w": "mordents",
    "S": "turns",
    "$": "turns",
    "O": "ornaments",
    ";": "fermatas",
    "(": "slurs",
    ":": "arpeggiated notes",
}
ARTICULATIONS = re.compile("['\"`~^]")
# General MIDI programs, from 0, of the instruments that *I and *IC name.
PROGRAMS = {
    "Cbras": 61,
    "Cstr": 48,
    "Cvox": 53,
    "accor": 21,
    "alto": 53,
    "armon": 22,
    "arpa": 46,
    "bagpI": 109,
    "bagpS": 109,
    "banjo": 105,
    "barit": 53,
    "bass": 53,
    "bguit": 33,
    "calto": 53,
    "campn": 14,
    "cangl": 69,
    "cant": 53,
    "caril": 14,
    "cbass": 43,
    "cello": 42,
    "cemba": 6,
    "chime": 14,
    "clara": 71,
    "clarb": 71,
    "clars": 71,
    "clavi": 7,
    "clest": 8,
    "cor": 60,
    "dulc": 15,
    "eguit": 26,
    "fagot": 70,
    "flt": 73,
    "glock": 9,
    "guitr": 24,
    "hammd": 16,
    "koto": 107,
    "liuto": 24,
    "mando": 24,
    "marim": 12,
    "mezzo": 53,
    "oboe": 68,
    "organ": 19,
    "panpi": 75,
    "piano": 0,
    "picco": 72,
    "reedo": 20,
    "saxA": 65,
    "saxR": 67,
    "saxS": 64,
    "saxT": 66,
    "shaku": 77,
    "shami": 106,
    "sitar": 104,
    "soprn": 53,
    "steel": 114,
    "tenor": 53,
    "timpa": 47,
    "tromb": 57,
    "tromp": 56,
    "tromt": 57,
    "tuba": 58,
    "ukule": 24,
    "vibra": 11,
    "viola": 41,
    "violn": 40,
    "vox": 53,
    "xylo": 13,
}


@dataclasses.dataclass(frozen=True, slots=True)
class KernNote:
    """A note or rest of a token.

    Attributes:
      length: quarters; None where the token says none.
      pitch: MIDI key number; None of a rest and of what has no pitch.
    """

    length: Fraction | None
    pitch: int | None
    is_rest: bool
    is_grace: bool
    ties_on: bool
    is_tied: bool


def parse_note(text: str) -> KernNote:
    """Reads one note of a token. ValueError where its length is none."""
    name = re.search(r"([a-gA-G])\1*", text)
    is_rest = "r" in text and name is None
    pitch = None
    if name is not None:
        letters = name[0]
        is_low = letters.isupper()
        octave = 4 - len(letters) if is_low else 3 + len(letters)
        pitch = 12 * (octave + 1) + STEPS[letters[0].lower()]
        pitch += text.count("#") - text.count("-")
    return KernNote(
        length_of(text),
        pitch,
        is_rest,
        is_grace="q" in text or "Q" in text,
        ties_on="[" in text or "_" in text,
        is_tied="]" in text or "_" in text,
    )


def length_of(text: str) -> Fraction | None:
    """Gives the length of a token such as "4.", "3%2" or "00", quarters; None without one."""
    found = re.search(r"(\d+)(?:%(\d+))?(\.*)", text, re.ASCII)
    if found is None:
        return None
    parts, times, dots = found[1], found[2] or "1", len(found[3])
    if max(len(parts), len(times)) > 5 or dots > 5:
        raise ValueError(f"{text[:40]!r} has no length that can be read")
    if set(parts) == {"0"}:  # A breve, a long, a maxima.
        length = Fraction(4 * 2 ** len(parts)) * int(times)
    else:
        length = Fraction(4 * int(times), int(parts))
    return length * (2 - Fraction(1, 2**dots))


def meter_of(text: str) -> tuple[int, int] | None:
    """Gives the numerator and denominator of *M3/4, *M2+3/8 or *M3/0; None of anything else."""
    found = re.fullmatch(r"\*M(\d{1,3}(?:\+\d{1,3})*)/(\d{1,5})", text, re.ASCII)
    if found is None:
        return None
    numerator = sum(int(term) for term in found[1].split("+"))
    if set(found[2]) == {"0"}:
        return numerator * 2 ** len(found[2]), 1
    return numerator, int(found[2])


def sharps_of(text: str) -> int | None:
    """Gives the sharps of a signature such as *k[b-e-]; None where no number of sharps makes it."""
    found = re.fullmatch(r"\*k\[((?:[a-g](?:#|-))*)\]", text)
    if found is None:
        return None
    steps, signs = found[1][::2], set(found[1][1::2])
    count = len(steps)
    if not count:
        return 0
    if signs == {"#"} and set(steps) == set(SHARPS[:count]) and count == len(set(steps)):
        return count
    if signs == {"-"} and set(steps) == set(SHARPS[-count:]) and count == len(set(steps)):
        return -count
    return None


def key_of(text: str) -> tuple[int, bool] | None:
    """Gives the sharps of a key such as *E-: or *f#:, and whether it is minor; None of others."""
    found = re.fullmatch(r"\*([A-Ga-g])([#-]?):", text)
    if found is None:
        return None
    is_minor = found[1].islower()
    alteration = {"#": 7, "-": -7}.get(found[2], 0)
    return FIFTHS_OF_MAJOR[found[1].lower()] + alteration - 3 * is_minor, is_minor
