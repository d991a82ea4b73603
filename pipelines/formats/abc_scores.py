"""Scores of parsed ABC tunes: repeats expanded, lengths in ticks, one track per voice."""

from __future__ import annotations

import collections
from collections.abc import Mapping, Sequence

import numpy as np

from pipelines.formats import abc_repeats
from pipelines.formats.abc_fields import AbcError
from pipelines.formats.abc_tokens import Bar, Sound, State, Tune, Voice
from pipelines.formats.music21_stream import ticks_holding
from pipelines.score import Score
from pipelines.score_arrays import KEY, LAST_TICK, METER, NOTE, TEMPO

MOST_NOTES = 100_000  # Of a tune with its repeats; rests and bar lines count.
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
    played = [
        _played(parsed, voice, plays_repeats, lenient)
        for voice in parsed.voices.values()
        if voice.last
    ]
    clock = _Clock(parsed)
    clock.count_long_bars(parsed)
    rows = _Rows(clock, parsed.doubtful, lenient)
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
    return score, parsed.faults + rows.faults


def _played(parsed: Tune, voice: Voice, plays_repeats: bool, lenient: bool) -> list[Sound]:
    spans = [(0, len(voice.items))]
    if plays_repeats:
        try:
            spans = abc_repeats.in_order(voice.items, parsed.order, parsed.doubtful, MOST_NOTES)
        except AbcError:
            if not lenient:
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
        if not self.lenient:
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
