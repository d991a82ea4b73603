"""Shaping: filters and transformations of pieces before they are encoded.

All are off by default. They are applied in this order: the filters `solo_piano`, `meters`,
`minimum_notes` and `maximum_notes`; then `common_key`, while durations are still those of the
keys held; then `apply_pedal`. `duplicates` compares the results:
`pipelines/preparation/duplicates.py`.

Performances in the ASAP and MAESTRO collections have a meter of 4/4 that means nothing:
`meters` takes it as it is.
"""

from __future__ import annotations

import dataclasses
import re
from typing import Literal

import numpy as np

from pipelines import keys
from pipelines.score import Score
from pipelines.settings import Settings, UsageError, flag

LAST_PIANO_PROGRAM = 7  # General MIDI: 0 to 7 are pianos, clavinet and harpsichord included.
COMMON_TONIC = {False: 0, True: 9}  # By is_minor: C major, A minor.


@dataclasses.dataclass(frozen=True)
class Shaping(Settings):
    """Filters and transformations of pieces before they are encoded.

    Raises ValueError where a field is out of its bounds.
    """

    meters: tuple[str, ...] = flag(
        default=(), help="keeps only pieces whose meters are all among these, such as 3/4,4/4"
    )
    common_key: Literal["no", "profile", "signature"] = flag(
        default="no",
        help="transposes each piece to C major or A minor, from the key whose profile correlates "
        "best with its notes (profile) or from the key signature at its first note (signature)",
    )
    solo_piano: bool = flag(
        default=False, help="keeps only pieces for piano: MIDI programs 0 to 7, without drums"
    )
    minimum_notes: int | None = flag(
        default=None, help="leaves out pieces with fewer notes than this", at_least=1
    )
    maximum_notes: int | None = flag(
        default=None, help="leaves out pieces with more notes than this", at_least=1
    )
    apply_pedal: bool = flag(
        default=False, help="prolongs notes as long as the sustain pedal holds them"
    )
    duplicates: Literal["keep", "exact", "near"] = flag(
        default="keep",
        help="leaves out duplicates: pieces with the same pitches in the same order (exact), or "
        "with nearly the same intervals, in any key (near)",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        for meter in self.meters:
            _parsed(meter)
        least, most = self.minimum_notes, self.maximum_notes
        if least is not None and most is not None and most < least:
            raise UsageError(f"--maximum_notes is {most}; give {least} or more, the minimum_notes")

    def apply(self, score: Score) -> Score:
        """Gives the piece as it is to be encoded; the Score itself where all is off.

        Raises:
          ValueError: the piece is left out; the text says why.
        """
        if self.solo_piano:
            score = solo_piano(score)
        if self.meters:
            score = in_meters(score, self.meters)
        score = with_notes_between(score, self.minimum_notes, self.maximum_notes)
        if self.common_key == "profile":
            score = to_common_key_by_profile(score)
        elif self.common_key == "signature":
            score = to_common_key_by_signature(score)
        return score.with_sustain_applied() if self.apply_pedal else score

    def in_words(self) -> list[str]:
        """Describes what is on, one line each; [] where all is off."""
        said = []
        if self.solo_piano:
            said.append("kept: pieces of piano programs alone (MIDI 0 to 7), without drums")
        if self.meters:
            said.append(f"kept: pieces that have no other meter than {', '.join(self.meters)}")
        if self.minimum_notes is not None:
            said.append(f"kept: pieces of {self.minimum_notes} notes or more")
        if self.maximum_notes is not None:
            said.append(f"kept: pieces of {self.maximum_notes} notes or fewer")
        if self.common_key != "no":
            by = {"profile": "the key that fits its notes best", "signature": "its key signature"}
            said.append(f"transposed: each piece to C major or A minor, by {by[self.common_key]}")
        if self.apply_pedal:
            said.append("applied: the sustain pedal, as longer notes")
        if self.duplicates != "keep":
            said.append(f"left out: copies of a piece, {self.duplicates}")
        return said


# Filters: they give the piece itself, or raise a ValueError that says why it is left out.


def solo_piano(score: Score) -> Score:
    """Gives the piece if all its notes are of piano programs, 0 to 7, and none is a drum."""
    if score.notes["is_drum"].any():
        raise ValueError("it is not for piano alone: it has drums")
    programs = np.unique(score.notes["program"])
    others = programs[programs > LAST_PIANO_PROGRAM]
    if len(others):
        raise ValueError(
            f"it is not for piano alone: it has MIDI program {', '.join(map(str, others))}"
        )
    return score


def in_meters(score: Score, meters: tuple[str, ...]) -> Score:
    """Gives the piece if it has a meter, and none but those given, such as "3/4".

    Of meters on one tick the last counts. The denominator counts too: 6/8 is not 3/4. A
    piece whose first note stands before its first meter passes by the meters it has.
    """
    if not len(score.meters):
        raise ValueError("it says no meter")
    wanted = {_parsed(meter) for meter in meters}
    tick = score.meters["tick"]
    counting = score.meters[np.append(tick[1:] != tick[:-1], True)]
    found = set(zip(counting["numerator"].tolist(), counting["denominator"].tolist(), strict=True))
    others = sorted(found - wanted)
    if others:
        raise ValueError(f"it has the meter {', '.join(f'{n}/{d}' for n, d in others)}")
    return score


def with_notes_between(score: Score, minimum: int | None, maximum: int | None) -> Score:
    """Gives the piece if it has `minimum` to `maximum` notes; None sets no limit."""
    count = len(score.notes)
    if minimum is not None and count < minimum:
        raise ValueError(f"it has fewer than {minimum} notes")
    if maximum is not None and count > maximum:
        raise ValueError(f"it has more than {maximum} notes")
    return score


# Transformations.


def to_common_key_by_profile(score: Score) -> Score:
    """Transposes to C major or A minor from the key that fits best, see `keys.best_keys`.

    By the smaller interval; a tritone goes down. Of keys that fit equally well, as those of an
    augmented triad do, the nearest is taken. So applying it twice changes nothing more.

    Raises:
      ValueError: the piece has no key, or a note would leave the range of MIDI.
    """
    best = keys.best_keys(score)
    ways = [_shorter_way(COMMON_TONIC[key.is_minor] - key.tonic) for key in best]
    return _transposed(score, min(ways, key=abs))


def to_common_key_by_signature(score: Score) -> Score:
    """Transposes so that the key signature in force at the first note has no accidentals.

    By the smaller interval; a tritone goes down. Whether the key is said to be minor makes no
    difference. Later signatures move as much. Applying it twice changes nothing more.

    Raises:
      ValueError: no signature is in force there, or a note would leave the range of MIDI.
    """
    first_onset = score.notes["onset"][0] if len(score.notes) else 0
    in_force = score.keys[score.keys["tick"] <= first_onset]
    if not len(in_force):
        raise ValueError("it has no key signature where it begins")
    return _transposed(score, -7 * int(in_force["sharps"][-1]))


def _shorter_way(semitones: int) -> int:
    """Gives the same pitch classes on, from a tritone down to less than one up."""
    return (semitones + 6) % 12 - 6


def _transposed(score: Score, semitones: int) -> Score:
    """Moves a piece by `semitones`, octaves apart, by the shorter way; a tritone goes down."""
    moved = score.transpose(_shorter_way(semitones))
    if len(moved.notes) < len(score.notes):
        raise ValueError("in the common key a note would be below or above those of MIDI")
    return moved


def _parsed(meter: str) -> tuple[int, int]:
    """Reads "3/4" as (3, 4)."""
    found = re.fullmatch(r"(\d{1,3})/(\d{1,4})", meter)
    numerator, denominator = map(int, found.groups()) if found else (0, 0)
    if not (1 <= numerator <= 255 and denominator.bit_count() == 1):
        raise ValueError(
            f"--meters has {meter!r}; give meters such as 3/4,4/4,6/8, the second number a power "
            "of two"
        )
    return numerator, denominator
