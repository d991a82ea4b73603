"""Looking for copies while sampling: what is kept, what is said, when it is given up."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from melodies import piece, random_pitches

from crnn_gan.evaluation.while_sampling import ATTEMPTS, originals, with_labels
from crnn_gan.generation.pieces import Sampled
from crnn_gan.originality.comparing import OriginalityClassifier
from crnn_gan.originality.reference_pieces import ReferencePieces
from pipelines.formats import midi

COPIED = {3, 4, 7}  # Seeds.


@pytest.fixture(scope="module")
def classifier() -> OriginalityClassifier:
    known = [piece(random_pitches(seed)) for seed in range(20)]
    held_out = [piece(random_pitches(seed, 300)) for seed in range(100, 110)]
    return OriginalityClassifier(
        ReferencePieces.of([f"piece {seed}" for seed in range(20)], known), held_out
    )


def make(values: Mapping[str, Any]) -> Iterator[Sampled]:
    """A model that knows by heart what it makes of some seeds."""
    for seed in range(values["seed"], values["seed"] + values["count"]):
        score = piece(random_pitches(seed if seed in COPIED else 1000 + seed))
        yield Sampled(seed, {".mid": midi.to_bytes(score)}, len(score.notes), score.length_seconds)


def by_heart(values: Mapping[str, Any]) -> Iterator[Sampled]:
    for seed in range(values["seed"], values["seed"] + values["count"]):
        yield Sampled(seed, {".mid": midi.to_bytes(piece(random_pitches(5)))}, 100, 50.0)


def test_warning_keeps_every_piece_and_says_what_is_copied(classifier: OriginalityClassifier):
    made = list(with_labels(make({"seed": 2, "count": 3}), classifier))
    assert [p.seed for p in made] == [2, 3, 4]
    assert made[0].remark.startswith("original: no figure is above the limit of real music")
    assert made[1].remark.startswith("copied: 100 % of its notes lie in shared passages of 16")
    assert made[1].remark.endswith("; bars 1-25 as in bars 1-25 of piece 3 (100 notes)")
    plain = list(make({"seed": 2, "count": 3}))
    assert [p.files for p in made] == [p.files for p in plain]


def test_resampling_goes_on_with_further_seeds_until_enough_are_original(
    classifier: OriginalityClassifier,
):
    said: list[str] = []
    made = list(originals(make, {"seed": 2, "count": 5}, classifier, said.append))
    assert [p.seed for p in made] == [2, 5, 6, 8, 9]
    assert all(p.remark.startswith("original: ") for p in made)
    assert [line.split(":")[0] for line in said[:3]] == [
        "seed 3 rejected, copied",
        "seed 4 rejected, copied",
        "seed 7 rejected, copied",
    ]
    assert said[3:] == ["3 of 8 pieces rejected, of seeds 3, 4, 7"]


def test_nothing_is_said_where_all_are_original(classifier: OriginalityClassifier):
    said: list[str] = []
    assert len(list(originals(make, {"seed": 20, "count": 20}, classifier, said.append))) == 20
    assert said == []


def test_a_model_that_knows_its_music_by_heart_is_given_up_in_words(
    classifier: OriginalityClassifier,
):
    said: list[str] = []
    with pytest.raises(ValueError, match="of 20 pieces 0 are original, 2 were asked for"):
        list(originals(by_heart, {"seed": 0, "count": 2}, classifier, said.append))
    assert len(said) == ATTEMPTS * 2 + 1
    assert said[-1].startswith("20 of 20 pieces rejected, of seeds 0, 1, 2,")
