"""What the player gets: milliseconds, worked out by hand."""

from __future__ import annotations

import json

import numpy as np
from findings import score_of

from crnn_gan.report.music import MOST_SECONDS, music_json, piece_music
from pipelines.score import Score
from pipelines.score_arrays import NOTE, PEDAL


def test_notes_are_differences_of_onsets_durations_pitches_and_velocities():
    # 960 ticks a second: at 0 s for half a second, and two at 1.5 s.
    score = score_of((0, 480, 60, 64), (1440, 960, 64, 80), (1440, 96, 67, 81))
    assert piece_music("a.mid", score) == {
        "name": "a.mid",
        "seconds": 2.5,
        "notes": [0, 500, 60, 64, 1500, 1000, 64, 80, 0, 100, 67, 81],
        "pedal": [],
    }


def test_of_the_pedal_what_presses_and_lifts_it_is_kept():
    # Up again while up, down, deeper, up, and down after the last note.
    rows = [
        (0, 64, 10, 0),
        (96, 64, 64, 0),
        (192, 64, 127, 0),
        (384, 64, 63, 0),
        (9600, 64, 127, 0),
    ]
    pedal = np.array([*rows, (96, 67, 127, 0)], PEDAL)
    score = score_of((0, 960, 60, 64))
    score = Score.from_unsorted(score.ticks_per_quarter, score.notes, pedal=pedal)
    assert piece_music("a", score)["pedal"] == [100, 64, 400, 63]


def test_an_empty_piece_and_one_of_drums_are_silent():
    silence = {"name": "a", "seconds": 0.0, "notes": [], "pedal": []}
    assert piece_music("a", score_of()) == silence
    drum = np.array([(0, 960, 60, 64, 9, 0, True)], NOTE)
    assert piece_music("a", Score(480, drum)) == silence


def test_a_note_of_less_than_a_millisecond_lasts_one():
    assert piece_music("a", Score(32767, score_of((0, 1, 60, 64)).notes))["notes"][1] == 1


def test_what_is_too_much_is_left_out_from_the_end():
    score = score_of(*((960 * second, 480, 60, 64) for second in range(9)))
    heard = piece_music("a", score, most_notes=3)
    assert (heard["seconds"], len(heard["notes"])) == (2.5, 12)


def test_hours_end_at_the_fourth():
    late = 960 * MOST_SECONDS
    score = score_of((0, 2 * late, 60, 64), (late, 960, 62, 64))
    assert piece_music("a", score)["notes"] == [0, 1000 * MOST_SECONDS, 60, 64]


def test_no_name_ends_the_element_that_the_music_stands_in():
    text = music_json([piece_music("</script><!--", score_of())])
    assert "<" not in text
    assert json.loads(text)["pieces"][0]["name"] == "</script><!--"
