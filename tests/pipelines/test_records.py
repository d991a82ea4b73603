"""Tests of pipelines/records.py. TensorFlow, which reads the files, is the oracle."""

import dataclasses
import json

import numpy as np
import pytest
import tensorflow as tf
from stored_pieces import write_tables

from pipelines import records, tfrecord
from pipelines.records import Manifest
from pipelines.spec import Spec
from pipelines.split import SPLITS

CLASSES = {"composer": ("bach", "haydn"), "genre": ("baroque",)}


def write_split(folder, split, pieces):
    """Writes {key: (array, composer)} as the one shard of a split; gives its `Manifest.splits`."""
    examples = []
    for key, (array, composer) in pieces.items():
        classes = {"composer": CLASSES["composer"].index(composer), "genre": 0}
        examples.append(records.example_of(key, array.shape, tfrecord.array_bytes(array), classes))
    shard = records.write_shard(folder / records.shard_name(split, 0, 1), examples)
    empty = {name: {"pieces": 0, "steps": 0, "notes": 0, "shards": []} for name in SPLITS}
    return {**empty, split: {"pieces": len(pieces), "steps": 0, "notes": 0, "shards": [shard]}}


def manifest(splits, tables=None):
    return Manifest(
        configuration="c0ffee",
        source={"name": "folder"},
        codec={},
        shaping={},
        spec=Spec("vectors", (None, 2), "float32", 2, "note", (("time", 0, 2),), CLASSES),
        fractions={"train": 0.8, "validation": 0.1},
        split_rules={},
        splits=splits,
        tables=tables or {},
        reading={"left_out": {"grace notes": 2}, "doubtful": {}},
        versions={},
    )


@pytest.mark.parametrize(
    ("content", "checksum"),
    [  # RFC 3720, appendix B.4.
        (b"", 0x00000000),
        (b"123456789", 0xE3069283),
        (bytes(32), 0x8A9136AA),
        (b"\xff" * 32, 0x62A8AB43),
        (bytes(range(32)), 0x46DD794E),
    ],
)
def test_crc32c_gives_the_published_values(content, checksum):
    assert tfrecord.crc32c([content]) == [checksum]


def crc32c_bit_by_bit(content):
    crc = 0xFFFFFFFF
    for byte in content:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def test_crc32c_of_many_at_once_is_that_of_each_bit_by_bit():
    sizes = [4096, 63, 64, 0, 65, 127, 128, 129, 1000, 3]
    contents = [np.random.default_rng(size).bytes(size) for size in sizes]
    expected = [crc32c_bit_by_bit(content) for content in contents]
    assert tfrecord.crc32c(contents) == expected
    for content, checksum in zip(contents, expected, strict=True):
        assert tfrecord.crc32c([content]) == [checksum]
    assert tfrecord.crc32c([]) == []


def test_an_example_is_byte_for_byte_what_protocol_buffers_write():
    array = np.arange(300, dtype=np.float32).tobytes()
    ours = tfrecord.example({"array": array, "shape": [150, 2], "composer": [0], "big": [2**40]})
    theirs = tf.train.Example.FromString(ours)
    assert theirs.features.feature["array"].bytes_list.value[0] == array
    assert list(theirs.features.feature["shape"].int64_list.value) == [150, 2]
    assert list(theirs.features.feature["composer"].int64_list.value) == [0]
    assert list(theirs.features.feature["big"].int64_list.value) == [2**40]
    assert len(theirs.SerializeToString()) == len(ours)


def test_a_shard_is_byte_for_byte_what_tensorflow_writes(tmp_path):
    contents = [b"", b"a", bytes(100), np.random.default_rng(0).bytes(5000)]
    with tf.io.TFRecordWriter(str(tmp_path / "theirs")) as writer:
        for content in contents:
            writer.write(content)
    assert tfrecord.frames(contents) == (tmp_path / "theirs").read_bytes()


def test_records_come_back_from_their_shard(tmp_path):
    arrays = [np.full((n, 2), n, np.float32) for n in (3, 1)]
    splits = write_split(tmp_path, "test", {"a": (arrays[0], "bach"), "b": (arrays[1], "haydn")})
    (shard,) = splits["test"]["shards"]
    assert (shard["file"], shard["records"]) == ("test-00000-of-00001.tfrecord", 2)
    read = list(tf.data.TFRecordDataset(str(tmp_path / shard["file"])))
    features = tf.train.Example.FromString(read[1].numpy()).features.feature
    assert features["key"].bytes_list.value[0] == b"b"
    assert features["composer"].int64_list.value[0] == 1
    assert list(features["shape"].int64_list.value) == [1, 2]
    assert features["array"].bytes_list.value[0] == arrays[1].tobytes()
    records.verify(tmp_path, manifest(splits))


def test_a_shard_larger_than_what_is_framed_at_once_holds_every_record(tmp_path, monkeypatch):
    examples = [bytes([n]) * n for n in range(20)]
    whole = records.write_shard(tmp_path / "whole", examples)
    monkeypatch.setattr(records, "BYTES_AT_ONCE", 30)
    parted = records.write_shard(tmp_path / "parted", examples)
    assert (tmp_path / "parted").read_bytes() == tfrecord.frames(examples)
    assert {**whole, "file": "parted"} == parted and parted["records"] == 20


def test_a_split_is_cut_in_shards_where_a_record_begins_past_a_multiple_of_their_size(
    monkeypatch,
):
    monkeypatch.setattr(records, "SHARD_BYTES", 100)
    # They begin at byte 0, 40, 80, 200, 220: in the hundreds 0, 0, 0, 2, 2.
    assert records.shards_of(np.array([40, 40, 120, 20, 500])).tolist() == [0, 0, 0, 1, 1]
    assert records.shards_of(np.zeros(0, np.int64)).tolist() == []
    assert records.shard_name("train", 1, 2) == "train-00001-of-00002.tfrecord"


def test_a_shard_of_small_records_holds_no_more_than_so_many(monkeypatch):
    monkeypatch.setattr(records, "SHARD_RECORDS", 4)
    assert records.shards_of(np.ones(9, np.int64)).tolist() == [0, 0, 0, 0, 1, 1, 1, 1, 2]


def test_rows_come_back_as_they_were_written_and_a_damaged_file_of_them_is_refused(tmp_path):
    rows = [{"key": "a", "title": "Für\u2028Elise\n"}, {"key": "b", "title": '"'}]
    counts = [{"split": "train", "pitch": [0, 1]}]
    tables = write_tables(
        tmp_path, pieces=rows, skipped=[{"key": "c", "reason": "it has no notes"}], counts=counts
    )
    written = manifest({}, tables)
    assert tables["pieces"]["rows"] == 2 and tables["skipped"]["rows"] == 1
    assert list(records.read_pieces(tmp_path, written)) == rows
    assert list(records.read_counts(tmp_path, written)) == counts
    assert list(records.read_skipped(tmp_path, written)) == [
        {"key": "c", "reason": "it has no notes"}
    ]
    path = tmp_path / "pieces.jsonl"
    assert path.read_bytes().count(b"\n") == 2
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ValueError, match=r"pieces.jsonl is not what was written.*prepare again"):
        next(records.read_pieces(tmp_path, written))
    path.unlink()
    with pytest.raises(ValueError, match=r"pieces.jsonl is missing"):
        next(records.read_pieces(tmp_path, written))


def test_arrays_are_stored_little_endian_and_in_rows():
    array = np.array([[1, 2], [3, 4]], ">i2").T
    assert tfrecord.array_bytes(array) == bytes([1, 0, 3, 0, 2, 0, 4, 0])


def test_the_manifest_comes_back_as_it_was_written(tmp_path):
    written = manifest(write_split(tmp_path, "train", {"a": (np.ones((1, 2), "f4"), "bach")}))
    (tmp_path / "manifest.json").write_bytes(written.to_bytes())
    assert records.read_manifest(tmp_path) == written


def test_a_directory_that_is_not_prepared_is_refused_with_what_to_run(tmp_path):
    with pytest.raises(ValueError, match=r"manifest.json is missing.*pipelines.prepare"):
        records.read_manifest(tmp_path)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"format": 3}', '{"format": 2}', "\x00"])
def test_a_manifest_of_another_version_or_none_at_all_is_refused(tmp_path, content):
    (tmp_path / "manifest.json").write_text(content)
    with pytest.raises(ValueError, match=r"no manifest of this version.*pipelines.prepare"):
        records.read_manifest(tmp_path)


def test_a_shard_that_is_damaged_or_gone_is_named(tmp_path):
    made = {"a": (np.ones((4, 2), np.float32), "bach")}
    written = manifest(write_split(tmp_path, "train", made))
    path = tmp_path / "train-00000-of-00001.tfrecord"
    content = bytearray(path.read_bytes())
    content[20] ^= 1
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"train-00000-of-00001.tfrecord is not what was written"):
        records.verify(tmp_path, written)
    path.unlink()
    with pytest.raises(ValueError, match="missing"):
        records.verify(tmp_path, written, "train")
    records.verify(tmp_path, written, "test")


def test_a_seal_opens_only_on_what_was_sealed():
    sealed = records.seal(b"music")
    assert records.unseal(sealed) == b"music"
    for damaged in (b"", sealed[:-1], sealed + b"x", b"x" + sealed[1:]):
        assert records.unseal(damaged) is None


def test_the_manifest_is_json_without_time_or_path(tmp_path):
    values = json.loads(manifest({}).to_bytes())
    fields = {field.name for field in dataclasses.fields(Manifest)}
    assert set(values) == {"format", *fields, "sha256"}
