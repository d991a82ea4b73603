"""Parses the tracks of a MIDI file by mido: slowly, but also some that symusic refuses.

mido takes data bytes above 127, which a data byte cannot be, as 127, and reads on where
symusic stops. So a damaged pitch becomes 127, the highest.
"""

from __future__ import annotations

import collections
import io
import itertools
import re
import struct
from typing import Any, NamedTuple

import mido
import numpy as np

from pipelines.formats.midi_chunks import DamagedTrackError, MidiError
from pipelines.formats.midi_events import (
    MOST_OPEN_NOTES,
    TOO_LONG,
    TOO_MANY_OPEN,
    Events,
    check_voices,
    merged_pedals,
)
from pipelines.formats.midi_writing import DRUM_CHANNEL
from pipelines.score_arrays import (
    IS_PEDAL,
    KEY,
    LAST_TICK,
    METER,
    NOTE,
    PEDAL,
    TEMPO,
    sorted_by_tick,
)

LARGEST_BYTES = 2**19  # Up to 2**18 messages, for which mido takes about a second and 80 MB.
# mido reads a delta time of any number of bytes, in time that grows with their square.
MOST_HIGH_BYTES = 1000
_HIGH_BYTES = re.compile(rb"[\x80-\xff]{%d}" % MOST_HIGH_BYTES)


class _Voice(NamedTuple):
    track: int
    channel: int
    program: int


class _Note(NamedTuple):
    onset: int
    duration: int
    pitch: int
    velocity: int
    voice: _Voice


def parse(tracks: list[bytes]) -> Events:
    """Parses every track up to its first end-of-track event.

    Raises:
      DamagedTrackError: mido refuses a track too, or would need too long for it.
      MidiError: the file is above the limits.
    """
    size = sum(map(len, tracks))
    if size > LARGEST_BYTES:
        raise DamagedTrackError(f"not asked, {size} bytes are more than {LARGEST_BYTES}")
    readers = [_TrackReader(index, track) for index, track in enumerate(tracks)]

    def all_of(name: str) -> list[Any]:
        return [row for reader in readers for row in getattr(reader, name)]

    return Events(
        _records(all_of("notes")),
        merged_pedals([pedal for reader in readers for pedal in reader.pedals()]),
        sorted_by_tick(np.array(all_of("tempi"), TEMPO)),
        sorted_by_tick(np.array(all_of("meters"), METER)),
        sorted_by_tick(np.array(all_of("keys"), KEY)),
        notes_closed=sum(reader.notes_closed for reader in readers),
        events_dropped=sum(reader.events_dropped for reader in readers),
    )


def _messages(index: int, track: bytes) -> list[Any]:
    """Gives the messages of a track, which mido gets as a file of its own."""
    if _HIGH_BYTES.search(track):
        raise DamagedTrackError(
            f"not asked, {MOST_HIGH_BYTES} bytes in a row of track {index} are above 127"
        )
    header = struct.pack(">4sIHHH4sI", b"MThd", 6, 0, 1, 1, b"MTrk", len(track))
    try:
        return mido.MidiFile(file=io.BytesIO(header + track), clip=True).tracks[0]
    # mido lets out whatever its parts raise: OSError, EOFError, IndexError, KeyError, its own.
    except Exception as error:
        raise DamagedTrackError(f"{str(error) or type(error).__name__}, track {index}") from error


class _TrackReader:
    """What one track holds: notes, and rows of the fields of `TEMPO`, `METER` and `KEY`."""

    def __init__(self, index: int, track: bytes) -> None:
        self.index, self.programs = index, [0] * 16
        self.notes: list[_Note] = []
        self.tempi: list[tuple[int, int]] = []
        self.meters: list[tuple[int, int, int]] = []
        self.keys: list[tuple[int, int, int]] = []
        self._sounding: dict[tuple[int, int], Any] = collections.defaultdict(collections.deque)
        self._pedals: dict[int, list[tuple[int, int, int]]] = collections.defaultdict(list)
        self._read(_messages(index, track))

    def _read(self, messages: list[Any]) -> None:
        ends = (place for place, message in enumerate(messages) if message.type == "end_of_track")
        last = next(ends, len(messages) - 1)
        self.events_dropped = len(messages) - 1 - last
        ticks = list(itertools.accumulate(message.time for message in messages[: last + 1]))
        end_tick = ticks[-1] if ticks else 0
        if end_tick > LAST_TICK:
            raise MidiError(TOO_LONG)
        for tick, message in zip(ticks, messages, strict=False):
            read = _READ.get(message.type)
            if read:
                read(self, tick, message)
        self.notes_closed = sum(map(len, self._sounding.values()))
        for channel, pitch in self._sounding:
            while self._sounding[channel, pitch]:
                self._end(end_tick, channel, pitch)

    def pedals(self) -> list[np.ndarray]:
        """Gives [event] of `PEDAL` of each channel that has some."""
        return [np.array(rows, PEDAL) for rows in self._pedals.values()]

    def _note_on(self, tick: int, message: Any) -> None:
        if message.velocity == 0:
            return self._note_off(tick, message)
        waiting = self._sounding[message.channel, message.note]
        waiting.append((tick, message.velocity, self.programs[message.channel]))
        if len(waiting) > MOST_OPEN_NOTES:
            raise MidiError(TOO_MANY_OPEN)

    def _note_off(self, tick: int, message: Any) -> None:
        if self._sounding[message.channel, message.note]:
            self._end(tick, message.channel, message.note)

    def _end(self, tick: int, channel: int, pitch: int) -> None:
        """Ends the note of a pitch that began first, as symusic does."""
        onset, velocity, program = self._sounding[channel, pitch].popleft()
        voice = _Voice(self.index, channel, program)
        self.notes.append(_Note(onset, tick - onset, pitch, velocity, voice))

    def _control_change(self, tick: int, message: Any) -> None:
        if IS_PEDAL[message.control]:
            self._pedals[message.channel].append((tick, message.control, message.value))

    def _program_change(self, tick: int, message: Any) -> None:
        self.programs[message.channel] = message.program

    def _set_tempo(self, tick: int, message: Any) -> None:
        self.tempi.append((tick, message.tempo))

    def _time_signature(self, tick: int, message: Any) -> None:
        # 0, which is no denominator, for those of up to 2**255 that a Score cannot hold.
        denominator = message.denominator if message.denominator < 2**16 else 0
        self.meters.append((tick, message.numerator, denominator))

    def _key_signature(self, tick: int, message: Any) -> None:
        # As in the file: three bytes of kind and length, sharps as a signed byte, the mode.
        sharps, is_minor = message.bytes()[3:5]
        self.keys.append((tick, (sharps + 128) % 256 - 128, is_minor))


_READ = {
    "note_on": _TrackReader._note_on,
    "note_off": _TrackReader._note_off,
    "control_change": _TrackReader._control_change,
    "program_change": _TrackReader._program_change,
    "set_tempo": _TrackReader._set_tempo,
    "time_signature": _TrackReader._time_signature,
    "key_signature": _TrackReader._key_signature,
}


def _records(notes: list[_Note]) -> np.ndarray:
    """Gives [note] of `NOTE`; voices are numbered in the order (track, channel, program)."""
    place = {voice: index for index, voice in enumerate(sorted({note.voice for note in notes}))}
    check_voices(len(place))
    rows = [
        (*note[:4], place[note.voice], note.voice.program, note.voice.channel == DRUM_CHANNEL)
        for note in notes
    ]
    return np.array(rows, NOTE)
