"""CellGenerator: distributions of cells, the state beside the network, and sampling."""

from __future__ import annotations

import dataclasses
import itertools

import keras
import numpy as np
import pytest
from compiled import as_one_graph
from keras import ops

from crnn_gan.autoregressive import key_state
from crnn_gan.autoregressive.cell_fields import TONE_FIELDS, CellFields
from crnn_gan.autoregressive.cell_generator import CellGenerator
from crnn_gan.training.phases import input_gradient
from pipelines.batches.augmentation import LARGEST_SEMITONES
from pipelines.spec import Spec

FIELDS = ("beat_phase", "time", "tones", "pitch 1", "length 1", "velocity 1")
SECOND = ("pitch 2", "length 2", "velocity 2")
VALUES = {
    "beat_phase": (0, 1, 2, 3),
    "time": (0, 2, 3),
    "tones": (1, 2),
    "pitch": (60, 61, 62),
    "length": (1, 4),
    "velocity": (40, 80),
}
NAMES = (*FIELDS, *SECOND)
SPEC = Spec(
    "cells",
    (None, len(NAMES)),
    "int32",
    len(NAMES),
    "cell of up to 2 notes",
    tuple((name, n, len(VALUES[name.split()[0]])) for n, name in enumerate(NAMES)),
    values=VALUES,
)
# Beat 3 of 4: C4 for 4 ticks. 2 ticks later, so in the next beat: C#4 and D4 for 1 and 4.
PIECE = np.array([[[3, 0, 0, 0, 1, 1, 0, 0, 0], [1, 1, 1, 1, 0, 1, 2, 1, 0]]], "int32")


def generator(dropout: float = 0.0, spec: Spec = SPEC) -> CellGenerator:
    keras.utils.set_random_seed(0)
    made = CellGenerator(spec, 8, 2, dropout, keras.random.SeedGenerator(1))
    made.build()
    for weight in made.trainable_weights:  # Biases too, which begin as zeros.
        weight.assign(0.5 * np.random.default_rng(len(weight.shape)).normal(size=weight.shape))
    return made


def uniforms(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random(shape).astype("float32")


def sampled(made: CellGenerator, rows: int, time: int, temperature: float = 1.0) -> np.ndarray:
    heat = np.full(rows, temperature, "float32")
    temperatures = dict.fromkeys(("time", "tones", "pitch", "length", "velocity"), heat)
    next_cell = as_one_graph(made.step)
    state, cells = made.begin(uniforms(rows, 3), heat), []
    for step in range(time):
        numbers = uniforms(rows, made.fields.decisions, seed=step + 1)
        state, cell = next_cell(state, numbers, temperatures)
        cells.append(np.asarray(cell))
    return np.stack(cells, axis=1)


def test_keys_sound_for_what_is_left_of_their_notes_and_the_beat_goes_on() -> None:
    before = key_state.before_each_cell(CellFields(SPEC), PIECE)
    assert np.asarray(before.is_first).tolist() == [[1, 0]]
    assert np.asarray(before.phase).tolist() == [[3, 3]]
    assert np.asarray(before.ticks_left).tolist() == [[[0, 0, 0], [4, 0, 0]]]
    state = key_state.KeyState(*(x[:, 1] for x in before))
    after = key_state.after_cell(CellFields(SPEC), state, PIECE[:, 1])
    # 2 of 4 ticks are left of C4; the new notes have all of theirs.
    assert np.asarray(after.ticks_left).tolist() == [[2, 1, 4]]
    assert (np.asarray(after.phase).tolist(), np.asarray(after.is_first).tolist()) == ([1], [0])


def test_a_piece_has_one_velocity_or_several_and_padding_has_none() -> None:
    piece = np.repeat(PIECE, 3, axis=0)
    piece[1, 1, 8] = 1  # The tone that was softer.
    piece[2, 1, 5] = 0
    found = CellFields(SPEC).dynamics(piece, np.array([2, 2, 1], "int32"))
    assert np.asarray(found).tolist() == [2, 1, 1]


def test_one_hots_of_tones_that_are_not_there_are_zeros() -> None:
    cells = CellFields(SPEC).one_hots(PIECE[0])
    assert np.asarray(cells.pitch[1]).tolist() == [[0, 0, 0], [0, 0, 1]]
    assert np.asarray(cells.velocity[1]).tolist() == [[0, 0], [1, 0]]
    joined = np.asarray(CellFields(SPEC).joined(cells))
    assert joined.shape == (2, CellFields(SPEC).critic_size)
    assert joined.sum(axis=-1).tolist() == [5, 8]


def test_a_piece_has_the_tonality_that_its_tones_fit_best_for_as_long_as_they_last() -> None:
    values = VALUES | {"pitch": tuple(range(60, 72))}
    spec = dataclasses.replace(
        SPEC,
        blocks=tuple((name, n, len(values[name.split()[0]])) for n, name in enumerate(NAMES)),
        values=values,
    )
    # C and E, C and G: C major. A and C, A and E: A minor. C and G, then F# and A# for longer.
    chords = [[(0, 4), (0, 7)], [(0, 9), (4, 9)], [(0, 7), (6, 10)]]
    piece = np.zeros((3, 2, len(NAMES)), "int32")
    piece[..., 2] = 1
    piece[..., [3, 6]] = chords
    piece[2, 1, [4, 7]] = 1
    found = np.asarray(CellFields(spec).tonality(piece))
    assert found.tolist()[:2] == [0, 12 + 9]
    assert found[2] % 12 not in (0, 9)
    valid = np.array([2, 2, 1], "int32")
    assert np.asarray(CellFields(spec).tonality(piece, valid)).tolist() == [0, 12 + 9, 0]


def test_of_a_transposed_window_the_tonality_before_counts() -> None:
    made = generator()
    state, nats = made.begin_of(PIECE)
    moved = PIECE.copy()
    tonality = int(state[3].tonality[0])
    before = (tonality % 12 - 2) % 12 + tonality // 12 * 12
    logits = np.asarray(made.prior.logits["tonality"].value)
    likelihood = as_one_graph(made.negative_log_likelihood)
    parts = [
        np.asarray(likelihood(moved, np.array([t], "int32"))[1]["piece"])[0, 0] for t in (0, 2)
    ]
    assert parts[0] == pytest.approx(float(nats[0]), rel=1e-5)
    assert parts[1] - parts[0] == pytest.approx(logits[tonality] - logits[before], rel=1e-4)


def test_a_critic_does_not_see_the_time_of_a_first_cell() -> None:
    # In a window from the middle of a piece there is one, in a sample none.
    fields, first, second = CellFields(SPEC), PIECE.copy(), PIECE.copy()
    first[0, 0, 1] = second[0, 1, 1] = 2
    plain = np.asarray(fields.windows(PIECE))
    assert np.array_equal(fields.windows(first), plain)
    assert not np.array_equal(fields.windows(second), plain)
    assert np.array_equal(plain, fields.joined(fields.one_hots(PIECE)))


def every_cell() -> np.ndarray:
    """All cells that there are, int32 [cells, fields], whose tones ascend."""
    one = itertools.product(range(3), [0], range(3), range(2), range(2), [0], [0], [0])
    pitches = [(0, 1), (0, 2), (1, 2)]
    two = (
        (time, 1, low, *first, high, *second)
        for time in range(3)
        for low, high in pitches
        for first in itertools.product(range(2), range(2))
        for second in itertools.product(range(2), range(2))
    )
    return np.array([(0, *cell) for cell in (*one, *two)], "int32")


def test_the_probabilities_of_all_cells_sum_to_one_given_any_past() -> None:
    made, cells = generator(), every_cell()
    assert len(cells) == 3 * 3 * 4 + 3 * 3 * 16
    music = np.concatenate([np.repeat(PIECE, len(cells), 0), cells[:, None]], axis=1)
    state, _ = made.begin_of(PIECE.repeat(len(cells), 0))
    likelihood = as_one_graph(made.step_negative_log_likelihood)
    for step in range(2):
        state, _ = likelihood(state, music[:, step])
    _, nats = likelihood(state, music[:, 2])
    assert np.exp(-np.asarray(nats)).sum() == pytest.approx(1, abs=1e-5)


def test_what_is_drawn_once_for_a_piece_has_probabilities_that_sum_to_one() -> None:
    made, total = generator(), 0.0
    first = PIECE[:, :1].copy()
    first[..., [2, 6]] = 1
    # All pieces below have the same tonality.
    tonality = int(made.fields.tonality(first)[0])
    made.prior.logits["tonality"].assign(50.0 * np.eye(24)[tonality])
    for phase, velocity, soft in itertools.product(range(4), range(2), range(2)):
        piece = first.copy()
        piece[..., [0, 5, 8]] = phase, velocity, soft
        if velocity and not soft:
            continue  # Several velocities, as the other way round.
        total += float(np.exp(-np.asarray(made.begin_of(piece)[1]))[0])
    assert total == pytest.approx(1, abs=1e-5)


def test_steps_one_by_one_and_all_at_once_have_the_same_likelihood() -> None:
    made = generator()
    music = sampled(made, 4, 12)
    together, parts = as_one_graph(made.negative_log_likelihood)(music)
    state, of_piece = made.begin_of(music)
    likelihood = as_one_graph(made.step_negative_log_likelihood)
    for step in range(music.shape[1]):
        state, nats = likelihood(state, music[:, step])
        nats = np.asarray(nats) + (np.asarray(of_piece) if step == 0 else 0)
        np.testing.assert_allclose(np.asarray(together)[:, step], nats, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(sum(map(np.asarray, parts.values())), together, rtol=1e-5)


def test_each_transposition_that_training_may_have_is_an_input_of_its_own() -> None:
    rows = np.repeat(PIECE, 2 * LARGEST_SEMITONES + 1, axis=0)
    semitones = np.arange(-LARGEST_SEMITONES, LARGEST_SEMITONES + 1)
    likelihood = as_one_graph(generator().negative_log_likelihood)
    nats = np.asarray(likelihood(rows, semitones)[0])[:, 1]
    assert len(np.unique(nats)) == len(semitones)


def test_a_first_cell_has_no_time_whatever_is_written_there() -> None:
    made, other = generator(), PIECE.copy()
    other[0, 0, 1] = 2
    likelihood = as_one_graph(made.negative_log_likelihood)
    ours, _ = likelihood(PIECE)
    theirs, parts = likelihood(other)
    assert np.array_equal(ours, theirs)
    assert np.asarray(parts["time"])[0, 0] == 0


def test_sampled_cells_ascend_have_no_other_tones_and_follow_the_beat() -> None:
    music = sampled(generator(), 64, 20)
    two = music[..., 2] == 1
    assert two.any()
    assert not two.all()
    assert (music[..., 6] > music[..., 3])[two].all()
    assert not music[..., 6:][~two].any()
    ticks = np.array(VALUES["time"])[music[..., 1]]
    assert (np.diff(music[..., 0]) % 4 == ticks[:, 1:] % 4).all()
    assert not music[:, 0, 1].any()


def test_a_cell_has_no_more_tones_than_there_are_pitches() -> None:
    # Two pitches, and up to three tones; of lengths and velocities there is one each.
    names = ["beat_phase", "time", "tones", *(f"{n} {t}" for t in (1, 2, 3) for n in TONE_FIELDS)]
    values = VALUES | {"tones": (1, 2, 3), "pitch": (60, 61), "length": (4,), "velocity": (40,)}
    blocks = tuple((name, n, len(values[name.split()[0]])) for n, name in enumerate(names))
    made = generator(
        spec=dataclasses.replace(
            SPEC, shape=(None, len(names)), size=len(names), blocks=blocks, values=values
        )
    )
    music = sampled(made, 64, 20)
    assert set(np.unique(music[..., 2])) == {0, 1}
    assert (music < [size for _, _, size in blocks]).all()
    assert np.isfinite(np.asarray(as_one_graph(made.straight_through)(music))).all()


def test_a_piece_of_one_velocity_keeps_it() -> None:
    made = generator()
    made.prior.logits["dynamics"].assign([0.0, 50.0, 0.0])
    music = sampled(made, 16, 20)
    assert (music[..., 5] == 1).all()
    assert (music[..., 8] == 1)[music[..., 2] == 1].all()


def test_at_temperature_0_each_decision_is_the_most_probable() -> None:
    made, cells = generator(), every_cell()
    music = sampled(made, 2, 8, temperature=0.0)
    assert np.array_equal(music[0], music[1])
    state = made.begin(uniforms(len(cells), 3), np.zeros(len(cells), "float32"))
    likelihood = as_one_graph(made.step_negative_log_likelihood)
    for step in range(8):
        cell = music[0, step]
        _, nats = likelihood(state, cells)
        p = np.exp(-np.asarray(nats))
        for field in range(2 if step == 0 else 1, len(NAMES)):  # A first cell has no time.
            of_each = np.bincount(cells[:, field], weights=p)
            assert cell[field] == of_each.argmax(), (step, NAMES[field])
            p = p * (cells[:, field] == cell[field])
        state, _ = likelihood(state, cell[None].repeat(len(cells), 0))


def test_straight_through_are_exactly_the_samples() -> None:
    # Nearly 12 ticks would be 11, and another place in the beat.
    made = generator()
    music = sampled(made, 64, 20)
    hard = made.fields.joined(made.fields.one_hots(music))
    assert np.array_equal(as_one_graph(made.straight_through)(music), hard)


def test_the_gradient_straight_through_is_that_of_the_probabilities() -> None:
    made = generator()
    kernel, bias = made.decisions.heads["time"]
    kernel.assign(np.zeros(kernel.shape))
    logits, weights = np.array([0.1, 0.7, -0.3], "float32"), np.array([1, 2, 4], "float32")
    music = sampled(made, 4, 6)

    def columns(first: int, last: int, factor: np.ndarray) -> np.ndarray:
        def of_bias(value):
            with keras.StatelessScope(state_mapping=[(bias, value)]):
                return ops.sum(made.straight_through(music)[..., first:last] * factor)

        gradient = as_one_graph(lambda value: input_gradient(of_bias, value))
        return np.asarray(gradient(ops.convert_to_tensor(logits)))

    p = np.exp(logits) / np.exp(logits).sum()
    # Of the 5 cells of 4 windows that have a time before them.
    expected = 5 * 4 * p * (weights - (weights * p).sum())
    np.testing.assert_allclose(columns(0, 3, weights), expected, rtol=1e-4)
    # Pitches depend on the time.
    assert np.abs(columns(5, 8, weights)).max() > 1e-4


def test_dropout_is_on_in_training_alone() -> None:
    made = generator(dropout=0.5)
    plain = [np.asarray(made.negative_log_likelihood(PIECE)[0]) for _ in range(2)]
    dropped = [np.asarray(made.negative_log_likelihood(PIECE, training=True)[0]) for _ in range(2)]
    assert np.array_equal(*plain)
    assert not np.array_equal(*dropped)
