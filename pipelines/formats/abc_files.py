"""Files of ABC tunes, split into tunes: number, title, text and first line of each."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import os
import re
import stat
from collections.abc import Sequence
from pathlib import Path

from pipelines.formats.abc_fields import AbcError
from pipelines.formats.abc_tokens import lines_outside_blocks

LARGEST_BYTES = 64 * 2**20  # Of a file of tunes.

_FIRST_LINE = re.compile(r"(?m)^X:(?![|:])")  # X:| is a rest and a repeat.
_BLANK_LINE = re.compile(r"\n[ \t]*(?=\n)")
_KEY_LINE = re.compile(r"(?m)^K:")
# What the header of a file may hold: directives, and the fields that section 3 allows there;
# Q: was allowed before ABC 2.
_HEADER_LINE = re.compile(r"%%(?!begin)\s*[A-Za-z]|[A-DF-JL-OQRSUZmr]:")


@dataclasses.dataclass(frozen=True)
class TuneText:
    """The text of a tune in a file of tunes.

    Attributes:
      number: of its X: field; where that is missing or was used before, one more than the
        largest in the file.
      title: its first T: field.
      text: from X: up to the blank line that ends it, with the fields of the file's header
        after X:. Lines end in a line feed, whatever they end in in the file.
      line: its first line in the file, from 1.
    """

    number: int
    title: str
    text: str
    line: int


def tunes(text: str) -> list[TuneText]:
    """Splits a file into tunes; text between them is left out.

    A tune begins with X:, or without one where a block of lines has a field K:. It ends at a
    blank line or at the next X:. What stands before the first tune is the header of the file,
    whose fields and directives hold for all of them.
    """
    text = text.replace("\r\n", "\n").replace("\r", "\n").removeprefix("\ufeff")
    found: list[tuple[str, int]] = []
    before, line = "", 1
    for block in _BLANK_LINE.split(text):
        starts = [match.start() for match in _FIRST_LINE.finditer(block)]
        if not starts and _KEY_LINE.search(block):
            starts = [len(block) - len(block.lstrip("\n"))]
        if not found:
            before += f"{block[: starts[0]] if starts else block}\n"
        for start, end in itertools.pairwise([*starts, len(block)]):
            own = block[start:end].strip("\n")
            found.append((own, line + block.count("\n", 0, start)))
        line += block.count("\n") + 1
    header = _header(before)
    numbers = _numbers([own for own, _ in found])
    return [
        TuneText(number, _title(own), _with_header(own, header), at)
        for number, (own, at) in zip(numbers, found, strict=True)
    ]


def _numbers(texts: Sequence[str]) -> list[int]:
    """Gives each tune a number of its own, its X: where it can."""
    matches = [re.match(r"X:[ \t]*(\d{1,9})\b", text) for text in texts]
    said = [int(match[1]) if match else None for match in matches]
    following = max([0, *(number for number in said if number is not None)]) + 1
    taken: set[int] = set()
    for place, number in enumerate(said):
        if number is None or number in taken:
            said[place], following = following, following + 1
        taken.add(said[place])  # type: ignore[arg-type]
    return said  # type: ignore[return-value]


def _header(text: str) -> str:
    """Gives the lines of the header of a file; blocks of text, which are directives too, go."""
    rows = [row.rstrip() for _, row in lines_outside_blocks(text)]
    return "".join(f"{row}\n" for row in rows if _HEADER_LINE.match(row))


def _title(text: str) -> str:
    match = re.search(r"(?m)^T:(.*)", text)
    return match[1].strip() if match else ""


def _with_header(text: str, header: str) -> str:
    if not header:
        return text
    first, _, rest = text.partition("\n")
    return f"{first}\n{header}{rest}" if first.startswith("X:") else header + text


def tunes_of_file(path: str | os.PathLike[str]) -> list[TuneText]:
    """Lists the tunes of a file. Raises AbcError, OSError as `abc_notation.read`."""
    return list(tunes_by_number(path).values())


def tune_numbers(path: str | os.PathLike[str]) -> list[int]:
    """Lists the numbers of the tunes of a file. Raises AbcError, OSError as `abc_notation.read`."""
    return list(tunes_by_number(path))


def tunes_by_number(path: str | os.PathLike[str]) -> dict[int, TuneText]:
    """Gives {number: tune} of a file. Raises AbcError, OSError as `abc_notation.read`."""
    return _tunes_of_file(*_version(path))


def _version(path: str | os.PathLike[str]) -> tuple[str, int, int]:
    """Gives what changes when a file does: its path, time and size."""
    status = Path(path).stat()
    if not stat.S_ISREG(status.st_mode):
        raise AbcError("is not a regular file", path=os.fspath(path))
    return os.fspath(path), status.st_mtime_ns, status.st_size


@functools.lru_cache(2)  # The tunes of a file are read one after the other.
def _tunes_of_file(path: str, _modified: int, _size: int) -> dict[int, TuneText]:
    return {tune.number: tune for tune in tunes(_text_of(path))}


def _text_of(path: str) -> str:
    with Path(path).open("rb") as file:
        data = file.read(LARGEST_BYTES + 1)
    if len(data) > LARGEST_BYTES:
        raise AbcError(f"is larger than {LARGEST_BYTES} bytes", path=os.fspath(path))
    return decoded(data)


def decoded(data: bytes) -> str:
    """Decodes bytes as UTF-8, or else as Latin-1; most files do not say which."""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("latin-1")
