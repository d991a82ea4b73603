"""Signs of MusicXML: meters, keys, tempi, and the signs of repetition at barlines and in words."""

from __future__ import annotations

import dataclasses
import re
from fractions import Fraction
from xml.etree import ElementTree as ET

from pipelines.formats.musicxml_tree import text_of
from pipelines.formats.written_music import Jumps, integer, number

# Quarters of note values; MusicXML calls a quarter "quarter".
NOTE_VALUES = {
    "maxima": Fraction(32),
    "long": Fraction(16),
    "breve": Fraction(8),
    "whole": Fraction(4),
    "half": Fraction(2),
    "quarter": Fraction(1),
    "eighth": Fraction(1, 2),
    **{f"{2**n}th": Fraction(4, 2**n) for n in (4, 6, 7, 8, 9, 10)},
    "32nd": Fraction(1, 8),
    "512nd": Fraction(1, 128),
}


def meter_of(time: ET.Element) -> tuple[int, int] | None:
    """Gives the numerator and denominator of a <time>, of several the sum; None without beats.

    Raises:
      ValueError: they are no numbers.
    """
    beats = [e.text or "" for e in time.iterfind("beats")]
    types = [integer(e.text, "a beat-type") for e in time.iterfind("beat-type")]
    if not beats or len(beats) != len(types):
        return None
    if any(not 1 <= beat_type <= 2**15 for beat_type in types):
        raise ValueError(f"a beat-type is not in 1 to {2**15}")
    denominator = max(types)
    sums = [sum(integer(term, "beats") for term in text.split("+")) for text in beats]
    numerator = sum(
        Fraction(count * denominator, beat_type)
        for count, beat_type in zip(sums, types, strict=True)
    )
    if numerator.denominator != 1 or numerator < 1:
        raise ValueError(f"{beats} beats make no meter")
    return int(numerator), denominator


def key_of(key: ET.Element) -> tuple[int, bool] | None:
    """Gives the sharps of a <key> and whether it is minor; None without a number of sharps."""
    fifths = text_of(key, "fifths")
    if fifths is None:
        return None
    return integer(fifths, "fifths"), (text_of(key, "mode") or "").lower() in ("minor", "aeolian")


# Attributes of <sound> that speak of the order in which music is played.
JUMPS = {"segno", "coda", "tocoda", "dalsegno", "dacapo", "fine", "forward-repeat"}


@dataclasses.dataclass(frozen=True)
class Transposition:
    """What is added to written pitches to get those that sound."""

    diatonic: int | None = None
    semitones: int = 0

    @classmethod
    def of(cls, transpose: ET.Element) -> Transposition:
        """Reads a <transpose>. ValueError where its numbers are none."""
        octaves = integer(text_of(transpose, "octave-change") or "0", "an octave-change")
        semitones = integer(text_of(transpose, "chromatic") or "0", "chromatic")
        written = text_of(transpose, "diatonic")
        diatonic = None if written is None else integer(written, "diatonic") + 7 * octaves
        return cls(diatonic, semitones + 12 * octaves)

    @property
    def changes_keys(self) -> bool:
        """Whether it is by other than octaves."""
        return self.semitones % 12 != 0

    def key(self, sharps: int) -> int:
        """Gives the sharps of the key that sounds, -7 to 7."""
        if not self.changes_keys:
            return sharps
        if self.diatonic is not None:
            # A fifth is 4 steps and 7 semitones, an octave 7 and 12.
            moved = sharps + 7 * self.semitones - 12 * self.diatonic
            if -7 <= moved <= 7:
                return moved
        return (sharps + 7 * self.semitones + 5) % 12 - 5


def tempo_of(metronome: ET.Element) -> float | None:
    """Gives the quarters per minute of a <metronome>; None where it says no number."""
    unit = NOTE_VALUES.get(text_of(metronome, "beat-unit") or "")
    found = re.fullmatch(r"\D*?(\d{1,4}(\.\d{1,6})?)\D*", text_of(metronome, "per-minute") or "")
    if unit is None or found is None or len(metronome.findall("beat-unit")) > 1:
        return None
    for dots in range(len(metronome.findall("beat-unit-dot")[:3])):
        unit += NOTE_VALUES[(text_of(metronome, "beat-unit") or "")] / 2 ** (dots + 1)
    return float(unit * Fraction(found[1])) or None


@dataclasses.dataclass
class MeasureSigns(Jumps):
    """Signs of repetition in a measure, of all parts.

    Attributes:
      forward, backward: where repeats begin and end: {quarters after its beginning, None at its
        end: times; 1 for forward}.
      ending: the passes of an ending that begins here, as the file says them.
      ends_ending: whether it ends here.
    """

    forward: set[Fraction | None] = dataclasses.field(default_factory=set)
    backward: dict[Fraction | None, int] = dataclasses.field(default_factory=dict)
    ending: frozenset[int] = frozenset()
    ends_ending: bool = False

    def add_barline(self, barline: ET.Element, at: Fraction) -> None:
        """Adds the signs of a <barline> that stands at a time of its measure, quarters."""
        location = barline.get("location", "right")
        place = {"left": Fraction(0), "right": None}.get(location, at)
        repeat, ending = barline.find("repeat"), barline.find("ending")
        if repeat is not None:
            if repeat.get("direction") == "forward":
                self.forward.add(place)
            elif repeat.get("direction") == "backward":
                times = integer(repeat.get("times", "2"), "the times of a repeat")
                self.backward[place] = max(times, 1)
        if ending is not None:
            if ending.get("type") == "start":
                self.ending = passes_of(ending)
            else:
                self.ends_ending = True

    def add_sound(self, sound: ET.Element) -> None:
        """Adds the jumps of a <sound>."""
        self.segno = sound.get("segno", self.segno)
        self.coda = sound.get("coda", self.coda)
        self.to_coda = sound.get("tocoda", self.to_coda)
        self.dal_segno = sound.get("dalsegno", self.dal_segno)
        self.da_capo |= sound.get("dacapo") == "yes"
        self.fine |= sound.get("fine") is not None
        if sound.get("forward-repeat") == "yes":
            self.forward.add(Fraction(0))

    def add_words(self, words: str) -> None:
        """Adds the jump that words such as "D.C. al Fine" mean."""
        said = re.sub(r"[^a-z]", "", words.lower())
        if re.match("dacapo|dc(al|$)", said):
            self.da_capo = True
        elif re.match("dalsegno|ds(al|$)", said):
            self.dal_segno = self.dal_segno or ""
        elif re.fullmatch("(al|alla|to)coda", said):
            self.to_coda = self.to_coda or ""
        elif said == "fine":
            self.fine = True

    def add_glyph(self, tag: str) -> None:
        """Adds a printed segno or coda."""
        if tag == "segno":
            self.segno = self.segno or ""
        else:
            self.coda = self.coda or ""


def passes_of(ending: ET.Element) -> frozenset[int]:
    """Gives the passes of an <ending>, such as 1, 2 or 1-3; of none that is understood, 1."""
    text = ending.text or ""
    says = text if re.fullmatch(r"\s*\d{1,2}\s*\.?\s*", text) else ending.get("number", "")
    passes: set[int] = set()
    for first, last in re.findall(r"(\d{1,2})(?:\s*-\s*(\d{1,2}))?", says):
        passes.update(range(int(first), int(last or first) + 1))
    return frozenset(passes - {0}) or frozenset({1})


def position(element: ET.Element, divisions: Fraction) -> Fraction:
    """Gives the <offset> of a direction, quarters."""
    offset = text_of(element, "offset")
    return Fraction(0) if offset is None else number(offset, "an offset") / divisions
