"""Tests of how score files and archives are opened: which member, how much, and what is refused."""

import io
import struct
import tracemalloc
import zipfile

import numpy as np
import pytest
from musicxml_texts import measures, note, score, sounding

from pipelines.formats import benchmark_rolls, notation, reading, score_files
from pipelines.formats.npz_arrays import NpzArrays

ONE = score(measures(note("C4", 4)))
OTHER = score(measures(note("G9", 4)))
MUSICXML = "application/vnd.recordare.musicxml+xml"


def packed(folder, members, name="score.mxl"):
    """Writes members {name: text} to an archive, in that order."""
    with zipfile.ZipFile(folder / name, "w", zipfile.ZIP_DEFLATED) as archive:
        for member, text in members.items():
            archive.writestr(member, text)
    return folder / name


def container(*roots):
    """A container.xml of (path, media type) pairs."""
    files = "".join(
        f'<rootfile full-path="{path}"' + (f' media-type="{kind}"/>' if kind else "/>")
        for path, kind in roots
    )
    return f"<container><rootfiles>{files}</rootfiles></container>"


@pytest.mark.parametrize(
    "roots",
    [
        [("b/main.xml", None)],
        [("b/main.xml", MUSICXML)],
        [("./b/main.xml", MUSICXML), ("a.musicxml", MUSICXML)],
        [("a.pdf", "application/pdf"), ("b/main.xml", MUSICXML)],
    ],
)
@pytest.mark.parametrize("space", ["", ' xmlns="urn:oasis:names:tc:opendocument:xmlns:container"'])
def test_the_container_names_the_root_file(tmp_path, roots, space):
    listed = container(*roots).replace("<container>", f"<container{space}>")
    members = {"a.musicxml": OTHER, "b/main.xml": ONE, "META-INF/container.xml": listed}
    assert sounding(notation.read(packed(tmp_path, members))) == ["60:0-4"]


@pytest.mark.parametrize(
    "others", [[], ["__MACOSX/._a.xml", "image.png"], [".a.xml"], ["META-INF/other.xml"]]
)
def test_without_a_container_the_only_score_is_read(tmp_path, others):
    members = {**dict.fromkeys(others, "x"), "Piece.XML": ONE}
    assert sounding(notation.read(packed(tmp_path, members))) == ["60:0-4"]


@pytest.mark.parametrize(
    ("members", "error"),
    [
        ({"a.xml": ONE, "b.musicxml": ONE}, "no META-INF/container.xml and 2 scores; expected one"),
        ({"a.txt": ONE}, "and 0 scores"),
        ({"META-INF/container.xml": container(("gone.xml", None))}, "no member 'gone.xml'"),
        ({"META-INF/container.xml": container(("a", "application/pdf"))}, "names no MusicXML"),
        ({"META-INF/container.xml": "<container>"}, "no well-formed XML"),
        ({"META-INF/container.xml": " " * 2**17}, "is larger than 65536"),
    ],
)
def test_archives_without_one_score_are_refused(tmp_path, members, error):
    with pytest.raises(ValueError, match=error):
        notation.read(packed(tmp_path, members))


def test_archives_are_read_by_any_of_the_suffixes(tmp_path):
    for name in ("a.mxl", "a.xml", "a.musicxml", "A.MXL"):
        assert sounding(notation.read(packed(tmp_path, {"x.xml": ONE}, name))) == ["60:0-4"]
    (tmp_path / "plain.mxl").write_text(ONE)
    assert sounding(notation.read(tmp_path / "plain.mxl")) == ["60:0-4"]


def lying(path, says):
    """Makes the directory and the header of an archive's only member say another size."""
    content = bytearray(path.read_bytes())
    size_at = {b"PK\x03\x04": 22, b"PK\x01\x02": 24}
    for signature, offset in size_at.items():
        at = content.index(signature)
        content[at + offset : at + offset + 4] = struct.pack("<I", says)
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("says", [None, 1000, 2**31, 2**32 - 2])
def test_bombs_take_no_more_than_the_bound_whatever_they_say(tmp_path, says, monkeypatch):
    monkeypatch.setattr(score_files, "LARGEST_BYTES", 2**20)
    path = packed(tmp_path, {"a.xml": ONE + " " * 2**26})
    assert path.stat().st_size < 2**18
    if says is not None:
        lying(path, says)
    tracemalloc.start()
    with pytest.raises(ValueError, match=r"is larger than 1048576|damaged"):
        notation.read(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**24


def test_archives_of_very_many_members_or_other_methods_are_refused(tmp_path):
    many = packed(tmp_path, {f"{n:060}.txt": "" for n in range(10_000)})
    with pytest.raises(ValueError, match="too many members"):
        notation.read(many)
    with zipfile.ZipFile(tmp_path / "bz.mxl", "w", zipfile.ZIP_BZIP2) as archive:
        archive.writestr("a.xml", ONE)
    with pytest.raises(ValueError, match="packed by method 12"):
        notation.read(tmp_path / "bz.mxl")
    content = packed(tmp_path, {"a.xml": ONE}).read_bytes()
    for cut in (content[:-30], content[:60] + b"\0" * 40 + content[100:], b"PK\x03\x04"):
        (tmp_path / "cut.mxl").write_bytes(cut)
        with pytest.raises(ValueError, match="archive is damaged"):
            notation.read(tmp_path / "cut.mxl")


# XML that is not to be trusted.

ROOT = "<score-partwise><part id='P1'>{}</part></score-partwise>"


@pytest.mark.parametrize(
    "declared",
    [
        '<!DOCTYPE a [<!ENTITY e "x">]>',
        '<!DOCTYPE a [<!ENTITY e "aaaaaaaaaa"><!ENTITY f "&e;&e;&e;&e;&e;&e;&e;&e;">]>',
        '<!DOCTYPE a [<!ENTITY e SYSTEM "file:///etc/passwd">]>',
        '<!DOCTYPE a [<!ENTITY % e SYSTEM "http://localhost/x.dtd">%e;]>',
        '<!DOCTYPE a [<!ENTITY e PUBLIC "x" "file:///dev/zero">]>',
    ],
)
def test_entities_are_refused_in_words(tmp_path, declared):
    (tmp_path / "a.xml").write_text(declared + ROOT.format("&e;"))
    with pytest.raises(ValueError, match=r"it declares the entity '[ef]'; MusicXML needs none"):
        notation.read(tmp_path / "a.xml")


def test_the_document_type_of_musicxml_is_no_entity_and_is_not_fetched(tmp_path):
    kind = (
        '<!DOCTYPE score-partwise PUBLIC "-//Recordare//DTD MusicXML 4.0 Partwise//EN" '
        '"http://www.musicxml.org/dtds/partwise.dtd">'
    )
    (tmp_path / "a.xml").write_text(ONE.replace("?>", "?>" + kind, 1))
    assert sounding(notation.read(tmp_path / "a.xml")) == ["60:0-4"]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "latin-1"])
def test_encodings_are_those_that_the_file_declares(tmp_path, encoding):
    head = f'<?xml version="1.0" encoding="{encoding.removesuffix("-sig")}"?>'
    text = ONE.replace('<?xml version="1.0"?>', head)
    text = text.replace("<part-list>", "<movement-title>é</movement-title><part-list>")
    (tmp_path / "a.xml").write_bytes(text.encode(encoding))
    assert notation.read(tmp_path / "a.xml").score.title == "é"


@pytest.mark.parametrize(
    "content",
    [
        ROOT.format("<a>" * 100_000 + "</a>" * 100_000),
        ROOT.format("<measure>" + "<note>" * 50_000 + "</note>" * 50_000 + "</measure>"),
        "<a>" * 100_000,
    ],
)
def test_deep_nesting_does_not_crash(tmp_path, content):
    (tmp_path / "a.xml").write_text(content)
    try:
        assert not len(notation.read(tmp_path / "a.xml").score.notes)
    except ValueError as error:
        assert "well-formed" in str(error)


@pytest.mark.parametrize(
    ("content", "error"),
    [
        ("<html/>", "its root is html; expected score-partwise"),
        ("<score-partwise/>", "it has no part"),
        (
            ROOT.format("<measure><note><duration>x</duration></note></measure>"),
            "a duration is 'x'",
        ),
        (ONE.replace("<divisions>4", "<divisions>0"), "divisions are 0; expected more than 0"),
        (ONE.replace("<step>C", "<step>H"), "a step is 'H'; expected one of A to G"),
        (ONE.replace("<octave>4", "<octave>4.5"), "an octave is '4.5'; expected a whole number"),
        (ONE.replace("<duration>16", "<duration>1e99"), "a duration is '1e99'; expected a number"),
        (ONE.replace("<duration>16", "<duration>-16"), "a duration is -16; expected 0 or more"),
        (ONE.replace("<duration>16", "<duration>999999999"), "is longer than"),
        (ONE.replace("<?xml version", "<?xml encoding='martian' version"), "no well-formed XML"),
        (" " * 100, "no well-formed XML"),
        ("<a/>" * 3_000_001, "more than 3000000 tags"),
        ('<a b=""/>' * 1_000_001, "more than 1000000 attributes"),
    ],
)
def test_what_is_no_sound_music_is_refused_in_words(tmp_path, content, error):
    (tmp_path / "a.musicxml").write_text(content)
    with pytest.raises(ValueError, match=error):
        notation.read(tmp_path / "a.musicxml")


def test_only_abc_files_have_numbers(tmp_path):
    with pytest.raises(ValueError, match="only ABC files have numbers; asked for 2"):
        reading.read_counted(tmp_path / "a.xml", 2)


# Arrays of .npz files.


def npy(header, content):
    """An .npy file whose header says what it likes."""
    text = repr(header).encode()
    text += b" " * (63 - (len(text) + 10) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + content


def test_arrays_are_read_as_numpy_reads_them(tmp_path):
    arrays = {"a": np.arange(6).reshape(2, 3), "b/c": np.asfortranarray(np.ones((2, 3), np.uint8))}
    arrays["scalar"] = np.array(5)
    np.savez_compressed(tmp_path / "a.npz", **arrays)
    with NpzArrays(tmp_path / "a.npz", 1000) as file:
        for name, array in arrays.items():
            np.testing.assert_array_equal(file[name], array)
            assert file[name].dtype == array.dtype
        with pytest.raises(ValueError, match=r"no member 'gone.npy'"):
            file["gone"]


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (npy({"descr": "|u1", "fortran_order": False, "shape": (2**40,)}, b"ab"), "has 2 bytes"),
        (npy({"descr": "|u1", "fortran_order": False, "shape": (-2, -1)}, b"ab"), "has 2 bytes"),
        (npy({"descr": "|O", "fortran_order": False, "shape": (1,)}, b"abcdefgh"), "is pickled"),
        (b"no array", "magic string|damaged"),
        (b"\0" * 2**22, "is larger than 1048576"),
    ],
)
def test_arrays_that_are_not_what_they_say_are_refused(tmp_path, content, error):
    path = packed(tmp_path, {"a.npy": content}, "a.npz")
    with NpzArrays(path, 2**20) as file, pytest.raises(ValueError, match=error):
        file["a"]


@pytest.mark.parametrize("says", [None, 100, 2**31])
def test_rolls_that_unpack_to_too_much_are_refused(tmp_path, says, monkeypatch):
    monkeypatch.setattr(benchmark_rolls, "LARGEST_ARRAY_BYTES", 2**20)
    buffer = io.BytesIO()
    np.save(buffer, np.zeros(2**26, np.uint8))
    path = packed(tmp_path, {"set/train/lengths.npy": buffer.getvalue()}, "a.npz")
    if says is not None:
        lying(path, says)
    tracemalloc.start()
    with pytest.raises(ValueError, match="no packed rolls named 'set'"):
        benchmark_rolls.read_packed(path, "set")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**24
