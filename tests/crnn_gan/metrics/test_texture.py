"""Statistics of texture: answers by hand, and tick by tick."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from written_pieces import FOUR_TONES, ONE_TONE, played, scores

from crnn_gan.metrics.intervals import cells_reached, union
from crnn_gan.metrics.texture import mean_polyphony, polyphony_rate
from crnn_gan.metrics.tones import end_tick, tones
from pipelines.score import Score
from pipelines.score_arrays import LAST_TICK


def test_polyphony_is_over_the_time_that_sounds():
    # Two quarters of two pitches, two of silence, two of one: (2 + 2 + 1 + 1) / 4.
    assert mean_polyphony(FOUR_TONES) == 1.5


def test_the_rate_is_over_all_time():
    assert polyphony_rate(FOUR_TONES) == 2 / 6


def test_two_pitches_are_enough():
    dyad = played((0, 12, 60, 64), (0, 12, 67, 64))
    assert (mean_polyphony(dyad), polyphony_rate(dyad)) == (2.0, 1.0)


def test_tones_that_touch_do_not_sound_together():
    assert polyphony_rate(played((0, 12, 60, 64), (12, 12, 62, 64))) == 0.0
    assert polyphony_rate(played((0, 13, 60, 64), (12, 12, 62, 64))) == 1 / 24


def test_a_pitch_held_twice_is_one_pitch():
    doubled = played((0, 12, 60, 64), (6, 12, 60, 64))
    assert (mean_polyphony(doubled), polyphony_rate(doubled)) == (1.0, 0.0)


def test_one_tone_is_one_pitch():
    assert (mean_polyphony(ONE_TONE), polyphony_rate(ONE_TONE)) == (1.0, 0.0)


def test_silence_before_the_first_tone_is_time():
    # A dyad of a quarter after three quarters of silence.
    assert polyphony_rate(played((36, 12, 60, 64), (36, 12, 64, 64))) == 1 / 4


def test_tones_to_the_last_tick_of_all_pitches_stay_apart():
    all_keys = played(*[(0, LAST_TICK, pitch, 64) for pitch in range(128)])
    assert (mean_polyphony(all_keys), polyphony_rate(all_keys)) == (128.0, 1.0)


@given(scores)
@settings(max_examples=100, deadline=None)
def test_polyphony_is_that_of_the_roll(score: Score):
    played = tones(score)
    roll = np.zeros((end_tick(played), 128), bool)
    for tone in played:
        roll[tone["onset"] : tone["onset"] + tone["duration"], tone["pitch"]] = True
    pitches = roll.sum(axis=1)
    if len(played):
        assert mean_polyphony(score) == pytest.approx(pitches[pitches > 0].mean())
        assert polyphony_rate(score) == pytest.approx((pitches >= 2).mean())
    else:
        assert (mean_polyphony(score), polyphony_rate(score)) == (0.0, 0.0)


@given(scores)
@settings(max_examples=50, deadline=None)
def test_transposition_and_a_finer_grid_change_nothing(score: Score):
    finer = score.quantized(score.ticks_per_quarter * 3)
    for other in (score.transpose(-7), finer):
        assert mean_polyphony(other) == pytest.approx(mean_polyphony(score))
        assert polyphony_rate(other) == pytest.approx(polyphony_rate(score))


def test_the_union_joins_what_overlaps_or_touches():
    starts, ends = union(np.array([20, 0, 3, 10, 30]), np.array([25, 9, 5, 12, 31]))
    assert (starts.tolist(), ends.tolist()) == ([0, 10, 20, 30], [9, 12, 25, 31])
    starts, ends = union(np.array([0, 9]), np.array([9, 12]))
    assert (starts.tolist(), ends.tolist()) == ([0], [12])


def test_a_cell_that_two_stretches_reach_counts_once():
    assert cells_reached(np.array([0, 2, 2, 5]), np.array([2, 2, 3, 6])) == 6  # 0 to 3, 5, 6.
    assert cells_reached(np.zeros(0, int), np.zeros(0, int)) == 0
