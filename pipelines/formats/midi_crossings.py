"""Tells whether tracks that were read one by one sound otherwise when they are played together.

A channel's program and pedals are those of the whole sequence, whichever track sets them (format 1
of the Standard MIDI Files, RP-001). These tests may say yes where nothing would change, never no
where something would.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Collection
from typing import NamedTuple

import numpy as np

from pipelines.formats.midi_messages import (
    ALL_SOUND_OFF,
    CONTROL,
    NOTE_ON,
    PROGRAM,
    RESET_CONTROLLERS,
)
from pipelines.score_arrays import CHANNELS, LAST_TICK, SOFT, SOSTENUTO, SUSTAIN

MOST_MODES = 64  # Messages that are looked at; with more the answer is yes.
MANY_STATUSES = 4  # Seeming statuses after which a later track is walked: it may have none.
FIRST_CONTROLLERS = 8  # Of a track and channel: a pedal is mostly among them.
ANY_PROGRAM = -1

_NOTES = [NOTE_ON << 4 | channel for channel in range(CHANNELS)]
_CONTROLS = [CONTROL << 4 | channel for channel in range(CHANNELS)]

_SUSTAIN = bytes([SUSTAIN])
_DELTA = rb"[\x80-\xff]{0,3}[\x00-\x7f]"
_TWO_BYTES = rb"[\x80-\xbf\xe0-\xef][\x00-\x7f]{2}(?:" + _DELTA + rb"[\x00-\x7f]{2})*+"
_ONE_BYTE = rb"[\xd0-\xdf][\x00-\x7f](?:" + _DELTA + rb"[\x00-\x7f])*+"
_META = rb"\xff[\x00-\x2e\x30-\x7f]"  # Any but the end of the track.
_SHORT_META = _META + rb"(?:\x03...|\x04....|\x02..|\x01.|\x00)"  # Tempi first: there are most.
# Events that are no program change, and those that follow them by running status. It takes all
# it can (possessive), so it needs no longer than the track is.
_OTHERS = re.compile(
    rb"(?:%b(?:%b|%b|%b))*+" % (_DELTA, _TWO_BYTES, _ONE_BYTE, _SHORT_META), re.DOTALL
)
_PROGRAM = re.compile(rb"%b([\xc0-\xcf])([\x00-\x7f])((?:%b[\x00-\x7f])*+)" % (_DELTA, _DELTA))
_SHORT_METAS = re.compile(rb"(?:%b%b)*+" % (_DELTA, _SHORT_META), re.DOTALL)
_LONG = re.compile(rb"%b(?:%b|\xf0|\xf7)([\x80-\xff]{0,3}[\x00-\x7f])" % (_DELTA, _META))
# Of each channel: what looks like a program change, and whether more may follow by running status.
_LOOKS = [
    re.compile(rb"%b([\x00-\x7f])(?=(%b[\x00-\x7f])?)" % (bytes([0xC0 | channel]), _DELTA))
    for channel in range(CHANNELS)
]
_END = re.compile(rb"(?:%b\xff\x2f|\Z)" % _DELTA)


class Track(NamedTuple):
    """A track, and the channels it may use: those that have a status among its bytes.

    A byte of such a value is a status or something else: no channel is missed.

    Attributes:
      body: its bytes.
      notes, controls: the channels.
      programs: those of the channels that have notes in some track.
    """

    body: bytes
    notes: list[int]
    controls: list[int]
    programs: list[int]


class Tracks(NamedTuple):
    """All tracks.

    Attributes:
      tracks: each of them.
      used: the channels of notes and controllers of all of them.
      shared: channels that seem to have programs in one track and notes in another.
    """

    tracks: list[Track]
    used: set[int]
    shared: set[int]

    def may_need_channels(self) -> bool:
        """Tells whether they seem to have pedals, or programs for the notes of others."""
        return bool(self.shared) or (
            len(self.used) > 1
            and any(_begins_with_a_pedal(t.body, c) for t in self.tracks for c in t.controls)
        )

    def programs_cross(self, programs: Collection[tuple[int | None, int]]) -> bool:
        """Tells whether a track may set the program of another's notes, to one they do not have.

        Each track alone begins with program 0, and its program changes are its own. That is right
        where the notes of a channel stand in the track of its program changes, and where the
        channel has one program in all.

        Args:
          programs: (channel, program) of the notes as read; None is an unknown channel.
        """
        walked: dict[int, list[tuple[int | None, int]]] = {}
        for channel in self.shared:
            found = {program for its_channel, program in programs if its_channel in (channel, None)}
            for index, track in enumerate(self.tracks if found else []):
                looks = _LOOKS[channel].findall(track.body) if channel in track.programs else []
                if all(not more and found == {program[0]} for program, more in looks):
                    continue
                if index not in walked:
                    walked[index] = _programs(track.body)
                found |= {program for c, program in walked[index] if c in (channel, None)}
                if len(found) > 1:
                    return True
        return False

    def programs_return(self) -> bool:
        """Tells whether a channel with controllers may change back to a program that it had.

        symusic loses the controllers under a program without notes, if no new program follows it.
        """
        for track in self.tracks:
            # Few programs look like several, and not all like one: then it is worth a walk.
            several = [channel for channel in track.controls if _looks_various(track.body, channel)]
            changes = _programs(track.body) if several else []
            for channel in several:
                programs = [0, *(program for c, program in changes if c in (channel, None))]
                runs = [program for program, _ in itertools.groupby(programs)]
                if len(runs) > len(set(runs)) or ANY_PROGRAM in runs:
                    return True
        return False


def look_at(bodies: list[bytes]) -> Tracks:
    """Finds the channels that tracks may use."""
    tracks: list[Track] = []
    used: set[int] = set()
    notes = [[status & 0xF for status in _NOTES if status in body] for body in bodies]
    # Programs of a channel without notes make no difference, nor do those of a single track.
    sounding = {channel for track in notes for channel in track} if len(bodies) > 1 else ()
    for body, playing in zip(bodies, notes, strict=True):
        controls = [status & 0xF for status in _CONTROLS if status in body]
        programs = [channel for channel in sounding if PROGRAM << 4 | channel in body]
        # Tempi and names have bytes of any value, and the first track mostly has nothing else.
        count = len(playing) + len(controls) + len(programs)
        if count >= (MANY_STATUSES if tracks else 1) and _has_only_meta_events(body):
            tracks.append(Track(body, [], [], []))
        else:
            used.update(playing, controls)
            tracks.append(Track(body, playing, controls, programs))
    return Tracks(tracks, used, _shared(tracks))


def _shared(tracks: list[Track]) -> set[int]:
    """Gives the channels with programs in one track, and programs or notes in another."""
    shared: set[int] = set()
    setting: dict[int, Track] = {}
    for track in tracks:
        shared.update(setting.keys() & track.programs)
        setting |= dict.fromkeys(track.programs, track)
    for track in tracks:
        shared.update(c for c in track.notes if setting.get(c, track) is not track)
    return shared


def _begins_with_a_pedal(body: bytes, channel: int) -> bool:
    """Tells whether a sustain pedal seems to be among the first controllers of a channel."""
    position = -1
    for _ in range(FIRST_CONTROLLERS):
        position = body.find(CONTROL << 4 | channel, position + 1)
        if position < 0:
            return False
        if body[position + 1 : position + 2] == _SUSTAIN:
            return True
    return False


def _looks_various(body: bytes, channel: int) -> bool:
    """Tells whether a track seems to set several programs of a channel."""
    status = PROGRAM << 4 | channel
    if body.find(status, body.find(status) + 1) < 0:  # Quicker than to count.
        return False
    looks = _LOOKS[channel].findall(body)
    return len({program for program, _ in looks}) > 1 or any(more for _, more in looks)


def _programs(track: bytes) -> list[tuple[int | None, int]]:
    """Gives each (channel, program) that a track sets; -1 is any program, None any channel."""
    found: list[tuple[int | None, int]] = []
    position = 0
    while not _END.match(track, position := _end(_OTHERS.match(track, position))):
        if change := _PROGRAM.match(track, position):
            channel = change[1][0] & 0xF
            found.append((channel, change[2][0]))
            if change[3]:  # More of them by running status.
                found.append((channel, ANY_PROGRAM))
            position = change.end()
        elif (after := _after_long(track, position)) is not None:
            position = after
        else:
            return [(None, ANY_PROGRAM)]
    return found


def _has_only_meta_events(track: bytes) -> bool:
    """Tells whether a track has no message for a channel, like one of tempi and names."""
    position: int | None = 0
    while position is not None:
        position = _end(_SHORT_METAS.match(track, position))
        if _END.match(track, position):
            return True
        position = _after_long(track, position)
    return False


def _after_long(track: bytes, position: int) -> int | None:
    """Gives the position after a long meta event or a system exclusive message, if one is there."""
    event = _LONG.match(track, position)
    if not event:
        return None
    length = 0
    for digit in event[1]:
        length = length << 7 | digit & 0x7F
    return event.end() + length


def _end(match: re.Match[bytes] | None) -> int:
    """Gives the end of a match that may be empty, but always is one."""
    assert match
    return match.end()


def modes_act(
    modes: list[np.ndarray],
    pedal: np.ndarray,
    notes: np.ndarray,
    is_open: np.ndarray,
    channels: np.ndarray,
) -> bool:
    """Tells whether a channel mode message may end a note or lift a pedal.

    Args:
      modes: one or more [event] of `PEDAL`, whose controllers are `IS_MODE`.
      pedal: [event] of `PEDAL`.
      notes: [note] of `NOTE`.
      is_open: bool [note], whether nothing ends it.
      channels: uint8 [voice].
    """
    if sum(map(len, modes)) > MOST_MODES:
        return True
    note_channels = channels[notes["track"]]
    ends = np.where(is_open, LAST_TICK + 1, notes["onset"] + notes["duration"])
    for tick, controller, _, channel in np.concatenate(modes).tolist():
        sounds = (note_channels == channel) & (notes["onset"] <= tick) & (tick < ends)
        if controller != RESET_CONTROLLERS and sounds.any():
            return True
        if controller in (RESET_CONTROLLERS, ALL_SOUND_OFF):
            moves = pedal[(pedal["channel"] == channel) & (pedal["tick"] <= tick)]
            for number in (SUSTAIN, SOSTENUTO, SOFT):
                values = moves[moves["controller"] == number]
                if len(values) and (
                    values["value"][-1] or values["value"][values["tick"] == tick].any()
                ):
                    return True
    return False
