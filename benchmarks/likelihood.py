"""Held-out likelihood of trained runs, each beside baselines that count and published figures.

Every step of every held-out piece is scored, given all before it in its piece, with the weights
of the epoch that the run's own validation chose. Of rolls that is also done as the published
protocol has it (Bai et al. 2018, arXiv 1803.01271, and its code): the sum over the 88 keys,
frames 2 to the last of all pieces together (the first frame is input only), each frame weighted
equally. Papers of RNN-NADE and of deep Markov models
score the first frame too: that is the column "frames 1..T".

    python benchmarks/likelihood.py --run_dirs=train/a,train/b [--max_order=6]

Prints, for each run, parameters, epoch, and nats per step of the validation and the test split;
perplexity of tokens; bits per second of events; density, precision and recall of rolls whose keys
are independent; and with conditions masked, where it has some.
Baselines: Witten-Bell n-grams of tokens, marginal and Markov chains of keys, on the same split.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import ngrams
import numpy as np

from pipelines.command_line import parse, run_command
from pipelines.dataset import load
from pipelines.settings import Settings, UsageError, flag

SPLITS = ("validation", "test")
BATCH = 32  # Pieces that are scored at once.

# Nats per frame of the test split; see the papers. Independent keys, then joint distributions.
PUBLISHED = {
    "jsb_chorales": (
        ("TCN, 0.3 M (Bai et al. 2018)", "frames 2..T", 8.10),
        ("GRU, 0.3 M (Bai et al. 2018)", "frames 2..T", 8.43),
        ("RNN-NADE (in Krishnan et al. 2017)", "frames 1..T", 5.19),
        ("DMM-Aug-NADE (Krishnan et al. 2017)", "frames 1..T", 5.118),
    ),
    "nottingham": (
        ("TCN, 1 M (Bai et al. 2018)", "frames 2..T", 3.07),
        ("LSTM, 1 M (Bai et al. 2018)", "frames 2..T", 3.29),
        ("RNN-NADE (in Krishnan et al. 2017)", "frames 1..T", 2.31),
        ("DMM-Aug-NADE (Krishnan et al. 2017)", "frames 1..T", 2.305),
    ),
    "piano_midi_de": (
        ("RNN-NADE (in Krishnan et al. 2017)", "frames 1..T", 7.05),
        ("DMM-Aug-NADE (Krishnan et al. 2017)", "frames 1..T", 7.048),
    ),
    "muse_data": (
        ("RNN-NADE (in Krishnan et al. 2017)", "frames 1..T", 5.60),
        ("DMM-Aug-NADE (Krishnan et al. 2017)", "frames 1..T", 6.049),
    ),
}


@dataclasses.dataclass(frozen=True)
class Flags(Settings):
    """Which runs, and how long the n-grams are."""

    run_dirs: tuple[str, ...] = flag(help="directories of runs, separated by commas")
    max_order: int = flag(6, "tokens of the longest n-gram", at_least=1)
    checkpoint: str = flag("best", "newest, best, or an epoch")


def main(argv: list[str]) -> None:
    """Scores and prints.

    Raises:
      ValueError: a directory is no run, or its model gives no probabilities.
    """
    (flags,) = parse(argv, __doc__ or "", Flags)
    if not flags.run_dirs:
        raise UsageError("--run_dirs names no run")
    seen: set[str] = set()
    for run_dir in map(Path, flags.run_dirs):
        run = score(run_dir, flags.checkpoint)
        data_dir = run.config.training["data_dir"]
        if data_dir not in seen:
            print_baselines(run.config, data_dir, flags.max_order)
            seen.add(data_dir)


def score(run_dir: Path, checkpoint: str) -> Any:
    """Prints the likelihood of a run; gives the run."""
    from crnn_gan.autoregressive.frame_distributions import IndependentBernoulli
    from crnn_gan.autoregressive.held_out import held_out_likelihood
    from crnn_gan.autoregressive.predictions import held_out_predictions
    from crnn_gan.runs.run import load_run

    run = load_run(run_dir, checkpoint)
    model, data_dir = run.model, run.config.training["data_dir"]
    weights = sum(int(np.prod(v.shape)) for v in model.trainable_variables)
    print(f"{run_dir}: {run.config.model}, {weights:,} weights, epoch {run.epoch} ({run.chosen})")
    given = model.conditions_of(run.codec)
    for split in SPLITS:
        pieces = load(data_dir, split)
        for words, conditions in {"": given, ", conditions masked": None}.items():
            if words and given is None:
                continue
            found = held_out_likelihood(model, pieces, conditions, batch_size=BATCH)
            print(f"  {split}{words}: {described(found, data_dir, pieces)}", flush=True)
        if isinstance(getattr(model, "output_distribution", None), IndependentBernoulli):
            print(f"  {split}, predicted: {of_notes(held_out_predictions(model, pieces))}")
    return run


def described(found: Any, data_dir: str, pieces: Any) -> str:
    """Writes a likelihood in words."""
    if pieces.spec.kind == "roll":
        return (
            f"{found.nats_per_later_step:.4f} nats per frame, frames 2..T; "
            f"{found.nats_per_step:.4f}, frames 1..T "
            f"({found.steps:,} frames of {found.pieces} pieces)"
        )
    parts = [
        f"{found.nats_per_step:.4f} nats per step, {found.nats_per_step / np.log(2):.4f} bits",
        f"perplexity {found.perplexity:.2f} ({found.steps:,} steps of {found.pieces} pieces)",
    ]
    if pieces.spec.kind == "tokens" and (seconds := ngrams.music_seconds(data_dir, pieces)):
        parts.append(f"{found.total_nats / np.log(2) / seconds:.1f} bits per second")
    return ", ".join(parts)


def of_notes(found: Any) -> str:
    """Writes predictions in words."""
    return (
        f"density {found.density:.3f} notes per frame (true {found.true_density:.3f}), precision "
        f"{found.precision:.3f}, recall {found.recall:.3f} of notes of probability above 0.5"
    )


def print_baselines(config: Any, data_dir: str, max_order: int) -> None:
    """Prints the baselines on the same pieces, and published figures."""
    train = load(data_dir, "train")
    for split in SPLITS:
        held_out = load(data_dir, split)
        for words, nats in baselines(train, held_out, max_order):
            print(f"  baseline, {split}: {words}: {nats:.4f} nats per step")
    name = config.data.get("flags", {}).get("dataset", "")
    for words, protocol, nats in PUBLISHED.get(name, ()):
        print(f"  published, test: {words}: {nats:g} nats per frame, {protocol}")


def baselines(train: Any, held_out: Any, max_order: int) -> Sequence[tuple[str, float]]:
    """Gives (name, nats per step) of each baseline; of sound none."""
    spec = train.spec
    if spec.kind == "tokens":
        found = ngrams.nats_per_token(train.arrays, held_out.arrays, spec.size, max_order)
        best = int(np.argmin(found))
        return [(f"the best n-gram up to order {max_order}, of order {best + 1}", found[best])]
    if spec.kind == "roll" and [name for name, _, _ in spec.blocks] == ["frame"]:
        rolls = ([roll[:, :, 0] > 0 for roll in pieces.arrays] for pieces in (train, held_out))
        return list(ngrams.nats_per_frame(*rolls)._asdict().items())
    return []


if __name__ == "__main__":
    sys.exit(run_command(main))
