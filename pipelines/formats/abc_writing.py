"""Writes Scores as ABC tunes, where their voices can be notated plainly.

A voice is a track whose notes that sound together begin and end together: a line of notes
or of chords. Lengths are fractions of a quarter note, such as c2/3 in a triplet; notes are
tied over bar lines and over changes of meter, key and tempo. Every accidental that a reader
might carry from another octave is written out.
"""

from __future__ import annotations

import bisect
import itertools
from collections.abc import Mapping
from fractions import Fraction
from typing import NamedTuple

import numpy as np

from pipelines.formats import abc_keys
from pipelines.formats.abc_fields import ALTERATIONS, LETTERS
from pipelines.score import Score

GRID = 24  # Parts of a quarter note: 32nds and their triplets.
MOST_VOICES = 64
MOST_NOTES, MOST_QUARTERS = 20_000, 10_000  # So that the tune can be read again.
BARS_PER_LINE = 4

_SIGNS = {half_tones: sign for sign, half_tones in ALTERATIONS.items()}
_NATURALS = (0, 2, 4, 5, 7, 9, 11)  # Half tones of LETTERS above C.
_TONICS = ("Cb", "Gb", "Db", "Ab", "Eb", "Bb", *"FCGDAEB", "F#", "C#")  # 7 flats to 7 sharps.
_MINOR_TONICS = ("Ab", "Eb", "Bb", *"FCGDAEB", "F#", "C#", "G#", "D#", "A#")


def to_abc(score: Score) -> str:
    """Gives the text of a tune, or "" where the voices of a Score cannot be written, see above.

    Read again, it gives the same notes except for velocities and programs, and the same tempi,
    meters and keys. Titles keep their first line.
    """
    tracks = np.unique(score.notes["track"])
    is_small = 0 < len(score.notes) <= MOST_NOTES and len(tracks) <= MOST_VOICES
    if not is_small or score.notes["is_drum"].any():
        return ""
    events = [events["tick"] for events in (score.tempi, score.meters, score.keys)]
    times = np.concatenate([score.notes["onset"], score.end_ticks, *events])
    if (times * GRID % score.ticks_per_quarter).any():
        return ""
    score = score.quantized(GRID)
    voices = [_moments(score.notes[score.notes["track"] == track]) for track in tracks]
    if not all(voices) or score.length_ticks > GRID * MOST_QUARTERS:
        return ""
    header = ["X:1", f"T:{_one_line(score.title)}"]
    header += [f"C:{_one_line(score.composer)}"] if score.composer else []
    changes = _changes(score)
    first = {field[0]: field for field in changes.pop(0, [])}
    header += [first.get("M", "M:none"), "L:1/4", *filter(None, [first.get("Q")])]
    header += [first.get("K", "K:none")]
    bars = _bars(score)
    lines = []
    for number, moments in enumerate(voices, start=1):
        lines += [f"V:{number}"] if len(voices) > 1 else []
        lines += _Writer(header[-1], changes, bars).lines(moments, score.length_ticks)
    return "\n".join([*header, *lines])


class _Moment(NamedTuple):
    """Notes that begin and end together, or a rest."""

    start: int
    end: int
    pitches: tuple[int, ...]


def _moments(notes: np.ndarray) -> list[_Moment]:
    """Gives the chords of a voice; none where its notes do not begin and end together."""
    found: list[_Moment] = []
    for start, together in itertools.groupby(notes.tolist(), key=lambda note: note[0]):
        chord = list(together)
        end = start + chord[0][1]
        pitches = tuple(note[2] for note in chord)
        is_one = all(note[1] == chord[0][1] for note in chord)
        if not is_one or len(set(pitches)) < len(pitches) or (found and found[-1].end > start):
            return []
        found.append(_Moment(start, end, pitches))
    return found


def _changes(score: Score) -> dict[int, list[str]]:
    """Gives the fields that set what changes at a tick; of one kind on one tick the last."""
    fields: list[tuple[int, str]] = [(t, f"M:{n}/{d}") for t, n, d in score.meters.tolist()]
    for tick, microseconds in score.tempi.tolist():
        fields.append((tick, f"Q:1/4={_decimal(60e6 / microseconds)}"))
    for tick, sharps, is_minor in score.keys.tolist():
        tonic = (_MINOR_TONICS if is_minor else _TONICS)[sharps + 7]
        fields.append((tick, f"K:{tonic}{'m' if is_minor else ''}"))
    found: dict[int, list[str]] = {}
    for tick, field in fields:
        others = [other for other in found.get(tick, []) if other[0] != field[0]]
        found[tick] = [*others, field]
    return found


def _decimal(number: float) -> str:
    return f"{number:.9f}".rstrip("0").rstrip(".")


def _bars(score: Score) -> frozenset[int]:
    """Gives the ticks of bar lines, counted from each meter."""
    found: set[int] = set()
    meters = score.meters.tolist()
    last = (score.length_ticks, 4, 4)
    for (tick, numerator, denominator), (end, _, _) in itertools.pairwise([*meters, last]):
        bar, rest = divmod(4 * GRID * numerator, denominator)
        if not rest:
            found |= {*range(tick, end, bar)}
    return frozenset(found - {0})


def _one_line(text: str) -> str:
    return text.split("\n")[0].replace("%", "\\%").strip()


class _Writer:
    """Writes one voice, from its first bar to the last."""

    def __init__(self, key: str, changes: Mapping[int, list[str]], bars: frozenset[int]) -> None:
        self.changes, self.bars = changes, bars
        self.stops = sorted({*changes, *bars})
        self.words: list[str] = []
        self.bars_written = 0
        self.tied: set[tuple[int, int]] = set()  # (letter, semitones) of notes that go on.
        self._set_key(key)

    def lines(self, moments: list[_Moment], end: int) -> list[str]:
        now = 0
        for moment in [*moments, _Moment(end, end, ())]:
            if moment.start > now:
                self._write(_Moment(now, moment.start, ()))
            if moment.end > moment.start:
                self._write(moment)
            now = moment.end
        return "".join([*self.words, "|]"]).split("\n")

    def _write(self, moment: _Moment) -> None:
        """Writes a chord or a rest, in pieces that are tied where something stands between."""
        first = bisect.bisect_right(self.stops, moment.start)
        inside = self.stops[first : bisect.bisect_left(self.stops, moment.end)]
        for start, end in itertools.pairwise([moment.start, *inside, moment.end]):
            self._write_stop(start)
            names = [self._name(pitch) for pitch in moment.pitches] or ["z"]
            chord = names[0] if len(names) == 1 else f"[{''.join(names)}]"
            tie = "-" if moment.pitches and end < moment.end else ""
            self.words.append(f"{chord}{_length(Fraction(end - start, GRID))}{tie}")
            self.tied = {self.spelling[pitch % 12] for pitch in moment.pitches} if tie else set()

    def _write_stop(self, tick: int) -> None:
        if tick in self.bars:
            self.bars_written += 1
            self.words.append("|" if self.bars_written % BARS_PER_LINE else "|\n")
            self.signed.clear()
        for field in self.changes.get(tick, []):
            self.words.append(f"[{field}]")
            if field[0] == "K":
                self._set_key(field)

    def _set_key(self, field: str) -> None:
        key = abc_keys.key(field[2:])
        self.alterations = key.alterations
        self.signed: set[int] = set()  # Letters with an accidental since the bar line.
        altered = (0, -1) if key.sharps < 0 else (0, 1)
        spellings = [(place, half) for half in altered for place in range(7)]
        spellings += list(enumerate(self.alterations))
        # The last that is said of a pitch class counts: that of the signature.
        self.spelling = {(_NATURALS[place] + half) % 12: (place, half) for place, half in spellings}

    def _name(self, pitch: int) -> str:
        place, half_tones = self.spelling[pitch % 12]
        octave = (pitch - half_tones) // 12 - 5
        letter = LETTERS[place] if octave <= 0 else LETTERS[place].lower()
        marks = "," * -octave if octave < 0 else "'" * (octave - 1)
        # A tie carries the accidental of its letter, of which [F^F]- has two.
        is_doubtful = any(other == place and half != half_tones for other, half in self.tied)
        sign = ""
        if is_doubtful or place in self.signed or half_tones != self.alterations[place]:
            self.signed.add(place)
            sign = _SIGNS[half_tones]
        return f"{sign}{letter}{marks}"


def _length(quarters: Fraction) -> str:
    numerator, denominator = quarters.numerator, quarters.denominator
    text = "" if numerator == 1 else str(numerator)
    return text if denominator == 1 else f"{text}/{denominator}"
