"""The audit refuses graphs that want more than numbers, without running them."""

from pathlib import Path

import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from crnn_gan.generation.audit import audit, refuse_unsafe

pytestmark = pytest.mark.tensorflow_only


def read_a_file(seed):
    return {"stolen": tf.io.read_file("/etc/hostname")}


def write_a_file(seed):
    with tf.control_dependencies([tf.io.write_file("written_by_a_model", "x")]):
        return {"seed": tf.identity(seed)}


def print_to_a_file(seed):
    tf.print(seed, output_stream="file://printed_by_a_model")
    return {"seed": tf.identity(seed)}


def call_python(seed):
    return {"seed": tf.py_function(lambda x: x, [seed], tf.int64)}


def list_files(seed):
    return {"files": tf.io.matching_files("/etc/*")}


def read_records(seed):
    dataset = tf.data.TFRecordDataset("records")
    return {"records": dataset.reduce(tf.constant(0, tf.int64), lambda count, _: count + 1)}


def hide_in_a_branch(seed):
    return tf.cond(seed > 5, lambda: read_a_file(seed), lambda: {"stolen": tf.constant("")})


def save(function, folder, in_signature=True) -> Path:
    module = tf.Module()
    module.weight = tf.Variable([1.0, 2.0])
    module.function = tf.function(
        function, input_signature=[tf.TensorSpec([], tf.int64, name="seed")]
    )
    signature = (
        module.function
        if in_signature
        else tf.function(
            lambda seed: {"seed": seed}, input_signature=[tf.TensorSpec([], tf.int64, name="seed")]
        )
    )
    tf.saved_model.save(module, str(folder), signatures={"generate": signature})
    return folder


def edit(folder, change):
    """Changes the graph file of a SavedModel in place."""
    path = folder / "saved_model.pb"
    saved = saved_model_pb2.SavedModel.FromString(path.read_bytes())
    change(saved.meta_graphs[0])
    path.write_bytes(saved.SerializeToString())


@pytest.fixture
def harmless(tmp_path):
    return save(lambda seed: {"seed": seed + 1}, tmp_path / "harmless")


def test_our_own_model_passes(exported):
    assert audit(exported) == []


def test_a_model_that_only_counts_passes(harmless):
    assert audit(harmless) == []


@pytest.mark.parametrize(
    ("function", "finding"),
    [
        (read_a_file, "op ReadFile touches files"),
        (write_a_file, "op WriteFile touches files"),
        (print_to_a_file, "op PrintV2 prints or dumps"),
        (call_python, "op EagerPyFunc runs what the graph does not show"),
        (list_files, "op MatchingFiles touches files"),
        (read_records, "op TFRecordDataset reads data of its own"),
        (hide_in_a_branch, "op ReadFile touches files"),
    ],
)
@pytest.mark.parametrize("in_signature", [True, False])
def test_a_model_that_wants_more_than_numbers_is_refused(
    function, finding, in_signature, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    folder = save(function, tmp_path / "bad", in_signature)
    assert any(found.startswith(finding) for found in audit(folder))
    with pytest.raises(ValueError, match=f"{finding}.*get it again from people you trust"):
        refuse_unsafe(folder)
    assert {path.name for path in tmp_path.iterdir()} == {"bad"}


def test_saving_ops_are_refused_outside_the_saver(tmp_path):
    def save_elsewhere(seed):
        tf.raw_ops.SaveV2(
            prefix="elsewhere", tensor_names=["x"], shape_and_slices=[""], tensors=[seed]
        )
        return {"seed": tf.identity(seed)}

    assert any("op SaveV2" in found for found in audit(save(save_elsewhere, tmp_path / "bad")))


def test_a_signature_that_calls_the_savers_own_function_is_refused(harmless):
    def change(meta_graph):
        nodes = {node.name: node for node in meta_graph.graph_def.node}
        saver = nodes[meta_graph.saver_def.save_tensor_name.split(":")[0]]
        nodes["PartitionedCall"].attr["f"].func.name = saver.attr["f"].func.name

    assert audit(harmless) == []
    edit(harmless, change)
    assert any("op SaveV2" in found for found in audit(harmless))


def test_an_op_that_tensorflow_does_not_have_is_refused(harmless):
    def change(meta_graph):
        meta_graph.graph_def.node.add(name="x", op="LoadMyPlugin")

    edit(harmless, change)
    assert audit(harmless) == ["op LoadMyPlugin is unknown to this TensorFlow (in the graph)"]


@pytest.mark.parametrize("name", ["../../secrets", "/etc/passwd", "..\\secrets"])
def test_an_asset_outside_the_folder_is_refused(harmless, name):
    edit(harmless, lambda meta_graph: meta_graph.asset_file_def.add(filename=name))
    [finding] = audit(harmless)
    assert "leaves the folder" in finding


def test_a_link_is_refused(harmless):
    (harmless / "variables" / "more").symlink_to("/etc/hostname")
    assert audit(harmless) == ["more is a link"]


def test_a_text_graph_is_refused(harmless):
    (harmless / "saved_model.pbtxt").write_text("")
    assert audit(harmless) == ["saved_model.pbtxt is there: only the binary form is read"]


def test_a_graph_that_is_too_large_is_not_read(harmless):
    with (harmless / "saved_model.pb").open("r+b") as file:
        file.truncate(2**29 + 1)  # A hole: it takes no space on the disk.
    assert audit(harmless) == ["saved_model.pb is above 536870912 bytes"]


def test_a_damaged_graph_is_refused(harmless):
    (harmless / "saved_model.pb").write_bytes(b"\xff" * 100)
    assert audit(harmless) == ["saved_model.pb is damaged"]


def test_a_folder_without_a_graph_is_refused(tmp_path):
    assert audit(tmp_path) == ["there is no saved_model.pb"]
