"""K: fields of an ABC tune, and the properties that K: and V: fields share.

ABC 2.1, sections 3.1.14 and 4.6. Everything here is a function of the field's text.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from typing import NamedTuple

from pipelines.formats.abc_fields import ALTERATIONS, LETTERS, AbcError

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
_KEY = re.compile(
    r"(?P<tonic>[A-G])(?P<sign>[#b]?)\s*(?P<mode>(?:maj|min|mix|dor|phr|lyd|loc|ion|aeo)[a-z]*"
    r"|(?<!\s)m(?![a-z])|m(?![a-z]|\s*=))?(?:\s*(?P<exp>exp)\b)?(?=$|[^a-z]|\s)",
    re.IGNORECASE,
)
_KEY_ACCIDENTAL = re.compile(r"(\^\^?|__?|=)([A-Ga-g])")
# "clef=bass", "clef = bass", 'name="Tenor 1"', "t=-2"; a "=f" behind "^g" is an accidental.
_PROPERTY = re.compile(r'(?<![\w^_=])([A-Za-z][\w:-]+|[mt])\s*=\s*("[^"]*"?|[^\s"]+)')
_CLEF = re.compile(
    r"(?<![^\s])(?:treble|alto|tenor|bass|soprano|mezzosoprano|baritone|perc|none)"
    r"\d*(?:[+-](?:8|15)|[\^_]8)?(?![^\s])",
    re.IGNORECASE,
)
_PITCH = re.compile(r"([_^=]*)([A-Ga-g])([,']*)")
_HALF_TONES = dict(zip(LETTERS, (0, 2, 4, 5, 7, 9, 11), strict=True))  # Above C.
_NAMES = {"t": "transpose"}  # Abbreviations.


class Key(NamedTuple):
    """A key.

    Attributes:
      sharps: of the signature; negative for flats.
      is_minor: of minor and aeolian; other modes have no place in a Score.
      alterations: semitones of each letter, C to B, with the field's own accidentals.
      is_plain: whether the signature is all that the field changes.
      is_named: whether the field names a key; K:none names none.
    """

    sharps: int = 0
    is_minor: bool = False
    alterations: tuple[int, ...] = (0,) * 7
    is_plain: bool = True
    is_named: bool = True


@functools.lru_cache(1024)
def key(text: str) -> Key:
    """Reads a K: field, ABC 2.1 section 3.1.14.

    Of the two keys of the Highland pipes, HP and Hp, both sound two sharps.
    """
    text = text.strip()
    if text[:2] in ("HP", "Hp"):
        return Key(2, False, _signature(2))
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
    for sign, letter in _KEY_ACCIDENTAL.findall(_PROPERTY.sub(" ", _CLEF.sub(" ", rest))):
        alterations[LETTERS.index(letter.upper())] = ALTERATIONS[sign]
        is_plain = False
    return Key(sharps, is_minor, tuple(alterations), is_plain, not is_none)


def names_no_key(text: str) -> bool:
    """Tells whether a K: field names no key but a clef or other properties.

    "none" is a key: that without a signature.
    """
    text = text.strip()
    if _KEY.match(text) or text.lower().startswith("none"):
        return False
    return _CLEF.match(text) is not None or _PROPERTY.match(text) is not None


def _signature(sharps: int) -> tuple[int, ...]:
    """Half tones of each letter, C to B, of a signature of any number of sharps or flats."""
    # F C G D A E B get the first, second ... sharp; above 7 the second ones.
    places = {letter: place for place, letter in enumerate("FCGDAEB")}
    return tuple((sharps - places[letter] + 6) // 7 for letter in LETTERS)


@functools.lru_cache(256)
def transpositions(text: str) -> Mapping[str, int]:
    """Gives the semitones by which each property of a K: or V: field moves what is played.

    These are "octave", "transpose", "clef" (an 8 at it), and of abc2midi "sound" and "shift",
    two pitches each. A property that the text does not name is not in it; a clef without an 8
    is, with 0. "score" and "middle" change the print alone.
    """
    found: dict[str, int] = {}
    for name, value in _PROPERTY.findall(text):
        name = _NAMES.get(name, name)
        if name in ("octave", "transpose") and re.fullmatch(r"[+-]?\d{1,2}", value):
            found[name] = int(value) * (12 if name == "octave" else 1)
        elif name in ("sound", "shift"):
            pitches = [_half_tones(*parts) for parts in _PITCH.findall(value)]
            found |= {name: pitches[1] - pitches[0]} if len(pitches) == 2 else {}
        elif name == "clef":
            found[name] = _octaves_of_clef(value)
    for clef in _CLEF.finditer(_PROPERTY.sub(" ", text)):
        found["clef"] = _octaves_of_clef(clef[0])
    return found


def _octaves_of_clef(name: str) -> int:
    """Semitones by which "treble+8", "bass-8" or "treble-15" sounds above its print."""
    found = re.search(r"([+-])(8|15)$", name)
    semitones = {"8": 12, "15": 24}[found[2]] if found else 0
    return -semitones if found and found[1] == "-" else semitones


def _half_tones(sign: str, letter: str, octaves: str) -> int:
    octave = octaves.count("'") - octaves.count(",") + letter.islower()
    return _HALF_TONES[letter.upper()] + ALTERATIONS.get(sign, 0) + 12 * octave
