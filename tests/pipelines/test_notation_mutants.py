"""Mutants of notation, still well-formed: each is read, or refused in words."""

import random
import re
from xml.etree import ElementTree as ET

import pytest
from musicxml_texts import FOUR_FOUR, attributes, backup, measures, note, score

from pipelines.formats import musicxml_tree, notation, score_files
from pipelines.sources.corpus import corpus_root

NUMBERS = ["0", "1", "-1", "7", "999999999", "0.5", "1e9", "", "x", "2147483648", "9" * 30]
OWN = score(
    measures(
        attributes(
            FOUR_FOUR, "<key><fifths>0</fifths></key><transpose><chromatic>-2</chromatic>"
        ).replace("</chromatic>", "</chromatic></transpose>")
        + note("C4", 2, ties="start")
        + note("E4", 2, "<cue/>")
        + backup(4)
        + note("C3", 4, voice="2"),
        '<barline location="left"><repeat direction="forward"/></barline>'
        + note("C4", 4, ties="stop")
        + '<direction><direction-type><words>D.C.</words></direction-type><sound dacapo="yes"/>'
        "</direction>"
        '<barline location="right"><ending number="1" type="stop"/><repeat direction="backward"/>'
        "</barline>",
    )
)
TOKENS = [
    *("*^", "*v", "*-", "*+", "*x", "**kern", "*>A", "*>[A,A]", "*cue", "*M0/0", "*MM0", "*k[f#]"),
    *("=:|!", "=!|:", ".", "4c", "[2c", "2c]", "8qd", "0r", "99999c", "3%7c", "(", "4r 4c"),
]


def changed_xml(root, chance):
    """Changes texts and attributes; removes, doubles, shuffles and moves elements."""
    for _ in range(chance.choice([1, 2, 5, 20])):
        elements = list(root.iter())
        parents = [element for element in elements if len(element)]
        if not parents:
            return
        parent, kind = chance.choice(parents), chance.random()
        if kind < 0.4:
            texts = [element for element in elements if (element.text or "").strip()]
            chance.choice(texts or elements).text = chance.choice([*NUMBERS, "start", "quarter"])
        elif kind < 0.5:
            with_attributes = [element for element in elements if element.attrib] or [parent]
            element = chance.choice(with_attributes)
            for name in list(element.attrib)[:1]:
                element.set(name, chance.choice([*NUMBERS, "start", "backward", "yes"]))
        elif kind < 0.65:
            parent.remove(chance.choice(list(parent)))
        elif kind < 0.8:
            parent.insert(chance.randrange(len(parent) + 1), chance.choice(list(parent)))
        elif kind < 0.9:
            parent[:] = chance.sample(list(parent), len(parent))
        else:
            leaf = chance.choice([element for element in elements if not len(element)] or [parent])
            chance.choice(elements).append(ET.Element(leaf.tag, leaf.attrib))


def changed_kern(text, chance):
    """Changes tokens and numbers; removes, doubles and swaps lines."""
    lines = text.split("\n")
    for _ in range(chance.choice([1, 2, 5, 20])):
        at, kind = chance.randrange(len(lines)), chance.random()
        tokens = lines[at].split("\t")
        column = chance.randrange(len(tokens))
        if kind < 0.3:
            number = chance.choice(["0", "00", "000", "7", "99999", "5%3"])
            tokens[column] = re.sub(r"\d+", number, tokens[column], count=1)
            lines[at] = "\t".join(tokens)
        elif kind < 0.6:
            tokens[column] = chance.choice(TOKENS)
            lines[at] = "\t".join(tokens)
        elif kind < 0.7:
            lines[at] = "\t".join([chance.choice(TOKENS)] * len(tokens))
        elif kind < 0.8:
            del lines[at]
        elif kind < 0.9:
            lines.insert(chance.randrange(len(lines)), lines[at])
        else:
            other = chance.randrange(len(lines))
            lines[at], lines[other] = lines[other], lines[at]
        lines = lines or [""]
    return "\n".join(lines)


def read_or_refuse(path):
    try:
        notes = notation.read(path).score.notes
    except ValueError as error:
        assert str(error)
        return False
    assert (notes["duration"] >= 1).all()
    return True


@pytest.mark.parametrize("name", ["own", "bach/bwv66.6.mxl"])
def test_mutants_of_musicxml(tmp_path, name):
    content = OWN.encode() if name == "own" else score_files.read(corpus_root() / name)
    chance, read = random.Random(4), []
    for _ in range(20):
        root = musicxml_tree.parse(content)
        changed_xml(root, chance)
        (tmp_path / "mutant.musicxml").write_bytes(ET.tostring(root))
        read.append(read_or_refuse(tmp_path / "mutant.musicxml"))
    assert 0 < sum(read) < len(read)


def test_mutants_of_kern(tmp_path):
    text = (corpus_root() / "palestrina" / "Agnus_00.krn").read_text(encoding="latin-1")
    chance, read = random.Random(4), []
    for _ in range(20):
        (tmp_path / "mutant.krn").write_text(changed_kern(text, chance), encoding="latin-1")
        read.append(read_or_refuse(tmp_path / "mutant.krn"))
    assert 0 < sum(read) < len(read)
