"""Score: what it refuses, its clocks, and the operations, on eight notes written by hand."""

import dataclasses

import numpy as np
import pytest

from pipelines.score import Score
from pipelines.score_arrays import KEY, LAST_TICK, METER, NOTE, PEDAL, TEMPO


def notes_of(*rows: tuple[int, int, int]) -> np.ndarray:
    """Notes of (onset, duration, pitch) at velocity 64."""
    notes = np.zeros(len(rows), NOTE)
    for index, (onset, duration, pitch) in enumerate(rows):
        notes[index] = (onset, duration, pitch, 64, 0, 0, False)
    return notes


def rows_of(score: Score) -> list[tuple[int, int, int]]:
    return score.notes[["onset", "duration", "pitch"]].tolist()


# Four ticks a quarter. One quarter at 120, then two at 60 quarters a minute.
SCALE = Score(
    4,
    notes_of((0, 4, 60), (4, 4, 62), (8, 4, 64)),
    pedal=np.array([(2, 64, 127, 0), (6, 64, 0, 0)], PEDAL),
    tempi=np.array([(4, 1_000_000)], TEMPO),
    meters=np.array([(0, 3, 4)], METER),
    keys=np.array([(0, -3, False)], KEY),
    title="Scale",
    abc="CDE",
)


def test_ticks_become_seconds_through_the_tempo_map():
    np.testing.assert_array_equal(SCALE.onset_seconds, [0.0, 0.5, 1.5])
    np.testing.assert_array_equal(SCALE.end_seconds, [0.5, 1.5, 2.5])
    np.testing.assert_array_equal(SCALE.duration_seconds, [0.5, 1.0, 1.0])
    assert SCALE.seconds_at(6) == 1.0  # 0.5 s, and half of a quarter of 1 s.
    assert SCALE.seconds_at([[0, 4]]).shape == (1, 2)
    assert SCALE.length_seconds == 2.5


def test_the_last_tempo_of_a_tick_counts():
    tempi = np.array([(0, 250_000), (0, 1_000_000)], TEMPO)
    assert dataclasses.replace(SCALE, tempi=tempi).seconds_at(4) == 1.0


def test_ticks_become_quarters():
    np.testing.assert_array_equal(SCALE.onset_quarters, [0.0, 1.0, 2.0])
    np.testing.assert_array_equal(SCALE.duration_quarters, [1.0, 1.0, 1.0])
    assert SCALE.length_ticks == 12


def test_a_score_without_notes_has_no_length():
    empty = Score(480, notes_of())
    assert empty.length_ticks == 0
    assert empty.with_sustain_applied().crop(0, 10).transpose(3).length_seconds == 0.0


def test_arrays_are_read_only_and_the_callers_stay_their_own():
    notes = notes_of((0, 1, 60))
    score = Score(4, notes)
    with pytest.raises(ValueError, match="read-only"):
        score.notes["pitch"] = 61
    notes["pitch"] = 72
    assert rows_of(score) == [(0, 1, 60)]


def test_notes_in_any_order_are_sorted_by_onset_pitch_track():
    notes = notes_of((4, 1, 60), (0, 1, 67), (0, 2, 60), (0, 1, 60))
    notes["track"] = [0, 0, 1, 0]
    pedal = np.array([(9, 64, 1, 0), (3, 64, 2, 0)], PEDAL)
    score = Score.from_unsorted(4, notes, pedal=pedal)
    assert rows_of(score) == [(0, 1, 60), (0, 2, 60), (0, 1, 67), (4, 1, 60)]
    assert score.pedal["tick"].tolist() == [3, 9]


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("ticks_per_quarter", 0, "ticks_per_quarter is 0; give 1 to 32767"),
        ("ticks_per_quarter", 32768, "ticks_per_quarter is 32768"),
        ("notes", np.zeros(2), "notes must be a 1-D array"),
        ("notes", notes_of((0, 1, 60))[None], "notes must be a 1-D array"),
        ("notes", notes_of((-1, 1, 60)), "before tick 0"),
        ("notes", notes_of((0, 0, 60)), "less than a tick"),
        ("notes", notes_of((LAST_TICK, 1, 60)), "ends after tick"),
        ("notes", notes_of((2**63 - 2, 1, 60)), "ends after tick"),
        ("notes", notes_of((0, 1, 128)), "pitch is above 127"),
        ("notes", notes_of((1, 1, 60), (0, 1, 60)), "not sorted"),
        ("notes", notes_of((0, 1, 61), (0, 1, 60)), "not sorted"),
        ("pedal", np.array([(0, 65, 0, 0)], PEDAL), "controller is not 64, 66 or 67"),
        ("pedal", np.array([(0, 64, 128, 0)], PEDAL), "value is above 127"),
        ("pedal", np.array([(1, 64, 0, 0), (0, 64, 0, 0)], PEDAL), "not sorted"),
        ("tempi", np.array([(0, 0)], TEMPO), "microseconds_per_quarter"),
        ("tempi", np.array([(-1, 1)], TEMPO), "a tick is not in"),
        ("meters", np.array([(0, 0, 4)], METER), "a numerator is 0"),
        ("meters", np.array([(0, 3, 6)], METER), "not a power of two"),
        ("keys", np.array([(0, 8, False)], KEY), "sharps are not in -7..7"),
        ("keys", np.zeros(1, METER), "keys must be a 1-D array"),
    ],
)
def test_what_no_score_may_hold_is_refused_in_words(field, value, words):
    with pytest.raises(ValueError, match=words):
        dataclasses.replace(SCALE, **{field: value})


@pytest.mark.parametrize("velocity", [0, 128])
def test_velocities_outside_1_to_127_are_refused(velocity):
    notes = notes_of((0, 1, 60))
    notes["velocity"] = velocity
    with pytest.raises(ValueError, match=r"velocity is not in 1\.\.127"):
        Score(4, notes)


def test_transposing_moves_notes_and_keys_and_forgets_the_text():
    up = SCALE.transpose(2)
    assert rows_of(up) == [(0, 4, 62), (4, 4, 64), (8, 4, 66)]
    assert up.keys["sharps"].tolist() == [-1]  # E flat major goes to F major.
    assert (up.title, up.abc) == ("Scale", "")
    assert SCALE.transpose(0) is SCALE


@pytest.mark.parametrize(
    ("semitones", "sharps"), [(1, 4), (-1, 2), (6, 3), (3, 6), (12, -3), (-12, -3)]
)
def test_a_transposed_key_has_the_fewest_accidentals(semitones, sharps):
    # From E flat: E, D, A, F sharp (not G flat), and E flat again after an octave.
    assert SCALE.transpose(semitones).keys["sharps"].tolist() == [sharps]


def test_transposing_drops_notes_beyond_the_keyboard_of_midi_but_keeps_drums():
    notes = notes_of((0, 1, 2), (1, 1, 2), (2, 1, 127))
    notes["is_drum"] = [False, True, False]
    assert rows_of(Score(4, notes).transpose(-3)) == [(1, 1, 2), (2, 1, 124)]


def test_sustain_lets_notes_ring_until_the_pedal_goes_up():
    # Down from 2 to 6: the note that ends at 4 rings to 6, that at 8 is past the pedal.
    rung = SCALE.with_sustain_applied()
    assert rows_of(rung) == [(0, 6, 60), (4, 4, 62), (8, 4, 64)]
    assert len(rung.pedal) == 0


def test_sustain_ends_where_the_key_is_struck_again():
    pedal = np.array([(0, 64, 64, 0), (0, 67, 127, 0), (20, 64, 63, 0)], PEDAL)
    score = Score(4, notes_of((0, 2, 60), (1, 2, 72), (8, 2, 60)), pedal=pedal)
    rung = score.with_sustain_applied()
    assert rows_of(rung) == [(0, 8, 60), (1, 19, 72), (8, 12, 60)]
    assert rung.pedal.tolist() == [(0, 67, 127, 0)]  # The soft pedal stays.


def test_a_pedal_never_lifted_holds_to_the_end_and_never_shortens():
    pedal = np.array([(0, 64, 127, 0)], PEDAL)
    score = Score(4, notes_of((0, 2, 60), (0, 9, 64), (1, 5, 60)), pedal=pedal)
    # The first 60 is struck again at 1, before it ends at 2: it stays as it was.
    assert rows_of(score.with_sustain_applied()) == [(0, 2, 60), (0, 9, 64), (1, 8, 60)]


def test_a_pedal_lifted_and_pressed_at_the_tick_of_a_release_holds_the_note():
    pedal = np.array([(0, 64, 127, 0), (2, 64, 0, 0), (2, 64, 127, 0), (5, 64, 0, 0)], PEDAL)
    score = Score(4, notes_of((0, 2, 60)), pedal=pedal)
    assert rows_of(score.with_sustain_applied()) == [(0, 5, 60)]


def test_drums_do_not_ring():
    notes = notes_of((0, 1, 36))
    notes["is_drum"] = True
    pedal = np.array([(0, 64, 127, 0), (9, 64, 0, 0)], PEDAL)
    assert rows_of(Score(4, notes, pedal=pedal).with_sustain_applied()) == [(0, 1, 36)]


def test_quantizing_rounds_onsets_and_ends_halves_up():
    # To 2 a quarter from 4: ticks halve; 1 is half and goes up to 1, 3 to 2, 5 to 3.
    coarse = Score(4, notes_of((0, 1, 60), (1, 2, 62), (4, 1, 64))).quantized(2)
    assert coarse.ticks_per_quarter == 2
    assert rows_of(coarse) == [(0, 1, 60), (1, 1, 62), (2, 1, 64)]
    assert SCALE.quantized(8).tempi["tick"].tolist() == [8]


def test_quantizing_sorts_notes_that_meet():
    coarse = Score(4, notes_of((7, 1, 72), (8, 1, 60))).quantized(1)
    assert rows_of(coarse) == [(2, 1, 60), (2, 1, 72)]


def test_a_flattened_tempo_keeps_the_seconds():
    flat = SCALE.with_flattened_tempo()
    np.testing.assert_array_equal(flat.onset_seconds, SCALE.onset_seconds)
    assert flat.notes["onset"].tolist() == [0, 480, 1440]  # 960 ticks a second.
    assert flat.tempi.tolist() == [(0, 500_000)]
    assert flat.pedal["tick"].tolist() == [240, 960]


def test_a_crop_keeps_what_is_struck_in_the_window_and_what_is_in_force():
    window = SCALE.crop(5, 10)
    assert rows_of(window) == [(3, 2, 64)]
    assert window.pedal.tolist() == [(0, 64, 127, 0), (1, 64, 0, 0)]
    assert window.tempi.tolist() == [(0, 1_000_000)]
    assert window.meters.tolist() == [(0, 3, 4)]
    assert rows_of(SCALE.crop(4, 8)) == [(0, 4, 62)]
    with pytest.raises(ValueError, match="0 <= first_tick < last_tick"):
        SCALE.crop(3, 3)


def test_copies_of_a_piece_share_a_digest_and_transpositions_do_not():
    copy = dataclasses.replace(SCALE.quantized(960), title="other", tempi=np.zeros(0, TEMPO))
    louder = SCALE.notes.copy()
    louder["velocity"] = 100
    assert SCALE.notes_digest() == copy.notes_digest()
    assert SCALE.notes_digest() == dataclasses.replace(SCALE, notes=louder).notes_digest()
    assert SCALE.notes_digest() == SCALE.with_flattened_tempo().notes_digest()
    assert SCALE.notes_digest() != SCALE.transpose(1).notes_digest()
    assert SCALE.notes_digest() != SCALE.crop(0, 8).notes_digest()
    assert len(SCALE.notes_digest()) == 64


def two_channels() -> Score:
    """C4 and E4 from tick 0 to 2 on channels 3 and 5, the sustain pedal of 5 down from 0 to 8."""
    notes = notes_of((0, 2, 60), (0, 2, 64))
    notes["track"] = [0, 1]
    pedal = np.array([(0, 64, 127, 5), (4, 67, 90, 3), (8, 64, 0, 5)], PEDAL)
    return Score(4, notes, pedal=pedal, channels=np.array([3, 5], np.uint8))


def test_a_pedal_acts_on_the_notes_of_its_channel():
    rung = two_channels().with_sustain_applied()
    assert rows_of(rung) == [(0, 2, 60), (0, 8, 64)]
    assert rung.pedal.tolist() == [(4, 67, 90, 3)]
    assert rung.note_channels.tolist() == [3, 5]
    # Without channels all tracks are on channel 0, where there is no pedal.
    alone = dataclasses.replace(two_channels(), channels=np.zeros(0, np.uint8))
    assert rows_of(alone.with_sustain_applied()) == [(0, 2, 60), (0, 2, 64)]


def test_a_crop_keeps_the_pedals_of_each_channel_that_are_down_where_it_begins():
    pedal = np.array([(0, 64, 127, 0), (1, 64, 0, 5), (2, 64, 90, 5), (3, 67, 1, 0)], PEDAL)
    score = dataclasses.replace(two_channels(), pedal=pedal)
    window = score.crop(5, 9)
    assert window.pedal.tolist() == [(0, 64, 127, 0), (0, 64, 90, 5), (0, 67, 1, 0)]
    assert window.channels.tolist() == [3, 5]


@pytest.mark.parametrize(
    ("channels", "words"),
    [
        ([3, 16], "a channel is above 15"),
        ([3], "a track has no channel"),
        ([3, 9], "channel 9 is that of drums"),
    ],
)
def test_channels_that_do_not_suit_the_notes_are_refused(channels, words):
    with pytest.raises(ValueError, match=words):
        dataclasses.replace(two_channels(), channels=np.array(channels, np.uint8))
    with pytest.raises(ValueError, match="a channel is above 15"):
        Score(4, notes_of((0, 2, 60)), pedal=np.array([(0, 64, 0, 16)], PEDAL))
