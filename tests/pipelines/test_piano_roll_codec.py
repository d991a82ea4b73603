"""The codec piano_roll: rolls written out by hand, decode rules, random Scores and rolls."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_scores import scores

from pipelines.codecs import piano_roll
from pipelines.score import Score
from pipelines.score_arrays import NOTE, TEMPO

ALL = "onset,frame,velocity"
PLANES = ["onset,frame", ALL, "onset,velocity", "frame,velocity", "onset", "frame", "velocity"]
# Three rows, C4 to D4, so that a roll can be written out.
SMALL = {"lowest_pitch": 60, "pitches": 3}


def score(*notes: tuple[int, int, int, int], ticks_per_quarter: int = 4) -> Score:
    """A Score of (onset, duration, pitch, velocity), ticks 16ths if nothing else is said."""
    rows = [(*note, 0, 0, False) for note in notes]
    return Score.from_unsorted(ticks_per_quarter, np.array(rows, NOTE))


def rows(piece: Score) -> list[tuple[int, int, int, int]]:
    """The notes of a Score as (onset, duration, pitch, velocity)."""
    names = ("onset", "duration", "pitch", "velocity")
    return [tuple(int(note[name]) for name in names) for note in piece.notes]


# C4 for two 16ths, struck again at once for one; D4 with the second C4, for one 16th.
PIECE = score((0, 2, 60, 80), (2, 1, 60, 90), (2, 1, 62, 100))


def test_the_planes_say_where_keys_are_struck_sound_and_how_loud():
    roll = piano_roll.Codec(planes=ALL, **SMALL).encode(PIECE)
    assert roll.dtype == np.uint8
    assert roll[:, :, 0].tolist() == [[1, 0, 0], [0, 0, 0], [1, 0, 1]]
    assert roll[:, :, 1].tolist() == [[1, 0, 0], [1, 0, 0], [1, 0, 1]]
    assert roll[:, :, 2].tolist() == [[80, 0, 0], [80, 0, 0], [90, 0, 100]]


@pytest.mark.parametrize(
    "planes, expected",
    [
        (ALL, [(0, 2, 60, 80), (2, 1, 60, 90), (2, 1, 62, 100)]),
        ("onset,velocity", [(0, 2, 60, 80), (2, 1, 60, 90), (2, 1, 62, 100)]),
        ("onset,frame", [(0, 2, 60, 64), (2, 1, 60, 64), (2, 1, 62, 64)]),
        ("frame", [(0, 3, 60, 64), (2, 1, 62, 64)]),  # The two C4 became one.
        ("velocity", [(0, 3, 60, 80), (2, 1, 62, 100)]),
        ("frame,velocity", [(0, 3, 60, 80), (2, 1, 62, 100)]),
        ("onset", [(0, 1, 60, 64), (2, 1, 60, 64), (2, 1, 62, 64)]),
    ],
)
def test_each_choice_of_planes_decodes_by_its_rule(planes, expected):
    codec = piano_roll.Codec(planes=planes, **SMALL)
    decoded = codec.decode(codec.encode(PIECE))
    assert rows(decoded.score) == expected
    assert decoded.dropped == 0
    assert [name for name, _, _ in codec.spec.blocks] == planes.split(",")


def test_sound_that_no_onset_began_is_dropped_and_counted_and_an_onset_alone_lasts_a_step():
    codec = piano_roll.Codec(planes=ALL, **SMALL)
    roll = np.zeros((5, 3, 3), np.uint8)
    roll[0:2, 0, 1] = 1  # Held from before the window.
    roll[3:5, 0, 1] = 1  # The same after a gap.
    roll[1, 1, 0] = 1  # An onset without a frame or a velocity.
    roll[0:4, 2, 1], roll[1, 2, 0], roll[1, 2, 2] = 1, 255, 255  # Begins a step late, too loud.
    decoded = codec.decode(roll)
    assert rows(decoded.score) == [(1, 1, 61, 1), (1, 3, 62, 127)]
    assert decoded.dropped == 3


def test_only_the_steps_of_a_row_count():
    codec = piano_roll.Codec(**SMALL)
    roll = codec.encode(score((0, 4, 60, 64), (3, 2, 62, 64)))
    notes, count, dropped = codec.notes(np.stack([roll, roll]), np.array([5, 2], np.int32))
    assert np.asarray(count).tolist() == [2, 1]
    assert np.asarray(dropped).tolist() == [0, 0]
    assert np.asarray(notes).tolist() == [
        [[0, 4, 60, 64], [3, 2, 62, 64]],
        [[0, 2, 60, 64], [0, 0, 0, 0]],
    ]


def test_pitches_outside_of_the_range_and_drums_are_left_out():
    codec = piano_roll.Codec(**SMALL)
    notes = np.array([(0, 1, p, 64, 0, 0, d) for p, d in [(59, 0), (60, 1), (63, 0)]], NOTE)
    assert codec.encode(Score(4, notes)).shape == (0, 3, 2)
    wide = piano_roll.Codec(lowest_pitch=0, pitches=128)
    assert rows(wide.decode(wide.encode(score((0, 1, 0, 64), (0, 1, 127, 64)))).score) == [
        (0, 1, 0, 64),
        (0, 1, 127, 64),
    ]


def test_steps_by_note_value_do_not_know_the_tempo_and_steps_by_seconds_do():
    # At 60 quarters a minute a 16th is a quarter of a second.
    tempi = np.array([(0, 1_000_000)], TEMPO)
    piece = Score(4, score((1, 2, 60, 64)).notes, tempi=tempi)
    value = piano_roll.Codec(quarters_per_minute=120.0)
    assert rows(value.decode(value.encode(piece)).score) == [(1, 2, 60, 64)]
    assert value.decode(value.encode(piece)).score.length_seconds == pytest.approx(3 / 4 / 2)
    clock = piano_roll.Codec(step_seconds=0.05)
    decoded = clock.decode(clock.encode(piece)).score
    assert rows(decoded) == [(5, 10, 60, 64)]
    assert decoded.length_seconds == pytest.approx(0.75)
    assert clock.seconds_per_step == pytest.approx(0.05)
    assert (value.spec.step, clock.spec.step) == ("1/4 quarter", "0.05 s")


def test_a_step_that_no_tempo_says_exactly_is_off_by_less_than_a_millionth():
    for seconds in (0.001, 0.0123, 1 / 31.25, 0.3, 1.999):
        codec = piano_roll.Codec(step_seconds=seconds)
        assert codec.seconds_per_step == pytest.approx(seconds, rel=2e-6)
        last = piano_roll.LONGEST_STEPS - 1
        far = Score(codec.ticks_per_quarter, score((last, 1, 60, 64)).notes)
        far = Score(
            far.ticks_per_quarter,
            far.notes,
            tempi=np.array([(0, codec.microseconds_per_quarter)], TEMPO),
        )
        assert codec._on_grid(far)[0].tolist() == [last]


def test_what_comes_after_the_longest_roll_is_left_out():
    first, last = score((0, 9, 60, 64)).notes, piano_roll.LONGEST_STEPS
    codec = piano_roll.Codec(lowest_pitch=60, pitches=1)
    far = np.concatenate([first, first, first])
    far["onset"] = [0, last - 1, last]
    roll = codec.encode(Score(4, far))
    assert len(roll) == last
    assert np.flatnonzero(roll[:, 0, 0]).tolist() == [0, last - 1]


def test_transposition_moves_rows_and_leaves_those_that_would_lose_a_note():
    codec = piano_roll.Codec(planes=ALL, **SMALL)
    low, high = (codec.encode(score((0, 2, pitch, 80))) for pitch in (60, 62))
    moved = np.asarray(codec.transpose(np.stack([low, low, high, high]), np.array([2, -1, -1, 1])))
    np.testing.assert_array_equal(moved[0], high)
    np.testing.assert_array_equal(moved[1], low)
    np.testing.assert_array_equal(moved[2], codec.encode(score((0, 2, 61, 80))))
    np.testing.assert_array_equal(moved[3], high)


def test_stretching_multiplies_onsets_and_ends_and_keeps_the_length_of_the_window():
    codec = piano_roll.Codec(planes=ALL, step_seconds=0.125, **SMALL)  # 4 steps half a second.
    piece = [(0, 2, 60, 80), (2, 2, 60, 90), (6, 2, 62, 100)]
    roll = np.pad(codec.encode(score(*piece)), [(0, 2), (0, 0), (0, 0)])
    both = np.asarray(codec.stretch(np.stack([roll, roll]), np.array([0.5, 1.5], np.float32)))
    assert both.dtype == np.uint8
    assert both.shape == (2, *roll.shape)
    faster, slower = (rows(codec.decode(part).score) for part in both)
    assert faster == [(0, 1, 60, 80), (1, 1, 60, 90), (3, 1, 62, 100)]
    # The last, from 9 to 12, is cut at the end of the window, 10.
    assert slower == [(0, 3, 60, 80), (3, 3, 60, 90), (9, 1, 62, 100)]


def test_a_note_that_a_faster_tempo_moves_onto_the_next_becomes_part_of_it():
    codec = piano_roll.Codec(planes=ALL, step_seconds=0.125, **SMALL)
    roll = codec.encode(score((4, 1, 60, 80), (5, 4, 60, 90)))
    (faster,) = np.asarray(codec.stretch(roll[None], np.array([0.4], np.float32)))
    # 4 * 0.4 = 1.6 and 5 * 0.4 = 2.0 are step 2, where the second lasts to 3.6, so 4.
    assert rows(codec.decode(faster).score) == [(2, 2, 60, 90)]
    assert set(faster[:, 0, 2].tolist()) == {0, 90}


def test_stretching_by_one_changes_nothing_sound_from_before_the_window_included():
    for planes in PLANES:
        codec = piano_roll.Codec(planes=planes, step_seconds=0.125)
        roll = codec.encode(score((0, 6, 60, 80), (3, 2, 62, 90), (5, 3, 62, 91)))[2:]
        (same,) = np.asarray(codec.stretch(roll[None], np.ones(1, np.float32)))
        np.testing.assert_array_equal(same, roll)


def test_note_values_cannot_be_stretched():
    with pytest.raises(ValueError, match="codec 'piano_roll' cannot stretch time; add"):
        piano_roll.Codec().stretch(np.zeros((1, 4, 88, 2), np.uint8), np.ones(1))


@pytest.mark.parametrize("planes", ["onset,frame", "frame"])
def test_onsets_come_from_their_plane_and_without_it_from_where_sound_begins(planes):
    codec = piano_roll.Codec(planes=planes, quarters_per_minute=60.0, **SMALL)
    classes, pitch_sum, seconds = codec.onsets(codec.encode(PIECE)[None])
    again = 60 if planes == "onset,frame" else 0  # Frames alone do not tell the second C4.
    assert np.asarray(pitch_sum).tolist() == [[60, 0, 62 + again]]
    expected = np.zeros((3, 12))
    expected[0, 0], expected[2, 2], expected[2, 0] = 1, 1, again > 0
    np.testing.assert_array_equal(classes[0], expected)
    np.testing.assert_allclose(seconds, [[0.25, 0.25, 0.25]])


def test_pitches_outside_the_rows_are_lost_and_silence_lasts():
    codec = piano_roll.Codec(lowest_pitch=60, pitches=12)  # C4 to B4, in 16ths.
    notes = [(0, 1, 59, 64), (0, 2, 60, 64), (1, 1, 62, 64), (3, 1, 72, 64), (3, 1, 30, 64)]
    rows = np.array([(*note, 0, 0, note[2] == 30) for note in notes], NOTE)
    piece = Score.from_unsorted(4, rows)
    array = codec.encode(piece)
    assert codec.lost_pitches(piece, array) == (59, 72)  # 30 is a drum.
    assert codec.duration_quarters(np.zeros((6, 12, 2), np.uint8)) == pytest.approx(1.5)


@pytest.mark.parametrize(
    "fields, words",
    [
        (
            {"planes": "frame,onset"},
            r"planes is 'frame,onset'; give one of onset,frame\|",
        ),
        ({"pitches": 108}, "lowest_pitch is 21, pitches 108; give a range in 0..127"),
        ({"lowest_pitch": -1}, "lowest_pitch is -1; give 0 to 127"),
        ({"pitches": 0}, "pitches is 0; give 1 to 128"),
        ({"steps_per_quarter": 0}, "steps_per_quarter is 0; give 1 to 960"),
        ({"step_seconds": 2.5}, "step_seconds is 2.5; give 0 to 2"),
        ({"step_seconds": 0.0001}, "step_seconds is 0.0001; give 0.001 to 2, or 0"),
    ],
)
def test_fields_out_of_range_are_refused_with_what_to_give(fields, words):
    with pytest.raises(ValueError, match=words):
        piano_roll.Codec(**fields)


@given(scores(0, 127), st.sampled_from(PLANES), st.sampled_from([0.0, 0.05]))
@settings(max_examples=60, deadline=None, derandomize=True)
def test_any_score_comes_back_as_its_notes_on_the_grid_as_far_as_the_planes_tell(
    piece, planes, step_seconds
):
    codec = piano_roll.Codec(planes=planes, lowest_pitch=0, pitches=128, step_seconds=step_seconds)
    array = codec.encode(piece)
    decoded, dropped = codec.decode(array)
    assert dropped == 0
    np.testing.assert_array_equal(codec.encode(decoded), array)
    onset, length, pitch, velocity = codec._on_grid(piece)
    found = {(int(n["onset"]), int(n["pitch"])) for n in decoded.notes}
    struck = set(zip(onset.tolist(), pitch.tolist(), strict=True))
    assert found == struck if "onset" in planes else found <= struck
    if planes == ALL:
        expected = zip(*(x.tolist() for x in (onset, length, pitch, velocity)), strict=True)
        assert rows(decoded) == list(expected)
    if not step_seconds:  # By the Score's own rounding, written without the codec's.
        on_grid = piece.quantized(4).notes
        on_grid = on_grid[~on_grid["is_drum"]]
        assert struck == {(int(n["onset"]), int(n["pitch"])) for n in on_grid}


@given(st.integers(0, 2**32), st.sampled_from(PLANES), st.integers(0, 12))
@settings(max_examples=60, deadline=None, derandomize=True)
def test_any_roll_decodes_to_notes_whose_roll_decodes_to_the_same(seed, planes, steps):
    codec = piano_roll.Codec(planes=planes, **SMALL)
    draw = np.random.default_rng(seed)
    shape = (steps, 3, codec.spec.size)
    roll = draw.integers(0, 256, shape, np.uint8) * (draw.random(shape) < draw.random())
    decoded, dropped = codec.decode(roll.astype(np.uint8))
    assert rows(codec.decode(codec.encode(decoded)).score) == rows(decoded)
    assert dropped == 0 or (planes.startswith("onset,"))
    if "onset" in planes:
        assert len(decoded.notes) == np.count_nonzero(roll[:, :, 0])
