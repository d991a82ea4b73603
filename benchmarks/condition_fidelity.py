"""How well a conditional model does what it is told.

Requests are what real windows of the validation split are like: histogram of pitch classes,
density, mean pitch, all three of one window together. For each the model writes a piece; the
same conditions are then measured of the piece, and laid beside the request. The floor is the
same pieces beside the requests of others: a model that ignores its conditions does no better.

    python benchmarks/obedience.py --run_dir=DIR [--pieces=64] [--length=256]

Prints, told and told another's: the Jensen-Shannon divergence of the histograms in nats (0 where
equal, ln 2 = 0.693 where nothing is shared), the correlation and mean absolute error of densities
and of mean pitches.
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
    """Of which run, and how much."""

    run_dir: str = flag(help="directory of a run of a conditional model")
    pieces: int = flag(64, "conditions, and pieces sampled for them", at_least=2)
    length: int = flag(
        256, "steps per piece, and per real window that conditions are measured of", at_least=1
    )
    temperature: float = flag(1.0, "sampling temperature", above=0)
    checkpoint: str = flag("best", "newest, best, or an epoch")


@dataclasses.dataclass(frozen=True)
class Traits:
    """What some pieces are like: [piece, 12] shares, [piece] notes a second, [piece] keys."""

    histogram: np.ndarray
    density: np.ndarray
    mean_pitch: np.ndarray


def traits(scores: Sequence[Score]) -> Traits:
    """Measures pieces; each has a note or more."""
    rows = []
    for score in scores:
        pitch = score.notes["pitch"].astype(np.int64)
        seconds = float(score.seconds_at(score.end_ticks).max())
        histogram = np.bincount(pitch % 12, minlength=12) / len(pitch)
        rows.append((histogram, len(pitch) / max(seconds, 1e-3), pitch.mean()))
    return Traits(*(np.array(column) for column in zip(*rows, strict=True)))


def divergence(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    """Gives the Jensen-Shannon divergence of each row of p and q, nats."""
    middle = (p + q) / 2

    def to_middle(x: np.ndarray) -> np.ndarray:
        return np.sum(np.where(x > 0, x * np.log(np.where(x > 0, x, 1) / middle), 0), axis=1)

    with np.errstate(divide="ignore", invalid="ignore"):
        return (to_middle(p) + to_middle(q)) / 2


def main(argv: list[str]) -> None:
    """Writes, measures and prints.

    Raises:
      ValueError: the run is not of a conditional model.
    """
    (flags,) = parse(argv, __doc__ or "", Flags)
    os.environ["KERAS_BACKEND"] = "tensorflow"
    from crnn_gan.runs.run import sampler_of_run
    from pipelines import dataset
    from pipelines.formats import midi

    run, sampler = sampler_of_run(Path(flags.run_dir), flags.checkpoint)
    told = run.model.conditions_of(run.codec)
    if told is None:
        raise UsageError(f"{run.config.model} is told nothing; give a run of a conditional model")
    pieces = dataset.load(run.config.training["data_dir"], "validation")
    windows = dataset.real_windows(pieces, 2 * flags.pieces, flags.length, 0, padded=True)
    real = [decoded.score for decoded in run.codec.decode_all(windows)]
    requested = traits([score for score in real if len(score.notes) > 1][: flags.pieces])
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
    values |= {name: asked[name] for name in told.names}
    made = sampler.module.serving_default(**values)["midi_bytes"].numpy()
    scores = [midi.read_score(content) for content in made]
    kept = np.flatnonzero([len(score.notes) > 0 for score in scores])
    written = traits([scores[index] for index in kept])
    print(f"{flags.run_dir}, epoch {run.epoch} ({run.chosen}): told {', '.join(told.names)}")
    print(f"{len(kept)} pieces of {flags.length} steps, {count - len(kept)} without notes")
    others = np.roll(kept, 1)
    for words, rows in (("told", kept), ("another's", others)):
        js = divergence(requested.histogram[rows], written.histogram).mean()
        line = f"{words:>10}: histogram divergence {js:.3f}"
        for name in ("density", "mean_pitch"):
            wanted, got = getattr(requested, name)[rows], getattr(written, name)
            correlation = np.corrcoef(wanted, got)[0, 1]
            error = np.abs(wanted - got).mean()
            line += f"; {name.replace('_', ' ')} correlation {correlation:.2f}, error {error:.2f}"
        print(line)


if __name__ == "__main__":
    sys.exit(run_command(main))
