"""Real music is original beside other real music; copies of it and of scores are not."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from crnn_gan.originality.comparing import set_originality
from crnn_gan.originality.originality import SetOriginality
from crnn_gan.originality.reference_pieces import ReferencePieces
from pipelines.formats.midi import read_score
from pipelines.score import Score

FOLDER = Path(__file__).parents[3].parent / "shared" / "data"


def scores_of_groups() -> list[tuple[str, Path]]:
    """Group and file of each score."""
    if not (FOLDER / "piece_groups.tsv").is_file():
        pytest.skip(f"{FOLDER} is not there")
    with (FOLDER / "piece_groups.tsv").open(encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines, delimiter="\t"))
    return [
        (row["group"], FOLDER / row["path"]) for row in rows if row["path"].startswith("scores")
    ]


@pytest.fixture(scope="module")
def parts() -> list[list[tuple[str, Score]]]:
    """Half of the scores in three parts, no work in two: known, held out, to be classified."""
    files = scores_of_groups()
    groups = sorted({group for group, _ in files})
    part = dict(zip(groups, np.random.default_rng(0).integers(0, 6, len(groups)), strict=True))
    return [
        [(path.stem, read_score(path)) for group, path in files if part[group] == wanted]
        for wanted in range(3)
    ]


Named = list[tuple[str, Score]]


def beginnings(scores: Named, notes: int = 150) -> Named:
    """The first notes of each piece that has so many."""
    return [
        (name, score.crop(0, int(score.notes["onset"][notes])))
        for name, score in scores
        if len(score.notes) > notes
    ]


def classified(pieces: list[Score], parts: list[Named]) -> SetOriginality:
    names, known = zip(*parts[0], strict=True)
    return set_originality(
        pieces, ReferencePieces.of(names, known), [score for _, score in parts[1]]
    )


def with_pitches(score: Score, pitches: np.ndarray) -> Score:
    notes = score.notes.copy()
    notes["pitch"] = pitches
    return Score.from_unsorted(score.ticks_per_quarter, notes, tempi=score.tempi)


def test_real_music_is_original_beside_other_real_music(parts):
    names, pieces = zip(*beginnings(parts[2]), strict=True)
    result = classified(list(pieces), parts)
    copied = {
        (name, piece.nearest)
        for name, piece in zip(names, result.pieces, strict=True)
        if piece.verdict == "copied"
    }
    # Chorales that Bach set twice nearly alike: BWV 78.7 is 353, 80.8 is 303, 256 is 258.
    assert copied == {
        ("007807b_", "035300b_"),
        ("008008b_", "030300b_"),
        ("025600b_", "025800b_"),
    }
    assert len(pieces) == 125
    assert result.label_counts["original"] >= 0.88 * len(pieces)
    assert result.real_label_counts["copied"] == 0


def test_transposed_beginnings_of_known_pieces_are_copied(parts):
    result = classified([score.transpose(-3) for _, score in beginnings(parts[0])[:80]], parts)
    assert result.label_counts["copied"] == 80
    assert {piece.transposition for piece in result.pieces} == {-3}


def test_copies_with_a_tenth_of_the_notes_changed_are_copied(parts):
    draw = np.random.default_rng(1)
    pieces = []
    for _, score in beginnings(parts[0])[:80]:
        changed = draw.random(len(score.notes)) < 0.1
        moved = changed * draw.integers(1, 6, len(changed))
        pieces.append(with_pitches(score, score.notes["pitch"] + moved))
    # By chance some have a seventh of their notes changed and fall below the limit of a copy.
    verdicts = classified(pieces, parts).label_counts
    assert verdicts["original"] == 0 and verdicts["copied"] >= 72


def test_shuffled_pitches_are_original(parts):
    draw = np.random.default_rng(2)
    pieces = [
        with_pitches(score, draw.permutation(score.notes["pitch"]))
        for _, score in beginnings(parts[0])[:80]
    ]
    assert classified(pieces, parts).label_counts["original"] == 80


def test_scores_that_are_the_same_piece_are_found_as_copies():
    if not (FOLDER / "near_duplicate_scores.tsv").is_file():
        pytest.skip(f"{FOLDER} is not there")
    with (FOLDER / "near_duplicate_scores.tsv").open(encoding="utf-8") as lines:
        pairs = list(csv.DictReader(lines, delimiter="\t"))
    pairs = [row for row in pairs if float(row["containment"]) >= 0.9]
    one, other = (
        [read_score(FOLDER / row[file]) for row in pairs] for file in ("file_a", "file_b")
    )
    paths = [row["file_b"] for row in pairs]
    held_out = [read_score(path) for _, path in scores_of_groups()[:12]]
    result = set_originality(one, ReferencePieces.of(paths, other), held_out)
    missed = [
        (row["file_a"], piece.reason)
        for row, piece in zip(pairs, result.pieces, strict=True)
        if piece.verdict != "copied"
    ]
    assert missed == []
