"""Tests of crnn_gan/evaluation/reference_windows.py: cutting windows of real pieces."""

import numpy as np
from random_music import piece, pieces

from crnn_gan.evaluation.reference import NamedScore
from crnn_gan.evaluation.reference_windows import windows_of_notes, windows_of_steps
from pipelines.codecs import abc_text
from pipelines.codecs.note_tuples import Codec
from pipelines.score import Score
from pipelines.score_arrays import NOTE, TEMPO


def scale(notes=10):
    """Quarters upwards from middle C, at 60 quarters a minute from the third on."""
    rows = [(480 * beat, 480, 60 + beat, 64, 0, 0, False) for beat in range(notes)]
    tempi = np.array([(0, 500_000), (960, 1_000_000)], TEMPO)
    return Score(480, np.array(rows, NOTE), tempi=tempi)


def test_a_window_of_notes_begins_with_a_note_and_keeps_the_tempo_in_force():
    cut = {
        tuple(window.score.notes["pitch"].tolist()): window.score
        for window in windows_of_notes([NamedScore("scale", scale())], [4], 50, seed=0)
    }
    assert set(cut) == {tuple(range(low, low + 4)) for low in range(60, 67)}
    late = cut[65, 66, 67, 68]
    assert late.notes["onset"].tolist() == [0, 480, 960, 1440]
    assert late.onset_seconds.tolist() == [0, 1, 2, 3]
    early = cut[60, 61, 62, 63]
    assert early.onset_seconds.tolist() == [0, 0.5, 1, 2]


def test_windows_have_the_numbers_of_notes_of_the_generated_pieces_in_turn():
    windows = windows_of_notes(pieces(3), [5, 7], 6, seed=1)
    assert [len(window.score.notes) for window in windows] == [5, 7, 5, 7, 5, 7]
    names = [window.name for window in windows]
    assert {names.count(name) for name in names} == {2}  # All have 60 notes.


def test_a_piece_shorter_than_its_window_is_taken_whole():
    [window] = windows_of_notes([NamedScore("scale", scale())], [11], 1, seed=0)
    assert window.score.notes.tolist() == scale().notes.tolist()


def test_windows_are_in_proportion_to_the_pieces_that_are_long_enough_as_in_training():
    named = [NamedScore("long", scale(27)), NamedScore("half as long", scale(13))]
    named += [NamedScore(f"short {notes}", scale(notes)) for notes in (3, 4, 5)]
    of_notes = windows_of_notes(named, [8], 40, seed=0)
    of_steps = windows_of_steps(named, Codec(), 8, 40, seed=0)  # A step is a note.
    for windows in (of_notes, of_steps):
        assert [len(window.score.notes) for window in windows] == [8] * 40
        names = [window.name for window in windows]
        assert (names.count("long"), names.count("half as long")) == (27, 13)


def test_windows_of_many_lengths_are_from_all_pieces_alike():
    windows = windows_of_notes(pieces(10), range(20, 60), 40, seed=0)
    names = [window.name for window in windows]
    assert {names.count(name) for name in names} == {4} and len(set(names)) == 10


def test_windows_of_steps_lie_on_the_grid_of_the_codec():
    codec = Codec(ticks_per_quarter=4)
    whole = codec.decode(codec.encode(piece(1))).score
    for window in windows_of_steps([NamedScore("one", piece(1))], codec, 8, 5, seed=0):
        assert window.score.ticks_per_quarter == 4
        assert len(window.score.notes) == 8  # A step of this codec is a note.
        assert set(window.score.notes["pitch"]) <= set(whole.notes["pitch"])


def test_windows_of_steps_begin_anywhere_up_to_the_last_place():
    named = [NamedScore("scale", scale(10))]
    windows = windows_of_steps(named, Codec(), 4, 60, seed=0)
    first = {int(window.score.notes["pitch"][0]) for window in windows}
    assert first == set(range(60, 67))


def test_the_same_seed_cuts_the_same_windows_and_no_pieces_give_none():
    def cut(seed):
        return [w.score.notes.tolist() for w in windows_of_notes(pieces(4), [9], 8, seed)]

    assert cut(3) == cut(3) != cut(4)
    assert windows_of_notes([], [9], 8, 0) == []


def test_of_a_codec_whose_windows_are_beginnings_each_piece_gives_one_at_most():
    codec = abc_text.Codec()
    windows = windows_of_steps(pieces(5), codec, 10_000, 9, seed=0)
    assert sorted(window.name for window in windows) == [f"piece {seed}" for seed in range(5)]
    assert len(windows_of_steps(pieces(5), codec, 10_000, 3, seed=0)) == 3
