"""The best epoch: distances worked out by hand, and which epoch is chosen."""

import dataclasses
import json
from pathlib import Path

import pytest

from crnn_gan.metrics.bands import Band, to_json
from crnn_gan.runs.best import (
    BAND_DISTANCE,
    COMPARED,
    band_distance,
    best_of_run,
    choose,
    distance,
    statistic_distance,
)
from crnn_gan.runs.configuration import RunConfig
from crnn_gan.runs.criteria import refuse_unknown
from crnn_gan.runs.tables import Row, write_rows
from pipelines.codecs.note_tuples import Codec
from pipelines.settings import UsageError

BAND = Band(mean=10.0, low=6.0, median=9.0, high=14.0)  # 8 wide.
BANDS = dict.fromkeys([*COMPARED, "note_count"], BAND)
REAL = dict.fromkeys(COMPARED, 10.0)


def row(epoch: int = 1, pieces: int = 8, repeated: int = 0, **statistics: float) -> Row:
    """A row of real music's means, but for what is given."""
    return Row(epoch, "", pieces, repeated, REAL | statistics)


def test_the_compared_statistics_are_the_six_of_the_paper():
    assert COMPARED == (
        "polyphony", "scale_consistency", "repetitions", "tone_span", "unique_tones",
        "intensity_span",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("mean", "band", "far"),
    [
        (10, BAND, 0),
        (12, BAND, 2 / 8),
        (6, BAND, 4 / 8),
        (34, BAND, 24 / 8),
        # A few loud pieces: the mean lies above the 95th percentile. From 0 to 4 it is 4.
        (1, Band(mean=4.0, low=0.0, median=0.0, high=0.0), 3 / 4),
        # All of real music has one value: in the statistic's own unit.
        (0.25, Band(mean=0.0, low=0.0, median=0.0, high=0.0), 0.25),
        # The same, whose mean is a rounded sum: no width of 1e-13 to divide by.
        (64.5, Band(mean=64.0 + 1e-13, low=64.0, median=64.0, high=64.0), 0.5),
    ],
)
def test_a_distance_is_in_widths_of_the_band(mean, band, far):
    assert statistic_distance(mean, band) == pytest.approx(far)


def test_the_band_distance_is_the_mean_of_the_papers_six():
    # 2/8, 4/8 and four of 0.
    assert band_distance(row(polyphony=12, tone_span=6), BANDS) == pytest.approx(0.75 / 6)


def test_far_is_far_so_one_statistic_alone_does_not_decide():
    # 400 is 48 widths away and counts as 1.
    assert band_distance(row(repetitions=400), BANDS) == pytest.approx(1 / 6)
    assert band_distance(row(repetitions=18), BANDS) == pytest.approx(1 / 6)
    everything = dict.fromkeys(COMPARED, 1e9)
    assert band_distance(row(**everything), BANDS) == 1.0


def test_repeated_pieces_count_as_far_in_everything():
    # A quarter is repeated: 3/4 * 1/6 + 1/4.
    far = band_distance(row(repetitions=400, pieces=8, repeated=2), BANDS)
    assert far == pytest.approx(0.75 / 6 + 0.25)
    assert band_distance(row(repeated=7), BANDS) == pytest.approx(7 / 8)


def test_other_statistics_than_the_papers_do_not_move_the_band_distance():
    assert band_distance(row(note_count=9000), BANDS) == 0


def test_pieces_that_are_alike_are_far_from_half_of_their_notes_on():
    distances = [
        band_distance(dataclasses.replace(row(repeated=3), shared_notes=alike), BANDS)
        for alike in (None, 0.49, 0.5)
    ]
    assert distances == pytest.approx([3 / 8, 3 / 8, 1 / 2])


def test_one_statistic_is_not_cut_off_and_knows_no_repeated_pieces():
    assert distance(row(note_count=34, repeated=7), BANDS, "note_count") == pytest.approx(3)


def test_a_row_or_a_band_that_lacks_the_statistic_has_no_distance():
    older = Row(1, "", 8, 0, dict.fromkeys(COMPARED[1:], 10.0))
    assert band_distance(older, BANDS) is None
    assert distance(older, BANDS, COMPARED[0]) is None
    assert distance(row(), {}, COMPARED[0]) is None
    assert band_distance(row(), {}) is None


ROWS = [row(epoch, repetitions=value) for epoch, value in enumerate([30, 11, 12, 9, 14], 1)]


def test_the_best_epoch_is_the_nearest_one_and_of_equal_ones_the_latest():
    # Distances 20, 1, 2, 1 and 4, of 8.
    best = choose(ROWS, BANDS, "repetitions", range(1, 6))
    assert (best.epoch, best.distance, best.pieces) == (4, 1 / 8, 8)
    assert str(best) == "the best by repetitions (0.125 over 8 pieces)"
    assert choose(ROWS, BANDS, BAND_DISTANCE, range(1, 6)).epoch == 4


def test_only_epochs_with_a_checkpoint_can_be_best():
    assert choose(ROWS, BANDS, "repetitions", [1, 3, 5]).epoch == 3
    assert choose(ROWS, BANDS, "repetitions", [6]) is None
    assert choose([], BANDS, "repetitions", [1]) is None


def test_keeping_the_best_so_far_finds_the_best_of_all():
    kept: list[int] = []
    for number in range(1, 6):
        kept = [*kept, number]
        best = choose(ROWS[:number], BANDS, "repetitions", kept)
        kept = sorted({*kept[-2:], best.epoch})
    assert kept == [4, 5]


def test_what_is_no_statistic_is_refused_with_those_that_are():
    refuse_unknown("")
    refuse_unknown("band_distance")
    refuse_unknown("note_count")
    with pytest.raises(UsageError, match=r"--best_by=hats is not known; give band_distance, one"):
        refuse_unknown("hats")


def run_with(run_dir: Path, best_by: str | None) -> Path:
    """Writes what a run of five epochs leaves, but for its checkpoints."""
    codec = Codec()
    training = {} if best_by is None else {"best_by": best_by}
    config = RunConfig("c_rnn_gan", {}, codec.to_json(), codec.spec, training, {}, {})
    (run_dir / "generated_data").mkdir()
    config.write(run_dir)
    (run_dir / "bands.json").write_text(json.dumps(to_json(BANDS)))
    write_rows(run_dir / "generated_data" / "statistics.tsv", ROWS)
    return run_dir


def test_a_run_says_itself_by_what_its_epochs_are_compared(tmp_path: Path):
    best = best_of_run(run_with(tmp_path, "repetitions"), [2, 3])
    assert (best.epoch, best.by) == (2, "repetitions")


def test_the_choice_is_the_same_from_the_files_as_it_was_in_training(tmp_path: Path):
    # A third has more digits than a row has; both sides have to see the same ones.
    third = dataclasses.replace(ROWS[0], statistics=REAL | {"repetitions": 10 + 1 / 3})
    run_dir = run_with(tmp_path, BAND_DISTANCE)
    write_rows(run_dir / "generated_data" / "statistics.tsv", [third])
    best = best_of_run(run_dir, [1])
    assert best.distance == pytest.approx(0.3333 / 8 / 6, rel=1e-9)


@pytest.mark.parametrize(
    ("best_by", "epochs", "said"),
    [
        (None, [1], r"trained without --best_by; train on with --best_by=band_distance"),
        ("", [1], r"trained without --best_by"),
        ("repetitions", [9], r"statistics\.tsv has no repetitions of an epoch that has a check"),
        ("note_count", [1], r"has no note_count of an epoch"),
    ],
)
def test_a_run_that_knows_no_best_epoch_says_why(tmp_path: Path, best_by, epochs, said):
    with pytest.raises(ValueError, match=said):
        best_of_run(run_with(tmp_path, best_by), epochs)


def test_bands_that_are_missing_or_damaged_are_named(tmp_path: Path):
    run_dir = run_with(tmp_path, BAND_DISTANCE)
    (run_dir / "bands.json").write_text('{"polyphony": {"mean": 1}}')
    with pytest.raises(ValueError, match=r"bands\.json: not bands"):
        best_of_run(run_dir, [1])
    (run_dir / "bands.json").unlink()
    with pytest.raises(ValueError, match=r"has no bands\.json; training writes it"):
        best_of_run(run_dir, [1])
