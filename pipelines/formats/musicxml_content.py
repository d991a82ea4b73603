"""What a part of MusicXML holds, by measure and by the time in it."""

from __future__ import annotations

import dataclasses
from fractions import Fraction

# A place in a part: the index of its measure, and quarters from the beginning of that.
Place = tuple[int, Fraction]


@dataclasses.dataclass(slots=True)
class PartNote:
    """A note of a part; as of a WrittenNote, with a place in place of a time."""

    place: Place
    length: Fraction
    pitch: int
    velocity: int | None
    program: int
    staff: str
    voice: str
    ties_on: bool
    is_tied: bool


@dataclasses.dataclass
class Part:
    """What a part holds.

    Attributes:
      staves: number of them, at least 1.
      lengths: quarters of each measure as far as this part fills it.
      note_ends: quarters from the beginning of each measure to the end of its notes; None where
        it has none, so that its length is in doubt.
      meters, keys, tempi: by their place; a key as it sounds.
      transposes: whether its keys are written in another key than they sound, somewhere.
    """

    staves: int = 1
    notes: list[PartNote] = dataclasses.field(default_factory=list)
    lengths: list[Fraction] = dataclasses.field(default_factory=list)
    note_ends: list[Fraction | None] = dataclasses.field(default_factory=list)
    meters: list[tuple[Place, int, int]] = dataclasses.field(default_factory=list)
    keys: list[tuple[Place, int, bool]] = dataclasses.field(default_factory=list)
    tempi: list[tuple[Place, float]] = dataclasses.field(default_factory=list)
    transposes: bool = False
