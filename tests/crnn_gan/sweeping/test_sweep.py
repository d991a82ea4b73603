"""Sweeps over a trainer that takes no time: their ends, halving, kills, refusals, pictures."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image

from crnn_gan import sweep
from crnn_gan.sweeping import processes, search
from crnn_gan.sweeping.sweep_runs import SweepRun, rungs
from pipelines.command_line import run_command
from pipelines.settings import UsageError

FAKE = Path(__file__).with_name("fake_trainer.py")
ROOT = Path(__file__).parents[3]


@pytest.fixture(name="data_dir")
def of_a_manifest(tmp_path, monkeypatch):
    """A folder that passes for prepared data; only what is compared by is asked of it."""
    monkeypatch.setattr(search, "best_by", lambda flags: "tone_span")
    monkeypatch.setattr(processes, "CHILD", (str(FAKE),))
    monkeypatch.setattr(processes, "LOOK_SECONDS", 0.02)
    return tmp_path / "data"


def swept(data_dir, folder, vary, *more):
    words = ["--model=mlp_gan", f"--data_dir={data_dir}", f"--sweep_dir={folder}", "--max_epoch=4"]
    sweep.main([*words, f"--vary={vary}", "--patience=3", *more])


def run_of(folder, number):
    return SweepRun(number, {}, folder)


def starts(folder, number):
    return (run_of(folder, number).run_dir / "started.txt").read_text().split()


def test_the_nearest_run_wins_and_what_went_wrong_is_marked(data_dir, tmp_path, capsys):
    folder = tmp_path / "sweep"
    rates = "learning_rate=0.02,0.2,0.9,0.4,0.3; beta_1=0.5"
    swept(data_dir, folder, rates, "--search=grid", "--processes=3", "--batch_size=8")
    ends = [run_of(folder, number).ended for number in range(5)]
    assert [how for how, _ in ends] == ["done", "done", "collapsed", "diverged", ""]
    assert "1 different keys where real music has 8 or more, after epoch 3" in ends[2][1]
    printed = capsys.readouterr().out
    assert "failed, exit status 1: the data are gone" in printed
    assert "the winner by tone_span (0.0125): run 000" in printed
    again = printed.rstrip().splitlines()[-1]
    assert again.split() == [
        "python", "-m", "crnn_gan.train", "--model=mlp_gan", f"--data_dir={data_dir}",
        "--max_epoch=4", "--batch_size=8", "--learning_rate=0.02", "--beta_1=0.5",
        "--run_dir=train/winner",
    ]  # fmt: skip
    lines = [line.split("\t") for line in (folder / "sweep.tsv").read_text().splitlines()]
    assert lines[0][:6] == ["run", "ended", "epochs", "best epoch", "tone_span", "learning_rate"]
    assert lines[1][:6] == ["000", "done", "4", "4", "0.0125", "0.02"]
    assert len(lines) == 6
    with Image.open(folder / "sweep.png") as picture:
        width, height = picture.size
    assert width == 1400 and height > 500


def test_halving_lets_the_nearest_go_on_and_drops_the_others(data_dir, tmp_path):
    folder = tmp_path / "sweep"
    vary = "learning_rate=0.011..0.25"
    swept(data_dir, folder, vary, "--search=halving", "--halving_factor=2", "--runs=4")
    ends = [run_of(folder, number).ended[0] for number in range(4)]
    assert sorted(ends) == ["done", "dropped", "dropped", "dropped"]
    epochs = sorted(run_of(folder, number).epoch for number in range(4))
    assert epochs[0] < 4 and epochs[3] == 4
    lines = [line.split("\t") for line in (folder / "sweep.tsv").read_text().splitlines()][1:]
    best = min(lines, key=lambda line: abs(float(line[5]) - 0.01))
    assert best[1] == "done"


def test_rungs_are_powers_of_the_factor_below_the_last_epoch():
    assert rungs(27, 9, 3) == [3, 9, 27]
    assert rungs(27, 8, 3) == [9, 27]
    assert rungs(4, 16, 2) == [1, 2, 4]
    assert rungs(5, 1, 2) == [5]


def test_a_sweep_that_is_killed_goes_on_where_it_was(data_dir, tmp_path, monkeypatch, capsys):
    folder = tmp_path / "sweep"
    vary = "learning_rate=0.02,0.03,0.04"
    words = [data_dir, folder, vary, "--search=grid", "--processes=1"]
    # The first run has ended and the second is begun when the sweep dies.
    look = processes.TrainerProcesses._look

    def dying(self, run, process, epoch):
        if run.number == 1 and run.epoch == 2:
            raise KeyboardInterrupt
        return look(self, run, process, epoch)

    monkeypatch.setattr(processes.TrainerProcesses, "_look", dying)
    with pytest.raises(KeyboardInterrupt):
        swept(*words)
    monkeypatch.setattr(processes.TrainerProcesses, "_look", look)
    swept(*words)
    assert starts(folder, 0) == ["0"]
    first, second = map(int, starts(folder, 1))
    assert first == 0 and second >= 2
    assert [run_of(folder, n).ended[0] for n in range(3)] == ["done"] * 3
    capsys.readouterr()
    swept(*words)  # All is done: nothing is trained again.
    assert starts(folder, 2) == ["0"]
    assert "the winner by tone_span" in capsys.readouterr().out


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_lets_the_runs_of_a_sweep_stop_by_themselves(
    data_dir, tmp_path, number, monkeypatch, capsys
):
    folder = tmp_path / "sweep"
    places = [run_of(folder, run).run_dir for run in range(2)]
    look = processes.TrainerProcesses._look

    def interrupt(self, run, process, epoch):
        if all((place / "waits").exists() for place in places):
            signal.raise_signal(number)
        return look(self, run, process, epoch)

    monkeypatch.setattr(processes.TrainerProcesses, "_look", interrupt)
    vary = "learning_rate=0.25; beta_1=0.1,0.2"
    status = run_command(lambda argv: swept(data_dir, folder, vary, "--search=grid"))
    assert status == 128 + number
    assert capsys.readouterr().err.count("go on with: ") == 1
    assert [(place / "stopped.txt").read_text() for place in places] == ["by itself"] * 2
    assert not [*folder.glob(".*")]


def test_a_run_ends_with_the_sweep_that_was_killed(tmp_path):
    script = tmp_path / "waits.py"
    script.write_text(
        "import threading, time\n"
        "from crnn_gan.sweeping import child\n"
        "threading.Thread(target=child._end_with_the_sweep, daemon=True).start()\n"
        "print('ready', flush=True)\ntime.sleep(60)\n"
    )
    child = subprocess.Popen(
        [sys.executable, script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT
    )
    assert child.stdout.readline() == b"ready\n"
    time.sleep(0.1)
    assert child.poll() is None
    child.stdin.close()  # As the system does when its holder is killed.
    assert child.wait(timeout=20) == 1
    child.stdout.close()


def test_two_sweeps_in_one_directory_are_refused(data_dir, tmp_path):
    folder = tmp_path / "sweep"
    with search.locked(folder), pytest.raises(ValueError, match="another sweep is at work in"):
        swept(data_dir, folder, "learning_rate=0.02,0.03")


def test_a_directory_of_another_sweep_is_refused_but_more_runs_are_not(data_dir, tmp_path):
    folder = tmp_path / "sweep"
    vary = "learning_rate=0.02..0.03"
    swept(data_dir, folder, vary, "--runs=1")
    with pytest.raises(ValueError, match="other settings: sweep_seed is 0 there and 1 here"):
        swept(data_dir, folder, vary, "--runs=1", "--sweep_seed=1")
    with pytest.raises(ValueError, match="other settings: fixed is"):
        swept(data_dir, folder, vary, "--runs=1", "--batch_size=8")
    swept(data_dir, folder, vary, "--runs=2", "--processes=1")
    assert starts(folder, 0) == ["0"] and starts(folder, 1) == ["0"]


def test_a_sweep_of_which_no_run_ends_has_no_winner(data_dir, tmp_path):
    with pytest.raises(ValueError, match="no run came to its end, so none has won"):
        swept(data_dir, tmp_path / "sweep", "learning_rate=0.4,0.9", "--search=grid")
    assert (tmp_path / "sweep" / "sweep.tsv").is_file()


@pytest.mark.parametrize(
    ("vary", "more", "said"),
    [
        ("learnign_rate=0.1..0.2", (), "names learnign_rate, no flag of the trainer or the model"),
        ("max_epoch=1,2", (), "names max_epoch, no flag"),
        ("learning_rate=0.2..0.1", (), "an empty range"),
        (
            "beta_1=0.5,1.5",
            ("--search=grid",),
            "run 1 of the sweep cannot be made: --beta_1",
        ),
        ("batch_size=8,x", ("--search=grid",), "run 1 of the sweep cannot be made"),
        ("beta_1=0.5,0.6", ("--search=grid", "--runs=3"), "the grid has 2 combinations"),
        ("beta_1=0.5,0.6", ("--runs=0",), "--runs is 0; give 1 or more"),
        ("beta_1=0.5,0.6", ("--preset=bach",), "--preset=bach is not known; this model's presets"),
        ("beta_1=0.5,0.6", ("--run_dir=x",), "--run_dir is given"),
        ("beta_1=0.5,0.6", ("--betta_2=0.9",), "there is no flag --betta_2"),
    ],
)
def test_what_cannot_be_swept_is_refused_before_anything_is_written(
    data_dir, tmp_path, vary, more, said
):
    folder = tmp_path / "sweep"
    with pytest.raises(UsageError, match=said):
        swept(data_dir, folder, vary, *more)
    assert not folder.exists()
