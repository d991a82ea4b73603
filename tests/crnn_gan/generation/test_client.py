"""A C program samples an exported model and writes the same bytes as Python."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest
import tensorflow as tf

from crnn_gan.generation import saved_model

pytestmark = pytest.mark.tensorflow_only
SOURCE = Path(__file__).with_name("client.c")


@pytest.fixture(scope="module")
def client(tmp_path_factory) -> Path:
    package = Path(tf.__file__).parent
    libraries = [
        next(package.glob(f"libtensorflow_{name}.so.*"), None) for name in ("cc", "framework")
    ]
    if not shutil.which("gcc"):
        pytest.skip("there is no gcc to compile the client with")
    if None in libraries:
        pytest.skip("this TensorFlow package has no libraries to link against")
    program = tmp_path_factory.mktemp("client") / "client"
    command = ["gcc", "-std=c11", "-Wall", "-Wextra", "-Werror", f"-isystem{package}/include"]
    command += [str(SOURCE), "-o", str(program), *map(str, libraries), f"-Wl,-rpath,{package}"]
    subprocess.run(command, check=True, capture_output=True, text=True)
    return program


def ask(client, exported, path, **values) -> subprocess.CompletedProcess:
    generate = json.loads((exported / "signature.json").read_text())["signatures"]["generate"]
    output = generate["outputs"]["midi_bytes"]
    command = [client, exported, path, output["operation"], output["index"]]
    for name, value in values.items():
        tensor = generate["inputs"][name]
        command += [tensor["operation"], tensor["dtype"], value]
    return subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=120)


ASKED = {"seed": -(2**40), "count": 1, "length": 300, "temperature": 1.25, "spread": 0.5}


def test_the_client_writes_the_bytes_that_python_writes(client, exported, tmp_path):
    done = ask(client, exported, tmp_path / "c.mid", **ASKED)
    assert done.returncode == 0, done.stderr
    from_python = saved_model.load(exported).generate(**ASKED)["midi_bytes"].numpy()[0]
    assert (tmp_path / "c.mid").read_bytes() == from_python


def test_the_client_is_refused_in_the_same_words(client, exported, tmp_path):
    done = ask(client, exported, tmp_path / "c.mid", **{**ASKED, "length": 0})
    assert done.returncode == 1
    assert "length is 0; give 1 to 100000" in done.stderr
    assert not (tmp_path / "c.mid").exists()


def test_the_client_names_an_operation_that_is_not_there(client, exported, tmp_path):
    command = [client, exported, tmp_path / "c.mid", "melody", "0"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 1
    assert "the model has no operation melody; signature.json lists them" in done.stderr
