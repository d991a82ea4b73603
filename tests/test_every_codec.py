"""What every codec owes: this file finds them in pipelines/codecs, a new one is tested at once."""

import dataclasses
import importlib
import inspect
import itertools
import json
import math
import typing

import numpy as np
import pytest

from pipelines.codecs import note_codec
from pipelines.codecs.codec import Codec, ScoreCodec, codec_class, codec_from_json, codec_names
from pipelines.codecs.note_codec import NoteCodec
from pipelines.score import Score
from pipelines.score_arrays import LAST_TICK, METER, NOTE, PEDAL, TEMPO
from pipelines.spec import Spec

KINDS = ("tokens", "vectors", "cells", "roll", "set", "audio")


def eight_bars() -> Score:
    """Two voices, a chord, a unison, a key struck again while it sounds, a rest, a drum, pedal."""
    quarter = 480
    notes = [
        # onset, duration (quarters), pitch, velocity, track, program, drum
        (0, 4, 48, 70, 1, 0, False),
        (0, 1, 60, 64, 0, 0, False),
        (1, 1, 64, 80, 0, 0, False),
        (1, 1, 67, 90, 0, 0, False),
        (1, 2, 72, 100, 0, 0, False),
        (1, 2, 76, 100, 0, 0, False),
        (4, 0.5, 60, 1, 0, 0, False),
        (4, 3, 60, 127, 1, 0, False),
        (6, 1, 60, 50, 0, 0, False),
        (7, 0.01, 0, 64, 0, 0, False),
        (7.3, 0.1, 127, 64, 0, 0, False),
        (8, 1, 38, 64, 2, 0, True),
        (30, 2, 60, 64, 0, 0, False),
    ]
    return Score.from_unsorted(
        quarter,
        np.array([(int(o * quarter), int(d * quarter), *rest) for o, d, *rest in notes], NOTE),
        pedal=np.array([(0, 64, 127, 0), (960, 64, 0, 0)], PEDAL),
        tempi=np.array([(0, 600_000), (1920, 400_000)], TEMPO),
        meters=np.array([(0, 3, 4)], METER),
    )


def empty() -> Score:
    return Score(480, np.zeros(0, NOTE))


def settings(name: str) -> list[Codec]:
    """The codec with its defaults, and with each reasonable value of each of its fields."""
    cls = codec_class(name)
    codecs = [cls()]
    for field, hint in typing.get_type_hints(cls).items():
        if field not in {f.name for f in dataclasses.fields(cls)}:  # type: ignore[arg-type]
            continue
        default = getattr(codecs[0], field)
        for value in other_values(default, hint):
            try:
                codecs.append(cls(**{field: value}))
            except ValueError as refusal:
                # Refused in words, since a field may need another beside it.
                assert f"--{field} is" in str(refusal) or name in str(refusal)
    return codecs


def other_values(default: object, hint: object) -> list[object]:
    if typing.get_origin(hint) is typing.Literal:
        return [value for value in typing.get_args(hint) if value != default]
    if isinstance(default, bool):
        return [not default]
    if isinstance(default, int | float):
        return [type(default)(default * 2), default + 1]
    return []


CODECS = [codec for name in codec_names() for codec in settings(name)]
# Fields that only go together.
CODECS += [
    codec_from_json({"name": "note_tuples", **fields})
    for fields in (
        {"pitch_features": "number", "scaling": "raw", "tones_per_cell": 3},
        {"pitch_features": "number", "ticks_per_quarter": 384, "tones_per_cell": 3},
        {"tones_per_cell": 3, "quadruplet_per_tone": True},
        {"ticks_per_quarter": 1, "longest_quarters": 2},
    )
]
CODECS += [codec_from_json({"name": "events", "pedal_levels": levels}) for levels in (2, 128)]
CODECS += [
    codec_from_json({"name": "cells", **fields})
    for fields in (
        # Some times and lengths of the piece below are missing, and others go to them.
        {"times": (0, 1, 5, 6, 12, 36), "lengths": (1, 6, 7, 24), "tones_per_cell": 2},
        {"velocities": (64,), "pitches": tuple(range(36, 100)), "ticks_per_quarter": 24},
    )
]


def setting_name(codec: Codec) -> str:
    """The codec's name and those fields that differ from its defaults."""
    values, usual = codec.to_json(), type(codec)().to_json()
    said = [f"{key}={value}" for key, value in values.items() if value != usual[key]]
    return ",".join([codec.name, *said])


every_codec = pytest.mark.parametrize("codec", CODECS, ids=setting_name)
WITH_NOTES = [codec for codec in CODECS if isinstance(codec, NoteCodec)]
every_codec_of_notes = pytest.mark.parametrize("codec", WITH_NOTES, ids=setting_name)


@pytest.mark.parametrize("name", codec_names())
def test_the_file_opens_with_what_it_is_and_says_what_it_loses(name):
    text = inspect.getdoc(importlib.import_module(f"pipelines.codecs.{name}")) or ""
    assert text.startswith(f"{name}: ")
    assert "\nLost: " in text
    assert codec_class(name).name == name


@pytest.mark.parametrize("name", codec_names())
def test_fields_are_frozen_typed_and_have_help_and_defaults(name):
    cls = codec_class(name)
    assert cls.__dataclass_params__.frozen  # type: ignore[attr-defined]
    for field in dataclasses.fields(cls):  # type: ignore[arg-type]
        assert field.metadata.get("help"), field.name
        assert field.default is not dataclasses.MISSING, field.name


@every_codec
def test_the_spec_is_sound_and_comes_back_from_json(codec):
    spec = codec.spec
    assert spec.kind in KINDS
    assert np.dtype(spec.dtype).name == spec.dtype
    assert spec.size >= 1
    assert spec.step
    assert spec.shape[0] is None and None not in spec.shape[1:]
    if spec.kind in ("tokens", "audio"):
        assert spec.shape == (None,)
    else:
        assert spec.shape[-1] == spec.size
    first = 0  # Blocks follow each other without a gap and fill the size.
    for name, start, size in spec.blocks:
        assert name
        assert start == first
        assert size >= 1
        first += 1 if spec.kind == "cells" else size  # There a block is a field.
    assert first in (0, spec.size)
    assert bool(spec.values) == (spec.kind == "cells")
    for name, _, size in spec.blocks if spec.values else ():
        values = spec.values[name.partition(" ")[0]]
        assert len(values) == size and list(values) == sorted(set(values))
    assert Spec.from_json(json.loads(json.dumps(spec.to_json()))) == spec


@every_codec
def test_the_codec_comes_back_from_json(codec):
    assert codec_from_json(json.loads(json.dumps(codec.to_json()))) == codec


@every_codec
@pytest.mark.parametrize("piece", [eight_bars, empty])
def test_encode_gives_what_the_spec_says_and_the_same_each_time(codec, piece):
    array, again = codec.encode(piece()), codec.encode(piece())
    assert array.dtype == codec.spec.dtype
    assert array.ndim == len(codec.spec.shape)
    for length, expected in zip(array.shape, codec.spec.shape, strict=True):
        assert expected is None or length == expected
    assert array.tobytes() == again.tobytes()
    if codec.spec.kind == "vectors":
        assert np.isfinite(array).all()


@every_codec_of_notes
@pytest.mark.parametrize("piece", [eight_bars, empty])
def test_encoding_what_was_decoded_gives_the_same_array_exactly(codec, piece):
    array = codec.encode(piece())
    decoded = codec.decode(array)
    assert decoded.dropped == 0
    np.testing.assert_array_equal(codec.encode(decoded.score), array)


@every_codec_of_notes
def test_encode_does_not_change_the_score(codec):
    piece, before = eight_bars(), eight_bars()
    codec.encode(piece)
    np.testing.assert_array_equal(piece.notes, before.notes)


def arrays_of(spec: Spec) -> list[np.ndarray]:
    """Arrays of all that the spec allows, ten of random numbers, the rest of extremes."""
    draw = np.random.default_rng(3)
    shapes = [tuple(n if size is None else size for size in spec.shape) for n in (0, 1, 64)]
    dtype = np.dtype(spec.dtype)
    if dtype.kind == "f":
        extremes = (0.0, -0.0, 1.0, -1.0, 1e-45, 1e9, -1e9, 3e38, math.nan, math.inf, -math.inf)
        arrays = [np.full(shape, x, dtype) for shape in shapes for x in extremes]
        for scale in (0.1, 1.0, 10.0, 1e4, 1e30):
            normal = draw.normal(0, scale, shapes[-1]).astype(dtype)
            arrays += [normal, np.where(draw.random(shapes[-1]) < 0.1, math.nan, normal)]
        arrays.append(draw.choice(np.array(extremes, dtype), shapes[-1]))
        return arrays
    top = spec.size - 1 if spec.kind in ("tokens", "audio") else np.iinfo(dtype).max
    arrays = [np.full(shape, value, dtype) for shape in shapes for value in (0, 1, top)]
    return arrays + [draw.integers(0, top, shapes[-1], dtype, endpoint=True) for _ in range(10)]


@every_codec_of_notes
def test_decode_is_total_and_gives_valid_notes_in_order(codec):
    # Arrays of one length are a batch: operations, not their sizes, take the time.
    for _, arrays in itertools.groupby(arrays_of(codec.spec), key=len):
        together = list(arrays)
        decoded = codec.decode_all(together)  # A Score checks its own order and ranges.
        assert len(decoded) == len(together)
        for score, dropped in decoded:
            assert score.ticks_per_quarter == codec.ticks_per_quarter
            assert dropped >= 0
            assert score.length_ticks <= LAST_TICK


@every_codec_of_notes
def test_a_row_of_a_batch_decodes_as_it_does_alone(codec):
    long, short = codec.encode(eight_bars()), codec.encode(eight_bars())[:2]
    batch = np.zeros((2, *long.shape), long.dtype)
    batch[0], batch[1, : len(short)] = long, short
    notes, count, _ = codec.notes(batch, np.array([len(long), len(short)], np.int32))
    for row, alone in enumerate((long, short)):
        valid = np.asarray(notes)[row, : int(np.asarray(count)[row])]
        expected = codec.decode(alone).score.notes
        for column, field in enumerate(("onset", "duration", "pitch", "velocity")):
            np.testing.assert_array_equal(valid[:, column], expected[field])
        assert not np.asarray(notes)[row, len(valid) :].any()


@every_codec_of_notes
def test_arrays_that_are_decoded_together_give_what_each_gives_alone(codec, monkeypatch):
    monkeypatch.setattr(note_codec, "STEPS_TOGETHER", 100)  # Several batches, one of a long array.
    whole = codec.encode(eight_bars())
    arrays = [whole[:first] for first in (2, len(whole), 0, 5, len(whole) // 2, 1)]
    assert codec.decode_all([]) == []
    for array, together in zip(arrays, codec.decode_all(arrays), strict=True):
        alone = codec.decode(array)
        assert together.dropped == alone.dropped
        for field in ("notes", "pedal", "tempi"):
            expected = getattr(alone.score, field)
            np.testing.assert_array_equal(getattr(together.score, field), expected)


@every_codec_of_notes
def test_the_same_notes_come_from_a_compiled_graph(codec):
    import tensorflow as tf

    array = codec.encode(eight_bars())[None]
    lengths = np.array([array.shape[1]], np.int32)
    signature = [
        tf.TensorSpec([None, *codec.spec.shape], codec.spec.dtype),
        tf.TensorSpec([None], tf.int32),
    ]
    compiled = tf.function(codec.notes, input_signature=signature, autograph=False)
    for eager, graph in zip(codec.notes(array, lengths), compiled(array, lengths), strict=True):
        np.testing.assert_array_equal(eager, graph)


@every_codec
def test_an_exported_model_gives_what_the_codec_offers_its_file_among_it(codec):
    import tensorflow as tf

    array = codec.encode(eight_bars())[:500]
    if not len(array):  # Eight bars of chords that overlap are no tune.
        array = np.full(4, codec.spec.size - 1, codec.spec.dtype)
    is_float = np.dtype(codec.spec.dtype).kind == "f"
    dtype = tf.float32 if is_float else tf.int32  # As models give it.
    signature = [tf.TensorSpec([None, *codec.spec.shape], dtype), tf.TensorSpec([None], tf.int32)]
    # Without AutoGraph, as models are exported.
    graph = tf.function(codec.outputs, input_signature=signature, autograph=False)
    lengths = np.array([len(array), 1], np.int32)
    made = graph(np.stack([array, array]).astype(dtype.as_numpy_dtype), lengths)
    assert made.keys() == codec.output_descriptions.keys()
    assert all(len(value) == 2 for value in made.values())
    assert all(codec.output_descriptions.values())
    assert codec.file.suffix.startswith(".") and codec.file.kind
    content = made[codec.file.output]
    assert content.dtype == tf.string and all(content.numpy())


# What commands ask of a codec, so that none asks for its type.


@every_codec
def test_a_codec_that_gives_scores_decodes_and_another_one_names_those_that_do(codec):
    assert codec.gives_scores == isinstance(codec, ScoreCodec)
    assert codec.epoch_files
    if codec.gives_scores:
        assert codec.require_scores() is codec
        return
    with pytest.raises(ValueError, match=rf"{codec.name}.*no notes come back.*--codec=abc_text\|"):
        codec.require_scores()


@every_codec
def test_an_array_lasts_as_long_as_its_notes_and_nothing_lasts_no_time(codec):
    array = codec.encode(eight_bars())
    quarters = codec.duration_quarters(array)
    assert codec.duration_quarters(array[:0]) == 0
    if isinstance(codec, NoteCodec):
        last_onset = codec.decode(array).score.onset_quarters[-1]
        step = codec.duration_quarters(array[-1:])
        assert quarters >= last_onset - step - 1e-3
    if not codec.gives_scores:
        assert quarters == 0


@every_codec
def test_pitches_that_come_back_are_not_lost(codec):
    array = codec.encode(eight_bars())
    lost = codec.lost_pitches(eight_bars(), array)
    assert list(lost) == sorted(lost)
    assert set(lost) <= set(eight_bars().notes["pitch"].tolist())
    if isinstance(codec, NoteCodec):
        assert not set(lost) & set(codec.decode(array).score.notes["pitch"].tolist())
        assert len(codec.lost_pitches(eight_bars(), array[:0])) >= len(lost)
    else:
        assert lost == ()


# What augmentation and conditions ask of a codec; those that cannot say so in words.


def tensors_of(codec: Codec) -> tuple[object, np.ndarray]:
    """Eight bars of keys that can move by an octave, as a batch of one, and their array."""
    piece = eight_bars()
    notes = piece.notes[(piece.notes["pitch"] > 35) & (piece.notes["pitch"] < 90)]
    array = codec.encode(dataclasses.replace(piece, notes=notes))
    import tensorflow as tf

    return tf.constant(array[None]), array


def refuses(codec: Codec, method: str) -> bool:
    """Whether the codec inherits the refusal of that method."""
    return getattr(type(codec), method) is getattr(Codec, method)


@every_codec_of_notes
def test_transposing_moves_every_note_and_back_again(codec):
    arrays, array = tensors_of(codec)
    up = np.asarray(codec.transpose(arrays, np.array([3], np.int32)))
    assert up.shape == (1, *array.shape)
    assert up.dtype == array.dtype
    before, after = codec.decode(array).score, codec.decode(up[0]).score
    np.testing.assert_array_equal(after.notes["pitch"], before.notes["pitch"] + 3)
    np.testing.assert_array_equal(after.notes["onset"], before.notes["onset"])
    np.testing.assert_array_equal(codec.transpose(up, np.array([-3], np.int32))[0], array)


@every_codec_of_notes
def test_a_row_that_would_leave_the_keyboard_is_not_transposed(codec):
    arrays, array = tensors_of(codec)
    for semitones in (-100, 100):
        np.testing.assert_array_equal(codec.transpose(arrays, np.array([semitones]))[0], array)


@every_codec_of_notes
def test_stretching_makes_every_note_later_or_is_refused_in_words(codec):
    arrays, array = tensors_of(codec)
    factors = np.array([1.25], np.float32)
    try:
        slower = np.asarray(codec.stretch(arrays, factors))
    except ValueError as refusal:
        assert codec.name in str(refusal) and "--stretch_percent=0" in str(refusal)
        return
    assert slower.shape == (1, *array.shape)
    assert slower.dtype == array.dtype
    before, after = codec.decode(array).score.notes, codec.decode(slower[0]).score.notes
    count = min(len(before), len(after))  # A grid of fixed length loses what moves past its end.
    assert count > 0
    np.testing.assert_array_equal(after["pitch"][:count], before["pitch"][:count])
    assert (after["onset"][:count] >= before["onset"][:count]).all()
    np.testing.assert_array_equal(codec.stretch(arrays, np.ones(1, np.float32))[0], array)


@every_codec_of_notes
def test_onsets_are_what_is_decoded(codec):
    arrays, array = tensors_of(codec)
    try:
        onsets = codec.onsets(arrays)
    except ValueError as refusal:
        assert codec.name in str(refusal)
        assert refuses(codec, "onsets") or "onset" in str(refusal)
        return
    pitches = codec.decode(array).score.notes["pitch"]
    np.testing.assert_array_equal(
        np.sum(onsets.pitch_classes[0], axis=0), np.bincount(pitches % 12, minlength=12)
    )
    assert float(np.sum(onsets.pitch_sum)) == pitches.sum()
    assert onsets.seconds.shape == (1, len(array))
    assert float(np.min(onsets.seconds)) >= 0


def test_a_codec_that_is_not_there_is_refused_with_those_that_are():
    with pytest.raises(ValueError, match=r"no codec 'rolls'; the codecs are: .*note_tuples"):
        codec_class("rolls")
