"""Tests of pipelines/split.py."""

import hashlib

import pytest

from pipelines.split import Fractions, split_of, spread_sample, unit_hash


def test_the_hash_of_a_group_is_the_start_of_its_sha256_as_a_share_of_one():
    # SHA-256("") begins with e3b0c44298fc1c14.
    assert unit_hash("") == 0xE3B0C44298FC1C14 / 2**64


def test_a_group_falls_where_its_hash_lies_between_the_fractions():
    place = unit_hash("bach/bwv846")
    assert split_of("bach/bwv846", Fractions(place + 1e-6, 0.0)) == "train"
    assert split_of("bach/bwv846", Fractions(place - 1e-6, 2e-6)) == "validation"
    assert split_of("bach/bwv846", Fractions(place - 2e-6, 1e-6)) == "test"


def test_of_many_groups_each_split_gets_its_share():
    splits = [split_of(f"group {number}") for number in range(10_000)]
    assert splits.count("train") == pytest.approx(8000, abs=150)
    assert splits.count("validation") == pytest.approx(1000, abs=100)


def test_all_goes_to_training_where_its_fraction_is_one():
    assert {split_of(str(n), Fractions(1.0, 0.0)) for n in range(1000)} == {"train"}


@pytest.mark.parametrize("wrong", [(0.0, 0.1), (0.9, 0.2), (0.5, -0.1), (float("nan"), 0.1)])
def test_fractions_that_are_no_shares_of_one_are_refused(wrong):
    with pytest.raises(ValueError, match="train_fraction"):
        Fractions(*wrong).check()


def test_a_larger_sample_keeps_what_a_smaller_one_chose():
    names = [f"piece {number}" for number in range(50)]
    few, more = spread_sample(names, 5), spread_sample(names, 20)
    assert len(few) == 5 and few == sorted(few) and set(few) < set(more)
    assert spread_sample(reversed(names), None) == sorted(names)


def test_the_sample_is_of_the_smallest_hashes():
    smallest = min("abcdef", key=lambda name: hashlib.sha256(name.encode()).hexdigest())
    assert spread_sample("abcdef", 1) == [smallest]
