"""page: an Evaluation as one HTML file that needs no network, and a script only for sound."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import resources
from pathlib import Path

from crnn_gan.evaluation.evaluation import Evaluation
from crnn_gan.report import piece_cards, svg_piano_rolls
from crnn_gan.report.elements import Markup, element, markup
from crnn_gan.report.music import music_json
from crnn_gan.report.numbers import count
from crnn_gan.report.player import player_html
from crnn_gan.report.sections import Section, sections
from pipelines.atomic_file import write_atomically
from pipelines.score import Score

# In cascade order: screens.css overrides the others on small screens and on paper.
STYLES = ("style.css", "piece_cards.css", "tables.css", "plots.css", "lists.css", "screens.css")
# Content security policy: a browser refuses to fetch anything.
POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "
    "img-src data:; base-uri 'none'; form-action 'none'"
)


def write(
    evaluation: Evaluation, scores: Sequence[Score], path: Path, shown: int = piece_cards.SHOWN
) -> None:
    """Writes the page atomically.

    Raises:
      ValueError: as `page`.
      OSError: it cannot be written.
    """
    write_atomically(path, page(evaluation, scores, shown).encode())


def page(evaluation: Evaluation, scores: Sequence[Score], shown: int = piece_cards.SHOWN) -> str:
    """Builds the page.

    Args:
      evaluation: the results.
      scores: the generated pieces, in the order of `evaluation.pieces`.
      shown: number of pieces, the first ones, with a piano roll and a player.

    Raises:
      ValueError: scores and pieces differ in number, or `shown` is below 0.
    """
    if len(scores) != len(evaluation.pieces):
        raise ValueError(
            f"{len(scores)} scores for {len(evaluation.pieces)} pieces; give the score of each, in "
            "their order"
        )
    if shown < 0:
        raise ValueError(f"shown is {shown}; give 0 or more")
    cards, music = piece_cards.cards(evaluation, scores[:shown])
    parts = sections(evaluation, cards, svg_piano_rolls.are_long(scores[:shown]))
    body = markup(
        _head(evaluation, parts),
        element("main", [_section(part) for part in parts]),
        element("script", Markup(music_json(music)), type="application/json", id="music"),
        Markup(player_html()),
    )
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=POLICY),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("title", f"{evaluation.title}, evaluated"),
        element("link", rel="icon", href="data:,"),
        element("style", Markup(_style())),
    )
    return f"<!doctype html>\n{element('html', head, element('body', body), lang='en')}\n"


def _style() -> str:
    """The style sheet, with the shades of velocity on paper and on a dark screen."""
    folder = resources.files("crnn_gan.report")
    style = "\n".join(folder.joinpath(name).read_text(encoding="utf-8") for name in STYLES)
    light = "".join(f".{name}{{--shade:{colour}}}" for name, colour, _ in svg_piano_rolls.shades())
    dark = "".join(f".{name}{{--shade:{colour}}}" for name, _, colour in svg_piano_rolls.shades())
    return f"{light}\n@media screen and (prefers-color-scheme:dark){{{dark}}}\n{style}"


def _head(evaluation: Evaluation, parts: Sequence[Section]) -> Markup:
    """The title and the table of contents, with a short result of each section."""
    made, real = evaluation.generated, evaluation.reference
    contents = [
        element(
            "li",
            element("a", section.title, href=f"#{section.key}"),
            element("span", class_="leader", aria_hidden="true"),
            element("span", section.short, class_="short"),
        )
        for section in parts
    ]
    return element(
        "header",
        element("p", "An evaluation", class_="kicker"),
        element("h1", evaluation.title),
        element(
            "p",
            f"{count(made.pieces, 'piece')}, {made.made}, beside "
            f"{count(real.pieces, 'window')} of real music: {real.made}.",
            class_="byline",
        ),
        element("nav", element("ol", contents), aria_label="Contents"),
        class_="top",
    )


def _section(section: Section) -> Markup:
    head = element(
        "div",
        element("h2", section.title),
        element("p", section.aside) if section.aside else None,
        class_="side",
    )
    return element("section", head, element("div", section.body, class_="body"), id=section.key)
