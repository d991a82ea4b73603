"""What is read of a run for the report."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from crnn_gan.evaluation.training_curves import read_training
from crnn_gan.metrics.bands import Band, to_json
from crnn_gan.runs.best import COMPARED
from crnn_gan.runs.configuration import RunConfig
from crnn_gan.runs.tables import Losses, Row, write_losses, write_rows
from pipelines.codecs.note_tuples import Codec

BANDS = dict.fromkeys(COMPARED, Band(10.0, 6.0, 9.0, 14.0))
REAL = dict.fromkeys(COMPARED, 10.0)


@pytest.fixture(name="run_dir")
def run_before_its_first_epoch(tmp_path) -> Path:
    """A run directory as training leaves it before its first epoch ends."""
    codec = Codec(tones_per_cell=2)
    config = RunConfig(
        model="c_rnn_gan",
        config={"learning_rate": 0.0005, "minibatch_d": False, "dequantize": True},
        codec=codec.to_json(),
        spec=codec.spec,
        training={"data_dir": "/somewhere/private", "composer": ["bach", "haydn"], "preset": ""},
        data={"name": "corpus"},
        versions={"keras": "3.14.0", "git_revision": "abc"},
    )
    (tmp_path / "generated_data").mkdir()
    config.write(tmp_path)
    (tmp_path / "bands.json").write_text(json.dumps(to_json(BANDS)))
    return tmp_path


def with_epochs(run_dir: Path) -> Path:
    """Two epochs, the first of which knew fewer statistics and other losses."""
    older = dict.fromkeys(COMPARED[1:], 10.0)
    rows = [Row(1, "pretraining", 4, 0, older), Row(2, "adversarial", 4, 2, REAL, 0.25)]
    write_rows(run_dir / "generated_data" / "statistics.tsv", rows)
    losses = [
        Losses(1, "pretraining", {"mse_loss": 0.5}),
        Losses(2, "adversarial", {"critic_loss": float("inf")}),
        Losses(3, "adversarial", {"critic_loss": -1.0}),  # Killed before its statistics.
    ]
    write_losses(run_dir / "generated_data" / "losses.tsv", losses)
    return run_dir


def test_a_run_without_an_epoch_has_no_training_to_show(run_dir):
    assert read_training(run_dir) is None


def test_settings_are_said_in_words_and_no_path_among_them(run_dir):
    settings = read_training(with_epochs(run_dir)).settings
    assert settings["model"] == "c_rnn_gan"
    assert settings["codec"].startswith("note_tuples, tones per cell 2, quadruplet per tone no")
    assert (settings["learning_rate"], settings["minibatch_d"]) == ("0.0005", "no")
    assert (settings["composer"], settings["preset"]) == ("bach, haydn", "not given")
    assert settings["versions"] == "keras 3.14.0, git revision abc"
    assert not any("private" in value for value in settings.values())


def test_every_curve_has_a_value_an_epoch_or_none(run_dir):
    training = read_training(with_epochs(run_dir))
    assert training.epochs == (1, 2, 3)
    assert training.curves["mse_loss"] == (0.5, None, None)
    assert training.curves["critic_loss"] == (None, None, -1.0)  # Infinite is none, too.
    assert training.curves[COMPARED[0]] == (None, 10.0, None)
    assert training.curves[COMPARED[1]] == (10.0, 10.0, None)
    assert training.curves["repeated_pieces"] == (0, 2, None)
    assert training.curves["shared_notes"] == (None, 0.25, None)
    # Half the pieces are repeated, the rest is as real music.
    assert training.curves["band_distance"] == (None, 0.5, None)


def test_a_run_of_before_losses_were_written_has_curves_of_statistics(run_dir):
    with_epochs(run_dir)
    (run_dir / "generated_data" / "losses.tsv").unlink()
    (run_dir / "bands.json").unlink()
    training = read_training(run_dir)
    assert training.epochs == (1, 2)
    assert training.curves.keys() == {"repeated_pieces", "shared_notes", *COMPARED}


def test_the_held_out_likelihood_is_that_of_the_epoch_that_was_sampled(run_dir):
    with_epochs(run_dir)
    rows = [Losses(1, "only", {"held_out_nats": 5.0}), Losses(2, "only", {"held_out_nats": 4.5})]
    write_losses(run_dir / "generated_data" / "losses.tsv", [*rows, Losses(3, "only", {"l": 1.0})])
    found = [read_training(run_dir, epoch).held_out_nats for epoch in (1, 2, 3, 4)]
    assert found == [5.0, 4.5, None, None]
    assert read_training(run_dir).held_out_nats is None


def test_alarms_come_line_by_line(run_dir):
    with_epochs(run_dir)
    assert read_training(run_dir).alarms == ()
    (run_dir / "alarms.txt").write_text("epoch 5: one\nepoch 6: another\n")
    assert read_training(run_dir).alarms == ("epoch 5: one", "epoch 6: another")


def test_what_is_no_run_and_what_is_damaged_is_said(run_dir, tmp_path_factory):
    with pytest.raises(ValueError, match="is not a run directory"):
        read_training(tmp_path_factory.mktemp("empty"))
    (run_dir / "generated_data" / "losses.tsv").write_text("epoch\tstage\tloss\n1\tonly\tlow\n")
    with pytest.raises(ValueError, match=r"losses\.tsv, line 2: could not convert"):
        read_training(run_dir)


def test_reading_a_run_loads_no_backend():
    code = (
        "import sys, crnn_gan.evaluation.training_curves;"
        "print(sorted({'tensorflow', 'keras', 'jax', 'torch'} & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() == "[]"
