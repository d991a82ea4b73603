"""The codec audio: mu-law by hand, and what comes out of a Score."""

import io
import json
import math
import wave

import numpy as np
import pytest
from hypothesis import given, settings
from random_scores import scores

from pipelines import synthesis
from pipelines.codecs import audio
from pipelines.codecs.audio import Codec
from pipelines.codecs.codec import codec_from_json
from pipelines.formats import wav
from pipelines.score import Score
from pipelines.score_arrays import NOTE


def score(*notes: tuple[int, int, int, int]) -> Score:
    """A Score of (onset, duration, pitch, velocity), 480 ticks a quarter of half a second."""
    return Score(480, np.array([(*note, 0, 0, False) for note in notes], NOTE))


def test_levels_follow_the_mu_law():
    # f(x) = ln(1 + 255 |x|) / ln 256, the level (f + 1) / 2 * 255, halves up.
    # 1: f = 1, 255. -1: 0. 0: 127.5, so 128. 1/255: f = ln 2 / ln 256 = 1/8, 143.4.
    # 15/255: f = ln 16 / ln 256 = 1/2, 191.25. -15/255: 63.75. 3/255: f = 1/4, 159.4.
    sound = np.array([1, -1, 0, 1 / 255, 15 / 255, -15 / 255, 3 / 255, 7, -7], np.float32)
    assert audio.to_levels(sound).tolist() == [255, 0, 128, 143, 191, 64, 159, 255, 0]


def test_samples_are_the_inverse_of_the_law():
    samples = audio.Codec().samples(np.array([255, 0, 128, 127, 191], np.uint8))
    # Level 128: f = 2 * 128 / 255 - 1 = 1/255, (256^(1/255) - 1) / 255 = 8.6e-5.
    # Level 191: f = 127/255, (256^(127/255) - 1) / 255.
    quiet = (256 ** (1 / 255) - 1) / 255
    assert quiet == pytest.approx(8.6e-5, abs=1e-6)
    expected = [1, -1, quiet, -quiet, (256 ** (127 / 255) - 1) / 255]
    np.testing.assert_allclose(samples, expected, rtol=1e-6)
    assert samples.dtype == np.float32


def test_each_level_comes_back_as_itself():
    levels = np.arange(256, dtype=np.uint8)
    np.testing.assert_array_equal(audio.to_levels(audio.from_levels(levels)), levels)


def test_what_is_rounded_is_below_a_fiftieth_of_the_sample():
    sound = np.linspace(-1, 1, 20_001, dtype=np.float32)
    error = np.abs(audio.from_levels(audio.to_levels(sound)) - sound)
    # Half a level is a factor of 256^(1/255), so 2.2 %, of |x| + 1/255.
    assert (error <= (256 ** (1 / 255) - 1) * (np.abs(sound) + 1 / 255)).all()


def test_long_sound_is_turned_into_levels_part_by_part():
    sound = np.sin(np.arange(audio.CHUNK + 1000)).astype(np.float32)
    levels = audio.to_levels(sound)
    np.testing.assert_array_equal(levels[-2000:], audio.to_levels(sound[-2000:]))


@pytest.mark.parametrize("sample_rate", [4000, 8000, 16000])
def test_a_piece_is_as_long_as_its_notes_and_a_release_and_never_cut_off(sample_rate):
    codec = audio.Codec(sample_rate=sample_rate)
    array = codec.encode(score((0, 480, 60, 127), (0, 480, 64, 127), (480, 480, 67, 127)))
    assert len(array) == round((1 + synthesis.RELEASE_SECONDS) * sample_rate)
    sound = codec.samples(array)
    assert np.abs(sound).max() == pytest.approx(0.9, rel=0.025)
    assert not ((array == 0) | (array == 255)).any()
    assert codec.spec.step == f"1/{sample_rate} s"


def test_the_pitch_is_heard_through_the_levels():
    sound = audio.Codec().samples(audio.Codec().encode(score((0, 960, 69, 80))))[:8000]
    magnitude = np.abs(np.fft.rfft(sound * np.hanning(8000)))
    assert magnitude.argmax() == 440  # Bins of 1 Hz.


def test_silence_is_the_level_of_zero():
    array = audio.Codec().encode(score((0, 96, 60, 80), (9600, 96, 60, 80)))
    assert set(array[4000:76000].tolist()) == {128}
    assert audio.Codec().encode(score()).shape == (0,)


def test_the_record_depends_on_the_flags_alone():
    with pytest.raises(ValueError, match="renderer=fluidsynth needs a soundfont; add --sound"):
        audio.Codec(renderer="fluidsynth")
    with pytest.raises(ValueError, match="a soundfont is for renderer=fluidsynth"):
        audio.Codec(soundfont="some.sf2")
    # Refused where the piece is rendered; the additive piano is no stand-in.
    with pytest.raises(ValueError, match=r"there is no soundfont 'none\.sf2'"):
        audio.Codec(renderer="fluidsynth", soundfont="none.sf2").encode(score((0, 1, 60, 64)))


def with_soundfont(path):
    return audio.Codec(renderer="fluidsynth", soundfont=str(path))


def test_what_is_in_the_soundfont_stands_in_the_manifest_and_not_where_it_lies(tmp_path):
    for name in ("here", "there"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "piano.sf2").write_bytes(b"abc")
    # The SHA-256 of abc: FIPS 180-2, appendix B.1.
    digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    values = with_soundfont(tmp_path / "here" / "piano.sf2").to_json()
    assert values["soundfont"] == f"piano.sf2, SHA-256 {digest}"
    assert with_soundfont(tmp_path / "there" / "piano.sf2").to_json() == values
    (tmp_path / "there" / "piano.sf2").write_bytes(b"another font")
    assert with_soundfont(tmp_path / "there" / "piano.sf2").to_json() != values
    with pytest.raises(ValueError, match=r"there is no soundfont '.*gone\.sf2'; give --sound"):
        with_soundfont(tmp_path / "gone.sf2").to_json()


def test_a_codec_from_a_manifest_gives_samples_without_the_soundfont_but_encodes_nothing(tmp_path):
    (tmp_path / "piano.sf2").write_bytes(b"abc")
    values = with_soundfont(tmp_path / "piano.sf2").to_json()
    (tmp_path / "piano.sf2").unlink()
    codec = codec_from_json(json.loads(json.dumps(values)))
    assert codec.to_json() == values and codec == codec_from_json(values)
    assert codec.samples(np.array([255], np.uint8)).tolist() == [1]
    with pytest.raises(ValueError, match=r"what it is \(piano\.sf2, SHA-256 ba78.*not where it"):
        codec.encode(score((0, 1, 60, 64)))


@pytest.mark.parametrize("sample_rate", [3999, 16001])
def test_a_sample_rate_out_of_range_is_refused(sample_rate):
    with pytest.raises(ValueError, match=f"sample_rate is {sample_rate}; give 4000 to 16000"):
        audio.Codec(sample_rate=sample_rate)


def test_sound_gives_no_notes_to_stretch_or_transpose():
    for refused in (audio.Codec().transpose, audio.Codec().stretch):
        with pytest.raises(ValueError, match="codec 'audio' cannot"):
            refused(np.zeros((1, 4), np.uint8), np.ones(1))


@given(scores(0, 127))
@settings(max_examples=15, deadline=None, derandomize=True)
def test_any_score_becomes_levels_that_end_with_its_last_note(piece):
    array = audio.Codec(sample_rate=4000).encode(piece)
    assert array.dtype == np.uint8
    sounding = piece.with_sustain_applied()
    ends = sounding.end_seconds[~sounding.notes["is_drum"]]
    seconds = ends.max() + synthesis.RELEASE_SECONDS if len(ends) else 0
    assert math.isclose(len(array), seconds * 4000, abs_tol=1)


# What an exported model gives, and WAV files.


def test_a_graph_gives_the_wav_file_that_python_gives_and_its_samples():
    import tensorflow as tf

    codec = Codec(sample_rate=4000)
    signature = [tf.TensorSpec([None, None], tf.int32), tf.TensorSpec([None], tf.int32)]
    graph = tf.function(codec.outputs, input_signature=signature, autograph=False)
    arrays = np.stack([np.arange(256), np.random.default_rng(0).permutation(256)])
    made = graph(arrays.astype(np.int32), np.array([256, 100], np.int32))
    made = {name: value.numpy() for name, value in made.items()}
    for row, length in enumerate((256, 100)):
        assert made["wav_bytes"][row] == codec.wav_bytes(arrays[row, :length])
        expected = codec.samples(arrays[row, :length])
        np.testing.assert_array_equal(made["samples"][row, :length], expected)
        assert not made["samples"][row, length:].any()
    assert made["sample_count"].tolist() == [256, 100]


def test_a_wav_file_of_every_level_gives_those_levels_back(tmp_path):
    codec, levels = Codec(), np.arange(256, dtype=np.uint8)
    (tmp_path / "levels.wav").write_bytes(codec.wav_bytes(levels))
    np.testing.assert_array_equal(codec.read(tmp_path / "levels.wav"), levels)


@pytest.mark.parametrize(
    ("width", "octets"), [(1, [128, 192, 0]), (2, [0, 0, 0, 64, 0, 128]),
                          (3, [0, 0, 0, 0, 0, 64, 0, 0, 128]),
                          (4, [0, 0, 0, 0, 0, 0, 0, 64, 0, 0, 0, 128])]
)  # fmt: skip
def test_samples_of_every_width_are_read(width, octets):
    file = io.BytesIO()
    with wave.open(file, "wb") as written:
        written.setparams((1, width, 8000, 0, "NONE", ""))
        written.writeframes(bytes(octets))
    sound, rate = wav.parse(file.getvalue())
    assert (sound.tolist(), rate) == ([0, 0.5, -1], 8000)


def test_sixteen_bits_are_rounded_from_zero_and_cut():
    sound = np.array([0, 0.5 / 2**15, -0.5 / 2**15, 1, -1, 0.25], np.float32)
    assert wav.pcm(sound).tolist() == [0, 1, -1, 32767, -32768, 8192]
