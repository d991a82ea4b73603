"""Known pieces, and how much of other pieces is in them."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from crnn_gan.originality.alignment import Aligned, Votes, align, letters, stretches
from crnn_gan.originality.interval_sequences import SHORTEST, Row, row_of
from crnn_gan.originality.known_sequences import KnownRow, copied_shares, known_rows, matches
from crnn_gan.originality.originality import PieceOriginality
from crnn_gan.originality.suffixes import DEPTH, Suffixes, packed
from pipelines.preparation.duplicates import copies, digest, sketch
from pipelines.score import Score

NEIGHBOURS = 8  # Places on either side that vote, for each note.
BATCH_NOTES = 50_000  # Searched at once: they take some 100 MB.
FEWEST_STEPS = 2  # Of a vote.
VOTING_STEPS = 10  # At most, that the weight of a vote looks at.


@dataclasses.dataclass(frozen=True, eq=False)
class Known:
    """Known pieces, ready to be searched. They take some 60 bytes a note.

    Attributes:
      names: of the pieces.
      rows: of the pieces.
      starts: int64 [piece], where each begins in the text.
      text: uint16 [place], the steps of all pieces, each ended by 0: a place a note.
      piece: int32 [place], whose each place is.
      pitch: uint8 [place], the note where each step begins.
      suffixes: of the text; copies of a piece have the same owner.
      letters: of each piece, for the common subsequence.
    """

    names: tuple[str, ...]
    rows: tuple[Row, ...]
    starts: np.ndarray
    text: np.ndarray
    piece: np.ndarray
    pitch: np.ndarray
    suffixes: Suffixes
    letters: tuple[str, ...]

    @classmethod
    def of(cls, names: Sequence[str], scores: Sequence[Score]) -> Known:
        """Makes known pieces searchable; those without a note are passed over.

        Raises:
          ValueError: no piece has a note, or names and scores differ in number.
        """
        if len(names) != len(scores):
            raise ValueError(f"{len(names)} names for {len(scores)} known pieces; give one each")
        found = [
            (name, score, row)
            for name, score, row in zip(names, scores, map(row_of, scores), strict=True)
            if len(row)
        ]
        if not found:
            raise ValueError(
                "originality needs known pieces to compare with, and "
                f"{'none was given' if not scores else 'none of those given has a note'}"
            )
        rows = tuple(row for _, _, row in found)
        text, piece = _joined(rows)
        return cls(
            names=tuple(name for name, _, _ in found),
            rows=rows,
            starts=np.searchsorted(piece, np.arange(len(rows))),
            text=text,
            piece=piece,
            pitch=np.concatenate([row.pitch for row in rows]),
            suffixes=Suffixes.of(text, _works([score for _, score, _ in found])[piece]),
            letters=tuple(letters(row.pitch.astype(int)) for row in rows),
        )

    @property
    def notes(self) -> int:
        """Of all pieces."""
        return len(self.text)

    @property
    def different(self) -> int:
        """Pieces, copies not counted."""
        return len(np.unique(self.suffixes.owner))

    def compare(
        self, rows: Sequence[Row], ignore: Sequence[int | None] | None = None
    ) -> tuple[PieceOriginality, ...]:
        """Measures how much of each row is known.

        Args:
          rows: any, empty ones included; those of fewer than `SHORTEST` notes share nothing.
          ignore: for each row the index of the known piece that is left out, and with it its
            copies (`pipelines.preparation.duplicates`); None leaves out none.

        Returns:
          One a row, without verdict.
        """
        if not rows:
            return ()
        ignore = ignore or [None] * len(rows)
        # Batches bound the memory.
        batch = np.cumsum([len(row) for row in rows]) // BATCH_NOTES
        measured: list[PieceOriginality] = []
        for chosen in np.split(np.arange(len(rows)), np.flatnonzero(np.diff(batch)) + 1):
            some = [rows[index] for index in chosen]
            found = self._search(some, [ignore[index] for index in chosen])
            measured += [self._measured(*of_row) for of_row in zip(some, *found, strict=True)]
        return tuple(measured)

    def _search(
        self, rows: Sequence[Row], ignore: Sequence[int | None]
    ) -> tuple[list[np.ndarray], list[np.ndarray], list[list[Aligned]]]:
        """Gives for each row, and each of its notes, how many steps from there are known.

        Returns:
          int64 [row][note], known steps; int64 [row][note], the place of the text where they
          are; [row][stretch], where it has most in common.
        """
        text, asked = _joined(rows)
        queries, everywhere = packed(text), np.arange(len(text))
        left = np.searchsorted(asked, asked, side="right") - 1 - everywhere
        owners = [-1 if k is None else self.suffixes.owner[self.starts[k]] for k in ignore]
        ignored = np.array(owners)[asked]
        length, place = np.zeros(len(text), np.int64), np.zeros(len(text), np.int64)
        votes = []
        ranks = self.suffixes.ranks(queries, everywhere)
        neighbours = self.suffixes.neighbours(ranks, ignored, NEIGHBOURS)
        for index, (notes, places) in enumerate(neighbours):
            is_nearest = index < 2  # Below and above: one of them has most in common.
            depth = DEPTH if is_nearest else VOTING_STEPS
            common = self.suffixes.common(places, queries, notes, depth)
            common = np.minimum(common, left[notes])
            if is_nearest:
                better = common > length[notes]
                length[notes[better]], place[notes[better]] = common[better], places[better]
            voting = common >= FEWEST_STEPS
            votes.append((notes[voting], places[voting], np.minimum(common, VOTING_STEPS)[voting]))
        pitch = np.concatenate([row.pitch for row in rows])
        cut = stretches([len(row) for row in rows])
        best = align(
            cut,
            pitch,
            self.letters,
            self._votes(pitch, *map(np.concatenate, zip(*votes, strict=True))),
        )
        bounds = np.searchsorted(asked, np.arange(1, len(rows)))
        of_rows: list[list[Aligned]] = [[] for _ in rows]
        for index, aligned in zip(cut.piece, best, strict=True):
            of_rows[index].append(aligned)
        return np.split(length, bounds), np.split(place, bounds), of_rows

    def _votes(
        self, pitch: np.ndarray, notes: np.ndarray, places: np.ndarray, common: np.ndarray
    ) -> Votes:
        known = self.piece[places]
        return Votes(
            note=notes,
            known=known,
            known_note=places - self.starts[known],
            transposition=pitch[notes].astype(np.int64) - self.pitch[places],
            weight=common.astype(np.float64),
        )

    def _measured(
        self, row: Row, length: np.ndarray, place: np.ndarray, aligned: Sequence[Aligned]
    ) -> PieceOriginality:
        """Puts together what was found of a piece."""
        if len(row) < SHORTEST:
            aligned = []
        shared: dict[int, int] = {}
        for best in aligned:
            shared[best.known] = shared.get(best.known, 0) + best.common
        nearest = max(shared, key=shared.__getitem__, default=-1)
        here = [best for best in aligned if best.known == nearest]
        transposition = max(here, key=lambda best: best.common).transposition if here else 0
        found = known_rows(row, length, place, self.text)
        return PieceOriginality(
            notes=len(row),
            nearest=self.names[nearest] if nearest >= 0 else "",
            transposition=transposition,
            common_subsequence=sum(shared.values()) / max(len(row), 1),
            longest_row=max((len(known.counted) for known in found), default=0),
            copied=copied_shares(found, len(row)),
            matches=matches(row, found, lambda known: self._locate(row, known, nearest)),
        )

    def _locate(self, row: Row, known: KnownRow, nearest: int) -> tuple[str, Row, int]:
        """Gives a piece that holds a known row, the nearest if it does, and the note there."""
        if nearest >= 0:
            first = _find(self.rows[nearest].steps, row.steps[known.first : known.last - 1])
            if first >= 0:
                return self.names[nearest], self.rows[nearest], first
        piece = int(self.piece[known.place])
        return self.names[piece], self.rows[piece], known.place - int(self.starts[piece])


def _works(scores: Sequence[Score]) -> np.ndarray:
    """int32 [piece], the first piece that each is a near copy of, or itself."""
    keys = [f"{index:09d}" for index in range(len(scores))]
    digests, sketches = b"".join(map(digest, scores)), b"".join(map(sketch, scores))
    first_of = copies(keys, digests, sketches, "near")
    return np.array([int(first_of.get(key, key)) for key in keys], np.int32)


def _joined(rows: Sequence[Row]) -> tuple[np.ndarray, np.ndarray]:
    """Gives the steps of rows, each ended by 0, and whose each place is."""
    end = np.zeros(1, np.uint16)
    text = np.concatenate(
        [part for row in rows if len(row) for part in (row.steps, end)] or [end[:0]]
    )
    return text, np.repeat(np.arange(len(rows)), [len(row) for row in rows]).astype(np.int32)


def _find(steps: np.ndarray, wanted: np.ndarray) -> int:
    """Gives the first place where a row of steps holds another, -1 where it does not."""
    content, size = steps.tobytes(), steps.itemsize
    place = content.find(wanted.tobytes())
    while place % size and place >= 0:  # Half of one step and half of the next.
        place = content.find(wanted.tobytes(), place + 1)
    return place // size if place >= 0 else -1
