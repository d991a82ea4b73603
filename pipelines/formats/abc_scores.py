"""Scores of parsed ABC tunes: repeats expanded, lengths in ticks, one track per voice.

The overlays of each voice have tracks of their own, behind those of the voices.
"""

from __future__ import annotations

import collections
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from pipelines.formats import abc_overlays, abc_repeats
from pipelines.formats.abc_fields import AbcError
from pipelines.formats.abc_overlays import Chunk
from pipelines.formats.abc_repeats import Span
from pipelines.formats.abc_tokens import Bar, Sound, State, Tune, Voice
from pipelines.formats.notation_score import ticks_holding
from pipelines.score import Score
from pipelines.score_arrays import KEY, LAST_TICK, METER, NOTE, TEMPO

MOST_NOTES = 100_000  # Of a tune with its repeats; rests and bar lines count.
UNTIED = "ties to no note of their pitch"
PARTS = 2**20  # Of a tick, in sums of lengths that no tick holds.


def score_of(parsed: Tune, text: str, plays_repeats: bool, lenient: bool) -> tuple[Score, int]:
    """Gives the Score of a tune, and how often something could not be parsed.

    Args:
      parsed: the tune; what is doubtful in it is counted in `parsed.doubtful`.
      text: that it was parsed from.
      plays_repeats, lenient: as for `abc_notation.read_tune`.

    Raises:
      AbcError: the tune is too long, and nothing is to be passed over.
    """
    voices = [voice for voice in parsed.voices.values() if voice.last]
    spans = [_spans(parsed, voice, plays_repeats, lenient) for voice in voices]
    clock = _Clock(parsed)
    clock.count_long_bars(parsed)
    rows = _Rows(clock, parsed.doubtful, lenient)
    for track, (voice, played) in enumerate(zip(voices, spans, strict=True)):
        items = (item for first, last in played for item in voice.items[first:last])
        rows.add_voice(track, [item for item in items if type(item) is Sound])
    track = len(voices)
    for voice, played in zip(voices, spans, strict=True):
        for chunks in _overlays(parsed, voice, played, clock, lenient):
            rows.add_overlay(track, chunks)
            track += 1
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
    return score, parsed.faults + rows.faults


def _spans(parsed: Tune, voice: Voice, plays_repeats: bool, lenient: bool) -> list[Span]:
    """Gives the spans of items in the order in which they are played."""
    spans = [(0, len(voice.items))]
    if plays_repeats:
        try:
            spans = abc_repeats.in_order(
                voice.items, parsed.lengths, parsed.order, parsed.doubtful, MOST_NOTES
            )
        except AbcError:
            if not lenient:
                raise
            parsed.faults += 1  # It is played once, as it stands.
    return spans


def _overlays(
    parsed: Tune, voice: Voice, spans: Sequence[Span], clock: _Clock, lenient: bool
) -> list[Sequence[Chunk]]:
    """Gives the overlays of a voice, level by level: when each begins, and its sounds."""
    if not voice.overlays:
        return []
    try:
        found = abc_overlays.played(spans, voice.items, clock.lengths, MOST_NOTES)
    except AbcError:
        if not lenient:
            raise
        parsed.faults += 1  # They are left out.
        return []
    return [found[level] for level in sorted(found)]


class _Clock:
    """What a length is, in ticks; or in `parts` of a tick, where no tick holds all lengths.

    Attributes:
      lengths: of each of `Tune.lengths`.
    """

    def __init__(self, parsed: Tune) -> None:
        ticks = self.ticks_per_quarter = ticks_holding(parsed.lengths)
        inexact = sum(ticks % length.denominator > 0 for length in parsed.lengths)
        self.parts = PARTS if inexact else 1
        self.lengths = [round(length * ticks * self.parts) for length in parsed.lengths]
        parsed.doubtful["lengths that were rounded"] += inexact

    def count_long_bars(self, parsed: Tune) -> None:
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


class _Line:
    """Notes of a track, and where it has come to."""

    def __init__(self) -> None:
        self.onsets: list[int] = []
        self.ends: list[int] = []
        self.pitches: list[int] = []
        self.states: list[State] = []
        self.tied: dict[int, int] = {}
        self.now = 0


_TakeState = Callable[[int, State | None, State], None]


class _Rows:
    """The notes and events of a Score, added voice by voice; its events are the first voice's."""

    def __init__(self, clock: _Clock, doubtful: collections.Counter[str], lenient: bool) -> None:
        self.clock, self.doubtful, self.lenient = clock, doubtful, lenient
        self.voices: list[np.ndarray] = []
        self.tempi: dict[int, tuple[int, ...]] = {}
        self.meters: dict[int, tuple[int, ...]] = {}
        self.keys: dict[int, tuple[int, ...]] = {}
        self.faults = self.first_length = 0

    def add_voice(self, track: int, sounds: Sequence[Sound]) -> None:
        line = _Line()
        self._play(line, sounds, 0, self._add_first_state if track == 0 else self._add_tempo)
        self._add_notes(track, line)
        self.first_length = line.now if track == 0 else self.first_length
        self.doubtful["voices of another length than the first"] += line.now != self.first_length

    def add_overlay(self, track: int, chunks: Sequence[Chunk]) -> None:
        line = _Line()
        for start, sounds in chunks:
            self._play(line, sounds, start, None)
        self._add_notes(track, line)

    def _play(
        self, line: _Line, sounds: Sequence[Sound], start: int, take: _TakeState | None
    ) -> None:
        """Adds sounds to a line; those before are tied to them if they end where these begin.

        Args:
          take: is given each change of state: when it is, the one before, and the new one.
        """
        lengths, last = self.clock.lengths, LAST_TICK * self.clock.parts
        onsets, ends, pitches, states = line.onsets, line.ends, line.pitches, line.states
        tied = line.tied  # Pitch: the note that goes on.
        if start != line.now:
            self.doubtful[UNTIED] += len(tied)
            tied = {}
        state, now = None, start
        for place, sound in enumerate(sounds):
            if sound.state is not state:
                if take is not None:
                    take(now, state, sound.state)
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
                    states.append(state)
                else:
                    ends[note] = end
                if pitch in sound.tied:
                    tied[pitch] = note
            if before:
                self.doubtful[UNTIED] += len(before)
            now = end
        line.tied, line.now = tied, now

    def _add_tempo(self, now: int, before: State | None, state: State) -> None:
        """Notes a tempo of another voice than the first, which has none there."""
        if state.tempo is not None and (before is None or before.tempo != state.tempo):
            self.tempi.setdefault(self._ticks(now), (state.tempo,))

    def _add_first_state(self, now: int, before: State | None, state: State) -> None:
        """Notes what changes with a state of the first voice; the same again is no change."""
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
        if not self.lenient:
            raise AbcError(f"lasts more than {LAST_TICK // self.clock.ticks_per_quarter} quarters")
        self.faults += sum(len(sound.pitches) for sound in sounds)

    def _ticks(self, parts: int) -> int:
        return (2 * parts + self.clock.parts) // (2 * self.clock.parts)

    def _add_notes(self, track: int, line: _Line) -> None:
        self.doubtful[UNTIED] += len(line.tied)
        onset, end = np.array(line.onsets, np.int64), np.array(line.ends, np.int64)
        notes = np.zeros(len(onset), NOTE)
        notes["onset"] = self._ticks(onset)  # type: ignore[arg-type]
        notes["duration"] = np.maximum(self._ticks(end) - notes["onset"], 1)  # type: ignore[arg-type]
        notes["pitch"], notes["track"] = line.pitches, track
        notes["velocity"] = [state.velocity for state in line.states]
        notes["program"] = [state.program for state in line.states]
        notes["is_drum"] = [state.is_drum for state in line.states]
        self.voices.append(notes)

    def notes(self) -> np.ndarray:
        return np.concatenate(self.voices) if self.voices else np.zeros(0, NOTE)


def _events(dtype: np.dtype, rows: Mapping[int, tuple[int, ...]]) -> np.ndarray:
    return np.array([(tick, *values) for tick, values in rows.items()], dtype)
