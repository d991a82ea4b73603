"""Every script of run/: what it says of itself, and a tiny run of every job from end to end.

Starting Python and loading TensorFlow would take most of the time of five stages at smoke size. So
bash runs each script with a Python that only says what it is asked, and the commands get those
words in this process; one job is run as users run it.
"""

import gc
import importlib
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import keras
import pytest

from crnn_gan.evaluation import measuring
from crnn_gan.generation.allowed_operations import ALLOWED, REVIEWED
from crnn_gan.generation.audit import audited_copy
from crnn_gan.models.registry import config_class
from crnn_gan.runs import trainer
from crnn_gan.runs.trainer_flags import TrainerFlags
from pipelines.command_line import parse
from pipelines.quiet_start import START_UP_LINES

ROOT = Path(__file__).parents[1]
SCRIPTS = sorted((ROOT / "run").glob("*.sh"))
JOBS = [path for path in SCRIPTS if re.search(r"^job ", path.read_text(), re.MULTILINE)]
SWEEPS = [path for path in SCRIPTS if re.search(r"^sweep_job ", path.read_text(), re.MULTILINE)]
SMOKE_WEIGHTS = 100_000
# What scripts read from the environment: a test gives its own.
SETTINGS = {
    *("DATA", "DATA_DIR", "RUN_DIR", "EXPORT_DIR", "PREPARE_FLAGS", "SAMPLE_FLAGS"),
    *("EVALUATE_FLAGS", "SMOKE", "SET"),
    *("KERAS_BACKEND", "PYTHON"),
}
every_script = pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
every_job = pytest.mark.parametrize("job", JOBS, ids=lambda path: path.name)
every_sweep = pytest.mark.parametrize("job", SWEEPS, ids=lambda path: path.name)
every_of_both = pytest.mark.parametrize("job", [*JOBS, *SWEEPS], ids=lambda path: path.name)
pytestmark = pytest.mark.tensorflow_only  # So that CI stays short.


def call(script: Path, *words: str, cwd: Path = ROOT, **environment: str) -> str:
    """Runs a script; gives all it printed. AssertionError with that text if it fails."""
    result = run(script, *words, cwd=cwd, **environment)
    assert result.returncode == 0, result.stdout
    assert not [line for line in START_UP_LINES if line in result.stdout]
    return result.stdout


def run(
    script: Path, *words: str, cwd: Path = ROOT, **environment: str
) -> subprocess.CompletedProcess[str]:
    usual = {name: value for name, value in os.environ.items() if name not in SETTINGS}
    return subprocess.run(
        ["bash", script, *words],
        cwd=cwd,
        env=usual | environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_the_jobs_of_the_readme_are_there():
    names = {path.name for path in JOBS}
    assert names >= {"job1.sh", "job1_original.sh", "job2.sh", "job3.sh", "job4.sh"}
    assert not names & {"setup.sh", "test.sh", "settings.sh"}


@every_script
def test_a_script_is_sound_shell_and_opens_with_what_it_does(script):
    lines = script.read_text().split("\n")
    subprocess.run(["bash", "-n", script], check=True)
    opening = lines[1:] if lines[0].startswith("#!") else lines
    assert re.match(r"# \w+", opening[0])
    assert "set -euo pipefail" in lines
    is_program = script.name != "settings.sh"
    assert os.access(script, os.X_OK) == is_program
    assert lines[0].startswith("#!/usr/bin/env bash") == is_program


@every_of_both
def test_a_job_says_what_it_makes_on_what_data_at_what_cost_and_passes_its_arguments_on(job):
    lines = job.read_text().rstrip().split("\n")
    comment = [line for line in lines if line.startswith("# ")]
    assert comment[0].startswith("# Makes: ")
    for word in ("# Data: ", "# Cost and figure: "):
        assert any(line.startswith(word) for line in comment), word
    assert lines[-1] in ('job "$@"', 'sweep_job "$@"')


@every_of_both
def test_only_settings_sh_knows_smoke(job):
    assert "SMOKE" not in job.read_text()


def written(places: dict[str, str]) -> dict[str, list[str]]:
    """What a job left: MIDI or WAV files of epochs and samples, and the files of the SavedModel
    and of the evaluation."""
    run_dir, export_dir = Path(places["RUN_DIR"]), Path(places["EXPORT_DIR"])
    return {
        "epochs": heard(run_dir / "generated_data"),
        "samples": heard(run_dir / "samples"),
        "model": sorted(path.name for path in export_dir.iterdir()),
        "findings": sorted(path.name for path in (run_dir / "evaluation").glob("*")),
    }


def heard(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.suffix in (".mid", ".wav"))


def places(folder: Path) -> dict[str, str]:
    return {
        "SMOKE": "1",
        "KERAS_BACKEND": "tensorflow",
        "RUN_DIR": str(folder / "run"),
        "EXPORT_DIR": str(folder / "exported"),
    }


@pytest.fixture(scope="session")
def prepared(tmp_path_factory) -> Path:
    """One parent of prepared data for the jobs of a session: those of equal codec share it."""
    return tmp_path_factory.mktemp("prepared data")


@pytest.fixture
def _fresh_keras():
    """What stages set for their process, as each would find it in a process of its own."""

    def forget():
        keras.backend.clear_session()
        keras.config.set_dtype_policy("float32")
        allow_nondeterminism()
        gc.collect()

    forget()
    yield
    forget()


def allow_nondeterminism() -> None:
    """Undoes enable_op_determinism, for which TensorFlow has no public function."""
    from tensorflow.python.util import _pywrap_determinism

    _pywrap_determinism.enable(False)


@pytest.fixture
def _few_real_windows(monkeypatch):
    """Statistics of 40 windows of real music, not 400: enough to see that there are some."""
    monkeypatch.setattr(trainer, "REFERENCE_WINDOWS", 40)
    monkeypatch.setattr(measuring, "FEWEST_WINDOWS", 40)


def perform(stages: list[list[str]], capsys) -> str:
    """Calls the commands with the words that a script gives them; gives all they printed."""
    capsys.readouterr()
    for module, *words in stages:
        importlib.import_module(module).main(words)
    return capsys.readouterr().out


@pytest.mark.slow
@every_job
@pytest.mark.usefixtures("_fresh_keras", "_few_real_windows")
def test_a_smoke_run_makes_pieces_and_a_saved_model(job, dry, tmp_path, prepared, capsys):
    settings = places(tmp_path) | {"DATA_DIR": str(prepared / codec_flags(job))}
    # By likelihood alone, as that job is; test_every_model trains its adversarial stage.
    words = ["--pretraining_epochs=2"] if job.name == "job1.sh" else []
    said = call(dry / "run" / job.name, *words, **settings)
    stages = asked(said)
    is_sound = "evaluate=no" in job.read_text()
    assert [module for module, *_ in stages] == STAGES[: 4 if is_sound else 5]
    printed = perform(stages, capsys)
    assert_that_a_job_left_all(settings, said, printed, is_sound)


STAGES = [
    "pipelines.prepare", "crnn_gan.train", "crnn_gan.export", "crnn_gan.sample",
    "crnn_gan.evaluate",
]  # fmt: skip


def assert_that_a_job_left_all(
    settings: dict[str, str], said: str, printed: str, is_sound: bool = False, samples: int = 2
) -> None:
    """Asserts on the files of a smoke run, and on what its script and its stages printed."""
    left = written(settings)
    assert left["epochs"], printed
    assert len(left["samples"]) == samples, printed
    assert {"saved_model.pb", "config.json", "signature.json", "card.md"} <= set(left["model"])
    with audited_copy(Path(settings["EXPORT_DIR"])) as audited:
        assert audited.operations <= ALLOWED - REVIEWED
    findings = [] if is_sound else ["metrics.json", "piano_rolls", "report.html"]
    assert left["findings"] == findings
    assert ("polyphony" in printed) != is_sound
    for place in (settings["RUN_DIR"], settings["EXPORT_DIR"]):
        assert place in said.split("\ndone in ")[1]
    # A smoke run is tiny wherever it runs, which its seconds would not say.
    weights = re.findall(r"^model: \w+, ([\d,]+) weights$", printed, re.MULTILINE)
    assert weights and all(int(count.replace(",", "")) < SMOKE_WEIGHTS for count in weights)


@pytest.mark.slow
@every_sweep
@pytest.mark.usefixtures("_fresh_keras", "_few_real_windows")
def test_a_smoke_run_of_a_sweep_names_a_winner(job, dry, tmp_path, prepared, capsys):
    settings = places(tmp_path) | {"DATA_DIR": str(prepared / codec_flags(job))}
    printed = perform(asked(call(dry / "run" / job.name, **settings)), capsys)
    assert "the winner by band_distance" in printed
    assert {path.name for path in Path(settings["RUN_DIR"]).glob("sweep.*")} == {
        "sweep.json", "sweep.tsv", "sweep.png",
    }  # fmt: skip
    assert len(heard(Path(settings["RUN_DIR"]))) == 4  # Two runs of two epochs.


def codec_flags(job: Path) -> str:
    """What a job sets of its data, as one word."""
    set_there = r"^(?:prepare_flags\+=\((.*)\)|codec=(.*)|smoke_composer=(.*))$"
    found = re.findall(set_there, job.read_text(), re.MULTILINE)
    return "_".join("".join(words) for words in found) or "_"


@pytest.mark.slow
@pytest.mark.usefixtures("_fresh_keras")
def test_a_job_learns_from_a_folder_whose_path_has_spaces_and_a_second_call_resumes(
    dry, tmp_path, capsys
):
    folder = tmp_path / "my own music"
    write_music(folder)
    settings = places(tmp_path) | {
        "DATA": "folder:my own music",  # As seen from where the job is called.
        "DATA_DIR": str(tmp_path / "prepared"),
        "PREPARE_FLAGS": "--tones_per_cell=1",
        "SAMPLE_FLAGS": "--count=1",
    }
    job = ROOT / "run/job1.sh"
    # By likelihood alone, as the job is.
    words = ["--window_steps=4", "--pretraining_epochs=3", "--windows_per_piece=1"]
    printed = call(job, *words, cwd=tmp_path, **settings)
    assert "30 steps an epoch" in printed  # Of so few windows there would be two.
    assert_that_a_job_left_all(settings, printed, printed, samples=1)
    epochs = written(settings)["epochs"]
    shutil.rmtree(tmp_path / "exported")
    again = dry / "run" / job.name
    said = call(again, *words, "--max_epoch=3", cwd=tmp_path, **settings)
    printed = perform(asked(said), capsys)
    assert_that_a_job_left_all(settings, said, printed, samples=1)
    assert set(epochs) < set(written(settings)["epochs"])


def write_music(folder: Path) -> None:
    """Twelve short scales, by two composers, as genre/composer/*.mid."""
    import numpy as np

    from pipelines.formats import midi
    from pipelines.score import Score
    from pipelines.score_arrays import NOTE

    for piece in range(12):
        notes = [
            (480 * beat, 480, 48 + 2 * piece + step, 64, 0, 0, False)
            for beat, step in enumerate((0, 2, 4, 5, 7, 9, 11, 12) * 4)
        ]
        composer = folder / "classical" / ("one", "another")[piece % 2]
        composer.mkdir(parents=True, exist_ok=True)
        midi.write(Score(480, np.array(notes, NOTE)), composer / f"scale {piece}.mid")


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"DATA": "maestro"}, "give DATA=corpus, DATA=folder:PATH or DATA=source:NAME"),
        ({"DATA": "folder:"}, "give DATA=corpus, DATA=folder:PATH or DATA=source:NAME"),
    ],
)
def test_data_that_is_neither_is_refused_in_words(settings, words, tmp_path):
    result = run(ROOT / "run/job1.sh", **places(tmp_path), **settings)
    assert result.returncode == 2
    assert words in result.stdout


def test_a_failing_stage_stops_the_job_with_its_own_message(tmp_path):
    (tmp_path / "no music").mkdir()
    settings = places(tmp_path) | {
        "DATA": f"folder:{tmp_path / 'no music'}",
        "DATA_DIR": str(tmp_path / "prepared"),
    }
    result = run(ROOT / "run/job1.sh", **settings)
    assert result.returncode == 1
    assert re.search(r"^error: .*no music", result.stdout, re.MULTILINE)
    assert "train: " not in result.stdout


@pytest.fixture
def dry(tmp_path) -> Path:
    """A project whose Python only says what it is asked, each word in brackets."""
    root = tmp_path / "a project"
    shutil.copytree(ROOT / "run", root / "run")
    (root / "exported_models").mkdir()
    (root / "run/setup.sh").write_text("#!/bin/sh\n")
    python = root / ".venv/bin/python"
    python.parent.mkdir(parents=True)
    python.write_text("#!/bin/bash\nprintf 'asked:'; printf ' [%s]' \"$@\"; echo\n")
    python.chmod(0o755)
    return root


def asked(printed: str) -> list[list[str]]:
    """The words that Python was called with, without -m, stage by stage."""
    lines = [line for line in printed.split("\n") if line.startswith("asked: ")]
    return [re.findall(r"\[([^\]]*)\]", line)[1:] for line in lines]


# A Python that says which signals it gets while it trains, and how the job goes on.
LISTENING = """
import os, signal, sys, time
heard = []
for number in (signal.SIGINT, signal.SIGTERM):
    signal.signal(number, lambda number, frame: heard.append(signal.Signals(number).name))
print("asked:", sys.argv[2], flush=True)
while sys.argv[2] == "crnn_gan.train":
    time.sleep(0.3)
    if heard:
        print(*heard, os.environ["CRNN_GAN_JOB"], sep="\\n")
        sys.exit(3)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("send", [os.kill, os.killpg])  # As the terminal does, to all it knows.
def test_a_signal_reaches_the_stage_of_a_job_once_and_no_other_stage_begins(dry, send, number):
    (dry / ".venv/bin/python").write_text(f"#!{sys.executable}{LISTENING}")
    usual = {name: value for name, value in os.environ.items() if name not in SETTINGS}
    job = subprocess.Popen(
        ["bash", "a project/run/job1.sh", "--composer=bach, j. s."], cwd=dry.parent,
        env=usual | {"SMOKE": "1", "DATA": "folder:my music"}, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, start_new_session=True,
    )  # fmt: skip
    while "asked: crnn_gan.train" not in (line := job.stdout.readline()):
        assert line
    send(job.pid, number)
    heard, again = job.communicate(timeout=20)[0].splitlines()
    assert (job.returncode, heard) == (3, number.name)
    *settings, run_dir, script, word = shlex.split(again)
    assert settings == ["DATA=folder:my music", "SMOKE=1"]
    assert run_dir.startswith(f"RUN_DIR={dry}/train/20")
    assert [script, word] == ["a project/run/job1.sh", "--composer=bach, j. s."]


def test_a_job_calls_its_stages_in_order_and_passes_each_its_flags(dry):
    printed = call(
        dry / "run/job2.sh",
        "--max_epoch=3",
        "--composer=bach, j. s.",
        cwd=dry.parent,
        PREPARE_FLAGS="--works_per_composer=5 --workers=1",
        SAMPLE_FLAGS="--seed=7",
        EVALUATE_FLAGS="--nooriginality",
        RUN_DIR="my run",
    )
    run_dir, exported = f"{dry.parent}/my run", "exported_models/c_rnn_gan-my run"
    codec = "tones_per_cell=3,ticks_per_quarter=384,pitch_features=number,nopresence"
    data_dir = f"data/corpus-note_tuples,{codec},works_per_composer=5"
    prepare, train, export, sample, evaluate = asked(printed)
    assert prepare == [
        "pipelines.prepare",
        "--source=corpus",
        "--codec=note_tuples",
        f"--data_dir={data_dir}",
        *(f"--{flag}" for flag in codec.split(",")),
        "--works_per_composer=5",
        "--workers=1",
    ]
    assert train[:4] == [
        "crnn_gan.train",
        "--model=c_rnn_gan",
        f"--data_dir={data_dir}",
        f"--run_dir={run_dir}",
    ]
    assert "--generate_meta" in train
    assert train[-2:] == ["--max_epoch=3", "--composer=bach, j. s."]
    assert export == ["crnn_gan.export", f"--run_dir={run_dir}", f"--export_dir={exported}"]
    assert sample == [
        "crnn_gan.sample",
        f"--saved_model={exported}",
        f"--out_dir={run_dir}/samples",
        "--count=8",
        "--seed=7",
    ]
    assert evaluate == [
        "crnn_gan.evaluate",
        f"--run_dir={run_dir}",
        f"--out_dir={run_dir}/evaluation",
        "--count=100",
        "--nooriginality",
    ]


WAVENET = ROOT / "run/wavenet_piano_roll.sh"
SETS = re.findall(
    r"^    (\w+)\)$", WAVENET.read_text().partition('case "$set_name"')[2], re.MULTILINE
)


@pytest.mark.parametrize("name", SETS)
def test_the_settings_of_each_set_of_the_benchmark_are_settings_of_wavenet(name, dry):
    prepare, train, *_ = asked(call(dry / WAVENET.relative_to(ROOT), SET=name))
    assert prepare[1] == "--source=polyphonic_benchmark"
    assert f"--dataset={name.removesuffix('_independent')}" in prepare
    _, config = parse(train[1:], "", TrainerFlags, config_class("wavenet"))
    # A frame of a chorale is a quarter, one of the other sets an eighth.
    frames = 1 if name.startswith("jsb_chorales") else 2
    assert f"--steps_per_quarter={frames}" in prepare
    assert (config.notes == "one_by_one") == (name in ("jsb_chorales", "nottingham"))


def test_own_music_with_the_settings_of_a_set(dry, tmp_path):
    words = {"SET": "muse_data", "DATA": f"folder:{tmp_path}"}
    prepare, train, *_ = asked(call(dry / WAVENET.relative_to(ROOT), **words))
    assert "--source=folder" in prepare and f"--path={tmp_path}" in prepare
    assert not [word for word in prepare if word.startswith("--dataset")]
    assert "--max_epoch=8" in train


def test_a_set_that_is_none_is_refused_with_the_names_of_all(dry):
    result = run(dry / WAVENET.relative_to(ROOT), SET="jsb")
    assert result.returncode == 2
    assert len(SETS) == 6
    assert all(name in result.stdout.replace("\n", " ") for name in SETS)
    assert not asked(result.stdout)


def test_the_latest_export_has_the_name_of_the_model_and_a_smoke_run_takes_it_from_none(dry):
    call(dry / "run/job1.sh", RUN_DIR="train/first")
    call(dry / "run/job1.sh", RUN_DIR="train/second")
    call(dry / "run/job1.sh", RUN_DIR="train/tiny", SMOKE="1")
    links = {path.name: str(path.readlink()) for path in (dry / "exported_models").iterdir()}
    assert links == {"c_rnn_gan": "c_rnn_gan-second", "smoke": "smoke-tiny"}


def test_a_model_that_was_exported_by_hand_to_that_name_stays(dry):
    (dry / "exported_models/c_rnn_gan").mkdir()
    assert "also as" not in call(dry / "run/job1.sh", RUN_DIR="train/first")
    assert list((dry / "exported_models/c_rnn_gan").iterdir()) == []


def test_smoke_settings_lose_against_those_of_the_caller(dry):
    printed = call(
        dry / "run/job1.sh", "--max_epoch=9", SMOKE="1", PREPARE_FLAGS="--works_per_composer=2"
    )
    prepare, train, *_ = asked(printed)
    assert prepare.index("--works_per_composer=8") < prepare.index("--works_per_composer=2")
    assert [word for word in train if word.startswith("--max_epoch")][-1] == "--max_epoch=9"


def test_a_run_without_a_name_is_named_after_the_time(dry):
    _, train, *_ = asked(call(dry / "run/job1.sh"))
    assert re.fullmatch(r"--run_dir=train/\d{8}-\d{6}", train[3])
