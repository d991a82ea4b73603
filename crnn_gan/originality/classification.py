"""Classification of pieces as original, borrowing or copied, by limits of held-out real music."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from crnn_gan.originality.interval_sequences import SHORTEST
from crnn_gan.originality.originality import FIGURES, Label, Match, PieceOriginality

PERCENTILE = 99  # Of real windows: the limit; the largest of up to 100 windows.
COPIED_SHARE = 0.5  # Of the notes in shared passages of 16 or more: more than this is copied.
COPIED_SUBSEQUENCE = 0.9  # Where there is no held-out real music.


def limits(real: Sequence[PieceOriginality]) -> dict[str, float]:
    """Gives the limits of original music: the 99th percentile of each figure over real windows.

    A window that is itself a copy (of a work that is in both sets) would hide all other copies;
    such windows are excluded (`is_mostly_shared`).

    Returns:
      {name in `FIGURES`: limit}; empty where no window remains.
    """
    figures = [piece.figures for piece in real if not is_mostly_shared(piece)]
    if not figures:
        return {}
    return {
        name: float(np.percentile([row[name] for row in figures], PERCENTILE, method="higher"))
        for name in FIGURES
    }


def is_mostly_shared(piece: PieceOriginality) -> bool:
    """Tells whether more than half of its notes lie in shared passages of 16 notes or more."""
    return piece.copied["16"] > COPIED_SHARE


def classified(piece: PieceOriginality, limits: Mapping[str, float]) -> PieceOriginality:
    """Gives the piece with its label (`verdict`), reason and limits.

    It is copied when more than half of its notes lie in shared passages of 16 or more, one of them
    longer than those of real music, or when its common subsequence is nearer to the whole piece
    than to the limit. It borrows when a figure is above its limit. Else it is original.
    """
    label, reason = _label(piece, limits)
    return dataclasses.replace(piece, verdict=label, reason=reason, limits=dict(limits))


def _label(piece: PieceOriginality, limits: Mapping[str, float]) -> tuple[Label, str]:
    if piece.notes < SHORTEST:
        notes = "1 note" if piece.notes == 1 else f"{piece.notes or 'no'} notes"
        return "original", f"it has {notes}; fewer than {SHORTEST} are not compared"
    if is_mostly_shared(piece) and piece.longest_row > limits.get("longest_row", 0):
        return "copied", _in_words(piece, "copied_16", limits)
    most = (1 + limits["common_subsequence"]) / 2 if limits else COPIED_SUBSEQUENCE
    if piece.common_subsequence > most:
        return "copied", _in_words(piece, "common_subsequence", limits)
    figures = piece.figures
    above = [name for name in limits if figures[name] > limits[name]]
    if above:
        return "borrows", ", ".join(_in_words(piece, name, limits) for name in above)
    if not limits:
        return "original", (
            f"{_in_words(piece, 'copied_16', limits)}; there is no held-out real music to compare "
            "with"
        )
    text = _in_words(piece, "common_subsequence", limits)
    return "original", f"no figure is above the limit of real music: {text}"


def _in_words(piece: PieceOriginality, name: str, limits: Mapping[str, float]) -> str:
    """Writes a figure and its limit."""
    value, limit = piece.figures[name], limits.get(name, 0.0)
    if name == "longest_row":
        text, up_to = f"its longest shared passage has {value:.0f} notes", f"{limit:.0f}"
    else:
        share, up_to = f"{100 * value:.0f} % of its notes", f"{100 * limit:.0f} %"
        if name == "common_subsequence":
            text = f"{share} are in {piece.nearest or 'a reference piece'} in the same order"
        else:
            text = f"{share} lie in shared passages of {name.removeprefix('copied_')} or more"
    return text + (f" (real music: up to {up_to})" if limits else "")


def place_in_words(match: Match) -> str:
    """Writes where a passage is: "bar 4 as in bars 9-12 of X, 5 semitones higher (24 notes)"."""
    moved = match.transposition
    semitones = "semitone" if abs(moved) == 1 else "semitones"
    key = f", {abs(moved)} {semitones} {'higher' if moved > 0 else 'lower'}" if moved else ""
    places = f"{_bars(match.piece_bars)} as in {_bars(match.known_bars)} of {match.known}"
    return f"{places}{key} ({match.notes} notes)"


def _bars(bars: tuple[int, int]) -> str:
    first, last = bars
    return f"bar {first}" if first == last else f"bars {first}-{last}"
