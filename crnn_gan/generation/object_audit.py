"""The object graph of a SavedModel: the objects that TensorFlow makes when it loads one.

Objects may have code of their own that runs at loading: tables that are filled, assets that are
read, savers by registered names. An exported model has folders of weights and functions only.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import Any

IDENTIFIERS = {"_generic_user_object", "trackable_list_wrapper", "signature_map"}
KINDS = {"user_object", "function", "bare_concrete_function", "variable"}
_NAME = re.compile(r"[a-z][a-z0-9_]*|[0-9]+")  # No name with a meaning to Python or Keras.
_KEY = re.compile(r"weights/[0-9]+/\.ATTRIBUTES/VARIABLE_VALUE")
_OBJECT = {"children", "dependencies", *KINDS}
_VARIABLE = {"dtype", "shape", "trainable", "name"}
_VALUES = {
    *("none_value", "float64_value", "int64_value", "string_value", "bool_value"),
    *("tensor_shape_value", "tensor_dtype_value", "tensor_spec_value", "list_value"),
    *("tuple_value", "dict_value", "named_tuple_value", "tensor_value"),
}


_BYTES = {  # Of an element in memory, by the names of DataType; a text is an object of its own.
    **dict.fromkeys(("DT_BOOL", "DT_INT8", "DT_UINT8"), 1),
    **dict.fromkeys(("DT_INT16", "DT_UINT16", "DT_HALF", "DT_BFLOAT16"), 2),
    **dict.fromkeys(("DT_INT32", "DT_UINT32", "DT_FLOAT"), 4),
    **dict.fromkeys(("DT_INT64", "DT_UINT64", "DT_DOUBLE"), 8),
    "DT_STRING": 32,
}


def object_findings(meta_graph: Any, functions: Any) -> Iterator[str]:
    """Gives what an object graph holds that generating music does not need, each in words.

    Args:
      meta_graph: a MetaGraphDef.
      functions: the names of those in its graph.
    """
    objects = meta_graph.object_graph_def
    count = len(objects.nodes)
    for index, node in enumerate(objects.nodes):
        yield from _node_findings(index, node, count, functions)
    for name, function in objects.concrete_functions.items():
        if name not in functions:
            yield f"its objects name {name!r}, which is no function of the file"
        bound = [objects.nodes[i] if 0 <= i < count else None for i in function.bound_inputs]
        if any(node is None or node.WhichOneof("kind") != "variable" for node in bound):
            yield f"function {name!r} is bound to what is no variable"
    for key in checkpoint_keys(objects):
        if not _KEY.fullmatch(key):
            yield f"the variable {key!r} is none of its weights"
    kinds = {value.WhichOneof("kind") for value in _values(objects)}
    for kind in sorted(kinds - _VALUES - {None}):
        yield f"the signature of a function holds a value of the kind {kind!r}"


def _node_findings(index: int, node: Any, count: int, functions: Any) -> Iterator[str]:
    kind = node.WhichOneof("kind")
    if kind not in KINDS:
        yield f"object {index} is of the kind {kind!r}, which no exported model has"
        return
    for field, _ in node.ListFields():
        if field.name not in _OBJECT:
            yield f"object {index} has {field.name!r}, which no exported model has"
    for child in [*node.children, *node.dependencies]:
        if not _NAME.fullmatch(child.local_name):
            yield f"object {index} has a part of the name {child.local_name!r}"
        if not 0 <= child.node_id < count:
            yield f"object {index} has a part that is not there"
    if kind == "user_object" and node.user_object.identifier not in IDENTIFIERS:
        yield f"object {index} is of the class {node.user_object.identifier!r}"
    if kind == "user_object" and node.user_object.metadata:
        yield f"object {index} has metadata"
    if kind == "variable":
        yield from _variable_findings(node.variable)
    names = set(node.function.concrete_functions)
    if kind == "bare_concrete_function":
        names = {node.bare_concrete_function.concrete_function_name}
    for name in sorted(names - set(functions)):
        yield f"object {index} names {name!r}, which is no function of the file"


def _variable_findings(variable: Any) -> Iterator[str]:
    from tensorflow.core.framework import types_pb2

    shape = variable.shape
    if variable.dtype != types_pb2.DT_FLOAT:
        yield f"variable {variable.name!r} is not float32"
    if shape.unknown_rank or any(axis.size < 0 for axis in shape.dim):
        yield f"variable {variable.name!r} has no known shape"
    for field, _ in variable.ListFields():
        if field.name not in _VARIABLE:
            yield f"variable {variable.name!r} has {field.name!r}, which no exported model has"


def _values(objects: Any) -> Iterator[Any]:
    """Gives the Python values of all functions' signatures, also those within others."""
    waiting = []
    for function in objects.concrete_functions.values():
        waiting += [function.canonicalized_input_signature, function.output_signature]
    for node in objects.nodes:
        spec = node.function.function_spec
        waiting += [spec.fullargspec, spec.input_signature]
    while waiting:
        value = waiting.pop()
        yield value
        kind = value.WhichOneof("kind")
        if kind in ("list_value", "tuple_value"):
            waiting += getattr(value, kind).values
        elif kind == "dict_value":
            waiting += value.dict_value.fields.values()
        elif kind == "named_tuple_value":
            waiting += [pair.value for pair in value.named_tuple_value.values]


def constants_of_objects(objects: Any) -> Iterator[Any]:
    """Gives the constants in the signatures of all functions, such as defaults of arguments."""
    for value in _values(objects):
        if value.WhichOneof("kind") == "tensor_value":
            yield value.tensor_value


def constant_bytes(tensor: Any) -> int | None:
    """Gives the bytes that a TensorProto takes in memory; None of what is no number or text."""
    from tensorflow.core.framework import types_pb2

    known = types_pb2.DataType.values()
    size = _BYTES.get(types_pb2.DataType.Name(tensor.dtype) if tensor.dtype in known else "")
    if size is None:
        return None
    return size * math.prod(max(0, axis.size) for axis in tensor.tensor_shape.dim)


def checkpoint_keys(objects: Any) -> dict[str, tuple[int, ...]]:
    """Gives the variables of an object graph: {key in the checkpoint: shape}.

    Each is found once, by the shortest way to it, as TensorFlow names it in a checkpoint.
    """
    keys: dict[str, tuple[int, ...]] = {}
    seen, waiting = {0}, [(0, "")]
    count = len(objects.nodes)
    for index, path in waiting:  # Grows while it is walked: breadth first.
        if index >= count:
            continue
        node = objects.nodes[index]
        if node.WhichOneof("kind") == "variable":
            shape = tuple(axis.size for axis in node.variable.shape.dim)
            keys[f"{path}/.ATTRIBUTES/VARIABLE_VALUE"] = shape
        for child in node.children:
            if child.node_id not in seen:
                seen.add(child.node_id)
                name = f"{path}/{child.local_name}" if path else child.local_name
                waiting.append((child.node_id, name))
    return keys
