"""Rows: a piece as one row of notes, and as the steps between them that do not know the key.

A step says by how many semitones the next note is higher and how the time to it compares with
the time before. So a passage is found again in any key and tempo. Struck within
`CHORD_SECONDS` notes are a chord, which goes from the lowest up: who plays strikes them in any
order. A pitch that two voices strike at once is one note; drums are left out.

A row of `SHORTEST` notes with fewer than three different steps is trivial: a repeated note or
chord, a trill, a scale. Those are known everywhere and say nothing.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from crnn_gan.metrics.measures import measures
from crnn_gan.metrics.tones import tones
from pipelines.score import Score

CHORD_SECONDS = 0.03  # Between neighbours; chords of pianists spread by some 20 ms.
SHORTEST = 8  # Notes of the shortest row that counts.
DIFFERENT_STEPS = 3  # Of a row of `SHORTEST` notes that is not trivial.
STEPS = 2**11  # Steps are below: 8 bits of interval, 3 of time.

_IN_CHORD, _FIRST, _EQUAL = 0, 1, 4  # Classes of time; 2..6 are a quarter to four times as long.


@dataclasses.dataclass(frozen=True, eq=False)
class Row:
    """The notes of a piece in order, each chord from the lowest up.

    Attributes:
      pitch: uint8 [note].
      onset_quarters, end_quarters: float64 [note].
      steps: uint16 [note - 1], 1..`STEPS` - 1, from each note to the next.
      bar: int64 [note], in which each is struck; 1 is the first.
    """

    pitch: np.ndarray
    onset_quarters: np.ndarray
    end_quarters: np.ndarray
    steps: np.ndarray
    bar: np.ndarray

    def __len__(self) -> int:
        return len(self.pitch)

    def cut(self, first: int, last: int) -> Row:
        """Gives the notes first..last - 1; times and bars stay."""
        return dataclasses.replace(
            self,
            pitch=self.pitch[first:last],
            onset_quarters=self.onset_quarters[first:last],
            end_quarters=self.end_quarters[first:last],
            bar=self.bar[first:last],
            steps=self.steps[first : max(last - 1, first)],
        )


def row_of(score: Score) -> Row:
    """Gives the row of a piece, empty ones included."""
    notes = tones(score)
    seconds = score.seconds_at(notes["onset"])
    chord = np.cumsum(np.diff(seconds, prepend=seconds[:1]) > CHORD_SECONDS)
    order = np.lexsort((notes["onset"], notes["pitch"], chord))
    notes, chord = notes.take(order), chord[order]
    is_new = np.ones(len(notes), bool)
    is_new[1:] = (np.diff(chord) > 0) | (np.diff(notes["pitch"].astype(int)) != 0)
    notes, chord = notes[is_new], chord[is_new]
    onset = notes["onset"] / score.ticks_per_quarter
    return Row(
        pitch=notes["pitch"].copy(),
        onset_quarters=onset,
        end_quarters=(notes["onset"] + notes["duration"]) / score.ticks_per_quarter,
        steps=_steps(notes["pitch"].astype(np.int64), chord, onset),
        bar=measures(score).bar(notes["onset"]) + 1,
    )


def _steps(pitch: np.ndarray, chord: np.ndarray, onset: np.ndarray) -> np.ndarray:
    """uint16 [note - 1], interval and class of time of each step."""
    if len(pitch) < 2:
        return np.zeros(0, np.uint16)
    starts = np.flatnonzero(np.diff(chord, prepend=-1))
    # The first struck note of a chord says when it is.
    between = np.diff(np.minimum.reduceat(onset, starts))
    classes = np.full(len(between), _FIRST)
    ratio = np.log2(between[1:] / between[:-1])
    classes[1:] = _EQUAL + np.clip(np.rint(ratio), -2, 2).astype(int)
    time = np.full(len(pitch) - 1, _IN_CHORD)
    time[starts[1:] - 1] = classes
    # Intervals are -127..127; 0 is no step.
    return ((np.diff(pitch) + 128) * 8 + time).astype(np.uint16)


def is_telling(steps: np.ndarray) -> np.ndarray:
    """Tells where a row of `SHORTEST` notes begins that is not trivial.

    Args:
      steps: [step].

    Returns:
      bool [step - SHORTEST + 2], or [0] where there are too few.
    """
    width = SHORTEST - 1
    if len(steps) < width:
        return np.zeros(0, bool)
    # A first step, which knows no time before, counts as one that is as long.
    steps = np.where(steps % 8 == _FIRST, steps + _EQUAL - _FIRST, steps)
    ordered = np.sort(np.lib.stride_tricks.sliding_window_view(steps, width), axis=1)
    return (np.diff(ordered, axis=1) != 0).sum(axis=1) + 1 >= DIFFERENT_STEPS
