"""The sections of the page, in order."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from crnn_gan.evaluation.evaluation import Evaluation, Training
from crnn_gan.metrics.bands import in_words
from crnn_gan.report import html_tables, leading, piece_cards, plots, words
from crnn_gan.report.elements import Child, Markup, element, markup
from crnn_gan.report.markdown import to_html
from crnn_gan.report.numbers import count, duration, number, percent

OVERLAP = (
    "The overlap area is the agreement of the distances between generated and real pieces with "
    "those among generated pieces (Yang and Lerch 2018), 0 to 1."
)
CARDS = {"model": "The model", "data": "The data"}
MOST_SKIPPED = 20  # Lines.


@dataclasses.dataclass(frozen=True)
class Section:
    """A part of the page.

    Attributes:
      key: its id.
      title: its heading.
      short: its result in a few words, for the table of contents.
      aside: how to read it, in a sentence or two.
      body: its content.
    """

    key: str
    title: str
    short: str
    aside: str
    body: Child


def sections(evaluation: Evaluation, cards: Sequence[Markup], are_long: bool) -> list[Section]:
    """Builds the sections that have content.

    Args:
      evaluation: the results.
      cards: cards of the pieces shown, the first ones.
      are_long: whether any piece takes more than one row.
    """
    found = [_summary(evaluation), _pieces(evaluation, cards, are_long)]
    if evaluation.statistics:
        found += [_statistics(evaluation), _distributions(evaluation)]
    if evaluation.figures:
        found.append(_figures(evaluation))
    found.append(_originality(evaluation, len(cards)))
    if evaluation.training:
        found.append(_training(evaluation, evaluation.training))
    if evaluation.cards:
        found.append(_cards(evaluation))
    return [*found, _method(evaluation)]


def _summary(evaluation: Evaluation) -> Section:
    found = [
        element("div", element("dt", finding.topic), element("dd", finding.text))
        for finding in words.findings(evaluation)
    ]
    notes = [element("li", note) for note in evaluation.notes]
    left_out = [*evaluation.generated.left_out, *evaluation.reference.left_out]
    body = [
        element("p", words.beginning(evaluation), class_="lead"),
        html_tables.leading_table(evaluation),
        _how_near(evaluation),
        element("dl", found, class_="findings"),
        element("p", words.NOT_SAID, class_="caveat"),
        element("ul", notes, class_="notes") if notes else None,
        _left_out(left_out) if left_out else None,
    ]
    return Section("summary", "Summary", leading.in_short(evaluation) or "in words", "", body)


def _how_near(evaluation: Evaluation) -> Markup | None:
    """What the leading figures depend on; None without any."""
    if not leading.leading_figures(evaluation):
        return None
    sizes = leading.sizes_and_conventions(evaluation)
    return element("p", f"{sizes}. {leading.NEAR}", class_="about")


def _left_out(lines: Sequence[str]) -> Markup:
    shown = [element("li", line) for line in lines[:MOST_SKIPPED]]
    more = len(lines) - MOST_SKIPPED
    return element(
        "div",
        element("h3", f"Skipped: {count(len(lines), 'piece')}"),
        element("ul", shown, element("li", f"and {more:,} more") if more > 0 else None),
        class_="left-out",
    )


def _pieces(evaluation: Evaluation, cards: Sequence[Markup], are_long: bool) -> Section:
    made = evaluation.generated
    total = len(evaluation.pieces)
    aside = "Time to the right in seconds, bars numbered above, pitch upwards."
    if len(cards) < total:
        aside += f" The first {len(cards)} of {total:,} pieces are shown."
    body: list[Child] = [piece_cards.legend(evaluation)] if cards else []
    if not total:
        body.append(element("p", "There is no piece.", class_="none"))
    body.append(element("div", cards, class_=f"pieces{' long' if are_long else ''}"))
    short = f"{total:,}, {duration(made.seconds)}" if total else "none"
    return Section("pieces", "The pieces", short, aside, body)


def _statistics(evaluation: Evaluation) -> Section:
    rows = evaluation.statistics
    share = sum(row.inside for row in rows) / len(rows)
    key = (
        "The grey field is the band in which the middle 90 % of real windows lie, the same width "
        "in every row, and its line their median. The dot is the generated mean, its bar the "
        "middle 90 % of the pieces; an arrow points to a mean far outside."
    )
    return Section(
        "statistics",
        "Statistics",
        f"{percent(share)} of single values inside",
        key,
        [html_tables.statistics_table(rows), element("p", OVERLAP, class_="about")],
    )


def _distributions(evaluation: Evaluation) -> Section:
    small = [plots.distribution(row, markup(in_words(row.name))) for row in evaluation.statistics]
    bars, maps = [], []
    for row in evaluation.histograms:
        title = markup(in_words(row.name), _area(row.overlap.area))
        if len(row.shape) == 2:
            maps.append(plots.heat_maps(row, title))
        else:
            bars.append(plots.paired_bars(row, title))
    body = [
        piece_cards.key_of_sets(),
        element("div", small, class_="multiples"),
        element("div", bars, class_="multiples broad") if bars else None,
        element("div", maps, class_="multiples broad") if maps else None,
    ]
    aside = "Shares of the generated pieces and of the real windows, on the same bins."
    short = f"{len(small) + len(bars) + len(maps)} plots"
    return Section("distributions", "Distributions", short, aside, body)


def _area(area: float | None) -> Markup | None:
    if area is None:
        return None
    return element("span", f"overlap {number(area)}", class_="unit")


def _figures(evaluation: Evaluation) -> Section:
    aside = (
        "Each figure describes the set as a whole. The dot is the generated set, the line held-out "
        "real music. Figures better than that may be due to copying."
    )
    body = html_tables.figures_table(evaluation.figures)
    return Section(
        "figures", "The set as a whole", f"{len(evaluation.figures)} figures", aside, body
    )


def _originality(evaluation: Evaluation, shown: int) -> Section:
    found = evaluation.originality
    title = "Originality"
    if found is None:
        text = "Originality was not measured."
        return Section("originality", title, "not measured", "", element("p", text))
    labels = [f"{number} {name}" for name, number in found.label_counts.items() if number]
    made = [f"Reference: {count(found.known, 'piece')} with {count(found.known_notes, 'note')}."]
    if found.real:
        counts = [
            f"{number:,} {name}" for name, number in found.real_label_counts.items() if number
        ]
        labelled = f", by the same limits {', '.join(counts)}" if counts else ""
        made.append(f"Held-out real music: {found.real_made}{labelled}.")
    if found.limits_made:
        made.append(f"Limits: {found.limits_made}.")
    aside = (
        "How much of each piece occurs in the reference pieces, in any key. 99 of 100 windows of "
        "held-out real music are within the limits, those that are copies themselves excluded."
    )
    body = [
        html_tables.originality_table(found),
        element("p", " ".join(made), class_="about"),
        html_tables.not_original_table(evaluation, shown),
    ]
    return Section("originality", title, ", ".join(labels) or "no piece", aside, body)


def _training(evaluation: Evaluation, training: Training) -> Section:
    bands = {row.name: row.band for row in evaluation.statistics}
    curves = [
        plots.curve(markup(in_words(name)), training.epochs, values, bands.get(name))
        for name, values in training.curves.items()
    ]
    settings = [
        element("div", element("dt", in_words(name)), element("dd", value))
        for name, value in training.settings.items()
    ]
    alarms = [element("li", line) for line in training.alarms]
    body = [
        element("div", curves, class_="multiples"),
        element("h3", "Alarms") if alarms else None,
        element("ul", alarms, class_="alarms") if alarms else element("p", "No alarm was raised."),
        element("h3", "Settings") if settings else None,
        element("dl", settings, class_="settings") if settings else None,
    ]
    lines = f", {count(len(alarms), 'alarm')}" if alarms else ", no alarm"
    short = f"{count(len(training.epochs), 'epoch')}{lines}"
    aside = (
        "Means over the samples of each epoch. Grey is the band of the real windows of this "
        "evaluation; it differs for samples of another length."
    )
    return Section("training", "Training", short, aside, body)


def _cards(evaluation: Evaluation) -> Section:
    parts = [
        element("article", element("h3", CARDS.get(name, name)), to_html(text), class_="card")
        for name, text in evaluation.cards.items()
    ]
    short = " and ".join(evaluation.cards)
    aside = "As written when the model was exported and the data prepared."
    return Section("cards", "Cards", short, aside, element("div", parts, class_="cards"))


def _method(evaluation: Evaluation) -> Section:
    groups = [
        ("Statistics of a piece", [(r.name, r.description) for r in evaluation.statistics]),
        ("Histograms", [(r.name, r.description) for r in evaluation.histograms]),
    ]
    body: list[Child] = [
        (
            element("h3", title),
            element(
                "dl",
                [
                    element("div", element("dt", in_words(name)), element("dd", text))
                    for name, text in rows
                ],
                class_="definitions",
            ),
        )
        for title, rows in groups
        if rows
    ]
    real = evaluation.reference
    conventions = (
        f"Real music: {real.made}. {OVERLAP} A band goes from the 5th to the 95th percentile of "
        "the real windows. Bars follow a piece's meters, 4/4 where it has none."
    )
    body.append([element("h3", "Conventions"), element("p", conventions)])
    return Section("method", "How it was measured", "definitions", "", body)
