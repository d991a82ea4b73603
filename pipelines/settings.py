"""Settings: dataclasses whose fields become flags, with a help text and bounds each.

`Settings` is the base class; `flag` makes a field. `pipelines/command_line.py` parses them;
instances are checked however they are made.
"""

from __future__ import annotations

import dataclasses
import math
import types
import typing
from collections.abc import Sequence
from typing import Any, Literal


class UsageError(ValueError):
    """A command line or a setting that cannot be taken; its text says what to do."""


@dataclasses.dataclass(frozen=True)
class Bounds:
    """Bounds of a number: any combination of limits, None where there is none.

    NaN and infinities are out of all bounds.
    """

    at_least: float | None = None
    above: float | None = None
    at_most: float | None = None
    below: float | None = None

    def __bool__(self) -> bool:
        return any(limit is not None for limit in dataclasses.astuple(self))

    def hold(self, value: float) -> bool:
        """Tells whether a number is within the bounds."""
        return (
            not (isinstance(value, float) and not math.isfinite(value))
            and (self.at_least is None or value >= self.at_least)
            and (self.above is None or value > self.above)
            and (self.at_most is None or value <= self.at_most)
            and (self.below is None or value < self.below)
        )

    def __str__(self) -> str:
        """In words: "1 or more", "a number above 0", "0 or more, below 1", "1 to 88"."""
        low, high = _written(self.at_least), _written(self.at_most)
        above, below = _written(self.above), _written(self.below)
        if low and high:
            return f"{low} to {high}"
        words = [f"{low} or more"] if low else [f"a number above {above}"] if above else []
        if high:
            words.append(f"at most {high}" if words else f"{high} or less")
        if below:
            words.append(f"below {below}" if words else f"a number below {below}")
        return ", ".join(words)


def _written(limit: float | None) -> str:
    """Writes a limit as one would by hand: 1, not 1.0; "" where there is none."""
    return "" if limit is None else str(int(limit) if limit == int(limit) else limit)


def flag(
    default: Any = dataclasses.MISSING,
    help: str = "",
    *,
    at_least: float | None = None,
    above: float | None = None,
    at_most: float | None = None,
    below: float | None = None,
) -> Any:
    """Makes a dataclass field that is also a flag.

    Args:
      default: value where the flag is not given; without a default the flag must be given.
      help: one line of help, which says neither the default nor the bounds.
      at_least, above, at_most, below: bounds of a number, or of each number of a tuple.
    """
    metadata = {"help": help, "bounds": Bounds(at_least, above, at_most, below)}
    return dataclasses.field(default=default, metadata=metadata, kw_only=True)


@dataclasses.dataclass(frozen=True)
class Settings:
    """Base class of flag dataclasses: checks each field, however the instance was made.

    Numbers have to be within their `flag`'s bounds, and names among those of their `Literal`;
    None, where a field may be None, is not checked. Lists, which is what JSON has, become
    tuples where the field is one. A subclass whose fields must fit each other overrides
    `__post_init__`, and calls this one first.

    Raises:
      UsageError: "--count is 0; give 1 or more".
    """

    def __post_init__(self) -> None:
        hints = typing.get_type_hints(type(self))
        for field in dataclasses.fields(self):
            kinds = members(hints[field.name])
            if isinstance(getattr(self, field.name), list) and has_tuple(kinds):
                object.__setattr__(self, field.name, tuple(getattr(self, field.name)))
            _check(field, kinds, getattr(self, field.name))


def _check(field: dataclasses.Field, kinds: Sequence[Any], value: Any) -> None:
    """Raises UsageError where a value is out of its field's bounds, or none of its names."""
    if value is None and types.NoneType in kinds:
        return
    bounds = field.metadata.get("bounds", Bounds())
    if bounds and not all(map(bounds.hold, value if isinstance(value, tuple) else (value,))):
        shown = ",".join(map(str, value)) if isinstance(value, tuple) else value
        raise UsageError(f"--{field.name} is {shown}; give {bounds_in_words(bounds, kinds)}")
    names = typing.get_args(kinds[0])
    if typing.get_origin(kinds[0]) is Literal and value not in names:
        raise UsageError(f"--{field.name} is {value!r}; give one of {'|'.join(map(str, names))}")


def bounds_in_words(bounds: Bounds, kinds: Sequence[Any]) -> str:
    """Writes the bounds of a field of these types, as `members` gives them; "" without any."""
    return f"{bounds}{' for each' if bounds and has_tuple(kinds) else ''}"


def has_tuple(kinds: Sequence[Any]) -> bool:
    """Tells whether one of the types is a tuple's."""
    return any(typing.get_origin(kind) is tuple for kind in kinds)


def members(hint: Any) -> tuple[Any, ...]:
    """The types of a union, else the type itself."""
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        return typing.get_args(hint)
    return (hint,)
