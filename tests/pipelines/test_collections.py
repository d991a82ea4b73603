"""Tests of pipelines/collection.py and of the sources that are downloaded or got by hand."""

import dataclasses
import hashlib
import io
import json
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
import scipy.io
from loopback_server import file, serving
from rolls_of_scores import roll_of_score, voices_of_score
from small_midi import midi_bytes

from pipelines.collection import Collection
from pipelines.downloads.known_file import DownloadError
from pipelines.music_archives import Archive
from pipelines.sources import (
    atepp,
    bach_student_corpus,
    giantmidi_piano,
    jsb_chorales_16th,
    lakh,
    maestro,
    magic_of_midi,
    musicnet,
    nottingham,
    piano_midi_de,
    polyphonic_benchmark,
)

DATA = Path(__file__).parents[2].parent / "shared" / "data"


def zip_bytes(**members):
    """A zip of {place: content}."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as packed:
        for place, content in members.items():
            packed.writestr(place, content)
    return out.getvalue()


def sha256(content):
    return hashlib.sha256(content).hexdigest()


@pytest.fixture(name="server")
def server_on_loopback():
    with serving() as server:
        yield server


def local(source_type, *archives):
    """The same source with other archives."""
    return type("Source", (source_type,), {"archives": archives})


def put(folder, *places):
    """Writes MIDI files of one note each, no two alike."""
    for index, place in enumerate(places):
        path = folder / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(midi_bytes(40 + index))
    return folder


# Download, by the example of one small collection.

CONTENT = zip_bytes(**{"music/haydn/one.mid": midi_bytes(60), "music/readme.txt": b"hello"})


def small(server, content=CONTENT, **facts):
    """A collection of one archive that the server holds."""
    url = server.at("/music.zip", file(content))
    facts = {"sha256": sha256(CONTENT), "size_bytes": len(CONTENT), "pieces": 1} | facts
    return local(musicnet.Source, Archive(name="music.zip", urls=(url,), root="music", **facts))


def test_a_collection_is_downloaded_verified_unpacked_and_listed_once(server, tmp_path, capsys):
    source = small(server)(cache_dir=str(tmp_path))
    assert not source.is_present()
    with pytest.raises(ValueError, match=r"musicnet needs music\.zip: prepare downloads it"):
        source.pieces()
    source.fetch()
    assert source.is_present()
    (piece,) = source.pieces()
    assert (piece.key, piece.composer, piece.genre) == ("haydn/one.mid", "haydn", "classical")
    assert piece.fingerprint == sha256(CONTENT) and piece.licence == source.licence
    assert source.read(piece).notes["pitch"].tolist() == [60]
    assert not list(tmp_path.rglob("readme.txt"))
    source.fetch()
    assert len(server.requests["/music.zip"]) == 1
    assert "note:" not in capsys.readouterr().err


def test_a_download_with_another_checksum_is_not_taken(server, tmp_path):
    source = small(server, content=zip_bytes(**{"music/haydn/one.mid": midi_bytes(61)}))
    source = source(cache_dir=str(tmp_path))
    with pytest.raises(DownloadError):
        source.fetch()
    assert not source.is_present()


def test_a_file_in_the_cache_that_got_damaged_is_got_again(server, tmp_path):
    content = write_set(tmp_path / "x.mat")
    url = server.at("/x.mat", file(content))
    archive = Archive("x.mat", (url,), sha256(content), len(content), edition="jsb_chorales")
    source = local(polyphonic_benchmark.Source, archive)(cache_dir=str(tmp_path))
    source.fetch()
    (source.home / "x.mat").write_bytes(content[:-1])
    assert not source.is_present()
    source.fetch()
    assert source.is_present() and len(source.pieces()) == 3


def test_a_number_of_pieces_that_differs_is_said(server, tmp_path, capsys):
    source = small(server, pieces=330)(cache_dir=str(tmp_path))
    source.fetch()
    assert len(source.pieces()) == 1
    assert "musicnet is known to hold 330 pieces; 1 are here" in capsys.readouterr().err


def test_where_the_music_lies_decides_nothing():
    assert maestro.Source(path="x", cache_dir="y").flags() == {"version": "v3"}
    assert maestro.Source(cache_dir="/a").home == Path("/a/collections/maestro")


# By hand.


def test_an_archive_got_by_hand_goes_through_the_same_checks(server, tmp_path):
    (tmp_path / "music.zip").write_bytes(CONTENT)
    cache = str(tmp_path / "cache")
    for path in (tmp_path / "music.zip", tmp_path):  # The file, or the folder that holds it.
        source = small(server)(path=str(path), cache_dir=cache)
        source.fetch()
        assert source.is_present()
        assert [piece.key for piece in source.pieces()] == ["haydn/one.mid"]
    assert not server.requests
    wrong = small(server, sha256="0" * 64)(path=str(tmp_path / "music.zip"), cache_dir=cache)
    with pytest.raises(ValueError, match=rf"{sha256(CONTENT)}.* it is damaged or another edition"):
        wrong.fetch()
    assert not wrong.is_present()


def test_the_unpacked_folder_got_by_hand_gives_the_same_keys(server, tmp_path):
    put(tmp_path, "music/haydn/one.mid", "music/.hidden/two.mid", "music/haydn/._one.mid")
    for path in (tmp_path, tmp_path / "music"):
        source = small(server)(path=str(path), cache_dir=str(tmp_path / "cache"))
        source.fetch()
        (piece,) = source.pieces()
        assert piece.key == "haydn/one.mid"
        assert piece.fingerprint == sha256(midi_bytes(40))


def test_an_archive_that_cannot_be_unpacked_here_says_what_can(tmp_path):
    (tmp_path / "The_Magic_of_MIDI.7z").write_bytes(b"7z")
    source = magic_of_midi.Source(path=str(tmp_path / "The_Magic_of_MIDI.7z"))
    with pytest.raises(ValueError, match=r"cannot be unpacked here .*7-Zip .*--path the folder"):
        source.fetch()


@pytest.mark.parametrize("place", ["path", "archive", "cache"])
def test_a_collection_got_by_hand_is_taken_from_its_folder_archive_or_the_cache(tmp_path, place):
    source = bach_student_corpus.Source(cache_dir=str(tmp_path / "cache"))
    names = ("midi_files/transposed_bwv1.mid", "midi_files/transposed_bwv2.mid")
    if place == "cache":
        put(source.home, *names)
    elif place == "path":
        put(tmp_path / "here", *names)
        source = bach_student_corpus.Source(path=str(tmp_path / "here"))
    else:
        members = {name: midi_bytes(60 + index) for index, name in enumerate(names)}
        (tmp_path / "CIS419.zip").write_bytes(zip_bytes(**members, **{"run.exe": b"MZ"}))
        source = bach_student_corpus.Source(
            path=str(tmp_path / "CIS419.zip"), cache_dir=str(tmp_path / "cache")
        )
        assert not source.is_present()
    source.fetch()
    assert source.is_present()
    pieces = source.pieces()
    assert [piece.title for piece in pieces] == ["bwv1", "bwv2"]
    assert {piece.composer for piece in pieces} == {"bach"}
    assert len(source.read(pieces[0]).notes) == 1
    assert not list(tmp_path.rglob("run.exe"))


def test_what_is_not_there_yet_is_asked_for_in_words(tmp_path):
    source = giantmidi_piano.Source(cache_dir=str(tmp_path))
    said = r"by hand: .*disclaimer.* Licence: CC BY 4\.0.* Home page: https://.*GiantMIDI.*--path"
    for step in (source.fetch, source.pieces):
        with pytest.raises(ValueError, match=said):
            step()
    (tmp_path / "empty").mkdir()
    for path, words in (
        ("gone", "there is no"),
        ("empty", r"no file of .* \(\.mid, \.midi, \.kar, \.rmi\)"),
    ):
        with pytest.raises(ValueError, match=words):
            giantmidi_piano.Source(path=str(tmp_path / path)).fetch()


# What each collection tells by its names.


def described(source, tmp_path, *places):
    """The pieces of files at these places, sorted by key."""
    return dataclasses.replace(source, path=str(put(tmp_path, *places))).pieces()


def test_giantmidi_tells_composer_and_title(tmp_path):
    one, two, other = described(
        giantmidi_piano.Source(),
        tmp_path,
        "Chopin, Frédéric, Ballade No.1, Op.23, abc.mid",
        "Chopin, Frédéric, Ballade No.1, Op.23, xyz.mid",
        "unknown.mid",
    )
    assert (one.composer, one.title) == ("Chopin, Frédéric", "Ballade No.1, Op.23")
    assert one.group == two.group != "" and (other.composer, other.group) == ("unknown", "")


def test_atepp_groups_the_movements_and_performances_of_a_work(tmp_path):
    one, two, other = described(
        atepp.Source(),
        tmp_path,
        "Ludwig_van_Beethoven/Sonata_7/I._Presto/00001.mid",
        "Ludwig_van_Beethoven/Sonata_7/II._Largo/00002.mid",
        "Ludwig_van_Beethoven/Sonata_8/I._Grave/00003.mid",
    )
    assert one.composer == "Ludwig van Beethoven" and one.title == "Sonata 7 I. Presto"
    assert one.group == two.group != other.group


def test_musicnet_groups_the_movements_of_a_work(tmp_path):
    one, two, other = described(
        musicnet.Source(),
        tmp_path,
        "Schubert/1727_schubert_op114_2.mid",
        "Schubert/1728_schubert_op114_3.mid",
        "Schubert/1730_schubert_op163_1.mid",
    )
    assert one.composer == "Schubert" and one.group == two.group != other.group


def test_lakh_groups_by_content_or_by_artist_and_title(tmp_path):
    clean = described(
        lakh.Source(subset="clean"),
        tmp_path / "clean",
        "ABBA/Waterloo.1.mid",
        "ABBA/Waterloo.mid",
        "Abba/waterloo.2.mid",
    )
    assert {piece.group for piece in clean} == {"abba: waterloo"}
    assert clean[0].composer == "ABBA" and clean[0].title == "Waterloo"
    digest = "0" * 31 + "a"
    matched = described(
        lakh.Source(subset="matched"),
        tmp_path / "matched",
        f"A/A/A/TRAAAGR128F425B14B/{digest}.mid",
        f"A/A/B/TRAABGR128F425B14B/{digest}.mid",
    )
    assert {piece.group for piece in matched} == {f"md5: {digest}"} and len(matched) == 2


def test_lakh_subsets_are_different_archives():
    chosen = [lakh.Source(subset=name).wanted() for name in ("full", "matched", "aligned", "clean")]
    assert [len(archives) for archives in chosen] == [1] * 4
    assert len({archives[0].sha256 for archives in chosen}) == 4


def test_tar_archives_are_unpacked_too(server, tmp_path):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as packed:
        content = midi_bytes(60)
        member = tarfile.TarInfo("clean_midi/ABBA/Waterloo.mid")
        member.size = len(content)
        packed.addfile(member, io.BytesIO(content))
    url = server.at("/clean_midi.tar.gz", file(out.getvalue()))
    facts = {"sha256": sha256(out.getvalue()), "size_bytes": len(out.getvalue())}
    archive = Archive("clean_midi.tar.gz", (url,), edition="clean", root="clean_midi", **facts)
    source = local(lakh.Source, archive)(cache_dir=str(tmp_path))
    source.fetch()
    assert [piece.key for piece in source.pieces()] == ["ABBA/Waterloo.mid"]


# MAESTRO.

HEADER = "canonical_composer,canonical_title,split,year,midi_filename,audio_filename,duration\r\n"
ROWS = (
    'Frédéric Chopin,"Ballade No. 1, Op. 23",train,2008,2008/one.midi,2008/one.wav,1.0\r\n'
    "Frédéric Chopin,Ballade no 1 op. 23,train,2009,2009/two.midi,2009/two.wav,1.0\r\n"
    "Alban Berg,Sonata Op. 1,validation,2009,2009/three.midi,2009/three.wav,1.0\r\n"
    "Alban Berg,Lost,test,2009,2009/lost.midi,2009/lost.wav,1.0\r\n"
)


def maestro_zip(table=HEADER + ROWS):
    members = {f"maestro-v9/2009/{name}.midi": midi_bytes(60) for name in ("two", "three", "extra")}
    members["maestro-v9/2008/one.midi"] = midi_bytes(62)
    members["maestro-v9/maestro-v9.csv"] = table.encode()
    return zip_bytes(**members)


def test_maestro_takes_composer_split_and_group_from_its_table(server, tmp_path):
    content = maestro_zip()
    url = server.at("/maestro.zip", file(content))
    archive = Archive("maestro.zip", (url,), sha256(content), len(content), edition="v3", pieces=4)
    source = local(maestro.Source, archive)(cache_dir=str(tmp_path))
    source.fetch()
    pieces = {piece.key: piece for piece in source.pieces()}
    assert set(pieces) == {f"{n}.midi" for n in ("2008/one", "2009/two", "2009/three", "2009/lost")}
    one, two = pieces["2008/one.midi"], pieces["2009/two.midi"]
    assert (one.composer, one.title) == ("Frédéric Chopin", "Ballade No. 1, Op. 23")
    assert one.group == two.group == "frédéric chopin: ballade no 1 op 23"
    assert [pieces[key].split for key in sorted(pieces)] == ["train", "test", "validation", "train"]
    assert source.read(one).notes["pitch"].tolist() == [62]
    with pytest.raises(OSError, match="lost"):
        source.read(pieces["2009/lost.midi"])


@pytest.mark.parametrize(
    ("table", "said"),
    [("a,b\r\n1,2\r\n", "no table"), ("", "no table"), (HEADER + "x,y,trian,1,z,w,1\r\n", "trian")],
)
def test_maestro_with_a_wrong_table_is_refused(tmp_path, table, said):
    with zipfile.ZipFile(io.BytesIO(maestro_zip(table))) as packed:
        packed.extractall(tmp_path)
    with pytest.raises(ValueError, match=said):
        maestro.Source(path=str(tmp_path)).pieces()


# piano-midi.de.


def piano_midi_de_source(server, tmp_path, *names, **flags):
    url = f"http://127.0.0.1:{server.server_port}"
    archives = [Archive(f"{n}.zip", (f"{url}/{n}.zip",), edition=f"{n}-whole") for n in names]
    return local(piano_midi_de.Source, *archives)(cache_dir=str(tmp_path), **flags)


def test_piano_midi_de_goes_on_past_a_dead_archive_and_leaves_copies_out(server, tmp_path, capsys):
    members = {"Op1.mid": midi_bytes(60), "op1_format0.mid": midi_bytes(60)}
    server.at("/alb.zip", file(zip_bytes(**members)))
    source = piano_midi_de_source(server, tmp_path, "alb", "bach")
    source.fetch()
    (piece,) = source.pieces()
    assert (piece.key, piece.composer) == ("alb-whole/Op1.mid", "alb-whole")
    assert not source.is_present()
    assert "no music of bach-whole: " in capsys.readouterr().err
    with pytest.raises(OSError, match="404"):
        piano_midi_de_source(server, tmp_path, "bach").fetch()


def test_piano_midi_de_knows_its_composers():
    source = piano_midi_de.Source(composer=("beethoven", "tchaikovsky"))
    assert [archive.name for archive in source.wanted()] == ["beeth.zip", "tschai.zip"]
    with pytest.raises(ValueError, match=r"no archive of bahc; .*balakirev"):
        piano_midi_de.Source(composer=("bahc",))


def test_piano_midi_de_got_by_hand_is_taken(tmp_path):
    put(tmp_path, "beeth/op2.mid", "beeth/op2_format0.mid", "schumann/op15.mid")
    pieces = piano_midi_de.Source(path=str(tmp_path)).pieces()
    assert [(p.key, p.composer) for p in pieces] == [
        ("beeth/op2.mid", "beethoven"),
        ("schumann/op15.mid", "schumann"),
    ]


# Nottingham.


def test_nottingham_lists_each_tune_of_the_chosen_copy(tmp_path):
    for copy, count in (("cleaned", 2), ("original", 3)):
        folder = tmp_path / f"ABC_{copy}"
        folder.mkdir()
        tunes = [f"X: {n}\nT:{copy} {n}\nM:4/4\nL:1/4\nK:C\nCDEF|\n\n" for n in range(1, count + 1)]
        (folder / "jigs.abc").write_text("".join(tunes))
    source = nottingham.Source(path=str(tmp_path))
    pieces = source.pieces()
    assert [piece.key for piece in pieces] == ["jigs.abc#1", "jigs.abc#2"]
    assert len(nottingham.Source(path=str(tmp_path), copy="original").pieces()) == 3
    score = source.read(pieces[1])
    assert score.title == "cleaned 2" and score.notes["pitch"].tolist() == [60, 62, 64, 65]


def test_real_nottingham_has_its_tunes(capsys):
    folder = DATA / "abc" / "nottingham"
    if not folder.is_dir():
        pytest.skip("the Nottingham tunes are not here")
    for copy, count in (("cleaned", 1034), ("original", 1037)):
        source = nottingham.Source(path=str(folder), copy=copy)
        pieces = source.pieces()
        assert len(pieces) == count
        assert len(source.read(pieces[500]).notes) > 20
    assert capsys.readouterr().err == ""


# Piano rolls.


def write_set(path):
    """Writes a benchmark set of three sequences, a split each."""
    roll = np.zeros((2, 88), np.uint8)
    roll[:, 39] = 1
    cells = {}
    for name in ("traindata", "validdata", "testdata"):
        cells[name] = np.empty((1, 1), object)
        cells[name][0, 0] = roll
    scipy.io.savemat(path, cells)
    return path.read_bytes()


def test_a_set_of_rolls_is_downloaded_and_keeps_its_splits(server, tmp_path):
    content = write_set(tmp_path / "x.mat")
    url = server.at("/x.mat", file(content))
    archive = Archive("x.mat", (url,), sha256(content), len(content), edition="jsb_chorales")
    source = local(polyphonic_benchmark.Source, archive)(cache_dir=str(tmp_path))
    with pytest.raises(ValueError, match=r"needs x\.mat"):
        source.pieces()
    source.fetch()
    assert source.is_present()
    pieces = source.pieces()
    assert [(piece.key, piece.split) for piece in pieces] == [
        ("jsb_chorales/test/000", "test"),
        ("jsb_chorales/train/000", "train"),
        ("jsb_chorales/validation/000", "validation"),
    ]
    score = source.read(pieces[0])
    assert score.notes[["onset", "duration", "pitch"]].tolist() == [(0, 960, 60)]


def test_a_damaged_set_of_rolls_is_refused(tmp_path):
    write_set(tmp_path / "JSB_Chorales.mat")
    source = polyphonic_benchmark.Source(path=str(tmp_path))
    with pytest.raises(ValueError, match="damaged or another edition"):
        source.fetch()
    with pytest.raises(ValueError, match=r"holds no Nottingham\.mat; .*raw\.githubusercontent"):
        polyphonic_benchmark.Source(path=str(tmp_path), dataset="nottingham").fetch()


KEYS_OF_SET = ["jsb_chorales/test/000", "jsb_chorales/train/000", "jsb_chorales/validation/000"]


@pytest.mark.parametrize(
    ("name", "duration"), [("mine", 960), ("jsb-chorales-8th", 480), ("jsb-chorales-16th", 240)]
)
def test_a_json_file_is_read_as_the_set_it_is_given_for(tmp_path, name, duration):
    path = tmp_path / f"{name}.json"
    path.write_text(json.dumps({split: [[[60], [60]]] for split in ("train", "valid", "test")}))
    source = polyphonic_benchmark.Source(path=str(path))
    source.fetch()
    pieces = source.pieces()
    assert [piece.key for piece in pieces] == KEYS_OF_SET
    assert {piece.fingerprint for piece in pieces} == {sha256(path.read_bytes())}
    # Two frames: of a quarter, 480 ticks, where the name does not say otherwise.
    notes = source.read(pieces[0]).notes
    assert notes[["onset", "duration", "pitch"]].tolist() == [(0, duration, 60)]
    path.write_text("{}")
    with pytest.raises(ValueError, match="does not hold lists of frames"):
        source.pieces()


def test_a_numpy_file_gives_the_set_that_the_flag_names(tmp_path):
    arrays = {}
    for name, pitch in (("JSB_Chorales", 60), ("Nottingham", 62)):
        roll = np.zeros((2, 88), np.uint8)
        roll[:, pitch - 21] = 1
        for split in ("train", "valid", "test"):
            arrays[f"{name}/{split}/lengths"] = np.array([2])
            arrays[f"{name}/{split}/frames"] = np.packbits(roll, axis=1)
    np.savez(tmp_path / "rolls.npz", **arrays)
    for dataset, found in (("jsb_chorales", (0, 960, 60)), ("nottingham", (0, 480, 62))):
        source = polyphonic_benchmark.Source(path=str(tmp_path / "rolls.npz"), dataset=dataset)
        first, *_ = source.pieces()
        assert (first.key, first.split) == (f"{dataset}/test/000", "test")
        assert source.read(first).notes[["onset", "duration", "pitch"]].tolist() == [found]
    source = polyphonic_benchmark.Source(path=str(tmp_path / "rolls.npz"), dataset="muse_data")
    with pytest.raises(ValueError, match="no packed rolls named 'MuseData'"):
        source.pieces()


def test_the_real_sets_are_the_same_pieces_from_every_format(capsys):
    places = ("polyphonic_benchmark_packed.npz",)
    places += ("czhuang_JSB-Chorales-dataset/jsb-chorales-quarter.json",)
    known = polyphonic_benchmark.Source(path=real_rolls())
    listed = [(piece.key, piece.split) for piece in known.pieces()]
    for place in places:
        other = polyphonic_benchmark.Source(path=f"{real_rolls()}/{place}")
        assert [(piece.key, piece.split) for piece in other.pieces()] == listed
        for one, same in list(zip(known.pieces(), other.pieces(), strict=True))[::40]:
            assert known.read(one).notes_digest() == other.read(same).notes_digest()
    frames = "czhuang_JSB-Chorales-dataset/jsb-chorales-16th.json"
    finer = polyphonic_benchmark.Source(path=f"{real_rolls()}/{frames}")
    assert len(finer.pieces()) == 382 and capsys.readouterr().err == ""
    # The same chorales in their own keys, and in another order: 4,602 quarters in validation.
    chosen = [piece for piece in finer.pieces() if piece.split == "validation"]
    assert sum(finer.read(piece).length_ticks for piece in chosen) == 4602 * 480


def real_rolls():
    if not (DATA / "pianoroll").is_dir():
        pytest.skip("the benchmark sets are not here")
    return str(DATA / "pianoroll")


@pytest.mark.parametrize(
    ("dataset", "sequences", "frames"),
    [
        ("jsb_chorales", (229, 76, 77), (13807, 4602, 4725)),
        ("nottingham", (694, 173, 170), (176561, 45513, 44463)),
        ("piano_midi_de", (87, 12, 25), (75911, 8540, 19036)),
        ("muse_data", (524, 135, 124), (245202, 82755, 64339)),
    ],
)
def test_the_real_sets_have_the_published_sequences_and_frames(dataset, sequences, frames, capsys):
    source = polyphonic_benchmark.Source(path=real_rolls(), dataset=dataset)
    source.fetch()
    pieces = source.pieces()
    splits = ("train", "validation", "test")
    assert tuple(sum(p.split == split for p in pieces) for split in splits) == sequences
    assert capsys.readouterr().err == ""
    _, _, frames_per_quarter = polyphonic_benchmark.FACTS[dataset]
    # Silence at the end is lost: in one sequence of MuseData and two of Nottingham.
    counts = {
        split: sum(
            len(roll_of_score(source.read(piece), frames_per_quarter))
            for piece in pieces
            if piece.split == split
        )
        for split in splits
    }
    lost = np.subtract(frames, [counts[split] for split in splits])
    assert lost.min() >= 0 and lost[1:].tolist() == [0, 0]
    assert (lost[0] > 0) == (dataset in ("nottingham", "muse_data")) and lost[0] < 40


def test_the_real_chorales_at_16ths_have_the_published_sequences_and_frames():
    source = jsb_chorales_16th.Source(path=real_rolls())
    pieces = source.pieces()
    frames = {"train": 0, "validation": 0, "test": 0}
    for piece in pieces:
        frames[piece.split] += len(voices_of_score(source.read(piece), 4, 4))
    assert frames == {"train": 55228, "validation": 18408, "test": 18900}
    assert len(pieces) == 382
    known = json.loads(
        (Path(real_rolls()) / "czhuang_JSB-Chorales-dataset")
        .joinpath("Jsb16thSeparated.json")
        .read_text()
    )
    first = source.read(next(piece for piece in pieces if piece.key == "train/000"))
    assert voices_of_score(first, 4, 4).tolist() == known["train"][0]


def test_a_collection_needs_no_more_than_its_facts(tmp_path):
    put(tmp_path, "one.mid")
    bare = type(
        "Source", (Collection,), {"name": "bare", "licence": "x", "archives": (Archive(""),)}
    )
    (piece,) = bare(path=str(tmp_path)).pieces()
    assert (piece.key, piece.composer, piece.genre) == ("one.mid", "unknown", "unknown")
