"""How fast c_rnn_gan learns cells by likelihood, beside the same network in PyTorch, in one run.

A step is one batch of the default job: 64 windows of 32 cells of up to four tones, two LSTMs of 128
units, the decisions of a cell one after another, cross-entropy, clipping by the global norm, Adam,
float32. Our step computes the state of the keys from the cells; PyTorch is given all inputs of
each step and all targets ready made, so it has less to do. It does the rest as its users write it:
nn.LSTM with dropout, nn.Linear heads, nn.Embedding of each choice.

  ours           inside fit()'s graph
  pytorch        with as many threads as a short trial finds best

    python benchmarks/cells_step.py --data_dir=DIR [--rounds=7]

Prints seconds per step and, as the median of the ratios within the rounds, how many times as fast
as PyTorch.
"""

from __future__ import annotations

import dataclasses
import functools
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


@dataclasses.dataclass(frozen=True)
class Flags(Settings):
    """What is measured."""

    data_dir: str = flag(help="cells, made by python -m pipelines.prepare")
    rounds: int = flag(7, "turns of each system", at_least=1)
    seed: int = flag(0, "of weights and windows")
    threads: int | None = flag(None, "PyTorch's threads; by default what a short trial finds best")


def ours(model: Any, batch: Any) -> Callable[[], Any]:
    """Gives a function that trains our model by a step."""
    import tensorflow as tf

    model.enter(model.stages[0])
    model.make_train_function()
    batches = iter(tf.data.Dataset.from_tensors(batch).repeat())
    return lambda: [float(value) for value in model.train_function(batches).values()]


def theirs(model: Any, batch: Any) -> Callable[[int], Any]:
    """Gives a function that trains the same network in PyTorch by so many steps."""
    import numpy as np
    import torch
    from torch import nn

    torch.manual_seed(0)
    network = model.generator.network
    fields, units, rate = network.fields, network.units, network.dropout
    width = network.context_units
    teacher = network._teacher_forced(batch["music"], batch["transposition"], False)
    shape = batch["music"].shape[:2]
    cells = network._cell_input(batch["music"], np.zeros(shape, "float32"))
    before = np.pad(np.asarray(cells), ((0, 0), (1, 0), (0, 0)))[:, :-1].reshape(
        -1, cells.shape[-1]
    )
    zeros = np.zeros(len(before), "int32")
    inputs = network._inputs(before, teacher.state, teacher.piece, zeros)
    inputs = torch.tensor(np.asarray(inputs)).reshape(*shape, -1)
    names = [name for name in fields.names if name != "beat_phase"]
    sizes = [fields.sizes[name.split()[0]] for name in names]
    music = np.asarray(batch["music"]).reshape(-1, len(fields.names)).astype("int64")
    targets = list(torch.tensor(music[:, 1:]).T)
    there = torch.tensor(np.asarray(fields.is_there(music)))
    known = fields.sizes["beat_phase"] + fields.sizes["pitch"]  # When a cell begins.
    state = torch.tensor(np.random.default_rng(0).random((len(before), known)).astype("float32"))

    class Network(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first = nn.LSTM(inputs.shape[-1], units, batch_first=True)
            self.second = nn.LSTM(units, units, batch_first=True)
            self.drop = nn.Dropout(rate)
            self.context = nn.Linear(2 * units + inputs.shape[-1], width)
            self.state = nn.Linear(state.shape[-1], width, bias=False)
            self.heads = nn.ModuleList([nn.Linear(width, size) for size in sizes])
            self.choices = nn.ModuleList([nn.Embedding(size, width) for size in sizes[:-1]])

        def forward(self) -> Any:
            one = self.drop(self.first(inputs)[0])
            two = self.drop(self.second(one)[0])
            context = self.context(torch.cat([one, two, inputs], dim=-1)).reshape(-1, width)
            loss = 0.0
            for n, (head, target) in enumerate(zip(self.heads, targets, strict=True)):
                nats = nn.functional.cross_entropy(
                    head(self.drop(torch.relu(context))), target, reduction="none"
                )
                counts = there[:, (n - 2) // 3] if n > 1 else 1.0
                loss = loss + (nats * counts).mean()
                if n < len(sizes) - 1:
                    context = context + self.choices[n](target)
                if n == 0:
                    context = context + self.state(state)
            return loss

    made = Network()
    adam = torch.optim.Adam(made.parameters(), lr=4e-3, betas=(0.9, 0.99))

    def step(count: int) -> None:
        for _ in range(count):
            adam.zero_grad()
            loss = made()
            loss.backward()
            nn.utils.clip_grad_norm_(made.parameters(), 1.0)
            adam.step()
            assert np.isfinite(float(loss.detach()))

    return step


def main(argv: list[str]) -> None:
    """Runs the comparison and prints it."""
    (settings,) = parse(argv, __doc__ or "", Flags)
    os.environ["KERAS_BACKEND"] = "tensorflow"
    import keras

    from crnn_gan.models.c_rnn_gan import Config, Model
    from pipelines import dataset, records
    from pipelines.batches.augmentation import Augmentation

    keras.utils.set_random_seed(settings.seed)
    pieces = dataset.load(settings.data_dir, "train")
    config = Config()
    codec = records.read_manifest(settings.data_dir).build_codec()
    windows = dataset.Windows(
        pieces, config.window_steps, config.batch_size, settings.seed, 20,
        augmentation=Augmentation(codec, 6),
    )  # fmt: skip
    batch = {name: value.numpy() for name, value in windows.batch(0).items()}
    model = Model(config, pieces.spec, seed=settings.seed)
    model.compile(jit_compile=False)
    versions = ", ".join(f"{n} {metadata.version(n)}" for n in ("keras", "tensorflow", "torch"))
    print(machine())
    print(f"{config.batch_size} windows of {config.window_steps} cells; {versions}")
    step, threads = with_best_threads(theirs(model, batch), 3, settings.threads)
    print(f"{threads} of PyTorch's threads are best")
    systems = {"ours": ours(model, batch), "pytorch": functools.partial(step, 1)}
    turns = in_turns(systems, settings.rounds)
    print("how many times as fast, and in brackets by the seconds of processors")
    for name, taken in turns.items():
        middle = statistics.median(turn.seconds for turn in taken)
        print(f"{name:10} {middle:7.3f} s{compared(taken, {'pytorch': turns['pytorch']})}")


if __name__ == "__main__":
    sys.exit(run_command(main))
