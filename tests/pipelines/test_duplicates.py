"""Duplicates: what is a copy and what is not, by hand, by property, and on real scores."""

import csv
import itertools
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_scores import scores

from pipelines.formats import midi
from pipelines.preparation.duplicates import (
    DIGEST_BYTES,
    HASHES,
    LEAST_IN_COMMON,
    SKETCH_BYTES,
    copies,
    digest,
    sketch,
)
from pipelines.score import Score
from pipelines.score_arrays import NOTE, TEMPO

DATA = Path(__file__).parents[2].parent / "shared" / "data"
any_score = settings(deadline=None, derandomize=True, database=None)


def piece(*rows, is_drum=False):
    """Notes of (onset, pitch)."""
    notes = np.zeros(len(rows), NOTE)
    notes["onset"], notes["pitch"] = np.array(rows, int).reshape(-1, 2).T
    notes["duration"], notes["velocity"], notes["is_drum"] = 2, 64, is_drum
    return Score.from_unsorted(4, notes)


def walk(seed, length=300):
    """A random piece of two voices."""
    chance = np.random.default_rng(seed)
    upper, lower = chance.integers(60, 85, length), chance.integers(36, 60, length)
    moments = range(0, 4 * length, 4)
    return piece(*zip(moments, upper, strict=True), *zip(moments, lower, strict=True))


def with_pitches(score, changed):
    notes = score.notes.copy()
    for index, pitch in changed.items():
        notes["pitch"][index] = pitch
    return Score.from_unsorted(score.ticks_per_quarter, notes)


def in_common(first, second):
    """The share of hashes that two sketches have in common."""
    return float((np.frombuffer(first, "<u2") == np.frombuffer(second, "<u2")).mean())


def find(pieces, kind):
    names = sorted(pieces)
    digests, sketches = (b"".join(f(pieces[n]) for n in names) for f in (digest, sketch))
    return copies(names, digests, sketches, kind)


def test_exact_copies_have_the_same_keys_in_order_and_together():
    original = piece((0, 60), (0, 64), (4, 62), (8, 60))
    same = digest(original)
    assert len(same) == DIGEST_BYTES
    assert digest(piece((1, 60), (1, 64), (2, 62), (9, 60))) == same  # Another rhythm.
    assert digest(piece((0, 60), (1, 64), (4, 62), (8, 60))) != same  # A chord broken.
    assert digest(piece((0, 60), (0, 64), (4, 62), (4, 60))) != same  # A chord made.
    assert digest(piece((0, 60), (0, 64), (4, 60), (8, 62))) != same  # Another order.
    assert digest(original.transpose(1)) != same  # Another key.
    assert digest(piece((0, 60), (0, 64), (4, 62))) != same  # A note less.
    drums = [False, False, False, True]
    assert digest(piece((0, 60), (0, 64), (4, 62), (8, 60), is_drum=drums)) != same


def test_sketches_are_the_same_on_every_machine():
    # Written down when this test was made; prepared data would no longer match if it failed.
    assert digest(piece((0, 60), (4, 62))).hex() == "de692fd181b5d6eab32a3a13913d893a"
    assert sketch(walk(0, 20))[:8].hex() == "ce8ae4cf28319b76"


@any_score
@given(scores(), st.integers(2, 5), st.integers(100_000, 900_000))
def test_tempo_resolution_loudness_lengths_and_voices_make_no_other_piece(score, finer, tempo):
    notes = score.notes.copy()
    notes["velocity"], notes["duration"], notes["track"], notes["program"] = 99, 1, 0, 0
    copy = Score.from_unsorted(
        score.ticks_per_quarter, notes, tempi=np.array([(0, tempo)], TEMPO), title="Copy"
    ).quantized(finer * score.ticks_per_quarter)
    assert digest(copy) == digest(score) and sketch(copy) == sketch(score)


@any_score
@given(scores(), st.integers(-6, 6))
def test_a_transposed_copy_has_the_same_sketch(score, semitones):
    assert sketch(score.transpose(semitones)) == sketch(score)


def test_a_sketch_has_its_size_whatever_the_piece():
    for score in (piece(), piece((0, 60)), walk(1, 5), walk(1, 5000)):
        assert len(sketch(score)) == SKETCH_BYTES
    assert sketch(piece()) == sketch(piece((0, 40), is_drum=True)) == b"\xff" * SKETCH_BYTES
    assert sketch(piece((0, 60), (4, 62))) != sketch(piece((0, 60), (4, 63)))


def test_hashes_in_common_estimate_the_share_of_runs_in_common():
    # 606 notes of one line have 600 runs of six intervals; the other begins with 303 of them
    # and has 300 new ones behind: 297 runs of 6 in common of 600 + 600 - 297, one in three.
    chance = np.random.default_rng(5)
    lines = chance.integers(30, 100, (2, 607))
    lines[1, :304] = lines[0, :304]
    first, second = (piece(*((4 * i, p) for i, p in enumerate(line))) for line in lines)
    # Both voices of one line are the line. The standard error is sqrt(1/3 * 2/3 / 128) = 0.042.
    assert in_common(sketch(first), sketch(second)) == pytest.approx(298 / 904, abs=3 * 0.042)
    assert in_common(sketch(first), sketch(first)) == 1.0
    assert in_common(sketch(walk(1)), sketch(walk(2))) < 0.05


def test_the_first_of_exact_copies_stays():
    pieces = {"a": walk(1), "b": walk(2), "c": walk(1), "d": walk(2), "e": walk(1), "f": walk(3)}
    assert find(pieces, "exact") == {"c": "a", "d": "b", "e": "a"}
    assert find(pieces, "near") == {"c": "a", "d": "b", "e": "a"}


def test_near_copies_are_found_and_exact_copies_of_them_follow():
    mended = with_pitches(walk(1), {100: 50, 300: 64})
    pieces = {
        "1 original": walk(1),
        "2 other": walk(2),
        "3 mended": mended,
        "4 transposed": walk(1).transpose(-3),
        "5 repeated": joined(walk(1), walk(1)),
        "6 mended again": mended,
    }
    assert find(pieces, "exact") == {"6 mended again": "3 mended"}
    near = ("3 mended", "4 transposed", "5 repeated", "6 mended again")
    assert find(pieces, "near") == dict.fromkeys(near, "1 original")


def joined(first, second):
    """One piece after the other."""
    notes = np.concatenate([first.notes, second.notes])
    notes["onset"][len(first.notes) :] += first.length_ticks
    return Score.from_unsorted(4, notes)


def test_a_piece_that_is_like_a_copy_alone_stays():
    # b has three quarters of a and three quarters of c, which have nothing in common.
    first, last = walk(1, 400), walk(2, 400)
    both = joined(first.crop(0, 1200), last.crop(400, 1600))
    pieces = {"a": first, "b": both, "c": last}
    assert find(pieces, "near") == {"b": "a"}
    pieces = {"a": both, "b": first, "c": last}
    assert find(pieces, "near") == {"b": "a", "c": "a"}


def test_pieces_without_pitches_are_copies_only_where_they_are_equal():
    drums = [piece((0, key), (4, 38), is_drum=True) for key in (36, 40, 36)]
    assert find({"a": drums[0], "b": drums[1], "c": drums[2]}, "near") == {"c": "a"}


def test_no_piece_no_copies():
    assert copies([], b"", b"", "near") == {} and copies(["a"], b"x" * 16, b"", "exact") == {}


def test_a_hundred_copies_among_many_pieces_are_all_found():
    chance = np.random.default_rng(7)
    sketches = chance.integers(0, 2**16, (3000, HASHES), np.uint16)
    sketches[::30, : HASHES // 2] = sketches[0, : HASHES // 2]  # One in 30 is half like the first.
    sketches[:, 64:70] = 7  # A run that all pieces have.
    keys = [f"{index:05d}" for index in range(3000)]
    digests = chance.bytes(3000 * DIGEST_BYTES)
    found = copies(keys, digests, sketches.astype("<u2").tobytes(), "near")
    assert found == {keys[index]: keys[0] for index in range(30, 3000, 30)}


def test_wrong_sizes_and_unsorted_keys_are_refused():
    for keys, digests, sketches, said in [
        (["b", "a"], b"", b"", "the keys must be sorted"),
        (["a", "a"], b"", b"", "none there twice"),
        (["a"], b"short", b"", "digests has 5 bytes; 1 pieces have 16"),
        (["a"], b"x" * 16, b"short", "sketches has 5 bytes; 1 pieces have 256"),
    ]:
        with pytest.raises(ValueError, match=said):
            copies(keys, digests, sketches, "near")


@pytest.mark.skipif(not DATA.exists(), reason="the shared music is not here")
def test_editions_of_a_score_are_near_copies_and_performances_of_a_work_are_not():
    with (DATA / "near_duplicate_scores.tsv").open() as file:
        listed = [(row["file_a"], row["file_b"]) for row in csv.DictReader(file, delimiter="\t")]
    with (DATA / "piece_groups.tsv").open() as file:
        group = {row["path"]: row["group"] for row in csv.DictReader(file, delimiter="\t")}
    performances = sorted(path for path in group if path.startswith("performances/asap/Bach/"))
    files = {path for pair in listed for path in pair} | set(performances)
    sketches = {path: sketch(midi.read_score(DATA / path)) for path in files}
    shares = [in_common(sketches[first], sketches[second]) for first, second in listed]
    assert sum(share >= LEAST_IN_COMMON for share in shares) >= 60  # 65 of 73 when written.
    together = [
        in_common(sketches[first], sketches[second])
        for first, second in itertools.combinations(performances, 2)
        if group[first] == group[second]
    ]
    assert len(together) > 50 and max(together) < LEAST_IN_COMMON
    apart = [
        in_common(sketches[first], sketches[second])
        for (first, _), (_, second) in itertools.permutations(listed, 2)
        if group[first] != group[second]
    ]
    assert len(apart) > 2000 and sum(share >= LEAST_IN_COMMON for share in apart) <= 2
