"""Reads a part of MusicXML: its notes and signs, by measure and by the time in it."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from fractions import Fraction
from xml.etree import ElementTree as ET

from pipelines.formats import musicxml_signs
from pipelines.formats.dynamics import DynamicsInForce, velocity_of_level, velocity_of_percent
from pipelines.formats.musicxml_content import Part, PartNote, Place
from pipelines.formats.musicxml_signs import MeasureSigns, Transposition, position
from pipelines.formats.musicxml_tree import text_of
from pipelines.formats.written_music import LAST_QUARTER, integer, number

STEPS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}


class PartReader:
    """Reads one part after the other.

    Attributes:
      signs: of repetition, of each measure, from all parts.
      keys_without_sharps: the places of keys that have no number of sharps.
      left_out, doubtful: counts, as of a Reading.
    """

    def __init__(self) -> None:
        self.signs: defaultdict[int, MeasureSigns] = defaultdict(MeasureSigns)
        self.keys_without_sharps: set[Place] = set()
        self.left_out: Counter[str] = Counter()
        self.doubtful: Counter[str] = Counter()

    def read(self, part: ET.Element, programs: dict[str, int]) -> Part:
        """Reads a <part>.

        Args:
          programs: General MIDI programs of the instruments by their id; the first is the
            part's own.

        Raises:
          ValueError: a number in it is none.
        """
        self.part = Part()
        self.programs = dict(programs)
        self.own_program = next(iter(programs), "")
        self.divisions = Fraction(0)
        self.transpositions: dict[str, Transposition] = {}
        self.dynamics = DynamicsInForce()
        self.meter_length: Fraction | None = None
        self.staves_seen = {1}
        for index, measure in enumerate(part.iterfind("measure")):
            self._read_measure(index, measure)
        self.part.staves = max(self.part.staves, max(self.staves_seen))
        self._set_velocities()
        return self.part

    # Measures.

    def _read_measure(self, index: int, measure: ET.Element) -> None:
        self.index, self.now, self.furthest = index, Fraction(0), Fraction(0)
        self.chord_onset = self.chord_length = Fraction(0)
        self.note_end: Fraction | None = None
        self.rests_here = 0
        self.full_rest: Fraction | None = None
        for element in measure:
            if element.tag == "note":
                self._read_note(element)
            elif element.tag == "backup":
                self._move(-self._duration(element))
            elif element.tag == "forward":
                self._move(self._duration(element))
                self.rests_here += 1
            elif element.tag == "attributes":
                self._read_attributes(element)
            elif element.tag == "direction":
                self._read_direction(element)
            elif element.tag == "sound":
                self._read_sound(element, self._place(element), None)
            elif element.tag == "barline":
                self.signs[index].add_barline(element, self.now)
        is_full_rest = self.note_end is None and self.rests_here == 1
        length = self.full_rest if is_full_rest and self.full_rest is not None else self.furthest
        self.part.lengths.append(length)
        self.part.note_ends.append(self.note_end)

    def _move(self, by: Fraction) -> None:
        self.now += by
        if self.now < 0:
            self.doubtful["backups before their measure"] += 1
            self.now = Fraction(0)
        if self.now > LAST_QUARTER:
            raise ValueError(f"a measure is longer than {LAST_QUARTER} quarter notes")
        self.furthest = max(self.furthest, self.now)

    def _duration(self, element: ET.Element) -> Fraction:
        text = text_of(element, "duration")
        if text is None:
            self.doubtful["notes without a duration"] += 1
            return Fraction(0)
        duration = number(text, "a duration")
        if duration < 0:
            raise ValueError(f"a duration is {text}; expected 0 or more")
        return duration / self._divisions()

    def _divisions(self) -> Fraction:
        if not self.divisions:
            self.doubtful["parts without divisions"] += 1
            self.divisions = Fraction(1)
        return self.divisions

    def _place(self, element: ET.Element) -> Place:
        offset = position(element, self.divisions or Fraction(1))
        return self.index, max(self.now + offset, Fraction(0))

    # Notes.

    def _read_note(self, note: ET.Element) -> None:
        if note.find("grace") is not None:
            self.left_out["cue notes" if note.find("cue") is not None else "grace notes"] += 1
            return
        duration = self._duration(note)
        is_chord = note.find("chord") is not None
        onset = self.chord_onset if is_chord else self.now
        if not is_chord:
            self.chord_onset, self.chord_length = self.now, duration
            self._move(duration)
        elif duration > self.chord_length:
            self.doubtful["notes longer than their chord"] += 1
            duration = self.chord_length
        rest = note.find("rest")
        if rest is not None:
            self.rests_here += 1
            self._read_full_rest(note, rest, duration)
            return
        self.note_end = max(self.note_end or Fraction(0), onset + duration)
        staff = text_of(note, "staff") or "1"
        self._see_staff(staff)
        if note.find("cue") is not None:
            self.left_out["cue notes"] += 1
            return
        self._read_note_dynamics(note, onset, staff)
        if note.find("pitch") is None:
            self.left_out["unpitched notes"] += 1
        elif duration == 0:
            self.doubtful["notes of no length"] += 1
        else:
            self._add_note(note, (self.index, onset), duration, staff)

    def _read_full_rest(self, note: ET.Element, rest: ET.Element, duration: Fraction) -> None:
        """A rest alone in its measure is as long as that, whatever its duration says."""
        value = text_of(note, "type")
        is_whole = value in ("whole", "breve") and note.find("dot") is None
        is_full = is_whole or (value is None and rest.get("measure") == "yes")
        if is_full and self.meter_length is not None:
            self.full_rest = self.meter_length

    def _see_staff(self, staff: str) -> None:
        if re.fullmatch(r"\d{1,2}", staff, re.ASCII):
            self.staves_seen.add(int(staff))

    def _add_note(self, note: ET.Element, place: Place, length: Fraction, staff: str) -> None:
        pitch = self._pitch(note, staff)
        if not 0 <= pitch <= 127:
            self.left_out["notes outside MIDI's pitches"] += 1
            return
        ties = {tie.get("type") for tie in note.iterfind("tie")} or {
            tied.get("type") for tied in note.iterfind("notations/tied")
        }
        instrument = note.find("instrument")
        name = self.own_program if instrument is None else instrument.get("id", "")
        percent = note.get("dynamics")
        self.part.notes.append(
            PartNote(
                place,
                length,
                pitch,
                None if percent is None else velocity_of_percent(number(percent, "dynamics")),
                self.programs.get(name, self.programs.get(self.own_program, 0)),
                staff,
                text_of(note, "voice") or "",
                ties_on=bool(ties & {"start", "continue"}),
                is_tied=bool(ties & {"stop", "continue"}),
            )
        )

    def _pitch(self, note: ET.Element, staff: str) -> int:
        pitch = note.find("pitch")
        step = text_of(pitch, "step") or ""
        if step not in STEPS:
            raise ValueError(f"a step is {step[:20]!r}; expected one of A to G")
        alter = number(text_of(pitch, "alter") or "0", "an alter")
        if alter.denominator != 1:
            self.left_out["quarter tones"] += 1
        octave = integer(text_of(pitch, "octave"), "an octave")
        moved = self._transposition(staff).semitones
        return 12 * (octave + 1) + STEPS[step] + round(alter) + moved

    def _transposition(self, staff: str) -> Transposition:
        everywhere = self.transpositions.get("", Transposition())
        return self.transpositions.get(staff, everywhere)

    # Attributes.

    def _read_attributes(self, attributes: ET.Element) -> None:
        place = (self.index, self.now)
        divisions = text_of(attributes, "divisions")
        if divisions is not None:
            self.divisions = number(divisions, "divisions")
            if self.divisions <= 0:
                raise ValueError(f"divisions are {divisions}; expected more than 0")
        staves = text_of(attributes, "staves")
        if staves is not None:
            self.part.staves = max(min(integer(staves, "staves"), 99), self.part.staves)
        for transpose in attributes.iterfind("transpose"):
            made = Transposition.of(transpose)
            number_of_staff = transpose.get("number", "")
            if not number_of_staff:
                self.transpositions.clear()
            self.transpositions[number_of_staff] = made
            self.part.transposes |= made.changes_keys
        for time in attributes.iterfind("time"):
            meter = musicxml_signs.meter_of(time)
            if meter is None:
                self.left_out["meters without beats"] += 1
                continue
            self.meter_length = Fraction(4 * meter[0], meter[1])
            self.part.meters.append((place, *meter))
        for key in attributes.iterfind("key"):
            found = musicxml_signs.key_of(key)
            staff = key.get("number", "1")
            if found is None:
                self.keys_without_sharps.add(place)
            elif staff == "1":
                sharps = self._transposition(staff).key(found[0])
                self.part.keys.append((place, sharps, found[1]))

    # Directions.

    def _read_direction(self, direction: ET.Element) -> None:
        place = self._place(direction)
        staff = text_of(direction, "staff")
        sounds = direction.findall("sound")
        signs = self.signs[self.index]
        jumps = any(musicxml_signs.JUMPS & sound.attrib.keys() for sound in sounds)
        tempo = None
        is_accent = False
        for sign in direction.iterfind("direction-type/*"):
            if sign.tag == "dynamics":
                is_accent = not self._add_levels(sign, place, staff)
            elif sign.tag == "metronome":
                tempo = musicxml_signs.tempo_of(sign)
                if tempo is not None:
                    self.part.tempi.append((place, tempo))
                elif not any("tempo" in sound.attrib for sound in sounds):
                    self.left_out["metronome marks without a number"] += 1
            elif sign.tag == "words" and not jumps:
                signs.add_words(sign.text or "")
            elif sign.tag in ("segno", "coda") and not jumps:
                signs.add_glyph(sign.tag)
        for sound in sounds:
            self._read_sound(sound, place, staff, has_tempo=tempo is not None, is_accent=is_accent)

    def _add_levels(self, dynamics: ET.Element, place: Place, staff: str | None) -> bool:
        """Adds the last dynamic that lasts, and tells whether there is one."""
        names = [(d.text or "") if d.tag == "other-dynamics" else d.tag for d in dynamics]
        velocity = velocity_of_level(" ".join(map(str, names)))
        if velocity is not None:
            self._add_dynamic(place, staff, velocity)
        elif names:
            self.left_out["dynamic accents"] += 1
        return velocity is not None

    def _read_note_dynamics(self, note: ET.Element, onset: Fraction, staff: str) -> None:
        for dynamics in note.iterfind("notations/dynamics"):
            self._add_levels(dynamics, (self.index, onset), staff)

    def _read_sound(
        self,
        sound: ET.Element,
        place: Place,
        staff: str | None,
        has_tempo: bool = False,
        is_accent: bool = False,
    ) -> None:
        """Reads a <sound>: dynamics, where it does not belong to an accent; tempo; jumps."""
        percent, bpm = sound.get("dynamics"), sound.get("tempo")
        if percent is not None and not is_accent:
            velocity = velocity_of_percent(number(percent, "the dynamics of a sound"))
            self._add_dynamic(place, staff, velocity)
        if bpm is not None and not has_tempo:
            tempo = number(bpm, "the tempo of a sound")
            if tempo > 0:
                self.part.tempi.append((place, float(tempo)))
        for instrument in sound.iterfind("midi-instrument"):
            self.programs.update(programs_of(instrument))
        self.signs[self.index].add_sound(sound)

    def _add_dynamic(self, place: Place, staff: str | None, velocity: int) -> None:
        """Adds a dynamic of a staff; of all staves where it names none."""
        self.dynamics.add(place, lambda other: staff in (None, other), velocity)

    def _set_velocities(self) -> None:
        for note in self.part.notes:
            if note.velocity is None:
                note.velocity = self.dynamics.velocity(note.place, note.staff)


def programs_of(instrument: ET.Element) -> dict[str, int]:
    """Gives the program, from 0, of a <midi-instrument> by its id; {} where it has none."""
    text = text_of(instrument, "midi-program")
    if text is None:
        return {}
    program = max(integer(text, "a midi-program") - 1, 0)
    return {instrument.get("id", ""): program} if program <= 127 else {}
