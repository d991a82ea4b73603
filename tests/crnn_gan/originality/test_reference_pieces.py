"""How much of a piece occurs in reference pieces, by hand and against brute force."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from melodies import in_meter, piece, random_pitches

from crnn_gan.originality import alignment
from crnn_gan.originality.alignment import Votes, align, as_text, segments
from crnn_gan.originality.interval_sequences import is_nontrivial, note_sequence
from crnn_gan.originality.originality import Match, PieceOriginality
from crnn_gan.originality.reference_pieces import ReferencePieces
from crnn_gan.originality.suffix_array import MAX_DEPTH
from pipelines.score import Score


def measured(known: ReferencePieces, score: Score, ignore: int | None = None) -> PieceOriginality:
    """The figures of one piece."""
    [found] = known.compare([note_sequence(score)], [ignore])
    return found


@pytest.fixture(scope="module")
def known() -> ReferencePieces:
    """Ten pieces of 100 random notes, a quarter each."""
    names = [f"piece {seed}" for seed in range(10)]
    return ReferencePieces.of(names, [piece(random_pitches(seed)) for seed in range(10)])


def test_a_copied_piece_is_known_from_end_to_end(known: ReferencePieces):
    found = measured(known, piece(random_pitches(3)))
    assert (found.nearest, found.transposition, found.notes) == ("piece 3", 0, 100)
    assert found.figures == {
        "common_subsequence": 1.0,
        "longest_row": 100,
        "copied_8": 1.0,
        "copied_16": 1.0,
        "copied_24": 1.0,
    }
    # 100 quarters: the last begins in bar 25.
    assert found.matches == (
        Match("piece 3", 100, (0, 100), (0, 100), (0, 100), (0, 100), (1, 25), (1, 25), 0),
    )


def test_a_transposed_copy_is_as_known(known: ReferencePieces):
    found = measured(known, piece(random_pitches(3) + 5))
    assert (found.nearest, found.transposition) == ("piece 3", 5)
    assert (found.common_subsequence, found.longest_row) == (1.0, 100)
    assert found.matches[0].transposition == 5


def test_of_a_copy_with_every_tenth_note_changed_nine_tenths_are_left(known: ReferencePieces):
    pitches = random_pitches(3)
    pitches[9::10] += 20  # Pitches that occur nowhere else: 48..83 become 68..103.
    found = measured(known, piece(pitches))
    assert (found.nearest, found.common_subsequence) == ("piece 3", pytest.approx(0.9, abs=0.02))
    # Nine notes stand between two changed ones: all of those are in rows of 8, none of 16.
    assert (found.longest_row, found.copied) == (9, {"8": 0.9, "16": 0.0, "24": 0.0})


def test_a_copied_passage_is_found_where_it_is_in_both():
    source = random_pitches(1)
    written = random_pitches(21)
    written[30:50] = source[64:84] - 2
    known = ReferencePieces.of(["waltz"], [piece(source, meters=in_meter(3, 4))])
    found = measured(known, piece(written))
    [match] = found.matches
    # In 3/4 quarter 64 is in bar 22 (64 / 3 = 21.3), quarter 83 in bar 28.
    assert match == Match(
        known="waltz",
        notes=20,
        piece_notes=(30, 50),
        known_notes=(64, 84),
        piece_quarters=(30, 50),
        known_quarters=(64, 84),
        piece_bars=(8, 13),
        known_bars=(22, 28),
        transposition=-2,
    )
    assert (found.longest_row, found.copied) == (20, {"8": 0.2, "16": 0.2, "24": 0.0})


def test_the_same_notes_in_another_rhythm_are_in_common_but_no_known_row(known: ReferencePieces):
    onsets = np.cumsum(np.random.default_rng(0).choice([120, 480, 1920], 100))
    found = measured(known, piece(random_pitches(3), onsets))
    assert (found.nearest, found.common_subsequence) == ("piece 3", 1.0)
    assert found.longest_row < 16


def test_shuffled_notes_are_not_known(known: ReferencePieces):
    shuffled = np.random.default_rng(0).permutation(random_pitches(3))
    found = measured(known, piece(shuffled))
    assert found.common_subsequence < 0.5
    assert (found.longest_row, set(found.copied.values())) == (0, {0.0})
    assert found.matches == ()


def test_a_repeated_note_a_trill_and_a_scale_are_known_everywhere_and_do_not_count():
    trivial = [[60] * 100, [60, 62] * 50, [48, 50, 52, 53, 55, 57, 59] * 7]
    known = ReferencePieces.of(["one", "two", "three"], [piece(pitches) for pitches in trivial])
    for pitches in trivial[:2]:
        found = measured(known, piece(pitches))
        assert (found.longest_row, found.copied["8"]) == (0, 0.0)
    scale = [40, 42, 44, 45, 47, 49, 51, 52]
    assert measured(known, piece(scale)).longest_row == 0


def test_trivial_notes_within_a_known_row_do_not_count():
    # 20 random notes, 60 repeated ones, 20 random ones.
    pitches = random_pitches(5, 40).tolist()
    pitches[20:20] = [60] * 60
    found = measured(ReferencePieces.of(["known"], [piece(pitches)]), piece(pitches))
    assert found.matches[0].notes == 100
    # Rows of 8 with three kinds of steps have at most four steps of repeated notes in them.
    assert 40 < found.longest_row <= 40 + 2 * 6
    assert found.copied["8"] == found.longest_row / 100


@pytest.mark.parametrize("notes", [0, 1, 7])
def test_pieces_of_under_eight_notes_share_nothing(known: ReferencePieces, notes: int):
    found = measured(known, piece(random_pitches(3)[:notes]))
    assert found.notes == notes
    assert (found.nearest, set(found.figures.values()), found.matches) == ("", {0.0}, ())


def test_known_pieces_without_notes_are_passed_over():
    known = ReferencePieces.of(
        ["empty", "one", "whole"], [piece([]), piece([60]), piece(random_pitches(0))]
    )
    assert known.names == ("one", "whole")
    assert measured(known, piece(random_pitches(0))).nearest == "whole"


@pytest.mark.parametrize(
    ("scores", "words"), [([], "none was given"), ([piece([])], "none of those given has a note")]
)
def test_an_empty_known_set_is_refused_in_words(scores: list, words: str):
    with pytest.raises(ValueError, match=f"needs reference pieces to compare with, and {words}"):
        ReferencePieces.of(["name"] * len(scores), scores)


def test_names_and_pieces_have_to_be_as_many():
    with pytest.raises(ValueError, match="1 names for 2 reference pieces"):
        ReferencePieces.of(["name"], [piece([60]), piece([60])])


def test_a_piece_is_compared_with_all_but_itself_and_its_copies():
    pitches, other = random_pitches(0), random_pitches(1)
    copy = pitches.copy()
    copy[50] += 1
    scores = [piece(p) for p in (pitches, other, pitches + 3, copy, pitches)]
    known = ReferencePieces.of(["piece", "other", "transposed", "mended", "again"], scores)
    assert known.distinct_works == 2
    for index in (0, 2, 3, 4):
        found = measured(known, scores[index], ignore=index)
        assert (found.nearest, found.longest_row) == ("other", 0)
    assert measured(known, scores[0], ignore=1).common_subsequence == 1.0


def test_a_long_copy_is_found_whole_and_in_little_time():
    # 30,000 notes, an hour of them, and longer than what the order of places looks at.
    pitches = random_pitches(0, 30_000)
    known = ReferencePieces.of(["hour", "hour again"], [piece(pitches), piece(pitches)])
    found = measured(known, piece(pitches + 1))
    assert found.notes > 50 * MAX_DEPTH
    assert (found.longest_row, found.common_subsequence) == (30_000, 1.0)
    assert found.copied == {"8": 1.0, "16": 1.0, "24": 1.0}
    assert found.matches[0].piece_notes == (0, 30_000)


def test_a_piece_put_together_of_two_shares_most_with_the_larger(known: ReferencePieces):
    both = np.concatenate([random_pitches(2)[:30], random_pitches(7)[:70]])
    found = measured(known, piece(both))
    assert found.nearest == "piece 7"
    assert {match.known for match in found.matches} == {"piece 2", "piece 7"}
    assert found.common_subsequence >= 0.7
    # The first step of piece 7 knows no time before; here it does, so one note is not found.
    assert found.copied["24"] == 0.99


def test_pieces_are_measured_alike_alone_and_together(known: ReferencePieces, monkeypatch):
    scores = [piece(random_pitches(seed, 20 * seed)) for seed in range(8)]
    rows = [note_sequence(score) for score in scores]
    together = known.compare(rows)
    assert together == tuple(measured(known, score) for score in scores)
    monkeypatch.setattr("crnn_gan.originality.reference_pieces.BATCH_NOTES", 90)
    assert known.compare(rows) == together
    assert known.compare([]) == ()


def test_what_was_found_is_plain_json(known: ReferencePieces):
    values = dataclasses.asdict(measured(known, piece(random_pitches(3))))
    again = json.loads(json.dumps(values, allow_nan=False))
    assert again["copied"] == values["copied"]
    assert again["matches"][0]["known_bars"] == [1, 25]


# Against looking everywhere.

PITCHES = st.lists(st.integers(60, 63), min_size=1, max_size=40)


def share_in_known_rows(pitches: list[int], others: list[list[int]], length: int) -> float:
    """Share of notes in shared passages with so many notes of rows of eight that tell."""
    row, rows = note_sequence(piece(pitches)), [note_sequence(piece(other)) for other in others]
    steps, texts = row.tokens.tolist(), [other.tokens.tolist() for other in rows]
    telling, covered = is_nontrivial(row.tokens), set()
    for first in range(len(steps)):
        for size in range(7, len(steps) - first + 1):
            wanted = steps[first : first + size]
            if any(
                wanted == text[i : i + size] for text in texts for i in range(len(text) - size + 1)
            ):
                counted = {
                    note + i
                    for note in range(first, first + size - 6)
                    if telling[note]
                    for i in range(8)
                }
                if len(counted) >= length:
                    covered |= counted
    return len(covered) / len(pitches)


@settings(max_examples=60, deadline=None)
@given(PITCHES, st.lists(PITCHES, min_size=1, max_size=3))
def test_copied_shares_are_those_of_looking_everywhere(pitches: list, others: list):
    # Half of the piece is from the others, so that there is something to find.
    pitches = (pitches + others[0][5:30])[:40]
    found = ReferencePieces.of([str(i) for i in range(len(others))], [piece(o) for o in others])
    copied = measured(found, piece(pitches)).copied
    for length in (8, 16, 24):
        assert copied[str(length)] == pytest.approx(share_in_known_rows(pitches, others, length))


def longest_common_subsequence(one: list[int], other: list[int]) -> int:
    """The textbook's table."""
    row = [0] * (len(other) + 1)
    for a in one:
        before = row[:]
        for j, b in enumerate(other):
            row[j + 1] = before[j] + 1 if a == b else max(row[j], before[j + 1])
    return row[-1]


@settings(max_examples=100, deadline=None)
@given(PITCHES, PITCHES, st.integers(-3, 3))
def test_the_common_subsequence_is_the_longest_in_the_window_that_was_voted_for(
    one: list[int], other: list[int], transposition: int
):
    vote = [np.array([value]) for value in (0, 0, 0, transposition)]
    pitch = np.array(one, np.uint8)
    [found] = align(
        segments([len(one)]), pitch, [as_text(np.array(other))], Votes(*vote, np.ones(1))
    )
    # Notes 0 and 0 agree: bins of a quarter of the piece, its own and the next, and their margins.
    margin = max(len(one) // 4, alignment.SMALLEST_MARGIN)
    first = alignment.SEGMENT_NOTES // margin * margin - alignment.SEGMENT_NOTES
    window = other[max(first, 0) : first + len(one) + 2 * margin]
    expected = longest_common_subsequence([p - transposition for p in one], window)
    assert found.common == expected
    assert not expected or found.transposition == transposition


@settings(max_examples=40, deadline=None)
@given(PITCHES, PITCHES)
def test_no_common_subsequence_is_longer_than_the_longest_with_whole_pieces(one: list, other: list):
    found = measured(ReferencePieces.of(["other"], [piece(other)]), piece(one))
    most = max(longest_common_subsequence([p + t for p in one], other) for t in range(-4, 5))
    assert round(found.common_subsequence * len(one)) <= most


def test_stretches_of_a_long_piece_are_equal_and_of_all_pieces_follow_each_other():
    cut = segments([0, 3, 1000])
    assert cut.piece.tolist() == [1, 2, 2, 2]
    assert cut.first.tolist() == [0, 3, 336, 669]
    assert cut.last.tolist() == [3, 336, 669, 1003]
