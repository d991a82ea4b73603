"""Excerpt: which steps of each generated piece are kept, such as its last 32 of 512."""

from __future__ import annotations

import re
from typing import NamedTuple

from pipelines.settings import UsageError

FORM = re.compile(r"([0-9]{1,9}):([0-9]{1,9})")


class Excerpt(NamedTuple):
    """Steps of a piece, both ends included; step 1 is the first. `225:256` are 32 steps."""

    first: int
    last: int

    @classmethod
    def parse(cls, text: str, length: int) -> Excerpt:
        """Reads FIRST:LAST.

        Args:
          text: such as "225:256".
          length: steps of the pieces.

        Raises:
          UsageError: it is of another form, or the pieces have no such steps.
        """
        match = FORM.fullmatch(text)
        if match is None:
            raise UsageError(f"--excerpt is {text!r}; give FIRST:LAST, such as 225:256")
        first, last = int(match[1]), int(match[2])
        if not 1 <= first <= last:
            raise UsageError(
                f"--excerpt is {text}; give a first step of 1 or more and a last one not before it"
            )
        if last > length:
            raise UsageError(
                f"--excerpt is {text}, but the pieces have {length} steps; give --length={last} or "
                "more, or an earlier excerpt"
            )
        return cls(first, last)

    @property
    def steps(self) -> int:
        """How many they are."""
        return self.last - self.first + 1

    def __str__(self) -> str:
        return f"steps {self.first} to {self.last}"
