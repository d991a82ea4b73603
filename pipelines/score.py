"""Score: one frozen value for a piece of music, which every step speaks."""

from __future__ import annotations

import dataclasses
import hashlib
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
PEDAL = np.dtype([("tick", np.int64), ("controller", np.uint8), ("value", np.uint8)])
TEMPO = np.dtype([("tick", np.int64), ("microseconds_per_quarter", np.int32)])
METER = np.dtype([("tick", np.int64), ("numerator", np.uint8), ("denominator", np.uint16)])
KEY = np.dtype([("tick", np.int64), ("sharps", np.int8), ("is_minor", np.bool_)])

DEFAULT_TEMPO = 500_000  # Microseconds a quarter, until the first tempo event (SMF 1.0).
SLOWEST_TEMPO = 2**24 - 1  # Microseconds a quarter: three bytes in a MIDI file.
LAST_TICK = 2**28 - 2  # One below the largest delta time of a MIDI file.
SUSTAIN, SOSTENUTO, SOFT = 64, 66, 67  # MIDI controllers.
IS_PEDAL = np.isin(np.arange(256), [SUSTAIN, SOSTENUTO, SOFT])  # bool [controller]
PEDAL_DOWN = 64  # A controller value of 64 or more is "on" (MIDI 1.0).
FLAT_TICKS_PER_QUARTER = 480  # At 120 quarters a minute one tick is 1/960 of a second.


@dataclasses.dataclass(frozen=True, eq=False)
class Score:
    """A piece: notes, pedal, and the maps of tempo, meter and key.

    Notes are sorted by (onset, pitch, track); the other arrays by tick. Operations
    return new Scores, without the ABC text when it no longer tells their notes.
    Arrays are read-only: those that can be written to are copied.

    Attributes:
      ticks_per_quarter: ticks in a quarter note, 1..32767.
      notes: [note] of `NOTE`.
      pedal: [event] of `PEDAL`; controller 64 (sustain), 66 (sostenuto) or 67 (soft).
      tempi: [event] of `TEMPO`. Before the first: 120 quarters a minute.
      meters: [event] of `METER`.
      keys: [event] of `KEY`; `sharps` is negative for flats.
      title, composer: as the source names them, "" where it does not.
      abc: the ABC text it was read from, if any.

    Raises:
      ValueError: a field breaks what is said here, or a tick is above `LAST_TICK`.
    """

    ticks_per_quarter: int
    notes: np.ndarray
    pedal: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros(0, PEDAL))
    tempi: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros(0, TEMPO))
    meters: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros(0, METER))
    keys: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros(0, KEY))
    title: str = ""
    composer: str = ""
    abc: str = ""

    def __post_init__(self) -> None:
        if not 1 <= self.ticks_per_quarter <= 32767:
            raise ValueError(f"ticks_per_quarter is {self.ticks_per_quarter}; give 1 to 32767")
        _check_notes(self.notes)
        for name in ("pedal", "tempi", "meters", "keys"):
            _check_events(name, getattr(self, name))
        for name in ("notes", "pedal", "tempi", "meters", "keys"):
            object.__setattr__(self, name, _read_only(getattr(self, name)))

    @classmethod
    def from_unsorted(cls, ticks_per_quarter: int, notes: np.ndarray, **fields: Any) -> Score:
        """Makes a Score of arrays in any order.

        Args:
          ticks_per_quarter: as the attribute.
          notes: [note] of `NOTE`.
          **fields: the other attributes. Events of one tick keep their order.

        Raises:
          ValueError: as the class.
        """
        for name in fields.keys() & {"pedal", "tempi", "meters", "keys"}:
            fields[name] = sorted_by_tick(fields[name])
        return cls(ticks_per_quarter, sorted_notes(notes), **fields)

    @property
    def length_ticks(self) -> int:
        """The end of the last note, ticks; 0 where there is none."""
        return int(self.end_ticks.max(initial=0))

    @property
    def length_seconds(self) -> float:
        """The end of the last note, seconds."""
        return float(self.seconds_at(self.length_ticks))

    @property
    def end_ticks(self) -> np.ndarray:
        """int64 [note], where each note ends, ticks."""
        return self.notes["onset"] + self.notes["duration"]

    @property
    def onset_quarters(self) -> np.ndarray:
        """float64 [note], quarter notes from the beginning."""
        return self.notes["onset"] / self.ticks_per_quarter

    @property
    def duration_quarters(self) -> np.ndarray:
        """float64 [note], quarter notes."""
        return self.notes["duration"] / self.ticks_per_quarter

    @property
    def onset_seconds(self) -> np.ndarray:
        """float64 [note], seconds from the beginning."""
        return self.seconds_at(self.notes["onset"])

    @property
    def end_seconds(self) -> np.ndarray:
        """float64 [note], seconds from the beginning."""
        return self.seconds_at(self.end_ticks)

    @property
    def duration_seconds(self) -> np.ndarray:
        """float64 [note], seconds."""
        return self.end_seconds - self.onset_seconds

    def seconds_at(self, ticks: Any) -> np.ndarray:
        """Gives the time of ticks through the tempo map.

        Args:
          ticks: numbers of any shape, at least 0. Of tempi on one tick the last counts.

        Returns:
          float64 seconds, of the same shape.
        """
        ticks = np.asarray(ticks)
        from_ticks = np.concatenate([[0], self.tempi["tick"]])
        tempi = np.concatenate([[DEFAULT_TEMPO], self.tempi["microseconds_per_quarter"]])
        # Whole numbers up to here: ticks times microseconds is below 2**52, exact in float64.
        passed = np.concatenate([[0], np.cumsum(np.diff(from_ticks) * tempi[:-1])])
        segment = np.searchsorted(from_ticks, ticks, side="right") - 1
        scaled = passed[segment] + (ticks - from_ticks[segment]) * tempi[segment]
        return scaled / (self.ticks_per_quarter * 1e6)

    def transpose(self, semitones: int) -> Score:
        """Moves every note but the drums, and the keys.

        Notes that would leave 0..127 are dropped: compare the number of notes to count
        them. A key gets the signature of fewest accidentals, six of them as sharps.
        """
        if semitones == 0:
            return self
        pitch = self.notes["pitch"].astype(np.int64) + semitones * ~self.notes["is_drum"]
        kept = (pitch >= 0) & (pitch <= 127)
        notes, keys = self.notes[kept], self.keys.copy()
        notes["pitch"] = pitch[kept]
        # A semitone is seven steps on the circle of fifths.
        keys["sharps"] = (keys["sharps"].astype(np.int64) + 7 * semitones + 5) % 12 - 5
        return dataclasses.replace(self, notes=sorted_notes(notes), keys=keys, abc="")

    def with_sustain_applied(self) -> Score:
        """Lets notes ring while the sustain pedal is down, and takes that pedal away.

        A note whose end finds the pedal down ends when it goes up, when its key (pitch
        and program) is struck again, or, if neither comes, at the end of the last note or
        pedal event. No note gets shorter; drums stay.
        """
        is_sustain = self.pedal["controller"] == SUSTAIN
        sustain, ends = self.pedal[is_sustain], self.end_ticks
        if len(sustain) == 0:
            return self
        is_down = sustain["value"] >= PEDAL_DOWN
        latest = np.searchsorted(sustain["tick"], ends, side="right") - 1
        held = (latest >= 0) & is_down[latest] & ~self.notes["is_drum"]
        last = max(self.length_ticks, int(sustain["tick"][-1]))
        lifts = np.append(sustain["tick"][~is_down], last)
        # Past the last lift, searchsorted gives the index of `last`, which was put at the end.
        lifted = lifts[np.minimum(np.searchsorted(lifts[:-1], ends, "right"), len(lifts) - 1)]
        rung = np.maximum(ends, np.minimum(lifted, _next_onset_of_key(self.notes)))
        notes = self.notes.copy()
        notes["duration"] = np.where(held, rung, ends) - notes["onset"]
        return dataclasses.replace(self, notes=notes, pedal=self.pedal[~is_sustain], abc="")

    def quantized(self, ticks_per_quarter: int) -> Score:
        """Rounds every time to a grid, halves up, and counts ticks in that grid.

        Lost: what is below the grid. Onsets and ends are rounded, so that notes which
        touch still do; a note that would vanish lasts one tick.
        """
        fine, grid = self.ticks_per_quarter, ticks_per_quarter
        return self._with_ticks(grid, lambda ticks: (2 * ticks * grid + fine) // (2 * fine))

    def with_flattened_tempo(self) -> Score:
        """Gives the same seconds at 120 quarters a minute, 480 ticks a quarter.

        Lost: the beat (meters and keys keep their seconds), and times below 1/960 s.
        """
        ticks_per_second = FLAT_TICKS_PER_QUARTER * 1e6 / DEFAULT_TEMPO
        flat = self._with_ticks(
            FLAT_TICKS_PER_QUARTER,
            lambda ticks: np.rint(self.seconds_at(ticks) * ticks_per_second).astype(np.int64),
        )
        return dataclasses.replace(flat, tempi=np.array([(0, DEFAULT_TEMPO)], TEMPO), abc="")

    def crop(self, first_tick: int, last_tick: int) -> Score:
        """Gives the notes struck from `first_tick` up to, not including, `last_tick`.

        The window begins at tick 0 of the result. Notes still sounding at its end are
        cut there, those struck before it are left out. Pedal, tempo, meter and key in
        force at its beginning are in force at tick 0.

        Raises:
          ValueError: the window is empty or begins before 0.
        """
        if not 0 <= first_tick < last_tick:
            raise ValueError(
                f"crop from tick {first_tick} to {last_tick}; give 0 <= first_tick < last_tick"
            )
        onset = self.notes["onset"]
        notes = self.notes[(onset >= first_tick) & (onset < last_tick)]
        notes["duration"] = np.minimum(notes["duration"], last_tick - notes["onset"])
        notes["onset"] -= first_tick
        pedals = [self.pedal[self.pedal["controller"] == c] for c in (SUSTAIN, SOSTENUTO, SOFT)]
        cropped = [_crop_events(events, first_tick, last_tick) for events in pedals]
        return dataclasses.replace(
            self,
            notes=notes,
            pedal=sorted_by_tick(np.concatenate(cropped)),
            tempi=_crop_events(self.tempi, first_tick, last_tick),
            meters=_crop_events(self.meters, first_tick, last_tick),
            keys=_crop_events(self.keys, first_tick, last_tick),
            abc="",
        )

    def notes_digest(self) -> str:
        """Gives a name, in hexadecimal, that copies of a piece share.

        It is the SHA-256 of how often each pitch is struck, drums apart. So it does not
        depend on resolution, tempo, timing, dynamics, pedal, voices or titles: copies of
        other metadata and quantised or resampled copies fall together. Transpositions
        and other performances, which differ in notes, fall apart. Two short pieces
        of equal pitches fall together too, which only makes a group of a split larger.
        """
        keys = self.notes["pitch"] + np.int64(128) * self.notes["is_drum"]
        counts = np.bincount(keys, minlength=256).astype("<i8")
        return hashlib.sha256(counts.tobytes()).hexdigest()

    def _with_ticks(self, ticks_per_quarter: int, moved: Any) -> Score:
        """Gives the Score with every tick mapped by `moved`, which must not decrease."""
        notes = self.notes.copy()
        notes["onset"] = moved(self.notes["onset"])
        notes["duration"] = np.maximum(moved(self.end_ticks) - notes["onset"], 1)
        fields: dict[str, Any] = {}
        for name in ("pedal", "tempi", "meters", "keys"):
            fields[name] = getattr(self, name).copy()
            fields[name]["tick"] = moved(fields[name]["tick"])
        return dataclasses.replace(
            self, ticks_per_quarter=ticks_per_quarter, notes=sorted_notes(notes), **fields
        )


def sorted_notes(notes: np.ndarray) -> np.ndarray:
    """Sorts [note] of `NOTE` by (onset, pitch, track); equals keep their order."""
    order_key = note_order(notes["onset"], notes["pitch"], notes["track"])
    if not _decreases(order_key):
        return notes
    # `take`, because indexing is twenty times slower on records.
    return notes.take(np.argsort(order_key, kind="stable"))


def sorted_by_tick(events: np.ndarray) -> np.ndarray:
    """Sorts [event] of a dtype with a field "tick"; those of one tick keep their order."""
    return events.take(np.argsort(events["tick"], kind="stable"))


def note_order(onset: np.ndarray, pitch: np.ndarray, track: np.ndarray) -> np.ndarray:
    """Gives int64 [note] that grows with (onset, pitch, track): 16 bits for a track, 8 for a pitch.

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
    return bool((values[1:] < values[:-1]).any())


def _next_onset_of_key(notes: np.ndarray) -> np.ndarray:
    """int64 [note], when the same pitch of the same program is struck next; else a far tick."""
    key = (notes["program"].astype(np.int64) * 128 + notes["pitch"]) * 2 + notes["is_drum"]
    code = (key << 32) + notes["onset"]
    ordered = np.append(np.sort(code), np.int64(2**62))
    following = ordered[np.searchsorted(ordered, code, side="right")]
    return np.where(following >> 32 == key, following & (2**32 - 1), 2**62)


def _crop_events(events: np.ndarray, first_tick: int, last_tick: int) -> np.ndarray:
    """Takes the events of a window, and the one in force where it begins."""
    first, last = np.searchsorted(events["tick"], [first_tick, last_tick])
    begins_inside = first < len(events) and events["tick"][first] == first_tick
    cropped = events[max(first - (not begins_inside), 0) : last].copy()
    cropped["tick"] = np.maximum(cropped["tick"] - first_tick, 0)
    return cropped


def _read_only(array: np.ndarray) -> np.ndarray:
    if array.flags.writeable:
        array = array.copy()
        array.flags.writeable = False
    return array


def _require(fact: Any, text: str) -> None:
    if not fact:
        raise ValueError(f"Score: {text}")


def _check_array(name: str, array: np.ndarray, dtype: np.dtype) -> None:
    if not isinstance(array, np.ndarray) or array.dtype != dtype or array.ndim != 1:
        kind = getattr(array, "dtype", type(array).__name__)
        raise ValueError(f"Score: {name} must be a 1-D array of dtype {dtype}, not {kind}")


def _check_notes(notes: np.ndarray) -> None:
    _check_array("notes", notes, NOTE)
    if len(notes) == 0:
        return
    # Copies: in the records these fields are unaligned, and slow to work on.
    onset, duration = notes["onset"].copy(), notes["duration"].copy()
    # Each alone first: their sum could wrap around, and so could the sorting key.
    longest = max(onset.max(), duration.max())
    if longest > LAST_TICK or (onset + duration).max() > LAST_TICK:
        raise ValueError(f"Score: a note ends after tick {LAST_TICK}")
    _require(onset.min() >= 0, "a note begins before tick 0")
    _require(duration.min() >= 1, "a note lasts less than a tick")
    pitch, velocity, program = notes["pitch"], notes["velocity"], notes["program"]
    if (pitch | velocity | program).max() > 127:
        _require(pitch.max() <= 127, "a pitch is above 127")
        _require(velocity.max() <= 127, "a velocity is not in 1..127")
        _require(False, "a program is above 127")
    _require(velocity.min() >= 1, "a velocity is not in 1..127")
    _require(notes["track"].min() >= 0, "a track is negative")
    _require(
        not _decreases(note_order(onset, pitch, notes["track"])),
        "notes are not sorted by (onset, pitch, track); use Score.from_unsorted",
    )


def _check_events(name: str, events: np.ndarray) -> None:
    _check_array(name, events, _DTYPES[name])
    if len(events) == 0:
        return
    tick = events["tick"].copy()
    if tick[0] < 0 or tick[-1] > LAST_TICK:
        raise ValueError(f"Score: {name}: a tick is not in 0..{LAST_TICK}")
    if _decreases(tick):
        raise ValueError(f"Score: {name} are not sorted; use Score.from_unsorted")
    if not allowed(events).all():
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
    """Tells which of [event] of `PEDAL`, `TEMPO`, `METER` or `KEY` a Score may hold, ticks apart.

    Returns:
      bool [event].
    """
    if events.dtype == PEDAL:
        return IS_PEDAL[events["controller"]] & (events["value"] <= 127)
    if events.dtype == TEMPO:
        tempo = events["microseconds_per_quarter"]
        return (tempo >= 1) & (tempo <= SLOWEST_TEMPO)
    if events.dtype == METER:
        return _IS_POWER_OF_TWO[events["denominator"]] & (events["numerator"] > 0)
    return (events["sharps"] >= -7) & (events["sharps"] <= 7)
