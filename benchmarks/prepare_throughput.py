"""Files per second of `pipelines.prepare`, and the speed-up by a second worker.

Prepares the MIDI files of some folders as one collection with 1, 2, ... workers, in turns,
so that a machine which slows down meanwhile slows all of them. A run counts from the listing
of the files, each of which is read and hashed, to the manifest: the start of the worker
processes, hashes, CRCs and flushes to disk included, the import of the main process not; nor,
without --card, the writing of the data card, which takes as long for two files as for all.
Prints for each number of workers the files per second of the median and of the best run and
their ratio to one worker, and whether all runs wrote the same bytes.

    python benchmarks/prepare_throughput.py [--codec=events] [--copies=4]
"""

from __future__ import annotations

import dataclasses
import hashlib
import statistics
import sys
import tempfile
import time
from importlib import metadata
from pathlib import Path

from machine import machine

from pipelines import prepare
from pipelines.codecs.codec import Codec, codec_class
from pipelines.command_line import parse, run_command
from pipelines.preparation import pool
from pipelines.records import PIECES, SKIPPED
from pipelines.settings import Settings, flag
from pipelines.sources import folder

DATA = "../shared/data"


@dataclasses.dataclass(frozen=True)
class Flags(Settings):
    """What to prepare, and how often."""

    paths: tuple[str, ...] = flag(
        (f"{DATA}/scores", f"{DATA}/performances"), "folders of MIDI files, separated by commas"
    )
    codec: str = flag("events", "codec of the records")
    workers: tuple[int, ...] = flag((1, 2), "numbers of worker processes to compare", at_least=1)
    runs: int = flag(5, "runs per number of workers", at_least=1)
    card: bool = flag(False, "also write the data card")
    copies: int = flag(
        1, "how often each file is in the collection; more show long runs", at_least=1
    )


def collect(paths: tuple[str, ...], copies: int, into: Path) -> int:
    """Links the MIDI files of some folders into one; gives their number."""
    found = 0
    for path in paths:
        root = Path(path).resolve()
        for file in sorted(root.rglob("*.mid")):
            for copy in range(copies):
                link = into / f"copy-{copy}" / root.name / file.relative_to(root)
                link.parent.mkdir(parents=True, exist_ok=True)
                link.symlink_to(file)
                found += 1
    if not found:
        raise ValueError(f"there is no .mid file in {', '.join(paths)}; give --paths=DIR,DIR")
    return found


def prepare_once(
    source: folder.Source, codec: Codec, workers: int, card: bool
) -> tuple[float, str, str]:
    """Prepares the collection anew; gives seconds, what came out, and a hash of all its bytes."""
    with tempfile.TemporaryDirectory() as data_dir:
        flags = prepare.Flags(data_dir=data_dir, source="folder", workers=workers, card=card)
        begin = time.monotonic()
        manifest = prepare.prepare(flags, source, codec)
        seconds = time.monotonic() - begin
        files = sorted(path for path in Path(data_dir).iterdir() if path.is_file())
        digest = hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()
        megabytes = sum(path.stat().st_size for path in files) / 1e6
        rows = {name: manifest.tables[name]["rows"] for name in (PIECES, SKIPPED)}
        made = f"{rows[PIECES]} pieces, {rows[SKIPPED]} skipped, {megabytes:.1f} MB"
    return seconds, made, digest


def main(argv: list[str]) -> None:
    """Runs the benchmark and prints it."""
    (settings,) = parse(argv, __doc__ or "", Flags)
    print(machine())
    numbers = settings.workers
    codec = codec_class(settings.codec)()
    seconds: dict[int, list[float]] = {number: [] for number in numbers}
    digests = set()
    with tempfile.TemporaryDirectory() as collection:
        files = collect(settings.paths, settings.copies, Path(collection))
        source = folder.Source(path=collection)
        for _ in range(settings.runs):
            for number in numbers:
                taken, made, digest = prepare_once(source, codec, number, settings.card)
                seconds[number].append(taken)
                digests.add(digest)
    versions = ", ".join(f"{n} {metadata.version(n)}" for n in ("numpy", "symusic"))
    print(f"{files} files, codec {codec.name}: {made}; {versions}")
    print(f"{settings.runs} runs each; {pool.cpu_cores()} CPU cores")
    print(f"{'workers':>7}  {'median':>12}  {'best':>12}  {'ratio of medians':>16}  {'of best':>8}")
    for number, taken in seconds.items():
        median, best = statistics.median(taken), min(taken)
        ratios = statistics.median(seconds[numbers[0]]) / median, min(seconds[numbers[0]]) / best
        rates = [f"{files / value:8.0f}/s" for value in (median, best)]
        print(f"{number:7}  {rates[0]:>12}  {rates[1]:>12}  {ratios[0]:15.2f}x  {ratios[1]:7.2f}x")
    print("EQUAL: all runs wrote the same bytes" if len(digests) == 1 else "DIFFERENT bytes")
    if len(digests) > 1:
        raise ValueError("the records depend on the number of workers")


def run() -> int:
    """The command's exit status."""
    return run_command(main)


if __name__ == "__main__":
    sys.exit(run())
