"""Presets: named sets of a model's settings, which stand for their flags on a command line."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any

from pipelines.settings import UsageError

HELP = (
    "named sets of the model's settings, separated by commas; each stands for its flags, and what "
    "comes later on the command line wins"
)
_FLAG = "preset"


def expanded(
    argv: Sequence[str], presets: Mapping[str, Mapping[str, Any]], warn: bool = True
) -> list[str]:
    """Gives a command line with the flags of each preset after the word that names it.

    `--preset=paper,tiny --max_epoch=3` becomes that, and between the two all flags of `paper`, then
    all of `tiny`: of the three the last that sets a field wins.

    Args:
      argv: words, without the program's name.
      presets: those of the model, {name: {field: value}}.
      warn: says on stderr which flags stand before a preset that sets them anew.

    Raises:
      UsageError: the model has no such preset; those it has are named.
    """
    words: list[str] = []
    rest = list(argv)
    while rest:
        word = rest.pop(0)
        words.append(word)
        flag, equals, value = word.lstrip("-").partition("=")
        if not word.startswith("-") or flag != _FLAG:
            continue
        if not equals and rest:
            value = rest.pop(0)
            words.append(value)
        for name in filter(None, value.split(",")):
            settings = _preset(name, presets)
            if warn:
                _say_what_is_set_anew(words, name, settings)
            words += [f"--{field}={_written(setting)}" for field, setting in settings.items()]
    return words


def _preset(name: str, presets: Mapping[str, Mapping[str, Any]]) -> Mapping[str, Any]:
    if name not in presets:
        known = ", ".join(presets) or "none"
        raise UsageError(f"--{_FLAG}={name} is not known; this model's presets are: {known}")
    return presets[name]


def _written(value: Any) -> str:
    """Gives a value as a command line has it."""
    if isinstance(value, tuple | list):
        return ",".join(map(str, value))
    return str(value).lower() if isinstance(value, bool) else str(value)


def _say_what_is_set_anew(words: Sequence[str], name: str, settings: Mapping[str, Any]) -> None:
    before = {word.lstrip("-").partition("=")[0] for word in words if word.startswith("-")}
    anew = [field for field in settings if before & {field, f"no{field}"}]
    if anew:
        flags = ", ".join(f"--{field}" for field in anew)
        print(f"note: --{_FLAG}={name} stands after {flags} and wins", file=sys.stderr)
