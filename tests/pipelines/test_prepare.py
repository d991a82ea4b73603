"""Tests of pipelines/prepare.py and pipelines/tasks.py."""

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import mido
import numpy as np
import pytest

from pipelines import prepare, records, tasks
from pipelines.codecs.note_tuples import Codec
from pipelines.command_line import UsageError
from pipelines.sources import corpus, folder
from pipelines.split import Fractions, split_of


def write_midi(path, *pitches):
    """Writes eighths, one after the other."""
    path.parent.mkdir(parents=True, exist_ok=True)
    file = mido.MidiFile(ticks_per_beat=480)
    track = mido.MidiTrack()
    for pitch in pitches:
        track.append(mido.Message("note_on", note=pitch, velocity=64, time=0))
        track.append(mido.Message("note_off", note=pitch, time=240))
    file.tracks.append(track)
    file.save(path)


def write_collection(root, count=12):
    """Writes pieces of 10, 11, ... notes of two composers, no two alike."""
    for index in range(count):
        composer = "haydn" if index % 3 else "bach"
        write_midi(root / composer / f"{index:02d}.mid", *range(40, 50 + index))
    return folder.Source(path=str(root))


def flags(data_dir, **given):
    return prepare.Flags(data_dir=str(data_dir), **{"workers": 2, **given})


def everything_in(data_dir):
    return {path.name: path.read_bytes() for path in Path(data_dir).iterdir() if path.is_file()}


@pytest.fixture(name="collection", scope="module")
def collection_of_midi(tmp_path_factory):
    return write_collection(tmp_path_factory.mktemp("collection"))


@pytest.fixture(name="prepared", scope="module")
def prepared_collection(tmp_path_factory, collection):
    """A data directory and its manifest."""
    data_dir = tmp_path_factory.mktemp("data")
    return data_dir, prepare.prepare(flags(data_dir), collection, Codec())


def test_the_manifest_counts_what_the_records_hold(prepared):
    data_dir, manifest = prepared
    assert manifest == records.read_manifest(data_dir)
    assert len(manifest.pieces) == 12 and not manifest.skipped
    assert sum(piece["notes"] for piece in manifest.pieces) == sum(range(10, 22))
    assert manifest.spec.classes == {"composer": ("bach", "haydn"), "genre": ("unknown",)}
    assert manifest.build_codec() == Codec()
    assert manifest.source["name"] == "folder"
    for name, split in manifest.splits.items():
        rows = [piece for piece in manifest.pieces if piece["split"] == name]
        assert split["pieces"] == len(rows) and split["notes"] == sum(r["notes"] for r in rows)


def test_the_records_hold_what_the_codec_makes_of_each_piece(prepared, collection):
    from pipelines import dataset  # TensorFlow: not above, where worker processes meet it.

    data_dir, manifest = prepared
    pieces = dataset.load(data_dir, "train")
    listed = {piece.key: piece for piece in collection.pieces()}
    for key, array, index in zip(
        pieces.keys, pieces.arrays, pieces.classes["composer"], strict=True
    ):
        expected = Codec().encode(collection.read(listed[key]))
        np.testing.assert_array_equal(array, expected)
        assert manifest.spec.classes["composer"][index] == listed[key].composer


def test_nothing_is_left_beside_the_records_and_the_manifest(prepared):
    data_dir, manifest = prepared
    shards = [shard["file"] for split in manifest.splits.values() for shard in split["shards"]]
    assert sorted(path.name for path in data_dir.iterdir()) == sorted([*shards, "manifest.json"])


def test_the_same_again_does_nothing_and_says_so(prepared, collection, capsys):
    data_dir, manifest = prepared
    before = (data_dir / "manifest.json").stat().st_mtime_ns
    assert prepare.prepare(flags(data_dir), collection, Codec()) == manifest
    assert (data_dir / "manifest.json").stat().st_mtime_ns == before
    assert "nothing to do" in capsys.readouterr().out


def test_records_are_equal_byte_for_byte_whatever_the_number_of_workers(
    prepared, collection, tmp_path
):
    data_dir, _ = prepared
    prepare.prepare(flags(tmp_path, workers=1), collection, Codec())
    assert everything_in(tmp_path) == everything_in(data_dir)


def test_other_flags_files_or_damage_prepare_all_again(tmp_path, capsys):
    source = write_collection(tmp_path / "midi", 4)
    all_train = flags(tmp_path / "data", train_fraction=1.0, validation_fraction=0.0)
    first = prepare.prepare(all_train, source, Codec())
    other = prepare.prepare(all_train, source, Codec(tones_per_cell=3))
    assert "other flags, files or versions" in capsys.readouterr().out
    assert other.codec["tones_per_cell"] == 3 and other.configuration != first.configuration
    write_midi(tmp_path / "midi" / "new.mid", 60, 62)
    assert len(prepare.prepare(all_train, source, Codec()).pieces) == 5
    shard = tmp_path / "data" / "train-00000-of-00001.tfrecord"
    whole = shard.read_bytes()
    shard.write_bytes(whole[:-1])
    capsys.readouterr()
    prepare.prepare(all_train, source, Codec())
    assert "SHA-256 differs" in capsys.readouterr().out
    assert shard.read_bytes() == whole


def test_copies_of_a_piece_fall_in_one_split(tmp_path):
    for index in range(8):
        for copy in ("original", "copy"):
            write_midi(tmp_path / "midi" / copy / f"{index}.mid", *range(50, 60 + index))
    manifest = prepare.prepare(
        flags(tmp_path / "data", train_fraction=0.5, validation_fraction=0.25),
        folder.Source(path=str(tmp_path / "midi")),
        Codec(),
    )
    split = {piece["key"]: piece["split"] for piece in manifest.pieces}
    assert len(set(split.values())) > 1
    for index in range(8):
        assert split[f"original/{index}.mid"] == split[f"copy/{index}.mid"]


def test_pieces_tsv_decides_the_split_and_a_copy_that_it_does_not_name_follows(tmp_path):
    source = write_collection(tmp_path / "midi", 6)
    write_midi(tmp_path / "midi" / "copy.mid", *range(40, 50))  # The notes of bach/00.mid.
    rows = [f"{piece.key}\tthe one work" for piece in source.pieces() if piece.key != "copy.mid"]
    (tmp_path / "midi" / "pieces.tsv").write_text("\n".join(["path\tgroup", *rows]))
    share = Fractions(0.999, 0.0005)
    manifest = prepare.prepare(
        flags(tmp_path / "data", train_fraction=share.train, validation_fraction=share.validation),
        source,
        Codec(),
    )
    assert {piece["group"] for piece in manifest.pieces} == {"pieces.tsv: the one work"}
    assert {p["split"] for p in manifest.pieces} == {split_of("pieces.tsv: the one work", share)}


def test_what_cannot_be_read_is_skipped_and_counted_with_the_reason(tmp_path):
    source = write_collection(tmp_path / "midi", 6)
    (tmp_path / "midi" / "text.mid").write_text("this is no MIDI")
    write_midi(tmp_path / "midi" / "silent.mid")
    (tmp_path / "midi" / "pieces.tsv").write_text("path\tgroup\ngone.mid\t1\n")
    manifest = prepare.prepare(
        flags(tmp_path / "data", train_fraction=1.0, validation_fraction=0.0), source, Codec()
    )
    assert len(manifest.pieces) == 6
    reasons = {piece["key"]: piece["reason"] for piece in manifest.skipped}
    assert reasons["silent.mid"] == "it has no notes"
    assert reasons["gone.mid"] == "No such file or directory"
    assert "MThd" in reasons["text.mid"] and len(reasons) == 3
    assert str(tmp_path).encode() not in manifest.to_bytes().replace(source.path.encode(), b"")
    text = prepare.summary(manifest, "data")
    assert "6 pieces" in text and "skipped: 3 pieces" in text and "1 x it has no notes" in text
    assert "test: 0 pieces, 0 notes, 0 steps; empty" in text


def test_no_piece_that_can_be_read_is_an_error(tmp_path):
    (tmp_path / "midi").mkdir()
    (tmp_path / "midi" / "text.mid").write_text("this is no MIDI")
    with pytest.raises(ValueError, match=r"none of the 1 pieces could be read; .*text.mid: "):
        prepare.prepare(
            flags(tmp_path / "data"), folder.Source(path=str(tmp_path / "midi")), Codec()
        )


def test_an_empty_training_split_is_refused_with_what_to_do(tmp_path):
    write_midi(tmp_path / "midi" / "only.mid", 60, 62)
    with pytest.raises(ValueError, match=r"1 pieces in 1 groups are too few.*--train_fraction=1"):
        prepare.prepare(
            flags(tmp_path / "data", train_fraction=1e-9),
            folder.Source(path=str(tmp_path / "midi")),
            Codec(),
        )
    assert not (tmp_path / "data" / "manifest.json").exists()


def test_wrong_flags_are_refused_in_words(tmp_path, collection):
    (tmp_path / "file").write_text("x")
    for wrong, said in [
        (flags(tmp_path / "file"), "is a file; --data_dir takes a directory"),
        (flags(tmp_path, workers=0), "workers is 0"),
        (flags(tmp_path, train_fraction=0.0), "train_fraction"),
    ]:
        with pytest.raises(ValueError, match=said):
            prepare.prepare(wrong, collection, Codec())


@dataclasses.dataclass(frozen=True)
class DeadlySource(folder.Source):
    """Folder whose pieces named deadly kill the process that reads them."""

    def read(self, piece):
        if piece.title == "deadly":
            os.kill(os.getpid(), signal.SIGKILL)
        if piece.title == "faulty":
            raise KeyError("a fault of the reader")
        return super().read(piece)


def test_a_worker_that_dies_costs_one_piece_and_hangs_nothing(tmp_path):
    write_collection(tmp_path / "midi", 5)
    for name in ("deadly", "faulty"):
        write_midi(tmp_path / "midi" / "bach" / f"{name}.mid", 60)
    manifest = prepare.prepare(
        flags(tmp_path / "data", train_fraction=1.0, validation_fraction=0.0),
        DeadlySource(path=str(tmp_path / "midi")),
        Codec(),
    )
    assert len(manifest.pieces) == 5
    reasons = {piece["key"]: piece["reason"] for piece in manifest.skipped}
    assert "its worker process died" in reasons["bach/deadly.mid"]
    assert reasons["bach/faulty.mid"] == "KeyError: 'a fault of the reader'"


def test_a_part_that_is_damaged_is_done_again(tmp_path, collection):
    pieces = collection.pieces()
    first = tasks.run(collection, Codec(), pieces, tmp_path, 1)
    (part,) = tmp_path.iterdir()
    part.write_bytes(part.read_bytes()[:-1])
    assert tasks.run(collection, Codec(), pieces, tmp_path, 1) == first
    assert [outcome.row["key"] for outcome in first] == [piece.key for piece in pieces]


def command(data_dir, cache_dir):
    return [
        *(sys.executable, "-m", "pipelines.prepare", "--source=corpus", "--composer=haydn"),
        *(f"--data_dir={data_dir}", f"--cache_dir={cache_dir}", "--workers=2"),
        *("--works_per_composer=5", "--train_fraction=0.9"),
    ]


def children_of(pid):
    """The process ids of the children of a process."""
    path = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(child) for child in path.read_text().split()]


def wait_for(condition, seconds=60.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="looks at /proc")
def test_a_run_that_was_killed_goes_on_and_gives_the_same_bytes(tmp_path):
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    process = subprocess.Popen(
        command(killed, tmp_path / "cache 1"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    wait_for(lambda: list(killed.glob(".parts/*/*.part")))
    workers = children_of(process.pid)
    process.kill()
    process.wait()
    assert not (killed / "manifest.json").exists()
    wait_for(lambda: not any(Path(f"/proc/{pid}/exe").exists() for pid in workers))
    again = subprocess.run(
        command(killed, tmp_path / "cache 1"), capture_output=True, text=True, check=True
    )
    assert "going on: " in again.stdout and "5 pieces" in again.stdout
    subprocess.run(command(whole, tmp_path / "cache 1"), capture_output=True, check=True)
    assert everything_in(killed) == everything_in(whole)


def test_the_command_prepares_and_says_what_it_made(tmp_path, capsys):
    write_collection(tmp_path / "midi", 4)
    argv = ["--source=folder", f"--path={tmp_path / 'midi'}", f"--data_dir={tmp_path / 'data'}"]
    prepare.main([*argv, "--tones_per_cell=2", "--train_fraction=1", "--validation_fraction=0"])
    out = capsys.readouterr().out
    assert "4 pieces, 46 notes, 2 composers: bach, haydn" in out
    assert f"in {tmp_path / 'data'}" in out
    written = json.loads((tmp_path / "data" / "manifest.json").read_text())
    assert written["codec"] == Codec(tones_per_cell=2).to_json()


def test_the_command_refuses_what_it_does_not_know(tmp_path):
    with pytest.raises(ValueError, match="no source 'vinyl'"):
        prepare.main(["--source=vinyl", "--data_dir=x"])
    with pytest.raises(ValueError, match="no codec 'braille'"):
        prepare.main(["--codec=braille", "--data_dir=x"])
    with pytest.raises(UsageError, match="--composers"):
        prepare.main(["--source=corpus", "--composers=bach", "--data_dir=x"])
    with pytest.raises(UsageError, match="data_dir"):
        prepare.main(["--source=corpus"])


def test_a_corpus_piece_becomes_a_record(tmp_path):
    source = corpus.Source(composer=("verdi",), cache_dir=str(tmp_path / "cache"))
    manifest = prepare.prepare(
        flags(tmp_path / "data", train_fraction=1.0, validation_fraction=0.0), source, Codec()
    )
    (piece,) = manifest.pieces
    assert (piece["composer"], piece["genre"], piece["group"]) == (
        "verdi",
        "romantic",
        "verdi/laDonnaEMobile",
    )
    assert str(tmp_path) not in (tmp_path / "data" / "manifest.json").read_text()
