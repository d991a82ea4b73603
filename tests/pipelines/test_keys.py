"""Key finding: keys told by ear, ties, and agreement with music21 on chorales."""

import numpy as np
import pytest
from hypothesis import given, settings
from random_scores import scores

from pipelines.keys import PROFILES, Key, best_keys, find_key, pitch_class_ticks
from pipelines.score import Score
from pipelines.score_arrays import NOTE
from pipelines.sources import corpus

C_MAJOR = [60, 62, 64, 65, 67, 69, 71, 72, 67, 64, 60]  # The scale, and down the triad.
A_HARMONIC_MINOR = [57, 59, 60, 62, 64, 65, 68, 69]


def melody(pitches, durations=None, is_drum=False):
    """Notes one after the other, of a quarter each where no durations are given."""
    notes = np.zeros(len(pitches), NOTE)
    notes["duration"] = 4 if durations is None else durations
    notes["onset"] = np.cumsum(notes["duration"]) - notes["duration"]
    notes["pitch"], notes["velocity"], notes["is_drum"] = pitches, 64, is_drum
    return Score(4, notes)


@pytest.mark.parametrize("profile", PROFILES)
def test_scales_have_the_keys_that_one_hears(profile):
    assert find_key(melody(C_MAJOR), profile) == Key(0, False)
    assert find_key(melody(A_HARMONIC_MINOR), profile) == Key(9, True)
    assert find_key(melody([pitch + 6 for pitch in C_MAJOR]), profile) == Key(6, False)


def test_long_notes_weigh_more_than_many():
    notes = [*C_MAJOR, 66, 67, 71, 74]
    assert find_key(melody(notes)) == Key(0, False)
    # F sharp and the triad of G for long: now it is G major.
    assert find_key(melody(notes, [1] * 11 + [4, 8, 8, 8])) == Key(7, False)


def test_pitch_classes_are_weighed_in_ticks_without_drums():
    score = melody([60, 72, 61], [3, 4, 2])
    assert pitch_class_ticks(score).tolist() == [7, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
    assert not pitch_class_ticks(melody([60, 61], is_drum=True)).any()


def test_of_equal_fits_the_lowest_tonic_is_taken():
    diminished = melody([60, 63, 66, 69])  # Looks alike from each of its four notes.
    tonic, is_minor = find_key(diminished)
    assert tonic < 3
    best = best_keys(diminished)
    assert [key.tonic for key in best] == [tonic, tonic + 3, tonic + 6, tonic + 9]
    assert {key.is_minor for key in best} == {is_minor}
    assert best_keys(melody(C_MAJOR)) == [Key(0, False)]
    assert find_key(diminished.transpose(3)) == (tonic, is_minor)


def test_where_nothing_can_be_told_it_says_so():
    for score, reason in [
        (melody([]), "no note has a pitch"),
        (melody([40, 42], is_drum=True), "no note has a pitch"),
        (melody(range(60, 72)), "all pitch classes sound equally long"),
    ]:
        with pytest.raises(ValueError, match=reason):
            find_key(score)
    with pytest.raises(ValueError, match="no profile 'ear'; give aarden_essen or krumhansl"):
        find_key(melody(C_MAJOR), "ear")


@settings(deadline=None, derandomize=True, database=None)
@given(scores())
def test_the_key_moves_with_the_piece(score):
    sounding = pitch_class_ticks(score)
    fewest_turns = min(n for n in (1, 2, 3, 4, 6, 12) if (np.roll(sounding, n) == sounding).all())
    if fewest_turns == 1:
        return  # It has no key.
    key = find_key(score)
    moved = find_key(score.transpose(5))
    assert moved.is_minor == key.is_minor
    assert (moved.tonic - key.tonic - 5) % fewest_turns == 0


@pytest.mark.parametrize(
    ("profile", "analysis"),
    [("aarden_essen", "AardenEssen"), ("krumhansl_kessler", "KrumhanslKessler")],
)
def test_music21_finds_the_same_keys_in_chorales(profile, analysis, tmp_path):
    from music21.analysis import discrete

    source = corpus.Source(composer=("bach",), works_per_composer=4, cache_dir=str(tmp_path))
    for piece in source.pieces():
        ours = find_key(source.read(piece), profile)
        theirs = getattr(discrete, analysis)().getSolution(corpus_stream(piece))
        assert ours == (theirs.tonic.pitchClass, theirs.mode == "minor"), piece.key


def corpus_stream(piece):
    import warnings

    import music21

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return music21.converter.parse(piece.path, number=piece.number, storePickle=False)
