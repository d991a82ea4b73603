"""Standard MIDI Files <-> Score.

Reading is symusic's work; before it stands a check of the file's chunks, after it a check
of every value (docs/decisions/0001-symusic-behind-validation.md). symusic silently drops
notes that are never ended and pedals of channels without notes. So that nothing is
lost, each track is read with a tail behind it: a tempo event `MARK` ticks after its end,
which proves that the track was read to its end; a note-off for every pitch, which closes
what is open and tells it apart by its length; and a note-on, which keeps the pedal.

Lost: lyrics, markers, other controllers, pitch bends, aftertouch, system exclusive
messages, release velocities, and the channel that a note or a pedal was on.
"""

from __future__ import annotations

import dataclasses
import io
import os
import stat
import struct
from typing import NamedTuple

import numpy as np
from symusic.core import ScoreTick

from pipelines import midi_chunks
from pipelines.midi_chunks import LARGEST_BYTES, MidiError
from pipelines.midi_writing import END_OF_TRACK, to_bytes, write
from pipelines.score import (
    DEFAULT_TEMPO,
    IS_PEDAL,
    KEY,
    LAST_TICK,
    METER,
    NOTE,
    PEDAL,
    TEMPO,
    Score,
    allowed,
    sorted_by_tick,
)

__all__ = ["MidiError", "Reading", "read", "read_score", "to_bytes", "write"]

LONGEST_SECONDS = 24 * 3600
MOST_NOTES = 1_000_000
MOST_OPEN_NOTES = 4096  # Notes of one pitch, channel and track that nothing ends.

MARK = 2**28 - 1  # Ticks from the end of a track to its tail: the largest delta time.
OVERREAD = bytes(16)  # symusic 0.6.0 may read a byte past what it was given.

_NO_NOTES = {name: np.zeros(0, np.int8) for name in ("time", "duration", "pitch", "velocity")}
_VLQ_MARK = b"\xff\xff\xff\x7f"
_NOTE_OFFS = b"".join(bytes([0, pitch, 0]) for pitch in range(128))


@dataclasses.dataclass(frozen=True)
class Reading:
    """A Score, and what had to be mended or left out to read it.

    Attributes:
      score: the piece.
      notes_closed: notes that nothing ended; they end with their track.
      notes_lengthened: notes of no length; they last one tick.
      events_dropped: tempi, meters and keys that have no meaning, such as a tempo of 0.
      tracks_missing: tracks that the header declares and the file does not have.
      bytes_skipped: bytes that belong to no track.
    """

    score: Score
    notes_closed: int = 0
    notes_lengthened: int = 0
    events_dropped: int = 0
    tracks_missing: int = 0
    bytes_skipped: int = 0


def read_score(source: str | os.PathLike[str] | bytes) -> Score:
    """Reads a MIDI file, as `read` does, without the account of what was mended."""
    return read(source).score


def read(source: str | os.PathLike[str] | bytes) -> Reading:
    """Reads a Standard MIDI File of format 0 or 1, bare or in a RIFF container.

    A track of the Score is the notes of one program on one channel of one track of the
    file, in their order there. Of SMPTE time 1 second is one quarter.

    Args:
      source: a path, or the bytes of a file.

    Raises:
      MidiError: the file is damaged, has no meaning, or is above the limits of this module.
      OSError: the path cannot be read.
    """
    if isinstance(source, bytes):
        return _read_bytes(source)
    try:
        return _read_bytes(_file_bytes(source))
    except MidiError as error:
        raise MidiError(error.reason, os.fspath(source)) from error.__cause__


def _file_bytes(path: str | os.PathLike[str]) -> bytes:
    # Unbuffered: one call reads it all.
    with io.FileIO(path) as file:
        status = os.fstat(file.fileno())
        # A pipe or a device may never end.
        if not stat.S_ISREG(status.st_mode):
            raise MidiError("is not a regular file")
        return file.read(min(status.st_size, LARGEST_BYTES + 1))


def _read_bytes(data: bytes) -> Reading:
    chunks = midi_chunks.split(data)
    ticks_per_quarter, frame_tempo = midi_chunks.time_base(chunks.division)
    parsed, columns, skipped = _parse_whole(ticks_per_quarter, chunks.tracks)
    is_open = columns.duration >= MARK
    is_empty = (columns.duration == 0) | (columns.duration == MARK)
    columns = columns._replace(duration=columns.duration - MARK * is_open + is_empty)
    maps = [_tempi(parsed, frame_tempo), _meters(parsed), _keys(parsed)]
    tempi, meters, keys = (_meaningful(events) for events in maps)
    try:
        score = Score(
            ticks_per_quarter,
            _frozen(_sorted_notes(columns)),
            _frozen(_pedal(parsed)),
            _frozen(tempi),
            _frozen(meters),
            _frozen(keys),
            title=midi_chunks.title(chunks.tracks),
        )
    except ValueError as error:
        raise MidiError(str(error)) from error
    _check_length(score)
    return Reading(
        score,
        notes_closed=int(np.count_nonzero(is_open)),
        notes_lengthened=int(np.count_nonzero(is_empty)),
        events_dropped=sum(map(len, maps)) - len(tempi) - len(meters) - len(keys),
        tracks_missing=chunks.tracks_missing,
        bytes_skipped=chunks.bytes_skipped + skipped,
    )


def _frozen(array: np.ndarray) -> np.ndarray:
    """Makes an array that is nobody else's read-only, so that Score need not copy it."""
    array.flags.writeable = False
    return array


def _meaningful(events: np.ndarray) -> np.ndarray:
    """Gives the events that a Score may hold."""
    is_allowed = allowed(events)
    return events if is_allowed.all() else events[is_allowed]


def _check_length(score: Score) -> None:
    slowest = score.tempi["microseconds_per_quarter"].max(initial=DEFAULT_TEMPO)
    # The bound first: it is cheap and nearly always enough.
    if score.length_ticks * int(slowest) <= LONGEST_SECONDS * 1e6 * score.ticks_per_quarter:
        return
    if score.length_seconds > LONGEST_SECONDS:
        raise MidiError(
            f"lasts {score.length_seconds / 3600:.1f} hours; {LONGEST_SECONDS / 3600:.0f} are read"
        )


def _parse_whole(ticks_per_quarter: int, tracks: list[bytes]) -> tuple[ScoreTick, _Columns, int]:
    """Parses every track to its end.

    Returns:
      what symusic read;
      its notes;
      how many bytes stand behind the ends of tracks.
    """
    parsed, skipped = _parse(ticks_per_quarter, tracks), 0
    unread = _unread(parsed, len(tracks))
    if unread:
        tracks, before = list(tracks), sum(map(len, tracks))
        for index in unread:
            end = tracks[index].find(END_OF_TRACK)
            tracks[index] = tracks[index][: end + 3] if end >= 0 else tracks[index]
        skipped = before - sum(map(len, tracks))
        parsed = _parse(ticks_per_quarter, tracks)
        if _unread(parsed, len(tracks)):
            raise MidiError(f"has a track, {unread[0]}, that does not end where its events do")
    columns, repeats, before_count = _columns(parsed), 1, -1
    while parsed.note_num() > before_count and columns.duration.max(initial=0) >= MARK:
        # A pitch may be open more than once; more note-offs find it if so.
        if repeats >= MOST_OPEN_NOTES:
            raise MidiError(f"leaves more than {MOST_OPEN_NOTES} notes of one pitch open")
        repeats, before_count = 16 * repeats, parsed.note_num()
        parsed = _parse(ticks_per_quarter, tracks, repeats)
        columns = _columns(parsed)
    return parsed, columns, skipped


def _unread(parsed: ScoreTick, track_count: int) -> list[int]:
    """Gives the tracks whose tail was not read: something before it seems to end them."""
    tempi = parsed.tempos.numpy()
    is_mark = tempi["time"] >= MARK
    if tempi["time"].max(initial=0) > MARK + LAST_TICK:
        raise MidiError(f"has a track of more than {LAST_TICK} ticks")
    return sorted(set(range(track_count)) - {mark - 1 for mark in tempi["mspq"][is_mark].tolist()})


def _parse(ticks_per_quarter: int, tracks: list[bytes], repeats: int = 1) -> ScoreTick:
    """Parses tracks, each with its tail (see the module's docstring)."""
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
        return ScoreTick.from_midi(data)
    except (RuntimeError, ValueError, OverflowError) as error:
        raise MidiError(f"has a damaged track ({error})") from error


def _tail(index: int, track: bytes, repeats: int) -> bytes:
    parts = [_VLQ_MARK + b"\xff\x51\x03" + (index + 1).to_bytes(3, "big")]
    for channel in range(16):
        # A byte of this value is a status or something else: no channel is missed.
        if 0x90 | channel in track:
            parts += [bytes([0, 0x80 | channel, 0, 0]), _NOTE_OFFS * repeats]
        if 0xB0 | channel in track:
            parts.append(bytes([0, 0x90 | channel, 0, 1]))
    return b"".join([*parts, b"\x00", END_OF_TRACK])


class _Columns(NamedTuple):
    """Notes, a contiguous [note] array a field: many times faster to work on than `NOTE`."""

    onset: np.ndarray  # int64
    duration: np.ndarray  # int64; `MARK` ticks too long where nothing ended the note.
    pitch: np.ndarray  # int8
    velocity: np.ndarray  # int8
    voice: np.ndarray  # int64, index of the program and drum flag below
    programs: np.ndarray  # uint8 [voice]
    is_drum: np.ndarray  # bool [voice]


def _columns(parsed: ScoreTick) -> _Columns:
    """Gives the notes as parsed, voice after voice."""
    if parsed.note_num() > MOST_NOTES:
        raise MidiError(f"has {parsed.note_num()} notes; up to {MOST_NOTES} are read")
    voices = [track for track in parsed.tracks if len(track.notes)]
    if len(voices) > np.iinfo(np.int16).max:
        raise MidiError(f"has {len(voices)} voices; up to {np.iinfo(np.int16).max} are read")
    arrays = [voice.notes.numpy() for voice in voices] or [_NO_NOTES]
    names = ("time", "duration", "pitch", "velocity")
    onset, duration, pitch, velocity = (np.concatenate([a[n] for a in arrays]) for n in names)
    return _Columns(
        onset.astype(np.int64),
        duration.astype(np.int64),
        pitch,
        velocity,
        np.repeat(np.arange(len(arrays)), [len(a["time"]) for a in arrays]),
        np.array([voice.program for voice in voices], np.uint8),
        np.array([voice.is_drum for voice in voices], np.bool_),
    )


def _sorted_notes(columns: _Columns) -> np.ndarray:
    """Gives [note] of `NOTE`, sorted by (onset, pitch, track), equals as they came."""
    order_key = (columns.onset << 24) + (columns.pitch.astype(np.int64) << 16) + columns.voice
    is_unsorted = (np.diff(order_key) < 0).any()
    order = np.argsort(order_key, kind="stable") if is_unsorted else slice(None)
    notes, voice = np.empty(len(order_key), NOTE), columns.voice[order]
    notes["onset"], notes["duration"] = columns.onset[order], columns.duration[order]
    notes["pitch"], notes["velocity"] = columns.pitch[order], columns.velocity[order]
    notes["track"] = voice
    notes["program"], notes["is_drum"] = columns.programs[voice], columns.is_drum[voice]
    return notes


def _pedal(parsed: ScoreTick) -> np.ndarray:
    """Gives [event] of `PEDAL`. Channels with the same pedal, as writers copy it, count once."""
    pedals: dict[bytes, np.ndarray] = {}
    for track in parsed.tracks:
        if len(track.controls):
            pedal = _pedal_of(track.controls.numpy())
            pedals.setdefault(pedal.tobytes(), pedal)
    if len(pedals) < 2:
        return next(iter(pedals.values()), np.zeros(0, PEDAL))
    return sorted_by_tick(np.concatenate(list(pedals.values())))


def _pedal_of(columns: dict[str, np.ndarray]) -> np.ndarray:
    is_pedal = IS_PEDAL[columns["number"]]
    if not is_pedal.all():
        columns = {name: column[is_pedal] for name, column in columns.items()}
    return _events(PEDAL, columns, "time", "number", "value")


def _tempi(parsed: ScoreTick, frame_tempo: int | None) -> np.ndarray:
    """Gives [event] of `TEMPO`. Time in frames has one tempo and ignores those of the file."""
    if frame_tempo is not None:
        return np.array([(0, frame_tempo)], TEMPO)
    tempi = _events(TEMPO, parsed.tempos.numpy(), "time", "mspq")
    return tempi[tempi["tick"] < MARK]


def _meters(parsed: ScoreTick) -> np.ndarray:
    columns = parsed.time_signatures.numpy()
    return _events(METER, columns, "time", "numerator", "denominator")


def _keys(parsed: ScoreTick) -> np.ndarray:
    """Gives [event] of `KEY`; a mode that is neither 0 nor 1 becomes 127 sharps."""
    columns = parsed.key_signatures.numpy()
    keys = _events(KEY, columns, "time", "key", "tonality")
    keys["sharps"][columns["tonality"] > 1] = 127
    return keys


def _events(dtype: np.dtype, columns: dict[str, np.ndarray], *names: str) -> np.ndarray:
    events = np.empty(len(columns["time"]), dtype)
    for field, name in zip(dtype.names or (), names, strict=True):
        events[field] = columns[name]
    return events
