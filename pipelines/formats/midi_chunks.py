"""Chunks of a MIDI file: container, header, tracks and the unit of time.

Standard MIDI Files 1.0 (RP-001). Everything here is checked before any event is read.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

LARGEST_BYTES = 8 * 2**20  # symusic takes some 15 bytes of memory for each of these.
MOST_TRACKS = 1024
END_OF_TRACK = b"\xff\x2f\x00"

_FRAMES_PER_SECOND = {24: 24.0, 25: 25.0, 29: 30_000 / 1001, 30: 30.0}


class MidiError(ValueError):
    """A file that is no MIDI file, or cannot be read whole.

    Attributes:
      reason: what is wrong with it, without the file's name.
    """

    def __init__(self, reason: str, path: str = "") -> None:
        super().__init__(f"{path}: {reason}" if path else reason)
        self.reason = reason


class DamagedTrackError(MidiError):
    """A track whose events one parser does not understand; another parser may."""


class Chunks(NamedTuple):
    """The parts of a MIDI file.

    Attributes:
      division: the header's word for the unit of time.
      tracks: the events of each track, as bytes.
      tracks_missing: tracks that the header declares and the file does not have.
      bytes_skipped: bytes that are in no track.
      is_sequences: whether each track is a piece of its own (format 2).
    """

    division: int
    tracks: list[bytes]
    tracks_missing: int
    bytes_skipped: int
    is_sequences: bool = False


class TimeBase(NamedTuple):
    """The unit of time: a tick.

    Attributes:
      ticks_per_quarter: 1..32767.
      tempo: microseconds per quarter note where ticks count frames (SMPTE), else None.
    """

    ticks_per_quarter: int
    tempo: int | None


def split(data: bytes) -> Chunks:
    """Splits a MIDI file into chunks, bare or in a RIFF container (RMID).

    Raises:
      MidiError: it is cut off, has no track or too many, or is no MIDI.
    """
    if len(data) > LARGEST_BYTES:
        raise MidiError(f"is larger than {LARGEST_BYTES} bytes")
    data = _without_riff(data)
    if len(data) < 14 or data[:4] != b"MThd":
        raise MidiError("does not begin with a MIDI header (MThd)")
    length, form, declared, division = struct.unpack_from(">IHHH", data, 4)
    if length < 6 or form > 2:
        raise MidiError(f"has a header of {length} bytes and format {form}; 6 and 0 to 2 are known")
    tracks, bytes_skipped = _tracks(data, 8 + length)
    missing = max(declared - len(tracks), 0)
    return Chunks(division, tracks, missing, bytes_skipped, form == 2 and len(tracks) > 1)


def _tracks(data: bytes, position: int) -> tuple[list[bytes], int]:
    """Gives the tracks from a position on, and how many bytes are in none of them."""
    tracks: list[bytes] = []
    skipped = 0
    while position + 8 <= len(data):
        name, length = struct.unpack_from(">4sI", data, position)
        first, position = position + 8, position + 8 + length
        if name != b"MTrk":
            skipped += min(position, len(data)) - first + 8
        elif position > len(data):
            left = len(data) - first
            raise MidiError(f"is cut off: track {len(tracks)} has {left} of its {length} bytes")
        elif len(tracks) == MOST_TRACKS:
            raise MidiError(f"has more than {MOST_TRACKS} tracks")
        else:
            tracks.append(data[first:position])
    if not tracks:
        raise MidiError("has no track")
    return tracks, skipped + max(len(data) - position, 0)


def time_base(division: int) -> TimeBase:
    """Gives the unit of time. One second of SMPTE time becomes about one quarter note.

    Raises:
      MidiError: a quarter has 0 ticks, or frames are none of 24, 25, 29 (29.97) and 30.
    """
    if division < 0x8000:
        if division == 0:
            raise MidiError("has 0 ticks in a quarter note")
        return TimeBase(division, None)
    frames, parts = 256 - (division >> 8), division & 255
    if frames not in _FRAMES_PER_SECOND or parts == 0:
        raise MidiError(f"has SMPTE time of {frames} frames a second, {parts} ticks a frame")
    # Of 29.97 frames 30 are counted as a quarter, which is then a little over a second.
    counted = 30 if frames == 29 else frames
    return TimeBase(counted * parts, round(1e6 * counted / _FRAMES_PER_SECOND[frames]))


def _without_riff(data: bytes) -> bytes:
    """Takes the MIDI file out of a RIFF container (RMID), if it is in one."""
    if data[:4] != b"RIFF" or data[8:12] != b"RMID":
        return data
    position = 12
    while position + 8 <= len(data):
        name, length = struct.unpack_from("<4sI", data, position)
        if name == b"data":
            return data[position + 8 : position + 8 + length]
        position += 8 + length + length % 2
    raise MidiError("is a RIFF container without a data chunk")


def title(tracks: list[bytes]) -> str:
    """Gives the first track's name, if it stands among the meta events that open the file."""
    track, position = tracks[0], 0
    while track[position : position + 2] == b"\x00\xff" and position + 4 <= len(track):
        kind, length = track[position + 2], track[position + 3]
        if length > 127:
            return ""
        text = track[position + 4 : position + 4 + length]
        if kind == 3:
            return _text(text)
        position += 4 + length
    return ""


def _text(data: bytes) -> str:
    """Decodes UTF-8, or else Latin-1; neither says which it is."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        text = data.decode("latin-1")
    return text.replace("\x00", "").strip()
