"""Tokens of a line of ABC music, and the parsed tune that they become.

ABC 2.1, section 4; also chords as before ABC 2, +CEG+.
"""

from __future__ import annotations

import collections
import dataclasses
import re
from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import NamedTuple

from pipelines.formats.abc_fields import Meter
from pipelines.formats.abc_keys import Key
from pipelines.formats.dynamics import DEFAULT_LEVEL, LEVELS

# The first that fits is taken. The parts of a token are the groups behind its own.
TOKEN = re.compile(
    r"""
    (?P<note>([_^=]*)([A-Ga-g])([,']*)([0-9/]*)(-?))
    |(?P<space>[ \t`$]+|\\$)
    |(?P<field>\[([A-Za-z]):([^\]]*)\])
    |(?P<ending>\[[ ]?([0-9]+(?:[,-][0-9]+)*))
    |(?P<bar>(\.?\[?\|[|:]*\]?|:[|:]*\]?)([0-9]+(?:[,-][0-9]+)*)?)
    |(?P<chord>\[([^\[\]|:]*)\]([0-9/]*)(-?))
    |(?P<named_ending>\["[^"]*")
    |(?P<text>"[^"]*")
    |(?P<rest>([zxZX])([0-9/]*))
    |(?P<broken>>+|<+)
    |(?P<tuplet>\(([0-9]+)(?::([0-9]*))?(?::([0-9]*))?)
    |(?P<slur>[()])
    |(?P<tie>-)
    |(?P<grace>\{[^{}]*\})
    |(?P<spacer>y[0-9/]*)
    |(?P<old_chord>\+(?!f+\+)([A-Ga-g,'_^=0-9/ -]+)\+)
    |(?P<decoration>!([^!|:\[\]" ][^!|:\[\]"]*)!|\+([^+|:"\[\] ][^+|:"\[\]]*)\+|[.~H-Wh-w])
    |(?P<overlay>&+)
    |(?P<other>.)
    """,
    re.VERBOSE,
)
# A note, a rest or space at the beginning of a line, before ":|" or "::", is no field.
FIELD_LINE = re.compile(r"(?![A-Ga-gxyzXZ]:[|:])([A-Za-z+]):(.*)")


SPREADS = ("not", "octave", "pitch")  # Of accidentals, section 11.3.


def lines_outside_blocks(text: str) -> Iterator[tuple[int, str]]:
    """Gives the lines of a tune, and their numbers from 1, without blocks of text.

    A block goes from %%beginNAME, which is given, to %%endNAME or the end, which are not.
    """
    block = ""
    for number, line in enumerate(text.split("\n"), start=1):
        name = (line[2:].split() or [""])[0] if line.startswith("%%") else ""
        if block:
            block = "" if name == f"end{block}" else block
            continue
        yield number, line
        block = name.removeprefix("begin") if name.startswith("begin") else ""


def spread_said(directive: str) -> str:
    """Gives the scope of accidentals that a directive, without %% or I:, sets; "" of others."""
    name, spread, *_ = [*directive.split(), "", ""]
    return spread if name == "propagate-accidentals" and spread in SPREADS else ""


class State(NamedTuple):
    """What is in force at a sound; the tempo in microseconds per quarter note."""

    key: Key
    meter: Meter | None
    tempo: int | None
    velocity: int
    program: int
    is_drum: bool


class Sound:
    """Notes with the same onset, or a rest.

    Attributes:
      pitches: MIDI key numbers; none is a rest.
      length: index in `Tune.lengths`.
      tied: those of the pitches that are tied to the next sound.
      state: what is in force.
    """

    __slots__ = ("length", "pitches", "state", "tied")

    def __init__(self, pitches: tuple[int, ...], length: int, state: State) -> None:
        self.pitches, self.length, self.state = pitches, length, state
        self.tied: tuple[int, ...] = ()


class Bar(NamedTuple):
    """A bar line.

    Attributes:
      passes: times that the section which ends here is played; 0 where none ends.
      starts: whether a section that is repeated starts here.
      is_double: whether it is a double or final line.
      is_free: whether the bar before it may have any length.
    """

    passes: int = 0
    starts: bool = False
    is_double: bool = False
    is_free: bool = False


class Ending(NamedTuple):
    """An ending: the beginning of music that is played in some passes only, counted from 1."""

    passes: frozenset[int]


class Part(NamedTuple):
    """The beginning of a part."""

    label: str


class Overlay(NamedTuple):
    """Sounds that begin with the sound behind it, and do not move it.

    Attributes:
      level: from 1; of several overlays of a bar each has its own.
    """

    level: int
    sounds: tuple[Sound, ...]


Item = Sound | Bar | Ending | Part | Overlay


class Pitched(NamedTuple):
    """A note as written: steps from C, accidental in semitones, MIDI key number."""

    steps: int
    half_tones: int
    pitch: int


class Voice:
    """A voice while it is parsed: its items, and what is in force at its end."""

    def __init__(self, key: Key, meter: Meter | None, unit: Fraction, tempo: int | None) -> None:
        self.items: list[Item] = []
        self.key, self.meter, self.unit, self.tempo = key, meter, unit, tempo
        self.velocity, self.part = LEVELS[DEFAULT_LEVEL], ""
        self.channel, self.program = 1, 0
        self.moves: dict[str, int] = {}  # As `abc_keys.transpositions` gives them.
        self.semitones = 0  # Their sum.
        self.state: State | None = None  # None after a change of what it holds.
        self.lengths: dict[str, int] = {}  # Text behind a note: index in `Tune.lengths`.
        self.in_bar: dict[int, int] = {}  # Steps from C, or those in the octave: semitones.
        self.tied: dict[int, int] = {}  # Steps from C of notes that go on: semitones.
        self.last: Sound | None = None
        self.last_notes: tuple[Pitched, ...] = ()
        self.broken: Fraction | None = None  # What the next length is multiplied by.
        self.tuplet, self.tuplet_left = Fraction(1), 0
        self.is_free = False
        self.overlay: OpenOverlay | None = None
        self.overlays: list[Voice] = []  # Of each level.

    def move(self, moves: Mapping[str, int]) -> None:
        """Transposes what follows; properties that are not named stay as they are."""
        self.moves |= moves
        self.semitones = sum(self.moves.values())


@dataclasses.dataclass
class OpenOverlay:
    """An overlay while it is parsed.

    Attributes:
      voice: takes its sounds.
      level: from 1.
      starts: indices in the items of the voice it lies over, where each of its bars begins.
      is_behind: whether the last of these bars has ended already.
      bars: sounds of those of its bars that have ended.
    """

    voice: Voice
    level: int
    starts: list[int]
    is_behind: bool
    bars: list[list[Item]] = dataclasses.field(default_factory=list)


@dataclasses.dataclass
class Tune:
    """A parsed tune, and counts of what was skipped.

    Attributes:
      voices: by name, in their order.
      lengths: each length that occurs, quarter notes.
      order: labels of the parts to play; empty where the tune gives none.
      left_out: {element: how often}, what a Score cannot hold, or is not supported here.
      doubtful: {fault: how often}, what seems wrong, and was read as it seems meant.
      faults: how often something could not be parsed and was skipped, if lenient.
    """

    voices: dict[str, Voice] = dataclasses.field(default_factory=dict)
    lengths: list[Fraction] = dataclasses.field(default_factory=list)
    order: list[str] = dataclasses.field(default_factory=list)
    title: str = ""
    composer: str = ""
    left_out: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)
    doubtful: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)
    faults: int = 0
