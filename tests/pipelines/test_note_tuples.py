"""The codec note_tuples: known answers by hand, and real music there and back."""

import functools
import math
from pathlib import Path

import numpy as np
import pytest

from pipelines.codecs import note_tuples
from pipelines.formats import midi
from pipelines.score import Score
from pipelines.score_arrays import NOTE

REAL_MUSIC = Path(__file__).parents[3] / "shared/data/scores/piano-midi.de"
PAPER = {"ticks_per_quarter": 384, "pitch_features": "number"}
SETTINGS = [
    {},
    {"tones_per_cell": 3},
    {"tones_per_cell": 3, "quadruplet_per_tone": True},
    PAPER,
    {**PAPER, "tones_per_cell": 3},
    {**PAPER, "tones_per_cell": 4, "quadruplet_per_tone": True},
    {**PAPER, "scaling": "raw"},
    {**PAPER, "scaling": "raw", "tones_per_cell": 3},
    {"ticks_per_quarter": 960, "longest_quarters": 64},
    {"ticks_per_quarter": 2, "longest_quarters": 1},
]


def score(*notes: tuple[int, int, int, int], ticks_per_quarter: int = 12) -> Score:
    """A Score of (onset, duration, pitch, velocity), track, program and drum all zero."""
    return Score(ticks_per_quarter, np.array([(*note, 0, 0, False) for note in notes], NOTE))


def rows(piece: Score) -> list[tuple[int, int, int, int]]:
    """The notes of a Score as (onset, duration, pitch, velocity)."""
    return [
        (int(n["onset"]), int(n["duration"]), int(n["pitch"]), int(n["velocity"]))
        for n in piece.notes
    ]


# A C, a quarter long; with its end an E and a G together; a quarter of silence; the C again.
PIECE = score((0, 12, 60, 64), (12, 6, 64, 80), (12, 6, 67, 96), (36, 12, 60, 127))


def test_a_cell_is_the_gap_since_the_previous_onset_then_length_pitch_and_velocity():
    codec = note_tuples.Codec(longest_quarters=16, pitch_features="number", ticks_per_quarter=12)
    # 16 quarters of 12 ticks: 192 ticks are 1, no gap and a length of one tick are -1.
    time = {gap: 2 * math.log(1 + gap) / math.log(193) - 1 for gap in (0, 12, 24)}
    length = {ticks: 2 * math.log(ticks) / math.log(192) - 1 for ticks in (6, 12)}
    assert codec.spec.size == 4
    np.testing.assert_allclose(
        codec.encode(PIECE),
        [
            [-1.0, length[12], -4 / 24, 0.0],
            [time[12], length[6], 0.0, 0.25],
            [-1.0, length[6], 3 / 24, 0.5],
            [time[24], length[12], -4 / 24, 63 / 64],
        ],
        atol=1e-6,
    )


def test_raw_scaling_is_ticks_hertz_and_velocity_as_the_authors_code_has_them():
    codec = note_tuples.Codec(scaling="raw", pitch_features="number", ticks_per_quarter=12)
    array = codec.encode(score((0, 12, 69, 64), (12, 300, 57, 1)))
    # A4 is 440 Hz, an octave below 220 Hz; 300 ticks are cut to 16 quarters.
    np.testing.assert_allclose(array, [[0, 12, 440, 64], [12, 192, 220, 1]])


def test_the_circle_of_fifths_puts_c_at_0_g_at_30_and_d_at_60_degrees():
    codec = note_tuples.Codec()
    array = codec.encode(score((0, 1, 60, 64), (1, 1, 67, 64), (2, 1, 62, 64), (3, 1, 66, 64)))
    assert ("pitch 1", 2, 3) in codec.spec.blocks
    np.testing.assert_allclose(
        array[:, 2:5],
        [
            [-4 / 24, 0.7, 0.0],
            [3 / 24, 0.7 * math.sqrt(3) / 2, 0.35],
            [-2 / 24, 0.35, 0.7 * math.sqrt(3) / 2],
            [2 / 24, -0.7, 0.0],  # F sharp, opposite to C.
        ],
        atol=1e-6,
    )


def test_three_tones_share_a_cell_and_its_time_and_a_fourth_starts_a_new_cell():
    codec = note_tuples.Codec(tones_per_cell=3, scaling="raw", pitch_features="number")
    chord = [(12, 6, pitch, 64) for pitch in (57, 69, 81, 93)]
    array = codec.encode(score((0, 12, 69, 32), *chord))
    assert codec.spec.size == 10  # 3 * 3 + 1
    np.testing.assert_allclose(
        array,
        [
            # An empty slot is silent, one tick long and has the pitch of the first tone.
            [0, 12, 440, 32, 1, 440, 0, 1, 440, 0],
            [12, 6, 220, 64, 6, 440, 64, 6, 880, 64],
            [0, 6, 1760, 64, 1, 1760, 0, 1, 1760, 0],
        ],
    )


def test_quadruplets_give_each_tone_a_time_of_its_own_whether_they_start_together_or_not():
    codec = note_tuples.Codec(
        tones_per_cell=3, quadruplet_per_tone=True, scaling="raw", pitch_features="number"
    )
    piece = score((0, 12, 69, 64), (12, 6, 57, 64), (12, 6, 81, 64), (36, 12, 69, 64))
    assert codec.spec.size == 12  # 4 * 3
    np.testing.assert_allclose(
        codec.encode(piece),
        [
            [0, 12, 440, 64, 12, 6, 220, 64, 0, 6, 880, 64],
            [24, 12, 440, 64, 0, 1, 440, 0, 0, 1, 440, 0],
        ],
    )


@pytest.mark.parametrize("fields", SETTINGS, ids=str)
def test_a_small_piece_on_the_grid_comes_back_note_for_note(fields):
    codec = note_tuples.Codec(**fields)
    longest = codec.longest_quarters
    decoded = codec.decode(codec.encode(PIECE))
    unit = codec.ticks_per_quarter / 12
    expected = [
        (round(onset * unit), round(duration * unit), pitch, velocity)
        for onset, duration, pitch, velocity in rows(PIECE)
    ]
    if longest == 1:  # The silence of two quarters is cut to one.
        expected[-1] = (round(24 * unit), *expected[-1][1:])
    assert rows(decoded.score) == expected
    assert decoded.dropped == 0


def test_the_time_grid_rounds_to_the_nearest_tick_and_keeps_every_note_at_least_a_tick():
    # 480 ticks a quarter on a grid of 12: 40 to 1. 19 -> 0, 20 -> 1 (halves up), 61 -> 2.
    piece = score((19, 1, 60, 64), (20, 41, 62, 64), (61, 400, 64, 64), ticks_per_quarter=480)
    decoded = note_tuples.Codec().decode(note_tuples.Codec().encode(piece))
    assert rows(decoded.score) == [(0, 1, 60, 64), (1, 1, 62, 64), (2, 10, 64, 64)]


def test_drums_are_left_out_and_a_piece_starts_with_its_first_note():
    notes = score((100, 6, 60, 64), (120, 6, 62, 64)).notes.copy()
    notes["is_drum"][0] = True
    codec = note_tuples.Codec()
    assert rows(codec.decode(codec.encode(Score(12, notes))).score) == [(0, 6, 62, 64)]


def test_a_key_struck_again_while_it_sounds_ends_the_note_and_of_a_unison_the_longest_stays():
    piece = score((0, 24, 60, 64), (0, 12, 60, 99), (12, 24, 60, 80))
    codec = note_tuples.Codec()
    assert rows(codec.decode(codec.encode(piece)).score) == [(0, 12, 60, 64), (12, 24, 60, 80)]


def test_a_silent_or_impossible_tone_is_left_out_and_only_the_impossible_is_counted():
    codec = note_tuples.Codec(scaling="raw", pitch_features="number")
    nan, inf = math.nan, math.inf
    array = np.array(
        [
            [0, 12, 440, 64],
            [12, 12, 440, 0],  # Silence: not a note.
            [12, 12, nan, 64],
            [12, nan, 440, 64],
            [12, 12, 440, -inf],
            [nan, 12, 880, 300],  # No gap is known: none; louder than loudest: 127.
            [-5, -5, 1e9, 64],  # Before the last note: with it; a tick long; the top key.
        ],
        np.float32,
    )
    score, dropped = codec.decode(array)
    assert rows(score) == [(0, 12, 69, 64), (48, 12, 81, 127), (48, 1, 127, 64)]
    assert dropped == 3


def test_notes_after_the_length_of_a_row_do_not_count():
    codec = note_tuples.Codec()
    array = codec.encode(PIECE)
    notes, count, dropped = codec.notes(np.stack([array, array]), np.array([4, 1], np.int32))
    assert np.asarray(count).tolist() == [4, 1]
    assert np.asarray(dropped).tolist() == [0, 0]
    assert np.asarray(notes)[1].tolist() == [[0, 12, 60, 64], [0] * 4, [0] * 4, [0] * 4]


def test_notes_past_the_last_tick_of_a_midi_file_are_dropped_and_counted():
    codec = note_tuples.Codec(ticks_per_quarter=960, longest_quarters=64)
    cell = codec.encode(score((0, 1, 60, 64), ticks_per_quarter=960))[0]
    cell[0] = 1.0  # A gap of 61,440 ticks before each; 61,440 * 4,369 is below 2 ** 28 - 2.
    decoded = codec.decode(np.tile(cell, (40_000, 1)))  # The last at 2.5e9, above 2 ** 31.
    assert len(decoded.score.notes) == 4370
    assert decoded.dropped == 40_000 - 4370


@pytest.mark.parametrize("fields", SETTINGS, ids=str)
@pytest.mark.parametrize("edge", [-0.5, float(np.nextafter(np.float32(0.5), 0)), None])
def test_dequantized_arrays_decode_to_the_same_notes(fields, edge):
    codec = note_tuples.Codec(**fields)
    draw = np.random.default_rng(7)
    array = codec.encode(random_piece(draw, 400, codec.ticks_per_quarter))
    uniform = np.full(array.shape, edge) if edge else draw.uniform(-0.5, 0.5, array.shape)
    spread = codec.dequantize(array, uniform.astype(np.float32))
    assert np.isfinite(spread).all()
    assert rows(codec.decode(spread).score) == rows(codec.decode(array).score)


def test_dequantizing_spreads_every_feature():
    codec = note_tuples.Codec(tones_per_cell=2)
    array = codec.encode(PIECE)
    spread = codec.dequantize(array, np.full(array.shape, 0.25, np.float32))
    assert (np.asarray(spread) != array).all()


def random_piece(draw: np.random.Generator, count: int, ticks_per_quarter: int) -> Score:
    """Notes of all pitches, velocities and log-uniform gaps and lengths up to 64 quarters."""
    notes = np.zeros(count, NOTE)
    longest = np.log(64 * ticks_per_quarter)
    notes["onset"] = np.cumsum(np.exp(draw.uniform(0, longest, count)).astype(int) - 1)
    notes["duration"] = np.exp(draw.uniform(0, longest, count)).astype(int)
    notes["pitch"] = draw.integers(0, 128, count)
    notes["velocity"] = draw.integers(1, 128, count)
    return Score.from_unsorted(ticks_per_quarter, notes)


@functools.cache
def real_pieces() -> list[Score]:
    """Twelve pieces of twelve composers, as MIDI has them."""
    folders = sorted(folder for folder in REAL_MUSIC.glob("*") if folder.is_dir())
    files = [sorted(folder.glob("**/*.mid"))[0] for folder in folders or [REAL_MUSIC]][:12]
    return [midi.read_score(file) for file in files]


@pytest.mark.skipif(not REAL_MUSIC.exists(), reason=f"no real music at {REAL_MUSIC}")
@pytest.mark.parametrize("fields", SETTINGS[:-1], ids=str)
def test_of_real_music_every_note_on_the_grid_comes_back(fields):
    codec = note_tuples.Codec(**fields)
    for piece in real_pieces():
        decoded = codec.decode(codec.encode(piece))
        assert decoded.dropped == 0
        assert rows(decoded.score) == on_the_grid(
            piece, codec.ticks_per_quarter, codec.longest_quarters * codec.ticks_per_quarter
        )


def on_the_grid(piece: Score, grid: int, longest: int) -> list[tuple[int, int, int, int]]:
    """The documented losses and no others, note by note in plain Python."""

    def to_grid(ticks: int) -> int:
        return math.floor(ticks * grid / piece.ticks_per_quarter + 0.5)

    sounding: dict[int, dict[int, tuple[int, int]]] = {}
    for note in piece.notes[~piece.notes["is_drum"]]:
        onset, end = int(note["onset"]), int(note["onset"] + note["duration"])
        start = to_grid(onset)
        ticks = max(to_grid(end) - start, 1)
        key = sounding.setdefault(int(note["pitch"]), {})
        if start not in key or ticks > key[start][0]:
            key[start] = (ticks, int(note["velocity"]))
    notes = []
    for pitch, key in sounding.items():
        starts = sorted(key)
        for start, following in zip(starts, [*starts[1:], 1 << 60], strict=True):
            ticks, velocity = key[start]
            notes.append((start, min(ticks, following - start, longest), pitch, velocity))
    notes.sort(key=lambda note: (note[0], note[2]))
    place, before, result = 0, notes[0][0], []
    for start, ticks, pitch, velocity in notes:
        place += min(start - before, longest)
        before = start
        result.append((place, ticks, pitch, velocity))
    return result


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"tones_per_cell": 0}, "tones_per_cell is 0; give 1 to 128"),
        ({"ticks_per_quarter": 961}, "ticks_per_quarter is 961; give 1 to 960"),
        ({"longest_quarters": 0}, "longest_quarters is 0; give 1 to 64"),
        ({"ticks_per_quarter": 1, "longest_quarters": 1}, "longest_quarters"),
        ({"quarters_per_minute": 5.0}, "quarters_per_minute is 5.0; give 10 to 1000"),
        ({"quarters_per_minute": math.nan}, "quarters_per_minute is nan"),
        (
            {"pitch_features": "hertz"},
            "pitch_features is 'hertz'; give one of circle",
        ),
        ({"scaling": "log"}, "scaling is 'log'; give one of unit|raw"),
        ({"scaling": "raw"}, "add --pitch_features=number"),
    ],
)
def test_a_field_out_of_range_is_refused_in_words(fields, words):
    with pytest.raises(ValueError, match=r"^(--|codec note_tuples: )") as refusal:
        note_tuples.Codec(**fields)
    assert words in str(refusal.value)


def test_a_decoded_piece_has_the_tempo_and_grid_of_the_codec():
    codec = note_tuples.Codec(quarters_per_minute=120.0, ticks_per_quarter=24)
    piece = codec.decode(codec.encode(PIECE)).score
    assert piece.ticks_per_quarter == 24
    assert piece.tempi.tolist() == [(0, 500_000)]


def test_presence_says_which_tones_of_a_cell_sound():
    codec = note_tuples.Codec(tones_per_cell=2)
    notes = np.zeros(3, NOTE)
    notes["onset"], notes["duration"] = [0, 0, 480], 480
    notes["pitch"], notes["velocity"] = [60, 64, 62], 80
    array = codec.encode(Score(480, notes))
    blocks = {name: first for name, first, _ in codec.blocks}
    np.testing.assert_allclose(array[:, blocks["presence 1"]], [0.7, 0.7])
    np.testing.assert_allclose(array[:, blocks["presence 2"]], [0.7, -0.7])
    # The empty slot has the first tone's velocity, 80 / 64 - 1, and pitch, (62 - 64) / 24.
    np.testing.assert_allclose(array[:, blocks["velocity 2"]], [0.25, 0.25])
    assert array[1, blocks["pitch 2"]] == pytest.approx(-2 / 24)
    assert [int(pitch) for pitch in codec.decode(array).score.notes["pitch"]] == [60, 64, 62]


def test_a_tone_of_negative_presence_is_silent_and_one_of_positive_presence_sounds():
    codec = note_tuples.Codec(tones_per_cell=2)
    array = np.zeros((1, codec.spec.size), np.float32)
    blocks = {name: first for name, first, _ in codec.blocks}
    array[0, blocks["presence 1"]], array[0, blocks["presence 2"]] = 0.01, -0.01
    array[0, blocks["velocity 1"]] = -2.0  # As soft as can be, but there.
    decoded = codec.decode(array)
    assert list(decoded.score.notes["velocity"]) == [1]
    assert decoded.dropped == 0
