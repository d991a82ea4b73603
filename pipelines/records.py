"""Records: arrays to sharded TFRecord files and back, and the manifest beside them.

A record is a `tf.train.Example` with the features
  array     bytes, the array's elements, little-endian, in row-major order
  shape     int64, the array's shape; the dtype stands in the manifest's spec
  key       bytes, the piece's key
  composer, genre, ...  int64, the index into the spec's classes of that name
Shards are written without TensorFlow (a worker process need not load it) and are equal
byte for byte between runs. The manifest, `manifest.json`, is written last: a directory
without one is not prepared. It holds no time and no path, so it is equal too.

Formats: TFRecord (tensorflow/core/lib/io/record_writer.h), protocol buffer wire format
(protobuf.dev/programming-guides/encoding), CRC-32C (RFC 3720, appendix B.4).
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pipelines.atomic_file import write_atomically
from pipelines.codecs.codec import Codec, Spec, codec_from_json
from pipelines.split import SPLITS

FORMAT = 1
MANIFEST = "manifest.json"
PIECES_PER_SHARD = 256
LANE_BYTES = 64  # Of a checksum that is taken in parallel lanes.


# Bytes that tell whether they are whole.


def seal(content: bytes) -> bytes:
    """Puts the SHA-256 of the content before it."""
    return hashlib.sha256(content).digest() + content


def unseal(sealed: bytes) -> bytes | None:
    """Gives back what `seal` was given; None where a byte differs or is missing."""
    content = sealed[32:]
    return content if hashlib.sha256(content).digest() == sealed[:32] else None


# TFRecord framing.


@functools.cache
def _crc_table() -> np.ndarray:
    """The CRC-32C of each byte: uint32 [256]."""
    crc: np.ndarray = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        crc = (crc >> 1) ^ np.where(crc & 1, np.uint32(0x82F63B78), np.uint32(0))
    return crc


@functools.cache
def _crc_list() -> list[int]:
    return _crc_table().tolist()


@functools.cache
def _crc_pair_table() -> np.ndarray:
    """What two bytes at once make of a register: uint32 [65536]."""
    table = _crc_table()
    register = np.arange(65536, dtype=np.uint32)
    for _ in range(2):
        register = table[register & 255] ^ (register >> 8)
    return register


@functools.cache
def _skip_table() -> list[list[int]]:
    """What `LANE_BYTES` zero bytes make of each byte of a register: [4][256]."""
    table, shifts = _crc_table(), 8 * np.arange(4, dtype=np.uint32)
    register = np.arange(256, dtype=np.uint32)[:, None] << shifts
    for _ in range(LANE_BYTES):
        register = table[register & 255] ^ (register >> 8)
    return register.T.tolist()


def crc32c(content: bytes) -> int:
    """Gives the CRC-32C (Castagnoli) of some bytes.

    The content is cut in lanes that NumPy takes together; a CRC is linear, so the lanes'
    remainders join by table.
    """
    if len(content) < LANE_BYTES:
        return _crc32c_byte_by_byte(content)
    lanes = -(-len(content) // LANE_BYTES)
    padded = np.zeros(lanes * LANE_BYTES, np.uint8)  # Zeros before the content change nothing.
    start = len(padded) - len(content)
    padded[start:] = np.frombuffer(content, np.uint8)
    padded[start : start + 4] ^= 255  # The register's initial ones.
    table, registers = _crc_pair_table(), np.zeros(lanes, np.uint32)
    for column in padded.view("<u2").reshape(lanes, -1).T.copy():
        registers = table[(registers ^ column) & 65535] ^ (registers >> 16)
    skip, crc = _skip_table(), 0
    for register in registers.tolist():
        crc = (
            skip[0][crc & 255]
            ^ skip[1][crc >> 8 & 255]
            ^ skip[2][crc >> 16 & 255]
            ^ skip[3][crc >> 24]
            ^ register
        )
    return crc ^ 0xFFFFFFFF


def _crc32c_byte_by_byte(content: bytes) -> int:
    crc, table = 0xFFFFFFFF, _crc_list()
    for byte in content:
        crc = table[(crc ^ byte) & 255] ^ crc >> 8
    return crc ^ 0xFFFFFFFF


def _masked_crc(content: bytes) -> bytes:
    crc = crc32c(content)
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)


def frame(record: bytes) -> bytes:
    """Gives a record as it stands in a TFRecord file: length, CRC, bytes, CRC."""
    length = struct.pack("<Q", len(record))
    return length + _masked_crc(length) + record + _masked_crc(record)


# tf.train.Example.


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes([*out, number])


def _field(number: int, content: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _feature(value: bytes | Sequence[int]) -> bytes:
    if isinstance(value, bytes):
        return _field(1, _field(1, value))  # Feature.bytes_list.
    return _field(3, _field(1, b"".join(map(_varint, value))))  # Feature.int64_list, packed.


def example(features: Mapping[str, bytes | Sequence[int]]) -> bytes:
    """Gives a serialised `tf.train.Example` of bytes and non-negative int64 features."""
    entries = [
        _field(1, _field(1, name.encode()) + _field(2, _feature(features[name])))
        for name in sorted(features)
    ]
    return _field(1, b"".join(entries))


def array_bytes(array: np.ndarray) -> bytes:
    """Gives the elements of an array, little-endian, in row-major order."""
    return np.ascontiguousarray(array, array.dtype.newbyteorder("<")).tobytes()


# Shards and the manifest.


@dataclasses.dataclass(frozen=True)
class Record:
    """One prepared piece: its row in the manifest, and its array as `array_bytes` gives it."""

    row: dict[str, Any]  # key, title, composer, genre, group, split, licence, steps, notes
    shape: tuple[int, ...]
    array: bytes


@dataclasses.dataclass(frozen=True)
class Manifest:
    """What a prepared directory holds. Written as `manifest.json`, with these names.

    Attributes:
      configuration: SHA-256 of all that decides the content.
      source: name, flags, licence, citation, homepage.
      codec: as `Codec.to_json` gives it.
      spec: of the records; its classes are composer and genre.
      fractions: share of groups expected in train and validation.
      splits: for each split pieces, steps, notes and its shards, each with file, bytes,
        sha256 and records.
      pieces: for each its key, title, composer, genre, group, split, licence, steps, notes.
      skipped: for each its key and the reason.
      versions: of what read the music.
    """

    configuration: str
    source: dict[str, Any]
    codec: dict[str, Any]
    spec: Spec
    fractions: dict[str, float]
    splits: dict[str, dict[str, Any]]
    pieces: list[dict[str, Any]]
    skipped: list[dict[str, str]]
    versions: dict[str, str]

    def build_codec(self) -> Codec:
        """Gives the codec that made the records."""
        return codec_from_json(self.codec)

    def to_bytes(self) -> bytes:
        """Gives the text of `manifest.json`."""
        values = {"format": FORMAT, **dataclasses.asdict(self), "spec": self.spec.to_json()}
        return (json.dumps(values, indent=1, ensure_ascii=False) + "\n").encode()


def write_records(
    data_dir: Path, records: Iterable[Record], classes: Mapping[str, Sequence[str]]
) -> dict[str, dict[str, Any]]:
    """Writes the shards of all splits; gives `Manifest.splits`.

    Args:
      data_dir: an existing directory.
      records: sorted by key, which fixes what each shard holds.
      classes: the values of composer, genre, ..., in index order.
    """
    by_split: dict[str, list[Record]] = {split: [] for split in SPLITS}
    for record in records:
        by_split[record.row["split"]].append(record)
    return {split: _write_split(data_dir, split, by_split[split], classes) for split in SPLITS}


def _write_split(
    data_dir: Path, split: str, records: list[Record], classes: Mapping[str, Sequence[str]]
) -> dict[str, Any]:
    count = -(-len(records) // PIECES_PER_SHARD)
    shards = []
    for index in range(count):
        part = records[index * PIECES_PER_SHARD : (index + 1) * PIECES_PER_SHARD]
        content = b"".join(frame(_record_bytes(record, classes)) for record in part)
        name = f"{split}-{index:05d}-of-{count:05d}.tfrecord"
        write_atomically(data_dir / name, content)
        digest = hashlib.sha256(content).hexdigest()
        shards.append({"file": name, "bytes": len(content), "sha256": digest, "records": len(part)})
    totals = {name: sum(r.row[name] for r in records) for name in ("steps", "notes")}
    return {"pieces": len(records), **totals, "shards": shards}


def _record_bytes(record: Record, classes: Mapping[str, Sequence[str]]) -> bytes:
    indices = {name: [list(values).index(record.row[name])] for name, values in classes.items()}
    fixed = {"array": record.array, "shape": record.shape, "key": record.row["key"].encode()}
    return example({**fixed, **indices})


def read_manifest(data_dir: str | Path) -> Manifest:
    """Reads the manifest of a prepared directory.

    Raises:
      ValueError: the directory is not prepared, or by another version of this program.
    """
    path = Path(data_dir) / MANIFEST
    again = f"run: python -m pipelines.prepare --data_dir={data_dir} --source=... --codec=..."
    if not path.is_file():
        raise ValueError(f"{data_dir} holds no prepared music ({MANIFEST} is missing); {again}")
    try:
        values = json.loads(path.read_bytes())
        if values.pop("format") != FORMAT:
            raise ValueError(f"its format is not {FORMAT}")
        values["spec"] = Spec.from_json(values["spec"])
        manifest = Manifest(**values)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{path} is no manifest of this version ({error}); {again}") from error
    return manifest


def read_pieces(data_dir: str | Path, manifest: Manifest) -> Iterator[dict[str, Any]]:
    """Gives the row of each piece in turn, sorted by key; see `Manifest.pieces`."""
    yield from manifest.pieces


def fault(data_dir: str | Path, manifest: Manifest, split: str | None = None) -> str:
    """Says what is wrong with the shards of a split, or of all; "" where they are as written."""
    for name in SPLITS if split is None else (split,):
        for shard in manifest.splits[name]["shards"]:
            path = Path(data_dir) / shard["file"]
            if not path.is_file():
                return f"{path} is missing"
            with path.open("rb") as file:
                if hashlib.file_digest(file, "sha256").hexdigest() != shard["sha256"]:
                    return f"{path} is not what was written: its SHA-256 differs"
    return ""


def verify(data_dir: str | Path, manifest: Manifest, split: str | None = None) -> None:
    """Checks that the shards of a split, or of all, are as written. ValueError names one not."""
    wrong = fault(data_dir, manifest, split)
    if wrong:
        raise ValueError(f"{wrong}; delete {Path(data_dir) / MANIFEST} and prepare again")
