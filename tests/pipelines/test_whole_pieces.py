"""Whole pieces in padded batches, from memory and from disk."""

import itertools

import numpy as np
import pytest
from stored_pieces import counted_arrays, store

from pipelines import dataset
from pipelines.batches.whole_pieces import whole_pieces
from pipelines.dataset import open_pieces

STEPS = [7, 2, 9, 3, 8, 30, 4]


@pytest.fixture(name="folder", scope="module")
def prepared_directory(tmp_path_factory):
    arrays = counted_arrays(*STEPS)
    return store(tmp_path_factory.mktemp("stored"), [arrays[:4], arrays[4:5], arrays[5:]])


def test_every_piece_comes_once_beside_others_of_like_length_zeros_after_its_end(folder):
    batches = list(whole_pieces(dataset.load(folder, "train"), 3).as_numpy_iterator())
    assert [batch["piece"].tolist() for batch in batches] == [[1, 3, 6], [0, 4, 2], [5]]
    assert [batch["lengths"].tolist() for batch in batches] == [[2, 3, 4], [7, 8, 9], [30]]
    assert [batch["music"].shape for batch in batches] == [(3, 4, 2), (3, 9, 2), (1, 30, 2)]
    for batch in batches:
        np.testing.assert_array_equal(batch["composer"], batch["piece"] % 2)
        for row, (piece, length) in enumerate(zip(batch["piece"], batch["lengths"], strict=True)):
            music = batch["music"][row]
            np.testing.assert_array_equal(music[:length, 0], piece)
            np.testing.assert_array_equal(music[:length, 1], np.arange(length))
            assert not music[length:].any()


def test_pieces_on_disk_come_group_by_group_each_time_the_same(folder):
    pieces = open_pieces(folder, "train", memory_megabytes=2 * 30 * 8 / 2**20)
    assert isinstance(pieces, dataset.Shards)
    dataset_of_batches = whole_pieces(pieces, 3)
    batches = list(dataset_of_batches.as_numpy_iterator())
    # Groups of at most 30 steps: 7 + 2 + 9 + 3 and 8; of the third shard 30, then 4.
    assert [batch["piece"].tolist() for batch in batches] == [[1, 3, 0], [4, 2], [5], [6]]
    for batch in batches:
        np.testing.assert_array_equal(batch["music"][:, 0, 0], batch["piece"])
    for batch, again in zip(batches, dataset_of_batches.as_numpy_iterator(), strict=True):
        np.testing.assert_array_equal(batch["music"], again["music"])


def test_both_give_batches_of_one_form(folder):
    pieces = open_pieces(folder, "train", memory_megabytes=2 * 30 * 8 / 2**20)
    memory = dataset.load(folder, "train")
    assert whole_pieces(pieces, 3).element_spec == whole_pieces(memory, 3).element_spec


def test_a_batch_of_nothing_is_refused(folder):
    with pytest.raises(ValueError, match="batch_size is 0; give 1 or more"):
        whole_pieces(dataset.load(folder, "train"), 0)


def test_all_steps_are_there_whatever_the_batch(folder):
    pieces = dataset.load(folder, "train")
    for size in (1, 2, 100):
        lengths = [batch["lengths"].numpy().tolist() for batch in whole_pieces(pieces, size)]
        assert sorted(itertools.chain(*lengths)) == sorted(STEPS)
