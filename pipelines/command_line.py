"""Command lines: absl flags made from dataclasses, and one line of error at the end.

The settings of a command are frozen dataclasses derived from `Settings`; each field has a help
text, bounds where it is a number, and becomes a flag of the same name. The flags are defined in
an absl `FlagValues` of their own once the model or codec is known, so that --help shows those
of the chosen one.
"""

from __future__ import annotations

import atexit
import contextlib
import dataclasses
import difflib
import errno
import gc
import os
import shlex
import signal
import sys
import typing
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from absl import flags

from pipelines import quiet_start, stopping
from pipelines.settings import Bounds, Settings, UsageError, bounds_in_words, flag, members

__all__ = [
    "Settings",
    "UsageError",
    "duration",
    "flag",
    "parse",
    "peek",
    "run_command",
]


def peek(argv: Sequence[str], name: str, default: str) -> str:
    """Gives the value of the last `--name=value` or `--name value`, before the line is parsed."""
    value = default
    for index, word in enumerate(argv):
        for dashes in ("--", "-"):
            if word.startswith(f"{dashes}{name}="):
                value = word.split("=", 1)[1]
            elif word == f"{dashes}{name}" and index + 1 < len(argv):
                value = argv[index + 1]
    return value


def parse(
    argv: Sequence[str],
    usage: str,
    *classes: type,
    retired: Mapping[str, str] | None = None,
    aliases: Mapping[str, str] | None = None,
) -> list[Any]:
    """Parses a command line; gives one instance of each flag dataclass.

    Args:
      argv: the command line without the program's name.
      usage: what the command does, for --help.
      classes: frozen dataclasses whose fields were made by `flag`; no two share a name.
      retired: {flag: remark}, flags of older programs, which are accepted and have no effect.
      aliases: {flag: field}, other names of flags; of a flag given by both names the last value
        counts.

    Raises:
      UsageError: names the wrong flag or value, and the nearest right ones.
    """
    values = flags.FlagValues()
    owner: dict[str, type] = {}
    hints = {cls: typing.get_type_hints(cls) for cls in classes}
    for cls in classes:
        for field in dataclasses.fields(cls):
            if field.name in owner:
                both = f"{owner[field.name].__name__} and {cls.__name__}"
                raise ValueError(f"--{field.name} is a setting of both {both}; rename one of them")
            owner[field.name] = cls
            _define(values, field, hints[cls][field.name], field.default)
    for alias, name in (aliases or {}).items():
        flags.DEFINE_alias(alias, name, flag_values=values)
    for name, _ in (retired or {}).items():
        flags.DEFINE_boolean(name, False, "Accepted, without effect.", flag_values=values)
    if any(word in ("--help", "-help", "-h") for word in argv):
        print(_help(values, usage, classes, aliases or {}))
        raise SystemExit(0)
    rest = _read(values, argv)
    if rest:
        raise UsageError(f"{rest[0]!r} is not a flag: flags are written --name=value")
    for name, cls in owner.items():
        if values[name].value in (None, "") and name in _required(cls):
            raise UsageError(f"--{name} must be given: {values[name].help}")
    said = [name for name in retired or {} if values[name].present]
    if said:
        print("note: " + "; ".join(f"--{n}: {(retired or {})[n]}" for n in said), file=sys.stderr)
    return [_instance(cls, values) for cls in classes]


def _read(values: flags.FlagValues, argv: Sequence[str]) -> list[str]:
    try:
        return list(values(["command", *argv])[1:])
    except flags.UnrecognizedFlagError as error:
        near = difflib.get_close_matches(error.flagname, list(values), n=3, cutoff=0.5)
        meant = f"; did you mean {' or '.join('--' + n for n in near)}?" if near else ""
        raise UsageError(f"there is no flag --{error.flagname}{meant} (--help lists all)") from None
    except flags.IllegalFlagValueError as error:
        raise UsageError(_in_words(str(error))) from None
    except flags.Error as error:
        raise UsageError(str(error)) from None


# What Python says of a wrong value, and what is meant.
_VALUES = {
    "invalid literal for int": "give a whole number",
    "could not convert string to float": "give a number",
    "Non-boolean argument": "give true or false, or nothing",
}


def _in_words(text: str) -> str:
    """Gives absl's "flag --name=value: reason" with a reason that says what to give."""
    for reason, words in _VALUES.items():
        if reason in text:
            return f"{text.split(': ')[0]}: {words}"
    return text


def _define(values: flags.FlagValues, field: dataclasses.Field, hint: Any, default: Any) -> None:
    kinds = [kind for kind in members(hint) if kind is not type(None)]
    text = field.metadata.get("help", "")
    start = None if default is dataclasses.MISSING else default
    kind = kinds[0]
    if typing.get_origin(kind) is Literal:
        names = [str(name) for name in typing.get_args(kind)]
        flags.DEFINE_enum(field.name, start, names, text, flag_values=values)
    elif typing.get_origin(kind) is tuple:
        listed = None if start is None else list(start)
        flags.DEFINE_list(field.name, listed, text, flag_values=values)
    elif kind is bool:
        flags.DEFINE_boolean(field.name, start, text, flag_values=values)
    elif kind is int:
        flags.DEFINE_integer(field.name, start, text, flag_values=values)
    elif kind is float:
        flags.DEFINE_float(field.name, start, text, flag_values=values)
    elif kind is str:
        flags.DEFINE_string(field.name, start, text, flag_values=values)
    else:
        raise TypeError(f"field {field.name} has the type {hint}, which is no flag's")


def _required(cls: type) -> set[str]:
    """Names of the fields without a default."""
    return {f.name for f in dataclasses.fields(cls) if f.default is dataclasses.MISSING}


def _instance(cls: type, values: flags.FlagValues) -> Any:
    hints = typing.get_type_hints(cls)
    given = {}
    for field in dataclasses.fields(cls):
        value = values[field.name].value
        for kind in members(hints[field.name]):
            if typing.get_origin(kind) is tuple and value is not None:
                value = _listed(field.name, value, typing.get_args(kind)[0])
        given[field.name] = value
    return cls(**given)


def _listed(name: str, words: Sequence[Any], kind: type) -> tuple[Any, ...]:
    try:
        return tuple(kind(word) for word in words)
    except ValueError:
        raise UsageError(
            f"--{name} is {','.join(map(str, words))}; give numbers, separated by commas"
            if kind is float
            else f"--{name} is {','.join(map(str, words))}; give whole numbers, separated by commas"
        ) from None


def _help(
    values: flags.FlagValues, usage: str, classes: Sequence[type], aliases: Mapping[str, str]
) -> str:
    lines = [usage.strip(), ""]
    for cls in classes:
        first = (cls.__doc__ or cls.__name__).strip().splitlines()[0]
        lines += [first]
        hints = typing.get_type_hints(cls)
        for field in dataclasses.fields(cls):
            item = values[field.name]
            shown = ",".join(map(str, item.value)) if isinstance(item.value, list) else item.value
            default = "" if shown in (None, "") else f"default: {shown}"
            if item.using_default_value and field.default is dataclasses.MISSING:
                default = "must be given"
            bounds = field.metadata.get("bounds", Bounds())
            also = [f"also --{alias}" for alias, name in aliases.items() if name == field.name]
            notes = [bounds_in_words(bounds, members(hints[field.name])), default, *also]
            said = "; ".join(filter(None, notes))
            choices = getattr(item.parser, "enum_values", None)
            one_of = f" [{'|'.join(choices)}]" if choices else ""
            text = field.metadata.get("help", "")
            lines.append(f"  --{field.name}{one_of}: {text}{f' ({said})' if said else ''}")
        lines.append("")
    return "\n".join(lines)


def _of_system(error: OSError) -> str:
    """Says what the system refused, where, and what to do about it."""
    if error.errno is None or (error.filename is None and error.errno not in _REMEDIES):
        return str(error)
    place = f"{os.fspath(error.filename)}: " if isinstance(error.filename, str) else ""
    remedy = _REMEDIES.get(error.errno, "")
    return f"{place}{(error.strerror or str(error)).lower()}{'; ' if remedy else ''}{remedy}"


_REMEDIES = {
    errno.ENOSPC: "make room on the disk and call the same command again; it goes on",
    errno.EDQUOT: "your share of the disk is used up: make room and call the same command again",
    errno.EFBIG: "files may not grow so large here (ulimit -f): raise the limit and call again",
    errno.EACCES: "give a place that you may read and write",
    errno.EROFS: "the file system is read-only; give another place",
    errno.ENOENT: "a folder or file on the way is missing; make it, or give another place",
    errno.EISDIR: "a directory stands where a file belongs; move it away",
    errno.ENOTDIR: "a file stands where a directory belongs; give another place",
    errno.EEXIST: "a file stands where a directory belongs; give another place",
    errno.ENOLCK: "its file system locks no files; give a place on another",
    errno.ENOSYS: "its file system locks no files; give a place on another",
}
JOB_VARIABLE = "CRNN_GAN_JOB"  # A job script's own command, in the environment of its stages.


def run_command(
    main: Callable[[list[str]], None],
    kept: Callable[[list[str]], str] = lambda argv: "what was written so far stays",
) -> int:
    """Runs a command on sys.argv.

    Args:
      main: the command; gets the words after its name.
      kept: gives, of those words, what stays where a signal stops it; without a full stop.

    Returns:
      Its exit status: 0 done, 1 failed, 130 stopped by Ctrl-C, 143 by SIGTERM.
    """
    quiet_start.install()
    # At its end Python would look through a million objects of TensorFlow, which takes seconds.
    atexit.register(gc.freeze)
    argv = sys.argv[1:]
    again = command_again(main, argv)

    def say(number: int, where: str = "") -> None:
        with contextlib.suppress(OSError):
            sys.stdout.flush()
        name = stopping.NAMES[signal.Signals(number)]
        begun = "\n" if sys.stderr.isatty() else ""  # The line with ^C, or with the progress.
        said = f"{begun}stopped by {name}{where or '; ' + kept(argv)}; go on with: {again}"
        print(said, file=sys.stderr, flush=True)

    with stopping.stoppable(say) as asked:
        try:
            status = _run(main, argv)
        except stopping.Stopped as stopped:
            say(stopped.number, stopped.where)
            return stopping.status(stopped.number)
        except Exception:
            if not asked.number:
                raise
            say(asked.number)  # Some library made another error of it.
        else:
            if not asked.number:
                return status
            if status:  # The signal ended what reads the output as well, for example.
                say(asked.number)
            else:
                print("the signal to stop came when all was done", file=sys.stderr)
        return stopping.status(asked.number)


def command_again(main: Callable[[list[str]], None], argv: Sequence[str]) -> str:
    """Gives what to type so that the same command runs again, or the job that it is a stage of."""
    if job := os.environ.get(JOB_VARIABLE):
        return job
    module = main.__module__
    if module == "__main__":
        specification = sys.modules["__main__"].__spec__
        module = specification.name if specification else ""
    program = ["-m", module] if module else [sys.argv[0]]
    backend = os.environ.get("KERAS_BACKEND")
    before = f"KERAS_BACKEND={shlex.quote(backend)} " if backend else ""
    return before + shlex.join([sys.orig_argv[0], *program, *argv])


def _run(main: Callable[[list[str]], None], argv: list[str]) -> int:
    try:
        main(argv)
    except stopping.Stopped:
        raise
    except KeyboardInterrupt:  # Raised by a library: no signal came here.
        print("stopped by Ctrl-C; what was written so far stays", file=sys.stderr)
        return 130
    except BrokenPipeError:  # Whoever read the output has seen enough of it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        print(f"error: {_of_system(error)}", file=sys.stderr)
        return 1
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def duration(seconds: float) -> str:
    """Writes a duration in words: "45 s", "3 min 20 s", "2 h 05 min"."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60:02d} min"
