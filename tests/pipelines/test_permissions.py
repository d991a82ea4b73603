"""What is written has the permissions that the umask leaves, however it is written."""

import io
import os
import zipfile
from contextlib import contextmanager

import pytest

from pipelines import records
from pipelines.atomic_file import write_atomically
from pipelines.downloads.unpacking import unpack
from pipelines.file_lock import locked
from pipelines.permissions import give_usual_permissions, umask


@contextmanager
def masked(mask):
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


def mode(path):
    return path.stat().st_mode & 0o7777


@pytest.mark.parametrize(
    ("mask", "of_files", "of_folders"),
    [(0o027, 0o640, 0o750), (0o002, 0o664, 0o775), (0o022, 0o644, 0o755), (0o077, 0o600, 0o700)],
)
def test_files_and_folders_have_what_the_umask_leaves(mask, of_files, of_folders, tmp_path):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("bach/a.mid", b"MThd")
    with masked(mask):
        assert umask() == mask
        write_atomically(tmp_path / "a.json", b"{}")
        records.write_shard(tmp_path / "train.tfrecord", [b"record"])
        with records.open_table(tmp_path, "pieces") as table:
            table.add({"key": "a"})
        with locked(tmp_path / "prepare"):
            assert mode(tmp_path / ".prepare.lock") == of_files
        write_atomically(tmp_path / "x.zip", stream.getvalue())
        unpack(tmp_path / "x.zip", tmp_path / "music", (".mid",))
    found = list(tmp_path.rglob("*"))
    assert {path.name for path in found} > {"a.json", "train.tfrecord", "pieces.jsonl", "a.mid"}
    assert {path.name: oct(mode(path)) for path in found if path.is_file()} == dict.fromkeys(
        (path.name for path in found if path.is_file()), oct(of_files)
    )
    assert {mode(path) for path in found if path.is_dir()} == {of_folders}


def test_a_folder_keeps_handing_on_its_group(tmp_path):
    tmp_path.chmod(0o2700)
    with masked(0o027):
        give_usual_permissions(tmp_path)
    assert mode(tmp_path) == 0o2750
