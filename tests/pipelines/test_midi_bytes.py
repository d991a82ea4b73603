"""MIDI files from TensorFlow ops, read back by mido, which shares no code with us."""

import io

import mido
import numpy as np
import pytest
import tensorflow as tf

from pipelines.midi_bytes import LONGEST_DELTA_TICKS, midi_bytes

graph = tf.function(
    lambda notes, count: midi_bytes(notes, count, 480, 600_000, program=6),
    input_signature=[tf.TensorSpec([None, None, 4], tf.int32), tf.TensorSpec([None], tf.int32)],
    autograph=False,
)


def files(*pieces):
    """MIDI files of lists of (onset, duration, pitch, velocity), padded to the longest."""
    longest = max(map(len, pieces))
    padded = [[*piece, *[(9, 9, 9, 9)] * (longest - len(piece))] for piece in pieces]
    notes = np.array(padded, np.int32).reshape(len(pieces), longest, 4)
    return graph(notes, np.array([len(piece) for piece in pieces], np.int32)).numpy()


def file_with_controls(notes, controls):
    """The MIDI file of one piece with pedal, and behind each list what does not count."""
    notes = np.array([[*notes, (9, 9, 9, 9)]], np.int32)
    controls = np.array([[*controls, (9, 64, 9)]], np.int32)
    counts = [np.array([rows.shape[1] - 1], np.int32) for rows in (notes, controls)]
    made = tf.function(midi_bytes, autograph=False)(
        notes, counts[0], 480, 600_000, controls=controls, control_count=counts[1]
    )
    return made.numpy()[0]


def messages_of(content):
    """(tick, kind, number, value) of each message of a channel, as mido reads them."""
    tick, found = 0, []
    for message in mido.MidiFile(file=io.BytesIO(content)).tracks[0]:
        tick += message.time
        if message.type == "control_change":
            found.append((tick, "control", message.control, message.value))
        elif message.type in ("note_on", "note_off"):
            found.append((tick, message.type[5:], message.note, message.velocity))
    return found


def notes_of(content):
    """The notes that mido finds, in the order of their onsets."""
    tick, sounding, notes = 0, {}, []
    for message in mido.MidiFile(file=io.BytesIO(content)).tracks[0]:
        tick += message.time
        if message.type == "note_on":
            assert message.note not in sounding, "a pitch starts while it sounds"
            sounding[message.note] = (tick, message.velocity)
        elif message.type == "note_off":
            onset, velocity = sounding.pop(message.note)
            notes.append((onset, tick - onset, message.note, velocity))
    assert not sounding, "a note never ends"
    return sorted(notes)


def piece_of(count, longest_gap, seed=0):
    """A monophonic piece: each note ends where the next begins or before."""
    generator = np.random.default_rng(seed)
    gaps = generator.integers(1, longest_gap, count)
    onsets = np.cumsum(gaps) - gaps[:1] if count else gaps
    durations = generator.integers(1, np.append(gaps[1:], 99)[:count] + 1)
    pitches, velocities = generator.integers(0, 128, count), generator.integers(1, 128, count)
    columns = (onsets, durations, pitches, velocities)
    return list(zip(*(column.tolist() for column in columns), strict=True))


def test_a_file_is_equal_to_one_written_by_hand():
    # A crotchet of middle C, then silence of two bytes of delta time, and an E.
    [content] = files([(0, 480, 60, 64), (960, 10, 64, 1)])
    assert content == (
        b"MThd\x00\x00\x00\x06\x00\x00\x00\x01\x01\xe0"
        b"MTrk\x00\x00\x00\x20"  # 7 + 3 + (4 + 5) + (5 + 4) + 4 bytes follow.
        b"\x00\xff\x51\x03\x09\x27\xc0"  # 600,000 microseconds a quarter: 100 a minute.
        b"\x00\xc0\x06"  # Harpsichord.
        b"\x00\x90\x3c\x40\x83\x60\x80\x3c\x00"  # 480 = 3 * 128 + 96.
        b"\x83\x60\x90\x40\x01\x0a\x80\x40\x00"
        b"\x00\xff\x2f\x00"
    )


@pytest.mark.parametrize("count", [0, 1, 17, 1000])
@pytest.mark.parametrize("longest_gap", [100, 2**21])
def test_mido_reads_the_notes_back(count, longest_gap):
    piece = piece_of(min(count, 1000 if longest_gap < 2**20 else 500), longest_gap)
    [content] = files(piece)
    assert notes_of(content) == sorted(piece)
    file = mido.MidiFile(file=io.BytesIO(content))
    assert (file.type, file.ticks_per_beat) == (0, 480)
    assert [m.tempo for m in file.tracks[0] if m.type == "set_tempo"] == [600_000]


@pytest.mark.parametrize("gap", [0, 127, 128, 16_383, 16_384, 2**21 - 1, 2**21, 2**28 - 1])
def test_each_length_of_a_delta_time_is_written_right(gap):
    piece = [(gap, 1, 60, 64), (gap + 1, 1, 62, 64)]
    [content] = files(piece)
    assert notes_of(content) == piece


def test_a_silence_that_no_file_can_hold_is_cut_to_the_longest():
    [content] = files([(2**30, 1, 60, 64)])
    assert notes_of(content) == [(LONGEST_DELTA_TICKS, 1, 60, 64)]


def test_a_repeated_pitch_ends_before_it_starts_again_at_the_same_tick():
    piece = [(0, 10, 60, 64), (10, 10, 60, 65), (20, 5, 60, 66)]
    [content] = files(piece)
    assert notes_of(content) == piece
    kinds = [m.type for m in mido.MidiFile(file=io.BytesIO(content)).tracks[0] if "note" in m.type]
    assert kinds == ["note_on", "note_off"] * 3


def test_at_one_tick_notes_end_then_pedals_move_then_notes_begin():
    content = file_with_controls(
        [(0, 10, 60, 64), (10, 5, 60, 65), (10, 5, 62, 66)],
        [(0, 64, 127), (10, 64, 0), (10, 66, 50), (10, 64, 100), (400, 67, 1)],
    )
    assert messages_of(content) == [
        (0, "control", 64, 127),
        (0, "on", 60, 64),
        (10, "off", 60, 0),
        (10, "control", 64, 0),  # Controls of one tick keep their order: this pedal ends down.
        (10, "control", 66, 50),
        (10, "control", 64, 100),
        (10, "on", 60, 65),
        (10, "on", 62, 66),
        (15, "off", 60, 0),
        (15, "off", 62, 0),
        (400, "control", 67, 1),
    ]


def test_a_file_may_hold_nothing_but_pedal():
    assert messages_of(file_with_controls([], [(7, 64, 3)])) == [(7, "control", 64, 3)]


def test_without_controls_the_file_is_the_one_without_pedal():
    piece = piece_of(30, 500)
    assert file_with_controls(piece, []) == midi_bytes(
        np.array([piece], np.int32), np.array([30], np.int32), 480, 600_000
    )


def test_rows_keep_controls_of_their_own():
    controls = np.array([[(1, 64, 5), (0, 0, 0)], [(2, 64, 6), (3, 67, 7)]], np.int32)
    made = midi_bytes(
        np.zeros((2, 0, 4), np.int32),
        np.zeros(2, np.int32),
        *(480, 600_000),
        controls=controls,
        control_count=np.array([1, 2], np.int32),
    )
    assert [messages_of(content) for content in made.numpy()] == [
        [(1, "control", 64, 5)],
        [(2, "control", 64, 6), (3, "control", 67, 7)],
    ]


def test_a_chord_starts_together():
    piece = [(0, 10, 60, 64), (0, 20, 64, 1), (0, 30, 127, 127), (5, 5, 0, 9)]
    [content] = files(piece)
    assert notes_of(content) == piece


def test_rows_of_a_batch_are_the_files_that_each_would_be_alone():
    pieces = [piece_of(count, 500, seed=count) for count in (3, 0, 40, 1)]
    assert files(*pieces).tolist() == [files(piece)[0] for piece in pieces]


def test_an_empty_batch_gives_no_file():
    assert graph(np.zeros((0, 5, 4), np.int32), np.zeros(0, np.int32)).shape == (0,)


@pytest.mark.parametrize(
    ("header", "words"),
    [
        ((0, 500_000, 0), "ticks_per_quarter is 0"),
        ((32768, 500_000, 0), "ticks_per_quarter is 32768"),
        ((480, 2**24, 0), "microseconds_per_quarter is 16777216"),
        ((480, 500_000, 128), "program is 128; a MIDI file holds 0 to 127"),
    ],
)
def test_a_header_that_no_file_can_hold_is_refused(header, words):
    with pytest.raises(ValueError, match=words):
        midi_bytes(np.zeros((1, 0, 4), np.int32), np.zeros(1, np.int32), *header)
