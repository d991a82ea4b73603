"""Tests of preparing where a process, a file, or the disk fails."""

import dataclasses
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from full_disk import tiny_disk
from small_midi import write_midi
from test_prepare import (
    everything_in,
    flags,
    pieces_in,
    reasons_in,
    write_collection,
)

from pipelines import prepare
from pipelines.codecs.note_tuples import Codec
from pipelines.file_lock import locked
from pipelines.preparation import making, plan, shards, tasks
from pipelines.preparation.tasks import Recipe
from pipelines.shaping import Shaping
from pipelines.sources import folder
from pipelines.split import Fractions

ALL_TRAIN = {"train_fraction": 1.0, "validation_fraction": 0.0}
PIECES = 12


@dataclasses.dataclass(frozen=True)
class DeadlySource(folder.Source):
    """Folder whose pieces named deadly kill the process that reads them."""

    def read_counted(self, piece):
        if piece.title == "deadly":
            os.kill(os.getpid(), signal.SIGKILL)
        if piece.title == "faulty":
            raise KeyError("a fault of the reader")
        return super().read_counted(piece)


def test_a_worker_that_dies_costs_one_piece_and_hangs_nothing(tmp_path):
    write_collection(tmp_path / "midi", 5)
    for name in ("deadly", "faulty"):
        write_midi(tmp_path / "midi" / "bach" / f"{name}.mid", 60)
    source = DeadlySource(path=str(tmp_path / "midi"))
    prepare.prepare(flags(tmp_path / "data", **ALL_TRAIN), source, Codec())
    assert len(pieces_in(tmp_path / "data")) == 5
    reasons = reasons_in(tmp_path / "data")
    assert "its worker process died" in reasons["bach/deadly.mid"]
    assert reasons["bach/faulty.mid"] == "KeyError: 'a fault of the reader'"


def some_tasks(tmp_path):
    recipe = Recipe(write_collection(tmp_path / "midi", PIECES), Codec(), Shaping())
    (tmp_path / "parts").mkdir()
    return tasks.tasks_of(recipe, recipe.source.pieces(), tmp_path / "parts")


@pytest.mark.parametrize("place", [0, 300, -1, -20, -200])
def test_a_part_that_is_damaged_is_made_again(tmp_path, place):
    (task,) = some_tasks(tmp_path)
    tasks.run_task(task)
    whole = task.part.read_bytes()
    damaged = bytearray(whole)
    damaged[place] ^= 1
    task.part.write_bytes(damaged)
    tasks.run_task(task)
    assert task.part.read_bytes() == whole


@pytest.mark.parametrize("size", [0, 39, 100, -1])
def test_a_part_that_is_cut_is_made_again(tmp_path, size):
    (task,) = some_tasks(tmp_path)
    tasks.run_task(task)
    whole = task.part.read_bytes()
    task.part.write_bytes(whole[:size])
    tasks.run_task(task)
    assert task.part.read_bytes() == whole


def test_a_part_that_is_whole_is_left_as_it_is(tmp_path):
    (task,) = some_tasks(tmp_path)
    tasks.run_task(task)
    before = task.part.stat()
    tasks.run_task(task)
    assert task.part.stat().st_ino == before.st_ino


def test_a_part_that_is_damaged_before_the_shards_are_written_is_named(tmp_path):
    (task,) = some_tasks(tmp_path)
    tasks.run_task(task)
    facts = plan.read_facts([task])
    made = plan.make(task.pieces, facts, Shaping(), Fractions(1.0, 0.0))
    places = making.places_of([task], range(PIECES), {})
    folder, codec = tmp_path / "parts", task.recipe.codec
    (shard,) = shards.shards_of(made, folder, places, facts.array_bytes, (), codec)["train"]
    damaged = bytearray(task.part.read_bytes())
    damaged[0] ^= 1
    task.part.write_bytes(damaged)
    with pytest.raises(OSError, match=r"0000000.part, written before, is gone or damaged.*again"):
        shards.write(shard)
    assert not (tmp_path / "parts" / shard.name).exists()
    task.part.write_bytes(damaged[:-1])
    with pytest.raises(OSError, match=r"0000000.part, written before, is gone or damaged"):
        plan.read_facts([task])


# The command with a fault at a chosen place. Worker processes load the script as well.
SCRIPT = """
import os, resource, signal, sys
from pathlib import Path
from pipelines import prepare, records
from pipelines.preparation import making, parts
from pipelines.sources import folder

folder.Source.pieces_per_task = 2
records.SHARD_RECORDS = 3
fault, once = os.environ["FAULT"], Path(os.environ["ONCE"])


def strike(place):
    if fault.split(",")[0] == place and ("always" in fault or not once.exists()):
        once.touch()
        if place != "install" and "worker alone" not in fault:
            os.kill(os.getppid(), signal.SIGKILL)
        os.kill(os.getpid(), signal.SIGKILL)


def then_strike(contents, place):
    for index, content in enumerate(contents):
        if index == 1:
            strike(place)
        yield content


def write_part(path, outcomes, whole=parts.write):
    whole(path, then_strike(outcomes, "part") if path.stem == "0000003" else outcomes)


def write_shard(path, examples, whole=records.write_shard):
    if fault == "full":
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, resource.RLIM_INFINITY))
    return whole(path, then_strike(examples, "shard") if "00001-of" in path.name else examples)


def flush(directory, whole=making.sync):
    strike("install")
    whole(directory)


parts.write, records.write_shard, making.sync = write_part, write_shard, flush
if __name__ == "__main__":
    sys.exit(prepare.run())
"""


@dataclasses.dataclass(frozen=True)
class Command:
    """The script, and the music that it prepares."""

    script: Path
    midi: Path

    def start(self, data_dir, fault="", once=None, workers=1):
        argv = [sys.executable, str(self.script), "--source=folder", f"--path={self.midi}"]
        argv += [f"--data_dir={data_dir}", f"--workers={workers}"]
        argv += ["--train_fraction=0.9", "--nocard"]
        environment = {**os.environ, "FAULT": fault, "ONCE": str(once or self.script)}
        pipe = subprocess.PIPE
        return subprocess.Popen(argv, stdout=pipe, stderr=pipe, text=True, env=environment)

    def run(self, *arguments, **named):
        process = self.start(*arguments, **named)
        process.out, process.error = process.communicate(timeout=120)
        return process


@pytest.fixture(name="command", scope="module")
def command_with_faults(tmp_path_factory):
    root = tmp_path_factory.mktemp("command")
    write_collection(root / "midi", PIECES)
    (root / "command.py").write_text(SCRIPT)
    return Command(root / "command.py", root / "midi")


@pytest.fixture(name="undisturbed", scope="module")
def files_of_an_undisturbed_run(tmp_path_factory, command):
    data_dir = tmp_path_factory.mktemp("undisturbed")
    process = command.run(data_dir, workers=2)
    assert process.returncode == 0, process.error
    made = everything_in(data_dir)
    assert sum(name.startswith("train-") for name in made) > 2
    return made


@pytest.mark.parametrize("fault", ["part", "shard", "install"])
def test_a_run_killed_anywhere_goes_on_and_gives_the_bytes_of_an_undisturbed_run(
    command, undisturbed, tmp_path, fault
):
    data_dir = tmp_path / "data"
    killed = command.run(data_dir, fault, tmp_path / "once", workers=2)
    assert killed.returncode == -signal.SIGKILL
    assert not (data_dir / "manifest.json").exists()
    (left,) = (data_dir / ".parts").iterdir()
    if fault != "install":
        half_written = {"part": ".0000003.part.*", "shard": ".*-00001-of-*.tfrecord.*"}
        assert len(list(left.glob(half_written[fault]))) == 1
    assert (len(list(left.glob("*.part"))) == PIECES // 2) == (fault != "part")
    again = command.run(data_dir)
    assert again.returncode == 0, again.error
    assert "going on: " in again.out and f"{PIECES} pieces" in again.out
    assert everything_in(data_dir) == undisturbed
    assert {path.name for path in data_dir.iterdir()} == set(undisturbed)


def test_shards_that_were_finished_are_not_written_again(command, undisturbed, tmp_path):
    data_dir = tmp_path / "data"
    command.run(data_dir, "shard", tmp_path / "once")
    (left,) = (data_dir / ".parts").iterdir()
    finished = {path.stem: (left / path.stem).stat().st_ino for path in left.glob("*.receipt")}
    assert command.run(data_dir).returncode == 0
    assert {name: (data_dir / name).stat().st_ino for name in finished} == finished
    assert everything_in(data_dir) == undisturbed


def test_a_finished_shard_that_was_damaged_since_is_written_again(command, undisturbed, tmp_path):
    data_dir = tmp_path / "data"
    command.run(data_dir, "install", tmp_path / "once")  # All shards are in place, finished.
    (left,) = (data_dir / ".parts").iterdir()
    for shard in data_dir.glob("*.tfrecord"):
        (left / shard.name).write_bytes(shard.read_bytes()[:-1] + b"?")
    assert command.run(data_dir).returncode == 0
    assert everything_in(data_dir) == undisturbed


def test_a_worker_that_dies_while_it_writes_a_shard_is_replaced(command, undisturbed, tmp_path):
    process = command.run(tmp_path / "data", "shard, worker alone", tmp_path / "once")
    assert (tmp_path / "once").exists() and process.returncode == 0, process.error
    assert everything_in(tmp_path / "data") == undisturbed


def test_workers_that_die_whenever_they_write_a_shard_end_the_run_in_words(command, tmp_path):
    process = command.run(tmp_path / "data", "shard, worker alone, always", tmp_path / "once")
    assert process.returncode == 1
    assert "00001-of" in process.error and "died twice" in process.error
    assert not (tmp_path / "data" / "manifest.json").exists()


def test_files_that_may_not_grow_end_the_run_in_words_and_it_goes_on(
    command, undisturbed, tmp_path
):
    data_dir = tmp_path / "data"
    process = command.run(data_dir, "full")
    assert process.returncode == 1 and "error: file too large; files may not" in process.error
    assert not (data_dir / "manifest.json").exists()
    assert not list(data_dir.glob(".parts/*/*.receipt"))
    assert command.run(data_dir).returncode == 0
    assert everything_in(data_dir) == undisturbed


def test_a_full_disk_ends_the_run_in_words_and_it_goes_on_when_there_is_room(
    command, undisturbed, tmp_path
):
    disk, filler = tmp_path / "disk", tmp_path / "disk" / "filler"
    with tiny_disk(disk, 2**19):
        filler.write_bytes(bytes(2**19 - 12 * os.sysconf("SC_PAGE_SIZE")))
        process = command.run(disk / "data")
        assert process.returncode == 1 and "error: no space left on device;" in process.error
        assert not (disk / "data" / "manifest.json").exists()
        filler.unlink()
        assert command.run(disk / "data").returncode == 0
        assert everything_in(disk / "data") == undisturbed


def test_two_runs_at_once_into_one_directory_do_the_work_once(command, undisturbed, tmp_path):
    first, second = (command.start(tmp_path) for _ in range(2))
    outs = [process.communicate(timeout=120)[0] for process in (first, second)]
    assert [first.returncode, second.returncode] == [0, 0]
    assert sum("nothing to do" in out for out in outs) == 1
    assert everything_in(tmp_path) == undisturbed


def test_a_run_waits_for_another_in_its_directory_and_says_so(command, undisturbed, tmp_path):
    with locked(tmp_path / "prepare"):
        process = command.start(tmp_path)
        assert f"waiting for another process to prepare {tmp_path}" in process.stderr.readline()
        assert list(tmp_path.iterdir()) == [tmp_path / ".prepare.lock"]
    process.communicate(timeout=120)
    assert process.returncode == 0 and everything_in(tmp_path) == undisturbed


def test_what_was_prepared_before_stays_until_the_new_is_whole(command, undisturbed, tmp_path):
    (tmp_path / "other").mkdir()
    write_midi(tmp_path / "other" / "a.mid", 60, 62, 64)
    other = folder.Source(path=str(tmp_path / "other"))
    data_dir = tmp_path / "data"
    prepare.prepare(flags(data_dir, **ALL_TRAIN), other, Codec())
    before = everything_in(data_dir)
    assert command.run(data_dir, "shard", tmp_path / "once").returncode == -signal.SIGKILL
    assert {name: before[name] for name in before} == {
        name: content for name, content in everything_in(data_dir).items() if name in before
    }
    again = command.run(data_dir)
    assert "preparing again" in again.out
    assert everything_in(data_dir) == undisturbed


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="looks at /proc")
def test_workers_end_when_the_main_process_is_killed(command, tmp_path):
    process = command.start(tmp_path, workers=2)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    end = time.monotonic() + 60
    while len(workers := children.read_text().split()) < 3:  # One tracks resources.
        assert time.monotonic() < end and process.poll() is None
    process.kill()
    process.communicate()
    while any(Path(f"/proc/{pid}/exe").exists() for pid in workers):
        assert time.monotonic() < end, "a worker lives on"
        time.sleep(0.01)
