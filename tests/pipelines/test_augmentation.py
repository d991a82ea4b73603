"""Augmentation: how windows are moved and stretched, alone and in batches."""

import dataclasses
import itertools
from typing import ClassVar

import numpy as np
import pytest
from stored_pieces import store

from pipelines import dataset
from pipelines.batches.augmentation import Augmentation
from pipelines.codecs import cells, note_tuples
from pipelines.codecs import codec as codecs
from pipelines.dataset import Pieces, Windows, open_pieces
from pipelines.score import Score
from pipelines.score_arrays import NOTE
from pipelines.spec import Spec

SETTINGS = [
    {},
    {"tones_per_cell": 3},
    {"tones_per_cell": 3, "presence": False},
    {"tones_per_cell": 3, "quadruplet_per_tone": True},
    {"pitch_features": "number", "tones_per_cell": 2},
    {"pitch_features": "number", "scaling": "raw", "tones_per_cell": 2},
    {"pitch_features": "number", "ticks_per_quarter": 384},
]
every_setting = pytest.mark.parametrize("fields", SETTINGS, ids=str)


@dataclasses.dataclass(frozen=True)
class Fixed(codecs.Codec):
    """A codec that can neither move nor stretch."""

    name: ClassVar[str] = "fixed"

    @property
    def spec(self):
        return Spec("tokens", (None,), "uint16", 9, "sign")

    def encode(self, score):
        return np.zeros(1, np.uint16)

    @property
    def output_descriptions(self):
        return {"signs": "as they are"}

    def outputs(self, arrays, lengths):
        return {"signs": arrays}


def score(*notes):
    """A Score of (onset, duration, pitch, velocity), 12 ticks a quarter."""
    return Score(12, np.array([(*note, 0, 0, False) for note in notes], NOTE))


# A C, then E and G together, then after a rest the C again.
NOTES = [(0, 12, 60, 64), (12, 6, 64, 80), (12, 6, 67, 96), (36, 12, 60, 127)]


def moved(semitones):
    return score(*((o, d, pitch + semitones, v) for o, d, pitch, v in NOTES))


@every_setting
def test_transposing_an_array_is_encoding_the_transposed_notes_exactly(fields):
    codec = note_tuples.Codec(**fields)
    array = codec.encode(score(*NOTES))
    rows = codec.transpose(np.stack([array] * 3), np.array([5, -60, 0], np.int32)).numpy()
    np.testing.assert_array_equal(rows[0], codec.encode(moved(5)))
    np.testing.assert_array_equal(rows[1], codec.encode(moved(-60)))
    np.testing.assert_array_equal(rows[2], array)


@every_setting
def test_a_row_that_would_leave_the_keyboard_stays_as_it_is_and_the_others_move(fields):
    codec = note_tuples.Codec(**fields)
    array = codec.encode(score(*NOTES))  # From 60 to 67.
    rows = codec.transpose(np.stack([array] * 4), np.array([60, 61, -60, -61], np.int32)).numpy()
    np.testing.assert_array_equal(rows[0], codec.encode(moved(60)))
    np.testing.assert_array_equal(rows[1], array)
    np.testing.assert_array_equal(rows[2], codec.encode(moved(-60)))
    np.testing.assert_array_equal(rows[3], array)


@every_setting
def test_stretching_an_array_is_encoding_the_stretched_notes_exactly(fields):
    codec = note_tuples.Codec(**fields)
    array = codec.encode(score(*NOTES))
    rows = codec.stretch(np.stack([array] * 3), np.array([1.5, 0.5, 1.0], np.float32)).numpy()
    longer = score((0, 18, 60, 64), (18, 9, 64, 80), (18, 9, 67, 96), (54, 18, 60, 127))
    shorter = score((0, 6, 60, 64), (6, 3, 64, 80), (6, 3, 67, 96), (18, 6, 60, 127))
    np.testing.assert_array_equal(rows[0], codec.encode(longer))
    np.testing.assert_array_equal(rows[1], codec.encode(shorter))
    np.testing.assert_array_equal(rows[2], array)


def test_rounding_does_not_add_up_and_notes_that_touch_still_do():
    codec = note_tuples.Codec(tones_per_cell=2)
    array = codec.encode(score(*((onset, 1, 60, 64) for onset in range(9))))
    (row,) = codec.stretch(array[None], np.array([1.25], np.float32)).numpy()
    # 0, 1.25, 2.5, 3.75, 5, 6.25, 7.5, 8.75, 10; halves go to the even number.
    onsets = [0, 1, 2, 4, 5, 6, 8, 9, 10]
    ends = [*onsets[1:], 11]
    expected = score(*((o, e - o, 60, 64) for o, e in zip(onsets, ends, strict=True)))
    np.testing.assert_array_equal(row, codec.encode(expected))


def test_stretched_times_stay_within_the_longest_and_no_note_is_shorter_than_a_tick():
    codec = note_tuples.Codec(longest_quarters=2)  # 24 ticks.
    array = codec.encode(score((0, 24, 60, 64), (24, 1, 62, 64)))
    rows = codec.stretch(np.stack([array] * 2), np.array([1.5, 0.4], np.float32)).numpy()
    # 24 x 1.5 is cut to 24. 24 x 0.4 = 9.6; from there to 25 x 0.4 = 10 is nothing.
    longer, shorter = (
        score((0, 24, 60, 64), (24, 2, 62, 64)),
        score((0, 10, 60, 64), (10, 1, 62, 64)),
    )
    np.testing.assert_array_equal(rows[0], codec.encode(longer))
    np.testing.assert_array_equal(rows[1], codec.encode(shorter))


@every_setting
def test_a_row_that_holds_no_number_stays_as_it_is(fields):
    codec = note_tuples.Codec(**fields)
    array = np.full((1, 2, codec.spec.size), np.nan, np.float32)
    np.testing.assert_array_equal(codec.transpose(array, np.array([5], np.int32)), array)
    np.testing.assert_array_equal(codec.stretch(array, np.array([1.5], np.float32)), array)


@every_setting
def test_what_was_moved_and_stretched_can_still_be_spread_over_the_grid(fields):
    codec = note_tuples.Codec(**fields)
    array = codec.encode(score(*NOTES))[None]
    array = codec.stretch(codec.transpose(array, np.array([3])), np.array([1.07], np.float32))
    draw = np.random.default_rng(0).uniform(-0.5, 0.5, array.shape).astype(np.float32)
    spread = codec.dequantize(array, draw).numpy()
    before, after = codec.decode(array.numpy()[0]).score, codec.decode(spread[0]).score
    assert before.notes["pitch"].tolist() == [63, 67, 70, 63]
    np.testing.assert_array_equal(after.notes, before.notes)


def test_draws_become_every_semitone_alike_and_factors_around_one():
    codec = note_tuples.Codec(ticks_per_quarter=100)
    pitches = Augmentation(codec, transpose_semitones=2)
    array = codec.encode(Score(100, score((0, 50, 60, 64), (100, 50, 60, 64)).notes))
    draws = np.array([0.0, 0.19, 0.2, 0.4, 0.6, 0.79, 0.8, 0.999])
    rows, semitones = pitches(np.stack([array] * 8), draws, 0 * draws)
    heights = np.round(rows.numpy()[:, 0, 2] * 24 + 64)  # (pitch - 64) / 24.
    assert heights.tolist() == [58, 58, 59, 60, 61, 61, 62, 62]
    assert semitones.numpy().tolist() == [-2, -2, -1, 0, 1, 1, 2, 2]
    times = Augmentation(codec, stretch_percent=10)
    draws = np.array([0.0, 0.25, 0.5, 0.75, 0.9999])
    rows, semitones = times(np.stack([array] * 5), 0 * draws, draws)
    gaps = [codec.decode(row).score.notes["onset"][1] for row in rows.numpy()]
    assert gaps == [90, 95, 100, 105, 110]
    assert not semitones.numpy().any()


def test_a_window_that_would_leave_the_range_is_moved_by_0_semitones():
    codec = cells.Codec(pitches=tuple(range(60, 72)))
    low, high = (codec.encode(score((0, 12, pitch, 64))) for pitch in (60, 71))
    up = np.full(2, 0.999)
    rows, semitones = Augmentation(codec, 1)(np.stack([low, high]), up, up)
    assert semitones.numpy().tolist() == [1, 0]
    assert [codec.decode(row).score.notes["pitch"][0] for row in rows.numpy()] == [61, 71]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"transpose_semitones": 3}, "'fixed' cannot transpose; add --transpose_semitones=0"),
        ({"stretch_percent": 3}, "'fixed' cannot stretch time; add --stretch_percent=0"),
    ],
)
def test_a_codec_that_cannot_is_refused_before_anything_is_read(fields, said):
    assert Augmentation(Fixed()).codec.name == "fixed"
    with pytest.raises(ValueError, match=said):
        Augmentation(Fixed(), **fields)


@pytest.mark.parametrize(
    "fields", [{"transpose_semitones": 25}, {"transpose_semitones": -1}, {"stretch_percent": 51}]
)
def test_amounts_out_of_range_are_refused_by_name(fields):
    (name,) = fields
    with pytest.raises(ValueError, match=rf"{name} is {fields[name]}; give 0 to"):
        Augmentation(note_tuples.Codec(), **fields)


# In batches.


@pytest.fixture(name="both", scope="module")
def pieces_in_memory_and_on_disk(tmp_path_factory):
    """Eight pieces of twenty quarters on one pitch each, 60 to 67, in memory and on disk."""
    codec = note_tuples.Codec()
    arrays = [
        codec.encode(score(*((12 * k, 12, 60 + piece, 64) for k in range(20))))
        for piece in range(8)
    ]
    folder = store(tmp_path_factory.mktemp("stored"), [arrays[:3], arrays[3:]], codec.spec)
    megabytes = 5 * 2 * arrays[0].nbytes / 2**20 * 0.75
    return dataset.load(folder, "train"), open_pieces(folder, "train", memory_megabytes=megabytes)


def first_batches(windows, first, count, name="music"):
    return [b[name].numpy() for b in itertools.islice(windows.dataset(first), count)]


def test_each_window_moves_by_its_own_draw_of_seed_and_step_in_both_modes(both):
    codec = note_tuples.Codec()
    assert [type(pieces) for pieces in both] == [Pieces, dataset.Shards]
    for pieces in both:
        plain = Windows(pieces, 6, 8, 1, windows_per_piece=10)
        windows = Windows(
            pieces, 6, 8, 1, windows_per_piece=10, augmentation=Augmentation(codec, 3, 20)
        )
        before, after = first_batches(plain, 0, 8), first_batches(windows, 0, 8)
        told = first_batches(windows, 0, 8, "transposition")
        shifts, gaps = [], []
        for old, new, transposition in zip(before, after, told, strict=True):
            semitones = np.round((new - old)[..., 2] * 24).astype(int)
            assert (semitones == transposition[:, None]).all()
            shifts += semitones[:, 0].tolist()
            gaps += [np.diff(codec.decode(row).score.notes["onset"])[0] for row in new]
        assert set(shifts) == set(range(-3, 4))
        # 12 ticks become 9.6 to 14.4, between onsets that are rounded each.
        assert 9 <= min(gaps) <= 10 and 14 <= max(gaps) <= 15
        np.testing.assert_array_equal(first_batches(windows, 7, 1)[0], after[7])


def test_the_transform_comes_last(both):
    codec = note_tuples.Codec()
    windows = Windows(
        both[0], 6, 8, 1, transform=codec.dequantize, augmentation=Augmentation(codec, 3, 20)
    )
    plain = Windows(both[0], 6, 8, 1, augmentation=Augmentation(codec, 3, 20))
    spread, exact = first_batches(windows, 0, 1)[0], first_batches(plain, 0, 1)[0]
    assert (spread != exact).mean() > 0.5
    for row, expected in zip(spread, exact, strict=True):
        np.testing.assert_array_equal(
            codec.decode(row).score.notes, codec.decode(expected).score.notes
        )
