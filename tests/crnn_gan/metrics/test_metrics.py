"""The table of all statistics: what it holds, and extreme pieces."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from written_pieces import DRUMS, EMPTY, FOUR_TONES, ONE_TONE, pedal, played, scores

from crnn_gan.metrics import (
    STATISTICS,
    Statistic,
    statistics,
)
from pipelines.score import Score
from pipelines.score_arrays import NOTE

HOUR_QUARTERS = 7200  # At 120 quarters a minute.


def test_the_row_is_in_the_order_of_the_functions():
    assert list(statistics(FOUR_TONES)) == [statistic.name for statistic in STATISTICS]
    assert len({statistic.name for statistic in STATISTICS}) == len(STATISTICS)


def test_as_coded_there_are_the_paper_s_six_alone():
    assert list(statistics(FOUR_TONES, as_coded=True)) == [
        *("polyphony", "scale_consistency", "repetitions"),
        *("tone_span", "unique_tones", "intensity_span"),
    ]


def test_the_statistics_of_the_figures_of_sets_are_those_of_the_first_edition():
    added = [statistic.name for statistic in STATISTICS if statistic.edition != 1]
    assert added == ["onsets_on_sixteenths", "most_common_velocity_share"]
    assert len(STATISTICS) - len(added) == 27


@pytest.mark.parametrize("statistic", STATISTICS, ids=lambda statistic: statistic.name)
def test_every_statistic_says_what_it_is(statistic: Statistic):
    assert statistic.group in ("the paper's", "pitch", "rhythm", "texture", "expression")
    assert statistic.description.startswith(("Gives ", "Counts "))
    assert statistic.description.endswith(".")
    # What is called a share says so in its range.
    assert statistic.unit != "share" or "0..1" in statistic.description


@pytest.mark.parametrize("score", [EMPTY, DRUMS])
def test_a_piece_without_tones_has_zeros(score: Score):
    assert statistics(score) == {statistic.name: 0.0 for statistic in STATISTICS}


def test_one_tone_gives_numbers():
    assert statistics(ONE_TONE) == {
        "polyphony": 0.0,
        "scale_consistency": 1.0,
        "repetitions": 0.0,
        "tone_span": 0.0,
        "unique_tones": 1.0,
        "intensity_span": 0.0,
        "pitch_classes_used": 1.0,
        "pitch_entropy": 0.0,
        "pitch_class_entropy": 0.0,
        "mean_pitch": 60.0,
        "mean_pitch_interval": 0.0,
        "key_obedience": 1.0,
        "key_clarity": pytest.approx(0.5056, abs=5e-5),  # See test_pitch_statistics.py.
        "note_count": 1.0,
        "notes_per_second": 1.0,  # It ends after a second,
        "notes_per_quarter": 0.5,  # two quarters.
        "mean_inter_onset_interval": 0.0,
        "mean_note_length": 1.0,
        "empty_beat_rate": 0.5,  # The first of two.
        "empty_measure_rate": 0.0,
        "groove_consistency": 0.0,
        "onsets_on_sixteenths": 1.0,
        "mean_polyphony": 1.0,
        "polyphony_rate": 0.0,
        "mean_velocity": 64.0,
        "velocity_standard_deviation": 0.0,
        "most_common_velocity_share": 1.0,
        "pedal_share": 0.0,
        "pedal_changes_per_second": 0.0,
    }


def test_drums_change_nothing():
    drums = [(100 * i, 5, 35, 127, 1, 0, True) for i in range(5)]
    tones = [tuple(tone) for tone in FOUR_TONES.notes.tolist()]
    score = Score.from_unsorted(12, np.array([*tones, *drums], NOTE))
    assert statistics(score) == statistics(FOUR_TONES)


def test_an_hour_of_quarters_gives_what_a_bar_of_them_does():
    """C E G E, a bar each, the pedal down on the first half of each bar."""
    quarters = range(HOUR_QUARTERS)
    tones = [(12 * i, 12, (60, 64, 67, 64)[i % 4], 64) for i in quarters]
    pedals = [(12 * i, 127 if i % 4 == 0 else 0) for i in quarters if i % 2 == 0]
    row = statistics(played(*tones, pedal=pedal(*pedals)))
    expected = {
        "polyphony": 0.0,
        "scale_consistency": 1.0,
        "pitch_classes_used": 3.0,
        "pitch_entropy": 1.5,  # 1/4, 1/2, 1/4.
        "note_count": 7200.0,
        "notes_per_second": 2.0,
        "notes_per_quarter": 1.0,
        "mean_inter_onset_interval": 0.5,
        "mean_note_length": 1.0,
        "empty_beat_rate": 0.0,
        "empty_measure_rate": 0.0,
        "groove_consistency": 1.0,
        "mean_polyphony": 1.0,
        "polyphony_rate": 0.0,
        "pedal_share": 0.5,
        "pedal_changes_per_second": 1.0,  # 3600 in 3600 s.
    }
    assert {name: row[name] for name in expected} == pytest.approx(expected)


def test_an_hour_of_silence_between_two_tones_is_empty():
    row = statistics(played((0, 12, 60, 64), (12 * HOUR_QUARTERS, 12, 60, 64)))
    assert row["empty_beat_rate"] == pytest.approx(1 - 2 / 7201)
    assert row["empty_measure_rate"] == pytest.approx(1 - 2 / 1801)
    assert row["groove_consistency"] == pytest.approx(1 - 2 / 96 / 1800)  # Two pairs differ by 1.
    assert row["mean_polyphony"] == 1.0


@given(scores)
@settings(max_examples=150, deadline=None)
def test_statistics_are_plain_finite_numbers(score: Score):
    for as_coded in (False, True):
        for name, value in statistics(score, as_coded).items():
            assert type(value) is float, name
            assert math.isfinite(value), name
            assert value >= 0, name
    row = statistics(score)
    assert all(row[s.name] <= 1 for s in STATISTICS if s.unit in ("share", "correlation"))
