"""Tests of pipelines/sources."""

import dataclasses
import shutil
from pathlib import Path
from typing import get_args, get_type_hints

import numpy as np
import pytest
from small_midi import write_midi

from pipelines.cache_folder import cache_folder
from pipelines.sources import corpus, folder
from pipelines.sources.source import SourceError

DATA = Path("../shared/data")


# folder


def test_composer_and_genre_come_from_the_directories(tmp_path):
    write_midi(tmp_path / "flat.mid", 60)
    write_midi(tmp_path / "bach" / "one.MID", 60)
    write_midi(tmp_path / "classical" / "haydn" / "two.midi", 60)
    write_midi(tmp_path / "classical" / "haydn" / "op1" / "three.mid", 60)
    pieces = folder.Source(path=str(tmp_path)).pieces()
    assert [(p.key, p.genre, p.composer, p.title) for p in pieces] == [
        ("bach/one.MID", "unknown", "bach", "one"),
        ("classical/haydn/op1/three.mid", "classical", "haydn", "three"),
        ("classical/haydn/two.midi", "classical", "haydn", "two"),
        ("flat.mid", "unknown", "unknown", "flat"),
    ]
    assert all(piece.group == "" for piece in pieces)


def test_other_and_hidden_files_are_passed_over(tmp_path):
    write_midi(tmp_path / "music.mid", 60)
    write_midi(tmp_path / "._music.mid", 60)
    write_midi(tmp_path / ".trash" / "old.mid", 60)
    (tmp_path / "notes.txt").write_text("no music")
    assert [p.key for p in folder.Source(path=str(tmp_path)).pieces()] == ["music.mid"]


def test_reading_gives_the_notes(tmp_path):
    write_midi(tmp_path / "scale.mid", 60, 62, 64)
    source = folder.Source(path=str(tmp_path))
    score = source.read(source.pieces()[0])
    assert score.notes["pitch"].tolist() == [60, 62, 64]
    assert score.notes["onset"].tolist() == [0, 240, 480]


def test_a_file_without_notes_or_that_is_no_midi_cannot_be_read(tmp_path):
    write_midi(tmp_path / "empty.mid")
    (tmp_path / "text.mid").write_text("not MIDI at all")
    source = folder.Source(path=str(tmp_path))
    for piece in source.pieces():
        with pytest.raises(ValueError):
            source.read(piece)


def test_pieces_tsv_gives_group_and_composer(tmp_path):
    for name in ("a/one.mid", "a/two.mid", "a/three.mid"):
        write_midi(tmp_path / name, 60)
    rows = ["group\tgroup_size\tcomposer\tpath", "7\t2\tBach\ta/one.mid", "7\t2\t\ta/two.mid"]
    (tmp_path / "pieces.tsv").write_text("\n".join(rows) + "\n")
    pieces = {p.title: p for p in folder.Source(path=str(tmp_path)).pieces()}
    assert pieces["one"].group == pieces["two"].group != ""
    assert pieces["three"].group == ""
    assert [pieces[name].composer for name in ("one", "two")] == ["Bach", "a"]


def test_a_file_that_pieces_tsv_names_but_is_not_there_is_listed_and_cannot_be_read(tmp_path):
    (tmp_path / "pieces.tsv").write_text("path\tgroup\ngone.mid\t1\ncover.jpg\t1\n")
    source = folder.Source(path=str(tmp_path))
    (piece,) = source.pieces()
    with pytest.raises((ValueError, OSError)):
        source.read(piece)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("file,group\n", "no column path"),
        ("path\tcomposer\n", "no column group"),
        ("path\tgroup\n../x.mid\t1\n", "line 2: path '../x.mid'"),
        ("path\tgroup\n/etc/x.mid\t1\n", "inside the directory"),
        ("path\tgroup\nx.mid\t\n", "group ''"),
        ("path\tgroup\nx.mid\n", "group None"),
    ],
)
def test_a_wrong_pieces_tsv_is_refused_in_words(tmp_path, content, said):
    write_midi(tmp_path / "x.mid", 60)
    (tmp_path / "pieces.tsv").write_text(content)
    with pytest.raises(ValueError, match=said):
        folder.Source(path=str(tmp_path)).pieces()


def test_a_path_without_music_is_refused_with_what_to_do(tmp_path):
    (tmp_path / "file.mid").write_text("x")
    (tmp_path / "empty").mkdir()
    for path, said in [
        ("", "needs --path"),
        (str(tmp_path / "gone"), "there is no directory"),
        (str(tmp_path / "file.mid"), "is a file; give the directory"),
        (str(tmp_path / "empty"), r"no music file \(.mid, .midi, "),
    ]:
        with pytest.raises(ValueError, match=said):
            folder.Source(path=path).pieces()


def test_the_fingerprint_follows_the_content(tmp_path):
    write_midi(tmp_path / "a.mid", 60)
    write_midi(tmp_path / "b.mid", 60)
    write_midi(tmp_path / "c.mid", 61)
    first, copy, other = (p.fingerprint for p in folder.Source(path=str(tmp_path)).pieces())
    assert first == copy != other


def test_file_names_that_are_no_utf_8_are_listed(tmp_path):
    write_midi(tmp_path / "a.mid", 60)
    try:
        (tmp_path / "a.mid").rename(tmp_path / b"\xff.mid".decode("utf-8", "surrogateescape"))
    except OSError:
        pytest.skip("this file system takes only UTF-8")
    source = folder.Source(path=str(tmp_path))
    (piece,) = source.pieces()
    assert piece.key == "\\xff.mid"
    assert len(source.read(piece).notes) == 1


def test_real_scores_are_listed_by_composer():
    if not (DATA / "scores" / "piano-midi.de").is_dir():
        pytest.skip("../shared/data is not here")
    source = folder.Source(path=str(DATA / "scores" / "piano-midi.de"))
    pieces = source.pieces()
    assert len(pieces) == 240
    assert len(source.read(pieces[0]).notes) > 100


# corpus


def chorale(tmp_path, **flags):
    """BWV 66.6, the chorale of music21's own documentation."""
    source = corpus.Source(
        composer=("bach",), works_per_composer=None, cache_dir=str(tmp_path), **flags
    )
    return source, next(p for p in source.pieces() if p.key == "bach/bwv66.6.mxl")


def test_the_corpus_lists_composers_works_and_genres_without_music21(tmp_path):
    source = corpus.Source()
    pieces = source.pieces()
    keys = [piece.key for piece in pieces]
    assert keys == sorted(set(keys))
    composers = {piece.composer for piece in pieces}
    assert composers == set(source.composer)
    haydn = [piece for piece in pieces if piece.composer == "haydn"]
    assert len(haydn) == 9
    assert {piece.group for piece in haydn} == {"haydn/opus1no1", "haydn/opus74no1"}
    assert {piece.genre for piece in haydn} == {"classical"}


def test_movements_of_a_cantata_a_mass_and_editions_of_a_madrigal_are_one_work():
    source = corpus.Source(composer=("all",), works_per_composer=None)
    groups = {piece.key: piece.group for piece in source.pieces()}
    assert groups["bach/bwv248.35-3.mxl"] == groups["bach/bwv248.9-1.mxl"] == "bach/bwv248"
    assert groups["bach/bwv846.mxl"] == "bach/bwv846"
    assert groups["palestrina/Kyrie_27_a.krn"] == "palestrina/27"
    assert groups["monteverdi/madrigal.3.1_old.mxl"] == groups["monteverdi/madrigal.3.1.mxl"]
    assert groups["monteverdi/madrigal.3.10.mxl"] != groups["monteverdi/madrigal.3.1.mxl"]


def test_of_two_encodings_of_a_score_one_is_listed():
    pieces = corpus.Source(composer=("beethoven", "bach"), works_per_composer=None).pieces()
    keys = {piece.key for piece in pieces}
    assert "beethoven/opus18no1/movement2.mxl" in keys
    assert "beethoven/opus18no1/movement2.krn" not in keys
    assert not any(key.endswith(".rntxt") for key in keys)


def test_each_tune_of_an_abc_file_is_a_piece(tmp_path):
    source = corpus.Source(composer=("josquin",), cache_dir=str(tmp_path))
    pieces = [piece for piece in source.pieces() if piece.key.startswith("josquin/milleRegrets")]
    assert len(pieces) > 1 and len({piece.group for piece in pieces}) == 1
    digests = {source.read(piece).notes_digest() for piece in pieces[:2]}
    assert len(digests) == 2


def test_works_per_composer_caps_each_composer_and_a_larger_cap_keeps_the_choice():
    few = {p.key for p in corpus.Source(works_per_composer=2).pieces()}
    more = {p.key for p in corpus.Source(works_per_composer=4).pieces()}
    assert len(few) == 2 * 6 and few < more


def test_largest_megabytes_leaves_out_long_scores():
    small = corpus.Source(composer=("beethoven",), works_per_composer=None).pieces()
    whole = corpus.Source(
        composer=("beethoven",), works_per_composer=None, largest_megabytes=20
    ).pieces()
    assert {p.key for p in whole} - {p.key for p in small} >= {"beethoven/opus132.mxl"}
    with pytest.raises(ValueError, match=r"largest_megabytes=0\.001; give a larger number"):
        corpus.Source(composer=("haydn",), largest_megabytes=0.001).pieces()


def test_a_composer_that_is_not_there_is_refused_with_those_that_are():
    with pytest.raises(ValueError, match=r"no composer bahc; --composer takes all, or .*bach"):
        corpus.Source(composer=("bahc", "haydn"))
    with pytest.raises(ValueError, match="works_per_composer is 0"):
        corpus.Source(works_per_composer=0)


def test_a_chorale_has_the_notes_of_its_score(tmp_path):
    source, piece = chorale(tmp_path)
    score = source.read(piece)
    # By hand from the score: anacrusis of a quarter, F sharp minor (3 sharps), 4/4, 36 quarters;
    # soprano begins C#5 B4 | A4 in eighths and a quarter, bass A3 G#3 | F#3.
    assert score.length_ticks == 36 * score.ticks_per_quarter
    assert score.notes["track"].max() == 3
    for track, first in ((0, [73, 71, 69]), (3, [57, 56, 54])):
        voice = score.notes[score.notes["track"] == track][:3]
        assert voice["pitch"].tolist() == first
        assert voice["onset"].tolist() == [0, 240, 480]
        assert voice["duration"].tolist() == [240, 240, 480]
    assert score.keys["sharps"].tolist() == [3]
    assert score.meters[["numerator", "denominator"]].tolist() == [(4, 4)]
    assert score.composer == "bach" and len(score.tempi) in (0, 1)


def test_a_piece_is_read_from_the_cache_the_second_time(tmp_path):
    source, piece = chorale(tmp_path)
    first = source.read(piece)
    written = source.cached(piece).stat().st_mtime_ns
    second = source.read(piece)
    assert source.cached(piece).stat().st_mtime_ns == written
    for name in ("notes", "pedal", "tempi", "meters", "keys"):
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name))
    assert first.title == second.title


@pytest.mark.parametrize("damage", ["cut", "flip", "empty"])
def test_a_damaged_entry_of_the_cache_is_parsed_again(tmp_path, damage):
    source, piece = chorale(tmp_path)
    whole = source.read(piece)
    path = source.cached(piece)
    content = bytearray(path.read_bytes())
    if damage == "flip":
        content[len(content) // 2] ^= 1
    path.write_bytes({"cut": content[:-9], "flip": content, "empty": b""}[damage])
    np.testing.assert_array_equal(source.read(piece).notes, whole.notes)
    assert path.stat().st_size > 1000


def test_a_cache_that_cannot_be_written_stops_all_reading(tmp_path):
    (tmp_path / "file").write_text("x")
    source, piece = chorale(tmp_path / "file")
    with pytest.raises(SourceError, match="--cache_dir"):
        source.read(piece)


def test_the_cache_is_where_the_environment_says(tmp_path, monkeypatch):
    monkeypatch.setenv("CRNN_GAN_CACHE_DIR", str(tmp_path / "here"))
    assert cache_folder() == tmp_path / "here"
    assert cache_folder(str(tmp_path / "given")) == tmp_path / "given"
    monkeypatch.delenv("CRNN_GAN_CACHE_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "crnn_gan"
    assert "cache_dir" not in corpus.Source(cache_dir="x").flags()


@pytest.mark.parametrize(
    ("collection", "count", "begins", "without"),
    [
        ("bach_chorales", 408, "bach/bwv1.6", "bach/bwv846"),
        ("quartets", 46, "beethoven/opus132", "mozart/k545"),
        ("songs", 9, "beach/prayer", "schumann_robert/opus41"),
        ("airds_airs", 1180, "airdsAirs/", "ryansMammoth/"),
        ("essen_folksong", 8514, "essenFolksong/", "airdsAirs/"),
        ("oneills_1850", 2009, "oneills1850/", "airdsAirs/"),
        ("ryans_mammoth", 1059, "ryansMammoth/", "airdsAirs/"),
    ],
)
def test_a_collection_of_the_corpus_is_listed_whole(collection, count, begins, without):
    # Counts of music21 10; a later one may hold more.
    keys = [p.key for p in corpus.Source(collection=collection, largest_megabytes=99).pieces()]
    assert len(keys) >= count and keys == sorted(set(keys))
    assert any(key.startswith(begins) for key in keys)
    assert not any(key.startswith(without) for key in keys)


def test_the_default_of_the_corpus_is_what_it_was_before_it_had_collections():
    pieces = corpus.Source().pieces()
    assert {p.composer for p in pieces} == set(corpus.DEFAULT_COMPOSERS)
    assert corpus.Source() == corpus.Source(collection="by_composer", works_per_composer=100)


def test_a_collection_and_a_choice_of_composers_exclude_each_other():
    for flags in ({"composer": ("bach",)}, {"works_per_composer": 3}):
        with pytest.raises(ValueError, match=r"--collection=songs takes all of it"):
            corpus.Source(collection="songs", **flags)


def test_every_name_of_a_collection_is_one_that_can_be_given():
    names = get_args(get_type_hints(corpus.Source)["collection"])
    assert set(names) == {"by_composer", *corpus.COLLECTIONS}


def test_folk_songs_are_read_without_music21_and_its_cache(tmp_path):
    source = corpus.Source(collection="ryans_mammoth", cache_dir=str(tmp_path))
    piece = next(p for p in source.pieces() if "AcaciaReel" in p.key)
    score = source.read(piece)
    assert score.abc and len(score.notes) > 20
    assert not list(tmp_path.iterdir())


def test_every_tune_of_a_file_of_folk_songs_is_a_piece_that_can_be_read(tmp_path):
    # A number that stands twice, and a tune without one: the reader's numbers are the pieces'.
    volume = tmp_path / "ryansMammoth" / "volume.abc"
    volume.parent.mkdir()
    heads = ("X:5\n", "X:5\n", "X:\n", "X:2\n")
    volume.write_text("\n".join(f"{head}T:T\nK:C\n{'C' * 8}\n" for head in heads))
    pieces = list(corpus._pieces_of(tmp_path, "ryansMammoth"))
    assert [piece.number for piece in pieces] == [5, 6, 7, 2]
    source = corpus.Source(cache_dir=str(tmp_path))
    assert [len(source.read(piece).notes) for piece in pieces] == [8] * 4


def test_folk_songs_of_one_volume_are_no_group(tmp_path):
    pieces = corpus.Source(collection="oneills_1850", cache_dir=str(tmp_path)).pieces()
    assert {piece.group for piece in pieces} == {""}


def test_a_file_that_cannot_be_parsed_is_a_value_error(tmp_path):
    _, piece = chorale(tmp_path)
    broken = tmp_path / "broken.mxl"
    shutil.copy(piece.path, broken)
    broken.write_bytes(broken.read_bytes()[:100])
    with pytest.raises(ValueError, match="its archive is damaged"):
        corpus.parse(dataclasses.replace(piece, path=str(broken)))
