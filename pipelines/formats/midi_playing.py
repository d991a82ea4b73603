"""Plays the messages of all tracks in one order, as a sequencer sends them to its channels.

The order is that of ticks; at one tick that of the tracks, and within a track that of its
messages. What a track sets on a channel (program, pedals) counts for every track: that is format
1 of the Standard MIDI Files (RP-001). Notes are paired within a track, channel and pitch, first
in first out.
"""

from __future__ import annotations

import array
import collections
from typing import NamedTuple

import numpy as np

from pipelines.formats.midi_chunks import MidiError
from pipelines.formats.midi_events import MOST_OPEN_NOTES, TOO_MANY_OPEN, check_voices
from pipelines.formats.midi_messages import (
    ALL_SOUND_OFF,
    CONTROL,
    NOTE_OFF,
    NOTE_ON,
    PROGRAM,
    RESET_CONTROLLERS,
    Messages,
)
from pipelines.score_arrays import (
    CHANNELS,
    DRUM_CHANNEL,
    IS_PEDAL,
    NOTE,
    PEDAL,
    PEDAL_DOWN,
    SOFT,
    SOSTENUTO,
    SUSTAIN,
    sorted_by_tick,
)

_AT_ONCE = 2**16  # Messages that are Python objects at one time: bounds the memory.


class Played(NamedTuple):
    """What sounded.

    Attributes:
      notes: [note] of `NOTE`; one that ends when it begins has a duration of 0.
      pedal: [event] of `PEDAL`, sorted by tick.
      channels: uint8 [voice].
      notes_closed: notes without a note-off; they end with their track.
    """

    notes: np.ndarray
    pedal: np.ndarray
    channels: np.ndarray
    notes_closed: int


def play(tracks: list[Messages]) -> Played:
    """Plays the messages of all tracks.

    Raises:
      MidiError: there are too many voices, or notes of one pitch that nothing ends.
    """
    keys, pedals, programs = _Keys(), _Pedals(), [0] * CHANNELS
    every = _without_copied_pedals([track.packed for track in tracks])
    merged = np.concatenate([np.zeros(0, np.int64), *every])
    track_of = np.repeat(np.arange(len(every)), [len(part) for part in every])
    order = np.argsort(merged >> 24, kind="stable")
    for first in range(0, len(order), _AT_ONCE):
        chosen = order[first : first + _AT_ONCE]
        for track, message in zip(track_of[chosen].tolist(), merged[chosen].tolist(), strict=True):
            tick, status = message >> 24, message >> 16 & 0xFF
            number, value = message >> 8 & 0x7F, message & 0x7F
            kind, channel = status >> 4, status & 0xF
            if kind == NOTE_ON and value:
                keys.press(tick, track, channel, programs[channel], number, value)
                pedals.begin_note(channel)
            elif kind in (NOTE_OFF, NOTE_ON):
                keys.release(tick, track, channel, number)
            elif kind == PROGRAM:
                programs[channel] = number
            elif kind == CONTROL and IS_PEDAL[number]:
                pedals.move(tick, channel, number, value)
            elif number == RESET_CONTROLLERS:
                pedals.reset(tick, channel)
            else:
                keys.release_all(tick, channel)
                if number == ALL_SOUND_OFF:
                    pedals.silence(tick, channel)
    notes_closed = keys.close([track.end_tick for track in tracks])
    notes, channels = keys.notes()
    return Played(notes, pedals.events(), channels, notes_closed)


class _Keys:
    """The keys of all channels: those that are down, and the notes that have ended."""

    def __init__(self) -> None:
        # Of each channel: {(track, pitch): onsets, velocities and programs, first in first out}.
        self._down: list[dict[tuple[int, int], collections.deque[tuple[int, int, int]]]]
        self._down = [{} for _ in range(CHANNELS)]
        self._onsets, self._ends = array.array("q"), array.array("q")
        self._sounds = array.array("q")  # Track, channel, program, pitch and velocity.

    def press(
        self, tick: int, track: int, channel: int, program: int, pitch: int, velocity: int
    ) -> None:
        waiting = self._down[channel].setdefault((track, pitch), collections.deque())
        waiting.append((tick, velocity, program))
        if len(waiting) > MOST_OPEN_NOTES:
            raise MidiError(TOO_MANY_OPEN)

    def release(self, tick: int, track: int, channel: int, pitch: int) -> None:
        """Ends the note of a pitch that began first, if one sounds."""
        waiting = self._down[channel].get((track, pitch))
        if waiting:
            self._end(tick, track, channel, pitch, *waiting.popleft())
            if not waiting:
                del self._down[channel][track, pitch]

    def release_all(self, tick: int, channel: int) -> None:
        """Ends every note of a channel."""
        for (track, pitch), waiting in self._down[channel].items():
            for note in waiting:
                self._end(tick, track, channel, pitch, *note)
        self._down[channel].clear()

    def close(self, end_ticks: list[int]) -> int:
        """Ends what still sounds with its track; gives how many notes that were."""
        ended_before = len(self._ends)
        for channel, down in enumerate(self._down):
            for (track, pitch), waiting in down.items():
                for note in waiting:
                    self._end(end_ticks[track], track, channel, pitch, *note)
        return len(self._ends) - ended_before

    def _end(
        self,
        tick: int,
        track: int,
        channel: int,
        pitch: int,
        onset: int,
        velocity: int,
        program: int,
    ) -> None:
        self._onsets.append(onset)
        self._ends.append(tick)
        voice = (track << 4 | channel) << 7 | program
        self._sounds.append((voice << 7 | pitch) << 7 | velocity)

    def notes(self) -> tuple[np.ndarray, np.ndarray]:
        """Gives [note] of `NOTE`, and the channel of each voice, uint8 [voice].

        Voices are numbered in the order (track, channel, program).
        """
        sounds = np.array(self._sounds, np.int64)
        voices, place = np.unique(sounds >> 14, return_inverse=True)
        check_voices(len(voices))
        channels = (voices >> 7 & 0xF).astype(np.uint8)
        notes = np.empty(len(sounds), NOTE)
        notes["onset"] = self._onsets
        notes["duration"] = np.array(self._ends, np.int64) - notes["onset"]
        notes["pitch"], notes["velocity"] = sounds >> 7 & 0x7F, sounds & 0x7F
        notes["track"], notes["program"] = place, sounds >> 14 & 0x7F
        notes["is_drum"] = channels[place] == DRUM_CHANNEL
        return notes, channels


class _Pedals:
    """The pedals of all channels.

    All sound off ends what the sustain pedal holds, but leaves it down. Its events say so: it
    goes up, and down again a tick later if there is a note to come that it may hold.
    """

    def __init__(self) -> None:
        self._events = array.array("q")  # Tick, controller, value and channel.
        self._values: dict[tuple[int, int], int] = {}  # Of (channel, controller).
        self._silenced: dict[int, tuple[int, bool]] = {}  # By channel: tick, whether notes follow.

    def move(self, tick: int, channel: int, controller: int, value: int) -> None:
        if controller == SUSTAIN:
            self._press_again(channel, before=tick)
        self._record(tick, controller, value, channel)
        self._values[channel, controller] = value

    def reset(self, tick: int, channel: int) -> None:
        """Lifts the pedals of a channel (reset all controllers, MIDI RP-015)."""
        for controller in (SUSTAIN, SOSTENUTO, SOFT):
            if self._values.get((channel, controller)):
                self.move(tick, channel, controller, 0)

    def silence(self, tick: int, channel: int) -> None:
        """Lets go of what the pedals of a channel hold (all sound off)."""
        if self._values.get((channel, SOSTENUTO), 0) >= PEDAL_DOWN:
            self.move(tick, channel, SOSTENUTO, 0)
        if self._values.get((channel, SUSTAIN), 0) >= PEDAL_DOWN:
            if not self._silenced.get(channel, (0, True))[1]:
                return  # It has let go, and no note came since.
            self._press_again(channel, before=tick)
            self._record(tick, SUSTAIN, 0, channel)
            self._silenced[channel] = (tick, False)

    def begin_note(self, channel: int) -> None:
        """Notes that a channel has a note, which its pedals may hold."""
        if channel in self._silenced:
            self._silenced[channel] = (self._silenced[channel][0], True)

    def events(self) -> np.ndarray:
        """Gives [event] of `PEDAL`, sorted by tick."""
        for channel in list(self._silenced):
            self._press_again(channel, before=None)
        packed = np.array(self._events, np.int64)
        events = np.empty(len(packed), PEDAL)
        events["tick"], events["controller"] = packed >> 24, packed >> 16 & 0xFF
        events["value"], events["channel"] = packed >> 8 & 0xFF, packed & 0xFF
        return sorted_by_tick(events)

    def _press_again(self, channel: int, before: int | None) -> None:
        """Presses a pedal that was silenced, unless it moves at that tick (`before`) anyway."""
        tick, notes_follow = self._silenced.pop(channel, (0, False))
        if notes_follow and (before is None or before > tick):
            self._record(tick + 1, SUSTAIN, self._values[channel, SUSTAIN], channel)

    def _record(self, tick: int, controller: int, value: int, channel: int) -> None:
        self._events.append(((tick << 8 | controller) << 8 | value) << 8 | channel)


def _without_copied_pedals(tracks: list[np.ndarray]) -> list[np.ndarray]:
    """Gives the messages of the tracks; pedals that a track repeats from another are left out."""
    seen: set[tuple[int, bytes]] = set()
    kept = []
    for messages in tracks:
        status = messages >> 16 & 0xFF
        is_pedal = (status >> 4 == CONTROL) & IS_PEDAL[messages >> 8 & 0x7F]
        for channel in np.unique(status[is_pedal]).tolist():
            here = is_pedal & (status == channel)
            copy = (channel, messages[here].tobytes())
            if copy in seen:
                messages, status, is_pedal = messages[~here], status[~here], is_pedal[~here]
            seen.add(copy)
        kept.append(messages)
    return kept
