"""Collapse, told from rows of statistics."""

import pytest

from crnn_gan.metrics.bands import Band
from crnn_gan.runs.collapse import collapse_of, collapse_of_last
from crnn_gan.runs.tables import Row

BANDS = {"unique_tones": Band(20.0, 12.0, 20.0, 28.0)}


def row(epoch=1, repeated=0, tones=15.0, pieces=8, alike=0.05):
    statistics = {} if tones is None else {"unique_tones": tones}
    return Row(epoch, "", pieces, repeated, statistics, alike)


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (row(), ""),
        (row(tones=8.1), ""),
        (row(tones=7.9), "7.9 different keys where real music has 12 or more"),
        (row(repeated=3), ""),
        (row(repeated=4), "4 of 8 pieces repeat another"),
        (row(pieces=1, repeated=0), ""),
        (row(tones=None), ""),
        (row(alike=0.49), ""),
        (row(alike=0.5), "two pieces share 50% of their notes"),
        (row(alike=None), ""),
    ],
)
def test_pieces_collapse_where_half_repeat_or_all_are_alike_or_keys_are_few(found, said):
    assert collapse_of(found, BANDS) == said


def test_without_a_band_only_repeats_tell():
    assert collapse_of(row(tones=0.0), {}) == ""
    assert collapse_of(row(tones=0.0, repeated=8), {}) != ""


def test_a_run_has_collapsed_when_the_last_epochs_all_have():
    bad = [row(epoch, tones=2.0) for epoch in range(1, 4)]
    assert collapse_of_last(bad, BANDS, 3)
    assert not collapse_of_last(bad, BANDS, 4)
    assert not collapse_of_last([*bad, row(4)], BANDS, 3)
    assert collapse_of_last([row(1), *bad], BANDS, 3)
