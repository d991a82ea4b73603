"""Which test files JAX runs is read from their imports."""

import re

import pytest
from import_closure import ROOT, TESTS, is_for_backend, needs_keras

FILES = sorted(TESTS.rglob("test_*.py"))
SAYS_KERAS = re.compile(r"^ *(?:import keras|from keras)\b", re.MULTILINE)


def test_a_file_that_imports_keras_needs_it():
    direct = [path for path in FILES if SAYS_KERAS.search(path.read_text(encoding="utf-8"))]
    assert direct and all(map(needs_keras, direct))


@pytest.mark.parametrize(
    ("file", "needed"),
    [
        ("tests/test_every_model.py", True),
        ("crnn_gan/models/registry.py", True),  # Through crnn_gan.music_model.
        ("crnn_gan/train.py", True),  # Within a function.
        ("tests/pipelines/test_quiet_start.py", True),  # Names the commands that it starts.
        ("benchmarks/kill_and_resume.py", True),  # Through "crnn_gan.train" in quotes.
        ("tests/test_every_codec.py", False),
        ("tests/crnn_gan/metrics/test_bleu.py", False),
        ("crnn_gan/report/page.py", False),
        ("pipelines/prepare.py", False),
    ],
)
def test_the_need_is_found_through_imports_and_names(file, needed):
    assert needs_keras(ROOT / file) == needed


def test_what_is_imported_for_types_alone_is_not_needed(tmp_path):
    file = tmp_path / "typed.py"
    file.write_text("if TYPE_CHECKING:\n    import keras\n")
    assert not needs_keras(file)
    file = tmp_path / "other.py"
    file.write_text("if TYPE_CHECKING:\n    import keras\nelse:\n    import keras\n")
    assert needs_keras(file)


def test_a_file_of_tensorflow_alone_is_not_run_on_jax():
    file = TESTS / "crnn_gan/generation/test_client.py"
    assert is_for_backend(file, "tensorflow") and not is_for_backend(file, "jax")


def test_tensorflow_runs_every_file():
    assert all(is_for_backend(path, "tensorflow") for path in FILES)
