"""Statistics of real music lie where others measured them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from crnn_gan.metrics.bands import bands
from pipelines.formats.midi import read_score
from pipelines.score import Score

FOLDER = Path(__file__).parents[3].parent / "shared" / "data" / "scores" / "piano-midi.de"
TONES = 100


@pytest.fixture(scope="module")
def windows() -> list[Score]:
    """A window of 100 tones of each piece of piano-midi.de, its place drawn from seed 0."""
    if not FOLDER.is_dir():
        pytest.skip(f"{FOLDER} is not there")
    random = np.random.default_rng(0)
    found = []
    for path in sorted(FOLDER.glob("*/*.mid")):
        score = read_score(path)
        first = random.integers(len(score.notes) - TONES + 1)
        notes = score.notes[first : first + TONES].copy()
        found.append(Score(score.ticks_per_quarter, notes))
    return found


def test_real_windows_are_near_the_reference_values(windows: list[Score]):
    """Reference: 1000 windows of 100 tones of the authors' classical files, other pieces."""
    means = {name: band.mean for name, band in bands(windows).items()}
    assert means["scale_consistency"] == pytest.approx(0.931, abs=0.04)
    assert means["tone_span"] == pytest.approx(41.3, abs=5)
    assert means["unique_tones"] == pytest.approx(23.7, abs=5)
    assert means["repetitions"] == pytest.approx(35, abs=15)
    assert 0.5 < means["polyphony"] < 0.8
    assert 25 < means["intensity_span"] < 60


def test_real_windows_are_near_the_reference_values_as_coded(windows: list[Score]):
    means = {name: band.mean for name, band in bands(windows, as_coded=True).items()}
    assert means["polyphony"] == pytest.approx(0.494, abs=0.08)
    assert means["scale_consistency"] == pytest.approx(0.871, abs=0.04)
