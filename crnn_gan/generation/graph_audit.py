"""What a MetaGraph may hold: operations that are allowed, in each place under its own name."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from crnn_gan.generation.allowed_operations import ALLOWED
from crnn_gan.generation.constant_audit import constant_findings, has_plain_shape
from crnn_gan.generation.object_audit import checkpoint_keys, constants_of_objects, object_findings
from crnn_gan.generation.saver_audit import NotTheSaverError, called, node_of, saver_functions

SAVER_OPERATIONS = frozenset(
    (
        *("AssignVariableOp", "DisableCopyOnRead", "MergeV2Checkpoints"),
        *("RestoreV2", "SaveV2", "ShardedFilename"),
    )
)
THE_GRAPH = "the graph"
TAGS = ["serve"]
INIT = "__saved_model_init_op"  # A signature; of the collection of the same meaning the key is:
MAIN_OP = "saved_model_main_op"
MOST_SIGNATURES = 32
MOST_FUNCTIONS, MOST_NODES, MOST_INPUTS = 2_000, 100_000, 500_000  # An export has some 10,000.
DEEPEST_CALLS = 100  # Functions that call one another.
MOST_OUTPUTS = 10_000  # Of one operation, and inputs where their number is an attribute.
_NUMBERS = ("N", "num", "num_split")
_CONCATENATION = "TensorListConcatV2"
_RESIZE = "resize_if_index_out_of_bounds"
SERVED = "tensorflow/serving/predict"
_DEVICE = re.compile(r"(/job:localhost)?(/replica:0)?(/task:0)?(/device:(CPU|GPU):(\d+|\*))?")
_META_GRAPH = {
    *("meta_info_def", "graph_def", "saver_def", "collection_def", "signature_def"),
    *("asset_file_def", "object_graph_def"),
}
_META_INFO = {
    *("stripped_op_list", "tags", "tensorflow_version", "tensorflow_git_version"),
    "stripped_default_attrs",
}
_SIGNATURE = {"inputs", "outputs", "method_name", "defaults"}
_FUNCTION = {"signature", "node_def", "ret", "attr", "arg_attr", "control_ret"}
_ARGUMENT_ATTRIBUTES = {"_user_specified_name", "_output_shapes"}
_DECLARATION = {"name", "input_arg", "output_arg", "is_stateful", "control_output"}
_FUNCTION_ATTRIBUTES = {"_construction_context", "_input_shapes", "_XlaMustCompile", "_noinline"}
# Attributes that TensorFlow adds to those that an operation is defined with. None names anything
# that is run, and none changes what is computed.
_ADDED_ATTRIBUTES = {
    *("_output_shapes", "_has_manual_control_dependencies", "_read_only_resource_inputs"),
    *("_collective_manager_ids", "_lower_using_switch_merge", "_num_original_outputs"),
    *("_xla_propagate_compile_time_consts", "_XlaMustCompile", "_class"),
}
# Of the session's settings that each call of a function carries: how much of the machine is used.
_CONFIG = {
    *("device_count", "gpu_options", "allow_soft_placement", "experimental"),
    *("pluggable_device_options", "graph_options", "intra_op_parallelism_threads"),
    *("inter_op_parallelism_threads", "log_device_placement"),
}


def meta_graph_findings(meta_graph: Any) -> Iterator[str]:
    """Gives what a MetaGraphDef holds that generating music does not need, each in words."""
    if not meta_graph.HasField("object_graph_def"):
        yield "it has no object graph, so that TensorFlow would run its init operation"
        return
    yield from _unknown_fields(meta_graph, _META_GRAPH, "the MetaGraph")
    yield from _unknown_fields(meta_graph.meta_info_def, _META_INFO, "its meta information")
    if list(meta_graph.meta_info_def.tags) != TAGS:
        yield f"its tags are {list(meta_graph.meta_info_def.tags)}, not {TAGS}"
    for asset in meta_graph.asset_file_def:
        yield f"it has an asset, the file {asset.filename!r}"
    graph = meta_graph.graph_def
    if finding := _too_large(meta_graph):
        yield finding
        return
    yield from _unknown_fields(graph, {"node", "library", "versions"}, "the graph")
    yield from _unknown_fields(graph.library, {"function"}, "its library of functions")
    functions = {f.signature.name: f for f in graph.library.function}
    yield from _function_findings(graph.library.function, functions)
    said = object_findings(meta_graph, functions.keys())
    saver: frozenset[str] = frozenset(functions)  # So that it is not taken apart for that.
    if not said:
        saver, said = _saver_of(meta_graph)
    yield from _operation_findings(meta_graph, functions.keys(), saver)
    yield from said
    yield from constant_findings(_constants(meta_graph))
    yield from _entry_findings(meta_graph, frozenset() if said else saver)


def _too_large(meta_graph: Any) -> str:
    """Says what there is more of than can be looked at in a second, or ""."""
    functions = meta_graph.graph_def.library.function
    nodes = len(meta_graph.graph_def.node) + sum(len(f.node_def) for f in functions)
    if len(functions) > MOST_FUNCTIONS or nodes > MOST_NODES:
        return f"it has {len(functions):,} functions and {nodes:,} operations"
    inputs = sum(len(node.input) for _, each in places(meta_graph) for node in each)
    return f"its operations have {inputs:,} inputs" if inputs > MOST_INPUTS else ""


def places(meta_graph: Any) -> Iterator[tuple[str, Sequence[Any]]]:
    """Gives each place where nodes stand: its name in words, and the nodes."""
    yield THE_GRAPH, meta_graph.graph_def.node
    for function in meta_graph.graph_def.library.function:
        yield f"function {function.signature.name!r}", function.node_def


def operations(meta_graph: Any) -> set[str]:
    """Names all operations of a MetaGraphDef, in the graph and in its functions.

    Functions that are called as operations, and the saver's own operations, are left out.
    """
    names = {function.signature.name for function in meta_graph.graph_def.library.function}
    found = {node.op for _, nodes in places(meta_graph) for node in nodes}
    return found - names - SAVER_OPERATIONS


def _unknown_fields(message: Any, known: set[str], what: str) -> Iterator[str]:
    for field, _ in message.ListFields():
        if field.name not in known:
            yield f"{what} has {field.name!r}, which no exported model has"


def _function_findings(listed: Sequence[Any], functions: Mapping[str, Any]) -> Iterator[str]:
    """Finds functions whose name is another's or an operation's, and that call themselves."""
    from tensorflow.python.framework import op_def_registry

    if len(functions) != len(listed):
        yield "two of its functions have one name"
    for name, function in functions.items():
        if op_def_registry.get(name) is not None:
            yield f"function {name!r} has the name of an operation"
        yield from _unknown_fields(function, _FUNCTION, f"function {name!r}")
        yield from _unknown_fields(function.signature, _DECLARATION, f"function {name!r}")
        unknown = function.attr.keys() - _FUNCTION_ATTRIBUTES
        for argument in function.arg_attr.values():
            unknown |= argument.attr.keys() - _ARGUMENT_ATTRIBUTES
        for attribute in sorted(unknown):
            yield f"function {name!r} has the attribute {attribute!r}"
    calls = {
        name: {c for node in function.node_def for c in called(node)} & functions.keys()
        for name, function in functions.items()
    }
    if name := _too_deep(calls):
        yield f"function {name!r} calls itself, or functions call one another too deeply"


def _too_deep(calls: Mapping[str, set[str]]) -> str:
    """Names a function that calls itself, or others deeper than `DEEPEST_CALLS`; or gives ""."""
    callers: dict[str, list[str]] = {name: [] for name in calls}
    for name, each in calls.items():
        for callee in each:
            callers[callee].append(name)
    waits_for = {name: len(each) for name, each in calls.items()}
    done = {name: 0 for name, count in waits_for.items() if not count}  # Their depth.
    ready = list(done)
    for name in ready:  # Grows: takes away those that call none of what is left.
        for caller in callers[name]:
            waits_for[caller] -= 1
            if not waits_for[caller]:
                done[caller] = 1 + max(done[callee] for callee in calls[caller])
                ready.append(caller)
    wrong = [n for n in calls if n not in done or done[n] > DEEPEST_CALLS]
    return min(wrong, default="")


def _saver_of(meta_graph: Any) -> tuple[frozenset[str], list[str]]:
    """Gives the functions that save and restore; where they are changed all, and what is wrong.

    All, so that one change is not followed by a finding for each operation of a saver.
    """
    try:
        keys = checkpoint_keys(meta_graph.object_graph_def)
        return saver_functions(meta_graph, list(keys)), []
    except NotTheSaverError as error:
        functions = meta_graph.graph_def.library.function
        return frozenset(f.signature.name for f in functions), [str(error)]


def _operation_findings(meta_graph: Any, functions: Any, saver: frozenset[str]) -> Iterator[str]:
    """Finds operations that are not allowed, each once, and what nodes carry beside them."""
    said = set()
    in_saver = {f"function {name!r}" for name in saver}
    for place, nodes in places(meta_graph):
        allowed = ALLOWED | SAVER_OPERATIONS if place in in_saver else ALLOWED
        if place != THE_GRAPH:  # A function is given the weights that it reads.
            allowed -= {"VarHandleOp"}
        constants = {node.name: node for node in nodes if node.op == "Const"}
        for node in nodes:
            found = [*_node_findings(node, allowed, functions)]
            if node.op == _CONCATENATION and not has_plain_shape(node, constants):
                found.append(f"operation {node.op} is given a shape that others choose")
            for finding in found:
                if finding not in said:
                    said.add(finding)
                    yield f"{finding} (in {place})"


def _node_findings(node: Any, allowed: frozenset[str], functions: Any) -> Iterator[str]:
    if node.op not in functions and node.op not in allowed:
        name = node.op if node.op.isidentifier() else repr(node.op)
        yield f"operation {name} is not among those that generating music needs"
        return
    for name in sorted(called(node) - {node.op} - functions):
        yield f"operation {node.op} calls {name!r}, which is no function of the file"
    if not _DEVICE.fullmatch(node.device):
        yield f"operation {node.op} is placed on {node.device!r}"
    for name in sorted(node.attr.keys() - _attributes(node.op) - _ADDED_ATTRIBUTES):
        yield f"operation {node.op} has the attribute {name!r}"
    for value in node.attr.values():
        if value.placeholder or any(f.attr for f in [value.func, *value.list.func]):
            yield f"operation {node.op} calls a function that others choose"
    for name in _NUMBERS:
        if name in node.attr and not 0 <= node.attr[name].i <= MOST_OUTPUTS:
            yield f"operation {node.op} has {node.attr[name].i:,} outputs or inputs"
    # Where a list is made longer wrongly, the process ends.
    if _RESIZE in node.attr and node.attr[_RESIZE].b:
        yield f"operation {node.op} makes lists longer"
    if "executor_type" in node.attr and node.attr["executor_type"].s:
        yield f"operation {node.op} wants an executor of its own"
    if "config_proto" in node.attr:
        yield from _config_findings(node)


@functools.cache
def _attributes(operation: str) -> set[str]:
    """Names the attributes that an operation is defined with; none of a function."""
    from tensorflow.python.framework import op_def_registry

    definition = op_def_registry.get(operation)
    return set() if definition is None else {attribute.name for attribute in definition.attr}


def _config_findings(node: Any) -> Iterator[str]:
    """Finds settings of a session that do more than say how much of the machine is used."""
    from google.protobuf.message import DecodeError
    from tensorflow.core.protobuf import config_pb2

    try:
        config = config_pb2.ConfigProto.FromString(node.attr["config_proto"].s)
    except DecodeError:
        yield f"operation {node.op} has damaged settings"
        return
    yield from _unknown_fields(config, _CONFIG, f"the session of operation {node.op}")
    inner = [config.graph_options, config.graph_options.rewrite_options, config.experimental]
    allowed: list[set[str]] = [
        {"rewrite_options", "optimizer_options"},
        {"disable_meta_optimizer"},
        set(),
    ]
    for message, known in zip(inner, allowed, strict=True):
        yield from _unknown_fields(message, known, f"the session of operation {node.op}")


def _constants(meta_graph: Any) -> Iterator[tuple[str, list[Any]]]:
    """Gives the constants of each place."""
    for place, nodes in places(meta_graph):
        values = [value for node in nodes for value in node.attr.values()]
        yield place, [v.tensor for v in values if v.HasField("tensor")]
        yield place, [tensor for value in values for tensor in value.list.tensor]
    for key, signature in meta_graph.signature_def.items():
        yield f"its signature {key!r}", list(signature.defaults.values())
    yield "its objects", list(constants_of_objects(meta_graph.object_graph_def))


def _entry_findings(meta_graph: Any, saver: frozenset[str]) -> Iterator[str]:
    """Finds what is run at loading, or by a signature, beside the functions that generate."""
    nodes = {node.name: node for node in meta_graph.graph_def.node}
    if len(nodes) != len(meta_graph.graph_def.node):
        yield "two nodes of its graph have one name"
    for key, collection in meta_graph.collection_def.items():
        names = list(collection.node_list.value)
        if key != MAIN_OP or len(names) != 1 or not _does_nothing(nodes.get(names[0])):
            yield f"its collection {key!r} is not that of an exported model"
    if len(meta_graph.signature_def) > MOST_SIGNATURES:
        yield f"it has {len(meta_graph.signature_def):,} signatures"
        return
    outputs: list[str] = []
    for key, signature in meta_graph.signature_def.items():
        infos = [*signature.inputs.values(), *signature.outputs.values()]
        if key == INIT:
            if len(infos) != 1 or not _does_nothing(nodes.get(node_of(infos[0].name))):
                yield "its init operation does more than nothing"
            continue
        if signature.method_name != SERVED or any(
            i.WhichOneof("encoding") != "name" for i in infos
        ):
            yield f"its signature {key!r} is not that of an exported model"
        yield from _unknown_fields(signature, _SIGNATURE, f"its signature {key!r}")
        outputs += [node_of(info.name) for info in signature.outputs.values()]
    if any(saver & called(nodes[name]) for name in _behind(outputs, nodes)):
        yield "a signature saves or restores weights"


def _does_nothing(node: Any) -> bool:
    return node is not None and node.op == "NoOp" and not node.input


def _behind(names: Sequence[str], nodes: Mapping[str, Any]) -> set[str]:
    """Names the nodes among `names`, and all that they get anything from."""
    found: set[str] = set()
    waiting = set(names) & nodes.keys()
    while waiting:
        found |= waiting
        inputs = {node_of(tensor) for name in waiting for tensor in nodes[name].input}
        waiting = (inputs & nodes.keys()) - found
    return found
