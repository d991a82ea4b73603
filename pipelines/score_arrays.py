"""Arrays of a Score: dtypes of notes and events, their order, and the values they may have."""

from __future__ import annotations

from typing import Any

import numpy as np

NOTE = np.dtype(
    [
        ("onset", np.int64),  # ticks
        ("duration", np.int64),  # ticks, at least 1
        ("pitch", np.uint8),  # MIDI key number, 60 is middle C
        ("velocity", np.uint8),  # 1..127
        ("track", np.int16),  # the voice, in scores
        ("program", np.uint8),  # General MIDI program, 0..127
        ("is_drum", np.bool_),
    ]
)
PEDAL = np.dtype(
    [
        ("tick", np.int64),
        ("controller", np.uint8),
        ("value", np.uint8),
        ("channel", np.uint8),  # 0..15: it acts on the tracks of this channel
    ]
)
TEMPO = np.dtype([("tick", np.int64), ("microseconds_per_quarter", np.int32)])
METER = np.dtype([("tick", np.int64), ("numerator", np.uint8), ("denominator", np.uint16)])
KEY = np.dtype([("tick", np.int64), ("sharps", np.int8), ("is_minor", np.bool_)])

DEFAULT_TEMPO = 500_000  # Microseconds per quarter note, until the first tempo event (SMF 1.0).
SLOWEST_TEMPO = 2**24 - 1  # Microseconds per quarter note: three bytes in a MIDI file.
LAST_TICK = 2**28 - 2  # One below the largest delta time of a MIDI file.
SUSTAIN, SOSTENUTO, SOFT = 64, 66, 67  # MIDI controllers.
IS_PEDAL = np.isin(np.arange(256), [SUSTAIN, SOSTENUTO, SOFT])  # bool [controller]
PEDAL_DOWN = 64  # A controller value of 64 or more is "on" (MIDI 1.0).
CHANNELS = 16
DRUM_CHANNEL = 9  # Counted from 0 (General MIDI).


def sorted_notes(notes: np.ndarray) -> np.ndarray:
    """Sorts [note] of `NOTE` by (onset, pitch, track); equals keep their order."""
    order_key = note_order(notes["onset"], notes["pitch"], notes["track"])
    if not _decreases(order_key):
        return notes
    # `take`, because indexing is twenty times slower on records.
    return notes.take(order_key.argsort(kind="stable"))


def sorted_by_tick(events: np.ndarray) -> np.ndarray:
    """Sorts [event] of a dtype with a field "tick"; those of one tick keep their order."""
    return events.take(np.argsort(events["tick"], kind="stable"))


def note_order(onset: np.ndarray, pitch: np.ndarray, track: np.ndarray) -> np.ndarray:
    """Gives a sort key, int64 [note]: onset, then 8 bits of pitch, then 16 bits of track.

    Args:
      onset, pitch, track: integers [note], in the ranges of `NOTE`, none negative.
    """
    order_key = onset.astype(np.int64)
    order_key <<= 8
    order_key += pitch
    order_key <<= 16
    order_key += track
    return order_key


def _decreases(values: np.ndarray) -> bool:
    """Tells whether a value of [n] is below the one before it."""
    # Thrice as fast as any() on the few events that most arrays hold.
    return bool(np.count_nonzero(values[1:] < values[:-1]))


def _highest(values: np.ndarray) -> Any:
    # max() and min() take thrice as long on a few hundred values.
    return values[values.argmax()]


def _lowest(values: np.ndarray) -> Any:
    return values[values.argmin()]


def _require(fact: Any, text: str) -> None:
    if not fact:
        raise ValueError(f"Score: {text}")


def _check_array(name: str, array: np.ndarray, dtype: np.dtype) -> None:
    if not isinstance(array, np.ndarray) or array.dtype != dtype or array.ndim != 1:
        kind = getattr(array, "dtype", type(array).__name__)
        raise ValueError(f"Score: {name} must be a 1-D array of dtype {dtype}, not {kind}")


def check_notes(notes: np.ndarray) -> None:
    _check_array("notes", notes, NOTE)
    if len(notes) == 0:
        return
    # Copies: in the records these fields are unaligned, and slow to work on.
    onset, duration = notes["onset"].copy(), notes["duration"].copy()
    # Each alone first: their sum could wrap around, and so could the sorting key.
    longest = max(_highest(onset), _highest(duration))
    if longest > LAST_TICK or _highest(onset + duration) > LAST_TICK:
        raise ValueError(f"Score: a note ends after tick {LAST_TICK}")
    _require(_lowest(onset) >= 0, "a note begins before tick 0")
    _require(_lowest(duration) >= 1, "a note lasts less than a tick")
    pitch, velocity, program = notes["pitch"], notes["velocity"], notes["program"]
    if _highest(pitch | velocity | program) > 127:
        _require(pitch.max() <= 127, "a pitch is above 127")
        _require(velocity.max() <= 127, "a velocity is not in 1..127")
        _require(False, "a program is above 127")
    _require(_lowest(velocity) >= 1, "a velocity is not in 1..127")
    _require(_lowest(notes["track"]) >= 0, "a track is negative")
    _require(
        not _decreases(note_order(onset, pitch, notes["track"])),
        "notes are not sorted by (onset, pitch, track); use Score.from_unsorted",
    )


def check_channels(channels: np.ndarray, notes: np.ndarray) -> None:
    """Raises ValueError where channels, uint8 [track], do not suit the notes; [] always does."""
    _check_array("channels", channels, np.dtype(np.uint8))
    if len(channels) == 0:
        return
    _require(channels.max() < CHANNELS, "a channel is above 15")
    _require(len(channels) > notes["track"].max(initial=0), "a track has no channel")
    is_drum_channel = channels[notes["track"]] == DRUM_CHANNEL
    _require(
        np.array_equal(is_drum_channel, notes["is_drum"]),
        f"channel {DRUM_CHANNEL} is that of drums, and of nothing else",
    )


def check_events(name: str, events: np.ndarray) -> None:
    _check_array(name, events, _DTYPES[name])
    if len(events) == 0:
        return
    tick = events["tick"].copy()
    if tick[0] < 0 or tick[-1] > LAST_TICK:
        raise ValueError(f"Score: {name}: a tick is not in 0..{LAST_TICK}")
    if len(tick) > 1 and _decreases(tick):
        raise ValueError(f"Score: {name} are not sorted; use Score.from_unsorted")
    _require(name != "pedal" or events["channel"].max() < CHANNELS, "a channel is above 15")
    if np.count_nonzero(allowed(events)) < len(events):
        raise ValueError(f"Score: {name}: {_RANGES[name]}")


_IS_POWER_OF_TWO = np.isin(np.arange(2**16), 2 ** np.arange(16))  # bool [denominator]
_DTYPES = {"pedal": PEDAL, "tempi": TEMPO, "meters": METER, "keys": KEY}
_RANGES = {
    "pedal": "a controller is not 64, 66 or 67, or a value is above 127",
    "tempi": f"microseconds_per_quarter is not in 1..{SLOWEST_TEMPO}",
    "meters": "a numerator is 0 or a denominator is not a power of two",
    "keys": "sharps are not in -7..7",
}


def allowed(events: np.ndarray) -> np.ndarray:
    """Tells which of [event] of `PEDAL`, `TEMPO`, `METER` or `KEY` have values a Score may hold.

    Returns:
      bool [event].
    """
    if events.dtype == PEDAL:
        # `take`, because indexing takes twice as long.
        return IS_PEDAL.take(events["controller"]) & (events["value"] <= 127)
    if events.dtype == TEMPO:
        tempo = events["microseconds_per_quarter"]
        return (tempo >= 1) & (tempo <= SLOWEST_TEMPO)
    if events.dtype == METER:
        return _IS_POWER_OF_TWO.take(events["denominator"]) & (events["numerator"] > 0)
    return (events["sharps"] >= -7) & (events["sharps"] <= 7)
