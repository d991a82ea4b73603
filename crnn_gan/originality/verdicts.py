"""Verdicts: what the figures of a piece mean beside those of held-out real music."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from crnn_gan.originality.interval_sequences import SHORTEST
from crnn_gan.originality.originality import FIGURES, Match, PieceOriginality, Verdict

PERCENTILE = 99  # Of real windows: the limit; the largest of up to 100 windows.
COPIED_SHARE = 0.5  # Of the notes in known rows of 16 or more: more than this is copied.
COPIED_SUBSEQUENCE = 0.9  # Where no real music is there to compare with.


def limits(real: Sequence[PieceOriginality]) -> dict[str, float]:
    """Gives the most that real windows reach: the 99th percentile of each figure.

    A window that is itself a copy (of a work that stands in both sets) would hide every
    other copy; `lies_in_known_rows` tells those, and they are left out.

    Returns:
      {name in `FIGURES`: limit}; empty where no window is left.
    """
    figures = [piece.figures for piece in real if not lies_in_known_rows(piece)]
    if not figures:
        return {}
    return {
        name: float(np.percentile([row[name] for row in figures], PERCENTILE, method="higher"))
        for name in FIGURES
    }


def lies_in_known_rows(piece: PieceOriginality) -> bool:
    """Tells whether more than half of its notes lie in known rows of 16 or more."""
    return piece.copied["16"] > COPIED_SHARE


def judged(piece: PieceOriginality, limits: Mapping[str, float]) -> PieceOriginality:
    """Gives the piece with verdict, reason and limits.

    It is copied when more than half of its notes lie in known rows of 16 or more, one of them
    longer than real music's, or when its common subsequence is nearer to the whole piece than to
    what real music reaches. It borrows when a figure is above what real music reaches. Else it
    is original.
    """
    verdict, reason = _verdict(piece, limits)
    return dataclasses.replace(piece, verdict=verdict, reason=reason, limits=dict(limits))


def _verdict(piece: PieceOriginality, limits: Mapping[str, float]) -> tuple[Verdict, str]:
    if piece.notes < SHORTEST:
        notes = "1 note" if piece.notes == 1 else f"{piece.notes or 'no'} notes"
        return "original", f"it has {notes}; under {SHORTEST} nothing is compared"
    if lies_in_known_rows(piece) and piece.longest_row > limits.get("longest_row", 0):
        return "copied", _said(piece, "copied_16", limits)
    most = (1 + limits["common_subsequence"]) / 2 if limits else COPIED_SUBSEQUENCE
    if piece.common_subsequence > most:
        return "copied", _said(piece, "common_subsequence", limits)
    figures = piece.figures
    above = [name for name in limits if figures[name] > limits[name]]
    if above:
        return "borrows", ", ".join(_said(piece, n, limits) for n in above)
    if not limits:
        return "original", (
            f"{_said(piece, 'copied_16', limits)}; without held-out real music nobody knows "
            "whether that is much"
        )
    said = _said(piece, "common_subsequence", limits)
    return "original", f"nothing is above what real music reaches: {said}"


def _said(piece: PieceOriginality, name: str, limits: Mapping[str, float]) -> str:
    """Says a figure in words, and the limit."""
    value, limit = piece.figures[name], limits.get(name, 0.0)
    if name == "longest_row":
        text, up_to = f"its longest known row has {value:.0f} notes", f"{limit:.0f}"
    else:
        share, up_to = f"{100 * value:.0f} % of its notes", f"{100 * limit:.0f} %"
        if name == "common_subsequence":
            text = f"{share} are in {piece.nearest or 'a known piece'} in the same order"
        else:
            text = f"{share} lie in known rows of {name.removeprefix('copied_')} or more"
    return text + (f" (real music: up to {up_to})" if limits else "")


def place_in_words(match: Match) -> str:
    """Says where a known row is: "bar 4 as in bars 9-12 of X, 5 semitones higher (24 notes)"."""
    moved = match.transposition
    semitones = "semitone" if abs(moved) == 1 else "semitones"
    key = f", {abs(moved)} {semitones} {'higher' if moved > 0 else 'lower'}" if moved else ""
    places = f"{_bars(match.piece_bars)} as in {_bars(match.known_bars)} of {match.known}"
    return f"{places}{key} ({match.notes} notes)"


def _bars(bars: tuple[int, int]) -> str:
    first, last = bars
    return f"bar {first}" if first == last else f"bars {first}-{last}"
