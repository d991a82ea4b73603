"""Grammars: which token may come next, so that what is drawn says something.

A grammar knows the blocks of a codec's vocabulary and keeps the state of each row in
tensors of fixed shape, so that it can run in any loop, on any backend.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from keras import ops

from pipelines.spec import Spec

KEYS = 128
MOST_VOICES = 16  # Of a frame of sixteenths that holds are checked in.
NEVER = 2**30  # Tokens left where nothing has to be closed.


class Grammar(Protocol):
    """What a model that draws tokens asks of a grammar."""

    def start(self, batch: Any) -> tuple[Any, ...]:
        """Gives the state of rows that have no token yet."""

    def allowed(self, state: tuple[Any, ...], left: Any, longest: Any = 0) -> Any:
        """Gives the tokens that may come next: bool [batch, tokens], one or more a row.

        Args:
          state: as `start` or `after` gave it.
          left: int32 [batch], tokens to come, the next one included.
          longest: int32 [batch], steps of time after which a note has to end; 0: it need not.
        """

    def after(self, state: tuple[Any, ...], token: Any) -> tuple[Any, ...]:
        """Gives the state after a token, int32 [batch]."""


class Free:
    """No grammar: every token may follow every other."""

    def __init__(self, size: int):
        """Makes it for a vocabulary of `size` tokens."""
        self.size = size

    def start(self, batch: Any) -> tuple[Any, ...]:
        """See `Grammar.start`."""
        return ()

    def allowed(self, state: tuple[Any, ...], left: Any, longest: Any = 0) -> Any:
        """See `Grammar.allowed`."""
        return ops.ones((ops.shape(left)[0], self.size), "bool")

    def after(self, state: tuple[Any, ...], token: Any) -> tuple[Any, ...]:
        """See `Grammar.after`."""
        return state


class Events:
    """Of performance events: what is struck is released, and only that.

    A key is struck only while it is up, and released only while it is down and not in the
    step in which it was struck; a velocity is followed by a note. Tokens are allowed only as
    long as those that are left suffice to release every key, so that a piece whose length is
    known ends with all keys up. Keys that a primer left down are released where there is room.
    A key that is down for too long, which a model whose memory ends forgets, is released before
    anything else happens.
    """

    def __init__(self, blocks: Mapping[str, tuple[int, int]], size: int):
        """Makes it for blocks {name: (first, size)} and a vocabulary of `size` tokens."""
        self.size = size
        keys = np.arange(KEYS, dtype="int32")[None]
        self.on, self.off = keys + blocks["note_on"][0], keys + blocks["note_off"][0]
        self.shift, self.velocity = blocks["time_shift"], blocks.get("velocity", (0, 0))
        # Where `allowed` finds each token in what it knows of keys, other blocks, and the rest.
        self.column = np.full(size, 2 * KEYS + 3, "int32")
        for place, name in enumerate(("time_shift", "velocity", "pedal")):
            first, length = blocks.get(name, (0, 0))
            self.column[first : first + length] = 2 * KEYS + place
        self.column[self.on[0]], self.column[self.off[0]] = keys[0], KEYS + keys[0]

    def start(self, batch: Any) -> tuple[Any, ...]:
        """Gives keys that are down, bool [batch, 128], for how many steps of time, int32
        [batch, 128], and whether a velocity waits for its note, bool [batch]."""
        up, ages = ops.zeros((batch, KEYS), "bool"), ops.zeros((batch, KEYS), "int32")
        return up, ages, ops.zeros((batch,), "bool")

    def allowed(self, state: tuple[Any, ...], left: Any, longest: Any = 0) -> Any:
        """See `Grammar.allowed`."""
        down, ages, waits = state
        count = ops.sum(ops.cast(down, "int32"), axis=-1)
        is_old = down & (ages > 0)
        is_fresh = ops.any(down & (ages == 0), axis=-1)
        after = left - 1
        may_strike = after >= count + 2  # That key's release, and time before it.
        on = ~down & may_strike[:, None]
        waits = waits & may_strike  # A primer may end with a velocity, and leave no room.
        may_announce = ~waits & (after >= count + 3) & (count < KEYS)
        # Keys that were just struck need time before they can be released.
        may_wait = ~waits & ((after >= count) | is_fresh)
        may_tread = ~waits & (after >= count + ops.cast(is_fresh, "int32"))
        off = is_old & ~waits[:, None]
        others = ops.stack([may_wait, may_announce, may_tread, ops.zeros_like(waits)], axis=-1)
        found = ops.concatenate([on, off, others], axis=-1)
        longest = ops.reshape(longest, (-1, 1))
        overdue = off & (longest > 0) & (ages >= longest)
        alone = ops.pad(overdue, ((0, 0), (KEYS, others.shape[-1])))
        found = ops.where(ops.any(overdue, axis=-1, keepdims=True), alone, found)
        return ops.take(found, self.column, axis=-1)

    def after(self, state: tuple[Any, ...], token: Any) -> tuple[Any, ...]:
        """See `Grammar.after`."""
        down, ages, _ = state
        token = token[:, None]
        on, off = token == self.on, token == self.off
        down = (down | on) & ~off
        steps = ops.where(_within(token, self.shift), token - self.shift[0] + 1, 0)
        ages = ops.where(down & ~on, ages + steps, 0)
        return down, ages, _within(token, self.velocity)[:, 0]


def _within(token: Any, block: tuple[int, int]) -> Any:
    """Gives whether tokens are of a block (first, size)."""
    first, length = block
    return (token >= first) & (token < first + length)


class Sixteenths:
    """Of characters a voice: a hold goes on with the pitch its voice had in the frame before."""

    def __init__(self, blocks: Mapping[str, tuple[int, int]], size: int):
        """Makes it for blocks {name: (first, size)} and a vocabulary of `size` tokens."""
        self.size, self.space = size, blocks["space"][0]
        (self.strike, self.pitches), self.hold = blocks["strike"], blocks["hold"][0]

    def start(self, batch: Any) -> tuple[Any, ...]:
        """Gives the pitches of the frame before and of this one, int32 [batch, voice], -1 for
        none, and the voice that comes next, int32 [batch]."""
        silent = ops.full((batch, MOST_VOICES), -1, "int32")
        return silent, silent, ops.zeros((batch,), "int32")

    def allowed(self, state: tuple[Any, ...], left: Any, longest: Any = 0) -> Any:
        """See `Grammar.allowed`."""
        before, _, voice = state
        at = ops.one_hot(voice, MOST_VOICES, dtype="int32")
        pitch = ops.sum((before + 1) * at, axis=-1) - 1  # -1 too where there is no such voice.
        token = ops.arange(self.size, dtype="int32")[None, :]
        is_hold = (token >= self.hold) & (token < self.hold + self.pitches)
        goes_on = (token == self.hold + pitch[:, None]) & (pitch >= 0)[:, None]
        is_full = (voice >= MOST_VOICES)[:, None]
        return (token == self.space) | (~is_full & (~is_hold | goes_on))

    def after(self, state: tuple[Any, ...], token: Any) -> tuple[Any, ...]:
        """See `Grammar.after`."""
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
    """Of characters between a beginning and an end: it begins once, and nothing follows the end.

    After the end comes the token of the beginning alone, which readers pass over.
    """

    def __init__(self, blocks: Mapping[str, tuple[int, int]], size: int):
        """Makes it for blocks {name: (first, size)} and a vocabulary of `size` tokens."""
        self.size, self.begin, self.end = size, blocks["begin"][0], blocks["end"][0]

    def start(self, batch: Any) -> tuple[Any, ...]:
        """Gives whether it has begun and whether it has ended, bool [batch]."""
        return ops.zeros((batch,), "bool"), ops.zeros((batch,), "bool")

    def allowed(self, state: tuple[Any, ...], left: Any, longest: Any = 0) -> Any:
        """See `Grammar.allowed`."""
        has_begun, has_ended = (flag[:, None] for flag in state)
        is_begin = ops.arange(self.size, dtype="int32")[None, :] == self.begin
        return ops.where(has_begun & ~has_ended, ~is_begin, is_begin)

    def after(self, state: tuple[Any, ...], token: Any) -> tuple[Any, ...]:
        """See `Grammar.after`."""
        has_begun, has_ended = state
        return has_begun | (token >= 0), has_ended | (token == self.end)


_GRAMMARS = (
    ({"note_on", "note_off", "time_shift"}, Events),
    ({"space", "strike", "hold"}, Sixteenths),
    ({"begin", "end", "printable"}, Text),
)


def grammar_of(spec: Spec) -> Grammar:
    """Gives the grammar of a vocabulary, known by the names of its blocks; else `Free`."""
    blocks = {name: (first, size) for name, first, size in spec.blocks}
    for names, grammar in _GRAMMARS:
        if names <= blocks.keys():
            return grammar(blocks, spec.size)
    return Free(spec.size)
