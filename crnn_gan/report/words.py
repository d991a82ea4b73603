"""The findings as sentences, made of the figures and nothing else."""

from __future__ import annotations

import dataclasses
import math
import statistics
from collections.abc import Iterator, Sequence

from crnn_gan.evaluation.evaluation import Evaluation, Figure, PieceRow, StatisticRow
from crnn_gan.metrics.bands import in_words, side
from crnn_gan.originality.interval_sequences import SHORTEST
from crnn_gan.originality.originality import PieceOriginality, SetOriginality
from crnn_gan.report.numbers import count, duration, number, percent

NOT_SAID = (
    "Nothing here says that it is good music: these are counts and distances, and listening "
    "comes first."
)
MOST_NAMED = 3
NEAR = 0.5  # Standard deviations: a mean that is no further from real music's is called near it.
NEARLY = 0.1  # Figures that differ by a smaller share count as equal.


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


def near_real(rows: Sequence[StatisticRow]) -> tuple[int, int]:
    """Counts the statistics that vary in real music, and those of them whose mean is near it.

    Near is within `NEAR` standard deviations of the real windows.

    Returns:
      (near, varying).
    """
    varying = [row for row in rows if row.band.low < row.band.high]
    return sum(abs(_apart(row)) <= NEAR for row in varying), len(varying)


def _apart(row: StatisticRow) -> float:
    """How many standard deviations of real windows the mean lies above that of real music."""
    difference = row.mean - row.band.mean
    spread = statistics.pstdev(row.real)
    if spread:
        return difference / spread
    return math.copysign(math.inf, difference) if difference else 0.0


def _close(rows: tuple[StatisticRow, ...]) -> str:
    near, varying = near_real(rows)
    inside = sum(not side(row.mean, row.band) for row in rows)
    alone = len(rows[0].generated) == 1
    # More than 90 %: many windows lie on the very edge of a band, such as that of a count.
    real = percent(sum(_share_inside(row) for row in rows) / len(rows))
    share = percent(sum(row.inside for row in rows) / len(rows))
    of_one = f"a real window does in {real}"
    if not alone:
        of_one = f"a single piece does in {share} of them on average, a real window in {real}"
    return (
        f"The {'piece' if alone else 'mean of the pieces'} lies within half a standard deviation "
        f"of real music's mean in {near} of the {varying} statistics that vary there. In {inside} "
        f"of all {len(rows)} it lies where the middle {percent(0.9)} of the real windows do, which "
        f"says no more than that nothing is grossly wrong; {of_one}."
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
    """Says how far a mean lies from the real one: "60 against 24, 3 standard deviations"."""
    apart = abs(_apart(row))
    how_far = f"{number(apart)} standard deviations" if math.isfinite(apart) else "always so there"
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
    near = sum(abs(_better(figure)) <= NEARLY for figure in known)
    better = [figure for figure in known if _better(figure) > NEARLY]
    worst = min(known, key=_better)
    text = (
        f"{near} of {count(len(known), 'figure')} of the whole set "
        f"{'is' if near == 1 else 'are'} within {percent(NEARLY)} of those of held-out real music"
    )
    if better:
        text += f", {len(better)} {'is' if len(better) == 1 else 'are'} better, as copies would be"
    if _better(worst) < -NEARLY:
        text += f"; worst beside it is {_beside_real(worst)}"
    return f"{text}."


def _beside_real(figure: Figure) -> str:
    name = in_words(figure.name.split(" (")[0])
    return f"{name}, {number(figure.value or 0)} against {number(figure.real or 0)}"


def _better(figure: Figure) -> float:
    """By what share a figure is better than that of real music; below 0 where it is worse.

    Where a figure should be as that of real music, every difference is for the worse.
    """
    value, real = figure.value or 0.0, figure.real or 0.0
    scale = max(abs(value), abs(real)) or 1.0
    better = {"low": real - value, "high": value - real, "as real": -abs(value - real)}
    return better[figure.wanted] / scale


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
    verdicts = originality.label_counts
    original = verdicts["original"] - short
    within = "all" if original == total else f"{original} of {total}"
    stay = "the piece stays" if original == total == 1 else f"{within} pieces stay"
    reached = percent(originality.limits["common_subsequence"])
    text = (
        f"Held against {known}, {stay} within the limits of held-out real music, which has up to "
        f"{reached} of its notes in common with one of them"
    )
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
