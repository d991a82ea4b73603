"""ABC tunes -> Scores. ABC 2.1, without music21, a piece a tune.

Repeats, endings and the order of parts are played out. Each voice (V:) is a track.
Velocities follow !p! to !ff!; before the first they are mf.

Lost, and counted in `Reading.left_out`: grace notes, to which notation gives no time; chord
symbols, annotations, decorations, slurs; overlays (&); lyrics; jumps such as D.C.; directives
(%%). Modes other than minor keep their signature alone.
"""

from __future__ import annotations

import collections
import dataclasses
import functools
import itertools
import os
import re
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from pipelines.formats import abc_music, abc_repeats
from pipelines.formats.abc_fields import AbcError
from pipelines.formats.abc_sounds import MEANINGLESS
from pipelines.formats.abc_tokens import Bar, Sound, State, Voice
from pipelines.formats.abc_tokens import Tune as ParsedTune
from pipelines.formats.music21_stream import ticks_holding
from pipelines.score import Score
from pipelines.score_arrays import KEY, LAST_TICK, METER, NOTE, TEMPO

__all__ = [
    "MEANINGLESS",
    "AbcError",
    "Reading",
    "Tune",
    "read",
    "read_tune",
    "tune_numbers",
    "tunes",
    "tunes_of_file",
]

LARGEST_BYTES = 64 * 2**20  # Of a file of tunes.
LARGEST_TUNE = 2**18  # Characters.
MOST_NOTES = 100_000  # Of a tune with its repeats; rests and bar lines count.
PARTS = 2**20  # Of a tick, in sums of lengths that no tick holds.

_FIRST_LINE = re.compile(r"(?m)^X:(?![|:])")  # X:| is a rest and a repeat.
_BLANK_LINE = re.compile(r"\n[ \t]*(?=\n)")
_KEY_LINE = re.compile(r"(?m)^K:")


@dataclasses.dataclass(frozen=True)
class Tune:
    """A tune of a file, as text.

    Attributes:
      number: of its X: field; where that is missing or was used before, the next that is
        above all others in the file.
      title: its first T: field.
      text: from X: up to the blank line that ends it, with the fields of the file's header
        behind X:. Lines end in a line feed, whatever they end in there.
      line: its first line in the file, from 1.
    """

    number: int
    title: str
    text: str
    line: int


@dataclasses.dataclass(frozen=True)
class Reading:
    """A Score, and the account of what of the tune is not in it.

    Attributes:
      score: the piece; `score.abc` is the tune's text.
      left_out: what the tune uses that a Score does not hold, or that is not followed here,
        and how often.
      doubtful: what seems wrong in the tune, how often, and was taken as it seems meant.
      faults: what cannot be read and was passed over; only by `read_tune(goes_on=True)`.
    """

    score: Score
    left_out: Mapping[str, int]
    doubtful: Mapping[str, int]
    faults: int = 0


# Files.


def tunes(text: str) -> list[Tune]:
    """Takes a file of tunes apart; what is between them is left out.

    A tune begins with X:, or without one where a block of lines has a field K:. It ends at a
    blank line or at the next X:.
    """
    text = text.replace("\r\n", "\n").replace("\r", "\n").removeprefix("\ufeff")
    found: list[tuple[str, int]] = []
    header, line = "", 1
    for block in _BLANK_LINE.split(text):
        starts = [match.start() for match in _FIRST_LINE.finditer(block)]
        if not starts and _KEY_LINE.search(block):
            starts = [len(block) - len(block.lstrip("\n"))]
        elif not starts and not found and re.search(r"(?m)^[A-Z]:", block):
            header += "".join(f"{row}\n" for row in block.split("\n") if re.match("[A-Z]:", row))
        for start, end in itertools.pairwise([*starts, len(block)]):
            own = block[start:end].strip("\n")
            found.append((own, line + block.count("\n", 0, start)))
        line += block.count("\n") + 1
    numbers = _numbers([own for own, _ in found])
    return [
        Tune(number, _title(own), _with_header(own, header), at)
        for number, (own, at) in zip(numbers, found, strict=True)
    ]


def _numbers(texts: Sequence[str]) -> list[int]:
    """Gives each tune a number of its own, its X: where it can."""
    matches = [re.match(r"X:[ \t]*(\d{1,9})\b", text) for text in texts]
    said = [int(match[1]) if match else None for match in matches]
    following = max([0, *(number for number in said if number is not None)]) + 1
    taken: set[int] = set()
    for place, number in enumerate(said):
        if number is None or number in taken:
            said[place], following = following, following + 1
        taken.add(said[place])  # type: ignore[arg-type]
    return said  # type: ignore[return-value]


def _title(text: str) -> str:
    match = re.search(r"(?m)^T:(.*)", text)
    return match[1].strip() if match else ""


def _with_header(text: str, header: str) -> str:
    if not header:
        return text
    first, _, rest = text.partition("\n")
    return f"{first}\n{header}{rest}" if first.startswith("X:") else header + text


def tunes_of_file(path: str | os.PathLike[str]) -> list[Tune]:
    """Lists the tunes of a file. Raises AbcError, OSError as `read`."""
    return list(_tunes_of_file(*_version(path)).values())


def tune_numbers(path: str | os.PathLike[str]) -> list[int]:
    """Lists the numbers of the tunes of a file. Raises AbcError, OSError as `read`."""
    return list(_tunes_of_file(*_version(path)))


def _version(path: str | os.PathLike[str]) -> tuple[str, int, int]:
    """Gives what changes when a file does: its path, time and size."""
    status = Path(path).stat()
    if not stat.S_ISREG(status.st_mode):
        raise AbcError("is not a regular file", path=os.fspath(path))
    return os.fspath(path), status.st_mtime_ns, status.st_size


@functools.lru_cache(2)  # The tunes of a file are read one after the other.
def _tunes_of_file(path: str, _modified: int, _size: int) -> dict[int, Tune]:
    return {tune.number: tune for tune in tunes(_text_of(path))}


def _text_of(path: str) -> str:
    with Path(path).open("rb") as file:
        data = file.read(LARGEST_BYTES + 1)
    if len(data) > LARGEST_BYTES:
        raise AbcError(f"is larger than {LARGEST_BYTES} bytes", path=os.fspath(path))
    return decoded(data)


def decoded(data: bytes) -> str:
    """Gives bytes as text: UTF-8, or else Latin-1; most files do not say which."""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def read(path: str | os.PathLike[str], number: int | None = None) -> Reading:
    """Reads a tune of a file.

    Args:
      number: which one, as `tunes` numbers them; None where there is only one.

    Raises:
      AbcError: there is no such tune, or it cannot be read.
      OSError: the path cannot be read.
    """
    path = os.fspath(path)
    found = _tunes_of_file(*_version(path))
    if number is None and len(found) == 1:
        number = next(iter(found))
    if number not in found:
        there = f"{len(found)} tunes, {min(found)} to {max(found)}" if found else "no tune"
        wanted = "one tune" if number is None else f"tune {number}"
        raise AbcError(f"has {there}; expected {wanted}", path=path)
    try:
        return read_tune(found[number].text)
    except AbcError as error:
        name = f"{path}, tune {number}"
        raise AbcError(error.text, error.line, error.column, path=name) from error


# Tunes.


def read_tune(text: str, plays_repeats: bool = True, goes_on: bool = False) -> Reading:
    """Reads the text of one tune.

    Args:
      plays_repeats: whether repeats, endings and parts are played out, or all music is
        played once as it stands.
      goes_on: whether to pass over and count what cannot be read, in place of an error.

    Raises:
      AbcError: something cannot be read, or the tune is too long.
    """
    if len(text) > LARGEST_TUNE:
        if not goes_on:
            raise AbcError(f"is longer than {LARGEST_TUNE} characters")
        cut, text = len(text) - LARGEST_TUNE, text[:LARGEST_TUNE]
    else:
        cut = 0
    parsed = abc_music.parse(text, goes_on)
    played = [
        _played(parsed, voice, plays_repeats, goes_on)
        for voice in parsed.voices.values()
        if voice.last
    ]
    clock = _Clock(parsed)
    clock.count_long_bars(parsed)
    rows = _Rows(clock, parsed.doubtful, goes_on)
    for track, sounds in enumerate(played):
        rows.add_voice(track, sounds)
    score = Score.from_unsorted(
        clock.ticks_per_quarter,
        rows.notes(),
        tempi=_events(TEMPO, rows.tempi),
        meters=_events(METER, rows.meters),
        keys=_events(KEY, rows.keys),
        title=parsed.title,
        composer=parsed.composer,
        abc=text,
    )
    return Reading(
        score, dict(+parsed.left_out), dict(+parsed.doubtful), parsed.faults + rows.faults + cut
    )


def _played(parsed: ParsedTune, voice: Voice, plays_repeats: bool, goes_on: bool) -> list[Sound]:
    spans = [(0, len(voice.items))]
    if plays_repeats:
        try:
            spans = abc_repeats.in_order(voice.items, parsed.order, parsed.doubtful, MOST_NOTES)
        except AbcError:
            if not goes_on:
                raise
            parsed.faults += 1  # It is played once, as it stands.
    return [
        item for first, last in spans for item in voice.items[first:last] if type(item) is Sound
    ]


class _Clock:
    """What a length is, in ticks; or in `parts` of a tick, where no tick holds all lengths.

    Attributes:
      lengths: of each of `Tune.lengths`.
    """

    def __init__(self, parsed: ParsedTune) -> None:
        ticks = self.ticks_per_quarter = ticks_holding(parsed.lengths)
        inexact = sum(ticks % length.denominator > 0 for length in parsed.lengths)
        self.parts = PARTS if inexact else 1
        self.lengths = [round(length * ticks * self.parts) for length in parsed.lengths]
        parsed.doubtful["lengths that were rounded"] += inexact

    def count_long_bars(self, parsed: ParsedTune) -> None:
        quarter = self.ticks_per_quarter * self.parts
        for voice in parsed.voices.values():
            passed, meter = 0, None
            for item in voice.items:
                if type(item) is Sound:
                    passed, meter = passed + self.lengths[item.length], item.state.meter
                elif isinstance(item, Bar):
                    if passed and meter is not None and not item.is_free:
                        is_long = passed > meter.quarters * quarter
                        parsed.doubtful["bars longer than the meter"] += is_long
                    passed = 0


class _Rows:
    """The notes and events of a Score, added voice by voice; its events are the first voice's."""

    def __init__(self, clock: _Clock, doubtful: collections.Counter[str], goes_on: bool) -> None:
        self.clock, self.doubtful, self.goes_on = clock, doubtful, goes_on
        self.voices: list[np.ndarray] = []
        self.tempi: dict[int, tuple[int, ...]] = {}
        self.meters: dict[int, tuple[int, ...]] = {}
        self.keys: dict[int, tuple[int, ...]] = {}
        self.faults = self.first_length = 0

    def add_voice(self, track: int, sounds: Sequence[Sound]) -> None:
        lengths, last = self.clock.lengths, LAST_TICK * self.clock.parts
        onsets: list[int] = []
        ends: list[int] = []
        pitches: list[int] = []
        velocities: list[int] = []
        tied: dict[int, int] = {}  # Pitch: the note that goes on.
        state, now = None, 0
        for place, sound in enumerate(sounds):
            if sound.state is not state:
                if track == 0:
                    self._add_state(now, state, sound.state)
                state = sound.state
            end = now + lengths[sound.length]
            if end > last:
                self._too_long(sounds[place:])
                break
            before, tied = tied, {}
            for pitch in sound.pitches:
                note = before.pop(pitch, -1) if before else -1
                if note < 0:
                    note = len(ends)
                    onsets.append(now)
                    ends.append(end)
                    pitches.append(pitch)
                    velocities.append(state.velocity)
                else:
                    ends[note] = end
                if pitch in sound.tied:
                    tied[pitch] = note
            if before:
                self.doubtful["ties to no note of their pitch"] += len(before)
            now = end
        self.doubtful["ties to no note of their pitch"] += len(tied)
        self._add_notes(track, onsets, ends, pitches, velocities)
        self.first_length = now if track == 0 else self.first_length
        self.doubtful["voices of another length than the first"] += now != self.first_length

    def _add_state(self, now: int, before: State | None, state: State) -> None:
        """Notes what changes with a state; the same again is no change."""
        tick = self._ticks(now)
        if state.tempo is not None and (before is None or before.tempo != state.tempo):
            self.tempi[tick] = (state.tempo,)
        if state.meter is not None and (before is None or before.meter != state.meter):
            self.meters[tick] = tuple(state.meter)
        key = state.key
        if key.is_named and (before is None or before.key[:2] != key[:2]):
            if -7 <= key.sharps <= 7:
                self.keys[tick] = (key.sharps, key.is_minor)
            else:
                self.doubtful["keys of more than seven sharps or flats"] += 1

    def _too_long(self, sounds: Sequence[Sound]) -> None:
        if not self.goes_on:
            raise AbcError(f"lasts more than {LAST_TICK // self.clock.ticks_per_quarter} quarters")
        self.faults += sum(len(sound.pitches) for sound in sounds)

    def _ticks(self, parts: int) -> int:
        return (2 * parts + self.clock.parts) // (2 * self.clock.parts)

    def _add_notes(self, track: int, *columns: list[int]) -> None:
        onset, end, pitch, velocity = (np.array(column, np.int64) for column in columns)
        notes = np.zeros(len(onset), NOTE)
        notes["onset"] = self._ticks(onset)  # type: ignore[arg-type]
        notes["duration"] = np.maximum(self._ticks(end) - notes["onset"], 1)  # type: ignore[arg-type]
        notes["pitch"], notes["velocity"], notes["track"] = pitch, velocity, track
        self.voices.append(notes)

    def notes(self) -> np.ndarray:
        return np.concatenate(self.voices) if self.voices else np.zeros(0, NOTE)


def _events(dtype: np.dtype, rows: Mapping[int, tuple[int, ...]]) -> np.ndarray:
    return np.array([(tick, *values) for tick, values in rows.items()], dtype)
