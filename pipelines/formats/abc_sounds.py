"""Sounds, bar lines and endings of an ABC voice, from the tokens of its music.

ABC 2.1, section 4. Accidentals last to the end of the bar, in all octaves unless
%%propagate-accidentals says otherwise (section 11.3); a note that another is tied to keeps
the accidental of that one.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from fractions import Fraction
from typing import Any

from pipelines.formats import abc_fields, abc_overlays
from pipelines.formats.abc_fields import LETTERS, AbcError
from pipelines.formats.abc_tokens import (
    TOKEN,
    Bar,
    Ending,
    Part,
    Pitched,
    Sound,
    State,
    Tune,
    Voice,
)
from pipelines.formats.dynamics import LEVELS

MEANINGLESS = "characters without a meaning"
NOTHING = "notes of length 0"
DRUMS = 10  # The MIDI channel of drums, from 1.
MOST_PASSES = 16  # Highest number of an ending, and most times that a section is played.

_NATURAL = dict(zip(LETTERS + LETTERS.lower(), (60, 62, 64, 65, 67, 69, 71) * 2, strict=True))
_NATURAL |= {letter: pitch + 12 for letter, pitch in _NATURAL.items() if letter.islower()}
_STEPS = {letter: place for place, letter in enumerate(LETTERS + LETTERS.lower())}
_TIME_OF_TUPLET = {2: 3, 3: 2, 4: 3, 6: 2, 8: 3}  # Others as the meter is, section 4.13.
_JUMPS = frozenset(("d.c.", "d.s.", "dacapo", "dacoda", "fine", "segno", "coda"))
_CLOSING = {"[": "notes and ]", "{": "notes and }", '"': 'text and "'}


class Sounds:
    """Adds tokens to the voices of a tune.

    Attributes:
      spread: one of `abc_tokens.SPREADS`.
      part: the label of the part that the next sound belongs to.
      symbols: {letter: decoration} of U: fields.
    """

    def __init__(self, tune: Tune) -> None:
        self.tune, self.left_out, self.doubtful = tune, tune.left_out, tune.doubtful
        self.spread, self.part = "pitch", ""
        self.symbols: dict[str, str] = {}
        self._lengths: dict[tuple[int, int], int] = {}
        self._nothing = -1  # The index of a length of 0, once there is one.

    def add(self, voice: Voice, token: re.Match[str]) -> None:
        """Adds a token of any kind but "space" and "field".

        Raises:
          AbcError: it cannot be read; without line and column.
        """
        kind: str = token.lastgroup  # type: ignore[assignment]
        if voice.overlay is not None and kind not in _STRUCTURE:
            voice = voice.overlay.voice
        _ADD[kind](self, voice, token)

    # Lengths.

    def _index(self, length: Fraction) -> int:
        pair = length.numerator, length.denominator
        index = self._lengths.get(pair)
        if index is None:
            if max(pair) > 10**abc_fields.MOST_DIGITS:
                raise AbcError(f"a length of {length} quarters: expected less, or less small parts")
            index = self._lengths[pair] = len(self.tune.lengths)
            self.tune.lengths.append(length)
            if not length:
                self._nothing = index
        return index

    def _length(self, voice: Voice, text: str) -> int:
        """Gives the length of the next note or rest, as an index in `Tune.lengths`."""
        index = voice.lengths.get(text)
        if index is None:
            index = voice.lengths[text] = self._index(voice.unit * abc_fields.length(text))
        if voice.tuplet_left or voice.broken is not None:
            length = self.tune.lengths[index]
            if voice.broken is not None:
                length, voice.broken = length * voice.broken, None
            if voice.tuplet_left:
                length, voice.tuplet_left = length * voice.tuplet, voice.tuplet_left - 1
            index = self._index(length)
        return index

    def _broken(self, voice: Voice, token: re.Match[str]) -> None:
        signs = token.group()
        if len(signs) > 3:
            raise AbcError(f"broken rhythm {signs[:8]!r}: expected one to three of > or <")
        if voice.last is None or voice.broken is not None:
            self.doubtful["broken rhythms without two notes"] += 1
            return
        short = Fraction(1, 2 ** len(signs))
        before, after = (2 - short, short) if signs[0] == ">" else (short, 2 - short)
        voice.last.length = self._index(self.tune.lengths[voice.last.length] * before)
        voice.broken = after

    def _tuplet(self, voice: Voice, token: re.Match[str]) -> None:
        """Begins a tuplet p:q:r, p notes in the time of q, for the next r notes."""
        p, q, r = (abc_fields.number(text) if text else None for text in _parts(token, 3))
        if q is None and p is not None and 2 <= p <= 9:
            is_compound = voice.meter is not None and voice.meter.is_compound
            q = _TIME_OF_TUPLET.get(p, 3 if is_compound else 2)
        r = p if r is None else r
        if not (p and q and r):
            raise AbcError(f"tuplet {token.group()}: expected (p with p from 2 to 9, or (p:q:r")
        if voice.tuplet_left:
            self.doubtful["tuplets that another cuts short"] += 1
        voice.tuplet, voice.tuplet_left = Fraction(q, p), r

    # Notes.

    def _put(self, voice: Voice, pitches: tuple[int, ...], length: int) -> Sound:
        if voice.part != self.part:
            voice.part = self.part
            voice.items.append(Part(self.part))
        state = voice.state
        if state is None:
            program, is_drum = voice.program, voice.channel == DRUMS
            state = voice.state = State(
                voice.key, voice.meter, voice.tempo, voice.velocity, program, is_drum
            )
        sound = voice.last = Sound(pitches, length, state)
        voice.items.append(sound)
        return sound

    def _pitched(self, voice: Voice, sign: str, letter: str, octaves: str) -> Pitched:
        octave = octaves.count("'") - octaves.count(",") if octaves else 0
        steps = _STEPS[letter] + 7 * octave
        place = steps if self.spread == "octave" else steps % 7
        if sign:
            if sign not in abc_fields.ALTERATIONS:
                raise AbcError(f"accidental {sign[:8]!r}: expected one of ^^ ^ = _ __")
            half_tones = abc_fields.ALTERATIONS[sign]
            if self.spread != "not":
                voice.in_bar[place] = half_tones
        elif steps in voice.tied:
            half_tones = voice.tied[steps]
        elif place in voice.in_bar:
            half_tones = voice.in_bar[place]
        else:
            half_tones = voice.key.alterations[steps % 7]
        moved = 12 * octave + half_tones + voice.semitones
        return Pitched(steps, half_tones, _NATURAL[letter] + moved)

    def _note(self, voice: Voice, token: re.Match[str]) -> None:
        sign, letter, octaves, length_text, tie = token.group(2, 3, 4, 5, 6)
        note = self._pitched(voice, sign, letter, octaves)
        self._add_sound(voice, (note,), self._length(voice, length_text))
        if tie:
            self._tie(voice, token)

    def _chord(self, voice: Voice, token: re.Match[str]) -> None:
        self._chord_of(voice, *_parts(token, 3))

    def _old_chord(self, voice: Voice, token: re.Match[str]) -> None:
        self._chord_of(voice, _parts(token, 1)[0], "", "")

    def _chord_of(self, voice: Voice, content: str, length_text: str, tie: str) -> None:
        """Adds a chord, which is as long as its first note, section 4.17."""
        notes: list[Pitched] = []
        tied: list[Pitched] = []
        first_length = ""
        silent: list[Pitched] = []  # Of length 0.
        for inside in TOKEN.finditer(content):
            kind = inside.lastgroup
            if kind == "note":
                sign, letter, octaves, own_length, own_tie = inside.group(2, 3, 4, 5, 6)
                note = self._pitched(voice, sign, letter, octaves)
                if own_length and not abc_fields.length(own_length):
                    silent.append(note)
                    continue
                first_length = first_length if notes else own_length
                notes.append(note)
                tied += [note] if own_tie else []
            elif kind in ("text", "decoration", "slur"):
                self.add(voice, inside)
            elif kind == "rest":
                self.doubtful["rests in chords"] += 1
            elif kind != "space":
                raise AbcError(f"chord [{content[:20]}]: expected nothing but notes in it")
        if notes:
            self.doubtful[NOTHING] += len(silent)
        elif silent:
            notes, first_length = silent, "0"
        else:
            raise AbcError(f"chord [{content[:20]}]: expected notes in it")
        length = abc_fields.length(first_length) * abc_fields.length(length_text)
        self._add_sound(voice, tuple(notes), self._length(voice, str(length)))
        if tie:
            self._tie(voice, inside)
        elif tied and voice.last is not None:
            voice.tied = {note.steps: note.half_tones for note in tied}
            voice.last.tied = tuple(note.pitch for note in tied)

    def _add_sound(self, voice: Voice, notes: tuple[Pitched, ...], length: int) -> None:
        if voice.tied:
            voice.tied = {}
        if length == self._nothing:
            self.doubtful[NOTHING] += len(notes)
            notes = ()
        voice.last_notes = notes
        pitches = tuple([note.pitch for note in notes])
        if pitches and (min(pitches) < 0 or max(pitches) > 127):
            inside = tuple(pitch for pitch in pitches if 0 <= pitch <= 127)
            self.left_out["notes outside MIDI's pitches"] += len(pitches) - len(inside)
            pitches = inside
        self._put(voice, pitches, length)

    def _tie(self, voice: Voice, _: re.Match[str]) -> None:
        if voice.last is None or not voice.last_notes:
            self.doubtful["ties without a note"] += 1
            return
        voice.tied = {note.steps: note.half_tones for note in voice.last_notes}
        voice.last.tied = voice.last.pitches

    def _rest(self, voice: Voice, token: re.Match[str]) -> None:
        letter, length_text = _parts(token, 2)
        if letter in "ZX":  # Whole bars.
            bar = voice.meter.quarters if voice.meter is not None else Fraction(4)
            length = self._index(bar * abc_fields.length(length_text))
            voice.is_free = True
        else:
            length = self._length(voice, length_text)
        if length == self._nothing:
            self.doubtful["rests of length 0"] += 1
        voice.tied, voice.last_notes = {}, ()
        self._put(voice, (), length)

    # Bar lines.

    def _bar(self, voice: Voice, token: re.Match[str]) -> None:
        text, passes = _parts(token, 2)
        voice.in_bar = {}
        line = text.strip(".[]")
        ends, starts = len(line) - len(line.lstrip(":")), len(line) - len(line.rstrip(":"))
        if line == ":" and voice.items and isinstance(voice.items[-1], Bar):
            ends = 0  # The rest of ":|:" whose bar line stands on the line before.
        elif ends == len(line) > 0:  # "::" is ":||:".
            ends, starts = max(1, ends // 2), ends // 2
        if ends >= MOST_PASSES:
            raise AbcError(f"{ends} repeats: expected up to {MOST_PASSES - 1}")
        is_double = "||" in line or text.strip(".") in ("|]", "[|")
        bar = Bar(ends + 1 if ends else 0, starts > 0, is_double, voice.is_free)
        if voice.overlay is not None:
            is_plain = bar == Bar() and not passes
            if not abc_overlays.ends_at_bar(voice, self.tune, is_plain):
                return
        if voice.overlays:
            abc_overlays.forget_ties(voice)
        voice.items.append(bar)
        voice.is_free = False
        if passes:
            self._put_ending(voice, passes)

    def _ending(self, voice: Voice, token: re.Match[str]) -> None:
        self._put_ending(voice, *_parts(token, 1))

    def _put_ending(self, voice: Voice, text: str) -> None:
        """Begins an ending such as 1 or 1,3 or 1-3, section 4.10."""
        passes: set[int] = set()
        for group in text.split(","):
            first, _, last = group.partition("-")
            bounds = [abc_fields.number(number) for number in (first, last or first)]
            if not 1 <= bounds[0] <= bounds[1] <= MOST_PASSES:
                raise AbcError(f"ending {text[:20]!r}: expected numbers from 1 to {MOST_PASSES}")
            passes |= set(range(bounds[0], bounds[1] + 1))
        voice.items.append(Ending(frozenset(passes)))

    def _overlay(self, voice: Voice, token: re.Match[str]) -> None:
        abc_overlays.begin(voice, self.tune, len(token.group()))

    # What a Score does not hold.

    def _text(self, _: Voice, token: re.Match[str]) -> None:
        is_chord = "A" <= token.group()[1] <= "G"
        self.left_out["chord symbols" if is_chord else "annotations"] += 1

    def _named_ending(self, _: Voice, __: re.Match[str]) -> None:
        self.left_out["endings with a name"] += 1

    def _slur(self, _: Voice, token: re.Match[str]) -> None:
        self.left_out["slurs"] += token.group() == "("

    def _grace(self, _: Voice, token: re.Match[str]) -> None:
        self.left_out["grace notes"] += sum(letter in _NATURAL for letter in token.group())

    def _decoration(self, voice: Voice, token: re.Match[str]) -> None:
        name = token.group().strip("!+")
        name = self.symbols.get(name, name)
        if name in LEVELS:
            voice.velocity, voice.state = LEVELS[name], None
        elif name.lower() in _JUMPS:
            self.left_out["jumps (D.C., D.S., fine, segno, coda)"] += 1
        else:
            self.left_out["decorations"] += 1

    def _spacer(self, _: Voice, __: re.Match[str]) -> None:
        """Space in print."""

    def _other(self, _: Voice, token: re.Match[str]) -> None:
        sign = token.group()
        if sign in _CLOSING:
            raise AbcError(f"{sign!r} is left open: expected {_CLOSING[sign]}")
        self.doubtful[MEANINGLESS] += 1


# Kinds of tokens that are for the voice that an overlay lies over.
_STRUCTURE = frozenset(("bar", "ending", "named_ending", "overlay"))


def _parts(token: re.Match[str], count: int) -> tuple[Any, ...]:
    """Gives the first parts of a token: the groups behind its own."""
    first = (token.lastindex or 0) + 1
    return tuple(token.group(group) for group in range(first, first + count))


_ADD: dict[str, Callable[[Sounds, Voice, re.Match[str]], None]] = {
    "note": Sounds._note,
    "bar": Sounds._bar,
    "ending": Sounds._ending,
    "chord": Sounds._chord,
    "old_chord": Sounds._old_chord,
    "named_ending": Sounds._named_ending,
    "text": Sounds._text,
    "rest": Sounds._rest,
    "broken": Sounds._broken,
    "tuplet": Sounds._tuplet,
    "slur": Sounds._slur,
    "tie": Sounds._tie,
    "grace": Sounds._grace,
    "spacer": Sounds._spacer,
    "decoration": Sounds._decoration,
    "overlay": Sounds._overlay,
    "other": Sounds._other,
}
