"""Statistics of pitch and key. Drums are ignored; empty pieces give 0."""

from __future__ import annotations

import numpy as np

from crnn_gan.metrics.scale import MEMBERS
from crnn_gan.metrics.tones import tones
from pipelines.keys import FROM_TONIC, PROFILES, Key, best_keys, pitch_class_ticks
from pipelines.score import Score


def pitch_classes_used(score: Score) -> float:
    """Counts the different pitch classes, 0..12; an octave apart is the same.

    `n_pitch_classes_used` of muspy.
    """
    return float(np.count_nonzero(_counts(score, 12)))


def pitch_entropy(score: Score) -> float:
    """Gives the entropy of the pitches, each tone counted once, 0..7 bits.

    `pitch_entropy` of muspy. 0 where all tones have one pitch.
    """
    return _entropy_bits(_counts(score, 128))


def pitch_class_entropy(score: Score) -> float:
    """Gives the entropy of the pitch classes, each tone counted once, 0..3.585 bits.

    `pitch_class_entropy` of muspy, after Wu & Yang 2020. 0 where all tones are of one class.
    """
    return _entropy_bits(_counts(score, 12))


def mean_pitch(score: Score) -> float:
    """Gives the mean MIDI key number of the tones, 0..127; 60 is middle C.

    No tone gives 0.
    """
    pitches = tones(score)["pitch"]
    return float(pitches.mean()) if len(pitches) else 0.0


def mean_pitch_interval(score: Score) -> float:
    """Gives the mean absolute interval from a tone to the next, semitones.

    The average pitch interval (PI) of MGEval (Yang & Lerch 2018). The order is that of time,
    from the lowest up within a chord, so intervals within chords count. A single tone gives 0.
    """
    pitches = tones(score)["pitch"].astype(np.int64)
    return float(np.abs(np.diff(pitches)).mean()) if len(pitches) > 1 else 0.0


def key_obedience(score: Score) -> float:
    """Gives the share of the tones that lie in the scale of the estimated key, 0..1.

    The key is that of `pipelines.keys`: by the durations of the pitch classes. Of a minor
    key, the better of natural and harmonic minor counts; of keys that fit equally well, the one
    with most tones in its scale. So it never exceeds `scale_consistency`, which takes the
    scale that holds most tones, whatever its tonic. A piece without a key (no tone, or all
    twelve pitch classes equally long) gives 0.
    """
    keys, classes = _keys(score), _counts(score, 12)
    if not keys:
        return 0.0
    major, *minors = (MEMBERS @ classes).reshape(3, 12)  # [scale, root]
    inside = major, np.maximum(*minors)
    return max(int(inside[is_minor][tonic]) for tonic, is_minor in keys) / int(classes.sum())


def key_clarity(score: Score) -> float:
    """Gives the correlation of the pitch classes with the profile of the estimated key, 0..1.

    Of the durations of the twelve pitch classes with the profile of Aarden (2003) for that key: the
    maximum key correlation of Krumhansl (1990). The mean of the twelve transpositions of a profile
    is 0, so the best is never below. A piece without a key, as for `key_obedience`, gives 0.
    """
    keys = _keys(score)
    if not keys:
        return 0.0
    tonic, is_minor = keys[0]
    profile = PROFILES["aarden_essen"][is_minor]
    fit = np.corrcoef(pitch_class_ticks(score)[FROM_TONIC[tonic]], profile)[0, 1]
    return float(np.clip(fit, 0.0, 1.0))  # Off by rounding at most.


def _counts(score: Score, classes: int) -> np.ndarray:
    """How many tones there are of each pitch, or pitch class: int64 [128 or 12]."""
    return np.bincount(tones(score)["pitch"] % classes, minlength=classes)


def _entropy_bits(counts: np.ndarray) -> float:
    shares = counts[counts > 0] / max(counts.sum(), 1)
    return float(shares @ np.log2(1 / shares))


def _keys(score: Score) -> list[Key]:
    """The keys that fit best; none where there is no key."""
    sounding = pitch_class_ticks(score)
    return best_keys(score) if sounding.min() < sounding.max() else []
