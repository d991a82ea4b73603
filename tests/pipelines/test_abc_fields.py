"""Fields and directives of ABC tunes and files: what holds, for which voice, from where."""

from pathlib import Path

import pytest

from pipelines.formats import abc_files, abc_keys, abc_notation
from pipelines.formats.abc_fields import AbcError
from pipelines.formats.abc_notation import read_tune


def read(*lines):
    return read_tune("\n".join(["X:1", "M:4/4", "L:1/4", *lines]))


def pitches_of(*lines):
    """Gives the pitches of the tune by track and onset."""
    notes = read(*lines).score.notes
    return [pitch for _, pitch in sorted(zip(notes["track"], notes["pitch"], strict=True))]


def quarters_of(text):
    score = read_tune(text).score
    return (score.notes["duration"] / score.ticks_per_quarter).tolist()


# K: and V:, sections 3.1.14 and 4.6


@pytest.mark.parametrize(
    "field",
    [
        "clef=bass",
        "bass",
        "treble",
        "alto1",
        "perc",
        "Bass",
        "bass3",
        "clef=none",
        "clef=bass middle=d",
        "middle=d",
        "m=d",
        "stafflines=1",
        "perc stafflines=1",
        "score=CD",
        "mozart:noteC=snare-drum",
        "clef=treble^8",
        "treble8",
        "Clef=bass",
        'name="Tenor treble-8"',
    ],
)
def test_a_k_field_that_names_no_key_keeps_the_key_and_the_accidentals_of_the_bar(field):
    for key in (f"[K:{field}]", f"\nK:{field}\n", f"[K: {field}]"):
        reading = read("K:D", f"F ^G {key} F G | G")
        assert reading.score.notes["pitch"].tolist() == [66, 68, 66, 68, 67]
        assert reading.score.keys.tolist() == [(0, 2, False)]
        assert not reading.left_out and not reading.doubtful
    reading = read(f"K:{field}", "F B")
    assert reading.score.notes["pitch"].tolist() == [65, 71]
    assert not len(reading.score.keys)  # None is named.


@pytest.mark.parametrize(
    ("field", "pitches"),
    [
        ("treble-8", [54, 55]),
        ("treble+8", [78, 79]),
        ("clef=treble-8", [54, 55]),
        ("clef = bass-8", [54, 55]),
        ("clef=treble-15", [42, 43]),
        ("octave=1", [78, 79]),
        ("octave=-1 clef=bass+8", [66, 67]),
        ("transpose=-2", [64, 65]),
        ("t=-2", [64, 65]),
        ("clef=treble-8 transpose=3 octave=2", [81, 82]),
        ("sound=cB", [65, 66]),  # A written c sounds B.
        ("shift=C_E", [69, 70]),
    ],
)
def test_properties_of_k_move_what_is_played_with_a_key_and_without(field, pitches):
    assert pitches_of(f"K:D {field}", "F G") == pitches
    assert pitches_of("K:D", f"[K:{field}]F G") == pitches
    assert pitches_of("K:C", f"[K:D {field}]F G") == pitches
    assert pitches_of(f"V:1 {field}", "K:D", "F G") == pitches


def test_a_clef_behind_a_key_is_no_accidental():
    for properties in ("clef=bass", "clef=alto", "middle=d", "clef=C1", "stafflines=3", "m=d"):
        assert pitches_of(f"K:Eb {properties}", "A B c d e f g") == [68, 70, 72, 74, 75, 77, 79]
    assert pitches_of("K:Eb clef=bass =a ^f", "F A B") == [66, 69, 70]
    assert pitches_of("K:Am=c m=d", "G ^c B =c") == [67, 71, 72, 73]
    assert abc_keys.key("Dmix=c").alterations == (0, 0, 0, 1, 0, 0, 0)


def test_each_property_lasts_until_it_is_named_again():
    # Octave -1 from the key, then down a tone as well; the clef without an 8 is one of its own.
    body = "C [K:transpose=-2] C [K:clef=treble-8] C [K:bass] C [K:octave=0] C [K:D] C"
    notes = read("K:C octave=-1", body).score.notes["pitch"].tolist()
    assert notes == [48, 46, 34, 46, 58, 59]


@pytest.mark.parametrize(
    ("again", "pitch"),
    [
        ("V:1", 46),
        ("V:1 stem=up", 46),
        ('V:1 name="Tenor treble+8"', 46),
        ("V:1 clef=bass", 58),
        ("V:1 transpose=0", 48),
        ("V:1 clef=treble+8", 70),
        ("V:1 octave=1", 58),
        ("K:Am", 46),
    ],
)
def test_naming_a_voice_again_changes_only_the_properties_it_names(again, pitch):
    head = ["V:1 clef=treble-8 transpose=-2", "K:C"]
    assert pitches_of(*head, f"[{again}]C") == [pitch]
    later = read(*head, "V:1", "E4|", again, "C4|", "E4|").score.notes["pitch"].tolist()
    assert later == [50, pitch, pitch + 4]


def test_a_voice_s_own_properties_come_before_those_of_the_tune_s_key():
    head = ["V:1 octave=-1", "V:2", "K:C octave=1 transpose=2"]
    assert pitches_of(*head, "V:1", "C", "V:2", "C", "V:3", "C") == [50, 74, 74]


def test_a_field_of_the_body_is_for_the_voice_in_force_or_all_before_there_is_one():
    body = ["V:1", "K:D", "L:1/8", "F", "V:2", "F"]
    notes = read("V:1", "V:2", "K:C", *body).score.notes
    assert notes[["track", "pitch", "duration"]].tolist() == [(1, 65, 480), (0, 66, 240)]
    notes = read("V:1", "V:2", "K:C", "K:D", "L:1/8", *body[0::3]).score.notes
    assert notes["pitch"].tolist() == [66] and notes["duration"].tolist() == [240]


def test_music_before_the_first_voice_of_the_body_is_of_voice_1():
    notes = read("K:C", "C4|", "V:2", "E4|", "V:1", "D4|").score.notes
    assert notes[["onset", "pitch", "track"]].tolist() == [(0, 60, 0), (0, 64, 1), (1920, 62, 0)]


# M: and L:, sections 3.1.6 and 3.1.7


@pytest.mark.parametrize(
    ("text", "quarters"),
    [
        ("X:1\nM:6/8\nK:C\n[M:2/4]C", 0.5),
        ("X:1\nM:6/8\nK:C\nM:2/4\nC", 0.5),
        ("X:1\nM:2/4\nK:C\nM:6/8\nC", 0.25),
        ("X:1\nM:2/4\nK:C\n[M:none]C", 0.25),
        ("X:1\nK:C\nM:2/4\nC", 0.5),
        ("X:1\nL:1/16\nK:C\nM:4/4\nC", 0.25),
        ("X:1\nM:2/4\nK:C\nV:1\nM:4/4\nC", 0.25),
        ("X:1\nM:6/8\nK:C\nM:2/4\nL:1/4\nC", 1),
    ],
)
def test_a_meter_of_the_body_does_not_change_the_unit_length(text, quarters):
    assert quarters_of(text) == [quarters]


@pytest.mark.parametrize(
    ("meter", "read_as"),
    [
        ("6/8 3/4", [(0, 6, 8)]),
        ("C|3/2", [(0, 3, 2)]),
        ("4/4 (C)", [(0, 4, 4)]),
        ("C 2/4", [(0, 2, 4)]),
        ("C Reel", [(0, 4, 4)]),
        ("4/5", []),
        ("various", []),
    ],
)
def test_of_a_meter_that_is_not_clear_the_first_is_taken_and_the_tune_is_read(meter, read_as):
    reading = read_tune(f"X:1\nM:{meter}\nL:1/4\nK:C\nC")
    assert reading.score.meters.tolist() == read_as
    assert reading.doubtful == {"meters that are not clear": 1}
    assert read_tune(f"X:1\nM:C\nL:1/4\nK:C\n[M:{meter}]C").doubtful == reading.doubtful


def test_a_tune_is_refused_where_no_meter_says_how_long_its_notes_are():
    with pytest.raises(AbcError, match=r"line 2: meter 'fast': .* or a field L:"):
        read_tune("X:1\nM:fast\nK:C\nC")
    assert quarters_of("X:1\nM:fast\nM:2/4\nK:C\nC") == [0.25]
    assert len(read_tune("X:1\nM:fast\nK:C\nC", lenient=True).score.notes) == 1


def test_a_unit_length_is_read_before_words():
    reading = read_tune("X:1\nL:1/4 (crotchets)\nK:C\nC")
    assert reading.score.notes["duration"].tolist() == [reading.score.ticks_per_quarter]
    assert reading.doubtful == {"unit lengths that are not clear": 1}
    for text in ("crotchet", "1/4/4", "1/7", "1/8 3/8"):
        with pytest.raises(AbcError, match="line 2: unit length"):
            read_tune(f"X:1\nL:{text}\nK:C\nC")


# Q:, section 3.1.8


@pytest.mark.parametrize(
    ("tempo", "microseconds"),
    [
        ("1/4=ca. 120", 500_000),
        ("1/4 = c. 120", 500_000),
        ("1/4=~120", 500_000),
        ("ca. 1/4=120", 500_000),
        ("Allegro 1/4=120", 500_000),
        ("1/4=120 bpm", 500_000),
        ("1/4=76.5 Andante", 784_314),
        ("Allegro", None),
        (' "Allegro"', None),
        ("", None),
    ],
)
def test_a_speed_is_read_among_words_and_words_alone_are_left_out(tempo, microseconds):
    reading = read(f"Q:{tempo}", "K:C", "C")
    assert reading.score.tempi.tolist() == ([(0, microseconds)] if microseconds else [])
    assert reading.left_out == ({} if microseconds else {"tempi in words": 1})


@pytest.mark.parametrize("tempo", ["1/4=120-140", "1/4=0", "1/4=1/8", "1/0=60", "No. 7", "120-130"])
def test_a_speed_that_is_not_clear_is_counted_and_the_tune_is_read(tempo):
    reading = read(f"Q:{tempo}", "K:C", "C")
    assert not len(reading.score.tempi)
    assert reading.doubtful == {"tempi that are not clear": 1}


def test_words_do_not_undo_a_speed():
    reading = read("Q:1/4=60", 'Q:"Lento"', "K:C", "C")
    assert reading.score.tempi.tolist() == [(0, 1_000_000)]


def test_a_tempo_changes_where_it_stands_whichever_voice_has_it():
    reading = read("Q:1/4=60", "K:C", "V:1", "C4|D4|", "V:2", "C4|[Q:1/4=120]D4|", "V:3", "C4|D4|")
    assert reading.score.tempi.tolist() == [(0, 1_000_000), (1920, 500_000)]
    reading = read("K:C", "V:1", "C4|D4|", "V:2", "Q:1/4=120", "C4|D4|")
    assert reading.score.tempi.tolist() == [(0, 500_000)]


# Lengths of 0


@pytest.mark.parametrize(
    ("body", "quarters", "count"),
    [
        ("C0 D E2", [1, 2], 1),
        ("D C/0 E2", [1, 2], 1),
        ("D [CE]0 E2", [1, 2], 2),
        ("D [C0E0] E2", [1, 2], 2),
        ("D [C0E]2 E2", [1, 2, 2], 1),
        ("D E2 C0- C", [1, 2, 1], 1),
        ("D & E0 |", [1], 1),
    ],
)
def test_a_note_of_length_0_takes_no_time_and_is_doubtful(body, quarters, count):
    reading = read("K:C", body)
    score = reading.score
    assert (score.notes["duration"] / score.ticks_per_quarter).tolist() == quarters
    assert reading.doubtful["notes of length 0"] == count
    assert score.length_ticks == sum(quarters) * score.ticks_per_quarter


def test_a_rest_of_length_0_takes_no_time():
    for rest in ("z0", "x0", "z/0", "Z0"):
        reading = read("K:C", f"C {rest} D")
        assert reading.score.notes["onset"].tolist() == [0, reading.score.ticks_per_quarter]
        assert reading.doubtful == {"rests of length 0": 1}


# Dynamics, section 4.14


@pytest.mark.parametrize("sign", ["!", "+"])
def test_dynamics_go_from_pppp_to_ffff(sign):
    names = ["pppp", "ppp", "pp", "p", "mp", "mf", "f", "ff", "fff", "ffff"]
    body = " ".join(f"{sign}{name}{sign}C" for name in names)
    velocities = read("K:C", body).score.notes["velocity"].tolist()
    assert velocities == sorted(set(velocities)) and velocities[-1] == 127
    assert read("K:C", f"{sign}ff{sign}C C|C").score.notes["velocity"].tolist() == [100] * 3


def test_accents_do_not_change_what_is_in_force():
    reading = read("K:C", "!p!C !sfz!D !>!E !crescendo(!F !crescendo)!G")
    assert reading.score.notes["velocity"].tolist() == [44] * 5
    assert reading.left_out == {"decorations": 4}


def test_a_symbol_that_is_defined_as_a_dynamic_is_one():
    for definition in ("U:T = !ff!", "U:T=+ff+"):
        reading = read(definition, "K:C", "C TD E")
        assert reading.score.notes["velocity"].tolist() == [72, 100, 100]
        assert not reading.left_out


def test_old_chords_are_still_chords_beside_dynamics_in_plus_signs():
    reading = read("K:C", "+ff+ +fac'+ +CE+")
    assert reading.score.notes["pitch"].tolist() == [77, 81, 84, 60, 64]


# Directives


@pytest.mark.parametrize("form", ["%%MIDI program {}", "I:MIDI program {}", "I:MIDI=program {}"])
def test_a_program_is_for_the_voice_in_force_or_all(form):
    def programs(*lines):
        notes = read(*(line.replace("@", form.format("")) for line in lines)).score.notes
        return list(zip(notes["track"].tolist(), notes["program"].tolist(), strict=True))

    assert programs("@41", "K:C", "C D") == [(0, 41), (0, 41)]
    assert programs("K:C", "C", "@6", "D", "@0 % piano", "E") == [(0, 0), (0, 6), (0, 0)]
    assert programs("@41", "V:1", "V:2", "@7", "K:C", "V:1", "C", "V:2", "C") == [(0, 41), (1, 7)]
    assert programs("K:C", "V:1", "@5", "C", "V:2", "C") == [(0, 5), (1, 0)]
    assert programs("@2 9", "K:C", "V:1", "C", "V:2", "C") == [(0, 0), (1, 9)]  # Of a channel.


def test_channel_10_is_of_drums_and_others_have_programs():
    head = ["%%MIDI program 4 19", "K:C"]
    notes = read(*head, "V:1", "%%MIDI channel 10", "C", "V:2", "%%MIDI channel 4", "C").score.notes
    assert notes[["track", "program", "is_drum"]].tolist() == [(0, 0, True), (1, 19, False)]


def test_midi_transposition_adds_to_that_of_the_voice():
    assert pitches_of("%%MIDI transpose 2", "K:C octave=1", "C") == [74]
    body = ["C", "%%MIDI transpose -2", "C", "%%MIDI rtranspose -1", "C", "[K:octave=-1]C"]
    assert read("K:C", *body).score.notes["pitch"].tolist() == [60, 58, 57, 45]
    assert pitches_of("K:C", "V:1", "%%MIDI transpose 12", "C", "V:2", "C") == [72, 60]


@pytest.mark.parametrize(
    "directive", ["program 128", "program x", "program", "channel 17", "gchord fz", "transpose 1 2"]
)
def test_a_directive_that_is_not_read_is_counted(directive):
    reading = read("K:C", f"%%MIDI {directive}", "C")
    assert reading.left_out == {"directives": 1}
    assert reading.score.notes["program"].tolist() == [0]


def test_signs_of_line_breaks_are_no_music():
    assert not read("K:C", "C$D|$").doubtful
    assert pitches_of("I:linebreak !", "K:C", "AB!cd!e !") == [69, 71, 72, 74, 76]


# The header of a file, section 2.2.2


@pytest.mark.parametrize(
    ("header", "pitches", "quarters"),
    [
        ("%abc-2.1\n%%propagate-accidentals not\n\n", [61, 60], 0.5),
        ("%%propagate-accidentals not\n", [61, 60], 0.5),
        ("I:propagate-accidentals not\n\n", [61, 60], 0.5),
        ("L:1/4\nM:2/4\n\n", [61, 61], 1),
        ("M:2/4\n% remark\n\n", [61, 61], 0.25),
        ("%%MIDI transpose 1\n\nSome text.\n\n", [62, 62], 0.5),
        ("K the collection\nL:1/4\n", [61, 61], 1),
        ("%%begintext\nL:1/4\n\n%%endtext\n\n", [61, 61], 0.5),
        ("V:9\nP:AB\nT:Book\nL:1/4\n\n", [61, 61], 1),  # Of these only L: may stand there.
        ("\ufeffL:1/4\r\n\r\n", [61, 61], 1),
    ],
)
def test_the_header_of_a_file_holds_for_all_its_tunes(header, pitches, quarters):
    found = abc_files.tunes(f"{header}X:1\nT:One\nK:C\n^CC\n\nX:2\nT:Two\nK:C\n^CC\n")
    assert [(tune.number, tune.title) for tune in found] == [(1, "One"), (2, "Two")]
    for tune in found:
        score = read_tune(tune.text).score
        assert score.notes["pitch"].tolist() == pitches
        assert (score.notes["duration"] / score.ticks_per_quarter).tolist() == [quarters] * 2
        assert score.title == tune.title


def test_a_tune_s_own_fields_come_before_those_of_the_file():
    text = (
        "L:1/4\n%%MIDI program 9\n\nX:1\nL:1/8\n%%MIDI program 2\nK:C\nC\n\nL:1/2\n\nX:2\nK:C\nC\n"
    )
    scores = [read_tune(tune.text).score for tune in abc_files.tunes(text)]
    assert [(s.notes["duration"][0], s.notes["program"][0]) for s in scores] == [(240, 2), (480, 9)]


def test_a_tune_without_a_number_has_the_header_too(tmp_path: Path):
    path = tmp_path / "one.abc"
    path.write_text("%abc\n%%propagate-accidentals not\n\nT:One\nL:1/4\nK:C\n^CC\n")
    assert abc_notation.read(path).score.notes["pitch"].tolist() == [61, 60]
