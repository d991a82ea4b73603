"""Statistics of rhythm: number and spacing of tones, empty beats and bars.

Drums are ignored, as in `tones`; a piece lasts from tick 0 to the end of its last tone. An
empty piece gives 0 everywhere.
"""

from __future__ import annotations

import numpy as np

from crnn_gan.metrics.intervals import cells_reached, union
from crnn_gan.metrics.measures import Measures, measures
from crnn_gan.metrics.tones import end_tick, tones
from pipelines.score import Score

STEPS_PER_QUARTER = 24  # muspy's default resolution.
SIXTEENTHS = 4  # Of a quarter.


def note_count(score: Score) -> float:
    """Counts the tones.

    The note count (NC) of MGEval (Yang & Lerch 2018).
    """
    return float(len(tones(score)))


def notes_per_second(score: Score) -> float:
    """Gives the tones per second, through the tempo map.

    Silence before the first tone counts; the piece ends with its last tone.
    """
    played = tones(score)
    return len(played) / float(score.seconds_at(end_tick(played))) if len(played) else 0.0


def notes_per_quarter(score: Score) -> float:
    """Gives the tones per quarter note, independent of tempo."""
    played = tones(score)
    return len(played) * score.ticks_per_quarter / end_tick(played) if len(played) else 0.0


def mean_inter_onset_interval(score: Score) -> float:
    """Gives the mean time from the onset of a tone to that of the next, seconds.

    The average inter-onset interval (IOI) of MGEval (Yang & Lerch 2018): tones that start
    together are 0 apart and count. So it is (last onset - first onset) / (tones - 1). A single
    tone gives 0.
    """
    played = tones(score)
    if len(played) < 2:
        return 0.0
    first, last = score.seconds_at(played["onset"][[0, -1]])
    return float(last - first) / (len(played) - 1)


def mean_note_length(score: Score) -> float:
    """Gives the mean length of the tones, quarter notes, the pedal ignored."""
    played = tones(score)
    return float(played["duration"].mean()) / score.ticks_per_quarter if len(played) else 0.0


def empty_beat_rate(score: Score) -> float:
    """Gives the share of the beats, each a quarter note, in which no tone sounds, 0..1.

    `empty_beat_rate` of muspy by its documentation. Its code lets a tone that ends on a beat
    reach into that beat, and counts one more beat where the piece ends on one.
    """
    starts, ends = _sounding(score)
    if not len(starts):
        return 0.0
    quarter = score.ticks_per_quarter
    beats = -(-int(ends[-1]) // quarter)  # Rounded up.
    return 1 - cells_reached(starts // quarter, (ends - 1) // quarter) / beats


def empty_measure_rate(score: Score) -> float:
    """Gives the share of the bars in which no tone sounds, 0..1.

    `empty_measure_rate` of muspy by its documentation, for any meters: the Score's own, 4/4 where
    there is none. The code of muspy counts as it does for `empty_beat_rate`.
    """
    starts, ends = _sounding(score)
    if not len(starts):
        return 0.0
    bars = measures(score)
    last = bars.bar(ends - 1)
    return 1 - cells_reached(bars.bar(starts), last) / (int(last[-1]) + 1)


def groove_consistency(score: Score) -> float:
    """Gives the similarity of the onsets of neighbouring bars, 0..1; 1 is equal.

    1 - the mean of the Hamming distances of the onsets of each bar and the next, on a grid of 24
    steps per quarter, divided by the steps of a bar (Wu & Yang 2020; muspy divides too, though its
    documentation does not). Most steps are empty in both, so real music is near 1. Bars go by the
    Score's meters, 4/4 where there is none; bars of different meters are not compared. Fewer than
    two bars give 0. muspy counts one more, empty bar where a piece ends on a bar line, and has one
    meter for all.
    """
    played = tones(score)
    onsets = _steps(played["onset"], score.ticks_per_quarter)
    if not len(onsets):
        return 0.0
    end = max(int(_steps(end_tick(played), score.ticks_per_quarter)), int(onsets[-1]) + 1)
    meters = score.meters.copy()
    meters["tick"] = _steps(meters["tick"], score.ticks_per_quarter)
    bars = Measures.of(meters, STEPS_PER_QUARTER)
    section = bars.section(onsets)
    steps = -(-bars.numerators // bars.denominators)  # Of a bar, rounded up.
    # Where each section begins, and where the music ends: numbers of bars.
    bounds = np.minimum(np.append(bars.first, 2**62), int(bars.bar(np.array([end - 1]))[0]) + 1)
    pairs = int(np.maximum(np.diff(bounds) - 1, 0).sum())
    if not pairs:
        return 0.0
    bar, position = bars.bar_and_position(onsets)
    width = int(steps.max())
    places, index = np.unique(bar * width + position, return_index=True)
    bar, section = bar[index], section[index]
    # An onset adds 1 to the distance from each neighbour that does not have it.
    unlike_next = (bar + 1 < bounds[section + 1]) & ~np.isin(places + width, places)
    unlike_last = (bar > bounds[section]) & ~np.isin(places - width, places)
    distances = (unlike_next + unlike_last.astype(np.int64)) / steps[section]
    return max(0.0, 1 - float(distances.sum()) / pairs)


def onsets_on_sixteenths(score: Score) -> float:
    """Gives the share of the tones that begin on a sixteenth from the beginning of the piece, 0..1.

    An onset is on one if it is at most half a tick from a whole multiple of a quarter of a quarter
    note. Where a quarter has 6 ticks or fewer, every tick is.
    Grace notes, triplets and performed timing are off it; music that begins off the beat may be
    off it throughout.
    """
    onsets = tones(score)["onset"].astype(np.int64)
    if not len(onsets):
        return 0.0
    # In quarters of a tick, all whole numbers.
    after = SIXTEENTHS * onsets % score.ticks_per_quarter
    return float((2 * np.minimum(after, score.ticks_per_quarter - after) <= SIXTEENTHS).mean())


def _sounding(score: Score) -> tuple[np.ndarray, np.ndarray]:
    """Starts and ends of the intervals in which a tone sounds, ticks."""
    played = tones(score)
    return union(played["onset"], played["onset"] + played["duration"])


def _steps(ticks: np.ndarray | int, ticks_per_quarter: int) -> np.ndarray:
    """Rounds ticks to the grid, halves up."""
    doubled = 2 * np.asarray(ticks) * STEPS_PER_QUARTER
    return (doubled + ticks_per_quarter) // (2 * ticks_per_quarter)
