"""Statistics of expression: velocity and the sustain pedal.

Drums are ignored; a piece lasts from tick 0 to the end of its last tone, and later pedal events
are ignored. An empty piece gives 0.
"""

from __future__ import annotations

import numpy as np

from crnn_gan.metrics.tones import end_tick, tones
from pipelines.score import Score
from pipelines.score_arrays import PEDAL_DOWN, SUSTAIN


def mean_velocity(score: Score) -> float:
    """Gives the mean velocity of the tones, 1..127."""
    velocities = tones(score)["velocity"]
    return float(velocities.mean()) if len(velocities) else 0.0


def velocity_standard_deviation(score: Score) -> float:
    """Gives the standard deviation of the velocities of the tones, 0..63.

    The population standard deviation (division by n). 0 where all velocities are equal.
    """
    velocities = tones(score)["velocity"]
    return float(velocities.std()) if len(velocities) else 0.0


def most_common_velocity_share(score: Score) -> float:
    """Gives the share of the tones that have the most frequent velocity, 0..1.

    1 where all velocities are equal, as in much music that was written rather than played.
    """
    velocities = tones(score)["velocity"]
    return float(np.bincount(velocities).max() / len(velocities)) if len(velocities) else 0.0


def pedal_share(score: Score) -> float:
    """Gives the share of the time, in seconds, in which the sustain pedal is down, 0..1.

    Down is a value of 64 or more, as in `pipelines.score`. A piece without pedal gives 0.
    """
    end = end_tick(tones(score))
    ticks, is_down = _sustain(score, end)
    seconds = score.seconds_at(np.append(ticks, end))
    # The lengths add up to the whole but for rounding.
    return min(1.0, float(np.diff(seconds)[is_down].sum() / seconds[-1])) if end else 0.0


def pedal_changes_per_second(score: Score) -> float:
    """Gives how often per second the sustain pedal goes down or up.

    Down is a value of 64 or more; movements on one side of that do not count. A piece without
    pedal gives 0.
    """
    end = end_tick(tones(score))
    _, is_down = _sustain(score, end)
    changes = int(np.count_nonzero(np.diff(is_down, prepend=False)))
    return changes / float(score.seconds_at(end)) if end else 0.0


def _sustain(score: Score, end: int) -> tuple[np.ndarray, np.ndarray]:
    """The events of the sustain pedal before `end`: ticks, and whether it is down from there."""
    pedal = score.pedal
    pedal = pedal[(pedal["controller"] == SUSTAIN) & (pedal["tick"] < end)]
    return pedal["tick"], pedal["value"] >= PEDAL_DOWN
