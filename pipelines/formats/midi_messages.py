"""Channel messages of the tracks of a MIDI file: those that decide what sounds.

Each is one int64, `tick << 24 | status << 16 | first data byte << 8 | second data byte`, so that
an array of them costs little and sorts by tick. MIDI 1.0, Standard MIDI Files 1.0 (RP-001).
"""

from __future__ import annotations

import array
from typing import NamedTuple

import numpy as np

from pipelines.formats.midi_chunks import DamagedTrackError, MidiError
from pipelines.score_arrays import IS_PEDAL, LAST_TICK

TOO_LONG = f"has a track of more than {LAST_TICK} ticks"
NOTE_OFF, NOTE_ON, CONTROL, PROGRAM = 0x8, 0x9, 0xB, 0xC  # The upper half of a status.
ALL_SOUND_OFF, RESET_CONTROLLERS = 120, 121  # Controllers (MIDI 1.0, channel mode messages).
# All notes off; omni off, omni on, mono and poly, each of which implies it.
RELEASES_KEYS = frozenset({123, 124, 125, 126, 127})
IS_MODE = np.isin(np.arange(256), [ALL_SOUND_OFF, RESET_CONTROLLERS, *RELEASES_KEYS])
IS_READ = IS_PEDAL | IS_MODE  # bool [controller]
_IS_READ: list[bool] = IS_READ.tolist()  # A list is faster to look a single one up in.
# Data bytes of system messages that are neither exclusive nor meta events.
_SYSTEM_BYTES = {0xF1: 1, 0xF2: 2, 0xF3: 1}


class Messages(NamedTuple):
    """What one track sends.

    Attributes:
      packed: int64 [message], in the order of the track: notes, programs, pedals and modes.
      end_tick: where the track ends.
    """

    packed: np.ndarray
    end_tick: int


def is_read(status: int, first: int) -> bool:
    """Tells whether `Messages` holds messages of this status and first data byte."""
    kind = status >> 4
    return kind in (NOTE_OFF, NOTE_ON, PROGRAM) or (kind == CONTROL and _IS_READ[first])


def messages_of(index: int, track: bytes) -> Messages:
    """Gives the messages of a track up to its first end-of-track event.

    Raises:
      DamagedTrackError: it ends within an event, or has one that MIDI does not know.
      MidiError: it is too long.
    """
    try:
        return _walk(track)
    except (IndexError, _UnknownError) as error:
        raise DamagedTrackError(f"track {index} has an event that is none") from error


class _UnknownError(ValueError):
    """Bytes that are no event."""


def _walk(track: bytes) -> Messages:
    found = array.array("q")
    position = tick = status = 0
    while position < len(track):
        first = track[position]
        if first < 0x80:  # As most delta times are.
            tick, position = tick + first, position + 1
        else:
            delta, position = _quantity(track, position)
            tick += delta
        if tick > LAST_TICK:
            raise MidiError(TOO_LONG)
        first = track[position]
        if first >= 0xF0:
            if track[position : position + 2] == b"\xff\x2f":
                break
            position = _after_system_event(track, position)
            continue
        if first & 0x80:
            status, position = first, position + 1
            first = track[position]
        second, position = 0, position + 1
        if not 0xC0 <= status < 0xE0:
            second, position = track[position], position + 1
        if not status or (first | second) & 0x80:
            raise _UnknownError
        if is_read(status, first):
            found.append(tick << 24 | status << 16 | first << 8 | second)
    return Messages(np.array(found, np.int64), tick)


def _quantity(track: bytes, position: int) -> tuple[int, int]:
    """Gives a variable-length quantity, and the position after it."""
    value = 0
    while True:
        byte = track[position]
        position += 1
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value, position
        if value > LAST_TICK:
            raise _UnknownError


def _after_system_event(track: bytes, position: int) -> int:
    """Gives the position after a meta event or a system message."""
    status = track[position]
    if status not in (0xF0, 0xF7, 0xFF):
        return position + 1 + _SYSTEM_BYTES.get(status, 0)
    length, position = _quantity(track, position + (2 if status == 0xFF else 1))
    if position + length > len(track):
        raise _UnknownError
    return position + length
