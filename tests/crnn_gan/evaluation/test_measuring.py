"""Tests of crnn_gan/evaluation/measuring.py: what is found, and what is said of odd sets."""

import dataclasses
import json
import math

import numpy as np
import pytest
from random_music import pieces

from crnn_gan.evaluation.evaluation import Evaluation
from crnn_gan.evaluation.generated import Generated
from crnn_gan.evaluation.measuring import find_copies, measure
from crnn_gan.evaluation.reference import NamedScore, Reference
from pipelines.codecs.note_tuples import Codec
from pipelines.score import NOTE, Score

EMPTY = NamedScore("empty", Score(480, np.zeros(0, NOTE)))
ONE_NOTE = NamedScore("one note", Score(480, np.array([(0, 480, 60, 64, 0, 0, False)], NOTE)))
KNOWN, HELD_OUT = pieces(30, 100, notes=200), pieces(10, 200, notes=200)
REFERENCE = Reference("real", KNOWN, HELD_OUT, KNOWN, knows_held_out=False)


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
    assert len(row.real) == 400
    low, high = np.percentile(row.real, [5, 95])
    assert (row.band.low, row.band.high) == (low, high)
    assert row.inside == np.mean([low <= span <= high for span in spans])
    assert [piece.statistics["tone_span"] for piece in found.pieces] == spans
    assert found.generated.notes == 20 * 60
    assert found.repeated == 0
    assert sum(named(found.histograms, "pitch_class_histogram").generated) == pytest.approx(1)


def test_music_of_the_same_kind_is_near_and_noise_is_far_beside_the_yardstick():
    same, noise = evaluate(*pieces(40)), evaluate(*spoiled(pieces(40)))
    for beginning_of_name in ("Fréchet", "mean overlap area, pitch"):
        figure = beginning(same.figures, beginning_of_name)
        far = beginning(noise.figures, beginning_of_name)
        assert figure.real == pytest.approx(far.real)
        assert abs(figure.value - figure.real) < abs(far.value - far.real)
    assert named(noise.statistics, "scale_consistency").mean < 0.8
    assert named(same.statistics, "scale_consistency").mean == 1


def spoiled(named_scores):
    """Each note of C major moved by -6 to 6 half tones."""
    chance = np.random.default_rng(0)
    for name, score in named_scores:
        notes = score.notes.copy()
        notes["pitch"] = notes["pitch"] + chance.integers(-6, 7, len(notes))
        yield NamedScore(name, Score.from_unsorted(480, notes))


def test_a_piece_over_and_over_is_counted_and_shows_in_self_bleu():
    found = evaluate(*[pieces(1)[0]] * 12)
    assert found.repeated == 11
    figure = beginning(found.figures, "Self-BLEU")
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


def test_without_held_out_music_the_yardstick_is_missing_with_a_reason():
    found = evaluate(*pieces(20), reference=dataclasses.replace(REFERENCE, held_out=()))
    assert {figure.real for figure in found.figures} == {None}
    assert all("no held-out real music" in figure.reason for figure in found.figures)
    assert found.originality.limits  # From the known pieces, each against the others.


def test_pieces_of_a_model_are_compared_with_windows_on_its_grid():
    codec = Codec(ticks_per_quarter=4)
    made = dataclasses.replace(generated(*pieces(20)), codec=codec, steps=12)
    found = measure(made, REFERENCE)
    assert "12 steps, on the grid of the model's codec" in found.reference.made
    assert found.reference.notes <= 400 * 12
    assert not any("grid" in note for note in found.notes)
    assert found.originality is None


def test_nothing_to_evaluate_and_nothing_to_compare_with_are_refused_in_words():
    with pytest.raises(ValueError, match="nothing to evaluate in made"):
        measure(generated(), REFERENCE)
    none = dataclasses.replace(REFERENCE, compared=())
    with pytest.raises(ValueError, match="no real music in real"):
        measure(generated(*pieces(2)), none)
    with pytest.raises(ValueError, match="known pieces"):
        find_copies(generated(*pieces(2)), dataclasses.replace(REFERENCE, known=()))


def test_the_same_seed_finds_the_same():
    made = pieces(8)
    assert evaluate(*made).to_json() == evaluate(*made).to_json()
