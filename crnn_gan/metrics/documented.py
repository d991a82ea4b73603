"""Documented: a function of a Score whose docstring is its description in reports."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable
from typing import Any


@dataclasses.dataclass(frozen=True)
class Documented:
    """A function of a Score and its description.

    Attributes:
      function: Score -> a number or an array.
    """

    function: Callable[..., Any]

    @property
    def name(self) -> str:
        """The name of the function."""
        return self.function.__name__

    @property
    def description(self) -> str:
        """One line: the first of the function's docstring."""
        return (inspect.getdoc(self.function) or "").partition("\n")[0]
