"""Reads MusicXML 4 as written music.

Measures are aligned: each is as long as the longest part makes it, or, where no part has more
than a rest, as its meter. Pitches are those that sound. Each staff of a part is a track. The key
and the meter are those of the first pitched part that has a key and does not transpose, else of a
transposing part, at concert pitch. Cue notes are silent, and take their time.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Callable
from fractions import Fraction
from typing import TypeVar
from xml.etree import ElementTree as ET

from pipelines.formats import musicxml_tree
from pipelines.formats.musicxml_content import Part, Place
from pipelines.formats.musicxml_part import PartReader, programs_of
from pipelines.formats.musicxml_signs import MeasureSigns
from pipelines.formats.musicxml_tree import text_of
from pipelines.formats.written_music import (
    MOST_TRACKS,
    Section,
    WrittenMusic,
    WrittenNote,
    check_time,
)

# A measure that differs from its meter by less, quarters, does so by rounding.
ROUNDING = Fraction(1, 16)
DEFAULT_METER_LENGTH = Fraction(4)

Signature = TypeVar("Signature")  # A key or a meter, and its place.


def read(content: bytes) -> WrittenMusic:
    """Reads a file.

    Raises:
      ValueError: it is no MusicXML, or a number in it is none.
    """
    root = musicxml_tree.parse(content)
    reader = PartReader()
    programs = _programs(root)
    parts = [reader.read(part, programs.get(part.get("id"), {})) for part in root.iterfind("part")]
    if not parts:
        raise ValueError("it has no part")
    music = WrittenMusic(title=_title(root), left_out=reader.left_out, doubtful=reader.doubtful)
    music.left_out.update(musicxml_tree.count_not_read(root))
    music.left_out["keys without a number of sharps"] += len(reader.keys_without_sharps)
    meters = _deciding(parts, lambda part: part.meters)
    meter_lengths = _meter_lengths(meters, max(len(part.lengths) for part in parts))
    starts = _measure_starts(parts, meter_lengths)
    implicit = {
        index
        for part in root.iterfind("part")
        for index, measure in enumerate(part.iterfind("measure"))
        if measure.get("implicit") == "yes"
    }
    _count_odd_measures(music, starts, meter_lengths, implicit)

    def time(place: Place) -> Fraction:
        return starts[place[0]] + place[1]

    track = 0
    for index, part in enumerate(parts):
        _add_notes(music, part, index, track, starts)
        track += part.staves
        music.tempi += [(time(place), bpm) for place, bpm in part.tempi]
    if track > MOST_TRACKS:
        raise ValueError(f"it has {track} staves; at most {MOST_TRACKS} are read")
    music.tempi.sort(key=lambda tempo: tempo[0])
    music.meters = [(time(m[0]), m[1], m[2]) for m in meters]
    music.keys = [(time(k[0]), k[1], k[2]) for k in _deciding(parts, lambda part: part.keys)]
    music.sections = _sections(starts, reader.signs)
    return music


def _title(root: ET.Element) -> str:
    return text_of(root.find("work"), "work-title") or text_of(root, "movement-title") or ""


def _programs(root: ET.Element) -> dict[str | None, dict[str, int]]:
    """Gives the programs of the instruments of each part, by the id of the part."""
    programs: dict[str | None, dict[str, int]] = {}
    for part in root.iterfind("part-list/score-part"):
        found = programs[part.get("id")] = {}
        for instrument in part.iterfind("midi-instrument"):
            found.update(programs_of(instrument))
    return programs


def _add_notes(
    music: WrittenMusic, part: Part, index: int, track: int, starts: list[Fraction]
) -> None:
    for note in part.notes:
        onset = starts[note.place[0]] + note.place[1]
        staff = int(note.staff) - 1 if note.staff.isdecimal() else 0
        music.notes.append(
            WrittenNote(
                onset,
                check_time(onset + note.length),
                note.pitch,
                note.velocity or 1,
                track + min(max(staff, 0), part.staves - 1),
                note.program,
                index,
                note.staff,
                note.voice,
                note.ties_on,
                note.is_tied,
            )
        )


# What parts agree on.


def _deciding(parts: list[Part], signatures: Callable[[Part], list[Signature]]) -> list[Signature]:
    """Gives the keys or meters of the part that decides them for all."""
    having = [part for part in parts if signatures(part)]
    pitched = [part for part in having if part.notes]
    chosen = [part for part in pitched if not part.transposes] or pitched or having
    return signatures(chosen[0]) if chosen else []


def _meter_lengths(meters: list[tuple[Place, int, int]], count: int) -> list[Fraction | None]:
    """Gives the quarters that the meter of each measure asks for; None before the first meter."""
    changes = {place[0]: Fraction(4 * above, below) for place, above, below in meters}
    lengths: list[Fraction | None] = []
    for index in range(count):
        lengths.append(changes.get(index, lengths[-1] if lengths else None))
    return lengths


def _measure_starts(parts: list[Part], meter_lengths: list[Fraction | None]) -> list[Fraction]:
    """Gives the time of each measure's beginning, and of the end."""
    starts = [Fraction(0)]
    for index, meter_length in enumerate(meter_lengths):
        length = _measure_length([p for p in parts if index < len(p.lengths)], index, meter_length)
        starts.append(check_time(starts[-1] + length))
    return starts


def _measure_length(parts: list[Part], index: int, meter_length: Fraction | None) -> Fraction:
    """Gives the quarters of a measure; rests do not make it longer than its meter."""
    with_notes = [part for part in parts if part.note_ends[index] is not None]
    length = Fraction(0)
    for part in with_notes or parts:
        filled = part.lengths[index]
        if meter_length is not None:
            filled = min(filled, meter_length)
        length = max(length, filled, part.note_ends[index] or Fraction(0))
    if length == 0:
        return meter_length or DEFAULT_METER_LENGTH
    is_rounded = meter_length is not None and abs(length - meter_length) < ROUNDING
    return meter_length if is_rounded and meter_length is not None else length


def _count_odd_measures(
    music: WrittenMusic,
    starts: list[Fraction],
    meter_lengths: list[Fraction | None],
    implicit: set[int],
) -> None:
    """Counts measures of another length than their meter, but for upbeats and their rest."""
    lengths = [end - start for start, end in itertools.pairwise(starts)]
    for index, (length, meter_length) in enumerate(zip(lengths, meter_lengths, strict=True)):
        if meter_length is None or length == meter_length:
            continue
        if length > meter_length:
            music.doubtful["measures longer than their meter"] += 1
        elif index not in implicit and 0 < index < len(lengths) - 1:
            beside = (lengths[index - 1] + length, lengths[index + 1] + length)
            music.doubtful["measures shorter than their meter"] += meter_length not in beside


# Sections.


def _sections(starts: list[Fraction], signs: defaultdict[int, MeasureSigns]) -> list[Section]:
    """Gives the sections: measures, cut where a sign of repetition stands inside of one."""
    sections: list[Section] = []
    passes: frozenset[int] = frozenset()
    _tell_codas_apart(signs)
    for index in [n for n, sign in signs.items() if None in sign.forward]:
        signs[index + 1].forward.add(Fraction(0))
    for index, (start, end) in enumerate(itertools.pairwise(starts)):
        sign = signs.get(index) or MeasureSigns()
        passes = sign.ending or passes
        places = {p for p in (*sign.forward, *sign.backward) if p and start + p < end}
        cuts = [start, *sorted(start + place for place in places), end]
        first = len(sections)
        sections += [Section(a, b, ending=passes) for a, b in itertools.pairwise(cuts)]
        _sign(sections, first, sign, start)
        if sign.ends_ending or sign.backward:
            passes = frozenset()
    return sections


def _sign(sections: list[Section], first: int, sign: MeasureSigns, start: Fraction) -> None:
    """Puts the signs of a measure on its sections, from the one with index `first`."""
    here = sections[first:]
    here[0].segno, here[0].coda = sign.segno, sign.coda
    here[-1].to_coda, here[-1].dal_segno = sign.to_coda, sign.dal_segno
    here[-1].da_capo, here[-1].fine = sign.da_capo, sign.fine
    for place in sign.forward:
        for section in here:
            section.begins_repeat |= place is not None and section.start == start + place
    for place, times in sign.backward.items():
        at = here[-1].end if place is None else start + place
        for section in [section for section in sections if section.end == at][-1:]:
            section.times = times


def _tell_codas_apart(signs: dict[int, MeasureSigns]) -> None:
    """Of two printed codas without words the first is where to leave for the second."""
    codas = sorted(index for index, sign in signs.items() if sign.coda is not None)
    if len(codas) > 1 and all(sign.to_coda is None for sign in signs.values()):
        sign = signs[codas[0]]
        sign.to_coda, sign.coda = sign.coda, None
