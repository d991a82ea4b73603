"""Exports a trained run as a SavedModel that turns seeds into files of music."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path

from crnn_gan.runs.configuration import CHECKPOINT_HELP
from crnn_gan.runs.run import export_run
from pipelines.command_line import parse, peek, run_command
from pipelines.settings import Settings, flag

USAGE = """python -m crnn_gan.export --run_dir=DIR --export_dir=exported_models/NAME

Writes a SavedModel with the newest good weights of a run, or those of --checkpoint, and
signature.json, config.json and card.md. Always from TensorFlow, whatever backend the run was
trained on. An exported model that is already there is replaced when the new one is whole."""


@dataclasses.dataclass(frozen=True)
class Flags(Settings):
    """What to export, and where to."""

    run_dir: str = flag(help="directory of a run, as python -m crnn_gan.train made it")
    export_dir: str = flag(help="directory of the exported model, exported_models/NAME")
    checkpoint: str = flag("newest", CHECKPOINT_HELP)


def main(argv: list[str]) -> None:
    """Exports by a command line, and prints where the model is."""
    [flags] = parse(argv, USAGE, Flags)
    folder = export_run(Path(flags.run_dir), Path(flags.export_dir), flags.checkpoint)
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    print(f"{folder}: exported, {size / 1e6:.1f} MB; {folder / 'card.md'} says how to call it")


def run() -> int:
    """Runs the command; gives its exit status."""

    def kept(argv: list[str]) -> str:
        return f"{peek(argv, 'export_dir', '')} is as it was, or is the whole new model"

    return run_command(main, kept)


if __name__ == "__main__":
    sys.exit(run())
