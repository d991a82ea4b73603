"""Comparing a set of pieces, and held-out real music, with the same reference pieces."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from crnn_gan.originality.classification import PERCENTILE, classified, is_mostly_shared, limits
from crnn_gan.originality.interval_sequences import SHORTEST, NoteSequence, note_sequence
from crnn_gan.originality.originality import PieceOriginality, SetOriginality
from crnn_gan.originality.reference_pieces import ReferencePieces
from pipelines.score import Score

WINDOWS = 500  # Most real windows, for pieces of about the same number of notes.
WINDOW_NOTES = 100_000  # Most notes of those together, to bound the time.
OFTEN = 4  # Most times that the notes of real music are used, on average.
REPEATS_ITSELF = 0.85  # A limit of the common subsequence above this is suspicious.


class OriginalityClassifier:
    """Classifies pieces as original, borrowing or copied, by limits of held-out real music.

    All figures depend on the number of notes. So pieces are grouped by octaves of it (8 to 15
    notes, 16 to 31, ...), and those of an octave are compared with real windows of as many notes
    as the first pieces of that octave.

    Attributes:
      reference: pieces that may have been copied.
      real: {octave: its real windows, classified}.
      limits: {octave: its limits}, as by `classification.limits`.
      cut_short: windows with fewer notes than wanted, because no piece has so many.
    """

    def __init__(
        self, reference: ReferencePieces, held_out: Sequence[Score] = (), seed: int = 0
    ) -> None:
        """Keeps the music; limits are computed when they are needed.

        Args:
          reference: pieces that may have been copied.
          held_out: real music that is not in the reference. Where there is none, windows of the
            reference pieces are compared with all others, without their own piece and its copies.
          seed: random seed of the places of the windows.
        """
        self.reference = reference
        self.real: dict[int, tuple[PieceOriginality, ...]] = {}
        self.limits: dict[int, dict[str, float]] = {}
        self.cut_short = 0
        sequences = map(note_sequence, held_out)
        self._held_out = [sequence for sequence in sequences if len(sequence) >= SHORTEST]
        self._seed = seed
        self._used: set[int] = set()  # Indices of held-out pieces, else of reference pieces.

    def classify(self, scores: Sequence[Score]) -> tuple[PieceOriginality, ...]:
        """Measures and classifies pieces, which may be empty."""
        measured = self.reference.compare([note_sequence(score) for score in scores])
        sizes = [piece.notes for piece in measured if piece.notes >= SHORTEST]
        for octave in sorted({_octave(size) for size in sizes} - set(self.limits)):
            self._measure(octave, [size for size in sizes if _octave(size) == octave])
        return tuple(classified(p, self.limits.get(_octave(p.notes), {})) for p in measured)

    def _measure(self, octave: int, sizes: Sequence[int]) -> None:
        """Measures the real windows of an octave."""
        random = np.random.default_rng([self._seed, octave])
        real: tuple[PieceOriginality, ...] = ()
        if self._held_out:
            windows, short = _windows(self._held_out, sizes, random)
            real = self.reference.compare([window for _, window in windows])
            self.cut_short += short
            self._used.update(piece for piece, _ in windows)
        elif self.reference.distinct_works > 1:
            windows, short = _windows(self.reference.sequences, sizes, random)
            own = [piece for piece, _ in windows]
            real = self.reference.compare([window for _, window in windows], own)
            self.cut_short += short
            self._used.update(own)
        self.limits[octave] = limits(real)
        self.real[octave] = tuple(classified(window, self.limits[octave]) for window in real)

    @property
    def real_made(self) -> str:
        """How the real windows were cut, in words."""
        count = sum(map(len, self.real.values()))
        if not count:
            return "there are no real windows: no held-out piece, and no second reference piece"
        of = (
            f"{len(self._used)} of {len(self._held_out)} held-out pieces"
            if self._held_out
            else f"{len(self._used)} of the {len(self.reference.sequences)} reference pieces, each "
            "without itself and its copies"
        )
        text = f"{count} windows at random places of {of}, of as many notes as the pieces"
        short = f"; {self.cut_short} have fewer, no piece being so long"
        return text + (short if self.cut_short else "")

    @property
    def limits_made(self) -> str:
        """How the limits were computed, in words, and what is suspicious about them."""
        counts = [len(windows) for windows in self.real.values() if windows]
        if not any(self.limits.values()):
            return "there are no limits: there is no real music to compare with"
        text = (
            f"the {PERCENTILE}th percentile of the real windows"
            if min(counts) > 100
            else f"the {PERCENTILE}th percentile of the real windows, the largest where they are "
            f"up to 100, as few as {min(counts)}"
        )
        if len(counts) > 1:
            text += ", for each octave of the number of notes"
        windows = [window for windows in self.real.values() for window in windows]
        if copies := sum(map(is_mostly_shared, windows)):
            text += f"; {copies} that are copies of reference pieces were excluded"
        reached = max(found["common_subsequence"] for found in self.limits.values() if found)
        if reached > REPEATS_ITSELF:
            text += (
                f"; real music reaches a common subsequence of {reached:.0%}, so it is short, or "
                "contains the same works more than once"
            )
        return text


def set_originality(
    generated: Sequence[Score],
    reference: ReferencePieces,
    held_out: Sequence[Score] = (),
    seed: int = 0,
) -> SetOriginality:
    """Measures generated pieces and held-out real windows against the same reference pieces.

    Args:
      generated: any pieces, empty ones included.
      reference, held_out, seed: as for `OriginalityClassifier`.
    """
    classifier = OriginalityClassifier(reference, held_out, seed)
    pieces = classifier.classify(generated)
    octaves = Counter(_octave(piece.notes) for piece in pieces if piece.notes >= SHORTEST)
    shown = classifier.limits[octaves.most_common(1)[0][0]] if octaves else {}
    return SetOriginality(
        pieces=pieces,
        real=tuple(window for windows in classifier.real.values() for window in windows),
        real_made=classifier.real_made,
        limits=shown,
        limits_made=classifier.limits_made,
        known=len(reference.sequences),
        known_notes=reference.notes,
    )


def _octave(notes: int) -> int:
    return notes.bit_length()


def _windows(
    sources: Sequence[NoteSequence], sizes: Sequence[int], random: np.random.Generator
) -> tuple[list[tuple[int, NoteSequence]], int]:
    """Cuts windows of given sizes out of pieces in turn, at random places.

    Args:
      sources: real music.
      sizes: notes, taken in turn.
      random: draws the order of the pieces and the places.

    Returns:
      (index of the piece, its window) of each, and how many are smaller than wanted, because no
      piece has so many notes.
    """
    lengths = np.array([len(source) for source in sources])
    longest = int(lengths.max(initial=0))
    if longest < SHORTEST:
        return [], 0
    notes = min(OFTEN * int(lengths.sum()), WINDOW_NOTES)
    count = int(np.clip(notes // min(int(np.mean(sizes)), longest), 1, WINDOWS))
    order = random.permutation(len(sources))
    ordered, taken = lengths[order], np.zeros(len(order))
    windows, short = [], 0
    for index in range(count):
        wanted = sizes[index % len(sizes)]
        size = min(wanted, longest)
        # Of the pieces that are long enough, the first of those taken least often.
        place = int(np.where(ordered >= size, taken, np.inf).argmin())
        taken[place] += 1
        piece = int(order[place])
        short += size < wanted
        first = int(random.integers(lengths[piece] - size + 1))
        windows.append((piece, sources[piece].cut(first, first + size)))
    return windows, short
