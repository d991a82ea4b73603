"""Rows: what of a piece is compared, by hand."""

from __future__ import annotations

import numpy as np
import pytest
from melodies import in_meter, piece

from crnn_gan.originality.interval_sequences import is_telling, row_of
from pipelines.score import Score
from pipelines.score_arrays import METER, TEMPO


def steps(score: Score) -> list[tuple[int, int]]:
    """(semitones, class of time) of each step."""
    return [(int(step) // 8 - 128, int(step) % 8) for step in row_of(score).steps]


def test_steps_are_semitones_and_how_long_it_takes_beside_the_time_before():
    # The times between are 1, 1, 2, 1, 3, 12, 1 quarters: ratios 1, 2, 1/2, 3, 4, 1/12.
    onsets = np.cumsum([0, 1, 1, 2, 1, 3, 12, 1]) * 480
    score = piece([60, 62, 59, 59, 71, 70, 70, 72], onsets)
    # 4 is as long, 5 twice, 6 three times and more; 3 half, 2 a quarter and less; 1 the first.
    assert steps(score) == [(2, 1), (-3, 4), (0, 5), (12, 3), (-1, 6), (0, 6), (2, 2)]


def test_transposition_tempo_and_resolution_change_no_step():
    score = piece([60, 64, 67, 72, 71], [0, 480, 720, 960, 1920])
    fast = piece(
        [60, 64, 67, 72, 71], [0, 480, 720, 960, 1920], tempi=np.array([(0, 400_000)], TEMPO)
    )
    for other in (score.transpose(-7), fast, score.quantized(4)):
        assert steps(other) == steps(score)


def test_a_chord_goes_from_the_lowest_up_however_it_is_rolled():
    # At 120 quarters a minute 24 ticks are 25 ms, less than the 30 ms of a chord; 48 are 50 ms.
    together = piece([60, 64, 67, 60], [0, 0, 0, 480])
    rolled = piece([67, 60, 64, 60], [0, 24, 48, 480])
    assert steps(together) == [(4, 0), (3, 0), (-7, 1)] == steps(rolled)
    assert steps(piece([67, 60, 64, 60], [0, 48, 96, 480])) == [(-7, 1), (4, 4), (-4, 6)]


def test_a_pitch_that_two_voices_strike_at_once_is_one_note_and_drums_are_none():
    score = piece([60, 60, 64, 40], [0, 0, 480, 960])
    notes = score.notes.copy()
    notes["track"][1], notes["is_drum"][3] = 1, True
    row = row_of(Score.from_unsorted(480, notes))
    assert row.pitch.tolist() == [60, 64]
    assert row.onset_quarters.tolist() == [0, 1]


@pytest.mark.parametrize("notes", [0, 1])
def test_pieces_of_no_note_and_of_one_have_no_step(notes: int):
    row = row_of(piece([60] * notes))
    assert (len(row), len(row.steps)) == (notes, 0)


@pytest.mark.parametrize(
    ("pitches", "tells"),
    [
        ([60] * 8, False),
        ([60, 62] * 4, False),  # A trill: up, down.
        ([60, 62, 64, 65, 67, 69, 71, 72], False),  # A scale: one and two semitones.
        ([60, 64, 67, 64, 60, 64, 67, 64], True),  # A broken chord: 4, 3, -3, -4.
    ],
)
def test_repeated_notes_trills_and_scales_tell_nothing(pitches: list[int], tells: bool):
    assert is_telling(row_of(piece(pitches)).steps).tolist() == [tells]


def test_rows_of_fewer_than_eight_notes_tell_nothing():
    assert len(is_telling(row_of(piece([60, 61, 65, 70, 62, 68, 60])).steps)) == 0


def bars_at(*quarters: float, **fields: object) -> list[int]:
    """The bars of notes that are struck at these times, 480 ticks a quarter."""
    onsets = [round(480 * quarter) for quarter in quarters]
    return row_of(piece(range(60, 60 + len(onsets)), onsets, **fields)).bar.tolist()


def test_bars_are_counted_by_the_meters():
    assert bars_at(0, 2.9, 3, 8.99, 9, meters=in_meter(3, 4)) == [1, 1, 2, 3, 4]
    assert bars_at(0, 3.9, 4, 8) == [1, 1, 2, 3]
    # Two bars of 4/4, then one that 3/8 cuts short after a quarter, then 1.5 quarters a bar.
    changing = np.array([(0, 4, 4), (9 * 480, 3, 8)], METER)
    assert bars_at(7.9, 8.5, 9, 10.4, 10.5, meters=changing) == [2, 3, 4, 4, 5]
