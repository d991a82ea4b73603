"""What tests of several packages share; which files are collected, and in which order."""

import gc
import os
import re
import signal
from pathlib import Path

import pytest
from import_closure import is_for_backend

SOUNDFONTS = sorted(Path("/usr/share/sounds/sf2").glob("*.sf2"), key=lambda f: f.stat().st_size)
BACKEND = os.environ.get("KERAS_BACKEND", "tensorflow")
# The files that take longest, so that processes that share the files end together.
FIRST = ("test_job_scripts.py", "test_every_model.py", "test_train.py")


def pytest_configure() -> None:
    """Lets SIGINT stop the tests and what they start, also where a script's `&` had it ignored."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """On JAX, passes over files that do not need Keras, or need TensorFlow; not those named."""
    if not re.fullmatch(r"test_.*\.py", collection_path.name):
        return None
    named = {Path(word.split("::")[0]).absolute() for word in config.args}
    return None if collection_path in named or is_for_backend(collection_path, BACKEND) else True


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    place = {name: index for index, name in enumerate(FIRST)}
    items.sort(key=lambda item: place.get(item.path.name, len(place)))
    if BACKEND != "tensorflow":
        for item in items:
            if item.get_closest_marker("tensorflow_only"):
                item.add_marker(pytest.mark.skip(reason="on TensorFlow only"))


def pytest_collection_finish() -> None:
    """Tells the garbage collector that what was imported stays: a million objects."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True, scope="module")
def _no_garbage_of_other_modules():
    """Models are cycles: without this, those of many modules would stay in memory."""
    yield
    gc.collect()


@pytest.fixture
def soundfont() -> str:
    """A soundfont of this machine; without it or fluidsynth the test is skipped."""
    # Its import fails too where the library of the system is missing.
    pytest.importorskip(
        "fluidsynth", reason="the extra 'audio' is not installed", exc_type=ImportError
    )
    if not SOUNDFONTS:
        pytest.skip("no soundfont in /usr/share/sounds/sf2")
    return str(SOUNDFONTS[0])
