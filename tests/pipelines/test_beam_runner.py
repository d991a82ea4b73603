"""Tests of pipelines/preparation/beam_runner.py; those on Beam run where it is installed."""

import importlib.util
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from small_midi import write_midi
from test_prepare import everything_in, flags, write_collection

from pipelines import prepare
from pipelines.codecs.note_tuples import Codec
from pipelines.shaping import Shaping

HAS_BEAM = importlib.util.find_spec("apache_beam") is not None
needs_beam = pytest.mark.skipif(
    not HAS_BEAM,
    reason="needs apache_beam, whose protobuf is older than this environment's: pip install "
    "'crnn-gan[beam]' pytest in one of its own",
)
pytestmark = pytest.mark.filterwarnings("ignore::Warning:apache_beam", "ignore::Warning:google")


@pytest.mark.skipif(HAS_BEAM, reason="Apache Beam is installed")
def test_without_beam_the_error_says_how_to_install_it(tmp_path):
    source = write_collection(tmp_path / "midi", 2)
    with pytest.raises(ValueError, match=r"needs Apache Beam.*pip install 'crnn-gan\[beam\]'"):
        prepare.prepare(flags(tmp_path / "data", runner="beam"), source, Codec())


def test_a_runner_that_does_not_exist_is_refused():
    with pytest.raises(ValueError, match="runner"):
        prepare.main(["--data_dir=x", "--runner=flink"])


@needs_beam
@pytest.mark.parametrize("options", ["", "--runner=DirectRunner --direct_num_workers=1"])
def test_beam_writes_the_bytes_that_the_pool_writes(tmp_path, monkeypatch, options):
    source = write_collection(tmp_path / "midi")
    monkeypatch.setattr(type(source), "pieces_per_task", 5)
    write_midi(tmp_path / "midi" / "copy.mid", *range(40, 50))
    write_midi(tmp_path / "midi" / "silent.mid")
    shaping = Shaping(duplicates="exact")
    for runner in ("pool", "beam"):
        given = flags(tmp_path / runner, runner=runner, beam_options=options)
        prepare.prepare(given, source, Codec(), shaping)
    assert everything_in(tmp_path / "beam") == everything_in(tmp_path / "pool")


@needs_beam
def test_what_a_job_raises_on_beam_ends_the_command_in_words(tmp_path):
    source = write_collection(tmp_path / "midi", 2)
    data_dir = tmp_path / "data"
    script = (
        "import sys; from pipelines import prepare; from pathlib import Path\n"
        "from pipelines.preparation import parts\n"
        "def broken(path): raise OSError('the disk is full')\n"
        "parts.is_done = broken\n"
        "sys.exit(prepare.run())"
    )
    argv = ["--source=folder", f"--path={source.path}", f"--data_dir={data_dir}", "--runner=beam"]
    argv += ["--nocard", "--beam_options=--runner=DirectRunner --direct_running_mode=in_memory"]
    done = subprocess.run(
        [sys.executable, "-c", script, *argv], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1 and "the disk is full" in done.stderr
    assert not (data_dir / "manifest.json").exists()


@needs_beam
def test_what_a_killed_pool_left_beam_finishes_with_the_same_bytes(tmp_path):
    source = write_collection(tmp_path / "midi")
    prepare.prepare(flags(tmp_path / "whole"), source, Codec())
    script = (
        "import os, signal, sys; from pipelines import prepare\n"
        "from pipelines.preparation import plan\n"
        "plan.read_facts = lambda tasks: os.kill(os.getpid(), signal.SIGKILL)\n"
        "if __name__ == '__main__': sys.exit(prepare.run())"
    )
    (tmp_path / "killed.py").write_text(script)
    argv = ["--source=folder", f"--path={source.path}", f"--data_dir={tmp_path / 'data'}"]
    argv += ["--nocard"]
    environment = {**os.environ, "PYTHONPATH": str(Path(prepare.__file__).parents[1])}
    command = [sys.executable, tmp_path / "killed.py", *argv]
    killed = subprocess.run(command, check=False, env=environment)
    assert killed.returncode == -signal.SIGKILL
    assert list((tmp_path / "data" / ".parts").glob("*/*.part"))
    prepare.prepare(flags(tmp_path / "data", runner="beam"), source, Codec())
    assert everything_in(tmp_path / "data") == everything_in(tmp_path / "whole")
