"""Small MusicXML files for tests: notes in a line, measures, parts."""

from __future__ import annotations

import re
from pathlib import Path

from pipelines.formats import notation
from pipelines.reading_result import Reading

DIVISIONS = 4  # Per quarter.
FOUR_FOUR = "<time><beats>4</beats><beat-type>4</beat-type></time>"


def attributes(*content: str) -> str:
    """An <attributes> with the divisions of these files."""
    return f"<attributes><divisions>{DIVISIONS}</divisions>{''.join(content)}</attributes>"


def note(
    name: str = "C4", quarters: float = 1, content: str = "", *, voice: str = "1", ties: str = ""
) -> str:
    """A note such as "C4" or "Bb3", or a rest "r".

    Args:
      content: elements that come first in it, such as <cue/> or <chord/>.
      ties: words of "start" and "stop".
    """
    step, alter, octave = re.fullmatch(r"([A-Gr])([b#]?)(-?\d?)", name).groups()
    pitch = "<rest/>"
    if step != "r":
        number = {"b": -1, "#": 1, "": 0}[alter]
        pitch = f"<step>{step}</step><alter>{number}</alter><octave>{octave}</octave>"
        pitch = f"<pitch>{pitch}</pitch>"
    tied = "".join(f'<tie type="{kind}"/>' for kind in ties.split())
    after = "".join(re.findall(r"<(?:staff|notations|type)\b.*", content))
    before = content[: len(content) - len(after)]
    duration = round(quarters * DIVISIONS)
    return (
        f"<note>{before}{pitch}<duration>{duration}</duration>{tied}"
        f"<voice>{voice}</voice>{after}</note>"
    )


def backup(quarters: float) -> str:
    """A <backup>."""
    return f"<backup><duration>{round(quarters * DIVISIONS)}</duration></backup>"


def measures(*contents: str) -> str:
    """Measures of a part; the first gets divisions and 4/4 where it says no attributes."""
    first = contents[0]
    if "<attributes>" not in first:
        first = attributes(FOUR_FOUR) + first
    return "".join(
        f'<measure number="{number}">{content}</measure>'
        for number, content in enumerate((first, *contents[1:]), start=1)
    )


def score(*parts: str, head: str = "") -> str:
    """A score of parts, each a string of measures; `head` goes before the list of parts."""
    listed = "".join(
        f'<score-part id="P{n}"><part-name>p</part-name></score-part>' for n in range(len(parts))
    )
    music = "".join(f'<part id="P{n}">{part}</part>' for n, part in enumerate(parts))
    return (
        f'<?xml version="1.0"?><score-partwise version="4.0">{head}'
        f"<part-list>{listed}</part-list>{music}</score-partwise>"
    )


def reading(folder: Path, text: str, plays_repeats: bool = True) -> Reading:
    """Reads a text through a file."""
    path = folder / "score.musicxml"
    path.write_text(text, encoding="utf-8")
    return notation.read(path, plays_repeats)


def sounding(read: Reading) -> list[str]:
    """The notes as "pitch:onset-end" in quarters, by onset and pitch."""
    quarter = read.score.ticks_per_quarter
    return [
        f"{n['pitch']}:{n['onset'] / quarter:g}-{(n['onset'] + n['duration']) / quarter:g}"
        for n in read.score.notes
    ]


def velocities(read: Reading) -> list[int]:
    """The velocities by onset and pitch."""
    return read.score.notes["velocity"].tolist()
