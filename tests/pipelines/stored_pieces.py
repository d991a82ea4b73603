"""Prepared directories of known arrays, for tests of what reads them."""

import itertools
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from pipelines import records
from pipelines.records import Manifest
from pipelines.spec import Spec
from pipelines.tfrecord import array_bytes

SPEC = Spec("vectors", (None, 2), "float32", 2, "note", (("time", 0, 2),))
COMPOSERS = ("bach", "haydn")


def counted_arrays(*steps: int) -> list[np.ndarray]:
    """Arrays of so many steps; step t of piece p is [p, t]."""
    return [
        np.stack([np.full(n, p), np.arange(n)], axis=1).astype(np.float32)
        for p, n in enumerate(steps)
    ]


def write_tables(
    folder: Path, **tables: Iterable[Mapping[str, object]]
) -> dict[str, dict[str, object]]:
    """Writes the tables "pieces", "skipped" and "counts", empty where no rows are given."""
    facts = {}
    for name in (records.PIECES, records.SKIPPED, records.COUNTS):
        with records.open_table(folder, name) as table:
            for row in tables.get(name, ()):
                table.add(row)
        facts[name] = table.facts()
    return facts


def store(
    folder: Path, shards: list[list[np.ndarray]], spec: Spec = SPEC, split: str = "train"
) -> Path:
    """Writes pieces "piece 000", ... in the given shards; their composers take turns."""
    classes = {"composer": COMPOSERS, "genre": ("any",)}
    rows, written = [], []
    number = itertools.count()
    for shard, arrays in enumerate(shards):
        name = records.shard_name(split, shard, len(shards))
        examples = []
        for index, array in enumerate(arrays):
            piece = next(number)
            facts = {"composer": COMPOSERS[piece % 2], "genre": "any", "split": split}
            facts |= {"steps": len(array), "notes": len(array), "shard": name, "index": index}
            rows.append({"key": f"piece {piece:03d}", **facts})
            examples.append(
                records.example_of(
                    rows[-1]["key"],
                    array.shape,
                    array_bytes(array),
                    {"composer": piece % 2, "genre": 0},
                )
            )
        written.append(records.write_shard(folder / name, examples))
    totals = {"pieces": len(rows), "steps": 0, "notes": 0}
    splits = {name: {"pieces": 0, "steps": 0, "notes": 0, "shards": []} for name in records.SPLITS}
    splits[split] = {**totals, "shards": written}
    tables = write_tables(folder, pieces=rows)
    spec = Spec.from_json({**spec.to_json(), "classes": classes})
    manifest = Manifest("", {}, {}, {}, spec, {}, {}, splits, tables, {}, {})
    (folder / records.MANIFEST).write_bytes(manifest.to_bytes())
    return folder
