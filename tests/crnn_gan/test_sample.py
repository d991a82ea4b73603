"""From a run directory to MIDI files, straight and by way of an exported model."""

import dataclasses
import io
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import mido
import pytest

from crnn_gan import export, sample
from crnn_gan.generation import pieces
from crnn_gan.generation.interface import Interface
from crnn_gan.generation.saved_model import Sampler
from crnn_gan.metrics.bands import Band, to_json
from crnn_gan.models.registry import config_class
from crnn_gan.runs import checkpoint
from crnn_gan.runs.configuration import RunConfig
from crnn_gan.runs.run import export_run
from crnn_gan.runs.tables import Row, write_rows
from pipelines.codecs.note_tuples import Codec
from pipelines.settings import UsageError

pytestmark = pytest.mark.tensorflow_only  # As sampling and exporting are.
SETTINGS = {
    "window_steps": 24, "hidden_size_g": 9, "hidden_size_d": 9, "batch_size": 4,
    "num_layers_g": 1, "num_layers_d": 1,
}  # fmt: skip
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


@pytest.fixture(scope="module", name="two_epochs")
def run_of_two_epochs(run_dir, tmp_path_factory) -> Path:
    """The same run after another epoch, whose weights are others and whose row is worse."""
    folder = shutil.copytree(run_dir, tmp_path_factory.mktemp("longer") / "monday")
    config = RunConfig.read(folder)
    model = config.build_model()
    for variable in model.averages.values():
        variable.assign(2 * variable)
    checkpoint.save(folder, model, epoch=2)
    best_by = {**config.training, "best_by": "polyphony"}
    dataclasses.replace(config, training=best_by).write(folder)
    band = {"polyphony": Band(0.7, 0.5, 0.7, 0.9)}
    (folder / "bands.json").write_text(json.dumps(to_json(band)))
    (folder / "generated_data").mkdir()
    rows = [Row(1, "", 4, 0, {"polyphony": 0.7}), Row(2, "", 4, 0, {"polyphony": 0.1})]
    write_rows(folder / "generated_data" / "statistics.tsv", rows)
    return folder


@pytest.fixture(scope="module")
def exported(run_dir, tmp_path_factory) -> Path:
    return export_run(run_dir, tmp_path_factory.mktemp("exported_models") / "monday")


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


def test_what_is_to_be_rendered_lies_beside_each_piece(exported, tmp_path, capsys):
    command = [f"--saved_model={exported}", "--count=2", "--seed=3", "--renderer=additive"]
    sample.main([*command, f"--out_dir={tmp_path}", "--render=png,wav,musicxml"])
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        f"monday-{seed}.{suffix}" for seed in (3, 4) for suffix in ("mid", "musicxml", "png", "wav")
    ]
    assert "musicxml: 2 of 2 pieces written" in capsys.readouterr().out


def test_what_cannot_be_rendered_is_refused_before_a_piece_is_made(exported, tmp_path):
    command = [f"--saved_model={exported}", f"--out_dir={tmp_path / 'out'}", "--render=pdf"]
    with pytest.raises(UsageError, match="--render=pdf: give one or several of png, wav"):
        sample.main(command)
    assert not (tmp_path / "out").exists()


def test_the_length_is_that_of_training_unless_it_is_given(exported, tmp_path):
    command = [f"--saved_model={exported}", "--count=1", "--seed=3"]
    sample.main([*command, f"--out_dir={tmp_path / 'short'}"])
    sample.main([*command, f"--out_dir={tmp_path / 'stated'}", "--length=24"])
    assert contents(tmp_path / "short") == contents(tmp_path / "stated")


def test_many_pieces_are_made_in_batches_of_bounded_memory(exported, tmp_path, monkeypatch):
    monkeypatch.setattr(pieces, "STEPS_AT_ONCE", 1)
    sample.main([f"--saved_model={exported}", "--count=17", f"--out_dir={tmp_path / 'batches'}"])
    monkeypatch.undo()
    sample.main([f"--saved_model={exported}", "--count=17", f"--out_dir={tmp_path / 'at_once'}"])
    assert len(contents(tmp_path / "batches")) == 17
    assert contents(tmp_path / "batches") == contents(tmp_path / "at_once")


def limited(exported: Path, folder: Path, limit_bytes: int) -> Path:
    """A copy of an exported model whose signature.json states another limit of a request."""
    shutil.copytree(exported, folder)
    described = json.loads((folder / "signature.json").read_text())
    described["memory"]["limit_bytes"] = limit_bytes
    (folder / "signature.json").write_text(json.dumps(described))
    return folder


def test_batches_keep_to_the_limit_of_the_model(exported, tmp_path, monkeypatch):
    bounds = Interface.read(exported).memory
    model = limited(exported, tmp_path / "models" / "monday", bounds.of(16, 24))
    asked = []
    monkeypatch.setattr(Sampler, "generate", counted(Sampler.generate, asked))
    sample.main([f"--saved_model={model}", "--count=35", f"--out_dir={tmp_path / 'batches'}"])
    assert asked == [16, 16, 3]
    sample.main([f"--saved_model={exported}", "--count=35", f"--out_dir={tmp_path / 'at_once'}"])
    assert asked == [16, 16, 3, 35]
    assert contents(tmp_path / "batches") == contents(tmp_path / "at_once")


def counted(generate, asked):
    def counting(self, **values):
        asked.append(values["count"])
        return generate(self, **values)

    return counting


def test_a_piece_beyond_the_limit_is_refused_in_words_before_a_folder_is_made(exported, tmp_path):
    bounds = Interface.read(exported).memory
    model = limited(exported, tmp_path / "monday", bounds.of(1, 900))
    command = [f"--saved_model={model}", f"--out_dir={tmp_path / 'out'}", "--count=1"]
    with pytest.raises(ValueError, match=r"1 x 901 steps .* ask for at most 900 steps"):
        sample.main([*command, "--length=901"])
    assert not (tmp_path / "out").exists()
    sample.main([*command, "--length=900"])


def test_the_newest_weights_are_taken_unless_the_best_are_asked_for(
    run_dir, two_epochs, exported, tmp_path
):
    made = {}
    for name, flags in {
        "first": [f"--run_dir={run_dir}"],
        "newest": [f"--run_dir={two_epochs}"],
        "best": [f"--run_dir={two_epochs}", "--checkpoint=best"],
    }.items():
        sample.main([*flags, "--count=1", f"--out_dir={tmp_path / name}"])
        made[name] = contents(tmp_path / name)["monday-0.mid"]
    assert made["best"] == made["first"] != made["newest"]


def test_an_exported_model_says_which_epoch_it_is_and_how_that_was_chosen(
    two_epochs, exported, tmp_path
):
    folder = export_run(two_epochs, tmp_path / "best", "best")
    config = json.loads((folder / "config.json").read_text())
    said = "the best by polyphony (0.000 over 4 pieces)"
    assert (config["epoch"], config["chosen"]) == (1, said)
    for place, words in ((folder, said), (exported, "the newest")):
        card = (place / "card.md").read_text()
        assert f"Its weights are those after epoch 1 of the run monday, {words}." in card


def test_a_checkpoint_that_is_not_there_is_refused_in_words(two_epochs, exported, tmp_path):
    with pytest.raises(ValueError, match=r"no checkpoint of epoch 7; .* the epochs 1, 2 \("):
        export_run(two_epochs, tmp_path / "exported", "7")
    assert not (tmp_path / "exported").exists()
    with pytest.raises(UsageError, match="an exported model has one set of weights"):
        sample.main([f"--saved_model={exported}", "--out_dir=x", "--checkpoint=best"])


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
    most = Interface.read(exported).memory.most_pieces(24)
    assert f"at most 4.0 GiB: {most} pieces of 24 steps, or one of 100000; more" in shown
    assert "--out_dir: " in shown


def test_a_directory_that_is_not_a_run_is_refused_in_words(tmp_path):
    for main, flag in ((sample.main, "out_dir"), (export.main, "export_dir")):
        with pytest.raises(ValueError, match="is not a run directory"):
            main([f"--run_dir={tmp_path}", f"--{flag}={tmp_path / 'x'}"])


def test_a_run_without_a_checkpoint_is_refused_in_words(run_dir, tmp_path):
    (tmp_path / "config.json").write_bytes((run_dir / "config.json").read_bytes())
    with pytest.raises(ValueError, match="has no checkpoint yet"):
        export_run(tmp_path, tmp_path / "exported")
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
    with pytest.raises(ValueError, match="is refused: operation ReadFile is not among"):
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


def test_copies_of_a_reference_are_warned_of_and_replaced_by_further_seeds(
    exported, tmp_path, capsys
):
    command, known = [f"--saved_model={exported}", "--length=100"], tmp_path / "known"
    sample.main([*command, f"--out_dir={known}", "--count=4", "--seed=10"])
    plain = contents(known)
    command += [f"--reference={known}", "--seed=12", "--count=3"]
    capsys.readouterr()
    sample.main([*command, f"--out_dir={tmp_path / 'all'}", "--originality=warn"])
    lines = capsys.readouterr().out.splitlines()
    assert ["; copied: " in line for line in lines] == [True, True, False]
    assert f"of {next(iter(plain))[:-6]}12.mid" in lines[0]
    kept = contents(tmp_path / "all")
    assert kept["monday-12.mid"] == plain["monday-12.mid"]
    sample.main([*command, f"--out_dir={tmp_path / 'new'}", "--originality=resample"])
    said = capsys.readouterr()
    assert "monday-12.mid" not in contents(tmp_path / "new")
    assert "monday-13.mid" not in contents(tmp_path / "new")
    assert len(contents(tmp_path / "new")) == 3
    assert "seed 12 rejected, copied: " in said.err
    assert all("; original: " in line for line in said.out.splitlines())


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--originality=warn"], "--originality with --saved_model needs --reference"),
        (["--reference=x"], "--reference is where --originality=warn or resample looks"),
    ],
)
def test_originality_and_its_reference_belong_together(exported, flags, words):
    with pytest.raises(UsageError, match=words):
        sample.main([f"--saved_model={exported}", "--out_dir=x", *flags])


def test_a_run_whose_data_is_elsewhere_asks_where(run_dir, tmp_path):
    words = "not found from here; give its place with --reference=DIR"
    with pytest.raises(UsageError, match=words):
        sample.main([f"--run_dir={run_dir}", f"--out_dir={tmp_path}", "--originality=warn"])
