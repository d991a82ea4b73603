"""Score -> MusicXML, through music21.

One track becomes the two staves of a piano, several tracks a staff each (`staves`). Onsets and
pitches are those on the grid of 16ths and triplets (`bars`); meters and keys are kept; the clef of
a staff follows its pitches.

Lost: what `staves` and `voices` lose; dynamics, pedal and drums; tempo changes within a bar, and
those by a factor below 1.15.
"""

from __future__ import annotations

import fractions
import functools
import warnings
import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from crnn_gan.rendering.bars import TICKS, Bar, bars_of
from crnn_gan.rendering.note_values import Measure, Symbol, measures_of
from crnn_gan.rendering.staves import Staff, staves_of
from crnn_gan.rendering.voices import chords_of
from pipelines.score import Score

MOST_NOTES = 20_000  # music21 takes about 1 ms per note, verovio as much.
TEMPO_STEP = 1.15  # A tempo mark is written where the tempo changes by this factor.
KEYBOARDS = range(24)  # General MIDI programs: pianos, chromatic percussion and organs.
DOCTYPE = (
    b'<?xml version="1.0" encoding="utf-8"?>\n'
    b'<!DOCTYPE score-partwise PUBLIC "-//Recordare//DTD MusicXML 4.0 Partwise//EN" '
    b'"http://www.musicxml.org/dtds/partwise.dtd">\n'
)
FIFTHS = ("F", "C", "G", "D", "A", "E", "B")  # Each is a fifth above the one before.
STEPS = dict(zip("CDEFGAB", (0, 2, 4, 5, 7, 9, 11), strict=True))


class SheetMusic(NamedTuple):
    """A piece as MusicXML.

    Attributes:
      musicxml: content of the file, UTF-8.
      lost: {kind of loss in words: count}, besides what the module docstring lists.
    """

    musicxml: bytes
    lost: dict[str, int]


def to_musicxml(score: Score, title: str = "") -> SheetMusic:
    """Converts a piece to MusicXML.

    Args:
      score: any.
      title: where the Score has none.

    Raises:
      ValueError: there is nothing to notate, or a limit of notation is exceeded.
    """
    if len(score.notes) > MOST_NOTES:
        raise ValueError(
            f"it has {len(score.notes)} notes; the most for sheet music is {MOST_NOTES}"
        )
    bars = bars_of(score)
    staves = staves_of(score, bars)
    cut, parts = 0, []
    for staff in staves:
        chords, shortened = chords_of(staff)
        cut += shortened
        parts.append(measures_of(chords, bars, staff.grid))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # About the notation, not the notes.
        try:
            text = _export(_stream(score, title, staves, parts, bars))
        except Exception as error:  # music21 raises all kinds.
            raise ValueError(f"music21 cannot write it: {error!r}") from error
    lost = {
        "drum notes omitted": int(score.notes["is_drum"].sum()),
        "notes merged with another": sum(staff.merged for staff in staves),
        "chords shortened": cut,
    }
    return SheetMusic(text, {what: count for what, count in lost.items() if count})


def _export(stream: Any) -> bytes:
    from music21.musicxml.m21ToXml import ScoreExporter

    exporter = ScoreExporter(stream, makeNotation=False)  # It is complete.
    root = exporter.parse()
    # Equal pieces give equal files on any day, and music21 is not their composer.
    unwanted = ["encoding-date"] if stream.metadata.composer else ["encoding-date", "creator"]
    for parent in root.findall("identification") + root.findall("identification/encoding"):
        for child in [child for tag in unwanted for child in parent.findall(tag)]:
            parent.remove(child)
    ElementTree.indent(root)
    return DOCTYPE + ElementTree.tostring(root, encoding="utf-8") + b"\n"


def _stream(
    score: Score, title: str, staves: list[Staff], parts: list[list[Measure]], bars: list[Bar]
) -> Any:
    import music21

    whole = music21.stream.Score()
    whole.metadata = music21.metadata.Metadata(title=score.title or title)
    if score.composer:
        whole.metadata.composer = score.composer
    is_piano = len(staves) == 2 and all(staff.program in KEYBOARDS for staff in staves)
    keys, tempi = _keys(score, bars), _tempi(score, bars)
    for number, (staff, measures) in enumerate(zip(staves, parts, strict=True)):
        part = music21.stream.PartStaff() if is_piano else music21.stream.Part()
        part.id = f"P{number + 1}"
        instrument = music21.instrument.instrumentFromMidiProgram(staff.program)
        instrument.instrumentId = f"I{number + 1}"
        instrument.partId = part.id
        part.insert(0, instrument)
        clefs = _clefs(measures)
        marks = {} if number else tempi
        made = [_measure(each, at, keys, clefs, marks) for at, each in enumerate(measures)]
        made[-1].rightBarline = "final"
        part.append(made)
        part.makeAccidentals(inPlace=True)
        whole.insert(0, part)
    if is_piano:
        group = music21.layout.StaffGroup(
            list(whole.parts), name="Piano", symbol="brace", barTogether=True
        )
        whole.insert(0, group)
    return whole


def _measure(
    measure: Measure,
    index: int,
    keys: dict[int, int],
    clefs: dict[int, str],
    tempi: dict[int, int],
) -> Any:
    import music21

    bar = measure.bar
    made = music21.stream.Measure(number=index + 1)
    if index in clefs:
        made.insert(0, music21.clef.clefFromString(clefs[index]))
    if index in keys:
        made.insert(0, music21.key.KeySignature(keys[index]))
    if bar.is_new_meter:
        made.insert(0, music21.meter.TimeSignature(f"{bar.numerator}/{bar.denominator}"))
    if index in tempi:
        made.insert(0, music21.tempo.MetronomeMark(number=tempi[index]))
    sharps = keys[max(at for at in keys if at <= index)]
    if not measure.voices:
        rest = music21.note.Rest(quarterLength=_quarters(bar.end - bar.start))
        rest.fullMeasure = True
        made.insert(0, rest)
    elif len(measure.voices) == 1:
        _fill(made, measure.voices[0], bar, sharps, "unspecified")
    else:
        for symbols, stem in zip(measure.voices, ("up", "down"), strict=True):
            voice = music21.stream.Voice(id="1" if stem == "up" else "2")
            _fill(voice, symbols, bar, sharps, stem)
            made.insert(0, voice)
    return made


def _fill(stream: Any, symbols: Sequence[Symbol], bar: Bar, sharps: int, stem: str) -> None:
    """Puts the symbols of a voice into a music21 Voice, or a Measure of one voice."""
    import music21

    elements = [_element(symbol, sharps, stem) for symbol in symbols]
    for symbol, element in zip(symbols, elements, strict=True):
        stream.insert(_quarters(symbol.start), element)
    # Not `Part.makeBeams`: it looks for each meter through the whole part.
    beams = _meter(bar.numerator, bar.denominator).getBeams(elements)
    for element, beamed in zip(elements, beams, strict=True):
        if beamed and not element.isRest:
            element.beams = beamed
    music21.stream.makeNotation.makeTupletBrackets(stream, inPlace=True)


@functools.cache
def _meter(numerator: int, denominator: int) -> Any:
    import music21

    return music21.meter.TimeSignature(f"{numerator}/{denominator}")


def _element(symbol: Symbol, sharps: int, stem: str) -> Any:
    import music21

    length = _quarters(symbol.length)
    if not symbol.pitches:
        rest = music21.note.Rest(quarterLength=length)
        rest.style.hideObjectOnPrint = not symbol.is_seen
        rest.fullMeasure = False  # Else music21 looks for the meter, long.
        return rest
    names = [spelled(pitch, sharps) for pitch in symbol.pitches]
    notes = [music21.note.Note(name, octave=octave) for name, octave in names]
    if symbol.is_tied_from or symbol.is_tied_on:
        kinds = {(False, True): "start", (True, True): "continue", (True, False): "stop"}
        for note in notes:
            note.tie = music21.tie.Tie(kinds[symbol.is_tied_from, symbol.is_tied_on])
    element = notes[0] if len(notes) == 1 else music21.chord.Chord(notes)
    element.duration = music21.duration.Duration(quarterLength=length)
    element.stemDirection = stem
    return element


def _quarters(ticks: int) -> fractions.Fraction:
    return fractions.Fraction(ticks, TICKS)


def spelled(pitch: int, sharps: int) -> tuple[str, int]:
    """Gives the name of a pitch in a key signature as music21 writes it, and its octave.

    Of the twelve fifths around the key's own seven, three lie below and two above them: in C
    these are E-, B-, F, C, G, D, A, E, B, F#, C#, G#, which A minor shares. Middle C is in
    octave 4.
    """
    lowest = sharps - 3  # Fifths from C.
    fifths = lowest + (pitch * 7 - lowest) % 12
    alterations, letter = divmod(fifths + 1, 7)
    name = FIFTHS[letter]
    octave = (pitch - alterations - STEPS[name]) // 12 - 1
    return f"{name}{'#' * alterations}{'-' * -alterations}", octave


def _keys(score: Score, bars: list[Bar]) -> dict[int, int]:
    """Gives {bar: sharps} where a signature begins, always one in the first bar."""
    found = {0: 0}
    for tick, sharps, _ in score.keys.tolist():
        found[_nearest_bar(tick, score, bars)] = sharps
    return _changes(found)


def _tempi(score: Score, bars: list[Bar]) -> dict[int, int]:
    """Gives {bar: quarters per minute} where a tempo is written."""
    edges = np.array([*(bar.start for bar in bars), bars[-1].end])
    seconds = score.seconds_at(edges * score.ticks_per_quarter / TICKS)
    speeds = np.diff(edges) / TICKS / np.diff(seconds) * 60
    found: dict[int, int] = {}
    written = 0.0
    for index, speed in enumerate(speeds.tolist()):
        if not written or not 1 / TEMPO_STEP < speed / written < TEMPO_STEP:
            found[index], written = max(1, round(speed)), speed
    return found


def _nearest_bar(tick: int, score: Score, bars: list[Bar]) -> int:
    at = tick * TICKS / score.ticks_per_quarter
    return int(np.abs(np.array([bar.start for bar in bars]) - at).argmin())


def _changes(values: dict[int, int]) -> dict[int, int]:
    """Drops values equal to the one before."""
    kept: dict[int, int] = {}
    for at in sorted(values):
        if not kept or values[at] != list(kept.values())[-1]:
            kept[at] = values[at]
    return kept


def _clefs(measures: list[Measure]) -> dict[int, str]:
    """Gives {bar: clef} where a clef begins; it changes where two bars lie far outside it."""
    heights = [
        [pitch for voice in measure.voices for symbol in voice for pitch in symbol.pitches]
        for measure in measures
    ]
    every = [pitch for height in heights for pitch in height] or [60]
    clef = "treble" if np.mean(every) >= 60 else "bass"
    found = {0: clef}
    for index, height in enumerate(heights):
        near = height + (heights[index + 1] if index + 1 < len(heights) else [])
        if not height:
            continue
        mean = np.mean(near)
        if (clef == "treble" and mean < 53) or (clef == "bass" and mean > 67):
            clef = "bass" if clef == "treble" else "treble"
            found[index] = clef
    return found
