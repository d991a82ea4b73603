"""Histograms and transition matrices of a Score.

Each is float64 and sums to 1, or to 0 where there is nothing to count: in an empty piece, and
for transitions in one of a single tone. Drums are ignored, as in `tones`; tones are ordered by
onset, from the lowest up within a chord. Those named after MGEval are the features
of Yang & Lerch 2018 (On the evaluation of generative models in music).
"""

from __future__ import annotations

import dataclasses

import numpy as np

from crnn_gan.metrics.documented import Documented
from crnn_gan.metrics.tones import tones
from pipelines.keys import pitch_class_ticks
from pipelines.score import Score

PITCH_CLASSES = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")
NOTE_LENGTHS = {  # MGEval's, in its order; 96 is a whole note.
    "whole": 96,
    "half": 48,
    "quarter": 24,
    "8th": 12,
    "16th": 6,
    "dotted half": 72,
    "dotted quarter": 36,
    "dotted 8th": 18,
    "dotted 16th": 9,
    "triplet half": 32,
    "triplet quarter": 16,
    "triplet 8th": 8,
}
VELOCITIES_PER_BIN = 8
VELOCITY_BINS = ("1-7", *(f"{low}-{low + 7}" for low in range(8, 128, VELOCITIES_PER_BIN)))
# Halfway, by ratio, between powers of 2: those are the 8ths and 16ths of the usual 120 quarters
# per minute, which would fall to either side of an edge by rounding.
INTERVAL_EDGES_SECONDS = 2.0 ** np.arange(-5.5, 2)
INTERVAL_BINS = (
    *("together", "1/32 s", "1/16 s", "1/8 s", "1/4 s", "1/2 s"),
    *("1 s", "2 s", "longer"),
)


def pitch_class_histogram(score: Score) -> np.ndarray:
    """Gives the share of each pitch class, weighted by the lengths of the tones.

    The pitch class histogram (PCH) of MGEval by its paper; its code also weights by velocity.
    Lengths are counted in ticks, so the tempo does not matter.

    Returns:
      float64 [12], from C up.
    """
    return _shares(pitch_class_ticks(score))


def pitch_class_transitions(score: Score) -> np.ndarray:
    """Gives how often a tone of one pitch class is followed by one of another.

    The pitch class transition matrix (PCTM) of MGEval.

    Returns:
      float64 [12, 12], [from, to], from C up.
    """
    return _transitions(tones(score)["pitch"] % 12, len(PITCH_CLASSES))


def note_length_histogram(score: Score) -> np.ndarray:
    """Gives the share of the tones of each length, from the whole note to the triplet 8th.

    The note length histogram (NLH) of MGEval, without rests. Each tone counts in the nearest
    class by difference of length; halfway, in the earlier of `NOTE_LENGTHS`. MGEval takes the
    length of a bar for its unit; here the unit is a whole note of 4 quarters in every meter.

    Returns:
      float64 [12], in the order of `NOTE_LENGTHS`.
    """
    return _shares(np.bincount(_note_length_classes(score), minlength=len(NOTE_LENGTHS)))


def note_length_transitions(score: Score) -> np.ndarray:
    """Gives how often a tone of one length is followed by one of another.

    The note length transition matrix (NLTM) of MGEval, with the classes of
    `note_length_histogram`.

    Returns:
      float64 [12, 12], [from, to], in the order of `NOTE_LENGTHS`.
    """
    return _transitions(_note_length_classes(score), len(NOTE_LENGTHS))


def velocity_histogram(score: Score) -> np.ndarray:
    """Gives the share of the tones of each loudness, 8 velocities per bin.

    Returns:
      float64 [16], from the softest up; the first bin has velocities 1 to 7.
    """
    bins = tones(score)["velocity"] // VELOCITIES_PER_BIN
    return _shares(np.bincount(bins, minlength=len(VELOCITY_BINS)))


def inter_onset_histogram(score: Score) -> np.ndarray:
    """Gives the share of each inter-onset interval, from a tone to the next.

    "together" is below 1/45 s (2 ** -5.5); each further bin reaches from 0.71 to 1.41 times its
    name; "longer" begins at 2.83 s.

    Returns:
      float64 [9], in the order of `INTERVAL_BINS`.
    """
    intervals = np.diff(score.seconds_at(tones(score)["onset"]))
    bins = np.searchsorted(INTERVAL_EDGES_SECONDS, intervals, side="right")
    return _shares(np.bincount(bins, minlength=len(INTERVAL_BINS)))


@dataclasses.dataclass(frozen=True)
class Histogram(Documented):
    """A histogram or transition matrix of a piece.

    Attributes:
      function: Score -> float64 of `shape`, defined for every Score; it sums to 1 or 0.
      bins: names of the bins; of a matrix, of rows and columns alike.
      shape: (bins,) or (rows, columns).
    """

    bins: tuple[str, ...]
    shape: tuple[int, ...]


HISTOGRAMS: tuple[Histogram, ...] = (  # In the order of every table and chart.
    Histogram(pitch_class_histogram, PITCH_CLASSES, (12,)),
    Histogram(pitch_class_transitions, PITCH_CLASSES, (12, 12)),
    Histogram(note_length_histogram, tuple(NOTE_LENGTHS), (12,)),
    Histogram(note_length_transitions, tuple(NOTE_LENGTHS), (12, 12)),
    Histogram(velocity_histogram, VELOCITY_BINS, (16,)),
    Histogram(inter_onset_histogram, INTERVAL_BINS, (9,)),
)


def _note_length_classes(score: Score) -> np.ndarray:
    """The class of each tone, int64 [tone], an index of `NOTE_LENGTHS`."""
    # In units of a 24th of a tick, so that all stay whole numbers and halves are exact.
    lengths = 24 * tones(score)["duration"]
    classes = np.array(list(NOTE_LENGTHS.values())) * score.ticks_per_quarter
    return np.abs(lengths[:, None] - classes).argmin(axis=1)


def _transitions(classes: np.ndarray, count: int) -> np.ndarray:
    pairs = classes[:-1].astype(np.int64) * count + classes[1:]
    return _shares(np.bincount(pairs, minlength=count * count)).reshape(count, count)


def _shares(counts: np.ndarray) -> np.ndarray:
    return counts / max(counts.sum(), 1)
