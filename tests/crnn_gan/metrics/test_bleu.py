"""BLEU and Self-BLEU: matches counted by hand, NLTK, pieces of no and of one token."""

from __future__ import annotations

import math
import warnings
from typing import get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crnn_gan.metrics.bleu import (
    Smoothing,
    bleu,
    bleu_name,
    pitch_tokens,
    self_bleu,
    self_bleu_name,
    sentence_bleu,
    sentence_self_bleu,
)
from pipelines.score import Score
from pipelines.score_arrays import NOTE

SMOOTHINGS = get_args(Smoothing)
PIECES = st.lists(st.lists(st.integers(0, 4), max_size=9), min_size=2, max_size=5)


def one(piece: list[int], *references: list[int], n: int, smoothing: Smoothing = "none") -> float:
    return sentence_bleu([piece], references, n, smoothing).item()


def test_pitches_come_in_order_of_onset_and_from_the_lowest_up():
    rows = [(0, 9, 67, 64, 0, 0, False), (0, 9, 60, 64, 1, 0, False), (5, 9, 62, 64, 0, 0, False)]
    drum = (3, 9, 36, 64, 2, 0, True)
    score = Score.from_unsorted(12, np.array([*rows, drum], NOTE))
    assert pitch_tokens(score).tolist() == [60, 67, 62]


def test_bleu_is_the_geometric_mean_of_the_shares_of_ngrams_that_are_known():
    # 1, 2, 3 of four tokens; 1 2 and 2 3 of three pairs.
    assert one([1, 2, 3, 4], [1, 2, 3, 5], n=2) == pytest.approx(math.sqrt(3 / 4 * 2 / 3))


def test_a_token_counts_as_often_as_the_reference_that_has_it_most():
    # Papineni et al. 2002: "the" seven times; the references have it twice and once: 2/7.
    assert one([7] * 7, [7, 1, 2, 3, 7, 4], [5, 7, 6], n=1) == pytest.approx(2 / 7)


def test_a_piece_shorter_than_the_closest_reference_is_punished():
    assert one([1, 2], [1, 2, 3], [9] * 50, n=1) == pytest.approx(math.exp(1 - 3 / 2))


def test_of_two_closest_references_the_shorter_counts():
    assert one([1] * 4, [1] * 3, [1] * 5, n=1) == 1


def test_self_bleu_takes_the_most_of_the_others_only():
    # 1 1 1 2: of its own only the third 1 is not in another piece, so 3 of 4 tokens.
    # 1 1 2 3: 1 1 2 are in the first, 3 nowhere: 3/4. 2 2 4 4: one 2: 1/4.
    found = sentence_self_bleu([[1, 1, 1, 2], [1, 1, 2, 3], [2, 2, 4, 4]], n=1)
    np.testing.assert_allclose(found, [3 / 4, 3 / 4, 1 / 4])


def test_self_bleu_of_equal_pieces_is_one():
    assert self_bleu([[5, 6, 7, 8, 9]] * 3).value == 1


def test_the_length_of_self_bleu_is_that_of_another_piece():
    # Closest to 2 is 4, not 2 itself; closest to either 4 is the other 4.
    found = sentence_self_bleu([[1, 1], [1] * 4, [1] * 4], n=1)
    np.testing.assert_allclose(found, [math.exp(1 - 4 / 2), 1, 1])


def test_without_smoothing_an_order_without_a_match_makes_it_zero():
    assert one([1, 2, 3], [3, 2, 1], n=2) == 0


def test_method1_counts_a_tenth_of_a_match():
    # All three tokens; 0.1 of two pairs.
    value = one([1, 2, 3], [3, 2, 1], n=2, smoothing="method1")
    assert value == pytest.approx(math.sqrt(0.1 / 2))


def test_method4_counts_less_for_each_order_without_a_match():
    # All three tokens; ln(3) / 10 of two pairs, ln(3) / 20 of one triple.
    expected = (math.log(3) / 10 / 2 * math.log(3) / 20) ** (1 / 3)
    assert one([1, 2, 3], [3, 2, 1], n=3, smoothing="method4") == pytest.approx(expected)


@pytest.mark.parametrize("smoothing", SMOOTHINGS)
def test_a_piece_that_shares_no_token_or_has_none_gets_zero(smoothing: Smoothing):
    assert one([1, 2, 3], [4, 5, 6], n=2, smoothing=smoothing) == 0
    assert one([], [4, 5, 6], n=2, smoothing=smoothing) == 0
    assert one([1], [], n=2, smoothing=smoothing) == 0


def test_sets_too_small_give_a_reason():
    assert (
        bleu([], [[1, 2]]).reason == "generated pieces: 0, references: 1, needs 1 or more of both"
    )
    assert bleu([[1, 2]], []).value is None
    assert self_bleu([[1, 2]]).reason == "too few pieces: 1, needs 2 or more"


@pytest.mark.parametrize("tokens", [[0.5, 1.0], [[1, 2], [3, 4]], 3, ["a"]])
def test_what_is_no_row_of_integers_is_refused(tokens):
    with pytest.raises(ValueError, match=r"give integers \[token\] per piece"):
        sentence_bleu([tokens], [[1, 2]])


@pytest.mark.parametrize("n", [0, -1])
def test_an_order_below_one_is_refused(n: int):
    with pytest.raises(ValueError, match="give n of 1 or more"):
        sentence_self_bleu([[1], [2]], n)


def test_an_unknown_smoothing_is_refused():
    with pytest.raises(ValueError, match="'method2' is unknown; give one of none, method1"):
        bleu([[1]], [[1]], 4, "method2")  # type: ignore[arg-type]


def test_the_names_say_every_convention():
    assert bleu_name(500) == (
        "BLEU-4 (pitches in order of onset, 500 references per piece, sentence BLEU averaged, "
        "smoothing method1 of NLTK 3.10)"
    )
    assert self_bleu_name(100, 2, "none", "characters") == (
        "Self-BLEU-2 (characters, each piece against the 99 others, sentence BLEU averaged, "
        "no smoothing)"
    )


def of_nltk(piece: list[int], references: list[list[int]], n: int, smoothing: Smoothing) -> float:
    """NLTK's BLEU."""
    translate = pytest.importorskip("nltk.translate.bleu_score", reason="nltk is not installed")
    functions = translate.SmoothingFunction()
    function = None if smoothing == "none" else getattr(functions, smoothing)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # NLTK warns of each order without a match.
        return translate.sentence_bleu(references, piece, (1 / n,) * n, function)


@settings(deadline=None)
@given(PIECES, PIECES, st.integers(1, 5), st.sampled_from(SMOOTHINGS))
def test_bleu_is_that_of_nltk(generated, references, n: int, smoothing: Smoothing):
    expected = [of_nltk(piece, references, n, smoothing) for piece in generated]
    found = sentence_bleu(generated, references, n, smoothing)
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-60)
    assert bleu(generated, references, n, smoothing).value == pytest.approx(np.mean(expected))


@settings(deadline=None)
@given(PIECES, st.integers(1, 5), st.sampled_from(SMOOTHINGS))
def test_self_bleu_is_that_of_nltk(pieces, n: int, smoothing: Smoothing):
    expected = [
        of_nltk(piece, pieces[:i] + pieces[i + 1 :], n, smoothing) for i, piece in enumerate(pieces)
    ]
    found = sentence_self_bleu(pieces, n, smoothing)
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-60)
    assert self_bleu(pieces, n, smoothing).value == pytest.approx(np.mean(expected))


@settings(deadline=None)
@given(PIECES, st.integers(1, 5), st.sampled_from(SMOOTHINGS), st.randoms())
def test_it_is_in_range_and_blind_to_the_order_of_pieces(pieces, n, smoothing, chance):
    found = sentence_self_bleu(pieces, n, smoothing)
    assert ((found >= 0) & (found <= 1 + 1e-12)).all()
    shuffled = chance.sample(pieces, len(pieces))
    np.testing.assert_allclose(
        np.sort(sentence_self_bleu(shuffled, n, smoothing)), np.sort(found), atol=1e-15
    )
