"""Tests of pipelines/preparation/pool.py."""

import dataclasses
import multiprocessing
import os
import signal
import time
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import pytest

from pipelines.atomic_file import open_atomically
from pipelines.preparation.pool import Pool
from pipelines.stopping import Stopped, stoppable

# By the terminal to all processes, of which a worker may be the first to hear; or to the main one.
SENT = {
    "Ctrl-C": (os.getpid, signal.SIGINT),
    "Ctrl-C of the main process": (os.getppid, signal.SIGINT),
    "SIGTERM of the main process": (os.getppid, signal.SIGTERM),
}


@dataclasses.dataclass(frozen=True)
class Job:
    """A file to write, and what happens on the way."""

    path: Path
    fate: str = ""
    size_bytes: int = 1


def work(job):
    if job.fate == "death":
        os.kill(os.getpid(), signal.SIGKILL)
    if job.fate in SENT:
        receiver, number = SENT[job.fate]
        with open_atomically(job.path):
            os.kill(receiver(), number)
            time.sleep(60)
    if job.fate == "error":
        raise OSError("the disk is full")
    with job.path.open("a") as file:
        file.write("done\n")


def jobs_in(folder, count, **fates):
    return [Job(folder / str(n), fates.get(f"job_{n}", ""), n + 1) for n in range(count)]


@pytest.mark.parametrize("workers", [1, 3])
def test_every_job_is_done_once_and_the_pool_serves_again(tmp_path, workers):
    with Pool(workers) as pool:
        assert pool.run(work, jobs_in(tmp_path, 20), "working") == []
        assert pool.run(work, jobs_in(tmp_path, 5), "working") == []
        assert pool.run(work, [], "working") == []
    done = {int(path.name): path.read_text() for path in tmp_path.iterdir()}
    assert done == {n: "done\n" * (2 if n < 5 else 1) for n in range(20)}


def test_a_death_gives_back_the_jobs_that_ran_and_the_others_are_done(tmp_path):
    jobs = jobs_in(tmp_path, 12, job_7="death")
    with Pool(2) as pool:
        suspects = pool.run(work, jobs, "working")
        assert jobs[7] in suspects and len(suspects) <= 3  # Two ran, one waited.
        others = [job for job in jobs if job not in suspects]
        assert all(job.path.read_text() == "done\n" for job in others)
        with pytest.raises(BrokenProcessPool):
            pool.call(work, jobs[7])
        pool.call(work, jobs[0])
    assert jobs[0].path.exists() and not jobs[7].path.exists()


def test_an_error_of_a_job_ends_the_run(tmp_path):
    with Pool(2) as pool, pytest.raises(OSError, match="the disk is full"):
        pool.run(work, jobs_in(tmp_path, 4, job_2="error"), "working")


def test_a_call_gives_what_the_function_gives():
    with Pool(1) as pool:
        assert pool.call(max, 3, 5) == 5


@pytest.mark.parametrize("sent", SENT)
def test_a_signal_ends_the_jobs_at_once_and_leaves_no_process_and_nothing_half_written(
    tmp_path, sent
):
    jobs = jobs_in(tmp_path, 3, job_2=sent)
    begun = time.monotonic()
    with pytest.raises(Stopped) as caught, stoppable(), Pool(2) as pool:
        pool.run(work, jobs, "working")
    assert caught.value.number == SENT[sent][1]
    assert time.monotonic() - begun < 30
    assert multiprocessing.active_children() == []
    assert {path.name for path in tmp_path.iterdir()} <= {"0", "1"}


def test_ctrl_c_while_workers_start_is_no_traceback(tmp_path, capfd):
    with pytest.raises(Stopped), stoppable(), Pool(2) as pool:
        pool.start(Job(tmp_path))
        for _ in range(4):  # While Python starts in them, and while they import what they need.
            time.sleep(0.1)
            for worker in multiprocessing.active_children():
                os.kill(worker.pid, signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
    assert multiprocessing.active_children() == []
    assert capfd.readouterr().err == ""
