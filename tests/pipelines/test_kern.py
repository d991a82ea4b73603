"""Tests of pipelines/formats/kern.py and its parts."""

import pytest
from musicxml_texts import sounding, velocities

from pipelines.formats import kern_tokens, notation


def reading(folder, *lines, plays_repeats=True):
    """Reads lines of tokens, which spaces part; "~" stands for a space in a token."""
    text = "\n".join(line.replace(" ", "\t").replace("~", " ") for line in lines)
    (folder / "score.krn").write_text(text + "\n", encoding="utf-8")
    return notation.read(folder / "score.krn", plays_repeats=plays_repeats)


def keys(read):
    return [(tick // read.score.ticks_per_quarter, *key) for tick, *key in read.score.keys.tolist()]


def test_notes_chords_and_rests_have_their_places_and_spines_their_tracks(tmp_path):
    lines = ("**kern **kern", "*M4/4 *M4/4", "=1 =1", "2C 4c~4e", ". 4r", "4D 8.dd-", ". 16B#")
    read = reading(tmp_path, *lines, "4EE 4GGG", "== ==", "*- *-")
    assert sounding(read) == [
        *("48:0-2", "60:0-1", "64:0-1", "50:2-3", "73:2-2.75", "60:2.75-3"),
        *("31:3-4", "40:3-4"),
    ]
    assert read.score.notes["track"].tolist() == [1, 0, 0, 1, 0, 0, 0, 1]
    assert read.score.meters.tolist() == [(0, 4, 4)]
    assert read.left_out == read.doubtful == {}


@pytest.mark.parametrize(
    ("text", "quarters"),
    [("4c", 1), ("2..c", 3.5), ("12c", 1 / 3), ("0c", 8), ("00c", 16), ("3%2c", 8 / 3), ("6.c", 1)],
)
def test_lengths_of_tokens(text, quarters):
    assert float(kern_tokens.length_of(text)) == pytest.approx(quarters)


def test_spines_split_and_join_and_their_voices_keep_their_ties(tmp_path):
    read = reading(
        tmp_path,
        *("**kern", "*^", "[2c [2c", "2c] 1c]", "2d .", "*v *v", "4e", "*-"),
    )
    assert sorted(sounding(read)) == ["60:0-4", "60:0-6", "62:4-6", "64:6-7"]


def test_spines_begin_end_and_change_places(tmp_path):
    read = reading(
        tmp_path,
        *("**kern **text", "4c a", "*+ *", "* **kern *", "4d 4f b", "*x *x *", "4g 4e c"),
        *("*- * *", "4a d", "*- *-"),
    )
    assert sounding(read) == ["60:0-1", "62:1-2", "65:1-2", "64:2-3", "67:2-3", "69:3-4"]
    assert read.score.notes["track"].tolist() == [1, 1, 0, 1, 0, 1]
    assert read.left_out == {"spines of lyrics": 1}


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (("*k[f#]",), [(0, 1, False)]),
        (("*k[b-e-]", "*g:"), [(0, -2, True)]),
        (("*k[b-]", "*g:"), [(0, -2, True)]),  # As once was usual; the name says the key.
        (("*k[]", "*G:mix"), [(0, 0, False)]),
        (("*E-:",), [(0, -3, False)]),
        (("*k[e-b-]",), [(0, -2, False)]),  # Any order.
    ],
)
def test_keys(tmp_path, lines, expected):
    read = reading(tmp_path, "**kern", *lines, "4c", "*-")
    assert keys(read) == expected and read.left_out == {}


@pytest.mark.parametrize("key", ["*k[f#e-]", "*k[c#]", "*k[b-d-]", "*k[bn]", "*k[f#f#]"])
def test_a_key_without_a_number_of_sharps_is_left_out_and_its_notes_are_not(tmp_path, key):
    read = reading(tmp_path, "**kern", key, "4f#", "*k[b-]", "4e-", "*-")
    assert sounding(read) == ["66:0-1", "63:1-2"]
    assert keys(read) == [(1, -1, False)]
    assert read.left_out == {"keys without a number of sharps": 1}


def test_key_and_meter_are_those_of_the_first_track_that_has_any(tmp_path):
    lines = ("**kern **kern **kern", "*k[b-] *k[b-e-] *", "*M3/4 *M3/4 *", "4c 4e 4g", "*- *- *-")
    read = reading(tmp_path, *lines)
    assert keys(read) == [(0, -2, False)] and read.score.meters.tolist() == [(0, 3, 4)]


def test_tempo_instrument_and_title(tmp_path):
    lines = ("!!!OTL@@EN:~Song", "**kern", "*Icello", "*MM60", "*MM[Adagio]", "4c", "*-")
    read = reading(tmp_path, *lines)
    assert read.score.title == "Song"
    assert read.score.tempi.tolist() == [(0, 1_000_000)]
    assert read.score.notes["program"].tolist() == [42]
    assert read.left_out == {"tempi in words": 1}


@pytest.mark.parametrize(
    ("lines", "sounds"),
    [
        (("**kern", "4c", "*cue", "4d~4f", "*Xcue", "4e", "*-"), ["60:0-1", "64:2-3"]),
        (
            ("**kern **kern", "* *cue", "4c 2d~2f", "4d .", "* *Xcue", "4e 4g", "*- *-"),
            ["60:0-1", "62:1-2", "64:2-3", "67:2-3"],
        ),
        (
            ("!!!RDF**kern:~i=cue~note", "**kern", "4ci", "4di", "4e", "*-"),
            ["64:2-3"],
        ),
        (
            ("**kern", "!!!RDF**kern:~@~=~cue-sized,~silent", "4c@~4e", "4d@", "4f", "*-"),
            ["64:0-1", "65:2-3"],
        ),
    ],
)
def test_cue_notes_are_silent_and_take_their_time(tmp_path, lines, sounds):
    read = reading(tmp_path, *lines)
    assert sounding(read) == sounds
    assert read.left_out == {"cue notes": 2}


def test_dynamics_hold_for_their_staves_until_the_next(tmp_path):
    lines = ("**kern **kern **dynam", "4C 4c .", "4D 4d pp", "4E 2e <", "4F . ff", "4G 4g sf")
    read = reading(tmp_path, *lines, "4A 4a ffff", "*- *- *-")
    assert velocities_of_track(read, 1) == [72] * 6
    assert velocities_of_track(read, 0) == [72, 30, 30, 100, 127]
    assert read.left_out == {"hairpins": 1, "dynamic accents": 1}
    for staves, velocity in (("1/2", [72, 72, 30, 30]), ("2", [72, 72, 30, 72])):
        named = f"*staff2 *staff1 *staff{staves}"
        read = reading(tmp_path, lines[0], named, *lines[1:3], "*- *- *-")
        assert velocities(read) == velocity


def velocities_of_track(read, track):
    return read.score.notes["velocity"][read.score.notes["track"] == track].tolist()


def test_what_is_not_read_is_counted(tmp_path):
    lines = ("**kern", "qqd", "8Qd", "(4cT;", "4dM')", "4R", "4eS:", "*-")
    assert reading(tmp_path, *lines).left_out == {
        "grace notes": 2,
        "slurs": 1,
        "trills": 1,
        "fermatas": 1,
        "mordents": 1,
        "articulated notes": 1,
        "unpitched notes": 1,
        "turns": 1,
        "arpeggiated notes": 1,
    }


def test_faults_are_counted(tmp_path):
    lines = ("**kern **kern", "4c 2d", "4e 4f", "c 4g", "4dddddddd 4c", "[4c 4d", "*- *-")
    read = reading(tmp_path, *lines)
    assert read.doubtful == {
        "notes that begin before the last has ended": 1,
        "notes without a duration": 1,
        "tied notes without an end": 1,
    }
    assert read.left_out == {"notes outside MIDI's pitches": 1}


# Ties.


@pytest.mark.parametrize(
    ("lines", "sounds"),
    [
        (("[4c", "4c_", "4c]", "4c"), ["60:0-3", "60:3-4"]),
        (("[4c", "[4e", "2c]~2e]", "4c"), ["60:0-4", "64:1-4", "60:4-5"]),
        (("[4c~[4e", "4e]", "4c]"), ["60:0-3", "64:0-2"]),
        (("[4c", "4d", "4e"), ["60:0-1", "62:1-2", "64:2-3"]),
        (("[4c", "4c", "4e"), ["60:0-1", "60:1-2", "64:2-3"]),
    ],
)
def test_ties(tmp_path, lines, sounds):
    assert sounding(reading(tmp_path, "**kern", *lines, "*-")) == sounds


# Repeats.


def pitches(read):
    return "".join("CDEFGAB"[[0, 2, 4, 5, 7, 9, 11].index(p - 60)] for p in pitches_of(read))


def pitches_of(read):
    return read.score.notes["pitch"].tolist()


@pytest.mark.parametrize(
    ("lines", "played", "repeats"),
    [
        (("=1", "4c", "=:|!", "4d", "=="), "CCD", 1),
        (("=1!|:", "4c", "=2:|!|:", "4d", "=:|!"), "CCDD", 2),
        (("4c", "=1|:", "4d", "=2:|", "4e", "=="), "CDDE", 1),
        (("=1", "4c", "=2:!!:", "4d", "==:|!", "4e"), "CCDDE", 2),
        (("*>[A,A,B]", "*>A", "4c", "=", "4d", "*>B", "4e"), "CDCDE", 1),
        (
            ("*>[A,A1,A,A2,B]", "*>A", "4c", "*>A1", "4d", "=:|!", "*>A2", "4e", "*>B", "4f"),
            "CDCEF",
            1,
        ),
        (("*>[A,B,A]", "*>norep[A,B]", "4g", "*>A", "4c", "*>B", "4d"), "GCDC", 1),
        (("*>[A,B]", "*>A", "4c", "*>B", "4d", "=:|!"), "CD", 0),
    ],
)
def test_repeats_and_expansion_lists_are_played(tmp_path, lines, played, repeats):
    read = reading(tmp_path, "**kern", *lines, "*-")
    assert pitches(read) == played and read.doubtful == {}
    once = reading(tmp_path, "**kern", *lines, "*-", plays_repeats=False)
    assert pitches(once) == "".join(dict.fromkeys(played))
    assert once.left_out == ({"repeats": repeats} if repeats else {})


def test_spines_play_repeats_together(tmp_path):
    lines = ("**kern **kern", "*>[A,A] *>[A,A]", "*>A *>A", "2C 4c", ". 4d", "*- *-")
    assert sounding(reading(tmp_path, *lines)) == [
        *("48:0-2", "60:0-1", "62:1-2", "48:2-4", "60:2-3", "62:3-4"),
    ]


def test_an_expansion_list_of_sections_that_are_not_there_is_not_played(tmp_path):
    read = reading(tmp_path, "**kern", "*>[A,C]", "*>A", "4c", "*>B", "4d", "*-")
    assert pitches(read) == "CD" and read.doubtful == {"repeats not played": 1}


# Other files.


@pytest.mark.parametrize(
    ("lines", "error"),
    [
        (("4c",), "line 1: '4c' is there; expected names of spines"),
        (("**kern **kern", "4c"), "line 2: there are 1 tokens; expected 2"),
        (("**text", "a", "*-"), "it has no .*kern spine"),
        (("**kern", "4c", "*-", "**kern", "4d", "*-"), "line 4: another score begins"),
        (("**kern", "123456c"), "line 2: .*no length that can be read"),
        ((), "it has no .*kern spine"),
    ],
)
def test_what_is_no_kern_is_refused_by_line(tmp_path, lines, error):
    with pytest.raises(ValueError, match=error):
        reading(tmp_path, *lines)
