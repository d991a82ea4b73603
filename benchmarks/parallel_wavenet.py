"""How fast the student of parallel_wavenet gives sound, and how near that is to its teacher's.

Speed: the student in one pass beside its teacher sample by sample, with the layers' past in ring
buffers and steps compiled by XLA (`run_compiled`): samples per second of all rows, in turns, in
the same process; the ratio is the median of those within the rounds. Compilation, at the first
call, is not in them. The student is timed as TensorFlow runs its graph and as XLA compiles it.
Both multiply about as much for a sample, which is printed: a CPU that is busy with one sample of
the teacher gains by the student what products of matrices are faster than of vectors, no more.
The papers measured GPUs (Parallel WaveNet: 172 samples per second against more than 500,000), which
one sample leaves idle.

With a run, also what comes out, all as mu-law levels of the same length, in batches of so many
rows: pieces of the student, pieces of the teacher, and windows of held-out music. Of each, nats per
sample that the teacher gives it, the first samples, as many as it hears, left out; and the distance
of its mean spectrum from that of as many windows of training music (`spectral_distance`). Windows
of other training music say how near that can be.

    python benchmarks/parallel_wavenet.py [--run_dir=train/a] [--rounds=5]

Without a run the weights are random, those of the default settings.
"""

from __future__ import annotations

import dataclasses
import math
import os
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from machine import machine

from pipelines.command_line import parse, run_command
from pipelines.settings import Settings, flag

STUDENTS = ("student", "student, XLA")


@dataclasses.dataclass(frozen=True)
class Flags(Settings):
    """What is measured."""

    run_dir: str = flag("", "a run of parallel_wavenet; by default random weights, speed alone")
    checkpoint: str = flag("newest", "newest, best, or an epoch")
    samples: int = flag(
        16_000, "of a piece of the student, and of each row that is compared", at_least=1
    )
    teacher_samples: int = flag(4_000, "of a piece of the teacher, where it is timed", at_least=1)
    rows: int = flag(16, "pieces at once, where many are timed; and of each kind, compared")
    rounds: int = flag(5, "turns of each system", at_least=1)
    seed: int = flag(0, "of weights, noise and windows")


def main(argv: list[str]) -> None:
    """Measures and prints."""
    (flags,) = parse(argv, __doc__ or "", Flags)
    os.environ["KERAS_BACKEND"] = "tensorflow"
    print(machine())
    student, run = loaded(flags)
    versions = ", ".join(f"{n} {metadata.version(n)}" for n in ("keras", "tensorflow"))
    config = student.config
    print(
        f"{flags.run_dir or 'random weights'}{f', epoch {run.epoch}' if run else ''}; teacher of "
        f"{config.blocks} x {config.layers_per_block} layers, student of {config.flows} flows of "
        f"{config.layers_per_block}, {config.residual_channels} channels; seed {flags.seed}; "
        f"{versions}"
    )
    for name, networks in (("teacher", [student.teacher]), ("student", student.flows)):
        print(f"{name}: {multiplications(networks):,} multiplications a sample")
    functions = composers(student)
    print_speed(functions, flags)
    if run:
        print_quality(student, functions, run, flags)


def loaded(flags: Flags) -> tuple[Any, Any]:
    """Gives (the model, its run or None).

    Raises:
      ValueError: the run is of another model.
    """
    import keras

    from crnn_gan.models.parallel_wavenet import Config, Model
    from crnn_gan.runs.run import load_run
    from pipelines.codecs import audio

    if not flags.run_dir:
        keras.utils.set_random_seed(flags.seed)
        return Model(Config(), audio.Codec().spec), None
    run = load_run(Path(flags.run_dir), flags.checkpoint)
    if run.config.model != "parallel_wavenet":
        raise ValueError(f"{flags.run_dir} is a run of {run.config.model}, not parallel_wavenet")
    return run.model, run


def multiplications(networks: Any) -> int:
    """Counts those of all products of a sample: each kernel takes part once."""
    weights = [v for network in networks for v in network.trainable_variables]
    return sum(math.prod(v.shape) for v in weights if v.name.endswith("kernel"))


def composers(model: Any) -> dict[str, Callable[[Any], Any]]:
    """Gives functions from noise [batch, time] to levels, by network."""
    import tensorflow as tf

    from crnn_gan.models.parallel_wavenet import to_levels

    noise = [tf.TensorSpec((None, None))]

    def student(noise: Any) -> Any:
        return to_levels(model.apply_flows(noise)[0])

    def teacher(noise: Any) -> Any:
        state = (model.teacher.stack.initial_state(tf.shape(noise)[0]), tf.zeros_like(noise[:, :1]))
        return to_levels(model.extend_teacher(state, noise)[1])

    plain = tf.function(student, input_signature=noise, autograph=False)
    sound = tf.function(lambda z: model.apply_flows(z)[0], jit_compile=True, autograph=False)
    return {
        "student": plain,
        "student, XLA": lambda noise: to_levels(sound(noise)),
        "teacher": tf.function(teacher, input_signature=noise, autograph=False),
    }


def print_speed(functions: Mapping[str, Callable[[Any], Any]], flags: Flags) -> None:
    """Prints samples per second of one row and of many, and the student's over the teacher's."""
    import numpy as np
    import tensorflow as tf

    chance = np.random.default_rng(flags.seed)
    for rows in (1, flags.rows):
        z = tf.constant(chance.normal(size=(rows, flags.samples)).astype("float32"))
        given = dict.fromkeys(STUDENTS, z) | {"teacher": z[:, : flags.teacher_samples]}
        for name, function in functions.items():
            function(given[name])  # Compiles.
        rates: dict[str, list[float]] = {name: [] for name in functions}
        for _ in range(flags.rounds):
            for name, function in functions.items():
                begin = time.perf_counter()
                np.asarray(function(given[name]))
                seconds = time.perf_counter() - begin
                rates[name].append(rows * given[name].shape[1] / seconds)
        for name, each in rates.items():
            print(f"{name:12} {rows:3} rows {statistics.median(each):12,.0f} samples per second")
        for name in STUDENTS:
            pairs = zip(rates[name], rates["teacher"], strict=True)
            times = statistics.median(a / b for a, b in pairs)
            print(f"{name:12} {rows:3} rows {times:12.1f} times the teacher's")


def print_quality(
    model: Any, functions: Mapping[str, Callable[[Any], Any]], run: Any, flags: Flags
) -> None:
    """Prints the teacher's nats per sample and the spectral distance of what is compared."""
    import numpy as np

    from crnn_gan.layers.spectra import mean_spectrum, spectral_distance
    from pipelines.codecs.audio import CENTRES
    from pipelines.dataset import load, real_windows

    data_dir = run.config.training["data_dir"]

    def windows(split: str, seed: int) -> Any:
        return np.stack(real_windows(load(data_dir, split), flags.rows, flags.samples, seed))

    def spectrum(levels: Any) -> Any:
        return mean_spectrum(CENTRES[np.asarray(levels)], model.config.spectral_frame)

    z = np.random.default_rng(flags.seed).normal(size=(flags.rows, flags.samples))
    z = z.astype("float32")
    compared = {
        "pieces of the student": functions["student"](z),
        "pieces of the teacher": functions["teacher"](z),
        "held-out music": windows("test", flags.seed),
        "other training music": windows("train", flags.seed + 1),
    }
    real = spectrum(windows("train", flags.seed))
    heard = model.teacher.stack.receptive_field
    print(f"{flags.rows} rows of {flags.samples} samples of {run.config.codec}")
    print(f"{'':24}{'nats per sample':>16}{'median':>10}{'spectral distance':>20}{'loudness':>10}")
    for name, levels in compared.items():
        levels = np.asarray(levels)
        nats = np.asarray(model.predict_on_batch({"batch": {"music": levels}}))[:, heard:]
        far = float(spectral_distance(spectrum(levels), real))
        loud = float(np.sqrt(np.mean(np.square(CENTRES[levels]))))
        print(f"{name:24}{nats.mean():16.3f}{np.median(nats):10.3f}{far:20.4f}{loud:10.4f}")


def run() -> int:
    """The command's exit status."""
    return run_command(main)


if __name__ == "__main__":
    sys.exit(run())
