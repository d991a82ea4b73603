"""Statistics of loudness and pedal: answers by hand."""

from __future__ import annotations

import numpy as np
import pytest
from written_pieces import FOUR_TONES, pedal, played

from crnn_gan.metrics.expression import (
    mean_velocity,
    most_common_velocity_share,
    pedal_changes_per_second,
    pedal_share,
    velocity_standard_deviation,
)
from pipelines.score import Score
from pipelines.score_arrays import PEDAL, TEMPO

EIGHT_QUARTERS = [(0, 96, 60, 64)]  # 4 s.


def test_velocities_have_a_mean_and_a_deviation():
    assert mean_velocity(FOUR_TONES) == 64.0  # 64, 64, 80, 48.
    assert velocity_standard_deviation(FOUR_TONES) == pytest.approx((512 / 4) ** 0.5)


def test_the_extremes_deviate_most():
    extremes = played((0, 1, 60, 1), (1, 1, 60, 127))
    assert (mean_velocity(extremes), velocity_standard_deviation(extremes)) == (64.0, 63.0)


@pytest.mark.parametrize(
    ("velocities", "share"),
    [((72,), 1), ((72, 72, 72, 72), 1), ((72, 30, 72, 86), 2 / 4), ((1, 2, 127), 1 / 3),
     ((1, 1, 127, 127, 64), 2 / 5)],
)  # fmt: skip
def test_the_most_frequent_velocity_has_its_share_of_the_tones(velocities, share):
    score = played(*[(12 * i, 12, 60, velocity) for i, velocity in enumerate(velocities)])
    assert most_common_velocity_share(score) == pytest.approx(share)


@pytest.mark.parametrize(
    ("events", "share", "changes"),
    [
        ([], 0, 0),
        ([(0, 127)], 1, 1),  # Down once and never up.
        ([(24, 127), (48, 0)], 1 / 4, 2),  # Of 96 ticks.
        ([(24, 64), (48, 63)], 1 / 4, 2),  # 64 is down, 63 is up.
        ([(24, 64), (30, 100), (36, 127), (48, 20), (60, 0)], 1 / 4, 2),  # No change within.
        ([(24, 127), (48, 0), (48, 127), (72, 0)], 1 / 2, 4),  # Changed within a tick.
        ([(0, 0), (48, 127), (200, 0)], 1 / 2, 1),  # Up only after the last tone.
        ([(96, 127)], 0, 0),  # Down only where the piece is over.
    ],
)
def test_the_sustain_pedal_is_down_for_a_share_of_the_time(
    events: list[tuple[int, int]], share: float, changes: int
):
    score = played(*EIGHT_QUARTERS, pedal=pedal(*events))
    assert pedal_share(score) == pytest.approx(share)
    assert pedal_changes_per_second(score) == changes / 4


def test_the_share_is_of_seconds_and_not_of_quarters():
    # The second half is played at half the tempo: 2 s without, 4 s with the pedal.
    slower = np.array([(48, 1_000_000)], TEMPO)
    score = played(*EIGHT_QUARTERS, pedal=pedal((48, 127)), tempi=slower)
    assert pedal_share(score) == pytest.approx(4 / 6)
    assert pedal_changes_per_second(score) == 1 / 6


def test_the_other_pedals_do_not_count():
    soft_and_sostenuto = np.array([(0, 66, 127, 0), (0, 67, 127, 0)], PEDAL)
    score: Score = played(*EIGHT_QUARTERS, pedal=soft_and_sostenuto)
    assert (pedal_share(score), pedal_changes_per_second(score)) == (0.0, 0.0)
