"""Parses the text of an ABC tune to its voices as written.

Pitches and lengths are resolved here and in `abc_sounds`; the order in which parts and repeats
are played in `abc_repeats`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from fractions import Fraction

from pipelines.formats import abc_fields, abc_keys, abc_overlays
from pipelines.formats.abc_fields import AbcError, Meter
from pipelines.formats.abc_keys import Key
from pipelines.formats.abc_sounds import DRUMS, Sounds
from pipelines.formats.abc_tokens import (
    FIELD_LINE,
    TOKEN,
    Tune,
    Voice,
    lines_outside_blocks,
    spread_said,
)
from pipelines.formats.dynamics import LEVELS

MOST_VOICES = 256

_COMMENT = re.compile(r"(?<!\\)%")
# Fields that only describe a tune, or go on with such a one.
_DESCRIPTIONS = frozenset("ABDFGHNORSXZr+")
_LEFT_OUT = {
    "w": "lines of lyrics",
    "W": "lines of lyrics",
    "s": "symbol lines",
    "m": "macros",
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
        self.voice: Voice | None = None  # In the header, the last that it names.
        self.is_body = self.breaks_lines_at_bang = False
        self.line = 0
        # As the header sets them, for all voices.
        self.key = Key()
        self.meter: Meter | None = Meter(4, 4)
        self.unit: Fraction | None = None
        self.tempo: int | None = None
        self.moves: dict[str, int] = {}
        self.program, self.programs = 0, dict[int, int]()  # Without a channel, and of each.
        self.meter_error: AbcError | None = None
        self.tempo_texts: list[str] = []
        self.order_text = self.other_order_text = ""

    def read(self, text: str) -> Tune:
        for number, line in lines_outside_blocks(text):
            self.line = number
            try:
                self._line(line, number)
            except AbcError as error:
                self._fault(error, number, 0)
        if not self.is_body:
            self._fault(AbcError("it has no K: field, which ends the header of a tune"), 0, 0)
        for voice in self.tune.voices.values():
            abc_overlays.end(voice, self.tune)
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
        name, *words = text.split("%")[0].replace("=", " ").split() or [""]
        if spread := spread_said(text):
            self.sounds.spread = spread
        elif name == "linebreak":
            self.breaks_lines_at_bang = "!" in words
        elif name and not (name.upper() == "MIDI" and self._play_as(words)):
            self.tune.left_out["directives"] += 1

    def _play_as(self, words: list[str]) -> bool:
        """Follows a directive of abc2midi; tells whether it is one of those that are read."""
        name, *texts = words or [""]
        if not all(re.fullmatch(r"-?\d{1,3}", text) for text in texts):
            return False
        numbers = [int(text) for text in texts]
        voices = self._voices_meant()
        if name == "program" and len(numbers) in (1, 2) and 0 <= numbers[-1] <= 127:
            if len(numbers) == 2:
                self.programs[numbers[0]] = numbers[1]
                voices = [v for v in self.tune.voices.values() if v.channel == numbers[0]]
            elif self.voice is None:
                self.program = numbers[0]
            for voice in voices:
                voice.program = numbers[-1]
        elif name == "channel" and len(numbers) == 1 and 1 <= numbers[0] <= 16:
            for voice in voices:
                voice.channel = numbers[0]
                voice.program = self.programs.get(voice.channel, voice.program)
        elif name in ("transpose", "rtranspose") and len(numbers) == 1 and abs(numbers[0]) < 128:
            is_relative = name == "rtranspose"
            if self.voice is None:
                self.moves["MIDI"] = numbers[0] + is_relative * self.moves.get("MIDI", 0)
            for voice in voices:
                voice.move({"MIDI": numbers[0] + is_relative * voice.moves.get("MIDI", 0)})
        else:
            return False
        for voice in voices:
            voice.state = None
        return True

    def _music(self, line: str, number: int) -> None:
        if not self.is_body:
            self._begin_body()
        if self.breaks_lines_at_bang:
            line = line.replace("!", " ")
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
        self.is_body, self.voice = True, None
        is_unsure = self.unit is None and self.meter_error is not None
        self.unit = self._unit()
        for text in self.tempo_texts:
            self._set_tempo(text)
        for voice in self.tune.voices.values():
            voice.key, voice.meter, voice.unit = self.key, self.meter, self.unit
            voice.move({**self.moves, **voice.moves})
        try:
            self.tune.order = abc_fields.part_order(self.order_text or self.other_order_text)
        except AbcError:
            self.tune.doubtful["orders of parts in words"] += 1
        if is_unsure and self.meter_error is not None:
            raise self.meter_error

    def _first_voice(self) -> Voice:
        """Takes the first voice that the header names, or else the one that others call 1."""
        if not self.tune.voices:
            self._add_voice("1")
        self.voice = next(iter(self.tune.voices.values()))
        return self.voice

    def _add_voice(self, name: str) -> Voice:
        if len(self.tune.voices) == MOST_VOICES:
            raise AbcError(f"voice {name[:20]!r}: expected up to {MOST_VOICES} voices")
        voice = Voice(self.key, self.meter, self._unit(), self.tempo)
        place = len(self.tune.voices)
        voice.channel = place + 1 if place < DRUMS - 1 else min(place + 2, 16)
        voice.program = self.programs.get(voice.channel, self.program)
        voice.move(self.moves if self.is_body else {})
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
        """The voices that a field is for: that in force, with its overlay, or else all."""
        if self.voice is None:
            return list(self.tune.voices.values())
        overlay = self.voice.overlay
        return [self.voice] if overlay is None else [self.voice, overlay.voice]

    def _is_for_all(self) -> bool:
        """Whether a field is for all voices: in the header, or before a voice is in force."""
        return not self.is_body or self.voice is None

    def _set_key(self, text: str) -> None:
        key, moves = abc_keys.key(text), abc_keys.transpositions(text)
        is_key = not abc_keys.names_no_key(text)
        if self._is_for_all():
            self.key = key if is_key or not self.is_body else self.key
            self.moves |= moves
        if not self.is_body:
            self._begin_body()
        else:
            for voice in self._voices_meant():
                voice.move(moves)
                if is_key:
                    voice.key, voice.state, voice.in_bar = key, None, {}
        if not key.is_plain and is_key:
            self.tune.left_out["signatures that no key has"] += 1

    def _set_meter(self, text: str) -> None:
        self.meter_error = None
        try:
            meter = abc_fields.meter(text)
        except AbcError as error:
            meter = abc_fields.meter_in(text)
            self.tune.doubtful["meters that are not clear"] += 1
            if meter is None:  # The unit length, if no L: gives it, is not clear either.
                self.meter_error = AbcError(f"{error.text}, or a field L:", self.line)
        if self._is_for_all():
            self.meter = meter
        for voice in self._voices_meant():
            voice.meter, voice.state = meter, None

    def _set_unit(self, text: str) -> None:
        try:
            unit = abc_fields.unit(text)
        except AbcError:
            words = abc_fields.unit_in(text)
            if words is None:
                raise
            unit = words
            self.tune.doubtful["unit lengths that are not clear"] += 1
        if self._is_for_all():
            self.unit = unit
        for voice in self._voices_meant():
            voice.unit, voice.lengths = unit, {}

    def _set_tempo(self, text: str) -> None:
        if not self.is_body:
            self.tempo_texts.append(text)  # The unit length, which it may count, can still change.
            return
        unit = self._unit() if self.voice is None else self.voice.unit
        tempo = abc_fields.tempo(text, unit)
        if tempo is None:
            is_number = re.search(r"\d", re.sub('"[^"]*"', "", text))
            self.tune.doubtful["tempi that are not clear"] += bool(is_number)
            self.tune.left_out["tempi in words"] += not is_number
            return
        if self._is_for_all():
            self.tempo = tempo
        for voice in self._voices_meant():
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
            voice.move(abc_keys.transpositions(properties[0]))
        self.voice = voice

    def _define_symbol(self, text: str) -> None:
        found = re.fullmatch(r"([H-Wh-w~])\s*=\s*[!+]?([^!+]+)[!+]?", text)
        if found is not None:
            self.sounds.symbols[found[1]] = found[2]
        if found is None or found[2] not in LEVELS:
            self.tune.left_out["redefined symbols"] += 1


_SET: dict[str, Callable[[_Reader, str], None]] = {
    "C": _Reader._set_composer,
    "K": _Reader._set_key,
    "L": _Reader._set_unit,
    "M": _Reader._set_meter,
    "P": _Reader._set_part,
    "Q": _Reader._set_tempo,
    "T": _Reader._set_title,
    "U": _Reader._define_symbol,
    "V": _Reader._set_voice,
    "Y": _Reader._set_other_order,
}
