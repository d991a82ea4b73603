"""Tests of the order in which repeats, endings and jumps are played."""

import pytest
from musicxml_texts import attributes, measures, note, reading, score, sounding

from pipelines.formats.notation_repeats import MOST_PLAYED, RepeatError, play_order
from pipelines.formats.written_music import Section

NAMES = ["C4", "D4", "E4", "F4", "G4", "A4", "B4"]
LETTERS = dict(zip((60, 62, 64, 65, 67, 69, 71), "CDEFGAB", strict=True))
FORWARD = '<barline location="left"><repeat direction="forward"/></barline>'
BACKWARD = '<barline location="right"><repeat direction="backward"/></barline>'


def ending(number, kind="start"):
    side = "left" if kind == "start" else "right"
    return f'<barline location="{side}"><ending number="{number}" type="{kind}"/></barline>'


def said(words="", **sound):
    attribute = " ".join(f'{name}="{value}"' for name, value in sound.items())
    after = f"<sound {attribute}/>" if sound else ""
    return f"<direction><direction-type><words>{words}</words></direction-type>{after}</direction>"


def printed(glyph):
    return f"<direction><direction-type><{glyph}/></direction-type></direction>"


def bars(*signs):
    """A measure for each string: a whole note, C D E ..., where it says "N", and its signs."""
    return measures(*(s.replace("N", note(n, 4)) for n, s in zip(NAMES, signs, strict=False)))


def letters(read):
    return "".join(LETTERS[pitch] for pitch in read.score.notes["pitch"].tolist())


@pytest.mark.parametrize(
    ("signs", "played"),
    [
        (["N", "N" + BACKWARD, "N"], "CDCDE"),
        (["N", FORWARD + "N" + BACKWARD, "N"], "CDDE"),
        (["N" + BACKWARD, "N" + BACKWARD, "N"], "CCDDE"),
        ([FORWARD + "N", FORWARD + "N" + BACKWARD, "N" + BACKWARD, "N"], "CDDECDDEF"),
        (["N", FORWARD + "N", "N"], "CDE"),
        (["N" + BACKWARD.replace("/></b", ' times="3"/></b'), "N"], "CCCD"),
        (["N" + FORWARD.replace("left", "right"), "N" + BACKWARD, "N"], "CDDE"),
    ],
)
def test_repeats_are_played(tmp_path, signs, played):
    text = score(bars(*signs))
    assert letters(reading(tmp_path, text)) == played
    once = reading(tmp_path, text, plays_repeats=False)
    assert letters(once) == "CDEFGAB"[: len(signs)]
    backward = sum(sign.count("backward") for sign in signs)
    assert once.left_out == ({"repeats": backward} if backward else {})


FIRST = ending(1) + "N" + BACKWARD.replace("<repeat", '<ending number="1" type="stop"/><repeat')


@pytest.mark.parametrize(
    ("signs", "played"),
    [
        (["N", FIRST, ending(2) + "N" + ending(2, "stop"), "N"], "CDCEF"),
        (["N", FIRST, ending(2) + "N" + ending(2, "discontinue"), "N" + BACKWARD], "CDCEFF"),
        (["N", FIRST, "N", "N" + BACKWARD, "N"], "CDCEFEFG"),  # The second has no bracket.
        (["N", FIRST.replace('"1"', '"1, 2"'), ending(3) + "N" + ending(3, "stop")], "CDCDCE"),
        (["N", FIRST.replace('"1"', '"1-2"'), ending(3) + "N" + ending(3, "stop")], "CDCDCE"),
        (["N", ending(1) + "N", FIRST.replace(ending(1), ""), ending(2) + "N"], "CDECF"),
        (
            ["N", FIRST, FIRST.replace('"1"', '"2"'), ending(3) + "N" + ending(3, "stop")],
            "CDCECF",
        ),
        (["N", FIRST, FIRST.replace('"1"', '"2"'), FORWARD + "N" + BACKWARD], "CDCEFF"),
    ],
)
def test_endings_are_played_in_their_passes(tmp_path, signs, played):
    assert letters(reading(tmp_path, score(bars(*signs)))) == played


@pytest.mark.parametrize(
    ("signs", "played"),
    [
        (["N", "N" + said("Fine"), "N" + said("D.C. al Fine")], "CDECD"),
        (["N", "N" + said(fine="yes"), "N" + said("D.C.", dacapo="yes")], "CDECD"),
        (["N", "N", "N" + said("D. C.")], "CDECDE"),
        (["N", said(segno="s") + "N", "N" + said(dalsegno="s"), "N"], "CDEDEF"),
        (
            ["N", printed("segno") + "N" + said("Fine"), "N", "N" + said("D.S. al Fine")],
            "CDEFD",
        ),
        (
            ["N", "N" + said("To Coda"), "N" + said("D.C. al Coda"), printed("coda") + "N"],
            "CDECDF",
        ),
        (
            [
                "N",
                said(segno="a") + "N" + said(tocoda="b"),
                "N" + said(dalsegno="a"),
                said(coda="b") + "N",
            ],
            "CDEDF",
        ),
        (["N", "N" + printed("coda"), "N" + said("Da Capo"), printed("coda") + "N"], "CDECDF"),
        # After a jump repeats are not taken, and of the endings the last is.
        (["N", FIRST, ending(2) + "N" + said("Fine"), "N" + said("D.C.")], "CDCEFCE"),
        (["N" + BACKWARD, "N" + said("Fine"), "N" + said("D.C.")], "CCDECD"),
    ],
)
def test_jumps_are_played(tmp_path, signs, played):
    assert letters(reading(tmp_path, score(bars(*signs)))) == played


def test_all_parts_play_the_repeats_that_any_part_has(tmp_path):
    upper = bars("N", "N" + BACKWARD, "N")
    lower = measures(note("C3", 2) + note("D3", 2), note("E3", 1), note("F3", 4))
    shorter = measures(note("C2", 4))  # Ends early.
    read = reading(tmp_path, score(lower, upper, shorter))
    assert letters_of_track(read, 1) == "CDCDE"
    assert read.score.onset_quarters[read.score.notes["track"] == 0].tolist() == [
        *(0, 2, 4, 8, 10, 12, 16)
    ]
    assert read.score.onset_quarters[read.score.notes["track"] == 2].tolist() == [0, 8]


def letters_of_track(read, track):
    notes = read.score.notes[read.score.notes["track"] == track]
    return "".join(LETTERS[pitch] for pitch in notes["pitch"].tolist())


def test_a_repeat_may_stand_inside_of_a_measure(tmp_path):
    middle = BACKWARD.replace("right", "middle")
    text = measures(note("C4", 1) + note("D4", 1) + middle + note("E4", 2), note("F4", 4))
    assert letters(reading(tmp_path, score(text))) == "CDCDEF"


def test_ties_into_endings_hold_in_every_pass(tmp_path):
    first = note("C4", 4, ties="start")
    one = ending(1) + note("C4", 4, ties="stop") + BACKWARD
    two = ending(2) + note("C4", 4, ties="stop") + ending(2, "stop")
    read = reading(tmp_path, score(measures(first, one, two)))
    assert sounding(read) == ["60:0-8", "60:8-16"]
    assert read.doubtful == {}


def test_key_meter_tempo_and_dynamics_come_back_with_the_music(tmp_path):
    flat = attributes("<key><fifths>-1</fifths></key>")
    three = attributes(
        "<key><fifths>3</fifths></key><time><beats>3</beats><beat-type>4</beat-type></time>"
    )
    loud = "<direction><direction-type><dynamics><ff/></dynamics></direction-type></direction>"
    first = attributes("<time><beats>4</beats><beat-type>4</beat-type></time>") + note("C4", 4)
    fast = '<sound tempo="240"/>'
    text = measures(first, flat + note("D4", 4), three + loud + fast + note("E4", 3) + BACKWARD)
    found = reading(tmp_path, score(text)).score
    assert found.notes["velocity"].tolist() == [72, 72, 100] * 2
    assert found.meters.tolist() == [
        *((0, 4, 4), (8 * 480, 3, 4)),
        *((11 * 480, 4, 4), (19 * 480, 3, 4)),
    ]
    assert found.keys["sharps"].tolist() == [-1, 3, -1, 3]


@pytest.mark.parametrize(
    "signs",
    [
        ["N", "N" + said(dalsegno="s")],
        ["N", "N" + said("To Coda"), "N" + said("D.C. al Coda")],
        ["N" + BACKWARD.replace("/></b", ' times="1000000"/></b')],
    ],
)
def test_what_cannot_be_played_is_read_once_and_counted(tmp_path, signs):
    read = reading(tmp_path, score(bars(*signs)))
    assert letters(read) == "CDE"[: len(signs)]
    assert read.doubtful == {"repeats not played": 1}


def test_repeats_of_repeats_end():
    nested = [Section(0, 1, begins_repeat=True) for _ in range(20)]
    nested += [Section(0, 1, times=100) for _ in range(20)]
    with pytest.raises(RepeatError, match=f"more than {MOST_PLAYED} sections"):
        play_order(nested)
