"""The codec time_chunks: known answers by hand, sets that no encoder makes, and real music."""

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from random_scores import scores

from pipelines.codecs.time_chunks import Codec
from pipelines.formats import midi
from pipelines.score import Score
from pipelines.score_arrays import NOTE, PEDAL, TEMPO

PERFORMANCES = Path(__file__).parents[2].parent / "shared" / "data" / "performances"
SMALL = {"events_per_chunk": 3}


def score(*notes, pedal=(), **fields):
    """A Score of (onset, duration, pitch, velocity) in milliseconds."""
    rows = np.array([(*note, 0, 0, False) for note in notes], NOTE)
    moves = np.array([(*row, 0) for row in pedal], PEDAL)
    return Score.from_unsorted(500, rows, pedal=moves, **fields)


def rows(piece):
    """The notes of a Score as (onset, duration, pitch, velocity)."""
    return piece.notes[["onset", "duration", "pitch", "velocity"]].tolist()


def length(milliseconds, median=0.11, spread=1.16):
    """The feature of a length: 2 * Phi(ln(t / median) / spread) - 1."""
    return math.erf(math.log(milliseconds / 1000 / median) / spread / math.sqrt(2))


def event(start, milliseconds, pitch, velocity):
    """The features of a note that begins at `start` of its chunk of 500 ms."""
    octave, pitch_class = divmod(pitch, 12)
    place = [start / 250 - 1, length(milliseconds), velocity / 64 - 1]
    return [*place, (octave - 5) / 4, (pitch_class - 5.5) / 5.5, 0, 1]


def pressed(start, milliseconds, value, kind=1):
    """The features of a pedal: the sustain pedal is kind 1, sostenuto 2, soft 3."""
    return [start / 250 - 1, length(milliseconds), value / 64 - 1, 0, 0, kind / 3, 1]


NOTHING = [0.0] * 7


def test_a_chunk_holds_what_begins_in_it_and_an_empty_place_is_zero():
    piece = score((0, 100, 60, 64), (125, 50, 21, 127), (1499, 60, 108, 1))
    np.testing.assert_allclose(
        Codec(**SMALL).encode(piece),
        [
            [event(0, 100, 60, 64), event(125, 50, 21, 127), NOTHING],
            [NOTHING] * 3,
            [event(499, 60, 108, 1), NOTHING, NOTHING],
        ],
        atol=1e-6,
    )


def test_a_piano_spans_octaves_from_minus_one_to_one_and_middle_c_is_in_the_middle():
    array = Codec().encode(score((0, 9, 21, 64), (0, 9, 60, 64), (0, 9, 71, 64), (0, 9, 108, 64)))
    np.testing.assert_allclose(array[0, :4, 3], [-1, 0, 0, 1])
    np.testing.assert_allclose(array[0, :4, 4], [3.5 / 5.5, -1, 1, -1], rtol=1e-6)


def test_the_median_length_is_zero():
    array = Codec(median_seconds=0.2, spread=0.8).encode(score((0, 200, 60, 64), (0, 90, 62, 64)))
    np.testing.assert_allclose(array[0, :2, 1], [0, length(90, median=0.2, spread=0.8)], atol=1e-6)


def test_events_stand_by_start_the_pedals_first_then_by_pitch():
    pedal = [(0, 67, 127), (0, 64, 127), (100, 64, 0), (100, 67, 0)]
    array = Codec().encode(score((10, 9, 50, 64), (0, 9, 72, 64), (0, 9, 60, 64), pedal=pedal))
    np.testing.assert_allclose(
        array[0, :6],
        [
            pressed(0, 100, 127),
            pressed(0, 100, 127, kind=3),
            event(0, 9, 60, 64),
            event(0, 9, 72, 64),
            event(10, 9, 50, 64),
            NOTHING,
        ],
        atol=1e-6,
    )


def test_a_run_of_pedal_within_a_level_is_one_event_of_its_mean_by_time():
    # Of four levels 96 to 127 are the highest: 100 for 30 ms and 120 for 10 ms are 105.
    # Then the second level, 40, for 50 ms; then up, where small values are nothing.
    pedal = [(100, 64, 100), (130, 64, 120), (140, 64, 40), (190, 64, 31), (300, 64, 5)]
    array = Codec(**SMALL).encode(score((0, 10, 60, 64), pedal=pedal))
    np.testing.assert_allclose(
        array,
        [[event(0, 10, 60, 64), pressed(100, 40, 105), pressed(140, 50, 40)]],
        atol=1e-6,
    )


def test_the_pedal_comes_back_and_goes_up_once_where_no_level_follows():
    codec = Codec(**SMALL)
    pedal = [(100, 64, 100), (130, 64, 120), (140, 64, 40), (190, 64, 31), (300, 64, 5)]
    back = codec.decode(codec.encode(score((0, 10, 60, 64), pedal=pedal))).score
    assert back.pedal.tolist() == [(100, 64, 105, 0), (140, 64, 40, 0), (190, 64, 0, 0)]


def test_a_pedal_that_is_never_lifted_holds_until_the_last_note_ends():
    codec = Codec(**SMALL)
    back = codec.decode(codec.encode(score((0, 60, 60, 64), pedal=[(10, 64, 127)]))).score
    assert back.pedal.tolist() == [(10, 64, 127, 0), (60, 64, 0, 0)]


def test_a_long_pedal_does_not_go_up_for_a_moment_where_its_level_changes():
    # 1003 ms is no level of length; 1005 ms and 995 ms are: the pedal holds to the change.
    pedal = [(0, 64, 127), (1003, 64, 50), (2006, 64, 0)]
    codec = Codec(**SMALL)
    lengths, _ = codec._lengths
    assert 1003 not in lengths
    back = codec.decode(codec.encode(score((0, 10, 60, 64), pedal=pedal))).score.pedal.tolist()
    assert back[:2] == [(0, 64, 127, 0), (1003, 64, 50, 0)]
    [(lifted, controller, value, _)] = back[2:]
    assert (controller, value) == (64, 0)
    assert 0.99 * 2006 < lifted < 2006


def test_events_above_the_most_are_left_out_and_counted():
    piece = score(*((10 * n, 10, 60 + n, 64) for n in range(5)), (500, 10, 60, 64))
    codec = Codec(**SMALL)
    assert codec.left_out(piece) == 2
    assert [pitch for _, _, pitch, _ in rows(codec.decode(codec.encode(piece)).score)] == [
        *(60, 61, 62),
        60,
    ]
    assert Codec().left_out(piece) == 0


def test_seconds_go_through_the_tempo_map_and_velocities_are_exact():
    tempi = np.array([(0, 1_000_000)], TEMPO)  # 60 a minute: ticks are 2 ms.
    codec = Codec()
    piece = score((0, 20, 60, 1), (250, 25, 62, 127), tempi=tempi)
    back = codec.decode(codec.encode(piece)).score
    assert rows(back) == [(0, 40, 60, 1), (500, 50, 62, 127)]
    assert back.tempi.tolist() == [(0, 500_000)]


def test_every_length_comes_back_within_a_hundredth_up_to_ten_seconds():
    codec = Codec(events_per_chunk=40)
    milliseconds = [*range(1, 200), 999, 1234, 5678, 9999]
    onsets = 2 * np.cumsum([0, *milliseconds[:-1]])
    piece = score(*((int(o), ms, 60, 64) for o, ms in zip(onsets, milliseconds, strict=True)))
    back = codec.decode(codec.encode(piece)).score.notes
    np.testing.assert_array_equal(back["onset"], onsets)
    assert back["duration"][:99].tolist() == milliseconds[:99]
    np.testing.assert_allclose(back["duration"], milliseconds, rtol=0.0067)  # 1 in 151.


def test_lengths_have_features_that_grow_by_what_float32_holds():
    for codec in (Codec(), Codec(spread=5.0), Codec(median_seconds=9.0, spread=0.2)):
        lengths, features = codec._lengths
        assert (np.diff(lengths) > 0).all()
        assert (np.diff(features.astype(np.float64)) >= 2.0**-21).all()
        assert np.abs(features).max() <= 1


@pytest.mark.parametrize(
    ("change", "notes", "dropped"),
    [
        ({}, [(0, 100, 60, 64)], 0),
        ({"presence": 0.4}, [], 0),
        ({"presence": math.nan}, [], 1),
        ({"start": math.nan}, [], 1),
        ({"length": math.inf}, [], 1),
        ({"start": -1.5, "intensity": -3.0}, [(0, 100, 60, 1)], 0),
        ({"start": 1.5}, [(499, 100, 60, 64)], 0),
        ({"octave": 0.1, "pitch_class": -0.95}, [(0, 100, 60, 64)], 0),
        ({"octave": 9.0, "pitch_class": 9.0}, [], 1),  # Key 131.
        ({"pedal": 0.16}, [(0, 100, 60, 64)], 0),
        ({"pedal": 0.4}, [], 0),
    ],
)
def test_features_that_no_encoder_gives_have_a_meaning(change, notes, dropped):
    codec = Codec(**SMALL)
    array = np.zeros((1, 3, 7), np.float32)
    array[0, 1] = event(0, 100, 60, 64)
    for name, first, _ in codec.spec.blocks:
        array[0, 1, first] = change.get(name, array[0, 1, first])
    back = codec.decode(array)
    assert (rows(back.score), back.dropped) == (notes, dropped)


def test_events_of_a_set_have_no_order():
    codec = Codec()
    piece = score((0, 100, 60, 64), (40, 50, 72, 9), pedal=[(3, 64, 127), (90, 64, 0)])
    array = codec.encode(piece)
    back, again = codec.decode(array).score, codec.decode(array[:, ::-1]).score
    np.testing.assert_array_equal(back.notes, again.notes)
    np.testing.assert_array_equal(back.pedal, again.pedal)


def test_of_notes_alike_the_longest_stays_and_of_pedals_that_begin_together_one():
    array = np.zeros((1, 4, 7), np.float32)
    array[0] = [event(0, 60, 60, 64), event(0, 90, 60, 64), pressed(5, 50, 99), pressed(5, 80, 64)]
    back = Codec(events_per_chunk=4).decode(array)
    assert rows(back.score) == [(0, 90, 60, 64)]
    assert back.dropped == 1
    assert back.score.pedal.tolist() == [(5, 64, 64, 0), (85, 64, 0, 0)]


@settings(deadline=None, max_examples=40)
@given(scores(lowest=0, highest=127))
def test_any_score_comes_back_to_the_same_sets(piece):
    for codec in (Codec(), Codec(chunk_seconds=0.25, events_per_chunk=2)):
        array = codec.encode(piece)
        back, dropped = codec.decode(array)
        assert dropped == 0
        np.testing.assert_array_equal(codec.encode(back), array)


def test_transposition_moves_notes_alone_and_a_row_that_would_leave_stays():
    low = [[event(0, 60, 1, 64), pressed(0, 60, 127), NOTHING]]
    array = np.array([[[event(0, 60, 59, 64), pressed(0, 60, 127), NOTHING]], low], np.float32)
    moved = Codec(**SMALL).transpose(array, np.array([-2, -2], np.int32)).numpy()
    np.testing.assert_allclose(
        moved[0], [[event(0, 60, 57, 64), pressed(0, 60, 127), NOTHING]], atol=1e-6
    )
    np.testing.assert_array_equal(moved[1], array[1])


def test_transposing_an_encoded_score_is_encoding_the_transposed_score():
    codec = Codec()
    piece = score((0, 100, 60, 64), (0, 100, 71, 64), (700, 50, 40, 9))
    moved = codec.transpose(codec.encode(piece)[None], np.array([5], np.int32))
    np.testing.assert_array_equal(moved[0], codec.encode(piece.transpose(5)))


def test_onsets_are_counted_with_the_notes_of_a_chunk():
    piece = score((0, 9, 60, 64), (9, 9, 72, 64), (9, 9, 67, 64), pedal=[(0, 64, 127)])
    onsets = Codec().onsets(Codec().encode(piece)[None])
    classes = np.zeros((1, 1, 12))
    classes[0, 0, 0], classes[0, 0, 7] = 2, 1
    np.testing.assert_array_equal(onsets.pitch_classes, classes)
    assert onsets.pitch_sum.numpy().tolist() == [[60 + 72 + 67]]
    assert onsets.seconds.numpy().tolist() == [[0.5]]


def test_stretching_is_refused_with_what_to_do():
    with pytest.raises(ValueError, match="cannot stretch time; add --stretch_percent=0"):
        Codec().stretch(np.zeros((1, 1, 30, 7), np.float32), np.ones(1, np.float32))


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"chunk_seconds": 0.01}, "chunk_seconds is 0.01; give 0.05 to 10"),
        ({"chunk_seconds": 0.3333}, "chunk_seconds is 0.3333; give whole milliseconds"),
        ({"chunk_seconds": math.nan}, "chunk_seconds is nan; give 0.05 to 10"),
        ({"events_per_chunk": 0}, "events_per_chunk is 0; give 1 to 1000"),
        ({"pedal_levels": 1}, "pedal_levels is 1; give 2 to 128"),
        ({"median_seconds": 0.0}, "median_seconds is 0.0; give 0.01 to 10"),
        ({"spread": 0.0}, "spread is 0.0; give 0.1 to 10"),
    ],
)
def test_a_field_out_of_range_is_refused_in_words(fields, words):
    with pytest.raises(ValueError, match=words):
        Codec(**fields)


@pytest.mark.skipif(not PERFORMANCES.is_dir(), reason="the performances are not here")
def test_real_performances_come_back_but_for_the_events_that_were_left_out():
    codec = Codec()
    paths = sorted(PERFORMANCES.rglob("*.mid"))[::60]
    assert len(paths) > 5
    for path in paths:
        piece = midi.read_score(path)
        array = codec.encode(piece)
        back, dropped = codec.decode(array)
        assert dropped == 0
        np.testing.assert_array_equal(codec.encode(back), array)
        assert 0 <= len(piece.notes) - len(back.notes) <= codec.left_out(piece)
        if codec.left_out(piece) == 0:
            for pitch in np.unique(piece.notes["pitch"]):
                before = np.sort(piece.onset_seconds[piece.notes["pitch"] == pitch])
                after = np.sort(back.onset_seconds[back.notes["pitch"] == pitch])
                np.testing.assert_allclose(after, before, rtol=0, atol=0.0005001)
