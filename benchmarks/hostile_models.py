"""Hostile SavedModels: each must be refused in one sentence before anything of it runs.

Makes over a hundred models that want more than to make music, of twelve kinds: operations that
touch files or call Python, hidden in branches, loops and unused functions; names that confuse an
audit; changed savers; what runs at loading; objects with code of their own; links and second
graphs; settings of the runtime; sizes that take all memory; indices that end TensorFlow's reader;
descriptions that do not fit; and models that are damaged. Every one is loaded by
`saved_model.load`, in this process.

    python benchmarks/hostile_models.py                   # some 20 seconds
    python benchmarks/hostile_models.py --trace           # the same under strace
    python benchmarks/hostile_models.py --counter_check   # which ones act where nothing audits them

Prints a row per kind: models, refused, canaries that were touched. Ends with status 1 where a model
is loaded, an error is no sentence, or a canary was touched. The models are always the same.
"""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import struct
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import tensorflow as tf
from tensorflow.core.protobuf import config_pb2, saved_model_pb2, tensor_bundle_pb2

from crnn_gan.generation import saved_model, weights_file
from crnn_gan.generation.interface import Argument, Interface
from pipelines.atomic_file import write_atomically
from pipelines.command_line import parse, run_command
from pipelines.settings import Settings, flag
from pipelines.tfrecord import crc32c, masked

CANARY = "canary.txt"  # Beside the models: no good model has a reason to read or write it.
INTERFACE = Interface(
    {
        "seed": Argument("int64", -9, 9, None, "seed"),
        "count": Argument("int32", 1, 9, 1, "pieces"),
        "length": Argument("int32", 1, 9, 4, "steps"),
    },
    *("note", 384, 500_000),
    outputs={"midi_bytes": "files"},
)

Effect = Callable[[str], Any]  # Of the canary's path; gives a tensor, or nothing.
Change = Callable[[Path], None]  # Of a folder that holds a good model.


@dataclasses.dataclass(frozen=True)
class Flags(Settings):
    """What is proved besides the refusal."""

    trace: bool = flag(False, "run under strace, and look for the canary in the system calls")
    counter_check: bool = flag(False, "load models of effects unaudited, each in its own process")


# ------------------------------------------------------------------ Effects


def _reader(reader: Any, canary: str) -> Any:
    queue = tf.raw_ops.FIFOQueueV2(component_types=[tf.string])
    tf.raw_ops.QueueEnqueueV2(handle=queue, components=[tf.constant(canary)])
    tf.raw_ops.QueueCloseV2(handle=queue)  # Else a reader that finds nothing waits for more.
    return tf.raw_ops.ReaderReadV2(reader_handle=reader, queue_handle=queue).value


def _table(canary: str) -> Any:
    table = tf.raw_ops.HashTableV2(key_dtype=tf.string, value_dtype=tf.int64)
    tf.raw_ops.InitializeTableFromTextFileV2(
        table_handle=table, filename=canary, key_index=-2, value_index=-1
    )
    return tf.raw_ops.LookupTableSizeV2(table_handle=table)


def _save(canary: str) -> Any:
    return tf.raw_ops.SaveV2(
        prefix=canary, tensor_names=["x"], shape_and_slices=[""], tensors=[tf.constant(1.0)]
    )


def _summary(canary: str) -> Any:
    writer = tf.raw_ops.SummaryWriter(shared_name="w")
    return tf.raw_ops.CreateSummaryFileWriter(
        writer=writer, logdir=canary, max_queue=1, flush_millis=1, filename_suffix=""
    )


EFFECTS: dict[str, Effect] = {
    "ReadFile": tf.io.read_file,
    "WriteFile": lambda canary: tf.io.write_file(canary, "x"),
    "MatchingFiles": tf.io.matching_files,
    "PrintV2": lambda canary: tf.print("x", output_stream=f"file://{canary}"),
    "EagerPyFunc": lambda canary: tf.py_function(
        lambda: Path(canary).write_text("x"), [], tf.int64
    ),
    "PyFunc": lambda canary: tf.numpy_function(lambda: Path(canary).write_text("x"), [], tf.int64),
    "TextLineDataset": lambda canary: tf.data.TextLineDataset(canary).reduce(
        tf.constant(0, tf.int64), lambda count, _: count + 1
    ),
    "WholeFileReaderV2": lambda canary: _reader(tf.raw_ops.WholeFileReaderV2(), canary),
    "TFRecordReaderV2": lambda canary: _reader(tf.raw_ops.TFRecordReaderV2(), canary),
    "InitializeTableFromTextFileV2": _table,
    "GenerateVocabRemapping": lambda canary: (
        tf.raw_ops.GenerateVocabRemapping(
            new_vocab_file=canary, old_vocab_file=canary, new_vocab_offset=0, num_new_vocab=1
        ).remapping
    ),
    "DecodeProtoV2": lambda canary: tf.io.decode_proto(
        tf.constant([b""]), "m", ["f"], [tf.int32], descriptor_source=canary
    ),
    "SaveV2": _save,
    "RestoreV2": lambda canary: tf.raw_ops.RestoreV2(
        prefix=canary, tensor_names=["x"], shape_and_slices=[""], dtypes=[tf.float32]
    ),
    "MergeV2Checkpoints": lambda canary: tf.raw_ops.MergeV2Checkpoints(
        checkpoint_prefixes=[canary], destination_prefix=canary
    ),
    "CreateSummaryFileWriter": _summary,
    "ImmutableConst": lambda canary: tf.raw_ops.ImmutableConst(
        dtype=tf.float32, shape=[1], memory_region_name=canary
    ),
    "Abort": lambda canary: tf.raw_ops.Abort(error_msg="x"),
    "AssignVariableOp": lambda canary: tf.raw_ops.AssignVariableOp(
        resource=tf.raw_ops.VarHandleOp(dtype=tf.float32, shape=[2], shared_name="w"),
        value=tf.constant([0.0, 0.0]),
    ),
    "StatefulUniform": lambda canary: tf.raw_ops.RandomUniform(shape=[2], dtype=tf.float32),
}


def _in_branch(effect: Effect) -> Effect:
    return lambda canary: tf.cond(
        tf.constant(canary) == "", lambda: tf.constant(""), lambda: _text(effect(canary))
    )


def _in_loop(effect: Effect) -> Effect:
    return lambda canary: tf.while_loop(
        lambda i, _: i < 1, lambda i, _: (i + 1, _text(effect(canary))), (0, tf.constant(""))
    )[1]


def _in_function(effect: Effect) -> Effect:
    return lambda canary: tf.function(tf.function(lambda: _text(effect(canary))))()


def _text(effect: Any) -> tf.Tensor:
    """Gives what an effect gave as one text, so that nothing may leave it out."""
    tensors = [x for x in tf.nest.flatten(effect) if isinstance(x, tf.Tensor)]
    parts = [x for x in tensors if x.dtype not in (tf.resource, tf.variant)]
    with tf.control_dependencies([x for x in tf.nest.flatten(effect) if x is not None]):
        texts = [x if x.dtype == tf.string else tf.strings.as_string(x) for x in parts]
        flat = [tf.strings.reduce_join(tf.reshape(text, [-1])) for text in texts]
        return tf.strings.join([tf.constant(""), *flat])


# ------------------------------------------------------------------ Models


class Generator(tf.Module):
    """A module with the parts of an exported model, whose pieces are two letters."""

    def __init__(self, effect: Effect | None, canary: str, is_called: bool = True):
        super().__init__()
        self.weights = [tf.Variable([1.0, 2.0])]
        self.canary, self.effect = canary, effect if is_called else None
        one = [tf.TensorSpec([], kind, name) for name, kind in _ARGUMENTS]
        each = [tf.TensorSpec([None], kind, name) for name, kind in _ARGUMENTS if name != "count"]
        self.generate = tf.function(lambda seed, count, length: self.make(), one)
        self.serving_default = tf.function(lambda seed, length: self.make(), each)
        if effect is not None and not is_called:
            self.other = tf.function(lambda: _text(effect(canary)), [])

    def make(self) -> dict[str, tf.Tensor]:
        """Gives the outputs of `generate`."""
        text = tf.strings.as_string(tf.reduce_sum(self.weights[0]))
        if self.effect is not None:
            text = tf.strings.join([text, _text(self.effect(self.canary))])
        return {"midi_bytes": text[None]}


_ARGUMENTS = (("seed", tf.int64), ("count", tf.int32), ("length", tf.int32))


def make(folder: Path, effect: Effect | None = None, is_called: bool = True) -> None:
    """Writes a model: a good one, or one with an effect on the canary beside it."""
    module = Generator(effect, str(folder.parent / CANARY), is_called)
    signatures = {"generate": module.generate, "serving_default": module.serving_default}
    tf.saved_model.save(module, str(folder), signatures=signatures)
    _describe(folder, INTERFACE)


def _describe(folder: Path, interface: Interface) -> None:
    write_atomically(folder / "signature.json", json.dumps(interface.to_json()).encode())


def edited(change: Callable[[Any], None]) -> Change:
    """Gives a change of the MetaGraph in a folder's graph file."""

    def apply(folder: Path) -> None:
        path = folder / "saved_model.pb"
        saved = saved_model_pb2.SavedModel.FromString(path.read_bytes())
        change(saved.meta_graphs[0])
        path.write_bytes(saved.SerializeToString())

    return apply


def _called(meta_graph: Any) -> Any:
    """Gives the node that calls `generate`."""
    return next(n for n in meta_graph.graph_def.node if "Partitioned" in n.op)


def _saver_node(meta_graph: Any) -> Any:
    name = meta_graph.saver_def.save_tensor_name.split(":")[0]
    return next(node for node in meta_graph.graph_def.node if node.name == name)


def _function(meta_graph: Any, name: str) -> Any:
    return next(f for f in meta_graph.graph_def.library.function if f.signature.name == name)


def _saving(meta_graph: Any) -> Any:
    return _function(meta_graph, _saver_node(meta_graph).attr["f"].func.name)


def _restoring(meta_graph: Any) -> Any:
    name = meta_graph.saver_def.restore_op_name
    node = next(node for node in meta_graph.graph_def.node if node.name == name)
    return _function(meta_graph, node.attr["f"].func.name)


def _node(nodes: Any, operation: str) -> Any:
    return next(node for node in nodes if node.op == operation)


def _writing_nodes(nodes: Any) -> None:
    """Adds nodes that would write a file."""
    for name, text in (("path", CANARY), ("text", "x")):
        constant = nodes.add(name=f"evil_{name}", op="Const")
        constant.attr["dtype"].type = tf.string.as_datatype_enum
        constant.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(text))
    nodes.add(name="evil", op="WriteFile", input=["evil_path", "evil_text"])


# ------------------------------------------------------------------ Names that confuse an audit


def _named_the_graph(meta_graph: Any) -> None:
    _writing_nodes(meta_graph.graph_def.node)
    meta_graph.graph_def.library.function.add().signature.name = "the graph"


def _two_of_one_name(meta_graph: Any) -> None:
    functions = meta_graph.graph_def.library.function
    copy = functions.add()
    copy.CopyFrom(functions[0])
    _writing_nodes(functions[0].node_def)


def _named_as_an_operation(meta_graph: Any) -> None:
    function = meta_graph.graph_def.library.function.add()
    function.signature.name = "WriteFile"
    _writing_nodes(meta_graph.graph_def.node)


def _calls_an_operation(meta_graph: Any) -> None:
    _called(meta_graph).attr["f"].func.name = "WriteFile"


def _has_a_gradient(meta_graph: Any) -> None:
    gradient = meta_graph.graph_def.library.gradient.add()
    gradient.function_name = meta_graph.graph_def.library.function[0].signature.name
    gradient.gradient_func = gradient.function_name


def _calls_itself(meta_graph: Any) -> None:
    function = meta_graph.graph_def.library.function[0]
    node = function.node_def.add(name="again", op="StatefulPartitionedCall")
    node.attr["f"].func.name = function.signature.name


# ------------------------------------------------------------------ Savers


def _saver_is_called(meta_graph: Any) -> None:
    _called(meta_graph).attr["f"].func.name = _saving(meta_graph).signature.name


def _saver_is_an_object(meta_graph: Any) -> None:
    name = _saving(meta_graph).signature.name
    meta_graph.object_graph_def.concrete_functions[name].SetInParent()


def _saver_is_a_signature(meta_graph: Any) -> None:
    node = _saver_node(meta_graph)
    meta_graph.signature_def["generate"].outputs["midi_bytes"].name = f"{node.name}:0"


def _saver_writes_elsewhere(meta_graph: Any) -> None:
    function = _saving(meta_graph)
    _writing_nodes(function.node_def)
    _node(function.node_def, "MergeV2Checkpoints").input[1] = "evil_path:output:0"
    del function.node_def[-1]


def _saver_writes_more(meta_graph: Any) -> None:
    _writing_nodes(_saving(meta_graph).node_def)


def _saver_joins_another_path(meta_graph: Any) -> None:
    constant = _node(_saving(meta_graph).node_def, "Const")
    constant.attr["value"].tensor.string_val[0] = b"/../../" + CANARY.encode()


def _saver_restores_another_file(meta_graph: Any) -> None:
    function = _restoring(meta_graph)
    _writing_nodes(function.node_def)
    del function.node_def[-1]
    _node(function.node_def, "RestoreV2").input[0] = "evil_path:output:0"


def _saver_restores_other_entries(meta_graph: Any) -> None:
    constant = _node(_restoring(meta_graph).node_def, "Const")
    constant.attr["value"].tensor.string_val[0] = b"another"


def _saver_is_given_a_constant(meta_graph: Any) -> None:
    _writing_nodes(meta_graph.graph_def.node)
    del meta_graph.graph_def.node[-1]
    _saver_node(meta_graph).input[0] = "evil_path"


def _saver_names_the_generator(meta_graph: Any) -> None:
    meta_graph.saver_def.save_tensor_name = f"{_called(meta_graph).name}:0"


# ------------------------------------------------------------------ What runs at loading


def _no_objects(meta_graph: Any) -> None:
    meta_graph.ClearField("object_graph_def")


def _init_operation(meta_graph: Any) -> None:
    _writing_nodes(meta_graph.graph_def.node)
    info = meta_graph.signature_def["__saved_model_init_op"].outputs
    info["__saved_model_init_op"].name = "evil"


def _init_is_a_call(meta_graph: Any) -> None:
    info = meta_graph.signature_def["__saved_model_init_op"].outputs
    info["__saved_model_init_op"].name = _called(meta_graph).name


def _main_op(meta_graph: Any) -> None:
    collection = meta_graph.collection_def["saved_model_main_op"].node_list
    collection.value[:] = [_saver_node(meta_graph).name]


def _init_waits_for_more(meta_graph: Any) -> None:
    _node(meta_graph.graph_def.node, "NoOp").input.append(f"^{_called(meta_graph).name}")


def _legacy_init(meta_graph: Any) -> None:
    names = meta_graph.collection_def["legacy_init_op"].node_list.value
    names.append(_called(meta_graph).name)


def _initialisers(meta_graph: Any) -> None:
    meta_graph.collection_def["table_initializer"].node_list.value.append("NoOp")


# ------------------------------------------------------------------ Objects


def _asset(meta_graph: Any) -> None:
    meta_graph.asset_file_def.add(filename="../../" + CANARY)


def _object(change: Callable[[Any], None]) -> Change:
    def add(meta_graph: Any) -> None:
        objects = meta_graph.object_graph_def
        change(objects.nodes.add())
        objects.nodes[0].children.add(node_id=len(objects.nodes) - 1, local_name="more")

    return edited(add)


def _first_object(change: Callable[[Any], None]) -> Change:
    return edited(lambda meta_graph: change(meta_graph.object_graph_def.nodes[0]))


def _rename_a_part(name: str) -> Change:
    def rename(node: Any) -> None:
        node.children[0].local_name = name

    return _first_object(rename)


def _set_class(node: Any) -> None:
    node.user_object.identifier = "_tf_keras_layer"


def _set_saver(node: Any) -> None:
    node.registered_saver = "Custom.saver"


def _huge_variable(meta_graph: Any) -> None:
    for node in meta_graph.object_graph_def.nodes:
        if node.WhichOneof("kind") == "variable":
            node.variable.shape.dim[0].size = 10**12


def _weights(meta_graph: Any) -> Any:
    """Gives the list of weights."""
    objects = meta_graph.object_graph_def
    index = next(c.node_id for c in objects.nodes[0].children if c.local_name == "weights")
    return objects.nodes[index]


def _one_weight_twice(meta_graph: Any) -> None:
    weights = _weights(meta_graph)
    weights.children.add(node_id=weights.children[0].node_id, local_name="1")


def _endless_list(meta_graph: Any) -> None:
    _weights(meta_graph).children[0].local_name = "2000000000"


def _weight_that_assigns(meta_graph: Any) -> None:
    objects = meta_graph.object_graph_def
    generate = next(c.node_id for c in objects.nodes[0].children if c.local_name == "generate")
    variable = objects.nodes[_weights(meta_graph).children[0].node_id]
    variable.children.add(node_id=generate, local_name="assign")


def _part_that_is_not_there(node: Any) -> None:
    node.children[0].node_id = -5


def _saver_in_an_object(meta_graph: Any) -> None:
    for node in meta_graph.object_graph_def.nodes:
        if node.WhichOneof("kind") == "bare_concrete_function":
            name = _saving(meta_graph).signature.name
            node.bare_concrete_function.concrete_function_name = name
            return


def _chain_of_objects(meta_graph: Any) -> None:
    objects = meta_graph.object_graph_def
    for _ in range(20_000):
        objects.nodes.add().user_object.identifier = "_generic_user_object"
        last = len(objects.nodes) - 1
        objects.nodes[last - 1].children.add(node_id=last, local_name="more")


def _text_default(meta_graph: Any) -> None:
    for node in meta_graph.object_graph_def.nodes:
        if node.WhichOneof("kind") == "bare_concrete_function":
            value = node.bare_concrete_function.function_spec.fullargspec.tensor_value
            value.CopyFrom(tf.make_tensor_proto("x" * 100_000))
            value.tensor_shape.dim.add(size=10**5)
            return


# ------------------------------------------------------------------ The runtime


def _attribute(name: str, value: bytes) -> Change:
    def set_attribute(meta_graph: Any) -> None:
        _called(meta_graph).attr[name].s = value

    return edited(set_attribute)


def _device(meta_graph: Any) -> None:
    _called(meta_graph).device = "/job:worker/replica:0/task:0/device:CPU:0"


def _optimizer() -> bytes:
    config = config_pb2.ConfigProto()
    config.graph_options.rewrite_options.custom_optimizers.add(name="theirs")
    return config.SerializeToString()


def _constant(change: Callable[[Any], None]) -> Change:
    def add(meta_graph: Any) -> None:
        node = meta_graph.graph_def.node.add(name="big", op="Const")
        node.attr["dtype"].type = tf.float32.as_datatype_enum
        change(node.attr["value"].tensor)

    return edited(add)


def _splat(tensor: Any) -> None:
    tensor.CopyFrom(tf.make_tensor_proto(1.0))
    tensor.tensor_shape.dim.add(size=10**11)


def _many_axes(tensor: Any) -> None:
    tensor.CopyFrom(tf.make_tensor_proto(1.0))
    for _ in range(200_000):
        tensor.tensor_shape.dim.add(size=2**62)


def _many_signatures(meta_graph: Any) -> None:
    for number in range(2_000):
        meta_graph.signature_def[f"s{number}"].CopyFrom(meta_graph.signature_def["generate"])


def _chosen_function(meta_graph: Any) -> None:
    _called(meta_graph).attr["f"].func.attr["then_branch"].func.name = "theirs"


def _chosen_attribute(meta_graph: Any) -> None:
    _called(meta_graph).attr["f"].placeholder = "theirs"


def _registered_gradient(meta_graph: Any) -> None:
    meta_graph.graph_def.library.registered_gradients.add(registered_op_type="theirs")


def _in_function_graph(operation: str, name: str, value: bool) -> Change:
    """Gives a change that adds an allowed operation with an attribute that ends the process."""

    def add(meta_graph: Any) -> None:
        node = meta_graph.graph_def.node.add(name="list", op=operation)
        node.attr[name].b = value

    return edited(add)


def _many_outputs(meta_graph: Any) -> None:
    meta_graph.graph_def.node.add(name="many", op="Unpack").attr["num"].i = 2**40


def _many_nodes(meta_graph: Any) -> None:
    nodes = meta_graph.graph_def.library.function[0].node_def
    nodes.extend([type(nodes[0])(name=f"n{number}", op="NoOp") for number in range(200_000)])


def _many_inputs(meta_graph: Any) -> None:
    for number in range(1_000):
        before = [f"^d{other}" for other in range(number)]
        meta_graph.graph_def.node.add(name=f"d{number}", op="NoOp", input=before)
    for number in range(10):
        every = [f"^d{other}" for other in range(1_000)]
        meta_graph.graph_def.node.add(name=f"e{number}", op="NoOp", input=every)


def _handle(tensor: Any) -> None:
    tensor.dtype = tf.resource.as_datatype_enum


# ------------------------------------------------------------------ Files


def _link(name: str) -> Change:
    def change(folder: Path) -> None:
        path = folder / name
        kept = path.rename(folder.parent / f"{folder.name}-{path.name}")
        path.symlink_to(kept)

    return change


def _file(name: str) -> Change:
    def change(folder: Path) -> None:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("x")

    return change


def _pipe(folder: Path) -> None:
    os.mkfifo(folder / "variables" / "pipe")


def _two_graphs(folder: Path) -> None:
    path = folder / "saved_model.pb"
    saved = saved_model_pb2.SavedModel.FromString(path.read_bytes())
    saved.meta_graphs.add().CopyFrom(saved.meta_graphs[0])
    path.write_bytes(saved.SerializeToString())


def _cut(name: str, share: float) -> Change:
    def change(folder: Path) -> None:
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(content[: int(len(content) * share)])

    return change


def _larger_weights(folder: Path) -> None:
    with (folder / "variables" / "variables.data-00000-of-00001").open("r+b") as file:
        file.truncate(2**40)  # A hole: it takes no space on the disk.


def _other_weights(folder: Path) -> None:
    shutil.rmtree(folder / "variables")
    made = tf.train.Checkpoint(weights=[tf.Variable(tf.zeros([2, 2]))])
    made.write(str(folder / "variables" / "variables"))


def _index(change: Callable[[list[Any], list[bytes]], None]) -> Change:
    """Gives a change of the header and the first weight's entry in an index, checksums made right.

    The change gets [BundleHeaderProto, BundleEntryProto] and the keys of all entries.
    """

    def apply(folder: Path) -> None:
        path = folder / "variables" / "variables.index"
        pairs = dict(weights_file.pairs_of(path.read_bytes()))
        header = tensor_bundle_pb2.BundleHeaderProto.FromString(pairs[b""])
        key = b"weights/0/.ATTRIBUTES/VARIABLE_VALUE"
        entry = tensor_bundle_pb2.BundleEntryProto.FromString(pairs[key])
        keys = list(pairs)
        change([header, entry], keys)
        pairs |= {b"": header.SerializeToString(), key: entry.SerializeToString()}
        path.write_bytes(_table([(name, pairs.get(name, pairs[key])) for name in sorted(keys)]))

    return apply


def _table(pairs: Sequence[tuple[bytes, bytes]]) -> bytes:
    """Writes an index as LevelDB does, one block without shared beginnings."""

    def number(value: int) -> bytes:
        rest = [] if value < 128 else list(number(value >> 7))
        return bytes([value & 127 | (128 if rest else 0), *rest])

    def block(entries: Sequence[tuple[bytes, bytes]]) -> bytes:
        made = b"".join(b"\0" + number(len(k)) + number(len(v)) + k + v for k, v in entries)
        content = made + struct.pack("<2I", 0, 1) + b"\0"
        return content + masked(crc32c([content])[0])

    def place(offset: int, made: bytes) -> bytes:
        return number(offset) + number(len(made) - 5)

    data, meta = block(pairs), block([])
    index = block([(b"~", place(0, data))])
    footer = place(len(data), meta) + place(len(data) + len(meta), index)
    return data + meta + index + footer.ljust(40, b"\0") + struct.pack("<Q", weights_file.MAGIC)


def _set(number: int, **fields: int) -> Change:
    def change(messages: list[Any], keys: list[bytes]) -> None:
        del keys
        for name, value in fields.items():
            setattr(messages[number], name, value)

    return _index(change)


def _axis(size: int) -> Change:
    return _index(lambda messages, keys: setattr(messages[1].shape.dim[0], "size", size))


def _garbage(folder: Path) -> None:
    path = folder / "variables" / "variables.index"
    path.write_bytes(path.read_bytes()[:20] + b"\xff" * 40 + path.read_bytes()[60:])


def _flipped(folder: Path) -> None:
    path = folder / "variables" / "variables.data-00000-of-00001"
    content = path.read_bytes()
    path.write_bytes(bytes([content[0] ^ 1]) + content[1:])


def _deep_folders(folder: Path) -> None:
    for _ in range(40):
        folder = folder / "x"
    folder.mkdir(parents=True)


def _deep_json(folder: Path) -> None:
    (folder / "signature.json").write_text("[" * 100_000)


def _json_pipe(folder: Path) -> None:
    (folder / "signature.json").unlink()
    os.mkfifo(folder / "signature.json")


def _described(**changes: Any) -> Change:
    """Gives a change of the argument `length` in signature.json, or of an output's words."""

    def apply(folder: Path) -> None:
        values = INTERFACE.to_json()
        values["arguments"]["length"] |= {k: v for k, v in changes.items() if k != "output"}
        values["outputs"]["midi_bytes"] = changes.get("output", "files")
        (folder / "signature.json").write_text(json.dumps(values))

    return apply


def _control(name: str) -> Change:
    def apply(folder: Path) -> None:
        values = INTERFACE.to_json()
        values["arguments"][name] = values["arguments"]["length"]
        (folder / "signature.json").write_text(json.dumps(values))

    return apply


def _endless_json(folder: Path) -> None:
    with (folder / "signature.json").open("r+b") as file:
        file.truncate(2**33)


def _other_functions(folder: Path) -> None:
    more = INTERFACE.arguments | {"colour": Argument("float32", 0, 1, 0.5, "colour")}
    _describe(folder, dataclasses.replace(INTERFACE, arguments=more))


def _effect(name: str, is_called: bool = True, wrap: Callable = lambda effect: effect) -> Change:
    def change(folder: Path) -> None:
        shutil.rmtree(folder)
        make(folder, wrap(EFFECTS[name]), is_called)

    return change


KINDS: dict[str, dict[str, Change]] = {
    "operations": {name: _effect(name) for name in EFFECTS},
    "hidden operations": {
        "in a branch": _effect("WriteFile", wrap=_in_branch),
        "in a loop": _effect("WriteFile", wrap=_in_loop),
        "two functions deep": _effect("WriteFile", wrap=_in_function),
        "in a function that nothing calls": _effect("WriteFile", is_called=False),
        "in the graph, loose": edited(lambda m: _writing_nodes(m.graph_def.node)),
        "in the graph, unknown": edited(lambda m: m.graph_def.node.add(name="x", op="TheirOp")),
    },
    "names": {
        "a function named as the graph": edited(_named_the_graph),
        "two functions of one name": edited(_two_of_one_name),
        "a function named as an operation": edited(_named_as_an_operation),
        "a call of an operation": edited(_calls_an_operation),
        "a gradient": edited(_has_a_gradient),
        "a registered gradient": edited(_registered_gradient),
        "a function with functions": edited(_chosen_function),
        "a function of a caller's choice": edited(_chosen_attribute),
        "a function that calls itself": edited(_calls_itself),
    },
    "saver": {
        "called by a signature's node": edited(_saver_is_called),
        "an object": edited(_saver_is_an_object),
        "a signature": edited(_saver_is_a_signature),
        "writes elsewhere": edited(_saver_writes_elsewhere),
        "writes more": edited(_saver_writes_more),
        "joins another path": edited(_saver_joins_another_path),
        "restores another file": edited(_saver_restores_another_file),
        "restores other entries": edited(_saver_restores_other_entries),
        "a traced function": edited(_saver_in_an_object),
        "given a constant": edited(_saver_is_given_a_constant),
        "names the generator": edited(_saver_names_the_generator),
    },
    "what runs at loading": {
        "no object graph": edited(_no_objects),
        "init operation": edited(_init_operation),
        "init is a call": edited(_init_is_a_call),
        "main operation": edited(_main_op),
        "init waits for more": edited(_init_waits_for_more),
        "legacy init": edited(_legacy_init),
        "initialisers": edited(_initialisers),
    },
    "objects": {
        "asset": edited(_asset),
        "asset object": _object(lambda n: n.asset.SetInParent()),
        "table": _object(lambda n: n.resource.SetInParent()),
        "captured tensor": _object(lambda n: n.captured_tensor.SetInParent()),
        "constant": _object(lambda n: n.constant.SetInParent()),
        "class": _first_object(_set_class),
        "registered saver": _first_object(_set_saver),
        "saveable": _first_object(lambda n: n.saveable_objects["x"].SetInParent()),
        "one weight twice": edited(_one_weight_twice),
        "weight that assigns": edited(_weight_that_assigns),
        "part that is not there": _first_object(_part_that_is_not_there),
        "chain": edited(_chain_of_objects),
        "__class__": _rename_a_part("__class__"),
        "_restore_from_tensors": _rename_a_part("_restore_from_tensors"),
    },
    "files": {
        "graph is a link": _link("saved_model.pb"),
        "weights are a link": _link("variables/variables.data-00000-of-00001"),
        "text graph": _file("saved_model.pbtxt"),
        "chunked graph": _file("saved_model.cpb"),
        "asset file": _file("assets/vocabulary.txt"),
        "another shard": _file("variables/variables.data-00001-of-00002"),
        "pipe": _pipe,
    },
    "runtime": {
        "executor": _attribute("executor_type", b"THEIRS"),
        "optimizer": _attribute("config_proto", _optimizer()),
        "unknown attribute": _attribute("_their_attribute", b"x"),
        "remote device": edited(_device),
        "list made longer": _in_function_graph(
            "TensorListSetItem", "resize_if_index_out_of_bounds", True
        ),
        "list of any shape": edited(
            lambda m: m.graph_def.node.add(name="list", op="TensorListConcatV2")
        ),
    },
    "sizes": {
        "constant of 400 GB": _constant(_splat),
        "constant that is a handle": _constant(_handle),
        "variable of 4 TB": edited(_huge_variable),
        "weights of 1 TB": _larger_weights,
        "list of 2,000,000,000": edited(_endless_list),
        "text of 10 GB": edited(_text_default),
        "200,000 axes": _constant(_many_axes),
        "2,000 signatures": edited(_many_signatures),
        "2^40 outputs": edited(_many_outputs),
        "200,000 operations": edited(_many_nodes),
        "500,000 inputs": edited(_many_inputs),
        "folders in folders": _deep_folders,
        "nested JSON": _deep_json,
        "JSON of 8 GB": _endless_json,
    },
    "index of weights": {
        "garbage": _garbage,
        "another type": _set(1, dtype=9999),
        "texts": _set(1, dtype=7),
        "offset": _set(1, offset=2**62),
        "offset below 0": _set(1, offset=-8),
        "size": _set(1, size=2**62),
        "shard": _set(1, shard_id=-7),
        "shards": _set(0, num_shards=2),
        "big-endian": _set(0, endianness=1),
        "axis": _axis(2**62),
        "axis below 0": _axis(-1),
        "slices": _index(lambda messages, keys: messages[1].slices.add().extent.add()),
        "a long name": _index(lambda messages, keys: keys.append(b"w" * 1_000)),
        "many weights": _index(lambda m, keys: keys.extend(b"x%d" % i for i in range(1_000))),
        "another weight": _index(lambda messages, keys: keys.append(b"weights/1")),
        "no header": _index(lambda messages, keys: keys.remove(b"")),
    },
    "signature.json": {
        "a pipe": _json_pipe,
        "a default that lacks": _described(default=None),
        "a length of three": _described(size=3, default=[1, 2, 3]),
        "a cursor that moves": _described(output="\x1b[2Jaccepted"),
        "two lines": _described(help="steps\naccepted"),
        "__class__": _control("__class__"),
        "__slots__": _control("__slots__"),
    },
    "damage": {
        "weights flipped": _flipped,
        "two graphs": _two_graphs,
        "graph cut": _cut("saved_model.pb", 0.7),
        "graph empty": _cut("saved_model.pb", 0),
        "index cut": _cut("variables/variables.index", 0.5),
        "weights cut": _cut("variables/variables.data-00000-of-00001", 0),
        "weights of another shape": _other_weights,
        "functions of another model": _other_functions,
    },
}


def refusal(folder: Path) -> str:
    """Gives the sentence that a model is refused with; "" where it is loaded.

    Raises:
      whatever loading raises that is no ValueError.
    """
    try:
        saved_model.load(folder)
    except ValueError as error:
        return str(error)
    return ""


def campaign(parent: Path) -> dict[str, list[tuple[str, str]]]:
    """Makes and loads all models; gives (name, what was wrong) of those not refused, by kind."""
    good = parent / "good"
    make(good)
    if said := refusal(good):
        raise ValueError(f"the good model is refused, so refusals prove nothing: {said}")
    failed: dict[str, list[tuple[str, str]]] = {}
    for kind, models in KINDS.items():
        failed[kind] = []
        for number, (name, change) in enumerate(models.items()):
            folder = parent / f"{kind.replace(' ', '_')}-{number}"
            shutil.copytree(good, folder)
            change(folder)
            said = refusal(folder)
            if not said or "\n" in said or any(p.name == CANARY for p in parent.iterdir()):
                failed[kind].append((name, said or "loaded"))
    return failed


def main(argv: list[str]) -> None:
    """Runs the campaign by a command line, and prints its table.

    Raises:
      ValueError: a model was loaded, or a canary was touched.
    """
    [flags] = parse(argv, __doc__ or "", Flags)
    with tempfile.TemporaryDirectory() as name:
        if flags.counter_check:
            _print_effects(Path(name))
            return
        if flags.trace:
            _trace(Path(name))
            return
        failed = campaign(Path(name))
    print(f"{'kind':<24}{'models':>8}{'refused':>9}")
    for kind, models in KINDS.items():
        print(f"{kind:<24}{len(models):>8}{len(models) - len(failed[kind]):>9}")
        for model, said in failed[kind]:
            print(f"    {model}: {said}")
    total, wrong = sum(map(len, KINDS.values())), sum(map(len, failed.values()))
    print(f"{'all':<24}{total:>8}{total - wrong:>9}")
    if wrong:
        raise ValueError(f"{wrong} of {total} hostile models were not refused in a sentence")


def _trace(parent: Path) -> None:
    """Runs the campaign under strace; finds system calls on the canary, and programs started.

    Raises:
      ValueError: there are some.
    """
    log = parent / "calls.txt"
    command = ["strace", "-f", "-qq", "-e", "trace=%file,%network,execve", "-o", str(log)]
    done = subprocess.run([*command, sys.executable, __file__], check=False)
    touched = [line for line in log.read_text(errors="replace").splitlines() if CANARY in line]
    print(f"system calls on files named {CANARY}: {len(touched)}")
    if done.returncode or touched:
        raise ValueError("a canary was touched: " + "; ".join(touched[:3]))


UNAUDITED = """
import sys, tensorflow as tf
model = tf.saved_model.load(sys.argv[1])
model.generate(seed=tf.constant(7, tf.int64), count=tf.constant(1), length=tf.constant(4))
"""


def _print_effects(parent: Path) -> None:
    """Says which models touch the canary, or end the process, where nothing audits them."""
    for number, name in enumerate(EFFECTS):
        folder = parent / str(number) / "model"
        folder.parent.mkdir()
        (folder.parent / CANARY).write_text("x")
        make(folder, EFFECTS[name])
        log = parent / str(number) / "calls.txt"
        command = ["strace", "-f", "-qq", "-e", "trace=%file", "-o", str(log)]
        program = [sys.executable, "-c", UNAUDITED, str(folder)]
        done = subprocess.run([*command, *program], capture_output=True)
        acts = sum(CANARY in line for line in log.read_text(errors="replace").splitlines())
        ends = " and ends the process" if done.returncode < 0 else ""
        print(f"{name:<32}{acts} system calls on the canary{ends}", flush=True)


def run() -> int:
    """Runs the command; gives its exit status."""
    return run_command(main)


if __name__ == "__main__":
    sys.exit(run())
