"""Checkpoints that somebody changed: put aside or refused in bounded memory; copies ignored."""

import hashlib
import io
import json
import shutil
import tracemalloc
import zipfile
from pathlib import Path

import keras
import numpy as np
import pytest

from crnn_gan.runs import checkpoint
from crnn_gan.runs.checkpoint_file import CheckpointError, DamagedError, epoch_of, read_manifest
from crnn_gan.runs.guard import SaveCheckpoint
from crnn_gan.training.phases import Phase, PhasedModel, Stage


class Tiny(PhasedModel):
    def __init__(self):
        super().__init__()
        self.layer = keras.layers.Dense(3)
        self.layer.build((None, 2))
        self.compile()

    @property
    def stages(self):
        return [Stage("only", 1, [Phase("move", [self.layer], lambda batch: (0.0, {}))])]

    def optimizer_for(self, phase):
        return keras.optimizers.Adam()


@pytest.fixture(name="run_dir")
def run_of_two_epochs(tmp_path):
    for epoch in (12, 13):
        checkpoint.save(tmp_path, Tiny(), epoch)
    return tmp_path


def newest(run_dir):
    return run_dir / "checkpoints" / "epoch-000013"


def with_facts(path, **facts):
    """Changes facts of a manifest."""
    manifest = path / "manifest.json"
    manifest.write_text(json.dumps({**json.loads(manifest.read_text()), **facts}))


def with_state(path, content, **facts):
    """Replaces an archive, and the facts of the manifest that would tell it."""
    (path / "state.npz").write_bytes(content)
    sha256 = hashlib.sha256(content).hexdigest()
    with_facts(path, bytes=len(content), sha256=sha256, **facts)


def archive_of(path, change=lambda name, array: (name, array), compress=False, more=()):
    """Gives an archive with the arrays of a checkpoint, each changed, and further ones."""
    with np.load(path / "state.npz") as file:
        arrays = dict(change(name, file[name]) for name in file.files)
    stream = io.BytesIO()
    (np.savez_compressed if compress else np.savez)(stream, **arrays, **dict(more))
    return stream.getvalue()


def without_end(content):
    """Cuts the last bytes of an archive's last array, with its directory as it was."""
    return content[:200] + content[260:]


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda p: (p / "manifest.json").write_text("null"), "the file is null"),
        (lambda p: (p / "manifest.json").write_text("[" * 100_000), "nested more than"),
        (lambda p: (p / "manifest.json").write_text(""), "empty"),
        (lambda p: with_facts(p, epoch=12), "its manifest is of epoch 12"),
        (lambda p: with_facts(p, epoch="13"), 'epoch is "13"; expected a whole number'),
        (lambda p: with_facts(p, bytes=10**9), "bytes, which is not what"),
        (lambda p: with_facts(p, variables=3), "variables is 3; expected a list"),
        (lambda p: with_facts(p, variables=[]), "its arrays are not those of its manifest"),
        (lambda p: with_facts(p, hats=3), 'the key "hats"'),
        (lambda p: with_state(p, b"PK\3\4" + b"x" * 50), "zip"),
        (lambda p: with_state(p, b""), "zip"),
        (lambda p: with_state(p, without_end((p / "state.npz").read_bytes())), ""),
        (lambda p: with_state(p, archive_of(p, compress=True)), "compressed"),
        (lambda p: with_state(p, archive_of(p, more={"more": np.zeros(2)}.items())), "its arrays"),
        (lambda p: with_state(p, archive_of(p, lambda n, a: (n, a.astype("f8")))), "float64"),
        (lambda p: with_state(p, archive_of(p, lambda n, a: (n + "x", a))), "its arrays"),
        (lambda p: (p / "state.npz").unlink(), "No such file"),
        (lambda p: [(p / "state.npz").unlink(), (p / "state.npz").mkdir()], "directory"),
        (lambda p: [shutil.rmtree(p), p.write_text("a file")], "Not a directory"),
    ],
)
def test_a_damaged_checkpoint_is_put_aside_and_the_one_before_is_taken(
    run_dir, damage, said, capsys
):
    damage(newest(run_dir))
    assert checkpoint.restore_weights(run_dir, Tiny()).epoch == 12
    assert said in capsys.readouterr().err
    assert checkpoint.restore(run_dir, Tiny()) == 12
    assert "put aside as .bad-epoch-000013" in capsys.readouterr().err
    assert checkpoint.epochs(run_dir) == [12]


def test_an_older_checkpoint_that_is_damaged_is_put_aside_too(run_dir, capsys):
    older = run_dir / "checkpoints" / "epoch-000012"
    with_state(older, without_end((older / "state.npz").read_bytes()))
    assert checkpoint.restore(run_dir, Tiny()) == 13
    assert "epoch-000012 is damaged" in capsys.readouterr().err
    assert checkpoint.epochs(run_dir) == [13]


@pytest.mark.parametrize("name", ["epoch-000013.bak", "epoch-13", "epoch-", "epoch-000000"])
def test_what_is_no_epoch_by_its_name_is_left_alone_and_said(run_dir, name, capsys):
    copy = shutil.copytree(newest(run_dir), run_dir / "checkpoints" / name)
    assert checkpoint.restore_weights(run_dir, Tiny()).epoch == 13
    assert f"'{name}', which is not the name of a checkpoint" in capsys.readouterr().err
    assert checkpoint.restore(run_dir, Tiny()) == 13
    assert name in capsys.readouterr().err
    callback = SaveCheckpoint(run_dir, 1, 20)
    callback.set_model(Tiny())
    callback.on_epoch_end(13)
    assert checkpoint.epochs(run_dir) == [13, 14] and copy.is_dir()


def test_epochs_are_told_by_their_number():
    names = ["epoch-000007", "epoch-1000000", "epoch-0000007", "epoch-00000\u0663", "epoch-000007 "]
    assert [epoch_of(Path(name)) for name in names] == [7, 1_000_000, None, None, None]


def bomb(path, megabytes):
    """An archive whose one array is so large, in few bytes; the manifest describes it truly."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        header = io.BytesIO()
        shape = (megabytes * 2**18,)
        facts = {"descr": "<f4", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(header, facts)
        with archive.open("model/layer/kernel.npy", "w") as file:
            file.write(header.getvalue())
            for _ in range(megabytes):
                file.write(bytes(2**20))
    variables = [{"path": "model/layer/kernel", "shape": list(shape), "dtype": "float32"}]
    with_state(path, stream.getvalue(), variables=variables)


def test_an_archive_that_would_grow_is_refused_before_it_does(run_dir):
    bomb(newest(run_dir), 64)
    tracemalloc.start()
    with pytest.raises(DamagedError, match="compressed, which no array of ours is"):
        read_manifest(newest(run_dir))
    assert tracemalloc.get_traced_memory()[1] < 4 * 2**20
    tracemalloc.stop()


def test_an_archive_larger_than_the_model_is_of_another_model_and_is_not_read(run_dir):
    path = newest(run_dir)
    shape = (2**22,)  # 16 MiB.
    stream = io.BytesIO()
    np.savez(stream, **{"model/layer/kernel": np.zeros(shape, "f4")})
    variables = [{"path": "model/layer/kernel", "shape": list(shape), "dtype": "float32"}]
    with_state(path, stream.getvalue(), variables=variables)
    del stream
    model = Tiny()
    tracemalloc.start()
    with pytest.raises(CheckpointError, match="is of another model"):
        checkpoint.restore_weights(run_dir, model, "13")
    assert tracemalloc.get_traced_memory()[1] < 4 * 2**20
    tracemalloc.stop()
