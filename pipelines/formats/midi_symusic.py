"""Parses the tracks of a MIDI file by symusic, fast.

symusic silently drops notes that are never ended and pedals of channels without notes.
So that they are kept, each track is read with a tail behind it: a tempo event `MARK` ticks
after its end, which shows that symusic came to the track's end; a note-off for every pitch,
which closes what is open and is recognised by its length; and a note-on, which keeps the
pedal (docs/decisions/0001-symusic-behind-validation.md).

It also reads every track for itself, and does not say which channel a note was on. Where that
makes a difference, our own walk through the messages gives notes and pedals (`midi_playing.py`).
"""

from __future__ import annotations

import struct
from typing import Any, NamedTuple

import numpy as np
from symusic.core import ScoreTick

from pipelines.formats import midi_messages, midi_playing
from pipelines.formats.midi_chunks import (
    END_OF_TRACK,
    LARGEST_BYTES,
    MOST_TRACKS,
    DamagedTrackError,
    MidiError,
)
from pipelines.formats.midi_crossings import Track, Tracks, look_at, modes_act
from pipelines.formats.midi_events import (
    LYRICS,
    MARKERS,
    MOST_OPEN_NOTES,
    OPEN_NOTES,
    OTHER_CONTROLLERS,
    PITCH_BENDS,
    SKIPPED_BYTES,
    TOO_MANY_OPEN,
    Events,
    check_voices,
    merged_pedals,
)
from pipelines.formats.midi_messages import IS_MODE, TOO_LONG
from pipelines.score_arrays import (
    CHANNELS,
    IS_PEDAL,
    KEY,
    LAST_TICK,
    METER,
    NOTE,
    PEDAL,
    TEMPO,
)

MOST_NOTES = 1_000_000
MARK = LAST_TICK + 1  # Ticks from the end of a track to its tail: the largest delta time.
OVERREAD = bytes(16)  # symusic 0.6.0 may read a byte past what it was given.

_VLQ_MARK = b"\xff\xff\xff\x7f"
_NOTE_OFF = [bytes([0, 0x80 | channel, 0, 0]) for channel in range(CHANNELS)]
_NOTE_OFFS = b"".join(bytes([0, pitch, 0]) for pitch in range(128))  # By running status.
_NOTE_ON = [bytes([0, 0x90 | channel, 0, 1]) for channel in range(CHANNELS)]
# A pitch bend whose value is the channel.
_CHANNEL_MARK = [bytes([0, 0xE0 | channel, channel, 0]) for channel in range(CHANNELS)]
_CENTRE = 8192  # symusic subtracts it from the value of a pitch bend.

_KIND = IS_PEDAL + np.uint8(2) * IS_MODE  # uint8 [controller]: 1 of a pedal, 2 of a mode, or 0.

Columns = dict[str, np.ndarray]


class _Parsed(NamedTuple):
    """What symusic made of the tracks.

    Attributes:
      score: what has no voice.
      voices: the programs of the channels of the tracks; some have no notes.
      channels: of each voice; None where it cannot be told.
      sounding: those with notes, each with its channel.
      pitch_bends: how many there are.
      tempi: columns of the tempi, marks included.
    """

    score: ScoreTick
    voices: list[Any]
    channels: list[int | None]
    sounding: list[tuple[Any, int | None]]
    pitch_bends: int
    tempi: Columns


class _Controls(NamedTuple):
    """Controllers of all voices.

    Attributes:
      pedals: [event] of `PEDAL` of each voice that has some, sorted by tick.
      modes: [event] of the same, of channel mode messages.
      others: how many controllers are neither.
      are_known: whether the channels of pedals and modes can be told.
    """

    pedals: list[np.ndarray]
    modes: list[np.ndarray]
    others: int
    are_known: bool

    @property
    def act(self) -> bool:
        """Whether there are pedals or modes."""
        return bool(self.pedals or self.modes)


def parse(ticks_per_quarter: int, tracks: list[bytes], are_channels_needed: bool = False) -> Events:
    """Parses every track to its end.

    Args:
      are_channels_needed: whether `channels` must be those of the file even without pedals;
        otherwise they may be 0, or 9 for drums.

    Raises:
      DamagedTrackError: symusic does not understand a track to its end.
      MidiError: the file is above the limits.
    """
    looked_at, skipped = look_at(tracks), 0
    is_marked = are_channels_needed or looked_at.may_need_channels()
    parsed = _parse(ticks_per_quarter, looked_at, is_marked)
    if unread := _unread(parsed.tempi, len(tracks)):
        whole, tracks = tracks, _cut(tracks, unread)
        skipped = sum(map(len, whole)) - sum(map(len, tracks))
        looked_at = look_at(tracks)
        parsed = _parse(ticks_per_quarter, looked_at, is_marked)
        if _unread(parsed.tempi, len(tracks)):
            raise DamagedTrackError(f"track {unread[0]} does not end where its events do")
    notes = _notes(parsed)
    is_open = notes["duration"] >= MARK
    notes_closed = int(np.count_nonzero(is_open))
    if notes_closed:
        parsed, notes = _with_all_notes(ticks_per_quarter, looked_at, is_marked, len(notes))
        is_open = notes["duration"] >= MARK
        notes["duration"][is_open] -= MARK
        notes_closed = int(np.count_nonzero(is_open))
    controls = _controls(parsed)
    # Without a pedal the channels of a Score say nothing, but for more voices than tracks.
    are_needed = are_channels_needed or controls.act or len(parsed.sounding) >= MOST_TRACKS
    channels = [channel for _, channel in parsed.sounding] if are_needed else []
    is_unclear = not controls.are_known or None in channels
    if is_unclear and not is_marked:
        return parse(ticks_per_quarter, whole if unread else tracks, are_channels_needed=True)
    pedal = merged_pedals(controls.pedals)
    known = np.array([channel or 0 for channel in channels], np.uint8)
    if (
        is_unclear
        or looked_at.programs_return()
        or (looked_at.shared and looked_at.programs_cross(_programs(parsed)))
        or (controls.modes and modes_act(controls.modes, pedal, notes, is_open, known))
    ):
        played = midi_playing.play([*map(midi_messages.messages_of, range(len(tracks)), tracks)])
        notes, pedal, known, notes_closed = played
    return Events(
        notes,
        pedal,
        _tempi(parsed.tempi),
        _meters(parsed.score.time_signatures),
        _keys(parsed.score.key_signatures),
        known,
        left_out={
            OTHER_CONTROLLERS: controls.others,
            PITCH_BENDS: parsed.pitch_bends,
            LYRICS: sum(len(voice.lyrics) for voice in parsed.voices),
            MARKERS: len(parsed.score.markers),
        },
        doubtful={OPEN_NOTES: notes_closed, SKIPPED_BYTES: skipped},
    )


def _with_all_notes(
    ticks_per_quarter: int, tracks: Tracks, is_marked: bool, count: int
) -> tuple[_Parsed, np.ndarray]:
    """Parses tracks in which a pitch may be open more than once; gives what `_notes` does too.

    Args:
      count: how many notes one note-off per pitch finds.
    """
    repeats = 1
    while repeats < MOST_OPEN_NOTES:
        repeats, before_count = 16 * repeats, count
        parsed = _parse(ticks_per_quarter, tracks, is_marked, repeats)
        notes = _notes(parsed)
        count = len(notes)
        if count == before_count:
            return parsed, notes
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


def _parse(ticks_per_quarter: int, tracks: Tracks, is_marked: bool, repeats: int = 1) -> _Parsed:
    """Parses tracks, each with its tail; with marks it says which channel a voice is on."""
    is_marked &= len(tracks.used) > 1
    parts = [struct.pack(">4sIHHH", b"MThd", 6, 1, len(tracks.tracks), ticks_per_quarter)]
    size = 0
    for index, track in enumerate(tracks.tracks):
        body = track.body
        if body.endswith(END_OF_TRACK):
            # An empty event takes the place, and the delta time, of the end of the track.
            body = body[:-3] + b"\xff\x7f\x00"
        tail = _tail(index, track, repeats, is_marked)
        parts += [b"MTrk", struct.pack(">I", len(body) + len(tail)), body, tail]
        size += len(body) + len(tail)
        if size > 2 * LARGEST_BYTES:
            raise MidiError("has too many tracks or notes that nothing ends")
    data = b"".join([*parts, OVERREAD])
    try:
        parsed = ScoreTick.from_midi(data)
    except (RuntimeError, ValueError, OverflowError) as error:
        raise DamagedTrackError(str(error)) from error
    voices = list(parsed.tracks)
    bends = [voice.pitch_bends for voice in voices]
    count = sum(map(len, bends))
    if is_marked:
        channels = [*map(_marked_channel, bends)]
        count -= len(voices) - channels.count(None)
    else:
        only = next(iter(tracks.used)) if len(tracks.used) == 1 else None
        channels = [only] * len(voices)
    sounding = [pair for pair in zip(voices, channels, strict=True) if pair[0].notes]
    return _Parsed(parsed, voices, channels, sounding, count, parsed.tempos.numpy())


def _tail(index: int, track: Track, repeats: int, is_marked: bool) -> bytes:
    parts = [_VLQ_MARK + b"\xff\x51\x03" + (index + 1).to_bytes(3, "big")]
    for channel in track.notes:
        parts += [_NOTE_OFF[channel], _NOTE_OFFS * repeats]
    if is_marked:
        for channel in {*track.notes, *track.controls}:
            parts += [_CHANNEL_MARK[channel], _NOTE_ON[channel]]
    else:
        parts += [_NOTE_ON[channel] for channel in track.controls]
    return b"".join([*parts, b"\x00", END_OF_TRACK])


def _marked_channel(bends: Any) -> int | None:
    """Gives the channel that the tail names: that of the last program of a channel, else None.

    Args:
      bends: the pitch bends of a voice.
    """
    if bends and (last := bends[-1]).time >= MARK:
        return last.value + _CENTRE
    return None


def _notes(parsed: _Parsed) -> np.ndarray:
    """Gives [note] of `NOTE`, voice after voice; notes left open are `MARK` ticks too long."""
    count = parsed.score.note_num()
    if count > MOST_NOTES:
        raise MidiError(f"has {count} notes; up to {MOST_NOTES} are read")
    check_voices(len(parsed.sounding))
    notes, first = np.empty(count, NOTE), 0
    for index, (voice, _) in enumerate(parsed.sounding):
        columns = voice.notes.numpy()
        part = notes[first : first + len(columns["time"])]
        part["onset"], part["duration"] = columns["time"], columns["duration"]
        part["pitch"], part["velocity"] = columns["pitch"], columns["velocity"]
        part["track"], part["program"], part["is_drum"] = index, voice.program, voice.is_drum
        first += len(part)
    return notes


def _programs(parsed: _Parsed) -> set[tuple[int | None, int]]:
    return {(channel, voice.program) for voice, channel in parsed.sounding}


def _controls(parsed: _Parsed) -> _Controls:
    pedals: list[np.ndarray] = []
    modes: list[np.ndarray] = []
    count, are_known = 0, True
    for voice, channel in zip(parsed.voices, parsed.channels, strict=True):
        if not voice.controls:
            continue
        columns = voice.controls.numpy()
        count += len(columns["time"])
        kinds = _KIND.take(columns["number"])  # Indexing takes twice as long.
        if not np.count_nonzero(kinds):
            continue
        are_known &= channel is not None
        for found, kind in ((pedals, 1), (modes, 2)):
            chosen = kinds == kind
            # Columns, because choosing is twenty times slower on records.
            part = columns if chosen.all() else {k: v[chosen] for k, v in columns.items()}
            if len(part["time"]):
                found.append(_controls_of(channel, part))
    return _Controls(pedals, modes, count - sum(map(len, pedals + modes)), are_known)


def _controls_of(channel: int | None, columns: Columns) -> np.ndarray:
    controls = np.empty(len(columns["time"]), PEDAL)
    controls["tick"], controls["channel"] = columns["time"], channel or 0
    controls["controller"], controls["value"] = columns["number"], columns["value"]
    return controls


def _tempi(columns: Columns) -> np.ndarray:
    kept = columns["time"] < MARK
    return _events(TEMPO, {name: column[kept] for name, column in columns.items()}, "time", "mspq")


def _meters(signatures: Any) -> np.ndarray:
    if not signatures:
        return np.zeros(0, METER)
    return _events(METER, signatures.numpy(), "time", "numerator", "denominator")


def _keys(signatures: Any) -> np.ndarray:
    """Gives [event] of `KEY`; a mode that is neither 0 nor 1 becomes 127 sharps."""
    if not signatures:
        return np.zeros(0, KEY)
    columns = signatures.numpy()
    keys = _events(KEY, columns, "time", "key", "tonality")
    is_none = columns["tonality"] > 1
    if np.count_nonzero(is_none):
        keys["sharps"][is_none] = 127
    return keys


def _events(dtype: np.dtype, columns: Columns, *names: str) -> np.ndarray:
    events = np.empty(len(columns["time"]), dtype)
    for field, name in zip(dtype.names or (), names, strict=True):
        events[field] = columns[name]
    return events
