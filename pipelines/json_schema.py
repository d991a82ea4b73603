"""JSON values checked against type hints: dataclasses and typed dictionaries are the schema.

A hint is what Python and mypy read as well, so nothing is stated twice: `int`, `float`, `bool`,
`str`, `Any`, a `Literal`, a union, `tuple[...]`, `list[...]`, `dict[str, ...]`, a dataclass or a
TypedDict. A number's `Bounds` stand in `Annotated[int, Bounds(at_least=1)]`, or in the `flag` of a
`Settings`. Of a dictionary whose keys are a Literal, all have to be there.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import types
import typing
from collections.abc import Collection, Mapping
from typing import Annotated, Any, Literal, NotRequired

from pipelines.json_file import shown
from pipelines.settings import Bounds, members

WORDS = {
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    str: "a text",
    types.NoneType: "null",
}
TYPES = {
    int: (int,),
    float: (int, float),
    bool: (bool,),
    str: (str,),
    types.NoneType: (type(None),),
}


class SchemaError(ValueError):
    """A value that does not fit: "variables[3].shape is 5; expected a list"."""


class UnknownKeyError(SchemaError):
    """A key that this version does not know, perhaps of another version."""


def value_of(hint: Any, value: Any, where: str = "") -> Any:
    """Checks a JSON value; gives what it stands for: lists as tuples, objects as dataclasses.

    Args:
      hint: the type that it should have.
      value: as `json.loads` gives it; tuples count as lists.
      where: its key's path, "spec.shape"; "" of the whole file.

    Raises:
      SchemaError: the path, what stands there and what was expected.
    """
    kind, bounds = _parted(hint)
    for member in members(kind):
        if _is_of(member, value):
            return _inside(member, bounds, value, where)
    raise _unexpected(kind, bounds, value, where)


def fields_of(cls: Any, values: Any, where: str, known: Collection[str] = ()) -> dict[str, Any]:
    """Checks the values of an object against a dataclass or TypedDict; missing ones may be missing.

    Args:
      cls: the class.
      values: the object.
      where: its key's path.
      known: further keys that it may have, which are not looked at.

    Returns:
      The values, as `value_of` gives them, without those of `known`.

    Raises:
      SchemaError: as `value_of`.
    """
    if not isinstance(values, dict):
        raise _unexpected(cls, Bounds(), values, where)
    hints, _ = _schema_of(cls)
    for name in sorted(values.keys() - hints.keys() - set(known)):
        raise UnknownKeyError(
            f"{where or 'the file'} has the key {shown(name)}, which this version does not know"
        )
    return {
        name: value_of(hint, values[name], below(where, name))
        for name, hint in hints.items()
        if name in values
    }


@functools.cache
def _schema_of(cls: Any) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The hint of each key of a dataclass or TypedDict, with its bounds; and the keys it must have.

    A TypedDict itself does not know which it must have, where annotations are postponed.
    """
    hints = typing.get_type_hints(cls, include_extras=True)
    if not dataclasses.is_dataclass(cls):
        optional = {n for n, hint in hints.items() if typing.get_origin(hint) is NotRequired}
        kinds = {n: typing.get_args(h)[0] if n in optional else h for n, h in hints.items()}
        return kinds, tuple(name for name in hints if name not in optional)
    fields = dataclasses.fields(cls)
    missing = dataclasses.MISSING
    needed = (f.name for f in fields if f.default is missing and f.default_factory is missing)
    return {f.name: _with(hints[f.name], f.metadata.get("bounds")) for f in fields}, tuple(needed)


def below(where: str, key: str | int) -> str:
    """Gives the path of a key, or of a place in a list: spec.shape, shape[1], names["a b"]."""
    if isinstance(key, int):
        return f"{where}[{key}]"
    if not key.isidentifier() or not key.isascii() or len(key) > 60:
        return f"{where}[{shown(key)}]"
    return f"{where}.{key}" if where else key


def _with(hint: Any, bounds: Bounds | None) -> Any:
    return Annotated[hint, bounds] if bounds else hint


def _parted(hint: Any) -> tuple[Any, Bounds]:
    """The type that a hint annotates, and the bounds of its numbers."""
    if typing.get_origin(hint) is not Annotated:
        return hint, Bounds()
    kind, *notes = typing.get_args(hint)
    return kind, next((note for note in notes if isinstance(note, Bounds)), Bounds())


def _is_of(kind: Any, value: Any) -> bool:
    """Tells whether a value is of a type, whatever is inside."""
    kind = _parted(kind)[0]
    origin = typing.get_origin(kind)
    if kind is Any:
        return True
    if kind in TYPES:
        return isinstance(value, TYPES[kind]) and (kind is bool or not isinstance(value, bool))
    if origin is Literal:
        return any(type(value) is type(name) and value == name for name in typing.get_args(kind))
    if origin in (tuple, list):
        return isinstance(value, (list, tuple))
    if origin is dict or typing.is_typeddict(kind) or dataclasses.is_dataclass(kind):
        return isinstance(value, dict)
    raise TypeError(f"{kind} is no type of a JSON value")


def _inside(kind: Any, bounds: Bounds, value: Any, where: str) -> Any:
    """Checks what is inside a value of this type."""
    kind, own = _parted(kind)
    bounds = own or bounds
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if kind in (int, float):
        if not math.isfinite(value) or (bounds and not bounds.hold(value)):
            raise _unexpected(kind, bounds, value, where)
        return value
    if origin in (tuple, list):
        return _items(kind, bounds, value, where)
    if origin is dict:
        keys, hint = arguments
        if typing.get_origin(keys) is Literal:
            _refuse_missing(typing.get_args(keys), value, where)
            for name in sorted(value.keys() - set(typing.get_args(keys))):
                raise UnknownKeyError(
                    f"{where} has the key {shown(name)}, which this version does not know"
                )
        return {
            name: value_of(_with(hint, bounds), v, below(where, name)) for name, v in value.items()
        }
    if typing.is_typeddict(kind):
        found = fields_of(kind, value, where)
        _refuse_missing(_schema_of(kind)[1], value, where)
        return found
    if dataclasses.is_dataclass(kind):
        return object_of(kind, value, where)
    return value


def object_of(cls: Any, values: Any, where: str) -> Any:
    """Gives an instance of a dataclass from a JSON object.

    Raises:
      SchemaError: as `value_of`; or its class refuses the values.
    """
    fitting = fields_of(cls, values, where)
    _refuse_missing(_schema_of(cls)[1], values, where)
    try:
        return cls(**fitting)
    except ValueError as error:  # Of values that do not fit each other.
        raise SchemaError(f"{where or 'the file'}: {error}") from None


def _items(kind: Any, bounds: Bounds, value: list, where: str) -> Any:
    hints = typing.get_args(kind)
    if typing.get_origin(kind) is list or hints[1:] == (...,):
        hints = (hints[0],) * len(value)
    if len(hints) != len(value):
        raise SchemaError(
            f"{where or 'the file'} is {shown(value)}; expected a list of {len(hints)}"
        )
    pairs = enumerate(zip(hints, value, strict=True))
    items = [value_of(_with(hint, bounds), item, below(where, n)) for n, (hint, item) in pairs]
    return items if typing.get_origin(kind) is list else tuple(items)


def _refuse_missing(names: Collection[str], values: Mapping[str, Any], where: str) -> None:
    for name in names:
        if name not in values:
            raise SchemaError(f"{where or 'the file'} has no key {name!r}; expected one")


def _unexpected(kind: Any, bounds: Bounds, value: Any, where: str) -> SchemaError:
    words = " or ".join(dict.fromkeys(_in_words(member, bounds) for member in members(kind)))
    return SchemaError(f"{where or 'the file'} is {shown(value)}; expected {words}")


def _in_words(kind: Any, bounds: Bounds) -> str:
    kind, own = _parted(kind)
    bounds = own or bounds
    origin = typing.get_origin(kind)
    if kind in (int, float) and bounds:
        return f"{WORDS[kind]}, {str(bounds).removeprefix('a number ')}"
    if kind in WORDS:
        return WORDS[kind]
    if origin is Literal:
        return f"one of {'|'.join(map(str, typing.get_args(kind)))}"
    return "a list" if origin in (tuple, list) else "an object"
