"""seq2seq: criteria, probabilities, coins, blocks and starts, against sums by hand."""

import math

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from crnn_gan.autoregressive.focal_loss import FocalBernoulli
from crnn_gan.autoregressive.predictions import note_metrics
from crnn_gan.generation.noise import draw_numpy
from crnn_gan.models.seq2seq import ORIGINAL, RANDOM, SILENCE, ZERO, Config, Model
from pipelines.spec import Spec

SPEC = Spec("roll", (None, 3, 1), "uint8", 1, "quarter", (("onset", 0, 1),))
CELLS, LENGTH = 3, 4
SMALL = dict(
    window_steps=2 * LENGTH, batch_size=2, hidden_size=5, num_layers=2, classifier_size=6,
    max_epoch=1, classifier_dropout=0.0, from_silence=0.0, prior=0.5,
)  # fmt: skip
CRITERIA = ["bce", "focal", "focal_positive"]
JIT = keras.backend.backend() == "jax"


def model(spec=SPEC, jit=JIT, **settings):
    keras.utils.set_random_seed(0)
    made = Model(Config(**SMALL | settings), spec)
    made.compile(jit_compile=jit)
    return made


def without_network(**settings):
    """A model whose logits are 0 whatever its input: each note is as probable as not."""
    made = model(**settings)
    made.output_distribution.head.kernel.assign(
        np.zeros(made.output_distribution.head.kernel.shape)
    )
    return made


def notes(criterion, **settings):
    config = Config(criterion=criterion, **settings)
    return FocalBernoulli(SPEC, criterion, config.alpha, config.gamma, config.prior)


def frames(rows, time, seed=0):
    return np.random.default_rng(seed).integers(0, 2, (rows, time, CELLS)).astype(np.float32)


def batch(music, valid_steps=None, start_step=1):
    rows, time = music.shape[:2]
    return {
        "music": music[..., None].astype(np.uint8),
        "valid_steps": np.full(rows, time, np.int32)
        if valid_steps is None
        else np.array(valid_steps, np.int32),
        "start_step": np.full(rows, start_step, np.int32),
    }


def compose(made, count=2, length=9, seed=0, primer=None, **controls):
    noise = draw_numpy(made.noise_spec(count, length), np.arange(seed, seed + count))
    values = {
        name: ops.convert_to_tensor(np.full(count, controls.get(name, c.default), c.dtype))
        for name, c in made.controls.items()
    }
    return np.asarray(made.generate(noise, primer=primer, **values))[..., 0]


# What is minimised.


@pytest.mark.parametrize(
    ("criterion", "expected"),
    [
        # Logit 0 is p = 1/2, logit ln 3 is p = 3/4. A note at the first, a rest at the second.
        ("bce", math.log(2) + math.log(4)),
        ("focal", 0.25 * 0.25 * math.log(2) + 0.75 * 0.5625 * math.log(4)),
        ("focal_positive", 0.25 * 0.25 * math.log(2) + 0.75 * math.log(4)),
    ],
)
def test_a_criterion_is_the_sum_over_the_cells_of_a_frame(criterion, expected):
    outputs = np.array([[0.0, math.log(3)]], np.float32)
    cost = notes(criterion).criterion(
        ops.convert_to_tensor(outputs), np.array([[1.0, 0.0]], "float32")
    )
    np.testing.assert_allclose(np.asarray(cost), [expected], rtol=1e-5)


def test_focal_loss_without_focus_and_balance_is_half_the_cross_entropy():
    outputs = ops.convert_to_tensor(np.array([[-2.0, 0.5, 9.0]], np.float32))
    bits = np.array([[0.0, 1.0, 0.0]], np.float32)
    focal, plain = notes("focal", gamma=0.0, alpha=0.5), notes("bce")
    np.testing.assert_allclose(
        focal.criterion(outputs, bits), plain.criterion(outputs, bits) / 2, rtol=1e-5
    )
    np.testing.assert_allclose(focal.logits(outputs), outputs, rtol=1e-5)


def test_all_notes_on_is_the_optimum_of_the_source_documents_loss_and_of_none_of_ours():
    on, right = np.full(3, 9.0, np.float32), np.array([9.0, -9.0, -9.0], np.float32)
    bits = np.array([1.0, 0.0, 0.0], np.float32)
    theirs = [
        np.sum(bits * (1 - p) ** 2 * -np.log(p)) for p in 1 / (1 + np.exp(-np.stack([on, right])))
    ]
    assert theirs[0] == theirs[1]
    for criterion in CRITERIA:
        ours = [
            float(notes(criterion).criterion(ops.convert_to_tensor(x), bits)) for x in (on, right)
        ]
        # Two rests of p = .9999 cost 9 each in cross-entropy; 3/4 of that where rests weigh 3/4.
        assert ours[0] == pytest.approx(18 if criterion == "bce" else 13.5, rel=1e-3)
        assert ours[1] < 0.001


@pytest.mark.parametrize("criterion", CRITERIA)
@pytest.mark.parametrize("probability", [0.02, 0.3, 0.5, 0.9])
def test_what_minimises_a_criterion_tells_the_probability(criterion, probability):
    outputs = np.linspace(-12, 12, 24_001, dtype=np.float32)[:, None]
    distribution = notes(criterion, alpha=0.4, gamma=1.5)
    of_note, of_rest = (
        np.asarray(
            distribution.criterion(ops.convert_to_tensor(outputs), np.full_like(outputs, bit)),
            "float64",
        )
        for bit in (1, 0)
    )
    best = outputs[np.argmin(probability * of_note + (1 - probability) * of_rest)]
    found = float(ops.sigmoid(distribution.logits(ops.convert_to_tensor(best)))[0])
    assert found == pytest.approx(probability, abs=0.005)


@pytest.mark.parametrize("criterion", CRITERIA)
def test_the_most_certain_outputs_have_finite_costs_and_probabilities(criterion):
    outputs = ops.convert_to_tensor(np.array([[-200.0], [200.0]], np.float32))
    distribution = notes(criterion)
    found = np.asarray(ops.sigmoid(distribution.logits(outputs)))[:, 0]
    assert found[0] < 1e-6 and found[1] > 1 - 1e-6
    for bit in (0.0, 1.0):
        assert np.isfinite(
            np.asarray(distribution.criterion(outputs, np.full((2, 1), bit, np.float32)))
        ).all()


def test_before_training_a_note_is_as_likely_as_the_prior_says():
    made = model(prior=0.01)
    bias = np.asarray(made.output_distribution.head.bias)
    np.testing.assert_allclose(1 / (1 + np.exp(-bias)), np.full(CELLS, 0.01), rtol=1e-5)


# What is learned from.


def test_what_lies_beyond_a_pieces_end_does_not_count():
    # Of 3 cells as likely as not a frame costs 3 ln 2, however many frames count.
    made = without_network()
    music = frames(3, 2 * LENGTH)
    loss, reports = made.prediction_loss(batch(music, valid_steps=[8, 6, 2]))
    assert float(loss) == pytest.approx(3 * math.log(2), rel=1e-5)
    # p = 1/2 is not above the threshold of 1/2.
    assert {name: float(value) for name, value in reports.items()} == {
        "density": 0, "precision": 0, "recall": 0,
    }  # fmt: skip
    trained = model(teacher_forcing=1.0)
    other = music.copy()
    other[1, 6:], other[2, 4:] = 1 - music[1, 6:], 1 - music[2, 4:]
    losses = [
        float(trained.prediction_loss(batch(m, valid_steps=[8, 6, 2]))[0]) for m in (music, other)
    ]
    assert losses[0] == losses[1]


def test_a_batch_in_which_no_frame_counts_costs_nothing_and_moves_nothing():
    made = model()
    before = [np.array(w) for w in made.trainable_variables]
    data = tf.data.Dataset.from_tensors(batch(frames(2, 2 * LENGTH), valid_steps=[4, 1]))
    history = made.fit(data, verbose=0, shuffle=False).history
    assert {name: values[0] for name, values in history.items()} == {
        "prediction_loss": 0, "prediction_density": 0, "prediction_precision": 0,
        "prediction_recall": 0,
    }  # fmt: skip
    for was, now in zip(before, made.trainable_variables, strict=True):
        np.testing.assert_array_equal(was, now)


def test_a_window_is_twice_as_long_as_what_is_read():
    assert model().window_steps == 8


def test_a_pieces_beginning_follows_silence_and_other_windows_their_first_half():
    music = frames(2, 2 * LENGTH)
    made = model(from_silence=1.0)
    windows = batch(music, valid_steps=[3, 7])
    windows["start_step"] = np.array([0, 1], np.int32)
    inputs, target, valid_steps = (np.asarray(x) for x in made.split_blocks(windows))
    np.testing.assert_array_equal(inputs, [np.zeros((4, 3)), music[1, :4]])
    np.testing.assert_array_equal(target, [music[0, :4], music[1, 4:]])
    np.testing.assert_array_equal(valid_steps, [3, 7 - 4])
    inputs, target, _ = (np.asarray(x) for x in model().split_blocks(windows))
    np.testing.assert_array_equal(inputs, music[:, :4])
    np.testing.assert_array_equal(target, music[:, 4:])


def test_precision_and_recall_are_shares_and_0_where_there_is_nothing():
    predicted = np.array([[[True, True, True], [True, False, False], [True, True, True]]])
    truth = np.array([[[1, 0, 0], [1, 1, 1], [1, 1, 1]]], np.float32)
    # The last frame does not count: 4 predicted in 2 frames, 2 of them right, 4 are there.
    counts = np.array([[1, 1, 0]], np.float32)
    shown = note_metrics(ops.convert_to_tensor(predicted), truth, counts)
    assert {n: float(v) for n, v in shown.items()} == {
        "density": 2,
        "precision": 0.5,
        "recall": 0.5,
    }
    nothing = note_metrics(ops.convert_to_tensor(predicted & False), truth * 0, counts * 0)
    assert {float(value) for value in nothing.values()} == {0.0}


# The decoder's inputs.


def stepped(made, state, inputs):
    """The head's outputs of a block [batch, time, cells] for the decoder's inputs [batch, time]."""
    outputs = []
    for t in range(inputs.shape[1]):
        state, hidden = made.decode(state, inputs[:, t])
        outputs.append(np.asarray(made.output_distribution.head(hidden)))
    return np.stack(outputs, 1)


def after_silence(music):
    return np.concatenate([np.zeros_like(music[:, :1]), music[:, :-1]], 1)


def test_teacher_forcing_1_has_the_true_frame_before_as_input():
    made, truth = model(teacher_forcing=1.0), frames(2, LENGTH)
    state = made.encode(frames(2, LENGTH, seed=1))
    expected = stepped(made, state, after_silence(truth))
    np.testing.assert_allclose(
        made.decode_block(state, ops.convert_to_tensor(truth)), expected, atol=1e-5
    )


@pytest.mark.parametrize("criterion", ["bce", "focal"])
def test_teacher_forcing_0_feeds_the_probabilities_back_and_never_the_truth(criterion):
    made = model(teacher_forcing=0.0, feedback="probabilities", criterion=criterion)
    state = made.encode(frames(2, LENGTH, seed=1))
    answers = [
        np.asarray(made.decode_block(state, ops.convert_to_tensor(frames(2, LENGTH, s))))
        for s in (0, 1)
    ]
    np.testing.assert_array_equal(*answers)
    own = np.asarray(
        ops.sigmoid(made.output_distribution.logits(ops.convert_to_tensor(answers[0])))
    )
    np.testing.assert_allclose(answers[0], stepped(made, state, after_silence(own)), atol=1e-5)


def test_bits_that_are_fed_back_are_drawn():
    made = model(teacher_forcing=0.0, feedback="bits")
    state = made.encode(np.repeat(frames(1, LENGTH, seed=1), 8, 0))
    answers = np.asarray(made.decode_block(state, ops.convert_to_tensor(frames(8, LENGTH))))
    np.testing.assert_allclose(answers[:, 0], answers[:1, 0].repeat(8, 0), atol=1e-6)
    # One of the 8 frames of 3 bits was the input; 8 rows that sample alike would be chance.
    first = [[(n >> k) & 1 for k in range(CELLS)] for n in range(8)]
    inputs = np.stack([np.zeros((8, CELLS)), np.array(first)], 1).astype(np.float32)
    possible = stepped(made, state, inputs)[:, 1]
    nearest = np.abs(answers[:, None, 1] - possible[None]).max(-1)
    assert nearest.min(1).max() < 1e-5
    assert len(set(nearest.argmin(1))) > 1


def test_each_row_has_a_coin_of_its_own():
    made = model(teacher_forcing=0.5, feedback="probabilities")
    state = made.encode(np.repeat(frames(1, LENGTH, seed=1), 16, 0))
    truth = np.repeat(frames(1, LENGTH), 16, 0)
    answers = np.asarray(made.decode_block(state, ops.convert_to_tensor(truth)))[:, 1]
    # The second frame's input is the true first one or its probabilities: two kinds of rows.
    assert len(np.unique(answers.round(4), axis=0)) == 2


# How likely music is.


@pytest.mark.parametrize("criterion", CRITERIA)
def test_nats_are_those_of_blocks_that_are_read_and_answered_under_teacher_forcing(criterion):
    made, music = model(teacher_forcing=1.0, criterion=criterion), frames(2, 3 * LENGTH)
    nats = np.asarray(made.predict_on_batch({"batch": {"music": music[..., None]}}))
    before = np.zeros((2, LENGTH, CELLS), np.float32)
    for block in range(3):
        truth = music[:, block * LENGTH : (block + 1) * LENGTH]
        outputs = made.decode_block(made.encode(before), ops.convert_to_tensor(truth))
        q = 1 / (1 + np.exp(-np.asarray(made.output_distribution.logits(outputs), np.float64)))
        expected = -np.log(np.where(truth > 0, q, 1 - q)).sum(-1)
        np.testing.assert_allclose(
            nats[:, block * LENGTH : (block + 1) * LENGTH], expected, rtol=1e-4
        )
        before = truth
    if criterion == "bce":
        last = batch(music[:, LENGTH:])
        assert float(made.prediction_loss(last)[0]) == pytest.approx(
            nats[:, -LENGTH:].mean(), rel=1e-4
        )


@pytest.mark.parametrize("criterion", CRITERIA)
def test_the_probabilities_of_all_frames_sum_to_1(criterion):
    made = model(criterion=criterion)
    every = np.array([[(n >> k) & 1 for k in range(CELLS)] for n in range(8)])[:, None, :, None]
    nats = np.asarray(made.negative_log_likelihood({"music": every.astype(np.uint8)}))
    assert np.exp(-nats[:, 0]).sum() == pytest.approx(1, rel=1e-4)


# How it writes.


def test_notes_are_drawn_by_their_probability_or_taken_above_the_threshold():
    made = without_network(prior=0.3)
    draws = draw_numpy(made.noise_spec(2, 9), np.arange(2))["draw"]
    np.testing.assert_array_equal(compose(made), draws < 0.3)
    # At temperature 1/2 the odds 3 : 7 become 9 : 49.
    np.testing.assert_array_equal(compose(made, temperature=0.5), draws < 9 / 58)
    assert not compose(made, temperature=0.0).any()
    assert compose(made, sampled=0, threshold=0.29).all()
    assert not compose(made, sampled=0, threshold=0.31).any()


def test_a_piece_starts_from_zeros_or_random_states_or_from_what_is_known_of_silence():
    made = model()
    noise = draw_numpy(made.noise_spec(3, 1), np.arange(3))
    start = ops.convert_to_tensor(np.array([ZERO, RANDOM, SILENCE], np.int32))
    decoder = [np.asarray(h) for h in made.initial_network_state(3, noise, {"start": start})[-1]]
    silence = made.encode(np.zeros((1, LENGTH, CELLS), np.float32))
    for layer in range(2):
        np.testing.assert_array_equal(decoder[layer][0], np.zeros(5))
        np.testing.assert_array_equal(decoder[layer][1], noise["state"][1, layer])
        np.testing.assert_allclose(decoder[layer][2], np.asarray(silence[layer])[0], atol=1e-6)


def test_probabilities_that_are_fed_back_give_one_piece_but_from_random_states():
    # Without a bias and at this threshold about half of the cells are on.
    made = model()
    cut = {"sampled": 0, "threshold": 0.5}
    for start in (ZERO, SILENCE):
        pieces = compose(made, start=start, **cut)
        np.testing.assert_array_equal(pieces[0], pieces[1])
    pieces = compose(made, start=RANDOM, **cut)
    assert not np.array_equal(pieces[0], pieces[1])
    # As there: the probabilities are fed back, for a block from zeros.
    state, inputs = [np.zeros((1, 5), np.float32)] * 2, np.zeros((1, CELLS), np.float32)
    for frame in compose(made, start=ZERO, **cut)[0, :LENGTH]:
        state, hidden = made.decode(state, inputs)
        inputs = ops.sigmoid(made.output_distribution.head(hidden))
        np.testing.assert_array_equal(np.asarray(inputs)[0] > 0.5, frame)


@pytest.mark.parametrize("steps", [3, LENGTH, LENGTH + 1])
def test_a_primer_is_input_and_its_whole_blocks_are_encoded(steps):
    made, music = model(), frames(1, steps)
    primer = ops.convert_to_tensor(music[0][..., None].astype(np.int32))
    [frame] = compose(made, 1, 1, primer=primer, sampled=0)[0]
    whole = steps // LENGTH * LENGTH
    read = music[:, :whole] if whole else np.zeros((1, LENGTH, CELLS), np.float32)
    inputs = np.concatenate([np.zeros((1, 1, CELLS)), music[:, whole:]], 1).astype(np.float32)
    expected = stepped(made, made.encode(read), inputs)[0, -1] > 0
    np.testing.assert_array_equal(frame, expected)


@pytest.mark.parametrize("sampled", [0, 1])
def test_a_longer_piece_begins_with_the_shorter_one(sampled):
    made = model()
    long, short = (compose(made, length=n, start=RANDOM, sampled=sampled) for n in (11, 6))
    np.testing.assert_array_equal(long[:, :6], short)


# Its settings.


@pytest.mark.parametrize(
    "settings",
    [
        {"criterion": "focal", "feedback": "probabilities", "from_silence": 0.5, "dropout": 0.2},
        # As XLA compiles it on a GPU.
        pytest.param(
            {
                "criterion": "focal_positive",
                "num_layers": 1,
                "classifier_dropout": 0.5,
                "jit": True,
            },
            marks=pytest.mark.slow,
        ),
    ],
    ids=",".join,
)
def test_each_option_trains(settings):
    made = model(teacher_forcing=0.5, **settings)
    before = [np.array(w) for w in made.trainable_variables]
    data = tf.data.Dataset.from_tensors(batch(frames(2, 2 * LENGTH)))
    history = made.fit(data, verbose=0, shuffle=False).history
    assert all(np.isfinite(values[0]) for values in history.values())
    assert int(made.skipped["prediction"]) == 0
    for was, variable in zip(before, made.trainable_variables, strict=True):
        assert not np.array_equal(was, variable), variable.path


def test_it_learns_what_follows_what():
    """Blocks of one note, the next of which has the next note, are predicted after training."""
    made = model(learning_rate=0.03, hidden_size=8, batch_size=3, num_layers=1)
    music = np.repeat(np.stack([np.eye(3), np.eye(3)[[1, 2, 0]]], 1), LENGTH, 1)
    data = tf.data.Dataset.from_tensors(batch(music)).repeat(60)
    history = made.fit(data, verbose=0, shuffle=False).history
    loss, reports = made.prediction_loss(batch(music))
    assert float(loss) < history["prediction_loss"][0] / 5
    assert {n: float(v) for n, v in reports.items()} == {"density": 1, "precision": 1, "recall": 1}


def test_the_preset_is_that_of_the_source_document():
    config = Config(**ORIGINAL)
    assert (config.hidden_size, config.num_layers, config.batch_size) == (512, 2, 128)
    assert (config.criterion, config.gamma, config.teacher_forcing) == ("focal", 2.0, 0.5)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"window_steps": 1}, "window_steps"),
        ({"window_steps": 7}, "window_steps is 7; give an even number"),
        ({"num_layers": 0}, "num_layers"),
        ({"teacher_forcing": 1.5}, "teacher_forcing"),
        ({"from_silence": -0.1}, "from_silence"),
        ({"classifier_dropout": 1.0}, "classifier_dropout"),
        ({"prior": 0.0}, "prior"),
        ({"alpha": 1.0}, "alpha"),
        ({"gamma": -1.0}, "gamma"),
    ],
)
def test_settings_that_cannot_be_are_refused_in_words(settings, words):
    with pytest.raises(ValueError, match=f"--{words}"):
        Config(**settings)


def test_velocities_are_refused_in_words():
    spec = Spec("roll", (None, 3, 1), "uint8", 1, "quarter", (("velocity", 0, 1),))
    with pytest.raises(ValueError, match="no bits"):
        Model(Config(), spec)
