"""BLEU and Self-BLEU of token sequences, as NLTK computes them, hundreds of times faster.

BLEU: Papineni et al. 2002, "BLEU: a method for automatic evaluation of machine translation".
Self-BLEU: Zhu et al. 2018, "Texygen" (arXiv 1802.01886): each piece against all others of its
set, high where diversity is low. A BLEU cannot be compared without its conventions: print
`bleu_name` or `self_bleu_name` with it.

All n-grams of all pieces are numbered and counted together; the clipped count of an n-gram in
Self-BLEU, its largest count in another piece, comes from the two largest counts of each n-gram.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Literal, get_args

import numpy as np

from crnn_gan.metrics.feature_sets import Value
from crnn_gan.metrics.tones import tones
from pipelines.score import Score

Smoothing = Literal["none", "method1", "method4"]
PITCHES = "pitches in order of onset"  # The tokens of `pitch_tokens`, for `bleu_name`.
NO_LENGTH = 2**60  # Further from any length than any other.


def pitch_tokens(score: Score) -> np.ndarray:
    """Gives the pitches in order of onset, low to high in a chord, no drums: int64 [tone]."""
    return tones(score)["pitch"].astype(np.int64)


def bleu(
    generated: Sequence[Any],
    references: Sequence[Any],
    n: int = 4,
    smoothing: Smoothing = "method1",
) -> Value:
    """Gives the mean of `sentence_bleu`, 0..1, or the reason why it is undefined."""
    if min(len(generated), len(references)) == 0:
        return Value(
            None,
            f"generated pieces: {len(generated)}, references: {len(references)}, needs 1 or more "
            "of both",
        )
    return Value(float(sentence_bleu(generated, references, n, smoothing).mean()))


def self_bleu(pieces: Sequence[Any], n: int = 4, smoothing: Smoothing = "method1") -> Value:
    """Gives the mean of `sentence_self_bleu`, 0..1, or the reason why it is undefined."""
    if len(pieces) < 2:
        return Value(None, f"too few pieces: {len(pieces)}, needs 2 or more")
    return Value(float(sentence_self_bleu(pieces, n, smoothing).mean()))


def bleu_name(
    references: int, n: int = 4, smoothing: Smoothing = "method1", tokens: str = PITCHES
) -> str:
    """Gives the full name of `bleu`: every convention it depends on.

    Args:
      references: number of references per piece.
      n: tokens of the longest n-gram.
      smoothing: as in `sentence_bleu`.
      tokens: what a token is, in words.
    """
    return f"BLEU-{n} ({tokens}, {references} references per piece, {_conventions(smoothing)})"


def self_bleu_name(
    pieces: int, n: int = 4, smoothing: Smoothing = "method1", tokens: str = PITCHES
) -> str:
    """Gives the full name of `self_bleu` of a set of pieces; other arguments as `bleu_name`."""
    others = f"each piece against the {pieces - 1} others"
    return f"Self-BLEU-{n} ({tokens}, {others}, {_conventions(smoothing)})"


def sentence_bleu(
    generated: Sequence[Any],
    references: Sequence[Any],
    n: int = 4,
    smoothing: Smoothing = "method1",
) -> np.ndarray:
    """Gives the BLEU of each piece against all references.

    It is that of NLTK 3.10 (`nltk.translate.bleu_score.sentence_bleu`): equal weights of the
    orders 1 to n; the brevity penalty by the reference whose length is closest, of two the
    shorter; 0 for a piece that shares no token with any reference, and for one of no token. An
    order without a match counts 0 with "none" (NLTK: 2e-308), a match of 0.1 with "method1",
    ln(tokens) / (5 * 2^i) matches with "method4", for the i-th such order (Chen & Cherry
    2014; NLTK's code). With "method4" such orders of a piece of one token are skipped.

    Args:
      generated: integers [token] per piece; an empty one is allowed.
      references: integers [token] each, at least one.
      n: tokens of the longest n-gram, at least 1.
      smoothing: count of an order without a match.

    Returns:
      float64 [piece], 0..1.

    Raises:
      ValueError: a sequence is not [token] of integers, there is no reference, or n or smoothing is
        out of range.
    """
    _check(n, smoothing)
    if len(references) == 0:
        raise ValueError("BLEU needs references; none was given")
    sequences, lengths = _sequences([*generated, *references])
    count = len(generated)
    matches = np.zeros((n, count))
    for order, (piece, ngram, times) in enumerate(_counted_ngrams(sequences, lengths, n)):
        starts = np.flatnonzero(np.diff(ngram, prepend=-1))
        in_references = np.where(piece >= count, times, 0)
        allowed = np.maximum.reduceat(in_references, starts)[ngram] if len(starts) else times
        matches[order] = _total(piece, np.minimum(times, allowed), len(sequences))[:count]
    closest = _closest_lengths(lengths[:count], lengths[count:])
    return _scores(matches, lengths[:count], closest, smoothing)


def sentence_self_bleu(
    pieces: Sequence[Any], n: int = 4, smoothing: Smoothing = "method1"
) -> np.ndarray:
    """Gives the BLEU of each piece against all others of the set.

    Args:
      pieces: integers [token] per piece, at least two.
      n, smoothing: as in `sentence_bleu`.

    Returns:
      float64 [piece], 0..1.

    Raises:
      ValueError: as in `sentence_bleu`.
    """
    _check(n, smoothing)
    if len(pieces) < 2:
        raise ValueError(f"Self-BLEU needs 2 pieces or more; {len(pieces)} given")
    sequences, lengths = _sequences(pieces)
    matches = np.zeros((n, len(pieces)))
    for order, (piece, ngram, times) in enumerate(_counted_ngrams(sequences, lengths, n)):
        if len(ngram) == 0:
            continue
        starts = np.flatnonzero(np.diff(ngram, prepend=-1))
        most = np.maximum.reduceat(times, starts)
        is_most = times == most[ngram]
        second = np.maximum.reduceat(np.where(is_most, 0, times), starts)
        is_only_most = is_most & (np.add.reduceat(is_most.astype(np.int64), starts) == 1)[ngram]
        allowed = np.where(is_only_most, second[ngram], most[ngram])
        matches[order] = _total(piece, np.minimum(times, allowed), len(pieces))
    return _scores(matches, lengths, _closest_other_lengths(lengths), smoothing)


def _conventions(smoothing: Smoothing) -> str:
    smoothed = "no smoothing" if smoothing == "none" else f"smoothing {smoothing} of NLTK 3.10"
    return f"sentence BLEU averaged, {smoothed}"


def _check(n: int, smoothing: str) -> None:
    if n < 1:
        raise ValueError(f"BLEU-{n} is undefined; give n of 1 or more")
    if smoothing not in get_args(Smoothing):
        raise ValueError(
            f"smoothing {smoothing!r} is unknown; give one of {', '.join(get_args(Smoothing))}"
        )


def _sequences(sequences: Sequence[Any]) -> tuple[list[np.ndarray], np.ndarray]:
    """Gives sequences as int64 arrays, and their lengths."""
    arrays = [np.asarray(sequence) for sequence in sequences]
    for array in arrays:
        if array.ndim != 1 or not (np.issubdtype(array.dtype, np.integer) or array.size == 0):
            raise ValueError(
                f"tokens of shape {array.shape} and dtype {array.dtype} cannot be counted; "
                "give integers [token] per piece"
            )
    lengths = np.array([len(array) for array in arrays], np.int64)
    return [array.astype(np.int64) for array in arrays], lengths


def _counted_ngrams(
    sequences: Sequence[np.ndarray], lengths: np.ndarray, n: int
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Counts the n-grams of each order from 1 to n.

    Yields:
      Per order three arrays int64 [pair], one pair per n-gram and sequence that has it, sorted by
      n-gram: the sequence, the n-gram (numbered from 0 without gaps), its count.
    """
    _, token = np.unique(np.concatenate(sequences), return_inverse=True)
    sequence = np.repeat(np.arange(len(sequences)), lengths)
    left = np.repeat(np.cumsum(lengths), lengths) - np.arange(len(token))  # Tokens to the end.
    tokens = int(token.max(initial=0)) + 1
    place, ngram = np.arange(len(token)), token
    for order in range(1, n + 1):
        if order > 1:
            goes_on = left[place] >= order
            place, ngram = place[goes_on], ngram[goes_on]
            # Both factors are at most the number of all tokens: no overflow.
            keys = ngram * tokens + token[place + order - 1]
            _, ngram = np.unique(keys, return_inverse=True)
        pairs, times = np.unique(ngram * len(sequences) + sequence[place], return_counts=True)
        yield pairs % len(sequences), pairs // len(sequences), times


def _total(piece: np.ndarray, matches: np.ndarray, pieces: int) -> np.ndarray:
    """Adds up the matches of each piece, float64 [piece]."""
    return np.bincount(piece, matches, pieces)


def _closest_lengths(lengths: np.ndarray, references: np.ndarray) -> np.ndarray:
    """Gives for each length the closest one of the references, of two the shorter."""
    known = np.unique(references)
    padded = np.concatenate([[-NO_LENGTH], known, [NO_LENGTH]])
    above = np.searchsorted(known, lengths) + 1
    return _closer(lengths, padded[above - 1], padded[above])


def _closest_other_lengths(lengths: np.ndarray) -> np.ndarray:
    """Gives for each length the closest one of another piece, of two the shorter."""
    known, which, counts = np.unique(lengths, return_inverse=True, return_counts=True)
    padded = np.concatenate([[-NO_LENGTH], known, [NO_LENGTH]])
    closest = _closer(lengths, padded[which], padded[which + 2])
    return np.where(counts[which] > 1, lengths, closest)


def _closer(lengths: np.ndarray, below: np.ndarray, above: np.ndarray) -> np.ndarray:
    return np.where(lengths - below <= above - lengths, below, above)


def _scores(
    matches: np.ndarray, lengths: np.ndarray, closest: np.ndarray, smoothing: Smoothing
) -> np.ndarray:
    """Computes BLEU from the counts of matches.

    Args:
      matches: float64 [order, piece].
      lengths: int64 [piece], tokens.
      closest: int64 [piece], tokens of the reference of the closest length.
      smoothing: as in `sentence_bleu`.

    Returns:
      float64 [piece].
    """
    orders = np.arange(1, len(matches) + 1)[:, None]
    ngrams = np.maximum(lengths - orders + 1, 1)
    is_zero = matches == 0
    tokens = np.maximum(lengths, 1)
    if smoothing == "method1":
        matches = np.where(is_zero, 0.1, matches)
    elif smoothing == "method4":
        smoothed = np.log(tokens) / (5 * 2.0 ** np.cumsum(is_zero, axis=0))
        # One token has ln(1) = 0: NLTK skips such orders in the sum, which is a 1 here.
        matches = np.where(is_zero, np.where(tokens > 1, smoothed, ngrams), matches)
    with np.errstate(divide="ignore"):  # The logarithm of 0, which makes the BLEU 0.
        mean_log = np.log(matches / ngrams).mean(axis=0)
    brevity = np.where(lengths > closest, 1.0, np.exp(1 - closest / tokens))
    return np.where(is_zero[0], 0.0, brevity * np.exp(mean_log))
