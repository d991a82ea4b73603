"""The findings as sentences, made of the figures and nothing else."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator

from crnn_gan.evaluation.evaluation import Evaluation, Figure, PieceRow, StatisticRow
from crnn_gan.metrics.bands import in_words, side
from crnn_gan.originality.originality import PieceOriginality, SetOriginality
from crnn_gan.originality.rows import SHORTEST
from crnn_gan.report.numbers import count, duration, number, percent

NOT_SAID = (
    "Nothing here says that it is good music: these are counts and distances, and listening "
    "comes first."
)
MOST_NAMED = 3
NEARLY = 0.1  # Figures that differ by less are called as good.


@dataclasses.dataclass(frozen=True)
class Finding:
    """A part of the summary: what it is about, in a word or two, and its sentences."""

    topic: str
    text: str


def sentences(evaluation: Evaluation) -> list[str]:
    """Gives the summary: how much, how close, how varied, how original, what stands out."""
    found = [finding.text for finding in findings(evaluation)]
    return [beginning(evaluation), *found, NOT_SAID]


def beginning(evaluation: Evaluation) -> str:
    """Says what was laid beside what."""
    made, real = evaluation.generated, evaluation.reference
    return (
        f"{count(made.pieces, 'piece')} of {made.name} ({count(made.notes, 'note')}, "
        f"{duration(made.seconds)}) {'was' if made.pieces == 1 else 'were'} laid beside "
        f"{count(real.pieces, 'window')} of real music from {real.name}."
    )


def left_out(evaluation: Evaluation) -> list[str]:
    """Says in a sentence for each set how many pieces were left out, and why the first was."""
    return [
        f"{count(len(lines), 'piece')} of {facts.name} "
        f"{'was left out:' if len(lines) == 1 else 'were left out, the first is'} {lines[0]}."
        for facts in (evaluation.generated, evaluation.reference)
        if (lines := facts.left_out)
    ]


def findings(evaluation: Evaluation) -> Iterator[Finding]:
    """Gives what was found, a topic each."""
    if evaluation.statistics and evaluation.generated.pieces:
        yield Finding("Close", _close(evaluation.statistics))
        yield Finding("Stands out", _outstanding(evaluation.statistics))
    if evaluation.generated.pieces > 1:
        yield Finding("Varied", _varied(evaluation))
    if text := _figures(evaluation.figures):
        yield Finding("As a set", text)
    if evaluation.originality is None:
        yield Finding("Original", "Nobody looked whether the pieces are copies of known music.")
    elif evaluation.originality.pieces:
        yield Finding("Original", _original(evaluation, evaluation.originality))
    if evaluation.training is not None and evaluation.training.alarms:
        lines = count(len(evaluation.training.alarms), "line")
        yield Finding("Trained", f"Training raised alarms ({lines}, below).")


def _close(rows: tuple[StatisticRow, ...]) -> str:
    inside = sum(not side(row.mean, row.band) for row in rows)
    share = sum(row.inside for row in rows) / len(rows)
    # More than 90 %: many windows lie on the very edge of a band, such as that of a count.
    real = sum(_share_inside(row) for row in rows) / len(rows)
    in_statistics = f"In {inside} of {count(len(rows), 'statistic')}"
    where = f"where the middle {percent(0.9)} of the real windows lie"
    if len(rows[0].generated) == 1:
        return (
            f"{in_statistics} the piece lies {where}, a real window in {percent(real)} of them on "
            "average."
        )
    return (
        f"{in_statistics} the mean of the pieces lies {where}. A single piece does so in "
        f"{percent(share)} of them on average, a real window in {percent(real)}."
    )


def _share_inside(row: StatisticRow) -> float:
    """The share of the real windows that lie in the band made of them."""
    return sum(not side(value, row.band) for value in row.real) / len(row.real)


def _outstanding(rows: tuple[StatisticRow, ...]) -> str:
    outside = sorted((row for row in rows if side(row.mean, row.band)), key=_distance)[::-1]
    if not outside:
        least = min(rows, key=lambda row: row.inside)
        if least.inside == 1:
            return "No piece lies outside in any statistic."
        return (
            f"No mean lies outside; {in_words(least.name)} has the fewest pieces inside "
            f"({percent(least.inside)})."
        )
    named = [f"{in_words(row.name)} ({_beside_band(row)})" for row in outside[:MOST_NAMED]]
    return f"Furthest from real music: {_listed(named)}."


def _beside_band(row: StatisticRow) -> str:
    """Says on which side of the band the mean lies: "60, above 12 to 36"."""
    mean, low, high = map(number, (row.mean, row.band.low, row.band.high))
    where = side(row.mean, row.band)
    just = "just " if mean == (low if where == "below" else high) else ""
    return f"{mean}, {just}{where} {low if low == high else f'{low} to {high}'}"


def _distance(row: StatisticRow) -> float:
    """How many widths of the band the mean lies outside of it."""
    out = max(row.band.low - row.mean, row.mean - row.band.high)
    width = row.band.high - row.band.low
    return out / width if width else math.inf


def _varied(evaluation: Evaluation) -> str:
    repeated = evaluation.repeated
    equal = (
        f"{count(repeated, 'piece')} {'repeats' if repeated == 1 else 'repeat'} an earlier one "
        "note for note"
        if repeated
        else "no two pieces are equal note for note"
    )
    areas = [
        (row.overlap.area, row) for row in evaluation.statistics if row.overlap.area is not None
    ]
    if not areas:
        return f"{equal[0].upper()}{equal[1:]}."
    mean = sum(area for area, _ in areas) / len(areas)
    area, least = min(areas, key=lambda pair: pair[0])
    return (
        f"{equal[0].upper()}{equal[1:]}. The distances between pieces overlap with those to real "
        f"music by {number(mean)} on average (1 is equal), least in "
        f"{in_words(least.name)} ({number(area)})."
    )


def _figures(figures: tuple[Figure, ...]) -> str:
    known = [figure for figure in figures if None not in (figure.value, figure.real)]
    if not known:
        return ""
    worst = max(known, key=_shortfall)
    good = sum(_shortfall(figure) <= NEARLY for figure in known)
    text = (
        f"{good} of {count(len(known), 'figure')} of the whole set "
        f"{'is' if good == 1 else 'are'} within {percent(NEARLY)} of those of held-out real music "
        "or better"
    )
    if good == len(known):
        return f"{text}."
    return (
        f"{text}; furthest from it is {in_words(worst.name.split(' (')[0])}, "
        f"{number(worst.value or 0)} "
        f"against {number(worst.real or 0)}."
    )


def _shortfall(figure: Figure) -> float:
    """By what share a figure is worse than that of real music; 0 where it is as good."""
    value, real = figure.value or 0.0, figure.real or 0.0
    scale = max(abs(value), abs(real)) or 1.0
    worse = {"low": value - real, "high": real - value, "as real": abs(value - real)}
    return max(0.0, worse[figure.wanted] / scale)


def _original(evaluation: Evaluation, originality: SetOriginality) -> str:
    known = f"{count(originality.known, 'known piece')}"
    # Drums are not compared, nor are fewer notes than this, though the verdict is "original".
    short = sum(piece.notes < SHORTEST for piece in originality.pieces)
    total = len(originality.pieces) - short
    if not total:
        return (
            f"No piece was held against known music: none has {SHORTEST} notes or more, drums "
            "left out."
        )
    if not originality.limits:
        return f"Held against {known}, {_without_limits(originality)}."
    verdicts = originality.verdicts
    original = verdicts["original"] - short
    within = "all" if original == total else f"{original} of {total}"
    stay = "the piece stays" if original == total == 1 else f"{within} pieces stay"
    text = f"Held against {known}, {stay} within the limits of held-out real music"
    if short:
        text += f" ({short} more {'has' if short == 1 else 'have'} under {SHORTEST} notes and "
        text += f"{'was' if short == 1 else 'were'} not compared)"
    if verdicts["borrows"]:
        text += f", {verdicts['borrows']} {'borrows' if verdicts['borrows'] == 1 else 'borrow'}"
    if verdicts["copied"]:
        text += f", {verdicts['copied']} {'is' if verdicts['copied'] == 1 else 'are'} copied"
    copied = [
        piece.name
        for piece, found in zip(evaluation.pieces, originality.pieces, strict=True)
        if found.verdict == "copied"
    ]
    more = f" and {len(copied) - MOST_NAMED} more" if len(copied) > MOST_NAMED else ""
    return f"{text} (copied: {', '.join(copied[:MOST_NAMED])}{more})." if copied else f"{text}."


def _without_limits(originality: SetOriginality) -> str:
    longest = max(piece.longest_row for piece in originality.pieces)
    row = (
        f"the longest row of notes that is known has {count(longest, 'note')}"
        if longest
        else f"no row of {SHORTEST} notes or more is known"
    )
    if originality.real:
        return f"{row}; held-out real music is itself known, so it cannot say how much that is"
    return f"{row}; there is no held-out music to say how much that is"


def verdict_word(piece: PieceOriginality) -> str:
    """Gives the verdict as a word for a label."""
    return piece.verdict or "not compared"


def piece_outside(piece: PieceRow, rows: tuple[StatisticRow, ...]) -> str:
    """Says which statistics of a piece lie outside the band of real music."""
    outside = [
        f"{in_words(row.name)} {where} ({number(piece.statistics[row.name])})"
        for row in rows
        if row.name in piece.statistics and (where := side(piece.statistics[row.name], row.band))
    ]
    if not outside:
        return "All statistics lie in real music's band." if rows and piece.statistics else ""
    more = len(outside) - MOST_NAMED
    named = ", ".join(outside[:MOST_NAMED])
    return f"Outside real music's band: {named}{f' and {more} more' if more > 0 else ''}."


def _listed(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
