"""The list of sources that `python -m pipelines.prepare --list` prints."""

from __future__ import annotations

import shutil
import sys
import textwrap

from pipelines.sources.source import Source, source_class, source_names

NARROWEST = 60  # Columns of text, however narrow the terminal is.


def sources() -> str:
    """Gives a paragraph per source: name, size, whether it is here, description, licence."""
    types = [source_class(name) for name in source_names()]
    rows = [(cls.name, _size(cls), _presence(cls)) for cls in types]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    columns = max(NARROWEST, shutil.get_terminal_size((100, 24)).columns)
    lines = []
    for cls, row in zip(types, rows, strict=True):
        cells = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        indent = " " * (widths[0] + 2)
        lines.append(cells.rstrip())
        for text in (_what(cls), f"Licence: {cls.licence}"):
            lines += textwrap.wrap(text, columns, initial_indent=indent, subsequent_indent=indent)
    return "\n".join(lines)


def _size(cls: type[Source]) -> str:
    if cls.by_hand:
        return "by hand"
    if cls.download_bytes is None:
        return "size unknown"
    if not cls.download_bytes:
        return "no download needed"
    for unit, size in (("GB", 10**9), ("MB", 10**6)):
        if cls.download_bytes >= size:
            return f"{cls.download_bytes / size:.1f} {unit}"
    return f"{max(1, round(cls.download_bytes / 1000))} kB"


def _presence(cls: type[Source]) -> str:
    """Says whether the source, with its default flags, is on this machine."""
    if not cls.download_bytes and cls.download_bytes is not None:
        return ""  # Its size says that already.
    return "present" if cls().is_present() else "not present"


def _what(cls: type[Source]) -> str:
    """The first line of the source's file, without the name."""
    first = (sys.modules[cls.__module__].__doc__ or "").strip().partition("\n")[0]
    return first.removeprefix(f"{cls.name}: ")
