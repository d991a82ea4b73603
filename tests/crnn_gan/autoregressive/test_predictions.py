"""Predicted notes of held-out rolls, against a model that says what was before."""

import dataclasses
import math

import keras
import numpy as np
import pytest
from compiled import compiled

from crnn_gan.autoregressive.predictions import Predictions, held_out_predictions
from crnn_gan.models.char_rnn import Config, Model
from crnn_gan.models.seq2seq import Config as SeqConfig
from crnn_gan.models.seq2seq import Model as Seq2Seq
from pipelines.codecs.codec import codec_class
from pipelines.dataset import Pieces
from pipelines.spec import Spec

CELLS = 3
SPEC = Spec("roll", (None, CELLS, 1), "uint8", 1, "16th", (("frame", 0, 1),), {"composer": ("x",)})


def pieces_of(*rolls):
    keys = tuple(f"piece {number}" for number in range(len(rolls)))
    arrays = [np.array(roll, np.uint8)[..., None] for roll in rolls]
    return Pieces.of(SPEC, keys, arrays, {"composer": np.zeros(len(rolls), np.int32)})


@pytest.fixture(scope="module", name="echo")
def what_says_that_the_frame_before_comes_again():
    keras.utils.set_random_seed(1)
    made = Model(Config(hidden_size=6, num_layers=1, embedding_size=4, window_steps=4), SPEC)
    compiled(made, traced=False)

    class Echo:
        """The model's output distribution, given the frame before as its hidden state."""

        name, output_distribution = "echo", made.output_distribution

        @staticmethod
        def map_steps(batch, function, size):
            distribution = made.output_distribution
            distribution.head.kernel.assign(keras.ops.eye(6, CELLS) * 2)
            distribution.head.bias.assign([-1.0] * CELLS)
            music = batch["music"].astype("int32")
            before = np.pad(distribution.inputs(music), ((0, 0), (1, 0), (0, 0)))[:, :-1]
            before = np.pad(before, ((0, 0), (0, 0), (0, 6 - CELLS)))
            steps = range(music.shape[1])
            return np.stack([np.asarray(function(before[:, t], (), music[:, t])) for t in steps], 1)

    return Echo()


def test_what_an_echo_predicts_is_counted(echo):
    rolls = [[[1, 0, 0], [1, 1, 0], [0, 1, 0]], [[0, 0, 1]]]
    found = held_out_predictions(echo, pieces_of(*rolls), batch_size=2)
    # Silence at first, then {0}, then {0, 1}: 3 cells of which 2 are on; 5 are on in all.
    assert found == Predictions(true_positives=2, predicted=3, on=5, frames=4)
    assert (found.density, found.true_density) == (0.75, 1.25)
    assert (found.precision, found.recall) == (2 / 3, 2 / 5)


def test_the_threshold_decides_what_is_predicted(echo):
    sure = 1 / (1 + math.exp(-1))  # The echo's logit is 2 - 1 where it predicts, else -1.
    rolls = pieces_of([[1, 0, 0], [1, 0, 0]])
    assert held_out_predictions(echo, rolls, threshold=sure - 0.01).predicted == 1
    none = held_out_predictions(echo, rolls, threshold=sure + 0.01)
    assert none.predicted == 0 and math.isnan(none.precision) and none.recall == 0
    assert held_out_predictions(echo, rolls, threshold=0.2).predicted == 6


def test_a_network_predicts_what_its_probabilities_say():
    keras.utils.set_random_seed(2)
    model = Seq2Seq(SeqConfig(hidden_size=5, classifier_size=4, prior=0.4, window_steps=6), SPEC)
    compiled(model, traced=False)
    rolls = np.random.default_rng(0).integers(0, 2, (2, 7, CELLS))
    found = held_out_predictions(model, pieces_of(*rolls), threshold=0.4, batch_size=2)
    assert found.frames == 14 and found.on == rolls.sum()
    assert 0 < found.predicted < 14 * CELLS
    again = held_out_predictions(model, pieces_of(*rolls), threshold=0.4, batch_size=5)
    assert again == found


def test_what_cannot_be_predicted_is_refused():
    tokens = dataclasses.replace(codec_class("sixteenths")().spec, classes={"composer": ("x",)})
    model = Model(Config(hidden_size=4, num_layers=1, embedding_size=4), tokens)
    with pytest.raises(ValueError, match="char_rnn gives no probability of each key"):
        held_out_predictions(model, pieces_of([[0, 0, 1]]))
    with pytest.raises(ValueError, match=r"the threshold is 1\.0; give more than 0, below 1"):
        held_out_predictions(model, pieces_of([[0, 0, 1]]), threshold=1.0)
