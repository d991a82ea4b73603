"""Generated pieces as cards: name, play button, piano roll, originality and statistics."""

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

SHOWN = 50  # Pieces, by default.
NOTES_PLOTTED, NOTES_PLAYED = 60_000, 100_000  # Most of all shown pieces together: 1 MB and 2 MB.
FEWEST_NOTES = 400  # Per piece, however many are shown.
MOST_MATCHES = 3  # Described in words; all are marked in the piano roll.


def cards(
    evaluation: Evaluation, scores: Sequence[Score]
) -> tuple[list[Markup], list[dict[str, Any]]]:
    """Builds a card for each score, and the data for the player."""
    shown = max(1, len(scores))
    most_plotted = max(FEWEST_NOTES, NOTES_PLOTTED // shown)
    most_played = max(FEWEST_NOTES, NOTES_PLAYED // shown)
    row_seconds = svg_piano_rolls.seconds_per_row(scores)
    originality = evaluation.originality
    found: Sequence[PieceOriginality | None] = (
        originality.pieces if originality else [None] * len(evaluation.pieces)
    )
    made, music = [], []
    for index, score in enumerate(scores):
        piece, known = evaluation.pieces[index], found[index]
        matches = known.matches if known else ()
        roll = svg_piano_rolls.plot(score, piece.name, row_seconds, most_plotted, matches)
        playable = piece_music(piece.name, score, most_notes=most_played)
        music.append(playable)
        made.append(_card(index, piece, roll, playable["seconds"], known, evaluation))
    return made, music


def _card(
    index: int,
    piece: PieceRow,
    roll: svg_piano_rolls.SvgPianoRoll,
    playable_seconds: float,
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
        roll.svg,
        _cut(roll, playable_seconds, piece),
        _label(known) if known else None,
        element("p", outside, class_="about") if outside else None,
        class_="piece",
        id=f"piece-{index + 1}",
        data_piece=index,
    )


def _cut(
    roll: svg_piano_rolls.SvgPianoRoll, playable_seconds: float, piece: PieceRow
) -> Markup | None:
    """States which part of a long piece is shown."""
    if not piece.notes:
        return element("p", "It has no notes.", class_="cut")
    parts = []
    if not roll.is_whole:
        parts.append(f"The first {svg_piano_rolls.clock(roll.seconds)} are shown")
    if playable_seconds < piece.seconds - 1:
        parts.append(f"the first {svg_piano_rolls.clock(playable_seconds)} can be played")
    if not parts:
        return None
    text = " and ".join(parts)
    return element(
        "p",
        f"{text[0].upper()}{text[1:]}, of {svg_piano_rolls.clock(piece.seconds)}.",
        class_="cut",
    )


def _label(known: PieceOriginality) -> Markup:
    """The label, its reason, and the places of the shared passages."""
    shown = known.matches[:MOST_MATCHES]
    more = len(known.matches) - len(shown)
    lines = [element("li", place_in_words(match)) for match in shown]
    if more > 0:
        lines.append(element("li", f"and {more} more that are marked"))
    return element(
        "div",
        element(
            "p",
            element("strong", words.label(known)),
            f": {unbroken(known.reason)}." if known.reason else ".",
        ),
        element("ul", lines) if lines else None,
        class_=f"label {known.verdict}",
    )


def legend(evaluation: Evaluation) -> Markup:
    """Explains the colours of the piano rolls."""
    shades = [element("i", class_=f"shade {name}") for name, _, _ in svg_piano_rolls.shades()]
    originality = evaluation.originality
    marks = originality is not None and any(piece.matches for piece in originality.pieces)
    return element(
        "p",
        element("span", "soft ", element("span", shades, class_="ramp"), " loud"),
        element("span", element("i", class_="swatch match"), " shared passage") if marks else None,
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
