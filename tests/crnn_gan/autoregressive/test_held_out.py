"""Held-out likelihood: every step of every piece once, given all before it."""

import math

import keras
import numpy as np
import pytest

from crnn_gan.autoregressive.held_out import Likelihood, held_out_likelihood, longest_of
from crnn_gan.models.char_rnn import Config, Model
from pipelines.dataset import Pieces
from pipelines.spec import Spec

SPEC = Spec("tokens", (None,), "uint8", 5, "step", (("all", 0, 5),), {"composer": ("x",)})


def pieces_of(*arrays):
    keys = tuple(f"piece {number}" for number in range(len(arrays)))
    classes = {"composer": np.zeros(len(arrays), np.int32)}
    return Pieces.of(SPEC, keys, [np.array(a, np.uint8) for a in arrays], classes)


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(1)
    made = Model(Config(hidden_size=6, num_layers=1, embedding_size=4, window_steps=4), SPEC)
    made.compile(jit_compile=keras.backend.backend() == "jax")
    return made


def test_sums_are_over_all_steps_and_means_leave_the_first_out_where_they_say_so():
    found = Likelihood(10.0, 4.0, 8, 2) + Likelihood(6.0, 1.0, 2, 1)
    assert found == Likelihood(16.0, 5.0, 10, 3)
    assert found.nats_per_step == 1.6
    assert found.nats_per_later_step == 11 / 7
    assert found.perplexity == math.exp(1.6)
    assert math.isnan(Likelihood(4.0, 4.0, 2, 2).nats_per_later_step)


def test_pieces_of_any_length_have_the_likelihood_that_they_have_alone(model):
    arrays = [[0, 1, 2, 3, 4, 0, 1], [4], [2, 2, 2] * 30]
    together = held_out_likelihood(model, pieces_of(*arrays), batch_size=2)
    alone = [held_out_likelihood(model, pieces_of(array)) for array in arrays]
    assert together.steps == 98 and together.pieces == 3
    assert together.total_nats == pytest.approx(sum(each.total_nats for each in alone), rel=1e-5)
    assert together.first_step_nats == pytest.approx(
        sum(each.first_step_nats for each in alone), rel=1e-5
    )
    assert alone[1].total_nats == alone[1].first_step_nats


def test_the_nats_are_those_of_the_chain_rule(model):
    # p(1, 3) = p(1) p(3 | 1), so over all pairs the probabilities sum to 1.
    pairs = [[a, b] for a in range(5) for b in range(5)]
    costs = [held_out_likelihood(model, pieces_of(pair)).total_nats for pair in pairs]
    assert sum(math.exp(-cost) for cost in costs) == pytest.approx(1, rel=1e-4)


def test_a_limit_measures_the_beginnings(model):
    long, short = [0, 1, 2, 3] * 20, [1, 2]
    limited = held_out_likelihood(model, pieces_of(long, short), most_steps=10)
    assert limited.steps == 10  # 8 of the long one and both of the short one.
    beginnings = held_out_likelihood(model, pieces_of(long[:8], short))
    assert limited.total_nats == pytest.approx(beginnings.total_nats, rel=1e-5)


@pytest.mark.parametrize(
    ("sizes", "most", "longest"),
    [
        ([3, 10, 10], 100, 10),  # All fit.
        ([3, 10, 10], 23, 10),
        ([3, 10, 10], 21, 9),  # 3 + 9 + 9.
        ([3, 10, 10], 9, 3),  # 3 + 3 + 3.
        ([3, 10, 10], 6, 2),
        ([3, 10, 10], 1, 1),  # Each keeps one.
    ],
)
def test_pieces_are_cut_to_the_longest_length_that_fits(sizes, most, longest):
    assert longest_of(np.array(sizes), most) == longest


def test_the_training_loss_is_the_same_mean(model):
    batch = {
        "music": np.array([[0, 1, 2, 3], [4, 4, 4, 4]], np.uint8),
        "valid_steps": np.array([4, 2], np.int32),
        "start_step": np.array([0, 7], np.int32),
    }
    loss, _ = model.mean_negative_log_likelihood(batch)
    of_rows = np.asarray(model.negative_log_likelihood({"music": batch["music"]}))
    # Of the second row, which is from the middle of its piece, the first step is input only.
    counted = np.append(of_rows[0], of_rows[1, 1])
    assert float(loss) == pytest.approx(counted.mean(), rel=1e-5)
