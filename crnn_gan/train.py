"""Trains a model on prepared data; started again with the same flags, it goes on."""

from __future__ import annotations

import sys

from crnn_gan.runs import presets
from crnn_gan.runs.trainer_flags import TrainerFlags
from pipelines.command_line import parse, peek, run_command

USAGE = """python -m crnn_gan.train --model=NAME --data_dir=DIR --run_dir=DIR [settings]

Trains a model on what `python -m pipelines.prepare` made. The run directory gets
config.json, checkpoints (the newest two and the best), TensorBoard logs and, in
generated_data, a MIDI file, its piano roll, losses and statistics each epoch; of text the tune as
well, of sound a WAV file in their place. The same command again resumes the run."""


def main(argv: list[str]) -> None:
    """Trains by a command line."""
    from crnn_gan.models.registry import config_class, model_class

    name = peek(argv, "model", "c_rnn_gan")
    cls = model_class(name)
    argv = presets.expanded(argv, cls.presets)
    usage = f"{USAGE}\n\nPresets of {name}: {', '.join(cls.presets)}."
    flags, config = parse(
        argv, usage, TrainerFlags, config_class(name), aliases=cls.aliases, retired=cls.retired
    )
    from crnn_gan.runs.trainer import train

    train(flags, config)


def run() -> int:
    """Runs the command; gives its exit status."""

    def kept(argv: list[str]) -> str:
        return f"the checkpoints in {peek(argv, 'run_dir', '')} stay"

    return run_command(main, kept)


if __name__ == "__main__":
    sys.exit(run())
