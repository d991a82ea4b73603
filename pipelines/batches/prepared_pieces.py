"""prepared_pieces: the prepared pieces of a split, in memory or in shards on disk.

`open_pieces` decides by a budget of memory: `Pieces` hold their arrays, `Shards` read some of
them when asked. Both hold the pieces in the order of their keys.
"""

from __future__ import annotations

import array
import dataclasses
import functools
import struct
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf
from google.protobuf.message import DecodeError

from pipelines import records
from pipelines.records import Manifest
from pipelines.spec import Spec
from pipelines.split import SPLITS, Split, spread_sample

ALIGNMENT_BYTES = 64  # Of an array whose memory TensorFlow shares rather than copies.
MEBIBYTE = 2**20
MOST = 2**40  # Steps of a piece, and records of a shard.


@dataclasses.dataclass(frozen=True, eq=False)
class Pieces:
    """The pieces of a split, in memory.

    Attributes:
      spec: of the arrays; its classes are those of `classes`.
      keys: [piece], unique names.
      music: [step, ...] as the spec says, the arrays of all pieces concatenated.
      sizes: int64 [piece], steps of each.
      classes: for each class of the spec int32 [piece], the index of its value.
    """

    spec: Spec
    keys: tuple[str, ...]
    music: np.ndarray
    sizes: np.ndarray
    classes: dict[str, np.ndarray]

    @classmethod
    def of(
        cls,
        spec: Spec,
        keys: Sequence[str],
        arrays: Sequence[np.ndarray],
        classes: dict[str, np.ndarray],
    ) -> Pieces:
        """Concatenates the arrays of one piece or more."""
        sizes = np.array([len(steps) for steps in arrays], np.int64)
        music = empty_aligned((int(sizes.sum()), *spec_steps(spec)), spec.dtype)
        np.concatenate(arrays, out=music)
        return cls(spec, tuple(keys), music, sizes, classes)

    def __len__(self) -> int:
        return len(self.sizes)

    @property
    def starts(self) -> np.ndarray:
        """int64 [piece], where each piece begins in `music`."""
        return np.cumsum(self.sizes) - self.sizes

    @functools.cached_property
    def arrays(self) -> tuple[np.ndarray, ...]:
        """[piece], each [time, ...]: views of `music`."""
        return tuple(np.split(self.music, np.cumsum(self.sizes)[:-1]))

    def key_of(self, piece: int) -> str:
        """The name of a piece."""
        return self.keys[piece]

    def tensor(self) -> tf.Tensor:
        """Gives `music` as a tensor in host memory, which the two share."""
        return tf.experimental.dlpack.from_dlpack(self.music.__dlpack__())


@dataclasses.dataclass(frozen=True, eq=False)
class Shards:
    """The pieces of a split, or some of them, in shards on disk.

    Attributes:
      spec: of the arrays.
      data_dir: the prepared directory.
      files: [shard], of each file, bytes and sha256.
      shard, index: int64 [piece], the shard of each, and its place there.
      sizes: int64 [piece], steps of each.
      key_checksums: uint32 [piece], CRC-32 of the names.
      memory_bytes: the most memory that arrays may take at a time.
    """

    spec: Spec
    data_dir: Path
    files: tuple[records.ShardFacts, ...]
    shard: np.ndarray
    index: np.ndarray
    sizes: np.ndarray
    key_checksums: np.ndarray
    memory_bytes: int

    def __len__(self) -> int:
        return len(self.sizes)

    @property
    def sizes_bytes(self) -> np.ndarray:
        """int64 [piece], bytes of each piece's music."""
        elements = int(np.prod(spec_steps(self.spec), dtype=np.int64))
        return self.sizes * (elements * np.dtype(self.spec.dtype).itemsize)

    def key_of(self, piece: int) -> str:
        """The name of a piece, from its record."""
        return self.read(np.array([piece])).keys[0]

    def read(self, chosen: np.ndarray | None = None) -> Pieces:
        """Reads pieces.

        Args:
          chosen: int64 [piece], which. A shard is read once for each run of its pieces in the
            order that they have there. None reads all.

        Raises:
          ValueError: a record is damaged, or is not that of the piece.
        """
        if chosen is None:
            chosen = np.arange(len(self))
        self._refuse_lengths(np.unique(chosen))
        sizes = self.sizes[chosen]
        music = empty_aligned((int(sizes.sum()), *spec_steps(self.spec)), self.spec.dtype)
        keys, ends = [], np.cumsum(sizes)
        classes: dict[str, list[int]] = {name: [] for name in self.spec.classes}
        found = zip(chosen, self._records(chosen), ends, sizes, strict=True)
        for piece, record, end, size in found:
            try:
                key, stored, indices = self._parsed(record)
            except (ValueError, IndexError, DecodeError):
                raise self._damaged(piece, "it holds what is no record of ours") from None
            if zlib.crc32(key.encode()) != self.key_checksums[piece] or len(stored) != size:
                raise self._damaged(piece, "it holds another piece than pieces.jsonl says")
            music[end - size : end] = stored
            keys.append(key)
            for values, index in zip(classes.values(), indices, strict=True):
                values.append(index)
        numbers = {name: np.array(values, np.int32) for name, values in classes.items()}
        return Pieces(self.spec, tuple(keys), music, sizes, numbers)

    def _refuse_lengths(self, chosen: np.ndarray) -> None:
        """Refuses pieces that are longer than their shards, before memory is taken for them."""
        needed = np.bincount(self.shard[chosen], self.sizes_bytes[chosen], len(self.files))
        for piece in chosen[np.unique(self.shard[chosen], return_index=True)[1]]:
            path = self.data_dir / self.files[self.shard[piece]]["file"]
            if not path.is_file() or path.stat().st_size < needed[self.shard[piece]]:
                raise self._damaged(piece, "it is not what was written")

    def _parsed(self, record: bytes) -> tuple[str, np.ndarray, list[int]]:
        """Gives key, array and index of each class of a record; errors where it is none."""
        features = tf.train.Example.FromString(record).features.feature
        (key,) = features["key"].bytes_list.value
        (content,) = features["array"].bytes_list.value
        stored = np.frombuffer(content, np.dtype(self.spec.dtype).newbyteorder("<"))
        stored = stored.reshape(tuple(features["shape"].int64_list.value))
        if stored.shape[1:] != spec_steps(self.spec):
            raise ValueError("its shape is not that of the spec")
        if not self.spec.allows(stored):
            raise ValueError("it holds a number that is none of the spec's")
        indices = []
        for name, there in self.spec.classes.items():
            (index,) = features[name].int64_list.value
            if not 0 <= index < len(there):
                raise ValueError("its class is none of the spec's")
            indices.append(index)
        return key.decode(), stored, indices

    def _records(self, chosen: np.ndarray) -> Iterator[bytes]:
        """Gives the record of each chosen piece in turn; each run of a shard is read once.

        Without TensorFlow's operations: it is called from within a tf.data pipeline, whose
        threads would wait for each other.
        """
        # Parts of a shard may follow each other in any order.
        is_new = (np.diff(self.shard[chosen]) != 0) | (np.diff(self.index[chosen]) <= 0)
        for run in np.split(chosen, np.flatnonzero(is_new) + 1):
            facts = self.files[self.shard[run[0]]]
            path = self.data_dir / facts["file"]
            if not records.is_as_written(path, facts):
                raise self._damaged(run[0], "it is not what was written")
            try:
                yield from _at(path, self.index[run].tolist())
            except (OSError, struct.error):
                raise self._damaged(run[0], "it was cut while it was read") from None

    def _damaged(self, piece: int, reason: str) -> ValueError:
        return ValueError(
            f"{self.data_dir / self.files[self.shard[piece]]['file']} cannot be read: {reason}; "
            f"delete {self.data_dir / records.MANIFEST} and prepare again"
        )

    def subset(self, chosen: np.ndarray) -> Shards:
        """Gives some of the pieces: int64 [piece], in their order."""
        names = ("shard", "index", "sizes", "key_checksums")
        return dataclasses.replace(self, **{name: getattr(self, name)[chosen] for name in names})


def load(
    data_dir: str | Path,
    split: Split,
    composer: Sequence[str] = (),
    works_per_composer: int | None = None,
) -> Pieces:
    """Reads a split of a prepared directory into memory.

    Args:
      data_dir: what `pipelines.prepare` wrote.
      split: "train", "validation" or "test".
      composer: takes the pieces of these composers alone; () takes all.
      works_per_composer: takes at most so many pieces of each composer, the same each time.

    Raises:
      ValueError: not prepared, damaged, a composer that is not there, or nothing left.
    """
    manifest = records.read_manifest(data_dir)
    return _choose(data_dir, manifest, split, composer, works_per_composer).read()


def open_pieces(
    data_dir: str | Path,
    split: Split,
    composer: Sequence[str] = (),
    works_per_composer: int | None = None,
    memory_megabytes: float = 1024,
) -> Pieces | Shards:
    """Reads a split into memory if its arrays fit the budget; else leaves them on disk.

    A shard is checked by its SHA-256 whenever it is read; of those that stay on disk the
    size is checked here.

    Args:
      data_dir, split, composer, works_per_composer: as for `load`.
      memory_megabytes: the most memory that arrays may take, MiB.

    Raises:
      ValueError: as `load`, or the budget is 0.
    """
    if not memory_megabytes > 0:
        raise ValueError(f"--memory_megabytes is {memory_megabytes}; give a number above 0")
    manifest = records.read_manifest(data_dir)
    chosen = _choose(data_dir, manifest, split, composer, works_per_composer)
    if chosen.sizes_bytes.sum() <= memory_megabytes * MEBIBYTE:
        return chosen.read()
    for shard in chosen.files:
        path = Path(data_dir) / shard["file"]
        if not path.is_file() or path.stat().st_size != shard["bytes"]:
            raise ValueError(
                f"{path} is missing or not of {shard['bytes']} bytes as it was written; delete "
                f"{Path(data_dir) / records.MANIFEST} and prepare again"
            )
    return dataclasses.replace(chosen, memory_bytes=int(memory_megabytes * MEBIBYTE))


def _at(path: Path, places: Sequence[int]) -> Iterator[bytes]:
    """Gives the records of a shard at some places, which rise."""
    with path.open("rb") as file:
        place = 0
        for wanted in places:
            while place < wanted:
                (size,) = struct.unpack("<Q", file.read(8))
                file.seek(size + 8, 1)
                place += 1
            (size,) = struct.unpack("<Q", file.read(8))
            file.seek(4, 1)
            yield file.read(size)
            file.seek(4, 1)
            place += 1


def _choose(
    data_dir: str | Path,
    manifest: Manifest,
    split: str,
    composer: Sequence[str],
    works_per_composer: int | None,
) -> Shards:
    """The pieces to take. Of a million it holds numbers, no names."""
    there = manifest.spec.classes.get("composer", ())
    unknown = sorted(set(composer) - set(there))
    if split not in SPLITS:
        raise ValueError(f"there is no split {split!r}; the splits are {', '.join(SPLITS)}")
    if unknown:
        raise ValueError(
            f"{data_dir} holds no music of {', '.join(unknown)}; --composer takes some of "
            f"{', '.join(there)}"
        )
    if works_per_composer is not None and works_per_composer < 1:
        raise ValueError(f"--works_per_composer is {works_per_composer}; give 1 or more")
    wanted = set(composer or there)
    files = tuple(manifest.split(split)["shards"])
    number_of = {shard["file"]: number for number, shard in enumerate(files)}
    columns = [array.array("q") for _ in range(4)]
    works: dict[str, dict[str, int]] = {}
    needed = ("key", "split", "composer", "shard", "index", "steps")
    for row in records.read_pieces(data_dir, manifest, needed):
        if row["split"] == split and row["composer"] in wanted:
            if works_per_composer is not None:
                works.setdefault(row["composer"], {})[row["key"]] = len(columns[0])
            checksum = zlib.crc32(row["key"].encode())
            numbers = row["index"], row["steps"]
            if row["shard"] not in number_of or not all(0 <= n < MOST for n in numbers):
                raise ValueError(
                    f"{data_dir}: the piece {row['key']} is in no shard; prepare again"
                )
            values = (number_of[row["shard"]], *numbers, checksum)
            for column, value in zip(columns, values, strict=True):
                column.append(value)
    if not columns[0]:
        raise ValueError(
            f"the {split} split of {data_dir} has no piece of {', '.join(composer or there)}; "
            "choose other composers, or prepare more music"
        )
    shard, index, sizes, checksums = (np.array(column, np.int64) for column in columns)
    found = Shards(
        manifest.spec, Path(data_dir), files, shard, index, sizes, checksums.astype(np.uint32), 0
    )
    if works_per_composer is None:
        return found
    kept = [
        places[k] for places in works.values() for k in spread_sample(places, works_per_composer)
    ]
    return found.subset(np.sort(kept))


def empty_aligned(shape: tuple[int, ...], dtype: str) -> np.ndarray:
    """An array of whatever was there before, at an address that TensorFlow takes as it is."""
    size = int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
    content = np.empty(size + ALIGNMENT_BYTES, np.uint8)
    start = -content.ctypes.data % ALIGNMENT_BYTES
    return content[start : start + size].view(dtype).reshape(shape)


def spec_steps(spec: Spec) -> tuple[int, ...]:
    """The shape of one step."""
    return tuple(int(size or 0) for size in spec.shape[1:])
