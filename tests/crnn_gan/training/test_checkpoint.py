"""Checkpoints: what comes back, what is put aside, and what a full disk leaves."""

import resource
from contextlib import contextmanager

import keras
import numpy as np
import pytest

from crnn_gan.training import checkpoint
from crnn_gan.training.phases import Phase, PhasedModel, Stage


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


@contextmanager
def full_disk(room):
    """Lets no file grow beyond `room` bytes, as a disk that is nearly full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def changed(model, value):
    """Sets all state of a model to something else."""
    for variable in [*model.variables, *model.optimizer.variables]:
        shape = np.asarray(variable).shape
        variable.assign(np.full(shape, value).astype(variable.dtype))
    return model


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


@pytest.mark.parametrize("file", ["state.npz", "manifest.json"])
def test_a_damaged_checkpoint_is_put_aside_and_the_one_before_used(tmp_path, capsys, file):
    checkpoint.save(tmp_path, changed(Tiny(), 1), 1)
    newest = checkpoint.save(tmp_path, changed(Tiny(), 2), 2)
    content = bytearray((newest / file).read_bytes())
    content[len(content) // 2] ^= 0xFF
    (newest / file).write_bytes(content)
    model = Tiny()
    assert checkpoint.restore(tmp_path, model) == 1
    assert checkpoint.digest(model) == checkpoint.digest(changed(Tiny(), 1))
    assert "put aside" in capsys.readouterr().err
    assert [p.name.startswith(".bad-epoch-000002") for p in newest.parent.glob(".bad-*")] == [True]
    checkpoint.save(tmp_path, model, 2)
    assert checkpoint.epochs(tmp_path) == [1, 2]


def test_a_full_disk_leaves_the_old_checkpoint_and_says_so(tmp_path):
    checkpoint.save(tmp_path, changed(Tiny(), 1), 1)
    with full_disk(1000), pytest.raises(checkpoint.CheckpointError) as caught:
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


def test_a_checkpoint_of_another_model_is_refused_in_words(tmp_path):
    checkpoint.save(tmp_path, Tiny(units=4), 1)
    with pytest.raises(checkpoint.CheckpointError, match="another model"):
        checkpoint.restore(tmp_path, Tiny(units=3))
