"""The command that puts sampled pieces beside real music."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from crnn_gan.metrics.bands import Band, to_json
from crnn_gan.statistics import main
from pipelines.formats import midi
from pipelines.score import NOTE, Score


def write_piece(path: Path, lowest: int) -> None:
    notes = np.zeros(8, NOTE)
    notes["onset"], notes["pitch"] = np.arange(8) * 12, lowest + np.arange(8)
    notes["duration"], notes["velocity"] = 12, 64
    midi.write(Score(12, notes), path)


@pytest.fixture
def flags(tmp_path: Path) -> list[str]:
    """A run with bands, and a folder of three pieces of which two are equal."""
    real = {"polyphony": Band(0.7, 0.3, 0.7, 1.0), "unique_tones": Band(7.5, 6.0, 8.0, 9.0)}
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "bands.json").write_text(json.dumps(to_json(real)))
    (tmp_path / "pieces").mkdir()
    for name, lowest in [("a", 40), ("b", 40), ("c", 50)]:
        write_piece(tmp_path / "pieces" / f"{name}.mid", lowest)
    return [f"--midi_dir={tmp_path / 'pieces'}", f"--run_dir={tmp_path / 'run'}"]


def test_the_report_has_the_table_and_counts_equal_pieces(
    flags: list[str], capsys: pytest.CaptureFixture
):
    main(flags)
    assert capsys.readouterr().out == (
        "statistic     generated  real  real 5 % .. 95 %\n"
        "polyphony             0   0.7          0.3 .. 1  below\n"
        "unique tones          8   7.5            6 .. 9  inside\n"
        "3 pieces; 1 of them repeat another note for note\n"
    )


def test_the_report_says_what_it_left_out(
    flags: list[str], tmp_path: Path, capsys: pytest.CaptureFixture
):
    (tmp_path / "pieces" / "b.mid").write_bytes(b"no music")
    main(flags)
    *_, count, left_out = capsys.readouterr().out.splitlines()
    assert count == "2 pieces; no two are equal"
    assert left_out.startswith("left out: b.mid does not begin with a MIDI header")


def test_a_folder_without_music_is_refused_in_words(flags: list[str], tmp_path: Path):
    for path in (tmp_path / "pieces").iterdir():
        path.unlink()
    with pytest.raises(ValueError, match=r"has no \.mid file; give a folder of sampled pieces"):
        main(flags)
    (tmp_path / "pieces" / "x.mid").write_bytes(b"")
    with pytest.raises(ValueError, match=r"has 1 \.mid files, none readable"):
        main(flags)


def test_a_run_without_bands_is_refused_in_words(flags: list[str], tmp_path: Path):
    bands = tmp_path / "run" / "bands.json"
    bands.write_text("{")
    with pytest.raises(ValueError, match=r"bands\.json: Expecting"):
        main(flags)
    bands.unlink()
    with pytest.raises(ValueError, match="give the folder of a training run as --run_dir"):
        main(flags)
