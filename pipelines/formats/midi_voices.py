"""Gives the voices of a Score their channels and tracks in a MIDI file."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from pipelines.formats.midi_chunks import MOST_TRACKS
from pipelines.score import Score
from pipelines.score_arrays import CHANNELS, DRUM_CHANNEL

_PITCHED = np.array([channel for channel in range(CHANNELS) if channel != DRUM_CHANNEL])


class Voices(NamedTuple):
    """The voices of a Score: the notes of each (track, program, drum or not), in this order.

    Attributes:
      of_note: int [note], the voice of each note.
      program, channel, track: int [voice]; tracks of the file, from 0, each of one voice or of
        several that follow one another.
      pedal: [event] of `PEDAL`, of the channels of the file.
    """

    of_note: np.ndarray
    program: np.ndarray
    channel: np.ndarray
    track: np.ndarray
    pedal: np.ndarray

    @property
    def track_count(self) -> int:
        """Tracks of the file that hold notes."""
        return int(self.track[-1]) + 1 if len(self.track) else 0

    def track_of_channel(self, channel: np.ndarray) -> np.ndarray:
        """Gives int [event], the last track with notes of a channel, or the last of all."""
        last = np.full(CHANNELS, self.track_count - 1)
        last[self.channel] = self.track  # Of several on a channel the last counts.
        return last[channel]


def voices_of(score: Score) -> Voices:
    """Gives the voices of a Score, see `midi_writing.to_bytes`."""
    notes = score.notes
    code = (notes["track"].astype(np.int64) * 128 + notes["program"]) * 2 + notes["is_drum"]
    codes, of_note = np.unique(code, return_inverse=True)
    if not len(codes) and len(score.pedal):
        codes = np.zeros(1, np.int64)  # A voice without notes, for the pedal.
    program, is_drum = codes // 2 % 128, codes % 2 == 1
    pedal = score.pedal
    if len(score.channels) and len(notes):
        channel = score.channels[codes >> 8].astype(np.int64)
    elif len(codes) >= MOST_TRACKS or pedal["channel"].any():
        channel = np.zeros(len(codes), np.int64)
    else:
        programs, place = np.unique(program[~is_drum], return_inverse=True)
        width = max(min(len(programs), len(_PITCHED)), 1)
        if (width - 1) * len(pedal) > len(notes):
            width = 1
        channel = np.zeros(len(codes), np.int64)
        channel[~is_drum] = _PITCHED[place % width]
        pedal = np.repeat(pedal, width)
        pedal["channel"] = np.tile(_PITCHED[:width], len(score.pedal))
    channel[is_drum] = DRUM_CHANNEL
    track = np.arange(len(codes))
    if len(codes) >= MOST_TRACKS:
        track = _joined_tracks(notes, of_note, program, channel)
    return Voices(of_note, program, channel, track, pedal)


def _joined_tracks(
    notes: np.ndarray, of_note: np.ndarray, program: np.ndarray, channel: np.ndarray
) -> np.ndarray:
    """Gives int [voice], the track of each voice, of as few tracks as there can be.

    A track takes the next voice as long as it can be told from those before: reading numbers the
    voices of a track by channel and program, and ends notes of a pitch in the order they began.
    """
    order = np.argsort(of_note, kind="stable")
    firsts = np.searchsorted(of_note[order], np.arange(len(program) + 1))
    tracks = np.zeros(len(program), np.int64)
    before, here, together = (-1, -1), 0, order[:0]
    for voice, place in enumerate(zip(channel.tolist(), program.tolist(), strict=True)):
        own = order[firsts[voice] : firsts[voice + 1]]
        same_channel = place[0] == before[0]
        together = np.sort(np.concatenate([together, own])) if same_channel else own
        if place <= before or (same_channel and not _ends_in_order(notes[together])):
            here, together = here + 1, own
        tracks[voice], before = here, place
    return tracks


def _ends_in_order(notes: np.ndarray) -> bool:
    """Tells whether notes of one pitch, sorted by onset, also end in that order."""
    order = np.argsort(notes["pitch"], kind="stable")
    pitch, ends = notes["pitch"][order], (notes["onset"] + notes["duration"])[order]
    return bool(((pitch[1:] != pitch[:-1]) | (ends[1:] >= ends[:-1])).all())
