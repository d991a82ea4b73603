"""The codec events: known answers by hand, tokens that no encoder writes, and real music."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from random_scores import scores

from pipelines.codecs.events import Codec
from pipelines.formats import midi
from pipelines.score import Score
from pipelines.score_arrays import NOTE, PEDAL, TEMPO

PERFORMANCES = Path(__file__).parents[2].parent / "shared" / "data" / "performances"

# The vocabulary with the defaults: note-ons, 128 note-offs, 100 shifts, 32 velocities.
OFF, SHIFT, VELOCITY, PEDAL_TOKEN = 128, 256 - 1, 356, 388


def score(*notes, pedal=(), **fields):
    """A Score of (onset, duration, pitch, velocity) in milliseconds."""
    rows = np.array([(*note, 0, 0, False) for note in notes], NOTE)
    moves = np.array([(*row, 0) for row in pedal], PEDAL)
    return Score.from_unsorted(500, rows, pedal=moves, **fields)


def rows(piece):
    """The notes of a Score as (onset, duration, pitch, velocity)."""
    return piece.notes[["onset", "duration", "pitch", "velocity"]].tolist()


def decoded(*tokens, codec=None):
    """The notes of tokens, and how many were dropped."""
    piece, dropped = (codec or Codec()).decode(np.array(tokens, np.uint16))
    return rows(piece), dropped


# A C; with its end an E and a G, a second and a quarter long.
PIECE = score((0, 250, 60, 64), (250, 1250, 64, 66), (250, 1250, 67, 67))
TOKENS = [
    *(VELOCITY + 15, 60),  # 61 to 64 are level 15.
    *(SHIFT + 25, OFF + 60),
    *(VELOCITY + 16, 64, 67),  # 65 to 68 are level 16, which is said once.
    *(SHIFT + 100, SHIFT + 25, OFF + 64, OFF + 67),
]


def test_a_small_piece_is_the_tokens_written_by_hand():
    assert Codec().encode(PIECE).tolist() == TOKENS


def test_it_comes_back_with_the_velocity_in_the_middle_of_its_level():
    notes, dropped = decoded(*TOKENS)
    assert notes == [(0, 250, 60, 62), (250, 1250, 64, 66), (250, 1250, 67, 66)]
    assert dropped == 0


def test_the_vocabulary_has_the_388_tokens_of_performance_rnn():
    spec = Codec().spec
    assert (spec.kind, spec.dtype, spec.size) == ("tokens", "uint16", 388)
    assert [(name, first) for name, first, _ in spec.blocks] == [
        ("note_on", 0),
        ("note_off", OFF),
        ("time_shift", SHIFT + 1),
        ("velocity", VELOCITY),
    ]


def test_pedal_tokens_come_after_all_others():
    spec = Codec(pedal_levels=3).spec
    assert spec.size == 391
    assert spec.blocks[-1] == ("pedal", PEDAL_TOKEN, 3)


def test_every_velocity_comes_back_within_its_level_and_the_levels_are_of_four():
    codec = Codec()
    piece = score(*((10 * v, 10, 60, v) for v in range(1, 128)))
    back = codec.decode(codec.encode(piece)).score.notes["velocity"].astype(int)
    # 1 to 4 are 2, 5 to 8 are 6, ...; the last level, 125 to 127, has three.
    assert back.tolist() == [min(4 * ((v - 1) // 4) + 2, 126) for v in range(1, 128)]


def test_127_levels_keep_every_velocity():
    codec = Codec(velocity_levels=127)
    piece = score(*((10 * v, 10, 60, v) for v in range(1, 128)))
    assert codec.decode(codec.encode(piece)).score.notes["velocity"].tolist() == [*range(1, 128)]


def test_in_one_step_keys_are_released_then_the_pedal_moves_then_keys_are_struck():
    piece = score(
        (0, 250, 62, 64),
        (0, 250, 60, 64),
        (250, 10, 59, 64),
        pedal=[(0, 64, 127), (250, 64, 0), (250, 64, 63), (260, 64, 64), (260, 67, 127)],
    )
    # 63 is up, as 0 is: of two events in one step the last counts. The soft pedal is left out.
    assert Codec(pedal_levels=2).encode(piece).tolist() == [
        *(PEDAL_TOKEN + 1, VELOCITY + 15, 60, 62),
        *(SHIFT + 25, OFF + 60, OFF + 62, PEDAL_TOKEN, 59),
        *(SHIFT + 1, OFF + 59, PEDAL_TOKEN + 1),
    ]


def test_the_pedal_comes_back_at_its_step_fully_up_or_down():
    codec = Codec(pedal_levels=2)
    piece = score((0, 900, 60, 64), pedal=[(104, 64, 90), (500, 64, 20), (2000, 64, 127)])
    back = codec.decode(codec.encode(piece)).score.pedal
    assert back.tolist() == [(100, 64, 127, 0), (500, 64, 0, 0), (2000, 64, 127, 0)]


@pytest.mark.parametrize("levels", [2, 3, 4, 32, 127, 128])
def test_half_pedal_comes_back_within_its_level(levels):
    codec = Codec(pedal_levels=levels)
    values = [*range(1, 128), 0]
    piece = score((0, 10, 60, 64), pedal=[(10 * i, 64, value) for i, value in enumerate(values)])
    back = codec.decode(codec.encode(piece)).score
    wanted = np.array(values) * levels // 128
    at = np.searchsorted(back.pedal["tick"], 10 * np.arange(128), side="right")
    held = np.append(0, back.pedal["value"].astype(int))[at]
    np.testing.assert_array_equal(held * levels // 128, wanted)
    assert set(back.pedal["value"][back.pedal["value"] > 64]) >= {127}


def test_without_levels_there_is_no_pedal():
    codec = Codec()
    piece = score((0, 250, 60, 64), pedal=[(0, 64, 127)])
    assert len(codec.decode(codec.encode(piece)).score.pedal) == 0
    assert not codec.has_pedal


def test_seconds_go_through_the_tempo_map_and_come_back_at_120():
    # A quarter at 60 a minute, a second; then quarters at 240, a quarter second each.
    tempi = np.array([(0, 1_000_000), (500, 250_000)], TEMPO)
    piece = score((0, 500, 60, 64), (500, 500, 62, 64), tempi=tempi)
    back = Codec().decode(Codec().encode(piece)).score
    assert rows(back) == [(0, 1000, 60, 62), (1000, 250, 62, 62)]
    assert back.tempi.tolist() == [(0, 500_000)]
    np.testing.assert_allclose(back.onset_seconds, [0, 1])


def test_the_silence_before_the_first_note_is_kept():
    tokens = Codec().encode(score((2500, 10, 60, 64))).tolist()
    assert tokens[:3] == [SHIFT + 100, SHIFT + 100, SHIFT + 50]


def test_of_a_unison_the_longest_stays_and_a_key_struck_again_ends_first():
    piece = score((0, 100, 60, 10), (0, 900, 60, 64), (500, 100, 60, 64), (504, 2, 70, 64))
    codec = Codec()
    assert rows(codec.decode(codec.encode(piece)).score) == [
        (0, 500, 60, 62),
        (500, 100, 60, 62),
        (500, 10, 70, 62),  # Shorter than a step: it lasts one.
    ]


def test_drums_are_left_out():
    drum = Score(500, np.array([(0, 10, 38, 64, 0, 0, True)], NOTE))
    assert len(Codec().encode(drum)) == 0


def test_what_ends_after_74_hours_is_left_out():
    slow = np.array([(0, 16_000_000)], TEMPO)  # 16 s a tick: 16,000 ticks are 71 hours.
    notes = [(tick, 1, 60, 64, 0, 0, False) for tick in (0, 16_000, 17_000)]
    piece = Score(1, np.array(notes, NOTE), tempi=slow)
    back, dropped = Codec().decode(Codec().encode(piece))
    assert [onset for onset, *_ in rows(back)] == [0, 256_000_000]
    assert dropped == 0


@pytest.mark.parametrize(
    ("tokens", "notes", "dropped"),
    [
        # Never released: until the last token, a step at the least.
        ([60], [(0, 10, 60, 64)], 0),
        ([60, SHIFT + 30, 62, SHIFT + 20], [(0, 500, 60, 64), (300, 200, 62, 64)], 0),
        # Struck again while it sounds.
        ([60, SHIFT + 30, 60, SHIFT + 1, OFF + 60], [(0, 300, 60, 64), (300, 10, 60, 64)], 0),
        # Released or struck again at once.
        ([60, OFF + 60], [], 1),
        ([60, 60, SHIFT + 5, OFF + 60], [(0, 50, 60, 64)], 1),
        # Released while it is up, before and after.
        ([OFF + 60, 60, SHIFT + 5, OFF + 60, OFF + 60], [(0, 50, 60, 64)], 2),
        # A chord from high to low, and velocities that nothing follows.
        ([VELOCITY, 64, VELOCITY + 31, 60, SHIFT + 1], [(0, 10, 60, 126), (0, 10, 64, 2)], 0),
        ([VELOCITY + 3, SHIFT + 100, VELOCITY + 4], [], 0),
    ],
)
def test_tokens_that_no_encoder_writes_have_a_meaning(tokens, notes, dropped):
    assert decoded(*tokens) == (notes, dropped)


def test_tokens_after_the_length_of_a_row_are_not_read():
    arrays = np.array([[60, SHIFT + 10, OFF + 60, 62], [60, SHIFT + 9, SHIFT + 9, VELOCITY]])
    notes, count, dropped = Codec().notes(arrays.astype(np.uint16), np.array([2, 0], np.int32))
    assert notes.tolist() == [[[0, 100, 60, 64]], [[0, 0, 0, 0]]]
    assert (count.tolist(), dropped.tolist()) == ([1, 0], [0, 0])


def test_a_row_does_not_take_the_velocity_of_the_row_before():
    arrays = np.array([[VELOCITY + 31, 60], [60, VELOCITY + 2]], np.uint16)
    notes, _, _ = Codec().notes(arrays, np.array([2, 2], np.int32))
    assert notes[:, 0, 3].tolist() == [126, 64]


def test_tensors_give_what_arrays_give():
    import tensorflow as tf

    codec = Codec(pedal_levels=4)
    draw = np.random.default_rng(5)
    arrays = draw.integers(0, codec.spec.size, (7, 300), np.uint16)
    arrays[arrays < 256] = arrays[arrays < 256] % 8 + 60 + arrays[arrays < 256] // 128 * 128
    lengths = draw.integers(0, 301, 7).astype(np.int32)
    for function in (codec.notes, codec.pedal):
        in_graph = tf.function(function, autograph=False)(tf.constant(arrays), tf.constant(lengths))
        for array, tensor in zip(function(arrays, lengths), in_graph, strict=True):
            np.testing.assert_array_equal(array, tensor)
            assert array.dtype == tensor.dtype.as_numpy_dtype
    assert codec.notes(arrays, lengths)[1].max() > 20


@settings(deadline=None, max_examples=60)
@given(scores(lowest=0, highest=127))
def test_any_score_comes_back_to_the_same_tokens(piece):
    codec = Codec(pedal_levels=5)
    tokens = codec.encode(piece)
    back, dropped = codec.decode(tokens)
    assert dropped == 0
    np.testing.assert_array_equal(codec.encode(back), tokens)


def test_transposition_moves_keys_alone_and_a_row_that_would_leave_stays():
    arrays = np.array([TOKENS, [*TOKENS[:-1], OFF + 127], TOKENS], np.uint16)
    moved = Codec().transpose(arrays, np.array([3, 3, -60], np.int32)).numpy()
    assert moved.dtype == np.uint16
    up = {60: 63, 64: 67, 67: 70, OFF + 60: OFF + 63, OFF + 64: OFF + 67, OFF + 67: OFF + 70}
    assert moved[0].tolist() == [up.get(token, token) for token in TOKENS]
    assert moved[1].tolist() == arrays[1].tolist()
    assert moved[2].tolist() == [
        *(VELOCITY + 15, 0, SHIFT + 25, OFF, VELOCITY + 16, 4, 7),
        *(SHIFT + 100, SHIFT + 25, OFF + 4, OFF + 7),
    ]


def test_stretching_rounds_the_time_that_has_passed_and_keeps_each_shift_one():
    shifts = np.array([[SHIFT + n for n in (1, 1, 1, 100, 20)]] * 3, np.uint16)
    stretched = Codec().stretch(shifts, np.array([1.4, 0.25, 1.0], np.float32)).numpy()
    # 1.4, 2.8, 4.2, 144.2, 172.2 become 1, 3, 4, 144, 172; a shift of 140 is cut to 100.
    assert (stretched[0] - SHIFT).tolist() == [1, 2, 1, 100, 28]
    # 0.25, 0.5, 0.75, 25.75, 30.75 become 0, 0, 1, 26, 31; a shift of 0 is made 1.
    assert (stretched[1] - SHIFT).tolist() == [1, 1, 1, 25, 5]
    assert stretched[2].tolist() == shifts[2].tolist()


def test_stretching_leaves_all_other_tokens():
    stretched = Codec().stretch(np.array([TOKENS], np.uint16), np.array([2.0], np.float32))
    doubled = [SHIFT + 50 if token == SHIFT + 25 else token for token in TOKENS]
    assert stretched.numpy()[0].tolist() == doubled


def test_onsets_say_which_keys_begin_and_how_long_shifts_last():
    onsets = Codec().onsets(np.array([[VELOCITY, 61, SHIFT + 25, OFF + 61]], np.uint16))
    classes = np.zeros((1, 4, 12))
    classes[0, 1, 1] = 1
    np.testing.assert_array_equal(onsets.pitch_classes, classes)
    assert onsets.pitch_sum.numpy().tolist() == [[0, 61, 0, 0]]
    assert onsets.seconds.numpy().tolist() == [[0, 0, 0.25, 0]]


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"step_milliseconds": 0}, "step_milliseconds is 0; give 1 to 1000"),
        ({"shift_steps": 5}, "shift_steps is 5; give 10 to 10000"),
        ({"velocity_levels": 128}, "velocity_levels is 128; give 1 to 127"),
        ({"pedal_levels": 1}, "pedal_levels is 1; give 0 for none, or 2 to 128"),
        ({"pedal_levels": 129}, "pedal_levels is 129; give 0 to 128"),
    ],
)
def test_a_field_out_of_range_is_refused_in_words(fields, words):
    with pytest.raises(ValueError, match=words):
        Codec(**fields)


@pytest.mark.skipif(not PERFORMANCES.is_dir(), reason="the performances are not here")
def test_real_performances_come_back_with_every_onset_within_ten_milliseconds():
    codec = Codec(pedal_levels=2)
    paths = sorted(PERFORMANCES.rglob("*.mid"))[::40]
    assert len(paths) > 10
    for path in paths:
        piece = midi.read_score(path)
        tokens = codec.encode(piece)
        back, dropped = codec.decode(tokens)
        assert dropped == 0
        np.testing.assert_array_equal(codec.encode(back), tokens)
        assert len(back.notes) == len(piece.notes)
        for pitch in np.unique(piece.notes["pitch"]):
            before = np.sort(piece.onset_seconds[piece.notes["pitch"] == pitch])
            after = np.sort(back.onset_seconds[back.notes["pitch"] == pitch])
            np.testing.assert_allclose(after, before, rtol=0, atol=0.010)
