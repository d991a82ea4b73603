"""The paper's statistics of a Score: nine notes by hand, brute force."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from crnn_gan.metrics import (
    intensity_span,
    polyphony,
    repetitions,
    scale_consistency,
    statistics,
    tone_span,
    unique_tones,
)
from pipelines.score import Score
from pipelines.score_arrays import NOTE


def piece(*notes: tuple[int, int, int], track: int = 0, is_drum: bool = False) -> Score:
    """A Score of (onset, pitch, velocity), every note 10 ticks long."""
    rows = [(onset, 10, pitch, velocity, track, 0, is_drum) for onset, pitch, velocity in notes]
    return Score(12, np.array(rows, NOTE))


def melody(pitches: list[int] | np.ndarray) -> Score:
    return piece(*[(12 * i, int(pitch), 64) for i, pitch in enumerate(pitches)])


PAPERS = ("polyphony", "scale_consistency", "repetitions", "tone_span", "unique_tones")
PAPERS += ("intensity_span",)


def papers(score: Score) -> dict[str, float]:
    """The statistics of the paper alone, by what the paper means."""
    return {name: statistics(score)[name] for name in PAPERS}


# C E | G | C E | G | F sharp | C E: three dyads and three single tones, nine notes.
NINE_NOTES = piece(
    *[(0, 60, 50), (0, 64, 60), (12, 67, 70), (24, 60, 50), (24, 64, 60), (36, 67, 70)],
    *[(48, 66, 90), (60, 60, 40), (60, 64, 60)],
)


def test_nine_notes_give_what_the_paper_means():
    assert papers(NINE_NOTES) == {
        "polyphony": 6 / 9,  # Three dyads.
        # C, E, G and F sharp all lie in G major.
        "scale_consistency": 1.0,
        "repetitions": 1.0,  # Of C E G C E G F# C E only C E G comes twice, at 0 and 3.
        "tone_span": 7.0,
        "unique_tones": 4.0,
        "intensity_span": 50.0,
    }


def test_nine_notes_give_what_the_reference_code_computes():
    assert statistics(NINE_NOTES, as_coded=True) == {
        # Polyphonic: the upper tones of 3 dyads, and 2 dyads that are not the last onset.
        # Monophonic: the first tones of 6 onsets, and 3 onsets of one tone. 5 of 14.
        "polyphony": 5 / 14,
        # C major has all but F sharp. G major and E minor have all, but lose what is below
        # their roots.
        "scale_consistency": 8 / 9,
        "repetitions": 1.0,  # The last tone is not looked at; it is in no repetition.
        "tone_span": 7.0,
        "unique_tones": 4.0,
        "intensity_span": 50.0,
    }


def test_as_coded_an_empty_piece_has_zeros():
    assert statistics(Score(12, np.zeros(0, NOTE)), as_coded=True) == dict.fromkeys(PAPERS, 0.0)


@pytest.mark.parametrize("as_coded", [False, True])
def test_a_single_note_is_in_its_scale_and_alone(as_coded: bool):
    score = piece((5, 61, 80))
    assert (statistics(score, as_coded=True) if as_coded else papers(score)) == {
        "polyphony": 0.0,
        "scale_consistency": 1.0,
        "repetitions": 0.0,
        "tone_span": 0.0,
        "unique_tones": 1.0,
        "intensity_span": 0.0,
    }


def test_polyphony_of_triads_is_one_and_as_coded_tends_to_three_quarters():
    triads = piece(*[(12 * i, pitch, 64) for i in range(100) for pitch in (60, 64, 67)])
    assert polyphony(triads) == 1.0
    # 200 later tones and 99 onsets are polyphonic of 300 + 99 events.
    assert polyphony(triads, as_coded=True) == 299 / 399


def test_every_scale_on_every_root_is_consistent():
    steps = [(0, 2, 4, 5, 7, 9, 11), (0, 2, 3, 5, 7, 8, 10), (0, 2, 3, 5, 7, 8, 11)]
    for scale, root in itertools.product(steps, range(60, 72)):
        assert scale_consistency(melody([root + step for step in scale])) == 1.0


def test_the_twelve_semitones_are_seven_twelfths_of_a_scale():
    assert scale_consistency(melody(list(range(60, 72)))) == 7 / 12


def test_g_major_loses_an_eighth_as_coded():
    g_major = melody([67, 69, 71, 72, 74, 76, 78, 79])
    assert scale_consistency(g_major) == 1.0
    assert scale_consistency(g_major, as_coded=True) == 7 / 8


def repetitions_of_all_pairs(pitches: list[int], length: int) -> int:
    n = len(pitches)
    return sum(
        pitches[i : i + length] == pitches[j : j + length]
        for i in range(n - 2 * length + 1)
        for j in range(i + length, n - length + 1)
    )


def repetitions_of_the_reference_code(pitches: list[int], length: int) -> int:
    n = len(pitches)
    if length not in range(2, min(n // 2, 10)):
        return 0
    return sum(
        pitches[i : i + length] == pitches[j : j + length]
        for i in range(n - length * 2)
        for j in range(i + length, n - length)
    )


@pytest.mark.parametrize("tones", [0, 1, 3, 4, 5, 6, 7, 18, 19, 20, 60])
def test_repetitions_equal_the_comparison_of_all_pairs(tones: int):
    random = np.random.default_rng(tones)
    for pitches, length in itertools.product(random.integers(126, 128, (4, tones)), range(2, 10)):
        row = pitches.tolist()
        assert repetitions(melody(row), length) == repetitions_of_all_pairs(row, length)
        coded = repetitions(melody(row), length, as_coded=True)
        assert coded == repetitions_of_the_reference_code(row, length)


def test_repetitions_do_not_overlap():
    # Four equal tones: rows of two at 0, 1, 2; only 0 and 2 do not overlap.
    assert repetitions(melody([60] * 4), 2) == 1.0


def test_repetitions_of_a_long_piece_are_counted_without_comparing_all_pairs():
    # One tone 20,000 times: sum over j of j - 2 for j = 3..19,997, which is 19,995 * 19,996 / 2.
    assert repetitions(melody([60] * 20_000)) == 19_995 * 19_996 / 2


@pytest.mark.parametrize("length", [1, 10])
def test_repetitions_of_other_lengths_are_refused(length: int):
    with pytest.raises(ValueError, match="give 2 to 9"):
        repetitions(NINE_NOTES, length)


def test_as_coded_reads_one_track_after_the_other():
    notes = [(12 * i, 10, pitch, 64, i % 2, 0, False) for i, pitch in enumerate([60, 80] * 4)]
    notes[0] = (0, 10, 61, 64, 0, 0, False)
    score = Score(12, np.array(notes, NOTE))
    # By time 61 80 60 80 60 80 60 80: 80 60 80 at 1 and 5; 60 80 60 at 2 has none at 5 on.
    assert repetitions(score) == 1.0
    # By track 61 60 60 60 80 80 80 (80): no row of three comes back without overlap.
    assert repetitions(score, as_coded=True) == 0.0


def test_drums_count_only_as_coded():
    drums = piece((0, 35, 100), (0, 81, 120), is_drum=True)
    for function, value in [(tone_span, 46.0), (unique_tones, 2.0), (intensity_span, 20.0)]:
        assert function(drums) == 0.0
        assert function(drums, as_coded=True) == value


def test_the_extremes_of_pitch_and_velocity_do_not_wrap():
    extremes = piece((0, 0, 1), (12, 127, 127))
    assert (tone_span(extremes), intensity_span(extremes)) == (127.0, 126.0)
