"""Spines of a Humdrum file, and how they split, join and end."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from fractions import Fraction

PATHS = ("*^", "*v", "*-", "*+", "*x")  # Interpretations that change the spines.
MOST_SPINES = 2**9  # At a time.


@dataclasses.dataclass(eq=False)
class Spine:
    """A column of the file.

    Attributes:
      kind: as its **name says, "" before it does.
      part: index of the **kern spine that it belongs to, or, of another, of the one left of it.
      voice: number among the spines that its part is split into.
      end: until when its last note or rest lasts, quarters.
    """

    kind: str = ""
    part: int = -1
    voice: int = 0
    end: Fraction = Fraction(0)
    is_cue: bool = False
    staves: tuple[str, ...] = ()


def changed(spines: list[Spine], tokens: list[str], now: Fraction) -> list[Spine]:
    """Gives the spines after a line of interpretations.

    Args:
      tokens: one a spine.
      now: where new spines begin, quarters.
    """
    voices: defaultdict[int, set[int]] = defaultdict(set)
    for spine in spines:
        voices[spine.part].add(spine.voice)
    after: list[Spine] = []
    exchanged: list[int] = []
    before = ""
    for spine, token in zip(spines, tokens, strict=True):
        if token == "*^":
            used = voices[spine.part]
            free = next(voice for voice in range(len(used) + 1) if voice not in used)
            used.add(free)
            after += [spine, dataclasses.replace(spine, voice=free)]
        elif token == "*v" and before == "*v" and after[-1].part == spine.part:
            after[-1].end = max(after[-1].end, spine.end)
        elif token == "*+":
            after += [spine, Spine(end=now)]
        elif token != "*-":
            after.append(spine)
        if token == "*x":
            exchanged.append(len(after) - 1)
        before = token
    if len(exchanged) == 2:
        one, other = exchanged
        after[one], after[other] = after[other], after[one]
    return after
