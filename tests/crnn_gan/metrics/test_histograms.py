"""Histograms and transitions: answers by hand, sums."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from written_pieces import DRUMS, EMPTY, FOUR_TONES, ONE_TONE, played, scores

from crnn_gan.metrics.histograms import (
    HISTOGRAMS,
    INTERVAL_BINS,
    NOTE_LENGTHS,
    PITCH_CLASSES,
    VELOCITY_BINS,
    Histogram,
    inter_onset_histogram,
    note_length_histogram,
    note_length_transitions,
    pitch_class_histogram,
    pitch_class_transitions,
    velocity_histogram,
)
from pipelines.score import Score

BY_NAME = pytest.mark.parametrize("histogram", HISTOGRAMS, ids=lambda h: h.name)


def shares(values: np.ndarray, bins: tuple[str, ...]) -> dict[str, float]:
    """The bins that are not empty, by their names."""
    return {bins[i]: float(values[i]) for i in np.flatnonzero(values)}


def pairs(values: np.ndarray, bins: tuple[str, ...]) -> dict[tuple[str, str], float]:
    """The cells that are not empty, by the names of row and column."""
    return {(bins[i], bins[j]): float(values[i, j]) for i, j in np.argwhere(values)}


def test_pitch_classes_count_by_how_long_they_sound():
    # C 12 + 24, E 24, G 12 of 72 ticks.
    found = shares(pitch_class_histogram(FOUR_TONES), PITCH_CLASSES)
    assert found == {"C": 36 / 72, "E": 24 / 72, "G": 12 / 72}


def test_each_tone_leads_to_the_next():
    found = pairs(pitch_class_transitions(FOUR_TONES), PITCH_CLASSES)
    assert found == {("C", "E"): 1 / 3, ("E", "G"): 1 / 3, ("G", "C"): 1 / 3}


def test_lengths_are_those_of_notes():
    found = shares(note_length_histogram(FOUR_TONES), tuple(NOTE_LENGTHS))
    assert found == {"quarter": 0.5, "half": 0.5}
    found = pairs(note_length_transitions(FOUR_TONES), tuple(NOTE_LENGTHS))
    # Quarter, half, quarter, half.
    assert found == {("quarter", "half"): 2 / 3, ("half", "quarter"): 1 / 3}


@pytest.mark.parametrize(("name", "length"), NOTE_LENGTHS.items())
def test_each_length_is_nearest_to_its_own_class(name: str, length: int):
    # 24 ticks a quarter: a tick is 1/96 of a whole note.
    score = played((0, length, 60, 64), ticks_per_quarter=24)
    assert shares(note_length_histogram(score), tuple(NOTE_LENGTHS)) == {name: 1.0}


@pytest.mark.parametrize(
    ("length", "name"),
    [
        (1, "16th"),  # Nothing is shorter.
        (1000, "whole"),  # Nothing is longer.
        (7, "16th"),  # Halfway to the triplet 8th (8): the earlier in the order.
        (28, "quarter"),  # Halfway from 24 to the triplet half (32).
        (29, "triplet half"),
        (60, "half"),  # Halfway from 48 to the dotted half (72).
        (61, "dotted half"),
    ],
)
def test_other_lengths_go_to_the_nearest_class(length: int, name: str):
    score = played((0, length, 60, 64), ticks_per_quarter=24)
    assert shares(note_length_histogram(score), tuple(NOTE_LENGTHS)) == {name: 1.0}


def test_velocities_fall_in_bins_of_eight():
    # 48 in 48-55, 64 and 64 in 64-71, 80 in 80-87.
    found = shares(velocity_histogram(FOUR_TONES), VELOCITY_BINS)
    assert found == {"48-55": 1 / 4, "64-71": 2 / 4, "80-87": 1 / 4}
    ends = played(*[(i, 1, 60, velocity) for i, velocity in enumerate((1, 7, 8, 127))])
    found = shares(velocity_histogram(ends), VELOCITY_BINS)
    assert found == {"1-7": 2 / 4, "8-15": 1 / 4, "120-127": 1 / 4}


def test_intervals_of_onsets_fall_in_bins_that_double():
    # 0, 1/2 and 3/2 s; the latter is above 1.41.
    found = shares(inter_onset_histogram(FOUR_TONES), INTERVAL_BINS)
    assert found == {"together": 1 / 3, "1/2 s": 1 / 3, "2 s": 1 / 3}


def test_even_notes_stay_in_one_bin_whatever_is_rounded():
    for ticks, name in [(120, "1/8 s"), (240, "1/4 s"), (480, "1/2 s"), (960, "1 s")]:
        even = played(*[(ticks * i, 1, 60, 64) for i in range(500)], ticks_per_quarter=480)
        assert shares(inter_onset_histogram(even), INTERVAL_BINS) == {name: 1.0}


def test_intervals_have_no_upper_end():
    far = played((0, 1, 60, 64), (24 * 3600, 1, 60, 64))
    assert shares(inter_onset_histogram(far), INTERVAL_BINS) == {"longer": 1.0}


def test_one_tone_has_kinds_and_leads_nowhere():
    sums = {histogram.name: float(histogram.function(ONE_TONE).sum()) for histogram in HISTOGRAMS}
    assert sums == {
        "pitch_class_histogram": 1.0,
        "pitch_class_transitions": 0.0,
        "note_length_histogram": 1.0,
        "note_length_transitions": 0.0,
        "velocity_histogram": 1.0,
        "inter_onset_histogram": 0.0,
    }


@BY_NAME
@pytest.mark.parametrize("score", [EMPTY, DRUMS])
def test_without_a_tone_all_bins_are_zero(histogram: Histogram, score: Score):
    values = histogram.function(score)
    assert values.dtype == np.float64
    assert values.tolist() == np.zeros(histogram.shape).tolist()


@BY_NAME
def test_the_registry_says_what_the_function_gives(histogram: Histogram):
    assert histogram.function(FOUR_TONES).shape == histogram.shape
    assert set(histogram.shape) == {len(histogram.bins)} == {len(set(histogram.bins))}
    assert histogram.description.startswith("Gives the share") or "how often" in (
        histogram.description
    )


@BY_NAME
@given(score=scores)
@settings(max_examples=40, deadline=None)
def test_shares_sum_to_one_or_there_is_nothing_to_share(histogram: Histogram, score: Score):
    values = histogram.function(score)
    assert values.shape == histogram.shape
    assert (values >= 0).all()
    assert values.sum() == pytest.approx(float(values.any()))


@given(scores)
@settings(max_examples=40, deadline=None)
def test_transposition_rotates_the_pitch_classes(score: Score):
    moved = score.transpose(5)
    histogram = pitch_class_histogram(score)
    np.testing.assert_allclose(pitch_class_histogram(moved), np.roll(histogram, 5))
    transitions = np.roll(pitch_class_transitions(score), (5, 5), (0, 1))
    np.testing.assert_allclose(pitch_class_transitions(moved), transitions)
    np.testing.assert_array_equal(note_length_histogram(moved), note_length_histogram(score))
