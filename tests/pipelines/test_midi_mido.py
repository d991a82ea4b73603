"""Damaged tracks that symusic refuses and mido reads: known bytes, limits, real files."""

from pathlib import Path

import numpy as np
import pytest
from test_midi import END, NOTE_60, file_of, real_files, rows_of, torture

from pipelines.formats import midi, midi_chunks, midi_mido, midi_symusic
from pipelines.formats.midi_events import MOST_OPEN_NOTES
from pipelines.score_arrays import sorted_notes

NASTY = Path(__file__).parents[2] / "../shared/data/nasty_midi"
LOUD = b"\x00\x90\x48\xff"  # A velocity of 255 makes symusic refuse the track.
LOUD_OFF = b"\x00\x80\x48\x00"


def test_a_data_byte_above_127_is_read_as_127_and_the_reader_is_named():
    reading = midi.read(file_of(b"\x00\x90\x3c\x90\x60\x80\x3c\x00" + END))
    assert rows_of(reading.score) == [(0, 96, 60, 127)]
    assert reading.reader == "mido"


def test_every_field_of_a_damaged_file_is_read():
    conductor = (
        b"\x00\xff\x03\x04Walz"
        b"\x00\xff\x51\x03\x0f\x42\x40"  # 1,000,000 microseconds a quarter.
        b"\x00\xff\x58\x04\x03\x03\x18\x08"  # 3/8.
        b"\x00\xff\x59\x02\xfd\x01"  # Three flats, minor.
        b"\x00\xff\x51\x03\x07\xa1\x20"  # 500,000, on the same tick.
    )
    piano = (
        b"\x00\x93\x3c\x40"  # Program 0, and 5 from the next note on.
        b"\x00\xc3\x05\x00\x93\x40\x50"
        b"\x00\xb3\x40\x7f\x00\x43\x01\x00\x07\x64"  # Sustain, soft; volume is left out.
        b"\x60\x93\x3c\x00\x00\x83\x40\x7f"  # Both end at 96.
        b"\x00\xb3\x40\x00"
    )
    drum = b"\x10\x99\x24\xff\x10\x89\x24\x00"
    reading = midi.read(file_of(conductor + END, piano + END, drum + END))
    score = reading.score
    assert reading.reader == "mido"
    assert score.title == "Walz"
    assert score.notes.tolist() == [
        (0, 96, 60, 64, 0, 0, False),
        (0, 96, 64, 80, 1, 5, False),
        (16, 16, 36, 127, 2, 0, True),
    ]
    assert score.pedal.tolist() == [(0, 64, 127, 0), (0, 67, 1, 0), (96, 64, 0, 0)]
    assert score.tempi.tolist() == [(0, 1_000_000), (0, 500_000)]
    assert score.meters.tolist() == [(0, 3, 8)]
    assert score.keys.tolist() == [(0, -3, True)]


def test_notes_of_a_damaged_track_pair_first_in_first_out_and_are_closed_at_its_end():
    # 60 twice and 62, one off for 60 at 10; an off for 64, which does not sound; the end at 60.
    track = b"\x00\x90\x3c\xff\x00\x3c\x41\x00\x3e\x42\x0a\x3c\x00\x00\x40\x00\x32\xff\x2f\x00"
    reading = midi.read(file_of(track))
    assert rows_of(reading.score) == [(0, 10, 60, 127), (0, 60, 60, 65), (0, 60, 62, 66)]
    assert (reading.reader, reading.doubtful) == ("mido", {"notes without a note-off": 2})


def test_what_follows_the_end_of_a_damaged_track_is_dropped_and_counted():
    reading = midi.read(file_of(LOUD + b"\x05" + LOUD_OFF[1:] + END + NOTE_60 + END))
    assert rows_of(reading.score) == [(0, 5, 72, 127)]
    # Two messages of a note and one more end.
    assert reading.doubtful == {"events after the end of a track": 3}


def test_meters_without_meaning_are_dropped_from_a_damaged_file_and_counted():
    meters = b"\x00\xff\x58\x04\x03\xff\x18\x08\x00\xff\x58\x04\x00\x02\x18\x08"  # 3/2^255, 0/4.
    reading = midi.read(file_of(meters + LOUD + LOUD_OFF + END))
    assert len(reading.score.meters) == 0
    assert reading.doubtful == {"meters without meaning": 2, "notes of no duration": 1}


def test_smpte_time_of_a_damaged_file_keeps_its_seconds():
    # 25 frames of 40 ticks: 1000 ticks a second; the tempo in the file has no say.
    track = b"\x00\xff\x51\x03\x0f\x42\x40" + LOUD + b"\x60" + LOUD_OFF[1:] + END
    score = midi.read_score(file_of(track, division=(256 - 25) << 8 | 40))
    assert score.end_seconds.tolist() == [0.096]


REFUSED = {
    "neither reader": (LOUD + b"\x00\xf4" + END, r"symusic: .*; mido: undefined status.*track 0"),
    "an end inside an event": (LOUD + b"\x00\x90\x3c", "mido: EOFError"),
    "eight sharps": (LOUD + b"\x00\xff\x59\x02\x08\x00" + END, "mido: Could not decode key"),
    "a tempo of one byte": (LOUD + b"\x00\xff\x51\x01\x07" + END, "mido: list index"),
    "too many bytes": (LOUD + b"\x00\x3c\x40" * 2**18 + END, "mido: not asked, 7864.. bytes"),
    "a delta time without end": (LOUD + b"\xff" * 1000 + b"\x00\xc0\x00" + END, "not asked, 1000"),
    "months": (LOUD + b"\x81\x80\x80\x80\x00\xc0\x00" + END, "more than 268435454 ticks"),
    "open notes": (
        LOUD + b"\x00\x48\x40" * MOST_OPEN_NOTES + END,
        "leaves more than 4096 notes of one pitch open",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_mido_cannot_read_or_is_not_asked_is_refused_with_the_reason(name):
    track, words = REFUSED[name]
    with pytest.raises(midi.MidiError, match=words):
        midi.read(file_of(track))


def test_a_file_refused_for_its_form_is_not_given_to_mido():
    with pytest.raises(midi.MidiError, match="cut off") as caught:
        midi.read(file_of(LOUD + END)[:-1])
    assert "mido" not in caught.value.reason


def assert_both_read_the_same(data: bytes) -> None:
    chunks = midi_chunks.split(data)
    ticks_per_quarter, _ = midi_chunks.time_base(chunks.division)
    first = midi_symusic.parse(ticks_per_quarter, chunks.tracks)
    second = midi_mido.parse(chunks.tracks)
    np.testing.assert_array_equal(sorted_notes(first.notes), sorted_notes(second.notes))
    for name in ("pedal", "tempi", "meters", "keys"):
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name), err_msg=name)
    for name in ("notes without a note-off", "pitch bends", "controllers other than pedals"):
        counts = [(e.doubtful | e.left_out).get(name, 0) for e in (first, second)]
        assert counts[0] == counts[1], name


def test_of_a_whole_file_both_readers_give_the_same():
    assert_both_read_the_same(midi.to_bytes(torture()))


needs_data = pytest.mark.skipif(not NASTY.is_dir(), reason="needs the MIDI files of ../shared/data")


@needs_data
def test_of_real_files_both_readers_give_the_same():
    files = [path for path in real_files(60) if path.stat().st_size < 30_000]
    assert len(files) >= 20
    for path in files:
        assert_both_read_the_same(path.read_bytes())


@needs_data
@pytest.mark.parametrize(
    ("file", "notes"),
    [
        ("local_only/melanchall__drywetmidi/BrahmsWltz3.mid", 301),
        ("local_only/melanchall__drywetmidi/bolero06.mid", 48),
        ("local_only/olofmogren__c-rnn-gan/mazrka21.mid", 1961),
        ("redistributable/mido__mido/test_invalid_data_byte_no_clipping.mid", 1),
    ],
)
def test_malformed_files_that_symusic_refuses_are_read_by_mido(file, notes):
    reading = midi.read(NASTY / file)
    assert (reading.reader, len(reading.score.notes)) == ("mido", notes)
