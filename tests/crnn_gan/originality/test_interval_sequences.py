"""Interval sequences of pieces, by hand."""

from __future__ import annotations

import numpy as np
import pytest
from melodies import in_meter, piece

from crnn_gan.originality.interval_sequences import is_nontrivial, note_sequence
from pipelines.score import Score
from pipelines.score_arrays import METER, TEMPO


def tokens(score: Score) -> list[tuple[int, int]]:
    """(semitones, time class) of each token."""
    return [(int(token) // 8 - 128, int(token) % 8) for token in note_sequence(score).tokens]


def test_tokens_are_semitones_and_the_ratio_of_inter_onset_times():
    # The times between are 1, 1, 2, 1, 3, 12, 1 quarters: ratios 1, 2, 1/2, 3, 4, 1/12.
    onsets = np.cumsum([0, 1, 1, 2, 1, 3, 12, 1]) * 480
    score = piece([60, 62, 59, 59, 71, 70, 70, 72], onsets)
    # 4 is as long, 5 twice, 6 three times and more; 3 half, 2 a quarter and less; 1 the first.
    assert tokens(score) == [(2, 1), (-3, 4), (0, 5), (12, 3), (-1, 6), (0, 6), (2, 2)]


def test_transposition_tempo_and_resolution_change_no_token():
    score = piece([60, 64, 67, 72, 71], [0, 480, 720, 960, 1920])
    fast = piece(
        [60, 64, 67, 72, 71], [0, 480, 720, 960, 1920], tempi=np.array([(0, 400_000)], TEMPO)
    )
    for other in (score.transpose(-7), fast, score.quantized(4)):
        assert tokens(other) == tokens(score)


def test_a_chord_goes_from_the_lowest_up_however_it_is_rolled():
    # At 120 quarters per minute 24 ticks are 25 ms, less than the 30 ms of a chord; 48 are 50 ms.
    together = piece([60, 64, 67, 60], [0, 0, 0, 480])
    rolled = piece([67, 60, 64, 60], [0, 24, 48, 480])
    assert tokens(together) == [(4, 0), (3, 0), (-7, 1)] == tokens(rolled)
    assert tokens(piece([67, 60, 64, 60], [0, 48, 96, 480])) == [(-7, 1), (4, 4), (-4, 6)]


def test_simultaneous_onsets_of_a_pitch_are_one_note_and_drums_are_none():
    score = piece([60, 60, 64, 40], [0, 0, 480, 960])
    notes = score.notes.copy()
    notes["track"][1], notes["is_drum"][3] = 1, True
    sequence = note_sequence(Score.from_unsorted(480, notes))
    assert sequence.pitch.tolist() == [60, 64]
    assert sequence.onset_quarters.tolist() == [0, 1]


@pytest.mark.parametrize("notes", [0, 1])
def test_pieces_of_no_note_and_of_one_have_no_token(notes: int):
    sequence = note_sequence(piece([60] * notes))
    assert (len(sequence), len(sequence.tokens)) == (notes, 0)


@pytest.mark.parametrize(
    ("pitches", "nontrivial"),
    [
        ([60] * 8, False),
        ([60, 62] * 4, False),  # A trill: up, down.
        ([60, 62, 64, 65, 67, 69, 71, 72], False),  # A scale: one and two semitones.
        ([60, 64, 67, 64, 60, 64, 67, 64], True),  # A broken chord: 4, 3, -3, -4.
    ],
)
def test_repeated_notes_trills_and_scales_are_trivial(pitches: list[int], nontrivial: bool):
    assert is_nontrivial(note_sequence(piece(pitches)).tokens).tolist() == [nontrivial]


def test_passages_of_fewer_than_eight_notes_are_trivial():
    assert len(is_nontrivial(note_sequence(piece([60, 61, 65, 70, 62, 68, 60])).tokens)) == 0


def bars_at(*quarters: float, **fields: object) -> list[int]:
    """The bars of notes with these onsets, 480 ticks per quarter."""
    onsets = [round(480 * quarter) for quarter in quarters]
    return note_sequence(piece(range(60, 60 + len(onsets)), onsets, **fields)).bar.tolist()


def test_bars_are_counted_by_the_meters():
    assert bars_at(0, 2.9, 3, 8.99, 9, meters=in_meter(3, 4)) == [1, 1, 2, 3, 4]
    assert bars_at(0, 3.9, 4, 8) == [1, 1, 2, 3]
    # Two bars of 4/4, then one that 3/8 cuts short after a quarter, then 1.5 quarters per bar.
    changing = np.array([(0, 4, 4), (9 * 480, 3, 8)], METER)
    assert bars_at(7.9, 8.5, 9, 10.4, 10.5, meters=changing) == [2, 3, 4, 4, 5]
