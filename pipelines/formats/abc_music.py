"""Parses the text of an ABC tune to its voices as written.

Pitches and lengths are resolved here and in `abc_sounds`; the order in which parts and repeats
are played in `abc_repeats`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from fractions import Fraction

from pipelines.formats import abc_fields
from pipelines.formats.abc_fields import AbcError, Key, Meter
from pipelines.formats.abc_sounds import Sounds
from pipelines.formats.abc_tokens import (
    FIELD_LINE,
    TOKEN,
    Tune,
    Voice,
    lines_outside_blocks,
    spread_said,
)

MOST_VOICES = 256

_COMMENT = re.compile(r"(?<!\\)%")
# Fields that only describe a tune, or go on with such a one.
_DESCRIPTIONS = frozenset("ABDFGHNORSXZr+")
_LEFT_OUT = {
    "w": "lines of lyrics",
    "W": "lines of lyrics",
    "s": "symbol lines",
    "m": "macros",
    "U": "redefined symbols",
}


def parse(text: str, lenient: bool = False) -> Tune:
    """Reads the text of one tune.

    Args:
      lenient: whether to skip and count what cannot be parsed, in place of an error.

    Raises:
      AbcError: something cannot be read.
    """
    return _Reader(lenient).read(text)


class _Reader:
    def __init__(self, lenient: bool) -> None:
        self.tune, self.lenient = Tune(), lenient
        self.sounds = Sounds(self.tune)
        self.voice: Voice | None = None
        self.is_body = False
        # As the header sets them.
        self.key = Key()
        self.meter: Meter | None = Meter(4, 4)
        self.unit: Fraction | None = None
        self.tempo: int | None = None
        self.tempo_text = self.order_text = self.other_order_text = ""

    def read(self, text: str) -> Tune:
        for number, line in lines_outside_blocks(text):
            try:
                self._line(line, number)
            except AbcError as error:
                self._fault(error, number, 0)
        if not self.is_body:
            self._fault(AbcError("it has no K: field, which ends the header of a tune"), 0, 0)
        for voice in self.tune.voices.values():
            self.tune.doubtful["tuplets of too few notes"] += voice.tuplet_left > 0
            self.tune.doubtful["broken rhythms without two notes"] += voice.broken is not None
        return self.tune

    def _fault(self, error: AbcError, line: int, column: int) -> None:
        if not self.lenient:
            raise AbcError(error.text, error.line or line, error.column or column) from None
        self.tune.faults += 1

    # Lines.

    def _line(self, line: str, number: int) -> None:
        if line.startswith("%%"):
            return self._directive(line[2:])
        if "%" in line:
            line = _COMMENT.split(line, maxsplit=1)[0]
        line = line.rstrip()
        found = FIELD_LINE.match(line)
        if found is not None:
            return self._field(*found.groups())
        if not line:
            return None
        if not self.is_body and not self.lenient:
            self.tune.doubtful["lines of the header that are no field"] += 1
            return None
        return self._music(line, number)

    def _directive(self, text: str) -> None:
        spread = spread_said(text)
        self.sounds.spread = spread or self.sounds.spread
        self.tune.left_out["directives"] += bool(text.strip()) and not spread

    def _music(self, line: str, number: int) -> None:
        if not self.is_body:
            self._begin_body()
        for token in TOKEN.finditer(line):
            kind = token.lastgroup
            if kind == "space":
                continue
            try:
                if kind == "field":
                    self._field(*token.group(token.lastindex + 1, token.lastindex + 2))  # type: ignore[operator]
                else:
                    self.sounds.add(self.voice or self._first_voice(), token)
            except AbcError as error:
                self._fault(error, number, token.start() + 1)

    def _begin_body(self) -> None:
        """Ends the header; what it says is now in force."""
        self.is_body = True
        if self.tempo_text:
            self._set_tempo(self.tempo_text)
        for voice in self.tune.voices.values():
            voice.key, voice.meter, voice.unit = self.key, self.meter, self._unit()
        try:
            self.tune.order = abc_fields.part_order(self.order_text or self.other_order_text)
        except AbcError:
            self.tune.doubtful["orders of parts in words"] += 1

    def _first_voice(self) -> Voice:
        """Takes the first voice that the header names, or else one without a name."""
        if not self.tune.voices:
            self._add_voice("")
        self.voice = next(iter(self.tune.voices.values()))
        return self.voice

    def _add_voice(self, name: str) -> Voice:
        if len(self.tune.voices) == MOST_VOICES:
            raise AbcError(f"voice {name[:20]!r}: expected up to {MOST_VOICES} voices")
        voice = Voice(self.key, self.meter, self._unit(), self.tempo)
        self.tune.voices[name] = voice
        return voice

    def _unit(self) -> Fraction:
        return self.unit if self.unit is not None else abc_fields.default_unit(self.meter)

    # Fields.

    def _field(self, name: str, text: str) -> None:
        if name in _SET:
            _SET[name](self, text.strip())
        elif name == "I":
            self._directive(text)
        elif name in _LEFT_OUT:
            self.tune.left_out[_LEFT_OUT[name]] += 1
        elif name not in _DESCRIPTIONS:
            self.tune.doubtful["fields without a meaning"] += 1

    def _set_title(self, text: str) -> None:
        self.tune.title = self.tune.title or text

    def _set_composer(self, text: str) -> None:
        self.tune.composer = self.tune.composer or text

    def _voices_meant(self) -> list[Voice]:
        """The voice that a field of the body is for; all of them before the first sound."""
        if self._has_sounds():
            return [self.voice] if self.voice is not None else []
        return list(self.tune.voices.values())

    def _has_sounds(self) -> bool:
        return any(voice.last is not None for voice in self.tune.voices.values())

    def _set_key(self, text: str) -> None:
        names_none = abc_fields.names_no_key(text)
        key = abc_fields.key(text)
        if self.is_body and names_none:
            key = self.key._replace(semitones=key.semitones)
        if not self._has_sounds():
            self.key = key
        for voice in self._voices_meant():
            voice.key, voice.state, voice.in_bar = key, None, {}
        if not key.is_plain and not names_none:
            self.tune.left_out["signatures that no key has"] += 1
        if not self.is_body:
            self._begin_body()

    def _set_meter(self, text: str) -> None:
        meter = abc_fields.meter(text)
        if not self._has_sounds():
            self.meter = meter
        for voice in self._voices_meant():
            voice.meter, voice.state = meter, None

    def _set_unit(self, text: str) -> None:
        unit = abc_fields.unit(text)
        if not self._has_sounds():
            self.unit = unit
        for voice in self._voices_meant():
            voice.unit, voice.lengths = unit, {}

    def _set_tempo(self, text: str) -> None:
        if not self.is_body:
            self.tempo_text = text  # The unit length, which it may count, can still change.
            return
        unit = self._unit() if self.voice is None else self.voice.unit
        tempo = abc_fields.tempo(text, unit)
        if tempo is None:
            self.tune.left_out["tempi in words"] += 1
            return
        self.tempo = tempo
        for voice in self.tune.voices.values():
            voice.tempo, voice.state = tempo, None

    def _set_part(self, text: str) -> None:
        if not self.is_body:
            self.order_text = text
        elif re.match(r"[A-Z]\b", text):
            self.sounds.part = text
        else:
            self.tune.left_out["words in P: fields"] += 1

    def _set_other_order(self, text: str) -> None:
        """The cleaned Nottingham collection writes the order of parts in a field Y:."""
        self.other_order_text = text

    def _set_voice(self, text: str) -> None:
        if not text:
            raise AbcError("voice '': expected a name")
        name, *properties = text.split(maxsplit=1)
        voice = self.tune.voices.get(name) or self._add_voice(name)
        if properties:
            voice.semitones = abc_fields.semitones(properties[0])
        if self.is_body:
            self.voice = voice


_SET: dict[str, Callable[[_Reader, str], None]] = {
    "C": _Reader._set_composer,
    "K": _Reader._set_key,
    "L": _Reader._set_unit,
    "M": _Reader._set_meter,
    "P": _Reader._set_part,
    "Q": _Reader._set_tempo,
    "T": _Reader._set_title,
    "V": _Reader._set_voice,
    "Y": _Reader._set_other_order,
}
