"""Interval sequences: a piece as a sequence of notes, and of tokens invariant to key and tempo.

A token combines the interval to the next note in semitones with the ratio of its inter-onset time
to the one before, in classes. So a passage is found in any key and tempo. Notes whose onsets are
within `CHORD_SECONDS` of each other are a chord, ordered from the lowest up, since a performer
plays them in any order. A pitch with two simultaneous onsets is one note; drums are ignored.

A passage of `SHORTEST` notes with fewer than three distinct tokens is trivial: a repeated note or
chord, a trill, a scale. Those occur in most music and are no sign of copying.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from crnn_gan.metrics.measures import measures
from crnn_gan.metrics.tones import tones
from pipelines.score import Score

CHORD_SECONDS = 0.03  # Between neighbouring onsets; pianists spread chords by some 20 ms.
SHORTEST = 8  # Notes of the shortest passage that counts.
DISTINCT_TOKENS = 3  # Fewest in a passage of `SHORTEST` notes that is not trivial.
TOKENS = 2**11  # Size of the vocabulary: 8 bits of interval, 3 of time class.

_IN_CHORD, _FIRST, _EQUAL = 0, 1, 4  # Time classes; 2..6 are ratios 1/4 to 4, powers of 2.


@dataclasses.dataclass(frozen=True, eq=False)
class NoteSequence:
    """The notes of a piece by onset, each chord from the lowest up.

    Attributes:
      pitch: uint8 [note].
      onset_quarters, end_quarters: float64 [note].
      steps: uint16 [note - 1], 1..`TOKENS` - 1, the token from each note to the next.
      bar: int64 [note], the bar of each onset; 1 is the first.
    """

    pitch: np.ndarray
    onset_quarters: np.ndarray
    end_quarters: np.ndarray
    tokens: np.ndarray
    bar: np.ndarray

    def __len__(self) -> int:
        return len(self.pitch)

    def cut(self, first: int, last: int) -> NoteSequence:
        """Gives the notes first..last - 1; their times and bars stay as they are."""
        return dataclasses.replace(
            self,
            pitch=self.pitch[first:last],
            onset_quarters=self.onset_quarters[first:last],
            end_quarters=self.end_quarters[first:last],
            bar=self.bar[first:last],
            tokens=self.tokens[first : max(last - 1, first)],
        )


def note_sequence(score: Score) -> NoteSequence:
    """Gives the note sequence of a piece, which may be empty."""
    notes = tones(score)
    seconds = score.seconds_at(notes["onset"])
    chord = np.cumsum(np.diff(seconds, prepend=seconds[:1]) > CHORD_SECONDS)
    order = np.lexsort((notes["onset"], notes["pitch"], chord))
    notes, chord = notes.take(order), chord[order]
    is_new = np.ones(len(notes), bool)
    is_new[1:] = (np.diff(chord) > 0) | (np.diff(notes["pitch"].astype(int)) != 0)
    notes, chord = notes[is_new], chord[is_new]
    onset = notes["onset"] / score.ticks_per_quarter
    return NoteSequence(
        pitch=notes["pitch"].copy(),
        onset_quarters=onset,
        end_quarters=(notes["onset"] + notes["duration"]) / score.ticks_per_quarter,
        tokens=_tokens(notes["pitch"].astype(np.int64), chord, onset),
        bar=measures(score).bar(notes["onset"]) + 1,
    )


def _tokens(pitch: np.ndarray, chord: np.ndarray, onset: np.ndarray) -> np.ndarray:
    """The tokens of notes: uint16 [note - 1]."""
    if len(pitch) < 2:
        return np.zeros(0, np.uint16)
    starts = np.flatnonzero(np.diff(chord, prepend=-1))
    # The first onset of a chord counts as its onset.
    between = np.diff(np.minimum.reduceat(onset, starts))
    classes = np.full(len(between), _FIRST)
    ratio = np.log2(between[1:] / between[:-1])
    classes[1:] = _EQUAL + np.clip(np.rint(ratio), -2, 2).astype(int)
    time = np.full(len(pitch) - 1, _IN_CHORD)
    time[starts[1:] - 1] = classes
    # Intervals are -127..127; token 0 is not used.
    return ((np.diff(pitch) + 128) * 8 + time).astype(np.uint16)


def is_nontrivial(tokens: np.ndarray) -> np.ndarray:
    """Tells at which positions a passage of `SHORTEST` notes that is not trivial begins.

    Args:
      tokens: uint16 [token].

    Returns:
      bool [token - SHORTEST + 2], or [0] where there are too few tokens.
    """
    width = SHORTEST - 1
    if len(tokens) < width:
        return np.zeros(0, bool)
    # The first token, which has no ratio of times, counts as one of ratio 1.
    tokens = np.where(tokens % 8 == _FIRST, tokens + _EQUAL - _FIRST, tokens)
    ordered = np.sort(np.lib.stride_tricks.sliding_window_view(tokens, width), axis=1)
    return (np.diff(ordered, axis=1) != 0).sum(axis=1) + 1 >= DISTINCT_TOKENS
