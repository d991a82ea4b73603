"""How reliable the choice of the best epoch is, by the number of samples per epoch.

Samples many pieces with each of a run's two newest checkpoints, from the same seeds, and splits
them into groups of as many as training might sample after an epoch. Prints for each group size
the standard deviation of the newest checkpoint's band distance over the groups, and the share of
groups in which the checkpoint with the smaller distance over all pieces has the smaller one; and
the time of the statistics beside that of sampling.

    python benchmarks/choice_of_epoch.py --run_dir=DIR [--pieces=2048]
"""

from __future__ import annotations

import dataclasses
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from machine import machine

from crnn_gan import metrics
from crnn_gan.metrics.bands import mean_statistics
from crnn_gan.metrics.repeated import repeated_pieces
from crnn_gan.runs.best import band_distance, read_bands
from crnn_gan.runs.tables import Row
from pipelines.command_line import parse, run_command
from pipelines.score import Score
from pipelines.settings import Settings, flag

SIZES = (4, 16, 64, 256)


@dataclasses.dataclass(frozen=True)
class Flags(Settings):
    """Which run, and how many pieces."""

    run_dir: str = flag(help="a run with two checkpoints or more")
    pieces: int = flag(2048, "pieces sampled per checkpoint", at_least=2 * SIZES[-1])
    seed: int = flag(1000, "random seed of the first piece", at_least=0)


@dataclasses.dataclass(frozen=True)
class Sampled:
    """Pieces of a checkpoint, their statistics, and processor milliseconds per piece for both."""

    scores: Sequence[Score]
    rows: Sequence[Mapping[str, float]]
    sampling: float
    measuring: float


def sample(run_dir: Path, epoch: int, flags: Flags) -> Sampled:
    """Samples and measures the pieces of one checkpoint."""
    from crnn_gan.runs.epoch_pieces import score_generator
    from crnn_gan.runs.run import load_run

    run = load_run(run_dir, str(epoch))
    length = run.model.piece_steps
    make = score_generator(run.model, run.codec, flags.pieces, length, flags.seed)
    make(epoch)  # Traces.
    begun = time.process_time()
    scores = make(epoch)
    sampled = time.process_time()
    rows = [metrics.statistics(score) for score in scores]
    measured = time.process_time()
    milliseconds = 1000 / len(scores)
    spent = (sampled - begun) * milliseconds, (measured - sampled) * milliseconds
    return Sampled(scores, rows, *spent)


def main(argv: list[str]) -> None:
    """Samples, measures and prints."""
    (flags,) = parse(argv, __doc__ or "", Flags)
    print(machine())
    run_dir = Path(flags.run_dir)
    bands = read_bands(run_dir)
    from crnn_gan.runs import checkpoint

    epochs = checkpoint.epochs(run_dir)[-2:]
    if len(epochs) < 2:
        raise ValueError(f"{run_dir} has {len(epochs)} checkpoints; train it for two epochs")
    made = [sample(run_dir, epoch, flags) for epoch in epochs]

    def distances(of: Sampled, size: int) -> np.ndarray:
        found = []
        for first in range(0, flags.pieces - size + 1, size):
            scores = of.scores[first : first + size]
            means = mean_statistics(of.rows[first : first + size])
            found.append(band_distance(Row(1, "", size, repeated_pieces(scores), means), bands))
        return np.array(found)

    older, newer = (distances(of, flags.pieces)[0] for of in made)
    cost = f"{made[-1].measuring:.2f} ms of a processor per piece, sampling {made[-1].sampling:.2f}"
    print(f"epochs {epochs[0]} and {epochs[1]}, {flags.pieces} pieces: {older:.3f} and {newer:.3f}")
    print(f"the statistics take {cost}")
    for size in SIZES:
        one, other = distances(made[0], size), distances(made[1], size)
        right = np.mean((one < other) == (older < newer))
        print(
            f"{size:4d} pieces: standard deviation {np.std(other, ddof=1):.3f}, {right:.0%} right"
        )


if __name__ == "__main__":
    sys.exit(run_command(main))
