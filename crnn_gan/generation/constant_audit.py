"""Constants of a SavedModel: numbers and texts, and no more of them than a graph needs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from crnn_gan.generation.saver_audit import node_of

LARGEST_CONSTANTS_BYTES = 256 * 2**20  # Of all constants as they are unpacked.
ENDLESS = 2**62  # Bytes.
MOST_AXES = 254  # TensorFlow's own limit, beyond which it ends the process.
_LARGEST_SHAPE_BYTES, _LARGEST_AXIS = 64, 2**24  # Of a list that is concatenated.
_BYTES = {  # Of an element in memory, by the names of DataType; a text is an object of its own.
    **dict.fromkeys(("DT_BOOL", "DT_INT8", "DT_UINT8"), 1),
    **dict.fromkeys(("DT_INT16", "DT_UINT16", "DT_HALF", "DT_BFLOAT16"), 2),
    **dict.fromkeys(("DT_INT32", "DT_UINT32", "DT_FLOAT"), 4),
    **dict.fromkeys(("DT_INT64", "DT_UINT64", "DT_DOUBLE"), 8),
    "DT_STRING": 32,
}


def constant_findings(constants: Iterable[tuple[str, Sequence[Any]]]) -> Iterator[str]:
    """Finds constants that are no numbers or texts, or that need much more memory than the file.

    Args:
      constants: (place in words, the TensorProtos there), of all places.
    """
    total = 0
    for place, tensors in constants:
        for tensor in tensors:
            size = constant_bytes(tensor)
            if size is None:
                yield f"a constant is neither numbers nor text (in {place})"
            total += size or 0
    if total > LARGEST_CONSTANTS_BYTES:
        yield f"its constants take {total:,} bytes, above {LARGEST_CONSTANTS_BYTES:,}"


def constant_bytes(tensor: Any) -> int | None:
    """Gives the bytes that a TensorProto takes in memory; None of what is no number or text.

    Beyond `MOST_AXES` axes it is as good as endless.
    """
    from tensorflow.core.framework import types_pb2

    known = types_pb2.DataType.values()
    name = types_pb2.DataType.Name(tensor.dtype) if tensor.dtype in known else ""
    if name not in _BYTES:
        return None
    longest = max(map(len, tensor.string_val), default=0)  # One text may stand for all of them.
    if len(tensor.tensor_shape.dim) > MOST_AXES:
        return ENDLESS
    size = _BYTES[name] + longest
    for axis in tensor.tensor_shape.dim:
        size = min(ENDLESS, size * max(0, axis.size))
    return size


def has_plain_shape(node: Any, constants: Mapping[str, Any]) -> bool:
    """Whether a concatenation of a list is given constants that TensorFlow takes, as ours are."""
    given = [constants.get(node_of(name)) for name in node.input[1:]]
    if len(given) != 2 or any(constant is None for constant in given):
        return False
    shape, leading = (constant.attr["value"].tensor for constant in given if constant is not None)
    if [axis.size for axis in leading.tensor_shape.dim] != [0]:
        return False
    size = constant_bytes(shape)
    return size is not None and size <= _LARGEST_SHAPE_BYTES and _is_shape(shape)


def _is_shape(tensor: Any) -> bool:
    """Whether a small constant holds axes of a tensor, -1 where one is not known."""
    from tensorflow.python.framework import tensor_util

    try:
        axes = tensor_util.MakeNdarray(tensor).ravel().tolist()
    except (TypeError, ValueError):
        return False
    return all(isinstance(axis, int) and -1 <= axis < _LARGEST_AXIS for axis in axes)
