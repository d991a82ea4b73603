"""The two functions that save and restore a SavedModel's weights, compared with TensorFlow's.

They alone may hold operations that touch files. A file says itself which functions those are, so
that is no reason to trust them: each node must be one that `tf.saved_model.save` writes, with the
inputs that it gives it, and nothing but the saver may call them.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from crnn_gan.generation.object_audit import names_of_functions
from crnn_gan.generation.weights_file import OBJECT_GRAPH

DEEPEST = 12  # Operations behind one another; in TensorFlow's own functions there are 7.
_PORT = re.compile(r"[0-9]{1,6}")
_CALLS = ("StatefulPartitionedCall", "PartitionedCall")


class NotTheSaverError(ValueError):
    """What the file calls its saver is not what TensorFlow writes."""


def saver_functions(meta_graph: Any, keys: Sequence[str]) -> frozenset[str]:
    """Names the functions that save and restore; none where the file has no saver.

    Args:
      meta_graph: a MetaGraphDef.
      keys: of the variables in the checkpoint, in any order.

    Raises:
      NotTheSaverError: they, or what calls them, differ from what `tf.saved_model.save` writes.
    """
    saver = meta_graph.saver_def
    if not saver.ListFields():
        return frozenset()
    nodes = {node.name: node for node in meta_graph.graph_def.node}
    functions = {f.signature.name: f for f in meta_graph.graph_def.library.function}
    names = []
    checks: list[tuple[str, Callable[[int, str, str], Counter[str]], int]] = [
        (node_of(saver.save_tensor_name), _saving, 1),
        (saver.restore_op_name, _restoring, 0),
    ]
    for name, expected, constants in checks:
        call = nodes.get(name)
        if call is None or call.op not in _CALLS:
            raise NotTheSaverError(f"its saver names {name!r}, which calls no function")
        function = functions.get(call.attr["f"].func.name)
        if function is None:
            raise NotTheSaverError(f"{name!r} of its saver calls no function of the file")
        handles = _handles(call, saver.filename_tensor_name, nodes, constants)
        _require_equal(function, handles, expected, keys)
        names.append(function.signature.name)
    _require_no_other_caller(meta_graph, names)
    return frozenset(names)


def node_of(tensor: str) -> str:
    """Names the node of a tensor or of a control input: "x" of "x:0" and of "^x"."""
    return tensor.removeprefix("^").split(":")[0]


def _handles(call: Any, filename: str, nodes: Mapping[str, Any], constants: int) -> int:
    """Counts the variables that the saver's node is given; checks that it is given no more."""
    given = [nodes.get(node_of(name)) for name in call.input]
    kinds = [None if node is None else node.op for node in given]
    count = len(kinds) - 1 - constants
    expected = ["Placeholder", *["VarHandleOp"] * count, *["Const"] * constants]
    if kinds != expected or given[0] is not nodes.get(node_of(filename)):
        raise NotTheSaverError(f"{call.name!r} of its saver is given more than a name and weights")
    return count


def _require_equal(
    function: Any,
    variables: int,
    expected: Callable[[int, str, str], Counter[str]],
    keys: Sequence[str],
) -> None:
    name = function.signature.name
    written = _Expressions(function)
    entries = next((n for n in written.strings() if n[-1:] == (OBJECT_GRAPH,)), ())
    if sorted(entries) != sorted([*keys, OBJECT_GRAPH]) or len(entries) != variables + 1:
        raise NotTheSaverError(f"function {name!r} of its saver is of other weights")
    constants = _strings(entries), _strings([""] * len(entries))
    if written.all() != expected(variables, *constants) or written.outputs() != [_argument(0)]:
        raise NotTheSaverError(f"function {name!r} of its saver is not the one TensorFlow writes")


def _saving(variables: int, names: str, slices: str) -> Counter[str]:
    """Gives what the function that saves so many variables consists of."""
    destination, zero, one = _argument(0), _expression("0"), _expression("1")
    part, temporary = _string(".part"), _string("_temp/part")
    is_s3 = _expression("StaticRegexFullMatch ^s3://.*", destination)
    chosen = _expression("Select", is_s3, part, temporary)
    prefix = _expression("StringJoin", destination, chosen)
    file = _expression("ShardedFilename", prefix, zero, one)
    weights = [_argument(i + 1) for i in range(variables)]
    reads = [_expression("ReadVariableOp", weight) for weight in weights]
    saved = _expression("SaveV2", file, names, slices, *reads, _argument(variables + 1))
    packed = _expression("Pack", file)
    merged = _expression("MergeV2Checkpoints", packed, destination)
    found = Counter([zero, one, part, temporary, is_s3, chosen, prefix, file, names, slices])
    found.update(_expression("DisableCopyOnRead", weight) for weight in weights)
    found.update([*reads, saved, packed, merged])
    return found


def _restoring(variables: int, names: str, slices: str) -> Counter[str]:
    """Gives what the function that restores so many variables consists of."""
    restored = _expression("RestoreV2", _argument(0), names, slices)
    assigned = (
        _expression("AssignVariableOp", _argument(i + 1), _output(restored, i))
        for i in range(variables)
    )
    return Counter([names, slices, restored, *assigned])


def _expression(operation: str, *inputs: str) -> str:
    """Gives a text of constant length that is the same for equal operations of equal inputs."""
    return hashlib.sha256("\n".join([operation, *inputs]).encode()).hexdigest()


def _argument(index: int) -> str:
    return f"argument {index}"


def _output(expression: str, index: int) -> str:
    """Gives the first output of a node as the node, another with its number."""
    return f"{expression} {index}" if index else expression


def _string(value: str) -> str:
    return _expression("string", value)


def _strings(values: Sequence[str]) -> str:
    return _expression("strings", repr(list(values)))


class _Expressions:
    """What each node of a function computes, down to the function's arguments.

    Names of nodes, Identity, NoOp and the order of execution do not count.
    """

    def __init__(self, function: Any):
        self.name = function.signature.name
        self.returned = list(function.ret.values())
        self.nodes = {node.name: node for node in function.node_def}
        arguments = [argument.name for argument in function.signature.input_arg]
        self.arguments = {name: _argument(i) for i, name in enumerate(arguments)}
        if len(self.nodes) != len(function.node_def) or self.nodes.keys() & self.arguments.keys():
            raise NotTheSaverError(f"function {self.name!r} of its saver has two nodes of a name")
        self._known: dict[str, str] = {}

    def all(self) -> Counter[str]:
        """Gives the expression of each node."""
        kept = [n for n in self.nodes.values() if n.op not in ("Identity", "NoOp")]
        return Counter(self._of_node(node, 0) for node in kept)

    def outputs(self) -> list[str]:
        """Gives the expressions of what the function returns."""
        return [self._of_tensor(tensor, 0) for tensor in self.returned]

    def strings(self) -> list[tuple[str, ...]]:
        """Gives the values of constants that are several strings."""
        constants = [n.attr["value"].tensor for n in self.nodes.values() if n.op == "Const"]
        return [tuple(_decoded(c)) for c in constants if c.tensor_shape.dim]

    def _of_tensor(self, tensor: str, depth: int) -> str:
        name, *port = tensor.split(":")
        if name in self.arguments:
            return self.arguments[name]
        index = port[-1] if port else "0"
        if name not in self.nodes or depth > DEEPEST or not _PORT.fullmatch(index):
            raise NotTheSaverError(f"function {self.name!r} of its saver is not well formed")
        return _output(self._of_node(self.nodes[name], depth), int(index))

    def _of_node(self, node: Any, depth: int) -> str:
        if node.name not in self._known:
            self._known[node.name] = self._written(node, depth)
        return self._known[node.name]

    def _written(self, node: Any, depth: int) -> str:
        if node.op == "Const":
            return _constant(node.attr["value"].tensor)
        inputs = [self._of_tensor(i, depth + 1) for i in node.input if not i.startswith("^")]
        if node.op == "Identity" and len(inputs) == 1:
            return inputs[0]
        pattern = node.attr["pattern"].s.decode(errors="replace") if "pattern" in node.attr else ""
        return _expression(f"{node.op} {pattern}".strip(), *inputs)


def _constant(tensor: Any) -> str:
    if tensor.string_val:
        values = _decoded(tensor)
        return _strings(values) if tensor.tensor_shape.dim else _string(values[0])
    return _expression(str(tensor.int_val[0]) if len(tensor.int_val) == 1 else "other")


def _decoded(tensor: Any) -> list[str]:
    return [value.decode(errors="replace") for value in tensor.string_val]


def _require_no_other_caller(meta_graph: Any, names: Sequence[str]) -> None:
    """Checks that each of the functions is named by one node, and by nothing else."""
    graph = meta_graph.graph_def
    nodes = [*graph.node, *(n for f in graph.library.function for n in f.node_def)]
    named = Counter(name for node in nodes for name in called(node))
    objects = meta_graph.object_graph_def
    named.update(objects.concrete_functions.keys())
    named.update(name for node in objects.nodes for name in names_of_functions(node))
    for name in names:
        if named[name] != 1:
            raise NotTheSaverError(f"function {name!r} of its saver is called by others as well")


def called(node: Any) -> set[str]:
    """Gives every name by which a node may call a function, its own operation's among them."""
    names = {node.op}
    for value in node.attr.values():
        names.add(value.func.name)
        names.update(function.name for function in value.list.func)
    return names - {""}
