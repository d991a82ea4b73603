"""Statistics of range, in pitch and velocity. Empty pieces give 0."""

from __future__ import annotations

import numpy as np

from crnn_gan.metrics.tones import tones
from pipelines.score import Score


def tone_span(score: Score, as_coded: bool = False) -> float:
    """Gives the semitones from the lowest to the highest tone, 0..127.

    Mogren 2016 (arXiv 1611.09904, section 3.1). As coded: the same, with the drums.
    """
    return _span(tones(score, as_coded)["pitch"])


def unique_tones(score: Score, as_coded: bool = False) -> float:
    """Counts the different pitches, 0..128; an octave apart is different.

    `tones_unique` of Mogren 2016 (arXiv 1611.09904, figure 3). As coded: the same, with the
    drums.
    """
    return float(len(np.unique(tones(score, as_coded)["pitch"])))


def intensity_span(score: Score, as_coded: bool = False) -> float:
    """Gives the difference of the loudest and the softest velocity, 0..126.

    Mogren 2016 (arXiv 1611.09904, figure 3). As coded: the same, with the drums.
    """
    return _span(tones(score, as_coded)["velocity"])


def _span(values: np.ndarray) -> float:
    return float(int(values.max()) - int(values.min())) if len(values) else 0.0
