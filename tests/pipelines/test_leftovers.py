"""Temporary files and folders: those of killed processes go, those of living ones stay."""

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from pipelines.atomic_file import open_atomically, write_atomically
from pipelines.file_lock import held, locked
from pipelines.leftovers import HOST, made_for, remove_leftovers, temporary_folder

ROOT = Path(__file__).parents[2]
BUSY = (
    "import sys, time; from pathlib import Path; from pipelines import atomic_file, leftovers\n"
    "from pipelines.file_lock import held\n"
    "place = Path(sys.argv[1])\n"
    "with held(place / 'train', '', ''), atomic_file.open_atomically(place / 'a.mid') as file,"
    " leftovers.temporary_folder(place / 'model', '.part') as folder:\n"
    "    file.write(b'half'); file.flush(); (folder / 'x').write_text('half')\n"
    "    print('ready', flush=True); sys.stdin.read()"
)


@pytest.fixture(name="busy")
def process_that_writes(tmp_path):
    """A process that holds a lock and has begun a file and a folder; it goes on when asked."""
    command = [sys.executable, "-c", BUSY, tmp_path]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout.readline() == b"ready\n"
        yield process
        process.kill()


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_what_a_living_process_writes_stays_until_it_is_whole(busy, tmp_path):
    before = names(tmp_path)
    remove_leftovers(tmp_path)
    assert names(tmp_path) == before and len(before) == 3
    busy.stdin.close()
    assert busy.wait(20) == 0
    assert names(tmp_path) == ["a.mid"]


def test_what_a_killed_process_left_is_removed_and_nothing_else(busy, tmp_path):
    busy.kill()
    busy.wait()
    left = [name for name in names(tmp_path) if not name.endswith(".lock")]
    assert [name.split(".")[1] for name in left] == ["a", "model"]
    others = [name.replace(HOST, "@0123abcd") for name in left]  # As another host names them.
    for name in (*others, ".a.mid.tmp", ".hidden", "a@b.tmp"):
        (tmp_path / name).write_text("of others")
    remove_leftovers(tmp_path)
    kept = {*others, ".a.mid.tmp", ".hidden", "a@b.tmp", ".train.lock"}
    assert set(names(tmp_path)) == kept
    remove_leftovers(tmp_path / "is not there")


def test_a_lock_names_its_holder_and_is_free_when_that_is_killed(busy, tmp_path):
    host = subprocess.run(["hostname"], capture_output=True, text=True, check=True).stdout.strip()
    words = rf"^a trains x \(process {busy.pid} on {host}\): wait$"
    with pytest.raises(ValueError, match=words), held(tmp_path / "train", "a trains x", "wait"):
        pass
    busy.kill()
    busy.wait()
    with held(tmp_path / "train", "a trains x", "wait"):
        assert ".train.lock" in names(tmp_path)
    assert ".train.lock" not in names(tmp_path)


def test_who_is_refused_leaves_the_lock_to_its_holder(tmp_path):
    with held(tmp_path / "x", "a", "wait"):
        for _ in range(2):
            with pytest.raises(ValueError, match="wait"), held(tmp_path / "x", "b", "wait"):
                pass
    with locked(tmp_path / "x"):
        pass
    assert names(tmp_path) == []


def test_files_that_are_written_while_others_clean_up_are_all_there(tmp_path):
    done = threading.Event()

    def clean():
        while not done.is_set():
            remove_leftovers(tmp_path)

    cleaner = threading.Thread(target=clean)
    cleaner.start()
    try:
        for number in range(150):
            with open_atomically(tmp_path / f"{number}", flush=False) as file:
                file.write(b"whole")
            with temporary_folder(tmp_path / "model", ".part") as folder:
                (folder / "x").write_text("whole")
                folder.rename(tmp_path / f"model-{number}")
    finally:
        done.set()
        cleaner.join()
    assert len(names(tmp_path)) == 300
    assert {path.read_bytes() for path in tmp_path.glob("[0-9]*")} == {b"whole"}
    assert {path.read_text() for path in tmp_path.glob("model-*/x")} == {"whole"}


@pytest.mark.parametrize("name", ["a" * 255, "ü" * 127])
def test_a_name_may_be_as_long_as_the_file_system_lets_it(name, tmp_path):
    write_atomically(tmp_path / name, b"x")
    assert names(tmp_path) == [name]


def test_folders_made_for_a_name_are_not_those_of_a_longer_one(tmp_path):
    with (
        temporary_folder(tmp_path / "v1", ".old") as own,
        temporary_folder(tmp_path / "v1.2", ".old") as other,
    ):
        assert made_for(tmp_path / "v1", ".old") == [own]
        assert made_for(tmp_path / "v1.2", ".old") == [other]
