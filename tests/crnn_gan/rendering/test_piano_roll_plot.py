"""Piano rolls: what is where in the picture, and what is left behind."""

from __future__ import annotations

import io
import itertools
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from crnn_gan.rendering import piano_roll_plot
from pipelines.score import Score
from pipelines.score_arrays import NOTE

TICKS = 12


def score_of(*notes: tuple[int, int, int, int], is_drum: bool = False) -> Score:
    """Notes of (onset, duration, pitch, velocity), 12 ticks a quarter."""
    rows = [(onset, last, pitch, loud, 0, 0, is_drum) for onset, last, pitch, loud in notes]
    return Score.from_unsorted(TICKS, np.array(rows, NOTE))


def random_score(notes: int, seed: int = 0) -> Score:
    random = np.random.default_rng(seed)
    array = np.zeros(notes, NOTE)
    array["onset"] = np.cumsum(random.integers(0, 8, notes))
    array["duration"] = random.integers(1, 30, notes)
    array["pitch"] = random.integers(36, 96, notes)
    array["velocity"] = random.integers(1, 128, notes)
    return Score.from_unsorted(TICKS, array)


def coloured(picture: np.ndarray) -> np.ndarray:
    """Where the roll has colour, not grey: bool [height, width], without the head."""
    body = picture[piano_roll_plot.TOP :].astype(int)
    return body.max(-1) - body.min(-1) > 30


def test_a_dollar_in_a_title_begins_no_formula():
    formula = piano_roll_plot.plot(random_score(50), r"x$\frac$.mid")
    assert formula.shape == piano_roll_plot.plot(random_score(50), "x.mid").shape


def test_a_picture_is_red_green_blue_bytes_of_its_width():
    picture = piano_roll_plot.plot(random_score(50), "fifty")
    assert picture.dtype == np.uint8
    assert picture.shape[1:] == (piano_roll_plot.WIDTH, 3)


def test_later_is_further_right_and_higher_is_further_up():
    # 16 quarters: the low note in the first quarter of them, the high one in the last.
    picture = coloured(piano_roll_plot.plot(score_of((0, 48, 48, 64), (144, 48, 72, 64))))
    rows, columns = np.nonzero(picture)
    middle = (columns.min() + columns.max()) / 2
    assert rows[columns < middle].min() > rows[columns > middle].max()
    # Each note is four of sixteen quarters long.
    width = piano_roll_plot.WIDTH - piano_roll_plot.LEFT - piano_roll_plot.RIGHT
    assert picture.any(axis=0).sum() == pytest.approx(width / 2, abs=6)


def test_louder_is_another_colour():
    soft, loud = (piano_roll_plot.plot(score_of((0, 192, 60, v)))[..., 0] for v in (20, 120))
    assert (soft != loud).any()


def test_drums_are_grey():
    drum = piano_roll_plot.plot(score_of((0, 192, 60, 100), is_drum=True))
    assert not coloured(drum).any()
    assert (drum == (0x9A, 0xA0, 0xA8)).all(-1).any()


def test_the_shortest_note_is_seen():
    assert coloured(piano_roll_plot.plot(score_of((700, 1, 60, 100)))).any()


def test_a_long_piece_has_more_rows_and_every_note_is_on_the_page():
    single = score_of(*[(48 * i, 24, 60, 64) for i in range(16)])
    several = score_of(*[(48 * i, 24, 60, 64) for i in range(64)])
    assert len(piano_roll_plot.plot(several)) > 3 * len(piano_roll_plot.plot(single))
    rises = np.diff(coloured(piano_roll_plot.plot(several)).astype(int), axis=1, prepend=0) == 1
    bars_a_line = rises.sum(axis=1)  # Each of 4 rows of 64 quarters has 16 notes.
    assert [n for n, _ in itertools.groupby(bars_a_line) if n] == [16] * 4


@pytest.mark.parametrize(
    "score",
    [
        Score(TICKS, np.zeros(0, NOTE)),
        score_of((0, 1, 0, 1)),
        score_of((0, 5, 0, 127), (3, 100_000, 127, 1)),
        score_of((2_000_000, 1, 60, 64)),
    ],
    ids=["empty", "one note", "all pitches", "a very late note"],
)
def test_every_score_has_a_picture(score: Score):
    height, width, channels = piano_roll_plot.plot(score).shape
    assert 200 < height < 2500 and (width, channels) == (piano_roll_plot.WIDTH, 3)


def test_the_same_piece_has_the_same_picture():
    score = random_score(100)
    np.testing.assert_array_equal(piano_roll_plot.plot(score), piano_roll_plot.plot(score))


def test_a_png_holds_the_picture_and_nothing_else_is_left_in_the_folder(tmp_path: Path):
    score = random_score(20)
    piano_roll_plot.save_png(score, tmp_path / "roll.png", "twenty")
    assert [path.name for path in tmp_path.iterdir()] == ["roll.png"]
    with Image.open(io.BytesIO((tmp_path / "roll.png").read_bytes())) as image:
        np.testing.assert_array_equal(np.asarray(image), piano_roll_plot.plot(score, "twenty"))


# In a process of its own: in this one other tests' threads still take and give memory.
PICTURES = """
import gc
from pathlib import Path

import numpy as np

from crnn_gan.rendering import piano_roll_plot
from pipelines.score import Score
from pipelines.score_arrays import NOTE

def resident_bytes():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

notes = np.zeros(200, NOTE)
notes["onset"], notes["duration"], notes["pitch"] = np.arange(200) * 4, 12, np.arange(200) % 60 + 36
notes["velocity"] = 64
scores = [Score(12, notes).transpose(semitones) for semitones in range(5)]
after = []
for turn in range(160):
    piano_roll_plot.plot(scores[turn % 5], f"epoch {turn}")
    if turn % 40 == 39:
        gc.collect()
        after.append(resident_bytes())
print(min(np.diff(after)) / 2**20)
"""


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="only Linux has /proc")
def test_pictures_leave_no_memory_behind():
    command = [sys.executable, "-c", PICTURES]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    # A picture is 3 MB and its canvas 4: 40 kept ones would be 120 MB and more, each time. What
    # the allocator takes for itself it takes once.
    assert float(done.stdout) < 8
