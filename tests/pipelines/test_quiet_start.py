"""What commands print while TensorFlow is imported: nothing of its own, and every real error."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipelines.quiet_start import START_UP_LINES

ROOT = Path(__file__).parents[2]
# A stand-in that writes as TensorFlow's native code does, without its seconds of import.
TENSORFLOW = f"""
import os
LINES = {START_UP_LINES!r}
for line in (*LINES[:2], "E0000 disk.cc:1] the disk is on fire"):
    os.write(2, line.encode() + b"\\n")
class config:
    def list_physical_devices():
        os.write(2, f"E0000 cuda_platform.cc:52] {{LINES[2]}}\\nE0000 gpu.cc:2] no".encode())
"""
COMMAND = """
import sys
from pipelines.command_line import run_command
def main(argv):
    print("before", file=sys.stderr)
    import tensorflow
    print("after", file=sys.stderr)
sys.exit(run_command(main))
"""


def stderr_of(words: list[str], path: Path, **environment: str) -> str:
    """Runs Python with packages of `path` before all others; gives its standard error."""
    known = {name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"}
    places = {"PYTHONPATH": f"{path}:{ROOT}"}
    done = subprocess.run(
        [sys.executable, *words],
        env=known | places | environment,
        capture_output=True,
        text=True,
        timeout=300,
        cwd=path,
    )
    return done.stderr


@pytest.fixture
def stand_in(tmp_path) -> Path:
    (tmp_path / "tensorflow.py").write_text(TENSORFLOW)
    return tmp_path


def test_a_command_of_this_project_prints_nothing_of_tensorflow(tmp_path):
    command = ["-m", "crnn_gan.train", "--model=char_rnn", "--help"]  # It imports Keras.
    assert stderr_of(command, tmp_path, KERAS_BACKEND="tensorflow") == ""


@pytest.mark.parametrize("level", [{}, {"TF_CPP_MIN_LOG_LEVEL": "1"}])
def test_known_lines_are_hidden_and_all_others_appear_in_their_order(stand_in, level):
    assert stderr_of(["-c", COMMAND], stand_in, **level).split("\n") == [
        *("before", "E0000 disk.cc:1] the disk is on fire", "E0000 gpu.cc:2] noafter", ""),
    ]


def test_all_lines_appear_where_the_user_asks_for_them(stand_in):
    said = stderr_of(["-c", COMMAND], stand_in, TF_CPP_MIN_LOG_LEVEL="0")
    assert said.split("\n") == [
        *("before", *START_UP_LINES[:2], "E0000 disk.cc:1] the disk is on fire", "after", ""),
    ]


def test_the_last_words_of_a_library_that_ends_the_process_appear(tmp_path):
    text = f'import os\nos.write(2, b"{START_UP_LINES[0]}\\nF0000 no AVX\\n")\nos.abort()\n'
    (tmp_path / "tensorflow.py").write_text(text)
    said = stderr_of(["-c", COMMAND], tmp_path)
    assert said.split("\n")[:2] == ["before", "F0000 no AVX"]


def test_an_import_that_fails_is_an_error_as_ever(tmp_path):
    (tmp_path / "tensorflow.py").write_text('raise ImportError("libcudart is broken")\n')
    assert stderr_of(["-c", COMMAND], tmp_path).endswith("ImportError: libcudart is broken\n")
