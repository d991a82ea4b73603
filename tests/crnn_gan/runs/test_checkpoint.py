"""Checkpoints: what comes back, what is put aside, which is kept, and what a full disk leaves."""

import json
import shutil

import keras
import numpy as np
import pytest
from full_disk import short_files

from crnn_gan.metrics.bands import Band, to_json
from crnn_gan.runs import best, checkpoint
from crnn_gan.runs.configuration import RunConfig
from crnn_gan.runs.guard import SaveCheckpoint
from crnn_gan.runs.tables import Row, read_rows, write_rows
from crnn_gan.training import variable_paths
from crnn_gan.training.phases import Phase, PhasedModel, Stage
from pipelines.codecs.note_tuples import Codec
from pipelines.leftovers import HOST
from pipelines.settings import UsageError


class Tiny(PhasedModel):
    def __init__(self, units=3):
        super().__init__()
        self.layer = keras.layers.Dense(units)
        self.layer.build((None, 2))
        self.seed = keras.random.SeedGenerator(1)
        self.compile()

    @property
    def stages(self):
        return [Stage("only", 1, [Phase("move", [self.layer], lambda batch: (0.0, {}))])]

    def optimizer_for(self, phase):
        return keras.optimizers.Adam()


class TwoLayers(Tiny):
    """Dense layers of one shape, as attributes, in a list and in a sequential model."""

    def __init__(self, *names, stacked=("lower", "upper")):
        PhasedModel.__init__(self)
        for name in names:
            setattr(self, name, keras.layers.Dense(2))
        layers = [keras.layers.Dense(2, name=name) for name in stacked]
        self.stack = keras.Sequential([keras.Input((2,)), *layers])
        self.moved = [getattr(self, name) for name in names]
        for layer in self.moved:
            layer.build((None, 2))
        self.compile()

    @property
    def stages(self):
        networks = [*self.moved, self.stack]
        return [Stage("only", 1, [Phase("move", networks, lambda batch: (0.0, {}))])]


def numbered(model):
    """Gives each variable a number of its own, by its path."""
    for number, variable in enumerate(variable_paths.model_variables(model).values()):
        variable.assign(np.full(variable.shape, number).astype(variable.dtype))
    return model


def changed(model, value):
    """Sets all state of a model to something else."""
    for variable in [*model.variables, *model.optimizer.variables]:
        shape = np.asarray(variable).shape
        variable.assign(np.full(shape, value).astype(variable.dtype))
    return model


def damage(path):
    """Turns a byte of a file around."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)


def run_of(run_dir, distances, best_by="repetitions"):
    """Makes a run whose epoch n has weights of n and so many repetitions more than real music."""
    (run_dir / "generated_data").mkdir(parents=True)
    codec = Codec()
    training = {"best_by": best_by} if best_by else {}
    RunConfig("tiny", {}, codec.to_json(), codec.spec, training, {}, {}).write(run_dir)
    bands = {"repetitions": Band(0.0, 0.0, 0.0, 10.0)}
    (run_dir / "bands.json").write_text(json.dumps(to_json(bands)))
    path = run_dir / "generated_data" / "statistics.tsv"

    def choose(epochs):
        return best.choose(read_rows(path), bands, best_by, epochs)

    for epoch, distance in enumerate(distances, 1):
        write_rows(path, [*read_rows(path), Row(epoch, "", 4, 0, {"repetitions": distance})])
        callback = SaveCheckpoint(run_dir, 1, len(distances), choose)
        callback.set_model(changed(Tiny(), epoch))
        callback.on_epoch_end(epoch - 1)
    return run_dir


def test_everything_comes_back_bit_for_bit(tmp_path):
    saved = changed(Tiny(), 3)
    checkpoint.save(tmp_path, saved, 5)
    other = Tiny()
    assert checkpoint.digest(other) != checkpoint.digest(saved)
    assert checkpoint.restore(tmp_path, other) == 5
    assert checkpoint.digest(other) == checkpoint.digest(saved)


def test_a_directory_without_checkpoints_is_epoch_0(tmp_path):
    assert checkpoint.restore(tmp_path, Tiny()) == 0


def test_the_newest_two_are_kept(tmp_path):
    model = Tiny()
    for epoch in (1, 2, 3):
        checkpoint.save(tmp_path, model, epoch)
    assert checkpoint.epochs(tmp_path) == [2, 3]


def test_a_spared_one_is_kept_besides_until_it_is_no_longer(tmp_path):
    model = Tiny()
    for epoch in (1, 2, 3, 4):
        checkpoint.save(tmp_path, model, epoch, spared=[1])
    assert checkpoint.epochs(tmp_path) == [1, 3, 4]
    checkpoint.save(tmp_path, model, 5, spared=[5])
    assert checkpoint.epochs(tmp_path) == [4, 5]


@pytest.mark.parametrize("file", ["state.npz", "manifest.json"])
def test_a_damaged_checkpoint_is_put_aside_and_the_one_before_used(tmp_path, capsys, file):
    checkpoint.save(tmp_path, changed(Tiny(), 1), 1)
    newest = checkpoint.save(tmp_path, changed(Tiny(), 2), 2)
    damage(newest / file)
    model = Tiny()
    assert checkpoint.restore(tmp_path, model) == 1
    assert checkpoint.digest(model) == checkpoint.digest(changed(Tiny(), 1))
    assert "put aside" in capsys.readouterr().err
    assert [p.name.startswith(".bad-epoch-000002") for p in newest.parent.glob(".bad-*")] == [True]
    checkpoint.save(tmp_path, model, 2)
    assert checkpoint.epochs(tmp_path) == [1, 2]


def test_a_full_disk_leaves_the_old_checkpoint_and_says_so(tmp_path):
    checkpoint.save(tmp_path, changed(Tiny(), 1), 1)
    with short_files(1000), pytest.raises(checkpoint.CheckpointError) as caught:
        checkpoint.save(tmp_path, changed(Tiny(), 2), 2)
    assert "epoch-000001" in str(caught.value)
    assert "Free some space" in str(caught.value)
    assert [path.name for path in (tmp_path / checkpoint.FOLDER).iterdir()] == ["epoch-000001"]
    model = Tiny()
    assert checkpoint.restore(tmp_path, model) == 1


def test_what_a_killed_save_left_is_swept_away(tmp_path):
    checkpoint.save(tmp_path, Tiny(), 1)
    left = tmp_path / checkpoint.FOLDER / ".tmp-123-000002"
    left.mkdir()
    (left / "state.npz").write_bytes(b"half")
    assert checkpoint.restore(tmp_path, Tiny()) == 1
    assert not left.exists()


def test_what_a_process_of_another_host_left_stays(tmp_path):
    folder = checkpoint.save(tmp_path, Tiny(), 1).parent
    for left in (".tmp-123-000002", ".old-epoch-000001-123"):
        (folder / f"{left}-@0123abcd").mkdir()
        (folder / f"{left}-{HOST}").mkdir()
    assert checkpoint.restore(tmp_path, Tiny()) == 1
    assert {path.name for path in folder.iterdir()} == {
        "epoch-000001", ".tmp-123-000002-@0123abcd", ".old-epoch-000001-123-@0123abcd",
    }  # fmt: skip


def test_a_checkpoint_of_another_model_is_refused_in_words(tmp_path):
    checkpoint.save(tmp_path, Tiny(units=4), 1)
    with pytest.raises(checkpoint.CheckpointError, match="another model"):
        checkpoint.restore(tmp_path, Tiny(units=3))


@pytest.mark.parametrize(
    ("other", "first"),
    [
        (lambda: TwoLayers("second", "first"), "model/first/.* where .* model/second/"),
        (lambda: TwoLayers("first", "second", "third"), "model/stack/.* where .* model/third/"),
        (lambda: TwoLayers("first"), "model/second/kernel .* where .* model/stack/"),
        (
            lambda: TwoLayers("first", "second", stacked=("upper", "lower")),
            "model/stack/lower/kernel .* where this model has model/stack/upper/kernel",
        ),
    ],
    ids=["swapped", "added", "removed", "swapped in a sequential model"],
)
def test_layers_of_one_shape_are_told_apart_by_their_paths(tmp_path, other, first):
    checkpoint.save(tmp_path, TwoLayers("first", "second"), 1)
    model = numbered(other())
    before = checkpoint.digest(model)
    for restore in (checkpoint.restore, checkpoint.restore_weights):
        with pytest.raises(checkpoint.CheckpointError, match=rf"it has {first}"):
            restore(tmp_path, model)
    assert checkpoint.digest(model) == before


def test_paths_are_the_same_for_every_model_of_a_process():
    keras.layers.Dense(1)  # Keras numbers unnamed layers through the process.
    assert list(checkpoint._variables(TwoLayers("first", "second"))) == list(
        checkpoint._variables(TwoLayers("first", "second"))
    )


def test_the_manifest_names_each_variable_with_its_shape_and_dtype(tmp_path):
    facts = json.loads((checkpoint.save(tmp_path, Tiny(), 1) / "manifest.json").read_text())
    described = {v["path"]: (v["shape"], v["dtype"]) for v in facts["variables"]}
    assert described["model/layer/kernel"] == ([2, 3], "float32")
    assert described["optimizer/move/momentums/layer/bias"] == ([3], "float32")
    assert described["model/seed/state"] == ([2], keras.random.SeedGenerator(1).state.dtype)
    assert len(described) == len(Tiny().variables) + len(Tiny().optimizer.variables)


def test_a_variable_that_no_attribute_leads_to_is_refused():
    model = Tiny()
    variable = model.add_weight(shape=(), initializer="zeros", name="lost")
    with pytest.raises(TypeError, match=r"no attribute of Tiny leads to its variable .*lost"):
        variable_paths.model_variables(model)
    model.found = variable
    assert variable_paths.model_variables(model)["found"] is variable


def test_a_checkpoint_of_the_version_that_knew_positions_is_refused_and_stays(tmp_path):
    path = checkpoint.save(tmp_path, Tiny(), 1)
    facts = json.loads((path / "manifest.json").read_text())
    del facts["format"], facts["variables"]
    (path / "manifest.json").write_text(json.dumps(facts))
    for restore in (checkpoint.restore, checkpoint.restore_weights):
        with pytest.raises(checkpoint.CheckpointError, match="by another version of this program"):
            restore(tmp_path, Tiny())
    assert path.is_dir()


# The best one.


@pytest.mark.parametrize(
    ("distances", "kept"),
    [
        ([5, 1, 4, 3, 2], [2, 4, 5]),
        ([5, 4, 3, 2, 1], [4, 5]),
        ([1, 4, 3, 2, 1], [4, 5]),  # Of equal ones the latest.
        ([1, 2, 3, 4, 5], [1, 4, 5]),
    ],
)
def test_the_best_so_far_is_kept_besides_the_newest_two(tmp_path, distances, kept):
    assert checkpoint.epochs(run_of(tmp_path, distances)) == kept


def weight(model):
    return float(model.layer.kernel[0, 0])


@pytest.mark.parametrize(
    ("which", "epoch", "chosen"),
    [
        ("newest", 5, "the newest"),
        ("best", 2, "the best by repetitions (0.100 over 4 pieces)"),
        ("4", 4, "the one that was asked for"),
    ],
)
def test_one_asks_for_the_newest_the_best_or_an_epoch(tmp_path, which, epoch, chosen):
    model = Tiny()
    run_dir = run_of(tmp_path, [5, 1, 4, 3, 2])
    restored = checkpoint.restore_weights(run_dir, model, which)
    assert restored == checkpoint.Restored(epoch, chosen)
    assert weight(model) == epoch


@pytest.mark.parametrize(
    ("which", "error", "said"),
    [
        ("3", ValueError, r"no checkpoint of epoch 3; .* has those of the epochs 2, 4, 5 \("),
        ("last", UsageError, r"--checkpoint=last is no checkpoint; give newest, best or.* 2, 4, 5"),
        ("-1", UsageError, r"--checkpoint=-1 is no checkpoint"),
    ],
)
def test_a_checkpoint_that_is_not_there_is_refused_with_those_that_are(
    tmp_path, which, error, said
):
    run_dir = run_of(tmp_path, [5, 1, 4, 3, 2])
    with pytest.raises(error, match=said):
        checkpoint.restore_weights(run_dir, Tiny(), which)


def test_a_run_that_compared_no_epochs_has_no_best(tmp_path):
    run_dir = run_of(tmp_path, [1, 2, 3], best_by="")
    assert checkpoint.epochs(run_dir) == [2, 3]
    with pytest.raises(ValueError, match="trained without --best_by"):
        checkpoint.restore_weights(run_dir, Tiny(), "best")


@pytest.mark.parametrize("which", ["best", "2"])
def test_a_damaged_checkpoint_that_was_asked_for_is_named_and_no_other_taken(tmp_path, which):
    run_dir = run_of(tmp_path, [5, 1, 4, 3, 2])
    damage(run_dir / "checkpoints" / "epoch-000002" / "state.npz")
    model = Tiny()
    before = checkpoint.digest(model)
    with pytest.raises(checkpoint.CheckpointError) as caught:
        checkpoint.restore_weights(run_dir, model, which)
    assert "epoch-000002 is damaged (its hash is not that of its manifest)" in str(caught.value)
    assert "the epochs 2, 4, 5" in str(caught.value)
    assert checkpoint.digest(model) == before


def test_of_the_newest_a_damaged_one_is_passed_over_and_no_file_changes(tmp_path, capsys):
    run_dir = run_of(tmp_path, [5, 1, 4, 3, 2])
    damage(run_dir / "checkpoints" / "epoch-000005" / "state.npz")
    assert checkpoint.restore_weights(run_dir, Tiny()).epoch == 4
    assert "epoch-000005 is damaged" in capsys.readouterr().err
    assert checkpoint.epochs(run_dir) == [2, 4, 5]


def test_where_no_checkpoint_is_whole_it_is_said(tmp_path):
    run_dir = run_of(tmp_path, [1, 2])
    for path in run_dir.glob("checkpoints/*/manifest.json"):
        path.unlink()
    with pytest.raises(checkpoint.CheckpointError, match=r"epoch-000002 is damaged.*-000001 is"):
        checkpoint.restore_weights(run_dir, Tiny())


def test_a_run_that_goes_on_puts_a_damaged_best_one_aside(tmp_path, capsys):
    run_dir = run_of(tmp_path, [5, 1, 4, 3, 2])
    damage(run_dir / "checkpoints" / "epoch-000002" / "state.npz")
    assert checkpoint.restore(run_dir, Tiny()) == 5
    assert "epoch-000002 is damaged" in capsys.readouterr().err
    assert checkpoint.epochs(run_dir) == [4, 5]
    assert checkpoint.restore_weights(run_dir, Tiny(), "best").epoch == 5


def test_a_kill_between_saving_and_removing_changes_nothing_of_the_choice(tmp_path):
    run_dir = run_of(tmp_path / "run", [2, 3, 1])
    assert checkpoint.epochs(run_dir) == [2, 3]
    first = run_of(tmp_path / "killed", [2])
    shutil.copytree(first / "checkpoints", run_dir / "checkpoints", dirs_exist_ok=True)
    assert checkpoint.epochs(run_dir) == [1, 2, 3]  # The first was to go, the third is best.
    assert checkpoint.restore_weights(run_dir, Tiny(), "best").epoch == 3
    checkpoint.save(run_dir, Tiny(), 4, spared=[3])
    assert checkpoint.epochs(run_dir) == [3, 4]
