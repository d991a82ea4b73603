"""The order in which sections are played: repeats, endings, D.C., D.S., fine and coda.

Repeats may be nested. After a jump back they are not taken again, and of the endings the last is
played. A jump is taken once.
"""

from __future__ import annotations

import dataclasses

from pipelines.formats.written_music import Section

MOST_PLAYED = 2**15  # Sections.
MOST_TIMES = 100  # That a repeat sign may ask for.


class RepeatError(ValueError):
    """The signs of repetition make no order."""


def count_signs(sections: list[Section]) -> int:
    """Gives the number of signs that say to play something again."""
    return sum(bool(s.times) + s.da_capo + (s.dal_segno is not None) for s in sections)


def play_order(sections: list[Section]) -> list[int]:
    """Gives the indices of sections as they are played.

    Raises:
      RepeatError: a sign to jump to is not there, or the order is too long.
    """
    return _Player(sections).play()


@dataclasses.dataclass
class _Repeat:
    """A repeat that is being played: the section it begins with, and the pass, from 1."""

    start: int
    number: int = 1


class _Player:
    def __init__(self, sections: list[Section]) -> None:
        self.sections = sections
        self.last_passes = _last_passes(sections)
        self.repeats = [_Repeat(0)]
        self.has_jumped = False
        self.jumped_from: set[int] = set()

    def play(self) -> list[int]:
        order: list[int] = []
        at: int | None = 0
        while at is not None and at < len(self.sections):
            if len(order) > MOST_PLAYED:
                raise RepeatError(f"more than {MOST_PLAYED} sections are played")
            self._begin(at)
            if self._is_played(at):
                order.append(at)
                at = self._next(at)
            else:
                if self._ends_group(at) and not self.has_jumped and self._is_last_pass(at):
                    self._end_repeat(at)
                at += 1
        return order

    def _is_last_pass(self, at: int) -> bool:
        return self.repeats[-1].number >= self.last_passes[at]

    def _begin(self, at: int) -> None:
        starts = self.repeats[-1].start
        if self.sections[at].begins_repeat and not self.has_jumped and starts != at:
            self.repeats.append(_Repeat(at))

    def _is_played(self, at: int) -> bool:
        ending = self.sections[at].ending
        if not ending:
            return True
        number = self.last_passes[at] if self.has_jumped else self.repeats[-1].number
        return number in ending

    def _next(self, at: int) -> int | None:
        section = self.sections[at]
        if self.has_jumped:
            if section.fine:
                return None
            if section.to_coda is not None:
                return self._find("coda", section.to_coda, at)
        if section.times > MOST_TIMES:
            raise RepeatError(f"something is played {section.times} times")
        if section.times and not self.has_jumped:
            repeat = self.repeats[-1]
            times = max(section.times, self.last_passes[at]) if section.ending else section.times
            if repeat.number < times:
                repeat.number += 1
                return repeat.start
            self._end_repeat(at)
        elif section.ending and not self.has_jumped and self._ends_group(at):
            self._end_repeat(at)
        return self._jump(at)

    def _end_repeat(self, at: int) -> None:
        self.repeats.pop()
        # A sign without its beginning goes back to where the last repeat ended.
        if not self.repeats or not self.sections[self.repeats[-1].start].begins_repeat:
            self.repeats = [_Repeat(at + 1)]

    def _ends_group(self, at: int) -> bool:
        """Whether this section is the last one of a group of endings."""
        return at + 1 == len(self.sections) or not self.sections[at + 1].ending

    def _jump(self, at: int) -> int | None:
        section = self.sections[at]
        if not (section.da_capo or section.dal_segno is not None) or at in self.jumped_from:
            return at + 1
        self.jumped_from.add(at)
        self.has_jumped = True
        return 0 if section.da_capo else self._find("segno", section.dal_segno or "", at)

    def _find(self, sign: str, label: str, at: int) -> int:
        """Gives the section with a sign: with that label, else the one after or before."""
        there = [n for n, section in enumerate(self.sections) if getattr(section, sign) is not None]
        labelled = [n for n in there if getattr(self.sections[n], sign) == label]
        found = labelled or there
        if not found:
            raise RepeatError(f"there is no {sign} to jump to")
        later = [n for n in found if n > at]
        earlier = [n for n in found if n <= at]
        if sign == "coda":
            if not later:
                raise RepeatError("there is no coda after its sign")
            return later[0]
        return earlier[-1] if earlier else found[0]


def _last_passes(sections: list[Section]) -> list[int]:
    """Gives the number of passes of the group of endings that each section is in; else 0.

    An ending alone, with a repeat sign, is followed by another pass without a bracket.
    """
    passes, at = [0] * len(sections), 0
    while at < len(sections):
        if not sections[at].ending:
            at += 1
            continue
        end = at
        while end < len(sections) and sections[end].ending:
            end += 1
        group = sections[at:end]
        last = max(max(section.ending) for section in group)
        is_alone = len({section.ending for section in group}) == 1
        if is_alone and any(section.times for section in group):
            last += 1
        passes[at:end] = [last] * (end - at)
        at = end
    return passes
