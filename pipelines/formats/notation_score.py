"""Written music -> Reading: plays the sections in order, joins ties, makes the arrays."""

from __future__ import annotations

import bisect
import math
from collections.abc import Callable, Iterable
from fractions import Fraction
from typing import Any

import numpy as np

from pipelines.formats import notation_repeats
from pipelines.formats.notation_repeats import RepeatError
from pipelines.formats.notation_ties import PlayedNote, join_ties
from pipelines.formats.written_music import MOST_NOTES, WrittenMusic, WrittenNote, check_count
from pipelines.reading_result import Reading
from pipelines.score import Score
from pipelines.score_arrays import KEY, METER, NOTE, TEMPO, allowed

# Ticks per quarter note. 480 holds 128ths, triplets and quintuplets of 16ths; 10,080 septuplets.
TICKS, MOST_TICKS, FALLBACK_TICKS = 480, 32767, 10_080


def reading_of(music: WrittenMusic, plays_repeats: bool) -> Reading:
    """Makes the Reading of a piece.

    Args:
      plays_repeats: whether repeats, endings and jumps are played; else all is played once.

    Raises:
      ValueError: the piece is too long for a Score.
    """
    check_count(music.notes, MOST_NOTES, "notes")
    order = _order(music, plays_repeats)
    ticks = ticks_holding(time for note in music.notes for time in (note.onset, note.end))
    sections = [(round(s.start * ticks), round(s.end * ticks)) for s in music.sections]
    begins = [start for start, _ in sections]
    notes = _by_section(music.notes, begins, lambda note: round(note.onset * ticks))
    played, shifts, now = [], [], 0
    for place, index in enumerate(order):
        start, end = sections[index]
        shifts.append(now - start)
        played += [
            _play(note, onset, round(note.end * ticks), now - start, place)
            for onset, note in notes[index]
        ]
        now += end - start
    played.sort(key=lambda one: one.onset)
    kept, unended = join_ties(played)
    if unended:
        music.doubtful["tied notes without an end"] += unended

    def events(dtype: np.dtype, written: list[Any]) -> np.ndarray:
        found = _by_section(written, begins, lambda event: round(event[0] * ticks))
        return _events(dtype, found, order, shifts, sections)

    tempi = [(time, round(60e6 / bpm)) for time, bpm in music.tempi if 60e6 / bpm < 2**31]
    score = Score.from_unsorted(
        ticks,
        _note_array(kept),
        tempi=events(TEMPO, tempi),
        meters=events(METER, [m for m in music.meters if m[1] < 256 and m[2] < 2**16]),
        keys=events(KEY, [k for k in music.keys if -7 <= k[1] <= 7]),
        title=music.title,
    )
    return Reading(score, dict(+music.left_out), dict(+music.doubtful))


def _order(music: WrittenMusic, plays_repeats: bool) -> list[int]:
    """Gives the sections to play, and counts what of it is not played."""
    once = list(range(len(music.sections)))
    if music.order is None:
        signs = notation_repeats.count_signs(music.sections)
    else:
        signs = int(music.order != once)
    if not signs:
        return once
    if not plays_repeats:
        music.left_out["repeats"] += signs
        return once
    try:
        order = music.order
        if order is None:
            order = notation_repeats.play_order(music.sections)
        if not order:
            raise RepeatError("the order names what is not there")
        _check_length(music, order)
    except RepeatError:
        music.doubtful["repeats not played"] += signs
        return once
    return order


def _check_length(music: WrittenMusic, order: list[int]) -> None:
    begins = [section.start for section in music.sections]
    counts = np.zeros(len(begins), np.int64)
    for note in music.notes:
        counts[max(bisect.bisect_right(begins, note.onset) - 1, 0)] += 1
    if counts[order].sum() > MOST_NOTES:
        raise RepeatError(f"more than {MOST_NOTES} notes are played")


def _by_section(
    items: Iterable[Any], begins: list[int], tick_of: Callable[[Any], int]
) -> list[list[tuple[int, Any]]]:
    """Sorts items to the sections that they begin in: (tick, item) in order of time."""
    found: list[list[tuple[int, Any]]] = [[] for _ in begins]
    for item in items:
        tick = tick_of(item)
        found[max(bisect.bisect_right(begins, tick) - 1, 0)].append((tick, item))
    for section in found:
        section.sort(key=lambda pair: pair[0])
    return found


def _play(note: WrittenNote, onset: int, end: int, shift: int, place: int) -> PlayedNote:
    return PlayedNote(onset + shift, max(end, onset + 1) + shift, place, note)


def ticks_holding(quarters: Iterable[Fraction]) -> int:
    """Gives the least multiple of TICKS in which all times are integers, or FALLBACK_TICKS."""
    exact = TICKS
    for denominator in {time.denominator for time in quarters}:
        exact = math.lcm(exact, denominator)
        if exact > MOST_TICKS:
            return FALLBACK_TICKS
    return exact


def _note_array(played: list[PlayedNote]) -> np.ndarray:
    array = np.zeros(len(played), NOTE)
    for row, one in enumerate(played):
        note, length = one.note, one.end - one.onset
        array[row] = (
            one.onset,
            length,
            note.pitch,
            note.velocity,
            note.track,
            note.program,
            False,
        )
    return array


def _events(
    dtype: np.dtype,
    found: list[list[tuple[int, Any]]],
    order: list[int],
    shifts: list[int],
    sections: list[tuple[int, int]],
) -> np.ndarray:
    """Plays events, of which the last of a tick counts; after a jump those in force are said."""
    in_force = _in_force(found)
    by_tick: dict[int, tuple[Any, ...]] = {}
    last: tuple[Any, ...] | None = None
    for place, index in enumerate(order):
        is_jump = place > 0 and index != order[place - 1] + 1
        if is_jump and in_force[index] != last and in_force[index] is not None:
            last = by_tick[sections[index][0] + shifts[place]] = in_force[index]
        for tick, event in found[index]:
            last = by_tick[tick + shifts[place]] = event[1:]
    rows = [(tick, *values) for tick, values in sorted(by_tick.items())]
    events = np.array(rows, dtype)
    return events[allowed(events)]


def _in_force(found: list[list[tuple[int, Any]]]) -> list[Any]:
    """Gives what is in force where each section begins; None before the first event."""
    in_force: list[Any] = []
    now = None
    for section in found:
        in_force.append(now)
        if section:
            now = section[-1][1][1:]
    return in_force
