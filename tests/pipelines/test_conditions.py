"""Conditions: a window ahead worked out by hand, and what it cannot know."""

import numpy as np
import pytest
import tensorflow as tf
from stored_pieces import store

from pipelines import dataset
from pipelines.batches.augmentation import Augmentation
from pipelines.batches.conditions import SIZES, Conditions
from pipelines.batches.whole_pieces import whole_pieces
from pipelines.codecs import note_tuples
from pipelines.codecs.codec import Onsets, codec_class, codec_names
from pipelines.dataset import Windows, open_pieces
from pipelines.score import Score
from pipelines.score_arrays import NOTE

CODEC = note_tuples.Codec(tones_per_cell=2)
C, D, E, G = 0, 2, 4, 7


def onsets(*steps):
    """One row of steps, each the pitches that begin there and its seconds."""
    classes = np.zeros((1, len(steps), 12), np.float32)
    for step, (pitches, _) in enumerate(steps):
        for pitch in pitches:
            classes[0, step, pitch % 12] += 1
    sums = np.array([[sum(pitches) for pitches, _ in steps]], np.float32)
    seconds = np.array([[seconds for _, seconds in steps]], np.float32)
    return Onsets(*map(tf.constant, (classes, sums, seconds)))


# Steps begin at 0, 1, 2, 4 and 5 seconds; the last ends at 6.
STEPS = onsets(([60], 1), ([64, 67], 1), ([], 2), ([72], 1), ([62], 1))


def of_steps(known=5, length=3, **fields):
    """The conditions of the first row, as arrays without their row."""
    seconds = {"histogram_seconds": 3.0, "density_seconds": 3.0, "mean_pitch_seconds": 3.0}
    conditions = Conditions(CODEC, **{**seconds, **fields})
    found = conditions.of_onsets(STEPS, tf.constant([known], tf.int64), length)
    return {name: value.numpy()[0] for name, value in found.items()}


def histogram(*classes):
    """Shares of notes with the prior of a hundredth note of each pitch class."""
    counts = np.bincount(classes, minlength=12).astype(np.float64)
    return (counts + 0.01) / (counts.sum() + 0.12)


def test_a_window_ahead_begins_with_the_next_step_and_ends_with_its_seconds():
    found = of_steps()
    expected = [
        histogram(E, G),  # At 0: from step 1 at 1 s to below 4 s, where step 3 begins.
        histogram(C),  # At 1: from step 2 at 2 s to below 5 s, where step 4 begins.
        histogram(C, D),  # At 2: from step 3 at 4 s on.
    ]
    np.testing.assert_allclose(found["pitch_class_histogram"], expected, rtol=1e-6)
    np.testing.assert_allclose(found["density"], [[2 / 3], [1 / 3], [2 / 3]], rtol=1e-6)
    np.testing.assert_allclose(found["mean_pitch"], [[65.5], [72], [67]], rtol=1e-6)


def test_each_condition_has_seconds_of_its_own():
    found = of_steps(histogram_seconds=3.01, density_seconds=1.0, mean_pitch_seconds=2.01)
    np.testing.assert_allclose(
        found["pitch_class_histogram"],
        [histogram(E, G, C), histogram(C, D), histogram(C, D)],
        rtol=1e-6,
    )
    np.testing.assert_allclose(found["density"], [[2], [0], [1]])
    np.testing.assert_allclose(found["mean_pitch"], [[65.5], [72], [67]])


def test_no_onsets_are_a_uniform_histogram_no_density_and_the_middle_pitch():
    found = of_steps(length=5)
    # At 4, the last step: nothing is ahead. The piece's end is silence.
    np.testing.assert_allclose(found["pitch_class_histogram"][4], 1 / 12, rtol=1e-6)
    assert found["density"][4] == 0 and found["mean_pitch"][4] == 64
    np.testing.assert_allclose(found["pitch_class_histogram"].sum(axis=1), 1, rtol=1e-6)


def test_steps_beyond_the_piece_are_not_looked_at():
    found = of_steps(known=4)
    np.testing.assert_allclose(found["mean_pitch"], [[65.5], [72], [72]])
    np.testing.assert_allclose(found["density"], [[2 / 3], [1 / 3], [1 / 3]])


def test_a_window_ahead_holds_no_more_steps_than_stated_wherever_it_lies():
    found = of_steps(look_ahead_steps=1)
    np.testing.assert_allclose(found["mean_pitch"], [[65.5], [64], [72]])
    np.testing.assert_allclose(found["density"], [[2 / 3], [0], [1 / 3]])


def test_the_centred_window_counts_steps_around_the_next_one():
    found = of_steps(centred_steps=2)
    # Around step 1: steps 0 and 1; around 2: 1 and 2; around 3: 2 and 3.
    np.testing.assert_allclose(found["mean_pitch"], [[(60 + 64 + 67) / 3], [65.5], [72]])
    np.testing.assert_allclose(found["density"], [[3 / 2], [2 / 2], [1 / 2]])
    # Moved to stay among the five: 4 around step 5 is 1 to 4.
    found = of_steps(centred_steps=4, length=5)
    np.testing.assert_allclose(found["density"], [[4 / 4], [4 / 4], [4 / 4], [4 / 4], [4 / 4]])
    np.testing.assert_allclose(found["mean_pitch"][:, 0], [65.75, 65.75, 66.25, 66.25, 66.25])


def test_a_window_ahead_knows_nothing_of_the_step_itself_and_those_before_it():
    random = np.random.default_rng(0)

    def draw():
        classes = random.integers(0, 3, (4, 40, 12)).astype(np.float32)
        sums = random.integers(0, 99, (4, 40)).astype(np.float32)
        return [classes, sums, random.uniform(0, 0.5, (4, 40)).astype(np.float32)]

    conditions, known = Conditions(CODEC), tf.constant([40, 40, 31, 12], tf.int64)
    first = draw()
    expected = conditions.of_onsets(Onsets(*map(tf.constant, first)), known, 30)
    for step in (0, 7, 29):
        other = [
            np.concatenate([b[:, : step + 1], a[:, step + 1 :]], 1)
            for a, b in zip(first, draw(), strict=True)
        ]
        found = conditions.of_onsets(Onsets(*map(tf.constant, other)), known, 30)
        for name in SIZES:
            np.testing.assert_array_equal(found[name][:, step:], expected[name][:, step:])


def test_note_tuples_has_onsets_of_the_sounding_tones_of_a_cell_and_lasts_until_the_next():
    notes = [(0, 12, 60, 64), (12, 6, 64, 80), (12, 6, 67, 96), (36, 12, 72, 127)]
    piece = Score(12, np.array([(*note, 0, 0, False) for note in notes], NOTE))
    for fields in ({}, {"presence": False}, {"scaling": "raw", "pitch_features": "number"}):
        codec = note_tuples.Codec(tones_per_cell=2, quarters_per_minute=120, **fields)
        found = codec.onsets(codec.encode(piece)[None])
        assert [np.flatnonzero(step).tolist() for step in found.pitch_classes[0]] == [
            [C], [E, G], [C],
        ]  # fmt: skip
        np.testing.assert_array_equal(found.pitch_sum, [[60, 131, 72]])
        # A quarter of 12 ticks is half a second; what follows the last cell is not known.
        np.testing.assert_allclose(found.seconds, [[0.5, 1.0, 0.0]])


def test_tones_with_times_of_their_own_begin_within_their_cell():
    notes = [(12 * k, 12, 60 + k, 64) for k in range(5)]
    piece = Score(12, np.array([(*note, 0, 0, False) for note in notes], NOTE))
    codec = note_tuples.Codec(tones_per_cell=2, quadruplet_per_tone=True, quarters_per_minute=60)
    found = codec.onsets(codec.encode(piece)[None])
    # Cells of 60 and 61, 62 and 63, 64 and an empty slot; a quarter is a second.
    np.testing.assert_array_equal(found.pitch_sum, [[121, 125, 64]])
    np.testing.assert_allclose(found.seconds, [[2, 2, 0]])


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"names": ("loudness",)}, r"conditions has loudness; give some of pitch_class_histogram,"),
        ({"names": ()}, "conditions has none"),
        ({"density_seconds": 0.0}, "density_seconds is 0.0; give a number above 0, at most 3600"),
        ({"look_ahead_steps": 0}, "look_ahead_steps is 0"),
    ],
)
def test_conditions_that_make_no_sense_are_refused(fields, said):
    with pytest.raises(ValueError, match=said):
        Conditions(CODEC, **fields)


# In batches.


@pytest.fixture(name="both", scope="module")
def pieces_in_memory_and_on_disk(tmp_path_factory):
    """Nine pieces of 30 to 70 random notes, in memory and on disk."""
    random = np.random.default_rng(1)
    arrays = []
    for count in range(30, 75, 5):
        notes = np.zeros(count, NOTE)
        notes["onset"], notes["duration"] = np.sort(random.integers(0, 8 * count, count)), 6
        notes["pitch"], notes["velocity"] = random.integers(40, 90, count), 64
        arrays.append(CODEC.encode(Score.from_unsorted(12, notes)))
    folder = store(tmp_path_factory.mktemp("stored"), [arrays[:4], arrays[4:]], CODEC.spec)
    megabytes = sum(array.nbytes for array in arrays) / 2**20 * 0.9
    return dataset.load(folder, "train"), open_pieces(folder, "train", memory_megabytes=megabytes)


def test_a_condition_belongs_to_the_step_of_the_piece_not_to_the_window(both):
    conditions = Conditions(CODEC, look_ahead_steps=20)
    whole = {
        int(piece): {name: batch[name][row].numpy() for name in ("music", *SIZES)}
        for batch in whole_pieces(both[0], 4, conditions)
        for row, piece in enumerate(batch["piece"])
    }
    for pieces in both:
        windows = Windows(pieces, 10, 9, 1, conditions=conditions)
        for _, batch in zip(range(2), windows.dataset(), strict=False):
            assert batch["pitch_class_histogram"].shape == (9, 10, 12)
            assert batch["density"].shape == batch["mean_pitch"].shape == (9, 10, 1)
            for row, music in enumerate(batch["music"].numpy()):
                places = [
                    (piece, start)
                    for piece, held in whole.items()
                    for start in range(len(held["music"]) - 9)
                    if np.array_equal(held["music"][start : start + 10], music)
                ]
                ((piece, start),) = places
                for name in SIZES:
                    np.testing.assert_allclose(
                        batch[name][row], whole[piece][name][start : start + 10], atol=1e-6
                    )


def test_conditions_are_those_of_the_augmented_music(both):
    plain = Windows(both[0], 10, 9, 1, conditions=Conditions(CODEC)).batch(0)
    windows = Windows(
        both[0], 10, 9, 1, conditions=Conditions(CODEC), augmentation=Augmentation(CODEC, 6, 0)
    )
    batch = windows.batch(0)
    column = next(first for name, first, _ in CODEC.blocks if name == "pitch 1")
    semitones = np.round((batch["music"] - plain["music"])[:, 0, column] * 24).astype(int)
    assert len(set(semitones)) > 3
    for row, shift in enumerate(semitones):
        np.testing.assert_allclose(
            batch["pitch_class_histogram"][row],
            np.roll(plain["pitch_class_histogram"][row], shift, axis=-1),
            atol=1e-6,
        )
        np.testing.assert_allclose(
            batch["mean_pitch"][row], plain["mean_pitch"][row] + shift, atol=1e-4
        )


def test_conditions_leave_the_windows_and_their_transform_as_they_are(both):
    for pieces in both:
        plain = Windows(pieces, 10, 4, 1, transform=CODEC.dequantize)
        told = Windows(pieces, 10, 4, 1, transform=CODEC.dequantize, conditions=Conditions(CODEC))
        np.testing.assert_array_equal(told.batch(2)["music"], plain.batch(2)["music"])


@pytest.mark.parametrize("name", codec_names())
def test_every_codec_goes_through_tf_data_or_says_that_it_cannot(name):
    codec = codec_class(name)()
    notes = [(120 * k, 120, 60 + k % 5, 64) for k in range(24)]
    piece = Score(480, np.array([(*note, 0, 0, False) for note in notes], NOTE))
    array = codec.encode(piece)
    length = min(len(array), 50) - 4
    pieces = dataset.Pieces.of(codec.spec, ["a", "b"], [array, array], {})
    options = {}
    for option, make in {
        "augmentation": lambda: Augmentation(codec, 3, 0),
        "stretching": lambda: Augmentation(codec, 0, 10),
        "conditions": lambda: Conditions(codec, look_ahead_steps=8),
    }.items():
        try:
            options[option] = make()
        except ValueError as refusal:
            assert f"codec {name!r}" in str(refusal)
    if {"augmentation", "stretching"} <= options.keys():
        options["augmentation"] = Augmentation(codec, 3, 10)
    options["augmentation"] = options.get("augmentation") or options.get("stretching")
    options.pop("stretching", None)
    windows = Windows(pieces, length, 2, 0, **options)
    batch, eager = next(iter(windows.dataset(3))), windows.batch(3)
    assert batch["music"].shape == (2, length, *array.shape[1:])
    assert batch["music"].dtype == codec.spec.dtype
    for key, value in batch.items():
        np.testing.assert_array_equal(value, eager[key])
    if "conditions" in options:
        np.testing.assert_allclose(
            batch["pitch_class_histogram"].numpy().sum(axis=-1), 1, rtol=1e-5
        )
        assert batch["density"].numpy().max() > 0
