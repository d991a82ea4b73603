"""Events of the tracks of a MIDI file, between parser and Score."""

from __future__ import annotations

import collections
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from pipelines.formats.midi_chunks import MOST_TRACKS, MidiError
from pipelines.score_arrays import DEFAULT_TEMPO, NOTE, PEDAL, sorted_by_tick

MOST_VOICES = int(np.iinfo(NOTE["track"]).max)
MOST_OPEN_NOTES = 4096  # Notes of one pitch, channel and track that nothing ends.
TOO_MANY_OPEN = f"leaves more than {MOST_OPEN_NOTES} notes of one pitch open"
# What a Reading counts.
OTHER_CONTROLLERS = "controllers other than pedals"
PITCH_BENDS, LYRICS, MARKERS = "pitch bends", "lyrics", "markers"
OPEN_NOTES = "notes without a note-off"
LATE_EVENTS = "events after the end of a track"
SKIPPED_BYTES = "skipped bytes"


class Events(NamedTuple):
    """Events of all tracks that a Score can hold, and counts of the others.

    Attributes:
      notes: [note] of `NOTE` in any order, a voice for each program on each channel of each
        track; a note that ends when it begins has a duration of 0.
      pedal, tempi, meters, keys: [event] of `PEDAL`, `TEMPO`, `METER`, `KEY`, sorted by tick,
        of the values that stand in the file.
      channels: uint8 [voice].
      left_out, doubtful: as in a Reading; a count may be 0.
    """

    notes: np.ndarray
    pedal: np.ndarray
    tempi: np.ndarray
    meters: np.ndarray
    keys: np.ndarray
    channels: np.ndarray
    left_out: Mapping[str, int]
    doubtful: Mapping[str, int]


def check_voices(count: int) -> None:
    """Raises MidiError for more voices than a Score can number."""
    if count > MOST_VOICES:
        raise MidiError(f"has {count} voices; up to {MOST_VOICES} are read")


def with_shared_pedal(events: Events) -> Events:
    """Puts everything on channel 0 if all channels move the same pedals, as writers copy them.

    Then `channels` is empty, as it is where all voices are on channel 0 anyway. The channels of
    more voices than a file has tracks are kept, so that tracks can be shared when it is written.
    A pedal that is never pressed is left out where it has no notes to act on.
    """
    channels, pedal = events.channels, events.pedal
    if len(channels) < MOST_TRACKS:
        if len(pedal) == 0:
            return events._replace(channels=channels[:0])
        is_pitched = np.ones(len(channels), np.bool_)
        is_pitched[events.notes["track"][events.notes["is_drum"]]] = False
        pitched = set(channels[is_pitched].tolist())
        first = int(pedal["channel"][0])
        # One channel, as nearly always: to choose from records is slow.
        if not pitched <= {first} or np.count_nonzero(pedal["channel"] != first):
            pressed = {*np.unique(pedal["channel"][pedal["value"] > 0]).tolist()}
            used = pitched | pressed or {first}
            pedals = [pedal[pedal["channel"] == channel] for channel in used]
            events = events._replace(pedal=sorted_by_tick(np.concatenate(pedals)))
            for of_channel in pedals:
                of_channel["channel"] = 0
            if len({of_channel.tobytes() for of_channel in pedals}) > 1:
                return events if channels.any() else events._replace(channels=channels[:0])
            pedal = pedals[0]
        elif first:
            pedal["channel"] = 0
        return events._replace(pedal=pedal, channels=channels[:0])
    return events if channels.any() else events._replace(channels=channels[:0])


def merged_pedals(pedals: list[np.ndarray]) -> np.ndarray:
    """Merges the pedals of all voices; equal ones of one channel count once.

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
        np.concatenate([events.channels for events in sequences]),
        _sums([events.left_out for events in sequences]),
        _sums([events.doubtful for events in sequences]),
    )


def _sums(counts: Sequence[Mapping[str, int]]) -> Mapping[str, int]:
    total: collections.Counter[str] = collections.Counter()
    for count in counts:
        total.update(count)
    return total


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
    last = {(controller, channel): value for _, controller, value, channel in pedal.tolist()}
    rows = [(tick, controller, 0, channel) for (controller, channel), v in last.items() if v]
    return np.array(rows, PEDAL)
