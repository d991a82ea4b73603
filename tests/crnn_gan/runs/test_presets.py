"""Presets on a command line: where they stand, what wins."""

import pytest

from crnn_gan.runs.presets import expanded
from pipelines.settings import UsageError

PRESETS = {"paper": {"units": 350, "layers": (2, 3)}, "tiny": {"units": 8, "average": False}}


def test_a_preset_stands_for_its_flags_and_what_comes_later_wins():
    words = expanded(["--preset=paper", "--units=9"], PRESETS)
    assert words == ["--preset=paper", "--units=350", "--layers=2,3", "--units=9"]


def test_presets_combine_in_their_order():
    assert expanded(["--preset", "paper,tiny"], PRESETS) == [
        *("--preset", "paper,tiny", "--units=350", "--layers=2,3"),
        *("--units=8", "--average=false"),
    ]


def test_flags_before_a_preset_that_it_sets_anew_are_named(capsys):
    expanded(["--units=9", "--noaverage", "--preset=tiny"], PRESETS)
    said = "note: --preset=tiny stands after --units, --average and wins\n"
    assert capsys.readouterr().err == said
    expanded(["--units=9", "--preset=tiny"], PRESETS, warn=False)
    expanded(["--preset=tiny", "--units=9"], PRESETS)
    assert capsys.readouterr().err == ""


def test_a_preset_that_is_not_there_is_refused_with_those_that_are():
    with pytest.raises(UsageError, match=r"--preset=papers is not known.*: paper, tiny"):
        expanded(["--preset=paper,papers"], PRESETS)


def test_no_preset_changes_nothing():
    assert expanded(["--preset=", "--units=3"], PRESETS) == ["--preset=", "--units=3"]
