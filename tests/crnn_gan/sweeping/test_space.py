"""What a sweep varies: words in, values out."""

import math
import typing

import numpy as np
import pytest

from crnn_gan.sweeping.space import Varied, drawn, grid, parse_varied
from pipelines.settings import UsageError

HINTS = {
    "learning_rate": float, "batch_size": int, "gated": bool, "windows_per_piece": int | None,
    "notes": typing.Literal["a", "b"],
}  # fmt: skip


def test_ranges_and_lists_are_read():
    text = " learning_rate=1e-5..1e-3 log; batch_size = 16,32 ;windows_per_piece=1..9;notes=a,b"
    assert parse_varied(text, HINTS) == (
        Varied("learning_rate", (), 1e-5, 1e-3, "log"),
        Varied("batch_size", ("16", "32")),
        Varied("windows_per_piece", (), 1, 9, "linear", whole=True),
        Varied("notes", ("a", "b")),
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "--vary names no flag"),
        (" ; ", "--vary names no flag"),
        ("learning_rate", "'learning_rate', which gives no values"),
        ("learning_rate=", "which gives no values"),
        ("learnign_rate=1..2", "no flag of the trainer or the model; did you mean learning_rate"),
        ("learning_rate=2..1", "an empty range"),
        ("learning_rate=1..1", "an empty range"),
        ("learning_rate=1..inf", "an empty range"),
        ("learning_rate=a..b", "low..high, both numbers"),
        ("learning_rate=0..1 log", "of 0 and below there is no logarithm"),
        ("learning_rate=1..2 exp", "nothing, or the word log"),
        ("batch_size=1.5..3", "batch_size is a whole number"),
        ("gated=0..1", "gated is no number"),
        ("batch_size=8,,9", "an empty value"),
        ("batch_size=8;batch_size=9", "names batch_size twice"),
    ],
)
def test_what_cannot_be_varied_is_said(text, said):
    with pytest.raises(UsageError, match=said.replace(".", r"\.")):
        parse_varied(text, HINTS)


def test_draws_fill_their_range_as_the_scale_says():
    text = "learning_rate=1e-4..1 log; batch_size=2..5; notes=a,b"
    runs = drawn(parse_varied(text, HINTS), runs=800, seed=0)
    rates = np.log10([float(run["learning_rate"]) for run in runs])
    assert -4 <= rates.min() < -3.9 and -0.1 < rates.max() <= 0
    assert rates.mean() == pytest.approx(-2, abs=0.15)
    sizes = [int(run["batch_size"]) for run in runs]
    assert set(sizes) == {2, 3, 4, 5}
    assert min(sizes.count(size) for size in set(sizes)) > 150
    assert {run["notes"] for run in runs} == {"a", "b"}


def test_a_run_draws_the_same_however_many_there_are():
    varied = parse_varied("learning_rate=1e-5..1e-3 log; batch_size=1..64", HINTS)
    assert drawn(varied, 12, seed=3)[:4] == drawn(varied, 4, seed=3)
    assert drawn(varied, 4, seed=3) != drawn(varied, 4, seed=4)
    assert len({run["learning_rate"] for run in drawn(varied, 12, seed=3)}) == 12


def test_a_grid_is_all_combinations_and_takes_no_range():
    varied = parse_varied("batch_size=1,2; notes=a,b", HINTS)
    assert grid(varied) == [
        {"batch_size": size, "notes": note} for size in ("1", "2") for note in ("a", "b")
    ]
    with pytest.raises(UsageError, match="learning_rate has a range; give a list"):
        grid(parse_varied("batch_size=1,2; learning_rate=0..1", HINTS))


def test_a_whole_range_in_logarithms_has_both_ends():
    sizes = {Varied("n", (), 1, 4, "log", True).draw(np.random.default_rng(k)) for k in range(300)}
    assert sizes == {"1", "2", "3", "4"}
    assert math.isfinite(float(Varied("x", (), 1, 2).draw(np.random.default_rng(0))))
