"""Key finding: the major or minor key whose profile the notes of a piece fit best.

The duration of each pitch class is correlated with the profile of each of the 24 keys
(C. L. Krumhansl, Cognitive Foundations of Musical Pitch, 1990, chapter 4). The profiles:

  aarden_essen       B. Aarden, Dynamic melodic expectancy, dissertation, Ohio State
                     University, 2003: counted in the Essen folk songs.
  krumhansl_kessler  C. L. Krumhansl and E. J. Kessler, Tracing the dynamic changes in
                     perceived tonal organization, Psychological Review 89, 1982: judged by
                     listeners.

Aarden's agree with music21's default on all of 100 Bach chorales, and more often than
Krumhansl and Kessler's with the notated key: `benchmarks/key_finding.py`.
"""

from __future__ import annotations

import functools
from typing import Literal, NamedTuple

import numpy as np

from pipelines.score import Score

Profile = Literal["aarden_essen", "krumhansl_kessler"]

# The weight of each pitch class from the tonic up, of the major and of the minor key.
PROFILES: dict[str, tuple[tuple[float, ...], tuple[float, ...]]] = {
    "aarden_essen": (
        (
            *(17.7661, 0.145624, 14.9265, 0.160186, 19.8049, 11.3587),
            *(0.291248, 22.062, 0.145624, 8.15494, 0.232998, 4.95122),
        ),
        (
            *(18.2648, 0.737619, 14.0499, 16.8599, 0.702494, 14.4362),
            *(0.702494, 18.6161, 4.56621, 1.93186, 7.37619, 1.75623),
        ),
    ),
    "krumhansl_kessler": (
        (6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88),
        (6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17),
    ),
}
ROUNDING = 1e-9  # Of all that sounds: fits that differ by less are equal.
FROM_TONIC = (np.arange(12)[:, None] + np.arange(12)) % 12  # [tonic, step]: the pitch class.


class Key(NamedTuple):
    """A major or minor key.

    Attributes:
      tonic: pitch class, 0 is C.
      is_minor: whether it is a minor key.
    """

    tonic: int
    is_minor: bool


def find_key(score: Score, profile: Profile = "aarden_essen") -> Key:
    """Gives the key whose profile correlates best with the notes, drums apart.

    Of keys that fit equally well, major before minor, then the lowest tonic from C. Where
    a piece is transposed the key moves with it, but for such ties.

    Raises:
      ValueError: as `best_keys`.
    """
    return best_keys(score, profile)[0]


def best_keys(score: Score, profile: Profile = "aarden_essen") -> list[Key]:
    """Gives the keys that fit best: one, or several that differ by no more than rounding.

    Major before minor, then from the lowest tonic up. Where a piece is transposed all of
    them move with it.

    Raises:
      ValueError: the piece has no pitched note, or all twelve pitch classes sound equally
        long; there is no such profile.
    """
    sounding = pitch_class_ticks(score)
    if sounding.min() == sounding.max():
        reason = "all pitch classes sound equally long" if sounding.any() else "no note has a pitch"
        raise ValueError(f"it has no key: {reason}")
    # The sum over steps from the tonic is the correlation but for a factor that all keys share:
    # profiles have mean 0 and length 1. Each row is summed alike, so that a rotation is exact.
    fits = (sounding[FROM_TONIC] * normalized(profile)[:, None]).sum(axis=-1)
    best = np.argwhere(fits >= fits.max() - ROUNDING * sounding.sum()).tolist()
    return [Key(tonic, bool(is_minor)) for is_minor, tonic in best]


def pitch_class_ticks(score: Score) -> np.ndarray:
    """Gives float64 [12], the duration of each pitch class in ticks, C first; drums apart."""
    notes = score.notes[~score.notes["is_drum"]]
    return np.bincount(notes["pitch"] % 12, weights=notes["duration"], minlength=12)


@functools.cache
def normalized(profile: str) -> np.ndarray:
    """Gives a profile with mean 0 and length 1: float64 [major or minor, step from the tonic]."""
    if profile not in PROFILES:
        raise ValueError(f"there is no profile {profile!r}; give {' or '.join(PROFILES)}")
    weights = np.array(PROFILES[profile])
    weights -= weights.mean(axis=1, keepdims=True)
    return weights / np.sqrt((weights**2).sum(axis=1, keepdims=True))
