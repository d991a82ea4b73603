"""JSON files that others may have written: read with limits, and faults said in one sentence."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any

MOST_BYTES = 2**26  # A manifest of a million pieces has a tenth of that.
DEEPEST = 32  # Objects and lists within each other; what we write has at most six.
MOST_DIGITS = 20  # Of a whole number: those of 64 bits have at most that many, with the sign.
STRINGS = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"?', re.DOTALL)
SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
BRACKETS = b"[]{}"
NO_BRACKETS = bytes(byte for byte in range(256) if byte not in BRACKETS)
BYTE_ORDER_MARKS = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")


class JSONFileError(ValueError):
    """A file that is no JSON as we write it; the text says what is wrong, not in which file."""


def read_json(path: Path) -> Any:
    """Reads a JSON file of ours.

    Raises:
      JSONFileError: it is a directory, too large, no UTF-8, no JSON, nested too deeply, has a key
        twice, or holds a number that is not finite or has more than 64 bits.
      OSError: it is missing or may not be read.
    """
    return parse_json(_content(path))


def _content(path: Path) -> bytes:
    """Reads a file of bounded size. JSONFileError where it is none, OSError where it is missing."""
    if path.is_dir():
        raise JSONFileError("a directory stands in its place; expected a file")
    if path.exists() and not path.is_file():  # A pipe would never end.
        raise JSONFileError("it is no ordinary file; expected one")
    if path.stat().st_size > MOST_BYTES:
        raise JSONFileError(f"it is larger than {MOST_BYTES // 2**20} MiB, which no such file is")
    return path.read_bytes()


def parse_json(content: bytes) -> Any:
    """Parses the content of a JSON file of ours.

    Raises:
      JSONFileError: as `read_json`.
    """
    if not content.strip():
        raise JSONFileError("it is empty; expected JSON")
    if content.startswith(BYTE_ORDER_MARKS):
        raise JSONFileError("it begins with a byte order mark; expected UTF-8 without one")
    _refuse_depth(content)
    try:
        values = json.loads(
            content.decode(),
            object_pairs_hook=_without_twins,
            parse_constant=_refused_constant,
            parse_float=_finite,
            parse_int=_of_64_bits,
        )
    except UnicodeDecodeError as error:
        raise JSONFileError(f"byte {error.start} is no UTF-8; expected JSON in UTF-8") from None
    except json.JSONDecodeError as error:
        raise JSONFileError(
            f"line {error.lineno}, column {error.colno}: {error.msg}; expected JSON"
        ) from None
    if SURROGATE.search(content):
        try:
            json.dumps(values, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            raise JSONFileError(
                "it holds half of a surrogate pair, which is no character"
            ) from None
    return values


def _refuse_depth(content: bytes) -> None:
    """Refuses deep nesting before the parser, which is recursive, meets it."""
    depth = 0
    for bracket in STRINGS.sub(b"", content).translate(None, NO_BRACKETS):
        depth += 1 if bracket in b"[{" else -1
        if depth > DEEPEST:
            raise JSONFileError(f"it is nested more than {DEEPEST} deep, which no such file is")


def _without_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise JSONFileError(f"it has the key {shown(name)} twice in one object")
        found[name] = value
    return found


def _refused_constant(name: str) -> Any:
    raise JSONFileError(f"it holds {name}, which is no JSON; expected a finite number")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise JSONFileError(f"it holds {_cut(text)}, which is too large; expected a finite number")
    return value


def _of_64_bits(text: str) -> int:
    if len(text) <= MOST_DIGITS and -(2**63) <= int(text) < 2**64:
        return int(text)
    raise JSONFileError(f"it holds {_cut(text)}; expected whole numbers of at most 64 bits")


def shown(value: Any) -> str:
    """Writes a JSON value on one line, cut where it is long."""
    if isinstance(value, dict) and len(value) > 3:
        return f"an object of {len(value)} keys"
    if isinstance(value, list) and len(value) > 20:
        return f"a list of {len(value)}"
    return _cut(json.dumps(value))


def _cut(text: str, most: int = 60) -> str:
    return text if len(text) <= most else f"{text[:most]}..."


def read_text(path: Path) -> str:
    """Reads a text in UTF-8. ValueError, which names the file, where it is none or too large."""
    try:
        return decoded(path, _content(path))
    except JSONFileError as error:
        raise ValueError(f"{path}: {error}") from None


def decoded(path: Path, content: bytes) -> str:
    """Gives the text of a file's content. ValueError, which names the file, where it is none."""
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: byte {error.start} is no UTF-8; expected a text") from None
