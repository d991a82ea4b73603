"""Small plots: bins, places and paths, worked out by hand."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
from findings import statistic

from crnn_gan.evaluation.evaluation import HistogramRow
from crnn_gan.metrics.bands import Band
from crnn_gan.metrics.distances import Overlap
from crnn_gan.report import plots
from crnn_gan.report.elements import Markup

TITLE = Markup("title")
BAND = Band(15.0, 10.0, 15.0, 20.0)
LEFT, RIGHT = 180 * 0.28, 180 * 0.72  # Of the band: 44 % of 180 in the middle.


def attributes(svg: str, name: str) -> dict[str, str]:
    (element,) = (e for e in ElementTree.fromstring(svg).iter() if e.get("class") == name)
    return dict(element.attrib)


def test_both_sets_share_twenty_bins_from_the_least_to_the_most():
    edges, is_cut = plots.bin_edges([0.5, 1.25], [0.0, 2.0])
    assert edges.tolist() == pytest.approx([0.1 * bin for bin in range(21)])
    assert is_cut == (False, False)


def test_whole_numbers_of_few_kinds_get_a_bin_each():
    edges, _ = plots.bin_edges([3.0, 5.0], [4.0])
    assert edges.tolist() == [2.5, 3.5, 4.5, 5.5]
    assert plots.shares([3.0, 3.0, 5.0, 4.0], edges) == [0.5, 0.25, 0.25]


def test_a_stray_value_counts_in_the_last_bin_and_it_is_told():
    values = [*np.linspace(0, 1, 99).tolist(), 1000.0]
    edges, is_cut = plots.bin_edges(values, values)
    assert edges[-1] < 4
    assert is_cut == (False, True)
    assert sum(plots.shares(values, edges)) == pytest.approx(1)
    row = statistic(generated=values, band=Band(0.5, 0.0, 0.5, 1.0))
    assert "\N{GREATER-THAN OR EQUAL TO}" in plots.distribution(row, TITLE)


def test_values_that_are_all_equal_are_written_not_plotted():
    row = statistic(generated=(12.0, 12.0))
    row = plots.distribution(type(row)(**{**vars(row), "real": (12.0, 12.0)}), TITLE)
    assert "all values of both sets are 12" in row
    assert "<svg" not in row


def test_a_histogram_goes_up_and_down_in_steps():
    # Two bins of 120 units: the fuller one reaches the top, the other half of 80.
    assert plots._steps([0.5, 0.25], 0.5) == "M0 80V0.0h120.000V40.0h120.000V80z"


def test_a_range_plot_lays_every_band_at_the_same_place():
    svg = plots.range_plot(BAND, [10.0, 20.0], 15.0)
    band = attributes(svg, "band")
    assert float(band["x"]) == pytest.approx(LEFT)
    assert float(band["x"]) + float(band["width"]) == pytest.approx(RIGHT)
    assert attributes(svg, "dot")["cx"] == "90"
    assert attributes(plots.range_plot(BAND, [10.0], 20.0), "dot")["cx"] == f"{RIGHT:.1f}"


@pytest.mark.parametrize(("mean", "tip"), [(1e6, "M176 "), (-1e6, "M4 ")])
def test_a_mean_far_outside_is_an_arrow_at_the_edge(mean, tip):
    dot = attributes(plots.range_plot(BAND, [mean, mean], mean), "dot")
    assert dot["d"].startswith(tip)


def test_a_band_of_no_width_is_met_or_missed():
    constant = Band(3.0, 3.0, 3.0, 3.0)
    assert attributes(plots.range_plot(constant, [3.0], 3.0), "dot")["cx"] == "90"
    assert attributes(plots.range_plot(constant, [4.0], 4.0), "dot")["d"].startswith("M176 ")


def test_a_pair_is_plotted_from_zero():
    # 168 units from 6 on are 0.8: 0.2 is at 48.
    svg = plots.pair_plot(0.2, 0.8)
    assert attributes(svg, "dot")["cx"] == "48"
    assert attributes(svg, "mark")["d"].startswith("M174.0 ")
    assert attributes(plots.pair_plot(0.0, 0.0), "dot")["cx"] == "6"


def test_cells_of_a_matrix_are_shaded_by_twelfths_of_the_strongest():
    row = HistogramRow(
        "transitions", "", (2, 2), ("C", "D"), (0.5, 0.25, 0.0, 0.01), (0.0, 0.0, 0.5, 0.0),
        Overlap(1.0, 0.0),
    )  # fmt: skip
    generated, real = re.findall(r"<svg.*?</svg>", plots.heat_maps(row, TITLE))
    # Row C, column C is full; row C, column D is half. A fiftieth is no shade.
    cell = "h1v1h-1z"
    assert re.findall(r'd="(M\d \d[^"]*)" fill-opacity="([\d.]+)"', generated) == [
        (f"M1 0{cell}", "0.5"),
        (f"M0 0{cell}", "1"),
    ]
    assert f'd="M0 1{cell}" fill-opacity="1"' in real


def test_bars_stand_side_by_side():
    row = HistogramRow("bins", "", (2,), ("a", "b"), (1.0, 0.0), (0.5, 0.5), Overlap(1.0, 0.0))
    svg = plots.paired_bars(row, TITLE)
    # Slots of 120 units: real from 8 % of it, generated from 52 %, each 40 % wide.
    assert 'class="bar-generated" d="M62.40 80v-80.00h48.00v80.00z"' in svg
    assert "M9.60 80v-40.00h48.00v40.00zM129.60 80v-40.00h48.00v40.00z" in svg


def test_names_too_long_to_stand_side_by_side_stand_upright():
    names = tuple(f"dotted quarter {bin}" for bin in range(12))
    row = HistogramRow("bins", "", (12,), names, (0.1,) * 12, (0.1,) * 12, Overlap(1.0, 0.0))
    assert 'class="bins upright"' in plots.paired_bars(row, TITLE)
    short = HistogramRow("bins", "", (12,), ("C#",) * 12, (0.1,) * 12, (0.1,) * 12, row.overlap)
    assert 'class="bins"' in plots.paired_bars(short, TITLE)


def test_a_curve_has_gaps_where_nothing_was_measured():
    # Epochs 1 to 5 are 60 units apart; 0 is at the bottom and 10 at the top but for 6 % of room.
    svg = plots.curve(TITLE, (1, 2, 3, 4, 5), (0.0, 10.0, None, 0.0, 10.0), None)
    (path,) = re.findall(r'class="curve" d="([^"]*)"', svg)
    low, high = 80 * 10.6 / 11.2, 80 * 0.6 / 11.2
    assert path == (f"M0.0 {low:.1f}h0L60.0 {high:.1f}M180.0 {low:.1f}h0L240.0 {high:.1f}")


def test_the_band_of_real_music_lies_behind_a_curve():
    svg = plots.curve(TITLE, (1, 2), (0.0, 40.0), BAND)
    # From 0 to 40 with 6 % of room: 20 is at 80 * 22.4 / 44.8 and 10 ten units of value below.
    assert 'class="band" x="0" y="40" width="240" height="17.86"' in svg


def test_a_curve_without_values_says_so():
    assert "not measured" in plots.curve(TITLE, (1, 2), (None, None), BAND)
    assert "not measured" in plots.curve(TITLE, (), (), None)
