"""Reads MusicXML, kern and streams of music21 as Scores.

A Score gets: sounding pitches (transposing instruments are transposed), tied notes as one,
one track per part, meters, keys and metronome marks as printed; velocities
from the dynamics of each part (pp, p, ... ff; the level before the first is mf; accents
and hairpins are not followed).
Left out: grace notes, to which notation gives no time; chord symbols; unpitched notes.
Repeats are played once.
"""

from __future__ import annotations

import dataclasses
import fractions
import math
import os
import stat
import warnings
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from pipelines.score import Score
from pipelines.score_arrays import KEY, METER, NOTE, TEMPO, allowed

# Ticks per quarter note. 480 holds 128ths, triplets and quintuplets of 16ths; 10,080 septuplets.
TICKS, MOST_TICKS, FALLBACK_TICKS = 480, 32767, 10_080
# Velocities of the dynamics that last until the next one; sf, fp and the like do not.
LEVELS = {"pppp": 8, "ppp": 16, "pp": 30, "p": 44, "mp": 58, "mf": 72}
LEVELS |= {"f": 86, "ff": 100, "fff": 114, "ffff": 127}
DEFAULT_LEVEL = "mf"
LARGEST_BYTES = 32 * 2**20  # Of a file, unpacked. music21 takes a minute for some of these.
# What music21 calls the formats of files, by their suffixes; it knows others by itself.
FORMATS = {".musicxml": "musicxml", ".xml": "musicxml", ".mxl": "musicxml", ".krn": "humdrum"}


def read(path: str | os.PathLike[str], number: int | None = None) -> Score:
    """Reads a file with music21.

    Args:
      number: of the tune, in a file of several.

    Raises:
      ValueError: it is too large, or music21 gives no score of it.
      OSError: the path cannot be read.
    """
    import music21

    path = Path(path)
    _check_size(path)
    form = FORMATS.get(path.suffix.lower())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Doubts about the notation, not about the notes.
        try:
            stream = music21.converter.parse(
                str(path), number=number, format=form, forceSource=True, storePickle=False
            )
        except Exception as error:  # music21 raises whatever it meets inside.
            raise ValueError(f"music21 cannot parse it: {error!r}") from error
        if isinstance(stream, music21.stream.Opus):
            raise ValueError("it holds several scores without numbers")
        try:
            score = score_of_stream(stream)
        except Exception as error:  # So do streams of damaged files.
            raise ValueError(f"music21 gives no sound score of it: {error!r}") from error
    # music21 gives the name of the file where the score has no title.
    is_untitled = score.title == path.name
    return dataclasses.replace(score, title="") if is_untitled else score


def _check_size(path: Path) -> None:
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise ValueError("it is not a regular file")
    size = status.st_size
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as packed:
            size += sum(member.file_size for member in packed.infolist())
    if size > LARGEST_BYTES:
        raise ValueError(f"it is larger than {LARGEST_BYTES} bytes")


def score_of_stream(stream: Any) -> Score:
    """Gives the Score of a music21 Score or Part, as this file's docstring says."""
    parts = list(getattr(stream, "parts", [])) or [stream]
    flat = [_at_sounding_pitch(part).flatten() for part in parts]
    notes = [note for track, part in enumerate(flat) for note in _part_notes(part, track)]
    ticks = ticks_holding([time for note in notes for time in note[:2]])
    metadata = getattr(stream, "metadata", None)
    return Score.from_unsorted(
        ticks,
        _note_array(notes, ticks),
        tempi=_events(TEMPO, _tempi(flat), ticks),
        meters=_events(METER, _meters(flat[0]), ticks),
        keys=_events(KEY, _keys(flat[0]), ticks),
        title=(metadata.bestTitle or "") if metadata is not None else "",
    )


def _at_sounding_pitch(part: Any) -> Any:
    transposing = any(i.transposition for i in part.getElementsByClass("Instrument"))
    return part.toSoundingPitch(inPlace=False) if transposing else part


def _part_notes(part: Any, track: int) -> list[list[Any]]:
    """Lists [onset, end (quarters), pitch, velocity, track, program], tied notes joined."""
    instrument = next(iter(part.getElementsByClass("Instrument")), None)
    program = getattr(instrument, "midiProgram", None) or 0
    levels = [
        (element.offset, LEVELS[element.value])
        for element in part.getElementsByClass("Dynamic")
        if element.value in LEVELS
    ]
    velocity, found = LEVELS[DEFAULT_LEVEL], []
    tied: dict[tuple[int, fractions.Fraction], list[Any]] = {}
    for onset, length, note in _sounding(part):
        while levels and levels[0][0] <= onset:
            velocity = levels.pop(0)[1]
        kind, pitch = note.tie.type if note.tie else "", note.pitch.midi
        end = fractions.Fraction(onset) + fractions.Fraction(length)
        before = tied.pop((pitch, fractions.Fraction(onset)), None)
        if before is not None and kind in ("stop", "continue"):
            before[1] = end
        elif 0 <= pitch <= 127:
            before = [fractions.Fraction(onset), end, pitch, velocity, track, program]
            found.append(before)
        if kind in ("start", "continue") and before is not None:
            tied[pitch, end] = before
    return found


def _sounding(part: Any) -> Iterator[tuple[Any, Any, Any]]:
    """Gives (onset, length, note) of each pitched note, chords taken apart, by onset."""
    for element in part.notes:
        if "Harmony" in element.classes or element.duration.isGrace or element.quarterLength <= 0:
            continue
        for note in getattr(element, "notes", (element,)):
            if hasattr(note, "pitch"):
                yield element.offset, element.quarterLength, note


def ticks_holding(quarters: Iterable[fractions.Fraction]) -> int:
    """Gives the least multiple of TICKS in which all times are integers, or FALLBACK_TICKS."""
    exact = TICKS
    for denominator in {time.denominator for time in quarters}:
        exact = math.lcm(exact, denominator)
        if exact > MOST_TICKS:
            return FALLBACK_TICKS
    return exact


def _note_array(notes: list[list[Any]], ticks: int) -> np.ndarray:
    array = np.zeros(len(notes), NOTE)
    for row, (onset, end, pitch, velocity, track, program) in enumerate(notes):
        start = round(onset * ticks)
        length = max(round(end * ticks) - start, 1)
        array[row] = (start, length, pitch, velocity, track, program, False)
    return array


def _events(dtype: np.dtype, rows: dict[Any, tuple[Any, ...]], ticks: int) -> np.ndarray:
    """Makes an array of {offset in quarters: values}, by tick, without what a Score refuses."""
    by_tick = {round(offset * ticks): values for offset, values in sorted(rows.items())}
    events = np.array([(tick, *values) for tick, values in by_tick.items()], dtype)
    return events[allowed(events)]


def _tempi(parts: list[Any]) -> dict[Any, tuple[Any, ...]]:
    marks = [mark for part in parts for mark in part.getElementsByClass("MetronomeMark")]
    speeds = {mark.offset: mark.getQuarterBPM() for mark in marks}
    return {at: (round(60e6 / bpm),) for at, bpm in speeds.items() if bpm}


def _meters(part: Any) -> dict[Any, tuple[Any, ...]]:
    signatures = part.getElementsByClass("TimeSignature")
    return {s.offset: (s.numerator, s.denominator) for s in signatures if s.numerator < 256}


def _keys(part: Any) -> dict[Any, tuple[Any, ...]]:
    signatures = part.getElementsByClass("KeySignature")
    return {s.offset: (s.sharps, getattr(s, "mode", "") == "minor") for s in signatures}
