"""The generated pieces as cards: a name, a button for the player, a piano roll, what is known."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from crnn_gan.evaluation.evaluation import Evaluation, PieceRow
from crnn_gan.originality.classification import place_in_words
from crnn_gan.originality.originality import PieceOriginality
from crnn_gan.report import svg_piano_rolls, words
from crnn_gan.report.elements import Markup, element
from crnn_gan.report.music import piece_music
from crnn_gan.report.numbers import count, duration, unbroken
from pipelines.score import Score

SHOWN = 50  # Pieces, unless more or fewer are asked for.
NOTES_DRAWN, NOTES_PLAYED = 60_000, 100_000  # Of all shown pieces: 1 MB and 2 MB.
FEWEST_NOTES = 400  # Of a piece, however many are shown.
MOST_MATCHES = 3  # That are said in words; all are marked.


def cards(
    evaluation: Evaluation, scores: Sequence[Score]
) -> tuple[list[Markup], list[dict[str, Any]]]:
    """Gives a card for each score, and what the player needs of it."""
    shown = max(1, len(scores))
    most_drawn = max(FEWEST_NOTES, NOTES_DRAWN // shown)
    most_played = max(FEWEST_NOTES, NOTES_PLAYED // shown)
    row_seconds = svg_piano_rolls.seconds_a_row(scores)
    originality = evaluation.originality
    found: Sequence[PieceOriginality | None] = (
        originality.pieces if originality else [None] * len(evaluation.pieces)
    )
    made, music = [], []
    for index, score in enumerate(scores):
        piece, known = evaluation.pieces[index], found[index]
        matches = known.matches if known else ()
        drawing = svg_piano_rolls.draw(score, piece.name, row_seconds, most_drawn, matches)
        heard = piece_music(piece.name, score, most_notes=most_played)
        music.append(heard)
        made.append(_card(index, piece, drawing, heard["seconds"], known, evaluation))
    return made, music


def _card(
    index: int,
    piece: PieceRow,
    drawing: svg_piano_rolls.Drawing,
    heard_seconds: float,
    known: PieceOriginality | None,
    evaluation: Evaluation,
) -> Markup:
    outside = words.piece_outside(piece, evaluation.statistics)
    facts = f"{count(piece.notes, 'note')}, {duration(piece.seconds)}"
    head = element(
        "header",
        element("span", str(index + 1), class_="ordinal"),
        element("h3", piece.name),
        element("p", facts, class_="facts"),
        element("button", "Play", class_="play", type="button", hidden=True),
    )
    return element(
        "article",
        head,
        drawing.svg,
        _cut(drawing, heard_seconds, piece),
        _verdict(known) if known else None,
        element("p", outside, class_="about") if outside else None,
        class_="piece",
        id=f"piece-{index + 1}",
        data_piece=index,
    )


def _cut(drawing: svg_piano_rolls.Drawing, heard_seconds: float, piece: PieceRow) -> Markup | None:
    """Says which part of a long piece is there."""
    if not piece.notes:
        return element("p", "It has no note.", class_="cut")
    parts = []
    if not drawing.is_whole:
        parts.append(f"The first {svg_piano_rolls.clock(drawing.seconds)} are drawn")
    if heard_seconds < piece.seconds - 1:
        parts.append(f"the first {svg_piano_rolls.clock(heard_seconds)} can be played")
    if not parts:
        return None
    text = " and ".join(parts)
    return element(
        "p",
        f"{text[0].upper()}{text[1:]}, of {svg_piano_rolls.clock(piece.seconds)}.",
        class_="cut",
    )


def _verdict(known: PieceOriginality) -> Markup:
    """The verdict, its reason, and where the known rows are."""
    shown = known.matches[:MOST_MATCHES]
    more = len(known.matches) - len(shown)
    lines = [element("li", place_in_words(match)) for match in shown]
    if more > 0:
        lines.append(element("li", f"and {more} more that are marked"))
    return element(
        "div",
        element(
            "p",
            element("strong", words.verdict_word(known)),
            f": {unbroken(known.reason)}." if known.reason else ".",
        ),
        element("ul", lines) if lines else None,
        class_=f"verdict {known.verdict}",
    )


def legend(evaluation: Evaluation) -> Markup:
    """Explains the colours of the piano rolls."""
    shades = [element("i", class_=f"shade {name}") for name, _, _ in svg_piano_rolls.shades()]
    originality = evaluation.originality
    marks = originality is not None and any(piece.matches for piece in originality.pieces)
    return element(
        "p",
        element("span", "soft ", element("span", shades, class_="ramp"), " loud"),
        element("span", element("i", class_="swatch match"), " known music") if marks else None,
        class_="legend",
    )


def key_of_sets() -> Markup:
    """Explains the colours of the plots."""
    return element(
        "p",
        element("span", element("i", class_="swatch generated"), " generated"),
        element("span", element("i", class_="swatch real"), " real"),
        class_="legend",
    )
