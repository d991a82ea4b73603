"""prepare: encodes a collection of music as records to train on.

  python -m pipelines.prepare --source=corpus --data_dir=data/corpus
  python -m pipelines.prepare --source=folder --path=my_midi --data_dir=data/mine
  python -m pipelines.prepare --list

Each piece is read and encoded by a pure function in a worker process, which loads no
TensorFlow. Tasks of some pieces each write a part; when all parts are there, the main process
decides from a few bytes per piece which record goes where, and the workers write the shards. A
run that was stopped resumes where it was. The records depend on the flags and the files alone,
not on the number of workers, the order in which they end, or restarts. What was prepared there
before is replaced when all is written. A piece that cannot be read is skipped, and named with
the reason; so is one whose worker process dies.
"""

from __future__ import annotations

import collections
import dataclasses
import hashlib
import itertools
import json
import operator
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from pipelines import records
from pipelines.codecs.codec import Codec, codec_class
from pipelines.command_line import parse, peek, run_command
from pipelines.file_lock import locked
from pipelines.leftovers import remove_leftovers
from pipelines.manifest import FORMAT
from pipelines.preparation import data_card, fitting, listing, making, pool
from pipelines.preparation.duplicates import kind_of
from pipelines.preparation.tasks import Recipe
from pipelines.records import Manifest
from pipelines.settings import Settings, flag
from pipelines.shaping import Shaping
from pipelines.sources.source import Piece, Source, source_class
from pipelines.split import RULES, SPLITS, Fractions

USAGE = """python -m pipelines.prepare: encodes a collection of music as records to train on.
--list lists the collections."""
PARTS = ".parts"
MOST_WORKERS = 512  # Each is a process; a machine with more cores than that runs Beam.


@dataclasses.dataclass(frozen=True)
class Flags(Settings):
    """What to prepare, where, and how."""

    data_dir: str = flag(help="output directory; created if it is missing")
    source: str = flag(default="corpus", help="collection of music: a name that --list lists")
    codec: str = flag(
        default="cells",
        help="encoding of music as arrays: the name of a file in pipelines/codecs",
    )
    workers: int | None = flag(
        default=None,
        help="number of worker processes; by default one per CPU core",
        at_least=1,
        at_most=MOST_WORKERS,
    )
    runner: Literal["pool", "beam"] = flag(
        default="pool",
        help="where workers run: pool are processes of this machine, beam is Apache Beam",
    )
    beam_options: str = flag(
        default="",
        help='pipeline options of Apache Beam, such as "--runner=FlinkRunner '
        '--flink_master=HOST:8081"; every worker must see data_dir and the music under the same '
        "paths",
    )
    card: bool = flag(
        default=True,
        help="writes data_card.md and data_card.png, a description of the data with plots, beside "
        "the records",
    )
    train_fraction: float = flag(
        default=0.8,
        help="expected share of the training split, in groups of pieces, such as works",
        above=0,
        at_most=1,
    )
    validation_fraction: float = flag(
        default=0.1,
        help="expected share of the validation split, in groups of pieces; the rest is the test "
        "split",
        at_least=0,
        below=1,
    )


def prepare(
    flags: Flags,
    source: Source,
    codec: Codec,
    shaping: Shaping = Shaping(),  # noqa: B008
) -> Manifest:
    """Encodes the pieces of a source and writes their records; gives the manifest.

    Does nothing where `data_dir` holds the same already. Waits while another process prepares
    there.

    Raises:
      ValueError: no piece, none that can be read, none in training, or wrong flags.
      OSError: a download fails, the disk is full, or `data_dir` cannot be written.
    """
    fractions = Fractions(flags.train_fraction, flags.validation_fraction).check()
    if flags.beam_options and flags.runner != "beam":
        raise ValueError(
            "--beam_options is for Apache Beam; add --runner=beam or leave the options out"
        )
    data_dir = Path(flags.data_dir).expanduser()
    if data_dir.exists() and not data_dir.is_dir():
        raise ValueError(f"{data_dir} is a file; --data_dir takes a directory")
    source.fetch()
    recipe = Recipe(source, codec, shaping)
    with _runner(flags) as runner:
        if not (data_dir / records.MANIFEST).exists():
            runner.start(recipe)
        pieces = _listed(source)
        configuration = _configuration(recipe, fractions, pieces)
        done = _done_before(data_dir, configuration)
        needs_card = flags.card and not data_card.is_there(data_dir)
        if isinstance(done, str) or needs_card or (data_dir / PARTS).exists():
            data_dir.mkdir(parents=True, exist_ok=True)
            with locked(data_dir / "prepare", f"waiting for another process to prepare {data_dir}"):
                remove_leftovers(data_dir)
                # By another process, perhaps.
                done = _done_before(data_dir, configuration)
                if isinstance(done, str):
                    if done:
                        print(f"preparing again: {done}")
                    folder = _parts_folder(data_dir, configuration, source)
                    made = making.make(recipe, fractions, pieces, folder, runner, configuration)
                    _install(made, folder, data_dir, flags.card)
                    return made
                shutil.rmtree(data_dir / PARTS, ignore_errors=True)
                if flags.card and not data_card.is_there(data_dir):
                    data_card.write(data_dir, done)
                    print(f"{data_dir} held this already, but no data card; now it has one")
                    return done
    print(f"{data_dir} holds this already; nothing to do")
    return done


def _install(made: Manifest, folder: Path, data_dir: Path, with_card: bool) -> None:
    if with_card:
        data_card.write(folder, made)
    making.install(folder, data_dir, made)
    shutil.rmtree(data_dir / PARTS)


def _listed(source: Source) -> list[Piece]:
    pieces = source.pieces()
    for before, after in itertools.pairwise(pieces):
        if before.key >= after.key:
            raise ValueError(
                f"source {source.name!r} lists {after.key!r} after {before.key!r}; its keys must "
                "be sorted, and none there twice: this is a fault of pipelines/sources/"
                f"{source.name}.py"
            )
    return pieces


def _configuration(recipe: Recipe, fractions: Fractions, pieces: Sequence[Piece]) -> str:
    """Gives the SHA-256 of all that decides what the records hold."""
    values = {
        "format": FORMAT,
        "source": {"name": recipe.source.name, **recipe.source.flags()},
        "codec": recipe.codec.to_json(),
        "shaping": recipe.shaping_flags(),
        "fractions": fractions._asdict(),
        "versions": making.versions(),
    }
    digest = hashlib.sha256(json.dumps(values, sort_keys=True).encode())
    known = operator.attrgetter(
        *("key", "group", "composer", "genre", "title", "licence", "number", "fingerprint"), "split"
    )
    for piece in pieces:
        digest.update(json.dumps(known(piece)).encode())
    return digest.hexdigest()


def _done_before(data_dir: Path, configuration: str) -> Manifest | str:
    """Gives the manifest of an earlier run of the same configuration, its files whole.

    Else what stands against it, "" where nothing was prepared there.
    """
    if not (data_dir / records.MANIFEST).is_file():
        return ""
    try:
        manifest = records.read_manifest(data_dir)
        manifest.require_complete()
    except ValueError as error:
        return str(error)
    if manifest.configuration != configuration:
        return f"{data_dir} was made with other flags, files or versions"
    return records.fault(data_dir, manifest) or manifest


def _parts_folder(data_dir: Path, configuration: str, source: Source) -> Path:
    """Makes the folder for parts and shards; removes what else killed runs left.

    Parts of another size are other parts, so the size stands in the folder's name.
    """
    folder = data_dir / PARTS / f"{configuration[:16]}-{source.pieces_per_task}"
    for other in (data_dir / PARTS).glob("*"):
        if other != folder:
            print("starting again: the unfinished run before had other flags, files or versions")
            shutil.rmtree(other)
    folder.mkdir(parents=True, exist_ok=True)
    for temporary in folder.glob(".*"):  # Of workers, which end with their main process.
        temporary.unlink()
    return folder


def _runner(flags: Flags) -> pool.Runner:
    workers = pool.cpu_cores() if flags.workers is None else flags.workers
    if flags.runner == "pool":
        return pool.Pool(workers)
    from pipelines.preparation.beam_runner import Beam

    return Beam(flags.beam_options, workers)


def summary(manifest: Manifest, data_dir: str) -> str:
    """Describes what was prepared, in a few lines."""
    composers = manifest.spec.classes["composer"]
    shown = ", ".join(composers[:8]) + (", ..." if len(composers) > 8 else "")
    pieces = manifest.tables[records.PIECES]["rows"]
    notes = sum(part["notes"] for part in manifest.splits.values())
    lines = [f"{pieces} pieces, {notes} notes, {len(composers)} composers: {shown}"]
    for split in SPLITS:
        part = manifest.splits[split]
        empty = "" if part["pieces"] else f"; {_why_empty(manifest, split)}"
        counts = ", ".join(f"{part[name]} {name}" for name in ("pieces", "notes", "steps"))
        lines.append(f"  {split}: {counts}{empty}")
    if manifest.split_rules[RULES[0]]:
        counted = (f"{count} {rule}" for rule, count in manifest.split_rules.items() if count)
        lines.append(f"  split decided: {', '.join(counted)}")
    skipped = records.read_skipped(data_dir, manifest)
    reasons = collections.Counter(kind_of(row["reason"]) for row in skipped)
    if reasons:
        lines.append(f"  skipped: {reasons.total()} pieces, named in {records.SKIPPED}.jsonl")
        lines += [f"    {count} x {reason}" for reason, count in reasons.most_common(5)]
    lines += _of_reading("left out of pieces", manifest.reading["left_out"])
    lines += _of_reading("doubtful in pieces", manifest.reading["doubtful"])
    moved = fitting.in_words(manifest.moved)
    lines += [f"  moved to the nearest value: {moved}"] if moved else []
    return "\n".join([*lines, f"in {data_dir}"])


def _of_reading(label: str, counts: Mapping[str, int]) -> list[str]:
    """Says what readers left out or doubt, the most frequent kinds by name."""
    if not counts:
        return []
    frequent = collections.Counter(counts).most_common(8)
    rest = sum(counts.values()) - sum(count for _, count in frequent)
    lines = [f"  {label}, each named in {records.PIECES}.jsonl:"]
    lines += [f"    {count} {what}" for what, count in frequent]
    return [*lines, f"    {rest} of other kinds"] if rest else lines


def _why_empty(manifest: Manifest, split: str) -> str:
    shares = manifest.fractions
    share = shares.get(split, 1 - shares["train"] - shares["validation"])
    return "none was asked for" if share < 1e-9 else "empty, the groups of pieces are too few"


def main(argv: list[str]) -> None:
    """Prepares what the command line says."""
    if "--list" in argv:
        print(listing.sources())
        return
    source_type = source_class(peek(argv, "source", "corpus"))
    codec_type = codec_class(peek(argv, "codec", "cells"))
    flags, source, codec, shaping = parse(argv, USAGE, Flags, source_type, codec_type, Shaping)
    print(summary(prepare(flags, source, codec, shaping), flags.data_dir))


def run() -> int:
    """Runs the command; gives its exit status."""

    def kept(argv: list[str]) -> str:
        return f"what is encoded so far stays in {peek(argv, 'data_dir', '')}"

    return run_command(main, kept)


if __name__ == "__main__":
    sys.exit(run())
