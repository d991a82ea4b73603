"""Puts the statistics of a folder of MIDI files beside those of the music a run learned from."""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path

from crnn_gan.metrics import statistics
from crnn_gan.metrics.bands import Band, from_json, table
from crnn_gan.metrics.originality import repeated_pieces
from pipelines.command_line import flag, parse, run_command
from pipelines.formats.midi import MidiError, read_score
from pipelines.score import Score

USAGE = """Prints the statistics of generated pieces beside the bands of real music.

python -m crnn_gan.statistics --midi_dir=DIR --run_dir=RUN"""
BANDS_FILE = "bands.json"


@dataclasses.dataclass(frozen=True)
class Flags:
    """What to compare."""

    midi_dir: str = flag(help="folder of the generated MIDI files")
    run_dir: str = flag(help="the run's folder, in which the bands of real music stand")


def read_pieces(midi_dir: Path) -> tuple[list[Score], list[str]]:
    """Reads the MIDI files of a folder, in the order of their names.

    Returns:
      The pieces, and for each file that is none a line that says why.

    Raises:
      ValueError: the folder has no MIDI file that can be read.
    """
    paths = sorted(path for path in midi_dir.glob("*") if path.suffix.lower() in (".mid", ".midi"))
    scores, refused = [], []
    for path in paths:
        try:
            scores.append(read_score(path))
        except MidiError as error:
            refused.append(f"{path.name} {error.reason}")
    if not scores:
        found = f"{len(paths)} .mid files, none readable" if paths else "no .mid file"
        raise ValueError(f"{midi_dir} has {found}; give a folder of sampled pieces as --midi_dir")
    return scores, refused


def read_bands(run_dir: Path) -> dict[str, Band]:
    """Reads the bands of real music that a run keeps.

    Raises:
      ValueError: there are none, or they are damaged.
    """
    path = run_dir / BANDS_FILE
    try:
        return from_json(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise ValueError(
            f"there is no {path}; give the folder of a training run as --run_dir"
        ) from None
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def report(midi_dir: Path, run_dir: Path) -> str:
    """Gives the table, how many pieces are equal, and which files were left out and why.

    Raises:
      ValueError: there is nothing to compare, or nothing to compare it with.
    """
    bands = read_bands(run_dir)
    scores, refused = read_pieces(midi_dir)
    repeated = repeated_pieces(scores)
    count = f"{len(scores)} piece{'' if len(scores) == 1 else 's'}"
    equal = f"{repeated} of them repeat another note for note" if repeated else "no two are equal"
    lines = [table([statistics(score) for score in scores], bands), f"{count}; {equal}"]
    return "\n".join([*lines, *(f"left out: {line}" for line in refused)])


def main(argv: list[str]) -> None:
    """Prints the report."""
    (flags,) = parse(argv, USAGE, Flags)
    print(report(Path(flags.midi_dir), Path(flags.run_dir)))


def run() -> int:
    """Runs the command; gives its exit status."""
    return run_command(main)


if __name__ == "__main__":
    sys.exit(run())
