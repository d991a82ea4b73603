"""Tests of pipelines/codecs/abc_text: what text becomes, by hand, and that none is lost."""

import random
from pathlib import Path

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest

from pipelines.codecs import abc_text
from pipelines.codecs.abc_text import Codec
from pipelines.formats import abc_files, abc_notation, midi
from pipelines.score import Score
from pipelines.score_arrays import LAST_TICK, NOTE

DATA = Path(__file__).parents[2].parent / "shared" / "data"
TUNE = (
    "X:7\nT:Café\nC:Anon\n% a comment\nM:6/8\nL:1/8\nQ:1/4=90\nK:G\nN:note\nA>B|\tc:| % end\n"
    "w:la\nP:B\nd|"
)


def with_text(text):
    return Score(480, np.zeros(0, NOTE), abc=text)


def every(headers):
    return pytest.mark.parametrize("codec", [Codec(headers=h) for h in headers], ids=headers)


def test_tokens_by_hand():
    # begin, K : C newline a |, end; a space is 4 and a character its code less 28.
    assert Codec().encode(with_text("X:1\nK:C\na|")).tolist() == [
        0,
        ord("K") - 28,
        ord(":") - 28,
        ord("C") - 28,
        3,
        ord("a") - 28,
        ord("|") - 28,
        1,
    ]
    # A tab is the byte 09, an e with an acute accent c3 a9 in UTF-8: escape and two digits.
    digits = [2, ord("0") - 28, ord("9") - 28]
    accent = [2, ord("c") - 28, ord("3") - 28, 2, ord("a") - 28, ord("9") - 28]
    assert abc_text.tokens("\té~").tolist() == [0, *digits, *accent, 98, 1]


@pytest.mark.parametrize(
    ("headers", "kept"),
    [
        ("whole", TUNE),
        ("music", "M:6/8\nL:1/8\nQ:1/4=90\nK:G\nA>B|\tc:|\nP:B\nd|"),
        ("none", "A>B|\tc:|\nd|"),
    ],
)
def test_headers_that_are_kept(headers, kept):
    codec = Codec(headers=headers)
    array = codec.encode(with_text(TUNE))
    assert abc_text.text_of(array) == (kept, 0)
    score, dropped = codec.decode(array)
    assert dropped == 0
    assert score.abc == codec.text(array)
    np.testing.assert_array_equal(codec.encode(score), array)


@pytest.mark.parametrize(
    ("before", "body", "pitches"),
    [
        ("%%propagate-accidentals not\n", "^F F", [66, 65]),
        ("%%propagate-accidentals not % all\n", "^F F", [66, 65]),
        ("I:propagate-accidentals octave\n", "^F f", [66, 77]),
        ("I:propagate-accidentals octave% all\n", "^F f", [66, 77]),
        ("", "^F f|[I:propagate-accidentals octave] ^F f", [66, 78, 66, 77]),
        ("", "^F F|\n%%propagate-accidentals not\n^F F", [66, 66, 66, 65]),
        ("%%begintext\nABC\n%%propagate-accidentals not\n%%endtext\n", "^F F", [66, 66]),
        ("%%propagate-accidentals some\nI:linebreak $\n", "^F F", [66, 66]),
        ("", "CD|\nz:|\nE|", [60, 62, 60, 62, 64]),
    ],
)
def test_what_changes_the_notes_is_kept(before, body, pitches):
    tune = f"X:1\n{before}L:1/4\nK:C\n{body}"
    assert abc_notation.read_tune(tune).score.notes["pitch"].tolist() == pitches
    array = Codec().encode(with_text(tune))
    score, dropped = Codec().decode(array)
    assert (score.notes["pitch"].tolist(), dropped) == (pitches, 0)
    np.testing.assert_array_equal(Codec().encode(score), array)
    assert "some" not in Codec().text(array) and "ABC" not in Codec().text(array)
    assert not set("%") & set(Codec(headers="none").stripped(tune))


LINES = [
    "%%propagate-accidentals not",
    "%%propagate-accidentals octave",
    "I:propagate-accidentals pitch % back",
    "%%begintext",
    "%%endtext",
    "%%begins",
    "%%scale 0.7",
    "% ABC",
    "w:la la",
    "N:note",
    "K:D",
    "M:3/4",
    "^F F f|",
    "_B A- A b % B",
    "[I:propagate-accidentals not] ^c c c'",
    "z:|",
    "c::",
    "Z:|",
    "|:G2 A>B:|",
    "",
]


def test_tunes_of_any_lines_sound_the_same_without_their_titles():
    chance = random.Random(4)
    for _ in range(300):
        tune = "\n".join(["X:1", "T:One", "L:1/8", "K:C", *chance.choices(LINES, k=12)])
        expected = abc_notation.read_tune(tune).score
        array = Codec().encode(with_text(tune))
        score = Codec().decode(array).score
        np.testing.assert_array_equal(score.notes, expected.notes, tune)
        np.testing.assert_array_equal(Codec().encode(score), array)


def test_headers_are_restored():
    array = Codec().encode(with_text(TUNE))
    assert Codec().text(array).startswith("X:1\nT:\nM:6/8\nL:1/8\nQ:1/4=90\nK:G\nA>B")
    assert Codec().text(abc_text.tokens("abc")) == "X:1\nT:\nK:C\nabc"
    assert Codec(headers="none").text(abc_text.tokens("abc")) == ("X:1\nT:\nM:4/4\nL:1/8\nK:C\nabc")
    assert Codec(headers="whole").text(abc_text.tokens("abc")) == "abc"


def test_decoding_gives_the_notes_of_the_tune():
    score = Codec().decode(abc_text.tokens("M:3/4\nL:1/4\nK:D\nF>G A|")).score
    assert score.notes["pitch"].tolist() == [66, 67, 69]
    assert score.notes["duration"].tolist() == [720, 240, 480]
    assert score.meters.tolist() == [(0, 3, 4)]


def test_what_is_dropped_is_counted_and_the_rest_is_read():
    def decoded(*parts):
        return Codec().decode(np.concatenate(parts))

    tokens = abc_text.tokens("K:C\nA B")
    assert decoded(tokens, tokens).dropped == len(tokens) - 1  # Behind the end; 0 fills up.
    assert decoded(tokens, np.zeros(9, np.uint8)).dropped == 0
    assert decoded(tokens[:-1], [2, 90, 1]).dropped == 1  # An escape without digits.
    score, dropped = decoded(abc_text.tokens("K:C\nA [CE (0 B ? c|"))
    assert score.notes["pitch"].tolist() == [69, 60, 64, 71, 72]
    assert dropped == 3
    score, dropped = decoded(abc_text.tokens("K:C\nA B0 c A/0 [V:] d"))
    assert (score.notes["pitch"].tolist(), dropped) == ([69, 72, 74], 1)  # The voice.


def test_a_score_without_a_tune_is_written_where_its_voices_are_plain():
    notes = np.array([(0, 480, 60, 64, 0, 0, 0), (480, 480, 62, 64, 0, 0, 0)], NOTE)
    array = Codec().encode(Score(480, notes))
    assert abc_text.text_of(array)[0] == "M:none\nL:1/4\nK:none\nCD|]"
    np.testing.assert_array_equal(Codec().decode(array).score.notes["onset"], [0, 480])
    notes["duration"][0] = 700  # It overlaps the next.
    assert not len(Codec().encode(Score(480, notes)))


def test_a_wrong_field_is_refused_in_words():
    with pytest.raises(ValueError, match=r"--headers is 'some'; give one of music\|none\|whole"):
        Codec(headers="some")  # type: ignore[arg-type]


@every(["whole", "music", "none"])
@hypothesis.given(st.lists(st.integers(0, abc_text.SIZE - 1), max_size=200))
@hypothesis.settings(max_examples=60, deadline=None)
def test_any_array_of_the_spec_decodes_to_a_valid_score(codec, values):
    array = np.array(values, np.uint8)
    score, dropped = codec.decode(array)
    assert dropped >= 0 and score.length_ticks <= LAST_TICK
    assert score.abc == codec.text(array)


@hypothesis.given(st.text(max_size=100))
@hypothesis.settings(max_examples=100, deadline=None)
def test_any_text_comes_back_to_the_character(text):
    text = text.encode("utf-8", "replace").decode()  # Lone surrogates are no text.
    hypothesis.assume(text)
    codec = Codec(headers="whole")
    assert codec.text(codec.encode(with_text(text))) == text


@every(["music", "none", "whole"])
@hypothesis.given(st.text('ABcd |:[]"^_=/234(zK\n%XM-><', max_size=60))
@hypothesis.settings(max_examples=60, deadline=None)
def test_encoding_what_was_decoded_gives_the_same_text(codec, text):
    array = codec.encode(with_text("X:1\nK:C\n" + text))
    np.testing.assert_array_equal(codec.encode(codec.decode(array).score), array)


def test_noise_from_a_model_decodes_in_bounded_time():
    draw = np.random.default_rng(1)
    for _ in range(20):
        array = draw.integers(0, abc_text.SIZE, 5000).astype(np.uint8)
        array[array == abc_text.END] = abc_text.NEWLINE
        assert Codec().decode(array).dropped > 10


def real_tunes():
    paths = sorted((DATA / "abc").rglob("*.abc"))
    if not paths:
        pytest.skip("../shared/data is not here")
    return [tune.text for path in paths for tune in abc_files.tunes_of_file(path)]


def test_all_tunes_of_the_collections_come_back_to_the_character():
    tunes, codec = real_tunes(), Codec(headers="whole")
    assert len(tunes) == 1034 + 1037 + 1059
    for text in tunes:
        assert codec.text(codec.encode(with_text(text))) == text


@every(["music"])
def test_without_their_titles_tunes_sound_the_same(codec):
    for text in random.Random(1).sample(real_tunes(), 300):
        try:
            score = abc_notation.read_tune(text).score
        except abc_notation.AbcError:
            continue
        array = codec.encode(score)
        decoded = codec.decode(array).score
        for name in ("notes", "tempi", "meters", "keys"):
            np.testing.assert_array_equal(getattr(decoded, name), getattr(score, name))
        np.testing.assert_array_equal(codec.encode(decoded), array)


def test_real_chorales_are_written_and_read_again():
    paths = sorted((DATA / "scores" / "bach_chorales_jsbchorales.net").rglob("*.mid"))[::25]
    if not paths:
        pytest.skip("../shared/data is not here")
    written = 0
    for path in paths:
        score = midi.read_score(path)
        array = Codec().encode(score)
        if len(array):
            written += 1
            decoded, dropped = Codec().decode(array)
            assert dropped == 0
            for name in ("onset", "duration", "pitch"):
                expected = score.quantized(decoded.ticks_per_quarter).notes[name]
                np.testing.assert_array_equal(decoded.notes[name], expected)
    assert written > len(paths) / 2


# What an exported model gives: the same text, by TensorFlow ops.


def outputs_of(codec):
    import tensorflow as tf

    signature = [tf.TensorSpec([None, None], tf.int32), tf.TensorSpec([None], tf.int32)]
    return tf.function(codec.outputs, input_signature=signature, autograph=False)


@every(["music", "none", "whole"])
def test_a_graph_gives_the_text_that_the_codec_gives_of_any_tokens(codec):
    draw, graph = np.random.default_rng(5), outputs_of(codec)
    digits = abc_text._TOKEN_OF_DIGIT
    often = [*[abc_text.ESCAPE] * 60, *np.tile(digits, 6), *[abc_text.BEGIN] * 10]
    often += [*[abc_text.NEWLINE] * 20, *[ord("K") - 28] * 15, *[ord(":") - 28] * 15]
    for turn in range(20):  # The end in every other one, or no text would be long.
        pool = np.array([*range(abc_text.SIZE), *often])
        pool = pool[(pool != abc_text.END) | (turn % 2 == 0)]
        arrays = draw.choice(pool, (50, draw.integers(1, 60))).astype(np.int32)
        lengths = draw.integers(1, arrays.shape[1], 50, np.int32, endpoint=True)
        made = {name: value.numpy() for name, value in graph(arrays, lengths).items()}
        for row, length in enumerate(lengths):
            assert made["text"][row].decode() == codec.text(arrays[row, :length])
            count = made["token_count"][row]
            ends = np.flatnonzero(arrays[row, :length] == abc_text.END)
            assert count == (ends[0] + 1 if len(ends) else length)
            np.testing.assert_array_equal(made["tokens"][row, :count], arrays[row, :count])
            assert not made["tokens"][row, count:].any()
        assert made["tokens"].shape[1] == made["token_count"].max()


@pytest.mark.parametrize(
    ("written", "text"),
    [
        ("é\t~", "é\t~"),
        ("\ufeffA", "\ufeffA"),
        ("\x00A\x1b", "\x00A\x1b"),
        ("𝄞 K:D", "𝄞 K:D"),
    ],
)
def test_a_graph_gives_bytes_that_are_escaped(written, text):
    codec = Codec(headers="whole")
    array = abc_text.tokens(written).astype(np.int32)[None]
    made = outputs_of(codec)(array, np.array([array.shape[1]], np.int32))
    assert made["text"].numpy()[0].decode() == text == codec.text(array[0])


def test_a_graph_leaves_out_what_is_no_utf_8():
    # Escaped by hand: ff, the first byte of an accent alone, a surrogate; A and B stay.
    tokens = []
    for part in ("A", "ff", "c3", "B", "ed", "a0", "80"):
        tokens += [ord(part) - 28] if len(part) == 1 else [2, *(ord(c) - 28 for c in part)]
    array = np.array([tokens], np.int32)
    made = outputs_of(Codec(headers="whole"))(array, np.array([len(tokens)], np.int32))
    assert made["text"].numpy()[0] == b"AB"


def test_what_goes_on_from_a_text_is_without_its_end():
    array = abc_text.tokens("abc")
    np.testing.assert_array_equal(Codec().without_end(array), array[:-1])
    np.testing.assert_array_equal(Codec().without_end(array[:-1]), array[:-1])


def test_tunes_of_chance_can_be_written_as_midi():
    draw, codec = np.random.default_rng(2), Codec()
    characters = np.frombuffer(b"ABcdefg^_=|:[]()2346/<>{}~. \nKMLQ1'\",", np.uint8) - 28
    characters = np.append(characters[characters < abc_text.SIZE], abc_text.NEWLINE)
    notes = 0
    for _ in range(60):
        score = codec.decode(draw.choice(characters, 200).astype(np.uint8)).score
        assert len(midi.read_score(midi.to_bytes(score)).notes) == len(score.notes)
        notes += len(score.notes)
    assert notes > 1000
