"""Tables measured when music is prepared: of the training split alone, and the same each time."""

import dataclasses

import numpy as np
import pytest
from small_midi import write_midi
from stored_pieces import store
from test_prepare import SourceWithSplit, everything_in, flags

from pipelines import dataset, prepare, records
from pipelines.codecs import cells, note_tuples
from pipelines.preparation import making

CODEC = cells.Codec(tones_per_cell=2, longest_quarters=2)


def write_splits(root):
    """Training in eighths at velocity 64, 60 to 71; validation in 3 of 12 ticks at 80, from 40."""
    for name, pitches, duration, velocity in (
        ("train", range(60, 72), 240, 64),
        ("validation", range(40, 50), 120, 80),
        ("test", range(60, 72), 480, 64),
    ):
        write_midi(root / f"{name}.mid", *pitches, duration=duration, velocity=velocity)
    return SourceWithSplit(path=str(root))


@pytest.fixture(name="prepared", scope="module")
def prepared_splits(tmp_path_factory):
    """A data directory, its source and its manifest."""
    source = write_splits(tmp_path_factory.mktemp("midi"))
    data_dir = tmp_path_factory.mktemp("data")
    return data_dir, source, prepare.prepare(flags(data_dir, card=True), source, CODEC)


def test_the_manifest_has_the_codec_with_the_tables_of_the_training_split(prepared):
    data_dir, _, manifest = prepared
    fitted = dataclasses.replace(
        CODEC, times=(0, 6), lengths=(6,), velocities=(64,), pitches=tuple(range(54, 78))
    )
    assert manifest.build_codec() == fitted and manifest == records.read_manifest(data_dir)
    assert dataclasses.replace(manifest.spec, classes={}) == fitted.spec
    # A table of one value has one category.
    assert [size for name, _, size in fitted.spec.blocks if name == "velocity 1"] == [1]


def test_the_records_of_every_split_are_what_the_fitted_codec_encodes(prepared):
    data_dir, source, manifest = prepared
    codec = manifest.build_codec()
    for piece in source.pieces():
        (array,) = dataset.load(data_dir, piece.split).arrays
        np.testing.assert_array_equal(array, codec.encode(source.read(piece)))


def test_what_is_moved_to_the_nearest_value_is_counted_and_said(prepared):
    data_dir, _, manifest = prepared
    # Of 11 + 9 + 11 times those of the last two, of 12 + 10 + 12 notes the lengths of the last
    # two and the velocities and pitches of the second.
    assert manifest.moved == {
        "time": {"moved": 20, "values": 31},
        "pitch": {"moved": 10, "values": 34},
        "length": {"moved": 22, "values": 34},
        "velocity": {"moved": 10, "values": 34},
    }
    said = "64.5 % of times, 29.4 % of pitches, 64.7 % of lengths, 29.4 % of velocities"
    assert f"moved to the nearest value: {said}" in prepare.summary(manifest, str(data_dir))
    card = (data_dir / "data_card.md").read_text()
    assert f"Moved to the nearest value of the tables: {said}." in card
    assert "| pitches | 54 to 77 |" in card and "| times | 0, 6 |" in card


def test_the_same_again_does_nothing_and_other_tables_prepare_again(tmp_path, capsys):
    source = write_splits(tmp_path / "midi")
    first = prepare.prepare(flags(tmp_path / "data"), source, CODEC)
    assert prepare.prepare(flags(tmp_path / "data"), source, CODEC) == first
    assert "nothing to do" in capsys.readouterr().out
    given = dataclasses.replace(CODEC, velocities=(64, 80))
    second = prepare.prepare(flags(tmp_path / "data"), source, given)
    assert second.build_codec() == dataclasses.replace(first.build_codec(), velocities=(64, 80))
    assert second.moved["velocity"] == {"moved": 0, "values": 34}


def test_records_are_equal_whatever_the_number_of_workers_and_after_a_stop(
    prepared, tmp_path, monkeypatch
):
    data_dir, source, _ = prepared
    prepare.prepare(flags(tmp_path / "two", workers=2, card=True), source, CODEC)
    assert everything_in(tmp_path / "two") == everything_in(data_dir)

    def stopped(*_):
        raise OSError("stopped")

    with monkeypatch.context() as patched:
        patched.setattr(making, "_write_tables", stopped)
        with pytest.raises(OSError, match="stopped"):
            prepare.prepare(flags(tmp_path / "later", card=True), source, CODEC)
    (folder,) = (tmp_path / "later" / ".parts").iterdir()
    assert len(list(folder.glob("*.receipt"))) == 3  # The shards, which are not written again.
    prepare.prepare(flags(tmp_path / "later", card=True), source, CODEC)
    assert everything_in(tmp_path / "later") == everything_in(data_dir)


def test_a_shard_of_other_tables_is_written_again(tmp_path, monkeypatch):
    source = write_splits(tmp_path / "midi")
    written = []

    def write_twice(shards, runner, run=making.shards.run):
        for codec in (CODEC, dataclasses.replace(shards[0].codec, velocities=(1,))):
            run([dataclasses.replace(shard, codec=codec) for shard in shards], runner)
            written.append([(shard.folder / shard.name).read_bytes() for shard in shards])
        run(shards, runner)

    monkeypatch.setattr(making.shards, "run", write_twice)
    manifest = prepare.prepare(flags(tmp_path / "data"), source, CODEC)
    assert written[0] != written[1]
    (array,) = dataset.load(tmp_path / "data", "train").arrays
    (piece,) = (piece for piece in source.pieces() if piece.split == "train")
    np.testing.assert_array_equal(array, manifest.build_codec().encode(source.read(piece)))


def test_a_codec_without_tables_is_as_it_was_asked_for(tmp_path):
    source = write_splits(tmp_path / "midi")
    manifest = prepare.prepare(flags(tmp_path / "data"), source, note_tuples.Codec())
    assert manifest.build_codec() == note_tuples.Codec() and manifest.moved == {}
    assert "nearest" not in prepare.summary(manifest, str(tmp_path / "data"))


@pytest.mark.parametrize(("field", "category"), [(1, 2), (3, -1), (8, 1)])
def test_records_with_a_category_out_of_its_field_are_refused(tmp_path, field, category):
    codec = cells.Codec(tones_per_cell=2, times=(0, 6), velocities=(64,))
    array = np.zeros((4, codec.spec.size), np.int32)
    store(tmp_path, [[array]], codec.spec)
    assert dataset.load(tmp_path, "train").music.shape == array.shape
    array[2, field] = category
    store(tmp_path, [[array]], codec.spec)
    with pytest.raises(ValueError, match=r"train-00000.*no record of ours"):
        dataset.load(tmp_path, "train")
