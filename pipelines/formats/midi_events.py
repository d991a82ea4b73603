"""Events of the tracks of a MIDI file, between parser and Score."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from pipelines.formats.midi_chunks import MidiError
from pipelines.score_arrays import DEFAULT_TEMPO, LAST_TICK, NOTE, PEDAL, sorted_by_tick

MOST_VOICES = int(np.iinfo(NOTE["track"]).max)
MOST_OPEN_NOTES = 4096  # Notes of one pitch, channel and track that nothing ends.
TOO_LONG = f"has a track of more than {LAST_TICK} ticks"
TOO_MANY_OPEN = f"leaves more than {MOST_OPEN_NOTES} notes of one pitch open"


class Events(NamedTuple):
    """Events of all tracks that a Score can hold, and counts of what was repaired.

    Attributes:
      notes: [note] of `NOTE` in any order, a voice for each program on each channel of each
        track; a note that ends when it begins has a duration of 0.
      pedal, tempi, meters, keys: [event] of `PEDAL`, `TEMPO`, `METER`, `KEY`, sorted by tick,
        of the values that stand in the file.
      notes_closed: notes without a note-off; they end with their track.
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
    """Merges the pedals of all voices; equal ones, as writers copy them, count once.

    Args:
      pedals: [event] of `PEDAL` each, sorted by tick.
    """
    if len(pedals) > 1:
        pedals = list({pedal.tobytes(): pedal for pedal in pedals}.values())
    if len(pedals) < 2:
        return pedals[0] if pedals else np.zeros(0, PEDAL)
    return sorted_by_tick(np.concatenate(pedals))


def one_after_another(sequences: Sequence[Events]) -> Events:
    """Concatenates pieces in time: each begins where the last note or event before it ends.

    Nothing that a piece sets lasts into the next. Where any of several has a tempo, a meter or
    a key, and one does not begin with its own, what a MIDI file begins with is written there:
    120 quarter notes per minute, 4/4, C major. Pedals that a piece leaves down go up at its end.

    Raises:
      MidiError: together they have too many voices.
    """
    starts = np.cumsum([0, *map(_end, sequences)]).tolist()
    notes, voices = [], 0
    for events, start in zip(sequences, starts, strict=False):
        notes.append(_moved(events.notes, "onset", start))
        voices_here = int(events.notes["track"].max(initial=-1)) + 1
        check_voices(voices + voices_here)
        notes[-1]["track"] += voices
        voices += voices_here
    pedals = []
    for events, start, end in zip(sequences, starts, starts[1:], strict=False):
        pedals += [_moved(events.pedal, "tick", start), _lifts(events.pedal, end)]

    def one_map(maps: list[np.ndarray], *default: int) -> np.ndarray:
        parts = []
        for events, start in zip(maps, starts, strict=False):
            if len(maps) > 1 and any(map(len, maps)) and not (events["tick"] == 0).any():
                parts.append(np.array([(start, *default)], events.dtype))
            parts.append(_moved(events, "tick", start))
        return np.concatenate(parts)

    return Events(
        np.concatenate(notes),
        np.concatenate(pedals),
        one_map([events.tempi for events in sequences], DEFAULT_TEMPO),
        one_map([events.meters for events in sequences], 4, 4),
        one_map([events.keys for events in sequences], 0, 0),
        notes_closed=sum(events.notes_closed for events in sequences),
        events_dropped=sum(events.events_dropped for events in sequences),
        bytes_skipped=sum(events.bytes_skipped for events in sequences),
    )


def _end(events: Events) -> int:
    ends = (events.notes["onset"] + events.notes["duration"]).max(initial=0)
    maps = (events.pedal, events.tempi, events.meters, events.keys)
    return int(max([ends, *(changes["tick"].max(initial=0) for changes in maps)]))


def _moved(events: np.ndarray, field: str, ticks: int) -> np.ndarray:
    events = events.copy()
    events[field] += ticks
    return events


def _lifts(pedal: np.ndarray, tick: int) -> np.ndarray:
    """Gives the events that lift the pedals which [event] of `PEDAL` leave down."""
    last = dict(pedal[["controller", "value"]].tolist())
    return np.array([(tick, controller, 0) for controller, v in last.items() if v], PEDAL)
