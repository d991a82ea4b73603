"""The audit refuses models that hold more than generating music needs, without running them."""

import importlib.util
import shutil
import sys
from pathlib import Path

import pytest
import tensorflow as tf

from crnn_gan import inspect
from crnn_gan.generation import audit as auditing
from crnn_gan.generation import saved_model
from crnn_gan.generation.allowed_operations import ALLOWED, REVIEWED
from crnn_gan.generation.audit import RefusedError

PATH = Path(__file__).parents[3] / "benchmarks" / "hostile_models.py"
SPEC = importlib.util.spec_from_file_location("hostile_models", PATH)
hostile = sys.modules["hostile_models"] = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(hostile)

pytestmark = pytest.mark.tensorflow_only


def audit(folder):
    """Gives what is found in a model."""
    try:
        with auditing.audited_copy(folder):
            return []
    except RefusedError as refused:
        return refused.findings


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / "good"
    hostile.make(folder)
    return folder


@pytest.fixture
def folder(good, tmp_path):
    """A copy of a good model, to be changed."""
    return Path(shutil.copytree(good, tmp_path / "copy"))


def test_an_exported_model_passes(exported):
    assert audit(exported) == []


def test_a_model_of_the_same_parts_passes_and_generates(good):
    assert audit(good) == []
    assert saved_model.load(good).generate(
        seed=tf.constant(1, tf.int64), count=tf.constant(1), length=tf.constant(1)
    )["midi_bytes"].numpy().tolist() == [b"3.000000"]  # 1 + 2, its weights.


@pytest.mark.parametrize(
    ("kind", "name"), [(kind, name) for kind, models in hostile.KINDS.items() for name in models]
)
def test_a_hostile_model_is_refused_in_a_sentence_before_anything_runs(kind, name, folder):
    hostile.KINDS[kind][name](folder)
    said = hostile.refusal(folder)
    assert str(folder) in said and "\n" not in said
    assert not (folder.parent / hostile.CANARY).exists()


def test_the_good_model_would_act_with_an_effect_so_refusals_prove_something(tmp_path):
    hostile.make(tmp_path / "model", hostile.EFFECTS["WriteFile"])
    unaudited = tf.saved_model.load(str(tmp_path / "model"))
    unaudited.generate(seed=tf.constant(1, tf.int64), count=tf.constant(1), length=tf.constant(1))
    assert (tmp_path / hostile.CANARY).exists()


@pytest.mark.parametrize(
    ("kind", "name", "finding"),
    [
        ("operations", "ReadFile", "operation ReadFile is not among those"),
        ("names", "a function named as the graph", "operation WriteFile is not among those"),
        ("names", "a call of an operation", "calls 'WriteFile', which is no function"),
        ("saver", "writes more", "of its saver is not the one TensorFlow writes"),
        ("saver", "an object", "of its saver is called by others as well"),
        ("what runs at loading", "no object graph", "it has no object graph"),
        ("what runs at loading", "init operation", "its init operation does more than nothing"),
        ("objects", "table", "is 'resource', where a function belongs"),
        ("files", "pipe", "variables/pipe is no ordinary file"),
        ("sizes", "constant of 400 GB", "its constants take 400,000,000"),
    ],
)
def test_a_finding_says_what_it_is(kind, name, finding, folder):
    hostile.KINDS[kind][name](folder)
    assert any(finding in found for found in audit(folder))


def test_a_graph_that_is_too_large_is_not_read(folder):
    with (folder / "saved_model.pb").open("r+b") as file:
        file.truncate(2**26 + 1)  # A hole: it takes no space on the disk.
    assert audit(folder) == ["saved_model.pb has more than 67,108,864 bytes"]


def test_a_folder_without_a_graph_is_refused(tmp_path):
    assert "there is no saved_model.pb" in audit(tmp_path)


def test_what_is_loaded_is_what_was_audited(folder, monkeypatch):
    """The folder is replaced by a hostile model between the audit and the loading."""
    load = tf.saved_model.load

    def replace_then_load(copy, **options):
        shutil.rmtree(folder)
        hostile.make(folder, hostile.EFFECTS["WriteFile"])
        return load(copy, **options)

    monkeypatch.setattr(tf.saved_model, "load", replace_then_load)
    sampler = saved_model.load(folder)
    arguments = {"seed": tf.constant(1, tf.int64), "count": 1, "length": 1}
    assert sampler.generate(**arguments)["midi_bytes"].numpy().tolist() == [b"3.000000"]
    assert not (folder.parent / hostile.CANARY).exists()


def test_the_private_copy_is_gone_afterwards(good):
    with auditing.audited_copy(good) as audited:
        assert [path.name for path in audited.folder.iterdir()] == ["saved_model.pb"]
        assert [weight.tolist() for weight in audited.weights] == [[1.0, 2.0]]
    assert not audited.folder.exists()


def test_an_error_names_the_first_findings_and_counts_the_others():
    error = RefusedError(Path("model"), ["one", "two", "three", "four", "five"])
    assert str(error).startswith("model is refused: one; two; three; and 2 more. A model that")
    assert error.findings == ["one", "two", "three", "four", "five"]


def test_no_allowed_operation_touches_files_or_keeps_state():
    for name in ALLOWED:
        definition = tf.raw_ops.__dict__.get(name)
        assert definition is not None, f"{name} is no operation of this TensorFlow"
    stateful = {name for name in ALLOWED if is_stateful(name)}
    # Calls pass on what they call, which is audited; weights are read; assertions fail.
    assert stateful == {
        "Assert", "If", "ReadVariableOp", "StatefulPartitionedCall", "VarHandleOp", "While",
    }  # fmt: skip


def is_stateful(name):
    from tensorflow.python.framework import op_def_registry

    return op_def_registry.get(name).is_stateful


def test_an_export_needs_the_allowed_operations_and_no_reviewed_one(exported):
    with auditing.audited_copy(exported) as audited:
        found = audited.operations
    assert {"MatMul", "StatefulPartitionedCall", "Assert"} <= found <= ALLOWED - REVIEWED


def test_inspect_accepts_an_exported_model_and_says_how_to_call_it(exported, capsys):
    inspect.main([str(exported)])
    printed = capsys.readouterr().out
    assert printed.startswith(f"{exported}: accepted\n")
    assert "generate(seed: int64, count: int32 = 1, length: int32 = 12, temperature:" in printed
    assert "temperature: scale of the noise of each step; give 0.1 to 2" in printed
    assert f"python -m crnn_gan.sample --saved_model={exported}" in printed
    assert len([line for line in printed.splitlines() if "saved_model.pb" in line]) == 1


def test_inspect_refuses_a_hostile_model_and_lists_everything(folder, capsys):
    hostile.KINDS["names"]["a function named as the graph"](folder)
    (folder / "saved_model.pbtxt").touch()
    (folder / "variables" / "more").symlink_to("/etc/hostname")
    with pytest.raises(ValueError, match="is refused for 2 reasons; sample and evaluate do not"):
        inspect.main([str(folder)])
    printed = capsys.readouterr().out
    assert printed.startswith(f"{folder}: refused\n")
    assert "saved_model.pbtxt is there" in printed and "variables/more is a link" in printed
    assert "generate(" not in printed


def test_inspect_wants_one_folder(tmp_path):
    with pytest.raises(ValueError, match="give one folder"):
        inspect.main([])
    with pytest.raises(ValueError, match="is no folder"):
        inspect.main([str(tmp_path / "missing")])
