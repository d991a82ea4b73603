"""From a run directory to MIDI files, straight and by way of an exported model."""

import dataclasses
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import keras
import mido
import pytest

from crnn_gan import export, sample
from crnn_gan.configuration import RunConfig
from crnn_gan.models.model import config_class
from crnn_gan.training import checkpoint
from pipelines.codecs.note_tuples import Codec
from pipelines.command_line import UsageError

SETTINGS = {"songlength": 24, "hidden_size_g": 9, "hidden_size_d": 9, "batch_size": 4}
DATA = {
    "configuration": "0" * 64,
    "name": "corpus",
    "licence": "CC BY 4.0",
    "citation": "A Hymn Book, 1899",
    "homepage": "",
}


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory) -> Path:
    """A run of one epoch whose weights are those it began with."""
    if keras.backend.backend() != "tensorflow":
        pytest.skip("sampling and exporting are done on the TensorFlow backend")
    folder, codec = tmp_path_factory.mktemp("train") / "monday", Codec()
    config = RunConfig(
        model="c_rnn_gan",
        config=dataclasses.asdict(config_class("c_rnn_gan")(**SETTINGS)),
        codec=codec.to_json(),
        spec=codec.spec,
        training={"precision": "float32", "seed": 1},
        data=DATA,
        versions={},
    )
    folder.mkdir()
    config.write(folder)
    checkpoint.save(folder, config.build_model(), epoch=1)
    return folder


@pytest.fixture(scope="module")
def exported(run_dir, tmp_path_factory) -> Path:
    return export.export(run_dir, tmp_path_factory.mktemp("exported_models") / "monday")


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_run_and_its_exported_model_write_the_same_files(run_dir, exported, tmp_path, capsys):
    settings = ["--count=3", "--seed=40", "--length=50", "--temperature=1.5"]
    sample.main([f"--run_dir={run_dir}", f"--out_dir={tmp_path / 'run'}", *settings])
    lines = capsys.readouterr().out.splitlines()
    sample.main([f"--saved_model={exported}", f"--out_dir={tmp_path / 'model'}", *settings])
    files = contents(tmp_path / "run")
    assert files == contents(tmp_path / "model")
    assert sorted(files) == ["monday-40.mid", "monday-41.mid", "monday-42.mid"]
    assert len(set(files.values())) == 3
    assert len(lines) == 3
    for line, name in zip(lines, sorted(files), strict=True):
        midi = mido.MidiFile(file=io.BytesIO(files[name]))
        notes = sum(message.type == "note_on" for message in midi.tracks[0])
        said, seconds = line.removesuffix(" s").rsplit(", ", 1)
        assert said == f"{tmp_path / 'run' / name}: {notes} notes"
        assert float(seconds) == pytest.approx(midi.length, abs=0.06)  # One decimal is printed.


def test_the_length_is_that_of_training_unless_it_is_given(exported, tmp_path):
    command = [f"--saved_model={exported}", "--count=1", "--seed=3"]
    sample.main([*command, f"--out_dir={tmp_path / 'short'}"])
    sample.main([*command, f"--out_dir={tmp_path / 'stated'}", "--length=24"])
    assert contents(tmp_path / "short") == contents(tmp_path / "stated")


def test_many_pieces_are_made_in_batches_of_bounded_memory(exported, tmp_path, monkeypatch):
    monkeypatch.setattr(sample, "STEPS_AT_ONCE", 1)
    sample.main([f"--saved_model={exported}", "--count=17", f"--out_dir={tmp_path / 'batches'}"])
    monkeypatch.undo()
    sample.main([f"--saved_model={exported}", "--count=17", f"--out_dir={tmp_path / 'at_once'}"])
    assert len(contents(tmp_path / "batches")) == 17
    assert contents(tmp_path / "batches") == contents(tmp_path / "at_once")


@pytest.mark.parametrize(
    ("flag", "words"),
    [
        ("--length=0", "length is 0; give 1 to 100000"),
        ("--count=0", "count is 0; give 1 to 10000"),
        ("--temperature=-1", "temperature is -1.0; give 0 to 4"),
        ("--temperature=nan", "temperature is nan; give 0 to 4"),
        (f"--seed={2**63 - 1}", "seed is 9223372036854775814; give"),
    ],
)
@pytest.mark.parametrize("source", ["run_dir", "saved_model"])
def test_values_out_of_range_are_refused_in_words(run_dir, exported, source, flag, words, tmp_path):
    folder = run_dir if source == "run_dir" else exported
    with pytest.raises(ValueError, match=words):
        sample.main([f"--{source}={folder}", f"--out_dir={tmp_path / 'out'}", flag])
    assert not (tmp_path / "out").exists()


def test_a_flag_that_the_model_does_not_have_is_named(exported):
    with pytest.raises(UsageError, match="no flag --temprature; did you mean --temperature"):
        sample.main([f"--saved_model={exported}", "--out_dir=x", "--temprature=1"])


@pytest.mark.parametrize("flags", [[], ["--run_dir=a", "--saved_model=b"]])
def test_one_source_has_to_be_given(flags):
    with pytest.raises(UsageError, match="give either --run_dir or --saved_model"):
        sample.main([*flags, "--out_dir=x"])


def test_help_lists_what_the_model_lets_one_set(exported, capsys):
    with pytest.raises(SystemExit):
        sample.main([f"--saved_model={exported}", "--help"])
    shown = capsys.readouterr().out
    assert "--temperature: " in shown
    assert "--out_dir: " in shown


def test_a_directory_that_is_not_a_run_is_refused_in_words(tmp_path):
    for main, flag in ((sample.main, "out_dir"), (export.main, "export_dir")):
        with pytest.raises(ValueError, match="is not a run directory"):
            main([f"--run_dir={tmp_path}", f"--{flag}={tmp_path / 'x'}"])


def test_a_run_without_a_checkpoint_is_refused_in_words(run_dir, tmp_path):
    (tmp_path / "config.json").write_bytes((run_dir / "config.json").read_bytes())
    with pytest.raises(ValueError, match="has no checkpoint yet"):
        export.export(tmp_path, tmp_path / "exported")
    assert not (tmp_path / "exported").exists()


def test_an_exported_model_that_reads_files_is_not_loaded(exported, tmp_path):
    import tensorflow as tf

    module = tf.Module()
    module.generate = tf.function(
        lambda seed: {"midi_bytes": tf.io.read_file("/etc/hostname")},
        input_signature=[tf.TensorSpec([], tf.int64, name="seed")],
    )
    folder = tmp_path / "bad"
    tf.saved_model.save(module, str(folder), signatures={"generate": module.generate})
    (folder / "signature.json").write_bytes((exported / "signature.json").read_bytes())
    with pytest.raises(ValueError, match="is refused: op ReadFile touches files"):
        sample.main([f"--saved_model={folder}", f"--out_dir={tmp_path / 'out'}"])


def test_the_card_says_where_the_music_came_from_and_how_to_call(exported):
    card = (exported / "card.md").read_text()
    for part in ("- corpus", "CC BY 4.0", "A Hymn Book, 1899", "| `temperature` | 1 | 0 to 4 |"):
        assert part in card
    assert 'tf.saved_model.load("exported_models/monday")' in card
    assert json.loads((exported / "config.json").read_text())["epoch"] == 1


def test_the_python_of_the_card_writes_a_midi_file(exported, tmp_path):
    code = (exported / "card.md").read_text().split("```python\n")[1].split("```")[0]
    (tmp_path / "exported_models").symlink_to(exported.parent)
    command = [sys.executable, "-c", code]
    subprocess.run(command, check=True, cwd=tmp_path, capture_output=True, timeout=120)
    assert mido.MidiFile(tmp_path / "piece.mid").tracks


@pytest.mark.slow
def test_a_run_is_sampled_on_tensorflow_whatever_backend_it_was_trained_on(run_dir, tmp_path):
    command = [sys.executable, "-m", "crnn_gan.sample", f"--run_dir={run_dir}", "--count=1"]
    environment = {**os.environ, "KERAS_BACKEND": "jax"}
    subprocess.run(
        [*command, f"--out_dir={tmp_path / 'jax'}"],
        check=True, capture_output=True, timeout=240, env=environment,
    )  # fmt: skip
    sample.main([f"--run_dir={run_dir}", "--count=1", f"--out_dir={tmp_path / 'tensorflow'}"])
    assert contents(tmp_path / "jax") == contents(tmp_path / "tensorflow")
