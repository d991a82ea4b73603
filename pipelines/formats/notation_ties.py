"""Ties: notes of one pitch that sound as one.

A tie belongs to its voice. Where no note of the voice ends it, one of the same part does: first
one that follows at once, else one up to a section later, as where the notes of an arpeggio ring
until the chord. A tie that nothing ends leaves its note as it is.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections import defaultdict

from pipelines.formats.written_music import WrittenNote

LONGEST_GAP = 1  # Sections between the end of a note and the note that it is tied to.


@dataclasses.dataclass(slots=True)
class PlayedNote:
    """A note as it is played.

    Attributes:
      onset, end: ticks.
      place: index of the played section that it begins in.
      note: what is written.
    """

    onset: int
    end: int
    place: int
    note: WrittenNote


def join_ties(played: list[PlayedNote]) -> tuple[list[PlayedNote], int]:
    """Joins tied notes.

    Args:
      played: by onset. The ends of those that begin a tie are moved.

    Returns:
      What remains; how many written notes begin a tie that never ends.
    """
    kept: list[PlayedNote] = []
    unended: dict[int, bool] = {}  # By the identity of written notes: until one is ended.
    waiting: dict[tuple[int, int], list[_Tie]] = defaultdict(list)
    for _, group in itertools.groupby(played, lambda one: one.onset):
        together = list(group)
        ended = _ends(together, waiting)
        for one in together:
            tie = ended.get(id(one))
            if tie is None:
                kept.append(one)
                _silence(waiting, one)
            else:
                tie.sounding.end = max(tie.sounding.end, one.end)
                unended[id(tie.last.note)] = False
            if one.note.ties_on:
                ties = waiting[one.note.part, one.note.pitch]
                ties[:] = [other for other in ties if _is_near(other, one)]
                ties.append(_Tie(tie.sounding if tie else one, one))
                unended.setdefault(id(one.note), True)
    return kept, sum(unended.values())


@dataclasses.dataclass(slots=True, eq=False)
class _Tie:
    """A tie that waits for its end: the note as it sounds so far, and the last one joined."""

    sounding: PlayedNote
    last: PlayedNote


def _ends(
    together: list[PlayedNote], waiting: dict[tuple[int, int], list[_Tie]]
) -> dict[int, _Tie]:
    """Gives the tie that each of some notes with one onset ends, by the note's identity."""
    pairs = [
        (_distance(tie, one), place, tie, one)
        for place, one in enumerate(together)
        if one.note.is_tied
        for tie in waiting.get((one.note.part, one.note.pitch), ())
        if tie.last.end <= one.onset and _is_near(tie, one)
    ]
    found: dict[int, _Tie] = {}
    used: set[int] = set()
    for _, _, tie, one in sorted(pairs, key=lambda pair: pair[:2]):
        if id(one) not in found and id(tie) not in used:
            found[id(one)] = tie
            used.add(id(tie))
            waiting[one.note.part, one.note.pitch].remove(tie)
    return found


def _is_near(tie: _Tie, one: PlayedNote) -> bool:
    return one.place - tie.last.place <= LONGEST_GAP


def _distance(tie: _Tie, one: PlayedNote) -> tuple[bool, bool, bool, int]:
    before, after = tie.last.note, one.note
    return (
        tie.last.end != one.onset,
        before.voice != after.voice,
        before.staff != after.staff,
        one.onset - tie.last.end,
    )


def _silence(waiting: dict[tuple[int, int], list[_Tie]], one: PlayedNote) -> None:
    """Gives up the ties of a voice whose pitch is struck anew."""
    ties = waiting.get((one.note.part, one.note.pitch))
    if ties:
        ties[:] = [
            tie
            for tie in ties
            if tie.last.note.voice != one.note.voice
            or tie.last.note.staff != one.note.staff
            or tie.last.end > one.onset
        ]
