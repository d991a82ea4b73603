"""Made-up music for the tests of evaluation: scales and chords drawn from a seed."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from crnn_gan.evaluation.reference import NamedScore
from pipelines.formats import midi
from pipelines.score import Score
from pipelines.score_arrays import NOTE, sorted_notes

MAJOR = np.array([0, 2, 4, 5, 7, 9, 11])


def piece(seed: int, notes: int = 60) -> Score:
    """Notes of C major in eighths of 480 ticks a quarter, some of them together."""
    chance = np.random.default_rng(seed)
    written = np.zeros(notes, NOTE)
    written["onset"] = np.cumsum(chance.integers(0, 2, notes)) * 240
    written["duration"] = chance.choice([240, 480], notes)
    steps = np.clip(np.cumsum(chance.integers(-2, 3, notes)), -12, 12)
    written["pitch"] = 60 + 12 * (steps // 7) + MAJOR[steps % 7]
    written["velocity"] = chance.integers(40, 100, notes)
    return Score(480, sorted_notes(written))


def pieces(count: int, first_seed: int = 0, notes: int = 60) -> tuple[NamedScore, ...]:
    seeds = range(first_seed, first_seed + count)
    return tuple(NamedScore(f"piece {seed}", piece(seed, notes)) for seed in seeds)


def write(folder: Path, named: tuple[NamedScore, ...]) -> Path:
    """Writes NAME.mid for each; gives the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, score in named:
        midi.write(score, folder / f"{name}.mid")
    return folder
