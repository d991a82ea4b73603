"""TFRecord files of `tf.train.Example`s, written without TensorFlow.

Formats: TFRecord (tensorflow/core/lib/io/record_writer.h), protocol buffer wire format
(protobuf.dev/programming-guides/encoding), CRC-32C (RFC 3720, appendix B.4).
"""

from __future__ import annotations

import functools
import struct
from collections.abc import Mapping, Sequence

import numpy as np

LANE_BYTES = 64  # Of a checksum that is taken in parallel lanes.


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
def _skip_table(doublings: int) -> np.ndarray:
    """What `LANE_BYTES` * 2 ** doublings zero bytes make of each byte of a register.

    Returns:
      uint32 [4, 256], the lowest byte first.
    """
    if doublings:
        table = _skip_table(doublings - 1)
        return _skipped(table, table)
    table, shifts = _crc_table(), 8 * np.arange(4, dtype=np.uint32)
    register = np.arange(256, dtype=np.uint32) << shifts[:, None]
    for _ in range(LANE_BYTES):
        register = table[register & 255] ^ (register >> 8)
    return register


def _skipped(table: np.ndarray, registers: np.ndarray) -> np.ndarray:
    """Gives what the zero bytes of a table of `_skip_table` make of uint32 [...]."""
    joined = table[0].take(registers & 255)
    joined ^= table[1].take(registers >> 8 & 255)
    joined ^= table[2].take(registers >> 16 & 255)
    joined ^= table[3].take(registers >> 24)
    return joined


def crc32c(contents: Sequence[bytes]) -> list[int]:
    """Gives the CRC-32C (Castagnoli) of each of some bytes.

    All are cut in lanes that NumPy takes together, so many at once cost less. A CRC is
    linear: that of a content is the sum, without carry, of what its lanes make of a register
    and the zero bytes in the place of the lanes after them of that.
    """
    crcs = [
        _crc32c_byte_by_byte(content) if len(content) < LANE_BYTES else 0 for content in contents
    ]
    long = [index for index, content in enumerate(contents) if len(content) >= LANE_BYTES]
    if not long:
        return crcs
    counts = np.array([-(-len(contents[index]) // LANE_BYTES) for index in long])
    ends = np.cumsum(counts)
    padded = np.zeros(int(ends[-1]) * LANE_BYTES, np.uint8)  # Zeros before it change nothing.
    for index, end in zip(long, (ends * LANE_BYTES).tolist(), strict=True):
        start = end - len(contents[index])
        padded[start:end] = np.frombuffer(contents[index], np.uint8)
        padded[start : start + 4] ^= 255  # The register's initial ones.
    table, registers = _crc_pair_table(), np.zeros(len(padded) // LANE_BYTES, np.uint32)
    for column in padded.view("<u2").reshape(len(registers), -1).T.copy():
        registers = table.take((registers ^ column) & 65535) ^ (registers >> 16)
    lanes_after = np.repeat(ends, counts) - 1 - np.arange(len(registers))
    for doublings in range(int(counts.max() - 1).bit_length()):
        chosen = np.flatnonzero(lanes_after >> doublings & 1)
        registers[chosen] = _skipped(_skip_table(doublings), registers[chosen])
    joined = np.bitwise_xor.reduceat(registers, ends - counts) ^ np.uint32(0xFFFFFFFF)
    for index, crc in zip(long, joined.tolist(), strict=True):
        crcs[index] = crc
    return crcs


def _crc32c_byte_by_byte(content: bytes) -> int:
    crc, table = 0xFFFFFFFF, _crc_list()
    for byte in content:
        crc = table[(crc ^ byte) & 255] ^ crc >> 8
    return crc ^ 0xFFFFFFFF


def masked(crc: int) -> bytes:
    """Gives a CRC-32C as TensorFlow stores it."""
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)


def frames(records: Sequence[bytes]) -> bytes:
    """Gives records as they stand in a TFRecord file: length, CRC, bytes, CRC of each."""
    parts = []
    for record, crc in zip(records, crc32c(records), strict=True):
        length = struct.pack("<Q", len(record))
        parts += [length, masked(_crc32c_byte_by_byte(length)), record, masked(crc)]
    return b"".join(parts)


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
