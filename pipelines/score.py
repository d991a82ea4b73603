"""Score: a piece of music as one frozen value, which every part of the pipeline takes."""

from __future__ import annotations

import dataclasses
import hashlib
from typing import Any

import numpy as np

from pipelines.score_arrays import (
    DEFAULT_TEMPO,
    KEY,
    METER,
    PEDAL,
    PEDAL_DOWN,
    SOFT,
    SOSTENUTO,
    SUSTAIN,
    TEMPO,
    check_channels,
    check_events,
    check_notes,
    sorted_by_tick,
    sorted_notes,
)

FLAT_TICKS_PER_QUARTER = 480  # At 120 quarter notes per minute one tick is 1/960 of a second.


@dataclasses.dataclass(frozen=True, eq=False)
class Score:
    """A piece: notes, pedal, and the maps of tempo, meter and key.

    Notes are sorted by (onset, pitch, track); the other arrays by tick. Operations
    return new Scores, without the ABC text where it no longer has their notes.
    Arrays are read-only: those that can be written to are copied.

    Attributes:
      ticks_per_quarter: ticks in a quarter note, 1..32767.
      notes: [note] of `NOTE`.
      pedal: [event] of `PEDAL`; controller 64 (sustain), 66 (sostenuto) or 67 (soft), of a channel.
      tempi: [event] of `TEMPO`. Before the first: 120 quarter notes per minute.
      meters: [event] of `METER`.
      keys: [event] of `KEY`; `sharps` is negative for flats.
      title, composer: as the source names them, "" where it does not.
      abc: the ABC text it was read from, if any.
      channels: uint8 [track], the MIDI channel of each track, 9 for drums; empty where all tracks
        are on channel 0. A pedal acts on the tracks of its channel.

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
    channels: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros(0, np.uint8))

    def __post_init__(self) -> None:
        if not 1 <= self.ticks_per_quarter <= 32767:
            raise ValueError(f"ticks_per_quarter is {self.ticks_per_quarter}; give 1 to 32767")
        check_notes(self.notes)
        for name in ("pedal", "tempi", "meters", "keys"):
            check_events(name, getattr(self, name))
        check_channels(self.channels, self.notes)
        for name in ("notes", "pedal", "tempi", "meters", "keys", "channels"):
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
    def note_channels(self) -> np.ndarray:
        """uint8 [note], the channel of each note, whose pedals act on it."""
        if len(self.channels) == 0:
            return np.zeros(len(self.notes), np.uint8)
        return self.channels[self.notes["track"]]

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
        """Transposes every note but the drums, and the keys.

        Notes that would leave 0..127 are dropped: compare the number of notes to count
        them. A key gets the signature of fewest accidentals; six of them are sharps.
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
        """Prolongs notes while the sustain pedal of their channel is down, and removes that pedal.

        A note whose end finds the pedal down ends when it goes up, when its key (pitch,
        program and channel) has its next onset, or, if neither comes, at the end of the last note
        or pedal event. No note gets shorter; drums stay.
        """
        is_sustain = self.pedal["controller"] == SUSTAIN
        sustain, ends = self.pedal[is_sustain], self.end_ticks
        if len(sustain) == 0:
            return self
        last = max(self.length_ticks, int(sustain["tick"][-1]))
        channel = self.note_channels
        limits = _next_onset_of_key(self.notes, channel)
        notes = self.notes.copy()
        for index in np.unique(sustain["channel"]):
            lifted = _lift_of_notes(sustain[sustain["channel"] == index], ends, last)
            is_held = (channel == index) & ~notes["is_drum"]
            rung = np.maximum(ends, np.minimum(lifted, limits)) - notes["onset"]
            notes["duration"] = np.where(is_held, rung, notes["duration"])
        return dataclasses.replace(self, notes=notes, pedal=self.pedal[~is_sustain], abc="")

    def quantized(self, ticks_per_quarter: int) -> Score:
        """Quantises every time to a grid, halves up, whose ticks are those of the result.

        Lost: what is below the grid. Onsets and ends are rounded, so that notes which
        touch still do; a note that would vanish lasts one tick.
        """
        fine, grid = self.ticks_per_quarter, ticks_per_quarter
        return self._with_ticks(grid, lambda ticks: (2 * ticks * grid + fine) // (2 * fine))

    def with_flattened_tempo(self) -> Score:
        """Gives the same seconds at 120 quarter notes per minute, 480 ticks per quarter note.

        Lost: the beat (meters and keys keep their seconds), and times below 1/960 s.
        """
        ticks_per_second = FLAT_TICKS_PER_QUARTER * 1e6 / DEFAULT_TEMPO
        flat = self._with_ticks(
            FLAT_TICKS_PER_QUARTER,
            lambda ticks: np.rint(self.seconds_at(ticks) * ticks_per_second).astype(np.int64),
        )
        return dataclasses.replace(flat, tempi=np.array([(0, DEFAULT_TEMPO)], TEMPO), abc="")

    def crop(self, first_tick: int, last_tick: int) -> Score:
        """Gives the notes with an onset from `first_tick` up to, not including, `last_tick`.

        The window begins at tick 0 of the result. Notes still sounding at its end are
        cut there, those with an earlier onset are left out. Pedal, tempo, meter and key in
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
        pedal = self.pedal
        one_by_one = [
            pedal[(pedal["controller"] == controller) & (pedal["channel"] == channel)]
            for controller in (SUSTAIN, SOSTENUTO, SOFT)
            for channel in np.unique(pedal["channel"])
        ]
        cropped = [_crop_events(events, first_tick, last_tick) for events in one_by_one]
        return dataclasses.replace(
            self,
            notes=notes,
            pedal=sorted_by_tick(np.concatenate([pedal[:0], *cropped])),
            tempi=_crop_events(self.tempi, first_tick, last_tick),
            meters=_crop_events(self.meters, first_tick, last_tick),
            keys=_crop_events(self.keys, first_tick, last_tick),
            abc="",
        )

    def notes_digest(self) -> str:
        """Gives a digest, in hexadecimal, that copies of a piece share.

        It is the SHA-256 of the number of onsets per pitch, drums apart. So it does not
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


def _lift_of_notes(sustain: np.ndarray, ends: np.ndarray, last: int) -> np.ndarray:
    """int64 [note], when the pedal lets go of notes that end at `ends`: at the end if it is up.

    Args:
      sustain: [event] of `PEDAL`, at least one, of one channel.
      ends: [note], ticks.
      last: tick at which a pedal that stays down lets go.
    """
    is_down = sustain["value"] >= PEDAL_DOWN
    latest = np.searchsorted(sustain["tick"], ends, side="right") - 1
    held = (latest >= 0) & is_down[latest]
    lifts = np.append(sustain["tick"][~is_down], last)
    # Past the last lift, searchsorted gives the index of `last`, which was put at the end.
    lifted = lifts[np.minimum(np.searchsorted(lifts[:-1], ends, "right"), len(lifts) - 1)]
    return np.where(held, lifted, ends)


def _next_onset_of_key(notes: np.ndarray, channel: np.ndarray) -> np.ndarray:
    """int64 [note], the next onset of the same pitch, program and channel; else a far tick."""
    key = channel.astype(np.int64) * 128 + notes["program"]
    key = (key * 128 + notes["pitch"]) * 2 + notes["is_drum"]
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
