"""Comparing: a set of pieces and held-out real music against the same known pieces."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from crnn_gan.originality.interval_sequences import SHORTEST, Row, row_of
from crnn_gan.originality.known import Known
from crnn_gan.originality.originality import PieceOriginality, SetOriginality
from crnn_gan.originality.verdicts import PERCENTILE, judged, lies_in_known_rows, limits
from pipelines.score import Score

WINDOWS = 500  # Of real music, for pieces of about the same number of notes.
WINDOW_NOTES = 100_000  # Of those together, at most, for the sake of time.
OFTEN = 4  # Times, at most, that the same real music is looked at.
REPEATS_ITSELF = 0.85  # A common subsequence that other real music does not reach.


class Yardstick:
    """What held-out real music reaches, for pieces of so many notes.

    Everything that is measured grows or falls with the number of notes. So pieces are sorted by
    octaves of it (8 to 15 notes, 16 to 31, ...), and those of an octave are compared with real
    windows of as many notes as the first pieces of that octave that were asked about.

    Attributes:
      known: what may have been copied.
      real: of each octave, its windows, judged.
      limits: of each octave, as `verdicts.limits` gives them.
      cut_short: windows with fewer notes than was asked for, because no piece has so many.
    """

    def __init__(self, known: Known, held_out: Sequence[Score] = (), seed: int = 0) -> None:
        """Takes the music.

        Args:
          known: what may have been copied.
          held_out: real music that is not among the known. Where there is none, windows of the
            known pieces are compared with all others, without their own piece and its copies.
          seed: of where the windows are.
        """
        self.known = known
        self.real: dict[int, tuple[PieceOriginality, ...]] = {}
        self.limits: dict[int, dict[str, float]] = {}
        self.cut_short = 0
        self._held_out = [row for row in map(row_of, held_out) if len(row) >= SHORTEST]
        self._seed = seed
        self._used: set[int] = set()  # Of the held-out pieces, else of the known ones.

    def judge(self, scores: Sequence[Score]) -> tuple[PieceOriginality, ...]:
        """Measures pieces, empty ones included, and gives each its verdict."""
        measured = self.known.compare([row_of(score) for score in scores])
        sizes = [piece.notes for piece in measured if piece.notes >= SHORTEST]
        for octave in sorted({_octave(size) for size in sizes} - set(self.limits)):
            self._measure(octave, [size for size in sizes if _octave(size) == octave])
        return tuple(judged(p, self.limits.get(_octave(p.notes), {})) for p in measured)

    def _measure(self, octave: int, sizes: Sequence[int]) -> None:
        """Measures the real windows of an octave."""
        draw = np.random.default_rng([self._seed, octave])
        real: tuple[PieceOriginality, ...] = ()
        if self._held_out:
            windows, short = _windows(self._held_out, sizes, draw)
            real = self.known.compare([window for _, window in windows])
            self.cut_short += short
            self._used.update(piece for piece, _ in windows)
        elif self.known.different > 1:
            windows, short = _windows(self.known.rows, sizes, draw)
            own = [piece for piece, _ in windows]
            real = self.known.compare([window for _, window in windows], own)
            self.cut_short += short
            self._used.update(own)
        self.limits[octave] = limits(real)
        self.real[octave] = tuple(judged(window, self.limits[octave]) for window in real)

    @property
    def real_made(self) -> str:
        """How the real windows came about, in words."""
        count = sum(map(len, self.real.values()))
        if not count:
            return "there are no real windows: nothing is held out, and no other piece is known"
        of = (
            f"{len(self._used)} of {len(self._held_out)} held-out pieces"
            if self._held_out
            else f"{len(self._used)} of the {len(self.known.rows)} known pieces, each without "
            "itself and its copies"
        )
        text = f"{count} windows at random places of {of}, of as many notes as the pieces"
        short = f"; {self.cut_short} have fewer, no piece being so long"
        return text + (short if self.cut_short else "")

    @property
    def limits_made(self) -> str:
        """How the limits came about, in words, and what is suspicious about them."""
        counts = [len(windows) for windows in self.real.values() if windows]
        if not any(self.limits.values()):
            return "there are no limits: nothing real was there to compare with"
        text = (
            f"the {PERCENTILE}th percentile of the real windows"
            if min(counts) > 100
            else f"the {PERCENTILE}th percentile of the real windows, the largest where they are "
            f"up to 100, as few as {min(counts)}"
        )
        if len(counts) > 1:
            text += ", for each octave of the number of notes"
        windows = [window for windows in self.real.values() for window in windows]
        if copies := sum(map(lies_in_known_rows, windows)):
            text += f"; {copies} that are copies of known pieces were left out"
        reached = max(found["common_subsequence"] for found in self.limits.values() if found)
        if reached > REPEATS_ITSELF:
            text += (
                f"; real music reaches a common subsequence of {reached:.0%}, so it is short, or "
                "the same works stand in it more than once"
            )
        return text


def set_originality(
    generated: Sequence[Score], known: Known, held_out: Sequence[Score] = (), seed: int = 0
) -> SetOriginality:
    """Measures generated pieces and held-out real windows against the same known pieces.

    Args:
      generated: any pieces, empty ones included.
      known, held_out, seed: as for `Yardstick`.
    """
    yardstick = Yardstick(known, held_out, seed)
    pieces = yardstick.judge(generated)
    octaves = Counter(_octave(piece.notes) for piece in pieces if piece.notes >= SHORTEST)
    shown = yardstick.limits[octaves.most_common(1)[0][0]] if octaves else {}
    return SetOriginality(
        pieces=pieces,
        real=tuple(window for windows in yardstick.real.values() for window in windows),
        real_made=yardstick.real_made,
        limits=shown,
        limits_made=yardstick.limits_made,
        known=len(known.rows),
        known_notes=known.notes,
    )


def _octave(notes: int) -> int:
    return notes.bit_length()


def _windows(
    sources: Sequence[Row], sizes: Sequence[int], draw: np.random.Generator
) -> tuple[list[tuple[int, Row]], int]:
    """Cuts windows of given sizes out of pieces in turn, at places drawn at random.

    Args:
      sources: real music.
      sizes: notes, taken in turn.
      draw: of the order of the pieces and of the places.

    Returns:
      (index of the piece, its window) of each, and how many are smaller than was asked for,
      because no piece has so many notes.
    """
    lengths = np.array([len(row) for row in sources])
    longest = int(lengths.max(initial=0))
    if longest < SHORTEST:
        return [], 0
    notes = min(OFTEN * int(lengths.sum()), WINDOW_NOTES)
    count = int(np.clip(notes // min(int(np.mean(sizes)), longest), 1, WINDOWS))
    order = draw.permutation(len(sources))
    ordered, taken = lengths[order], np.zeros(len(order))
    windows, short = [], 0
    for index in range(count):
        asked = sizes[index % len(sizes)]
        size = min(asked, longest)
        # Of the pieces that are long enough, the first of those taken least often.
        place = int(np.where(ordered >= size, taken, np.inf).argmin())
        taken[place] += 1
        piece = int(order[place])
        short += size < asked
        first = int(draw.integers(lengths[piece] - size + 1))
        windows.append((piece, sources[piece].cut(first, first + size)))
    return windows, short
