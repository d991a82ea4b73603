"""What an adversarial stage after maximum likelihood is worth, over random seeds.

Trains c_rnn_gan on prepared cells by likelihood alone, once per seed; then, from the same weights,
each variant of the adversarial stage; and measures what likelihood does not see. A run that is
there already is taken as it is, or goes on.

    python benchmarks/adversarial_stage.py --data_dir=DIR --out_dir=DIR --seeds=5 \
        --variants='policy: --generator_gradient=policy; through: ...' [flags of the trainer]

    python benchmarks/adversarial_stage.py --data_dir=DIR --run_dir=DIR    # measures one run

Prints for likelihood alone, for each variant and for its difference from likelihood alone the mean
over seeds and its standard error:
  recall, precision, coverage   pieces of 32 steps against 400 windows of training pieces, mean of
                                four sets of 100
  held-out recall               the same against 400 windows of held-out pieces
  overlap                       mean overlap area of the paper's six statistics, 100 pieces
  Self-BLEU                     of 100 pieces
  onsets on sixteenths          share of the onsets
  late recall, late precision   steps 97 to 128 of 100 pieces of 128: exposure bias
  classifier's error            of a recurrent network, trained anew to tell 400 generated pieces
                                from 400 windows of one half of the held-out pieces, on the other
                                half and other generated pieces; 0.5 is guessing
  held-out nats                 negative log-likelihood of held-out music, nats per step
"""

from __future__ import annotations

import dataclasses
import functools
import shutil
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
from gan_stability import parse_settings
from machine import machine

from crnn_gan import metrics
from crnn_gan.evaluation import figures
from crnn_gan.evaluation.measured import Measured
from crnn_gan.evaluation.reference import NamedScore
from crnn_gan.metrics import bleu
from crnn_gan.metrics.feature_sets import Value
from crnn_gan.metrics.neighbours import neighbour_figures
from crnn_gan.models.registry import config_class, model_class
from crnn_gan.runs import checkpoint
from crnn_gan.runs.checkpoint_file import name_of, read_arrays, read_manifest
from crnn_gan.runs.criteria import HELD_OUT_NATS
from crnn_gan.runs.epoch_pieces import array_generator
from crnn_gan.runs.presets import expanded
from crnn_gan.runs.run import load_run
from crnn_gan.runs.tables import GENERATED, LOSSES_FILE, read_losses
from crnn_gan.runs.trainer_flags import resolved, run_config_of
from crnn_gan.runs.trainer_settings import TrainerFlags
from crnn_gan.sweeping.search import words_parted
from crnn_gan.training.variable_paths import model_variables
from pipelines import dataset, records
from pipelines.codecs.codec import ScoreCodec
from pipelines.command_line import parse, run_command
from pipelines.settings import Settings, flag
from pipelines.split import SPLITS

LIKELIHOOD = "likelihood"
STEPS, LONG = 32, 128
SET, SETS, WINDOWS = 100, 4, 400
CLASSIFIER_EPOCHS = 12
ON_GRID = [each.name for each in metrics.STATISTICS].index("onsets_on_sixteenths")


@dataclasses.dataclass(frozen=True)
class Flags(Settings):
    """What is compared."""

    data_dir: str = flag(help="cells, made by python -m pipelines.prepare")
    out_dir: str = flag("runs", "directory of the runs; made if it is missing")
    variants: str = flag(
        "policy: --generator_gradient=policy", "'NAME: flags; NAME: flags', of the trainer"
    )
    seeds: int = flag(5, "runs of each", at_least=1)
    pretraining_epochs: int = flag(41, "epochs of likelihood", at_least=1)
    run_dir: str = flag("", "a run of cells that is measured alone; nothing is trained")
    epochs: int = flag(4, "epochs of the adversarial stage", at_least=1)


def main(argv: list[str]) -> None:
    """Trains what is missing, measures, and prints."""
    names = [field.name for field in dataclasses.fields(Flags)]
    own, common = words_parted(argv, ["help", *names])
    (flags,) = parse(own, __doc__ or "", Flags)
    print(machine(), flush=True)
    variants = parse_settings(flags.variants)
    found: dict[str, list[dict[str, float]]] = {}
    measure = functools.partial(measured, Real.of(Path(flags.data_dir)))
    if flags.run_dir:
        report({"run": [measure(Path(flags.run_dir), 0)]})
        return
    for seed in range(flags.seeds):
        first = Path(flags.out_dir) / f"{LIKELIHOOD}-{seed}"
        epochs = flags.pretraining_epochs
        words = [*common, f"--data_dir={flags.data_dir}", f"--seed={seed}"]
        words += [f"--pretraining_epochs={epochs}"]
        train(first, [*words, f"--max_epoch={epochs}"])
        found.setdefault(LIKELIHOOD, []).append(measure(first, seed))
        for name, settings in variants.items():
            run_dir = Path(flags.out_dir) / f"{name}-{seed}"
            more = [*words, *settings, f"--max_epoch={epochs + flags.epochs}"]
            branch(first, run_dir, more)
            train(run_dir, more)
            found.setdefault(name, []).append(measure(run_dir, seed))
        report(found)


# Runs.


def train(run_dir: Path, words: Sequence[str]) -> None:
    """Trains a run, or what is left of it, in a process of its own."""
    command = [sys.executable, "-m", "crnn_gan.train", "--model=c_rnn_gan", f"--run_dir={run_dir}"]
    log = run_dir.with_suffix(".log")
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("a") as file:
        done = subprocess.run([*command, *words], stdout=file, stderr=file, check=False)
    if done.returncode:
        raise ValueError(f"training {run_dir} failed, as {log} says")


def branch(first: Path, run_dir: Path, words: Sequence[str]) -> None:
    """Makes a run of other settings from the weights of another, unless it is there."""
    if run_dir.exists():
        return
    argv = expanded(
        ["--model=c_rnn_gan", f"--run_dir={run_dir}", *words], model_class("c_rnn_gan").presets
    )
    flags, config = parse(argv, "", TrainerFlags, config_class("c_rnn_gan"))
    manifest = records.read_manifest(flags.data_dir)
    new = run_dir.with_name(f".{run_dir.name}")
    shutil.rmtree(new, ignore_errors=True)
    shutil.copytree(first, new, ignore=shutil.ignore_patterns("logs", "checkpoints", ".*"))
    config_of_run = run_config_of(resolved(flags, manifest)[0], config, manifest)
    config_of_run.write(new)
    model = config_of_run.build_model()
    epoch = checkpoint.epochs(first)[-1]
    weights = first / checkpoint.FOLDER / name_of(epoch)
    arrays = read_arrays(weights, read_manifest(weights)["variables"])
    for path, variable in model_variables(model).items():
        if f"model/{path}" in arrays:  # The others are of the adversarial stage.
            variable.assign(arrays[f"model/{path}"])
    checkpoint.save(new, model, epoch)
    new.rename(run_dir)


# Measures.


@dataclasses.dataclass(frozen=True)
class Real:
    """Windows of real music, of 32 steps.

    Attributes:
      codec: of the data.
      known, held_out: of training pieces, and of those of validation and test together.
      validation, test: arrays int32 [window, step, field].
    """

    codec: ScoreCodec
    known: Measured
    held_out: Measured
    validation: np.ndarray
    test: np.ndarray

    @classmethod
    def of(cls, data_dir: Path) -> Real:
        """Reads prepared data."""
        codec = records.read_manifest(data_dir).build_codec().require_scores()
        splits = {name: dataset.load(data_dir, name) for name in SPLITS}
        cut = {n: dataset.real_windows(p, WINDOWS, STEPS, 0) for n, p in splits.items()}
        share = len(splits["validation"].music) / sum(len(splits[n].music) for n in SPLITS[1:])
        both = round(share * WINDOWS)
        held_out = cut["validation"][:both] + cut["test"][: WINDOWS - both]
        return cls(
            codec,
            measured_arrays(codec, cut["train"]),
            measured_arrays(codec, held_out),
            np.stack(cut["validation"]),
            np.stack(cut["test"]),
        )


def measured_arrays(codec: ScoreCodec, arrays: Sequence[np.ndarray]) -> Measured:
    """Measures arrays [window][step, field]."""
    decoded = codec.decode_all(arrays)
    return Measured.of([NamedScore(str(n), each.score) for n, each in enumerate(decoded)])


def measured(real: Real, run_dir: Path, seed: int) -> dict[str, float]:
    """Measures a run: {figure: value}."""
    model = load_run(run_dir, "newest").model
    count = SETS * SET
    arrays = np.stack(array_generator(model, count, STEPS, 2 * count * seed)(1))
    others = np.stack(array_generator(model, count, STEPS, 2 * count * seed + count)(1))
    sets = [measured_arrays(real.codec, arrays[n : n + SET]) for n in range(0, len(arrays), SET)]
    late = np.stack(array_generator(model, SET, LONG, SET * seed)(1))[:, -STEPS:]
    rows = [against(each, real.known) for each in sets]
    found = {name: statistics.fmean(row[name] for row in rows) for name in rows[0]}
    recalls = [against(each, real.held_out)["recall"] for each in sets]
    of_late = against(measured_arrays(real.codec, late), real.known)
    return {
        **found,
        "held-out recall": statistics.fmean(recalls),
        "overlap": overlap_of_the_papers(sets[0], real.known),
        "Self-BLEU": value(bleu.self_bleu([bleu.pitch_tokens(s) for s in sets[0].scores], 4)),
        "onsets on sixteenths": float(np.mean([m.statistics[:, ON_GRID].mean() for m in sets])),
        "late recall": of_late["recall"],
        "late precision": of_late["precision"],
        "classifier's error": classifier_error(model, real, arrays, others, seed),
        "held-out nats": read_losses(run_dir / GENERATED / LOSSES_FILE)[-1].losses[HELD_OUT_NATS],
    }


def against(pieces: Measured, real: Measured) -> dict[str, float]:
    """Recall, precision and coverage on the statistics of the first edition."""
    low, high = np.percentile(real.statistics, [5, 95], axis=0)
    taken = (high > low) & np.array([each.edition == 1 for each in metrics.STATISTICS])
    found = neighbour_figures(pieces.statistics[:, taken], real.statistics[:, taken])
    return {name: value(getattr(found, name)) for name in ("recall", "precision", "coverage")}


def overlap_of_the_papers(pieces: Measured, real: Measured) -> float:
    """The mean overlap area of the paper's statistics."""
    found = figures.Overlaps.of(pieces, real).statistics
    pairs = zip(metrics.STATISTICS, found, strict=True)
    return value(figures.mean_area(each for s, each in pairs if s.group == metrics.THE_PAPERS))


def value(found: Value) -> float:
    """A figure's number. ValueError where it has none."""
    if found.value is None:
        raise ValueError(found.reason)
    return found.value


def classifier_error(
    model: Any, real: Real, arrays: np.ndarray, others: np.ndarray, seed: int
) -> float:
    """The share of windows that a network trained anew takes for the other kind."""
    fields = model.generator.fields

    def rows(of_real: np.ndarray, generated: np.ndarray) -> tuple[Any, np.ndarray]:
        music = np.concatenate([of_real, generated]).astype("int32")
        labels = np.repeat([1.0, 0.0], [len(of_real), len(generated)])
        return fields.windows(music), labels

    keras.utils.set_random_seed(seed)
    network = keras.Sequential(
        [
            keras.layers.Dropout(0.2),
            keras.layers.Bidirectional(keras.layers.LSTM(48)),
            keras.layers.Dropout(0.5),
            keras.layers.Dense(1, "sigmoid"),
        ]
    )
    network.compile("adam", loss="binary_crossentropy", metrics=["accuracy"])
    network.fit(*rows(real.validation, arrays), epochs=CLASSIFIER_EPOCHS, batch_size=32, verbose=0)
    return 1 - network.evaluate(*rows(real.test, others), verbose=0)[1]


def report(found: Mapping[str, Sequence[Mapping[str, float]]]) -> None:
    """Prints a row per figure: mean and standard error of each variant, and of its difference from
    likelihood alone, seed by seed."""
    seeds = len(next(iter(found.values())))
    columns: dict[str, Sequence[Mapping[str, float]]] = dict(found)
    for name, rows in found.items():
        if name != LIKELIHOOD and LIKELIHOOD in found:
            columns[f"{name} - {LIKELIHOOD}"] = [
                {figure: row[figure] - first[figure] for figure in row}
                for row, first in zip(rows, found[LIKELIHOOD], strict=True)
            ]
    width = 2 + max(20, *map(len, columns))
    print(f"\n{seeds} seeds".ljust(23) + "".join(name.rjust(width) for name in columns))
    for figure in next(iter(found.values()))[0]:
        cells = []
        for rows in columns.values():
            values = [row[figure] for row in rows]
            error = statistics.stdev(values) / len(values) ** 0.5 if len(values) > 1 else 0.0
            cells.append(f"{statistics.fmean(values):.3f} +- {error:.3f}".rjust(width))
        print(figure.ljust(22) + "".join(cells), flush=True)


if __name__ == "__main__":
    sys.exit(run_command(main))
