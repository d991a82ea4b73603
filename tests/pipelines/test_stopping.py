"""Ctrl-C and SIGTERM: real signals, in this process or in small ones without TensorFlow."""

import gc
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from pipelines import stopping
from pipelines.command_line import JOB_VARIABLE, run_command
from pipelines.stopping import Stopped, deferred

ROOT = Path(__file__).parents[2]
SIGNALS = (signal.SIGINT, signal.SIGTERM)
both = pytest.mark.parametrize(
    ("number", "name", "status"),
    [(signal.SIGINT, "Ctrl-C", 130), (signal.SIGTERM, "SIGTERM", 143)],
)
# A call that holds no lock of Python's and comes back after minutes, as one of TensorFlow may.
LONG_CALL = "hashlib.pbkdf2_hmac('sha256', b'', b'', 400_000_000)"


@pytest.fixture(autouse=True)
def _handlers_come_back(monkeypatch):
    monkeypatch.delenv(JOB_VARIABLE, raising=False)
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    before = [*map(signal.getsignal, SIGNALS), sys.unraisablehook]
    yield
    assert [*map(signal.getsignal, SIGNALS), sys.unraisablehook] == before
    assert signal.set_wakeup_fd(-1) == -1


def stopped(capsys, number, **more):
    """The status and the words of a command that gets a signal."""
    status = run_command(lambda argv: signal.raise_signal(number), **more)
    return status, capsys.readouterr().err


@both
def test_a_command_says_what_stopped_it_what_stays_and_what_goes_on(
    number, name, status, capsys, monkeypatch
):
    monkeypatch.setattr(sys, "argv", ["command", "--out_dir=my pieces", "--count=3"])
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    ended, said = stopped(capsys, number, kept=lambda argv: f"{argv[1]} stays")
    again = f"KERAS_BACKEND=jax {sys.orig_argv[0]} -m {__name__} '--out_dir=my pieces' --count=3"
    assert (ended, said) == (
        status,
        f"stopped by {name}; --count=3 stays; go on with: {again}\n",
    )


def test_a_stage_of_a_job_says_how_the_job_goes_on(capsys, monkeypatch):
    monkeypatch.setenv(JOB_VARIABLE, "RUN_DIR=train/monday run/job1.sh")
    _, said = stopped(capsys, signal.SIGINT)
    assert said.endswith("; go on with: RUN_DIR=train/monday run/job1.sh\n")


def test_an_error_that_a_library_makes_of_a_signal_is_no_traceback(capsys):
    def main(argv):
        try:
            signal.raise_signal(signal.SIGINT)
        except Stopped as error:
            raise ImportError("initialization failed") from error

    assert run_command(main) == 130
    assert capsys.readouterr().err.startswith("stopped by Ctrl-C; ")


def test_an_error_without_a_signal_is_raised():
    def main(argv):
        raise ImportError("no module named x")

    with pytest.raises(ImportError):
        run_command(main)


def test_a_signal_that_comes_when_all_is_done_lets_nothing_follow(capsys):
    def main(argv):
        with pytest.raises(Stopped):
            signal.raise_signal(signal.SIGTERM)

    assert run_command(main) == 143
    assert capsys.readouterr().err == "the signal to stop came when all was done\n"


@both
def test_a_deferred_signal_is_raised_at_a_check_and_at_the_end(number, name, status):
    with pytest.raises(Stopped) as caught, deferred("at the end of this batch"):
        signal.raise_signal(number)
        with deferred("when the file is written"):
            pass
        stopping.check(lambda: " in epoch 4")
    assert (caught.value.number, caught.value.where) == (number, " in epoch 4")
    with pytest.raises(Stopped) as caught, deferred("at the end of this batch"):
        signal.raise_signal(number)
    assert (caught.value.number, caught.value.where) == (number, "")
    stopping.check()  # An earlier signal is forgotten, once it was raised.
    with deferred("at the end of this batch"):
        stopping.check()


def test_a_deferred_signal_is_noted_in_a_callback_of_the_garbage_collector():
    def interrupt(phase, info):
        gc.callbacks.remove(interrupt)
        signal.raise_signal(signal.SIGINT)
        sum(range(1000))  # A handler that raises does so here, and Python drops what it raises.

    with pytest.raises(Stopped, match="after batch 1"), deferred("at the end of this batch"):
        gc.callbacks.append(interrupt)
        gc.collect()
        stopping.check(lambda: "after batch 1")


def test_outside_the_main_thread_signals_are_left_as_they_are():
    seen = []

    def work():
        with deferred("at the end of this batch"):
            seen.append([signal.getsignal(number) for number in SIGNALS])

    before = [signal.getsignal(number) for number in SIGNALS]
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [before]


def process_of(work: str, before: str = "") -> subprocess.Popen:
    """A command that has said that it begins some work."""
    code = (
        "import gc, hashlib, os, signal, sys, time\n"
        "from pipelines import stopping\n"
        "from pipelines.command_line import run_command\n"
        "stopping.PATIENCE_SECONDS, stopping.TOGETHER_SECONDS = 0.1, 0.0\n"
        "def main(argv):\n"
        f"    {before}print('ready', flush=True)\n"
        f"    {work}\n"
        "sys.exit(run_command(main))"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, "--x=1"], cwd=ROOT, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout.readline() == "ready\n"
    return process


def ended(process: subprocess.Popen, *numbers: int) -> tuple[int, str]:
    """Status and words of a process, after some signals; each is sent when the first was heard."""
    for number in numbers:
        process.send_signal(number)
    said = process.communicate(timeout=20)[1]
    return process.returncode, said


@both
def test_a_signal_ends_a_command_while_a_library_computes(number, name, status):
    returned, said = ended(process_of(LONG_CALL), number)
    assert returned == status
    assert said.startswith(f"stopped by {name}; what was written so far stays; go on with: ")
    assert said.endswith("--x=1\n") and said.count("\n") == 1


def test_a_signal_that_the_garbage_collector_swallows_ends_a_command_too():
    work = (
        "gc.callbacks.append(lambda *_: (gc.callbacks.clear(), os.kill(os.getpid(), 2), "
        "sum(range(1000)))); gc.collect(); time.sleep(60)"
    )
    returned, said = ended(process_of(work))
    assert returned == 130 and said.startswith("stopped by Ctrl-C; ") and said.count("\n") == 1


def test_a_first_deferred_signal_is_answered_and_a_second_ends_the_process_at_once():
    until = "until = stopping.deferred('at the end of this batch'); until.__enter__(); "
    process = process_of(LONG_CALL, until)
    process.send_signal(signal.SIGINT)
    first = process.stderr.readline()
    assert first == "Ctrl-C: stops at the end of this batch; a second one stops it at once\n"
    assert ended(process, signal.SIGTERM) == (143, "")


def test_a_process_that_a_script_started_in_the_background_can_be_interrupted():
    code = (
        "import signal; from pipelines import stopping\n"
        "with stopping.stoppable(): print(signal.getsignal(2) is signal.SIG_IGN)"
    )
    command = [sys.executable, "-c", code]
    # As bash does with what stands before an &.
    ignored = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    finally:
        signal.signal(signal.SIGINT, ignored)
    assert done.stdout == "False\n"


@pytest.mark.parametrize(
    ("argv", "is_quiet"), [(["-m"], True), (["-c"], False), (["crnn-gan-train"], False)]
)
def test_ctrl_c_while_python_m_imports_a_command_is_no_traceback(argv, is_quiet):
    code = (
        f"import signal, sys; sys.argv[:] = {argv}; import crnn_gan\n"
        "print(signal.getsignal(signal.SIGINT) is signal.SIG_DFL)"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == f"{is_quiet}\n"


def test_a_block_in_another_thread_defers_nothing_in_the_main_thread():
    began, goes_on = threading.Event(), threading.Event()

    def work():
        with deferred("when the thread is done"):
            began.set()
            goes_on.wait()

    thread = threading.Thread(target=work)
    thread.start()
    began.wait()
    try:
        with pytest.raises(Stopped), stopping.stoppable():
            signal.raise_signal(signal.SIGINT)
    finally:
        goes_on.set()
        thread.join()


def test_signals_that_come_together_are_one_request():
    with stopping.stoppable(), pytest.raises(Stopped):
        try:
            signal.raise_signal(signal.SIGTERM)
        finally:  # As of `timeout`, which signals its child, then its group.
            signal.raise_signal(signal.SIGTERM)
            time.sleep(0.1)
