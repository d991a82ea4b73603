"""n-gram models and chains of keys, on literal music worked by hand and against plain loops."""

import importlib.util
import json
import math
import re
import sys
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import pytest

from pipelines import prepare
from pipelines.codecs import events, piano_roll
from pipelines.sources import polyphonic_benchmark

PATH = Path(__file__).parents[1] / "benchmarks" / "ngrams.py"
SPEC = importlib.util.spec_from_file_location("ngrams", PATH)
ngrams = sys.modules["ngrams"] = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(ngrams)


def sequences(*rows):
    return [np.array(row, np.uint8) for row in rows]


def drawn(seed, size, lengths):
    chance = np.random.default_rng(seed)
    return [chance.integers(0, size, length) for length in lengths]


# Tokens.


def test_probabilities_are_those_worked_by_hand():
    train, held_out = sequences([0, 1, 0], [1]), sequences([0, 1, 1, 0])
    expected = [
        # c(0) = c(1) = 2 of 4, two kinds: (2 + 2 * 1/3) / (4 + 2) for 0 and for 1.
        [4 / 9, 4 / 9, 4 / 9, 4 / 9],
        # The start is followed by 0 and by 1: (1 + 2 * 4/9) / (2 + 2). 0 is followed by 1:
        # (1 + 4/9) / 2. 1 is followed by 0, once; never by 1: (0 + 4/9) / 2, and (1 + 4/9) / 2.
        [17 / 36, 13 / 18, 2 / 9, 13 / 18],
        # Start, start: (1 + 2 * 17/36) / 4. Start, 0: (1 + 13/18) / 2. 0, 1 is followed by 0,
        # never by 1: (0 + 2/9) / 2. 1, 1 was never seen: as order 2.
        [35 / 72, 31 / 36, 1 / 9, 13 / 18],
    ]
    np.testing.assert_allclose(ngrams.probabilities(train, held_out, 3, 3), expected, rtol=1e-12)


def test_nats_are_the_mean_over_all_held_out_tokens_not_over_pieces():
    # By hand as above; a piece of 3 tokens and one of 1, which is as the first of the other.
    nats = ngrams.nats_per_token(sequences([0, 1, 0], [1]), sequences([0, 1, 1], [0]), 3, 2)
    logs = np.log([[4 / 9, 4 / 9, 4 / 9, 4 / 9], [17 / 36, 13 / 18, 2 / 9, 17 / 36]])
    np.testing.assert_allclose(nats, -logs.sum(axis=1) / 4, rtol=1e-12)


def test_a_context_does_not_reach_into_the_piece_before():
    # In training 0 is the last of its piece, so nothing follows it: order 2 is as order 1.
    first, second = ngrams.probabilities(sequences([0], [1]), sequences([0, 1]), 2, 2)
    assert first[1] == second[1] == 1 / 2


def reference(train, held_out, size, max_order):
    """The same from dictionaries, a token at a time, by the recursion as it is written."""
    followed = defaultdict(Counter)

    def context(piece, index, length):
        return tuple([size] * max_order + list(piece[:index]))[max_order + index - length :]

    for piece in train:
        for index, token in enumerate(piece):
            for length in range(max_order):
                followed[context(piece, index, length)][token] += 1

    def probability(token, words, order):
        if order == 0:
            return 1 / size
        shorter = probability(token, words[1:], order - 1)
        after = followed.get(words)
        if after is None:
            return shorter
        return (after[token] + len(after) * shorter) / (sum(after.values()) + len(after))

    return [
        [
            probability(token, context(piece, index, order - 1), order)
            for piece in held_out
            for index, token in enumerate(piece)
        ]
        for order in range(1, max_order + 1)
    ]


@pytest.mark.parametrize("seed, size", [(0, 2), (1, 3), (2, 7), (3, 60)])
def test_random_music_has_the_probabilities_of_the_reference(seed, size):
    # Pieces of no token and of fewer than the longest context among them.
    train = drawn(seed, size, (0, 1, 40, 3, 200))
    held_out = drawn(seed + 100, size, (30, 0, 2, 1, 80))
    np.testing.assert_allclose(
        ngrams.probabilities(train, held_out, size, 6),
        reference(train, held_out, size, 6),
        rtol=1e-12,
    )


def test_the_probabilities_of_all_tokens_sum_to_one_after_any_context():
    size, max_order = 4, 5
    train = drawn(7, size - 1, (50, 20))  # Its last token never occurs.
    contexts = [*drawn(8, size, (0, 1, 2, 9, 9)), train[0][:10]]
    for context in contexts:
        every = [np.append(context, token).astype(np.int64) for token in range(size)]
        found = ngrams.probabilities(train, every, size, max_order)
        found = found.reshape(max_order, size, len(context) + 1)[:, :, -1]
        assert (found > 0).all()
        np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-12)


@pytest.mark.parametrize(
    "train, held_out, max_order, text",
    [
        ([[0, 3]], [[0]], 2, "training tokens are uint8 of 0 to 3; give integers of 0 to 2"),
        ([[0]], [[]], 2, "there are no held-out tokens"),
        ([], [[0]], 2, "there are no training tokens"),
        ([[0]], [[0]], 0, "max_order is 0; give 1 or more"),
    ],
)
def test_what_cannot_be_counted_is_refused(train, held_out, max_order, text):
    with pytest.raises(ValueError, match=re.escape(text)):
        ngrams.probabilities(sequences(*train), sequences(*held_out), 3, max_order)


# Rolls.


def rolls(*keys):
    """A piece of bool [frame, key] from each key's frames, written as 0 and 1."""
    return np.array([[int(frame) for frame in key] for key in keys], bool).T


def test_chains_of_keys_are_those_worked_by_hand():
    train, held_out = [rolls("11101", "00000")], [rolls("0110", "0000")]
    found = ngrams.nats_per_frame(train, held_out)
    # Key 1 is on in 4 of 5 frames: 4.5/6; key 2 never: off 5.5/6. Scored are on, on, off.
    assert found.marginal == pytest.approx(
        -(2 * math.log(3 / 4) + math.log(1 / 4) + 3 * math.log(11 / 12)) / 3
    )
    # Key 1: on to on 2, on to off 1: 2.5/4 on after on; off to on 1: 1.5/2 on after off.
    # Key 2: off to off 4: 4.5/5.
    assert found.markov == pytest.approx(
        -(math.log(3 / 4) + math.log(5 / 8) + math.log(3 / 8) + 3 * math.log(9 / 10)) / 3
    )


def test_random_rolls_have_the_nats_of_a_plain_loop():
    chance = np.random.default_rng(3)
    train, held_out = (
        [chance.random((frames, 5)) < 0.3 for frames in lengths]
        for lengths in ((1, 30, 2, 17), (12, 1, 9))
    )
    pairs = [
        (roll[frame - 1, key], roll[frame, key], key)
        for roll in train
        for frame in range(1, len(roll))
        for key in range(5)
    ]
    counts, on = Counter(pairs), np.concatenate(train).sum(axis=0)
    marginal = markov = 0.0
    for roll in held_out:
        for frame in range(1, len(roll)):
            for key in range(5):
                was, now = roll[frame - 1, key], roll[frame, key]
                count = {is_on: counts[was, is_on, key] + 0.5 for is_on in (False, True)}
                markov -= math.log(count[now] / sum(count.values()))
                share = (on[key] + 0.5) / (1 + 30 + 2 + 17 + 1)
                marginal -= math.log(share if now else 1 - share)
    found = ngrams.nats_per_frame(train, held_out)
    # Of 12, 1 and 9 frames 11 + 0 + 8 follow another.
    np.testing.assert_allclose(found, (marginal / 19, markov / 19), rtol=1e-12)


def test_rolls_of_one_frame_are_refused():
    with pytest.raises(ValueError, match="no held-out roll has two frames"):
        ngrams.nats_per_frame([rolls("01")], [rolls("1")])


# The command.


def prepared(folder, codec):
    """Two pieces to train on, one to validate and one to test, of frames of a quarter."""
    train = [[[60], [62], [60], [62]], [[60], [62], [62], [60]]]
    splits = {"train": train, "valid": [[[62], [60]]], "test": [[[60], [60, 62], [62], [60]]]}
    path = folder / "jsb.json"
    path.write_text(json.dumps(splits))
    flags = prepare.Flags(data_dir=str(folder / "data"), workers=1, card=False)
    prepare.prepare(flags, polyphonic_benchmark.Source(path=str(path)), codec)
    return folder / "data"


def test_the_command_prints_nats_and_bits_a_token_and_bits_a_second(tmp_path, capsys):
    data_dir = prepared(tmp_path, events.Codec())
    ngrams.main([f"--data_dir={data_dir}", "--max_order=2"])
    lines = capsys.readouterr().out.splitlines()
    train, test = (ngrams.load(data_dir, split) for split in ("train", "test"))
    nats = ngrams.nats_per_token(train.arrays, test.arrays, 388, 2)
    rows = [line.split() for line in lines if re.match(r" +\d", line)]
    assert [row[0] for row in rows] == ["1", "2"]
    for row, expected in zip(rows, nats, strict=True):
        bits = expected / math.log(2)
        # Four quarters at 120 a minute last 2 seconds.
        printed = [expected, bits, bits * test.sizes.sum() / 2]
        np.testing.assert_allclose([float(cell) for cell in row[1:]], printed, atol=0.005)


def test_the_command_prints_nats_of_rolls(tmp_path, capsys):
    codec = piano_roll.Codec(planes="frame", lowest_pitch=60, pitches=3, steps_per_quarter=1)
    ngrams.main([f"--data_dir={prepared(tmp_path, codec)}", "--split=validation"])
    printed = capsys.readouterr().out
    # 60 and 62 are on in 4 of 8 frames, 1/2 each; 61 never, off 8.5/9. One frame is scored.
    marginal = -2 * math.log(1 / 2) - math.log(8.5 / 9)
    # 60 off to on 2, off to off 1: 2.5/4. 62 on to off 2, on to on 1: 2.5/4. 61: 6.5/7.
    markov = -2 * math.log(2.5 / 4) - math.log(6.5 / 7)
    for name, nats in (("marginal", marginal), ("markov", markov)):
        assert f"{name:>8}{nats:16.4f}{nats / math.log(2):16.4f}\n" in printed


def test_the_command_refuses_rolls_of_onsets(tmp_path):
    data_dir = prepared(tmp_path, piano_roll.Codec())
    with pytest.raises(ValueError, match=r"holds roll of onset, frame; give tokens, or a roll"):
        ngrams.main([f"--data_dir={data_dir}"])
