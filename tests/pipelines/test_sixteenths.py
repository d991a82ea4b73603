"""The codec sixteenths: texts written out by hand, chorales there and back, random Scores."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_scores import scores

from pipelines.codecs import sixteenths
from pipelines.codecs.sixteenths import REST, SPACE
from pipelines.formats import midi
from pipelines.score import Score
from pipelines.score_arrays import NOTE

CHORALES = Path(__file__).parents[3] / "shared/data/scores/bach_chorales_jsbchorales.net"
CODEC = sixteenths.Codec(voices=2)


def strike(pitch: int) -> int:
    return 2 + pitch - 21


def hold(pitch: int) -> int:
    return 2 + 88 + pitch - 21


def score(*notes: tuple[int, int, int, int], ticks_per_quarter: int = 4) -> Score:
    """A Score of (onset, duration, pitch, track); ticks are 16ths if nothing else is said."""
    rows = [(onset, length, pitch, 96, track, 0, False) for onset, length, pitch, track in notes]
    return Score.from_unsorted(ticks_per_quarter, np.array(rows, NOTE))


def rows(piece: Score) -> list[tuple[int, int, int, int]]:
    """The notes of a Score as (onset, duration, pitch, track)."""
    names = ("onset", "duration", "pitch", "track")
    return [tuple(int(note[name]) for name in names) for note in piece.notes]


# Two voices. The upper strikes C twice, the lower holds an E below and rests.
TWO_VOICES = score((0, 1, 72, 0), (1, 2, 72, 0), (0, 2, 64, 1))


def test_each_16th_is_a_character_a_voice_and_a_space_and_repeats_differ_from_holds():
    expected = [strike(72), strike(64), SPACE]
    expected += [strike(72), hold(64), SPACE]
    expected += [hold(72), REST, SPACE]
    array = CODEC.encode(TWO_VOICES)
    assert array.tolist() == expected
    assert array.dtype == np.uint8
    assert CODEC.spec.blocks == (
        ("rest", 0, 1),
        ("space", 1, 1),
        ("strike", 2, 88),
        ("hold", 90, 88),
    )


def test_the_text_is_the_one_a_char_rnn_read_where_a_pitch_is_34_characters_on():
    # 72 + 34 = 106, "j"; 64 + 34 = 98, "b"; a rest is 34, a quotation mark.
    assert CODEC.text(CODEC.encode(TWO_VOICES)) == 'jb jb j" '


def test_decoded_voices_are_tracks():
    decoded = CODEC.decode(CODEC.encode(TWO_VOICES))
    assert rows(decoded.score) == rows(TWO_VOICES)
    assert decoded.dropped == 0
    # 80 quarters a minute are 0.75 s a quarter: the three 16ths last 3/4 * 0.75 s.
    assert decoded.score.length_seconds == pytest.approx(0.5625)


def test_a_unison_of_two_voices_is_two_notes_in_decode_and_one_for_one_instrument():
    unison = score((0, 2, 60, 0), (0, 4, 60, 1))
    array = CODEC.encode(unison)
    assert array[:2].tolist() == [strike(60), strike(60)]
    assert rows(CODEC.decode(array).score) == [(0, 2, 60, 0), (0, 4, 60, 1)]
    notes, count, dropped = CODEC.notes(array[None], np.array([len(array)], np.int32))
    assert np.asarray(notes)[0, :1].tolist() == [[0, 4, 60, 96]]
    assert (int(count[0]), int(dropped[0])) == (1, 1)


def test_voices_may_cross_where_tracks_have_one_note_at_a_time():
    crossing = score((0, 2, 60, 3), (0, 2, 67, 5), (2, 2, 67, 3), (2, 2, 60, 5))
    decoded = CODEC.decode(CODEC.encode(crossing)).score
    # Tracks 3 and 5 are the first and the second voice.
    assert rows(decoded) == [(0, 2, 60, 0), (0, 2, 67, 1), (2, 2, 60, 1), (2, 2, 67, 0)]


def test_a_track_of_chords_is_parted_from_the_highest_note_down():
    chords = score((0, 4, 60, 0), (0, 2, 64, 0), (2, 2, 67, 0))
    decoded = CODEC.decode(CODEC.encode(chords)).score
    # E4 is the highest and gets the first voice; C4 stays in the second, G4 finds the first free.
    assert rows(decoded) == [(0, 4, 60, 1), (0, 2, 64, 0), (2, 2, 67, 0)]


def test_where_more_notes_sound_than_there_are_voices_the_highest_stay():
    crowded = score((0, 4, 60, 0), (0, 4, 64, 0), (1, 1, 67, 0), (1, 1, 48, 0), (3, 1, 71, 0))
    decoded = CODEC.decode(CODEC.encode(crowded)).score
    # C4 ends where G4 comes, for good; C3 finds no voice; B4 has that of G4.
    assert rows(decoded) == [(0, 1, 60, 1), (0, 4, 64, 0), (1, 1, 67, 1), (3, 1, 71, 1)]


def test_a_chord_at_the_end_of_a_voice_does_not_part_the_tracks_again():
    # Track 1 ends in an octave. By tracks C3 is lost, and C2 would be from the highest down, as
    # a third voice: as many keys, as long.
    piece = score((0, 2, 60, 0), (0, 2, 60, 1), (2, 2, 64, 0), (2, 2, 36, 1), (2, 2, 48, 1))
    decoded = CODEC.decode(CODEC.encode(piece)).score
    assert rows(decoded) == [(0, 2, 60, 0), (0, 2, 60, 1), (2, 2, 36, 1), (2, 2, 64, 0)]


def test_no_number_of_voices_means_as_many_as_the_piece_needs():
    codec = sixteenths.Codec(voices=0)
    assert len(codec.encode(score((0, 1, 60, 0)))) == 2
    assert len(codec.encode(score((0, 1, 60, 0), (0, 1, 64, 0), (0, 1, 67, 0)))) == 4
    assert len(codec.encode(score((0, 1, 60, 0), (1, 1, 64, 1), (2, 1, 67, 2)))) == 3 * 4


def test_off_the_grid_halves_go_up_and_a_note_that_would_vanish_lasts_a_16th():
    # 8 ticks a 16th: 4 is half of one, 3 less.
    piece = score((4, 3, 60, 0), (19, 13, 62, 0), ticks_per_quarter=32)
    assert rows(CODEC.decode(CODEC.encode(piece)).score) == [(1, 1, 60, 0), (2, 2, 62, 0)]


def test_of_two_notes_of_a_voice_in_a_16th_the_longer_stays_and_of_two_as_long_the_lower():
    codec = sixteenths.Codec(voices=1)

    def kept(*notes: tuple[int, int, int, int]) -> list[tuple[int, int, int, int]]:
        return rows(codec.decode(codec.encode(score(*notes, ticks_per_quarter=480))).score)

    # A tick is 1/120 of a 16th; each pair is struck in the first 16th and as long in 16ths.
    assert kept((0, 120, 72, 0), (1, 120, 60, 0)) == [(0, 1, 60, 0)]
    assert kept((0, 120, 60, 0), (1, 130, 72, 0)) == [(0, 1, 60, 0)]
    assert kept((0, 240, 72, 0), (1, 120, 60, 0)) == [(0, 2, 72, 0)]


def test_frames_with_too_few_or_too_many_characters_follow_the_rule_and_are_counted():
    def decoded(*tokens: int) -> tuple[list[tuple[int, int, int, int]], int]:
        result = CODEC.decode(np.array(tokens, np.uint8))
        return rows(result.score), result.dropped

    assert decoded(strike(60)) == ([(0, 1, 60, 0)], 0)  # No space at the end.
    assert decoded(SPACE, SPACE, strike(60), SPACE) == ([(2, 1, 60, 0)], 0)  # Frames of rests.
    # Two characters too many; the rest that is one of them was no note.
    too_many = (strike(60), strike(64), strike(67), REST, SPACE, hold(60), hold(64), hold(67))
    assert decoded(*too_many) == ([(0, 2, 60, 0), (0, 2, 64, 1)], 1)
    # Holds of nothing, of another pitch, in another voice, after a rest.
    assert decoded(hold(60), SPACE, hold(60)) == ([], 1)
    assert decoded(strike(60), SPACE, hold(62)) == ([(0, 1, 60, 0)], 1)
    assert decoded(strike(60), SPACE, REST, hold(60)) == ([(0, 1, 60, 0)], 1)
    assert decoded(strike(60), SPACE, SPACE, hold(60)) == ([(0, 1, 60, 0)], 1)


def test_transposition_moves_strikes_and_holds_and_leaves_rows_that_would_go_outside():
    low = CODEC.encode(score((0, 2, 22, 0), (1, 1, 60, 1)))
    high = CODEC.encode(score((0, 2, 107, 0), (1, 1, 60, 1)))
    moved = np.asarray(CODEC.transpose(np.stack([low, high, low]), np.array([-1, 2, -2])))
    np.testing.assert_array_equal(moved[0], CODEC.encode(score((0, 2, 21, 0), (1, 1, 59, 1))))
    np.testing.assert_array_equal(moved[1], high)  # 109 is above the piano.
    np.testing.assert_array_equal(moved[2], low)  # 20 is below it.


def test_16ths_cannot_be_stretched():
    with pytest.raises(ValueError, match="codec 'sixteenths' cannot stretch time; add"):
        CODEC.stretch(np.zeros((1, 3), np.uint8), np.ones(1))


def test_onsets_stand_at_their_character_and_spaces_take_the_time():
    classes, pitch_sum, seconds = CODEC.onsets(CODEC.encode(TWO_VOICES)[None])
    expected = np.zeros((9, 12))
    expected[[0, 3], 0] = 1  # C, C
    expected[1, 4] = 1  # E
    np.testing.assert_array_equal(classes[0], expected)
    assert np.asarray(pitch_sum)[0].tolist() == [72, 64, 0, 72, 0, 0, 0, 0, 0]
    sixteenth = 0.75 / 4
    np.testing.assert_allclose(seconds[0], [0, 0, sixteenth] * 3)


def test_all_128_pitches_need_two_bytes_a_token():
    codec = sixteenths.Codec(lowest_pitch=0, pitches=128)
    assert (codec.spec.size, codec.spec.dtype) == (258, "uint16")
    decoded = codec.decode(codec.encode(score((0, 1, 0, 0), (1, 1, 127, 0)))).score
    assert rows(decoded) == [(0, 1, 0, 0), (1, 1, 127, 0)]


@pytest.mark.parametrize(
    "fields, words",
    [
        ({"voices": 129}, "voices is 129; give 0 to 128"),
        ({"lowest_pitch": 50}, "lowest_pitch is 50, pitches 88; give a range in 0..127"),
        ({"lowest_pitch": -1}, "lowest_pitch is -1; give 0 to 127"),
        ({"pitches": 0}, "pitches is 0; give 1 to 128"),
        ({"quarters_per_minute": 0.0}, "quarters_per_minute is 0.0; give 10 to 1000"),
    ],
)
def test_fields_out_of_range_are_refused_with_what_to_give(fields, words):
    with pytest.raises(ValueError, match=words):
        sixteenths.Codec(**fields)


@given(scores(0, 127))
@settings(max_examples=60, deadline=None, derandomize=True)
def test_with_as_many_voices_as_it_needs_any_score_strikes_all_its_keys_on_the_grid(piece):
    codec = sixteenths.Codec(voices=0, lowest_pitch=0, pitches=128)
    array = codec.encode(piece)
    decoded, dropped = codec.decode(array)
    assert dropped == 0
    np.testing.assert_array_equal(codec.encode(decoded), array)
    on_grid = piece.quantized(4).notes
    on_grid = on_grid[~on_grid["is_drum"]]
    assert {(int(n["onset"]), int(n["pitch"])) for n in decoded.notes} == {
        (int(n["onset"]), int(n["pitch"])) for n in on_grid
    }


@given(st.lists(st.integers(0, 177), max_size=40), st.sampled_from([0, 1, 4]))
@settings(max_examples=60, deadline=None, derandomize=True)
def test_any_tokens_decode_to_a_score_whose_text_says_the_same_notes(tokens, voices):
    codec = sixteenths.Codec(voices=voices)
    decoded, dropped = codec.decode(np.array(tokens, np.uint8))
    strikes = sum(2 <= token < 90 for token in tokens)
    assert strikes - dropped <= len(decoded.notes) <= strikes
    again = sixteenths.Codec(voices=0).decode(sixteenths.Codec(voices=0).encode(decoded)).score
    assert sorted((o, d, p) for o, d, p, _ in rows(again)) == sorted(
        (o, d, p) for o, d, p, _ in rows(decoded)
    )


@pytest.mark.skipif(not CHORALES.is_dir(), reason=f"{CHORALES} is not here")
def test_every_tenth_chorale_of_four_voices_comes_back_exactly_on_its_16ths():
    compared = 0
    for path in sorted(CHORALES.rglob("*.mid"))[::10]:
        piece = midi.read(path).score
        tracks, voice = np.unique(piece.notes["track"], return_inverse=True)
        if len(tracks) > 4:
            continue
        onset, end = piece.notes["onset"] * 4, piece.end_ticks * 4
        follows = np.lexsort((onset, voice))
        overlaps = (end[follows][:-1] > onset[follows][1:]) & (np.diff(voice[follows]) == 0)
        if overlaps.any() or (np.append(onset, end) % piece.ticks_per_quarter).any():
            continue  # A voice in chords, or not all on 16ths.
        notes = piece.quantized(4).notes.copy()
        notes["track"] = voice
        decoded = sixteenths.Codec().decode(sixteenths.Codec().encode(piece))
        assert rows(decoded.score) == rows(Score.from_unsorted(4, notes)), path.name
        compared += 1
    assert compared >= 20
