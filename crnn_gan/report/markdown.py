"""Markdown as HTML: the subset that model and data cards are written in.

Headings, paragraphs, lists, tables, fenced code, `code`, **bold**. Images are named, not shown;
links stay text. Everything else is shown as it is.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from crnn_gan.report.elements import Child, Markup, element, markup

INLINE = re.compile(r"(`[^`]+`|\*\*[^*]+\*\*|!?\[[^\]]*\]\([^)]*\))")
PICTURE_OR_LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)]*)\)")
RULE = re.compile(r"\|?\s*:?-{3,}:?\s*(\|\s*:?-{3,}:?\s*)*\|?\s*")
HEADING = re.compile(r"(#{1,6})\s+(.*)")
ITEM = re.compile(r"[-*]\s+(.*)")


def to_html(text: str) -> Markup:
    """Converts Markdown to HTML; its headings begin at h4, below those of the page."""
    lines = text.split("\n")
    parts: list[Markup] = []
    at = 0
    while at < len(lines):
        line = lines[at].rstrip()
        if line.startswith("```"):
            end = _until(lines, at + 1, lambda other: other.startswith("```"))
            parts.append(element("pre", element("code", "\n".join(lines[at + 1 : end]))))
            at = end + 1
        elif match := HEADING.fullmatch(line):
            parts.append(element(f"h{min(6, 3 + len(match[1]))}", _inline(match[2])))
            at += 1
        elif _is_table(lines, at):
            end = _until(lines, at, lambda other: not other.startswith("|"))
            parts.append(_table([_cells(row) for row in lines[at:end]]))
            at = end
        elif ITEM.fullmatch(line):
            end = _until(lines, at, lambda other: not ITEM.fullmatch(other.rstrip()))
            found = (ITEM.fullmatch(item.rstrip()) for item in lines[at:end])
            parts.append(element("ul", [element("li", _inline(i[1])) for i in found if i]))
            at = end
        elif line:
            first = at
            end = _until(lines, at + 1, lambda other: not other.strip() or _is_start(other))
            parts.append(element("p", _inline(" ".join(lines[first:end]))))
            at = end
        else:
            at += 1
    return markup(parts)


def _until(lines: list[str], first: int, is_end: Callable[[str], bool]) -> int:
    return next((i for i in range(first, len(lines)) if is_end(lines[i])), len(lines))


def _is_start(line: str) -> bool:
    """Whether a line begins something else than a paragraph."""
    return bool(line.startswith(("```", "|")) or HEADING.fullmatch(line) or ITEM.fullmatch(line))


def _is_table(lines: list[str], at: int) -> bool:
    return (
        lines[at].startswith("|")
        and at + 1 < len(lines)
        and bool(RULE.fullmatch(lines[at + 1].rstrip()))
    )


def _cells(row: str) -> list[str]:
    return [cell.strip() for cell in row.strip().strip("|").split("|")]


def _table(rows: list[list[str]]) -> Markup:
    head, _, *body = rows
    table = element(
        "table",
        element("thead", element("tr", [element("th", _inline(c), scope="col") for c in head])),
        element("tbody", [element("tr", [element("td", _inline(c)) for c in row]) for row in body]),
    )
    return element("div", table, class_="scrolls")


def _inline(text: str) -> list[Child]:
    return [_span(part) for part in INLINE.split(text) if part]


def _span(part: str) -> Child:
    if match := PICTURE_OR_LINK.fullmatch(part):
        is_picture, words, address = match.groups()
        if is_picture:
            return element("em", f"(image: {words or address})")
        return f"{words} ({address})" if address != words else words
    if part.startswith("`") and len(part) > 2:
        return element("code", part[1:-1])
    if part.startswith("**") and len(part) > 4:
        return element("strong", part[2:-2])
    return part
