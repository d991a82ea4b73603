"""MIDI files built byte by byte, round trips, and mido as the second opinion."""

import struct
from collections import defaultdict, deque
from pathlib import Path

import mido
import numpy as np
import pytest

from pipelines.formats import midi
from pipelines.score import Score
from pipelines.score_arrays import KEY, LAST_TICK, METER, NOTE, PEDAL, TEMPO

DATA = Path(__file__).parents[2] / "../shared/data"
END = b"\x00\xff\x2f\x00"
NOTE_60 = b"\x00\x90\x3c\x40\x60\x80\x3c\x00"  # From tick 0 to 96, velocity 64.


def chunk(body: bytes) -> bytes:
    return struct.pack(">4sI", b"MTrk", len(body)) + body


def file_of(
    *tracks: bytes, division: int = 96, form: int = 1, declared: int | None = None
) -> bytes:
    count = len(tracks) if declared is None else declared
    header = struct.pack(">4sIHHH", b"MThd", 6, form, count, division)
    return header + b"".join(map(chunk, tracks))


def rows_of(score: Score) -> list[tuple[int, ...]]:
    return score.notes[["onset", "duration", "pitch", "velocity"]].tolist()


def assert_equal(first: Score, second: Score) -> None:
    assert first.ticks_per_quarter == second.ticks_per_quarter
    assert first.title == second.title
    for name in ("notes", "pedal", "tempi", "meters", "keys", "channels"):
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name), err_msg=name)


def test_every_field_of_a_file_is_read():
    conductor = (
        b"\x00\xff\x03\x05Prel\xe9"  # The title, in Latin-1.
        b"\x00\xff\x51\x03\x0f\x42\x40"  # 1,000,000 microseconds a quarter.
        b"\x00\xff\x58\x04\x06\x03\x18\x08"  # 6/8.
        b"\x00\xff\x59\x02\xfd\x01"  # Three flats, minor.
        b"\x60\xff\x51\x03\x07\xa1\x20"  # 500,000 from tick 96.
    )
    piano = (
        b"\x00\xc0\x05"  # Program 5.
        b"\x00\xb0\x40\x7f\x00\x43\x01\x00\x07\x64"  # Sustain, soft; volume is left out.
        b"\x00\x90\x3c\x40\x00\x40\x50"  # 60 and 64, running status.
        b"\x60\x3c\x00"  # Velocity 0 ends 60 at 96.
        b"\x81\x00\x80\x40\x7f"  # 64 ends 128 ticks later.
        b"\x00\xb0\x40\x00"
    )
    drum = b"\x10\x99\x24\x7f\x10\x89\x24\x00"
    score = midi.read_score(file_of(conductor + END, piano + END, drum + END))
    assert score.ticks_per_quarter == 96
    assert score.title == "Prelé"
    assert score.notes.tolist() == [
        (0, 96, 60, 64, 0, 5, False),
        (0, 224, 64, 80, 0, 5, False),
        (16, 16, 36, 127, 1, 0, True),
    ]
    assert score.pedal.tolist() == [(0, 64, 127, 0), (0, 67, 1, 0), (224, 64, 0, 0)]
    assert score.tempi.tolist() == [(0, 1_000_000), (96, 500_000)]
    assert score.meters.tolist() == [(0, 6, 8)]
    assert score.keys.tolist() == [(0, -3, True)]
    assert score.length_seconds == pytest.approx(1 + 128 / 192)


def test_a_whole_file_needs_no_mending():
    reading = midi.read(file_of(NOTE_60 + END))
    assert reading.reader == "symusic"
    assert reading.doubtful == reading.left_out == {}


def test_overlapping_notes_of_a_pitch_end_in_the_order_they_began():
    track = b"\x00\x90\x3c\x40\x0a\x3c\x41\x0a\x3c\x42\x0a\x3c\x00\x0a\x3c\x00\x0a\x3c\x00"
    assert rows_of(midi.read_score(file_of(track + END))) == [
        (0, 30, 60, 64),
        (10, 30, 60, 65),
        (20, 30, 60, 66),
    ]


def test_notes_that_nothing_ends_are_closed_at_the_end_of_their_track_and_counted():
    # 60 twice and 62 on channel 0, one off for 60; the track ends at 10 + 50 = 60.
    track = b"\x00\x90\x3c\x40\x00\x3c\x41\x00\x3e\x42\x0a\x3c\x00\x32\xff\x2f\x00"
    later = b"\x60" + NOTE_60[1:] + END  # Another track, which ends later.
    reading = midi.read(file_of(track, later))
    assert rows_of(reading.score) == [
        (0, 10, 60, 64),
        (0, 60, 60, 65),
        (0, 60, 62, 66),
        (96, 96, 60, 64),
    ]
    assert reading.doubtful == {"notes without a note-off": 2}


def test_a_hundred_open_notes_of_one_pitch_are_all_closed():
    reading = midi.read(file_of(b"\x01\x99\x24\x40" + b"\x01\x24\x40" * 99 + END))
    assert reading.doubtful["notes without a note-off"] == len(reading.score.notes) == 100
    assert set(reading.score.end_ticks[:-1].tolist()) == {100}
    assert reading.doubtful["notes of no duration"] == 1  # The last begins where the track ends.


def test_a_track_without_an_end_event_ends_with_its_last_event():
    reading = midi.read(file_of(NOTE_60 + b"\x04\x90\x3e\x40\x04\xff\x01\x00"))
    assert rows_of(reading.score) == [(0, 96, 60, 64), (100, 4, 62, 64)]
    assert reading.doubtful == {"notes without a note-off": 1}


def test_what_follows_the_end_of_a_track_is_skipped_and_counted():
    reading = midi.read(file_of(NOTE_60 + END + b"\x00\x90\x3e\x40" + END, NOTE_60 + END))
    assert rows_of(reading.score) == [(0, 96, 60, 64), (0, 96, 60, 64)]
    assert reading.doubtful == {"skipped bytes": 8}
    assert reading.score.notes["track"].tolist() == [0, 1]


def test_notes_of_no_length_last_one_tick_and_are_counted():
    reading = midi.read(file_of(b"\x05\x90\x3c\x40\x00\x3c\x00" + END))
    assert rows_of(reading.score) == [(5, 1, 60, 64)]
    assert reading.doubtful == {"notes of no duration": 1}


def test_tempi_meters_and_keys_without_meaning_are_dropped_and_counted():
    metas = (
        b"\x00\xff\x51\x03\x00\x00\x00"  # No time in a quarter.
        b"\x00\xff\x58\x04\x00\x02\x18\x08"  # 0/4.
        b"\x00\xff\x59\x02\x08\x00"  # Eight sharps.
        b"\x00\xff\x59\x02\x02\x02"  # Neither major nor minor.
    )
    reading = midi.read(file_of(metas + NOTE_60 + END))
    assert reading.doubtful == {
        "tempi without meaning": 1,
        "meters without meaning": 1,
        "keys without meaning": 2,
    }
    assert [len(a) for a in (reading.score.tempi, reading.score.meters, reading.score.keys)] == [
        0,
        0,
        0,
    ]


def test_a_pedal_on_a_channel_without_notes_is_kept():
    pedal_track = b"\x00\xb3\x40\x7f\x60\x40\x00" + END
    score = midi.read_score(file_of(NOTE_60 + END, pedal_track))
    assert score.pedal.tolist() == [(0, 64, 127, 3), (96, 64, 0, 3)]
    assert score.with_sustain_applied().notes.tolist() == score.notes.tolist()


def test_the_same_pedal_on_several_channels_counts_once():
    voice = b"\x00\xb0\x40\x7f" + NOTE_60 + b"\x00\xb0\x40\x00" + END
    score = midi.read_score(file_of(voice, voice))
    assert score.pedal.tolist() == [(0, 64, 127, 0), (96, 64, 0, 0)]


def test_smpte_time_keeps_its_seconds_and_ignores_tempi():
    # 25 frames of 40 ticks: 1000 ticks a second; the note lasts 96 of them.
    division = (256 - 25) << 8 | 40
    track = b"\x00\xff\x51\x03\x0f\x42\x40" + NOTE_60 + END
    score = midi.read_score(file_of(track, division=division))
    assert score.end_seconds.tolist() == [0.096]
    drop = midi.read_score(file_of(NOTE_60 + END, division=(256 - 29) << 8 | 1))
    assert drop.end_seconds[0] == pytest.approx(96 * 1001 / 30000)


def test_a_riff_container_is_opened():
    inner = file_of(NOTE_60 + END)
    before = b"LIST" + struct.pack("<I", 3) + b"abc\x00"
    body = b"RMID" + before + b"data" + struct.pack("<I", len(inner)) + inner
    score = midi.read_score(b"RIFF" + struct.pack("<I", len(body)) + body)
    assert rows_of(score) == [(0, 96, 60, 64)]


def test_unknown_chunks_and_trailing_bytes_are_skipped_and_counted():
    data = file_of(NOTE_60 + END)
    alien = struct.pack(">4sI", b"XFIH", 3) + b"abc"
    reading = midi.read(data[:14] + alien + data[14:] + b"\x00\x00")
    assert rows_of(reading.score) == [(0, 96, 60, 64)]
    assert reading.doubtful == {"skipped bytes": 13}


def test_tracks_that_the_header_promises_and_the_file_lacks_are_counted():
    assert midi.read(file_of(NOTE_60 + END, declared=7)).doubtful == {"missing tracks": 6}
    assert len(midi.read_score(file_of(NOTE_60 + END, NOTE_60 + END, declared=1)).notes) == 2


def test_sequences_of_format_2_follow_each_other_and_share_nothing():
    # 96 ticks a quarter. First: tempo 1 s, 3/4, two flats, pedal down, C4 for a quarter and a
    # rest of one before the pedal of tick 192. Second: E4 after a quarter. Third: G4.
    first = (
        b"\x00\xff\x51\x03\x0f\x42\x40\x00\xff\x58\x04\x03\x02\x18\x08\x00\xff\x59\x02\xfe\x00"
        b"\x00\x90\x3c\x40\x60\x3c\x00\x60\xb0\x40\x7f"
    )
    second = b"\x60\x90\x40\x40\x60\x40\x00"
    third = b"\x00\x90\x43\x40\x60\x43\x00\x00\xff\x51\x03\x07\xa1\x20"
    reading = midi.read(file_of(first + END, second + END, third + END, form=2))
    assert reading.doubtful == {"appended sequences": 2}
    assert rows_of(reading.score) == [(0, 96, 60, 64), (288, 96, 64, 64), (384, 96, 67, 64)]
    assert reading.score.notes["track"].tolist() == [0, 1, 2]
    assert reading.score.tempi.tolist() == [
        (0, 1_000_000),
        (192, 500_000),
        (384, 500_000),
        (480, 500_000),
    ]
    assert reading.score.meters.tolist() == [(0, 3, 4), (192, 4, 4), (384, 4, 4)]
    assert reading.score.keys.tolist() == [(0, -2, False), (192, 0, False), (384, 0, False)]
    assert reading.score.pedal.tolist() == [(192, 64, 127, 0), (192, 64, 0, 0)]
    # With the second in front, and the first piece to begin with no meter, key or tempo.
    turned = midi.read(file_of(second + END, first + END, form=2)).score
    assert turned.tempi.tolist() == [(0, 500_000), (192, 1_000_000)]
    assert turned.meters.tolist() == [(0, 4, 4), (192, 3, 4)]
    assert turned.keys.tolist() == [(0, 0, False), (192, -2, False)]
    assert not len(midi.read(file_of(second + END, second + END, form=2)).score.meters)
    assert not len(midi.read(file_of(second + END, form=2)).score.meters)
    alone = midi.read(file_of(first + END, form=2))
    assert alone.doubtful == {} and rows_of(alone.score) == [(0, 96, 60, 64)]


def test_damaged_sequences_of_format_2_are_read_or_refused():
    with pytest.raises(midi.MidiError, match="damaged track"):
        midi.read(file_of(NOTE_60 + END, b"\x00\x3c\x40" + END, form=2))
    reading = midi.read(file_of(END, NOTE_60 + END, form=2))
    assert rows_of(reading.score) == [(0, 96, 60, 64)]


BAD_FILES = {
    "empty": (b"", "MThd"),
    "not MIDI": (b"GIF89a" + bytes(100), "MThd"),
    "a RIFF file without MIDI": (b"RIFF\x04\x00\x00\x00RMID", "without a data chunk"),
    "format 3": (file_of(NOTE_60 + END, form=3), "format 3"),
    "no tracks": (file_of(), "no track"),
    "no ticks": (file_of(NOTE_60 + END, division=0), "0 ticks"),
    "frames of 16": (file_of(NOTE_60 + END, division=0xF060), "SMPTE time of 16"),
    "cut off": (file_of(NOTE_60 + END)[:-5], "cut off: track 0 has 7 of its 12 bytes"),
    "cut in an event": (file_of(NOTE_60 + b"\x00\x90\x3c"), "damaged track"),
    "no status": (file_of(b"\x00\x3c\x40" + END), "damaged track"),
    "ten hours a tick": (file_of(NOTE_60 + b"\xff\xff\xff\x7f\xff\x2f\x00"), "ticks"),
    "days of music": (
        file_of(b"\x00\xff\x51\x03\xff\xff\xff\x00\x90\x3c\x40\xa0\x80\x00\x3c\x00" + END),
        "hours",
    ),
    "too many tracks": (file_of(*[END] * 1025), "more than 1024 tracks"),
    "too large": (bytes(8 * 2**20 + 1), "larger than"),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_a_bad_file_is_refused_with_its_reason(name):
    data, words = BAD_FILES[name]
    with pytest.raises(midi.MidiError, match=words):
        midi.read(data)


def test_too_many_notes_are_refused():
    data = file_of(b"\x00\x90\x3c\x40" + b"\x00\x3c\x00\x01\x3c\x40" * 1_000_001 + END)
    with pytest.raises(midi.MidiError, match="1000002 notes; up to 1000000"):
        midi.read(data)


def test_the_last_tick_is_read_and_the_one_after_it_is_not():
    def lasting(ticks: int) -> bytes:
        digits = bytes([ticks >> 21 & 127 | 128, ticks >> 14 & 127 | 128, ticks >> 7 & 127 | 128])
        note = b"\x00\x90\x3c\x40" + digits + bytes([ticks & 127]) + b"\x3c\x00"
        return file_of(b"\x00\xff\x51\x03\x00\x00\x01" + note + END)

    assert midi.read_score(lasting(LAST_TICK)).length_ticks == LAST_TICK
    with pytest.raises(midi.MidiError, match="ticks"):
        midi.read(lasting(LAST_TICK + 1))


def test_an_error_names_the_file_and_a_missing_file_is_an_os_error(tmp_path):
    path = tmp_path / "noise.mid"
    path.write_bytes(b"noise")
    with pytest.raises(midi.MidiError, match=r"noise\.mid: does not begin") as caught:
        midi.read(path)
    assert caught.value.reason == "does not begin with a MIDI header (MThd)"
    with pytest.raises(FileNotFoundError):
        midi.read(tmp_path / "absent.mid")


def torture() -> Score:
    """A piece with everything that is easy to lose."""
    notes = np.zeros(8, NOTE)
    notes["onset"] = [0, 10, 40, 40, 50, 50, 300_000, 300_000]
    notes["duration"] = [30, 40, 10, 5, 1, 20_000, 7, 8]
    notes["pitch"] = [60, 60, 60, 127, 60, 60, 0, 0]  # Overlaps, and ends that meet onsets.
    notes["velocity"] = [1, 127, 64, 3, 4, 5, 6, 7]
    notes["track"] = [0, 0, 0, 1, 0, 1, 1, 2]
    notes["program"] = [0, 0, 0, 40, 0, 40, 40, 127]
    notes["is_drum"] = [False] * 7 + [True]
    return Score.from_unsorted(
        480,
        notes,
        pedal=np.array(
            [(0, 64, 127, 0), (50, 64, 0, 0), (50, 64, 64, 0), (50, 66, 1, 0), (9, 67, 9, 0)], PEDAL
        ),
        tempi=np.array([(0, 1), (40, 2**24 - 1), (40, 500_000)], TEMPO),
        meters=np.array([(0, 6, 8), (300_000, 255, 128)], METER),
        keys=np.array([(0, -7, True), (16_384, 7, False)], KEY),
        title="Œuvre",
    )


def test_what_is_written_reads_back_equal(tmp_path):
    score = torture()
    path = tmp_path / "torture.mid"
    midi.write(score, path)
    reading = midi.read(path)
    assert_equal(reading.score, score)
    assert reading.doubtful == reading.left_out == {}
    assert [entry.name for entry in tmp_path.iterdir()] == ["torture.mid"]


def test_mido_finds_the_same_in_what_is_written(tmp_path):
    path = tmp_path / "torture.mid"
    midi.write(torture(), path)
    assert_mido_agrees(path, torture())


def test_a_note_ends_before_the_next_of_its_pitch_begins():
    notes = np.zeros(2, NOTE)
    notes["onset"], notes["duration"], notes["pitch"], notes["velocity"] = [0, 96], 96, 60, 64
    written = midi.to_bytes(Score(96, notes))
    assert written == file_of(
        END,
        b"\x00\xc0\x00\x00\x90\x3c\x40\x60\x80\x3c\x00\x00\x90\x3c\x40\x60\x80\x3c\x00" + END,
    )


def test_a_pedal_without_notes_is_written():
    pedal = np.array([(0, 64, 127, 0), (5, 64, 0, 0)], PEDAL)
    empty = Score(96, np.zeros(0, NOTE), pedal=pedal)
    assert_equal(midi.read_score(midi.to_bytes(empty)), empty)


def test_more_voices_than_channels_survive():
    notes = np.zeros(40, NOTE)
    notes["track"], notes["duration"], notes["velocity"], notes["pitch"] = np.arange(40), 5, 9, 60
    score = Score(96, notes)
    assert_equal(midi.read_score(midi.to_bytes(score)), score)


def mido_notes(file: mido.MidiFile) -> list[tuple[int, int, int, int]]:
    """Notes by first in, first out pairing in each track; those left open end with it."""
    rows = []
    for track in file.tracks:
        tick, open_notes = 0, defaultdict(deque)
        for message in track:
            tick += message.time
            if message.type == "note_on" and message.velocity:
                open_notes[message.channel, message.note].append((tick, message.velocity))
            elif message.type in ("note_on", "note_off"):
                waiting = open_notes[message.channel, message.note]
                if waiting:
                    onset, velocity = waiting.popleft()
                    rows.append((onset, max(tick - onset, 1), message.note, velocity))
        for (_, pitch), waiting in open_notes.items():
            rows += [(onset, max(tick - onset, 1), pitch, v) for onset, v in waiting]
    return sorted(rows)


def assert_mido_agrees(path: Path, score: Score) -> None:
    file = mido.MidiFile(path)
    assert score.ticks_per_quarter == file.ticks_per_beat
    assert sorted(rows_of(score)) == mido_notes(file)
    tempi, pedal = [], set()
    for track in file.tracks:
        tick = 0
        for message in track:
            tick += message.time
            if message.type == "set_tempo":
                tempi.append((tick, message.tempo))
            elif message.type == "control_change" and message.control in (64, 66, 67):
                pedal.add((tick, message.control, message.value))
    assert score.tempi.tolist() == sorted(tempi, key=lambda tempo: tempo[0])
    assert set(score.pedal[["tick", "controller", "value"]].tolist()) == pedal


def real_files(count: int) -> list[Path]:
    """Files spread over all collections; none without the data."""
    found = sorted(p for d in ("performances", "scores") for p in (DATA / d).rglob("*.mid"))
    return found[:: max(len(found) // count, 1)]


needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="needs real music in ../shared/data")


@needs_data
def test_mido_finds_the_same_notes_pedal_and_tempi_in_real_files():
    files = real_files(20)
    assert len(files) >= 20
    for path in files:
        assert_mido_agrees(path, midi.read_score(path))


@needs_data
def test_real_files_read_back_equal_after_writing():
    for path in real_files(100):
        score = midi.read_score(path)
        assert_equal(midi.read_score(midi.to_bytes(score)), score)


@needs_data
def test_open_notes_of_a_real_file_are_all_found():
    path = DATA / "nasty_midi/local_only/olofmogren__c-rnn-gan/1533avautunno2.mid"
    reading = midi.read(path)
    assert sorted(rows_of(reading.score)) == mido_notes(mido.MidiFile(path))
    assert reading.doubtful["notes without a note-off"] == 30
