"""The results as sentences, from the figures alone."""

from __future__ import annotations

import dataclasses
import math
import statistics
from collections.abc import Iterator, Sequence

from crnn_gan.evaluation.evaluation import Evaluation, Figure, PieceRow, StatisticRow
from crnn_gan.metrics.bands import in_words, side
from crnn_gan.originality.interval_sequences import SHORTEST
from crnn_gan.originality.originality import PieceOriginality, SetOriginality
from crnn_gan.report.leading import leading_sentences
from crnn_gan.report.numbers import count, duration, number, percent

NOT_SAID = (
    "This does not show that the music is good: these are counts and distances; listen first."
)
MOST_NAMED = 3
NEAR = 0.5  # Standard deviations: within this distance a mean counts as near that of real music.
EQUAL_SHARE = 0.1  # Figures that differ by a smaller share count as equal.


@dataclasses.dataclass(frozen=True)
class Finding:
    """A part of the summary: its topic in a word or two, and its sentences."""

    topic: str
    text: str


def sentences(evaluation: Evaluation) -> list[str]:
    """Gives the summary: amount, recall and precision, closeness, variety, originality."""
    found = [finding.text for finding in findings(evaluation)]
    return [beginning(evaluation), *leading_sentences(evaluation), *found, NOT_SAID]


def beginning(evaluation: Evaluation) -> str:
    """Names the two sets."""
    made, real = evaluation.generated, evaluation.reference
    return (
        f"{count(made.pieces, 'piece')} of {made.name} ({count(made.notes, 'note')}, "
        f"{duration(made.seconds)}) {'was' if made.pieces == 1 else 'were'} compared with "
        f"{count(real.pieces, 'window')} of "
        f"{'held-out' if evaluation.against == 'held_out' else 'real'} music from {real.name}."
    )


def left_out(evaluation: Evaluation) -> list[str]:
    """Gives a sentence per set on the number of skipped pieces, with the first reason."""
    return [
        f"{count(len(lines), 'piece')} of {facts.name} "
        f"{'was skipped:' if len(lines) == 1 else 'were skipped, the first is'} {lines[0]}."
        for facts in (evaluation.generated, evaluation.reference)
        if (lines := facts.left_out)
    ]


def findings(evaluation: Evaluation) -> Iterator[Finding]:
    """Gives the findings, one per topic."""
    if evaluation.statistics and evaluation.generated.pieces:
        yield Finding("Close", _close(evaluation.statistics))
        yield Finding("Stands out", _outstanding(evaluation.statistics))
    if evaluation.generated.pieces > 1:
        yield Finding("Varied", _varied(evaluation))
    if text := _figures(evaluation.figures):
        yield Finding("As a set", text)
    if evaluation.originality is None:
        yield Finding("Original", "Originality was not measured.")
    elif evaluation.originality.pieces:
        yield Finding("Original", _original(evaluation, evaluation.originality))
    if evaluation.training is not None and evaluation.training.alarms:
        lines = count(len(evaluation.training.alarms), "line")
        yield Finding("Trained", f"Training raised alarms ({lines}, below).")


def near_real(rows: Sequence[StatisticRow]) -> tuple[int, int]:
    """Counts the statistics that vary in real music, and those of them with a mean near it.

    Near is within `NEAR` standard deviations of the real windows.

    Returns:
      (near, varying).
    """
    varying = [row for row in rows if row.band.low < row.band.high]
    return sum(abs(_apart(row)) <= NEAR for row in varying), len(varying)


def _apart(row: StatisticRow) -> float:
    """Standardised difference of the means, in standard deviations of the real windows."""
    difference = row.mean - row.band.mean
    spread = statistics.pstdev(row.real)
    if spread:
        return difference / spread
    return math.copysign(math.inf, difference) if difference else 0.0


def _close(rows: tuple[StatisticRow, ...]) -> str:
    near, varying = near_real(rows)
    inside = sum(not side(row.mean, row.band) for row in rows)
    alone = len(rows[0].generated) == 1
    # More than 90 %: many windows lie exactly on the edge of a band, as of counts.
    real = percent(sum(_share_inside(row) for row in rows) / len(rows))
    share = percent(sum(row.inside for row in rows) / len(rows))
    of_one = f"a real window does in {real}"
    if not alone:
        of_one = f"a single piece does in {share} of them on average, a real window in {real}"
    return (
        f"The {'piece' if alone else 'mean of the pieces'} lies within half a standard deviation "
        f"of real music's mean in {near} of the {varying} statistics that vary there. In {inside} "
        f"of all {len(rows)} it lies in the band of the middle {percent(0.9)} of the real windows, "
        f"which only rules out gross faults; {of_one}."
    )


def _share_inside(row: StatisticRow) -> float:
    """The share of the real windows that lie in the band made of them."""
    return sum(not side(value, row.band) for value in row.real) / len(row.real)


def _outstanding(rows: tuple[StatisticRow, ...]) -> str:
    furthest = sorted(rows, key=lambda row: abs(_apart(row)))[::-1][:MOST_NAMED]
    named = [
        f"{in_words(row.name)} ({_beside_mean(row)})" for row in furthest if abs(_apart(row)) > NEAR
    ]
    return f"Furthest from real music: {_listed(named)}." if named else "No mean stands out."


def _beside_mean(row: StatisticRow) -> str:
    """Describes a difference of means: "60 against 24, 3 standard deviations"."""
    apart = abs(_apart(row))
    how_far = f"{number(apart)} standard deviations" if math.isfinite(apart) else "constant there"
    return f"{number(row.mean)} against {number(row.band.mean)}, {how_far}"


def _varied(evaluation: Evaluation) -> str:
    repeated = evaluation.repeated
    equal = (
        f"{count(repeated, 'piece')} {'repeats' if repeated == 1 else 'repeat'} an earlier one "
        "note for note"
        if repeated
        else "no two pieces are equal note for note"
    )
    areas = [
        (row.overlap.area, row)
        for row in evaluation.statistics
        if row.overlap.area is not None and row.edition == 1  # As in the figures of sets.
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
    known = [
        figure
        for figure in figures
        if None not in (figure.value, figure.real) and figure.group != "all statistics"
    ]
    if not known:
        return ""
    near = sum(abs(_better(figure)) <= EQUAL_SHARE for figure in known)
    better = [figure for figure in known if _better(figure) > EQUAL_SHARE]
    worst = min(known, key=_better)
    text = (
        f"{near} of {count(len(known), 'figure')} of the whole set "
        f"{'is' if near == 1 else 'are'} within {percent(EQUAL_SHARE)} of those of held-out real "
        "music"
    )
    if better:
        text += f", {len(better)} {'is' if len(better) == 1 else 'are'} better, as copies would be"
    if _better(worst) < -EQUAL_SHARE:
        text += f"; the worst is {_beside_real(worst)}"
    return f"{text}."


def _beside_real(figure: Figure) -> str:
    name = in_words(figure.name.split(" (")[0])
    return f"{name}, {number(figure.value or 0)} against {number(figure.real or 0)}"


def _better(figure: Figure) -> float:
    """Relative improvement of a figure over that of real music; below 0 where it is worse.

    Where a figure should equal that of real music, every difference is negative.
    """
    value, real = figure.value or 0.0, figure.real or 0.0
    scale = max(abs(value), abs(real)) or 1.0
    better = {"low": real - value, "high": value - real, "as real": -abs(value - real)}
    return better[figure.wanted] / scale


def _original(evaluation: Evaluation, originality: SetOriginality) -> str:
    known = f"{count(originality.known, 'reference piece')}"
    # Drums and pieces of fewer notes than this are not compared, but labelled "original".
    short = sum(piece.notes < SHORTEST for piece in originality.pieces)
    total = len(originality.pieces) - short
    if not total:
        return (
            f"No piece was compared with reference pieces: none has {SHORTEST} notes or more, "
            "drums excluded."
        )
    if not originality.limits:
        return f"Compared with {known}, {_without_limits(originality)}."
    labels = originality.label_counts
    original = labels["original"] - short
    within = "all" if original == total else f"{original} of {total}"
    stay = "the piece stays" if original == total == 1 else f"{within} pieces stay"
    reached = percent(originality.limits["common_subsequence"])
    text = (
        f"Compared with {known}, {stay} within the limits of held-out real music, which has up to "
        f"{reached} of its notes in common with one of them"
    )
    if short:
        text += f" ({short} more {'has' if short == 1 else 'have'} under {SHORTEST} notes and "
        text += f"{'was' if short == 1 else 'were'} not compared)"
    if labels["borrows"]:
        text += f", {labels['borrows']} {'borrows' if labels['borrows'] == 1 else 'borrow'}"
    if labels["copied"]:
        text += f", {labels['copied']} {'is' if labels['copied'] == 1 else 'are'} copied"
    copied = [
        piece.name
        for piece, found in zip(evaluation.pieces, originality.pieces, strict=True)
        if found.verdict == "copied"
    ]
    more = f" and {len(copied) - MOST_NAMED} more" if len(copied) > MOST_NAMED else ""
    return f"{text} (copied: {', '.join(copied[:MOST_NAMED])}{more})." if copied else f"{text}."


def _without_limits(originality: SetOriginality) -> str:
    longest = max(piece.longest_row for piece in originality.pieces)
    passage = (
        f"the longest shared passage has {count(longest, 'note')}"
        if longest
        else f"no passage of {SHORTEST} notes or more is shared"
    )
    if originality.real:
        return f"{passage}; held-out real music is in the reference itself, so there are no limits"
    return f"{passage}; there is no held-out music for limits"


def label(piece: PieceOriginality) -> str:
    """Gives the label, "not compared" where there is none."""
    return piece.verdict or "not compared"


def piece_outside(piece: PieceRow, rows: tuple[StatisticRow, ...]) -> str:
    """Names the statistics of a piece that lie outside the band of real music."""
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
