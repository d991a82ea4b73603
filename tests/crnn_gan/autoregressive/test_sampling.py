"""Tokens and bits sampled from logits, with answers worked out by hand."""

import numpy as np
import pytest
from keras import ops

from crnn_gan.autoregressive.sampling import (
    FORBIDDEN,
    renormalise_within_blocks,
    sample_bits,
    sample_token,
)

# Weights 1, 2, 3, 4 of ten: cumulated .1, .3, .6, 1.
LOGITS = np.log(np.array([[1.0, 2.0, 3.0, 4.0]], np.float32))


def sampled(uniform, temperature=1.0, top_k=0, top_p=1.0, allowed=None, blocks=(), logits=LOGITS):
    """The token that each of some uniform numbers becomes."""
    rows = len(uniform)
    if allowed is not None:
        allowed = ops.convert_to_tensor(np.repeat([allowed], rows, axis=0))
    token = sample_token(
        ops.convert_to_tensor(np.repeat(logits, rows, axis=0)),
        ops.convert_to_tensor(np.array(uniform, np.float32)),
        ops.full((rows,), temperature, "float32"),
        ops.full((rows,), top_k, "int32"),
        ops.full((rows,), top_p, "float32"),
        allowed,
        blocks,
    )
    return np.asarray(token).tolist()


def test_a_uniform_number_becomes_the_token_whose_share_of_the_line_it_lies_in():
    assert sampled([0.0, 0.09, 0.11, 0.29, 0.31, 0.59, 0.61, 0.999]) == [0, 0, 1, 1, 2, 2, 3, 3]


def test_the_largest_number_below_1_gives_a_token_that_has_probability():
    below_1 = np.nextafter(np.float32(1), np.float32(0))
    assert sampled([below_1]) == [3]
    assert sampled([below_1], allowed=[True, True, False, False]) == [1]


def test_temperature_0_takes_the_likeliest_whatever_the_number():
    assert sampled([0.0, 0.5, 0.99], temperature=0.0) == [3, 3, 3]
    assert sampled([0.0, 0.99], temperature=0.0, allowed=[True, True, False, False]) == [1, 1]


def test_a_low_temperature_sharpens_and_a_high_one_flattens():
    # At 1/2 weights are 1, 4, 9, 16 of 30: cumulated .033, .167, .467, 1.
    assert sampled([0.02, 0.1, 0.3, 0.5], temperature=0.5) == [0, 1, 2, 3]
    # At 1000 all are nearly alike.
    assert sampled([0.2, 0.4, 0.6, 0.8], temperature=1000.0) == [0, 1, 2, 3]


def test_top_k_leaves_the_k_likeliest():
    # Of two: 3 and 4 of seven; the border is at .43.
    assert sampled([0.0, 0.42, 0.44], top_k=2) == [2, 2, 3]
    assert sampled([0.0, 0.99], top_k=1) == [3, 3]
    assert sampled([0.05], top_k=4) == sampled([0.05], top_k=9) == sampled([0.05]) == [0]


def test_top_p_leaves_the_fewest_that_hold_the_share():
    assert sampled([0.0, 0.99], top_p=0.4) == [3, 3]  # The likeliest holds .4.
    assert sampled([0.0, 0.44], top_p=0.41) == [2, 3]  # It does not hold .41.
    assert sampled([0.0], top_p=0.71) == [1]
    assert sampled([0.0], top_p=1.0) == [0]


def test_top_p_counts_what_top_k_left():
    # Of the three likeliest, 4/9 = .444 and 7/9 = .777.
    assert sampled([0.0, 0.99], top_k=3, top_p=0.44) == [3, 3]
    assert sampled([0.0, 0.99], top_k=3, top_p=0.77) == [2, 3]
    assert sampled([0.0, 0.99], top_k=3, top_p=0.78) == [1, 3]


def test_what_is_forbidden_is_never_sampled_however_probable():
    assert set(sampled(np.linspace(0, 0.999, 50), allowed=[True, False, True, False])) == {0, 2}
    assert sampled([0.5], allowed=[False, False, True, False], top_k=1) == [2]


def test_rows_have_limits_of_their_own():
    token = sample_token(
        ops.convert_to_tensor(np.repeat(LOGITS, 3, axis=0)),
        ops.zeros((3,)),
        ops.convert_to_tensor(np.array([1, 0, 1], np.float32)),
        ops.convert_to_tensor(np.array([0, 0, 2], np.int32)),
        ops.ones((3,)),
    )
    assert np.asarray(token).tolist() == [0, 3, 2]


# Two blocks of three tokens that hold .6 and .3, and one of a single token that has .1.
BLOCKS = ((0, 3), (3, 3), (6, 1))
SHARES = np.array([0.3, 0.2, 0.1, 0.1, 0.1, 0.1, 0.1], np.float32)


def limited(allowed, logits=None, blocks=BLOCKS):
    """The probabilities of tokens, of which 0s and 1s say which are allowed."""
    logits = np.log(SHARES) if logits is None else np.array(logits, np.float32)
    allowed = np.array([allowed], bool)
    found = renormalise_within_blocks(
        ops.convert_to_tensor(logits[None]), ops.convert_to_tensor(allowed), blocks
    )
    return np.asarray(ops.softmax(found))[0]


@pytest.mark.parametrize(
    ("allowed", "shares"),
    [
        # .6 are shared by 2 and 1; a token of the other block changes nothing in the first.
        ([0, 1, 1, 1, 1, 1, 1], [0, 0.4, 0.2, 0.1, 0.1, 0.1, 0.1]),
        ([1, 1, 1, 1, 0, 0, 1], [0.3, 0.2, 0.1, 0.3, 0, 0, 0.1]),
        ([0, 0, 1, 0, 1, 0, 1], [0, 0, 0.6, 0, 0.3, 0, 0.1]),
        # Nothing of the second block: of its .3, .6 and .1 go to the others, which had .7.
        ([1, 1, 1, 0, 0, 0, 1], [3 / 7, 2 / 7, 1 / 7, 0, 0, 0, 1 / 7]),
        # Nothing of the first and the third: the second has all.
        ([0, 0, 0, 1, 1, 0, 0], [0, 0, 0, 0.5, 0.5, 0, 0]),
        # Nothing of the third: its .1 go to the others, which had .9.
        ([0, 1, 1, 1, 1, 1, 0], [0, 4 / 9, 2 / 9, 1 / 9, 1 / 9, 1 / 9, 0]),
        ([1, 1, 1, 1, 1, 1, 1], SHARES),
    ],
)
def test_a_block_keeps_its_probability_and_shares_it_among_what_is_allowed(allowed, shares):
    np.testing.assert_allclose(limited(allowed), shares, rtol=1e-5)


def test_without_blocks_what_is_forbidden_is_shared_among_all():
    found = limited([0, 1, 1, 1, 1, 1, 1], blocks=())
    np.testing.assert_allclose(found, [0, *SHARES[1:] / 0.7], rtol=1e-5)
    allowed, logits = np.arange(7)[None] > 2, np.log(SHARES)[None]
    found = np.asarray(renormalise_within_blocks(logits, allowed, ()))
    np.testing.assert_array_equal(found[0], [*[FORBIDDEN] * 3, *logits[0, 3:]])  # To the bit.


def test_the_only_token_that_a_block_may_have_gets_all_of_it_however_improbable():
    # Far below what float32 holds beside the others: e^-200, and e^-300 of a block.
    logits = [0, -200, -300, -1000, -1300, -1300, FORBIDDEN]
    np.testing.assert_allclose(limited([0, 0, 1, 1, 1, 1, 0], logits), [0, 0, 1, 0, 0, 0, 0])
    # The first block has 1, the second e^2, the half of it each forbidden token.
    logits = [0, -200, -300, 2 - np.log(2), -300, 2 - np.log(2), FORBIDDEN]
    share = 1 / (1 + np.e**2)
    found = limited([0, 0, 1, 0, 1, 0, 0], logits)
    np.testing.assert_allclose(found, [0, 0, share, 0, 1 - share, 0, 0], rtol=1e-4)


def test_blocks_keep_their_probability_before_temperature_and_truncation():
    # Of .4 .2 .3 .1 (the first of the first block is forbidden): the two likeliest are 1 and 3.
    allowed = [False, True, True, True, False, False, True]
    settings = dict(allowed=allowed, blocks=BLOCKS, logits=np.log(SHARES)[None])
    assert sampled([0.0, 0.39, 0.41, 0.59, 0.61, 0.89, 0.91], **settings) == [1, 1, 2, 2, 3, 3, 6]
    assert sampled([0.56, 0.58], top_k=2, **settings) == [1, 3]  # The border is at 4/7.
    assert sampled([0.56, 0.58], top_p=0.6, **settings) == [1, 3]
    assert sampled([0.0, 0.99], temperature=0.0, **settings) == [1, 1]
    # At 1/2 weights are 16, 4, 9, 1 of 30.
    assert sampled([0.53, 0.54, 0.66, 0.67, 0.96, 0.97], temperature=0.5, **settings) == [
        1, 2, 2, 3, 3, 6,
    ]  # fmt: skip


def test_a_row_has_the_same_logits_alone_and_beside_others():
    # Sizes that fill no vector registers, and an odd number of blocks.
    random, blocks = np.random.default_rng(0), ((0, 97), (97, 150), (247, 141))
    logits = random.normal(0, 5, (19, 388)).astype(np.float32)
    allowed = random.random((19, 388)) < 0.3
    together = np.asarray(renormalise_within_blocks(logits, allowed, blocks))
    for row in range(19):
        for rows in (slice(row, row + 1), slice(max(row - 2, 0), row + 1)):
            found = renormalise_within_blocks(logits[rows], allowed[rows], blocks)
            np.testing.assert_array_equal(np.asarray(found)[-1], together[row])


def test_samples_have_the_shares_of_the_distribution():
    uniform = np.random.default_rng(0).random(4000)
    shares = np.bincount(sampled(uniform, temperature=1.0), minlength=4) / 4000
    np.testing.assert_allclose(shares, [0.1, 0.2, 0.3, 0.4], atol=0.03)


@pytest.mark.parametrize(
    ("temperature", "bits"),
    [(1.0, [1, 0, 1, 0]), (0.0, [1, 1, 0, 0]), (1000.0, [1, 0, 1, 0])],
)
def test_a_bit_is_1_where_the_number_lies_below_its_probability(temperature, bits):
    # Probabilities .75, .75, .25, .25; at a temperature of 0 1, 1, 0, 0; of 1000 all .5.
    logits = np.log(np.array([[3.0, 3.0, 1 / 3, 1 / 3]], np.float32))
    uniform = np.array([[0.4, 0.8, 0.2, 0.6]], np.float32)
    found = sample_bits(
        ops.convert_to_tensor(logits),
        ops.convert_to_tensor(uniform),
        ops.convert_to_tensor(np.array([temperature], np.float32)),
    )
    assert np.asarray(found).tolist() == [bits]


def test_without_top_k_and_top_p_the_same_tokens_are_sampled_as_with_no_limit():
    random = np.random.default_rng(0)
    logits = random.normal(size=(64, 7)).astype("float32")
    logits[:, 3] = logits[:, 5]  # As probable as each other, in some rows the most probable.
    logits[::4, [3, 5]] = 9.0
    uniform = random.random(64).astype("float32")
    for heat in (0.0, 0.7, 1.0):
        temperature = np.full(64, heat, "float32")
        limits = np.zeros(64, "int32"), np.ones(64, "float32")
        with_limits = sample_token(logits, uniform, temperature, *limits)
        assert np.array_equal(sample_token(logits, uniform, temperature), with_limits)
