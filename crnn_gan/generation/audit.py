"""Audit of a SavedModel: lists operations that generating music does not need, without loading it.

A SavedModel is a program. Its graph may read and write any file that the user may, and
TensorFlow runs it without a word. A model that makes music needs numbers only; one that
wants more is refused. This is a seat belt and no wall: open models from people you trust,
others in a container without network (TensorFlow, SECURITY.md).
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import Any

LARGEST_GRAPH_BYTES = 512 * 2**20  # saved_model.pb; weights lie in files of their own.

# Parts of op names that are refused, and what such ops do. Parts rather than whole names, so
# that the next version of an op is refused too.
DENIED = {
    "touches files": (
        "File Save Restore Checkpoint Reader LMDB Summary ImmutableConst LoadAndRemap "
        "VocabRemapping"
    ),
    "reads data of its own": "Dataset Iterator",
    "prints or dumps what it sees, also into files": "Print Debug CopyHost",
    "runs what the graph does not show": "PyFunc RemoteCall TPU",
    "opens a connection": "Send Recv Collective Rpc Bigtable",
}
# A SavedModel carries two functions that save and restore its weights; its saver_def names
# the nodes that call them. There, and only there, these ops are right.
SAVING = frozenset({"SaveV2", "MergeV2Checkpoints", "ShardedFilename"})
RESTORING = frozenset({"RestoreV2"})


def refuse_unsafe(folder: Path) -> None:
    """Refuses a SavedModel that `audit` finds anything in.

    Raises:
      ValueError: what was found.
    """
    if findings := audit(folder):
        raise ValueError(
            f"{folder} is refused: {'; '.join(findings)}. A model that makes music needs none "
            "of this: get it again from people you trust, or run it in a container of its own"
        )


def audit(folder: Path) -> list[str]:
    """Lists what a SavedModel holds that making music does not need; nothing is run.

    Finds ops that read or write files, run Python, print or open connections, in the graph
    or in any function; ops that this TensorFlow does not have; links; assets whose path
    leaves the folder; a text graph, which would be loaded in place of the binary one if
    that is missing; a graph file too large to read.
    """
    folder = Path(folder)
    findings = [f"{p.name} is a link" for p in sorted(folder.rglob("*")) if p.is_symlink()]
    if (folder / "saved_model.pbtxt").exists():
        findings.append("saved_model.pbtxt is there: only the binary form is read")
    graph = folder / "saved_model.pb"
    if not graph.is_file():
        return [*findings, "there is no saved_model.pb"]
    if graph.stat().st_size > LARGEST_GRAPH_BYTES:
        return [*findings, f"saved_model.pb is above {LARGEST_GRAPH_BYTES} bytes"]
    if findings:
        return findings
    return _audit_graph(graph.read_bytes())


def _audit_graph(serialized: bytes) -> list[str]:
    # Imported here so that the command line is checked before TensorFlow is loaded.
    from google.protobuf.message import DecodeError
    from tensorflow.core.protobuf import saved_model_pb2

    try:
        saved = saved_model_pb2.SavedModel.FromString(serialized)
    except DecodeError:
        return ["saved_model.pb is damaged"]
    findings = []
    for meta_graph in saved.meta_graphs:
        for asset in meta_graph.asset_file_def:
            path = PurePosixPath(asset.filename.replace("\\", "/"))
            if path.is_absolute() or ".." in path.parts:
                findings.append(f"asset path {asset.filename!r} leaves the folder")
        findings += _audit_ops(meta_graph)
    return findings


def _audit_ops(meta_graph: Any) -> list[str]:
    """Lists the refused ops of a MetaGraphDef, each once, with a place where it stands."""
    graph = meta_graph.graph_def
    functions = {f.signature.name: f.node_def for f in graph.library.function}
    right = _right_in_saver(meta_graph, functions)
    places = {"the graph": graph.node, **functions}
    found: dict[str, str] = {}
    for place, nodes in places.items():
        for op in {node.op for node in nodes} - functions.keys() - right.get(place, frozenset()):
            if reason := _reason(op):
                found.setdefault(op, f"op {op} {reason} (in {place})")
    return [found[op] for op in sorted(found)]


def _reason(op: str) -> str:
    """Gives what speaks against an op, or ""."""
    import tensorflow as tf

    for reason, parts in DENIED.items():
        if any(part in op for part in parts.split()):
            return reason
    return "" if hasattr(tf.raw_ops, op) else "is unknown to this TensorFlow"


def _right_in_saver(meta_graph: Any, functions: dict[str, Any]) -> dict[str, frozenset[str]]:
    """Gives the functions that only the saver calls, each with the ops that are right there."""
    saver = meta_graph.saver_def
    allowed = {saver.save_tensor_name.split(":")[0]: SAVING, saver.restore_op_name: RESTORING}
    nodes = meta_graph.graph_def.node
    right: dict[str, frozenset[str]] = {}
    for node in nodes:
        if node.name in allowed:
            for name in _reached(_called([node]), functions):
                right.setdefault(name, allowed[node.name])
    others = _called([node for node in nodes if node.name not in allowed])
    others |= set(meta_graph.object_graph_def.concrete_functions)
    for name in _reached(others, functions):
        right.pop(name, None)
    return right


def _reached(names: set[str], functions: dict[str, Any]) -> set[str]:
    """Gives the functions among `names`, and all that they call, however deep."""
    reached: set[str] = set()
    waiting = names & functions.keys()
    while waiting:
        reached |= waiting
        deeper = set().union(*(_called(functions[name]) for name in waiting))
        waiting = (deeper & functions.keys()) - reached
    return reached


def _called(nodes: Iterable[Any]) -> set[str]:
    """Gives every name by which nodes may call a function."""
    names = set()
    for node in nodes:
        names.add(node.op)
        for value in node.attr.values():
            names.add(value.func.name)
            names.update(function.name for function in value.list.func)
    return names
