"""MusicXML as a tree of elements, parsed without trust."""

from __future__ import annotations

from collections import Counter
from xml.etree import ElementTree as ET
from xml.parsers import expat

# Of a file: a tree takes about 100 bytes for an element, and 300 more for its attributes. Scores of
# the music21 corpus have a tag per 13 bytes and more, an attribute per 60 and more.
MOST_TAGS, MOST_ATTRIBUTES = 3_000_000, 1_000_000
# What may stand in a file and is not read, by the names of elements.
NOT_READ = {
    "accidental-mark": "ornaments",
    "arpeggiate": "arpeggiated notes",
    "articulations": "articulated notes",
    "bend": "bends",
    "delayed-inverted-turn": "turns",
    "delayed-turn": "turns",
    "fermata": "fermatas",
    "figured-bass": "figured basses",
    "glissando": "glissandos",
    "harmony": "chord symbols",
    "haydn": "ornaments",
    "inverted-mordent": "mordents",
    "inverted-turn": "turns",
    "inverted-vertical-turn": "turns",
    "lyric": "lyrics",
    "measure-repeat": "measure repeat signs",
    "mordent": "mordents",
    "other-ornament": "ornaments",
    "pedal": "pedal marks",
    "schleifer": "ornaments",
    "shake": "ornaments",
    "slide": "glissandos",
    "slur": "slurs",
    "tremolo": "tremolos",
    "trill-mark": "trills",
    "turn": "turns",
    "vertical-turn": "turns",
    "wedge": "hairpins",
}
_ENDS = ("stop", "continue")  # Types of elements that end what another began.


def parse(content: bytes) -> ET.Element:
    """Parses a file to a tree whose root is score-partwise.

    Raises:
      ValueError: it is no well-formed MusicXML, declares entities, or has too many elements.
    """
    root = parse_elements(content)
    if root.tag == "score-timewise":
        return _by_part(root)
    if root.tag != "score-partwise":
        raise ValueError(f"its root is {root.tag[:40]}; expected score-partwise or score-timewise")
    return root


def parse_elements(content: bytes) -> ET.Element:
    """Parses XML; names lose their namespaces. ValueError as of `parse`."""
    if content.count(b"<") > MOST_TAGS:
        raise ValueError(f"it has more than {MOST_TAGS} tags")
    if content.count(b'="') + content.count(b"='") > MOST_ATTRIBUTES:
        raise ValueError(f"it has more than {MOST_ATTRIBUTES} attributes")
    _refuse_entities(content)
    try:
        root = ET.fromstring(content)
    except (ET.ParseError, LookupError, ValueError) as error:  # LookupError: of encodings.
        raise ValueError(f"it is no well-formed XML: {error}") from error
    for element in root.iter():
        if element.tag.startswith("{"):
            element.tag = element.tag.partition("}")[2]
    return root


def _refuse_entities(content: bytes) -> None:
    def refuse(name: str, *_: object) -> None:
        raise ValueError(f"it declares the entity {name[:40]!r}; MusicXML needs none")

    parser = expat.ParserCreate()
    parser.EntityDeclHandler = refuse
    try:
        parser.Parse(content, True)
    except (expat.ExpatError, LookupError) as error:
        raise ValueError(f"it is no well-formed XML: {error}") from error


def _by_part(root: ET.Element) -> ET.Element:
    """Turns measures of parts into parts of measures."""
    parts: dict[str, ET.Element] = {}
    by_part = ET.Element("score-partwise")
    by_part.extend([child for child in root if child.tag != "measure"])
    for measure in root.iterfind("measure"):
        for part in measure.iterfind("part"):
            name = part.get("id", "")
            if name not in parts:
                parts[name] = ET.SubElement(by_part, "part", {"id": name})
            copy = ET.SubElement(parts[name], "measure", measure.attrib)
            copy.extend(part)
    return by_part


def count_not_read(root: ET.Element) -> Counter[str]:
    """Counts the elements that are not read, by the names of `NOT_READ`."""
    counts: Counter[str] = Counter()
    for element in root.iter():
        name = NOT_READ.get(element.tag)
        if name is not None and element.get("type") not in _ENDS:
            counts[name] += 1
    return counts


def text_of(element: ET.Element | None, tag: str) -> str | None:
    """Gives the stripped text of the first child with that tag; None without text."""
    found = element.find(tag) if element is not None else None
    return (found.text or "").strip() or None if found is not None else None
