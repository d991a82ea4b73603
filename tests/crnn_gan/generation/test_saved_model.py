"""Exported models: the same seed gives the same piece, and nonsense is refused in words."""

import json
import os
import shutil
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from full_disk import short_files, tiny_disk

from crnn_gan.generation import saved_model
from crnn_gan.generation.excerpt import Excerpt
from crnn_gan.generation.interface import Interface
from crnn_gan.generation.noise import draw, draw_numpy

pytestmark = pytest.mark.tensorflow_only
REFUSED = tf.errors.InvalidArgumentError


def batch(sampler, seeds, lengths, temperature=1.0, spread=0.5):
    size = len(seeds)
    return sampler.module.serving_default(
        seed=np.array(seeds, np.int64),
        length=np.array(lengths, np.int32),
        temperature=np.full(size, temperature, np.float32),
        spread=np.full(size, spread, np.float32),
    )


def rows(result):
    notes, counts = result["notes"].numpy(), result["note_count"].numpy()
    return [row[:count].tolist() for row, count in zip(notes, counts, strict=True)]


def test_a_seed_gives_the_same_piece_alone_and_among_others(sampler):
    alone = sampler.generate(seed=104, length=300)["midi_bytes"].numpy()
    among_five = sampler.generate(seed=100, count=5, length=300)["midi_bytes"].numpy()
    among_forty = sampler.generate(seed=90, count=40, length=300)["midi_bytes"].numpy()
    assert alone[0] == among_five[4] == among_forty[14]
    assert len(set(among_forty)) == 40


def arrays(model, seeds, length):
    """What the network gives in a graph, before a codec rounds it: [batch, time, feature]."""

    @tf.function(
        input_signature=[tf.TensorSpec([None], tf.int64), tf.TensorSpec([], tf.int32)],
        autograph=False,  # As models are exported.
    )
    def graph(seeds, length):
        ones = tf.ones(tf.shape(seeds))
        noise = draw(model.noise_spec(tf.size(seeds), length), seeds)
        return model.generate(noise, temperature=ones, spread=ones)

    return graph(np.array(seeds, np.int64), length).numpy()


@pytest.mark.parametrize("batches", [2, 3])
def test_rows_are_equal_to_the_last_bit_in_whole_batches(model, batches, sampler):
    few = arrays(model, range(model.rows_together), 33)
    many = arrays(model, range(batches * model.rows_together), 33)
    np.testing.assert_array_equal(many[: model.rows_together], few)


def test_generate_and_serving_default_give_the_same_pieces(sampler):
    one_by_one = sampler.generate(seed=7, count=3, length=20, temperature=0.7, spread=0.9)
    together = batch(sampler, [7, 8, 9], [20, 20, 20], temperature=0.7, spread=0.9)
    for name in ("midi_bytes", "notes", "note_count"):
        np.testing.assert_array_equal(one_by_one[name].numpy(), together[name].numpy())


def test_an_excerpt_is_what_the_codec_makes_of_these_steps_of_the_array(model, codec, sampler):
    kept = saved_model.build(model, codec, default_length=12, excerpt=Excerpt(5, 8))
    found = kept.generate(seed=3, count=2, length=12, spread=1.0)
    expected = codec.decode_all([array[4:8] for array in arrays(model, [3, 4], 12)])
    for row, (score, _) in zip(rows(found), expected, strict=True):
        names = ("onset", "duration", "pitch", "velocity")
        assert row == [[int(note[name]) for name in names] for note in score.notes]
    whole = sampler.generate(seed=3, count=2, length=12, spread=1.0)
    assert len(rows(whole)[0]) > len(rows(found)[0])


def test_of_a_piece_that_ends_before_an_excerpt_does_the_rest_is_given(model, codec):
    kept = saved_model.build(model, codec, default_length=12, excerpt=Excerpt(5, 8))
    expected = codec.decode_all([arrays(model, [3], 12)[0, 4:6], np.zeros((0, codec.spec.size))])
    found = rows(batch(kept, [3, 3], [6, 4], spread=1.0))
    assert [len(row) for row in found] == [len(score.notes) for score, _ in expected]
    assert len(found[1]) == 0


def test_each_row_has_the_length_it_asked_for(sampler):
    mixed = rows(batch(sampler, [1, 2, 3], [4, 30, 1]))
    assert mixed == [rows(batch(sampler, [seed], [n]))[0] for seed, n in ((1, 4), (2, 30), (3, 1))]
    assert len(mixed[2]) <= 1


def test_the_array_of_a_longer_piece_begins_with_that_of_a_shorter_one(model, sampler):
    long, short = (arrays(model, range(model.rows_together), length) for length in (50, 13))
    np.testing.assert_array_equal(long[:, :13], short)


def test_the_extreme_seeds_give_pieces_of_their_own(sampler):
    ends = batch(sampler, [-(2**63), 2**63 - 1, 2**32, 0], [40] * 4)["midi_bytes"].numpy()
    assert len(set(ends)) == 4


def test_a_piece_is_what_the_codec_makes_of_the_network_s_array(model, codec, sampler):
    noise = draw_numpy(model.noise_spec(1, 9), [5])
    values = {"temperature": np.ones(1, np.float32), "spread": np.full(1, 0.5, np.float32)}
    wanted = codec.decode(np.asarray(model.generate(noise, **values))[0]).score.notes
    columns = [wanted[name].tolist() for name in ("onset", "duration", "pitch", "velocity")]
    made = rows(batch(sampler, [5], [9]))[0]
    assert made == [list(note) for note in zip(*columns, strict=True)]
    assert made


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"length": 0}, "length is 0; give 1 to 100000"),
        ({"length": -5}, "length is -5; give 1 to 100000"),
        ({"length": 2**31 - 1}, "length is 2147483647; give 1 to 100000"),
        ({"count": 0}, "count is 0; give 1 to 10000"),
        ({"count": -(2**31)}, "count is -2147483648; give 1 to 10000"),
        ({"temperature": 0.05}, "temperature is 0.05; give 0.1 to 2"),
        ({"temperature": float("nan")}, "temperature is nan; give 0.1 to 2"),
        ({"spread": float("inf")}, "spread is inf; give 0 to 4"),
    ],
)
def test_what_is_out_of_range_is_refused_in_words(sampler, loaded, values, words):
    with pytest.raises(REFUSED, match=words):
        sampler.generate(seed=1, **values)
    with pytest.raises(REFUSED, match=words):
        loaded.generate(seed=1, **values)


def test_a_batch_with_one_bad_row_names_its_value(sampler):
    with pytest.raises(REFUSED, match="length is 0; give 1 to 100000"):
        batch(sampler, [1, 2, 3], [5, 0, 5])


@pytest.mark.parametrize("lengths", [[5], [5, 5, 5]])
def test_a_batch_of_uneven_sizes_is_refused(sampler, lengths):
    with pytest.raises(REFUSED, match="give one of each a piece"):
        batch(sampler, [1, 2], lengths)


def test_an_empty_batch_is_refused(sampler):
    with pytest.raises(REFUSED, match="1 piece or more"):
        batch(sampler, [], [])


def test_a_loaded_model_gives_the_bytes_of_the_one_that_was_saved(sampler, exported):
    loaded = saved_model.load(exported)
    asked = {"seed": -3, "count": 4, "length": 200, "temperature": 1.5}
    for name, value in sampler.generate(**asked).items():
        np.testing.assert_array_equal(loaded.generate(**asked)[name].numpy(), value.numpy())
    assert loaded.interface == sampler.interface


def test_arguments_that_are_not_given_have_their_defaults(sampler, exported):
    named = sampler.generate(seed=2, count=1, length=12, temperature=1.0, spread=0.5)
    loaded = tf.saved_model.load(str(exported))
    short = loaded.generate(seed=2)
    assert short["midi_bytes"].numpy() == named["midi_bytes"].numpy()


def test_the_signatures_are_those_of_the_design(exported):
    signatures = tf.saved_model.load(str(exported)).signatures
    served = signatures["serving_default"].structured_input_signature[1]
    shapes = {name: (spec.dtype.name, spec.shape.as_list()) for name, spec in served.items()}
    assert shapes == {
        "seed": ("int64", [None]),
        "length": ("int32", [None]),
        "temperature": ("float32", [None]),
        "spread": ("float32", [None]),
    }
    outputs = signatures["generate"].structured_outputs
    assert {name: spec.dtype.name for name, spec in outputs.items()} == {
        "midi_bytes": "string",
        "notes": "int32",
        "note_count": "int32",
    }


def test_each_weight_that_sampling_needs_is_stored_once_and_no_other(exported, model):
    kept = [*model.hidden.weights, *model.output_layer.weights]
    weight_bytes = sum(4 * int(np.prod(weight.shape)) for weight in kept)
    stored = list((exported / "variables").glob("variables.data*"))
    overhead = sum(path.stat().st_size for path in stored) - weight_bytes
    assert 0 <= overhead < 4000  # The object graph's names, and no second copy of 1,400 bytes.
    names = [name for name, _ in tf.train.list_variables(str(exported / "variables/variables"))]
    assert sum(name.startswith("weights/") for name in names) == len(kept)


def test_signature_json_names_the_operations_of_the_graph(exported):
    described = json.loads((exported / "signature.json").read_text())
    generate = described["signatures"]["generate"]
    assert generate["inputs"]["seed"] == {
        "operation": "generate_seed",
        "index": 0,
        "dtype": "int64",
        "shape": [],
    }
    assert generate["outputs"]["midi_bytes"]["operation"].startswith("StatefulPartitionedCall")
    assert described["arguments"]["temperature"]["default"] == 1.0
    assert described["arguments"]["length"]["default"] == 12


def test_saving_again_replaces_the_whole_model(sampler, exported, tmp_path):
    folder = tmp_path / "tiny"
    saved_model.save(sampler, folder, {"version": 1}, "first")
    (folder / "left_over").write_text("of the first")
    saved_model.save(sampler, folder, {"version": 2}, "second")
    assert (folder / "card.md").read_text() == "second"
    assert not (folder / "left_over").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["tiny"]


def test_saving_that_fails_leaves_the_model_that_was_there(sampler, tmp_path):
    folder = tmp_path / "tiny"
    saved_model.save(sampler, folder, {}, "first")
    with pytest.raises(ValueError, match="JSON"):
        saved_model.save(sampler, folder, {"loss": float("nan")}, "second")
    assert (folder / "card.md").read_text() == "first"
    assert [path.name for path in tmp_path.iterdir()] == ["tiny"]


def test_a_folder_of_something_else_is_not_replaced(sampler, tmp_path):
    (tmp_path / "letters.txt").write_text("dear")
    with pytest.raises(ValueError, match="exists and is not an exported model"):
        saved_model.save(sampler, tmp_path, {}, "")
    assert (tmp_path / "letters.txt").read_text() == "dear"


def test_a_folder_that_is_no_exported_model_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"not an exported model: it has no signature\.json"):
        saved_model.load(tmp_path)


def test_a_damaged_signature_json_is_named(tmp_path):
    (tmp_path / "signature.json").write_text('{"format": 1}')
    with pytest.raises(ValueError, match="export the model again"):
        Interface.read(tmp_path)


def test_a_default_length_out_of_range_is_refused(model, codec):
    with pytest.raises(ValueError, match="length is 0; give 1 to 100000"):
        Interface.of(model.controls, codec, default_length=0)


def test_a_generator_that_draws_its_own_numbers_is_refused(model, codec):
    class Drawing(type(model)):
        def __init__(self, config, spec):
            super().__init__(config, spec)
            self.dice = keras.random.SeedGenerator(1)

        def generate(self, noise, temperature, spread):
            drawn = keras.random.normal(noise["step"].shape[-1:], seed=self.dice)
            noise = {**noise, "step": noise["step"] + drawn}
            return super().generate(noise, temperature, spread)

    with pytest.raises(ValueError, match="take its randomness from the noise"):
        saved_model.build(Drawing(model.config, model.spec), codec, default_length=4)


WITHOUT_KERAS = """
import runpy, sys

class WithoutKeras:
    # A finder of modules that does not know Keras; TensorFlow imports it where it can.

    def __init__(self, finder):
        self.finder = finder

    def find_spec(self, name, path=None, target=None):
        hidden = name.split(".")[0] in ("keras", "tf_keras")
        return None if hidden else self.finder.find_spec(name, path, target)

sys.meta_path[:] = map(WithoutKeras, sys.meta_path)
folder, out_dir = sys.argv[1:]

import tensorflow as tf
model = tf.saved_model.load(folder)
assert model.generate(seed=7)["midi_bytes"].numpy()[0][:4] == b"MThd"

sys.argv = ["sample", f"--saved_model={folder}", "--count=2", f"--out_dir={out_dir}"]
try:
    runpy.run_module("crnn_gan.sample", run_name="__main__", alter_sys=True)
except SystemExit as end:
    assert end.code == 0, end.code
assert "keras" not in sys.modules
"""


def test_sampling_a_saved_model_needs_no_keras(exported, tmp_path):
    command = [sys.executable, "-c", WITHOUT_KERAS, str(exported), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["tiny-0.mid", "tiny-1.mid"]


@pytest.mark.parametrize("pages", [1, 20, 54])
def test_a_full_disk_while_exporting_is_said_and_leaves_nothing(sampler, tmp_path, pages):
    disk = tmp_path / "disk"
    with tiny_disk(disk, pages * os.sysconf("SC_PAGE_SIZE")):
        with pytest.raises(OSError, match=r"disk/tiny could not be written, no room is left: make"):
            saved_model.save(sampler, disk / "tiny", {"model": "tiny"}, "# tiny\n")
        assert list(disk.iterdir()) == []


def test_files_that_may_not_grow_are_said_and_the_model_that_was_there_stays(
    sampler, exported, tmp_path
):
    there = shutil.copytree(exported, tmp_path / "tiny")
    with (
        short_files(50_000),
        pytest.raises(OSError, match=r"tiny could not be written, files may not grow so large"),
    ):
        saved_model.save(sampler, there, {"model": "tiny"}, "# tiny\n")
    assert list(tmp_path.iterdir()) == [there] and Interface.read(there) == sampler.interface


@pytest.mark.parametrize(("mask", "modes"), [(0o027, {0o640, 0o750}), (0o002, {0o664, 0o775})])
def test_an_exported_model_has_the_permissions_that_the_umask_leaves(
    sampler, tmp_path, mask, modes
):
    before = os.umask(mask)
    try:
        saved_model.save(sampler, tmp_path / "models" / "tiny", {"model": "tiny"}, "# tiny\n")
    finally:
        os.umask(before)
    found = [path for path in tmp_path.rglob("*") if path.name != "models"]
    assert {path.stat().st_mode & 0o777 for path in found} == modes
    assert {path.is_dir() for path in found} == {True, False}
