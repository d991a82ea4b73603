"""Tries many settings of a model, and says which came nearest to real music."""

from __future__ import annotations

import dataclasses
import sys
import typing
from pathlib import Path

from crnn_gan.runs import presets
from crnn_gan.runs.trainer_flags import TrainerFlags
from crnn_gan.sweeping.flags import Sweep
from pipelines.command_line import parse, peek, run_command
from pipelines.settings import UsageError

USAGE = """python -m crnn_gan.sweep --model=NAME --data_dir=DIR --sweep_dir=DIR --vary=SETTINGS
    [--runs=12] [--processes=2] [settings that all runs have]

Trains a model many times, each time with other settings, and compares what comes out by
--best_by. SETTINGS are ranges and lists of flags: 'learning_rate=1e-5..1e-3 log; batch_size=16,32'.
A run that collapses or diverges is ended early. The sweep directory gets the runs, a table
(sweep.tsv) and a picture (sweep.png); at the end stands the command that trains the winner. The
same command again goes on with a sweep that was stopped."""


def main(argv: list[str]) -> None:
    """Sweeps by a command line."""
    from crnn_gan.models.registry import config_class, model_class
    from crnn_gan.sweeping import search

    name = peek(argv, "model", "c_rnn_gan")
    cls, config = model_class(name), config_class(name)
    if peek(argv, "run_dir", ""):
        raise UsageError("--run_dir is given; a sweep makes those of its runs under --sweep_dir")
    settings, flags, model_config = parse(
        presets.expanded([*argv, "--run_dir=RUN"], cls.presets),
        USAGE,
        Sweep,
        TrainerFlags,
        config,
        aliases=cls.aliases,
        retired=cls.retired,
    )
    _, fixed = search.words_parted(argv, [field.name for field in dataclasses.fields(Sweep)])
    hints = typing.get_type_hints(TrainerFlags) | typing.get_type_hints(config)
    for forbidden in ("model", "data_dir", "run_dir", "preset", "max_epoch", "best_by"):
        hints.pop(forbidden, None)
    tried = search.settings_of_runs(settings, hints)
    # A run whose settings cannot be taken is named before any is trained.
    for number, values in enumerate(tried):
        words = [*fixed, *(f"--{n}={v}" for n, v in values.items()), "--run_dir=RUN"]
        try:
            words = presets.expanded(words, cls.presets, warn=False)
            parse(words, USAGE, TrainerFlags, config, aliases=cls.aliases, retired=cls.retired)
        except ValueError as error:
            raise UsageError(f"run {number} of the sweep cannot be made: {error}") from None
    folder = Path(settings.sweep_dir)
    with search.locked(folder):
        search.agree(folder, settings, fixed)
        search.sweep(settings, flags, model_config.max_epoch, fixed, tried)


def run() -> int:
    """Runs the command; gives its exit status."""

    def kept(argv: list[str]) -> str:
        return f"the runs stay in {peek(argv, 'sweep_dir', '')}, each with its checkpoints"

    return run_command(main, kept)


if __name__ == "__main__":
    sys.exit(run())
