"""Polyphony: share of tones that start together with another."""

from __future__ import annotations

import numpy as np

from crnn_gan.metrics.tones import tones
from pipelines.score import Score


def polyphony(score: Score, as_coded: bool = False) -> float:
    """Gives the share of the tones that start exactly with another one, 0..1.

    Mogren 2016 (arXiv 1611.09904, section 3.1): "how often (at least) two tones are played
    simultaneously (their start time is exactly the same)". With n tones, of which s share
    their onset: s / n. "Exactly" depends on the grid: compare pieces on the same grid.

    As coded (`get_polyphony_score`): every tone is an event, polyphonic unless it is the
    first of its onset, and every onset but the last is one more event, polyphonic if it has
    two tones or more. With o onsets, of which p, the last aside, are chords:
    (n - o + p) / (n + o - 1). So chords of k tones only tend to k / (k + 1): .75 for triads.

    An empty piece and a single tone give 0 either way.
    """
    onsets = np.sort(tones(score, as_coded)["onset"])
    _, sizes = np.unique(onsets, return_counts=True)
    if len(onsets) < 2:
        return 0.0
    if not as_coded:
        return float(sizes[sizes > 1].sum() / len(onsets))
    polyphonic = len(onsets) - len(sizes) + int((sizes[:-1] > 1).sum())
    return polyphonic / (len(onsets) + len(sizes) - 1)
