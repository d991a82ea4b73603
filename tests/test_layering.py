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
    "pipelines/batches/prepared_pieces.py": "reads TFRecord files, shares its music with tf.data",
    "pipelines/batches/streaming.py": "tf.data",
    "pipelines/batches/whole_pieces.py": "tf.data",
    "pipelines/batches/windows.py": "runs in tf.data",
    "pipelines/array_operations.py": "what the notes side of codecs does on arrays and tensors",
    "pipelines/midi_bytes.py": "the MIDI files of an exported graph",
    "pipelines/note_tensors.py": "what the notes side of codecs shares",
    "pipelines/records.py": "TFRecord",
    "pipelines/tone_features.py": "what features of note_tuples mean, on the notes side",
}
# What crnn_gan is made of, from the ground up: an import goes down, or to another module of the
# same folder. Modules beside the folders that are not named here are the commands, above all.
FLOORS = (
    {"metrics", "layers", "training", "rendering"},
    {"adversarial", "generation"},
    {"music_model"},
    {"autoregressive"},
    {"models"},
    {"runs"},
    {"originality"},
    {"evaluation"},
    {"report", "sweeping"},
    {"commands"},
)
LONGEST_FILE, MEDIAN_FILE, NINE_OF_TEN_FILES = 400, 150, 300  # Lines.
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


def part_of(module: str) -> str:
    """The folder of crnn_gan that a module is in, or the module beside them; else "commands"."""
    name = module.split(".")[1] if "." in module else ""
    return name if any(name in floor for floor in FLOORS) else "commands"


def floor_of(part: str) -> int:
    return next(number for number, floor in enumerate(FLOORS) if part in floor)


def module_of(file: str) -> str:
    return file.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


MODULES = {module_of(file): file for file in FILES}


def imported_modules(file: str) -> set[str]:
    """The modules of this project that a file imports, wherever in it, for types alone as well."""
    own = module_of(file)
    names = {name if name in MODULES else name.rpartition(".")[0] for name in imports(file)}
    return (names & MODULES.keys()) - {own}


def packages(file: str) -> set[str]:
    return {module.split(".")[0] for module in imports(file)}


def test_module_names_are_unique_but_for_a_package_s_main_module():
    modules = [Path(file) for file in FILES if not file.endswith("__init__.py")]
    names = [module.stem for module in modules]
    assert {name for name in names if names.count(name) > 1} == set()
    for package in {Path(file).parent for file in FILES}:
        twins = [module for module in modules if module.stem == package.name]
        assert all(module.parent == package for module in twins), package


def test_files_of_pipelines_are_short():
    lengths = {
        file: len((ROOT / file).read_text().splitlines())
        for file in FILES
        if file.startswith("pipelines/")
    }
    assert {file: length for file, length in lengths.items() if length > 350} == {}
    assert sum(length < 300 for length in lengths.values()) >= 0.9 * len(lengths)


def test_there_are_files_to_look_at():
    assert "pipelines/score.py" in FILES
    assert "crnn_gan/music_model.py" in FILES


@pytest.mark.parametrize("file", [file for file in FILES if file.startswith("pipelines/")])
def test_pipelines_knows_neither_crnn_gan_nor_keras(file):
    assert not packages(file) & {"crnn_gan", "keras"}


@pytest.mark.parametrize("file", FILES)
def test_no_package_imports_a_test_a_benchmark_or_a_job(file):
    assert not packages(file) & {"tests", "benchmarks", "run"}


@pytest.mark.parametrize("file", [file for file in FILES if file.startswith("crnn_gan/")])
def test_imports_go_down_the_floors(file):
    here = part_of(module_of(file))
    there = {module: part_of(module) for module in imported_modules(file)}
    upward = [
        module
        for module, part in there.items()
        if module.startswith("crnn_gan.") and part != here and floor_of(part) >= floor_of(here)
    ]
    assert upward == []


def test_every_folder_of_crnn_gan_has_its_floor():
    folders = {file.split("/")[1] for file in FILES if file.count("/") == 2 and "crnn_gan" in file}
    assert folders <= set().union(*FLOORS)


def test_no_module_imports_one_that_imports_it():
    graph = {module: imported_modules(file) for module, file in MODULES.items()}
    while leaves := {module for module, names in graph.items() if not names}:
        graph = {module: names - leaves for module, names in graph.items() if module not in leaves}
    assert graph == {}


def test_files_are_short():
    lengths = sorted(len((ROOT / file).read_text().splitlines()) for file in FILES)
    assert lengths[-1] <= LONGEST_FILE
    assert lengths[len(lengths) // 2] <= MEDIAN_FILE
    assert lengths[len(lengths) * 9 // 10] <= NINE_OF_TEN_FILES


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
