"""Scale consistency: share of tones in the scale that fits best."""

from __future__ import annotations

import numpy as np

from crnn_gan.metrics.tones import tones
from pipelines.score import Score

SCALES = {  # Semitones above the root; the three of the reference code.
    "major": (0, 2, 4, 5, 7, 9, 11),
    "natural minor": (0, 2, 3, 5, 7, 8, 10),
    "harmonic minor": (0, 2, 3, 5, 7, 8, 11),
}


def _members(as_coded: bool) -> np.ndarray:
    """Which pitch classes lie in which scale: bool [scale and root, pitch class], [36, 12]."""
    above_root = np.arange(12)[None, :] - np.arange(12)[:, None]  # [root, pitch class]
    if not as_coded:
        above_root %= 12
    return np.concatenate([np.isin(above_root, steps) for steps in SCALES.values()])


MEMBERS, MEMBERS_AS_CODED = _members(False), _members(True)


def scale_consistency(score: Score, as_coded: bool = False) -> float:
    """Gives the share of the tones that lie in the scale that fits best, 0..1.

    Mogren 2016 (arXiv 1611.09904, section 3.1): "the fraction of tones that were part of a
    standard scale", for the best match of major, natural minor and harmonic minor on the
    twelve roots.

    As coded (`tones_to_scales`): the distance from the root is not taken modulo 12, so a tone
    below the root within its octave from C never belongs. G major then lacks C, D, E and F
    sharp: its scale from G to G scores 4 / 8 there, and the best match elsewhere 7 / 8.

    An empty piece gives 0 either way.
    """
    classes = np.bincount(tones(score, as_coded)["pitch"] % 12, minlength=12)
    if not classes.any():
        return 0.0
    inside = (MEMBERS_AS_CODED if as_coded else MEMBERS) @ classes
    return float(inside.max() / classes.sum())
