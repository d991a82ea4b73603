"""Small Evaluations, written by hand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from crnn_gan.evaluation.evaluation import (
    Evaluation,
    Figure,
    HistogramRow,
    PieceRow,
    SetFacts,
    StatisticRow,
    Training,
)
from crnn_gan.metrics.bands import Band
from crnn_gan.metrics.distances import Overlap
from crnn_gan.originality.originality import Match, PieceOriginality, SetOriginality
from pipelines.score import Score
from pipelines.score_arrays import NOTE

TICKS = 480  # A quarter; at 120 quarters a minute 960 ticks are a second.
LIMITS = {
    "common_subsequence": 0.5,
    "longest_row": 12.0,
    **{f"copied_{length}": 0.1 for length in (8, 16, 24)},
}
BAND, OVERLAP = Band(24.0, 12.0, 24.0, 36.0), Overlap(0.8, 0.1)
MATCH = Match("bach.mid", 22, (0, 22), (4, 26), (2.0, 8.0), (64.0, 76.0), (3, 5), (17, 19), 5)


def score_of(*notes: tuple[int, int, int, int], **fields: Any) -> Score:
    """Notes of (onset, duration, pitch, velocity), 480 ticks a quarter."""
    rows = [(onset, last, pitch, loud, 0, 0, False) for onset, last, pitch, loud in notes]
    return Score.from_unsorted(TICKS, np.array(rows, NOTE), **fields)


def random_score(notes: int, seconds: float, seed: int = 0) -> Score:
    """Notes at random places, none longer than two seconds."""
    random = np.random.default_rng(seed)
    array = np.zeros(notes, NOTE)
    array["onset"] = random.integers(0, round(960 * seconds), notes)
    array["duration"] = random.integers(1, 1920, notes)
    array["pitch"] = random.integers(21, 109, notes)
    array["velocity"] = random.integers(1, 128, notes)
    return Score.from_unsorted(TICKS, array)


def statistic(
    name: str = "tone_span",
    generated: Sequence[float] = (10.0, 30.0),
    band: Band = BAND,
    overlap: Overlap = OVERLAP,
) -> StatisticRow:
    """A statistic whose band is 12 to 36."""
    inside = [band.low <= value <= band.high for value in generated]
    return StatisticRow(
        name=name,
        group="the paper's",
        unit="semitones",
        description="semitones from the lowest to the highest tone",
        generated=tuple(generated),
        real=(12.0, 24.0, 36.0),
        mean=float(np.mean(generated)),
        band=band,
        inside=float(np.mean(inside)),
        overlap=overlap,
    )


def originality(labels: Sequence[str], known: int = 3) -> SetOriginality:
    """Pieces with these labels; the copied ones have a match."""
    pieces = tuple(
        PieceOriginality(
            notes=60,
            nearest="bach.mid",
            transposition=5,
            common_subsequence=0.7 if label == "copied" else 0.3,
            longest_row=22 if label == "copied" else 7,
            copied={"8": 0.4, "16": 0.3, "24": 0.0}
            if label == "copied"
            else {"8": 0.0, "16": 0.0, "24": 0.0},
            matches=(MATCH,) if label == "copied" else (),
            verdict=label,
            reason="as found",
            limits=LIMITS,
        )
        for label in labels
    )
    return SetOriginality(pieces, pieces[:1], "a window", LIMITS, "the most of all", known, 4000)


def evaluation(scores: Sequence[Score], names: Sequence[str] = (), **changed: Any) -> Evaluation:
    """An evaluation of these pieces with something in each of its fields."""
    count = len(scores)
    names = names or [f"piece-{index}.mid" for index in range(count)]
    values = [float(10 + 20 * (index % 2)) for index in range(count)]
    notes = sum(len(score.notes) for score in scores)
    seconds = sum(score.length_seconds for score in scores)
    small = HistogramRow(
        "pitch_class_histogram", "how often", (3,), ("C", "D", "E"), (0.5, 0.5, 0.0),
        (0.25, 0.25, 0.5), Overlap(0.5, 0.2),
    )  # fmt: skip
    square = HistogramRow(
        "pitch_class_transitions", "what follows", (2, 2), ("C", "D"), (0.5, 0.25, 0.25, 0.0),
        (0.25, 0.25, 0.25, 0.25), Overlap(None, None, "one piece has no distances"),
    )  # fmt: skip
    fields: dict[str, Any] = {
        "title": "c_rnn_gan",
        "generated": SetFacts("c_rnn_gan", "sampled with seeds from 0", count, notes, seconds),
        "reference": SetFacts("corpus", "windows of 32 steps", 3, 180, 30.0),
        "pieces": tuple(
            PieceRow(name, len(score.notes), score.length_seconds, {"tone_span": value})
            for name, score, value in zip(names, scores, values, strict=True)
        ),
        "statistics": (statistic(generated=values),) if count else (),
        "histograms": (small, square),
        "figures": (
            Figure("recall (k = 5)", "distances", 0.2, 0.8, "high", "how much is covered"),
            Figure("BLEU-4", "bleu", None, None, "as real", "rows", "there is one piece"),
        ),
        "repeated": 0,
        "originality": originality(["original"] * count) if count else None,
        "training": Training(
            {"batch_size": "32"}, (1, 2, 3), {"tone_span": (5.0, None, 20.0)}, ("epoch 2: loop",)
        ),
        "cards": {"data": "# Corpus\n\n![notes](data_card.png)\n"},
        "notes": ("There are only 2 pieces.",),
    }
    return Evaluation(**{**fields, **changed})
