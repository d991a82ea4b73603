"""Damaged ABC: read with a sane result or refused with AbcError, fast and in little memory."""

import faulthandler
import random
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from pipelines.formats import abc_fields, abc_files, abc_notation, abc_scores
from pipelines.formats.abc_fields import AbcError
from pipelines.formats.abc_notation import read_tune
from pipelines.score_arrays import LAST_TICK

ABC = Path(__file__).parents[2].parent / "shared" / "data" / "abc"
MUTANTS = 1000
SECONDS_A_TUNE = 20  # After that it hangs, and its process ends.
BYTES = 2**31  # Address space of that process.
HEAD = "X:1\nM:4/4\nL:1/4\nK:C\n"
TUNES = [  # Where the collections are not here.
    HEAD + 'A>B "Am"c2|[1 (3abc [CEG]2:|[2 {a}d3/2 z/|]\nP:B\n|:^F-F _B:|',
    "X:2\nT:Two\nP:A(BA)2\nV:1\nV:2\nQ:1/4=90\nM:6/8\nK:Ddor =c\nV:1\nP:A\nA3|\nV:2\nZ|\n",
]

WRONG = {
    "no key": ("X:1\nT:None", "it has no K: field"),
    "a key": ("X:1\nK:H", "line 2: key 'H': expected a tonic A to G"),
    "a mode": ("X:1\nK:Gfoo", "line 2: key 'Gfoo': expected a tonic A to G and a mode"),
    "a meter": ("X:1\nM:4/5\nK:C", "line 2: meter '4/5': expected one such as 6/8"),
    "a meter of 0": ("X:1\nM:0/4\nK:C", "expected one such as 6/8, .* or none, or a field L:"),
    "a unit": ("X:1\nL:2\nK:C", "line 2: unit length '2': expected one such as 1/8"),
    "a voice": (HEAD + "V:\nA", "line 5: voice '': expected a name"),
    "a length": (HEAD + "A3/2/2", "line 5, column 1: length '3/2/2': expected one such as"),
    "a long length": (HEAD + "A" + "9" * 5000, "expected one such as 2"),
    "slashes": (HEAD + "A" + "/" * 5000, "length '////////////////////': expected"),
    "a tuplet of 0": (HEAD + "(0ABC", r"line 5, column 1: tuplet \(0: expected \(p with p from 2"),
    "a tuplet in 0": (HEAD + "(3:0:3ABC", r"tuplet \(3:0:3: expected"),
    "a tuplet of 0 notes": (HEAD + "(3:2:0ABC", r"tuplet \(3:2:0: expected"),
    "a tuplet of 12": (HEAD + "(12ABC", r"tuplet \(12: expected"),
    "a huge tuplet": (HEAD + "(3:9999999:3ABC", "number '9999999': expected up to 6 digits"),
    "an open chord": (
        HEAD + "A [CE",
        r"line 5, column 3: '\[' is left open: expected notes and \]",
    ),
    "an empty chord": (HEAD + "A []", r"chord \[\]: expected notes in it"),
    "a chord of bars": (HEAD + "[C>E]", r"chord \[C>E\]: expected nothing but notes"),
    "open grace notes": (HEAD + "{abc", r"'\{' is left open"),
    "open text": (HEAD + 'A "Am', "line 5, column 3: '\"' is left open: expected text"),
    "accidentals": (HEAD + "^=A", r"accidental '\^=': expected one of"),
    "broken rhythm": (HEAD + "A>>>>B", "broken rhythm '>>>>': expected one to three"),
    "an ending": (HEAD + "|[99A", "ending '99': expected numbers from 1 to 16"),
    "an ending of 0": (HEAD + "|0A", "ending '0': expected numbers from 1 to 16"),
    "many repeats": (HEAD + "A" + ":" * 20 + "|", "20 repeats: expected up to 15"),
    "many voices": (HEAD + "".join(f"V:{n}\nA\n" for n in range(300)), "expected up to 256"),
    "a long tune": (HEAD + "A" * 2**18, "is longer than 262144 characters"),
    "a long time": (HEAD + "A999999" * 600, "lasts more than 559240 quarters"),
    "small parts": (HEAD + "(999983:999979:9A/999983", "quarters: expected less"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_cannot_be_read_is_refused_with_the_place_and_what_was_expected(name):
    text, words = WRONG[name]
    with pytest.raises(AbcError, match=words):
        read_tune(text)
    reading = read_tune(text, lenient=True)
    assert reading.faults >= 1


def test_a_bomb_of_repeats_is_refused_before_it_is_played():
    section = "|:" + "ABcd" * 500 + ":" * 15 + "|"
    body = "".join(f"P:{letter}\n{section}\n" for letter in "AB")
    order = "P:((((A10B10)10)10)10)10\n"
    with pytest.raises(AbcError, match="order of parts: expected up to 1000"):
        abc_fields.part_order(order[2:].strip())
    text = f"X:1\nP:(A9B9)50\nM:none\nK:C\n{body}"
    with pytest.raises(AbcError, match=r"with its repeats it is longer than 100000 notes"):
        read_tune(text)
    reading = read_tune(text, lenient=True)
    assert (len(reading.score.notes), reading.faults) == (4000, 1)  # As it stands.


def test_a_number_of_parts_in_brackets_is_bounded_at_every_depth():
    for order in ("A999999", "(" * 50 + "A" + ")9" * 50, "A999" * 50):
        with pytest.raises(AbcError, match="order of parts"):
            abc_fields.part_order(order)
    assert abc_fields.part_order("(" * 50 + "A" + ")" * 50) == ["A"]
    for order in ("A)", "(A", "A?", "2A", "Fine"):
        with pytest.raises(AbcError, match="expected one such as"):
            abc_fields.part_order(order)


def test_a_file_that_is_too_large_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(abc_files, "LARGEST_BYTES", 100)
    path = tmp_path / "large.abc"
    path.write_text("X:1\nK:C\n" + "A" * 100)
    with pytest.raises(AbcError, match=r"large\.abc: is larger than 100 bytes"):
        abc_notation.read(path)


def tunes():
    if not ABC.is_dir():
        return TUNES
    paths = sorted(ABC.rglob("*.abc"))
    return [t.text for path in paths for t in abc_files.tunes_of_file(path)[::20]] + TUNES


def mutant(texts, chance):
    """Cuts, flips, inserts, splices or doubles."""
    text = chance.choice(texts)
    first, last = sorted(chance.randrange(len(text) + 1) for _ in range(2))
    kind = chance.randrange(6)
    if kind == 0:
        return text[:first]
    if kind == 1:
        return text[:first] + text[last:]
    if kind == 2:
        data = bytearray(text.encode())
        for _ in range(chance.choice([1, 3, 30])):
            data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        return abc_files.decoded(bytes(data))
    if kind == 3:
        signs = "|:[]()/\"{}-<>0123456789,'^_=zZ\n&%!+VPKMLQX~ \\" + "\x00é\u2019"
        made = "".join(chance.choice(signs) for _ in range(chance.choice([1, 5, 60])))
        return text[:first] + made + text[first:]
    if kind == 4:
        other = chance.choice(texts)
        return text[:first] + other[chance.randrange(len(other)) :]
    return text[:last] + text[first:last] * chance.choice([1, 20]) + text[last:]


def read_mutants():
    """Reads mutants in a process that a hang or too much memory ends; prints those accepted."""
    resource.setrlimit(resource.RLIMIT_AS, (BYTES, BYTES))
    texts, chance, accepted = tunes(), random.Random(5), 0
    for _ in range(MUTANTS):
        text = mutant(texts, chance)
        faulthandler.dump_traceback_later(SECONDS_A_TUNE, exit=True)
        scores = [read_tune(text, lenient=True).score]
        try:
            scores.append(read_tune(text).score)
            accepted += 1
        except AbcError as error:
            assert any(word in str(error) for word in ("expected", "than", "no K:")), error
        faulthandler.cancel_dump_traceback_later()
        for score in scores:  # A Score checks all else itself.
            assert score.length_ticks <= LAST_TICK
            assert len(score.notes) <= 2 * abc_scores.MOST_NOTES
    print(accepted)


def test_mutants_of_tunes_give_a_score_or_an_abc_error():
    command = [sys.executable, "-W", "error", __file__]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert 0.3 * MUTANTS < int(done.stdout) < MUTANTS


def test_mutants_of_files_are_taken_apart():
    chance = random.Random(6)
    whole = "\n\n".join(TUNES)
    for _ in range(300):
        found = abc_files.tunes(mutant([whole], chance))
        numbers = [tune.number for tune in found]
        assert len(set(numbers)) == len(numbers)


def test_all_repeat_signs_in_any_order_end():
    signs = ["|", "||", "|:", ":|", "::", "|1", ":|2", "[1", "[2", "|]"]
    chance = random.Random(7)
    for _ in range(1000):
        body = "".join(chance.choice("ABCD") + chance.choice(signs) for _ in range(6))
        reading = read_tune(HEAD + body)
        assert 1 <= len(reading.score.notes) <= 100
        once = read_tune(HEAD + body, plays_repeats=False)
        played = set(reading.score.notes["pitch"].tolist())
        assert played == set(once.score.notes["pitch"].tolist()), body


def test_salvaging_reads_music_without_a_header():
    reading = read_tune("ABc[de (3", lenient=True)
    assert reading.score.notes["pitch"].tolist() == [69, 71, 72, 74, 76]
    assert reading.faults >= 1
    assert np.array_equal(reading.score.keys["sharps"], [0])


if __name__ == "__main__":
    read_mutants()
