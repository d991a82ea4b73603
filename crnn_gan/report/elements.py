"""HTML elements as text: all text of a page passes through here and is escaped here."""

from __future__ import annotations

import html
from collections.abc import Iterable

VOID = {"br", "hr", "link", "meta"}  # Elements without an end tag, of those used here.


class Markup(str):
    """Text that is HTML already."""

    __slots__ = ()


Child = str | Iterable["Child"] | None


def element(name: str, /, *children: Child, **attributes: str | float | bool | None) -> Markup:
    """Gives an element.

    Args:
      name: its tag.
      *children: text, which is escaped unless it is Markup; sequences of children; None for
        nothing.
      **attributes: "_" becomes "-", one at the end is dropped (`class_`). True gives a bare
        attribute; None and False give none.
    """
    head = f"<{name}{''.join(_attribute(*item) for item in attributes.items())}>"
    return Markup(head if name in VOID else f"{head}{markup(*children)}</{name}>")


def markup(*children: Child) -> Markup:
    """Gives children as HTML, one after another."""
    return Markup("".join(_text(child) for child in children))


def _text(child: Child) -> str:
    if child is None or isinstance(child, Markup):
        return child or ""
    if isinstance(child, str):
        return html.escape(child, quote=False)
    return "".join(map(_text, child))


def _attribute(name: str, value: str | float | bool | None) -> str:
    name = name.rstrip("_").replace("_", "-")
    if value is None or value is False:
        return ""
    if value is True:
        return f' {name}=""'
    return f' {name}="{html.escape(value if isinstance(value, str) else f"{value:g}")}"'
