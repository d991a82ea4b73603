"""The manifest of prepared data: what a directory holds, in `manifest.json`.

It is the last file to be written: a directory without one is not prepared. It holds the SHA-256
of every other file and its own, no time and no path.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, NotRequired, TypedDict

from pipelines.codecs.codec import Codec, codec_from_json
from pipelines.json_file import read_json, shown
from pipelines.json_schema import SchemaError, value_of
from pipelines.settings import Bounds
from pipelines.spec import Spec
from pipelines.split import RULES, SPLITS

FORMAT = 5
MANIFEST = "manifest.json"
LONGEST_NAME_BYTES = 255  # Of a file.
TABLES = ("pieces", "skipped", "counts")
CLASSES = ("composer", "genre")
READING = ("left_out", "doubtful")  # See `reading_result.Reading`.

Count = Annotated[int, Bounds(at_least=0)]


class ShardFacts(TypedDict):
    """What the manifest says of a shard."""

    file: str
    bytes: Count
    sha256: str
    records: Count


class TableFacts(TypedDict):
    """What the manifest says of a table."""

    file: str
    bytes: Count
    sha256: str
    rows: Count


class MovedFacts(TypedDict):
    """How many values of all pieces are not in a table, and how many there are."""

    moved: Count
    values: Count


class SplitFacts(TypedDict):
    """What the manifest says of a split."""

    pieces: Count
    steps: NotRequired[Count]
    notes: NotRequired[Count]
    shards: list[ShardFacts]


@dataclasses.dataclass(frozen=True)
class Manifest:
    """What a prepared directory holds. Written as `manifest.json`, with these names.

    Attributes:
      configuration: SHA-256 of all that decides the content.
      source: name, flags, licence, citation, homepage.
      codec: as `Codec.to_json` gives it, with the tables that were measured.
      shaping: the fields of `Shaping`.
      spec: of the records; its classes are composer and genre.
      fractions: expected shares of groups in train and validation.
      split_rules: {rule of `split.RULES`: number of pieces whose split it decided}.
      splits: for each split pieces, steps, notes and its shards, each with file, bytes,
        sha256 and records.
      tables: of "pieces", "skipped" and "counts" file, bytes, sha256 and rows; `read_pieces`,
        `read_skipped` and `read_counts` give the rows.
      reading: {"left_out": {element: how often}, "doubtful": {fault: how often}}, the sums of
        those of the pieces.
      versions: of the libraries that read the music.
      moved: {name in `spec.values`: how many values were moved to the nearest one, of how many},
        of all pieces; {} of codecs without tables.
    """

    configuration: str
    source: dict[str, Any]
    codec: dict[str, Any]
    shaping: dict[str, Any]
    spec: Spec
    fractions: dict[str, Annotated[float, Bounds(at_least=0, at_most=1)]]
    split_rules: dict[str, Count]
    splits: dict[str, SplitFacts]
    tables: dict[str, TableFacts]
    reading: dict[str, dict[str, Count]]
    versions: dict[str, str]
    moved: dict[str, MovedFacts] = dataclasses.field(default_factory=dict)

    def build_codec(self) -> Codec:
        """Gives the codec that made the records. ValueError where its Spec is another."""
        codec = codec_from_json(self.codec)
        codec.require_spec(self.spec)
        return codec

    def split(self, name: str) -> SplitFacts:
        """Gives the facts of a split. ValueError where there are none."""
        facts: SplitFacts = _named(self.splits, name, "splits")
        return facts

    def table(self, name: str) -> TableFacts:
        """Gives the facts of a table. ValueError where there are none."""
        facts: TableFacts = _named(self.tables, name, "tables")
        return facts

    def require_complete(self) -> None:
        """Checks that everything is there which `prepare` writes. ValueError names what is not."""
        for where, names in (("splits", SPLITS), ("split_rules", RULES), ("reading", READING)):
            for name in names:
                _named(getattr(self, where), name, where)
        for name in SPLITS:
            for key in ("notes", "steps"):
                _named(self.split(name), key, f"splits.{name}")
        for name in ("train", "validation"):
            _named(self.fractions, name, "fractions")
        for name in CLASSES:
            _named(self.spec.classes, name, "spec.classes")
        for name in TABLES:
            self.table(name)

    def to_bytes(self) -> bytes:
        """Gives the text of `manifest.json`."""
        values = {"format": FORMAT, **dataclasses.asdict(self), "spec": self.spec.to_json()}
        values["sha256"] = _sha256_of(values)
        return (json.dumps(values, indent=1, ensure_ascii=False) + "\n").encode()


def _named(values: Mapping[str, Any], name: str, where: str) -> Any:
    if name not in values:
        raise SchemaError(f"{MANIFEST}: {where} has no key {name!r}; prepare again")
    return values[name]


def _sha256_of(values: Mapping[str, Any]) -> str:
    """Gives the SHA-256 of JSON values, whatever the order and the spaces they are written in."""
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def read_manifest(data_dir: str | Path) -> Manifest:
    """Reads the manifest of a prepared directory.

    Raises:
      ValueError: the directory is not prepared, or by another version of this program, or its
        manifest has been changed.
    """
    path = Path(data_dir) / MANIFEST
    again = f"run: python -m pipelines.prepare --data_dir={data_dir} --source=... --codec=..."
    if not path.is_file():
        raise ValueError(f"{data_dir} holds no prepared music ({MANIFEST} is missing); {again}")
    try:
        values = value_of(dict[str, Any], read_json(path))
        if values.pop("format", None) != FORMAT:
            raise ValueError(f"its format is not {FORMAT}")
        if values.pop("sha256", None) != _sha256_of({"format": FORMAT, **values}):
            raise ValueError("it is not as it was written: its SHA-256 differs")
        manifest: Manifest = value_of(Manifest, values)
        _refuse_places(manifest)
    except ValueError as error:
        raise ValueError(f"{path} is no manifest of this version ({error}); {again}") from error
    return manifest


def _refuse_places(manifest: Manifest) -> None:
    """Refuses files that are not in the prepared directory itself."""
    named: list[tuple[str, str]] = [
        (f"tables.{name}", facts["file"]) for name, facts in manifest.tables.items()
    ]
    for name, split in manifest.splits.items():
        named += [(f"splits.{name}.shards[{n}]", s["file"]) for n, s in enumerate(split["shards"])]
    for where, file in named:
        if Path(file).name != file or "\0" in file or len(file.encode()) > LONGEST_NAME_BYTES:
            raise SchemaError(f"{where}.file is {shown(file)}; expected the name of a file")
