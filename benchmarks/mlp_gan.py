"""How fast mlp_gan trains, beside the same networks and batch in PyTorch, in one run.

A step updates the generator and the discriminator once on one batch, with Adam and batch
normalisation, windows of 250 sixteenths of 78 pitches and two planes, and the networks of the
source documents (40.7 and 20.1 million weights). PyTorch does it as its users write it: one pass
through the generator, one through the discriminator for the generator's update, and one each on
real and on generated music for its own, the generated not made anew.

  ours           inside fit()'s graph: both updates from one pass
  ours, R1       the same, the R1 penalty in the discriminator's loss
  ours, phases   as a balanced run does: two passes through both networks
  pytorch        with as many threads as a short trial finds best

    python benchmarks/mlp_gan.py [--batch=32] [--rounds=7]

Prints seconds a step and, as the median of the ratios within the rounds, how many times as fast
as PyTorch. An epoch is as many such steps on either side.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
import os
import statistics
import sys
from collections.abc import Callable
from importlib import metadata
from typing import Any

from char_rnn import compared, in_turns, with_best_threads
from machine import machine

from pipelines.command_line import parse, run_command
from pipelines.settings import Settings, flag

STEPS, PITCHES, PLANES = 250, 78, 2
CELLS = STEPS * PITCHES * PLANES


@dataclasses.dataclass(frozen=True)
class Flags(Settings):
    """What is measured."""

    batch: int = flag(32, "windows in a batch", at_least=2)
    rounds: int = flag(7, "turns of each system", at_least=1)
    seed: int = flag(0, "of weights and windows")
    threads: int | None = flag(None, "PyTorch's threads; by default what a short trial finds best")


def ours(windows: Any, settings: Flags, **options: Any) -> Callable[[], Any]:
    """Gives a function that trains our model by a step."""
    import keras
    import tensorflow as tf

    from crnn_gan.models.mlp_gan import Config, Model
    from pipelines.codecs.piano_roll import Codec

    keras.utils.set_random_seed(settings.seed)
    codec = Codec(lowest_pitch=24, pitches=PITCHES)
    # As PyTorch does here.
    own = dict(fake_cells="soft", centred=False, onsets_from_frames=False, r1=0.0, average=0.0)
    config = Config(window_steps=STEPS, batch_size=settings.batch, **(own | options))
    model = Model(config, codec.spec, seed=settings.seed)
    model.compile(jit_compile=False)
    model.make_train_function()
    batches = iter(tf.data.Dataset.from_tensors({"music": windows}).repeat())
    return lambda: [float(value) for value in model.train_function(batches).values()]


def theirs(windows: Any, settings: Flags) -> Callable[[int], Any]:
    """Gives a function that trains the same networks in PyTorch by so many steps."""
    import numpy as np
    import torch
    from torch import nn

    torch.manual_seed(settings.seed)
    layers: list[Any] = []
    for before, after in itertools.pairwise((100, 128, 256, 512, 1024)):
        layers += [nn.Linear(before, after)]
        layers += [nn.BatchNorm1d(after)] if before != 100 else []
        layers += [nn.LeakyReLU(0.2)]
    generator = nn.Sequential(*layers, nn.Linear(1024, CELLS), nn.Tanh())
    discriminator = nn.Sequential(
        nn.Linear(CELLS, 512), nn.LeakyReLU(0.2), nn.Linear(512, 256), nn.LeakyReLU(0.2),
        nn.Linear(256, 1),
    )  # fmt: skip
    adam = functools.partial(torch.optim.Adam, lr=2e-4, betas=(0.5, 0.999))
    of_generator, of_discriminator = adam(generator.parameters()), adam(discriminator.parameters())
    music = torch.tensor(windows.reshape(len(windows), -1))
    loss_of = nn.functional.binary_cross_entropy_with_logits
    real, fake = torch.ones(len(windows), 1), torch.zeros(len(windows), 1)

    def step(count: int) -> None:
        for _ in range(count):
            of_generator.zero_grad()
            made = generator(torch.randn(len(windows), 100))
            loss = loss_of(discriminator(made), real)
            loss.backward()
            of_generator.step()
            of_discriminator.zero_grad()
            truth = loss_of(discriminator(music.float() * 2 - 1), real)
            own = 0.5 * (truth + loss_of(discriminator(made.detach()), fake))
            own.backward()
            of_discriminator.step()
            assert np.isfinite(float(loss.detach()) + float(own.detach()))

    return step


def main(argv: list[str]) -> None:
    """Runs the comparison and prints it."""
    (settings,) = parse(argv, __doc__ or "", Flags)
    os.environ["KERAS_BACKEND"] = "tensorflow"
    import numpy as np

    chance = np.random.default_rng(settings.seed)
    windows = (chance.random((settings.batch, STEPS, PITCHES, PLANES)) < 0.03).astype(np.uint8)
    versions = ", ".join(f"{n} {metadata.version(n)}" for n in ("keras", "tensorflow", "torch"))
    print(machine())
    print(f"{settings.batch} windows of {CELLS:,} cells; {versions}")
    step, threads = with_best_threads(theirs(windows, settings), 1, settings.threads)
    print(f"{threads} of PyTorch's threads are best")
    systems = {
        "ours": ours(windows, settings),
        "ours, R1": ours(windows, settings, r1=0.3),
        "ours, phases": ours(windows, settings, balance_above=1e9),
        "pytorch": functools.partial(step, 1),
    }
    turns = in_turns(systems, settings.rounds)
    print("how many times as fast, and in brackets by the seconds of processors")
    for name, taken in turns.items():
        middle = statistics.median(turn.seconds for turn in taken)
        print(f"{name:13} {middle:7.3f} s{compared(taken, {'pytorch': turns['pytorch']})}")


if __name__ == "__main__":
    sys.exit(run_command(main))
