"""prepare: turns a collection of music into records that a model trains on.

  python -m pipelines.prepare --source=corpus --data_dir=data/corpus
  python -m pipelines.prepare --source=folder --path=my_midi --data_dir=data/mine

Each piece is read and encoded by a pure function in a worker process, which loads no
TensorFlow. What a task of some pieces gives is kept beside the records until all are
done, so a run that was stopped goes on where it was. The records depend on the flags and
the files alone, not on the number of workers, the order in which they end, or restarts.
A piece that cannot be read is skipped and counted; so is one whose worker process dies.
"""

from __future__ import annotations

import collections
import dataclasses
import hashlib
import importlib.metadata
import json
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pipelines import records, tasks
from pipelines.codecs.codec import Codec, codec_class
from pipelines.command_line import flag, parse, peek, run_command
from pipelines.records import Manifest, Record
from pipelines.sources.source import Source, source_class
from pipelines.split import SPLITS, Fractions, split_of
from pipelines.tasks import Skipped

USAGE = "python -m pipelines.prepare: turns a collection of music into records to train on."
LIBRARIES = ("music21", "numpy", "symusic")  # Whose versions may change what is read.
PARTS = ".parts"


@dataclasses.dataclass(frozen=True)
class Flags:
    """What to prepare and where."""

    data_dir: str = flag(help="directory to write; made where it is missing")
    source: str = flag(default="corpus", help="collection: the name of a file in pipelines/sources")
    codec: str = flag(
        default="note_tuples", help="what music becomes: the name of a file in pipelines/codecs"
    )
    workers: int | None = flag(default=None, help="processes; by default one a CPU core")
    train_fraction: float = flag(default=0.8, help="share of the groups of pieces to train on")
    validation_fraction: float = flag(
        default=0.1, help="share of the groups to validate on; what is left is the test"
    )


def prepare(flags: Flags, source: Source, codec: Codec) -> Manifest:
    """Prepares the pieces of a source; gives the manifest that was written.

    Nothing is done where `data_dir` holds the same already.

    Raises:
      ValueError: no piece, none that can be read, none in training, or wrong flags.
      OSError: the disk is full, or `data_dir` cannot be written.
    """
    fractions = Fractions(flags.train_fraction, flags.validation_fraction).check()
    workers = tasks.cpu_cores() if flags.workers is None else flags.workers
    if workers < 1:
        raise ValueError(f"workers is {workers}; give 1 or more")
    data_dir = Path(flags.data_dir).expanduser()
    if data_dir.exists() and not data_dir.is_dir():
        raise ValueError(f"{data_dir} is a file; --data_dir takes a directory")
    pieces = source.pieces()
    configuration = _configuration(source, codec, fractions, pieces)
    done = _done_before(data_dir, configuration)
    if done is not None:
        print(f"{data_dir} holds this already; nothing to do")
        return done
    folder = _parts_folder(data_dir, configuration)
    outcomes = tasks.run(source, codec, pieces, folder, workers)
    made = [outcome for outcome in outcomes if isinstance(outcome, Record)]
    skipped = [outcome for outcome in outcomes if isinstance(outcome, Skipped)]
    made = _with_splits(made, fractions)
    _refuse_nothing(made, skipped, fractions)
    manifest = _write(data_dir, configuration, source, codec, fractions, made, skipped)
    shutil.rmtree(data_dir / PARTS)
    return manifest


def _configuration(
    source: Source, codec: Codec, fractions: Fractions, pieces: Sequence[Any]
) -> str:
    """Gives the SHA-256 of all that decides what the records hold."""
    known = ("key", "group", "composer", "genre", "title", "licence", "number", "fingerprint")
    values = {
        "format": records.FORMAT,
        "source": {"name": source.name, **source.flags()},
        "codec": codec.to_json(),
        "fractions": fractions._asdict(),
        "versions": _versions(),
        "pieces": [[getattr(piece, name) for name in known] for piece in pieces],
    }
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def _versions() -> dict[str, str]:
    return {name: importlib.metadata.version(name) for name in LIBRARIES}


def _done_before(data_dir: Path, configuration: str) -> Manifest | None:
    """Gives the manifest of an earlier run of the same configuration, its shards whole."""
    if not (data_dir / records.MANIFEST).is_file():
        return None
    try:
        manifest = records.read_manifest(data_dir)
    except ValueError as error:
        print(f"preparing again: {error}")
        return None
    if manifest.configuration != configuration:
        print(f"preparing again: {data_dir} was made with other flags, files or versions")
        return None
    wrong = records.fault(data_dir, manifest)
    if wrong:
        print(f"preparing again: {wrong}")
        return None
    return manifest


def _parts_folder(data_dir: Path, configuration: str) -> Path:
    """Makes the folder for what tasks give; removes that of other configurations."""
    folder = data_dir / PARTS / configuration[:16]
    for other in (data_dir / PARTS).glob("*"):
        if other != folder:
            print("starting again: the unfinished run before had other flags, files or versions")
            shutil.rmtree(other)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _with_splits(made: list[Record], fractions: Fractions) -> list[Record]:
    """Gives each record its group and split. Copies of a piece with a group belong to it."""
    groups = {r.row["notes_digest"]: r.row["group"] for r in reversed(made) if r.row["group"]}
    out = []
    for record in made:
        row = dict(record.row)
        digest = row.pop("notes_digest")
        row["group"] = row["group"] or groups.get(digest, f"notes: {digest}")
        row["split"] = split_of(row["group"], fractions)
        out.append(dataclasses.replace(record, row=row))
    return out


def _refuse_nothing(made: list[Record], skipped: list[Skipped], fractions: Fractions) -> None:
    if not made:
        raise ValueError(
            f"none of the {len(skipped)} pieces could be read; the first, {skipped[0].key}: "
            f"{skipped[0].reason}"
        )
    if not any(record.row["split"] == "train" for record in made):
        groups = len({record.row["group"] for record in made})
        raise ValueError(
            f"no piece falls in training: {len(made)} pieces in {groups} groups are too few for "
            f"train_fraction {fractions.train}; give more music, or --train_fraction=1 "
            "--validation_fraction=0"
        )


def _write(
    data_dir: Path,
    configuration: str,
    source: Source,
    codec: Codec,
    fractions: Fractions,
    made: list[Record],
    skipped: list[Skipped],
) -> Manifest:
    """Writes shards and then the manifest; what was there before goes first."""
    _remove_records(data_dir)
    classes = {
        name: tuple(sorted({record.row[name] for record in made})) for name in ("composer", "genre")
    }
    manifest = Manifest(
        configuration=configuration,
        source={
            "name": source.name,
            "flags": source.flags(),
            "licence": source.licence,
            "citation": source.citation,
            "homepage": source.homepage,
        },
        codec=codec.to_json(),
        spec=dataclasses.replace(codec.spec, classes=classes),
        fractions=fractions._asdict(),
        splits=records.write_records(data_dir, made, classes),
        pieces=[record.row for record in made],
        skipped=[dataclasses.asdict(piece) for piece in skipped],
        versions=_versions(),
    )
    records.write_atomically(data_dir / records.MANIFEST, manifest.to_bytes())
    return manifest


def _remove_records(data_dir: Path) -> None:
    """Removes the manifest, so that nobody reads what is half written, then all shards."""
    (data_dir / records.MANIFEST).unlink(missing_ok=True)
    for split in SPLITS:
        for pattern in (f"{split}-*-of-*.tfrecord", f".{split}-*-of-*.tfrecord.*"):
            for path in data_dir.glob(pattern):
                path.unlink()


def summary(manifest: Manifest, data_dir: str) -> str:
    """Says in a few lines what was prepared."""
    composers = manifest.spec.classes["composer"]
    shown = ", ".join(composers[:8]) + (", ..." if len(composers) > 8 else "")
    notes = sum(piece["notes"] for piece in manifest.pieces)
    lines = [f"{len(manifest.pieces)} pieces, {notes} notes, {len(composers)} composers: {shown}"]
    for split in SPLITS:
        part = manifest.splits[split]
        empty = "" if part["pieces"] else "; empty, the groups of pieces are too few"
        counts = ", ".join(f"{part[name]} {name}" for name in ("pieces", "notes", "steps"))
        lines.append(f"  {split}: {counts}{empty}")
    reasons = collections.Counter(piece["reason"] for piece in manifest.skipped)
    if reasons:
        lines.append(f"  skipped: {len(manifest.skipped)} pieces, named in the manifest")
        lines += [f"    {count} x {reason}" for reason, count in reasons.most_common(5)]
    return "\n".join([*lines, f"in {data_dir}"])


def main(argv: list[str]) -> None:
    """Prepares what the command line says."""
    source_type = source_class(peek(argv, "source", "corpus"))
    codec_type = codec_class(peek(argv, "codec", "note_tuples"))
    flags, source, codec = parse(argv, USAGE, Flags, source_type, codec_type)
    print(summary(prepare(flags, source, codec), flags.data_dir))


def run() -> int:
    """Runs the command; gives its exit status."""
    return run_command(main)


if __name__ == "__main__":
    sys.exit(run())
