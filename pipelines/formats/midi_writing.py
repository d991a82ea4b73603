"""Writes Scores as Standard MIDI Files, in NumPy."""

from __future__ import annotations

import os
import struct
from pathlib import Path
from typing import NamedTuple

import numpy as np

from pipelines.atomic_file import write_atomically
from pipelines.formats.midi_chunks import END_OF_TRACK, MOST_TRACKS
from pipelines.formats.midi_voices import Voices, voices_of
from pipelines.score import Score

# The order of messages of a track at one tick. Programs begin a track, or stand before a note.
_PROGRAM, _END, _PEDAL, _BEGIN = range(4)


def write(score: Score, path: str | os.PathLike[str]) -> None:
    """Writes a MIDI file, atomically: a reader sees the old file or the whole new one.

    Raises:
      OSError: the path cannot be written.
    """
    write_atomically(Path(path), to_bytes(score))


def to_bytes(score: Score) -> bytes:
    """Gives a Standard MIDI File of format 1: a track of tempi, meters, keys, and one per voice.

    The notes of one (track, program, drum or not) are a voice. The voices of a Score with
    `channels` stay on them. Otherwise each program gets a channel, which moves the whole pedal;
    programs share channels if they are more than the fifteen, or all one channel if the copies
    of the pedal would outweigh the notes. On a channel of several programs a program change
    stands before each note that needs one. Each track begins with the programs of its voices.

    The pedal of a channel is written once, in the last track that has its notes. At one tick,
    notes end before pedals move and notes begin. Voices share tracks where there would be more
    than `MOST_TRACKS`.

    What `read_score` makes of it is equal if tracks are numbered from 0 without gaps, each of
    one program, and notes of one track and pitch end in the order in which they begin.

    Lost: composer and ABC text; channels, where no two of them differ in their pedals.
    """
    voices, maps = voices_of(score), _map_events(score)
    messages = _messages(score.notes, voices)
    tracks = _tracks(messages, voices.track_count)
    if len(tracks) < MOST_TRACKS:
        tracks.insert(0, _timed(maps))
    else:
        tracks[0] = _timed(maps + messages.of_first_track())
    header = struct.pack(">4sIHHH", b"MThd", 6, 1, len(tracks), score.ticks_per_quarter)
    ended = [track + b"\x00" + END_OF_TRACK for track in tracks]
    return b"".join([header, *(struct.pack(">4sI", b"MTrk", len(t)) + t for t in ended)])


class _Messages(NamedTuple):
    """Channel messages of all tracks, in their order there.

    Attributes:
      track, tick: int [message].
      data: uint8 [message, 3], status and data bytes; the last of a program change is not written.
    """

    track: np.ndarray
    tick: np.ndarray
    data: np.ndarray

    def of_first_track(self) -> list[tuple[int, bytes]]:
        """Gives the ticks and bytes of those of track 0."""
        count = int(np.searchsorted(self.track, 0, side="right"))
        return [
            (tick, row[:2].tobytes() if row[0] >> 4 == 0xC else row.tobytes())
            for tick, row in zip(self.tick[:count].tolist(), self.data[:count], strict=True)
        ]


def _messages(notes: np.ndarray, voices: Voices) -> _Messages:
    """Gives the messages of programs, notes and pedals."""
    voice, pedal, pitch = voices.of_note, voices.pedal, notes["pitch"]
    channel, program, track = voices.channel[voice], voices.program[voice], voices.track[voice]
    # A note, and before it a program change where it needs one.
    repeats = 1 + _need_program(notes["onset"], voices)
    begins = np.repeat(np.arange(len(notes)), repeats)
    is_program = np.ones(len(begins), np.bool_)
    is_program[np.cumsum(repeats) - 1] = False
    begin_data = _data(
        np.where(is_program, 0xC0, 0x90) | channel[begins],
        np.where(is_program, program[begins], pitch[begins]),
        notes["velocity"][begins],
    )
    starts = _data(0xC0 | voices.channel, voices.program, 0)
    ends = _data(0x80 | channel, pitch, 0)
    moves = _data(0xB0 | pedal["channel"], pedal["controller"], pedal["value"])
    data = [starts, ends, moves, begin_data]
    pedal_track = voices.track_of_channel(pedal["channel"])
    tracks = np.concatenate([voices.track, track, pedal_track, track[begins]])
    end_ticks, onsets = notes["onset"] + notes["duration"], notes["onset"][begins]
    ticks = np.concatenate([0 * voices.track, end_ticks, pedal["tick"], onsets])
    places = np.repeat([_PROGRAM, _END, _PEDAL, _BEGIN], [*map(len, data)])
    # Ticks have 28 bits, places two.
    order = np.argsort((tracks << 30) + (ticks << 2) + places, kind="stable")
    return _Messages(tracks[order], ticks[order], np.concatenate(data)[order])


def _data(status: np.ndarray, first: np.ndarray, second: np.ndarray | int) -> np.ndarray:
    """Gives uint8 [message, 3]."""
    data = np.empty((len(status), 3), np.uint8)
    data[:, 0], data[:, 1], data[:, 2] = status, first, second
    return data


def _need_program(onset: np.ndarray, voices: Voices) -> np.ndarray:
    """Gives bool [note], whether its channel has another program when it begins.

    Tracks are played together: by tick, then track. Each begins with the programs of its voices.
    """
    count = len(voices.program)
    voice = np.concatenate([np.arange(count), voices.of_note])
    tick = np.concatenate([np.zeros(count, np.int64), onset])
    order = np.lexsort((voices.track[voice], tick, voices.channel[voice]))
    channel, program = voices.channel[voice][order], voices.program[voice][order]
    changes = np.zeros(len(voice), np.bool_)
    changes[order[1:]] = (channel[1:] == channel[:-1]) & (program[1:] != program[:-1])
    return changes[count:]


def _tracks(messages: _Messages, count: int) -> list[bytes]:
    """Gives the bytes of each track, without its end. Every track has messages."""
    begins_track = np.diff(messages.track, prepend=-1) > 0
    deltas = np.diff(messages.tick, prepend=0)
    deltas[begins_track] = messages.tick[begins_track]
    # Delta times are variable-length quantities.
    digits = (deltas[:, None] >> np.array([21, 14, 7, 0])) & 127
    is_written = np.ones((len(deltas), 7), np.bool_)
    # A digit is written if it or one before it is not 0; the last always is.
    is_written[:, :3] = np.maximum.accumulate(digits[:, :3], axis=1) > 0
    is_written[:, 6] = messages.data[:, 0] >> 4 != 0xC
    digits[:, :3] |= 128
    data = np.concatenate([digits.astype(np.uint8), messages.data], axis=1)[is_written].tobytes()
    ends = np.cumsum(is_written.sum(axis=1))
    lasts = ends[np.searchsorted(messages.track, np.arange(count), side="right") - 1].tolist()
    return [data[first:last] for first, last in zip([0, *lasts], lasts, strict=False)]


def _map_events(score: Score) -> list[tuple[int, bytes]]:
    """Gives the title and the maps of tempo, meter and key, as ticks and meta events."""
    events: list[tuple[int, bytes]] = []
    if score.title:
        events.append((0, _meta(3, score.title.encode("utf-8"))))
    for tick, tempo in score.tempi.tolist():
        events.append((tick, _meta(0x51, tempo.to_bytes(3, "big"))))
    for tick, numerator, denominator in score.meters.tolist():
        # 24 MIDI clocks per metronome click, 8 32nds per quarter note: the usual values.
        power = denominator.bit_length() - 1
        events.append((tick, _meta(0x58, bytes([numerator, power, 24, 8]))))
    for tick, sharps, is_minor in score.keys.tolist():
        events.append((tick, _meta(0x59, bytes([sharps & 255, is_minor]))))
    return events


def _timed(events: list[tuple[int, bytes]]) -> bytes:
    """Gives events in the order of time, each behind its delta time."""
    events = sorted(events, key=lambda event: event[0])
    ticks = [tick for tick, _ in events]
    deltas = [tick - before for before, tick in zip([0, *ticks], ticks, strict=False)]
    return b"".join(_quantity(d) + event for d, (_, event) in zip(deltas, events, strict=True))


def _meta(kind: int, data: bytes) -> bytes:
    return bytes([0xFF, kind]) + _quantity(len(data)) + data


def _quantity(value: int) -> bytes:
    """Gives a variable-length quantity."""
    digits = [value >> shift & 127 for shift in (21, 14, 7) if value >> shift]
    return bytes([*(digit | 128 for digit in digits), value & 127])
