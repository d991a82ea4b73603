"""Tests of pipelines/dataset.py."""

import itertools

import numpy as np
import pytest
import tensorflow as tf
from stored_pieces import SPEC, counted_arrays, store

from pipelines import dataset
from pipelines.dataset import Pieces, Windows, real_windows
from pipelines.spec import Spec


def pieces_of(*steps):
    """Pieces of so many steps; step t of piece p is [p, t]."""
    composer = np.arange(len(steps), dtype=np.int32) % 2
    keys = [f"piece {p}" for p in range(len(steps))]
    return Pieces.of(
        SPEC, keys, counted_arrays(*steps), {"composer": composer, "genre": 0 * composer}
    )


def batches(windows, first, count):
    found = itertools.islice(windows.dataset(first), count)
    return [{name: value.numpy() for name, value in batch.items()} for batch in found]


def assert_equal(first, second):
    assert first.keys() == second.keys()
    for name in first:
        np.testing.assert_array_equal(first[name], second[name])


def test_a_batch_is_of_windows_of_consecutive_steps_with_their_classes():
    windows = Windows(pieces_of(5, 9, 7, 6), window_steps=4, batch_size=3, seed=1)
    (batch,) = batches(windows, 0, 1)
    assert batch["music"].shape == (3, 4, 2) and batch["music"].dtype == np.float32
    piece, time = batch["music"][..., 0], batch["music"][..., 1]
    assert (piece == piece[:, :1]).all()
    np.testing.assert_array_equal(np.diff(time, axis=1), 1)
    np.testing.assert_array_equal(batch["composer"], piece[:, 0] % 2)
    assert batch["composer"].dtype == batch["genre"].dtype == np.int32


def test_batches_from_step_k_are_those_that_an_unbroken_run_has_there():
    windows = Windows(pieces_of(*range(5, 16)), window_steps=4, batch_size=3, seed=1)
    whole = batches(windows, 0, 12)
    for first in (1, 3, 7):
        for index, batch in enumerate(batches(windows, first, 5)):
            assert_equal(batch, whole[first + index])
    assert_equal({n: v.numpy() for n, v in windows.batch(11).items()}, whole[11])


def test_another_object_of_the_same_seed_gives_the_same_and_another_seed_does_not():
    pieces = pieces_of(50, 60, 70)
    first, again, other = (
        batches(Windows(pieces, window_steps=4, batch_size=2, seed=seed), 0, 1)[0]
        for seed in (1, 1, 2)
    )
    assert_equal(first, again)
    assert not np.array_equal(first["music"], other["music"])


def test_an_epoch_visits_each_piece_once_in_an_order_of_its_own():
    windows = Windows(pieces_of(*[6] * 12), window_steps=4, batch_size=3, seed=5)
    assert windows.summary.steps_per_epoch == 4
    visited = [batch["music"][:, 0, 0].tolist() for batch in batches(windows, 0, 8)]
    epochs = [list(itertools.chain(*visited[first : first + 4])) for first in (0, 4)]
    assert sorted(epochs[0]) == sorted(epochs[1]) == list(range(12))
    assert epochs[0] != epochs[1]


def test_windows_per_piece_is_the_mean_and_longer_pieces_have_more():
    windows = Windows(
        pieces_of(6, 12, 30), window_steps=4, batch_size=8, seed=5, windows_per_piece=8
    )
    assert windows.summary.steps_per_epoch == 3
    visited = np.concatenate([batch["music"][:, 0, 0] for batch in batches(windows, 0, 3)])
    assert np.bincount(visited.astype(int)).tolist() == [3, 6, 15]  # Of 24, by 6, 12, 30 of 48.


def test_of_few_pieces_an_epoch_has_as_many_steps_as_are_asked_for():
    few = Windows(pieces_of(6, 12, 30), window_steps=4, batch_size=8, seed=5, least_steps=3)
    assert few.summary.steps_per_epoch == 3  # Of one window per piece there would not be one.
    visited = np.concatenate([batch["music"][:, 0, 0] for batch in batches(few, 0, 3)])
    assert np.bincount(visited.astype(int)).tolist() == [3, 6, 15]  # Of 24, by 6, 12, 30 of 48.
    many = Windows(pieces_of(*[6] * 12), window_steps=4, batch_size=3, seed=5, least_steps=3)
    assert many.summary.steps_per_epoch == 4


def test_over_many_epochs_every_piece_has_its_share_of_the_windows():
    windows = Windows(pieces_of(4, 5, 8, 23), window_steps=4, batch_size=4, seed=3)
    assert windows.summary.steps_per_epoch == 1
    epochs = [batch["music"][:, 0, 0].astype(int) for batch in batches(windows, 0, 50)]
    counts = np.array([np.bincount(visited, minlength=4) for visited in epochs])
    # 4 windows per epoch, of 40 steps: expected 0.4, 0.5, 0.8 and 2.3 of them.
    expected = np.array([0.4, 0.5, 0.8, 2.3])
    assert (np.abs(counts - expected) < 1).all()
    assert np.abs(counts.sum(axis=0) - 50 * expected).max() < 2


def test_every_place_of_a_window_in_its_piece_is_as_likely():
    windows = Windows(pieces_of(7), window_steps=4, batch_size=100, seed=0, windows_per_piece=1000)
    starts = np.concatenate([batch["music"][:, 0, 1] for batch in batches(windows, 0, 10)])
    counts = np.bincount(starts.astype(int))  # Of 1000 draws: 250 each, deviation 14.
    assert len(counts) == 4 and counts.min() > 190 and counts.max() < 310


@pytest.mark.parametrize("padded", [False, True])
def test_windows_begin_a_multiple_of_the_stride_after_the_piece_does(padded):
    windows = Windows(
        pieces_of(13), window_steps=4, batch_size=100, seed=0, windows_per_piece=900, stride=3,
        padded=padded,
    )  # fmt: skip
    starts = np.concatenate([batch["music"][:, 0, 1] for batch in batches(windows, 0, 9)])
    counts = np.bincount(starts.astype(int))
    assert set(np.flatnonzero(counts)) == {0, 3, 6, 9}
    if not padded:  # Places 0 to 9: three each of the first three, and the last.
        assert counts[[0, 3, 6]].min() > 210 and 60 < counts[9] < 130


def test_a_piece_of_just_the_length_is_taken_whole():
    (batch,) = batches(Windows(pieces_of(4), window_steps=4, batch_size=1, seed=0), 0, 1)
    np.testing.assert_array_equal(batch["music"][0, :, 1], [0, 1, 2, 3])


def test_pieces_shorter_than_the_window_are_left_out_and_counted():
    windows = Windows(pieces_of(3, 8, 2, 9), window_steps=4, batch_size=2, seed=0)
    assert windows.summary == dataset.Summary(2, 2, 9, 1)
    assert set(batches(windows, 0, 1)[0]["music"][:, 0, 0]) == {1, 3}


def test_no_piece_as_long_as_the_window_is_refused_with_the_longest():
    with pytest.raises(ValueError, match=r"longest, piece 1, has 8: give --window_steps=8 or less"):
        Windows(pieces_of(3, 8, 5), window_steps=9, batch_size=1, seed=0)
    with pytest.raises(ValueError, match=r"longest, piece 1, has 8:"):
        real_windows(pieces_of(3, 8, 5), 1, 9, 0)


def test_a_batch_larger_than_the_data_is_refused_with_what_fits():
    with pytest.raises(ValueError, match=r"batch of 7.*batch_size to 6"):
        Windows(pieces_of(5, 5, 1, 5), window_steps=4, batch_size=7, seed=0, windows_per_piece=2)


@pytest.mark.parametrize("name", ["window_steps", "batch_size", "windows_per_piece"])
def test_a_size_of_nothing_is_refused_by_name(name):
    sizes = {"window_steps": 2, "batch_size": 1, "windows_per_piece": 1, name: 0}
    with pytest.raises(ValueError, match=f"{name} is 0; give 1 or more"):
        Windows(pieces_of(5), seed=0, **sizes)


def test_the_transform_gets_uniform_numbers_that_depend_on_seed_and_step_alone():
    def transform(music, uniform):
        return tf.stack([music, uniform])

    windows = Windows(pieces_of(900, 900), 800, 2, seed=3, transform=transform)
    music, uniform = batches(windows, 0, 1)[0]["music"]
    plain = Windows(pieces_of(900, 900), 800, 2, seed=3)
    np.testing.assert_array_equal(music, batches(plain, 0, 1)[0]["music"])
    assert uniform.min() >= -0.5 and uniform.max() < 0.5
    assert abs(uniform.mean()) < 0.03 and abs(uniform.var() - 1 / 12) < 0.01
    whole = batches(windows, 0, 3)
    assert_equal(batches(windows, 2, 1)[0], whole[2])
    assert not np.array_equal(whole[1]["music"][1], whole[2]["music"][1])


def test_tokens_keep_their_integers():
    arrays = (np.arange(10, dtype=np.int32), np.arange(20, dtype=np.int32))
    spec = Spec("tokens", (None,), "int32", 20, "event")
    windows = Windows(Pieces.of(spec, ("a", "b"), arrays, {}), window_steps=5, batch_size=2, seed=0)
    (batch,) = batches(windows, 0, 1)
    assert batch["music"].dtype == np.int32 and batch["music"].shape == (2, 5)
    np.testing.assert_array_equal(np.diff(batch["music"], axis=1), 1)


def test_real_windows_are_of_the_pieces_in_proportion_to_their_lengths():
    pieces = pieces_of(9, 2, 18, 5)
    windows = real_windows(pieces, count=32, window_steps=4, seed=0)
    assert all(window.shape == (4, 2) for window in windows)
    first = np.array([window[0] for window in windows]).astype(int)
    assert np.bincount(first[:, 0]).tolist() == [9, 0, 18, 5]  # Of 2 steps is no window.
    assert set(first[first[:, 0] == 3, 1]) == {0, 1}
    for window, again in zip(windows, real_windows(pieces, 32, 4, seed=0), strict=True):
        np.testing.assert_array_equal(window, again)


def test_real_windows_that_are_beginnings_are_one_of_a_piece_at_most():
    windows = real_windows(pieces_of(9, 2, 18), 9, 4, seed=0, padded=True, anywhere=False)
    assert sorted(window[0].tolist() for window in windows) == [[0, 0], [1, 0], [2, 0]]
    assert sorted(len(window) for window in windows) == [2, 4, 4]


def test_training_and_the_windows_of_the_bands_give_a_piece_the_same_share():
    sizes = (33, 64, 70, 200, 433)  # 800 steps.
    windows = Windows(
        pieces_of(*sizes), window_steps=32, batch_size=80, seed=1, windows_per_piece=16
    )
    trained = batches(windows, 0, 1)[0]["music"][:, 0, 0].astype(int)
    compared = [int(w[0, 0]) for w in real_windows(pieces_of(*sizes), 80, 32, seed=2)]
    for pieces in (trained, compared):
        assert (np.abs(np.bincount(pieces) - np.array(sizes) / 10) < 1).all()


def test_the_draws_of_a_seed_are_those_that_this_version_made():
    windows = Windows(pieces_of(5, 9, 3, 7, 6, 22, 100), 4, 6, seed=3, windows_per_piece=3)
    for step, expected in (
        (0, [(3, 1), (6, 54), (5, 7), (6, 10), (6, 21), (5, 1)]),
        (7, [(6, 11), (5, 17), (6, 23), (6, 50), (6, 79), (0, 0)]),
    ):
        music = windows.batch(step)["music"].numpy()
        assert [tuple(row) for row in music[:, 0].astype(int)] == expected


@pytest.fixture(name="prepared", scope="module")
def prepared_directory(tmp_path_factory):
    """Six pieces of 1 to 6 steps, of bach and haydn in turn, in two shards."""
    arrays = [np.full((index + 1, 2), index, np.float32) for index in range(6)]
    return store(tmp_path_factory.mktemp("prepared"), [arrays[:4], arrays[4:]])


def test_loading_gives_the_arrays_that_were_written(prepared):
    pieces = dataset.load(prepared, "train")
    assert pieces.keys == tuple(f"piece {index:03d}" for index in range(6))
    assert pieces.classes["composer"].tolist() == [0, 1, 0, 1, 0, 1]
    assert pieces.classes["genre"].tolist() == [0] * 6
    for index, array in enumerate(pieces.arrays):
        np.testing.assert_array_equal(array, np.full((index + 1, 2), index, np.float32))


def test_loading_chooses_composers_and_caps_their_works(prepared):
    haydn = dataset.load(prepared, "train", composer=["haydn"])
    assert haydn.keys == ("piece 001", "piece 003", "piece 005")
    assert [array[0, 0] for array in haydn.arrays] == [1, 3, 5]
    capped = dataset.load(prepared, "train", works_per_composer=1)
    assert sorted(capped.classes["composer"].tolist()) == [0, 1]
    assert capped.keys == dataset.load(prepared, "train", works_per_composer=1).keys


def test_what_cannot_be_loaded_is_said_in_words(prepared, tmp_path):
    with pytest.raises(ValueError, match=r"no music of mozart.*bach, haydn"):
        dataset.load(prepared, "train", composer=["mozart"])
    with pytest.raises(ValueError, match=r"the test split of .* has no piece of bach"):
        dataset.load(prepared, "test", composer=["bach"])
    with pytest.raises(ValueError, match="works_per_composer is 0"):
        dataset.load(prepared, "train", works_per_composer=0)
    with pytest.raises(ValueError, match="the splits are train, validation, test"):
        dataset.load(prepared, "dev")
    with pytest.raises(ValueError, match=r"run: python -m pipelines.prepare"):
        dataset.load(tmp_path, "train")


def test_padded_windows_take_short_pieces_whole_and_say_where_they_lie():
    windows = Windows(pieces_of(3, 9), window_steps=4, batch_size=4, seed=0, padded=True)
    # The pieces are 1 and 3 windows long, so there are 4; 3 and 9 of 12 steps are 1 and 3 of them.
    assert windows.summary == dataset.Summary(2, 0, 9, 1)
    (batch,) = batches(windows, 0, 1)
    piece, time = batch["music"][..., 0], batch["music"][..., 1]
    assert sorted(piece[:, 0].astype(int)) == [0, 1, 1, 1]
    (short,) = np.flatnonzero(piece[:, 0] == 0)
    assert time[short].tolist() == [0, 1, 2, 2]  # The last step repeats.
    assert (batch["valid_steps"][short], batch["start_step"][short]) == (3, 0)
    for row in np.flatnonzero(piece[:, 0] == 1):
        place = batch["start_step"][row]
        assert time[row].tolist() == [place, place + 1, place + 2, place + 3]
        assert batch["valid_steps"][row] == 4


def test_a_padded_window_begins_its_piece_as_often_as_it_is_long():
    windows = Windows(pieces_of(7), window_steps=4, batch_size=100, seed=0, windows_per_piece=1000,
                      padded=True)  # fmt: skip
    found = np.concatenate([batch["start_step"] for batch in batches(windows, 0, 20)])
    # Places 0 to 3, and 4 more that would begin before: 5 of 8 are 0, 250 each are others.
    counts = np.bincount(found, minlength=4)
    assert len(counts) == 4 and abs(counts[0] - 1250) < 100
    assert counts[1:].min() > 190 and counts[1:].max() < 310


def test_padded_windows_from_disk_visit_pieces_by_their_length_too(tmp_path):
    arrays = counted_arrays(3, 9, 8, 10)
    folder = store(tmp_path, [arrays[:2], arrays[2:3], arrays[3:]])
    stored = dataset.open_pieces(folder, "train", memory_megabytes=200 / 2**20)  # Of 240 bytes.
    windows = Windows(
        stored, window_steps=4, batch_size=2, seed=0, windows_per_piece=8, padded=True
    )
    assert not windows.in_memory
    # 1, 3, 2 and 3 windows' lengths, 8 times, two a batch.
    assert windows.summary.steps_per_epoch == 36
    found = batches(windows, 0, 36)
    visited = np.concatenate([batch["music"][:, 0, 0] for batch in found]).astype(int)
    # 72 visits of 30 steps: 2.4 for each step.
    assert (np.abs(np.bincount(visited) - 2.4 * np.array([3, 9, 8, 10])) < 1).all()
    assert_equal(batches(windows, 5, 1)[0], found[5])


def test_real_windows_may_be_padded():
    found = real_windows(pieces_of(3, 9), 4, 5, seed=0, padded=True)
    assert sorted(len(window) for window in found) == [3, 5, 5, 5]
