"""Reading: a Score, and counts of what of its file is not in it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from pipelines.score import Score


@dataclasses.dataclass(frozen=True)
class Reading:
    """A Score, and counts of what the reader left out or doubts.

    The names of elements and faults are plural nouns in lower case that stand alone behind a
    number: "grace notes", "notes without a note-off".

    Attributes:
      score: the piece.
      left_out: {element: how often}, what the file has that a Score cannot hold, or that is not
        read.
      doubtful: {fault: how often}, what seems wrong in the file, and was read as it seems meant.
    """

    score: Score
    left_out: Mapping[str, int] = dataclasses.field(default_factory=dict)
    doubtful: Mapping[str, int] = dataclasses.field(default_factory=dict)
