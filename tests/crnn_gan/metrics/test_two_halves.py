"""Two halves of real music are alike by every figure about two sets; faulty sets are not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from crnn_gan.metrics import statistics
from crnn_gan.metrics.bleu import pitch_tokens, self_bleu
from crnn_gan.metrics.distances import overlap
from crnn_gan.metrics.frechet import frechet_distance
from crnn_gan.metrics.histograms import HISTOGRAMS
from crnn_gan.metrics.neighbours import neighbour_figures
from pipelines.formats.midi import read_score
from pipelines.score import Score

FOLDER = Path(__file__).parents[3].parent / "shared" / "data" / "scores" / "piano-midi.de"
TONES = 100


@pytest.fixture(scope="module")
def halves() -> tuple[list[Score], list[Score]]:
    """A window of 100 tones of each of 240 pieces, in two halves drawn from seed 0."""
    if not FOLDER.is_dir():
        pytest.skip(f"{FOLDER} is not there")
    random = np.random.default_rng(0)
    windows = []
    for path in sorted(FOLDER.glob("*/*.mid")):
        score = read_score(path)
        first = random.integers(len(score.notes) - TONES + 1)
        onset = score.notes["onset"]
        end = int(onset[first + TONES]) if first + TONES < len(onset) else score.length_ticks
        windows.append(score.crop(int(onset[first]), max(end, int(onset[first]) + 1)))
    order = random.permutation(len(windows))
    half = len(windows) // 2
    return [windows[i] for i in order[:half]], [windows[i] for i in order[half:]]


def rows(scores: list[Score]) -> np.ndarray:
    return np.array([list(statistics(score).values()) for score in scores])


def mean_area(generated: list[Score], real: list[Score]) -> float:
    """Overlap area, mean over all statistics and histograms."""
    first, second = rows(generated), rows(real)
    found = [overlap(first[:, [i]], second[:, [i]]) for i in range(first.shape[1])]
    for histogram in HISTOGRAMS:
        tables = [
            np.array([histogram.function(score).ravel() for score in scores])
            for scores in (generated, real)
        ]
        found.append(overlap(*tables))
    areas = [one.area for one in found]
    assert None not in areas
    return float(np.mean([area for area in areas if area is not None]))


def test_two_halves_of_real_music_overlap_by_nine_tenths(halves):
    first, second = halves
    assert mean_area(first, second) > 0.9


def faulty(scores: list[Score], change: Callable[[np.ndarray], None]) -> list[Score]:
    """Pieces whose notes were changed."""
    made = []
    for score in scores:
        notes = score.notes.copy()
        change(notes)
        made.append(Score.from_unsorted(score.ticks_per_quarter, notes, tempi=score.tempi))
    return made


def test_shuffled_pitches_overlap_less_and_lie_further_away(halves):
    first, second = halves
    chance = np.random.default_rng(1)

    def shuffle(notes: np.ndarray) -> None:
        notes["pitch"] = chance.permutation(notes["pitch"])
        notes["duration"] = chance.permutation(notes["duration"])

    shuffled = faulty(first, shuffle)
    assert mean_area(shuffled, second) < mean_area(first, second)
    real = rows(second)
    assert frechet_distance(rows(shuffled), real).value > frechet_distance(rows(first), real).value


def test_a_collapsed_set_is_precise_and_repeats_itself_and_covers_nothing(halves):
    first, second = halves
    collapsed = first[:1] * len(first)
    found = neighbour_figures(rows(collapsed), rows(second))
    usual = neighbour_figures(rows(first), rows(second))
    assert usual.recall.value > 0.6
    assert usual.coverage.value > 0.6
    assert found.recall.value == 0
    assert found.coverage.value < 0.2
    assert mean_area(collapsed, second) < 0.5
    assert self_bleu([pitch_tokens(score) for score in collapsed]).value == 1
    assert self_bleu([pitch_tokens(score) for score in first]).value < 0.7
