"""Programs, pedals and modes of MIDI channels: whichever track sets them, they count for all."""

import numpy as np
import pytest
from test_midi import END, file_of

from pipelines.formats import midi, midi_mido, midi_symusic
from pipelines.formats.midi_events import with_shared_pedal
from pipelines.shaping import solo_piano

# A note of velocity 255 on channel 15, which symusic refuses and mido reads.
LOUD = b"\x00\x9f\x00\xff\x01\x8f\x00\x00"


def note(channel: int, pitch: int = 60, wait: int = 0, ticks: int = 96) -> bytes:
    """A note of velocity 64; times up to 127 ticks."""
    return bytes([wait, 0x90 | channel, pitch, 64, ticks, 0x80 | channel, pitch, 0])


def control(channel: int, controller: int, value: int = 0, wait: int = 0) -> bytes:
    return bytes([wait, 0xB0 | channel, controller, value])


def program(channel: int, number: int, wait: int = 0) -> bytes:
    return bytes([wait, 0xC0 | channel, number])


def read(*tracks: bytes, form: int = 1) -> midi.MidiReading:
    """Reads tracks, and asserts that mido finds the same notes and pedals in them."""
    reading = midi.read(file_of(*(track + END for track in tracks), form=form))
    assert reading.reader == "symusic"
    damaged = midi.read(file_of(*(track + END for track in tracks), LOUD + END))
    assert damaged.reader == "mido"
    kept = damaged.score.notes["pitch"] > 0
    np.testing.assert_array_equal(damaged.score.notes[kept], reading.score.notes)
    return reading


def programs(*tracks: bytes, form: int = 1) -> list[tuple[int, int]]:
    """Onset and program of each note."""
    return read(*tracks, form=form).score.notes[["onset", "program"]].tolist()


@pytest.mark.parametrize(
    ("tracks", "expected"),
    [
        # A conductor's track sets the program of a later track, or of two.
        ([program(0, 40), note(0)], [(0, 40)]),
        ([program(0, 40), note(0), note(0, 64)], [(0, 40), (0, 40)]),
        # Of two channels, each has its own.
        ([program(0, 40) + program(1, 41), note(1, 59), note(0)], [(0, 41), (0, 40)]),
        # A later track sets it at the same tick, which is too late for a note there.
        ([note(0) + note(0), program(0, 40)], [(0, 0), (96, 40)]),
        # Another track changes it in mid-piece: 96 is before the note of 96 in a later track.
        ([program(0, 40, wait=96), note(0) + note(0)], [(0, 0), (96, 40)]),
        ([note(0) + note(0), program(0, 40, wait=95)], [(0, 0), (96, 40)]),
        # A track's own program, until another track sets one.
        ([program(0, 5) + note(0) + note(0), program(0, 40, wait=90)], [(0, 5), (96, 40)]),
        ([program(0, 40), program(0, 5) + note(0)], [(0, 5)]),
        # The last program of a track may come before its notes, and by running status.
        ([b"\x00\xc0\x05\x00\x28", note(0)], [(0, 40)]),
        ([b"\x00\xc0\x05\x00\x00", note(0)], [(0, 0)]),
        # A track that only plays drums has the kit that another sets.
        ([program(9, 25), note(9, 36)], [(0, 25)]),
        # Text that holds the bytes of a program change sets none.
        ([b"\x00\xff\x01\x04\x00\xc0\x28\x00", note(0)], [(0, 0)]),
        # Nor does a long delta time that looks like one, 0xc0 0x28.
        ([b"\x00\xff\x01\x00\xc0\x28\x90\x3c\x40\x01\x3c\x00", note(0)], [(0, 0), (8232, 0)]),
    ],
)
def test_a_program_counts_for_the_notes_of_its_channel_in_every_track(tracks, expected):
    assert programs(*tracks) == expected


def test_the_program_of_a_file_of_format_0_changes_in_mid_piece():
    track = note(0) + program(0, 40) + note(0) + program(0, 0) + note(0)
    assert programs(track, form=0) == [(0, 0), (96, 40), (192, 0)]


def test_a_violin_whose_program_stands_in_another_track_is_no_solo_piano():
    with pytest.raises(ValueError, match="MIDI program 40"):
        solo_piano(midi.read_score(file_of(program(0, 40) + END, note(0) + END)))


def test_the_notes_of_a_track_are_numbered_by_program_where_another_track_changes_it():
    score = read(note(0) + note(0) + note(0), program(0, 40, wait=95) + program(0, 0, 95)).score
    assert score.notes["track"].tolist() == [0, 1, 0]
    assert score.notes["program"].tolist() == [0, 40, 0]


def sustained(*tracks: bytes) -> list[tuple[int, int, int]]:
    """Onset, end and pitch of each note once the pedal is applied."""
    score = read(*tracks).score.with_sustain_applied()
    columns = (score.notes["onset"], score.end_ticks, score.notes["pitch"])
    return list(zip(*(column.tolist() for column in columns), strict=True))


DOWN, UP = 127, 0


@pytest.mark.parametrize(
    ("tracks", "expected"),
    [
        # The pedal stands in another track than the notes, of the same channel or not.
        ([control(0, 64, DOWN) + control(0, 64, UP, 120), note(0)], [(0, 120, 60)]),
        ([control(1, 64, DOWN) + control(1, 64, UP, 120), note(0)], [(0, 96, 60)]),
        ([note(0), control(0, 64, DOWN) + control(0, 64, UP, 120)], [(0, 120, 60)]),
        # Two channels in one track; only one has the pedal.
        (
            [control(1, 64, DOWN) + note(0) + note(1, 62) + control(1, 64, UP, 50)],
            [(0, 96, 60), (96, 242, 62)],
        ),
        # The pedal of the drums is not that of the piano.
        (
            [control(9, 64, DOWN) + note(9, 36) + note(0) + control(9, 64, UP, 9)],
            [(0, 96, 36), (96, 192, 60)],
        ),
        # The next onset of a key ends a note on its own channel alone.
        (
            [
                control(0, 64, DOWN)
                + note(0, ticks=10)
                + note(1, ticks=10)
                + note(0, wait=20)
                + control(0, 64, UP)
            ],
            [(0, 40, 60), (10, 20, 60), (40, 136, 60)],
        ),
    ],
)
def test_a_pedal_acts_on_its_channel_in_every_track(tracks, expected):
    assert sustained(*tracks) == expected


@pytest.mark.parametrize(
    ("tracks", "notes", "expected"),
    [
        # All notes off ends what sounds, and what sounds with the pedal down rings on.
        ([note(0), control(0, 123, wait=50)], [(0, 50)], [(0, 50)]),
        (
            [control(0, 64, DOWN) + control(0, 64, UP, 80), note(0), control(0, 123, wait=50)],
            [(0, 50)],
            [(0, 80)],
        ),
        # So do omni off, omni on, mono and poly; local control (122) is none of them.
        *(([note(0), control(0, mode, wait=50)], [(0, 50)], [(0, 50)]) for mode in range(124, 128)),
        ([note(0), control(0, 122, wait=50)], [(0, 96)], [(0, 96)]),
        # Another channel's notes go on.
        ([note(0), control(1, 123, wait=50)], [(0, 96)], [(0, 96)]),
        # A note-off that comes after it is not that of the next note.
        (
            [b"\x00\x90\x3c\x40\x10\xb0\x7b\x00\x10\x90\x3c\x40\x08\x80\x3c\x00\x08\x3c\x00"],
            [(0, 16), (32, 40)],
            [(0, 16), (32, 40)],
        ),
        # All sound off also ends what the pedal holds.
        (
            [control(0, 64, DOWN), note(0, ticks=10), control(0, 120, wait=50)],
            [(0, 10)],
            [(0, 50)],
        ),
        ([control(0, 64, DOWN), note(0), control(0, 120, wait=50)], [(0, 50)], [(0, 50)]),
        # The pedal is still down after it, for notes to come: 60 rings on to the end of 62.
        (
            [
                control(0, 64, DOWN),
                note(0) + note(0, ticks=10) + note(0, 62, wait=20),
                control(0, 120, wait=50),
            ],
            [(0, 50), (96, 106), (126, 222)],
            [(0, 50), (96, 222), (126, 222)],
        ),
        # Reset all controllers lifts the pedal, whichever track sends it.
        ([control(0, 64, DOWN), note(0, ticks=10), control(0, 121, wait=50)], [(0, 10)], [(0, 50)]),
        (
            [control(0, 121, wait=50), control(0, 64, DOWN) + note(0, ticks=10)],
            [(0, 10)],
            [(0, 50)],
        ),
        (
            [control(0, 64, DOWN) + note(0, ticks=10) + control(1, 121) + control(0, 64, UP, 60)],
            [(0, 10)],
            [(0, 70)],
        ),
        # Resets where nothing sounds and no pedal is down do nothing.
        ([control(0, 121) + control(0, 123) + control(0, 120) + note(0)], [(0, 96)], [(0, 96)]),
    ],
)
def test_modes_end_notes_and_lift_pedals_of_their_channel(tracks, notes, expected):
    score = read(*tracks).score
    assert [(o, o + d) for o, d in score.notes[["onset", "duration"]].tolist()] == notes
    assert [(onset, end) for onset, end, _ in sustained(*tracks)] == expected


def test_a_reset_lifts_every_pedal_of_its_channel_and_is_not_counted():
    pedals = control(0, 64, 100) + control(0, 66, 100) + control(0, 67, 100)
    reading = read(pedals + note(0) + control(0, 121))
    assert reading.score.pedal.tolist()[3:] == [(96, 64, 0, 0), (96, 66, 0, 0), (96, 67, 0, 0)]
    assert reading.doubtful == reading.left_out == {}


def test_a_pedal_under_a_program_without_notes_is_kept():
    under = program(0, 3) + control(0, 64, DOWN) + program(0, 0)
    assert sustained(note(0, ticks=10) + under + note(0, ticks=10) + note(0, 62)) == [
        (0, 10, 60),
        (10, 116, 60),
        (20, 116, 62),
    ]


def test_what_is_not_read_is_counted():
    track = (
        control(0, 7, 100)
        + control(0, 10, 64)
        + b"\x00\xe0\x00\x41"
        + note(0)
        + b"\x00\xff\x05\x02la\x00\xff\x05\x01!\x00\xff\x06\x01A"
    )
    counts = {"controllers other than pedals": 2, "pitch bends": 1, "lyrics": 2, "markers": 1}
    for tracks in ([track], [track, control(1, 64, 9) + note(1)], [track, program(0, 9)]):
        assert read(*tracks).left_out == counts
    assert midi.read(file_of(track + END, LOUD + END)).left_out == counts


def test_channels_are_told_apart_where_their_pedals_differ():
    moved = [control(c, 64, DOWN) + note(c) + control(c, 64, UP) for c in (3, 5)]
    same = read(*moved).score
    assert same.channels.tolist() == []
    assert same.pedal.tolist() == [(0, 64, 127, 0), (96, 64, 0, 0)]
    other = read(moved[0], note(5), note(9, 36)).score
    assert other.channels.tolist() == [3, 5, 9]
    assert other.pedal.tolist() == [(0, 64, 127, 3), (96, 64, 0, 3)]
    # A pedal that is never pressed, where there is no note, acts on nothing.
    resets = b"".join(control(channel, 64, UP) for channel in range(16))
    assert read(resets, moved[0]).score.pedal.tolist() == [(0, 64, 0, 0), *same.pedal.tolist()]


def test_of_random_sequences_both_readers_give_the_same():
    chance = np.random.default_rng(20260101)
    kinds = [0x80, 0x90, 0x90, 0xB0, 0xC0, 0xE0]
    controllers = [64, 64, 66, 67, 7, 120, 121, 123, 126]
    for _ in range(300):
        tracks = []
        for _ in range(chance.integers(1, 4)):
            track = b""
            for _ in range(chance.integers(0, 30)):
                status = int(chance.choice(kinds)) | int(chance.choice([0, 0, 1, 9]))
                data = bytes([chance.choice([60, 61]), chance.choice([0, 64, 127])])
                if status >> 4 == 0xB:
                    data = bytes([chance.choice(controllers), chance.choice([0, 64, 127])])
                elif status >> 4 == 0xC:
                    data = data[:1]
                track += bytes([chance.choice([0, 0, 1, 7]), status]) + data
            tracks.append(track + END)
        first = with_shared_pedal(midi_symusic.parse(96, tracks))
        second = with_shared_pedal(midi_mido.parse(tracks))
        for name in ("pedal", "channels"):
            np.testing.assert_array_equal(getattr(first, name), getattr(second, name))
        assert sorted(first.notes.tolist()) == sorted(second.notes.tolist())
        name = "notes without a note-off"
        assert first.doubtful[name] == second.doubtful[name]
