"""The plan: copies, groups, splits and shards, decided from a few bytes of each piece.

So that a million pieces need little memory, what is known of them is in arrays, in the order
of the sorted list of pieces; rows and arrays stay in the parts.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterator, Sequence

import numpy as np

from pipelines import records, split
from pipelines.preparation import duplicates, parts
from pipelines.preparation.parts import Entry, Skipped
from pipelines.preparation.tasks import Task
from pipelines.shaping import Shaping
from pipelines.sources.source import Piece
from pipelines.split import RULES, SPLITS, Fractions


@dataclasses.dataclass(frozen=True, eq=False)
class Facts:
    """What a plan needs to know of the pieces.

    Attributes:
      is_made: bool [piece], whether it became an array.
      array_bytes: int64 [piece], bytes of the array; 0 where there is none.
      notes_digests: uint8 [piece, 32], see `Score.notes_digest`.
      digests, sketches: of those that became arrays one after the other; see `duplicates`.
    """

    is_made: np.ndarray
    array_bytes: np.ndarray
    notes_digests: np.ndarray
    digests: bytes
    sketches: bytes


@dataclasses.dataclass(frozen=True, eq=False)
class Plan:
    """Where each piece goes.

    Attributes:
      copies: the key of each piece left out as a copy -> the key of the one that stays.
      splits: int8 [piece], the place in `SPLITS`; -1 where the piece gives no record.
      rules: int8 [piece], the place in `RULES`.
      shards: int32 [piece], of its split.
      indices: int32 [piece], the place of the record in its shard.
      shard_counts: for each of `SPLITS` how many shards it has.
      groups: gives the group of a piece.
    """

    copies: dict[str, str]
    splits: np.ndarray
    rules: np.ndarray
    shards: np.ndarray
    indices: np.ndarray
    shard_counts: tuple[int, ...]
    groups: Groups

    def shard_name(self, piece: int) -> str:
        """The name of the shard that holds a piece."""
        which = int(self.splits[piece])
        return records.shard_name(SPLITS[which], int(self.shards[piece]), self.shard_counts[which])


class Groups:
    """The group of each piece that became an array: of a name, or else of its notes.

    Pieces of equal notes are of one group, and so are all pieces of the groups that the
    collection names for any of them. Of several such names the group has that of the first
    piece. Pieces without a name whose notes no named piece has are named by their notes.
    """

    def __init__(self, pieces: Sequence[Piece], facts: Facts) -> None:
        self._pieces, self._digests = pieces, facts.notes_digests
        made = np.flatnonzero(facts.is_made)
        digests = np.ascontiguousarray(self._digests[made]).view("S32").ravel()
        notes = np.unique(digests, return_inverse=True)[1]
        is_named = np.fromiter(
            (bool(pieces[piece].group) for piece in made.tolist()), bool, len(made)
        )
        named = made[is_named]
        # Digests: long names would take much more memory.
        names = (_digest(pieces[piece].group) for piece in named.tolist())
        firsts, group = _numbered(np.fromiter(names, "S16", len(named)))
        joined, of_notes = _joined(group, notes[is_named], int(notes.max(initial=-1)) + 1)
        # The piece whose name the group of each piece has; -1 where there is none.
        self._named_like = np.full(len(pieces), -1, np.int64)
        of_made = of_notes[notes]
        of_made[is_named] = joined[group]
        self._named_like[made] = np.append(named[firsts], -1)[of_made]

    def __getitem__(self, piece: int) -> str:
        like = self._named_like[piece]
        if like >= 0:
            return self._pieces[like].group
        return f"notes: {self._digests[piece].tobytes().hex()}"


def _digest(name: str) -> bytes:
    return hashlib.sha256(name.encode("utf-8", "surrogatepass")).digest()[:16]


def _numbered(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Numbers distinct values in the order in which they come first.

    Returns:
      (int64 [value], where each comes first; int64 [place], the number of what stands there).
    """
    _, firsts, which = np.unique(values, return_index=True, return_inverse=True)
    order = np.argsort(firsts)
    number = np.empty(len(order), np.int64)
    number[order] = np.arange(len(order))
    return firsts[order], number[which]


def _joined(group: np.ndarray, notes: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Joins groups that have notes in common, and those that are joined with one of these.

    Args:
      group, notes: int64 [piece], numbers from 0.
      count: of different notes.

    Returns:
      (int64 [group], the first group it is joined with; int64 [notes], the same of notes, and
      -1 for those that are of no group).
    """
    groups = int(group.max(initial=-1)) + 1
    first, of_notes = np.arange(groups), np.full(count, groups)
    while True:
        np.minimum.at(of_notes, notes, first[group])
        nearer = first.copy()
        np.minimum.at(nearer, group, of_notes[notes])
        nearer = nearer[nearer]  # Twice as far at each turn.
        if (nearer == first).all():
            return first, np.where(of_notes < groups, of_notes, -1)
        first = nearer


def entries(tasks: Sequence[Task]) -> Iterator[tuple[int, Entry | Skipped]]:
    """Gives (index of the piece, its entry in the part) for each piece in turn.

    Raises:
      OSError: a part that was made is damaged.
    """
    piece = 0
    for task in tasks:
        found = parts.read_entries(task.part)
        if found is None or len(found) != len(task.pieces):
            raise parts.damaged(task.part)
        for entry in found:
            yield piece, entry
            piece += 1


def read_facts(tasks: Sequence[Task]) -> Facts:
    """Reads what a plan needs to know from the parts."""
    count = sum(len(task.pieces) for task in tasks)
    is_made, array_bytes = np.zeros(count, np.bool_), np.zeros(count, np.int64)
    notes_digests = np.zeros((count, 32), np.uint8)
    digests, sketches = bytearray(), bytearray()
    for piece, entry in entries(tasks):
        if isinstance(entry, Entry):
            is_made[piece], array_bytes[piece] = True, entry.size
            notes_digests[piece] = np.frombuffer(entry.notes_digest, np.uint8)
            digests += entry.digest
            sketches += entry.sketch
    return Facts(is_made, array_bytes, notes_digests, bytes(digests), bytes(sketches))


def make(pieces: Sequence[Piece], facts: Facts, shaping: Shaping, fractions: Fractions) -> Plan:
    """Decides where each piece goes.

    Args:
      pieces: sorted by key.
      facts: of the same pieces.
      shaping: says which copies are left out.
      fractions: of the splits.
    """
    copies = _copies(pieces, facts, shaping)
    groups = Groups(pieces, facts)
    made = np.flatnonzero(facts.is_made).tolist()
    of_groups = split.published_splits((groups[piece], pieces[piece].split) for piece in made)
    splits, rules = np.full(len(pieces), -1, np.int8), np.full(len(pieces), -1, np.int8)
    for piece in made:
        if pieces[piece].key not in copies:
            its, rule = split.decide(groups[piece], pieces[piece].split, of_groups, fractions)
            splits[piece], rules[piece] = SPLITS.index(its), RULES.index(rule)
    shards, indices = np.full(len(pieces), -1, np.int32), np.full(len(pieces), -1, np.int32)
    shard_counts = []
    for which in range(len(SPLITS)):
        chosen = np.flatnonzero(splits == which)
        shard = records.shards_of(facts.array_bytes[chosen])
        shards[chosen] = shard
        indices[chosen] = np.arange(len(shard)) - np.searchsorted(shard, shard)
        shard_counts.append(int(shard.max(initial=-1)) + 1)
    return Plan(copies, splits, rules, shards, indices, tuple(shard_counts), groups)


def _copies(pieces: Sequence[Piece], facts: Facts, shaping: Shaping) -> dict[str, str]:
    if shaping.duplicates == "keep":
        return {}
    keys = [pieces[piece].key for piece in np.flatnonzero(facts.is_made).tolist()]
    return duplicates.copies(keys, facts.digests, facts.sketches, shaping.duplicates)
