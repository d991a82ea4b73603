"""What a parser finds in the tracks of a MIDI file, on its way to a Score."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from pipelines.midi_chunks import MidiError
from pipelines.score import LAST_TICK, NOTE, PEDAL, sorted_by_tick

MOST_VOICES = int(np.iinfo(NOTE["track"]).max)
MOST_OPEN_NOTES = 4096  # Notes of one pitch, channel and track that nothing ends.
TOO_LONG = f"has a track of more than {LAST_TICK} ticks"
TOO_MANY_OPEN = f"leaves more than {MOST_OPEN_NOTES} notes of one pitch open"


class Events(NamedTuple):
    """The events of all tracks that a Score can hold, and what had to be mended to read them.

    Attributes:
      notes: [note] of `NOTE` in any order, a voice for each program on each channel of each
        track; a note that ends when it begins has a duration of 0.
      pedal, tempi, meters, keys: [event] of `PEDAL`, `TEMPO`, `METER`, `KEY`, sorted by tick,
        of the values that stand in the file.
      notes_closed: notes that nothing ended; they end with their track.
      events_dropped: events of tracks that have ended.
      bytes_skipped: bytes of tracks that have ended.
    """

    notes: np.ndarray
    pedal: np.ndarray
    tempi: np.ndarray
    meters: np.ndarray
    keys: np.ndarray
    notes_closed: int = 0
    events_dropped: int = 0
    bytes_skipped: int = 0


def check_voices(count: int) -> None:
    """Raises MidiError for more voices than a Score can number."""
    if count > MOST_VOICES:
        raise MidiError(f"has {count} voices; up to {MOST_VOICES} are read")


def merged_pedals(pedals: list[np.ndarray]) -> np.ndarray:
    """Makes one pedal of those of all voices; equal ones, as writers copy it, count once.

    Args:
      pedals: [event] of `PEDAL` each, sorted by tick.
    """
    if len(pedals) > 1:
        pedals = list({pedal.tobytes(): pedal for pedal in pedals}.values())
    if len(pedals) < 2:
        return pedals[0] if pedals else np.zeros(0, PEDAL)
    return sorted_by_tick(np.concatenate(pedals))
