"""Statistics of rhythm: answers by hand, and bar by bar."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from written_pieces import FOUR_TONES, meters, played, scores

from crnn_gan.metrics.measures import measures
from crnn_gan.metrics.rhythm import (
    empty_beat_rate,
    empty_measure_rate,
    groove_consistency,
    mean_inter_onset_interval,
    mean_note_length,
    note_count,
    notes_per_quarter,
    notes_per_second,
    onsets_on_sixteenths,
)
from crnn_gan.metrics.tones import end_tick, tones
from pipelines.score import Score
from pipelines.score_arrays import TEMPO

SLOWER_FROM_THE_SECOND_BAR = np.array([(48, 1_000_000)], TEMPO)  # 60 quarters a minute.


def struck(*onsets: int, **fields: object) -> Score:
    """Tones of one tick."""
    return played(*[(onset, 1, 60, 64) for onset in onsets], **fields)


def test_density_is_over_the_whole_piece():
    assert note_count(FOUR_TONES) == 4.0
    assert notes_per_second(FOUR_TONES) == 4 / 3  # 6 quarters of 1/2 s.
    assert notes_per_quarter(FOUR_TONES) == 4 / 6


def test_seconds_go_through_the_tempo_map():
    score = played(*[(o, 12, 60, 64) for o in (0, 48, 60)], tempi=SLOWER_FROM_THE_SECOND_BAR)
    # 4 quarters of 1/2 s and 2 of 1 s; the last onset after 2 s + 1 s.
    assert notes_per_second(score) == 3 / 4
    assert mean_inter_onset_interval(score) == 3 / 2
    assert notes_per_quarter(score) == 3 / 6


def test_tones_that_start_together_are_no_time_apart():
    assert mean_inter_onset_interval(FOUR_TONES) == pytest.approx(2 / 3)  # 0, 1/2 and 3/2 s.


def test_the_mean_length_is_in_quarters():
    assert mean_note_length(FOUR_TONES) == 1.5  # (12 + 24 + 12 + 24) / 4 ticks of 12 a quarter.


def test_a_beat_is_empty_when_nothing_sounds_in_it():
    assert empty_beat_rate(FOUR_TONES) == pytest.approx(2 / 6)  # The third and fourth of six.


def test_a_tone_that_ends_on_a_beat_does_not_reach_into_it():
    # Quarters 0 and 2 of 0, 1, 2: the first ends on 1, the last on 3.
    assert empty_beat_rate(played((0, 12, 60, 64), (24, 12, 60, 64))) == pytest.approx(1 / 3)
    # A tick longer it does reach into it.
    assert empty_beat_rate(played((0, 13, 60, 64), (24, 12, 60, 64))) == 0.0


def test_a_long_tone_fills_its_beats_whatever_is_struck_and_released_meanwhile():
    assert empty_beat_rate(played((0, 60, 60, 64), (12, 6, 64, 64), (72, 12, 60, 64))) == (
        pytest.approx(1 / 7)
    )


def test_a_bar_is_empty_when_nothing_sounds_in_it():
    assert empty_measure_rate(FOUR_TONES) == 0.0
    assert empty_measure_rate(struck(0, 48, 144)) == pytest.approx(1 / 4)  # 4/4: not the third.


def test_bars_go_by_the_meters():
    # 3/4, two bars, then 2/4: bars begin at 0, 36, 72, 96, 120. Struck in 1, 3 and 5 of 5.
    score = struck(0, 72, 120, meters=meters((0, 3, 4), (72, 2, 4)))
    assert empty_measure_rate(score) == pytest.approx(2 / 5)
    # 4/4 throughout: bars at 0, 48, 96; all three are struck.
    assert empty_measure_rate(struck(0, 72, 120)) == 0.0


def test_a_meter_begins_a_bar_where_it_stands():
    # An upbeat of a quarter by 4/4, cut short by 3/4 at tick 12: bars at 0, 12, 48, 84.
    bars = measures(struck(0, meters=meters((0, 4, 4), (12, 3, 4))))
    assert bars.bar(np.array([0, 11, 12, 47, 48, 83, 84])).tolist() == [0, 0, 1, 1, 2, 2, 3]


def test_a_meter_stated_again_on_a_bar_line_changes_nothing():
    bars = measures(struck(0, meters=meters((0, 3, 4), (36, 3, 4), (108, 3, 4))))
    assert len(bars.starts) == 1
    assert len(measures(struck(0, meters=meters((0, 3, 4), (40, 3, 4)))).starts) == 2


def test_the_first_meter_may_come_late_and_the_last_on_a_tick_counts():
    bars = measures(struck(0, meters=meters((48, 7, 8), (48, 2, 4))))
    assert bars.bar(np.array([47, 48, 71, 72])).tolist() == [0, 1, 1, 2]


def test_bars_may_be_shorter_than_a_tick_or_end_within_one():
    # 3/8 at a tick a quarter: bars begin at ticks 0, 1.5, 3.
    bars = measures(struck(0, ticks_per_quarter=1, meters=meters((0, 3, 8))))
    assert bars.bar(np.array([0, 1, 2, 3, 4, 5])).tolist() == [0, 0, 1, 2, 2, 3]
    # 1/32768 at 12 ticks a quarter: 32768 / 48 = 682.67 bars a tick.
    bars = measures(struck(0, meters=meters((0, 1, 2**15))))
    assert bars.bar(np.array([0, 1, 3])).tolist() == [0, 682, 2048]


def test_equal_bars_are_perfectly_consistent():
    bars = [bar + onset for bar in (0, 48, 96) for onset in (0, 12, 30)]
    assert groove_consistency(struck(*bars)) == 1.0


def test_an_onset_more_is_a_step_of_ninety_six():
    assert groove_consistency(FOUR_TONES) == 95 / 96  # Steps 0 and 24, then 0.
    # In 3/4 a bar has 72 steps: {0, 24}, {24}, {48}: 1 and 2 differ, of 72, in two pairs.
    score = struck(0, 12, 48, 96, meters=meters((0, 3, 4)))
    assert groove_consistency(score) == pytest.approx(1 - 3 / 72 / 2)


def test_a_chord_is_one_onset():
    chord = played((0, 6, 60, 64), (0, 6, 64, 64), (48, 6, 60, 64))
    assert groove_consistency(chord) == 1.0


def test_the_grid_has_24_steps_a_quarter():
    # 480 ticks a quarter, 20 a step: 9 ticks late is the same step, 11 are the next.
    for late, distance in [(9, 0), (11, 2)]:
        score = struck(0, 480, 1920, 2400 + late, ticks_per_quarter=480)
        assert groove_consistency(score) == 1 - distance / 96


def test_bars_of_different_meters_are_not_compared():
    # 4/4 {0}, {0}; 3/4 {0, 24}, {0}: one pair each, 0 of 96 and 1 of 72.
    score = struck(0, 48, 96, 108, 132, meters=meters((0, 4, 4), (96, 3, 4)))
    assert groove_consistency(score) == pytest.approx(1 - 1 / 72 / 2)


@pytest.mark.parametrize("score", [struck(0, 12), struck(0, 48, meters=meters((48, 3, 4)))])
def test_without_two_bars_of_a_meter_there_is_no_groove(score: Score):
    assert groove_consistency(score) == 0.0


def cells_by_hand(score: Score) -> tuple[float, float]:
    """Empty beats and bars, tick by tick."""
    played = tones(score)
    sounds = np.zeros(end_tick(played), bool)
    for tone in played:
        sounds[tone["onset"] : tone["onset"] + tone["duration"]] = True
    ticks = np.arange(len(sounds))
    rates = []
    for cell in (ticks // score.ticks_per_quarter, measures(score).bar(ticks)):
        rates.append(1 - len(set(cell[sounds].tolist())) / (int(cell[-1]) + 1) if len(cell) else 0)
    return rates[0], rates[1]


@given(scores)
@settings(max_examples=150, deadline=None)
def test_empty_beats_and_bars_are_those_of_a_walk_tick_by_tick(score: Score):
    ticks = 4 * score.ticks_per_quarter * score.meters["numerator"].astype(int)
    whole = ticks % score.meters["denominator"] == 0  # No bar begins within a tick.
    score = dataclasses.replace(score, meters=score.meters[whole])
    beats, bars = cells_by_hand(score)
    assert empty_beat_rate(score) == pytest.approx(beats, abs=1e-12)
    assert empty_measure_rate(score) == pytest.approx(bars, abs=1e-12)


def groove_by_hand(score: Score, numerator: int) -> float:
    """Groove of a piece in numerator/8, bar by bar, as a matrix of onsets."""
    steps = 12 * numerator
    played = tones(score.quantized(24))
    bars = np.zeros((-(-end_tick(played) // steps), steps), bool)
    for onset in played["onset"]:
        bars[onset // steps, onset % steps] = True
    distances = [(a != b).sum() / steps for a, b in itertools.pairwise(bars)]
    return 1 - float(np.mean(distances)) if distances else 0.0


@given(scores)
@settings(max_examples=100, deadline=None)
def test_groove_is_that_of_the_matrix_of_onsets(score: Score):
    for numerator in (1, 3, 8):
        notes = score.notes
        plain = Score(score.ticks_per_quarter, notes, meters=meters((0, numerator, 8)))
        assert groove_consistency(plain) == pytest.approx(groove_by_hand(plain, numerator))


@pytest.mark.parametrize(
    ("ticks_per_quarter", "onsets", "share"),
    [
        (12, (0, 3, 6, 9, 12, 15), 1),  # A sixteenth is 3 ticks.
        (12, (0, 1, 2, 3), 2 / 4),
        (12, tuple(range(12)), 4 / 12),  # What chance gives.
        (12, (0, 4, 8, 12), 2 / 4),  # Triplets: the first and the fourth.
        (480, (0, 120, 121, 119, 240), 3 / 5),  # Exactly: half a tick is less than one.
        (6, (0, 1, 2, 3, 4, 5), 1),  # 0, 1.5, 3, 4.5: both ticks beside 1.5 are half a tick away.
        (10, (0, 1, 2, 3, 4, 5), 4 / 6),  # 0, 2.5, 5: 0, 2, 3, 5.
        (7, (0, 1, 2, 3, 4, 5, 6), 5 / 7),  # 0, 1.75, 3.5, 5.25: 0, 2, 3, 4, 5.
        (4, (0, 1, 2, 3), 1),
        (1, (0, 1, 5), 1),
    ],
)
def test_onsets_are_on_sixteenths_within_half_a_tick(ticks_per_quarter, onsets, share):
    score = struck(*onsets, ticks_per_quarter=ticks_per_quarter)
    assert onsets_on_sixteenths(score) == pytest.approx(share)


def test_each_tone_of_a_chord_counts():
    # Three tones on a quarter, one a tick after it.
    assert onsets_on_sixteenths(struck(12, 12, 12, 13)) == 3 / 4
