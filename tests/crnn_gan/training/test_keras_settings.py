"""The user's own settings of Keras change nothing, and a backend that is none is named."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
SAY = """
from crnn_gan.models.registry import config_class
config_class("char_rnn")
import keras
print(keras.backend.backend(), keras.config.floatx(), keras.config.dtype_policy().name)
print(keras.config.image_data_format())
"""
pytestmark = pytest.mark.tensorflow_only


def said(home: Path, words: list[str], **environment: str) -> subprocess.CompletedProcess[str]:
    usual = {name: value for name, value in os.environ.items() if name != "KERAS_BACKEND"}
    return subprocess.run(
        [sys.executable, *words],
        cwd=ROOT,
        env={**usual, "KERAS_HOME": str(home), "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
    )


def test_the_user_s_own_file_of_keras_changes_nothing(tmp_path):
    other = {"floatx": "float16", "backend": "torch", "image_data_format": "channels_first"}
    (tmp_path / "keras.json").write_text(json.dumps(other))
    done = said(tmp_path, ["-c", SAY])
    assert done.stdout == "tensorflow float32 float32\nchannels_last\n", done.stderr


@pytest.mark.parametrize("backend", ["torch", "numpy", "tensorflo"])
def test_a_backend_that_models_do_not_run_on_is_refused_in_a_line(tmp_path, backend):
    words = ["-m", "crnn_gan.train", "--data_dir=d", "--run_dir=r"]
    done = said(tmp_path, words, KERAS_BACKEND=backend)
    assert done.returncode == 1
    assert done.stderr == (
        f"error: KERAS_BACKEND is {backend!r}; models run on tensorflow and jax: set one of them, "
        "or unset it\n"
    )
