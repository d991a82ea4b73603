"""Overlays (&) of an ABC voice: music that sounds with a bar and does not move its voice.

ABC 2.1, section 7.4. Each & sets the time back by one bar line, and one bar of music may
follow for each. An overlay has accidentals, tuplets, broken rhythms and ties of its own;
a tie joins overlays of one level in bars that follow each other.
"""

from __future__ import annotations

import collections
from collections.abc import Sequence
from fractions import Fraction

from pipelines.formats.abc_fields import AbcError
from pipelines.formats.abc_tokens import Bar, Item, OpenOverlay, Overlay, Sound, Tune, Voice

Chunk = tuple[int, tuple[Sound, ...]]  # When it begins, and its sounds.


def begin(voice: Voice, tune: Tune, count: int) -> None:
    """Begins an overlay that lies over the last bars of a voice, or over those of its overlay."""
    level = 1
    if voice.overlay is not None:
        level = voice.overlay.level + 1
        end(voice, tune)
    starts, is_behind = _bar_starts(voice.items, count)
    if level > len(voice.overlays):
        voice.overlays.append(Voice(voice.key, voice.meter, voice.unit, voice.tempo))
    over = voice.overlays[level - 1]
    over.key, over.meter, over.unit, over.lengths = (
        voice.key,
        voice.meter,
        voice.unit,
        voice.lengths,
    )
    over.tempo, over.velocity, over.part = voice.tempo, voice.velocity, voice.part
    over.channel, over.program, over.semitones = voice.channel, voice.program, voice.semitones
    over.items, over.state, over.in_bar, over.last, over.last_notes = [], None, {}, None, ()
    over.broken, over.tuplet_left = None, 0
    voice.overlay = OpenOverlay(over, level, starts, is_behind)


def _bar_starts(items: Sequence[Item], count: int) -> tuple[list[int], bool]:
    """Gives where the last bars with a sound begin, and whether the last of them has ended."""
    starts: list[int] = []
    first, is_behind = -1, False
    for at in range(len(items) - 1, -1, -1):
        item = items[at]
        if type(item) is Sound:
            first = at
        elif type(item) is Bar and first >= 0:
            starts.append(first)
            first = -1
            if len(starts) == count:
                break
        elif type(item) is Bar and not starts:
            is_behind = True
    if first >= 0:
        starts.append(first)
    return starts[::-1], is_behind


def ends_at_bar(voice: Voice, tune: Tune, is_plain: bool) -> bool:
    """Takes a bar line in an overlay; tells whether the voice it lies over has that line too.

    Args:
      is_plain: whether the line ends a bar and no more.
    """
    overlay = voice.overlay
    assert overlay is not None
    overlay.voice.in_bar = {}
    if len(overlay.bars) + 1 < len(overlay.starts):
        overlay.bars.append(overlay.voice.items)
        overlay.voice.items = []
        return False
    end(voice, tune)
    return not (overlay.is_behind and is_plain)


def end(voice: Voice, tune: Tune) -> None:
    """Ends the overlay of a voice and puts its bars where they begin."""
    overlay = voice.overlay
    if overlay is None:
        return
    voice.overlay, over = None, overlay.voice
    bars = [[i for i in bar if type(i) is Sound] for bar in [*overlay.bars, over.items]]
    tune.doubtful["tuplets of too few notes"] += over.tuplet_left > 0
    tune.doubtful["broken rhythms without two notes"] += over.broken is not None
    if not overlay.starts:
        notes = sum(len(sound.pitches) for bar in bars for sound in bar)
        tune.left_out["notes of overlays (&) without a bar"] += notes
        return
    for start, bar in reversed(list(zip(overlay.starts, bars, strict=False))):
        is_other = _length(bar, tune) != _length(voice.items[start:], tune)
        tune.doubtful["overlays (&) of another length than their bar"] += is_other
        if bar:
            voice.items.insert(start, Overlay(overlay.level, tuple(bar)))


def _length(items: Sequence[Item], tune: Tune) -> Fraction:
    """Gives the quarters of the sounds before the next bar line."""
    total = Fraction(0)
    for item in items:
        if type(item) is Bar:
            break
        if type(item) is Sound:
            total += tune.lengths[item.length]
    return total


def forget_ties(voice: Voice) -> None:
    """Ends ties at a bar line, of the overlays that do not lie over the bar before it."""
    present: set[int] = set()
    for item in reversed(voice.items):
        if type(item) is Overlay:
            present.add(item.level)
        elif type(item) is Bar:
            break
    for level, over in enumerate(voice.overlays, start=1):
        if level not in present:
            over.tied = {}


def played(
    spans: Sequence[tuple[int, int]], items: Sequence[Item], lengths: Sequence[int], most: int
) -> dict[int, list[Chunk]]:
    """Gives the overlays of spans of items, {level: those in the order of time}.

    Args:
      lengths: of each of `Tune.lengths`, in the unit of what is given.
      most: sounds that may be given.

    Raises:
      AbcError: more than `most`.
    """
    found: dict[int, list[Chunk]] = collections.defaultdict(list)
    now = count = 0
    for first, last in spans:
        for item in items[first:last]:
            if type(item) is Sound:
                now += lengths[item.length]
            elif type(item) is Overlay:
                found[item.level].append((now, item.sounds))
                count += len(item.sounds)
                if count > most:
                    raise AbcError(f"with repeats its overlays are longer than {most} notes")
    return found
