"""Overlays (&) of ABC voices, section 7.4: they sound with their bar and do not move it."""

import random

import pytest

from pipelines.formats.abc_fields import AbcError
from pipelines.formats.abc_notation import read_tune

HEAD = "X:1\nM:4/4\nL:1/4\nK:C\n"


def tracks_of(body, head=HEAD, **options):
    """Gives {track: "pitch:onset-end ..."} in quarters, of the body of a tune."""
    score = read_tune(head + body, **options).score
    found = {}
    for onset, duration, pitch, track in score.notes[
        ["onset", "duration", "pitch", "track"]
    ].tolist():
        quarter = score.ticks_per_quarter
        text = f"{pitch}:{onset / quarter:g}-{(onset + duration) / quarter:g}"
        found[track] = f"{found[track]} {text}" if track in found else text
    return found


@pytest.mark.parametrize(
    ("over", "played"),
    [
        ("C4", "60:0-4"),
        ("c>d e<f", "72:0-1.5 74:1.5-2 76:2-2.5 77:2.5-4"),
        ("(3CDE z2", "60:0-0.666667 62:0.666667-1.33333 64:1.33333-2"),
        ("[CE]2 [DF]2", "60:0-2 64:0-2 62:2-4 65:2-4"),
        ("C2-C2", "60:0-4"),
        ("z2 ^C=C", "61:2-3 60:3-4"),
        ("x4", None),
        ("C4 &", "60:0-4"),
    ],
)
def test_an_overlay_sounds_from_the_beginning_of_its_bar_in_a_track_of_its_own(over, played):
    expected = {0: "69:0-2 71:2-4 67:4-8"} | ({1: played} if played else {})
    assert tracks_of(f"A2 B2 & {over} | G4 |") == expected
    assert tracks_of(f"A2 B2 &\\\n{over} | G4 |") == expected


@pytest.mark.parametrize("end", [">", "-", "(3", "!p!", "[K:D]", "^F0"])
def test_what_an_overlay_begins_ends_with_it(end):
    # Neither rhythm, tie, tuplet nor dynamics reach the bar behind it.
    assert tracks_of(f"A4 & C4 {end} | F4 |")[0] == f"69:0-4 {66 if 'K' in end else 65}:4-8"
    assert set(read_tune(f"{HEAD}A4 & !p!C4 | F4 |").score.notes["velocity"]) == {44, 72}


def test_a_voice_and_its_overlay_have_accidentals_of_their_own():
    assert tracks_of("^F2 F2 & F2 ^G2 | G4 & F4") == {
        0: "66:0-2 66:2-4 67:4-8",
        1: "65:0-2 68:2-4 65:4-8",
    }


def test_several_overlays_of_a_bar_are_tracks_in_their_order():
    body = "A2 | c d e f & A A A A & F E D C | c4 & z4 & E4 |]"
    assert tracks_of(body) == {
        0: "69:0-2 72:2-3 74:3-4 76:4-5 77:5-6 72:6-10",
        1: "69:2-3 69:3-4 69:4-5 69:5-6",
        2: "65:2-3 64:3-4 62:4-5 60:5-6 64:6-10",
    }


def test_a_tie_joins_overlays_of_bars_that_follow_each_other():
    assert tracks_of("A4 & ^C4- | B4 & C4- | c4 & C2 C2 |")[1] == "61:0-10 60:10-12"
    reading = read_tune(f"{HEAD}A4 & ^C4- | B4 | c4 & C4 |")
    assert reading.score.notes["pitch"].tolist() == [61, 69, 71, 60, 72]
    assert reading.doubtful == {"ties to no note of their pitch": 1}


@pytest.mark.parametrize(
    ("body", "main", "over"),
    [
        ("|: A4 & C4 :| B4 |", "69:0-4 69:4-8 71:8-12", "60:0-4 60:4-8"),
        ("A4 & C4 :: B4 :|", "69:0-4 69:4-8 71:8-12 71:12-16", "60:0-4 60:4-8"),
        ("|: A4 |1 B4 & D4 :|2 c4 & E4 |]", "69:0-4 71:4-8 69:8-12 72:12-16", "62:4-8 64:12-16"),
        ("|: A4 |1 B4 & D4 :|2 c4 |]", "69:0-4 71:4-8 69:8-12 72:12-16", "62:4-8"),
        ("P:A\nA4 & C4 |\nP:B\nB4 & D4 |", "71:0-4 69:4-8 71:8-12", "62:0-4 60:4-8 62:8-12"),
    ],
)
def test_overlays_are_repeated_with_their_bars(body, main, over):
    head = HEAD.replace("M:", "P:BAB\nM:") if "P:" in body else HEAD
    assert tracks_of(body, head) == {0: main, 1: over}


def test_a_second_sign_goes_back_another_bar():
    # The second example of section 7.4, and the same on one line.
    expected = {0: "79:0-2 77:2-4 76:4-7 76:7-8", 1: "74:0-4 72:4-7 72:7-8"}
    assert tracks_of("g2 f2 | e3 e |\n&& d4 | c3 c |") == expected
    assert tracks_of("g2 f2 | e3 e && d4 | c3 c |") == expected
    repeated = tracks_of("|: g4 | f4 |\n&& d4 | c4 :|")
    assert repeated == {0: "79:0-4 77:4-8 79:8-12 77:12-16", 1: "74:0-4 72:4-8 74:8-12 72:12-16"}
    assert tracks_of("A4 | B4 |\n& C4 |\nc4") == {0: "69:0-4 71:4-8 72:8-12", 1: "60:4-8"}


def test_tracks_of_overlays_stand_behind_those_of_the_voices():
    body = "V:1\nA4 & C4 | A4 |\nV:2\nE4 | F4 & D4 |"
    assert tracks_of(body) == {
        0: "69:0-4 69:4-8",
        1: "64:0-4 65:4-8",
        2: "60:0-4",
        3: "62:4-8",
    }


def test_an_overlay_keeps_the_voice_s_key_length_octave_and_loudness():
    score = read_tune("X:1\nM:4/4\nL:1/4\nV:1 octave=-1\nK:D\n[L:1/2]!ff!A2 & F C |").score
    assert score.notes["pitch"].tolist() == [54, 57, 49]
    assert score.notes["velocity"].tolist() == [100, 100, 100]
    assert score.keys.tolist() == [(0, 2, False)]


def test_what_is_wrong_with_overlays_is_counted():
    reading = read_tune(f"{HEAD}A4 & C2 | B4 |")
    assert reading.doubtful == {"overlays (&) of another length than their bar": 1}
    assert tracks_of("A4 & C6 | B4 & D4 |") == {0: "69:0-4 71:4-8", 1: "60:0-6 62:4-8"}
    reading = read_tune(f"{HEAD}& C4 | A4 |")
    assert reading.left_out == {"notes of overlays (&) without a bar": 1}
    assert reading.score.notes["pitch"].tolist() == [69]
    reading = read_tune(f"{HEAD}A4 & (3CD z2 > | B4")
    assert reading.doubtful["broken rhythms without two notes"] == 1


def test_overlays_with_too_many_repeats_are_refused():
    text = f"{HEAD}|: A4 & {'CDEF' * 2000} {':' * 15}|"
    with pytest.raises(AbcError, match="with repeats its overlays are longer than 100000 notes"):
        read_tune(text)
    reading = read_tune(text, lenient=True)
    assert (len(reading.score.notes), reading.faults) == (16, 1)


def test_no_overlay_moves_its_voice():
    signs = ["C", "D2", "E/", "z", "[CE]", "(3CDE", ">", "-", "^F", "!f!", "&", "x2", "y"]
    chance = random.Random(3)
    for _ in range(500):
        over = " ".join(chance.choice(signs) for _ in range(chance.randrange(1, 9)))
        assert tracks_of(f"G2 | A2 B2 & {over} | F4 :| E4")[0] == (
            "67:0-2 69:2-4 71:4-6 65:6-10 67:10-12 69:12-14 71:14-16 65:16-20 64:20-24"
        ), over
