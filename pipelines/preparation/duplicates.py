"""Duplicates: which pieces of a collection are copies of another.

Two kinds, both independent of tempo, resolution, rhythm, durations, dynamics, pedal,
instruments, voices and titles:

  exact   the same pitches have onsets in the same order, and the same ones at once. A
          transposition is another piece; so is a copy on so coarse a grid that onsets coincide.
  near    the highest and the lowest notes have the same intervals for most of the piece, in any
          key: other editions and arrangements, a repeat written out, corrected wrong notes.

A performance is not a copy of another performance of the work, nor of its score: players
never play the notes of a chord in the same order, and their timing is what is learned from
them. A recording that occurs twice is a copy.

Near copies are found by MinHash (A. Broder, On the resemblance and containment of
documents, 1997): a piece is the set of its runs of `RUN` intervals, and its sketch holds
for each of `HASHES` hash functions the smallest hash in the set, so that the share of
hashes that two sketches have in common estimates how much of the union of their sets is
in both (standard error 0.04). `LEAST_IN_COMMON` lies between the editions of one score and
the performances of one work: `benchmarks/near_duplicates.py` prints on which side they fall.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Sequence
from typing import Literal

import numpy as np

from pipelines.score import Score

DIGEST_BYTES = 16
RUN = 6  # Intervals.
HASHES = 128
SKETCH_BYTES = 2 * HASHES
LEAST_IN_COMMON = 0.35  # Of the hashes of near copies.
GRAMS_AT_ONCE = 512  # Times `HASHES` hashes of four bytes fit in a processor's cache.
NEIGHBOURS = 3  # Pieces on either side that a piece is compared with.
PAIRS_AT_ONCE = 2**16
COPY_OF = "copy of "  # The reason why a copy is left out; the key of what stays follows.

# Constants of the hash functions: uint32 [hash, multiplier or summand], multipliers odd.
_CONSTANTS = np.frombuffer(hashlib.shake_256(b"duplicates").digest(8 * HASHES), "<u4")
_MULTIPLIERS = _CONSTANTS[:HASHES, None].astype(np.uint32) | np.uint32(1)
_SUMMANDS = _CONSTANTS[HASHES:, None].astype(np.uint32)


def kind_of(reason: str) -> str:
    """Gives the reason why a piece was left out, without the key of the piece it copies."""
    return f"{COPY_OF}another piece" if reason.startswith(COPY_OF) else reason


def digest(score: Score) -> bytes:
    """Gives a digest of `DIGEST_BYTES`, equal for exact copies and no other pieces."""
    notes = score.notes
    onsets = np.zeros((len(notes), 2), np.uint8)  # Key, and whether it begins after the last.
    onsets[:, 0] = notes["pitch"] + np.uint8(128) * notes["is_drum"]
    onsets[1:, 1] = notes["onset"][1:] != notes["onset"][:-1]
    # A drum and a note of one onset and pitch stand in the order of their tracks: sort them.
    moment = np.cumsum(onsets[:, 1], dtype=np.int64)
    onsets[:, 0] = onsets[np.argsort((moment << 8) + onsets[:, 0]), 0]
    return hashlib.sha256(onsets.tobytes()).digest()[:DIGEST_BYTES]


def sketch(score: Score) -> bytes:
    """Gives a MinHash sketch of `SKETCH_BYTES`, without drums, similar for near copies.

    All bytes are 255 where the piece has no pitched note.
    """
    grams = _grams(score)
    smallest = np.full(HASHES, 2**32 - 1, np.uint32)
    for first in range(0, len(grams), GRAMS_AT_ONCE):
        hashes = grams[first : first + GRAMS_AT_ONCE] * _MULTIPLIERS
        hashes += _SUMMANDS
        np.minimum(smallest, hashes.min(axis=1), out=smallest)
    return smallest.astype("<u2").tobytes()  # The lower halves: the upper ones are near 0.


def _grams(score: Score) -> np.ndarray:
    """Gives a hash of each run of intervals in the highest and the lowest notes: uint32 [run]."""
    notes = score.notes[~score.notes["is_drum"]]
    pitch, onset = notes["pitch"].astype(np.int64), notes["onset"]
    if not len(notes):
        return np.zeros(0, np.uint32)
    begins = onset[1:] != onset[:-1]
    lowest, highest = pitch[np.append(True, begins)], pitch[np.append(begins, True)]
    return np.concatenate([_runs(lowest), _runs(highest)])


def _runs(line: np.ndarray) -> np.ndarray:
    """Gives a hash of each run of `RUN` intervals of [note] pitches, one where it is shorter."""
    intervals = np.diff(line).astype(np.uint64)
    if len(intervals) < RUN:
        intervals = np.append(intervals, np.full(RUN - len(intervals), 128, np.uint64))
    count = len(intervals) - RUN + 1
    run = np.zeros(count, np.uint64)
    for place in range(RUN):
        run = (run << np.uint64(8)) + intervals[place : place + count]
    run ^= run >> np.uint64(30)
    run *= np.uint64(0xBF58476D1CE4E5B9)  # The mixing of splitmix64 (G. L. Steele, 2014).
    run ^= run >> np.uint64(27)
    run *= np.uint64(0x94D049BB133111EB)
    return (run >> np.uint64(32)).astype(np.uint32)


def copies(
    keys: Sequence[str], digests: bytes, sketches: bytes, kind: Literal["exact", "near"]
) -> dict[str, str]:
    """Finds the copies in a collection, and for each the piece that it is a copy of.

    The first piece by key stays; a later one is a copy where it is like one that stays.
    Takes about `SKETCH_BYTES` per piece beside the arguments, and the time of sorting.

    Args:
      keys: of the pieces, sorted.
      digests: `DIGEST_BYTES` of each piece, in the order of the keys.
      sketches: `SKETCH_BYTES` of each; b"" will do where `kind` is "exact".
      kind: which copies; exact ones are near ones too.

    Returns:
      {key of a copy: key of the piece that stays}, sorted by key.

    Raises:
      ValueError: the keys are not sorted, or the bytes are too few or many for them.
    """
    if any(before >= after for before, after in itertools.pairwise(keys)):
        raise ValueError("copies: the keys must be sorted, and none there twice")
    originals = _exact_originals(_rows("digests", digests, len(keys), DIGEST_BYTES))
    if kind == "near":
        rows = _rows("sketches", sketches, len(keys), SKETCH_BYTES).view("<u2")
        # A sketch of ones alone is of a piece without pitches, of which nothing is known.
        single = np.flatnonzero((originals < 0) & (rows < 2**16 - 1).any(axis=1))
        found = _near_originals(np.ascontiguousarray(rows[single]))
        originals[single[found >= 0]] = single[found[found >= 0]]
        # Exact copies of a near copy are copies of what that is a copy of.
        second = (originals >= 0) & (originals[originals] >= 0)
        originals[second] = originals[originals[second]]
    is_copy = np.flatnonzero(originals >= 0).tolist()
    return {keys[index]: keys[originals[index]] for index in is_copy}


def _rows(name: str, content: bytes, count: int, size: int) -> np.ndarray:
    """Gives uint8 [count, size]."""
    if len(content) != count * size:
        raise ValueError(
            f"copies: {name} has {len(content)} bytes; {count} pieces have {count * size}"
        )
    return np.frombuffer(content, np.uint8).reshape(count, size)


def _exact_originals(digests: np.ndarray) -> np.ndarray:
    """Gives int64 [piece], the first piece of an equal digest; -1 where it is itself."""
    whole = digests.view("<u8")
    order = np.lexsort(whole.T)  # Stable: of equal ones the first piece comes first.
    begins = np.append(True, (whole[order[1:]] != whole[order[:-1]]).any(axis=1))[: len(order)]
    firsts = order[np.maximum.accumulate(np.where(begins, np.arange(len(order)), 0))]
    originals = np.empty(len(order), np.int64)
    originals[order] = np.where(begins, -1, firsts)
    return originals


def _near_originals(sketches: np.ndarray) -> np.ndarray:
    """Gives int64 [piece], the piece that stays and that each is like; -1 where it stays.

    Args:
      sketches: uint16 [piece, hash].
    """
    originals = np.full(len(sketches), -1, np.int64)
    pairs = _pairs_alike(sketches)
    for first in range(0, len(pairs), PAIRS_AT_ONCE):
        for pair in pairs[first : first + PAIRS_AT_ONCE].tolist():
            later, earlier = divmod(pair, len(sketches))
            if originals[later] >= 0:
                continue
            stays = originals[earlier] if originals[earlier] >= 0 else earlier
            in_common = np.count_nonzero(sketches[later] == sketches[stays])
            if in_common >= LEAST_IN_COMMON * HASHES:
                originals[later] = stays
    return originals


def _pairs_alike(sketches: np.ndarray) -> np.ndarray:
    """Gives int64 [pair] of pieces that are alike: later * pieces + earlier, sorted.

    Pieces are sorted by four hashes at a time, and neighbours compared that have the first
    two in common; so popular runs, which many pieces have, cost no more than others.
    """
    found = np.zeros(0, np.int64)
    for first in range(0, HASHES, 2):
        four = np.take(sketches, range(first, first + 4), axis=1, mode="wrap").astype(np.uint64)
        sort_key = four @ (np.uint64(1) << np.array([48, 32, 16, 0], np.uint64))
        order = np.argsort(sort_key, kind="stable")
        ranked = sort_key[order] >> np.uint64(32)
        compared = []
        for distance in range(1, NEIGHBOURS + 1):
            near = np.flatnonzero(ranked[distance:] == ranked[:-distance])
            one, other = order[near], order[near + distance]
            compared.append(np.maximum(one, other) * len(sketches) + np.minimum(one, other))
        candidates = np.setdiff1d(np.concatenate(compared), found)
        alike = candidates[_are_alike(sketches, candidates)]
        found = np.union1d(found, alike)
    return found


def _are_alike(sketches: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """Tells which of [pair] of pieces have enough hashes in common: bool [pair]."""
    is_alike = np.empty(len(pairs), np.bool_)
    for first in range(0, len(pairs), PAIRS_AT_ONCE):
        part = slice(first, first + PAIRS_AT_ONCE)
        later, earlier = np.divmod(pairs[part], len(sketches))
        equal = sketches[later] == sketches[earlier]
        is_alike[part] = equal.sum(axis=1) >= LEAST_IN_COMMON * HASHES
    return is_alike
