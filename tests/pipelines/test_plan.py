"""Tests of pipelines/preparation/plan.py: what goes where, from facts written out by hand."""

import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines import records
from pipelines.preparation import plan
from pipelines.preparation.plan import Facts
from pipelines.shaping import Shaping
from pipelines.sources.source import Piece
from pipelines.split import Fractions, split_of


def piece(key, group="", split=""):
    return Piece(key, group, "bach", "baroque", key, "free", key, split=split)


def facts_of(notes, sizes=None, made=None):
    """Facts of pieces whose notes are named by a letter each; equal letters, equal notes."""
    digests = [hashlib.sha256(letter.encode()).digest() for letter in notes]
    is_made = np.array([True] * len(notes) if made is None else made)
    return Facts(
        is_made,
        np.array(sizes or [100] * len(notes), np.int64) * is_made,
        np.frombuffer(b"".join(digests), np.uint8).reshape(-1, 32) * is_made[:, None],
        b"".join(digest[:16] for digest, its in zip(digests, is_made, strict=True) if its),
        b"",
    )


def groups_of(notes, *names):
    """The groups of pieces with these notes, and named so by the collection."""
    pieces = [piece(str(place), name) for place, name in enumerate(names)]
    groups = plan.Groups(pieces, facts_of(notes))
    return [groups[place] for place in range(len(names))]


def of_notes(letter):
    return f"notes: {hashlib.sha256(letter.encode()).hexdigest()}"


def test_the_group_of_a_piece_is_its_own_or_that_of_a_piece_of_equal_notes_or_its_notes():
    assert groups_of("aabb", "", "x", "", "") == ["x", "x", of_notes("b"), of_notes("b")]
    assert groups_of("ab", "x", "y") == ["x", "y"]
    assert groups_of("", *[]) == []
    pieces = [piece("1"), piece("2", "x")]
    assert plan.Groups(pieces, facts_of("aa", made=[True, False]))[0] == of_notes("a")


def test_named_groups_with_a_piece_in_common_are_one_with_the_name_that_comes_first():
    assert groups_of("aaa", "w1", "w2", "") == ["w1", "w1", "w1"]
    # b is in z and y, c in y and x: all are one, and so is who has the notes of one of them.
    assert groups_of("abbccdd", "z", "z", "y", "y", "x", "x", "") == ["z"] * 7
    assert groups_of("abcb", "b", "a", "b", "c") == ["b", "a", "b", "a"]


def test_groups_joined_in_a_long_chain_are_one_whatever_their_order():
    random = np.random.default_rng(0)
    for count in (2, 3, 50, 400):
        # Group k has the notes k and k + 1.
        links = [(name, note) for name in range(count) for note in (name, name + 1)]
        links = [links[place] for place in random.permutation(len(links)).tolist()]
        pieces = [piece(f"{place:04d}", f"group {name}") for place, (name, _) in enumerate(links)]
        groups = plan.Groups(pieces, facts_of([str(note) for _, note in links]))
        assert {groups[place] for place in range(len(links))} == {pieces[0].group}


@given(st.lists(st.tuples(st.sampled_from(["", *"uvwxyz"]), st.sampled_from("abcdefgh"))))
def test_groups_are_those_that_a_walk_from_piece_to_piece_finds(drawn):
    names, notes = [name for name, _ in drawn], [letter for _, letter in drawn]
    found = groups_of(notes, *names)
    for start in range(len(drawn)):
        reached = {start}
        while True:
            more = {
                place
                for place, (name, letter) in enumerate(drawn)
                if any(letter == notes[one] or (name and name == names[one]) for one in reached)
            }
            if more <= reached:
                break
            reached |= more
        named = [names[place] for place in sorted(reached) if names[place]]
        assert found[start] == (named[0] if named else of_notes(notes[start]))


def test_published_splits_stand_where_groups_are_joined_and_others_follow_the_first():
    pieces = [piece("1", "x", "test"), piece("2", "y", "train"), piece("3", "y")]
    made = plan.make(pieces, facts_of("aab"), Shaping(), Fractions(1.0, 0.0))
    assert made.splits.tolist() == [2, 0, 2] and made.rules.tolist() == [0, 0, 1]


def test_a_piece_that_became_no_array_goes_nowhere_and_lends_nobody_its_group():
    pieces = [piece("1", "x"), piece("2")]
    facts = facts_of("aa", made=[False, True])
    made = plan.make(pieces, facts, Shaping(), Fractions(1.0, 0.0))
    assert made.splits.tolist() == [-1, 0] and made.shards.tolist() == [-1, 0]
    assert made.groups[1].startswith("notes: ")


def test_records_stand_in_the_shards_of_their_split_in_the_order_of_keys(monkeypatch):
    monkeypatch.setattr(records, "SHARD_BYTES", 100)
    published = ["train", "test", "train", "train", "test", "train"]
    pieces = [piece(str(n), str(n), split) for n, split in enumerate(published)]
    facts = facts_of("abcdef", sizes=[60, 500, 60, 60, 10, 60])
    made = plan.make(pieces, facts, Shaping(), Fractions())
    # In training they begin at byte 0, 60, 120, 180; in test at 0 and 500.
    assert made.splits.tolist() == [0, 2, 0, 0, 2, 0]
    assert made.shards.tolist() == [0, 0, 0, 1, 1, 1]
    assert made.indices.tolist() == [0, 0, 1, 0, 0, 1]
    assert made.shard_counts == (2, 0, 2)
    assert made.shard_name(5) == "train-00001-of-00002.tfrecord"
    assert made.shard_name(1) == "test-00000-of-00002.tfrecord"


def test_an_unpublished_piece_joins_the_first_published_one_of_its_group():
    pieces = [piece("1", "x"), piece("2", "x", "test"), piece("3", "x", "train"), piece("4", "y")]
    made = plan.make(pieces, facts_of("abcd"), Shaping(), Fractions(1.0, 0.0))
    assert made.splits.tolist() == [2, 2, 0, 0]
    assert made.rules.tolist() == [1, 0, 0, 2]


def test_a_published_split_that_there_is_not_is_refused():
    with pytest.raises(ValueError, match=r"'dev'; the splits are train, validation, test"):
        plan.make([piece("1", "x", "dev")], facts_of("a"), Shaping(), Fractions())


def test_exact_copies_are_left_out_but_for_the_first():
    pieces = [piece(key, key) for key in "1234"]
    facts = facts_of("abab", made=[False, True, True, True])
    made = plan.make(pieces, facts, Shaping(duplicates="exact"), Fractions(1.0, 0.0))
    assert made.copies == {"4": "2"}
    assert made.splits.tolist() == [-1, 0, 0, -1]
    assert plan.make(pieces, facts, Shaping(), Fractions(1.0, 0.0)).copies == {}


def test_without_a_published_split_the_hash_of_the_group_decides():
    pieces = [piece(f"{number:03d}", f"group {number}") for number in range(200)]
    made = plan.make(pieces, facts_of([str(n) for n in range(200)]), Shaping(), Fractions())
    names = [("train", "validation", "test")[split] for split in made.splits.tolist()]
    assert names == [split_of(f"group {number}") for number in range(200)]
    assert len(set(names)) == 3 and set(made.rules.tolist()) == {2}
