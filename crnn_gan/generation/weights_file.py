"""The weights of a SavedModel, read without TensorFlow.

TensorFlow's reader ends the process on some damaged indices, and reads whatever a file names. Here
the index is compared with the weights that the graph wants, and the numbers are taken from where it
says, inside the one file. Formats: tensor_bundle.proto, and LevelDB's table format, uncompressed.
"""

from __future__ import annotations

import itertools
import math
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from pipelines.tfrecord import crc32c, masked

INDEX, DATA = "variables.index", "variables.data-00000-of-00001"
OBJECT_GRAPH = "_CHECKPOINTABLE_OBJECT_GRAPH"  # An entry that tf.saved_model.save writes as well.
LARGEST_INDEX_BYTES = LARGEST_OBJECT_GRAPH_BYTES = 16 * 2**20
LONGEST_KEY_BYTES = 256
LARGEST_WEIGHTS_BYTES = 4 * 2**30
MAGIC, _FOOTER_BYTES, _TRAILER_BYTES = 0xDB4775248B80FB57, 48, 5


class WeightsError(ValueError):
    """A file of weights that is damaged, or of another graph; the text says which and why."""


def read_weights(folder: Path, shapes: Mapping[str, tuple[int, ...]]) -> list[np.ndarray]:
    """Reads the weights of a SavedModel.

    Args:
      folder: its `variables`.
      shapes: what its graph wants: {key in the checkpoint: shape}, each float32.

    Returns:
      The weights in the order of `shapes`.

    Raises:
      WeightsError: the index or a weight is damaged, or they are not those of `shapes`.
      OSError: a file cannot be read.
    """
    total = sum(4 * math.prod(shape) for shape in shapes.values())
    if total > LARGEST_WEIGHTS_BYTES:
        raise WeightsError(f"its graph wants {total:,} bytes of weights")
    with (folder / INDEX).open("rb") as file:
        content = file.read(LARGEST_INDEX_BYTES + 1)
    if len(content) > LARGEST_INDEX_BYTES:
        raise WeightsError(f"variables/{INDEX} has more than {LARGEST_INDEX_BYTES:,} bytes")
    entries = _entries(content, len(shapes) + 2)
    if entries.keys() != shapes.keys() | {OBJECT_GRAPH}:
        other = min(entries.keys() ^ (shapes.keys() | {OBJECT_GRAPH}))
        raise WeightsError(f"variables/{INDEX} and the graph do not both have {other!r}")
    size = (folder / DATA).stat().st_size
    if size > total + LARGEST_OBJECT_GRAPH_BYTES:
        raise WeightsError(f"variables/{DATA} has {size:,} bytes, but its graph wants {total:,}")
    for key, shape in shapes.items():
        _require_entry(key, entries[key], shape, size)
    with (folder / DATA).open("rb") as data:
        return [_weight(data, entries[key], key, shape) for key, shape in shapes.items()]


def _require_entry(key: str, entry: Any, shape: tuple[int, ...], size: int) -> None:
    """Checks what the index says of a weight.

    Raises:
      WeightsError: it is of another type or shape, or does not lie in the file.
    """
    from tensorflow.core.framework import types_pb2

    there = [axis.size for axis in entry.shape.dim]
    if entry.dtype != types_pb2.DT_FLOAT or there != list(shape) or entry.shape.unknown_rank:
        raise WeightsError(f"variables/{INDEX} has no {key} of float32 {list(shape)}")
    count = 4 * math.prod(shape)
    is_inside = entry.offset >= 0 and entry.offset + entry.size <= size and entry.size == count
    if not is_inside or entry.shard_id or entry.slices:
        raise WeightsError(f"variables/{DATA} does not hold the {count:,} bytes of {key}")


def _weight(data: Any, entry: Any, key: str, shape: tuple[int, ...]) -> np.ndarray:
    data.seek(entry.offset)
    content = data.read(entry.size)
    if len(content) != entry.size or masked(crc32c([content])[0]) != struct.pack(
        "<I", entry.crc32c
    ):
        raise WeightsError(f"{key} in variables/{DATA} is damaged: its checksum is another")
    return np.frombuffer(content, "<f4").reshape(shape)


def _entries(content: bytes, most: int) -> dict[str, Any]:
    """Parses an index of at most so many pairs: {key: BundleEntryProto}.

    Raises:
      WeightsError: it is damaged, or of another kind than `tf.saved_model.save` writes.
    """
    from google.protobuf.message import DecodeError
    from tensorflow.core.protobuf import tensor_bundle_pb2

    try:
        pairs = list(itertools.islice(pairs_of(content), most + 1))
        if len(pairs) > most:
            raise WeightsError(f"variables/{INDEX} has more entries than the graph has weights")
        if not pairs or pairs[0][0] != b"" or len({key for key, _ in pairs}) != len(pairs):
            raise WeightsError(f"variables/{INDEX} has no header, or two entries of one name")
        header = tensor_bundle_pb2.BundleHeaderProto.FromString(pairs[0][1])
        if header.num_shards != 1 or header.endianness != header.LITTLE:
            raise WeightsError(f"variables/{INDEX} is of several files, or not little-endian")
        entry = tensor_bundle_pb2.BundleEntryProto
        return {key.decode(): entry.FromString(value) for key, value in pairs[1:]}
    except (DecodeError, UnicodeDecodeError, IndexError, struct.error) as error:
        raise WeightsError(f"variables/{INDEX} is damaged ({error})") from None


def pairs_of(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Gives the keys and values of a table."""
    footer = content[-_FOOTER_BYTES:]
    if len(footer) < _FOOTER_BYTES or struct.unpack("<Q", footer[-8:])[0] != MAGIC:
        raise WeightsError(f"variables/{INDEX} is damaged: it does not end as one")
    position = 0
    for _ in range(2):  # The place of the block of meta data, which is empty.
        _, position = _varint(footer, position)
    end = 0
    for _, place in _block(content, *_place(footer, position)):
        offset, size = _place(place, 0)
        if offset < end:
            raise WeightsError(f"variables/{INDEX} is damaged: its blocks overlap")
        end = offset + size
        yield from _block(content, offset, size)


def _place(content: bytes, position: int) -> tuple[int, int]:
    """Gives where a block begins and how long it is."""
    offset, position = _varint(content, position)
    return offset, _varint(content, position)[0]


def _block(content: bytes, offset: int, size: int) -> Iterator[tuple[bytes, bytes]]:
    """Gives the keys and values of a block; a key shares its beginning with the one before."""
    block = content[offset : offset + size]
    trailer = content[offset + size : offset + size + _TRAILER_BYTES]
    if len(block) != size or len(trailer) != _TRAILER_BYTES or trailer[0]:
        raise WeightsError(f"variables/{INDEX} is damaged, or compressed")
    if masked(crc32c([block + trailer[:1]])[0]) != trailer[1:]:
        raise WeightsError(f"variables/{INDEX} is damaged: a checksum is another")
    [restarts] = struct.unpack("<I", block[-4:])
    end, position, key = size - 4 * (restarts + 1), 0, b""
    while position < end:
        shared, position = _varint(block, position)
        unshared, position = _varint(block, position)
        length, position = _varint(block, position)
        if unshared > LONGEST_KEY_BYTES or shared + unshared > LONGEST_KEY_BYTES:
            raise WeightsError(f"variables/{INDEX} is damaged: a name is too long")
        if shared > len(key) or position + unshared + length > end:
            raise WeightsError(f"variables/{INDEX} is damaged: an entry is longer than its block")
        key = key[:shared] + block[position : position + unshared]
        position += unshared
        yield key, block[position : position + length]
        position += length


def _varint(content: bytes, position: int) -> tuple[int, int]:
    """Gives a number of 7 bits a byte, the lowest first, and the position after it."""
    value = 0
    for shift in range(0, 64, 7):
        byte = content[position]
        position += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, position
    raise WeightsError(f"variables/{INDEX} is damaged: a number has no end")
