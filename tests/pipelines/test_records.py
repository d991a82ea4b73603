"""Tests of pipelines/records.py. TensorFlow, which reads the files, is the oracle."""

import dataclasses
import json

import numpy as np
import pytest
import tensorflow as tf

from pipelines import records
from pipelines.codecs.codec import Spec
from pipelines.records import Manifest, Record

CLASSES = {"composer": ("bach", "haydn"), "genre": ("baroque",)}


def record(key, array, split="train", composer="bach"):
    row = {"key": key, "split": split, "composer": composer, "genre": "baroque"}
    row |= {"steps": len(array), "notes": 2 * len(array)}
    return Record(row, array.shape, records.array_bytes(array))


def manifest(splits):
    spec = Spec("vectors", (None, 2), "float32", 2, "note", (("time", 0, 2),), CLASSES)
    fractions = {"train": 0.8, "validation": 0.1}
    return Manifest("c0ffee", {"name": "folder"}, {}, spec, fractions, splits, [], [], {})


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
    assert records.crc32c(content) == checksum


@pytest.mark.parametrize("size", [63, 64, 65, 127, 128, 129, 1000, 4096])
def test_crc32c_in_lanes_equals_crc32c_byte_by_byte(size):
    content = np.random.default_rng(size).bytes(size)
    crc = 0xFFFFFFFF
    for byte in content:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    assert records.crc32c(content) == crc ^ 0xFFFFFFFF


def test_an_example_is_byte_for_byte_what_protocol_buffers_write():
    array = np.arange(300, dtype=np.float32).tobytes()
    ours = records.example({"array": array, "shape": [150, 2], "composer": [0], "big": [2**40]})
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
    assert b"".join(map(records.frame, contents)) == (tmp_path / "theirs").read_bytes()


def test_records_come_back_from_their_shards_by_split(tmp_path):
    arrays = [np.full((n, 2), n, np.float32) for n in (3, 1, 2)]
    made = [
        record("a", arrays[0]),
        record("b", arrays[1], split="test", composer="haydn"),
        record("c", arrays[2]),
    ]
    splits = records.write_records(tmp_path, made, CLASSES)
    assert splits["validation"] == {"pieces": 0, "steps": 0, "notes": 0, "shards": []}
    train = splits["train"]
    assert (train["pieces"], train["steps"], train["notes"]) == (2, 5, 10)
    assert [shard["file"] for shard in train["shards"]] == ["train-00000-of-00001.tfrecord"]
    read = list(tf.data.TFRecordDataset(str(tmp_path / splits["test"]["shards"][0]["file"])))
    features = tf.train.Example.FromString(read[0].numpy()).features.feature
    assert features["key"].bytes_list.value[0] == b"b"
    assert features["composer"].int64_list.value[0] == 1
    assert features["array"].bytes_list.value[0] == arrays[1].tobytes()
    records.verify(tmp_path, manifest(splits))


def test_a_split_is_cut_in_shards_of_a_fixed_number_of_pieces(tmp_path, monkeypatch):
    monkeypatch.setattr(records, "PIECES_PER_SHARD", 2)
    made = [record(str(n), np.ones((1, 2), np.float32)) for n in range(5)]
    shards = records.write_records(tmp_path, made, CLASSES)["train"]["shards"]
    assert [shard["records"] for shard in shards] == [2, 2, 1]
    assert shards[2]["file"] == "train-00002-of-00003.tfrecord"


def test_arrays_are_stored_little_endian_and_in_rows():
    array = np.array([[1, 2], [3, 4]], ">i2").T
    assert records.array_bytes(array) == bytes([1, 0, 3, 0, 2, 0, 4, 0])


def test_the_manifest_comes_back_as_it_was_written(tmp_path):
    written = manifest(records.write_records(tmp_path, [], CLASSES))
    (tmp_path / "manifest.json").write_bytes(written.to_bytes())
    assert records.read_manifest(tmp_path) == written


def test_a_directory_that_is_not_prepared_is_refused_with_what_to_run(tmp_path):
    with pytest.raises(ValueError, match=r"manifest.json is missing.*pipelines.prepare"):
        records.read_manifest(tmp_path)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"format": 1}', '{"format": 0}', "\x00"])
def test_a_manifest_of_another_version_or_none_at_all_is_refused(tmp_path, content):
    (tmp_path / "manifest.json").write_text(content)
    with pytest.raises(ValueError, match=r"no manifest of this version.*pipelines.prepare"):
        records.read_manifest(tmp_path)


def test_a_shard_that_is_damaged_or_gone_is_named(tmp_path):
    made = [record("a", np.ones((4, 2), np.float32))]
    written = manifest(records.write_records(tmp_path, made, CLASSES))
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
    assert set(values) == {"format", *fields}
