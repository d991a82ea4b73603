"""Tests of pipelines/formats/musicxml.py and its parts."""

import pytest
from musicxml_texts import (
    FOUR_FOUR,
    attributes,
    backup,
    measures,
    note,
    reading,
    score,
    sounding,
    velocities,
)

CHROMATIC = "<key><key-step>F</key-step><key-alter>1</key-alter></key>"
KEY = "<key><fifths>{}</fifths></key>"
CLARINET = "<transpose><diatonic>-1</diatonic><chromatic>-2</chromatic></transpose>"
DOUBLE_BASS = "<transpose><chromatic>0</chromatic><octave-change>-1</octave-change></transpose>"
GRACE = "<note><grace/><pitch><step>D</step><octave>4</octave></pitch><voice>1</voice></note>"
DRUM = "<note><unpitched/><duration>16</duration><voice>1</voice></note>"


def keys(read):
    return [(tick // read.score.ticks_per_quarter, *key) for tick, *key in read.score.keys.tolist()]


# Notes.


def test_notes_chords_rests_and_voices_have_their_places(tmp_path):
    text = note("C4") + note("E4", 1, "<chord/>") + note("r") + note("G4", 2) + backup(4)
    read = reading(tmp_path, score(measures(text + note("C3", 4, voice="2"), note("D4", 4))))
    assert sounding(read) == ["48:0-4", "60:0-1", "64:0-1", "67:2-4", "62:4-8"]
    assert read.left_out == read.doubtful == {}


def test_notes_of_a_chord_end_with_it_or_before(tmp_path):
    text = note("C4", 2) + note("E4", 1, "<chord/>") + note("G4", 3, "<chord/>") + note("C5", 2)
    read = reading(tmp_path, score(measures(text)))
    assert sounding(read) == ["60:0-2", "64:0-1", "67:0-2", "72:2-4"]
    assert read.doubtful == {"notes longer than their chord": 1}


def test_parts_and_staves_are_tracks_and_instruments_programs(tmp_path):
    piano = attributes(FOUR_FOUR, "<staves>2</staves>") + note("C5", 4, "<staff>1</staff>")
    piano += backup(4) + note("C3", 4, "<staff>2</staff>", voice="5")
    text = score(measures(piano), measures(note("E4", 4)))
    midi = '<midi-instrument id="i"><midi-program>41</midi-program></midi-instrument></score-part>'
    text = text.replace("</score-part></part-list>", midi + "</part-list>")
    notes = reading(tmp_path, text).score.notes
    assert notes[["pitch", "track", "program"]].tolist() == [(48, 1, 0), (64, 2, 40), (72, 0, 0)]


@pytest.mark.parametrize(
    ("transpose", "sounds"),
    [
        (CLARINET, 58),
        (DOUBLE_BASS, 48),
        ("<transpose><chromatic>3</chromatic></transpose>", 63),
        ("<transpose><chromatic>-9</chromatic><octave-change>-1</octave-change></transpose>", 39),
        ('<transpose number="2"><chromatic>-9</chromatic></transpose>', 60),
    ],
)
def test_transposing_instruments_sound_as_they_are_heard(tmp_path, transpose, sounds):
    text = score(measures(attributes(FOUR_FOUR, transpose) + note("C4", 4)))
    assert sounding(reading(tmp_path, text)) == [f"{sounds}:0-4"]


@pytest.mark.parametrize(
    ("content", "sounds", "left_out"),
    [
        (note("G5", 2, "<cue/>"), [], 1),
        (note("G5", 2, "<cue/>") + note("B5", 2, "<cue/><chord/>"), [], 2),
        (note("G5", 1, "<cue/>") + note("E4", 1), ["64:3-4"], 1),
        (note("G5", 2) + note("B5", 2, "<cue/><chord/>"), ["79:2-4"], 1),
        (note("r", 2) + GRACE.replace("<grace/>", "<grace/><cue/>"), [], 1),
    ],
)
def test_cue_notes_are_silent_and_take_their_time(tmp_path, content, sounds, left_out):
    read = reading(tmp_path, score(measures(note("C4", 2) + content, note("D4", 4))))
    assert sounding(read) == ["60:0-2", *sounds, "62:4-8"]
    assert read.left_out == {"cue notes": left_out}


def test_small_notes_without_the_element_cue_sound(tmp_path):
    small = note("G5", 4, '<type size="cue">whole</type>')
    assert sounding(reading(tmp_path, score(measures(small)))) == ["79:0-4"]


def test_what_is_not_read_is_counted(tmp_path):
    trill = "<notations><ornaments><trill-mark/></ornaments><fermata/></notations>"
    wedge = '<direction><direction-type><wedge type="{}"/></direction-type></direction>'
    chord = "<harmony><root><root-step>C</root-step></root><kind>major</kind></harmony>"
    text = chord + GRACE + note("C4", 4, trill) + wedge.format("crescendo") + wedge.format("stop")
    quarter_tone = note("C4", 4).replace("<alter>0", "<alter>0.5")
    read = reading(tmp_path, score(measures(text, DRUM, quarter_tone, note("C9", 4)) + ""))
    assert read.left_out == {
        "chord symbols": 1,
        "grace notes": 1,
        "trills": 1,
        "fermatas": 1,
        "hairpins": 1,
        "unpitched notes": 1,
        "quarter tones": 1,
    }
    assert reading(tmp_path, score(measures(note("C-3", 4)))).left_out == {
        "notes outside MIDI's pitches": 1
    }


# Measures.


def test_measures_of_all_parts_begin_together_whatever_their_parts_fill(tmp_path):
    short = measures(note("C4", 1), note("D4", 4))  # Its rests are missing.
    rests = measures(note("r", 4) + note("r", 4), note("E4", 4))  # Too many.
    full = measures(note("C3", 4), note("D3", 4))
    read = reading(tmp_path, score(short, rests, full))
    assert sounding(read) == ["48:0-4", "60:0-1", "50:4-8", "62:4-8", "64:4-8"]


def test_an_upbeat_is_as_long_as_its_notes_beside_a_rest_of_a_whole_measure(tmp_path):
    rest = '<note><rest measure="yes"/><duration>16</duration><voice>1</voice></note>'
    read = reading(tmp_path, score(measures(rest, rest), measures(note("G4", 1), note("C5", 4))))
    assert sounding(read) == ["67:0-1", "72:1-5"]
    assert read.doubtful == {}


def test_measures_of_rest_alone_last_their_meter(tmp_path):
    rest = "<note><rest/><duration>16</duration><voice>1</voice><type>whole</type></note>"
    three = attributes("<time><beats>3</beats><beat-type>4</beat-type></time>")
    for silent in (rest, "", rest.replace("<type>whole</type>", "").replace("16", "12")):
        read = reading(tmp_path, score(measures(three + note("C4", 3), silent, note("D4", 3))))
        assert sounding(read) == ["60:0-3", "62:6-9"]


def test_measures_of_other_lengths_than_their_meter_are_counted(tmp_path):
    bars = (note("C4", 1), note("C4", 4), note("C4", 5), note("C4", 2), note("C4", 4), note("C4"))
    read = reading(tmp_path, score(measures(*bars)))
    assert read.doubtful == {
        "measures longer than their meter": 1,
        "measures shorter than their meter": 1,
    }
    halves = measures(note("C4", 4), note("C4", 3), note("C4", 1), note("C4", 4))
    assert reading(tmp_path, score(halves)).doubtful == {}


def test_music_by_measures_is_read_as_music_by_parts(tmp_path):
    by_parts = score(measures(note("C4", 4), note("D4", 4)))
    by_measures = (
        by_parts.replace('<part id="P0">', "")
        .replace("</part>", "")
        .replace("score-partwise", "score-timewise")
        .replace('<measure number="1">', '<measure number="1"><part id="P0">')
        .replace('<measure number="2">', '<measure number="2"><part id="P0">')
        .replace("</measure>", "</part></measure>")
    )
    assert sounding(reading(tmp_path, by_measures)) == sounding(reading(tmp_path, by_parts))


# Keys, meters, tempi.


@pytest.mark.parametrize(
    "key",
    [
        CHROMATIC,
        CHROMATIC.replace("</key>", "<key-step>E</key-step><key-alter>-1</key-alter></key>"),
        CHROMATIC.replace("</key-alter>", "</key-alter><key-accidental>sharp</key-accidental>"),
        "<key/>",
    ],
)
def test_a_key_without_a_number_of_sharps_is_left_out_and_its_notes_are_not(tmp_path, key):
    bars = (note("C4", 4), attributes(key) + note("F#4", 4), attributes(KEY.format(2)) + note())
    read = reading(tmp_path, score(measures(attributes(FOUR_FOUR, key) + bars[0], *bars[1:])))
    assert sounding(read) == ["60:0-4", "66:4-8", "60:8-9"]
    assert keys(read) == [(8, 2, False)]
    assert read.left_out == {"keys without a number of sharps": 2}


def part(key="", transpose="", content=None, meter=FOUR_FOUR):
    return measures(attributes(key, meter, transpose) + (content or note("C4", 4)))


@pytest.mark.parametrize(
    ("parts", "sharps"),
    [
        ([part(KEY.format(0), CLARINET), part(KEY.format(-3))], -3),
        ([part(KEY.format(0), content=DRUM), part(KEY.format(-3))], -3),
        ([part(), part(CHROMATIC), part(KEY.format(4))], 4),
        ([part(KEY.format(2), CLARINET), part()], 0),  # D major is written, C major sounds.
        ([part(KEY.format(0), CLARINET), part(KEY.format(3), DOUBLE_BASS)], 3),
        ([part(KEY.format(-5), "<transpose><chromatic>1</chromatic></transpose>")], 2),
        ([part(KEY.format(1), content=DRUM)], 1),
    ],
)
def test_the_key_is_that_of_the_first_pitched_part_at_concert_pitch(tmp_path, parts, sharps):
    assert keys(reading(tmp_path, score(*parts))) == [(0, sharps, False)]


def test_the_meter_is_that_of_the_first_pitched_part_that_has_one(tmp_path):
    twelve = "<time><beats>12</beats><beat-type>16</beat-type></time>"
    three = "<time><beats>3</beats><beat-type>4</beat-type></time>"
    parts = [part(content=DRUM, meter=twelve), part(meter=""), part(meter=three)]
    assert reading(tmp_path, score(*parts)).score.meters.tolist() == [(0, 3, 4)]


@pytest.mark.parametrize(
    ("time", "meter"),
    [
        ("<beats>3+2</beats><beat-type>8</beat-type>", (5, 8)),
        (
            "<beats>3</beats><beat-type>8</beat-type><beats>2</beats><beat-type>4</beat-type>",
            (7, 8),
        ),
        ("<beats>6</beats><beat-type>8</beat-type>", (6, 8)),
        ("<beats>2</beats><beat-type>1</beat-type>", (2, 1)),
    ],
)
def test_meters_of_several_terms_are_added(tmp_path, time, meter):
    read = reading(tmp_path, score(part(meter=f"<time>{time}</time>")))
    assert read.score.meters.tolist() == [(0, *meter)]


def test_minor_keys_are_read(tmp_path):
    read = reading(tmp_path, score(part("<key><fifths>-1</fifths><mode>minor</mode></key>")))
    assert keys(read) == [(0, -1, True)]


@pytest.mark.parametrize(
    ("sign", "microseconds"),
    [
        ("<metronome><beat-unit>quarter</beat-unit><per-minute>60</per-minute></metronome>", 1e6),
        ("<metronome><beat-unit>half</beat-unit><per-minute>60</per-minute></metronome>", 5e5),
        (
            "<metronome><beat-unit>quarter</beat-unit><beat-unit-dot/>"
            "<per-minute>ca. 40</per-minute></metronome>",
            1e6,
        ),
        ("<words>Adagio</words></direction-type><sound tempo='30'/><direction-type><words/>", 2e6),
    ],
)
def test_tempi_are_quarters_per_minute(tmp_path, sign, microseconds):
    direction = f"<direction><direction-type>{sign}</direction-type></direction>"
    read = reading(tmp_path, score(measures(direction + note("C4", 4))))
    assert read.score.tempi.tolist() == [(0, int(microseconds))]


def test_a_metronome_without_a_number_is_counted(tmp_path):
    sign = "<metronome><beat-unit>half</beat-unit><beat-unit>quarter</beat-unit></metronome>"
    direction = f"<direction><direction-type>{sign}</direction-type></direction>"
    read = reading(tmp_path, score(measures(direction + note("C4", 4))))
    assert read.left_out == {"metronome marks without a number": 1}


# Dynamics.


def direction(*dynamics, after=""):
    content = "".join(f"<direction-type>{sign}</direction-type>" for sign in dynamics)
    return f"<direction>{content}{after}</direction>"


def marks(*names):
    return f"<dynamics>{''.join(f'<{name}/>' for name in names)}</dynamics>"


@pytest.mark.parametrize(
    ("sign", "velocity"),
    [
        *(
            (direction(marks(name)), velocity)
            for name, velocity in (("pppp", 8), ("pp", 30), ("mp", 58), ("f", 86), ("ffff", 127))
        ),
        (direction(marks("pppppp")), 8),
        (direction(marks("fffff")), 127),
        (direction(marks("sf", "p")), 44),
        (direction(marks("f"), marks("p")), 44),
        (direction("<dynamics><other-dynamics>sempre ff</other-dynamics></dynamics>"), 100),
        (direction("<dynamics><other-dynamics>(p)</other-dynamics></dynamics>"), 44),
        ('<sound dynamics="50"/>', 45),
        (direction("<words>dolce</words>", after='<sound dynamics="111.11"/>'), 100),
        (direction(marks("p"), after='<sound dynamics="54.44"/>'), 49),
        ('<sound dynamics="1000"/>', 127),
    ],
)
def test_a_dynamic_lasts_until_the_next(tmp_path, sign, velocity):
    bars = (note("C4") + sign + note("C4") + note("C4", 2), note("C4", 4) + direction(marks("mf")))
    read = reading(tmp_path, score(measures(*bars, note("C4", 4))))
    assert velocities(read) == [72, velocity, velocity, velocity, 72]


def test_accents_change_no_level(tmp_path):
    signs = (direction(marks("sf")), direction(marks("fp"), after='<sound dynamics="120"/>'))
    read = reading(tmp_path, score(measures(note("C4") + signs[0] + note() + signs[1] + note())))
    assert velocities(read) == [72, 72, 72]
    assert read.left_out == {"dynamic accents": 2}


def test_a_note_may_have_dynamics_of_its_own_and_bear_those_of_the_staff(tmp_path):
    loud = note("D4").replace("<note>", '<note dynamics="100">')
    bears = note("E4", 1, f"<notations>{marks('pp')}</notations>")
    read = reading(tmp_path, score(measures(note() + loud + bears + note())))
    assert velocities(read) == [72, 90, 30, 30]


def test_dynamics_of_a_staff_are_not_those_of_the_other(tmp_path):
    content = direction(marks("p"), after="<staff>2</staff>") + note("C5", 2, "<staff>1</staff>")
    content += direction(marks("ff")) + note("C5", 2, "<staff>1</staff>") + backup(4)
    content += note("C3", 2, "<staff>2</staff>") + note("C3", 2, "<staff>2</staff>")
    text = score(measures(attributes(FOUR_FOUR, "<staves>2</staves>") + content))
    assert velocities(reading(tmp_path, text)) == [44, 72, 100, 100]


def test_dynamics_count_by_their_time_not_by_their_place_in_the_file(tmp_path):
    content = note("C5", 2) + direction(marks("ff")) + note("C5", 2) + backup(4)
    content += note("C3", 2, voice="2") + note("C3", 2, voice="2")
    shifted = direction(marks("p"), after="<offset>8</offset>") + note("C4", 2) + note("C4", 2)
    read = reading(tmp_path, score(measures(content), measures(shifted)))
    assert velocities(read) == [72, 72, 72, 100, 44, 100]


# Ties.


def test_unisons_of_two_voices_are_tied_each_in_its_own(tmp_path):
    for order in ("12", "21"):
        one = note("C4", 4, voice=order[0], ties="start")
        two = note("C4", 4, voice=order[1], ties="start")
        first = note("C4", 2, voice="1", ties="stop") + note("D4", 2)
        second = backup(4) + note("C4", 4, voice="2", ties="stop")
        read = reading(tmp_path, score(measures(one + backup(4) + two, first + second)))
        assert sorted(sounding(read)) == ["60:0-6", "60:0-8", "62:6-8"]


def test_the_notes_of_an_arpeggio_ring_until_the_end_of_the_chord(tmp_path):
    arpeggio = "".join(note(name, 1, ties="start") for name in ("C4", "E4", "G4", "C5"))
    chord = note("C4", 4, ties="stop") + "".join(
        note(name, 4, "<chord/>", ties="stop") for name in ("E4", "G4", "C5")
    )
    read = reading(tmp_path, score(measures(arpeggio, chord, note("C4", 4))))
    assert sounding(read) == ["60:0-8", "64:1-8", "67:2-8", "72:3-8", "60:8-12"]
    assert read.doubtful == {}


def test_a_tie_may_go_to_another_voice(tmp_path):
    first = note("C4", 4, ties="start")
    second = note("E4", 4) + backup(4) + note("C4", 4, voice="2", ties="stop")
    read = reading(tmp_path, score(measures(first, second)))
    assert sounding(read) == ["60:0-8", "64:4-8"]


def test_a_chain_of_ties_is_one_note(tmp_path):
    bars = (note("C4", 4, ties="start"), note("C4", 4, ties="stop start"), note("C4", ties="stop"))
    assert sounding(reading(tmp_path, score(measures(*bars)))) == ["60:0-9"]


@pytest.mark.parametrize(
    "bars",
    [
        (note("C4", 4, ties="start"), note("D4", 4)),
        (note("C4", 4, ties="start"), note("C4", 4)),
        (note("C4", 4, ties="start"), note("D4", 4, ties="stop")),
        (note("C4", 4, ties="start"), note("r", 4), note("r", 4), note("C4", 4, ties="stop")),
    ],
)
def test_a_tie_that_nothing_ends_ends_with_its_note(tmp_path, bars):
    read = reading(tmp_path, score(measures(*bars)))
    assert sounding(read)[0] == "60:0-4" and len(sounding(read)) == 2
    assert read.doubtful == {"tied notes without an end": 1}


def test_printed_ties_count_where_there_are_no_others(tmp_path):
    tied = '<notations><tied type="{}"/></notations>'
    bars = (note("C4", 4, tied.format("start")), note("C4", 4, tied.format("stop")))
    assert sounding(reading(tmp_path, score(measures(*bars)))) == ["60:0-8"]
