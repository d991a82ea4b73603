"""Formatting of numbers."""

from __future__ import annotations

from crnn_gan.metrics import bands

NO_BREAK = "\N{NO-BREAK SPACE}"
MINUS, EN_DASH = "\N{MINUS SIGN}", "\N{EN DASH}"


def number(value: float) -> str:
    """Formats a number with two to three significant digits: 1,204, 107, 21.3, 0.71, 0.0031."""
    if 0 < abs(value) < 0.01:
        text = f"{value:.2g}"
    else:
        text = f"{value:,.0f}" if abs(value) >= 1000 else bands.number(value)
    return text.replace("-", MINUS) if "e" not in text else text


def percent(share: float) -> str:
    """Formats a share as a whole percentage; "<1" and ">99" instead of a rounded 0 and 100."""
    rounded = round(100 * share)
    if rounded == 0 and share > 0:
        return f"<1{NO_BREAK}%"
    if rounded == 100 and share < 1:
        return f">99{NO_BREAK}%"
    return f"{rounded}{NO_BREAK}%"


def count(number_of: int, thing: str) -> str:
    """Formats a number of things: 1 piece, 1,204 pieces."""
    return f"{number_of:,} {thing}{'' if number_of == 1 else 's'}"


def duration(seconds: float) -> str:
    """Formats a duration: 11.6 s, 9 min 12 s, 3 h 20 min."""
    if seconds < 60:
        return f"{bands.number(seconds)} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def span(low: float, high: float) -> str:
    """Formats a range with an en dash: 0.36 - 0.97."""
    return f"{number(low)} {EN_DASH} {number(high)}"


def unbroken(text: str) -> str:
    """Keeps numbers and percent signs on one line."""
    return text.replace(" %", f"{NO_BREAK}%")
