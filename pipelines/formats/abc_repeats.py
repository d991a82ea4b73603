"""Expands parts, repeats and endings of an ABC voice: the order in which items are played.

A repeated section begins at `|:`; where that is missing, at the latest double bar line or end
of a repeat (ABC 2.1, section 4.8), at the bar line that ends the last ending before, or where the
part begins.
"""

from __future__ import annotations

import collections
from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple

from pipelines.formats.abc_fields import AbcError
from pipelines.formats.abc_tokens import Bar, Ending, Item, Part, Sound

Span = tuple[int, int]  # First item, and the one after the last.


def in_order(
    items: Sequence[Item],
    lengths: Sequence[Fraction],
    order: Sequence[str],
    doubtful: collections.Counter[str],
    most_items: int,
) -> list[Span]:
    """Gives the spans of items in the order in which they are played.

    Args:
      items: of one voice.
      lengths: `Tune.lengths`.
      order: labels of the parts to play; parts of no label in it are not played, but for
        what stands before the first. Empty: all, as they stand.
      doubtful: counts what is wrong with repeats and the order.
      most_items: those that may be played.

    Raises:
      AbcError: more than `most_items`.
    """
    parts = _parts(items)
    labels = {label for label, _ in parts}
    wanted = [label for label in order if label in labels]
    doubtful["parts to play that are not there"] += len(set(order) - labels)
    if wanted:
        doubtful["parts that the order leaves out"] += len(labels - set(wanted) - {""})
        spans: dict[str, list[Span]] = collections.defaultdict(list)
        for label, span in parts:
            spans[label].append(span)
        chosen = [span for label in ["", *wanted] for span in spans[label]]
    else:
        chosen = [span for _, span in parts]
    unrolled = {span: _unrolled(items, lengths, span, doubtful) for span in dict.fromkeys(chosen)}
    sizes = {span: sum(last - first for first, last in unrolled[span]) for span in unrolled}
    if sum(sizes[span] for span in chosen) > most_items:
        raise AbcError(f"with its repeats it is longer than {most_items} notes")
    return [played for span in chosen for played in unrolled[span]]


def _parts(items: Sequence[Item]) -> list[tuple[str, Span]]:
    """Gives the label and the items of each part; that of what stands before the first is ""."""
    found = [("", 0)] + [(i.label, at) for at, i in enumerate(items) if isinstance(i, Part)]
    ends = [at for _, at in found[1:]] + [len(items)]
    return [(label, (at, end)) for (label, at), end in zip(found, ends, strict=True) if at < end]


def _unrolled(
    items: Sequence[Item],
    lengths: Sequence[Fraction],
    span: Span,
    doubtful: collections.Counter[str],
) -> list[Span]:
    """Gives the spans of one part in the order in which they are played."""
    played: list[Span] = []
    for section in _sections(items, lengths, span, doubtful):
        for number in range(1, section.passes + 1):
            played.append(section.body)
            fitting = [ending.span for ending in section.endings if number in ending.passes]
            played += fitting[:1]
            doubtful["passes without an ending"] += bool(section.endings) and not fitting
    return [(first, last) for first, last in played if first < last]


class _Ending(NamedTuple):
    passes: frozenset[int]
    span: Span


class _Section(NamedTuple):
    """What is played some times over, each with its own ending if there are any."""

    body: Span
    endings: list[_Ending]
    passes: int


def _sections(
    items: Sequence[Item],
    lengths: Sequence[Fraction],
    span: Span,
    doubtful: collections.Counter[str],
) -> list[_Section]:
    reader = _SectionReader(items, lengths, span[0], doubtful)
    for at in range(*span):
        item = items[at]
        if isinstance(item, Bar):
            reader.bar(at, item)
        elif isinstance(item, Ending):
            reader.ending(at, item.passes)
    reader.close(span[1])
    return reader.sections


class _SectionReader:
    """Finds sections, given the bar lines and endings one after the other."""

    def __init__(
        self,
        items: Sequence[Item],
        lengths: Sequence[Fraction],
        start: int,
        doubtful: collections.Counter[str],
    ) -> None:
        self.items, self.lengths, self.doubtful = items, lengths, doubtful
        self.sections: list[_Section] = []
        self._begin(start)

    def _begin(self, start: int) -> None:
        self.start, self.passes = start, 1
        self.endings: list[_Ending] = []
        self.open: tuple[frozenset[int], int] | None = None  # An ending: its first item.
        self.bars: list[int] = []  # Bar lines since that.
        self.bars_of_first = 1  # Bar lines of the first ending.
        self.is_said = False  # Whether the section begins with a repeat sign.
        self.has_double = False  # Whether its body has a double bar line.

    def close(self, at: int) -> None:
        """Ends the section before an item, and begins the next one there."""
        self._end_ending(at)
        body_end = self.endings[0].span[0] if self.endings else at
        self.sections.append(_Section((self.start, body_end), self.endings, self.passes))
        self._begin(at)

    def _end_ending(self, at: int) -> None:
        if self.open is None:
            return
        if not self.endings:
            self.bars_of_first = max(1, len(self.bars))
        passes, first = self.open
        self.endings.append(_Ending(passes, (first, at)))
        self.open = None

    def _close_if_last_ending_is_over(self) -> None:
        """Ends the section where its last ending is as long as its first, if it is longer."""
        if self.open and self.endings and len(self.bars) >= self.bars_of_first:
            self.close(self.bars[self.bars_of_first - 1])

    def bar(self, at: int, bar: Bar) -> None:
        """Takes the bar line at an item."""
        if bar.passes:
            self._close_if_last_ending_is_over()
            self._begin_at_double(at)
        self.bars.append(at)
        if bar.passes:
            self.passes = max(self.passes, bar.passes)
            self._end_ending(at)
            if not self._ending_follows(at):
                self.close(at)
            elif not self.endings:
                self.endings.append(_Ending(frozenset({1}), (at, at)))  # It has no sign.
        elif bar.starts or (bar.is_double and self.open and self.endings):
            self.close(at)
        elif bar.is_double and not self.open:
            self.has_double = True
        self.is_said = self.is_said or bar.starts

    def _begin_at_double(self, end: int) -> None:
        """Begins the section at its last double bar line, if no sign says where it begins.

        What is shorter than a bar, such as an upbeat before the repeat, is no section.
        """
        if self.is_said or self.endings or not self.has_double:
            return
        quarters = bar = Fraction(0)
        for at in range(end - 1, self.start, -1):
            item = self.items[at]
            if isinstance(item, Sound):
                quarters += self.lengths[item.length]
                bar = item.state.meter.quarters if item.state.meter is not None else Fraction(0)
            elif isinstance(item, Bar) and item.is_double and quarters and quarters >= bar:
                passes, ending, bars = self.passes, self.open, self.bars
                self.open, self.passes = None, 1
                self.close(at)
                self.passes, self.open, self.bars = passes, ending, bars
                return

    def _ending_follows(self, at: int) -> bool:
        """Tells whether the ending of another pass begins at the bar line at an item."""
        following = next((i for i in self.items[at + 1 : at + 3] if not isinstance(i, Bar)), None)
        return isinstance(following, Ending) and not following.passes & self._seen()

    def _seen(self) -> frozenset[int]:
        """The passes that have an ending; without any sign, that is the first."""
        seen = frozenset().union(*(ending.passes for ending in self.endings))
        seen |= self.open[0] if self.open else frozenset()
        return seen or frozenset({1})

    def ending(self, at: int, passes: frozenset[int]) -> None:
        """Takes the beginning of an ending at an item."""
        if self.open is not None and not passes & self._seen():
            self.doubtful["endings without a repeat sign"] += 1
            self._end_ending(at)
        elif self.open is not None:
            self._close_if_last_ending_is_over()
            if self.open is not None:
                self.close(at)
        self.open, self.bars = (passes, at), []
        self.passes = max(self.passes, *passes)
