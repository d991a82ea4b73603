"""How fast a training step of C-RNN-GAN is, beside an equal PyTorch step and a matrix product.

The step is one update of the discriminator and one of the generator on one batch, ours inside
fit(): -log D(G) (`non_saturating`), Adam, gradients clipped to a global norm of 5, 4 features,
2 layers, and dropout that keeps 40 % of the discriminator's input and of the outputs of every
LSTM, as our Model places it (the PyTorch step does, too). Noise and dropout masks are drawn
anew in each step.

  tensorflow, jax         our Model in float32
  pytorch                 the same networks as PyTorch users write them: a loop of LSTMCells
                          for the generator, nn.LSTM for each of the discriminator's two
                          stacks, one of which reads backwards; one pass through the generator,
                          and through the discriminator one for the generator's update, one
                          on real and one on generated music for its own
  pytorch_bidirectional   with nn.LSTM(bidirectional=True), whose second layer hears both
                          directions of the first: another topology with more products
  ..._bfloat16            products in bfloat16: mixed_bfloat16, or autocast in PyTorch

Each system is a process of its own that waits for its turn; turns go A B C A B C. A ratio is
the median of the ratios within the rounds. Operations are those of the recurrent layers, as
the system is written; "of matmul" is their rate over that of a product of two 2048 x 2048
matrices by the same framework in the same precision and run.

It takes a quiet machine: where another program holds a core, the threads of PyTorch wait for
each other in vain, and it looks ten times slower than it is. --cores=1 minds that less.

    python benchmarks/train_step.py [--systems=tensorflow,pytorch] [--rounds=7]
"""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.util
import itertools
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TextIO

from machine import machine

from pipelines.command_line import parse, run_command
from pipelines.settings import Settings, UsageError, flag

FEATURES, LAYERS = 4, 2
KEEP_PROB, CLIP_NORM, LEARNING_RATE = 0.4, 5.0, 2e-4
MATRIX = 2048
PRODUCTS_A_TURN = 3
WARM_UPS = 2
PASSED = ("rounds", "hidden", "batch", "length", "cores", "deterministic")  # To workers.
GAP_SECONDS = 0.3  # The threads of the system before fall asleep.
RIVALS = ("pytorch", "pytorch_bidirectional")
SYSTEMS = (
    "tensorflow", "tensorflow_bfloat16", "jax", "jax_bfloat16",
    *RIVALS, "pytorch_bfloat16",
)  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Flags(Settings):
    """What is measured."""

    systems: tuple[str, ...] = flag(
        ("tensorflow", "tensorflow_bfloat16", "jax", *RIVALS), f"some of {', '.join(SYSTEMS)}"
    )
    rounds: int = flag(7, "turns of each system", at_least=1)
    hidden: int = flag(256, "units of every LSTM", at_least=1)
    batch: int = flag(16, "windows in a batch", at_least=1)
    length: int = flag(256, "steps of a window", at_least=1)
    cores: int | None = flag(
        None, "processor cores that each system may use; all by default", at_least=1
    )
    deterministic: bool = flag(True, "our steps as the trainer makes them unless told otherwise")
    worker: str = flag("", "the system of a worker process; the benchmark sets it itself")

    def __post_init__(self) -> None:
        super().__post_init__()
        unknown = [name for name in self.systems if name not in SYSTEMS]
        if unknown or not self.systems:
            raise UsageError(
                f"--systems has {', '.join(unknown) or 'none'}; give some of {', '.join(SYSTEMS)}"
            )


class Turn(NamedTuple):
    """What one turn of a system took.

    Attributes:
      seconds, processor_seconds: of the step.
      matmul_seconds: of the product of two matrices.
    """

    seconds: float
    processor_seconds: float
    matmul_seconds: float


def operations(system: str, settings: Flags) -> float:
    """Gives the floating-point operations of the recurrent layers in a step; a + b * c are 2.

    A backward pass makes two products for each of the forward pass, by inputs and by weights.
    """
    hidden, steps = settings.hidden, settings.batch * settings.length

    def forward(*inputs: int) -> int:
        return sum(2 * steps * (size + hidden) * 4 * hidden for size in inputs)

    generator = forward(*[hidden] * LAYERS)
    above = 2 * hidden if system == "pytorch_bidirectional" else hidden
    discriminator = 2 * forward(FEATURES, *[above] * (LAYERS - 1))
    # Ours passes real and generated music once; PyTorch passes generated music once more.
    passes = 3 if system.startswith("pytorch") else 2
    return 3.0 * (generator + passes * discriminator)


# Workers.


def worker(system: str, settings: Flags) -> None:
    """Takes a turn for each line on stdin, and answers with a line of JSON; ends with stdin."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # Whatever libraries print is no answer.
    clock = Clock(answers)
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: settings.cores])
    with contextlib.suppress(EOFError):
        run = run_pytorch if system.startswith("pytorch") else run_keras
        run(system, settings, clock)


class Clock:
    """Waits for turns and measures them."""

    def __init__(self, answers: TextIO):
        self.answers, self.warm_ups = answers, WARM_UPS
        self.started = (0.0, 0.0)

    def begin(self) -> None:
        """Waits for the turn. EOFError: there are no more."""
        if not self.warm_ups:
            input()
        self.started = time.perf_counter(), time.process_time()

    def end(self, multiply: Callable[[], Any]) -> None:
        """Answers with the time since `begin`, and that of some products."""
        now = time.perf_counter(), time.process_time()
        for _ in range(PRODUCTS_A_TURN):
            multiply()
        product = (time.perf_counter() - now[0]) / PRODUCTS_A_TURN
        turn = Turn(now[0] - self.started[0], now[1] - self.started[1], product)
        if not self.warm_ups:
            print(json.dumps(turn), file=self.answers)
        elif self.warm_ups == 1:
            print("ready", file=self.answers)
        self.warm_ups = max(self.warm_ups - 1, 0)


def run_keras(system: str, settings: Flags, clock: Clock) -> None:
    """Trains our Model inside fit(), a step a turn."""
    import keras
    import numpy as np
    import tensorflow as tf

    from crnn_gan.models.registry import config_class, model_class
    from crnn_gan.runs.configuration import wants_jit
    from crnn_gan.training.phases import make_deterministic
    from pipelines.codecs.note_tuples import Codec

    if settings.deterministic:
        make_deterministic(0)
    dtype = "bfloat16" if system.endswith("bfloat16") else "float32"
    keras.config.set_dtype_policy("mixed_bfloat16" if dtype == "bfloat16" else "float32")
    cls: Any = model_class("c_rnn_gan")
    config = config_class("c_rnn_gan")(
        window_steps=settings.length, batch_size=settings.batch, hidden_size_g=settings.hidden,
        hidden_size_d=settings.hidden, num_layers_g=LAYERS, num_layers_d=LAYERS,
        adversarial_loss="non_saturating", keep_prob=KEEP_PROB, max_grad_norm=CLIP_NORM,
        learning_rate=LEARNING_RATE, d_learning_rate=2 * LEARNING_RATE, random_input_scale=1.0,
        noise="uniform", output="linear", average=0.0, dequantize=False, piece_noise=0,
        pretraining_epochs=0,
    )  # fmt: skip
    model = cls(config, Codec(pitch_features="number").spec, seed=0)
    model.compile(jit_compile=wants_jit())
    multiply = keras_product(dtype)

    class Turns(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
            clock.begin()

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            assert all(np.isfinite(float(value)) for value in logs.values())  # Waits for it.
            clock.end(multiply)

    shape = (settings.batch, settings.length, FEATURES)
    music = np.random.default_rng(0).normal(0, 0.5, shape).astype("float32")
    batches = tf.data.Dataset.from_tensors({"music": music}).repeat()
    steps = WARM_UPS + settings.rounds + 1
    model.fit(batches, steps_per_epoch=steps, verbose=0, callbacks=[Turns()])


def keras_product(dtype: str) -> Callable[[], Any]:
    """Gives a function that multiplies matrices on the backend of Keras."""
    import keras

    a = keras.random.normal((MATRIX, MATRIX), dtype=dtype, seed=0)
    if keras.backend.backend() == "jax":
        import jax

        product = jax.jit(jax.numpy.matmul)
        return lambda: product(a, a).block_until_ready()
    import tensorflow as tf

    return lambda: tf.matmul(a, a)[0, 0].numpy()


def run_pytorch(system: str, settings: Flags, clock: Clock) -> None:
    """Trains the PyTorch networks, a step a turn."""
    import torch
    from pytorch_c_rnn_gan import Discriminator, Generator

    torch.manual_seed(0)
    dtype = torch.bfloat16 if system.endswith("bfloat16") else torch.float32
    sizes = FEATURES, settings.hidden, LAYERS, 1 - KEEP_PROB
    generator = Generator(*sizes)
    discriminator = Discriminator(*sizes, bidirectional=system == "pytorch_bidirectional")
    optimizers = {
        network: torch.optim.Adam(network.parameters(), LEARNING_RATE, (0.5, 0.9))
        for network in (generator, discriminator)
    }
    music = 0.5 * torch.randn(settings.batch, settings.length, FEATURES)

    def update(network: Any, loss: Any) -> None:
        optimizers[network].zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), CLIP_NORM)
        optimizers[network].step()

    def step() -> float:
        with torch.autocast("cpu", dtype, enabled=dtype != torch.float32):
            made = generator(torch.rand_like(music))
            of_made = discriminator(made)
            generator_loss = -torch.log(of_made).mean()
        update(generator, generator_loss)
        with torch.autocast("cpu", dtype, enabled=dtype != torch.float32):
            of_real, of_made = discriminator(music), discriminator(made.detach())
            loss = -torch.log(of_real).mean() - torch.log(1 - of_made).mean()
        update(discriminator, loss)
        return float(loss) + float(generator_loss)

    a = torch.randn(MATRIX, MATRIX, dtype=dtype)
    while True:
        clock.begin()
        assert math.isfinite(step())
        clock.end(lambda: torch.mm(a, a))


# The benchmark.


def start(system: str, settings: Flags) -> subprocess.Popen:
    """Starts the worker of a system, and waits until it is warm.

    Raises:
      ValueError: it ended before.
    """
    backend = system.split("_")[0]
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2"}
    if backend != "pytorch":
        environment["KERAS_BACKEND"] = backend
    sizes = [f"--{n}={value}" for n in PASSED if (value := getattr(settings, n)) is not None]
    with tempfile.TemporaryFile("w+") as said:
        process = subprocess.Popen(
            [sys.executable, __file__, f"--worker={system}", *sizes],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=said, text=True, bufsize=1,
            env=environment,
        )  # fmt: skip
        if process.stdout is None or process.stdout.readline() != "ready\n":
            said.seek(0)
            raise ValueError(f"the worker of {system} ended before it was ready:\n{said.read()}")
    return process


def take_turn(process: subprocess.Popen) -> Turn:
    """Lets a worker make one step and some products."""
    time.sleep(GAP_SECONDS)
    assert process.stdin is not None and process.stdout is not None
    print("turn", file=process.stdin)
    return Turn(*json.loads(process.stdout.readline()))


def ratio(rival: Sequence[Turn], ours: Sequence[Turn]) -> float:
    """Gives how many times faster `ours` is: the median over the rounds."""
    return statistics.median(a.seconds / b.seconds for a, b in zip(rival, ours, strict=True))


def table(turns: dict[str, list[Turn]], settings: Flags) -> str:
    """Writes what was measured."""
    rivals = [name for name in RIVALS if name in turns]
    head = f"{'':24}seconds (fastest, slowest)  cpu s  GFLOP  GFLOP/s  of matmul"
    lines = [head + "".join(f"  x {name}" for name in rivals)]
    for system, taken in turns.items():
        seconds, processor, _ = map(statistics.median, zip(*taken, strict=True))
        low, high = min(turn.seconds for turn in taken), max(turn.seconds for turn in taken)
        work = operations(system, settings)
        share = statistics.median(
            (work / turn.seconds) / (2 * MATRIX**3 / turn.matmul_seconds) for turn in taken
        )
        line = (
            f"{system:24}{seconds:7.3f} ({low:6.3f}, {high:6.3f})   {processor:8.2f}"
            f"{work / 1e9:7.1f}{work / seconds / 1e9:9.1f}{share:10.0%} "
        )
        for name in rivals:
            line += f"{ratio(turns[name], taken):{len(name) + 4}.2f}"
        lines.append(line)
    return "\n".join(lines)


def main(argv: list[str]) -> None:
    """Runs the comparison and prints it, or is one of its workers."""
    (settings,) = parse(argv, __doc__ or "", Flags)
    if settings.worker:
        worker(settings.worker, settings)
        return
    print(machine())
    systems = list(dict.fromkeys(settings.systems))
    for module, extra in (("torch", "compare"), ("jax", "jax")):  # Parts of the systems' names.
        if not importlib.util.find_spec(module):
            print(f"{module} is not installed, its steps are skipped: run/setup.sh {extra}")
            systems = [name for name in systems if module not in name]
    if not systems:
        raise ValueError("none of --systems is installed")
    workers: dict[str, subprocess.Popen] = {}
    turns: dict[str, list[Turn]] = {name: [] for name in systems}
    try:
        for system in systems:
            workers[system] = start(system, settings)
        for _, system in itertools.product(range(settings.rounds), systems):
            turns[system].append(take_turn(workers[system]))
    finally:
        for process in workers.values():
            process.kill()
            process.wait()
    print(table(turns, settings))
    if any(
        max(turn.seconds for turn in t) > 2 * min(turn.seconds for turn in t)
        for t in turns.values()
    ):
        print("some turns took twice as long as others: the machine was busy, measure again")


if __name__ == "__main__":
    sys.exit(run_command(main))
