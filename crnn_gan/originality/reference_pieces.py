"""Reference pieces, such as training data, and how much of other pieces occurs in them."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from crnn_gan.originality.alignment import Alignment, Votes, align, as_text, segments
from crnn_gan.originality.interval_sequences import SHORTEST, NoteSequence, note_sequence
from crnn_gan.originality.originality import PieceOriginality
from crnn_gan.originality.shared_passages import (
    SharedPassage,
    copied_shares,
    matches,
    shared_passages,
)
from crnn_gan.originality.suffix_array import MAX_DEPTH, SuffixArray, packed
from pipelines.preparation.duplicates import copies, digest, sketch
from pipelines.score import Score

NEIGHBOURS = 8  # Places on either side that vote, for each note.
BATCH_NOTES = 50_000  # Searched at once: they take some 100 MB.
MIN_VOTE_TOKENS = 2  # Shortest common prefix that votes.
MAX_VOTE_TOKENS = 10  # Longest common prefix that the weight of a vote distinguishes.


@dataclasses.dataclass(frozen=True, eq=False)
class ReferencePieces:
    """Reference pieces, indexed for search. They take some 60 bytes per note.

    Attributes:
      names: names of the pieces.
      sequences: note sequences of the pieces.
      starts: int64 [piece], where each begins in the text.
      text: uint16 [place], the tokens of all pieces, each ended by 0: one place per note.
      piece: int32 [place], index of the piece that each place belongs to.
      pitch: uint8 [place], pitch of the note at which each token begins.
      suffix_array: of the text; copies of a piece have the same owner.
      texts: pitches of each piece, for the common subsequence (`alignment.as_text`).
    """

    names: tuple[str, ...]
    sequences: tuple[NoteSequence, ...]
    starts: np.ndarray
    text: np.ndarray
    piece: np.ndarray
    pitch: np.ndarray
    suffix_array: SuffixArray
    texts: tuple[str, ...]

    @classmethod
    def of(cls, names: Sequence[str], scores: Sequence[Score]) -> ReferencePieces:
        """Indexes pieces; those without a note are skipped.

        Raises:
          ValueError: no piece has a note, or names and scores differ in number.
        """
        if len(names) != len(scores):
            raise ValueError(
                f"{len(names)} names for {len(scores)} reference pieces; give one each"
            )
        found = [
            (name, score, sequence)
            for name, score, sequence in zip(names, scores, map(note_sequence, scores), strict=True)
            if len(sequence)
        ]
        if not found:
            raise ValueError(
                "originality needs reference pieces to compare with, and "
                f"{'none was given' if not scores else 'none of those given has a note'}"
            )
        sequences = tuple(sequence for _, _, sequence in found)
        text, piece = _joined(sequences)
        works = _works([score for _, score, _ in found])
        return cls(
            names=tuple(name for name, _, _ in found),
            sequences=sequences,
            starts=np.searchsorted(piece, np.arange(len(sequences))),
            text=text,
            piece=piece,
            pitch=np.concatenate([sequence.pitch for sequence in sequences]),
            suffix_array=SuffixArray.of(text, works[piece]),
            texts=tuple(as_text(sequence.pitch.astype(int)) for sequence in sequences),
        )

    @property
    def notes(self) -> int:
        """Number of notes of all pieces."""
        return len(self.text)

    @property
    def distinct_works(self) -> int:
        """Number of pieces without copies."""
        return len(np.unique(self.suffix_array.owner))

    def compare(
        self, sequences: Sequence[NoteSequence], ignore: Sequence[int | None] | None = None
    ) -> tuple[PieceOriginality, ...]:
        """Measures how much of each piece occurs in the reference pieces.

        Args:
          sequences: any pieces; those of fewer than `SHORTEST` notes share nothing.
          ignore: for each piece the index of a reference piece to exclude together with its copies
            (`pipelines.preparation.duplicates`); None excludes none.

        Returns:
          One per piece, without label.
        """
        if not sequences:
            return ()
        ignore = ignore or [None] * len(sequences)
        # Batches bound the memory.
        batch = np.cumsum([len(sequence) for sequence in sequences]) // BATCH_NOTES
        measured: list[PieceOriginality] = []
        for chosen in np.split(np.arange(len(sequences)), np.flatnonzero(np.diff(batch)) + 1):
            some = [sequences[index] for index in chosen]
            found = self._search(some, [ignore[index] for index in chosen])
            measured += [self._measured(*of_piece) for of_piece in zip(some, *found, strict=True)]
        return tuple(measured)

    def _search(
        self, sequences: Sequence[NoteSequence], ignore: Sequence[int | None]
    ) -> tuple[list[np.ndarray], list[np.ndarray], list[list[Alignment]]]:
        """Finds for each note of each piece the longest run of tokens in the reference text.

        Returns:
          int64 [piece][note], its length in tokens; int64 [piece][note], its place in the text;
          [piece][segment], the best alignments.
        """
        text, asked = _joined(sequences)
        queries, everywhere = packed(text), np.arange(len(text))
        remaining = np.searchsorted(asked, asked, side="right") - 1 - everywhere
        owners = [-1 if k is None else self.suffix_array.owner[self.starts[k]] for k in ignore]
        ignored = np.array(owners)[asked]
        length, place = np.zeros(len(text), np.int64), np.zeros(len(text), np.int64)
        votes = []
        ranks = self.suffix_array.ranks(queries, everywhere)
        neighbours = self.suffix_array.neighbours(ranks, ignored, NEIGHBOURS)
        for index, (notes, places) in enumerate(neighbours):
            is_nearest = index < 2  # Below and above: one of them has the longest common prefix.
            depth = MAX_DEPTH if is_nearest else MAX_VOTE_TOKENS
            common = self.suffix_array.common(places, queries, notes, depth)
            common = np.minimum(common, remaining[notes])
            if is_nearest:
                better = common > length[notes]
                length[notes[better]], place[notes[better]] = common[better], places[better]
            voting = common >= MIN_VOTE_TOKENS
            weight = np.minimum(common, MAX_VOTE_TOKENS)[voting]
            votes.append((notes[voting], places[voting], weight))
        pitch = np.concatenate([sequence.pitch for sequence in sequences])
        cut = segments([len(sequence) for sequence in sequences])
        best = align(
            cut,
            pitch,
            self.texts,
            self._votes(pitch, *map(np.concatenate, zip(*votes, strict=True))),
        )
        bounds = np.searchsorted(asked, np.arange(1, len(sequences)))
        of_pieces: list[list[Alignment]] = [[] for _ in sequences]
        for index, alignment in zip(cut.piece, best, strict=True):
            of_pieces[index].append(alignment)
        return np.split(length, bounds), np.split(place, bounds), of_pieces

    def _votes(
        self, pitch: np.ndarray, notes: np.ndarray, places: np.ndarray, weight: np.ndarray
    ) -> Votes:
        reference = self.piece[places]
        return Votes(
            note=notes,
            reference=reference,
            reference_note=places - self.starts[reference],
            transposition=pitch[notes].astype(np.int64) - self.pitch[places],
            weight=weight.astype(np.float64),
        )

    def _measured(
        self,
        sequence: NoteSequence,
        length: np.ndarray,
        place: np.ndarray,
        alignments: Sequence[Alignment],
    ) -> PieceOriginality:
        """Computes the figures of a piece from what was found of it."""
        if len(sequence) < SHORTEST:
            alignments = []
        common: dict[int, int] = {}
        for best in alignments:
            common[best.reference] = common.get(best.reference, 0) + best.common
        nearest = max(common, key=common.__getitem__, default=-1)
        here = [best for best in alignments if best.reference == nearest]
        transposition = max(here, key=lambda best: best.common).transposition if here else 0
        found = shared_passages(sequence, length, place, self.text)
        return PieceOriginality(
            notes=len(sequence),
            nearest=self.names[nearest] if nearest >= 0 else "",
            transposition=transposition,
            common_subsequence=sum(common.values()) / max(len(sequence), 1),
            longest_row=max((len(passage.counted) for passage in found), default=0),
            copied=copied_shares(found, len(sequence)),
            matches=matches(
                sequence, found, lambda passage: self._locate(sequence, passage, nearest)
            ),
        )

    def _locate(
        self, sequence: NoteSequence, passage: SharedPassage, nearest: int
    ) -> tuple[str, NoteSequence, int]:
        """Gives a piece with a passage, the nearest one if it has it, and its first note there."""
        if nearest >= 0:
            wanted = sequence.tokens[passage.first : passage.last - 1]
            first = _find(self.sequences[nearest].tokens, wanted)
            if first >= 0:
                return self.names[nearest], self.sequences[nearest], first
        piece = int(self.piece[passage.place])
        return self.names[piece], self.sequences[piece], passage.place - int(self.starts[piece])


def _works(scores: Sequence[Score]) -> np.ndarray:
    """int32 [piece], the first piece that each is a near copy of, or itself."""
    keys = [f"{index:09d}" for index in range(len(scores))]
    digests, sketches = b"".join(map(digest, scores)), b"".join(map(sketch, scores))
    first_of = copies(keys, digests, sketches, "near")
    return np.array([int(first_of.get(key, key)) for key in keys], np.int32)


def _joined(sequences: Sequence[NoteSequence]) -> tuple[np.ndarray, np.ndarray]:
    """Gives the tokens of pieces, each ended by 0, and the index of the piece of each place."""
    end = np.zeros(1, np.uint16)
    parts = [part for each in sequences if len(each) for part in (each.tokens, end)]
    lengths = [len(sequence) for sequence in sequences]
    piece = np.repeat(np.arange(len(sequences)), lengths).astype(np.int32)
    return np.concatenate(parts or [end[:0]]), piece


def _find(tokens: np.ndarray, wanted: np.ndarray) -> int:
    """Gives the first index at which `tokens` contains `wanted`, -1 where it does not."""
    content, size = tokens.tobytes(), tokens.itemsize
    place = content.find(wanted.tobytes())
    while place % size and place >= 0:  # Half of one token and half of the next.
        place = content.find(wanted.tobytes(), place + 1)
    return place // size if place >= 0 else -1
