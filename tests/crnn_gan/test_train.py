"""Training from end to end on a tiny collection: files, resuming, faults, precisions."""

import dataclasses
import importlib.util
import json
import re
import shlex
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import keras
import mido
import numpy as np
import pytest

from crnn_gan import train
from crnn_gan.evaluation.training_curves import read_training
from crnn_gan.models.registry import config_class, model_class
from crnn_gan.runs import checkpoint, trainer
from crnn_gan.runs.best import COMPARED, read_bands
from crnn_gan.runs.configuration import RunConfig
from crnn_gan.runs.guard import TrainingError
from crnn_gan.runs.presets import expanded
from crnn_gan.runs.run import load_run
from crnn_gan.runs.tables import read_losses, read_rows, write_rows
from crnn_gan.runs.trainer_flags import TrainerFlags
from pipelines import dataset, records
from pipelines.command_line import parse
from pipelines.leftovers import HOST
from pipelines.settings import UsageError

PATH = Path(__file__).parents[2] / "benchmarks" / "kill_and_resume.py"
SPEC = importlib.util.spec_from_file_location("kill_and_resume", PATH)
kill_and_resume = sys.modules["kill_and_resume"] = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(kill_and_resume)

# Tracing takes most of the time, so few runs are trained, of networks that are traced quickly: one
# layer, one direction, no second derivatives. Not --deterministic, which would hold for all tests
# of this process.
QUICKLY_TRACED = (
    "--preset=tiny", "--unidirectional_d", "--adversarial_loss=non_saturating",
)  # fmt: skip
TINY = (
    *QUICKLY_TRACED, "--windows_per_piece=2", "--samples_per_epoch=2", "--precision=float32",
    "--nodeterministic",
)  # fmt: skip
STAGES = ("--pretraining_epochs=1",)
ONE_STAGE = ("--pretraining_epochs=0",)


def command(data_dir, run_dir, *more):
    return [f"--data_dir={data_dir}", f"--run_dir={run_dir}", *TINY, *more]


def trained(data_dir, run_dir, *more):
    """Trains as the command line would, and gives the model."""
    argv = expanded(command(data_dir, run_dir, *more), model_class("c_rnn_gan").presets)
    return trainer.train(*parse(argv, "", TrainerFlags, config_class("c_rnn_gan")))


def weights(network):
    return np.concatenate([array.ravel() for array in network.get_weights()])


@pytest.fixture(autouse=True)
def _policy_of_other_tests():
    yield
    keras.config.set_dtype_policy("float32")


@pytest.fixture(name="data_dir", scope="module")
def prepared_collection(tmp_path_factory):
    """Eight pieces of 24 notes, all to train on."""
    folder = tmp_path_factory.mktemp("collection")
    kill_and_resume.write_collection(folder / "midi", pieces=8, notes=24)
    kill_and_resume.prepare_collection(folder / "midi", folder / "data")
    return folder / "data"


@pytest.fixture(name="run", scope="module")
def run_of_two_stages(data_dir, tmp_path_factory):
    """A run directory and its model: an epoch of pretraining, an adversarial one."""
    run_dir = tmp_path_factory.mktemp("train") / "monday"
    return run_dir, trained(data_dir, run_dir, "--max_epoch=2", *STAGES)


def test_help_names_the_presets_of_the_model(capsys):
    with pytest.raises(SystemExit):
        train.main(["--model=mlp_gan", "--help"])
    assert "\nPresets of mlp_gan: original, tiny.\n" in capsys.readouterr().out


def test_a_run_directory_holds_everything_under_its_name(run):
    run_dir, _ = run
    assert {path.name for path in run_dir.iterdir()} == {
        "bands.json", "checkpoints", "config.json", "generated_data", "logs",
    }  # fmt: skip
    assert {path.name for path in (run_dir / "generated_data").iterdir()} == {
        "epoch-0001.mid", "epoch-0001.png", "epoch-0002.mid", "epoch-0002.png", "losses.tsv",
        "statistics.tsv",
    }  # fmt: skip
    assert checkpoint.epochs(run_dir) == [1, 2]
    assert {path.name for path in (run_dir / "logs").iterdir()} == {
        "generated", "real-mean", "real-05", "real-95",
    }  # fmt: skip


def test_every_epoch_leaves_a_row_of_statistics_and_a_midi_file_that_others_read(run):
    run_dir, _ = run
    rows = read_rows(run_dir / "generated_data" / "statistics.tsv")
    assert [(row.epoch, row.stage, row.pieces) for row in rows] == [
        (1, "pretraining", 2),
        (2, "adversarial", 2),
    ]
    for epoch in (1, 2):
        assert mido.MidiFile(run_dir / "generated_data" / f"epoch-000{epoch}.mid").type == 1


def test_the_losses_of_both_stages_stand_in_one_table(run):
    first, second = read_losses(run[0] / "generated_data" / "losses.tsv")
    assert (first.stage, second.stage) == ("pretraining", "adversarial")
    assert first.losses.keys() & second.losses.keys() < first.losses.keys()
    assert np.isfinite([*first.losses.values(), *second.losses.values()]).all()


def test_what_the_report_shows_of_training_is_read_from_the_run(run):
    training = read_training(run[0])
    assert training.epochs == (1, 2)
    assert {"band_distance", "polyphony", "discriminator_loss"} <= training.curves.keys()
    assert training.curves["discriminator_loss"][1] is not None
    assert (training.settings["hidden_size_g"], training.alarms) == ("8", ())


def test_the_configuration_says_on_what_and_how_it_was_trained(run, data_dir):
    run_dir, _ = run
    written = RunConfig.read(run_dir)
    manifest = records.read_manifest(data_dir)
    assert (written.model, written.config["hidden_size_g"]) == ("c_rnn_gan", 8)
    assert written.codec == manifest.codec and written.spec == manifest.spec
    assert written.data["configuration"] == manifest.configuration
    assert written.training["precision"] == "float32"


def test_one_training_graph_is_traced_for_each_stage(run):
    assert run[1].traces == 2


def test_a_loaded_run_has_the_average_of_the_weights_it_was_trained_to(run):
    run_dir, model = run
    loaded = load_run(run_dir)
    assert loaded.epoch == 2
    averages = np.concatenate([np.ravel(mean) for mean in model.averages.values()])
    np.testing.assert_array_equal(weights(loaded.model.generator.network), averages)
    assert not np.array_equal(averages, weights(model.generator))
    np.testing.assert_array_equal(weights(loaded.model.discriminator), weights(model.discriminator))


def test_a_finished_run_goes_on_when_there_are_more_epochs_and_else_stays(run, data_dir, tmp_path):
    run_dir = shutil.copytree(run[0], tmp_path / "copy")
    again = trained(data_dir, run_dir, "--max_epoch=2", *STAGES, "--best_by=")
    assert checkpoint.epochs(run_dir) == [1, 2] and again.traces == 0
    longer = trained(data_dir, run_dir, "--max_epoch=3", *STAGES, "--best_by=")
    assert checkpoint.epochs(run_dir) == [2, 3]
    assert (weights(longer.generator) != weights(run[1].generator)).any()
    rows = read_rows(run_dir / "generated_data" / "statistics.tsv")
    assert [row.epoch for row in rows] == [1, 2, 3]
    with_best = shutil.copytree(run[0], tmp_path / "with_best")
    make_perfect(with_best, epoch=1)
    same = trained(data_dir, with_best, "--max_epoch=3", *STAGES)
    assert checkpoint.epochs(with_best) == [1, 2, 3]
    assert checkpoint.digest(same) == checkpoint.digest(longer)


def make_perfect(run_dir, epoch):
    """Gives an epoch the row of real music, and another columns than this version's."""
    path, bands = run_dir / "generated_data" / "statistics.tsv", read_bands(run_dir)
    rows = read_rows(path)
    perfect = {name: bands[name].mean for name in COMPARED}
    rows[epoch - 1] = dataclasses.replace(rows[epoch - 1], repeated=0, statistics=perfect)
    write_rows(path, rows)


def test_the_end_of_a_run_says_which_epoch_is_best(run, data_dir, tmp_path, capsys):
    run_dir = shutil.copytree(run[0], tmp_path / "copy")
    make_perfect(run_dir, epoch=1)
    trained(data_dir, run_dir, "--max_epoch=2", *STAGES)
    said = "the best by band distance (0.000 over 2 pieces)"
    assert f"{said}: epoch 1; --checkpoint=best takes it" in capsys.readouterr().out
    best, newest = load_run(run_dir, "best"), load_run(run_dir)
    assert (best.epoch, best.chosen) == (1, said)
    assert (weights(best.model.generator) != weights(newest.model.generator)).any()


def test_a_statistic_that_is_none_is_refused_before_anything_is_loaded(data_dir, tmp_path):
    with pytest.raises(UsageError, match="--best_by=polifony is not known; give band_distance"):
        train.main(command(data_dir, tmp_path / "run", "--best_by=polifony"))
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_a_run_that_was_killed_and_interrupted_ends_bitwise_equal(data_dir, tmp_path, monkeypatch):
    monkeypatch.delenv("CRNN_GAN_JOB", raising=False)
    flags = [*kill_and_resume.TINY, *QUICKLY_TRACED, *ONE_STAGE, "--max_epoch=6"]
    unbroken = kill_and_resume.start_training(data_dir, tmp_path / "whole", flags)
    killed = tmp_path / "killed"
    kill = kill_and_resume.Kill("saving", epochs=1, share=0.0)
    process = kill_and_resume.start_training(data_dir, killed, flags)
    assert kill_and_resume.train_and_kill(process, killed, kill, 0.0, 0.1)
    process = kill_and_resume.start_training(data_dir, killed, flags, subprocess.PIPE)
    assert kill_and_resume.epochs_said(process, 1) == 1
    process.send_signal(signal.SIGSTOP)  # While a second trainer comes to its run directory.
    words = rf"another process trains .*killed \(process {process.pid} on .*\): wait until it ends"
    with pytest.raises(ValueError, match=words):
        trained(data_dir, killed)
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGCONT)
    said = process.communicate()[1].splitlines()[-1]
    assert process.returncode == 130, said
    assert re.match(
        r"stopped by Ctrl-C .*epoch \d.*; the checkpoint of epoch \d stays; go on", said
    )
    _, again = said.split("; go on with: ")
    assert [word for word in shlex.split(again) if "KERAS_BACKEND=" not in word] == process.args
    assert not [*killed.glob(".*"), *killed.glob("*/.*")]
    kill_and_resume.wait_for_end(kill_and_resume.start_training(data_dir, killed, flags))
    kill_and_resume.wait_for_end(unbroken)
    assert checkpoint.epochs(killed)[-2:] == [5, 6]
    assert kill_and_resume.differences(tmp_path / "whole", killed) == []


def test_a_run_that_cannot_begin_leaves_nothing_and_what_a_killed_one_left_is_no_other_run(
    data_dir, tmp_path
):
    with pytest.raises(ValueError, match="nobody"):
        trained(data_dir, tmp_path / "run", "--composer=nobody")
    assert not (tmp_path / "run").exists()
    (tmp_path / "run").mkdir()
    for left in (".train.lock", f".config.json.abcd.{HOST}.tmp"):
        (tmp_path / "run" / left).write_text("half")
    with pytest.raises(ValueError, match="nobody"):
        trained(data_dir, tmp_path / "run", "--composer=nobody")
    assert list((tmp_path / "run").iterdir()) == []


# Faults of the data.


def with_nan(data_dir, folder, keys):
    """Copies prepared data, the music of the pieces `keys` not being numbers."""
    manifest, pieces = records.read_manifest(data_dir), dataset.load(data_dir, "train")
    examples = []
    for place, (key, array) in enumerate(zip(pieces.keys, pieces.arrays, strict=True)):
        content = (array * (np.nan if key in keys else 1)).tobytes()
        classes = {name: int(indices[place]) for name, indices in pieces.classes.items()}
        examples.append(records.example_of(key, array.shape, content, classes))
    shutil.copytree(data_dir, folder)
    shard = records.write_shard(folder / records.shard_name("train", 0, 1), examples)
    train_split = {**manifest.splits["train"], "shards": [shard]}
    changed = dataclasses.replace(manifest, splits={**manifest.splits, "train": train_split})
    (folder / records.MANIFEST).write_bytes(changed.to_bytes())
    return folder


def test_steps_whose_loss_is_not_a_number_are_skipped_and_counted(data_dir, tmp_path, capsys):
    first = dataset.load(data_dir, "train").keys[0]
    damaged = with_nan(data_dir, tmp_path / "data", {first})
    model = trained(damaged, tmp_path / "run", "--max_epoch=2", "--batch_size=2", *ONE_STAGE)
    windows = dataset.Windows(dataset.load(damaged, "train"), 8, 2, seed=0, windows_per_piece=2)
    steps = range(2 * windows.summary.steps_per_epoch)
    hit = sum(bool(np.isnan(windows.batch(step)["music"]).any()) for step in steps)
    assert 0 < hit < len(steps)
    assert int(model.skipped["discriminator"]) == hit
    assert np.isfinite(weights(model.generator)).all()
    assert np.isfinite(weights(model.discriminator)).all()
    assert checkpoint.epochs(tmp_path / "run") == [1, 2]
    assert f"not finite: {hit} of discriminator" in capsys.readouterr().out


def test_too_many_such_steps_in_a_row_end_the_run_and_name_the_phase(data_dir, tmp_path):
    damaged = with_nan(data_dir, tmp_path / "data", dataset.load(data_dir, "train").keys)
    with pytest.raises(TrainingError, match=r"the phase 'discriminator' gave no finite update 20"):
        trained(damaged, tmp_path / "run", "--max_epoch=9", "--windows_per_piece=12", *ONE_STAGE)
    assert checkpoint.epochs(tmp_path / "run") == []


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--window_steps=25"], r"no piece is as long as a window of 25 steps.*--window_steps=24"),
        (["--batch_size=17"], r"a batch of 17 is larger than the data: 8 pieces.*lower batch_size"),
        (["--composer=nobody"], r"holds no music of nobody"),
    ],
)
def test_data_that_does_not_suffice_is_refused_in_words(data_dir, tmp_path, more, said):
    with pytest.raises(ValueError, match=said):
        train.main(command(data_dir, tmp_path / "run", *more))
    assert not (tmp_path / "run").exists()


def test_a_directory_that_was_not_prepared_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"pipelines\.prepare"):
        train.main(command(tmp_path, tmp_path / "run"))


# Faults of the command.


def test_a_directory_that_is_no_run_is_left_alone(data_dir, tmp_path):
    (tmp_path / "letter.txt").write_text("dear")
    with pytest.raises(ValueError, match=r"is not empty and holds no run; give a new directory"):
        train.main(command(data_dir, tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ["letter.txt"]


def test_other_settings_than_those_of_the_run_are_named(run, data_dir):
    with pytest.raises(ValueError, match=r"other settings: hidden_size_g is 8 there and 9 here"):
        train.main(command(data_dir, run[0], "--max_epoch=2", *STAGES, "--hidden_size_g=9"))


def test_the_run_of_another_model_is_refused(run, data_dir, tmp_path):
    values = json.loads((run[0] / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**values, "model": "wavenet"}))
    with pytest.raises(ValueError, match=r"holds a run of the model wavenet, not c_rnn_gan"):
        train.main(command(data_dir, tmp_path))


def test_a_preset_that_is_not_there_is_refused_with_those_that_are(data_dir, tmp_path):
    with pytest.raises(UsageError, match=r"--preset=papers is not known.*paper, code"):
        train.main(command(data_dir, tmp_path / "run", "--preset=papers"))


def test_a_flag_with_a_typing_error_is_named_with_the_one_that_was_meant(data_dir, tmp_path):
    with pytest.raises(UsageError, match=r"no flag --window_stesp; did you mean --window_steps"):
        train.main(command(data_dir, tmp_path / "run", "--window_stesp=8"))


def test_the_flag_of_the_original_names_the_window(run, data_dir, capsys):
    train.main(command(data_dir, run[0], "--max_epoch=2", *STAGES, "--songlength=8"))
    with pytest.raises(ValueError, match="other settings: window_steps is 8 there and 9 here"):
        train.main(command(data_dir, run[0], "--max_epoch=2", *STAGES, "--songlength=9"))


def test_flags_of_the_original_that_are_always_on_now_are_taken_with_one_line(
    run, data_dir, capsys
):
    flags = ["--max_epoch=2", *STAGES, "--feed_previous", "--bidirectional_d"]
    train.main(command(data_dir, run[0], *flags))
    lines = [line for line in capsys.readouterr().err.splitlines() if "--feed_previous" in line]
    assert len(lines) == 1 and "--bidirectional_d" in lines[0] and "always on" in lines[0]


@pytest.mark.parametrize("precision", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision_trains_and_is_loaded_as_float32(data_dir, tmp_path, precision):
    flags = ["--max_epoch=1", f"--precision={precision}", *ONE_STAGE]
    model = trained(data_dir, tmp_path, *flags)
    assert model.generator.compute_dtype == precision.removeprefix("mixed_")
    assert np.isfinite(weights(model.generator)).all()
    loaded = load_run(tmp_path).model
    assert loaded.generator.compute_dtype == "float32"
    model.take_averages()
    np.testing.assert_array_equal(weights(loaded.generator), weights(model.generator))
    fresh = RunConfig.read(tmp_path).build_model("float32")
    assert (weights(fresh.generator) != weights(loaded.generator)).any()
