"""The object graph of a SavedModel: the objects that TensorFlow makes when it loads one.

Objects may have code of their own that runs at loading: tables that are filled, assets that are
read, savers by registered names. An exported model has folders of weights and functions only.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

MOST_OBJECTS = 10_000
MOST_AXES_OF_WEIGHTS = 32  # NumPy's own limit, in its versions before 2.
_NAME = re.compile(r"[a-z][a-z0-9_]*")  # No name with a meaning to Python or Keras.
_TRACE = re.compile(r"trace_[0-9]{1,4}")
_OBJECT = {"children", "dependencies", "user_object", "function", "bare_concrete_function"}
_OBJECT |= {"variable"}
_VARIABLE = {"dtype", "shape", "trainable", "name"}
_VALUES = {
    *("none_value", "float64_value", "int64_value", "string_value", "bool_value"),
    *("tensor_shape_value", "tensor_dtype_value", "tensor_spec_value", "list_value"),
    *("tuple_value", "dict_value", "named_tuple_value", "tensor_value"),
}


def object_findings(meta_graph: Any, functions: Any) -> list[str]:
    """Lists what an object graph holds that no exported model has, each in words.

    It has one shape: a module of `weights`, a list of variables; `signatures`, a map of functions;
    and functions. Nothing else is made at loading, and nothing has a name with a meaning.

    Args:
      meta_graph: a MetaGraphDef.
      functions: the names of those in its graph.
    """
    objects = meta_graph.object_graph_def
    if not 0 < len(objects.nodes) <= MOST_OBJECTS:
        return [f"it has {len(objects.nodes):,} objects, not 1 to {MOST_OBJECTS:,}"]
    try:
        _require_shape(objects)
    except _OtherShapeError as error:
        return [str(error)]
    findings: list[str] = []
    for index, node in enumerate(objects.nodes):
        findings += _node_findings(index, node, functions)
    for name, function in objects.concrete_functions.items():
        if name not in functions:
            findings.append(f"its objects name {name!r}, which is no function of the file")
        bound = [i < len(objects.nodes) and objects.nodes[i] for i in function.bound_inputs]
        if any(not node or node.WhichOneof("kind") != "variable" for node in bound):
            findings.append(f"function {name!r} is bound to what is no variable")
    kinds = {value.WhichOneof("kind") for value in _values(objects)}
    for kind in sorted(kinds - _VALUES - {None}):
        findings.append(f"the signature of a function holds a value of the kind {kind!r}")
    return findings


class _OtherShapeError(ValueError):
    """An object graph of another shape than that of exported models."""


def _require_shape(objects: Any) -> None:
    """Checks what the objects are and how they hang together.

    Raises:
      _OtherShapeError: says what is wrong.
    """
    reached = {0}

    def parts(index: int, kind: str, what: str) -> dict[str, int]:
        node = objects.nodes[index]
        found = node.WhichOneof("kind")
        if found == "user_object":
            found = node.user_object.identifier
        if found != kind:
            raise _OtherShapeError(f"object {index} is {found!r}, where {what} belongs")
        names = [child.local_name for child in node.children]
        for child in [*node.children, *node.dependencies]:
            if not 0 < child.node_id < len(objects.nodes):
                raise _OtherShapeError(f"object {index} has a part that is not there")
            reached.add(child.node_id)
        if len(set(names)) != len(names):
            raise _OtherShapeError(f"object {index} has two parts of one name")
        if {c.local_name for c in node.dependencies} - set(names):
            raise _OtherShapeError(f"object {index} depends on what is no part of it")
        return {child.local_name: child.node_id for child in node.children}

    def named(index: int, found: dict[str, int], pattern: re.Pattern) -> dict[str, int]:
        for name in found:
            if not pattern.fullmatch(name):
                raise _OtherShapeError(f"object {index} has a part of the name {name!r}")
        return found

    module = named(0, parts(0, "_generic_user_object", "the module"), _NAME)
    for name, index in module.items():
        if name == "weights":
            weights = parts(index, "trackable_list_wrapper", "the list of weights")
            if sorted(weights) != sorted(map(str, range(len(weights)))):
                raise _OtherShapeError("its weights are not numbered from 0 on")
            if len(set(weights.values())) != len(weights):
                raise _OtherShapeError("two of its weights are one variable")
            for weight in weights.values():
                named(weight, parts(weight, "variable", "a weight"), _NOTHING)
        elif name == "signatures":
            for function in named(index, parts(index, "signature_map", "them"), _NAME).values():
                named(function, parts(function, _BARE, "a signature"), _NOTHING)
        else:
            for trace in named(index, parts(index, "function", "a function"), _TRACE).values():
                named(trace, parts(trace, _BARE, "a traced function"), _NOTHING)
    if not {"weights", "signatures"} <= module.keys():
        raise _OtherShapeError("it has no weights or no signatures")
    if len(reached) != len(objects.nodes):
        raise _OtherShapeError("it has objects that are no part of the module")


_BARE, _NOTHING = "bare_concrete_function", re.compile(r"(?!)")


def _node_findings(index: int, node: Any, functions: Any) -> Iterator[str]:
    for field, _ in node.ListFields():
        if field.name not in _OBJECT:
            yield f"object {index} has {field.name!r}, which no exported model has"
    if node.user_object.metadata:
        yield f"object {index} has metadata"
    if node.WhichOneof("kind") == "variable":
        yield from _variable_findings(node.variable)
    for name in sorted(names_of_functions(node) - set(functions)):
        yield f"object {index} names {name!r}, which is no function of the file"


def names_of_functions(node: Any) -> set[str]:
    """Names the functions of the graph that an object stands for."""
    bare = node.bare_concrete_function.concrete_function_name
    return set(node.function.concrete_functions) | ({bare} - {""})


def _variable_findings(variable: Any) -> Iterator[str]:
    from tensorflow.core.framework import types_pb2

    shape = variable.shape
    if variable.dtype != types_pb2.DT_FLOAT:
        yield f"variable {variable.name!r} is not float32"
    is_known = not shape.unknown_rank and all(0 <= axis.size < 2**31 for axis in shape.dim)
    if not is_known or len(shape.dim) > MOST_AXES_OF_WEIGHTS:
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
        for spec in (node.function.function_spec, node.bare_concrete_function.function_spec):
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


def checkpoint_keys(objects: Any) -> dict[str, tuple[int, ...]]:
    """Gives the weights in their order, {key in the checkpoint: shape}.

    Args:
      objects: an object graph in which `object_findings` found nothing.
    """
    module = {child.local_name: child.node_id for child in objects.nodes[0].children}
    weights = objects.nodes[module["weights"]].children
    nodes = {int(child.local_name): objects.nodes[child.node_id] for child in weights}
    return {
        f"weights/{index}/.ATTRIBUTES/VARIABLE_VALUE": tuple(
            axis.size for axis in nodes[index].variable.shape.dim
        )
        for index in sorted(nodes)
    }
