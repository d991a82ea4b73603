"""Reads Standard MIDI Files as Scores.

Tracks are parsed by symusic and, where symusic refuses one, by mido. The chunks of the file are
checked before, every value after (docs/decisions/0001-symusic-behind-validation.md).

Lost: lyrics, markers, other controllers, pitch bends, aftertouch, system exclusive
messages, release velocities, and the channel that a note or a pedal was on.
"""

from __future__ import annotations

import dataclasses
import io
import os
import stat
from typing import Literal

import numpy as np

from pipelines.formats import midi_chunks, midi_events, midi_mido, midi_symusic
from pipelines.formats.midi_chunks import LARGEST_BYTES, DamagedTrackError, MidiError
from pipelines.formats.midi_events import Events
from pipelines.formats.midi_writing import to_bytes, write
from pipelines.score import Score
from pipelines.score_arrays import DEFAULT_TEMPO, TEMPO, allowed, sorted_notes

__all__ = ["MidiError", "Reading", "read", "read_score", "to_bytes", "write"]

LONGEST_SECONDS = 24 * 3600

Reader = Literal["symusic", "mido"]


@dataclasses.dataclass(frozen=True)
class Reading:
    """A Score, and how it was read: by which parser, and what was repaired or left out.

    Attributes:
      score: the piece.
      reader: "mido" if symusic refused a track. Then data bytes above 127, which a data byte
        cannot be, were read as 127, and what follows them may be out of step.
      notes_closed: notes without a note-off; they end with their track.
      notes_lengthened: notes of no duration; they last one tick.
      events_dropped: tempi, meters and keys that have no meaning, such as a tempo of 0; by
        mido, also what follows the end of a track.
      tracks_missing: tracks that the header declares and the file does not have.
      bytes_skipped: bytes that belong to no track or, by symusic, follow the end of one.
      sequences_appended: pieces of a file of format 2 that follow the first in the Score.
    """

    score: Score
    reader: Reader = "symusic"
    notes_closed: int = 0
    notes_lengthened: int = 0
    events_dropped: int = 0
    tracks_missing: int = 0
    bytes_skipped: int = 0
    sequences_appended: int = 0


def read_score(source: str | os.PathLike[str] | bytes) -> Score:
    """Reads a MIDI file as a Score. See `read`."""
    return read(source).score


def read(source: str | os.PathLike[str] | bytes) -> Reading:
    """Reads a Standard MIDI File, bare or in a RIFF container.

    A track of the Score is the notes of one program on one channel of one track of the
    file, in their order there. With SMPTE time, one second is a quarter note. The sequences of a
    file of format 2, each with its own tempo, meter and pedal, follow one another in time:
    a sequence begins where the last note or other event of the one before it ends.

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
    # Before it is opened: a pipe that nobody writes to would wait for ever.
    status = os.stat(path)  # noqa: PTH116 - a Path is slow.
    if not stat.S_ISREG(status.st_mode):
        raise MidiError("is not a regular file")
    # Unbuffered: one call reads it all.
    with io.FileIO(path) as file:
        return file.read(min(status.st_size, LARGEST_BYTES + 1))


def _read_bytes(data: bytes) -> Reading:
    chunks = midi_chunks.split(data)
    ticks_per_quarter, frame_tempo = midi_chunks.time_base(chunks.division)
    parse = _parse_sequences if chunks.is_sequences else _parse
    events, reader = parse(ticks_per_quarter, chunks.tracks)
    if frame_tempo is not None:
        # Time in frames has one tempo and ignores those of the file.
        events = events._replace(tempi=np.array([(0, frame_tempo)], TEMPO))
    is_empty = events.notes["duration"] == 0
    events.notes["duration"][is_empty] = 1
    score = _score(ticks_per_quarter, events, midi_chunks.title(chunks.tracks))
    _check_length(score)
    maps = [(events.tempi, score.tempi), (events.meters, score.meters), (events.keys, score.keys)]
    return Reading(
        score,
        reader,
        notes_closed=events.notes_closed,
        notes_lengthened=int(np.count_nonzero(is_empty)),
        events_dropped=events.events_dropped + sum(len(read) - len(kept) for read, kept in maps),
        tracks_missing=chunks.tracks_missing,
        bytes_skipped=chunks.bytes_skipped + events.bytes_skipped,
        sequences_appended=len(chunks.tracks) - 1 if chunks.is_sequences else 0,
    )


def _parse_sequences(ticks_per_quarter: int, tracks: list[bytes]) -> tuple[Events, Reader]:
    """Gives the events of all tracks, each after the end of the one before it."""
    sequences, readers = zip(*(_parse(ticks_per_quarter, [track]) for track in tracks), strict=True)
    return midi_events.one_after_another(sequences), "mido" if "mido" in readers else "symusic"


def _parse(ticks_per_quarter: int, tracks: list[bytes]) -> tuple[Events, Reader]:
    """Gives the events of all tracks, and who read them."""
    try:
        return midi_symusic.parse(ticks_per_quarter, tracks), "symusic"
    except DamagedTrackError as error:
        damage = error.reason
    try:
        return midi_mido.parse(tracks), "mido"
    except DamagedTrackError as error:
        reason = f"has a damaged track (symusic: {damage}; mido: {error.reason})"
        raise MidiError(reason) from error


def _score(ticks_per_quarter: int, events: Events, title: str) -> Score:
    """Makes a Score, without the tempi, meters and keys that have no meaning."""
    arrays = [sorted_notes(events.notes), events.pedal, events.tempi, events.meters, events.keys]
    for array in arrays:
        array.flags.writeable = False  # Nobody else has them: Score need not copy them.
    notes, pedal, tempi, meters, keys = arrays
    try:
        return Score(ticks_per_quarter, notes, pedal, tempi, meters, keys, title)
    except ValueError:
        tempi, meters, keys = (array[allowed(array)] for array in (tempi, meters, keys))
    try:
        return Score(ticks_per_quarter, notes, pedal, tempi, meters, keys, title)
    except ValueError as error:
        raise MidiError(str(error)) from error


def _check_length(score: Score) -> None:
    slowest = score.tempi["microseconds_per_quarter"].max(initial=DEFAULT_TEMPO)
    # The bound first: it is cheap and nearly always enough.
    if score.length_ticks * int(slowest) <= LONGEST_SECONDS * 1e6 * score.ticks_per_quarter:
        return
    if score.length_seconds > LONGEST_SECONDS:
        raise MidiError(
            f"lasts {score.length_seconds / 3600:.1f} hours; {LONGEST_SECONDS / 3600:.0f} are read"
        )
