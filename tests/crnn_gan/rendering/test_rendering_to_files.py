"""Files of a piece: which are written, what is in them, and what is said of the rest."""

from __future__ import annotations

import importlib.util
import io
import wave
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from crnn_gan import render as command
from crnn_gan.rendering import sound
from crnn_gan.rendering.rendering import KINDS, Rendered, RenderFlags, account, render
from pipelines.command_line import parse
from pipelines.formats import midi, notation
from pipelines.leftovers import HOST
from pipelines.score import Score
from pipelines.score_arrays import NOTE, PEDAL, TEMPO
from pipelines.settings import UsageError

QUARTER = 480
SILENT = Score(QUARTER, np.zeros(0, NOTE))
needs_verovio = pytest.mark.skipif(
    importlib.util.find_spec("verovio") is None, reason="the extra 'score' is not installed"
)


def melody(*pitches: int, **fields) -> Score:
    rows = [
        (index * QUARTER, QUARTER, pitch, 80, 0, 0, False) for index, pitch in enumerate(pitches)
    ]
    return Score.from_unsorted(QUARTER, np.array(rows, NOTE), **fields)


def flags(*kinds: str, **others) -> RenderFlags:
    return RenderFlags(render=kinds, **{"renderer": "additive", **others})


def samples_of(path: Path) -> np.ndarray:
    """float64 [sample] in [-1, 1], after a look at how the file says it is made."""
    with wave.open(str(path), "rb") as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, 44_100)
        return np.frombuffer(file.readframes(file.getnframes()), "<i2") / (2**15 - 1)


def loudness(samples: np.ndarray, first_second: float, last_second: float) -> float:
    part = samples[int(first_second * 44_100) : int(last_second * 44_100)]
    return float(np.sqrt(np.mean(part**2)))


@needs_verovio
def test_each_kind_is_a_file_beside_the_others_and_nothing_else_is_left(tmp_path: Path):
    rendered = render(melody(60, 64, 67), tmp_path / "piece-7", flags(*KINDS))
    assert rendered.reasons == {} and rendered.lost == {}
    assert rendered.files == {
        "png": (tmp_path / "piece-7.png",),
        "wav": (tmp_path / "piece-7.wav",),
        "musicxml": (tmp_path / "piece-7.musicxml",),
        "score": (tmp_path / "piece-7.svg",),
    }
    assert sorted(tmp_path.iterdir()) == sorted(
        f for files in rendered.files.values() for f in files
    )
    with Image.open(io.BytesIO((tmp_path / "piece-7.png").read_bytes())) as image:
        assert image.format == "PNG"
    assert notation.read(tmp_path / "piece-7.musicxml").score.title == "piece-7"


def test_a_name_with_dots_keeps_them(tmp_path: Path):
    rendered = render(melody(60), tmp_path / "opus.25.3", flags("musicxml"))
    assert rendered.files["musicxml"] == (tmp_path / "opus.25.3.musicxml",)


@needs_verovio
def test_a_score_picture_has_a_head_for_each_note_and_the_same_piece_the_same_picture(tmp_path):
    for name in ("one", "two"):
        render(melody(60, 62, 64, 65, title="Air"), tmp_path / name, flags("score"))
    picture = (tmp_path / "one.svg").read_bytes()
    assert picture == (tmp_path / "two.svg").read_bytes()
    classes = [element.get("class", "") for element in ElementTree.fromstring(picture).iter()]
    assert classes.count("notehead") == 4
    assert b"Air" in picture
    assert b"http" not in picture.replace(b"http://www.w3.org/", b"")  # It asks for no network.


@needs_verovio
def test_a_long_piece_has_further_pages(tmp_path: Path):
    # 15 staves, 130 bars of which all but the first and last are rests.
    notes = [(0, QUARTER, 60, 80, track, 0, False) for track in range(15)]
    notes.append((129 * 4 * QUARTER, QUARTER, 60, 80, 0, 0, False))
    piece = Score.from_unsorted(QUARTER, np.array(notes, NOTE))
    rendered = render(piece, tmp_path / "long", flags("score"))
    names = [path.name for path in rendered.files["score"]]
    assert names == ["long.svg", "long-2.svg"]
    assert sorted(names) == sorted(path.name for path in tmp_path.iterdir())


def test_sound_lasts_as_long_as_the_piece_and_its_loudest_sample_is_near_full_scale(tmp_path):
    render(melody(69, 69), tmp_path / "a", flags("wav"))
    samples = samples_of(tmp_path / "a.wav")
    assert len(samples) == round(1.08 * 44_100)  # Two quarters of half a second, and the release.
    assert np.abs(samples).max() == pytest.approx(0.9, abs=1e-4)
    spectrum = np.abs(np.fft.rfft(samples[:44_100]))
    assert spectrum.argmax() == pytest.approx(440, abs=2)  # Bins of one hertz.


def short_note_under_pedal(is_down: bool) -> Score:
    """A quarter of a second, then pedal for two, then a soft note at three."""
    pedal = np.array([(0, 64, 127, 0), (4 * QUARTER, 64, 0, 0)] if is_down else [], PEDAL)
    notes = np.array([(0, 240, 57, 100, 0, 0, False), (2880, 240, 57, 1, 0, 0, False)], NOTE)
    return Score(QUARTER, notes, pedal=pedal)


def test_a_note_sounds_as_long_as_the_pedal_is_down(tmp_path: Path):
    for name, is_down in (("wet", True), ("dry", False)):
        render(short_note_under_pedal(is_down), tmp_path / name, flags("wav"))
    wet, dry = (samples_of(tmp_path / f"{name}.wav") for name in ("wet", "dry"))
    assert loudness(dry, 0.5, 1.9) == 0
    assert loudness(wet, 0.5, 1.9) > 0.1 * loudness(wet, 0, 0.25)
    assert loudness(wet, 2.2, 2.9) == 0  # The pedal is up again.


def test_fluidsynth_too_lets_a_note_sound_as_long_as_the_pedal_is_down(
    tmp_path: Path, soundfont: str
):
    played = flags("wav", renderer="fluidsynth", soundfont=soundfont)
    played.require_possible()
    for name, is_down in (("wet", True), ("dry", False)):
        assert not render(short_note_under_pedal(is_down), tmp_path / name, played).reasons
    wet, dry = (samples_of(tmp_path / f"{name}.wav") for name in ("wet", "dry"))
    assert loudness(wet, 1, 1.9) > 10 * loudness(dry, 1, 1.9)
    assert loudness(wet, 1, 1.9) > 10 * loudness(wet, 2.6, 2.9)


def drum() -> Score:
    return Score(QUARTER, np.array([(0, 240, 38, 100, 0, 0, True)], NOTE))


def an_hour_and_more() -> Score:
    tempi = np.array([(0, 2**24 - 1)], TEMPO)
    notes = np.array([(0, QUARTER * 250, 60, 64, 0, 0, False)], NOTE)
    return Score(QUARTER, notes, tempi=tempi)


@pytest.mark.parametrize(
    "score, reasons",
    [
        (SILENT, {"wav": "it has no notes", "musicxml": "it has no notes"}),
        (
            drum(),
            {
                "wav": "it is silent with renderer=additive",
                "musicxml": "it has only drums",
            },
        ),
        (
            an_hour_and_more(),
            {"wav": "it lasts 1 h 10 min; the most for sound is 1 h 00 min"},
        ),
    ],
    ids=["empty", "drums", "too long"],
)
def test_what_is_not_possible_is_said_in_words_and_leaves_no_file(score, reasons, tmp_path: Path):
    rendered = render(score, tmp_path / "piece", flags("png", "wav", "musicxml"))
    assert rendered.reasons == reasons
    assert {"png", "wav", "musicxml"} == set(rendered.files) | set(reasons)
    assert len(list(tmp_path.iterdir())) == 3 - len(reasons)


def test_what_is_lost_is_counted_for_each_kind(tmp_path: Path):
    notes = np.concatenate([melody(60).notes, drum().notes])
    piece = Score.from_unsorted(QUARTER, notes)
    rendered = render(piece, tmp_path / "piece", flags("wav", "musicxml"))
    assert rendered.lost == {
        "wav": {"drum notes omitted": 1},
        "musicxml": {"drum notes omitted": 1},
    }


def test_the_account_counts_what_was_written_and_why_the_rest_was_not():
    pieces = [
        Rendered({"png": (Path("a.png"),)}, {"wav": "it has no notes"}, {}),
        Rendered({"png": (), "wav": (Path("b.wav"),)}, {}, {"wav": {"drum notes omitted": 2}}),
        Rendered({"png": ()}, {"wav": "it has no notes"}, {}),
        Rendered({"png": (), "wav": ()}, {}, {"wav": {"drum notes omitted": 3}}),
    ]
    assert list(account(pieces)) == [
        "png: 4 of 4 pieces written",
        "wav: 2 of 4 pieces written",
        "wav: 2 not written: it has no notes",
        "wav: 5 drum notes omitted",
    ]
    assert list(account([])) == []


@pytest.mark.parametrize(
    "wanted, says",
    [
        (flags("wav", "mp3"), "--render=mp3: give one or several of png, wav, musicxml, score"),
        (flags("wav", soundfont="some.sf2"), "a soundfont is for renderer=fluidsynth"),
    ],
)
def test_a_wrong_wish_is_refused_before_the_work(wanted: RenderFlags, says: str):
    with pytest.raises(UsageError, match=says):
        wanted.require_possible()


@pytest.mark.skipif(
    importlib.util.find_spec("fluidsynth") is not None, reason="pyfluidsynth is installed"
)
def test_without_fluidsynth_sound_is_refused_before_the_work_with_what_to_do():
    with pytest.raises(UsageError, match=r"needs pyfluidsynth .*--renderer=additive"):
        RenderFlags(render=("wav",)).require_possible()


@pytest.mark.skipif(
    importlib.util.find_spec("verovio") is not None, reason="the extra 'score' is installed"
)
def test_without_verovio_a_picture_is_refused_before_the_work_with_what_to_do():
    with pytest.raises(UsageError, match=r"needs verovio.*run/setup.sh score"):
        flags("score").require_possible()


@pytest.mark.usefixtures("soundfont")
def test_fluidsynth_needs_a_soundfont_that_is_there():
    with pytest.raises(UsageError, match=r"needs a soundfont; add --soundfont=FILE.sf2, or take"):
        RenderFlags(render=("wav",)).require_possible()
    with pytest.raises(UsageError, match=r"no soundfont 'none.sf2'; give --soundfont=FILE.sf2"):
        flags("wav", renderer="fluidsynth", soundfont="none.sf2").require_possible()


def test_nothing_is_needed_for_what_is_not_asked_for():
    for asked in ((), ("png", "musicxml")):
        assert RenderFlags(render=asked).require_possible() is None  # Nothing is raised.


def test_the_flags_are_read_from_a_command_line():
    (read,) = parse(["--render=png,wav", "--renderer=additive"], "", RenderFlags)
    assert read == RenderFlags(render=("png", "wav"), renderer="additive")
    (nothing,) = parse([], "", RenderFlags)
    assert nothing.render == ()


def test_samples_are_rounded_and_the_header_tells_their_number():
    file = io.BytesIO()
    sound.write_wav(np.array([0, 0.9, -0.9, 1, -1], np.float32), file)
    content = file.getvalue()
    assert np.frombuffer(content[44:], "<i2").tolist() == [0, 29490, -29490, 32767, -32767]
    assert len(content) == 44 + 10


def test_the_command_renders_a_folder_and_counts_what_it_cannot_read(tmp_path: Path, capsys):
    folder, out = tmp_path / "music", tmp_path / "out"
    (folder / "deep").mkdir(parents=True)
    midi.write(melody(60, 62), folder / "a.mid")
    midi.write(SILENT, folder / "deep" / "b.mid")
    (folder / "c.mid").write_bytes(b"no music")
    command.main([f"--midi_dir={folder}", f"--out_dir={out}", "--render=png,musicxml"])
    found = sorted(path.relative_to(out).as_posix() for path in out.rglob("*.*"))
    assert found == ["a.musicxml", "a.png", "deep/b.png"]
    said = capsys.readouterr().out
    assert "musicxml: 1 of 2 pieces written\nmusicxml: 1 not written: it has no notes\n" in said
    assert "1 file not read" in said


def test_the_command_renders_a_file_beside_itself(tmp_path: Path):
    midi.write(melody(60, 62), tmp_path / "a.mid")
    command.main([f"--midi={tmp_path / 'a.mid'}", "--render=png"])
    assert (tmp_path / "a.png").is_file()


@pytest.mark.parametrize(
    "arguments, says",
    [
        (["--midi_dir=."], "say what to make: --render=png,wav"),
        (["--render=png"], "give either --midi or --midi_dir"),
        (["--render=png", "--midi=a.mid", "--midi_dir=."], "give either --midi or --midi_dir"),
        (["--render=png", "--midi_dir=none"], "none: no file that ends in .mid"),
    ],
)
def test_a_command_line_that_cannot_be_taken_says_what_to_do(arguments, says):
    with pytest.raises(UsageError, match=says):
        command.main(arguments)


def test_two_files_of_one_name_are_refused(tmp_path: Path):
    for name in ("a.mid", "a.midi"):
        midi.write(melody(60), tmp_path / name)
    with pytest.raises(UsageError, match=r"a.mid and .*a.midi would be written to one place"):
        command.main([f"--midi_dir={tmp_path}", "--render=png"])


def test_a_file_that_cannot_be_read_is_an_error_where_it_is_the_only_one(tmp_path: Path):
    (tmp_path / "a.mid").write_bytes(b"no music")
    with pytest.raises(ValueError, match="no file could be read"):
        command.main([f"--midi={tmp_path / 'a.mid'}", "--render=png"])


def test_the_next_call_removes_what_a_killed_one_left(tmp_path: Path):
    midi.write(melody(60), tmp_path / "a.mid")
    for name in (f".a.png.abcd.{HOST}.tmp", ".a.png.abcd.@0123abcd.tmp"):
        (tmp_path / name).write_bytes(b"half")
    command.main([f"--midi={tmp_path / 'a.mid'}", "--render=png"])
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"a.mid", "a.png", ".a.png.abcd.@0123abcd.tmp"}
