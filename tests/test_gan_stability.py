"""The count of collapsed seeds, over a trainer that takes no time."""

import importlib.util
import sys
from pathlib import Path

import pytest

from crnn_gan.sweeping import processes
from pipelines.settings import UsageError

ROOT = Path(__file__).parents[1]
FAKE = ROOT / "tests" / "crnn_gan" / "sweeping" / "fake_trainer.py"
PATH = ROOT / "benchmarks" / "gan_stability.py"
SPEC = importlib.util.spec_from_file_location("gan_stability", PATH)
gan_stability = sys.modules["gan_stability"] = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(gan_stability)


def test_seeds_that_collapse_or_diverge_are_counted(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(processes, "CHILD", (str(FAKE),))
    monkeypatch.setattr(processes, "LOOK_SECONDS", 0.02)
    settings = "fine: --learning_rate=0.02; flat: --learning_rate=0.9; lost: --learning_rate=0.4"
    words = [f"--out_dir={tmp_path}", "--seeds=2", "--max_epoch=4", f"--settings={settings}"]
    gan_stability.main(words)
    printed = capsys.readouterr().out
    assert "after each of the last 3 epochs, half of the pieces" in printed
    assert "fine: 0 of 2 seeds collapsed (0%; 0 of them diverged)" in printed
    assert "flat: 2 of 2 seeds collapsed (100%; 0 of them diverged)" in printed
    assert "lost: 2 of 2 seeds collapsed (100%; 2 of them diverged)" in printed
    assert "unique_tones: median 1 (real 10, 5 % to 95 % 8 to 12)" in printed
    assert (tmp_path / "fine" / "runs" / "001").is_dir()


@pytest.mark.parametrize("settings", ["", "ours", "ours: --a=1; ours: --b=2", "our s: --a=1"])
def test_settings_without_names_are_refused(settings):
    with pytest.raises(UsageError, match="--settings"):
        gan_stability.parse_settings(settings)
