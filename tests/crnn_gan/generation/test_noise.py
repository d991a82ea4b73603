"""Noise: from (seed, name, step) and from nothing else."""

import numpy as np
import pytest
import tensorflow as tf

from crnn_gan.generation.noise import between, draw, draw_numpy, stream
from crnn_gan.music_model import Noise

SEEDS = [5, -(2**63), 2**63 - 1, 0, 2**32]


def noises(count, length, distribution="normal"):
    return {
        "step": Noise((count, length, 3), distribution, per_step=True),
        "piece": Noise((count, 7), distribution, per_step=False),
    }


@pytest.mark.parametrize("distribution", ["normal", "uniform"])
def test_a_row_is_the_same_in_every_batch(distribution):
    together = draw_numpy(noises(5, 11, distribution), SEEDS)
    for row, seed in enumerate(SEEDS):
        alone = draw_numpy(noises(1, 11, distribution), [seed])
        for name, values in alone.items():
            np.testing.assert_array_equal(values[0], together[name][row])


@pytest.mark.parametrize("distribution", ["normal", "uniform"])
@pytest.mark.parametrize("length", [1, 2, 5, 64, 999])
def test_a_longer_request_begins_with_the_shorter_one(distribution, length):
    short = draw_numpy(noises(2, length, distribution), [1, 2])
    long = draw_numpy(noises(2, 1000, distribution), [1, 2])
    np.testing.assert_array_equal(short["step"], long["step"][:, :length])
    np.testing.assert_array_equal(short["piece"], long["piece"])


def test_a_graph_with_sizes_of_its_own_draws_the_same_numbers():
    @tf.function(
        input_signature=[tf.TensorSpec([None], tf.int64), tf.TensorSpec([], tf.int32)],
        autograph=False,  # As models are exported.
    )
    def graph(seeds, length):
        return draw(noises(tf.size(seeds), length), seeds)

    in_graph = graph(tf.constant(SEEDS, tf.int64), tf.constant(20))
    for name, values in draw_numpy(noises(5, 20), SEEDS).items():
        np.testing.assert_array_equal(in_graph[name].numpy(), values)


@pytest.mark.parametrize("distribution", ["normal", "uniform"])
def test_what_follows_some_steps_is_drawn_without_them(distribution):
    whole = draw_numpy(noises(5, 1000, distribution), SEEDS)["step"]
    step = {"step": Noise((5, 300, 3), distribution, per_step=True)}
    after = draw(step, SEEDS, {"step": 3 * 700})["step"]  # 2,100 numbers, a multiple of 4.
    np.testing.assert_array_equal(after, whole[:, 700:])


def test_seeds_and_names_have_streams_of_their_own():
    same_shape = {name: Noise((5, 1000), "normal", per_step=True) for name in ("a", "b")}
    drawn = draw_numpy(same_shape, SEEDS)
    rows = np.concatenate([drawn["a"], drawn["b"]])
    correlation = np.corrcoef(rows) - np.eye(len(rows))
    assert np.abs(correlation).max() < 0.15  # Five deviations of 1 / sqrt(1000).


def test_the_distributions_are_those_that_are_named():
    uniform = draw_numpy({"x": Noise((4, 50_000), "uniform", per_step=True)}, [1, 2, 3, 4])["x"]
    assert uniform.dtype == np.float32
    assert uniform.min() >= 0
    assert uniform.max() < 1
    # Mean and variance of 200,000 numbers: deviations of 0.0006 and 0.002 at most.
    assert uniform.mean() == pytest.approx(0.5, abs=0.005)
    normal = draw_numpy({"x": Noise((4, 50_000), "normal", per_step=True)}, [1, 2, 3, 4])["x"]
    assert normal.mean() == pytest.approx(0.0, abs=0.015)
    assert normal.var() == pytest.approx(1.0, abs=0.02)


def test_the_stream_of_a_name_never_changes():
    """Exported models and runs of other days draw the same numbers."""
    # The first eight bytes of SHA-256("noise"), as `printf noise | sha256sum` prints them.
    assert stream("noise") == int.from_bytes(bytes.fromhex("efe2a5c09e6d49d7"), "big", signed=True)


def test_noise_between_two_is_as_normal_as_they_are_and_ends_at_them():
    drawn = draw_numpy({n: Noise((5, 20_000), "normal", per_step=True) for n in "ab"}, SEEDS)
    ones, others = (tf.constant(drawn[name]) for name in "ab")
    mix = tf.constant([0.0, 0.25, 0.5, 0.75, 1.0])
    made = between(ones, others, mix).numpy()
    np.testing.assert_array_equal(made[0], drawn["a"][0])
    np.testing.assert_array_equal(made[4], drawn["b"][4])
    np.testing.assert_allclose(made.var(axis=1), 1, atol=0.05)
    to_ones = [np.corrcoef(row, one)[0, 1] for row, one in zip(made, drawn["a"], strict=True)]
    np.testing.assert_allclose(to_ones, np.cos(np.pi / 2 * mix.numpy()), atol=0.03)
