"""Numbers as people read them."""

from __future__ import annotations

from crnn_gan.metrics import bands

NO_BREAK = "\N{NO-BREAK SPACE}"
MINUS, EN_DASH = "\N{MINUS SIGN}", "\N{EN DASH}"


def number(value: float) -> str:
    """Writes a number with as many digits as it needs: 1,204, 107, 21.3, 0.71, 0.0031."""
    if 0 < abs(value) < 0.01:
        text = f"{value:.2g}"
    else:
        text = f"{value:,.0f}" if abs(value) >= 1000 else bands.number(value)
    return text.replace("-", MINUS) if "e" not in text else text


def percent(share: float) -> str:
    """Writes a share as whole per cents; "<1" and ">99" where rounding would hide some."""
    rounded = round(100 * share)
    if rounded == 0 and share > 0:
        return f"<1{NO_BREAK}%"
    if rounded == 100 and share < 1:
        return f">99{NO_BREAK}%"
    return f"{rounded}{NO_BREAK}%"


def count(number_of: int, thing: str) -> str:
    """Writes a number of things: 1 piece, 1,204 pieces."""
    return f"{number_of:,} {thing}{'' if number_of == 1 else 's'}"


def duration(seconds: float) -> str:
    """Writes how long music lasts: 11.6 s, 9 min 12 s, 3 h 20 min."""
    if seconds < 60:
        return f"{bands.number(seconds)} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def span(low: float, high: float) -> str:
    """Writes a range: 0.36 - 0.97, with a dash of the right length."""
    return f"{number(low)} {EN_DASH} {number(high)}"


def unbroken(text: str) -> str:
    """Keeps numbers and the sign for per cent on one line."""
    return text.replace(" %", f"{NO_BREAK}%")
