"""Grammars: masks of the tokens that may come next, so that sampled tokens decode without loss.

A grammar is made for the blocks of a codec's vocabulary. It is an automaton whose state is
tensors of fixed shape, one row per piece, so that it runs in any loop on any backend.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from keras import ops

from pipelines.spec import Spec

KEYS = 128
MOST_VOICES = 16  # Voices of a frame of sixteenths; more are not allowed.
NEVER = 2**30  # `steps_left` of a piece without an end, in which no note has to be released.


class Grammar(Protocol):
    """What sampling needs of a grammar.

    Attributes:
      blocks: (first token, size) of the blocks of the vocabulary, in order, each of which keeps its
        probability: what a forbidden token had goes to the allowed tokens of its block. () where it
        goes to all allowed tokens. See `sampling.renormalise_within_blocks`.
    """

    blocks: Sequence[tuple[int, int]]

    def initial_state(self, batch: Any) -> tuple[Any, ...]:
        """Gives the state before the first token; `batch` is the number of rows."""

    def allowed(self, state: tuple[Any, ...], steps_left: Any, longest_note: Any = 0) -> Any:
        """Gives the mask of the tokens that may come next: bool [batch, tokens], True in each row
        of one or more.

        Args:
          state: as `initial_state` or `next_state` gave it.
          steps_left: int32 [batch], tokens to come, the next one included.
          longest_note: int32 [batch], steps of time after which a note has to end; 0: no limit.
        """

    def next_state(self, state: tuple[Any, ...], token: Any) -> tuple[Any, ...]:
        """Gives the state after a token, int32 [batch]."""


class Unconstrained:
    """No grammar: every token may follow every other."""

    blocks: Sequence[tuple[int, int]] = ()

    def __init__(self, size: int):
        """Makes it for a vocabulary of `size` tokens."""
        self.size = size

    def initial_state(self, batch: Any) -> tuple[Any, ...]:
        """See `Grammar.initial_state`."""
        return ()

    def allowed(self, state: tuple[Any, ...], steps_left: Any, longest_note: Any = 0) -> Any:
        """See `Grammar.allowed`."""
        return ops.ones((ops.shape(steps_left)[0], self.size), "bool")

    def next_state(self, state: tuple[Any, ...], token: Any) -> tuple[Any, ...]:
        """See `Grammar.next_state`."""
        return state


class Events:
    """Grammar of performance events: each note-on has one note-off, and the other way round.

    A note-on is allowed only of a key that is up; a note-off only of one that is down, not in the
    step of time of its note-on. After a velocity comes a note-on. A token is allowed only where
    those left after it suffice to release every key, so that a piece of known length ends with all
    keys up. Keys that a primer left down are released where there is room. A key that is down for
    `longest_note` steps, whose note-on may lie outside the receptive field, is released before any
    other token.

    Each block keeps its probability. A network that does not know which keys are down gives much of
    that of the note-offs to keys that are up; so the note-offs of the keys that are down have it,
    and a key is released as often as the network says that one is.
    """

    def __init__(self, blocks: Mapping[str, tuple[int, int]], size: int):
        """Makes it for blocks {name: (first, size)} and a vocabulary of `size` tokens."""
        self.size = size
        self.blocks: Sequence[tuple[int, int]] = tuple(blocks.values())
        keys = np.arange(KEYS, dtype="int32")[None]
        self.on, self.off = keys + blocks["note_on"][0], keys + blocks["note_off"][0]
        self.shift, self.velocity = blocks["time_shift"], blocks.get("velocity", (0, 0))
        # The column of `allowed`'s table in which each token is: note-ons, note-offs, other blocks.
        self.column = np.full(size, 2 * KEYS + 3, "int32")
        for index, name in enumerate(("time_shift", "velocity", "pedal")):
            first, length = blocks.get(name, (0, 0))
            self.column[first : first + length] = 2 * KEYS + index
        self.column[self.on[0]], self.column[self.off[0]] = keys[0], KEYS + keys[0]

    def initial_state(self, batch: Any) -> tuple[Any, ...]:
        """Gives (which keys are down, bool [batch, 128]; for how many steps of time each has been,
        int32 [batch, 128]; whether the last token is a velocity, bool [batch])."""
        up, ages = ops.zeros((batch, KEYS), "bool"), ops.zeros((batch, KEYS), "int32")
        return up, ages, ops.zeros((batch,), "bool")

    def allowed(self, state: tuple[Any, ...], steps_left: Any, longest_note: Any = 0) -> Any:
        """See `Grammar.allowed`."""
        down, ages, awaits_note = state
        count = ops.sum(ops.cast(down, "int32"), axis=-1)
        is_old = down & (ages > 0)
        has_fresh = ops.any(down & (ages == 0), axis=-1)
        tokens_after = steps_left - 1
        may_strike = tokens_after >= count + 2  # That key's release, and time before it.
        on = ~down & may_strike[:, None]
        # A primer may end with a velocity, and leave no room for its note.
        awaits_note = awaits_note & may_strike
        may_set_velocity = ~awaits_note & (tokens_after >= count + 3) & (count < KEYS)
        # Keys that were just struck need time before they can be released.
        may_shift = ~awaits_note & ((tokens_after >= count) | has_fresh)
        may_pedal = ~awaits_note & (tokens_after >= count + ops.cast(has_fresh, "int32"))
        off = is_old & ~awaits_note[:, None]
        others = ops.stack(
            [may_shift, may_set_velocity, may_pedal, ops.zeros_like(awaits_note)], axis=-1
        )
        found = ops.concatenate([on, off, others], axis=-1)
        longest_note = ops.reshape(longest_note, (-1, 1))
        overdue = off & (longest_note > 0) & (ages >= longest_note)
        alone = ops.pad(overdue, ((0, 0), (KEYS, others.shape[-1])))
        found = ops.where(ops.any(overdue, axis=-1, keepdims=True), alone, found)
        return ops.take(found, self.column, axis=-1)

    def next_state(self, state: tuple[Any, ...], token: Any) -> tuple[Any, ...]:
        """See `Grammar.next_state`."""
        down, ages, _ = state
        token = token[:, None]
        on, off = token == self.on, token == self.off
        down = (down | on) & ~off
        steps = ops.where(_within(token, self.shift), token - self.shift[0] + 1, 0)
        ages = ops.where(down & ~on, ages + steps, 0)
        return down, ages, _within(token, self.velocity)[:, 0]


def _within(token: Any, block: tuple[int, int]) -> Any:
    """Tells whether tokens are of a block (first, size)."""
    first, length = block
    return (token >= first) & (token < first + length)


class Sixteenths:
    """Grammar of sixteenths: a hold has the pitch that its voice had in the frame before.

    After a frame of C4 and E4, the second voice may hold E4 or strike any pitch. No block keeps its
    probability: the pitch that a voice may hold stands one frame back, and a network sees it.
    """

    blocks: Sequence[tuple[int, int]] = ()

    def __init__(self, blocks: Mapping[str, tuple[int, int]], size: int):
        """Makes it for blocks {name: (first, size)} and a vocabulary of `size` tokens."""
        self.size, self.space = size, blocks["space"][0]
        (self.strike, self.pitches), self.hold = blocks["strike"], blocks["hold"][0]

    def initial_state(self, batch: Any) -> tuple[Any, ...]:
        """Gives (pitches of the frame before and of this one, int32 [batch, voice], -1 for none;
        the voice of the next token, int32 [batch])."""
        silent = ops.full((batch, MOST_VOICES), -1, "int32")
        return silent, silent, ops.zeros((batch,), "int32")

    def allowed(self, state: tuple[Any, ...], steps_left: Any, longest_note: Any = 0) -> Any:
        """See `Grammar.allowed`."""
        before, _, voice = state
        at = ops.one_hot(voice, MOST_VOICES, dtype="int32")
        pitch = ops.sum((before + 1) * at, axis=-1) - 1  # -1 too where there is no such voice.
        token = ops.arange(self.size, dtype="int32")[None, :]
        is_hold = (token >= self.hold) & (token < self.hold + self.pitches)
        goes_on = (token == self.hold + pitch[:, None]) & (pitch >= 0)[:, None]
        is_full = (voice >= MOST_VOICES)[:, None]
        return (token == self.space) | (~is_full & (~is_hold | goes_on))

    def next_state(self, state: tuple[Any, ...], token: Any) -> tuple[Any, ...]:
        """See `Grammar.next_state`."""
        before, now, voice = state
        is_strike = (token >= self.strike) & (token < self.strike + self.pitches)
        is_hold = (token >= self.hold) & (token < self.hold + self.pitches)
        pitch = ops.where(is_strike, token - self.strike, ops.where(is_hold, token - self.hold, -1))
        at = ops.one_hot(voice, MOST_VOICES, dtype="int32")
        now = now + at * (pitch[:, None] + 1)
        is_space = (token == self.space)[:, None]
        return (
            ops.where(is_space, now, before),
            ops.where(is_space, -1, now),
            ops.where(is_space[:, 0], 0, voice + 1),
        )


class Text:
    """Grammar of text: a start token, characters, an end token.

    After the end token, start tokens fill the piece; the codec ignores them. Only whole blocks are
    forbidden, so to keep the probability of each within it would change nothing.
    """

    blocks: Sequence[tuple[int, int]] = ()

    def __init__(self, blocks: Mapping[str, tuple[int, int]], size: int):
        """Makes it for blocks {name: (first, size)} and a vocabulary of `size` tokens."""
        self.size, self.begin, self.end = size, blocks["begin"][0], blocks["end"][0]

    def initial_state(self, batch: Any) -> tuple[Any, ...]:
        """Gives (whether the text has begun, whether it has ended), each bool [batch]."""
        return ops.zeros((batch,), "bool"), ops.zeros((batch,), "bool")

    def allowed(self, state: tuple[Any, ...], steps_left: Any, longest_note: Any = 0) -> Any:
        """See `Grammar.allowed`."""
        has_begun, has_ended = (flag[:, None] for flag in state)
        is_begin = ops.arange(self.size, dtype="int32")[None, :] == self.begin
        return ops.where(has_begun & ~has_ended, ~is_begin, is_begin)

    def next_state(self, state: tuple[Any, ...], token: Any) -> tuple[Any, ...]:
        """See `Grammar.next_state`."""
        has_begun, has_ended = state
        return has_begun | (token >= 0), has_ended | (token == self.end)


_GRAMMARS = (
    ({"note_on", "note_off", "time_shift"}, Events),
    ({"space", "strike", "hold"}, Sixteenths),
    ({"begin", "end", "printable"}, Text),
)


def grammar_of(spec: Spec) -> Grammar:
    """Gives the grammar of a vocabulary, by the names of its blocks; else `Unconstrained`."""
    blocks = {name: (first, size) for name, first, size in spec.blocks}
    for names, grammar in _GRAMMARS:
        if names <= blocks.keys():
            return grammar(blocks, spec.size)
    return Unconstrained(spec.size)
