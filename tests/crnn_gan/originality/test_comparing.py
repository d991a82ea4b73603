"""Labels, and the limits of real music that they depend on."""

from __future__ import annotations

import dataclasses
import json

import pytest
from melodies import piece, random_pitches

from crnn_gan.originality.classification import classified, limits, place_in_words
from crnn_gan.originality.comparing import OriginalityClassifier, set_originality
from crnn_gan.originality.originality import FIGURES, Match, PieceOriginality
from crnn_gan.originality.reference_pieces import ReferencePieces

KNOWN = ReferencePieces.of(
    [f"piece {seed}" for seed in range(20)],
    [piece(random_pitches(seed, 150)) for seed in range(20)],
)
HELD_OUT = [piece(random_pitches(seed, 300)) for seed in range(100, 110)]
LIMITS = {
    "common_subsequence": 0.5,
    "longest_row": 12.0,
    "copied_8": 0.4,
    "copied_16": 0.1,
    "copied_24": 0.0,
}
WHERE = Match("NAME", 20, (0, 20), (9, 29), (0, 20), (9, 29), (1, 4), (9, 9), -1)


def found(common=0.3, longest=8, copied=(0.1, 0.0, 0.0), notes=100) -> PieceOriginality:
    shares = dict(zip(("8", "16", "24"), copied, strict=True))
    return PieceOriginality(notes, "NAME", -1, common, longest, shares, (WHERE,))


@pytest.mark.parametrize(
    ("piece_found", "verdict", "reason"),
    [
        (
            found(),
            "original",
            "no figure is above the limit of real music: 30 % of its notes are in NAME in the same "
            "order (real music: up to 50 %)",
        ),
        (
            found(longest=13),
            "borrows",
            "its longest shared passage has 13 notes (real music: up to 12)",
        ),
        (
            found(common=0.51, copied=(0.41, 0.1, 0.0)),
            "borrows",
            "51 % of its notes are in NAME in the same order (real music: up to 50 %), 41 % of "
            "its notes lie in shared passages of 8 or more (real music: up to 40 %)",
        ),
        (
            found(longest=20, copied=(0.9, 0.51, 0.0)),
            "copied",
            "51 % of its notes lie in shared passages of 16 or more (real music: up to 10 %)",
        ),
        # Many short shared passages, a figure that recurs everywhere, are no copy of one piece.
        (
            found(longest=12, copied=(0.4, 0.51, 0.0)),
            "borrows",
            "51 % of its notes lie in shared passages of 16 or more (real music: up to 10 %)",
        ),
        # Half way from 50 % to all of it is 75 %.
        (
            found(common=0.76),
            "copied",
            "76 % of its notes are in NAME in the same order (real music: up to 50 %)",
        ),
        (found(notes=1), "original", "it has 1 note; fewer than 8 are not compared"),
        (found(notes=0), "original", "it has no notes; fewer than 8 are not compared"),
    ],
)
def test_a_label_has_a_reason(piece_found: PieceOriginality, verdict: str, reason: str):
    judgement = classified(piece_found, LIMITS)
    assert (judgement.verdict, judgement.reason) == (verdict, reason)
    assert judgement.limits == LIMITS


def test_without_real_music_only_plain_copies_are_called_so():
    assert classified(found(common=0.91), {}).verdict == "copied"
    assert classified(found(copied=(1.0, 0.51, 0.0)), {}).verdict == "copied"
    judgement = classified(found(common=0.9), {})
    assert judgement.verdict == "original"
    assert judgement.reason.endswith("there is no held-out real music to compare with")


def test_limits_are_the_99th_percentile_without_the_copies():
    # 1..199 hundredths of a half, then a copy: two of 199 are above the 99th percentile.
    windows = [found(common=value / 400) for value in range(1, 200)]
    assert limits(windows)["common_subsequence"] == 198 / 400
    assert limits([*windows, found(common=1.0, copied=(1.0, 1.0, 1.0))]) == limits(windows)
    assert limits(windows[:50])["common_subsequence"] == 50 / 400
    assert limits([]) == {}


def test_a_place_in_words_says_bars_and_key():
    same_key = dataclasses.replace(WHERE, transposition=0)
    assert place_in_words(same_key) == "bars 1-4 as in bar 9 of NAME (20 notes)"
    higher = dataclasses.replace(WHERE, transposition=7)
    assert place_in_words(higher) == "bars 1-4 as in bar 9 of NAME, 7 semitones higher (20 notes)"


def test_copies_are_told_from_other_pieces_beside_held_out_music():
    copies = [piece(random_pitches(seed, 150) + 2) for seed in (3, 4)]
    others = [piece(random_pitches(seed, 150)) for seed in (50, 51, 52)]
    result = set_originality([*copies, *others], KNOWN, HELD_OUT)
    assert [p.verdict for p in result.pieces] == ["copied"] * 2 + ["original"] * 3
    assert result.label_counts == {"original": 3, "borrows": 0, "copied": 2}
    assert (result.known, result.known_notes) == (20, 3000)
    # 10 pieces of 300 notes, looked at four times: 80 windows of 150 notes.
    assert len(result.real) == 80
    assert {window.notes for window in result.real} == {150}
    assert result.real_label_counts["copied"] == 0
    assert result.real_made == (
        "80 windows at random places of 10 of 10 held-out pieces, of as many notes as the pieces"
    )
    assert tuple(result.limits) == FIGURES
    assert result.pieces[0].limits == result.limits
    assert "the largest where they are up to 100, as few as 80" in result.limits_made


def test_without_held_out_music_each_known_piece_is_compared_with_the_others():
    result = set_originality([piece(random_pitches(3, 150))], KNOWN)
    assert result.label_counts["copied"] == 1
    assert result.real_label_counts == {"original": 80, "borrows": 0, "copied": 0}
    assert (
        "of 20 of the 20 reference pieces, each without itself and its copies" in result.real_made
    )
    assert result.limits["common_subsequence"] < 0.5


def test_a_lone_known_piece_gives_no_limits():
    known = ReferencePieces.of(["lone"], [piece(random_pitches(0))])
    result = set_originality([piece(random_pitches(0)), piece(random_pitches(1))], known)
    assert [p.verdict for p in result.pieces] == ["copied", "original"]
    assert (result.real, result.limits) == ((), {})
    assert result.real_made.startswith("there are no real windows")
    assert result.limits_made.startswith("there are no limits")


def test_pieces_of_other_sizes_have_limits_of_their_own():
    short, long = piece(random_pitches(50, 12)), piece(random_pitches(51, 140))
    result = set_originality([short, long, long], KNOWN, HELD_OUT)
    assert {window.notes for window in result.real} == {12, 140}
    short_limits, long_limits, _ = (p.limits for p in result.pieces)
    assert short_limits["common_subsequence"] > long_limits["common_subsequence"]
    assert result.limits == long_limits
    assert result.limits_made.endswith("for each octave of the number of notes")


def test_held_out_pieces_that_are_too_short_are_taken_whole_and_counted():
    result = set_originality([piece(random_pitches(50, 500))], KNOWN, HELD_OUT)
    assert {window.notes for window in result.real} == {300}
    assert result.real_made.endswith(f"{len(result.real)} have fewer, no piece being so long")


@pytest.mark.parametrize("sizes", [[], [0], [1], [0, 1, 7]])
def test_sets_without_a_piece_to_compare_have_figures_and_words(sizes: list[int]):
    result = set_originality([piece(random_pitches(0, size)) for size in sizes], KNOWN, HELD_OUT)
    assert [p.verdict for p in result.pieces] == ["original"] * len(sizes)
    assert (result.real, result.limits) == ((), {})
    json.dumps(dataclasses.asdict(result), allow_nan=False)


def test_the_same_seed_gives_the_same_windows():
    pieces = [piece(random_pitches(50, 60))]
    assert set_originality(pieces, KNOWN, HELD_OUT) == set_originality(pieces, KNOWN, HELD_OUT)
    other = set_originality(pieces, KNOWN, HELD_OUT, seed=1)
    assert other.real != set_originality(pieces, KNOWN, HELD_OUT).real


def test_a_yardstick_keeps_the_limits_of_the_pieces_it_saw_first():
    yardstick = OriginalityClassifier(KNOWN, HELD_OUT)
    [first] = yardstick.classify([piece(random_pitches(50, 100))])
    [second] = yardstick.classify([piece(random_pitches(51, 120))])
    assert first.limits == second.limits
    assert {window.notes for windows in yardstick.real.values() for window in windows} == {100}


def test_windows_come_from_long_and_short_pieces_alike():
    held_out = [
        piece(random_pitches(seed, size)) for seed, size in ((70, 900), (71, 100), (72, 40))
    ]
    known = ReferencePieces.of(["long", "short", "shorter"], held_out)
    result = set_originality([piece(random_pitches(50, 50))], known, held_out)
    names = [window.nearest for window in result.real]
    # 1040 notes, looked at four times: 83 windows of 50 notes; the last piece has too few.
    assert sorted((names.count("long"), names.count("short"))) == [41, 42]


def test_pieces_of_many_different_sizes_take_windows_from_all_held_out_pieces():
    made = [piece(random_pitches(50 + size, size)) for size in range(130, 170)]
    result = set_originality(made, KNOWN, HELD_OUT)
    assert "of 10 of 10 held-out pieces" in result.real_made


def test_windows_begin_anywhere_and_not_at_the_beginning():
    """Known are the openings of the held-out pieces: a window from the beginning is a copy."""
    openings = [piece(random_pitches(seed, 300)[:150]) for seed in range(100, 110)]
    held_out = [piece(random_pitches(seed, 300)) for seed in range(100, 110)]
    known = ReferencePieces.of([str(number) for number in range(10)], openings)
    result = set_originality([piece(random_pitches(50, 150))], known, held_out)
    assert 0 < result.real_label_counts["copied"] < len(result.real) * 0.7
