"""Batch independence: whether a seed gives the same piece in any batch, and what that costs.

A model samples the same seeds one by one and all at once. Rounding in the last bit depends on
the shapes of matrix products, and now and then gives other notes;
`crnn_gan/generation/saved_model.py` pads batches to multiples of 16 rows to prevent it. Prints
with and without padding how many pieces differ, and the ratio of the times.

    python benchmarks/batch_independence.py [--hidden_size=350] [--pieces=100] [--length=256]
    python benchmarks/batch_independence.py --model=char_rnn --hidden_size=512 --pieces=20

Weights are random, 1.5 times their initial values, so that the pieces vary. With the
defaults, 350 units as in the paper, on 2 busy cores with AVX-512 and TensorFlow 2.21: 5 of 100
pieces differ without padding and none with it; a piece alone takes 2.3 times as long, 100 at
once 1.2 times. With 96 units none differs either way, and it takes 2.4 and 1.1 times as long.

char_rnn has 3 LSTMs over events, whose matrix products do not depend on the batch size: it needs
no padding. Its pieces are compared in batches of 2, 16 and 33, too.
"""

from __future__ import annotations

import dataclasses
import os
import statistics
import sys
import time
from typing import Any, Literal

from machine import machine

from pipelines.command_line import parse, run_command
from pipelines.settings import Settings, flag

ROUNDS = 5
SIZES = (2, 16, 33)  # Further batch sizes.


@dataclasses.dataclass(frozen=True)
class Flags(Settings):
    """What is sampled."""

    model: Literal["c_rnn_gan", "char_rnn"] = flag("c_rnn_gan", "model that samples")
    hidden_size: int = flag(350, "units of each recurrent layer", at_least=1)
    pieces: int = flag(100, "pieces to compare", at_least=1)
    length: int = flag(256, "length of a piece, steps", at_least=1)


def main(argv: list[str]) -> None:
    """Prints the comparison."""
    [flags] = parse(argv, __doc__, Flags)
    print(machine())
    os.environ["KERAS_BACKEND"] = "tensorflow"

    samplers = {"unpadded": build(flags, 1), "padded": build(flags, 16)}
    seconds: dict[str, list[list[float]]] = {name: [[], []] for name in samplers}
    alone: dict[str, list[bytes]] = {name: [] for name in samplers}
    for sampler in samplers.values():  # The first call of each size prepares buffers.
        make(sampler, 0, 1), make(sampler, 0, flags.pieces)
    for seed in range(flags.pieces):  # In turns, so that a busy machine is fair to both.
        for name, sampler in samplers.items():
            [piece], time_taken = make(sampler, seed, 1)
            alone[name].append(piece)
            seconds[name][0].append(time_taken)
    for name, sampler in [*samplers.items()] * ROUNDS:
        _, time_taken = make(sampler, 0, flags.pieces)
        seconds[name][1].append(time_taken)
    for name, sampler in samplers.items():
        together, _ = make(sampler, 0, flags.pieces)
        different = sum(a != b for a, b in zip(alone[name], together, strict=True))
        print(f"rows {name}: {different} of {flags.pieces} pieces differ")
    for size in SIZES:
        for name, sampler in samplers.items():
            together, _ = make(sampler, 0, size)
            different = sum(a != b for a, b in zip(alone[name], together, strict=False))
            most = min(size, flags.pieces)
            print(f"rows {name}: {different} of {most} pieces differ in a batch of {size}")
    for index, what in enumerate(("one piece alone", f"{flags.pieces} pieces at once")):
        plain, padded = (statistics.median(both[index]) for both in seconds.values())
        print(f"time of {what}: {padded / plain:.2f} times that of unpadded rows")


def build(flags: Flags, rows: int) -> Any:
    """Builds a sampler that pads batches to multiples of `rows`."""
    import keras

    from crnn_gan.generation import saved_model
    from crnn_gan.models.registry import config_class, model_class
    from pipelines.codecs import events, note_tuples
    from pipelines.codecs.codec import Codec

    cls: Any = model_class(flags.model)
    config = config_class(flags.model)
    keras.utils.set_random_seed(0)
    if flags.model == "char_rnn":
        codec: Codec = events.Codec()
        model = cls(config(hidden_size=flags.hidden_size, num_layers=3), codec.spec, seed=0)
    else:
        codec = note_tuples.Codec()
        model = cls(config(hidden_size_g=flags.hidden_size), codec.spec, seed=0)
    for variable in model.trainable_variables:
        variable.assign(variable.value * 1.5)
    model.rows_together = rows
    return saved_model.build(model, codec, flags.length)


def make(sampler: Any, seed: int, count: int) -> tuple[list[bytes], float]:
    """Samples `count` pieces; gives their MIDI files and the seconds that took."""
    start = time.perf_counter()
    files = sampler.generate(seed=seed, count=count)["midi_bytes"].numpy().tolist()
    return files, time.perf_counter() - start


if __name__ == "__main__":
    sys.exit(run_command(main))
