"""Tests of pipelines/prepare.py and pipelines/preparation/making.py."""

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from small_midi import write_midi

from pipelines import prepare, records
from pipelines.codecs.note_tuples import Codec
from pipelines.formats.abc_notation import MEANINGLESS
from pipelines.preparation import data_card, data_counts
from pipelines.settings import UsageError
from pipelines.shaping import Shaping
from pipelines.sources import corpus, folder
from pipelines.split import SPLITS, Fractions, split_of


def write_collection(root, count=12):
    """Writes pieces of 10, 11, ... notes of two composers, no two alike."""
    for index in range(count):
        composer = "haydn" if index % 3 else "bach"
        write_midi(root / composer / f"{index:02d}.mid", *range(40, 50 + index))
    return folder.Source(path=str(root))


def flags(data_dir, **given):
    return prepare.Flags(data_dir=str(data_dir), **{"workers": 1, "card": False, **given})


def pieces_in(data_dir):
    return list(records.read_pieces(data_dir, records.read_manifest(data_dir)))


def reasons_in(data_dir):
    skipped = records.read_skipped(data_dir, records.read_manifest(data_dir))
    return {row["key"]: row["reason"] for row in skipped}


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
    pieces = pieces_in(data_dir)
    assert len(pieces) == 12 == manifest.tables["pieces"]["rows"] and not reasons_in(data_dir)
    assert sum(piece["notes"] for piece in pieces) == sum(range(10, 22))
    assert manifest.spec.classes == {"composer": ("bach", "haydn"), "genre": ("unknown",)}
    assert manifest.build_codec() == Codec()
    assert manifest.source["name"] == "folder"
    for name, split in manifest.splits.items():
        rows = [piece for piece in pieces if piece["split"] == name]
        assert split["pieces"] == len(rows)
        for count in ("notes", "steps"):
            assert split[count] == sum(row[count] for row in rows)


def test_the_row_of_a_piece_says_all_that_is_known_of_it(prepared):
    data_dir, _ = prepared
    rows = pieces_in(data_dir)
    row = rows[0]
    assert (row["key"], row["title"], row["composer"]) == ("bach/00.mid", "00", "bach")
    assert (row["genre"], row["notes"], row["steps"]) == ("unknown", 10, 10)
    assert row["seconds"] == 2.5  # Ten eighths at 120 quarters a minute.
    assert row["group"].startswith("notes: ") and row["licence"] == folder.Source.licence
    assert row["split"] == split_of(row["group"])
    assert [row["key"] for row in rows] == sorted(row["key"] for row in rows)


def test_the_row_of_a_piece_says_where_its_record_is(tmp_path, collection, monkeypatch):
    from pipelines import dataset  # TensorFlow: not above, where worker processes meet it.

    monkeypatch.setattr(records, "SHARD_RECORDS", 3)
    manifest = prepare.prepare(flags(tmp_path), collection, Codec())
    shards = [shard for split in manifest.splits.values() for shard in split["shards"]]
    assert len(shards) > 4 and sum(shard["records"] for shard in shards) == 12
    for shard in shards:
        rows = [row for row in pieces_in(tmp_path) if row["shard"] == shard["file"]]
        rows.sort(key=lambda row: row["index"])
        assert [row["index"] for row in rows] == list(range(shard["records"]))
        stored = dataset.tf.data.TFRecordDataset(str(tmp_path / shard["file"]))
        for row, content in zip(rows, stored.as_numpy_iterator(), strict=True):
            features = dataset.tf.train.Example.FromString(content).features.feature
            assert features["key"].bytes_list.value[0].decode() == row["key"]


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
    tables = ["counts.jsonl", "manifest.json", "pieces.jsonl", "skipped.jsonl"]
    assert sorted(path.name for path in data_dir.iterdir()) == sorted([*shards, *tables])


def test_the_card_is_written_beside_the_records_and_goes_where_none_is_wanted(
    prepared, collection, tmp_path, capsys
):
    data_dir, manifest = prepared
    with_card = flags(tmp_path, card=True)
    assert prepare.prepare(with_card, collection, Codec()) == manifest
    card, plots = tmp_path / "data_card.md", tmp_path / "data_card.png"
    assert "| all | 12 |" in card.read_text() and plots.read_bytes().startswith(b"\x89PNG")
    written = everything_in(tmp_path)
    assert {name: written[name] for name in everything_in(data_dir)} == everything_in(data_dir)
    capsys.readouterr()
    prepare.prepare(with_card, collection, Codec())
    assert "nothing to do" in capsys.readouterr().out
    prepare.prepare(flags(tmp_path), collection, Codec(tones_per_cell=3))
    assert not card.exists() and not plots.exists()


@pytest.mark.parametrize("gone", [("data_card.md", "data_card.png"), ("data_card.png",)])
def test_a_card_that_is_wanted_later_is_drawn_without_reading_the_music(
    collection, tmp_path, capsys, monkeypatch, gone
):
    with_card = flags(tmp_path, card=True)
    manifest = prepare.prepare(with_card, collection, Codec())
    written = everything_in(tmp_path)
    for name in gone:
        (tmp_path / name).unlink()
    capsys.readouterr()
    monkeypatch.delattr(prepare.making, "make")
    assert prepare.prepare(with_card, collection, Codec()) == manifest
    assert "held this already, but no data card" in capsys.readouterr().out
    assert everything_in(tmp_path) == written
    prepare.prepare(with_card, collection, Codec())
    assert "nothing to do" in capsys.readouterr().out


def test_counts_that_were_damaged_prepare_all_again(tmp_path, capsys):
    source = write_collection(tmp_path / "midi", 4)
    all_train = flags(tmp_path / "data", train_fraction=1.0, validation_fraction=0.0)
    prepare.prepare(all_train, source, Codec())
    path = tmp_path / "data" / "counts.jsonl"
    whole = path.read_bytes()
    assert [json.loads(line)["split"] for line in whole.splitlines()] == list(records.SPLITS)
    path.write_bytes(whole[:-2])
    prepare.prepare(all_train, source, Codec())
    assert "counts.jsonl is not what was written" in capsys.readouterr().out
    assert path.read_bytes() == whole


def test_a_folder_that_was_moved_is_the_same_collection_and_its_path_stands_nowhere(
    tmp_path, capsys
):
    source = write_collection(tmp_path / "midi", 4)
    (tmp_path / "midi" / "text.mid").write_text("this is no MIDI")
    everything = flags(tmp_path / "data", card=True, train_fraction=1.0, validation_fraction=0.0)
    manifest = prepare.prepare(everything, source, Codec())
    assert manifest.source["flags"] == {"repeats": "played"}
    assert str(tmp_path).encode() not in b"".join(everything_in(tmp_path / "data").values())
    (tmp_path / "midi").rename(tmp_path / "moved")
    capsys.readouterr()
    moved = folder.Source(path=str(tmp_path / "moved"))
    assert prepare.prepare(everything, moved, Codec()) == manifest
    assert "nothing to do" in capsys.readouterr().out


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
    for workers in (2, 3):
        prepare.prepare(flags(tmp_path / str(workers), workers=workers), collection, Codec())
        assert everything_in(tmp_path / str(workers)) == everything_in(data_dir)


def test_other_flags_files_or_damage_prepare_all_again(tmp_path, capsys):
    source = write_collection(tmp_path / "midi", 4)
    all_train = flags(tmp_path / "data", train_fraction=1.0, validation_fraction=0.0)
    first = prepare.prepare(all_train, source, Codec())
    other = prepare.prepare(all_train, source, Codec(tones_per_cell=3))
    assert "other flags, files or versions" in capsys.readouterr().out
    assert other.codec["tones_per_cell"] == 3 and other.configuration != first.configuration
    write_midi(tmp_path / "midi" / "new.mid", 60, 62)
    prepare.prepare(all_train, source, Codec())
    assert len(pieces_in(tmp_path / "data")) == 5
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
    prepare.prepare(
        flags(tmp_path / "data", train_fraction=0.5, validation_fraction=0.25),
        folder.Source(path=str(tmp_path / "midi")),
        Codec(),
    )
    split = {piece["key"]: piece["split"] for piece in pieces_in(tmp_path / "data")}
    assert len(set(split.values())) > 1
    for index in range(8):
        assert split[f"original/{index}.mid"] == split[f"copy/{index}.mid"]


def test_pieces_tsv_decides_the_split_and_a_copy_that_it_does_not_name_follows(tmp_path):
    source = write_collection(tmp_path / "midi", 6)
    write_midi(tmp_path / "midi" / "copy.mid", *range(40, 50))  # The notes of bach/00.mid.
    rows = [f"{piece.key}\tthe one work" for piece in source.pieces() if piece.key != "copy.mid"]
    (tmp_path / "midi" / "pieces.tsv").write_text("\n".join(["path\tgroup", *rows]))
    share = Fractions(0.999, 0.0005)
    prepare.prepare(
        flags(tmp_path / "data", train_fraction=share.train, validation_fraction=share.validation),
        source,
        Codec(),
    )
    pieces = pieces_in(tmp_path / "data")
    assert {piece["group"] for piece in pieces} == {"pieces.tsv: the one work"}
    assert {piece["split"] for piece in pieces} == {split_of("pieces.tsv: the one work", share)}


@dataclasses.dataclass(frozen=True)
class SourceWithSplit(folder.Source):
    """Folder whose pieces named by a split are published in it."""

    def pieces(self):
        names = ("train", "validation", "test")
        return [
            dataclasses.replace(piece, split=piece.title if piece.title in names else "")
            for piece in super().pieces()
        ]


def test_a_published_split_goes_before_the_hash_and_its_group_follows(tmp_path):
    midi = tmp_path / "midi"
    for index, name in enumerate(("test", "train", "validation")):
        write_midi(midi / f"{name}.mid", *range(40, 50 + index))
    write_midi(midi / "copy of test.mid", *range(40, 50))
    write_midi(midi / "of no group.mid", *range(60, 70))
    manifest = prepare.prepare(
        flags(tmp_path / "data", train_fraction=1.0, validation_fraction=0.0),
        SourceWithSplit(path=str(midi)),
        Codec(),
    )
    assert {piece["key"]: piece["split"] for piece in pieces_in(tmp_path / "data")} == {
        "copy of test.mid": "test",
        "of no group.mid": "train",
        "test.mid": "test",
        "train.mid": "train",
        "validation.mid": "validation",
    }
    assert manifest.split_rules == {
        "published by the collection": 3,
        "published for another piece of its group": 1,
        "hash of its group": 1,
    }
    text = prepare.summary(manifest, str(tmp_path / "data"))
    assert "3 published by the collection, 1 published for another piece of its group" in text


def test_a_group_of_several_published_splits_keeps_each_as_published(tmp_path):
    midi = tmp_path / "midi"
    for name in ("test", "train"):
        write_midi(midi / f"{name}.mid", *range(40, 50))
    prepare.prepare(flags(tmp_path / "data"), SourceWithSplit(path=str(midi)), Codec())
    splits = {piece["key"]: piece["split"] for piece in pieces_in(tmp_path / "data")}
    assert splits == {"test.mid": "test", "train.mid": "train"}


def test_shaping_stands_in_the_manifest_and_copies_are_skipped_with_what_they_copy(tmp_path):
    source = write_collection(tmp_path / "midi", 4)
    write_midi(tmp_path / "midi" / "copy.mid", *range(40, 50))
    everything = flags(tmp_path / "data", train_fraction=1.0, validation_fraction=0.0)
    kept = prepare.prepare(everything, source, Codec())
    assert kept.shaping["duplicates"] == "keep" and not reasons_in(tmp_path / "data")
    manifest = prepare.prepare(
        everything, source, Codec(), Shaping(duplicates="exact", maximum_notes=12)
    )
    assert manifest.configuration != kept.configuration
    assert manifest.shaping["maximum_notes"] == 12
    assert reasons_in(tmp_path / "data") == {
        "copy.mid": "copy of bach/00.mid",
        "bach/03.mid": "it has more than 12 notes",
    }
    assert manifest.tables["pieces"]["rows"] == 3
    assert "1 x copy of another piece\n" in prepare.summary(manifest, str(tmp_path / "data"))


def test_what_readers_leave_out_or_doubt_stands_with_each_piece_and_in_sum(tmp_path):
    (tmp_path / "music").mkdir()
    head = "X:1\nL:1/4\nK:C\n"
    (tmp_path / "music" / "a.abc").write_text(head + '{g}C {ga}D "Am"E F|?G A B c|\n')
    (tmp_path / "music" / "b.abc").write_text(head + "{e}c B A G|F E D C|\n")
    source = folder.Source(path=str(tmp_path / "music"))
    everything = flags(tmp_path / "data", train_fraction=1.0, validation_fraction=0.0)
    manifest = prepare.prepare(everything, source, Codec())
    a, b = pieces_in(tmp_path / "data")
    assert a["left_out"] == {"grace notes": 3, "chord symbols": 1}
    assert a["doubtful"] == {MEANINGLESS: 1}
    assert (b["left_out"], b["doubtful"]) == ({"grace notes": 1}, {})
    assert manifest.reading == {
        "left_out": {"chord symbols": 1, "grace notes": 4},
        "doubtful": {MEANINGLESS: 1},
    }
    printed = prepare.summary(manifest, str(tmp_path / "data"))
    assert "  left out of pieces, each named in pieces.jsonl:\n    4 grace notes\n" in printed
    assert f"  doubtful in pieces, each named in pieces.jsonl:\n    1 {MEANINGLESS}\n" in printed
    card = data_card.card(manifest, data_card.total([a, b]), {}, no_counts())
    assert "| 4 | grace notes |" in card


def no_counts():
    """Counts of splits without music."""
    return dict.fromkeys(SPLITS, np.zeros(data_counts.COUNTS, np.int64))


@pytest.mark.parametrize("kind", ["exact", "near"])
def test_copies_are_found_across_parts(tmp_path, kind, monkeypatch):
    monkeypatch.setattr(folder.Source, "pieces_per_task", 2)
    source = write_collection(tmp_path / "midi", 5)
    write_midi(tmp_path / "midi" / "z.mid", *range(40, 53))
    prepare.prepare(
        flags(tmp_path / "data", train_fraction=1.0, validation_fraction=0.0),
        source,
        Codec(),
        Shaping(duplicates=kind),
    )
    assert reasons_in(tmp_path / "data")["z.mid"] == (
        # Rising scales of other lengths are near copies of the first.
        "copy of bach/03.mid" if kind == "exact" else "copy of bach/00.mid"
    )


def test_what_cannot_be_read_is_skipped_and_counted_with_the_reason(tmp_path):
    source = write_collection(tmp_path / "midi", 6)
    (tmp_path / "midi" / "text.mid").write_text("this is no MIDI")
    write_midi(tmp_path / "midi" / "silent.mid")
    (tmp_path / "midi" / "pieces.tsv").write_text("path\tgroup\ngone.mid\t1\n")
    manifest = prepare.prepare(
        flags(tmp_path / "data", train_fraction=1.0, validation_fraction=0.0), source, Codec()
    )
    assert len(pieces_in(tmp_path / "data")) == 6
    reasons = reasons_in(tmp_path / "data")
    assert reasons["silent.mid"] == "it has no notes"
    assert reasons["gone.mid"] == "No such file or directory"
    assert "MThd" in reasons["text.mid"] and len(reasons) == 3
    written = b"".join(everything_in(tmp_path / "data").values())
    assert str(tmp_path).encode() not in written
    text = prepare.summary(manifest, str(tmp_path / "data"))
    assert "6 pieces" in text and "skipped: 3 pieces" in text and "1 x it has no notes" in text
    assert "test: 0 pieces, 0 notes, 0 steps; none was asked for" in text


def test_no_piece_that_can_be_read_is_an_error(tmp_path):
    (tmp_path / "midi").mkdir()
    (tmp_path / "midi" / "text.mid").write_text("this is no MIDI")
    with pytest.raises(ValueError, match=r"none of the 1 pieces gave a record; .*text.mid: "):
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
        ({"data_dir": tmp_path / "file"}, "is a file; --data_dir takes a directory"),
        ({"workers": 0}, "workers is 0; give 1 to 512"),
        ({"workers": 10**20}, f"workers is {10**20}; give 1 to 512"),
        ({"beam_options": "--runner=FlinkRunner"}, "add --runner=beam"),
        ({"train_fraction": 0.0}, "train_fraction is 0.0; give a number above 0, at most 1"),
        ({"train_fraction": 0.8, "validation_fraction": 0.3}, "leave -0.1 for test"),
    ]:
        with pytest.raises(ValueError, match=said):
            prepare.prepare(flags(**{"data_dir": tmp_path, **wrong}), collection, Codec())


def test_the_shaping_of_a_piece_does_not_move_it_to_another_split(tmp_path, collection):
    plain = prepare.prepare(flags(tmp_path / "plain"), collection, Codec())
    shaping = Shaping(common_key="profile")
    moved = prepare.prepare(flags(tmp_path / "moved"), collection, Codec(), shaping)
    rows = [
        {(row["key"], row["group"], row["split"]) for row in records.read_pieces(folder, manifest)}
        for folder, manifest in ((tmp_path / "plain", plain), (tmp_path / "moved", moved))
    ]
    assert len(rows[1]) > 5 and rows[1] <= rows[0]


def test_a_changed_byte_of_the_manifest_is_noticed(tmp_path, prepared, collection, capsys):
    data_dir = shutil.copytree(prepared[0], tmp_path / "data")
    path = data_dir / "manifest.json"
    path.write_text(path.read_text().replace('"haydn"', '"haydm"', 1))
    with pytest.raises(ValueError, match="not as it was written"):
        records.read_manifest(data_dir)
    prepare.prepare(flags(data_dir), collection, Codec())
    assert "preparing again" in capsys.readouterr().out
    assert everything_in(data_dir) == everything_in(prepared[0])


def test_the_command_prepares_and_says_what_it_made(tmp_path, capsys):
    write_collection(tmp_path / "midi", 4)
    argv = ["--source=folder", f"--path={tmp_path / 'midi'}", f"--data_dir={tmp_path / 'data'}"]
    argv += ["--tones_per_cell=2", "--train_fraction=1", "--validation_fraction=0", "--nocard"]
    prepare.main([*argv, "--codec=note_tuples"])
    out = capsys.readouterr().out
    assert "4 pieces, 46 notes, 2 composers: bach, haydn" in out
    assert "validation: 0 pieces, 0 notes, 0 steps; none was asked for" in out
    assert f"in {tmp_path / 'data'}" in out
    written = json.loads((tmp_path / "data" / "manifest.json").read_text())
    assert written["codec"] == Codec(tones_per_cell=2).to_json()
    prepare.main(argv)
    written = json.loads((tmp_path / "data" / "manifest.json").read_text())
    assert (written["codec"]["name"], written["codec"]["tones_per_cell"]) == ("cells", 2)


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
    (piece,) = records.read_pieces(tmp_path / "data", manifest)
    assert (piece["composer"], piece["genre"], piece["group"]) == (
        "verdi",
        "romantic",
        "verdi/laDonnaEMobile",
    )
    for content in everything_in(tmp_path / "data").values():
        assert str(tmp_path).encode() not in content
