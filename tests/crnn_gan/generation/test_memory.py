"""The memory of a request: its bounds, its limit, and how what is beyond is refused in words."""

import dataclasses
import json

import numpy as np
import pytest
import tensorflow as tf

from crnn_gan.generation.blocks import pieces
from crnn_gan.generation.interface import Interface
from crnn_gan.generation.memory import Memory

pytestmark = pytest.mark.tensorflow_only
REFUSED = tf.errors.InvalidArgumentError
# A row takes 100 bytes and 10 for each step that is written at once, 8 at most; a step of a piece
# takes 2. So 4 rows, of 8 steps or more, take 4 * (100 + 8 * 10) = 720.
BLOCKS = Memory(
    limit_bytes=2000, rows_together=4, steps_together=8, bytes_per_row=100,
    bytes_per_row_and_step=10, bytes_per_step=2,
)  # fmt: skip
WHOLE = dataclasses.replace(BLOCKS, steps_together=0)


@pytest.mark.parametrize(
    ("memory", "pieces", "steps", "taken"),
    [
        (BLOCKS, 1, 3, 4 * (100 + 3 * 10) + 1 * 3 * 2),
        (BLOCKS, 4, 8, 720 + 4 * 8 * 2),
        (BLOCKS, 5, 30, 2 * 720 + 5 * 30 * 2),  # Rows are made in multiples of 4.
        (WHOLE, 5, 30, 8 * (100 + 30 * 10) + 5 * 30 * 2),
    ],
)
def test_rows_are_padded_and_what_is_written_of_them_is_not(memory, pieces, steps, taken):
    assert memory.of(pieces, steps) == taken


def accepted(memory, pieces, steps):
    """Whether a request is, by the command and by a graph alike; and what is said where not."""

    @tf.function(autograph=False)
    def graph(pieces, steps):
        memory.assertion(pieces, steps)

    try:
        memory.refuse(pieces, steps)
    except ValueError as error:
        with pytest.raises(REFUSED) as raised:
            graph(tf.constant(pieces), tf.constant(steps))
        assert str(error) in raised.value.message
        return False, str(error)
    graph(tf.constant(pieces), tf.constant(steps))
    return True, ""


@pytest.mark.parametrize("memory", [BLOCKS, WHOLE])
@pytest.mark.parametrize("steps", [1, 7, 8, 9, 40, 150])
def test_as_many_as_are_said_to_fit_do_and_one_more_does_not(memory, steps):
    most = memory.most_pieces(steps)
    assert most == 0 or memory.of(most, steps) <= memory.limit_bytes
    assert memory.of(most + 1, steps) > memory.limit_bytes


@pytest.mark.parametrize("memory", [BLOCKS, WHOLE])
def test_one_piece_of_the_most_steps_fits_and_a_longer_one_does_not(memory):
    assert memory.of(1, memory.most_steps) <= memory.limit_bytes
    assert memory.of(1, memory.most_steps + 1) > memory.limit_bytes


def test_a_request_at_the_limit_is_taken_and_one_beyond_it_refused_in_words():
    # 2 * 720 + 7 * 40 * 2 is the limit, 2,000 bytes.
    assert accepted(BLOCKS, 7, 40)[0]
    words = (
        "8 x 40 steps (count x length, those of a primer included) take up to 0.0 GiB of memory; "
        "the limit of this model is 0.0: ask for at most 7 pieces at a time; piece i is that of "
        "seed + i"
    )
    assert accepted(BLOCKS, 8, 40) == (False, words)


def test_where_not_even_one_piece_fits_the_most_steps_are_said():
    # 720 + 640 * 2 is the limit, 2,000 bytes.
    assert accepted(BLOCKS, 1, 640)[0]
    assert accepted(BLOCKS, 1, 641)[1].endswith(": ask for at most 640 steps")


def test_what_would_overflow_an_integer_is_refused():
    memory = dataclasses.replace(BLOCKS, bytes_per_step=2**31, limit_bytes=2**40)
    assert accepted(memory, 2**31 - 1, 2**31 - 1)[1].startswith("2147483647 x 2147483647 steps")


@pytest.mark.parametrize("which", ["sampler", "loaded"])
def test_values_in_range_that_are_too_much_together_are_refused_by_each_signature(which, request):
    sampler, words = request.getfixturevalue(which), "10000 x 1000 steps .* ask for at most"
    with pytest.raises(REFUSED, match=words):
        sampler.generate(seed=1, count=10_000, length=1000)
    with pytest.raises(REFUSED, match=words):
        sampler.module.serving_default(
            seed=np.arange(10_000),
            length=np.array([1] * 9999 + [1000], np.int32),  # Rows are as long as the longest.
            temperature=np.ones(10_000, np.float32),
            spread=np.ones(10_000, np.float32),
        )


def test_signature_json_states_the_bounds_and_older_ones_may_say_nothing(exported, tmp_path):
    described = json.loads((exported / "signature.json").read_text())
    assert Memory(**described["memory"]) == Interface.read(exported).memory
    del described["memory"]
    (tmp_path / "signature.json").write_text(json.dumps(described))
    old = Interface.read(tmp_path)
    assert old.memory is None
    old.refuse_steps(100_000)


@pytest.mark.parametrize(
    ("name", "value"),
    [("bytes_per_step", 0), ("rows_together", 0), ("limit_bytes", -1), ("bytes_per_row", 1.5),
     ("steps_together", None), ("bytes_per_row", True), ("limit_bytes", 2**60)],
)  # fmt: skip
def test_bounds_in_a_file_that_are_none_are_named(exported, tmp_path, name, value):
    described = json.loads((exported / "signature.json").read_text())
    described["memory"][name] = value
    (tmp_path / "signature.json").write_text(json.dumps(described))
    with pytest.raises(ValueError, match=rf"memory(\.| has ){name} .*; (give|expected)"):
        Interface.read(tmp_path)


def test_a_piece_longer_than_a_block_is_what_it_is_as_a_whole(model, codec):
    class InBlocks(type(model)):
        """Writes 4 steps at once; its state is the noise of the piece and a number of steps."""

        def begin(self, length, noise, **controls):
            return noise["piece"], tf.zeros((tf.size(length), 1))

        def extend(self, state, noise, **controls):
            piece, steps = state
            arrays = self.generate({**noise, "piece": piece}, **controls) + steps[:, None]
            return (piece, steps + tf.cast(tf.shape(arrays)[1], tf.float32)), arrays

    blocks = InBlocks(model.config, model.spec)
    blocks.set_weights(model.get_weights())
    values = {"temperature": tf.ones(3), "spread": tf.ones(3)}
    asked = (codec, tf.constant([5, 6, 7], tf.int64), tf.constant([9, 2, 10]), values)
    whole = pieces(model, *asked)["midi_bytes"].numpy()
    blocks.steps_together = 12  # All of it is one block: as `generate` has it.
    assert pieces(blocks, *asked)["midi_bytes"].numpy().tolist() == whole.tolist()
    blocks.steps_together = 4
    in_blocks = pieces(blocks, *asked)["midi_bytes"].numpy()
    assert in_blocks[1] == whole[1] and in_blocks[0] != whole[0]  # Steps 4 to 8 have 4 added.
