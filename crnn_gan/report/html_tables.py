"""Tables of the page. On a narrow screen each row becomes a card with labels."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby

import numpy as np

from crnn_gan.evaluation.evaluation import Evaluation, Figure, StatisticRow
from crnn_gan.metrics.bands import in_words, side
from crnn_gan.originality.originality import FIGURES, SetOriginality
from crnn_gan.report.elements import Child, Markup, element
from crnn_gan.report.leading import (
    LEADING,
    LIKELIHOOD,
    LIKELIHOOD_SAYS,
    held_out_nats,
    leading_figures,
)
from crnn_gan.report.numbers import EN_DASH, number, percent, span
from crnn_gan.report.plots import pair_plot, range_plot

WANTED = {"low": "lower is better", "high": "higher is better", "as real": "as real is best"}
NONE, MIDDLE = EN_DASH, f"5{EN_DASH}95 %"
NUMBERS = {  # Headings of columns of numbers.
    *("generated", "real", "held-out real", MIDDLE, "inside", "overlap"),
    *("generated median", "95 %", "most", "real median", "limit", "above the limit"),
}
MOST_LISTED = 30  # Most pieces listed as not original.


def table(heads: Sequence[str], groups: Iterable[tuple[str, list[Markup]]], kind: str) -> Markup:
    """Builds a table of rows in named groups; a group without a name has no heading row."""
    body = [
        element(
            "tbody",
            element("tr", element("th", name, colspan=len(heads), scope="rowgroup"), class_="group")
            if name
            else None,
            rows,
        )
        for name, rows in groups
    ]
    head = element(
        "thead",
        element(
            "tr",
            [
                element("th", text, scope="col", class_="number" if text in NUMBERS else None)
                for text in heads
            ],
        ),
    )
    return element("table", head, body, class_=f"folds {kind}")


def cell(label: str, *children: Child, kind: str = "") -> Markup:
    """Builds a cell labelled with its column's heading, for screens that show no headings."""
    return element("td", *children, data_label=label or None, class_=kind or None)


def statistics_table(rows: Sequence[StatisticRow]) -> Markup:
    """Builds the table of statistics, by group."""
    heads = ("", "generated", "real", MIDDLE, "beside the band", "", "inside", "overlap")
    groups = [
        (name, [_statistic(row) for row in members])
        for name, members in groupby(rows, key=lambda row: row.group)
    ]
    return table(heads, groups, "statistics")


def _statistic(row: StatisticRow) -> Markup:
    where = side(row.mean, row.band) or "inside"
    area = row.overlap.area
    return element(
        "tr",
        element(
            "th",
            in_words(row.name),
            element("span", row.unit, class_="unit") if row.unit else None,
            scope="row",
        ),
        cell("generated", number(row.mean), kind="number made"),
        cell("real", number(row.band.mean), kind="number"),
        cell(MIDDLE, span(row.band.low, row.band.high), kind="number span"),
        cell("", range_plot(row.band, row.generated, row.mean), kind="picture"),
        cell("", where, kind=f"where {'in' if where == 'inside' else 'out'}"),
        cell("inside", percent(row.inside), kind="number"),
        cell(
            "overlap",
            NONE if area is None else number(area),
            _why(row.overlap.reason),
            kind="number",
        ),
    )


def figures_table(figures: Sequence[Figure]) -> Markup:
    """Builds the table of figures of the whole set and of held-out real music."""
    heads = ("", "generated", "held-out real", "", "")
    names = {
        "distances": "Distances between the sets",
        "all statistics": "The same, with the statistics that were added since",
        "bleu": "BLEU",
        "likeness": "Similarity of the pieces",
    }
    groups = [
        (names.get(name, name), [_figure(figure) for figure in members])
        for name, members in groupby(figures, key=lambda figure: figure.group)
    ]
    return table(heads, groups, "figures")


def _figure(figure: Figure) -> Markup:
    name, conventions = name_and_conventions(figure)
    return _row_of_figure(figure, name, f"{figure.description}{conventions}")


def _row_of_figure(figure: Figure, name: str, about: str) -> Markup:
    value, real = figure.value, figure.real
    picture = _why(figure.reason) if value is None or real is None else pair_plot(value, real)
    return element(
        "tr",
        element(
            "th",
            name,
            element("span", about, class_="about"),
            scope="row",
        ),
        cell("generated", _or_none(value), kind="number made"),
        cell("held-out real", _or_none(real), kind="number"),
        cell("", picture, kind="picture"),
        cell("", WANTED[figure.wanted], kind="where"),
    )


def leading_table(evaluation: Evaluation) -> Markup | None:
    """Builds the table of the figures that lead, with what each says; None without any."""
    rows = [
        _row_of_figure(figure, name_and_conventions(figure)[0], LEADING[name])
        for figure in leading_figures(evaluation)
        for name in [figure.name.partition(" (")[0]]
    ]
    nats = held_out_nats(evaluation)
    if nats is not None:
        about = element("span", LIKELIHOOD_SAYS, class_="about")
        head = element("th", LIKELIHOOD, about, scope="row")
        cells = [
            cell("generated", number(nats), kind="number made"),
            cell("held-out real", NONE, kind="number"),
            cell("", "", kind="picture"),
            cell("", WANTED["low"], kind="where"),
        ]
        rows.append(element("tr", head, cells))
    return (
        table(("", "generated", "held-out real", "", ""), [("", rows)], "figures") if rows else None
    )


def name_and_conventions(figure: Figure) -> tuple[str, str]:
    """Splits "recall (k = 5)" into "recall" and " (k = 5)", the latter possibly ""."""
    name, parenthesis, conventions = figure.name.partition(" (")
    return in_words(name), parenthesis + conventions


def originality_table(originality: SetOriginality) -> Markup:
    """Builds the table of figures of originality: generated pieces, real music, limits."""
    heads = ("", "generated median", "95 %", "most", "real median", "limit", "above the limit")
    rows = [_originality(name, originality) for name in FIGURES]
    return table(heads, [("", rows)], "originality")


def _originality(name: str, originality: SetOriginality) -> Markup:
    values = [piece.figures[name] for piece in originality.pieces]
    real = [piece.figures[name] for piece in originality.real]
    limit = originality.limits.get(name)
    write = number if name == "longest_row" else percent
    middle, high, most = np.percentile(values, [50, 95, 100]).tolist() if values else (0, 0, 0)
    compared = [piece for piece in originality.pieces if name in piece.limits]
    above = sum(piece.figures[name] > piece.limits[name] for piece in compared)
    return element(
        "tr",
        element("th", figure_name(name), scope="row"),
        cell("median", write(middle), kind="number made"),
        cell("95 %", write(high), kind="number made"),
        cell("most", write(most), kind="number made"),
        cell("real median", write(float(np.median(real))) if real else NONE, kind="number"),
        cell("limit", NONE if limit is None else write(limit), kind="number"),
        cell("above", f"{above} of {len(compared)}" if compared else NONE, kind="number"),
    )


def figure_name(name: str) -> str:
    """Gives the name of a figure of originality in words."""
    if name == "common_subsequence":
        return "in the nearest piece in the same order"
    if name == "longest_row":
        return "longest shared passage, notes"
    return f"in shared passages of {name.removeprefix('copied_')} notes or more"


def not_original_table(evaluation: Evaluation, shown: int) -> Markup | None:
    """Builds the table of pieces that are not original, including those without a card."""
    if evaluation.originality is None:
        return None
    found = [
        (index, piece, row)
        for index, (piece, row) in enumerate(
            zip(evaluation.originality.pieces, evaluation.pieces, strict=True)
        )
        if piece.verdict in ("copied", "borrows")
    ]
    found.sort(key=lambda item: (item[1].verdict != "copied", -item[1].longest_row))
    rows = [
        element(
            "tr",
            element(
                "th",
                element("a", row.name, href=f"#piece-{index + 1}") if index < shown else row.name,
                scope="row",
            ),
            cell("", piece.verdict, kind=f"where {piece.verdict}"),
            cell("nearest", piece.nearest or NONE),
            cell("why", piece.reason),
        )
        for index, piece, row in found[:MOST_LISTED]
    ]
    return table(("piece", "", "nearest", "why"), [("", rows)], "known") if rows else None


def _why(reason: str) -> Markup | None:
    return element("span", reason, class_="about") if reason else None


def _or_none(value: float | None) -> str:
    return NONE if value is None else number(value)
