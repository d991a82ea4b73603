"""Making: from pieces to records and manifest in a folder, which then goes into place."""

from __future__ import annotations

import collections
import dataclasses
import importlib.metadata
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pipelines import records
from pipelines.atomic_file import sync, write_atomically
from pipelines.manifest import CLASSES, READING
from pipelines.preparation import (
    data_card,
    data_counts,
    duplicates,
    fitting,
    plan,
    pool,
    shards,
    tasks,
)
from pipelines.preparation.parts import Skipped
from pipelines.preparation.plan import Plan
from pipelines.preparation.tasks import Recipe, Task
from pipelines.records import COUNTS, PIECES, SKIPPED, Manifest
from pipelines.sources.source import Piece
from pipelines.split import RULES, SPLITS, Fractions

LIBRARIES = ("music21", "numpy", "symusic")  # Whose versions may change what is read.


def make(
    recipe: Recipe,
    fractions: Fractions,
    pieces: Sequence[Piece],
    folder: Path,
    runner: pool.Runner,
    configuration: str,
) -> Manifest:
    """Writes parts, then shards and tables, in a folder; gives the manifest, to be written last.

    Raises:
      ValueError: no piece can be read, or none falls in training.
      OSError: the disk is full, or a file that was written is damaged.
    """
    todo = tasks.tasks_of(recipe, pieces, folder)
    tasks.run(todo, runner)
    facts = plan.read_facts(todo)
    made = plan.make(pieces, facts, recipe.shaping, fractions)
    kept = np.flatnonzero(made.splits >= 0).tolist()
    _refuse_nothing(todo, made, kept, fractions)
    classes = {
        name: tuple(sorted({getattr(pieces[piece], name) for piece in kept})) for name in CLASSES
    }
    places = places_of(todo, kept, classes)
    codec, moved = fitting.fit(recipe.codec, todo, made.splits)
    by_split = shards.shards_of(made, folder, places, facts.array_bytes, CLASSES, codec)
    shards.run([shard for those in by_split.values() for shard in those], runner)
    splits, tables, reading = _write_tables(folder, todo, made)
    for name, those in by_split.items():
        splits[name]["shards"] = [shards.facts(shard) for shard in those]
    counts = np.bincount(made.rules[kept], minlength=len(RULES)).tolist()
    source = recipe.source
    return Manifest(
        configuration=configuration,
        source={
            "name": source.name,
            "flags": source.flags(),
            "licence": source.licence,
            "citation": source.citation,
            "homepage": source.homepage,
        },
        codec=codec.to_json(),
        shaping=recipe.shaping_flags(),
        spec=dataclasses.replace(codec.spec, classes=classes),
        fractions=fractions._asdict(),
        split_rules=dict(zip(RULES, counts, strict=True)),
        splits=splits,
        tables=tables,
        reading=reading,
        versions=versions(),
        moved=moved,
    )


def versions() -> dict[str, str]:
    """Gives the versions of the libraries that read music."""
    return {name: importlib.metadata.version(name) for name in LIBRARIES}


def _refuse_nothing(
    todo: Sequence[Task], made: Plan, kept: Sequence[int], fractions: Fractions
) -> None:
    if not kept:
        first = next(entry for _, entry in plan.entries(todo) if isinstance(entry, Skipped))
        raise ValueError(
            f"none of the {len(made.splits)} pieces gave a record; the first, {first.key}: "
            f"{first.reason}"
        )
    if not (made.splits == SPLITS.index("train")).any():
        groups = len({made.groups[piece] for piece in kept})
        raise ValueError(
            f"no piece falls in training: {len(kept)} pieces in {groups} groups are too few for "
            f"train_fraction {fractions.train}; give more music, or --train_fraction=1 "
            "--validation_fraction=0"
        )


def places_of(
    todo: Sequence[Task], kept: Sequence[int], classes: dict[str, tuple[str, ...]]
) -> np.ndarray:
    """Gives int32 [piece, column] of the pieces that are kept; see `shards.Shard`."""
    sizes = [len(task.pieces) for task in todo]
    task = np.repeat(np.arange(len(todo)), sizes)
    place = np.concatenate([np.arange(size) for size in sizes])
    places = np.stack([task, place, *np.zeros((len(classes), len(task)))], 1).astype(np.int32)
    for column, (name, values) in enumerate(classes.items(), shards.CLASSES):
        index = {value: number for number, value in enumerate(values)}
        for piece in kept:
            entry = todo[task[piece]].pieces[place[piece]]
            places[piece, column] = index[getattr(entry, name)]
    return places


def _write_tables(
    folder: Path, todo: Sequence[Task], made: Plan
) -> tuple[dict[str, Any], dict[str, Any], dict[str, dict[str, int]]]:
    """Writes the tables; gives `Manifest.splits` but the shards, `.tables` and `.reading`."""
    reading = {name: collections.Counter[str]() for name in READING}
    splits: dict[str, Any]
    splits = {split: {"pieces": 0, "steps": 0, "notes": 0} for split in SPLITS}
    sums: dict[str, np.ndarray]
    sums = {split: np.zeros(data_counts.COUNTS, np.int64) for split in SPLITS}
    with (
        records.open_table(folder, PIECES) as kept,
        records.open_table(folder, SKIPPED) as skipped,
        records.open_table(folder, COUNTS) as counts,
    ):
        for piece, entry in plan.entries(todo):
            if isinstance(entry, Skipped):
                skipped.add({"key": entry.key, "reason": entry.reason})
                continue
            key = entry.row["key"]
            if key in made.copies:
                skipped.add({"key": key, "reason": duplicates.COPY_OF + made.copies[key]})
                continue
            split = SPLITS[made.splits[piece]]
            shard, index = made.shard_name(piece), int(made.indices[piece])
            group = made.groups[piece]
            kept.add({**entry.row, "group": group, "split": split, "shard": shard, "index": index})
            for name, total in reading.items():
                total.update(entry.row[name])
            sums[split] += data_counts.unpacked(entry.counts)
            for name, count in (("pieces", 1), *((n, entry.row[n]) for n in ("steps", "notes"))):
                splits[split][name] += count
        for split, counted in sums.items():
            counts.add({"split": split, **data_counts.by_name(counted)})
    tables = {PIECES: kept, SKIPPED: skipped, COUNTS: counts}
    facts = {name: table.facts() for name, table in tables.items()}
    return splits, facts, {name: dict(sorted(total.items())) for name, total in reading.items()}


def install(folder: Path, data_dir: Path, manifest: Manifest) -> None:
    """Replaces what was prepared before by what `make` wrote.

    Killed midway, it leaves a directory without a manifest, which is not prepared, and the
    parts, from which the next run makes the same.
    """
    (data_dir / records.MANIFEST).unlink(missing_ok=True)
    old = [path for split in SPLITS for path in data_dir.glob(f"{split}-*-of-*.tfrecord")]
    for path in old:
        path.unlink()
    written: list[Any] = [*manifest.tables.values()]
    for split in SPLITS:
        written += manifest.splits[split]["shards"]
    for facts in written:
        (folder / facts["file"]).replace(data_dir / facts["file"])
    for name in (data_card.PLOTS, data_card.CARD):
        (data_dir / name).unlink(missing_ok=True)
        if (folder / name).exists():
            (folder / name).replace(data_dir / name)
    sync(data_dir)
    write_atomically(data_dir / records.MANIFEST, manifest.to_bytes())
    sync(data_dir)
