"""Shaping: each step on notes written by hand, and what holds of any piece."""

import dataclasses
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_scores import scores

from pipelines.command_line import parse
from pipelines.keys import best_keys
from pipelines.score import Score
from pipelines.score_arrays import KEY, METER, NOTE, PEDAL
from pipelines.shaping import (
    COMMON_TONIC,
    Shaping,
    in_meters,
    solo_piano,
    to_common_key_by_profile,
    to_common_key_by_signature,
    with_notes_between,
)

EVERYTHING = Shaping(
    meters=("3/4", "4/4"),
    common_key="profile",
    solo_piano=True,
    minimum_notes=2,
    maximum_notes=100,
    apply_pedal=True,
    duplicates="near",
)
any_score = settings(deadline=None, derandomize=True, database=None)


def melody(*pitches, program=0, is_drum=False, **fields):
    """Quarters one after the other, at four ticks a quarter."""
    notes = np.zeros(len(pitches), NOTE)
    notes["onset"] = 4 * np.arange(len(pitches))
    notes["duration"], notes["velocity"] = 4, 64
    notes["pitch"], notes["program"], notes["is_drum"] = pitches, program, is_drum
    return Score(4, notes, **fields)


def pitches(score):
    return score.notes["pitch"].tolist()


def meters(*rows):
    return np.array(list(rows), METER)


def keys(*rows):
    return np.array(list(rows), KEY)


D_MAJOR = (62, 64, 66, 67, 69, 71, 73, 74)


def test_without_flags_a_piece_stays_itself():
    score = melody(*D_MAJOR)
    assert Shaping().apply(score) is score


def test_programs_0_to_7_are_pianos():
    for program in (0, 7):
        score = melody(60, program=program)
        assert solo_piano(score) is score
    with pytest.raises(ValueError, match="it has MIDI program 8"):
        solo_piano(melody(60, program=8))
    with pytest.raises(ValueError, match="it has MIDI program 40, 73"):
        solo_piano(melody(60, 62, 64, program=[40, 0, 73]))
    with pytest.raises(ValueError, match="it has drums"):
        solo_piano(melody(60, 40, is_drum=[False, True]))


def test_every_meter_must_be_among_those_given():
    waltz = melody(60, meters=meters((0, 3, 4)))
    assert in_meters(waltz, ("4/4", "3/4")) is waltz
    with pytest.raises(ValueError, match="it has the meter 3/4"):
        in_meters(waltz, ("4/4",))
    with pytest.raises(ValueError, match="it has the meter 2/4, 6/8"):
        in_meters(melody(60, meters=meters((0, 6, 8), (4, 3, 4), (8, 2, 4))), ("3/4",))
    with pytest.raises(ValueError, match="it has the meter 6/8"):
        in_meters(melody(60, meters=meters((0, 6, 8))), ("3/4",))
    with pytest.raises(ValueError, match="it says no meter"):
        in_meters(melody(60), ("4/4",))


def test_of_meters_on_one_tick_the_last_counts():
    replaced = melody(60, meters=meters((0, 4, 4), (0, 3, 4), (8, 4, 4), (8, 3, 4)))
    assert in_meters(replaced, ("3/4",)) is replaced
    with pytest.raises(ValueError, match="it has the meter 3/4"):
        in_meters(replaced, ("4/4",))


def test_the_number_of_notes_is_bounded_on_both_sides():
    score = melody(60, 62, 64)
    for minimum, maximum in [(None, None), (3, None), (None, 3), (3, 3)]:
        assert with_notes_between(score, minimum, maximum) is score
    with pytest.raises(ValueError, match="fewer than 4 notes"):
        with_notes_between(score, 4, None)
    with pytest.raises(ValueError, match="more than 2 notes"):
        with_notes_between(score, None, 2)


def test_d_major_goes_down_a_tone_to_c_major():
    score = melody(*D_MAJOR, keys=keys((0, 2, False)))
    moved = to_common_key_by_profile(score)
    assert pitches(moved) == [60, 62, 64, 65, 67, 69, 71, 72]
    assert moved.keys.tolist() == [(0, 0, False)]


def test_c_minor_goes_down_three_semitones_to_a_minor():
    c_minor = melody(60, 62, 63, 65, 67, 68, 71, 72)
    assert pitches(to_common_key_by_profile(c_minor)) == [57, 59, 60, 62, 64, 65, 68, 69]


@pytest.mark.parametrize(
    ("sharps", "semitones"),
    [
        *((0, 0), (1, 5), (2, -2), (3, 3), (4, -4), (5, 1), (6, -6), (7, -1)),
        *((-1, -5), (-2, 2), (-3, -3), (-4, 4), (-5, -1), (-6, -6), (-7, 1)),
    ],
)
def test_a_signature_moves_the_shorter_way_and_a_tritone_down(sharps, semitones):
    # One sharp is G, a fourth below C; two are D, a tone above it; and so on by fifths.
    moved = to_common_key_by_signature(melody(60, keys=keys((0, sharps, False))))
    assert pitches(moved) == [60 + semitones]
    assert moved.keys["sharps"].tolist() == [0]


def test_the_signature_at_the_first_note_counts_and_later_ones_follow():
    late = melody(66, 67, keys=keys((0, 1, False), (0, 2, False), (4, 3, True)))
    moved = to_common_key_by_signature(late)
    assert pitches(moved) == [64, 65] and moved.keys["sharps"].tolist() == [-1, 0, 1]
    for score in (melody(60), melody(60, keys=keys((1, 2, False)))):
        with pytest.raises(ValueError, match="no key signature where it begins"):
            to_common_key_by_signature(score)


def test_a_note_that_would_leave_midi_leaves_the_piece_out_rather_than_vanish():
    with pytest.raises(ValueError, match="a note would be below or above"):
        to_common_key_by_signature(melody(1, 62, keys=keys((0, 2, False))))


def test_a_piece_without_a_key_is_left_out():
    with pytest.raises(ValueError, match="it has no key"):
        Shaping(common_key="profile").apply(melody(*range(60, 72)))


def test_pedal_is_applied_after_the_key_was_found():
    # The pedal would make the first C sharp longer than all else.
    pedal = np.array([(0, 64, 127, 0), (200, 64, 0, 0)], PEDAL)
    score = melody(61, *D_MAJOR, *D_MAJOR, 62, pedal=pedal)
    shaped = Shaping(common_key="profile", apply_pedal=True).apply(score)
    assert pitches(shaped)[:3] == [59, 60, 62] and len(shaped.pedal) == 0
    assert shaped.notes["duration"][0] == 200


def test_wrong_flags_are_refused_in_words():
    for wrong, said in [
        ({"meters": ("3",)}, "meters has '3'; give meters such as 3/4"),
        ({"meters": ("3/5",)}, "power of two"),
        ({"meters": ("0/4",)}, "meters has '0/4'"),
        ({"meters": ("256/4",)}, "meters has '256/4'"),
        ({"meters": ("4/0",)}, "meters has '4/0'"),
        ({"minimum_notes": 0}, "minimum_notes is 0; give 1 or more"),
        ({"minimum_notes": 9, "maximum_notes": 8}, "maximum_notes is 8; give 9 or more"),
        ({"common_key": "yes"}, "common_key is 'yes'; give one of no\\|profile\\|signature"),
        ({"duplicates": "drop"}, "duplicates is 'drop'; give one of keep\\|exact\\|near"),
    ]:
        with pytest.raises(ValueError, match=said):
            Shaping(**wrong)


def test_it_is_made_of_flags_and_goes_through_json():
    argv = ["--meters=3/4,4/4", "--common_key=profile", "--solo_piano", "--minimum_notes=2"]
    argv += ["--maximum_notes=100", "--apply_pedal", "--duplicates=near"]
    assert parse(argv, "", Shaping) == [EVERYTHING]
    assert parse([], "", Shaping) == [Shaping()]
    values = json.loads(json.dumps(dataclasses.asdict(EVERYTHING)))
    assert Shaping(**{**values, "meters": tuple(values["meters"])}) == EVERYTHING
    assert all(field.metadata["help"] for field in dataclasses.fields(Shaping))


def test_it_says_in_words_what_it_does():
    assert Shaping().in_words() == []
    words = EVERYTHING.in_words()
    assert words[1] == "kept: pieces that have no other meter than 3/4, 4/4"
    assert len(words) == 7


@any_score
@given(scores(lowest=0, highest=127))
def test_each_step_gives_a_valid_score_or_a_reason(score):
    for shaping in (
        Shaping(meters=("4/4", "3/4")),
        Shaping(common_key="profile"),
        Shaping(common_key="signature"),
        Shaping(solo_piano=True),
        Shaping(minimum_notes=3, maximum_notes=9),
        Shaping(apply_pedal=True),
        EVERYTHING,
    ):
        try:
            shaped = shaping.apply(score)
        except ValueError as error:
            assert len(str(error)) > 10
        else:
            assert dataclasses.replace(shaped).notes is shaped.notes  # Checked as any Score.
            assert len(shaped.notes) == len(score.notes)


def test_of_keys_that_fit_equally_well_the_nearest_to_c_major_or_a_minor_is_taken():
    # C E G sharp looks alike from each of its notes; one of its keys may be C major or A minor
    # already, else the piece moves by less than the four semitones from one to the next.
    once = to_common_key_by_profile(melody(56, 60, 64))
    assert to_common_key_by_profile(once) is once
    assert all(abs(ours - 60) <= 6 for ours in pitches(once))
    best = best_keys(melody(56, 60, 64))
    assert len(best) == 3
    ways = [(COMMON_TONIC[key.is_minor] - key.tonic + 6) % 12 - 6 for key in best]
    assert pitches(once)[0] - 56 == min(ways, key=abs)


@st.composite
def symmetric_melodies(draw):
    """Pitch classes that look alike from several tonics, or nearly so."""
    turn = draw(st.sampled_from([2, 3, 4, 6]))
    durations = draw(st.lists(st.integers(0, 2**20), min_size=turn, max_size=turn))
    nearly = draw(st.sampled_from([0, 0, 1]))
    notes = np.zeros(12, NOTE)
    notes["onset"], notes["velocity"] = np.arange(12), 64
    notes["pitch"] = 60 + np.arange(12)
    notes["duration"] = np.tile(durations, 12 // turn)
    notes["duration"][draw(st.integers(0, 11))] += nearly
    return Score(4, notes[notes["duration"] > 0])


@any_score
@given(symmetric_melodies())
def test_a_common_key_of_a_symmetric_piece_done_again_changes_nothing(score):
    try:
        once = to_common_key_by_profile(score)
    except ValueError as error:
        assert "it has no key" in str(error)
        return
    assert to_common_key_by_profile(once) is once


@any_score
@given(scores())
def test_a_common_key_done_again_changes_nothing(score):
    for step in (to_common_key_by_profile, to_common_key_by_signature):
        try:
            once = step(score)
        except ValueError:
            continue
        assert step(once) is once
