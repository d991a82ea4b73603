"""run/setup.sh on a tiny project: what it installs, repairs and leaves alone. No network."""

import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

SETUP = Path(__file__).parents[1] / "run/setup.sh"
# A build backend of a few lines: an editable wheel that holds its metadata and a path.
BACKEND = """
import pathlib, zipfile

def get_requires_for_build_editable(config_settings=None):
    return []

def build_editable(wheel_directory, config_settings=None, metadata_directory=None):
    name = "tiny-1.0-py3-none-any.whl"
    info = "tiny-1.0.dist-info/"
    files = {
        "tiny.pth": str(pathlib.Path.cwd()),
        info + "METADATA": "Metadata-Version: 2.1\\nName: tiny\\nVersion: 1.0\\n"
        "Provides-Extra: test\\nProvides-Extra: jax\\n",
        info + "WHEEL": "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n",
    }
    files[info + "RECORD"] = "".join(f"{file},,\\n" for file in [*files, info + "RECORD"])
    with zipfile.ZipFile(pathlib.Path(wheel_directory, name), "w") as wheel:
        for file, text in files.items():
            wheel.writestr(file, text)
    return name
"""


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> Path:
    """The tiny project, set up once; its folder's name has a space."""
    root = tmp_path_factory.mktemp("tiny") / "my project"
    (root / "run").mkdir(parents=True)
    shutil.copy(SETUP, root / "run")
    (root / "setup.cfg").write_text("[options.extras_require]\ntest =\njax =\n")
    (root / "pyproject.toml").write_text(
        '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
    )
    (root / "backend.py").write_text(BACKEND)
    assert "installing crnn-gan[test] into .venv" in call(root)
    return root


def start(root: Path, *words: str, **environment: str) -> subprocess.Popen[str]:
    usual = {name: value for name, value in os.environ.items() if name != "KERAS_BACKEND"}
    return subprocess.Popen(
        [root / "run/setup.sh", *words],
        cwd="/",
        env=usual | {"PYTHON": sys.executable} | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def call(root: Path, *words: str, status: int = 0, **environment: str) -> str:
    process = start(root, *words, **environment)
    printed, _ = process.communicate()
    assert process.returncode == status, printed
    return printed


def is_installed(root: Path) -> bool:
    code = "import importlib.metadata as m; m.distribution('tiny').read_text('RECORD')"
    return subprocess.run([root / ".venv/bin/python", "-c", code]).returncode == 0


def test_a_second_call_has_nothing_to_say_and_starts_no_python(built):
    call(built)
    python = built / ".venv/bin/python"
    python.rename(python.with_name("python.away"))
    python.write_text("#!/bin/sh\necho called; exit 1\n")
    python.chmod(python.stat().st_mode | stat.S_IXUSR)
    try:
        assert call(built) == ""
    finally:
        python.with_name("python.away").replace(python)


def test_jax_is_added_when_keras_runs_on_it_and_then_both_are_there(built):
    assert "crnn-gan[jax]" in call(built, KERAS_BACKEND="jax")
    assert call(built, KERAS_BACKEND="jax") == ""
    assert call(built) == ""


def test_a_change_of_setup_cfg_installs_again(built):
    with (built / "setup.cfg").open("a") as file:
        file.write("# changed\n")
    assert "crnn-gan[test]" in call(built)
    assert call(built) == ""


def test_an_extra_that_is_not_there_is_refused_in_words(built):
    assert "there is no extra 'gpus'" in call(built, "gpus", status=1)


def test_a_package_that_was_left_half_installed_is_installed_again(built):
    (info,) = (built / ".venv").glob("lib/python*/site-packages/tiny-1.0.dist-info")
    (info / "RECORD").unlink()
    (built / ".venv/installed-test").unlink()
    call(built)
    assert is_installed(built)


def test_a_failed_installation_says_where_to_look_and_the_next_call_tries_again(built):
    backend = built / "backend.py"
    backend.write_text("raise RuntimeError('out of paper')\n")
    (built / ".venv/installed-test").unlink()
    printed = call(built, status=1)
    assert "out of paper" in printed
    assert "pip failed (above; all of it in .venv/install.log)" in printed
    backend.write_text(BACKEND)
    assert "done" in call(built)


def test_an_environment_without_pip_is_made_anew_and_two_calls_at_once_do_it_once(built):
    (packages,) = (built / ".venv").glob("lib/python*/site-packages")
    shutil.rmtree(packages / "pip")
    for stamp in (built / ".venv").glob("installed-*"):
        stamp.unlink()
    processes = [start(built), start(built)]
    printed = [process.communicate()[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], printed
    assert sorted("installing" in text for text in printed) == [False, True]
    assert is_installed(built)


def test_a_python_that_is_too_old_or_missing_is_named_with_what_to_do(built, tmp_path):
    old = tmp_path / "python3"
    old.write_text('#!/bin/sh\n[ "$1" = --version ] && echo Python 3.8.1 || exit 1\n')
    old.chmod(0o755)
    (built / ".venv/installed-test").unlink()
    printed = call(built, PYTHON=f"{old} no-such-python", status=1)
    assert "needs Python 3.11 or newer" in printed
    assert "(Python 3.8.1)" in printed
    assert "no-such-python (not found)" in printed
    assert "PYTHON=/path/to/python3.12 run/setup.sh" in printed


def test_a_python_without_venv_is_named_with_what_to_install(built, tmp_path):
    bare = tmp_path / "python3"
    bare.write_text(
        f'#!/bin/sh\ncase "$2" in *ensurepip*) exit 1;; esac\nexec {sys.executable} "$@"\n'
    )
    bare.chmod(0o755)
    shutil.rmtree(built / ".venv")
    printed = call(built, PYTHON=str(bare), status=1)
    assert "apt install python3-venv" in printed
