"""Whether a million files can be prepared: speed and memory, from fewer that are made up.

Writes small MIDI files of random notes, no two alike, to a temporary directory; prepares a
fifth of them, then all, with the command. While that runs it reads from /proc what the main
process and the largest worker hold in memory. Prints both at each tenth of the reading, while
the records are written, and at their peak; files per second; and what a million would
take: time in proportion, memory of the main process by the line through the two runs.

    python benchmarks/million_files.py [--files=50000] [--workers=2] [--codec=events]
"""

from __future__ import annotations

import dataclasses
import subprocess
import sys
import tempfile
import time
from importlib import metadata
from pathlib import Path

import numpy as np
from machine import machine

from pipelines import prepare
from pipelines.command_line import parse, run_command
from pipelines.formats import midi
from pipelines.preparation import pool
from pipelines.records import PIECES, read_manifest
from pipelines.score import Score
from pipelines.score_arrays import NOTE, TEMPO
from pipelines.settings import Settings, flag
from pipelines.sources import folder

MILLION = 1_000_000
FILES_PER_FOLDER = 250
SECONDS_BETWEEN_LOOKS = 0.25
SMALLER = 5  # The first run has so many times fewer files.


@dataclasses.dataclass(frozen=True)
class Flags(Settings):
    """How many files, and how they are prepared."""

    files: int = flag(50_000, "files to make and prepare", at_least=10 * SMALLER)
    workers: int = flag(2, "worker processes", at_least=1)
    codec: str = flag("events", "codec of the records")
    notes: int = flag(120, "mean number of notes per file", at_least=2)
    seed: int = flag(0, "random seed of the notes", at_least=0)


@dataclasses.dataclass(frozen=True)
class Look:
    """What was seen at a moment of a run; memory in MB, of the largest worker."""

    parts: int
    shards: int
    main: float
    worker: float


@dataclasses.dataclass(frozen=True)
class Run:
    """What a run took: seconds, and memory over its time, peaks included, in MB."""

    files: int
    seconds: float
    looks: list[Look]
    main_peak: float
    worker_peak: float
    prepared_megabytes: float


def score(chance: np.random.Generator, mean_notes: int) -> Score:
    """Draws a piece: some chords and runs at a tempo of its own."""
    count = 1 + int(chance.poisson(mean_notes - 1))
    notes = np.zeros(count, NOTE)
    notes["onset"] = np.cumsum(chance.choice([0, 60, 120, 240, 480], count))
    notes["duration"] = chance.choice([60, 120, 240, 480, 960], count)
    notes["pitch"] = np.clip(60 + np.cumsum(chance.integers(-5, 6, count)) % 48 - 24, 21, 108)
    notes["velocity"] = chance.integers(20, 110, count)
    tempo = np.array([(0, int(chance.integers(300_000, 1_000_000)))], TEMPO)
    return Score.from_unsorted(480, notes, tempi=tempo)


def make_files(root: Path, flags: Flags) -> None:
    """Writes the collection: composer-NNNN/NNNNNNN.mid."""
    for number in range(flags.files):
        place = root / f"composer-{number // FILES_PER_FOLDER:04d}" / f"{number:07d}.mid"
        if number % FILES_PER_FOLDER == 0:
            place.parent.mkdir(parents=True)
        chance = np.random.default_rng([flags.seed, number])
        place.write_bytes(midi.to_bytes(score(chance, flags.notes)))


def take_part(root: Path, into: Path, count: int) -> None:
    """Links the first `count` files of a collection to another."""
    for file in sorted(root.rglob("*.mid"))[:count]:
        link = into / file.relative_to(root)
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(file)


def memory_megabytes(pid: int, field: str = "VmRSS") -> float:
    """Gives what a process holds in memory (VmRSS), or the most it ever did (VmHWM); 0 if gone."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith(field)), 0.0)


def children(pid: int) -> list[int]:
    """Gives the processes that a process started."""
    try:
        text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return []
    return [int(child) for child in text.split()]


def prepare_and_look(music: Path, data_dir: Path, flags: Flags) -> Run:
    """Runs the command on a collection and watches it."""
    argv = [sys.executable, "-m", "pipelines.prepare", "--source=folder", f"--path={music}"]
    argv += [f"--data_dir={data_dir}", f"--codec={flags.codec}", f"--workers={flags.workers}"]
    looks: list[Look] = []
    main_peak = worker_peak = 0.0
    begin = time.monotonic()
    with subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        while process.poll() is None:
            workers = children(process.pid)
            parts = sum(1 for _ in data_dir.glob(f"{prepare.PARTS}/*/*.part"))
            shards = sum(1 for _ in data_dir.glob(f"{prepare.PARTS}/*/*.receipt"))
            held = max([memory_megabytes(worker) for worker in workers], default=0.0)
            looks.append(Look(parts, shards, memory_megabytes(process.pid), held))
            main_peak = max(main_peak, memory_megabytes(process.pid, "VmHWM"))
            peaks = [memory_megabytes(worker, "VmHWM") for worker in workers]
            worker_peak = max([worker_peak, *peaks])
            time.sleep(SECONDS_BETWEEN_LOOKS)
    seconds = time.monotonic() - begin
    if process.returncode:
        raise ValueError(f"the command ended with status {process.returncode}: {' '.join(argv)}")
    files = read_manifest(data_dir).tables[PIECES]["rows"]
    megabytes = sum(path.stat().st_size for path in data_dir.iterdir()) / 1e6
    return Run(files, seconds, looks, main_peak, worker_peak, megabytes)


def table(run: Run) -> list[str]:
    """Gives the lines of memory over the time of a run."""
    most = max(look.parts for look in run.looks)
    lines = [f"{'':>22}  {'main process':>12}  {'largest worker':>14}"]
    moments = [(f"listing, {run.files} files", lambda look: not look.parts)]
    for tenth in range(1, 11):
        moments.append(
            (
                f"reading, {10 * tenth} %",
                lambda look, tenth=tenth: (
                    (tenth - 1) * most < 10 * look.parts <= tenth * most and not look.shards
                ),
            )
        )
    moments.append(("writing records", lambda look: look.shards > 0))
    for name, belongs in moments:
        those = [look for look in run.looks if belongs(look)]
        if those:
            main, worker = max(look.main for look in those), max(look.worker for look in those)
            lines.append(f"{name:>22}  {main:9.0f} MB  {worker:11.0f} MB")
    return [*lines, f"{'peak':>22}  {run.main_peak:9.0f} MB  {run.worker_peak:11.0f} MB"]


def main(argv: list[str]) -> None:
    """Runs the benchmark and prints it."""
    (flags,) = parse(argv, __doc__ or "", Flags)
    print(machine())
    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory)
        make_files(root / "all", flags)
        take_part(root / "all", root / "some", flags.files // SMALLER)
        few = prepare_and_look(root / "some", root / "data of some", flags)
        many = prepare_and_look(root / "all", root / "data of all", flags)
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in ("numpy", "symusic"))
    print(
        f"{many.files} made-up MIDI files of {flags.notes} notes on average, seed "
        f"{flags.seed}; codec {flags.codec}, {flags.workers} workers, "
        f"{pool.cpu_cores()} CPU cores; source {folder.Source.name}; {versions}"
    )
    print("\n".join(table(many)))
    rates = [run.files / run.seconds for run in (few, many)]
    print(
        f"{rates[1]:.0f} files/s, of {few.files} files {rates[0]:.0f}/s; "
        f"{many.prepared_megabytes:.0f} MB of records and rows"
    )
    slope = (many.main_peak - few.main_peak) / (many.files - few.files)
    peak = many.main_peak + slope * (MILLION - many.files)
    print(
        f"a million: {MILLION / rates[1] / 60:.0f} minutes, {peak:.0f} MB in the main process "
        f"({slope * 2**20:.0f} bytes per file), {many.worker_peak:.0f} MB in a worker, "
        f"{many.prepared_megabytes / many.files * MILLION / 1000:.1f} GB of records and rows and "
        "as much again while they are made"
    )


def run() -> int:
    """The command's exit status."""
    return run_command(main)


if __name__ == "__main__":
    sys.exit(run())
