"""Reads Standard MIDI Files as Scores.

Tracks are parsed by symusic and, where symusic refuses one, by mido. The chunks of the file are
checked before, every value after (docs/decisions/0001-symusic-behind-validation.md).

Lost: lyrics, markers, other controllers, pitch bends, aftertouch, system exclusive messages,
release velocities; the channel of notes, where no two channels differ in their pedals.
"""

from __future__ import annotations

import dataclasses
import io
import os
import stat
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np

from pipelines.formats import midi_chunks, midi_events, midi_mido, midi_symusic
from pipelines.formats.midi_chunks import LARGEST_BYTES, DamagedTrackError, MidiError
from pipelines.formats.midi_events import SKIPPED_BYTES, Events
from pipelines.formats.midi_writing import to_bytes, write
from pipelines.reading_result import Reading
from pipelines.score import Score
from pipelines.score_arrays import DEFAULT_TEMPO, TEMPO, allowed, sorted_notes

__all__ = ["MidiError", "MidiReading", "read", "read_score", "to_bytes", "write"]

LONGEST_SECONDS = 24 * 3600

Reader = Literal["symusic", "mido"]


@dataclasses.dataclass(frozen=True)
class MidiReading(Reading):
    """A Score, counts of what was repaired or left out, and by which parser it was read.

    Attributes:
      reader: "mido" if symusic refused a track. Then data bytes above 127, which a data byte
        cannot be, were read as 127, and what follows them may be out of step.
    """

    reader: Reader = "symusic"


def read_score(source: str | os.PathLike[str] | bytes) -> Score:
    """Reads a MIDI file as a Score. See `read`."""
    return read(source).score


def read(source: str | os.PathLike[str] | bytes) -> MidiReading:
    """Reads a Standard MIDI File, bare or in a RIFF container.

    A track of the Score is the notes of one program on one channel of one track of the
    file, in their order there. The program and the pedals of a channel are those of the whole
    sequence, whichever track sets them. Where all channels move the same pedals, everything is
    on channel 0 of the Score. With SMPTE time, one second is a quarter note. The sequences of a
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


def _read_bytes(data: bytes) -> MidiReading:
    chunks = midi_chunks.split(data)
    ticks_per_quarter, frame_tempo = midi_chunks.time_base(chunks.division)
    parse = _parse_sequences if chunks.is_sequences else _parse
    events, reader = parse(ticks_per_quarter, chunks.tracks)
    if frame_tempo is not None:
        # Time in frames has one tempo and ignores those of the file.
        events = events._replace(tempi=np.array([(0, frame_tempo)], TEMPO))
    events = midi_events.with_shared_pedal(events)
    is_empty = events.notes["duration"] == 0
    notes_empty = int(np.count_nonzero(is_empty))
    if notes_empty:
        events.notes["duration"][is_empty] = 1
    score = _score(ticks_per_quarter, events, midi_chunks.title(chunks.tracks))
    _check_length(score)
    doubtful = {
        **events.doubtful,
        SKIPPED_BYTES: chunks.bytes_skipped + events.doubtful.get(SKIPPED_BYTES, 0),
        "notes of no duration": notes_empty,
        "tempi without meaning": len(events.tempi) - len(score.tempi),
        "meters without meaning": len(events.meters) - len(score.meters),
        "keys without meaning": len(events.keys) - len(score.keys),
        "missing tracks": chunks.tracks_missing,
        "appended sequences": len(chunks.tracks) - 1 if chunks.is_sequences else 0,
    }
    return MidiReading(score, _found(events.left_out), _found(doubtful), reader)


def _found(counts: Mapping[str, int]) -> dict[str, int]:
    return {name: count for name, count in counts.items() if count}


def _parse_sequences(ticks_per_quarter: int, tracks: list[bytes]) -> tuple[Events, Reader]:
    """Gives the events of all tracks, each after the end of the one before it."""
    parsed = [_parse(ticks_per_quarter, [track], are_channels_needed=True) for track in tracks]
    sequences, readers = zip(*parsed, strict=True)
    return midi_events.one_after_another(sequences), "mido" if "mido" in readers else "symusic"


def _parse(
    ticks_per_quarter: int, tracks: list[bytes], are_channels_needed: bool = False
) -> tuple[Events, Reader]:
    """Gives the events of all tracks, and who read them."""
    try:
        return midi_symusic.parse(ticks_per_quarter, tracks, are_channels_needed), "symusic"
    except DamagedTrackError as error:
        damage = error.reason
    try:
        return midi_mido.parse(tracks), "mido"
    except DamagedTrackError as error:
        reason = f"has a damaged track (symusic: {damage}; mido: {error.reason})"
        raise MidiError(reason) from error


def _score(ticks_per_quarter: int, events: Events, title: str) -> Score:
    """Makes a Score, without the tempi, meters and keys that have no meaning."""
    arrays = [sorted_notes(events.notes), *events[1:6]]
    for array in arrays:
        array.flags.writeable = False  # Nobody else has them: Score need not copy them.
    notes, pedal, tempi, meters, keys, channels = arrays
    fields: dict[str, Any] = {"title": title, "channels": channels}
    try:
        return Score(ticks_per_quarter, notes, pedal, tempi, meters, keys, **fields)
    except ValueError:
        tempi, meters, keys = (array[allowed(array)] for array in (tempi, meters, keys))
    try:
        return Score(ticks_per_quarter, notes, pedal, tempi, meters, keys, **fields)
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
