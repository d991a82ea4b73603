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
from typing import Any

import mido
import numpy as np

from pipelines.formats import midi_playing
from pipelines.formats.midi_chunks import DamagedTrackError, MidiError
from pipelines.formats.midi_events import (
    LATE_EVENTS,
    LYRICS,
    MARKERS,
    OPEN_NOTES,
    OTHER_CONTROLLERS,
    PITCH_BENDS,
    Events,
)
from pipelines.formats.midi_messages import TOO_LONG, Messages, is_read
from pipelines.score_arrays import KEY, LAST_TICK, METER, TEMPO, sorted_by_tick

LARGEST_BYTES = 2**19  # Up to 2**18 messages, for which mido takes about a second and 80 MB.
# mido reads a delta time of any number of bytes, in time that grows with their square.
MOST_HIGH_BYTES = 1000
_HIGH_BYTES = re.compile(rb"[\x80-\xff]{%d}" % MOST_HIGH_BYTES)


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

    played = midi_playing.play([reader.messages() for reader in readers])
    left_out = collections.Counter(all_of("left_out"))
    return Events(
        played.notes,
        played.pedal,
        sorted_by_tick(np.array(all_of("tempi"), TEMPO)),
        sorted_by_tick(np.array(all_of("meters"), METER)),
        sorted_by_tick(np.array(all_of("keys"), KEY)),
        played.channels,
        left_out=left_out,
        doubtful={
            OPEN_NOTES: played.notes_closed,
            LATE_EVENTS: sum(reader.late_events for reader in readers),
        },
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
    """What one track holds: channel messages, and rows of `TEMPO`, `METER` and `KEY`.

    Attributes:
      left_out: the name of each event that is not read.
      late_events: how many events follow the end of the track.
    """

    def __init__(self, index: int, track: bytes) -> None:
        self.tempi: list[tuple[int, int]] = []
        self.meters: list[tuple[int, int, int]] = []
        self.keys: list[tuple[int, int, int]] = []
        self.left_out: list[str] = []
        self._packed: list[int] = []
        self._read(_messages(index, track))

    def messages(self) -> Messages:
        """Gives the channel messages."""
        return Messages(np.array(self._packed, np.int64), self._end_tick)

    def _read(self, messages: list[Any]) -> None:
        ends = (place for place, message in enumerate(messages) if message.type == "end_of_track")
        last = next(ends, len(messages) - 1)
        self.late_events = len(messages) - 1 - last
        ticks = list(itertools.accumulate(message.time for message in messages[: last + 1]))
        self._end_tick = ticks[-1] if ticks else 0
        if self._end_tick > LAST_TICK:
            raise MidiError(TOO_LONG)
        for tick, message in zip(ticks, messages, strict=False):
            if message.type in _LEFT_OUT:
                self.left_out.append(_LEFT_OUT[message.type])
            elif message.type in _READ:
                _READ[message.type](self, tick, message)

    def _channel_message(self, tick: int, message: Any) -> None:
        status, first, second = (*message.bytes(), 0)[:3]
        if is_read(status, first):
            self._packed.append(tick << 24 | status << 16 | first << 8 | second)
        else:
            self.left_out.append(OTHER_CONTROLLERS)

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


_LEFT_OUT = {"pitchwheel": PITCH_BENDS, "lyrics": LYRICS, "marker": MARKERS}
_READ = {
    "note_on": _TrackReader._channel_message,
    "note_off": _TrackReader._channel_message,
    "control_change": _TrackReader._channel_message,
    "program_change": _TrackReader._channel_message,
    "set_tempo": _TrackReader._set_tempo,
    "time_signature": _TrackReader._time_signature,
    "key_signature": _TrackReader._key_signature,
}
