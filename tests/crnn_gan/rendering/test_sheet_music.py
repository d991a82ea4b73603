"""Sheet music: what is written for pieces whose notation is known."""

from __future__ import annotations

import collections
import fractions
import itertools
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest

from crnn_gan.rendering import sheet_music
from crnn_gan.rendering.bars import TICKS, bars_of
from crnn_gan.rendering.staves import staves_of
from pipelines.formats import midi, notation
from pipelines.score import Score
from pipelines.score_arrays import KEY, METER, NOTE, TEMPO

SCORES = Path(__file__).parents[3].parent / "shared" / "data" / "scores"
QUARTER = 480


def score_of(*notes: tuple[float, float, int], track: int = 0, **fields) -> Score:
    """Notes of (onset, duration, pitch), quarters."""
    rows = [
        (round(onset * QUARTER), round(last * QUARTER), pitch, 64, track, 0, False)
        for onset, last, pitch in notes
    ]
    return Score.from_unsorted(QUARTER, np.array(rows, NOTE), **fields)


def melody(*pitches: int, each: float = 1, **fields) -> Score:
    return score_of(*((index * each, each, pitch) for index, pitch in enumerate(pitches)), **fields)


def root_of(score: Score) -> ElementTree.Element:
    return ElementTree.fromstring(sheet_music.to_musicxml(score).musicxml)


def bars(score: Score) -> list[list[list[str]]]:
    """What is written in each bar: a list a voice, upper staff first, of "C4 E4 1/2" and "rest 1".

    Lengths are in quarters. ~ before a note: tied from the one before; after it: tied on.
    A rest that is not seen is in brackets.
    """
    written, divisions = [], 0
    for measure in root_of(score).iter("measure"):
        divisions = int(measure.findtext("attributes/divisions", str(divisions)))
        voices: dict[tuple[str, str], list[str]] = collections.defaultdict(list)
        for note in measure.iter("note"):
            symbols = voices[note.findtext("staff", "1"), note.findtext("voice", "1")]
            last = fractions.Fraction(int(note.findtext("duration", "")), divisions)
            if note.find("chord") is not None:
                symbols[-1] = symbols[-1].rsplit(" ", 1)[0] + f" {name(note)} {last}"
            elif note.get("print-object") == "no":
                symbols.append(f"[{name(note)} {last}]")
            else:
                symbols.append(f"{name(note)} {last}")
        written.append([voices[key] for key in sorted(voices)])
    return written


def name(note: ElementTree.Element) -> str:
    if note.find("rest") is not None:
        return "rest"
    accidental = {"1": "#", "-1": "b", "0": ""}[note.findtext("pitch/alter", "0")]
    ties = {tie.get("type") for tie in note.findall("tie")}
    before, after = "~" * ("stop" in ties), "~" * ("start" in ties)
    step, octave = note.findtext("pitch/step"), note.findtext("pitch/octave")
    return f"{before}{step}{accidental}{octave}{after}"


def test_a_scale_of_quarters_is_two_bars_of_four():
    written = bars(melody(60, 62, 64, 65, 67, 69, 71, 72))
    assert written == [
        [["C4 1", "D4 1", "E4 1", "F4 1"]],
        [["G4 1", "A4 1", "B4 1", "C5 1"]],
    ]


def test_a_double_bar_ends_the_piece_alone():
    measures = list(root_of(melody(60, 62, 64, 65, 67)).iter("measure"))
    styles = [measure.findtext("barline/bar-style") for measure in measures]
    assert styles == [None, "light-heavy"]


def test_a_meter_of_three_quarters_has_three_in_a_bar_and_a_rest_fills_the_last():
    waltz = melody(67, 69, 71, 72, meters=np.array([(0, 3, 4)], METER))
    assert bars(waltz) == [[["G4 1", "A4 1", "B4 1"]], [["C5 1", "rest 1", "rest 1"]]]
    assert root_of(waltz).findtext(".//time/beats") == "3"


def test_a_bar_without_a_note_is_a_rest_of_the_whole_bar():
    gap = score_of((0, 4, 60), (8, 4, 60))
    assert bars(gap) == [[["C4 4"]], [["rest 4"]], [["C4 4"]]]
    assert root_of(gap).find(".//note/rest").get("measure") == "yes"


def test_a_note_over_the_bar_is_tied():
    assert bars(score_of((0, 3, 60), (3, 2, 62), (5, 3, 64))) == [
        [["C4 3", "D4~ 1"]],
        [["~D4 1", "E4 3"]],
    ]


def test_a_length_without_a_sign_is_tied_at_the_beat():
    # Five 16ths from the second 16th: a dotted 8th to the beat, then an 8th.
    assert bars(score_of((0, 0.25, 60), (0.25, 1.25, 62), (1.5, 2.5, 64))) == [
        [["C4 1/4", "D4~ 3/4", "~D4 1/2", "E4~ 1/2", "~E4 2"]]
    ]


def test_a_chord_is_one_sign():
    assert bars(score_of((0, 4, 60), (0, 4, 64), (0, 4, 67))) == [[["C4 E4 G4 4"]]]


def test_triplets_are_thirds_with_a_bracket():
    third = 1 / 3
    thirds = score_of((0, third, 60), (third, third, 62), (2 * third, third, 64), (1, 3, 65))
    assert bars(thirds) == [[["C4 1/3", "D4 1/3", "E4 1/3", "F4 3"]]]
    root = root_of(thirds)
    assert [note.findtext("time-modification/actual-notes") for note in root.iter("note")] == [
        *("3", "3", "3"),
        None,
    ]
    brackets = [tuplet.get("type") for tuplet in root.iter("tuplet")]
    assert brackets == ["start", "stop"]


def test_six_eighths_are_two_groups_of_three():
    jig = score_of(
        (0, 1.5, 67), (1.5, 0.5, 69), (2, 1, 71), (3, 2, 72), (5, 1, 74),
        meters=np.array([(0, 6, 8)], METER),
    )  # fmt: skip
    # Two quarters from the first beat pass the second beat, a dotted quarter on: a tie.
    assert bars(jig) == [
        [["G4 3/2", "A4 1/2", "B4 1"]],
        [["C5~ 3/2", "~C5 1/2", "D5 1"]],
    ]


def test_a_key_signature_is_written_and_its_notes_are_spelled_in_it():
    keys = np.array([(0, -3, True), (4 * QUARTER, 2, False)], KEY)
    # C minor: its leading note is B natural. Then D major: C sharp and, raised, G sharp.
    piece = melody(63, 68, 70, 71, 73, 66, 68, 62, keys=keys)
    assert bars(piece) == [
        [["Eb4 1", "Ab4 1", "Bb4 1", "B4 1"]],
        [["C#5 1", "F#4 1", "G#4 1", "D4 1"]],
    ]
    assert [key.findtext("fifths") for key in root_of(piece).iter("key")] == ["-3", "2"]


@pytest.mark.parametrize("sharps", range(-7, 8))
def test_every_spelling_names_its_pitch(sharps: int):
    import music21

    for pitch in range(128):
        name, octave = sheet_music.spelled(pitch, sharps)
        assert music21.pitch.Pitch(name, octave=octave).ps == pitch


def test_a_note_off_the_beat_is_tied_over_the_middle_of_the_bar():
    syncopated = score_of((0, 1.5, 60), (1.5, 1, 62), (2.5, 1.5, 64))
    assert bars(syncopated) == [[["C4 3/2", "D4~ 1/2", "~D4 1/2", "E4 3/2"]]]


def test_two_lines_of_one_staff_are_two_voices_that_both_fill_the_bar():
    # A half note above moving quarters, then silence.
    piece = score_of((0, 2, 76), (0, 1, 72), (1, 1, 74), (2, 1, 72))
    assert bars(piece) == [[["E5 2", "C5 1", "rest 1"], ["C5 1", "D5 1", "[rest 2]"]]]


def test_a_piano_piece_of_one_track_stands_on_two_staves():
    piece = score_of((0, 4, 72), (0, 4, 76), (0, 2, 48), (2, 2, 43))
    assert bars(piece) == [[["C5 E5 4"], ["C3 2", "G2 2"]]]
    assert [clef.findtext("sign") for clef in root_of(piece).iter("clef")] == ["G", "F"]


def test_several_tracks_stand_on_a_staff_each_in_their_order():
    lines = [
        melody(*pitches, track=track).notes for track, pitches in enumerate([(60,), (72,), (48,)])
    ]
    piece = Score.from_unsorted(QUARTER, np.concatenate(lines))
    parts = root_of(piece).findall("part")
    assert [part.findtext(".//pitch/octave") for part in parts] == ["4", "5", "3"]


def test_tempi_are_written_where_they_change_by_much():
    tempi = np.array(
        [(0, 500_000), (4 * QUARTER, 480_000), (8 * QUARTER, 1_000_000)], TEMPO
    )  # 120, 125 and 60 quarters a minute.
    marks = root_of(melody(*range(60, 72), tempi=tempi)).iter("per-minute")
    assert [mark.text for mark in marks] == ["120", "60"]


def test_title_and_composer_are_the_scores_own_and_music21_names_itself_as_neither():
    named = root_of(melody(60, title="Air", composer="Anna Magdalena"))
    assert named.findtext("movement-title") == "Air"
    assert named.findtext("identification/creator") == "Anna Magdalena"
    unnamed = sheet_music.to_musicxml(melody(60), "piece-7").musicxml.decode()
    assert "<movement-title>piece-7<" in unnamed
    assert "creator" not in unnamed


def test_the_same_piece_gives_the_same_file():
    assert sheet_music.to_musicxml(melody(60, 61)) == sheet_music.to_musicxml(melody(60, 61))


def test_played_music_is_written_without_the_gaps_and_overlaps_of_playing():
    # Eighths with onsets up to 20 ms late, held for a bit less or more than their time.
    piece = score_of((0.02, 0.4, 60), (0.53, 0.52, 62), (1.03, 0.45, 64), (1.49, 0.55, 65))
    assert bars(piece) == [[["C4 1/2", "D4 1/2", "E4 1/2", "F4 1/2", "rest 2"]]]


def test_drums_are_left_out_and_counted():
    notes = melody(60, 62, 64, 65).notes.copy()
    notes["is_drum"][1:3] = True
    music = sheet_music.to_musicxml(Score(QUARTER, notes))
    assert music.lost == {"drum notes omitted": 2}
    assert bars(Score(QUARTER, notes)) == [[["C4 1", "rest 1", "rest 1", "F4 1"]]]


def test_notes_that_fall_together_are_one_and_are_counted():
    music = sheet_music.to_musicxml(score_of((0, 1, 60), (0.01, 1, 60), (1, 3, 62)))
    assert music.lost == {"notes merged with another": 1}


@pytest.mark.parametrize(
    "score, reason",
    [
        (Score(QUARTER, np.zeros(0, NOTE)), "it has no notes"),
        (melody(*[60] * 20_001, each=0.25), "it has 20001 notes; .* is 20000"),
        (score_of((0, 1, 60), (20_000, 1, 60)), "it has more than 4000 bars"),
        (melody(60, meters=np.array([(0, 3, 64)], METER)), "meter 3/64 has beats shorter than"),
        (
            Score.from_unsorted(
                QUARTER, np.concatenate([melody(60, track=track).notes for track in range(16)])
            ),
            "it has 16 tracks; .* is 15",
        ),
    ],
    ids=["empty", "notes", "bars", "meter", "tracks"],
)
def test_what_cannot_be_written_is_said_in_words(score: Score, reason: str):
    with pytest.raises(ValueError, match=reason):
        sheet_music.to_musicxml(score)


def test_as_many_tracks_as_there_are_staves_are_written_without_a_word(capfd):
    lines = [melody(60 + track, track=track).notes for track in range(15)]
    root = root_of(Score.from_unsorted(QUARTER, np.concatenate(lines)))
    assert len(root.findall("part")) == 15
    assert capfd.readouterr() == ("", "")


def test_drums_alone_are_nothing_to_write():
    notes = melody(60).notes.copy()
    notes["is_drum"] = True
    with pytest.raises(ValueError, match="only drums"):
        sheet_music.to_musicxml(Score(QUARTER, notes))


def test_one_note_however_short_or_late_is_written():
    assert bars(score_of((0, 0.01, 60))) == [
        [["C4 1/4", "rest 1/4", "rest 1/2", "rest 1", "rest 2"]]
    ]
    # It is struck a tenth of a quarter before the 26th bar, which is where it is written.
    assert bars(score_of((99.9, 0.01, 127)))[24:] == [
        [["rest 4"]],
        [["G9 1/4", "rest 1/4", "rest 1/2", "rest 1", "rest 2"]],
    ]


def random_score(seed: int) -> Score:
    """Notes anywhere in time, in a meter that changes, so that every rule is met."""
    random = np.random.default_rng(seed)
    notes = np.zeros(60, NOTE)
    notes["onset"] = random.integers(0, 24 * QUARTER, 60)
    notes["duration"] = random.integers(1, 3 * QUARTER, 60)
    notes["pitch"] = random.integers(30, 100, 60)
    notes["velocity"] = 64
    meters = random.permutation([(3, 4), (6, 8), (5, 8), (2, 2), (7, 16), (4, 4), (9, 8), (5, 32)])
    events = [(index * 3 * QUARTER, *meter) for index, meter in enumerate(meters.tolist())]
    return Score.from_unsorted(QUARTER, notes, meters=np.array(events, METER))


@pytest.mark.parametrize("seed", range(6))
def test_every_voice_of_every_bar_adds_up_and_every_length_has_a_sign(seed: int):
    score = random_score(seed)
    expected = [fractions.Fraction(bar.end - bar.start, TICKS) for bar in bars_of(score)]
    written = bars(score)
    assert len(written) == len(expected)
    for voices, length in zip(written, expected, strict=True):
        for symbols in voices:
            lengths = [fractions.Fraction(symbol.strip("[]").split(" ")[-1]) for symbol in symbols]
            assert sum(lengths) == length
            # A whole rest aside, each is a plain or dotted sign, or one of a triplet.
            signs = {fractions.Fraction(number) for number in SIGNS.split()}
            assert set(lengths) <= signs or symbols == [f"rest {length}"]


SIGNS = "6 4 3 2 3/2 1 3/4 1/2 3/8 1/4 1/8 2/3 1/3 1/6"


def places(onset_ticks: np.ndarray, pitch: np.ndarray, ticks: int) -> collections.Counter:
    """Counts each (onset in ticks of the grid, pitch)."""
    exact = [fractions.Fraction(int(onset) * TICKS, ticks) for onset in onset_ticks]
    return collections.Counter(zip(exact, pitch.tolist(), strict=True))


def read_back(score: Score, folder: Path) -> Score:
    path = folder / "piece.musicxml"
    path.write_bytes(sheet_music.to_musicxml(score).musicxml)
    return notation.read(path).score


def on_grid(score: Score) -> collections.Counter:
    staves = staves_of(score, bars_of(score))
    return sum((places(staff.onset, staff.pitch, TICKS) for staff in staves), collections.Counter())


@pytest.mark.parametrize("seed", range(3))
def test_what_is_read_back_has_the_pitches_and_onsets_of_the_grid(seed: int, tmp_path: Path):
    score = random_score(seed)
    read = read_back(score, tmp_path)
    assert places(read.notes["onset"], read.notes["pitch"], read.ticks_per_quarter) == on_grid(
        score
    )


def test_the_grid_is_at_most_half_a_sixteenth_from_where_a_note_was():
    for seed in range(20):
        score = random_score(seed)
        written = on_grid(score)
        for onset, pitch in zip(score.onset_quarters * TICKS, score.notes["pitch"], strict=True):
            near = [float(tick) for tick, key in written if key == pitch]
            # Half a triplet 8th is 4 ticks of 24; 7/16 and 5/32 end their bars off the quarter.
            assert min(abs(tick - onset) for tick in near) <= 6


def real_scores() -> list[Path]:
    files = sorted(SCORES.glob("*/*.mid")) + sorted(SCORES.glob("*/*/*.mid"))
    return files[:: max(1, len(files) // 20)][:20]


def test_twenty_real_scores_are_read_back_as_they_are_on_the_grid(tmp_path: Path):
    if not SCORES.is_dir():
        pytest.skip("the real scores are not beside this repository")
    exact = []
    for path in real_scores():
        score = midi.read_score(path)
        score = score.crop(0, score.notes["onset"][: 250 + 1].max().item() + 1)
        read = read_back(score, tmp_path)
        written = places(read.notes["onset"], read.notes["pitch"], read.ticks_per_quarter)
        assert written == on_grid(score), path.name
        own = places(score.notes["onset"], score.notes["pitch"], score.ticks_per_quarter)
        exact.append(len(set(written) & set(own)) / len(set(own)))  # Unisons are one.
    assert len(exact) == 20
    # Most of sheet music is 16ths and triplets, which the grid does not move.
    assert np.median(exact) == 1
    assert np.mean(exact) > 0.95


def test_keys_and_meters_are_read_back_as_they_were(tmp_path: Path):
    keys = np.array([(0, -1, False), (6 * QUARTER, 3, False)], KEY)
    meters = np.array([(0, 3, 4), (6 * QUARTER, 2, 4)], METER)
    read = read_back(melody(*range(60, 72), keys=keys, meters=meters), tmp_path)
    ticks = read.ticks_per_quarter
    assert read.keys[["tick", "sharps"]].tolist() == [(0, -1), (6 * ticks, 3)]
    assert read.meters.tolist() == [(0, 3, 4), (6 * ticks, 2, 4)]


def test_both_hands_keep_to_their_reach():
    # Broken tenths below, a melody above that comes down to middle C: the border follows it.
    left = [(beat, 1, 40 + 4 * (beat % 4)) for beat in range(16)]
    right = [(beat, 1, pitch) for beat, pitch in enumerate(itertools.chain(range(84, 68, -1)))]
    staves = staves_of(score_of(*left, *right), bars_of(score_of(*left, *right)))
    assert [len(staff.pitch) for staff in staves] == [16, 16]
    assert staves[1].pitch.max() < staves[0].pitch.min()
