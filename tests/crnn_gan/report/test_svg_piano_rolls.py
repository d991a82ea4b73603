"""Piano rolls of the page: what is where, in numbers worked out by hand."""

from __future__ import annotations

import re

import numpy as np
import pytest
from findings import MATCH, TICKS, random_score, score_of

from crnn_gan.rendering.velocity_colours import SOFT_TO_LOUD, colour_at
from crnn_gan.report import svg_piano_rolls
from pipelines.score import Score
from pipelines.score_arrays import METER, NOTE, TEMPO


def paths(svg: str) -> dict[str, str]:
    return dict(re.findall(r'<path class="([vd]\d*)" d="([^"]*)"', svg))


def test_a_note_is_a_stroke_at_its_second_and_its_key():
    # Half a second in, one second long: x 25 and, one unit short, 49 wide. The middle of key 60
    # is 14 keys and a half, of 6 units each, below the upper edge of key 74.
    score = score_of((480, 960, 60, 1))
    notes = score.notes
    assert svg_piano_rolls.note_paths(score.onset_seconds, score.end_seconds, notes, 74) == {
        "v0": "M25 87h49"
    }


def test_shades_are_twelfths_of_the_velocities_and_drums_have_none():
    # (velocity - 1) * 12 // 127: 1 and 11 give 0, 12 gives 1, 127 gives 11.
    score = score_of((0, 960, 60, 1), (0, 960, 61, 11), (0, 960, 62, 12), (0, 960, 63, 127))
    found = svg_piano_rolls.note_paths(score.onset_seconds, score.end_seconds, score.notes, 64)
    assert {name: path.count("M") for name, path in found.items()} == {"v0": 2, "v1": 1, "v11": 1}
    drum = np.array([(0, 960, 60, 64, 9, 0, True)], NOTE)
    assert list(svg_piano_rolls.note_paths(np.zeros(1), np.ones(1), drum, 64)) == ["d"]


def test_no_note_is_too_short_to_be_seen():
    score = score_of((0, 1, 60, 64))
    (path,) = svg_piano_rolls.note_paths(
        score.onset_seconds, score.end_seconds, score.notes, 60
    ).values()
    assert path == "M0 3h2"


def test_tempo_counts_for_where_a_note_is():
    # A quarter of 2 s: a note on the second beat begins at 2 s, x 100.
    slow = np.array([(0, 2_000_000)], TEMPO)
    score = score_of((480, 480, 60, 64), tempi=slow)
    (path,) = paths(svg_piano_rolls.plot(score, "slow", 10, 100).svg).values()
    assert path.startswith("M100 ") and path.endswith("h99")


def test_a_note_over_the_end_of_a_row_goes_on_in_the_next():
    # 9 s to 11 s in rows of 10 s: the last 50 units of one row, the first 50 of the next. Keys
    # go up to 72: the middle of key 60 is 12 keys and a half of 6 units below.
    score = score_of((9 * 960, 2 * 960, 60, 64), (19 * 960, 960, 60, 64))
    first, second = svg_piano_rolls.plot(score, "long", 10, 100).svg.split('class="system"')[1:]
    assert paths(first) == {"v5": "M450 75h49"}
    assert paths(second) == {"v5": "M0 75h49M450 75h49"}
    assert 'data-start="0" data-end="10"' in first
    assert 'data-start="10" data-end="20"' in second


@pytest.mark.parametrize(
    ("pitches", "edges"), [([], (48, 72)), ([60], (48, 72)), ([21, 108], (20, 109))]
)
def test_a_roll_has_two_octaves_or_a_semitone_of_room(pitches, edges):
    assert svg_piano_rolls.pitch_range(np.array(pitches, np.uint8)) == edges


def test_bars_are_those_of_the_meters_and_of_four_quarters_where_there_is_none():
    score = score_of((0, 10 * TICKS, 60, 64))
    assert svg_piano_rolls.bar_ticks(score, 60.0).tolist() == [0, 4 * TICKS, 8 * TICKS]
    # 3/4 from the beginning, 6/8 from the second bar: both three quarters long; 2/4 at last.
    meters = np.array([(0, 3, 4), (3 * TICKS, 6, 8), (8 * TICKS, 2, 4)], METER)
    score = score_of((0, 10 * TICKS, 60, 64), meters=meters)
    assert (svg_piano_rolls.bar_ticks(score, 60.0) / TICKS).tolist() == [0, 3, 6, 8]
    # Four quarters are two seconds.
    assert (svg_piano_rolls.bar_ticks(score, 2.0) / TICKS).tolist() == [0, 3]


def test_bars_of_a_fraction_of_a_tick_are_no_trouble():
    meters = np.array([(0, 1, 2**15)], METER)
    score = score_of((0, 2**27, 60, 64), meters=meters)
    assert len(svg_piano_rolls.bar_ticks(score, 1e9)) == 2000


def test_rows_are_as_long_as_the_longest_piece_or_24_seconds():
    assert svg_piano_rolls.seconds_per_row([]) == 4
    assert svg_piano_rolls.seconds_per_row([score_of((0, 960 * 12 + 1, 60, 64))]) == 13
    assert svg_piano_rolls.seconds_per_row([score_of((0, 960 * 31, 60, 64))]) == 24


def test_drawing_ends_where_its_notes_are_used_up():
    # A note a second; in rows of ten, the second row is the last that begins below 15 notes.
    score = score_of(*((960 * second, 480, 60, 64) for second in range(50)))
    roll = svg_piano_rolls.plot(score, "fifty", 10, 15)
    assert (roll.seconds, roll.is_whole) == (20.0, False)
    assert svg_piano_rolls.plot(score, "fifty", 10, 50) == svg_piano_rolls.plot(
        score, "fifty", 10, 500
    )
    assert svg_piano_rolls.plot(score, "fifty", 10, 50).is_whole
    # A row with more notes than are allowed ends at the first that is not shown.
    crowded = svg_piano_rolls.plot(score, "fifty", 50, 15)
    assert (crowded.seconds, crowded.is_whole) == (15.0, False)
    assert sum(path.count("M") for path in paths(crowded.svg).values()) == 15


def test_an_empty_piece_is_an_empty_row():
    roll = svg_piano_rolls.plot(Score(480, np.zeros(0, NOTE)), "empty", 10, 100)
    assert (roll.seconds, roll.is_whole, paths(roll.svg)) == (0.0, True, {})
    assert roll.svg.count("<svg") == 1


def test_a_match_is_a_field_in_every_row_that_it_reaches():
    # Quarters 2 to 8 are seconds 1 to 4: in rows of 2 s the second half of one, and one more.
    roll = svg_piano_rolls.plot(random_score(30, 4), "match", 2, 100, [MATCH])
    marks = re.findall(r'<rect class="match" x="(\d+)" y="0" width="(\d+)"', roll.svg)
    assert marks == [("50", "50"), ("0", "100")]


def test_the_ramp_goes_through_its_stops_and_softly_between_them():
    assert [colour_at(place) for place, _ in SOFT_TO_LOUD] == [c for _, c in SOFT_TO_LOUD]
    # Half way from #a8dccb to #45aab0: (a8 + 45) / 2 = 118.5, (dc + aa) / 2 = c3, 189.5.
    assert colour_at(0.15) == "#76c3be"
    assert colour_at(0.0, whitened=1.0) == "#ffffff"
    with pytest.raises(ValueError, match=r"1\.5 is not on the colour map"):
        colour_at(1.5)


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0:00"), (7.4, "0:07"), (59.6, "1:00"), (3700, "61:40")]
)
def test_times_are_written_as_clocks_do(seconds, text):
    assert svg_piano_rolls.clock(seconds) == text
