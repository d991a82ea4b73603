"""Tests of crnn_gan/evaluation/measuring.py: what is found, and what is said of odd sets."""

import dataclasses
import json
import math

import numpy as np
import pytest
from random_music import pieces

from crnn_gan import metrics
from crnn_gan.evaluation import measuring
from crnn_gan.evaluation.evaluation import Evaluation
from crnn_gan.evaluation.figures import Overlaps, figures
from crnn_gan.evaluation.generated import Generated
from crnn_gan.evaluation.measured import Measured
from crnn_gan.evaluation.measuring import _statistic_rows, find_copies, measure
from crnn_gan.evaluation.reference import NamedScore, Reference
from crnn_gan.metrics.distances import overlap
from crnn_gan.metrics.frechet import frechet_distance
from crnn_gan.metrics.neighbours import neighbour_figures
from pipelines.codecs.note_tuples import Codec
from pipelines.score import Score
from pipelines.score_arrays import NOTE

FEWEST_WINDOWS = 100
EMPTY = NamedScore("empty", Score(480, np.zeros(0, NOTE)))
ONE_NOTE = NamedScore("one note", Score(480, np.array([(0, 480, 60, 64, 0, 0, False)], NOTE)))
KNOWN, HELD_OUT = pieces(30, 100, notes=200), pieces(10, 200, notes=200)
REFERENCE = Reference("real", KNOWN, HELD_OUT, KNOWN, knows_held_out=False)


@pytest.fixture(autouse=True)
def _few_windows(monkeypatch):
    monkeypatch.setattr(measuring, "FEWEST_WINDOWS", FEWEST_WINDOWS)


def generated(*made: NamedScore) -> Generated:
    return Generated("made", "made by a test", made)


def evaluate(*made: NamedScore, reference: Reference = REFERENCE) -> Evaluation:
    """Everything, with the check that all of it is JSON without NaN."""
    found = measure(generated(*made), reference, find_copies(generated(*made), reference))
    json.dumps(found.to_json(), allow_nan=False)
    return found


def named(rows, name):
    [found] = [row for row in rows if row.name == name]
    return found


def beginning(rows, text):
    """The one that starts so, among those over the statistics of the first edition."""
    rows = [row for row in rows if row.group != "all statistics"]
    [found] = [row for row in rows if row.name.startswith(text)]
    return found


def hour_long() -> NamedScore:
    """7,200 quarters of a slow scale, one after the other."""
    notes = np.zeros(7200, NOTE)
    notes["onset"], notes["duration"] = np.arange(7200) * 480, 480
    notes["pitch"], notes["velocity"] = 40 + np.arange(7200) % 40, 64
    return NamedScore("hour", Score(480, notes))


def test_the_means_bands_and_shares_are_those_of_the_pieces_and_windows():
    found = evaluate(*pieces(20))
    row = named(found.statistics, "tone_span")
    spans = [float(np.ptp(p.score.notes["pitch"].astype(int))) for p in pieces(20)]
    assert list(row.generated) == spans
    assert row.mean == pytest.approx(np.mean(spans))
    assert len(row.real) == FEWEST_WINDOWS
    low, high = np.percentile(row.real, [5, 95])
    assert (row.band.low, row.band.high) == (low, high)
    assert row.inside == np.mean([low <= span <= high for span in spans])
    assert [piece.statistics["tone_span"] for piece in found.pieces] == spans
    assert found.generated.notes == 20 * 60
    assert found.repeated == 0
    assert sum(named(found.histograms, "pitch_class_histogram").generated) == pytest.approx(1)


def test_music_of_the_same_kind_is_near_and_noise_is_far_beside_the_baseline():
    same, noise = evaluate(*pieces(40)), evaluate(*spoiled(pieces(40)))
    for beginning_of_name in ("Fréchet", "mean overlap area, pitch"):
        figure = beginning(same.figures, beginning_of_name)
        far = beginning(noise.figures, beginning_of_name)
        assert figure.real == pytest.approx(far.real)
        assert abs(figure.value - figure.real) < abs(far.value - far.real)
    assert named(noise.statistics, "scale_consistency").mean < 0.8
    assert named(same.statistics, "scale_consistency").mean == 1


def spoiled(named_scores):
    """Each note of C major moved by -6 to 6 semitones."""
    chance = np.random.default_rng(0)
    for name, score in named_scores:
        notes = score.notes.copy()
        notes["pitch"] = notes["pitch"] + chance.integers(-6, 7, len(notes))
        yield NamedScore(name, Score.from_unsorted(480, notes))


def test_a_piece_over_and_over_is_counted_and_shows_in_self_bleu_and_shared_notes():
    found = evaluate(*[pieces(1)[0]] * 12)
    assert found.repeated == 11
    for name in ("Self-BLEU", "shared notes"):
        figure = beginning(found.figures, name)
        assert figure.value == pytest.approx(1)
        assert figure.real < 0.9


def test_copies_are_called_copies_and_new_pieces_original():
    found = evaluate(*KNOWN[:3], *pieces(3, 500))
    assert [piece.verdict for piece in found.originality.pieces[:3]] == ["copied"] * 3
    assert found.originality.pieces[0].nearest == KNOWN[0].name
    assert {piece.verdict for piece in found.originality.pieces[3:]} <= {"original", "borrows"}


@pytest.mark.parametrize(
    "made",
    [
        pytest.param([EMPTY], id="an empty piece"),
        pytest.param([ONE_NOTE], id="a piece of one note"),
        pytest.param([EMPTY, ONE_NOTE, EMPTY], id="next to nothing"),
        pytest.param(list(pieces(1)), id="a set of one"),
        pytest.param([ONE_NOTE] * 10, id="constant features"),
        pytest.param([hour_long()], id="a piece of an hour"),
    ],
)
def test_odd_sets_give_figures_or_a_reason_in_words(made):
    found = evaluate(*made)
    for row in (*found.statistics, *found.histograms):
        assert row.overlap.area is not None or len(row.overlap.reason) > 10, row.name
    for figure in found.figures:
        if figure.value is None or figure.real is None:
            assert len(figure.reason) > 10, figure.name
        else:
            assert math.isfinite(figure.value) and math.isfinite(figure.real)
    assert any(f"only {len(made)} generated" in note for note in found.notes)
    assert any("no note" in note for note in found.notes) == (EMPTY in made)


def test_drums_alone_are_said_since_no_statistic_counts_them():
    drums = np.array([(480 * beat, 240, 36, 90, 0, 0, True) for beat in range(20)], NOTE)
    found = evaluate(NamedScore("drums", Score(480, drums)), *pieces(1))
    assert named(found.statistics, "note_count").generated == (0, 60)
    assert any("1 of 2 generated pieces have drums only" in note for note in found.notes)
    assert not any("real windows have drums" in note for note in found.notes)


def test_one_piece_is_told_in_the_singular():
    notes = evaluate(EMPTY).notes
    assert "There is only 1 generated piece: figures of sets are uncertain." in notes
    assert any(note.startswith("1 generated piece has no note") for note in notes)


def test_real_windows_that_are_all_alike_are_no_lack_of_generated_pieces():
    alike = [NamedScore(f"copy {n}", KNOWN[0].score) for n in range(10)]
    made = [NamedScore(f"made {n}", piece.score) for n, piece in enumerate(pieces(8, 500, 200))]
    reference = Reference("alike", tuple(alike), tuple(alike), tuple(alike), False)
    found = evaluate(*made, reference=reference)
    figure = beginning(found.figures, "precision")
    assert figure.reason == "no statistic differs among the middle 90 % of the real windows"
    assert any("real windows 99 repeat another" in note for note in found.notes)


def test_the_mean_of_equal_values_is_that_value():
    # np.mean([0.1] * 3) is 0.10000000000000002, above a band that is 0.1 alone.
    values = np.full((9, len(metrics.STATISTICS)), 0.1)
    overlaps = [overlap(values[:3, [0]], values[:, [0]])] * len(metrics.STATISTICS)
    row = _statistic_rows(values[:3], values, overlaps)[0]
    assert (row.mean, row.band.high) == (0.1, 0.1)


def test_a_reason_that_holds_of_both_sets_is_said_once():
    figure = beginning(evaluate(*pieces(2)).figures, "recall")
    assert figure.reason == "too few generated pieces: 2, needs 6 or more"


def test_without_held_out_music_the_baseline_is_missing_with_a_reason():
    found = evaluate(*pieces(20), reference=dataclasses.replace(REFERENCE, held_out=()))
    assert {figure.real for figure in found.figures} == {None}
    assert all("no held-out real music" in figure.reason for figure in found.figures)
    assert found.originality.limits  # From the reference pieces, each against the others.


def test_pieces_of_a_model_are_compared_with_windows_on_its_grid():
    codec = Codec(ticks_per_quarter=4)
    made = dataclasses.replace(generated(*pieces(20)), codec=codec, steps=12)
    found = measure(made, REFERENCE)
    assert "12 steps, on the grid of the model's codec" in found.reference.made
    assert found.reference.notes <= FEWEST_WINDOWS * 12
    assert not any("grid" in note for note in found.notes)
    assert found.originality is None


def test_a_statistic_that_is_constant_everywhere_adds_nothing_to_an_overlap():
    found = evaluate(*pieces(20))
    pedal = named(found.statistics, "pedal_share").overlap
    assert (pedal.area, pedal.reason) == (None, "all values of both sets are equal")
    rows = [row for row in found.statistics if row.group == "expression" and row.overlap.area]
    assert [row.name for row in rows] == [
        *("mean_velocity", "velocity_standard_deviation", "most_common_velocity_share"),
    ]
    figure = beginning(found.figures, "mean overlap area, expression statistics (2, ")
    assert figure.value == pytest.approx(np.mean([row.overlap.area for row in rows[:2]]))
    # With the one that was added: a figure of its own.
    [wider] = [row for row in found.figures if row.name.startswith(
        "mean overlap area, expression statistics (3, ")]  # fmt: skip
    assert wider.value == pytest.approx(np.mean([row.overlap.area for row in rows]))


def test_distances_leave_out_statistics_without_a_band_and_say_how_many_are_left():
    found = evaluate(*pieces(20))
    wide = [row for row in found.statistics if row.band.high > row.band.low]
    first = [row for row in wide if row.edition == 1]
    assert 10 < len(wide) < len(found.statistics) - 1  # Two are of the pedal, which nobody uses.
    assert len(wide) == len(first) + 1  # All onsets are on the grid: that has no band.
    for name in ("Fréchet", "precision", "recall", "density", "coverage"):
        narrow, wider = [figure for figure in found.figures if figure.name.startswith(name)]
        assert f"{len(first)} features" in narrow.name and narrow.group == "distances"
        assert f"{len(wide)} features" in wider.name and wider.group == "all statistics"


def test_an_added_statistic_without_a_band_gives_no_figure_twice():
    known = [NamedScore(name, at_one_velocity(score)) for name, score in KNOWN]
    reference = Reference("flat", tuple(known), tuple(known), tuple(known), False)
    made = [NamedScore(name, at_one_velocity(score)) for name, score in pieces(20)]
    found = evaluate(*made, reference=reference)
    assert {figure.group for figure in found.figures} == {"distances", "bleu", "likeness"}


def at_one_velocity(score: Score) -> Score:
    notes = score.notes.copy()
    notes["velocity"] = 72
    return dataclasses.replace(score, notes=notes)


def test_figures_of_sets_are_those_that_the_first_edition_alone_gives():
    """The added statistics change none of them."""
    made, real = Measured.of(pieces(12)), Measured.of(pieces(30, 100))
    columns = [i for i, s in enumerate(metrics.STATISTICS) if s.edition == 1]
    low, high = np.percentile(real.statistics[:, columns], [5, 95], axis=0)
    of_made, of_real = (x.statistics[:, columns][:, high > low] for x in (made, real))
    expected = neighbour_figures(of_made, of_real)
    found = figures(made, real, Measured.of(HELD_OUT), Overlaps.of(made, real))
    for name in ("precision", "recall", "density", "coverage"):
        assert beginning(found, name).value == getattr(expected, name).value
    assert beginning(found, "Fréchet").value == frechet_distance(of_made, of_real).value


def test_figures_say_where_they_are_against_held_out_pieces():
    reference = dataclasses.replace(REFERENCE, compared=HELD_OUT[:5], held_out=HELD_OUT[5:])
    plain = evaluate(*pieces(8), reference=reference)
    held_out = dataclasses.replace(reference, against="held_out")
    found = evaluate(*pieces(8), reference=held_out)
    assert (plain.against, found.against) == ("training", "held_out")
    assert "from half of the held-out pieces of real (5 of 5, " in found.reference.made
    for figure, before in zip(found.figures, plain.figures, strict=True):
        depends = not figure.name.startswith(("Self-BLEU", "shared notes"))
        assert figure.name.endswith(", compared with held-out pieces)") == depends
        assert (figure.value, figure.real) == (before.value, before.real)
    # Both halves are music that no model learned from.
    assert "10 held-out pieces" in found.originality.real_made
    assert "5 held-out pieces" in plain.originality.real_made


def test_every_real_window_is_a_reference_of_bleu():
    real = Measured.of(pieces(30))
    same = Measured.of(pieces(30)[20:25])
    bleu = beginning(figures(same, real, Measured.of(HELD_OUT), Overlaps.of(same, real)), "BLEU")
    assert "30 references" in bleu.name
    assert bleu.value == pytest.approx(1) and bleu.real < 0.95


def test_held_out_pieces_that_are_known_are_no_baseline_of_copies():
    folder = dataclasses.replace(REFERENCE, known=KNOWN + HELD_OUT, knows_held_out=True)
    found = find_copies(generated(*pieces(3, 500)), folder)
    assert "the 40 reference pieces, each without itself" in found.real_made
    assert "10 held-out pieces" in find_copies(generated(*pieces(3, 500)), REFERENCE).real_made


def test_a_value_on_the_edge_of_the_band_is_inside():
    found = evaluate(*pieces(3))  # Without a pedal, as all real windows: the band is 0 to 0.
    assert named(found.statistics, "pedal_share").inside == 1


def test_there_are_at_least_as_many_real_windows_as_generated_pieces():
    more = FEWEST_WINDOWS + 1
    found = measure(generated(*pieces(more, notes=6)), REFERENCE)
    assert found.reference.pieces == len(named(found.statistics, "tone_span").real) == more


def test_the_pieces_that_windows_are_from_are_counted():
    made = pieces(30, 500, notes=150)
    short = tuple(NamedScore(f"short {i}", score) for i, (_, score) in enumerate(pieces(20)))
    mixed = dataclasses.replace(REFERENCE, compared=KNOWN + short, held_out=HELD_OUT[:4] + short)
    found = measure(generated(*made), mixed)
    assert "(30 of 50, at random places)" in found.reference.made
    assert "There are only 4 held-out real pieces as a baseline" in " ".join(found.notes)
    assert any("note count is no evidence" in note for note in found.notes)


def test_nothing_to_evaluate_and_nothing_to_compare_with_are_refused_in_words():
    with pytest.raises(ValueError, match="nothing to evaluate in made"):
        measure(generated(), REFERENCE)
    none = dataclasses.replace(REFERENCE, compared=())
    with pytest.raises(ValueError, match="no real music in real"):
        measure(generated(*pieces(2)), none)
    with pytest.raises(ValueError, match="reference pieces"):
        find_copies(generated(*pieces(2)), dataclasses.replace(REFERENCE, known=()))


def test_the_same_seed_finds_the_same():
    made = pieces(8)
    assert evaluate(*made).to_json() == evaluate(*made).to_json()
