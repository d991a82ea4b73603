"""Baselines that count: held-out likelihood that a trained model should beat.

Of tokens, interpolated Witten-Bell n-gram models of orders 1 to `max_order` (I. H. Witten and
T. C. Bell, The zero-frequency problem, 1991, method C; interpolated as in S. F. Chen and
J. Goodman, An empirical study of smoothing techniques for language modeling, 1998):

    P_n(w | h) = (c(h, w) + T(h) P_{n-1}(w | h')) / (c(h) + T(h))

where c counts in the training pieces, T(h) is how many distinct tokens follow the context h of
n - 1 tokens, h' is h without its oldest token, and P_0 is uniform over the vocabulary. A context
that was never seen gives P_{n-1}. Each piece is preceded by start symbols, which are never
predicted; all tokens of a piece are scored, the first included.

Of piano rolls of one plane, `frame`: independent keys, each by its marginal probability, and each
by a first-order Markov chain over frames. Half an observation is added to each count. Frames 2 to
the last of all pieces are scored; the marginal counts all training frames. A roll ends with its
last note: it has no trailing silence.

    python benchmarks/ngrams.py --data_dir=DIR [--max_order=5] [--split=test]

Prints for each order nats and bits per token, of codec events also bits per second of music; for
rolls nats and bits per frame. Choose the order on --split=validation.
"""

from __future__ import annotations

import dataclasses
import sys
import time
from collections.abc import Sequence
from importlib import metadata
from typing import Literal, NamedTuple

import numpy as np
from machine import machine

from pipelines.command_line import parse, run_command
from pipelines.dataset import Pieces, load
from pipelines.records import read_manifest
from pipelines.settings import Settings, flag

UNSEEN = -1  # The number of all contexts that training does not have.


@dataclasses.dataclass(frozen=True)
class Flags(Settings):
    """Which music, and how long the contexts are."""

    data_dir: str = flag(help="directory that pipelines.prepare wrote, of tokens or piano rolls")
    max_order: int = flag(5, "tokens of the longest n-gram", at_least=1)
    split: Literal["test", "validation"] = flag("test", "split to score")


# Tokens.


class Concatenated(NamedTuple):
    """Sequences end to end, int64 [token]: the tokens, and the place of each in its sequence."""

    tokens: np.ndarray
    places: np.ndarray

    def before(self, back: int, start: int) -> np.ndarray:
        """Gives the token so many places before each, `start` where its sequence has none."""
        older = np.full(len(self.tokens), start)
        older[back:] = self.tokens[:-back]
        older[self.places < back] = start
        return older


def probabilities(
    train: Sequence[np.ndarray], held_out: Sequence[np.ndarray], size: int, max_order: int
) -> np.ndarray:
    """Gives the probability of each held-out token by the model of each order.

    Args:
      train, held_out: [sequence] of integers [token], 0 to `size` - 1.
      size: tokens in the vocabulary.
      max_order: 1 or more; order n sees n - 1 tokens of context.

    Returns:
      float64 [order - 1, token], the held-out sequences one after the other.

    Raises:
      ValueError: no tokens, some outside of the vocabulary, or max_order below 1.
    """
    if max_order < 1:
        raise ValueError(f"max_order is {max_order}; give 1 or more")
    seen, new = _concatenated(train, size, "training"), _concatenated(held_out, size, "held-out")
    seen_contexts, new_contexts = (np.zeros(len(part.tokens), np.int64) for part in (seen, new))
    shorter = np.full(len(new.tokens), 1 / size)
    found = np.empty((max_order, len(new.tokens)))
    for order in range(1, max_order + 1):
        if order > 1:
            # A longer context is the shorter one and the token before it.
            wanted = new_contexts * (size + 1) + new.before(order - 1, size)
            keys = seen_contexts * (size + 1) + seen.before(order - 1, size)
            keys, seen_contexts = np.unique(keys, return_inverse=True)
            new_contexts = _numbers(keys, wanted)
        grams, counts = np.unique(seen_contexts * size + seen.tokens, return_counts=True)
        # The last of each three is that of UNSEEN, so that there the shorter context decides.
        counts = np.append(counts, 0)
        totals = np.append(np.bincount(seen_contexts), 0)[new_contexts]
        kinds = np.append(np.bincount(grams // size), 1)[new_contexts]
        count = counts[_numbers(grams, new_contexts * size + new.tokens)]
        shorter = (count + kinds * shorter) / (totals + kinds)
        found[order - 1] = shorter
    return found


def nats_per_token(
    train: Sequence[np.ndarray], held_out: Sequence[np.ndarray], size: int, max_order: int
) -> np.ndarray:
    """Gives float64 [order - 1], the mean over all held-out tokens; see `probabilities`."""
    return -np.log(probabilities(train, held_out, size, max_order)).mean(axis=1)


def _concatenated(sequences: Sequence[np.ndarray], size: int, name: str) -> Concatenated:
    lengths = np.array([len(sequence) for sequence in sequences], np.int64)
    if not lengths.sum():
        raise ValueError(f"there are no {name} tokens; give a sequence or more")
    tokens = np.concatenate([sequence for sequence in sequences if len(sequence)])
    if tokens.dtype.kind not in "iu" or tokens.min() < 0 or tokens.max() >= size:
        raise ValueError(
            f"{name} tokens are {tokens.dtype} of {tokens.min()} to {tokens.max()}; "
            f"give integers of 0 to {size - 1}"
        )
    places = np.arange(len(tokens)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    return Concatenated(tokens.astype(np.int64), places)


def _numbers(keys: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Gives where each of `wanted` stands in sorted `keys`, both int64; UNSEEN where nowhere.

    What was made of UNSEEN is negative, and no key is.
    """
    places = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[places] == wanted, places, UNSEEN)


# Rolls.


class FrameNats(NamedTuple):
    """Nats per frame, the sum over its keys, of frames 2 to the last."""

    marginal: float
    markov: float


def nats_per_frame(train: Sequence[np.ndarray], held_out: Sequence[np.ndarray]) -> FrameNats:
    """Gives the nats of each key's marginal and of its first-order Markov chain.

    Args:
      train, held_out: [piece] of bool [frame, key].

    Raises:
      ValueError: there are not two frames that follow each other.
    """
    rolls = np.concatenate(train)
    on = rolls.sum(axis=0)
    marginal = _smoothed(np.stack([len(rolls) - on, on]))
    markov = _smoothed(_transitions(train, "training").swapaxes(0, 1))
    scored = _transitions(held_out, "held-out").swapaxes(0, 1)
    frames = scored[..., 0].sum()
    nats = (-(scored * np.log(p)).sum() / frames for p in (marginal[:, None], markov))
    return FrameNats(*map(float, nats))


def _transitions(rolls: Sequence[np.ndarray], name: str) -> np.ndarray:
    """Counts, int64 [before, now, key]: how often a key was off or on, then off or on."""
    joined = np.concatenate(rolls)
    follows = np.ones(len(joined), np.bool_)
    starts = np.cumsum([0, *map(len, rolls)])[:-1]
    follows[starts[starts < len(joined)]] = False
    if not follows.any():
        raise ValueError(f"no {name} roll has two frames; give a longer one")
    before, now = joined[:-1][follows[1:]], joined[1:][follows[1:]]
    counts = np.zeros((2, 2, joined.shape[1]), np.int64)
    for was in (0, 1):
        for is_on in (0, 1):
            counts[was, is_on] = ((before == was) & (now == is_on)).sum(axis=0)
    return counts


def _smoothed(counts: np.ndarray) -> np.ndarray:
    """Gives the probabilities of counts [off or on, ...], half an observation added to each."""
    return (counts + 0.5) / (counts.sum(axis=0) + 1)


# The command.


def music_seconds(data_dir: str, pieces: Pieces) -> float | None:
    """Gives how long the pieces last by the clock; None where the codec keeps no seconds."""
    codec = read_manifest(data_dir).build_codec()
    if codec.name != "events":
        return None
    return float(np.sum(codec.onsets(pieces.music[None]).seconds, dtype=np.float64))


def print_orders(flags: Flags, train: Pieces, held_out: Pieces) -> None:
    """Prints a row for each order."""
    size, tokens = train.spec.size, held_out.sizes.sum()
    seconds = music_seconds(flags.data_dir, held_out)
    found = nats_per_token(train.arrays, held_out.arrays, size, flags.max_order)
    print(f"vocabulary of {size}" + (f"; {seconds:,.0f} s are scored" if seconds else ""))
    print(f"{'order':>8}{'nats per token':>16}{'bits per token':>16}", end="")
    print(f"{'bits per second':>16}" if seconds else "")
    for order, nats in enumerate(found, 1):
        bits = nats / np.log(2)
        last = f"{bits * tokens / seconds:16.2f}" if seconds else ""
        print(f"{order:8}{nats:16.4f}{bits:16.4f}{last}")


def print_chains(train: Pieces, held_out: Pieces) -> None:
    """Prints a row for each model of the keys."""
    print(f"{'keys':>8}{'nats per frame':>16}{'bits per frame':>16}")
    rolls = ([roll[:, :, 0] > 0 for roll in pieces.arrays] for pieces in (train, held_out))
    for name, nats in nats_per_frame(*rolls)._asdict().items():
        print(f"{name:>8}{nats:16.4f}{nats / np.log(2):16.4f}")


def main(argv: list[str]) -> None:
    """Scores and prints.

    Raises:
      ValueError: the music is neither tokens nor rolls of frames.
    """
    (flags,) = parse(argv, __doc__ or "", Flags)
    print(machine())
    train, held_out = (load(flags.data_dir, split) for split in ("train", flags.split))
    spec = train.spec
    planes = [name for name, _, _ in spec.blocks]
    if spec.kind != "tokens" and (spec.kind, planes) != ("roll", ["frame"]):
        raise ValueError(
            f"{flags.data_dir} holds {spec.kind} of {', '.join(planes)}; give tokens, or a roll "
            "of frames: prepare with --codec=events, or --codec=piano_roll --planes=frame"
        )
    print(f"{flags.data_dir}, steps of {spec.step}, split {flags.split}, ", end="")
    print(f"NumPy {metadata.version('numpy')}")
    print(f"train {len(train)} pieces of {train.sizes.sum():,} steps, ", end="")
    print(f"{flags.split} {len(held_out)} of {held_out.sizes.sum():,}")
    started = time.perf_counter()
    if spec.kind == "tokens":
        print_orders(flags, train, held_out)
    else:
        print_chains(train, held_out)
    print(f"counted and scored in {time.perf_counter() - started:.1f} s")


if __name__ == "__main__":
    sys.exit(run_command(main))
