"""The codec cells: known answers by hand, tables of few values, and random music there and back."""

import dataclasses

import numpy as np
import pytest

from pipelines.codecs import cells
from pipelines.json_schema import SchemaError
from pipelines.score import Score
from pipelines.score_arrays import LAST_TICK, NOTE
from pipelines.spec import Spec

OCTAVES = tuple(range(48, 84))


def score(*notes: tuple[int, int, int, int], ticks_per_quarter: int = 12) -> Score:
    """A Score of (onset, duration, pitch, velocity), track, program and drum all zero."""
    return Score(ticks_per_quarter, np.array([(*note, 0, 0, False) for note in notes], NOTE))


def rows(piece: Score) -> list[tuple[int, int, int, int]]:
    """The notes of a Score as (onset, duration, pitch, velocity)."""
    return [
        (int(n["onset"]), int(n["duration"]), int(n["pitch"]), int(n["velocity"]))
        for n in piece.notes
    ]


def onsets(codec: cells.Codec, *ticks: int) -> list[int]:
    """The decoded onsets of notes of rising pitch that begin at these ticks."""
    piece = score(*((tick, 1, 60 + n, 64) for n, tick in enumerate(ticks)))
    return codec.decode(codec.encode(piece)).score.notes["onset"].tolist()


# On an upbeat an E; a chord of C, E and G an eighth later; the C again after three quarters.
PIECE = score((6, 6, 64, 72), (12, 24, 60, 44), (12, 12, 64, 72), (12, 36, 67, 72), (48, 6, 60, 44))


def test_a_cell_is_beat_phase_time_number_of_tones_and_pitch_length_and_velocity_of_each():
    codec = cells.Codec(
        tones_per_cell=2,
        times=(0, 6, 36),
        lengths=(6, 12, 24, 36),
        velocities=(44, 72),
        pitches=OCTAVES,
    )
    assert codec.spec.blocks[:6] == (
        ("beat_phase", 0, 12),
        ("time", 1, 3),
        ("tones", 2, 2),
        ("pitch 1", 3, 36),
        ("length 1", 4, 4),
        ("velocity 1", 5, 2),
    )
    assert codec.spec.values["time"] == (0, 6, 36) and codec.spec.values["tones"] == (1, 2)
    assert codec.encode(PIECE).tolist() == [
        [6, 0, 0, 16, 0, 1, 0, 0, 0],
        [0, 1, 1, 12, 2, 0, 16, 1, 1],
        [0, 0, 0, 19, 3, 1, 0, 0, 0],  # The third tone of the chord: at once.
        [0, 2, 0, 12, 0, 0, 0, 0, 0],
    ]
    assert rows(codec.decode(codec.encode(PIECE)).score) == rows(PIECE)


@pytest.mark.parametrize("values", [{"time": [0, 1.5]}, {"time": 3}, {"time": ["0"]}, [0]])
def test_values_of_a_spec_that_are_no_whole_numbers_are_refused(values):
    stored = cells.Codec().spec.to_json()
    assert Spec.from_json(stored).values["tones"] == (1, 2, 3, 4)
    with pytest.raises(SchemaError, match=r"spec\.values"):
        Spec.from_json({**stored, "values": values})


def test_without_tables_every_value_is_a_category():
    codec = cells.Codec(longest_quarters=2)
    sizes = {name: size for name, _, size in codec.spec.blocks}
    assert [sizes[n] for n in ("time", "pitch 4", "length 4", "velocity 4")] == [25, 128, 24, 127]
    assert codec.encode(score((25, 5, 60, 70))).tolist() == [[1, 0, 0, 60, 4, 69] + [0] * 9]


def test_a_piece_begins_in_its_quarter_note_and_whole_quarters_before_it_are_lost():
    assert onsets(cells.Codec(), 30, 42) == [6, 18]


def test_times_and_lengths_go_to_the_nearest_by_logarithm_and_velocities_by_difference():
    codec = cells.Codec(times=(0, 3, 15), lengths=(1, 9, 49), velocities=(40, 60))
    # (1 + 3)(1 + 15) = 64 = (1 + 7) ** 2: 7 is as near to 3 as to 15, and 8 is nearer to 15.
    assert [onsets(codec, 0, time)[1] for time in (1, 7, 8, 100)] == [3, 3, 15, 15]
    # Likewise (1 + 1)(1 + 9) = 20, between (1 + 3) ** 2 and (1 + 4) ** 2.
    notes = [(0, 3, 50, 1), (0, 4, 51, 50), (0, 21, 52, 51), (0, 22, 53, 127)]
    decoded = rows(codec.decode(codec.encode(score(*notes))).score)
    assert [note[1] for note in decoded] == [1, 9, 9, 49]
    assert [note[3] for note in decoded] == [40, 40, 60, 60]


def test_a_pitch_out_of_the_range_moves_by_octaves_and_what_meets_becomes_one_note():
    codec = cells.Codec(pitches=tuple(range(60, 73)))
    pitches = (0, 47, 59, 60, 72, 73, 127)
    moved = {pitch: codec.decode(codec.encode(score((0, 4, pitch, 64)))).score for pitch in pitches}
    assert [int(moved[pitch].notes["pitch"][0]) for pitch in pitches] == [
        *(60, 71, 71, 60, 72, 61, 67)
    ]
    # 55 and 67 become 67, the longer one stays; 61 stands before it.
    array = codec.encode(score((0, 4, 55, 64), (0, 4, 61, 64), (0, 9, 67, 64)))
    assert array[0, :9].tolist() == [0, 0, 1, 1, 3, 63, 7, 8, 63]
    assert codec.decode(array).dropped == 0


def test_what_a_time_is_too_long_the_next_ones_are_shorter():
    codec = cells.Codec(times=(0, 1, 2, 3, 5, 6, 12))
    # 4 becomes 5 and is late by 1, so the next 4 becomes 3; likewise 4 and 6.
    assert onsets(codec, 0, 4, 8, 12, 18) == [0, 5, 8, 13, 18]


def test_whole_quarters_that_a_rest_lost_are_not_made_up_for():
    codec = cells.Codec(times=(0, 6, 7, 12, 13, 24))
    # 61 ticks are 5 quarters and one: 24 are 3 quarters and one too few, of which one counts.
    assert onsets(codec, 0, 61, 73, 85) == [0, 24, 37, 49]


def test_a_time_above_the_longest_loses_whole_quarters():
    codec = cells.Codec(longest_quarters=2)
    assert onsets(codec, 0, 24, 49, 149) == [0, 24, 37, 53]  # 25 - 12, 100 - 84.


def test_times_above_nothing_stay_above_nothing_and_onsets_apart():
    codec = cells.Codec(times=(0, 6))
    assert onsets(codec, 0, 1, 2, 3) == [0, 6, 12, 18]
    assert onsets(cells.Codec(times=(0,)), 0, 1, 2) == [0, 0, 0]  # Unless there is no time.


def random_pieces() -> list[Score]:
    """Pieces of up to twelve notes on a grid of 12, chords and repeated keys among them."""
    draw = np.random.default_rng(5)
    pieces = []
    for count in [*range(13)] * 8:
        notes = np.zeros(count, NOTE)
        notes["onset"] = draw.integers(0, draw.choice([12, 60]), count)
        notes["duration"] = draw.integers(1, 40, count)
        notes["pitch"] = draw.integers(40, draw.choice([45, 90]), count)
        notes["velocity"] = draw.integers(1, 128, count)
        pieces.append(Score.from_unsorted(12, notes))
    return pieces


TABLES = cells.Codec(
    tones_per_cell=2,
    longest_quarters=2,
    times=(0, 2, 3, 7, 12),
    lengths=(2, 5, 24),
    velocities=(30, 90),
    pitches=OCTAVES,
)


def test_an_array_without_tables_is_recoded_to_what_the_tables_encode():
    for piece in random_pieces():
        recoded = TABLES.recoded(TABLES.exact().encode(piece))
        np.testing.assert_array_equal(recoded, TABLES.encode(piece))


@pytest.mark.parametrize("codec", [TABLES, TABLES.exact()], ids=["tables", "exact"])
def test_beat_phases_follow_from_the_times_and_tones_rise_from_low_to_high(codec):
    for piece in random_pieces():
        array = codec.encode(piece)
        times = np.array(codec.spec.values["time"])[array[1:, 1]]
        np.testing.assert_array_equal(array[1:, 0], (array[:-1, 0] + times) % 12)
        for cell in array:
            tones = cell[3:].reshape(-1, 3)
            assert (np.diff(tones[: cell[2] + 1, 0]) > 0).all()
            assert not tones[cell[2] + 1 :].any()


@pytest.mark.parametrize(
    ("codec", "keys"), [(TABLES, OCTAVES), (TABLES.exact(), range(128))], ids=["tables", "exact"]
)
def test_encoding_what_was_decoded_gives_the_same_array(codec, keys):
    pieces = [
        dataclasses.replace(piece, notes=piece.notes[np.isin(piece.notes["pitch"], keys)])
        for piece in random_pieces()
    ]
    arrays = [codec.encode(piece) for piece in pieces]
    for array, decoded in zip(arrays, codec.decode_all(arrays), strict=True):
        assert decoded.dropped == 0
        np.testing.assert_array_equal(codec.encode(decoded.score), array)


def test_categories_that_are_none_are_clipped_and_times_of_the_first_cell_are_ignored():
    codec = cells.Codec(tones_per_cell=1, times=(0, 6), lengths=(6, 12), velocities=(64,))
    array = np.array([[13, 9, 9, 300, -1, 7], [-5, 1, 0, 60, 1, 0]], np.int32)
    assert rows(codec.decode(array).score) == [(11, 6, 127, 64), (17, 12, 60, 64)]


def test_a_window_out_of_the_middle_begins_in_its_quarter_note():
    codec = cells.Codec()
    array = codec.encode(score((0, 6, 60, 64), (18, 6, 62, 64), (24, 6, 64, 64)))
    assert codec.decode(array[1:]).score.notes["onset"].tolist() == [6, 12]
    assert codec.duration_quarters(array) == 2.0 and codec.duration_quarters(array[1:]) == 1.0
    np.testing.assert_allclose(codec.onsets(array[None]).seconds, [[0.9, 0.3, 0]], rtol=1e-6)


def test_notes_past_the_last_tick_of_a_midi_file_are_dropped_and_counted():
    codec = cells.Codec(ticks_per_quarter=960, longest_quarters=64, tones_per_cell=1)
    array = np.zeros((5000, 6), np.int32)
    array[:, 1] = 61_440  # 4369 of them are below 2 ** 28 - 2; the first is ignored.
    decoded = codec.decode(array)
    assert len(decoded.score.notes) == 4370 == 5000 - decoded.dropped
    assert decoded.score.length_ticks <= LAST_TICK


def test_transposing_stays_within_the_table_of_pitches():
    codec = cells.Codec(pitches=tuple(range(58, 70)), tones_per_cell=2)
    array = codec.encode(score((0, 6, 60, 64), (0, 6, 67, 64), (6, 6, 62, 64)))
    batch = np.stack([array] * 4)
    moved = codec.transpose(batch, np.array([2, 3, -2, -3], np.int32))
    assert [row[0, 3] for row in np.asarray(moved)] == [4, 2, 0, 2]  # 67 + 3 and 60 - 3 are out.
    assert np.asarray(moved)[0, 1, 3:].tolist() == [6, 5, 63, 0, 0, 0]  # An empty slot stays 0.


def test_stretching_moves_onsets_and_ends_and_the_beat_phase_follows():
    codec = cells.Codec(tones_per_cell=1)
    array = codec.encode(score((3, 6, 60, 64), (9, 6, 62, 64), (18, 3, 64, 64)))
    slower = np.asarray(codec.stretch(array[None], np.array([2.0], np.float32)))[0]
    assert rows(codec.decode(slower).score) == [(6, 12, 60, 64), (18, 12, 62, 64), (36, 6, 64, 64)]
    assert slower[:, 0].tolist() == [6, 6, 0]
    few = dataclasses.replace(codec, times=(0, 6, 9), lengths=(3, 6))
    faster = np.asarray(few.stretch(few.encode(PIECE)[None], np.array([0.1], np.float32)))[0]
    assert faster[:, 1].tolist() == [0, 1, 0, 0, 1]  # No time above 0 becomes 0.


COUNTS = {"time": {}, "pitch": {60: 3}, "length": {6: 3}, "velocity": {64: 3}}


def test_tables_are_measured_and_those_that_were_given_stay():
    codec = cells.Codec(velocities=(64, 80))
    assert codec.fitted(COUNTS | {"time": {0: 100, 6: 5, 12: 1}}) == dataclasses.replace(
        codec, times=(0, 6, 12), lengths=(6,), pitches=tuple(range(54, 67))
    )


def test_music_of_one_onset_one_length_and_one_velocity_has_tables_of_one_value():
    codec = cells.Codec().fitted(COUNTS)
    assert (codec.times, codec.lengths, codec.velocities) == ((0,), (6,), (64,))
    decoded = codec.decode(codec.encode(score((0, 3, 60, 1), (0, 9, 61, 127))))
    assert rows(decoded.score) == [(0, 6, 60, 64), (0, 6, 61, 64)]


@pytest.mark.parametrize(("pitch", "pitches"), [(0, range(12)), (127, range(116, 128))])
def test_at_the_ends_of_the_keyboard_there_is_an_octave(pitch, pitches):
    codec = cells.Codec().fitted(COUNTS | {"pitch": {pitch: 1}})
    assert codec.pitches == tuple(pitches)


def test_more_values_than_a_table_holds_go_to_classes():
    codec = cells.Codec(most_values=9)
    counts = {name: dict.fromkeys(range(1, 101), 1) for name in ("time", "length", "velocity")}
    fitted = codec.fitted(COUNTS | counts)
    assert len(fitted.times) == len(fitted.lengths) == len(fitted.velocities) == 9
    assert fitted.times[0] == 0 and fitted.lengths[0] > 0


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"times": (0, 6, 3)}, "times are 0,6,3; give each value once, ascending"),
        ({"lengths": (6, 6)}, "lengths are 6,6; give each value once, ascending"),
        ({"times": (3, 6)}, "times are 3,6; begin with 0"),
        ({"times": (0, 193)}, "times go up to 193 ticks"),
        ({"lengths": (1, 193)}, "lengths go up to 193 ticks"),
        ({"lengths": (0, 1)}, "lengths is 0,1; give 1 or more for each"),
        ({"velocities": (1, 128)}, "velocities is 1,128; give 1 to 127 for each"),
        ({"velocities": tuple(range(1, 10)), "most_values": 8}, "velocities have 9 values"),
        ({"pitches": tuple(range(60, 71))}, "pitches are 60,61,62,63,64,65,66,67,...; give every"),
        ({"pitches": (40, *range(60, 80))}, "give every key number from the lowest to the highest"),
        ({"pitches": tuple(range(120, 133))}, "give 0 to 127 for each"),
        ({"most_values": 1}, "most_values is 1; give 2 to 1024"),
    ],
)
def test_tables_that_make_no_sense_are_refused_in_words(fields, words):
    with pytest.raises(ValueError, match=r"^(--|codec cells: )") as refusal:
        cells.Codec(**fields)
    assert words in str(refusal.value)
