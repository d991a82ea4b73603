"""Search space of a sweep: random search over ranges, or grid search over lists.

The settings of run n are a function of the sweep's seed and n alone, so a killed sweep resumes with
the same settings, and a longer sweep begins with those of a shorter one.
"""

from __future__ import annotations

import dataclasses
import difflib
import itertools
import math
import typing
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np

from pipelines.settings import UsageError

HOW = "give --vary='learning_rate=1e-5..1e-3 log; batch_size=16,32,64': ranges or lists of flags"


@dataclasses.dataclass(frozen=True)
class Varied:
    """A flag that differs from run to run.

    Attributes:
      name: of the flag.
      values: list of choices; empty for a range.
      low, high: bounds of a range, both included.
      scale: uniform or log-uniform sampling of a range.
      whole: whether a range is of integers.
    """

    name: str
    values: tuple[str, ...] = ()
    low: float = 0.0
    high: float = 0.0
    scale: Literal["linear", "log"] = "linear"
    whole: bool = False

    def draw(self, random: np.random.Generator) -> str:
        """Draws a value, as written on a command line."""
        if self.values:
            return self.values[int(random.integers(len(self.values)))]
        share = random.random()
        if self.whole:
            # Each integer has the width up to the next.
            low, high = self.low, self.high + 1
            return str(min(int(self.high), math.floor(self._at(low, high, share))))
        return f"{self._at(self.low, self.high, share):.4g}"

    def _at(self, low: float, high: float, share: float) -> float:
        if self.scale == "log":
            return low * (high / low) ** share
        return low + (high - low) * share


def parse_varied(text: str, hints: Mapping[str, Any]) -> tuple[Varied, ...]:
    """Reads "name=low..high [log]; name=a,b,c".

    Args:
      text: the value of --vary.
      hints: the types of all flags of the trainer and the model, by name.

    Raises:
      UsageError: names the invalid part and the reason.
    """
    parts = [part.strip() for part in text.split(";") if part.strip()]
    if not parts:
        raise UsageError(f"--vary names no flag; {HOW}")
    found = tuple(_varied(part, hints) for part in parts)
    names = [one.name for one in found]
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f"--vary names {name} twice; give it one range or list")
    return found


def _varied(part: str, hints: Mapping[str, Any]) -> Varied:
    name, equals, words = (word.strip() for word in part.partition("="))
    if not equals or not words:
        raise UsageError(f"--vary has {part!r}, which gives no values; {HOW}")
    if name not in hints:
        near = difflib.get_close_matches(name, list(hints), n=3, cutoff=0.5)
        meant = f"; did you mean {' or '.join(near)}?" if near else ""
        raise UsageError(f"--vary names {name}, no flag of the trainer or the model{meant}")
    if ".." not in words:
        values = tuple(word.strip() for word in words.split(","))
        if not all(values):
            raise UsageError(f"--vary has {part!r}, whose list has an empty value; {HOW}")
        return Varied(name, values)
    return _range(part, name, words, hints[name])


def _range(part: str, name: str, words: str, hint: Any) -> Varied:
    kinds = set(typing.get_args(hint) or (hint,)) & {int, float}
    ends, _, scale = words.partition(" ")
    scale = scale.strip() or "linear"
    if not kinds:
        raise UsageError(f"--vary has {part!r}, but {name} is no number; give a list of values")
    if scale not in ("linear", "log"):
        raise UsageError(f"--vary has {part!r}; after a range comes nothing, or the word log")
    try:
        low, high = (float(end) for end in ends.split(".."))
    except ValueError:
        raise UsageError(f"--vary has {part!r}; give a range as low..high, both numbers") from None
    if not low < high or not math.isfinite(high - low):
        raise UsageError(f"--vary has {part!r}, an empty range; give low..high, low below high")
    if scale == "log" and low <= 0:
        raise UsageError(f"--vary has {part!r}; of 0 and below there is no logarithm")
    whole = int in kinds
    if whole and not (low.is_integer() and high.is_integer()):
        raise UsageError(f"--vary has {part!r}, but {name} is a whole number; give whole ends")
    return Varied(name, (), low, high, typing.cast(Literal["linear", "log"], scale), whole)


def drawn(varied: Sequence[Varied], runs: int, seed: int) -> list[dict[str, str]]:
    """Draws the settings of each run, {flag: value}, independently for each flag."""
    draws = [np.random.default_rng([seed, number]) for number in range(runs)]
    return [{one.name: one.draw(random) for one in varied} for random in draws]


def grid(varied: Sequence[Varied]) -> list[dict[str, str]]:
    """Gives the settings of each run: every combination of the lists.

    Raises:
      UsageError: one of them is a range.
    """
    for one in varied:
        if not one.values:
            raise UsageError(
                f"--search=grid tries lists of values, and {one.name} has a range; give a list"
            )
    names = [one.name for one in varied]
    combinations = itertools.product(*(one.values for one in varied))
    return [dict(zip(names, values, strict=True)) for values in combinations]
