"""Voices -> notation of each bar: notes and rests of notatable lengths.

Chords are split and tied at bar lines, and where they would hide the beat: a note on a beat may
last several beats, one within a beat may be a syncopation of half of it, and one that begins or
ends inside a triplet is tied at the triplet's end.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator, Sequence

import numpy as np

from crnn_gan.rendering.bars import TICKS, Bar, Grid
from crnn_gan.rendering.voices import LOWER, UPPER, Chord

# Plain and dotted lengths in ticks, longest first, from a dotted whole note to a 32nd.
LENGTHS = (144, 96, 72, 48, 36, 24, 18, 12, 9, 6, 3)
DOTTED = {144: 96, 72: 48, 36: 24, 18: 12, 9: 6}  # {ticks: without its dot}
IN_TRIPLETS = (16, 8, 4)


@dataclasses.dataclass(frozen=True)
class Symbol:
    """A note, chord or rest of a bar.

    Attributes:
      start: ticks from the bar's beginning.
      length: ticks.
      pitches: lowest first; empty for a rest.
      is_tied_from, is_tied_on: whether it is tied to the symbol before, or to the one after.
      is_seen: False for a hidden rest, which only fills the voice.
    """

    start: int
    length: int
    pitches: tuple[int, ...] = ()
    is_tied_from: bool = False
    is_tied_on: bool = False
    is_seen: bool = True


@dataclasses.dataclass(frozen=True)
class Measure:
    """A bar of a staff.

    Attributes:
      bar: its bar.
      voices: symbols of each voice, which fill the bar; one voice where one suffices. Empty for
        a whole-bar rest.
    """

    bar: Bar
    voices: tuple[tuple[Symbol, ...], ...]


def measures_of(chords: list[Chord], bars: list[Bar], grid: Grid) -> list[Measure]:
    """Notates the bars of a staff."""
    in_bar: list[list[Chord]] = [[] for _ in bars]
    starts = np.array([bar.start for bar in bars])
    for chord in chords:
        first, last = np.searchsorted(starts, [chord.onset, chord.end - 1], "right") - 1
        for index in range(int(first), int(last) + 1):
            in_bar[index].append(chord)
    return [_measure(inside, bar, grid) for inside, bar in zip(in_bar, bars, strict=True)]


def _measure(chords: list[Chord], bar: Bar, grid: Grid) -> Measure:
    upper, lower = ([chord for chord in chords if chord.voice == v] for v in (UPPER, LOWER))
    if not chords and bar.is_whole:
        return Measure(bar, ())
    if not upper or not lower:  # One voice suffices.
        return Measure(bar, (tuple(_voice(chords, (), UPPER, bar, grid)),))
    voices = _voice(upper, lower, UPPER, bar, grid), _voice(lower, upper, LOWER, bar, grid)
    return Measure(bar, (tuple(voices[0]), tuple(voices[1])))


def _voice(
    chords: list[Chord], others: Sequence[Chord], voice: int, bar: Bar, grid: Grid
) -> Iterator[Symbol]:
    """Gives the symbols of a voice of a bar, which they fill.

    Args:
      chords: of the voice, those that sound in the bar.
      others: of the other voice; none where there is one voice.
      voice: which it is.
      bar, grid: of the staff.
    """
    at = bar.start
    for chord in [*chords, None]:
        until = max(chord.onset, bar.start) if chord else bar.end
        for (first, last), is_seen in _rests(at, until, chords, others, voice, grid):
            for begin, stop in _note_values(first, last, bar, grid, is_rest=True):
                yield Symbol(begin - bar.start, stop - begin, is_seen=is_seen)
        if chord is None:
            return
        at = min(chord.end, bar.end)
        for first, last in _note_values(until, at, bar, grid, is_rest=False):
            yield Symbol(
                first - bar.start,
                last - first,
                tuple(chord.pitches),
                is_tied_from=first > chord.onset,
                is_tied_on=last < chord.end,
            )


def _rests(
    start: int,
    end: int,
    chords: list[Chord],
    others: Sequence[Chord],
    voice: int,
    grid: Grid,
) -> Iterator[tuple[tuple[int, int], bool]]:
    """Gives ((first, last), whether it is seen) of the rests in a gap of a voice.

    In a beat where one voice has notes, that voice shows its rests. Where both have, a rest is
    hidden while the other voice sounds, and a common rest is shown in the upper voice; so it is
    where none has notes. Inside a triplet every rest is shown, so that its bracket is complete.
    """
    edges = grid.edges[(grid.edges > start) & (grid.edges < end)].tolist()
    stretches = list(itertools.pairwise([start, *edges, end] if start < end else []))

    def is_seen(stretch: tuple[int, int]) -> bool:
        first, last = stretch
        cell = int(grid.cell_of(np.array([first]))[0])
        beat = int(grid.edges[cell]), int(grid.edges[cell + 1])
        if grid.steps[cell] in (4, 8) and stretch != beat:
            return True
        has_notes, others_have = (_sound(each, *beat) > 0 for each in (chords, others))
        if has_notes and others_have:
            sounding = _sound(others, first, last)
            return sounding < last - first and (voice == UPPER or sounding > 0)
        return has_notes or (voice == UPPER and not others_have)

    for seen, alike in itertools.groupby(stretches, is_seen):
        together = list(alike)
        yield (together[0][0], together[-1][1]), seen


def _sound(chords: Sequence[Chord], first: int, last: int) -> int:
    """Gives the ticks from `first` to `last` in which chords of one voice sound."""
    return sum(max(0, min(chord.end, last) - max(chord.onset, first)) for chord in chords)


def _note_values(
    start: int, end: int, bar: Bar, grid: Grid, *, is_rest: bool
) -> Iterator[tuple[int, int]]:
    """Splits an interval of a bar into notatable lengths: (first, last) in ticks."""
    while start < end:
        length = _longest(start, end, bar, grid, is_rest)
        yield start, start + length
        start += length


def _longest(start: int, end: int, bar: Bar, grid: Grid, is_rest: bool) -> int:
    """Gives the longest note value allowed at `start` that ends by `end`."""
    cell = int(grid.cell_of(np.array([start]))[0])
    cell_start, cell_end = int(grid.edges[cell]), int(grid.edges[cell + 1])
    is_triplet = grid.steps[cell] in (4, 8)
    if is_triplet and (start > cell_start or end < cell_end):
        inside = start - cell_start
        return next(
            length
            for length in IN_TRIPLETS
            if length <= min(end, cell_end) - start and inside % min(length, 8) == 0
        )
    at = start - bar.start
    for length in LENGTHS:
        if length > end - start or not _may_stand(at, length, bar, is_rest):
            continue
        stop = start + length
        last = int(grid.cell_of(np.array([stop - 1]))[0])
        if grid.steps[last] in (4, 8) and stop != grid.edges[last + 1]:
            continue
        return length
    raise ValueError(f"no note value fits {end - start} ticks at tick {at} of a bar")


def _may_stand(at: int, length: int, bar: Bar, is_rest: bool) -> bool:
    """Tells whether a note value of `length` ticks is allowed `at` ticks into a bar."""
    beat = bar.beat
    plain = DOTTED.get(length, length)
    is_dotted = plain != length
    if bar.is_compound:
        inside = at % beat
        if length >= beat:
            return inside == 0 and length % beat == 0
        if inside + length > beat:
            return False
        if is_rest:
            return not is_dotted and (inside % length == 0)
        return inside % max(plain // 2, 3) == 0 if not is_dotted else inside % plain == 0
    if is_rest:
        return not is_dotted and at % length == 0
    middle = 2 * TICKS
    if bar.end - bar.start == 2 * middle and at < middle < at + length:
        # The middle of four quarters is passed by what is half a bar and begins on a beat.
        return length >= middle and at % TICKS == 0 and (length <= 72 or at == 0)
    if length > TICKS:  # Over several beats, or a dotted quarter that ends on one.
        if is_dotted and plain == TICKS:
            return at % 12 == 0 and (at % TICKS == 0 or (at + length) % TICKS == 0)
        return at % TICKS == 0 and (length <= 72 or at % 48 == 0)
    if length == TICKS:
        return at % 12 == 0
    if at % TICKS + length > TICKS:
        return False
    if is_dotted:
        return at % plain == 0 or ((at + length) % (2 * plain) == 0 and at % (plain // 2) == 0)
    return at % max(plain // 2, 3) == 0
