"""Bands of real music, and generated music beside them."""

from __future__ import annotations

import json

import numpy as np
import pytest

from crnn_gan.metrics.bands import (
    Band,
    bands,
    from_json,
    mean_statistics,
    number,
    outside,
    table,
    to_json,
)
from crnn_gan.metrics.repeated import repeated_pieces
from pipelines.score import Score
from pipelines.score_arrays import NOTE

BANDS = {
    "polyphony": Band(0.71, 0.31, 0.75, 0.98),
    "unique_tones": Band(21.0, 13.0, 21.0, 31.0),
}


def scale_of(tones: int, ticks_per_quarter: int = 12) -> Score:
    notes = np.zeros(tones, NOTE)
    notes["onset"], notes["pitch"] = np.arange(tones) * 12, np.arange(tones) + 40
    notes["duration"], notes["velocity"] = 12, 64
    return Score(ticks_per_quarter, notes)


def test_bands_are_mean_and_percentiles_of_the_windows():
    # 1..21 tones: 5 % of the way from 1 to 21 is 2, half 11, 95 % 20.
    band = bands([scale_of(tones) for tones in range(1, 22)])["unique_tones"]
    assert band == Band(mean=11.0, low=2.0, median=11.0, high=20.0)


def test_bands_of_no_window_are_refused():
    with pytest.raises(ValueError, match="none was given"):
        bands([])


def test_bands_come_back_from_json():
    assert from_json(json.loads(json.dumps(to_json(BANDS)))) == BANDS


@pytest.mark.parametrize("values", [{"polyphony": 3}, {"polyphony": {"mean": 1}}, [1]])
def test_what_is_no_band_is_refused(values: object):
    with pytest.raises(ValueError, match="not bands"):
        from_json(values)  # type: ignore[arg-type]


def test_outside_says_in_words_what_lies_below_and_above():
    assert outside({"polyphony": 0.99, "unique_tones": 3.2, "notes": 5}, BANDS) == [
        "polyphony 0.99 is above real music's 0.31..0.98",
        "unique tones 3.2 is below real music's 13..31",
    ]


def test_the_edges_of_a_band_are_inside():
    assert outside({"polyphony": 0.31, "unique_tones": 31.0}, BANDS) == []


def test_a_factor_lets_pass_what_is_a_little_outside():
    assert outside({"polyphony": 0.99, "unique_tones": 9.0}, BANDS, factor=1.5) == []
    assert outside({"unique_tones": 8.6}, BANDS, factor=1.5) == [
        "unique tones 8.6 is far below real music's 13..31"
    ]


def test_the_table_is_aligned_and_says_inside_or_where():
    rows = [{"polyphony": 0.4, "unique_tones": 40.0}, {"polyphony": 0.6, "unique_tones": 41.0}]
    assert table(rows, BANDS) == (
        "statistic     generated  real  real 5 % .. 95 %\n"
        "polyphony           0.5  0.71      0.31 .. 0.98  inside\n"
        "unique tones       40.5    21          13 .. 31  above"
    )


def test_a_table_of_no_piece_is_refused():
    with pytest.raises(ValueError, match="none was given"):
        table([], BANDS)


def test_the_mean_of_rows_keeps_their_order():
    rows = [{"b": 1.0, "a": 2.0}, {"b": 2.0, "a": 4.0}]
    assert list(mean_statistics(rows).items()) == [("b", 1.5), ("a", 3.0)]


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (0.714, "0.71"), (3.2, "3.2"), (21.04, "21"), (21.26, "21.3"), (100, "100")],
)
def test_numbers_have_the_decimals_they_need(value: float, text: str):
    assert number(value) == text


def test_repeated_pieces_are_those_that_repeat_an_earlier_one():
    assert repeated_pieces([]) == 0
    assert repeated_pieces([scale_of(3), scale_of(4), scale_of(3), scale_of(3)]) == 2
    # The same ticks in another time are another piece.
    assert repeated_pieces([scale_of(3), scale_of(3, ticks_per_quarter=24)]) == 0
