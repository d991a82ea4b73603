"""How long it takes to evaluate 1,000 pieces against 1,000, and how large the report is.

Writes windows of 300 notes of the shared performances and scores as generated pieces, links
1,000 of the files as the reference, and runs the command as a user would: reading, statistics,
distances, BLEU, originality, piano rolls and report. Then the report alone, of 50 pieces.

    python benchmarks/evaluation_speed.py --path=../shared/data [--pieces=1000] [--keep=DIR]

Ends with status 1 above the limits: 2 minutes for all, 10 seconds and 5 MB for the report.
"""

from __future__ import annotations

import dataclasses
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from machine import machine

from crnn_gan import evaluate
from crnn_gan.evaluation.reference import read_folder
from crnn_gan.evaluation.reference_windows import windows_of_notes
from crnn_gan.report import findings
from pipelines.command_line import parse, run_command
from pipelines.formats import midi
from pipelines.settings import Settings, flag

LIMIT_SECONDS, REPORT_SECONDS, REPORT_MEGABYTES = 120, 10, 5


@dataclasses.dataclass(frozen=True)
class Flags(Settings):
    """How much."""

    path: str = flag("../shared/data", "folder with scores/ and performances/")
    pieces: int = flag(1000, "generated pieces, and reference pieces", at_least=1)
    notes: int = flag(300, "notes per generated piece", at_least=1)
    shown: int = flag(50, "pieces shown in the report", at_least=0)
    keep: str = flag("", "folder for report and metrics; by default they are deleted")


def timed(call: Callable[[], Any]) -> tuple[float, Any]:
    started = time.perf_counter()
    result = call()
    return time.perf_counter() - started, result


def link_files(root: Path, folder: Path, count: int) -> None:
    """Links some of the MIDI files below `root`, drawn at random."""
    paths = sorted(p for name in ("scores", "performances") for p in (root / name).rglob("*.mid"))
    if len(paths) < count:
        raise ValueError(f"{root} has {len(paths)} MIDI files in scores and performances")
    chosen = np.random.default_rng(0).choice(len(paths), count, replace=False)
    folder.mkdir()
    for index in sorted(chosen.tolist()):
        (folder / f"{index:04d}.mid").symlink_to(paths[index].resolve())


def write_windows(reference: Path, folder: Path, count: int, notes: int) -> None:
    pieces, _ = read_folder(reference)
    folder.mkdir()
    for index, piece in enumerate(windows_of_notes(pieces, [notes], count, 1)):
        midi.write(piece.score, folder / f"{index:04d}.mid")


def main(argv: list[str]) -> None:
    """Measures and prints.

    Raises:
      ValueError: a limit is passed.
    """
    [flags] = parse(argv, __doc__ or "", Flags)
    print(machine())
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        link_files(Path(flags.path), folder / "reference", flags.pieces)
        windows = folder / "generated"
        write_windows(folder / "reference", windows, flags.pieces, flags.notes)
        out_dir = Path(flags.keep or folder / "findings")
        words = [
            f"--midi_dir={windows}",
            f"--reference={folder / 'reference'}",
            f"--out_dir={out_dir}",
            f"--shown={flags.shown}",
        ]
        seconds, (evaluation, scores) = timed(lambda: evaluate.evaluated(words))
        alone, _ = timed(lambda: findings.write_findings(evaluation, scores, out_dir, flags.shown))
        size = (out_dir / findings.REPORT).stat().st_size / 1e6
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"{flags.pieces} pieces of {flags.notes} notes against {flags.pieces} files: "
        f"{seconds:.0f} s, limit {LIMIT_SECONDS}; peak memory {peak:.0f} MB"
    )
    print(f"report of {flags.shown} pieces with piano rolls: {alone:.1f} s, {size:.1f} MB")
    if seconds > LIMIT_SECONDS or alone > REPORT_SECONDS or size > REPORT_MEGABYTES:
        raise ValueError(f"above the limits: {REPORT_SECONDS} s, {REPORT_MEGABYTES} MB")


if __name__ == "__main__":
    sys.exit(run_command(main))
