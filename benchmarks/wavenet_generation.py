"""How fast a WaveNet gives samples, step by step, beside PyTorch and beside no memory at all.

The network has 3 blocks of 10 layers of dilations 1 to 512, kernel 2, 32 residual, 32
dilation, 1024 skip and 512 end channels, over 256 classes; weights are random. Each token is
drawn from the logits over a temperature by Gumbel's trick (the largest of logits plus noise),
with noise that is drawn before the loop, the same for all systems, for 1 and 16 streams.

  naive      the whole network over its receptive field for each sample, a TensorFlow graph
  pytorch    ring buffers and F.linear under torch.inference_mode: past and present in one
             product a layer, one product for the skips of all layers
  modules    PyTorch as published implementations of cached generation are: a queue and four
             nn.Conv1d a layer, the skips added up layer by layer
  scan       `DilatedStack.step` in a plain TensorFlow loop, `run`
  compiled   the same loop by `run_compiled`

Ours is saved as a SavedModel, loaded again and timed as that. Before anything is timed, the
logits of pytorch and modules on 1,200 given tokens are compared with those of our whole network,
and the tokens that all systems draw with each other. Rounds go A B C A B C; a ratio is the median
of the ratios within the rounds. Compilation, at the first call, is not in them. PyTorch gets 1
thread or one a core, whichever is faster at a short trial. The times by layers are those of
`compiled` with 1, 2 and 3 blocks: a sample is linear in them where the third adds as much time
as the second.

    python benchmarks/wavenet_generation.py [--rounds=5]
"""

from __future__ import annotations

import dataclasses
import functools
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from importlib import metadata
from typing import Any

from machine import machine

from pipelines.command_line import parse, run_command
from pipelines.settings import Settings, flag

LAYERS, BLOCKS = 10, 3
RESIDUAL, DILATION, SKIP, END, CLASSES = 32, 32, 1024, 512, 256
FIRST_TOKEN = CLASSES // 2  # Silence in mu-law.
TEMPERATURE = 0.9
CHECKED = 1200  # More than twice the largest dilation.
TOLERANCE = 1e-4
STREAMS = (1, 16)
OURS = ("scan", "compiled")
TRIED = 32  # Steps that tell which number of threads is best.
GAP_SECONDS = 0.3  # The threads of the system before fall asleep.


@dataclasses.dataclass(frozen=True)
class Flags(Settings):
    """What is measured."""

    samples: int = flag(2048, "steps that compiled is timed over", at_least=1)
    baseline_samples: int = flag(
        256, "steps that scan, pytorch and modules are timed over", at_least=1
    )
    naive_samples: int = flag(3, "steps that naive is timed over", at_least=1)
    rounds: int = flag(5, "turns of each system", at_least=1)
    seed: int = flag(0, "of weights and noise")


def weights(blocks: int, seed: int) -> dict[str, Any]:
    """Draws the weights: those of `DilatedStack`, the embedding and the last product."""
    import keras
    import numpy as np

    from crnn_gan.layers.dilated import DilatedStack

    keras.utils.set_random_seed(seed)
    stack = DilatedStack(blocks, LAYERS, 2, RESIDUAL, DILATION, SKIP, END)
    stack.build((None, None, RESIDUAL))
    chance = np.random.default_rng(seed)

    def normal(*shape: int) -> Any:
        return chance.normal(size=shape).astype("float32")

    for weight in stack.weights:
        if weight.name.endswith("bias"):
            weight.assign(0.1 * normal(*weight.shape))
    drawn = {weight.name: np.asarray(weight) for weight in stack.weights}
    embedding, kernel, bias = normal(CLASSES, RESIDUAL), normal(END, CLASSES), normal(CLASSES)
    return {"stack": stack, "embedding": embedding, "kernel": kernel / 10, "bias": bias, **drawn}


# Ours.


def ours(drawn: dict[str, Any]) -> Any:
    """Makes a tf.Module with `logits` of tokens, and `scan` and `compiled`, which draw tokens."""
    import tensorflow as tf
    from keras import ops

    from crnn_gan.layers.loops import run, run_compiled, stacked

    stack = drawn["stack"]
    noise = tf.TensorSpec((None, None, CLASSES), name="noise")
    tokens = tf.TensorSpec((None, None), tf.int32, name="tokens")

    class WaveNet(tf.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stack = tf.Module()
            self.stack.weights = [weight.value for weight in stack.weights]
            self.embedding, self.kernel, self.bias = (
                tf.Variable(drawn[name]) for name in ("embedding", "kernel", "bias")
            )

        def _last(self, out: Any) -> Any:
            return ops.matmul(out, self.kernel) + self.bias

        @tf.function(input_signature=[tokens], autograph=False)
        def logits(self, tokens: Any) -> Any:
            return self._last(stack(tf.gather(self.embedding, tokens)))

        def _generated(self, loop: Callable, noise: Any) -> Any:
            batch = tf.shape(noise)[1]

            def step(state: Any, elements: Any) -> Any:
                token, memory = state
                memory, out = stack.step(memory, tf.gather(self.embedding, token))
                logits = self._last(out) / TEMPERATURE
                token = tf.argmax(logits + elements[0], -1, output_type=tf.int32)
                return (token, memory), (tf.cast(token, tf.float32)[:, None],)

            first = (tf.fill((batch,), FIRST_TOKEN), stack.initial_state(batch))
            _, (tokens,) = loop(step, first, (noise,), (1,))
            return tf.cast(stacked(tokens)[..., 0], tf.int32)

        @tf.function(input_signature=[noise], autograph=False)
        def scan(self, noise: Any) -> Any:
            return self._generated(run, noise)

        @tf.function(input_signature=[noise], autograph=False)
        def compiled(self, noise: Any) -> Any:
            return self._generated(run_compiled, noise)

    return WaveNet()


def saved_and_loaded(module: Any) -> Any:
    """Gives a tf.Module as a program gets it that has only the SavedModel."""
    import tensorflow as tf

    from crnn_gan.layers.loops import forward_only

    with tempfile.TemporaryDirectory() as folder, forward_only():
        tf.saved_model.save(module, folder)
        return tf.saved_model.load(folder)


# PyTorch.


class Queues:
    """The network on PyTorch, as fast as its operations allow one after the other."""

    def __init__(self, drawn: dict[str, Any]):
        import torch

        def transposed(kernel: Any) -> Any:
            return torch.as_tensor(kernel).mT.contiguous()

        self.embedding = torch.tensor(drawn["embedding"])
        past, present = drawn["past_kernel"][:, 0], drawn["present_kernel"]
        both = torch.cat([torch.tensor(past), torch.tensor(present)], 1)
        self.gates = list(zip(transposed(both), torch.tensor(drawn["gate_bias"]), strict=True))
        residual = transposed(drawn["residual_kernel"])
        self.residual = list(zip(residual, torch.tensor(drawn["residual_bias"]), strict=True))
        self.skip, self.end, self.last = (
            (transposed(drawn[kernel]), torch.tensor(drawn[bias]))
            for kernel, bias in (
                ("skip_kernel", "skip_bias"), ("end_kernel", "end_bias"), ("kernel", "bias")
            )
        )  # fmt: skip
        self.dilations = [2 ** (layer % LAYERS) for layer in range(len(self.gates))]

    def reset(self, batch: int) -> None:
        """Forgets what was heard."""
        import torch

        self.queues = [torch.zeros(size, batch, RESIDUAL) for size in self.dilations]
        self.time = 0

    def step(self, tokens: Any) -> Any:
        """Gives logits [batch, classes] of the step after `tokens` [batch]."""
        import torch
        from torch.nn.functional import linear

        x, passed = self.embedding[tokens], []
        for layer, (queue, (kernel, bias)) in enumerate(zip(self.queues, self.gates, strict=True)):
            slot = queue[self.time % len(queue)]
            filtered, gate = linear(torch.cat([slot, x], 1), kernel, bias).chunk(2, 1)
            slot.copy_(x)
            passed.append(filtered.tanh_().mul_(gate.sigmoid_()))
            if layer < len(self.residual):
                x = x + linear(passed[-1], *self.residual[layer])
        self.time += 1
        skips = linear(torch.cat(passed, 1), *self.skip).relu_()
        return linear(linear(skips, *self.end).relu_(), *self.last)


class Modules(Queues):
    """The network on PyTorch as users write it: a queue and four nn.Conv1d a layer."""

    def __init__(self, drawn: dict[str, Any]):
        import torch
        from torch import nn

        super().__init__(drawn)

        def convolution(kernel: Any, bias: Any) -> Any:
            """Takes a kernel [out, in, taps]."""
            module = nn.Conv1d(kernel.shape[1], kernel.shape[0], kernel.shape[2], bias=True)
            module.weight.data, module.bias.data = kernel.contiguous(), bias.contiguous()
            return module

        skips = self.skip[0].split(DILATION, 1)
        bias, none = self.skip[1], torch.zeros(SKIP)
        self.filters, self.gate_filters, self.skips = [], [], []
        for layer, (kernel, gate_bias) in enumerate(self.gates):
            taps = kernel.reshape(2 * DILATION, 2, RESIDUAL).mT
            for group, rows in (
                (self.filters, slice(DILATION)), (self.gate_filters, slice(DILATION, None))
            ):  # fmt: skip
                group.append(convolution(taps[rows], gate_bias[rows]))
            self.skips.append(convolution(skips[layer][..., None], none if layer else bias))
        self.residuals = [convolution(kernel[..., None], b) for kernel, b in self.residual]
        self.ends = [convolution(kernel[..., None], b) for kernel, b in (self.end, self.last)]

    def step(self, tokens: Any) -> Any:
        """Gives logits [batch, classes] of the step after `tokens` [batch]."""
        import torch

        x, skips = self.embedding[tokens][..., None], 0
        for layer, queue in enumerate(self.queues):
            slot = queue[self.time % len(queue)]
            heard = torch.cat([slot[..., None], x], 2)
            slot.copy_(x[..., 0])
            passed = torch.tanh(self.filters[layer](heard)) * torch.sigmoid(
                self.gate_filters[layer](heard)
            )
            skips = self.skips[layer](passed) + skips
            if layer < len(self.residuals):
                x = self.residuals[layer](passed) + x
        self.time += 1
        return self.ends[1](torch.relu(self.ends[0](torch.relu(skips))))[..., 0]


def torch_logits(network: Queues, tokens: Any) -> Any:
    """Gives logits [batch, time, classes] of given tokens."""
    import torch

    with torch.inference_mode():
        network.reset(len(tokens))
        steps = [network.step(each) for each in torch.tensor(tokens).long().unbind(1)]
        return torch.stack(steps, 1).numpy()


def torch_tokens(network: Queues, noise: Any) -> Any:
    """Draws tokens [time, batch] by noise [time, batch, classes]."""
    import torch

    with torch.inference_mode():
        time_steps, batch, _ = noise.shape
        tokens = torch.empty(time_steps + 1, batch, dtype=torch.long).fill_(FIRST_TOKEN)
        network.reset(batch)
        for t, row in enumerate(torch.from_numpy(noise).unbind(0)):
            logits = network.step(tokens[t]) / TEMPERATURE
            torch.argmax(logits + row, -1, out=tokens[t + 1])
        return tokens[1:].numpy()


# What is measured.


def check(module: Any, networks: dict[str, Queues]) -> None:
    """Compares the logits of PyTorch's networks with those of our whole network.

    Raises:
      SystemExit: they differ, and their times would mean nothing.
    """
    import numpy as np
    import torch

    torch.set_num_threads(1)
    tokens = np.random.default_rng(1).integers(0, CLASSES, (1, CHECKED), "int32")
    expected = module.logits(tokens).numpy()
    for name, network in networks.items():
        difference = float(np.abs(torch_logits(network, tokens) - expected).max())
        largest = float(np.abs(expected).max())
        print(f"{name:8} logits at most {difference:.0e} from ours, which reach {largest:.1f}")
        if not difference <= TOLERANCE:
            raise SystemExit(f"the logits of {name} differ: nothing is timed")


def rate(function: Callable[[Any], Any], noise: Any) -> float:
    """Measures steps a second over noise [time, batch, classes]."""
    time.sleep(GAP_SECONDS)
    begin = time.perf_counter()
    function(noise)
    return len(noise) / (time.perf_counter() - begin)


def with_best_threads(network: Queues, noise: Any) -> tuple[Callable[[Any], Any], int]:
    """Gives the drawing of tokens with 1 thread or with one a core, whichever is faster."""
    import torch

    def draw(noise: Any, threads: int) -> Any:
        torch.set_num_threads(threads)
        return torch_tokens(network, noise)

    counts = sorted({1, os.cpu_count() or 1})
    rates = {}
    for threads in counts:
        draw(noise, threads)
        rates[threads] = rate(functools.partial(draw, threads=threads), noise)
    best = max(counts, key=rates.__getitem__)
    return functools.partial(draw, threads=best), best


def main(argv: list[str]) -> None:
    """Runs the comparison and prints it."""
    (settings,) = parse(argv, __doc__ or "", Flags)
    os.environ["KERAS_BACKEND"] = "tensorflow"
    import numpy as np

    print(machine())
    drawn = {blocks: weights(blocks, settings.seed) for blocks in range(1, BLOCKS + 1)}
    receptive_field = drawn[BLOCKS]["stack"].receptive_field
    versions = ", ".join(f"{n} {metadata.version(n)}" for n in ("keras", "tensorflow", "torch"))
    print(f"{BLOCKS} blocks of {LAYERS} layers, receptive field {receptive_field}, seed ", end="")
    print(f"{settings.seed}; {versions}")

    networks = {"pytorch": Queues(drawn[BLOCKS]), "modules": Modules(drawn[BLOCKS])}
    check(ours(drawn[BLOCKS]), networks)
    modules = {blocks: saved_and_loaded(ours(each)) for blocks, each in drawn.items()}
    whole = modules[BLOCKS]
    chance = np.random.default_rng(settings.seed)
    noise = {n: chance.gumbel(size=(settings.samples, n, CLASSES)).astype("f") for n in STREAMS}

    # What is timed, by system and streams, and over what.
    timed: dict[tuple[str, int], tuple[Callable[[Any], Any], Any]] = {}
    for streams in STREAMS:
        timed["compiled", streams] = whole.compiled, noise[streams]
        short = noise[streams][: settings.baseline_samples]
        timed["scan", streams] = whole.scan, short
        for name, network in networks.items():
            draw, threads = with_best_threads(network, short[:TRIED])
            print(f"{name:8} {streams:2} streams: {threads} of PyTorch's threads are best")
            timed[name, streams] = draw, short
    window = np.full((1, receptive_field), FIRST_TOKEN, "int32")

    def naive(noise: Any) -> None:
        for _ in noise:
            whole.logits(window)[:, -1].numpy()

    timed["naive", 1] = naive, noise[1][: settings.naive_samples]
    for blocks in range(1, BLOCKS):
        timed[f"compiled {blocks}", 1] = modules[blocks].compiled, noise[1]

    same = {key: key[0] in ("scan", *networks) for key in timed}
    drew = {n: np.asarray(whole.compiled(noise[n])) for n in STREAMS}
    for (name, streams), (function, given) in timed.items():
        tokens = function(given)  # Compiles.
        if same[name, streams]:
            agree = np.mean(np.asarray(tokens) == drew[streams][: len(given)])
            print(f"{name:8} {streams:2} streams: {agree:.1%} of tokens as compiled draws them")
    rates: dict[tuple[str, int], list[float]] = {key: [] for key in timed}
    for _ in range(settings.rounds):
        for key, (function, given) in timed.items():
            rates[key].append(rate(function, given))

    print(f"samples a second of all streams, median of {settings.rounds} rounds")
    for (name, streams), each in rates.items():
        print(f"{name:10} {streams:2} streams {streams * statistics.median(each):10,.0f}")

    def ratio(one: tuple[str, int], other: tuple[str, int]) -> float:
        pairs = zip(rates[one], rates[other], strict=True)
        return one[1] / other[1] * statistics.median(a / b for a, b in pairs)

    print("times as many samples a second")
    for system, streams, other, others in (
        *((system, 1, rival, 1) for system in OURS for rival in networks),
        *((system, n, rival, n) for n in STREAMS[1:] for system in OURS for rival in networks),
        *((system, n, rival, 1) for n in STREAMS[1:] for system in OURS for rival in networks),
        ("compiled", 1, "naive", 1),
    ):
        times = ratio((system, streams), (other, others))
        print(f"{system:8} {streams:2} streams / {other:7} {others:2} streams {times:8.1f}")

    # Time a sample by layers, as a share of that of all.
    shares = [ratio(("compiled", 1), (f"compiled {blocks}", 1)) for blocks in range(1, BLOCKS)]
    shares.append(1.0)
    for blocks, share in enumerate(shares, 1):
        print(f"{blocks * LAYERS} layers: {share:.2f} of the time a sample takes with all")
    print(f"the last {LAYERS} layers add ", end="")
    print(f"{(shares[-1] - shares[-2]) / (shares[-2] - shares[-3]):.2f} of what those before add")


def run() -> int:
    """The command's exit status."""
    return run_command(main)


if __name__ == "__main__":
    sys.exit(run())
