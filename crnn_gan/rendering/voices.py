"""A staff -> voices: sequences of chords, at most two at a time.

Notes of one onset are a chord, or two where they end differently: the upper goes to the upper
voice. A chord held while others begin has a voice of its own. Where a third voice would be needed,
the chord with the earliest onset ends.

Lost: short overlaps, and gaps no longer than the note, of notes that are not quantised or end off
the grid: they are articulation, not notation.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from crnn_gan.rendering.bars import TICKS
from crnn_gan.rendering.staves import Staff

UPPER, LOWER = 0, 1
TOUCHING = TICKS // 2  # The longest overlap that is legato.


@dataclasses.dataclass
class Chord:
    """Notes that begin and end together.

    Attributes:
      onset, end: ticks.
      pitches: lowest first.
      voice: `UPPER` or `LOWER`.
      is_alone: whether no other chord of the staff sounds with it; its voice may still change.
      ends_on_grid: whether it ends there in the piece too.
    """

    onset: int
    end: int
    pitches: list[int]
    voice: int
    is_alone: bool
    ends_on_grid: bool


def chords_of(staff: Staff) -> tuple[list[Chord], int]:
    """Gives the chords of a staff by onset, and the number of shortened ones."""
    chords: list[Chord] = []
    sounding: list[Chord] = []
    cut = 0
    starts = np.flatnonzero(np.diff(staff.onset, prepend=-1)).tolist()
    for first, last in zip(starts, [*starts[1:], len(staff.onset)], strict=True):
        onset = int(staff.onset[first])
        for chord in sounding:
            is_legato = chord.end - onset <= min(TOUCHING, (chord.end - chord.onset) // 2)
            if is_legato and not chord.ends_on_grid:
                chord.end = min(chord.end, onset)
        sounding = [chord for chord in sounding if chord.end > onset]
        groups = _groups(staff, slice(first, last), sum(chord.end - onset for chord in sounding))
        for _ in range(len(sounding) + len(groups) - 2):
            oldest = min(sounding, key=lambda chord: (chord.onset, chord.end))
            oldest.end = onset
            sounding.remove(oldest)
            cut += 1
        _place(groups, sounding)
        chords += groups
        sounding += groups
    _close_gaps(chords)
    return chords, cut


def _groups(staff: Staff, rows: slice, held: int) -> list[Chord]:
    """Makes one or two chords of the notes of one onset, the upper first.

    Args:
      staff, rows: the notes of the onset.
      held: ticks that sounding chords would lose if both voices were needed.
    """
    whole, count = (0, rows.stop - rows.start), rows.stop - rows.start
    ends, exact = staff.end[rows], staff.ends_on_grid[rows]

    def chord(part: tuple[int, int], voice: int) -> Chord:
        inside = slice(*part)
        # The most frequent end; of several such the latest.
        values, counts = np.unique(ends[inside], return_counts=True)
        most = int(values[len(values) - 1 - counts[::-1].argmax()])
        end = min(most, int(staff.latest_end[rows][inside].min()))
        is_exact = bool(exact[inside][ends[inside] == most].all())
        pitches = staff.pitch[rows][inside].tolist()
        return Chord(int(staff.onset[rows.start]), end, pitches, voice, True, is_exact)

    def lost(part: tuple[int, int]) -> int:
        return int(np.abs(ends[slice(*part)] - chord(part, UPPER).end).sum())

    if lost(whole) <= held:
        return [chord(whole, UPPER)]
    at = min(range(1, count), key=lambda k: lost((0, k)) + lost((k, count)))
    lower, upper = chord((0, at), LOWER), chord((at, count), UPPER)
    is_exact = upper.ends_on_grid and lower.ends_on_grid
    if abs(upper.end - lower.end) <= (0 if is_exact else TOUCHING):
        return [chord(whole, UPPER)]
    return [upper, lower]


def _place(groups: list[Chord], sounding: list[Chord]) -> None:
    """Assigns voices to the chords of an onset and those that still sound, two in all."""
    if len(groups) == 2:
        for chord in groups:
            chord.is_alone = False
    elif len(sounding) == 1:
        held, new = sounding[0], groups[0]
        if held.is_alone:
            held.voice = UPPER if np.mean(held.pitches) >= np.mean(new.pitches) else LOWER
        new.voice = 1 - held.voice
        held.is_alone = new.is_alone = False


def _close_gaps(chords: list[Chord]) -> None:
    """Extends a chord that ends off the grid to the next onset of the staff, where that is near."""
    onsets = np.array([chord.onset for chord in chords])
    for chord in chords:
        after = int(np.searchsorted(onsets, chord.end))
        if after == len(chords) or chord.ends_on_grid:
            continue
        gap = int(onsets[after]) - chord.end
        if gap <= min(TICKS, chord.end - chord.onset):
            chord.end = int(onsets[after])
