"""Tests of pipelines/reading and of the folder source: every kind of file a user has."""

import os
import random
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from pipelines.codecs import abc_text
from pipelines.formats import reading, score_files
from pipelines.preparation.parts import Skipped
from pipelines.preparation.tasks import Recipe, encode_piece
from pipelines.shaping import Shaping
from pipelines.sources import corpus, folder
from pipelines.sources.source import Piece

DATA = Path(__file__).parents[2].parent / "shared" / "data"
MIDI = (
    struct.pack(">4sIHHH4sI", b"MThd", 6, 0, 1, 96, b"MTrk", 11)
    + b"\x00\x90\x3c\x40\x60\x3c\x00\x00\xff\x2f\x00"
)
ABC = "X:1\nT:One\nL:1/4\nK:C\nC\n"
KERN = "**kern\n*M4/4\n=1\n4c\n4d\n4e\n4f\n=2\n*-\n"
MUSICXML = """<?xml version="1.0" encoding="UTF-8"?>
<score-partwise version="3.1"><part-list><score-part id="P1"><part-name>A</part-name></score-part>
</part-list><part id="P1"><measure number="1"><attributes><divisions>1</divisions></attributes>
<note><pitch><step>C</step><octave>4</octave></pitch><duration>1</duration><type>quarter</type></note>
</measure></part></score-partwise>"""


@pytest.mark.parametrize("suffix", (*reading.MIDI_SUFFIXES, ".MID", ".Kar"))
def test_midi_files_are_read_by_any_of_their_suffixes(tmp_path, suffix):
    riff = b"RIFF" + struct.pack("<I", len(MIDI) + 12) + b"RMIDdata"
    content = riff + struct.pack("<I", len(MIDI)) + MIDI if suffix == ".rmi" else MIDI
    path = tmp_path / f"piece{suffix}"
    path.write_bytes(content)
    assert reading.read(path).notes["pitch"].tolist() == [60]
    with pytest.raises(ValueError, match=r"only ABC files have numbers; asked for 3"):
        reading.read(path, 3)


def test_musicxml_and_kern_are_read(tmp_path):
    for name, content in (("a.musicxml", MUSICXML), ("b.xml", MUSICXML), ("c.KRN", KERN)):
        path = tmp_path / name
        path.write_text(content)
        score = reading.read(str(path))
        expected = [60, 62, 64, 65] if name == "c.KRN" else [60]
        assert score.notes["pitch"].tolist() == expected
        assert score.title == ""
    packed = corpus.corpus_root() / "bach" / "bwv66.6.mxl"
    assert len(reading.read(packed).notes) == 163  # As many sounding notes as are printed.


def test_abc_is_read_by_number(tmp_path):
    path = tmp_path / "a.ABC"
    path.write_text(ABC + "\nX:2\nL:1/4\nK:C\nD E\n")
    assert reading.read(path, 2).notes["pitch"].tolist() == [62, 64]
    with pytest.raises(ValueError, match="expected one tune"):
        reading.read(path)


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("a.txt", None),
        ("a.mid", 3),
        ("a.mid", None),
        ("a.abc", None),
        ("a.abc", 3),
        ("a.musicxml", None),
        ("a.krn", None),
        ("gone.mid", None),
        ("gone.mxl", None),
    ],
)
def test_the_reason_why_a_file_is_not_read_does_not_say_where_it_lies(tmp_path, name, number):
    if not name.startswith("gone"):
        (tmp_path / name).write_bytes(b"no music")
    recipe = Recipe(folder.Source(path=str(tmp_path)), abc_text.Codec(), Shaping())
    piece = Piece("a", "", "", "", "", "", path=str(tmp_path / name), number=number)
    skipped = encode_piece(recipe, piece)
    assert isinstance(skipped, Skipped) and not skipped.is_fault
    assert skipped.reason and str(tmp_path) not in skipped.reason


def test_other_files_are_refused_with_those_that_are_read(tmp_path):
    for name in ("a.txt", "a"):
        (tmp_path / name).write_text(ABC)
        with pytest.raises(
            ValueError, match=r"^(\.txt|no suffix) is not read; give a file that ends"
        ):
            reading.read(tmp_path / name)
    for suffix in reading.SUFFIXES:
        with pytest.raises(OSError, match="No such file"):
            reading.read(tmp_path / f"gone{suffix}")
        (tmp_path / f"dir{suffix}").mkdir()
        with pytest.raises((ValueError, OSError)):
            reading.read(tmp_path / f"dir{suffix}")


def test_scores_that_unpack_to_too_much_are_refused(tmp_path, monkeypatch):
    path = tmp_path / "large.mxl"
    shutil.copy(corpus.corpus_root() / "bach" / "bwv66.6.mxl", path)
    monkeypatch.setattr(score_files, "LARGEST_BYTES", 2 * path.stat().st_size)
    with pytest.raises(ValueError, match="is larger than"):
        reading.read(path)


BOMB = (
    "<!DOCTYPE a ["
    + '<!ENTITY e0 "aaaaaaaaaa">'
    + "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 10))
    + "]><score-partwise>&e9;</score-partwise>"
)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("empty.xml", b""),
        ("text.musicxml", b"no XML"),
        ("other.xml", b"<html><body/></html>"),
        ("bomb.xml", BOMB.encode()),
        ("empty.krn", b""),
        ("bytes.krn", bytes(range(256)) * 10),
        ("empty.mxl", b""),
        ("text.mxl", b"PK\x03\x04"),
        ("empty.abc", b""),
        ("bytes.abc", bytes(range(256)) * 10),
        ("empty.mid", b""),
    ],
)
def test_files_that_are_no_music_give_an_error_or_a_score_without_notes(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    try:
        assert not len(reading.read(tmp_path / name).notes)
    except ValueError as error:
        assert str(error)


@pytest.mark.parametrize(("name", "content"), [("a.musicxml", MUSICXML), ("a.krn", KERN)])
def test_mutants_of_what_music21_reads_give_a_score_or_a_value_error(tmp_path, name, content):
    chance, accepted = random.Random(3), 0
    for _ in range(60):
        data = bytearray(content.encode())
        for _ in range(chance.choice([1, 2, 5])):
            data[chance.randrange(len(data))] ^= 1 << chance.randrange(7)
        if chance.random() < 0.2:
            data = data[: chance.randrange(len(data))]
        (tmp_path / name).write_bytes(data)
        try:
            score = reading.read(tmp_path / name)
            assert (score.notes["duration"] >= 1).all()
            accepted += 1
        except ValueError as error:
            assert str(error)
    assert accepted  # Both happen.


def test_nasty_midi_files_give_a_score_or_a_value_error():
    paths = sorted((DATA / "nasty_midi").rglob("*"))
    if not paths:
        pytest.skip("../shared/data is not here")
    read = 0
    for path in paths:
        if path.suffix.lower() in reading.MIDI_SUFFIXES:
            try:
                read += len(reading.read(path).notes) >= 0
            except ValueError as error:
                assert str(error)
    assert read > 100
    two = next(path for path in paths if path.name == "test-2-tracks-type-2.mid")
    assert len(reading.read(two).notes) == 16


def test_music21_is_not_imported_to_read_midi_and_abc():
    code = (
        "import sys, pipelines.formats.reading, pipelines.sources.folder;"
        "import pipelines.codecs.abc_text;"
        "sys.exit(bool({'music21', 'tensorflow'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# The folder


def test_a_folder_gives_all_kinds_of_files_and_a_piece_a_tune(tmp_path):
    (tmp_path / "one.abc").write_text(ABC)
    (tmp_path / "folk").mkdir()
    (tmp_path / "folk" / "two.abc").write_text(ABC + "\nX:12\nL:1/4\nK:C\nD\n")
    (tmp_path / "piece.kar").write_bytes(MIDI)
    (tmp_path / "kern.krn").write_text(KERN)
    (tmp_path / "score.musicxml").write_text(MUSICXML)
    (tmp_path / "text.txt").write_text("no music")
    (tmp_path / "broken.abc").write_text("no tune")
    source = folder.Source(path=str(tmp_path))
    pieces = {piece.key: piece for piece in source.pieces()}
    assert list(pieces) == [
        "broken.abc",
        "folk/two.abc#1",
        "folk/two.abc#12",
        "kern.krn",
        "one.abc",
        "piece.kar",
        "score.musicxml",
    ]
    two = pieces["folk/two.abc#12"]
    assert (two.number, two.title, two.composer, two.size_bytes) == (12, "two 12", "folk", 16)
    assert pieces["folk/two.abc#1"].title == "One"
    assert pieces["one.abc"].number is None and pieces["one.abc"].size_bytes == len(ABC)
    assert len({piece.fingerprint for piece in pieces.values()}) == 6  # One a file.
    notes = {
        key: source.read(p).notes["pitch"].tolist() for key, p in pieces.items() if key[0] != "b"
    }
    assert notes["folk/two.abc#12"] == [62] and notes["folk/two.abc#1"] == notes["one.abc"] == [60]
    assert notes["kern.krn"] == [60, 62, 64, 65] and notes["piece.kar"] == [60]
    with pytest.raises(ValueError, match="has no tune"):
        source.read(pieces["broken.abc"])


def test_a_row_of_pieces_tsv_holds_for_all_tunes_of_its_file(tmp_path):
    (tmp_path / "two.abc").write_text(ABC + "\nX:2\nK:C\nD\n")
    (tmp_path / "pieces.tsv").write_text("path\tgroup\tcomposer\ntwo.abc\tg\tAnon\n")
    pieces = folder.Source(path=str(tmp_path)).pieces()
    assert [(p.group, p.composer) for p in pieces] == [("pieces.tsv: g", "Anon")] * 2


def test_pipes_and_links_to_nothing_are_listed_and_cannot_be_read(tmp_path):
    for suffix in (".mid", ".abc", ".musicxml", ".mxl", ".krn"):
        os.mkfifo(tmp_path / f"pipe{suffix}")
    (tmp_path / "link.abc").symlink_to(tmp_path / "gone.abc")
    source = folder.Source(path=str(tmp_path))
    for piece in source.pieces():
        assert (piece.size_bytes, piece.fingerprint) == (0, "")
        with pytest.raises((ValueError, OSError)):
            source.read(piece)


def test_linked_folders_are_searched_each_once_and_no_circle_is_endless(tmp_path):
    music, elsewhere = tmp_path / "music", tmp_path / "elsewhere"
    (music / "own").mkdir(parents=True)
    (elsewhere / "deep").mkdir(parents=True)
    (music / "own" / "a.abc").write_text(ABC)
    (elsewhere / "b.abc").write_text(ABC)
    (elsewhere / "deep" / "c.abc").write_text(ABC)
    (music / "linked").symlink_to(elsewhere, target_is_directory=True)
    (music / "once more").symlink_to(elsewhere, target_is_directory=True)
    (elsewhere / "back").symlink_to(music, target_is_directory=True)
    (music / "to nothing").symlink_to(tmp_path / "gone", target_is_directory=True)
    keys = [piece.key for piece in folder.Source(path=str(music)).pieces()]
    assert keys == ["linked/b.abc", "linked/deep/c.abc", "own/a.abc"]


def test_a_folder_that_is_itself_a_link_is_searched(tmp_path):
    (tmp_path / "music").mkdir()
    (tmp_path / "music" / "a.abc").write_text(ABC)
    (tmp_path / "link").symlink_to(tmp_path / "music", target_is_directory=True)
    assert [p.key for p in folder.Source(path=str(tmp_path / "link")).pieces()] == ["a.abc"]


REPEATED = """X:1
L:1/4
K:C
|: C {d}D "Am"E :|
"""


@pytest.mark.parametrize(("repeats", "pitches"), [("played", 6), ("once", 3)])
def test_repeats_are_played_or_read_once_and_what_is_left_out_is_counted(
    tmp_path, repeats, pitches
):
    (tmp_path / "a.abc").write_text(REPEATED)
    source = folder.Source(path=str(tmp_path), repeats=repeats)
    reading = source.read_counted(source.pieces()[0])
    assert len(reading.score.notes) == pitches
    assert reading.left_out["grace notes"] == reading.left_out["chord symbols"] == 1
    assert source.flags() == {"repeats": repeats}


def test_a_folder_of_real_tunes_is_listed_tune_by_tune():
    path = DATA / "abc" / "nottingham" / "ABC_cleaned"
    if not path.is_dir():
        pytest.skip("../shared/data is not here")
    source = folder.Source(path=str(path))
    pieces = source.pieces()
    assert len(pieces) == 1034
    assert len({piece.key for piece in pieces}) == 1034
    score = source.read(next(piece for piece in pieces if piece.key == "jigs.abc#3"))
    assert score.title == "The American Dwarf"
