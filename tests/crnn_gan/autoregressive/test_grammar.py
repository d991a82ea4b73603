"""Grammars: literal sentences, and a million random ones that a codec reads without loss."""

import numpy as np
import pytest
from keras import ops

from crnn_gan.autoregressive.grammar import NEVER, Text, Unconstrained, grammar_of
from crnn_gan.autoregressive.sampling import renormalise_within_blocks
from pipelines.codecs import abc_text, events, sixteenths
from pipelines.spec import Spec

EVENTS = events.Codec(shift_steps=10, velocity_levels=2, pedal_levels=2)
ON, OFF, SHIFT, VELOCITY, PEDAL = (first for _, first, _ in EVENTS.blocks)


def kinds(grammar, tokens, left):
    """The blocks of EVENTS that are allowed after some tokens, with so many left."""
    state = grammar.initial_state(1)
    for token in tokens:
        state = grammar.next_state(state, ops.convert_to_tensor(np.array([token], np.int32)))
    allowed = np.asarray(grammar.allowed(state, ops.convert_to_tensor(np.array([left], np.int32))))
    return {name: np.flatnonzero(allowed[0, first : first + size]).tolist()
            for name, first, size in EVENTS.blocks}  # fmt: skip


def test_at_first_keys_are_struck_and_none_is_released():
    found = kinds(grammar_of(EVENTS.spec), [], NEVER)
    assert found["note_on"] == list(range(128)) and found["note_off"] == []
    assert found["time_shift"] == list(range(10)) and found["velocity"] == [0, 1]


def test_a_key_that_is_down_is_released_after_time_and_not_struck():
    fresh = kinds(grammar_of(EVENTS.spec), [ON + 60], NEVER)
    assert 60 not in fresh["note_on"] and fresh["note_off"] == []
    later = kinds(grammar_of(EVENTS.spec), [ON + 60, SHIFT], NEVER)
    assert 60 not in later["note_on"] and later["note_off"] == [60]
    assert 60 in kinds(grammar_of(EVENTS.spec), [ON + 60, SHIFT, OFF + 60], NEVER)["note_on"]


def test_a_velocity_is_followed_by_a_note():
    found = kinds(grammar_of(EVENTS.spec), [ON + 60, SHIFT, VELOCITY + 1], NEVER)
    assert len(found["note_on"]) == 127
    assert [found[n] for n in ("note_off", "time_shift", "velocity", "pedal")] == [[], [], [], []]


@pytest.mark.parametrize(
    ("tokens", "left", "on", "shift", "velocity"),
    [
        ([], 1, False, True, False),  # A note needs time and a release: three tokens.
        ([], 2, False, True, False),
        ([], 3, True, True, False),
        ([], 4, True, True, True),  # Velocity, note, time, release.
        ([ON + 60], 2, False, True, False),  # Time, release.
        ([ON + 60, SHIFT], 1, False, False, False),  # The release alone.
        ([ON + 60, SHIFT], 3, False, True, False),  # Another note would need four.
        ([ON + 60, SHIFT], 4, True, True, False),
    ],
)
def test_tokens_are_allowed_as_long_as_the_rest_suffices_to_release_all(
    tokens, left, on, shift, velocity
):
    found = kinds(grammar_of(EVENTS.spec), tokens, left)
    assert (bool(found["note_on"]), bool(found["time_shift"])) == (on, shift)
    assert bool(found["velocity"]) == velocity
    assert any(found.values())


def sentences(grammar, rows, length, seed, closes=True):
    """Random tokens [rows, length], each one that the grammar allows."""
    random = np.random.default_rng(seed)
    state, found = grammar.initial_state(rows), np.zeros((rows, length), np.int32)
    for place in range(length):
        left = ops.full((rows,), length - place if closes else NEVER, "int32")
        allowed = np.asarray(grammar.allowed(state, left))
        assert allowed.any(axis=1).all(), place
        found[:, place] = np.argmax(allowed * random.random(allowed.shape), axis=1)
        state = grammar.next_state(state, ops.convert_to_tensor(found[:, place]))
    return found


def test_no_event_is_dropped_and_no_key_is_left_down():
    for length in (1, 2, 3, 5, 60):
        tokens = sentences(grammar_of(EVENTS.spec), 20, length, seed=length)
        _, _, dropped = EVENTS.notes(tokens, np.full(20, length, np.int32))
        assert np.asarray(dropped).tolist() == [0] * 20
        struck = [(np.sort(r[(r >= ON) & (r < OFF)]) - ON).tolist() for r in tokens]
        released = [(np.sort(r[(r >= OFF) & (r < SHIFT)]) - OFF).tolist() for r in tokens]
        assert struck == released
    assert any(struck)


def test_a_key_that_is_down_for_too_long_is_released_before_anything_else():
    grammar = grammar_of(EVENTS.spec)
    state = grammar.initial_state(1)
    # Key 60 for 7 steps, key 64 for the last 3 of them.
    for token in (ON + 60, SHIFT + 3, ON + 64, SHIFT + 2):
        state = grammar.next_state(state, ops.convert_to_tensor(np.array([token], np.int32)))
    left = ops.full((1,), NEVER, "int32")

    def allowed(longest):
        limit = ops.full((1,), longest, "int32")
        return np.flatnonzero(np.asarray(grammar.allowed(state, left, limit))[0]).tolist()

    assert len(allowed(0)) == len(allowed(8)) > 100
    assert allowed(7) == [OFF + 60]
    assert allowed(3) == [OFF + 60, OFF + 64]


def test_keys_that_are_down_are_released_as_often_as_any_key():
    # Keys 60 and 64 are down, 67 was just struck. Note-offs have .4: 60 a hundredth of it, 64
    # three, and keys that cannot be released the rest. Note-ons have .1, time .5.
    grammar, size = grammar_of(EVENTS.spec), EVENTS.spec.size
    state = grammar.initial_state(1)
    for token in (ON + 60, ON + 64, SHIFT + 3, ON + 67):
        state = grammar.next_state(state, ops.convert_to_tensor(np.array([token], np.int32)))
    shares = np.zeros(size, np.float32)
    shares[[OFF + 60, OFF + 64, OFF + 67, OFF + 90]] = 0.004, 0.012, 0.2, 0.184
    shares[[ON + 60, ON + 70, SHIFT + 1]] = 0.05, 0.05, 0.5
    logits = np.log(np.maximum(shares, 1e-30))[None]
    allowed = grammar.allowed(state, ops.full((1,), NEVER, "int32"))
    found = ops.softmax(renormalise_within_blocks(logits, allowed, grammar.blocks))
    expected = np.zeros(size)
    expected[[OFF + 60, OFF + 64, ON + 70, SHIFT + 1]] = 0.1, 0.3, 0.1, 0.5
    np.testing.assert_allclose(np.asarray(found)[0], expected, rtol=1e-5, atol=1e-9)


def test_without_a_key_to_release_the_probability_of_note_offs_goes_to_all_others():
    grammar = grammar_of(EVENTS.spec)
    shares = np.full(EVENTS.spec.size, 1e-30, np.float32)
    shares[[OFF + 60, ON + 60, SHIFT, PEDAL]] = 0.5, 0.1, 0.3, 0.1
    allowed = grammar.allowed(grammar.initial_state(1), ops.full((1,), NEVER, "int32"))
    found = renormalise_within_blocks(np.log(shares)[None], allowed, grammar.blocks)
    found = np.asarray(ops.softmax(found))[0, [OFF + 60, ON + 60, SHIFT, PEDAL]]
    np.testing.assert_allclose(found, [0, 0.2, 0.6, 0.2], rtol=1e-5)


def test_without_an_end_keys_may_stay_down():
    tokens = sentences(grammar_of(EVENTS.spec), 20, 30, seed=1, closes=False)
    struck, released = (tokens < OFF).sum(), ((tokens >= OFF) & (tokens < SHIFT)).sum()
    assert struck > released


def test_no_character_of_sixteenths_is_dropped():
    codec = sixteenths.Codec(voices=16)
    tokens = sentences(grammar_of(codec.spec), 10, 200, seed=3)
    decoded = codec.decode_all(list(tokens))  # With voices: a unison of two is two notes.
    assert [each.dropped for each in decoded] == [0] * 10
    assert min(len(each.score.notes) for each in decoded) > 0


def test_a_hold_goes_on_with_the_pitch_of_its_own_voice():
    grammar, (_, space, strike, hold) = (
        grammar_of(sixteenths.Codec().spec),
        (first for _, first, _ in sixteenths.Codec().spec.blocks),
    )
    state = grammar.initial_state(1)
    for token in (strike + 5, strike + 7, space, hold + 5):
        state = grammar.next_state(state, ops.convert_to_tensor(np.array([token], np.int32)))
    allowed = np.asarray(grammar.allowed(state, ops.ones((1,), "int32")))[0]
    assert np.flatnonzero(allowed[hold:]).tolist() == [7]
    assert allowed[:hold].all()


def test_a_text_begins_once_and_nothing_follows_its_end():
    grammar = grammar_of(abc_text.Codec().spec)
    assert isinstance(grammar, Text)
    tokens = sentences(grammar, 50, 300, seed=2)
    assert (tokens[:, 0] == abc_text.BEGIN).all()
    for row in tokens:
        ends = np.flatnonzero(row == abc_text.END)
        assert len(ends) <= 1
        middle = row[1 : ends[0] if len(ends) else None]
        assert not (middle == abc_text.BEGIN).any()
        if len(ends):
            assert (row[ends[0] + 1 :] == abc_text.BEGIN).all()


def test_other_vocabularies_are_unconstrained():
    grammar = grammar_of(Spec("tokens", (None,), "uint8", 3, "step", (("all", 0, 3),)))
    assert isinstance(grammar, Unconstrained)
    assert np.asarray(grammar.allowed(grammar.initial_state(2), ops.ones((2,), "int32"))).all()
