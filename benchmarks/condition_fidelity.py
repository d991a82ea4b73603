"""Conditioning fidelity: how closely the pieces of a conditional model follow their conditions.

Conditions are measured of real windows of the validation split: pitch-class histogram, note
density and mean pitch, all three of the same window. The model samples one piece per set of
conditions, and the same three are measured of it. The baseline pairs each piece with the
conditions of another: a model that ignores its conditions does no better.

    python benchmarks/condition_fidelity.py --run_dir=DIR [--pieces=64] [--length=256]

Prints, for a piece's own conditions and for another's: the Jensen-Shannon divergence of the
histograms in nats (0 where equal, ln 2 = 0.693 where nothing is shared); correlation and mean
absolute error of note density (notes per second) and of mean pitch (semitones).
"""

from __future__ import annotations

import dataclasses
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pipelines.command_line import parse, run_command
from pipelines.score import Score
from pipelines.settings import Settings, UsageError, flag


@dataclasses.dataclass(frozen=True)
class Flags(Settings):
    """Which run, and how many pieces."""

    run_dir: str = flag(help="directory of a run of a conditional model")
    pieces: int = flag(64, "conditions, and pieces sampled for them", at_least=2)
    length: int = flag(
        256, "steps per piece, and per real window that conditions are measured of", at_least=1
    )
    temperature: float = flag(1.0, "sampling temperature", above=0)
    checkpoint: str = flag("best", "newest, best, or an epoch")


@dataclasses.dataclass(frozen=True)
class Features:
    """Features of pieces that conditions are about.

    Attributes:
      histogram: float64 [piece, pitch class], shares.
      density: float64 [piece], notes per second.
      mean_pitch: float64 [piece], MIDI key number.
    """

    histogram: np.ndarray
    density: np.ndarray
    mean_pitch: np.ndarray


def features(scores: Sequence[Score]) -> Features:
    """Measures pieces of one note or more each."""
    rows = []
    for score in scores:
        pitch = score.notes["pitch"].astype(np.int64)
        seconds = float(score.seconds_at(score.end_ticks).max())
        histogram = np.bincount(pitch % 12, minlength=12) / len(pitch)
        rows.append((histogram, len(pitch) / max(seconds, 1e-3), pitch.mean()))
    return Features(*(np.array(column) for column in zip(*rows, strict=True)))


def divergence(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    """Gives the Jensen-Shannon divergence of each row of p and q, nats."""
    middle = (p + q) / 2

    def to_middle(x: np.ndarray) -> np.ndarray:
        return np.sum(np.where(x > 0, x * np.log(np.where(x > 0, x, 1) / middle), 0), axis=1)

    with np.errstate(divide="ignore", invalid="ignore"):
        return (to_middle(p) + to_middle(q)) / 2


def main(argv: list[str]) -> None:
    """Samples, measures and prints.

    Raises:
      ValueError: the run is not of a conditional model.
    """
    (flags,) = parse(argv, __doc__ or "", Flags)
    os.environ["KERAS_BACKEND"] = "tensorflow"
    from crnn_gan.runs.run import sampler_of_run
    from pipelines import dataset
    from pipelines.formats import midi

    run, sampler = sampler_of_run(Path(flags.run_dir), flags.checkpoint)
    conditions = run.model.conditions_of(run.codec)
    if conditions is None:
        raise UsageError(
            f"{run.config.model} takes no conditions; give a run of a conditional model"
        )
    pieces = dataset.load(run.config.training["data_dir"], "validation")
    windows = dataset.real_windows(pieces, 2 * flags.pieces, flags.length, 0, padded=True)
    real = [decoded.score for decoded in run.codec.decode_all(windows)]
    requested = features([score for score in real if len(score.notes) > 1][: flags.pieces])
    asked = {
        "pitch_class_histogram": requested.histogram.astype(np.float32),
        "density": requested.density.astype(np.float32),
        "mean_pitch": requested.mean_pitch.astype(np.float32),
    }
    count = len(requested.density)
    values = {
        name: np.full((count, *np.shape(argument.default)), argument.default, argument.dtype)
        for name, argument in sampler.interface.arguments.items()
        if name not in ("seed", "count")
    }
    values |= {"seed": np.arange(count), "length": np.full(count, flags.length, np.int32)}
    values |= {"temperature": np.full(count, flags.temperature, np.float32)}
    values |= {name: asked[name] for name in conditions.names}
    made = sampler.module.serving_default(**values)["midi_bytes"].numpy()
    scores = [midi.read_score(content) for content in made]
    kept = np.flatnonzero([len(score.notes) > 0 for score in scores])
    sampled = features([scores[index] for index in kept])
    print(f"{flags.run_dir}, epoch {run.epoch} ({run.chosen})")
    print(f"conditions: {', '.join(conditions.names)}")
    print(f"{len(kept)} pieces of {flags.length} steps, {count - len(kept)} without notes")
    others = np.roll(kept, 1)
    for words, rows in (("its own", kept), ("another's", others)):
        js = divergence(requested.histogram[rows], sampled.histogram).mean()
        line = f"{words:>10}: histogram divergence {js:.3f}"
        for name in ("density", "mean_pitch"):
            wanted, got = getattr(requested, name)[rows], getattr(sampled, name)
            correlation = np.corrcoef(wanted, got)[0, 1]
            error = np.abs(wanted - got).mean()
            line += f"; {name.replace('_', ' ')} correlation {correlation:.2f}, error {error:.2f}"
        print(line)


if __name__ == "__main__":
    sys.exit(run_command(main))
