"""Parses the tracks of a MIDI file by symusic, fast.

symusic silently drops notes that are never ended and pedals of channels without notes.
So that they are kept, each track is read with a tail behind it: a tempo event `MARK` ticks
after its end, which shows that symusic came to the track's end; a note-off for every pitch,
which closes what is open and is recognised by its length; and a note-on, which keeps the
pedal (docs/decisions/0001-symusic-behind-validation.md).
"""

from __future__ import annotations

import struct

import numpy as np
from symusic.core import ScoreTick

from pipelines.formats.midi_chunks import LARGEST_BYTES, DamagedTrackError, MidiError
from pipelines.formats.midi_events import (
    MOST_OPEN_NOTES,
    TOO_LONG,
    TOO_MANY_OPEN,
    Events,
    check_voices,
    merged_pedals,
)
from pipelines.formats.midi_writing import END_OF_TRACK
from pipelines.score_arrays import IS_PEDAL, KEY, LAST_TICK, METER, NOTE, PEDAL, TEMPO

MOST_NOTES = 1_000_000
MARK = LAST_TICK + 1  # Ticks from the end of a track to its tail: the largest delta time.
OVERREAD = bytes(16)  # symusic 0.6.0 may read a byte past what it was given.

_VLQ_MARK = b"\xff\xff\xff\x7f"
_NOTE_OFF = [bytes([0, 0x80 | channel, 0, 0]) for channel in range(16)]
_NOTE_OFFS = b"".join(bytes([0, pitch, 0]) for pitch in range(128))  # By running status.
_NOTE_ON = [bytes([0, 0x90 | channel, 0, 1]) for channel in range(16)]

Columns = dict[str, np.ndarray]


def parse(ticks_per_quarter: int, tracks: list[bytes]) -> Events:
    """Parses every track to its end.

    Raises:
      DamagedTrackError: symusic does not understand a track to its end.
      MidiError: the file is above the limits.
    """
    parsed, tempi = _parse(ticks_per_quarter, tracks)
    unread, skipped = _unread(tempi, len(tracks)), 0
    if unread:
        whole, tracks = tracks, _cut(tracks, unread)
        skipped = sum(map(len, whole)) - sum(map(len, tracks))
        parsed, tempi = _parse(ticks_per_quarter, tracks)
        if _unread(tempi, len(tracks)):
            raise DamagedTrackError(f"track {unread[0]} does not end where its events do")
    notes = _notes(parsed)
    is_open = notes["duration"] >= MARK
    if is_open.any():
        notes = _all_notes(ticks_per_quarter, tracks, len(notes))
        is_open = notes["duration"] >= MARK
        notes["duration"][is_open] -= MARK
    return Events(
        notes,
        _pedal(parsed),
        _tempi(tempi),
        _events(METER, parsed.time_signatures.numpy(), "time", "numerator", "denominator"),
        _keys(parsed.key_signatures.numpy()),
        notes_closed=int(np.count_nonzero(is_open)),
        bytes_skipped=skipped,
    )


def _all_notes(ticks_per_quarter: int, tracks: list[bytes], count: int) -> np.ndarray:
    """Gives what `_notes` does, of tracks in which a pitch may be open more than once.

    Args:
      count: how many notes one note-off per pitch finds.
    """
    repeats = 1
    while repeats < MOST_OPEN_NOTES:
        repeats, before_count = 16 * repeats, count
        notes = _notes(_parse(ticks_per_quarter, tracks, repeats)[0])
        count = len(notes)
        if count == before_count:
            return notes
    raise MidiError(TOO_MANY_OPEN)


def _unread(tempi: Columns, track_count: int) -> list[int]:
    """Gives the tracks whose tail was not read: something before it seems to end them."""
    time = tempi["time"]
    if time.max(initial=0) > MARK + LAST_TICK:
        raise MidiError(TOO_LONG)
    marks = tempi["mspq"][time >= MARK].tolist()
    return sorted(set(range(track_count)) - {mark - 1 for mark in marks})


def _cut(tracks: list[bytes], unread: list[int]) -> list[bytes]:
    """Ends the unread tracks at their first end-of-track event."""
    tracks = list(tracks)
    for index in unread:
        end = tracks[index].find(END_OF_TRACK)
        tracks[index] = tracks[index][: end + 3] if end >= 0 else tracks[index]
    return tracks


def _parse(
    ticks_per_quarter: int, tracks: list[bytes], repeats: int = 1
) -> tuple[ScoreTick, Columns]:
    """Parses tracks, each with its tail, and gives the tempi with the result."""
    parts = [struct.pack(">4sIHHH", b"MThd", 6, 1, len(tracks), ticks_per_quarter)]
    size = 0
    for index, track in enumerate(tracks):
        # An empty event takes the place, and the delta time, of the end of the track.
        body = track[:-3] + b"\xff\x7f\x00" if track.endswith(END_OF_TRACK) else track
        tail = _tail(index, track, repeats)
        parts += [b"MTrk", struct.pack(">I", len(body) + len(tail)), body, tail]
        size += len(body) + len(tail)
        if size > 2 * LARGEST_BYTES:
            raise MidiError("has too many tracks or notes that nothing ends")
    data = b"".join([*parts, OVERREAD])
    try:
        parsed = ScoreTick.from_midi(data)
    except (RuntimeError, ValueError, OverflowError) as error:
        raise DamagedTrackError(str(error)) from error
    return parsed, parsed.tempos.numpy()


def _tail(index: int, track: bytes, repeats: int) -> bytes:
    parts = [_VLQ_MARK + b"\xff\x51\x03" + (index + 1).to_bytes(3, "big")]
    for channel in range(16):
        # A byte of this value is a status or something else: no channel is missed.
        if 0x90 | channel in track:
            parts += [_NOTE_OFF[channel], _NOTE_OFFS * repeats]
        if 0xB0 | channel in track:
            parts.append(_NOTE_ON[channel])
    return b"".join([*parts, b"\x00", END_OF_TRACK])


def _notes(parsed: ScoreTick) -> np.ndarray:
    """Gives [note] of `NOTE`, voice after voice; notes left open are `MARK` ticks too long."""
    if parsed.note_num() > MOST_NOTES:
        raise MidiError(f"has {parsed.note_num()} notes; up to {MOST_NOTES} are read")
    voices = [track for track in parsed.tracks if len(track.notes)]
    check_voices(len(voices))
    notes, first = np.empty(parsed.note_num(), NOTE), 0
    for index, voice in enumerate(voices):
        columns = voice.notes.numpy()
        part = notes[first : first + len(columns["time"])]
        part["onset"], part["duration"] = columns["time"], columns["duration"]
        part["pitch"], part["velocity"] = columns["pitch"], columns["velocity"]
        part["track"], part["program"], part["is_drum"] = index, voice.program, voice.is_drum
        first += len(part)
    return notes


def _pedal(parsed: ScoreTick) -> np.ndarray:
    tracks = [track.controls.numpy() for track in parsed.tracks if len(track.controls)]
    return merged_pedals([_pedal_of(columns) for columns in tracks])


def _pedal_of(columns: Columns) -> np.ndarray:
    is_pedal = IS_PEDAL[columns["number"]]
    if not is_pedal.all():
        columns = {name: column[is_pedal] for name, column in columns.items()}
    return _events(PEDAL, columns, "time", "number", "value")


def _tempi(columns: Columns) -> np.ndarray:
    tempi = _events(TEMPO, columns, "time", "mspq")
    return tempi[tempi["tick"] < MARK]


def _keys(columns: Columns) -> np.ndarray:
    """Gives [event] of `KEY`; a mode that is neither 0 nor 1 becomes 127 sharps."""
    keys = _events(KEY, columns, "time", "key", "tonality")
    keys["sharps"][columns["tonality"] > 1] = 127
    return keys


def _events(dtype: np.dtype, columns: Columns, *names: str) -> np.ndarray:
    events = np.empty(len(columns["time"]), dtype)
    for field, name in zip(dtype.names or (), names, strict=True):
        events[field] = columns[name]
    return events
