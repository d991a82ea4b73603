"""Written MIDI: channels, programs and pedals come back, and files stay in bounds."""

import io
from collections import defaultdict, deque

import mido
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_midi import END, NOTE_60, assert_equal, file_of
from test_midi_channels import control, note, program

from pipelines.formats import midi
from pipelines.score import Score
from pipelines.score_arrays import DRUM_CHANNEL, NOTE, PEDAL


def notes_of(*rows: tuple[int, ...]) -> np.ndarray:
    """[note] of (onset, duration, pitch, track, program)."""
    notes = np.zeros(len(rows), NOTE)
    columns = ("onset", "duration", "pitch", "track", "program")
    for name, column in zip(columns, zip(*rows, strict=True), strict=True):
        notes[name] = column
    notes["velocity"] = 64
    return notes


def played(data: bytes) -> list[tuple[int, int, int, int]]:
    """Onset, end, pitch and program of each note, as a sequencer plays the merged tracks."""
    programs, down, notes = [0] * 16, defaultdict(deque), []
    merged = []
    for index, track in enumerate(mido.MidiFile(file=io.BytesIO(data)).tracks):
        tick = 0
        for place, message in enumerate(track):
            tick += message.time
            merged.append((tick, index, place, message))
    for tick, index, _, message in sorted(merged, key=lambda event: event[:3]):
        if message.type == "program_change":
            programs[message.channel] = message.program
        elif message.type == "note_on":
            down[index, message.channel, message.note].append((tick, programs[message.channel]))
        elif message.type == "note_off":
            onset, number = down[index, message.channel, message.note].popleft()
            notes.append((onset, tick, message.note, number))
    return sorted(notes)


def rows(score: Score) -> list[tuple[int, int, int, int]]:
    columns = (score.notes["onset"], score.end_ticks, score.notes["pitch"], score.notes["program"])
    return sorted(zip(*(column.tolist() for column in columns), strict=True))


@pytest.mark.parametrize(
    ("tracks", "programs"),
    [(1, 1), (16, 2), (40, 1), (40, 3), (16, 16), (20, 20), (128, 128), (300, 128)],
)
def test_any_number_of_voices_and_programs_sounds_right_and_comes_back(tracks, programs):
    # All begin together, and again 50 ticks later.
    given_rows = [(o, 40, t % 128, t, t % programs) for o in (0, 50) for t in range(tracks)]
    score = Score.from_unsorted(96, notes_of(*given_rows))
    written = midi.to_bytes(score)
    assert played(written) == rows(score)
    assert_equal(midi.read_score(written), score)
    channels = {m.channel for m in mido.MidiFile(file=io.BytesIO(written)) if not m.is_meta}
    assert len(channels) == min(programs, 15)


def test_a_pedal_is_written_once_per_channel_not_once_per_voice():
    pedal = np.zeros(10_000, PEDAL)
    pedal["tick"], pedal["controller"] = np.arange(10_000), 64
    pedal["value"] = np.arange(10_000) % 128
    score = Score(96, notes_of(*((0, 9, 60, t, 0) for t in range(500))), pedal=pedal)
    written = midi.to_bytes(score)
    assert len(written) < 4 * 10_000 + 30 * 500 + 100
    assert_equal(midi.read_score(written), score)


@pytest.mark.parametrize("programs", [1, 2, 15, 16, 100])
def test_a_long_pedal_of_many_programs_is_not_copied(programs):
    track = b"".join(program(0, number) + note(0) for number in range(programs))
    track += b"\x00\xb0\x40\x7f" + b"\x01\x40\x00\x01\x40\x7f" * 20_000
    data = file_of(track + END)
    score = midi.read_score(data)
    written = midi.to_bytes(score)
    assert len(written) < 2 * len(data)
    assert_equal(midi.read_score(written), score)


def test_voices_with_channels_stay_on_them_and_each_pedal_is_written_once():
    right = control(3, 64, 127) + note(3) + control(3, 64, 0)
    data = file_of(
        right + END, note(3, 48) + END, program(5, 40) + note(5) + END, note(9, 36) + END
    )
    score = midi.read_score(data)
    assert score.channels.tolist() == [3, 3, 5, 9]
    written = midi.to_bytes(score)
    assert_equal(midi.read_score(written), score)
    messages = [m for t in mido.MidiFile(file=io.BytesIO(written)).tracks for m in t]
    assert [m.channel for m in messages if m.type == "control_change"] == [3, 3]


def test_a_file_of_one_voice_is_written_as_ever():
    pedal = np.array([(0, 64, 127, 0), (96, 64, 0, 0)], PEDAL)
    score = Score(96, notes_of((0, 96, 60, 0, 5)), pedal=pedal)
    body = b"\x00\xc0\x05\x00\xb0\x40\x7f\x00\x90\x3c\x40\x60\x80\x3c\x00\x00\xb0\x40\x00"
    assert midi.to_bytes(score) == file_of(END, body + END)


@pytest.mark.parametrize(
    "track",
    [NOTE_60, note(0) + note(9, 36), b"".join(map(note, range(16))), control(2, 64, 9) + note(2)],
    ids=["one voice each", "two voices each", "sixteen voices each", "pedals"],
)
def test_as_many_tracks_as_are_read_can_be_written_and_read_again(track):
    maps = b"\x00\xff\x03\x02Hi\x00\xff\x51\x03\x0f\x42\x40\x05\xff\x51\x03\x07\xa1\x20"
    score = midi.read_score(file_of(maps + END, *[track + END] * 1023))
    assert_equal(midi.read_score(midi.to_bytes(score)), score)
    full = midi.read_score(file_of(maps + track + END, *[track + END] * 1023))
    assert_equal(midi.read_score(midi.to_bytes(full)), full)
    assert len(full.tempi) == 2 and full.title == "Hi"


ticks = st.integers(0, 60)
tracks_of_voices = st.lists(
    st.tuples(
        st.integers(0, 15),  # channel
        st.sampled_from([0, 1, 2, 40, 127]),  # program
        st.lists(st.tuples(ticks, st.integers(1, 9), st.integers(0, 127)), min_size=1, max_size=4),
    ),
    max_size=40,
)
moves = st.lists(
    st.tuples(ticks, st.sampled_from([64, 66, 67]), st.integers(0, 127), st.integers(0, 15)),
    max_size=12,
)


def score_of(tracks, pedal) -> Score:
    """A Score such as a file gives it: notes of a pitch end in the order they began."""
    rows: list[tuple[int, ...]] = []
    for index, (_, number, notes) in enumerate(tracks):
        rows += [(16 * o, d, p, index, number) for o, d, p in {n[0]: n for n in notes}.values()]
    notes = notes_of(*rows) if rows else np.zeros(0, NOTE)
    channels = np.array([channel for channel, _, _ in tracks], np.uint8)
    notes["is_drum"] = channels[notes["track"]] == DRUM_CHANNEL if rows else False
    return Score.from_unsorted(96, notes, pedal=np.array(pedal, PEDAL), channels=channels)


@settings(max_examples=200, deadline=None)
@given(tracks_of_voices, moves)
def test_many_tracks_programs_channels_and_pedals_come_back(tracks, pedal):
    score = score_of(tracks, pedal)
    written = midi.to_bytes(score)
    assert played(written) == rows(score)
    back = midi.read_score(written)
    np.testing.assert_array_equal(back.notes, score.notes)
    # As it was read, it comes back whole.
    assert_equal(midi.read_score(midi.to_bytes(back)), back)
    # The same pedals act on the same notes.
    for one in range(len(score.notes)):
        acting, again = (
            s.pedal[s.pedal["channel"] == s.note_channels[one]][["tick", "controller", "value"]]
            for s in (score, back)
        )
        if not score.notes["is_drum"][one]:
            assert again.tolist() == acting.tolist()


@settings(max_examples=100, deadline=None)
@given(tracks_of_voices)
def test_a_score_without_channels_sounds_right(tracks):
    with_channels = score_of(tracks, [])
    score = Score(96, with_channels.notes)
    assert played(midi.to_bytes(score)) == rows(score)
    assert_equal(midi.read_score(midi.to_bytes(score)), score)
