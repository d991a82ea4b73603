"""Writes Scores as Standard MIDI Files, in NumPy."""

from __future__ import annotations

import os
import struct
from pathlib import Path

import numpy as np

from pipelines.atomic_file import write_atomically
from pipelines.score import Score

DRUM_CHANNEL = 9
END_OF_TRACK = b"\xff\x2f\x00"


def write(score: Score, path: str | os.PathLike[str]) -> None:
    """Writes a MIDI file, atomically: a reader sees the old file or the whole new one.

    Raises:
      OSError: the path cannot be written.
    """
    write_atomically(Path(path), to_bytes(score))


def to_bytes(score: Score) -> bytes:
    """Gives a Standard MIDI File of format 1: a track of tempi, meters, keys, and one per voice.

    The notes of one (track, program, drum or not) are a voice. Voices that are no drums
    have channels of their own as long as the fifteen suffice, and each the whole pedal.
    At one tick, notes end before pedals move and notes begin. What `read_score` makes of
    it is equal if tracks are numbered from 0 without gaps, each of one program, and
    notes of one track and pitch end in the order in which they begin.

    Lost: composer and ABC text.
    """
    notes, is_drum = score.notes, score.notes["is_drum"]
    voice_code = (notes["track"].astype(np.int64) * 128 + notes["program"]) * 2 + is_drum
    codes = np.unique(voice_code)
    if len(score.pedal) and not np.any(codes % 2 == 0):
        codes = np.append(codes, 0)  # A voice without notes, for the pedal.
    tracks = [_map_track(score)]
    channels = [channel for channel in range(16) if channel != DRUM_CHANNEL]
    for code in codes.tolist():
        program, drums = code // 2 % 128, code % 2 == 1
        channel = DRUM_CHANNEL if drums else channels[(len(tracks) - 1) % len(channels)]
        pedal = score.pedal[:0] if drums else score.pedal
        voice = notes[voice_code == code]
        tracks.append(bytes([0, 0xC0 | channel, program]) + _voice_track(voice, pedal, channel))
    header = struct.pack(">4sIHHH", b"MThd", 6, 1, len(tracks), score.ticks_per_quarter)
    ended = [track + b"\x00" + END_OF_TRACK for track in tracks]
    return b"".join([header, *(struct.pack(">4sI", b"MTrk", len(t)) + t for t in ended)])


def _voice_track(notes: np.ndarray, pedal: np.ndarray, channel: int) -> bytes:
    """Gives the channel messages of a voice: ends, pedal, then beginnings at each tick."""
    end_ticks = notes["onset"] + notes["duration"]
    ticks = np.concatenate([end_ticks, pedal["tick"], notes["onset"]])
    messages = np.zeros((len(ticks), 3), np.uint8)
    is_end, is_pedal = slice(len(notes)), slice(len(notes), len(notes) + len(pedal))
    messages[is_end, 0], messages[is_end, 1] = 0x80 | channel, notes["pitch"]
    messages[is_pedal, 0] = 0xB0 | channel
    messages[is_pedal, 1], messages[is_pedal, 2] = pedal["controller"], pedal["value"]
    is_begin = slice(len(notes) + len(pedal), None)
    messages[is_begin, 0], messages[is_begin, 1] = 0x90 | channel, notes["pitch"]
    messages[is_begin, 2] = notes["velocity"]
    order = np.argsort(ticks, kind="stable")
    return _with_delta_times(ticks[order], messages[order])


def _with_delta_times(ticks: np.ndarray, messages: np.ndarray) -> bytes:
    """Puts before each of [event, 3] bytes its delta time, as a variable-length quantity."""
    deltas = np.diff(ticks, prepend=0)
    digits = (deltas[:, None] >> np.array([21, 14, 7, 0])) & 127
    # A digit is written if it or one before it is not 0; the last always is.
    is_written = np.maximum.accumulate(digits, axis=1) > 0
    is_written[:, 3] = True
    digits[:, :3] |= 128
    rows = np.concatenate([digits.astype(np.uint8), messages], axis=1)
    is_kept = np.concatenate([is_written, np.ones(messages.shape, np.bool_)], axis=1)
    return rows[is_kept].tobytes()


def _map_track(score: Score) -> bytes:
    """Gives the title and the maps of tempo, meter and key, as meta events."""
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
    events.sort(key=lambda event: event[0])
    ticks = [tick for tick, _ in events]
    deltas = [tick - before for before, tick in zip([0, *ticks], ticks, strict=False)]
    return b"".join(_quantity(d) + event for d, (_, event) in zip(deltas, events, strict=True))


def _meta(kind: int, data: bytes) -> bytes:
    return bytes([0xFF, kind]) + _quantity(len(data)) + data


def _quantity(value: int) -> bytes:
    """Gives a variable-length quantity."""
    digits = [value >> shift & 127 for shift in (21, 14, 7) if value >> shift]
    return bytes([*(digit | 128 for digit in digits), value & 127])
