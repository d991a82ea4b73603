"""Tests of pipelines/formats/benchmark_rolls.py."""

import json
from pathlib import Path

import numpy as np
import pytest
import scipy.io
from rolls_of_scores import roll_of_score, voices_of_score

from pipelines.formats import benchmark_rolls
from pipelines.score import Score
from pipelines.score_arrays import NOTE

DATA = Path(__file__).parents[2].parent / "shared" / "data" / "pianoroll"


def real(*place):
    path = DATA.joinpath(*place)
    if not path.is_file():
        pytest.skip(f"the benchmark set {path.name} is not here")
    return path


def roll_of(*frames):
    """A roll of the MIDI pitches in each frame."""
    roll = np.zeros((len(frames), 88), bool)
    for frame, pitches in enumerate(frames):
        roll[frame, [pitch - 21 for pitch in pitches]] = True
    return roll


def fields(score):
    return score.notes[["onset", "duration", "pitch", "track", "velocity"]].tolist()


def test_frames_of_a_pitch_that_follow_each_other_are_one_note():
    # Eighths: C held for three with E in the second; a rest; C again; the lowest key, last.
    score = benchmark_rolls.score_of_roll(roll_of([60], [60, 64], [60], [], [60], [21, 108]), 2)
    assert score.ticks_per_quarter == 480
    assert fields(score) == [
        (0, 720, 60, 0, 64),
        (240, 240, 64, 0, 64),
        (960, 240, 60, 0, 64),
        (1200, 240, 21, 0, 64),
        (1200, 240, 108, 0, 64),
    ]


def test_a_voice_that_sings_on_is_one_note_and_voices_keep_their_track():
    # 16ths of two voices; the second rests, then joins the first on its pitch.
    voices = np.array([[72, -1], [72, 48], [71, 71], [71, 71], [-1, 71]])
    score = benchmark_rolls.score_of_voices(voices, 4)
    assert fields(score) == [
        (0, 240, 72, 0, 64),
        (120, 120, 48, 1, 64),
        (240, 240, 71, 0, 64),
        (240, 360, 71, 1, 64),
    ]
    np.testing.assert_array_equal(voices_of_score(score, 2, 4), voices)


@pytest.mark.parametrize("frames_per_quarter", [1, 2, 4, 8])
def test_a_roll_comes_back_from_its_score_whatever_it_holds(frames_per_quarter):
    random = np.random.default_rng(frames_per_quarter)
    for frames in (1, 2, 50):
        roll = random.random((frames, 88)) < 0.3
        score = benchmark_rolls.score_of_roll(roll, frames_per_quarter)
        np.testing.assert_array_equal(roll_of_score(score, frames_per_quarter, frames), roll)


def test_silence_at_the_end_is_lost_and_in_front_is_kept():
    roll = roll_of([], [60], [], [])
    score = benchmark_rolls.score_of_roll(roll, 1)
    np.testing.assert_array_equal(roll_of_score(score, 1), roll[:2])
    assert len(benchmark_rolls.score_of_roll(roll[:0], 1).notes) == 0


def test_notes_that_no_roll_can_hold_are_refused():
    between = Score(480, np.array([(0, 100, 60, 64, 0, 0, False)], NOTE))
    low = Score(480, np.array([(0, 480, 20, 64, 0, 0, False)], NOTE))
    with pytest.raises(ValueError, match="between two of 1 frames a quarter"):
        roll_of_score(between, 1)
    with pytest.raises(ValueError, match="not on the 88 keys"):
        roll_of_score(low, 1)
    with pytest.raises(ValueError, match="divisor of 480"):
        benchmark_rolls.score_of_roll(roll_of([60]), 7)


def write_mat(path, **cells):
    """Writes rolls as the benchmark sets have them: cells of one row."""
    for name, sequences in cells.items():
        row = np.empty((1, len(sequences)), object)
        row[0, :] = sequences
        cells[name] = row
    scipy.io.savemat(path, cells)


def test_a_matlab_file_gives_its_splits(tmp_path):
    one, two = roll_of([60], [62]).astype(np.uint8), roll_of([64]).astype(np.uint8)
    write_mat(tmp_path / "x.mat", traindata=[one, two], validdata=[two], testdata=[one])
    read = benchmark_rolls.read_mat(tmp_path / "x.mat")
    assert {name: len(sequences) for name, sequences in read.items()} == {
        "train": 2,
        "validation": 1,
        "test": 1,
    }
    np.testing.assert_array_equal(read["train"][0], one.astype(bool))


def test_other_and_damaged_matlab_files_are_refused(tmp_path):
    path = tmp_path / "x.mat"
    roll = roll_of([60]).astype(np.uint8)
    write_mat(path, traindata=[roll], validdata=[roll])
    with pytest.raises(ValueError, match="no cells testdata"):
        benchmark_rolls.read_mat(path)
    write_mat(path, traindata=[roll * 2], validdata=[roll], testdata=[roll])
    with pytest.raises(ValueError, match="no roll of 0 and 1"):
        benchmark_rolls.read_mat(path)
    write_mat(path, traindata=[roll[:, :80]], validdata=[roll], testdata=[roll])
    with pytest.raises(ValueError, match=r"shape \(1, 80\)"):
        benchmark_rolls.read_mat(path)
    for content in (b"", b"no MATLAB" * 30, path.read_bytes()[:200]):
        path.write_bytes(content)
        with pytest.raises(ValueError, match="no MATLAB file, or damaged"):
            benchmark_rolls.read_mat(path)


def test_json_gives_rolls_and_voices(tmp_path):
    path = tmp_path / "x.json"
    path.write_text(json.dumps({"train": [[[60, 64], []]], "valid": [], "test": [[[21]]]}))
    read = benchmark_rolls.read_json_rolls(path)
    np.testing.assert_array_equal(read["train"][0], roll_of([60, 64], []))
    assert read["validation"] == [] and len(read["test"]) == 1
    path.write_text(json.dumps({"train": [[[60, -1]]], "valid": [], "test": []}))
    assert benchmark_rolls.read_json_voices(path)["train"][0].tolist() == [[60, -1]]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        '{"train": [], "valid": []}',
        '{"train": [[[200]]], "valid": [], "test": []}',
        '{"train": [[["C"]]], "valid": [], "test": []}',
        '{"train": [[[60, 61], [60]]], "valid": [], "test": []}',
        '{"train": [[[60.5]]], "valid": [], "test": []}',
        '{"train": 3, "valid": [], "test": []}',
    ],
)
def test_other_json_is_refused(tmp_path, text):
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(ValueError, match="does not hold lists of frames"):
        benchmark_rolls.read_json_voices(tmp_path / "x.json")
    if "[60, 61], [60]" not in text:  # Chords of other sizes are what rolls are of.
        with pytest.raises(ValueError, match="does not hold lists of frames"):
            benchmark_rolls.read_json_rolls(tmp_path / "x.json")


def test_pickled_damaged_and_other_numpy_files_are_refused(tmp_path):
    path = tmp_path / "x.npz"
    pickled = np.empty(1, object)
    pickled[0] = [60]
    np.savez(path, **{"set/train/lengths": pickled, "set/train/frames": pickled})
    with pytest.raises(ValueError, match="no packed rolls named 'set'"):
        benchmark_rolls.read_packed(path, "set")
    frames = np.zeros((3, 11), np.uint8)
    np.savez(path, **{"set/train/lengths": np.array([1, 1]), "set/train/frames": frames})
    with pytest.raises(ValueError, match="do not add up"):
        benchmark_rolls.read_packed(path, "set")
    for content in (b"", b"PK\x03\x04 cut", path.read_bytes()[:-40]):
        path.write_bytes(content)
        with pytest.raises(ValueError, match="no packed rolls"):
            benchmark_rolls.read_packed(path, "set")


@pytest.mark.parametrize("name", ["JSB_Chorales", "Nottingham", "Piano_midi", "MuseData"])
def test_real_rolls_are_the_same_in_every_file_and_come_back_from_their_scores(name):
    frames_per_quarter = 1 if name == "JSB_Chorales" else 2
    read = benchmark_rolls.read_mat(real("locuslab_TCN", f"{name}.mat"))
    packed = benchmark_rolls.read_packed(real("polyphonic_benchmark_packed.npz"), name)
    for split, sequences in read.items():
        for roll, other in zip(sequences, packed[split], strict=True):
            np.testing.assert_array_equal(roll, other)
            score = benchmark_rolls.score_of_roll(roll, frames_per_quarter)
            back = roll_of_score(score, frames_per_quarter, len(roll))
            np.testing.assert_array_equal(back, roll)


def test_the_chorales_are_the_same_in_json_and_matlab_files():
    folder = "czhuang_JSB-Chorales-dataset"
    quarters = benchmark_rolls.read_json_rolls(real(folder, "jsb-chorales-quarter.json"))
    matlab = benchmark_rolls.read_mat(real("locuslab_TCN", "JSB_Chorales.mat"))
    for split, sequences in quarters.items():
        assert len(sequences) == len(matlab[split])
        for roll, other in zip(sequences, matlab[split], strict=True):
            np.testing.assert_array_equal(roll, other)


def test_the_voices_of_the_chorales_come_back_from_their_scores():
    path = real("czhuang_JSB-Chorales-dataset", "Jsb16thSeparated.json")
    for sequences in benchmark_rolls.read_json_voices(path).values():
        for voices in sequences:
            score = benchmark_rolls.score_of_voices(voices, 4)
            back = voices_of_score(score, 4, 4)
            np.testing.assert_array_equal(back, voices)
