"""How fast char_rnn samples and learns performance events, beside PyTorch.

The network has an embedding of 128, 3 LSTMs of 512 units and one product to the 388 tokens of
the events codec; weights are random, and PyTorch gets copies of them. Before anything is timed,
its logits and those of our steps are compared on given tokens.

Sampling, tokens a second of all pieces, 1 and 16 at a time:

  exported      `generate` of the SavedModel, loaded again: seeds in, MIDI files out, with the
                grammar and every key released at the end
  open end      the same with closes=0
  pytorch       a loop of nn.LSTMCell under torch.inference_mode
  pytorch lstm  a loop of nn.LSTM, oneDNN off: with it each call would lay the weights out anew

PyTorch draws by the inverse of the cumulative distribution, without a grammar or files, with 1
thread or one a core, whichever is faster in a short trial. Latency is that of `step`, called
once a token for one piece. Training is a step of 32 windows of 128 tokens: forward, backward,
clipping by the global norm, Adam; ours as fit() makes it, PyTorch's with nn.LSTM.

Rounds go A B C A B C; a ratio is the median of the ratios within the rounds. Tracing, at the
first call, is not in them. Where other programs hold the cores, two threads of PyTorch wait for
each other in vain, and the trial takes one.

    python benchmarks/char_rnn.py [--tokens=388] [--rounds=7] [--parts=sampling,latency,training]
"""

from __future__ import annotations

import dataclasses
import functools
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

from machine import machine

from pipelines.command_line import parse, run_command
from pipelines.settings import Settings, UsageError, flag

UNITS, LAYERS, EMBEDDING = 512, 3, 128
WINDOWS, WINDOW_LENGTH = 32, 128
LEARNING_RATE, CLIP_NORM = 1e-3, 3.0
PIECES = (1, 16)
RIVALS = ("pytorch", "pytorch lstm")
CHECKED = 64  # Tokens whose logits are compared.
TOLERANCE = 1e-4
TRIED = 8  # Tokens that tell which number of threads is best.
GAP_SECONDS = 0.3  # The threads of the system before fall asleep.
PARTS = ("sampling", "latency", "training")


@dataclasses.dataclass(frozen=True)
class Flags(Settings):
    """What is measured."""

    tokens: int = flag(388, "tokens of a piece", at_least=1)
    rounds: int = flag(7, "turns of each system", at_least=1)
    seed: int = flag(0, "of weights, tokens and pieces")
    threads: int | None = flag(None, "PyTorch's threads; by default what a short trial finds best")
    parts: tuple[str, ...] = flag(PARTS, f"some of {', '.join(PARTS)}")

    def __post_init__(self) -> None:
        super().__post_init__()
        if unknown := [part for part in self.parts if part not in PARTS]:
            raise UsageError(f"--parts has {', '.join(unknown)}; give some of {', '.join(PARTS)}")


def char_rnn(codec: Any, seed: int, policy: str = "float32") -> Any:
    """Gives a new Model, its dtype policy as told."""
    import keras

    from crnn_gan.models.char_rnn import Config, Model

    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    keras.utils.set_random_seed(seed)
    config = Config(
        cell="lstm", hidden_size=UNITS, num_layers=LAYERS, embedding_size=EMBEDDING,
        window_steps=WINDOW_LENGTH, batch_size=WINDOWS, learning_rate=LEARNING_RATE,
        max_grad_norm=CLIP_NORM,
    )  # fmt: skip
    model: Any = Model(config, codec.spec, seed=seed)
    for weight, factor in (
        (model.embed.embeddings, 20),
        (model.output_distribution.head.kernel, 5),
    ):
        weight.assign(weight.value * factor)  # So that logits tell tokens apart.
    keras.config.set_dtype_policy(before)
    return model


# PyTorch.


def pytorch_network(model: Any) -> Any:
    """Gives an nn.Module with copies of a Model's weights: `whole` of windows, and loops over
    `cells` or `lstm`."""
    import numpy as np
    import torch
    from torch import nn

    class Network(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embedding = nn.Embedding(*model.embed.embeddings.shape)
            self.lstm = nn.LSTM(EMBEDDING, UNITS, LAYERS, batch_first=True)
            self.head = nn.Linear(UNITS, model.output_distribution.size)

        def forward(self, tokens: Any) -> Any:
            return self.head(self.lstm(self.embedding(tokens))[0])

    network = Network()
    with torch.no_grad():

        def copy(to: Any, weight: Any) -> None:
            to.copy_(torch.tensor(np.asarray(weight).T))

        network.embedding.weight.copy_(torch.tensor(np.asarray(model.embed.embeddings)))
        copy(network.head.weight, model.output_distribution.head.kernel)
        copy(network.head.bias, model.output_distribution.head.bias)
        for number, layer in enumerate(model.stack.layers):
            copy(getattr(network.lstm, f"weight_ih_l{number}"), layer.kernel)
            copy(getattr(network.lstm, f"weight_hh_l{number}"), layer.recurrent_kernel)
            copy(getattr(network.lstm, f"bias_ih_l{number}"), layer.bias)
            getattr(network.lstm, f"bias_hh_l{number}").zero_()
    return network


def stepper(network: Any, name: str) -> Callable[[Any, Any], tuple[Any, Any]]:
    """Gives what makes (logits, state) of tokens [batch] and the state, at first None."""
    from torch import nn

    if name == "pytorch lstm":

        def by_lstm(tokens: Any, state: Any) -> tuple[Any, Any]:
            h, state = network.lstm(network.embedding(tokens)[:, None], state)
            return network.head(h[:, 0]), state

        return by_lstm

    cells = [nn.LSTMCell(UNITS if n else EMBEDDING, UNITS) for n in range(LAYERS)]
    for number, cell in enumerate(cells):
        for kind in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
            setattr(cell, kind, getattr(network.lstm, f"{kind}_l{number}"))

    def by_cells(tokens: Any, state: Any) -> tuple[Any, Any]:
        x, after = network.embedding(tokens), []
        for cell, before in zip(cells, state or [None] * LAYERS, strict=True):
            after.append(cell(x, before))
            x = after[-1][0]
        return network.head(x), after

    return by_cells


def pytorch_tokens(
    step: Callable, uniform: Any, silence: int, count: int, each: Callable[[], None] = lambda: None
) -> Any:
    """Draws `count` tokens [batch, count] by uniform numbers [time, batch, 1]; calls `each` after
    each."""
    import torch

    with torch.inference_mode(), torch.backends.mkldnn.flags(enabled=False):
        state, drawn = None, [torch.full(uniform.shape[1:2], silence)]
        for row in uniform[:count].unbind(0):
            logits, state = step(drawn[-1], state)
            cumulated = torch.softmax(logits, -1).cumsum(-1)
            token = torch.searchsorted(cumulated, row, right=True)[:, 0]
            drawn.append(token.clamp_(max=logits.shape[-1] - 1))
            each()
        return torch.stack(drawn[1:], 1)


def with_best_threads(
    function: Callable[[int], Any], trial: int, only: int | None
) -> tuple[Callable, int]:
    """Gives a function of a number with PyTorch's best count of threads, and that count."""
    import torch

    def run(count: int, threads: int) -> Any:
        torch.set_num_threads(threads)
        return function(count)

    seconds = {}
    for threads in [only] if only else sorted({1, os.cpu_count() or 1}):
        run(1, threads)
        begin = time.perf_counter()
        run(trial, threads)
        seconds[threads] = time.perf_counter() - begin
    best = min(seconds, key=seconds.__getitem__)
    return lambda count: run(count, best), best


# What is measured.


def check(model: Any, network: Any, seed: int) -> None:
    """Compares the logits of PyTorch with those of our windows and of our steps.

    Raises:
      SystemExit: they differ, and their times would mean nothing.
    """
    import numpy as np
    import torch
    from keras import ops

    torch.set_num_threads(1)
    tokens = np.random.default_rng(seed).integers(0, model.output_distribution.size, (2, CHECKED))
    state, by_step = model.initial_state(2), []
    for row in tokens.T:
        state, hidden = model.advance(state, ops.convert_to_tensor(row.astype("int32")), None)
        by_step.append(np.asarray(model.output_distribution.head(hidden)))
    ours = {
        "windows": np.asarray(
            model.output_distribution.head(model.hidden(tokens, None, training=False))
        ),
        "steps": np.stack(by_step, 1),
    }
    with torch.inference_mode():
        theirs = {"nn.LSTM": network(torch.tensor(tokens)).numpy()}
        for name in RIVALS:
            step, state, steps = stepper(network, name), None, []
            for row in torch.tensor(tokens).unbind(1):
                logits, state = step(row, state)
                steps.append(logits)
            theirs[name] = torch.stack(steps, 1).numpy()
    print(f"logits reach {np.abs(ours['windows']).max():.1f}")
    for our_name, logits in ours.items():
        for name, expected in theirs.items():
            difference = float(np.abs(logits - expected).max())
            if not difference <= TOLERANCE:
                raise SystemExit(f"logits of our {our_name} are {difference:.0e} from {name}'s")
            print(f"logits of our {our_name:7} at most {difference:.0e} from those of {name}")


class Turn(NamedTuple):
    """What one turn of a system took: seconds, and those of all its threads together."""

    seconds: float
    processor_seconds: float


def in_turns(systems: Mapping[Any, Callable[[], Any]], rounds: int) -> dict[Any, list[Turn]]:
    """Gives what each call of each system took, in rounds."""
    turns: dict[Any, list[Turn]] = {key: [] for key in systems}
    for function in systems.values():
        function()
    for _ in range(rounds):
        for key, function in systems.items():
            time.sleep(GAP_SECONDS)
            begin = time.perf_counter(), time.process_time()
            function()
            end = time.perf_counter(), time.process_time()
            turns[key].append(Turn(end[0] - begin[0], end[1] - begin[1]))
    return turns


def compared(ours: list[Turn], rivals: Mapping[str, list[Turn]]) -> str:
    """Says how many times faster `ours` is: the median over the rounds, and that of what the
    processors spent."""
    said = ""
    for name, turns in rivals.items():
        pairs = [zip(*both, strict=True) for both in zip(turns, ours, strict=True)]
        ratios = zip(*([a / b for a, b in pair] for pair in pairs), strict=True)
        elapsed, spent = map(statistics.median, ratios)
        said += f"   {elapsed:5.2f} ({spent:.2f}) x {name}"
    return said


def exported(model: Any, codec: Any, tokens: int) -> Any:
    """Gives the sampler that a program has which loads the exported model."""
    from crnn_gan.generation import saved_model

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "exported"
        saved_model.save(saved_model.build(model, codec, tokens), path, {}, "")
        return saved_model.load(path)


def measure_sampling(model: Any, codec: Any, network: Any, settings: Flags) -> None:
    """Prints tokens a second and ratios."""
    import torch

    sampler = exported(model, codec, settings.tokens)
    systems: dict[tuple[str, int], Callable[[], Any]] = {}
    for pieces in PIECES:
        for name, closes in (("exported", 1), ("open end", 0)):
            systems[name, pieces] = functools.partial(
                sampler.generate, seed=settings.seed, count=pieces, closes=closes
            )
        for name in RIVALS:
            uniform = torch.rand(settings.tokens, pieces, 1)
            write = functools.partial(
                pytorch_tokens, stepper(network, name), uniform, model.output_distribution.size
            )
            draw, threads = with_best_threads(write, TRIED, settings.threads)
            print(f"{name:12} {pieces:2} at a time: {threads} of PyTorch's threads are best")
            systems[name, pieces] = functools.partial(draw, settings.tokens)
    turns = in_turns(systems, settings.rounds)
    print(f"tokens a second of all pieces, median of {settings.rounds} rounds; how many times as")
    print("many, and in brackets for each second of a processor")
    for (name, pieces), taken in turns.items():
        rate = pieces * settings.tokens / statistics.median(turn.seconds for turn in taken)
        rivals = {rival: turns[rival, pieces] for rival in RIVALS}
        print(f"{name:12} {pieces:2} {rate:9,.0f}{compared(taken, rivals)}")


def measure_latency(model: Any, network: Any, settings: Flags) -> None:
    """Prints the milliseconds of a token of one piece that is written token by token."""
    import numpy as np
    import tensorflow as tf
    import torch

    from crnn_gan.autoregressive.grammar import NEVER

    controls = {
        name: tf.constant([control.default], control.dtype)
        for name, control in model.controls.items()
    }
    left = tf.constant([NEVER])

    @tf.function(autograph=False)
    def start() -> Any:
        return model.start(1, **controls)

    @tf.function(autograph=False)
    def step(state: Any, uniform: Any) -> Any:
        return model.step(state, {"draw": uniform}, left, **controls)

    uniform = np.random.default_rng(settings.seed).random((settings.tokens, 1, 1), "float32")
    ends: list[float] = []

    def ours() -> None:
        state = start()
        for row in uniform:
            state, token = step(state, tf.constant(row))
            token.numpy()
            ends.append(time.perf_counter())

    write = functools.partial(
        pytorch_tokens, stepper(network, "pytorch"), torch.from_numpy(uniform),
        model.output_distribution.size, each=lambda: ends.append(time.perf_counter()),
    )  # fmt: skip
    draw, _ = with_best_threads(write, TRIED, settings.threads)
    taken: dict[str, list[float]] = {"step": [], "pytorch": []}
    ours()
    for _ in range(settings.rounds):
        for name, function in (("step", ours), ("pytorch", lambda: draw(settings.tokens))):
            time.sleep(GAP_SECONDS)
            ends.clear()
            function()
            taken[name] += np.diff(ends).tolist()
    for name, each in taken.items():
        median, late = (1e3 * float(np.percentile(each, share)) for share in (50, 95))
        print(f"{name:8} latency of a token: median {median:.2f} ms, 95 of 100 below {late:.2f} ms")


def measure_training(codec: Any, network: Any, settings: Flags) -> None:
    """Prints seconds of a training step and ratios."""
    import numpy as np
    import tensorflow as tf
    import torch

    chance = np.random.default_rng(settings.seed)
    music = chance.integers(0, codec.spec.size, (WINDOWS, WINDOW_LENGTH))
    batch = {
        "music": music.astype("int32"),
        "valid_steps": np.full(WINDOWS, WINDOW_LENGTH, "int32"),
        "start_step": np.zeros(WINDOWS, "int32"),
    }

    def ours(policy: str) -> Callable[[], Any]:
        model = char_rnn(codec, settings.seed, policy)
        model.compile(jit_compile=False)
        model.make_train_function()
        batches = iter(tf.data.Dataset.from_tensors(batch).repeat())
        return lambda: [float(value) for value in model.train_function(batches).values()]

    silence = np.full((WINDOWS, 1), codec.spec.size)
    heard = torch.tensor(np.concatenate([silence, music[:, :-1]], 1))
    target = torch.tensor(music)

    def theirs(dtype: Any) -> tuple[Callable[[int], Any], int]:
        optimizer = torch.optim.Adam(network.parameters(), LEARNING_RATE)

        def step(count: int) -> None:
            for _ in range(count):
                with torch.autocast("cpu", dtype, enabled=dtype != torch.float32):
                    logits = network(heard)
                loss = torch.nn.functional.cross_entropy(logits.float().mT, target)
                optimizer.zero_grad()
                loss.backward()
                torch.nn.utils.clip_grad_norm_(network.parameters(), CLIP_NORM)
                optimizer.step()
                assert np.isfinite(float(loss.detach()))

        return with_best_threads(step, 1, settings.threads)

    systems: dict[str, Callable[[], Any]] = {
        "float32": ours("float32"), "mixed_bfloat16": ours("mixed_bfloat16"),
    }  # fmt: skip
    for name, dtype in (("pytorch", torch.float32), ("pytorch bfloat16", torch.bfloat16)):
        step, threads = theirs(dtype)
        print(f"{name}: {threads} of PyTorch's threads are best")
        systems[name] = functools.partial(step, 1)
    turns = in_turns(systems, settings.rounds)
    print(f"a training step, median of {settings.rounds} rounds; how many times as fast, and in")
    print("brackets by the seconds of processors")
    rivals = {name: taken for name, taken in turns.items() if name.startswith("pytorch")}
    for name, taken in turns.items():
        middle = statistics.median(turn.seconds for turn in taken)
        print(f"{name:16} {middle:7.3f} s{compared(taken, rivals)}")


def main(argv: list[str]) -> None:
    """Runs the comparison and prints it."""
    (settings,) = parse(argv, __doc__ or "", Flags)
    os.environ["KERAS_BACKEND"] = "tensorflow"
    from pipelines.codecs.events import Codec

    print(machine())
    codec = Codec()
    model = char_rnn(codec, settings.seed)
    network = pytorch_network(model)
    versions = ", ".join(f"{n} {metadata.version(n)}" for n in ("keras", "tensorflow", "torch"))
    print(f"{LAYERS} x LSTM({UNITS}), embedding {EMBEDDING}, {codec.spec.size} tokens; ", end="")
    print(f"seed {settings.seed}; {versions}")
    check(model, network, settings.seed)
    if "sampling" in settings.parts:
        measure_sampling(model, codec, network, settings)
    if "latency" in settings.parts:
        measure_latency(model, network, settings)
    if "training" in settings.parts:
        measure_training(codec, network, settings)


if __name__ == "__main__":
    sys.exit(run_command(main))
