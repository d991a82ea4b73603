"""Train, validation and test split: which one a piece belongs to, by a hash of its group.

The group, never the file, is hashed: copies, arrangements and movements of a work stand
together, so nothing that is trained on is tested on. A split does not change when pieces
are added or taken away, but where a new piece joins two groups. With few groups a split can
be empty; the manifest shows it. A split that a collection publishes takes precedence over the
hash.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Literal, NamedTuple

Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = ("train", "validation", "test")
# What may decide the split of a piece.
PUBLISHED, OF_ITS_GROUP, HASHED = RULES = (
    "published by the collection",
    "published for another piece of its group",
    "hash of its group",
)


class Fractions(NamedTuple):
    """The expected share of groups in training and validation; the rest is test."""

    train: float = 0.8
    validation: float = 0.1

    def check(self) -> Fractions:
        """Gives itself. ValueError where the fractions do not sum to at most 1."""
        test = 1 - self.train - self.validation
        if not (0 < self.train <= 1 and 0 <= self.validation <= 1 and test > -1e-9):
            raise ValueError(
                f"--train_fraction {self.train} and --validation_fraction {self.validation} leave "
                f"{test:.3g} for test; give a sum of at most 1, and a --train_fraction above 0"
            )
        return self


def unit_hash(text: str) -> float:
    """Gives a number in [0, 1) that depends on the text alone (first 52 bits of its SHA-256)."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") / 2**64


def split_of(group: str, fractions: Fractions = Fractions()) -> Split:  # noqa: B008
    """Gives the split of a group by its hash."""
    place = unit_hash(group)
    if place < fractions.train:
        return "train"
    return "validation" if place < fractions.train + fractions.validation else "test"


def published_splits(pieces: Iterable[tuple[str, str]]) -> dict[str, Split]:
    """Gives {group: published split}, that of the first piece of the group which has one.

    Args:
      pieces: (group, published split or "") of each.

    Raises:
      ValueError: a published split is none of `SPLITS`.
    """
    found: dict[str, Split] = {}
    for group, published in pieces:
        if published:
            found.setdefault(group, _checked(published))
    return found


def decide(
    group: str, published: str, of_groups: Mapping[str, Split], fractions: Fractions
) -> tuple[Split, str]:
    """Gives the split of a piece, and the one of `RULES` that decided it.

    Args:
      group: of the piece.
      published: the split that the collection publishes for it, or "".
      of_groups: as `published_splits` gives it.
      fractions: for the hash.
    """
    if published:
        return _checked(published), PUBLISHED
    if group in of_groups:
        return of_groups[group], OF_ITS_GROUP
    return split_of(group, fractions), HASHED


def _checked(published: str) -> Split:
    for split in SPLITS:
        if split == published:
            return split
    raise ValueError(
        f"the collection publishes a split {published!r}; the splits are {', '.join(SPLITS)}"
    )


def spread_sample(names: Iterable[str], count: int | None) -> list[str]:
    """Chooses `count` names by their hashes (all where it is None), sorted.

    Those with the smallest hashes are chosen: spread over the collection, always the same,
    and a larger count keeps what a smaller one chose.
    """
    chosen = sorted(set(names), key=lambda name: (unit_hash(name), name))
    return sorted(chosen if count is None else chosen[:count])
