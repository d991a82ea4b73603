"""Statistics of pitch and key: answers by hand, transpositions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from written_pieces import EMPTY, FOUR_TONES, ONE_TONE, played, scores

from crnn_gan.metrics import scale_consistency
from crnn_gan.metrics.pitch import (
    key_clarity,
    key_obedience,
    mean_pitch,
    mean_pitch_interval,
    pitch_class_entropy,
    pitch_classes_used,
    pitch_entropy,
)
from pipelines.keys import PROFILES
from pipelines.score import Score


def melody(*pitches: int, duration: int = 12) -> Score:
    return played(*[(12 * i, duration, pitch, 64) for i, pitch in enumerate(pitches)])


def test_octaves_are_one_pitch_class():
    assert pitch_classes_used(FOUR_TONES) == 3.0  # C, E, G, C.
    assert pitch_classes_used(melody(*range(21, 109))) == 12.0


def test_the_entropy_of_four_different_pitches_is_two_bits():
    assert pitch_entropy(FOUR_TONES) == 2.0
    # C 1/2, E 1/4, G 1/4: 1/2 * 1 + 1/4 * 2 + 1/4 * 2.
    assert pitch_class_entropy(FOUR_TONES) == 1.5


def test_entropy_counts_tones_and_not_their_lengths():
    assert pitch_entropy(played((0, 1, 60, 64), (1, 1000, 61, 64))) == 1.0


def test_entropy_of_all_pitches_is_the_most_there_is():
    assert pitch_entropy(melody(*range(128))) == pytest.approx(7.0)
    assert pitch_class_entropy(melody(*range(60, 72))) == pytest.approx(np.log2(12))


def test_the_mean_pitch_is_the_register_and_counts_tones():
    assert mean_pitch(FOUR_TONES) == 65.75  # (60 + 64 + 67 + 72) / 4.
    assert mean_pitch(melody(127, 127, 127)) == 127.0  # Beyond what 8 bits hold summed.
    assert mean_pitch(EMPTY) == 0.0


def test_the_mean_interval_goes_by_time_and_from_the_lowest_up():
    assert mean_pitch_interval(FOUR_TONES) == 4.0  # 60 64 67 72: (4 + 3 + 5) / 3.
    assert mean_pitch_interval(melody(127, 0)) == 127.0  # Down, beyond what 8 bits hold signed.


def test_a_tone_outside_the_key_disobeys():
    # C E G C long, F sharp short: C major holds 4 of 5.
    long = [(24 * i, 24, pitch, 64) for i, pitch in enumerate((60, 64, 67, 72))]
    assert key_obedience(played(*long, (96, 1, 66, 64))) == 4 / 5


def test_a_minor_key_has_the_better_of_natural_and_harmonic_minor():
    # A minor, the seventh once natural (G) and twice raised (G sharp): harmonic holds 6 of 7.
    a_minor = [(24 * i, 48, pitch, 64) for i, pitch in enumerate((57, 60, 64, 69))]
    sevenths = [(96 + i, 1, pitch, 64) for i, pitch in enumerate((67, 68, 68))]
    assert key_obedience(played(*a_minor, *sevenths)) == 6 / 7


def test_the_key_is_that_of_what_sounds_longest_and_not_of_most_tones():
    # C major sounds 10 times as long, but most tones lie in D flat major.
    c_major = [(120 * i, 120, pitch, 64) for i, pitch in enumerate((60, 62, 64, 65, 67, 71, 72))]
    others = [(840 + i, 1, pitch, 64) for i, pitch in enumerate((66, 68, 70, 73, 75) * 4)]
    score = played(*c_major, *others)
    assert key_obedience(score) == 7 / 27
    # D flat major (C# D# F F# G# A# C) holds the 20, F and C twice.
    assert scale_consistency(score) == 23 / 27


@pytest.mark.parametrize("is_minor", [False, True])
def test_a_piece_that_sounds_like_a_profile_is_perfectly_clear(is_minor: bool):
    lengths = [round(1000 * weight) for weight in PROFILES["aarden_essen"][is_minor]]
    score = played(*[(0, length, 62 + step, 64) for step, length in enumerate(lengths)])
    assert key_clarity(score) == pytest.approx(1.0, abs=1e-6)


def test_one_tone_is_as_clear_as_the_fifth_of_a_major_key():
    # Aarden's fifth is the heaviest, 22.062; the mean of the profile is 100 / 12.
    major = np.array(PROFILES["aarden_essen"][0])
    heaviest = 22.062 - 100 / 12
    lengths = np.sqrt(((major - major.mean()) ** 2).sum()) * np.sqrt(11 / 12)
    assert key_clarity(ONE_TONE) == pytest.approx(heaviest / lengths, abs=1e-4)


@pytest.mark.parametrize("score", [EMPTY, melody(*range(60, 72))])
def test_what_has_no_key_has_no_clarity_and_obeys_none(score: Score):
    assert (key_obedience(score), key_clarity(score)) == (0.0, 0.0)


@given(scores)
@settings(max_examples=100, deadline=None)
def test_transposition_changes_no_statistic_of_pitch(score: Score):
    for function in (
        *(pitch_classes_used, pitch_entropy, pitch_class_entropy, mean_pitch_interval),
        *(key_obedience, key_clarity),
    ):
        assert function(score.transpose(5)) == pytest.approx(function(score), abs=1e-9)


@given(scores)
@settings(max_examples=100, deadline=None)
def test_no_key_holds_more_tones_than_the_best_scale(score: Score):
    assert key_obedience(score) <= scale_consistency(score)
