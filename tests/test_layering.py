"""Imports run one way, run -> crnn_gan -> pipelines, and few files name a backend."""

import ast
import configparser
import re
import subprocess
import sys
from fnmatch import fnmatch
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FILES = sorted(
    path.relative_to(ROOT).as_posix()
    for package in ("pipelines", "crnn_gan")
    for path in (ROOT / package).rglob("*.py")
)
BACKENDS = {"tensorflow", "jax", "torch"}
# Who may name a backend, and why.
BACKEND_FILES = {
    "crnn_gan/training/jax_steps.py": "the primitives of that step on JAX",
    "crnn_gan/training/tensorflow_steps.py": "the primitives of that step on TensorFlow",
    "crnn_gan/runs/callbacks.py": "tf.summary, which writes what TensorBoard reads",
    "crnn_gan/layers/loops.py": "the recurrent loop of both backends",
    "crnn_gan/generation/*.py": "a SavedModel is TensorFlow's",
    "pipelines/codecs/*.py": "the notes side of a codec is TF ops",
    "pipelines/batches/augmentation.py": "runs in tf.data",
    "pipelines/batches/conditions.py": "runs in tf.data",
    "pipelines/dataset.py": "tf.data",
    "pipelines/batches/pieces.py": "reads TFRecord files; its music is shared with tf.data",
    "pipelines/batches/streaming.py": "tf.data",
    "pipelines/batches/whole_pieces.py": "tf.data",
    "pipelines/batches/windows.py": "runs in tf.data",
    "pipelines/array_operations.py": "what the notes side of codecs does on arrays and tensors",
    "pipelines/midi_bytes.py": "the MIDI files of an exported graph",
    "pipelines/note_tensors.py": "what the notes side of codecs shares",
    "pipelines/records.py": "TFRecord",
}
# Modules whose package has another name.
PACKAGE_OF = {
    "absl": "absl-py",
    "apache_beam": "apache-beam",
    "PIL": "pillow",
    "google": "protobuf",
    "fluidsynth": "pyfluidsynth",
}


def imports(file: str) -> set[str]:
    """All modules that a file imports, wherever in it, by their full names."""
    found = set()
    for node in ast.walk(ast.parse((ROOT / file).read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file} imports relatively; write the package's full name"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def packages(file: str) -> set[str]:
    return {module.split(".")[0] for module in imports(file)}


def test_there_are_files_to_look_at():
    assert "pipelines/score.py" in FILES
    assert "crnn_gan/music_model.py" in FILES


@pytest.mark.parametrize("file", [file for file in FILES if file.startswith("pipelines/")])
def test_pipelines_knows_neither_crnn_gan_nor_keras(file):
    assert not packages(file) & {"crnn_gan", "keras"}


@pytest.mark.parametrize("file", FILES)
def test_no_package_imports_a_test_a_benchmark_or_a_job(file):
    assert not packages(file) & {"tests", "benchmarks", "run"}


@pytest.mark.parametrize("file", FILES)
def test_only_the_files_of_the_rule_name_a_backend(file):
    if not any(fnmatch(file, pattern) for pattern in BACKEND_FILES):
        assert not packages(file) & BACKENDS


@pytest.mark.parametrize("file", [file for file in FILES if "/models/" in file])
def test_a_model_imports_no_other_model(file):
    assert not {m for m in imports(file) if m.startswith("crnn_gan.models.")}


@pytest.mark.parametrize("file", [file for file in FILES if "/codecs/" in file])
def test_a_codec_imports_a_backend_only_where_it_is_called(file):
    tree = ast.parse((ROOT / file).read_text())
    at_import = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    names = {alias.name for node in at_import for alias in node.names}
    names |= {node.module or "" for node in at_import if isinstance(node, ast.ImportFrom)}
    assert not {name.split(".")[0] for name in names} & BACKENDS


def test_preparing_music_loads_no_backend():
    code = (
        "import sys, pipelines.prepare, pipelines.codecs.note_tuples, pipelines.formats.midi;"
        "print(sorted({'tensorflow', 'keras', 'jax', 'torch'} & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() == "[]"


def requirements() -> dict[str, set[str]]:
    """The names of what setup.cfg requires, and of what each extra adds."""
    settings = configparser.ConfigParser()
    settings.read(ROOT / "setup.cfg")

    def names(text: str) -> set[str]:
        return {re.split(r"[^\w.-]", line, maxsplit=1)[0] for line in text.split("\n") if line}

    extras = settings["options.extras_require"]
    return {
        "": names(settings["options"]["install_requires"]),
        **{extra: names(text) for extra, text in extras.items()},
    }


@pytest.mark.parametrize("file", FILES)
def test_what_a_file_imports_is_declared_in_setup_cfg(file):
    only_for_tools = {"test", "compare"}
    extras = {
        extra: names for extra, names in requirements().items() if extra not in only_for_tools
    }
    declared = set().union(*extras.values())
    foreign = packages(file) - set(sys.stdlib_module_names) - {"pipelines", "crnn_gan"}
    assert {PACKAGE_OF.get(name, name) for name in foreign} <= declared


def test_what_setup_cfg_requires_is_used():
    used = set().union(*map(packages, FILES))
    programs = {"tensorboard"}  # tf.summary's files are read by it; nothing imports it.
    assert requirements()[""] - programs <= {PACKAGE_OF.get(name, name) for name in used}


def test_console_scripts_are_functions_that_exist():
    settings = configparser.ConfigParser()
    settings.read(ROOT / "setup.cfg")
    lines = settings["options.entry_points"]["console_scripts"].strip().split("\n")
    for line in lines:
        name, module, function = re.fullmatch(r"(\S+) = ([\w.]+):(\w+)", line).groups()
        tree = ast.parse((ROOT / f"{module.replace('.', '/')}.py").read_text())
        functions = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
        assert function in functions, line
        assert name == "crnn-gan-" + module.split(".")[-1].replace("_", "-")
