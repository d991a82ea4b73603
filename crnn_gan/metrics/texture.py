"""Statistics of texture: number of pitches that sound at once.

Time is counted in ticks, so the values do not depend on a grid. A pitch that several
tones hold at once counts once. Drums are ignored; an empty piece gives 0.
"""

from __future__ import annotations

import numpy as np

from crnn_gan.metrics.intervals import union
from crnn_gan.metrics.tones import end_tick, tones
from pipelines.score import Score
from pipelines.score_arrays import LAST_TICK


def mean_polyphony(score: Score) -> float:
    """Gives the mean number of pitches that sound at once, over the time in which any does.

    `polyphony` of muspy. A single tone gives 1.
    """
    lengths, pitches = _layers(score)
    sounding = int(lengths[pitches > 0].sum())
    return int(lengths @ pitches) / sounding if sounding else 0.0


def polyphony_rate(score: Score) -> float:
    """Gives the share of the time in which two pitches or more sound, 0..1.

    Of the time from tick 0 to the end of the last tone. `polyphony_rate` of muspy by its
    documentation; its code, by default, asks for three pitches or more: ours is its `threshold=1`.
    """
    lengths, pitches = _layers(score)
    end = end_tick(tones(score))
    return int(lengths[pitches > 1].sum()) / end if end else 0.0


def _layers(score: Score) -> tuple[np.ndarray, np.ndarray]:
    """Splits a piece wherever a pitch begins or ends.

    Returns:
      Lengths in ticks, and numbers of pitches that sound, both int64 [segment].
    """
    played = tones(score)
    # Each pitch is moved far from the others in time, so that one union serves all.
    onsets = played["onset"] + played["pitch"].astype(np.int64) * (LAST_TICK + 1)
    starts, ends = union(onsets, onsets + played["duration"])
    ticks = np.concatenate([starts, ends]) % (LAST_TICK + 1)
    changes = np.repeat([1, -1], len(starts))
    order = np.argsort(ticks)
    return np.diff(ticks[order]), np.cumsum(changes[order])[:-1]
