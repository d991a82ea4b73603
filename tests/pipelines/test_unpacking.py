"""Tests of pipelines/downloads/unpacking.py and pipelines/downloads/archives.py."""

import hashlib
import io
import json
import os
import random
import signal
import stat
import subprocess
import sys
import tarfile
import time
import zipfile
from pathlib import Path

import pytest

from pipelines.downloads import archives
from pipelines.downloads.archives import UnpackError
from pipelines.downloads.unpacking import is_unpacked, safe_path, unpack

FILES = {"a/1.mid": b"one", "a/b/2.MIDI": b"two" * 1000, "3.mid": b""}
OTHERS = {
    "README.txt": b"read me",
    "a/inner.zip": b"PK\x03\x04 and so on",
    "__MACOSX/a/._1.mid": b"not music",
    ".hidden/4.mid": b"not music",
}
SUFFIXES = (".mid", ".midi")
PACKINGS = ("zip", "tar", "tar.gz", "tar.bz2", "tar.xz")


def tar_member(name, **fields):
    info = tarfile.TarInfo(name)
    for field, value in fields.items():
        setattr(info, field, value)
    return info


def make_tar(path, *members):
    """Writes (name or TarInfo, content) to a tar, packed as its name says."""
    mode = {".tar": "w", ".gz": "w:gz", ".bz2": "w:bz2", ".xz": "w:xz"}[path.suffix]
    with tarfile.open(path, mode) as packed:
        for member, content in members:
            info = tar_member(member) if isinstance(member, str) else member
            info.size = len(content)
            packed.addfile(info, io.BytesIO(content))
    return path


def make_zip(path, *members, method=zipfile.ZIP_DEFLATED):
    """Writes (name or ZipInfo, content) to a zip."""
    with zipfile.ZipFile(path, "w", method) as packed:
        for member, content in members:
            packed.writestr(member, content)
    return path


def make(path, *members):
    return (make_zip if path.suffix == ".zip" else make_tar)(path, *members)


def everything_in(folder):
    found = {p.relative_to(folder).as_posix(): p for p in folder.rglob("*") if p.is_file()}
    return {name: path.read_bytes() for name, path in found.items() if path.name[0] != "."}


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def refused(archive, said, tmp_path, **options):
    """Asserts that an archive is refused, with a text, and that nothing of it is there."""
    before = names(tmp_path)
    with pytest.raises(UnpackError, match=said) as caught:
        unpack(archive, tmp_path / "out", SUFFIXES, **options)
    assert str(archive) in str(caught.value)
    assert names(tmp_path) == before


# Archives as they should be.


@pytest.mark.parametrize("packing", PACKINGS)
def test_the_files_of_the_suffixes_come_out_and_the_others_are_counted(packing, tmp_path, capsys):
    archive = make(tmp_path / f"x.{packing}", *FILES.items(), *OTHERS.items())
    unpack(archive, tmp_path / "new" / "out", SUFFIXES)
    assert everything_in(tmp_path / "new" / "out") == FILES
    assert names(tmp_path / "new") == ["out"]
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    assert json.loads((tmp_path / "new" / "out" / ".unpacked.json").read_text()) == {
        "archive": f"x.{packing}",
        "archive_sha256": digest,
        "suffixes": [".mid", ".midi"],
        "files": 3,
        "bytes": 3003,
        "left_out": 4,
        "renamed": 0,
    }
    assert is_unpacked(tmp_path / "new" / "out", digest) and is_unpacked(tmp_path / "new" / "out")
    assert not is_unpacked(tmp_path / "new" / "out", "0" * 64)
    assert "3 files, 3003 bytes" in capsys.readouterr().err


def test_an_archive_inside_is_a_file_like_others(tmp_path):
    archive = make_zip(tmp_path / "x.zip", *OTHERS.items())
    unpack(archive, tmp_path / "out", (".zip",))
    assert everything_in(tmp_path / "out") == {"a/inner.zip": OTHERS["a/inner.zip"]}


@pytest.mark.parametrize("packing", ["zip", "tar"])
def test_folders_of_their_own_and_points_in_front_are_as_good_as_none(packing, tmp_path):
    folder = zipfile.ZipInfo("./a/") if packing == "zip" else tar_member("./a", type=b"5")
    archive = make(tmp_path / f"x.{packing}", (folder, b""), ("./a/1.mid", b"one"))
    unpack(archive, tmp_path / "out", SUFFIXES)
    assert everything_in(tmp_path / "out") == {"a/1.mid": b"one"}


def test_a_name_that_is_not_utf_8_is_taken_as_latin_1_and_counted(tmp_path):
    old = dict(format=tarfile.USTAR_FORMAT, encoding="latin-1")
    with tarfile.open(tmp_path / "x.tar", "w", **old) as packed:
        packed.addfile(tar_member("Fauré.mid"), io.BytesIO())
    unpack(tmp_path / "x.tar", tmp_path / "out", SUFFIXES)
    assert list(everything_in(tmp_path / "out")) == ["Fauré.mid"]
    assert json.loads((tmp_path / "out" / ".unpacked.json").read_text())["renamed"] == 1


def test_the_same_again_does_nothing(tmp_path):
    archive = make_zip(tmp_path / "x.zip", *FILES.items())
    unpack(archive, tmp_path / "out", SUFFIXES)
    before = (tmp_path / "out").stat().st_ino
    unpack(archive, tmp_path / "out", SUFFIXES)
    assert (tmp_path / "out").stat().st_ino == before


def test_another_archive_or_other_suffixes_take_the_place_of_what_was_there(tmp_path):
    unpack(make_zip(tmp_path / "1.zip", *FILES.items()), tmp_path / "out", SUFFIXES)
    other = make_zip(tmp_path / "2.zip", ("new.mid", b"new"), ("new.txt", b"text"))
    unpack(other, tmp_path / "out", SUFFIXES)
    assert everything_in(tmp_path / "out") == {"new.mid": b"new"}
    unpack(other, tmp_path / "out", (".txt",))
    assert everything_in(tmp_path / "out") == {"new.txt": b"text"}
    assert names(tmp_path) == ["1.zip", "2.zip", "out"]


def test_a_folder_with_files_of_somebody_else_is_left_alone(tmp_path):
    archive = make_zip(tmp_path / "x.zip", *FILES.items())
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.mid").write_bytes(b"mine")
    with pytest.raises(UnpackError, match="move it away"):
        unpack(archive, tmp_path / "out", SUFFIXES)
    assert everything_in(tmp_path / "out") == {"mine.mid": b"mine"}
    (tmp_path / "out" / "mine.mid").unlink()
    unpack(archive, tmp_path / "out", SUFFIXES)
    assert everything_in(tmp_path / "out") == FILES


def test_a_link_to_a_folder_stays_one(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "out").symlink_to(tmp_path / "elsewhere")
    for number in ("1", "2"):
        archive = make_zip(tmp_path / f"{number}.zip", (f"{number}.mid", b""))
        unpack(archive, tmp_path / "out", SUFFIXES)
        assert list(everything_in(tmp_path / "elsewhere")) == [f"{number}.mid"]
    assert (tmp_path / "out").is_symlink()


# Archives as they should not be.


@pytest.mark.parametrize("packing", ["zip", "tar"])
@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("../evil.mid", "outside"),
        ("a/../../evil.mid", "outside"),
        ("a/..", "outside"),
        ("/abs.mid", "outside"),
        ("C:/x.mid", "outside"),
        ("c:x.mid", "outside"),
        ("../evil.txt", "outside"),  # Of no wanted suffix, and still no archive to trust.
        ("a\\..\\b.mid", "backslash"),
        ("\\\\server\\b.mid", "backslash"),
        ("a\nb.mid", "control character"),
        ("x" * 252 + ".mid", "too long a name"),
        ("é" * 127 + ".mid", "too long a name"),
        ("a/" * 500 + "x.mid", "too long a name"),
    ],
)
def test_a_name_that_leads_elsewhere_refuses_the_archive(packing, name, said, tmp_path):
    archive = make(tmp_path / f"x.{packing}", ("ok.mid", b"ok"), (name, b"x"))
    refused(archive, said, tmp_path)


def test_a_nul_in_a_name_of_a_zip_is_refused(tmp_path):
    archive = make_zip(tmp_path / "x.zip", ("aXb.mid", b"x"))
    archive.write_bytes(archive.read_bytes().replace(b"aXb.mid", b"a\0b.mid"))
    refused(archive, "NUL", tmp_path)


def test_names_that_are_odd_but_safe_are_taken():
    for name in ("a..b/c..mid", "Etude: no. 1.mid", "*NSYNC/x.mid", "x" * 251 + ".mid"):
        assert str(safe_path(name)) == name


@pytest.mark.parametrize("packing", ["zip", "tar"])
@pytest.mark.parametrize(
    "pair",
    [
        ("1.mid", "1.mid"),
        ("A.mid", "a.MID"),
        ("Stra\u00dfe.mid", "STRASSE.mid"),
        ("\u00e9.mid", "e\u0301.mid"),  # One character, or two that look like it.
        ("a/./1.mid", "a/1.mid"),
        ("a.mid", "a.mid/b.mid"),
        ("a.mid/b.mid", "a.mid"),
    ],
)
@pytest.mark.filterwarnings("ignore:Duplicate name:UserWarning")
def test_two_members_of_one_name_refuse_the_archive(packing, pair, tmp_path):
    archive = make(tmp_path / f"x.{packing}", *[(name, b"x") for name in pair])
    refused(archive, "twice", tmp_path)


def test_names_that_differ_in_case_can_be_asked_for(tmp_path):
    archive = make_zip(tmp_path / "x.zip", ("A.mid", b"1"), ("a.mid", b"2"))
    unpack(archive, tmp_path / "out", SUFFIXES, case_matters=True)
    assert everything_in(tmp_path / "out") == {"A.mid": b"1", "a.mid": b"2"}
    with pytest.warns(UserWarning, match="Duplicate name"):
        same = make_zip(tmp_path / "y.zip", ("A.mid", b"1"), ("A.mid", b"2"))
    with pytest.raises(UnpackError, match="twice"):
        unpack(same, tmp_path / "other", SUFFIXES, case_matters=True)


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFCHR, stat.S_IFIFO, stat.S_IFSOCK])
def test_a_link_or_a_device_in_a_zip_refuses_it(kind, tmp_path):
    info = zipfile.ZipInfo("x.mid")
    info.external_attr = (kind | 0o777) << 16
    refused(make_zip(tmp_path / "x.zip", (info, b"/etc/passwd")), "link or a device", tmp_path)


@pytest.mark.parametrize("kind", [b"1", b"2", b"3", b"4", b"6"])
def test_a_link_or_a_device_in_a_tar_refuses_it(kind, tmp_path):
    info = tar_member("x.mid", type=kind, linkname="/etc/passwd")
    refused(make_tar(tmp_path / "x.tar", (info, b"")), "a link, a device", tmp_path)


def test_a_file_with_holes_in_a_tar_refuses_it(tmp_path):
    """Its header may promise terabytes of zeros."""
    holes = {"GNU.sparse.major": "0", "GNU.sparse.minor": "1", "GNU.sparse.map": "0,1"}
    info = tar_member("x.mid", pax_headers={**holes, "GNU.sparse.size": str(10**12)})
    refused(make_tar(tmp_path / "x.tar", (info, b"x")), "full of holes", tmp_path)


def test_an_encrypted_member_refuses_the_zip(tmp_path):
    archive = make_zip(tmp_path / "x.zip", ("1.mid", b"x"))
    content = bytearray(archive.read_bytes())
    content[content.index(b"PK\1\2") + 8] |= 1  # General purpose flags of the directory.
    archive.write_bytes(content)
    refused(archive, "'1.mid' is encrypted", tmp_path)


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_zip_of_a_rare_method_is_refused(method, tmp_path):
    archive = make_zip(tmp_path / "x.zip", ("1.mid", b"x"), method=method)
    refused(archive, "by hand", tmp_path)


def test_an_archive_without_a_wanted_file_is_refused(tmp_path):
    refused(make_zip(tmp_path / "x.zip", *OTHERS.items()), r"no file that ends in \.mid", tmp_path)


@pytest.mark.parametrize("content", [b"", b"<!DOCTYPE html>", b"Rar!\x1a\7\0", bytes(2000)])
def test_what_is_no_archive_is_called_that(content, tmp_path):
    (tmp_path / "x.zip").write_bytes(content)
    refused(tmp_path / "x.zip", "neither zip nor tar", tmp_path)


# Bombs.


@pytest.mark.parametrize("packing", ["zip", "tar.gz", "tar.bz2", "tar.xz"])
@pytest.mark.parametrize("name", ["1.mid", "1.txt"])
def test_a_bomb_is_stopped_while_it_goes_off(packing, name, tmp_path):
    """20 MB of zeros; in a tar they have to be read past even where nobody wants them."""
    archive = make(tmp_path / f"x.{packing}", ("ok.mid", b"x"), (name, bytes(20_000_000)))
    assert archive.stat().st_size < 50_000
    if packing == "zip" and name == "1.txt":
        unpack(archive, tmp_path / "out", SUFFIXES)
        assert everything_in(tmp_path / "out") == {"ok.mid": b"x"}
    else:
        refused(archive, "bomb", tmp_path)


def test_a_bomb_of_members_that_share_their_bytes_is_refused(tmp_path):
    archive = tmp_path / "x.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("1.mid", bytes(100_000))
        for number in range(2, 100):
            twin = zipfile.ZipInfo(f"{number}.mid")
            for field in ("header_offset", "compress_size", "file_size", "CRC", "compress_type"):
                setattr(twin, field, getattr(packed.filelist[0], field))
            packed.filelist.append(twin)
    refused(archive, "damaged", tmp_path)


def test_a_size_that_the_header_understates_helps_nobody(tmp_path):
    archive = make_zip(tmp_path / "x.zip", ("1.mid", bytes(100_000)))
    content = bytearray(archive.read_bytes())
    place = content.index(b"PK\1\2") + 24  # Bytes unpacked, in the directory.
    assert int.from_bytes(content[place : place + 4], "little") == 100_000
    for size in (10, 10**9):
        content[place : place + 4] = size.to_bytes(4, "little")
        archive.write_bytes(content)
        refused(archive, r"'1\.mid'", tmp_path)


@pytest.mark.parametrize("packing", ["zip", "tar"])
def test_what_comes_out_has_limits(packing, tmp_path):
    archive = make(tmp_path / f"x.{packing}", *[(f"{n}.mid", bytes(1000)) for n in range(5)])
    refused(archive, r"'0\.mid' is larger than 999 bytes", tmp_path, largest_file_bytes=999)
    refused(archive, r"more than 4999 bytes, up to '4\.mid'", tmp_path, largest_bytes=4999)
    refused(archive, "more than 4 members", tmp_path, most_files=4)
    unpack(
        archive,
        tmp_path / "out",
        SUFFIXES,
        largest_file_bytes=1000,
        largest_bytes=5000,
        most_files=5,
    )


def test_a_name_of_megabytes_is_not_read(tmp_path):
    long = tar_member("x" * 3_000_000 + ".mid")
    archive = make_tar(tmp_path / "x.tar", ("ok.mid", b"ok"), (long, b""))
    refused(archive, "a header is longer", tmp_path)


# Archives that are damaged.


@pytest.mark.parametrize("packing", PACKINGS)
def test_an_archive_that_is_cut_short_is_never_taken_for_whole(packing, tmp_path):
    """The order is that of the archive, so that all members may be there, and yet not all of it."""
    contents = [(f"{n}.mid", random.Random(n).randbytes(1500)) for n in range(4)]
    archive = make(tmp_path / f"x.{packing}", *contents)
    content = archive.read_bytes()
    tar_end = 4 * (512 + 1536)  # What follows are zeros to the next 10,240 bytes.
    whole = len(content) if packing != "tar" else tar_end + 512
    for length in sorted({*range(0, whole, 171), *range(512, whole, 512), whole - 1}):
        if packing == "tar" and length > tar_end:
            continue
        archive.write_bytes(content[:length])
        refused(archive, "damaged|cut short|neither zip nor tar|no file", tmp_path)


@pytest.mark.parametrize("packing", PACKINGS)
def test_a_damaged_archive_is_refused_or_unpacked_and_nothing_else(packing, tmp_path):
    """300 archives of which a few bytes were changed."""
    archive = make(tmp_path / f"x.{packing}", *FILES.items(), *OTHERS.items())
    content, chance, refusals = archive.read_bytes(), random.Random(packing), 0
    for _ in range(300):
        mutant = bytearray(content)
        for _ in range(chance.choice([1, 1, 2, 8])):
            mutant[chance.randrange(len(mutant))] = chance.randrange(256)
        archive.write_bytes(mutant)
        read = []
        try:
            with archive.open("rb") as file:
                for member in archives.members(file, len(mutant)):
                    safe_path(member.name)
                    read += [] if member.is_folder else [b"".join(member.blocks())]
        except UnpackError:
            refusals += 1
    assert refusals > 50
    assert names(tmp_path) == [archive.name]


# Processes: killed, several, and on full disks.

CALL = """
import resource, sys
from pathlib import Path
from pipelines.downloads import unpacking
archive, folder, limit = sys.argv[1:]
if limit:
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit), int(limit)))
try:
    unpacking.unpack(Path(archive), Path(folder), (".mid",))
except OSError as error:
    sys.exit(str(error))
"""


def start(archive, folder, limit=""):
    command = [sys.executable, "-c", CALL, str(archive), str(folder), limit]
    root = Path(__file__).parents[2]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=root)


def end(process):
    _, said = process.communicate(timeout=60)
    return said


@pytest.fixture(name="large", scope="module")
def archive_of_many_files(tmp_path_factory):
    contents = {f"{n % 10}/{n}.mid": random.Random(n).randbytes(500) for n in range(4000)}
    archive = tmp_path_factory.mktemp("archive") / "x.tar.gz"
    return make_tar(archive, *contents.items()), contents


def test_kill_9_leaves_nothing_that_is_taken_for_whole(large, tmp_path):
    archive, contents = large
    folder, temporary = tmp_path / "out", tmp_path / ".out.unpacking"
    for kills in range(1, 5):
        process = start(archive, folder)
        while process.poll() is None and not (temporary / str(2 * kills)).exists():
            time.sleep(0.001)
        process.send_signal(signal.SIGKILL)
        end(process)
        assert process.returncode == -signal.SIGKILL
        assert not folder.exists() and not is_unpacked(folder) and temporary.exists()
    process = start(archive, folder)
    end(process)
    assert process.returncode == 0 and everything_in(folder) == contents
    assert names(tmp_path) == ["out"]


def test_a_stop_between_the_two_renames_unpacks_again(tmp_path):
    archive = make_zip(tmp_path / "x.zip", *FILES.items())
    unpack(make_zip(tmp_path / "old.zip", ("old.mid", b"")), tmp_path / "out", SUFFIXES)
    (tmp_path / "out").rename(tmp_path / ".out.old")
    unpack(archive, tmp_path / "out", SUFFIXES)
    assert everything_in(tmp_path / "out") == FILES
    assert names(tmp_path) == ["old.zip", "out", "x.zip"]


def test_four_processes_at_once_unpack_it_once(large, tmp_path):
    archive, contents = large
    processes = [start(archive, tmp_path / "out") for _ in range(4)]
    said = [end(process) for process in processes]
    assert [process.returncode for process in processes] == [0] * 4, said
    assert everything_in(tmp_path / "out") == contents and names(tmp_path) == ["out"]
    assert sum("4000 files" in text for text in said) == 1


def test_a_disk_that_fills_up_leaves_nothing_and_says_so(tmp_path):
    archive = make_tar(tmp_path / "x.tar.gz", ("1.mid", b""), ("2.mid", os.urandom(100_000)))
    process = start(archive, tmp_path / "out", limit="50000")
    said = end(process)
    assert process.returncode == 1 and f"no room in {tmp_path} to unpack" in said
    assert names(tmp_path) == ["x.tar.gz"]
