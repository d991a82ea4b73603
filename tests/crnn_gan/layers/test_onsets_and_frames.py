"""Piano rolls of cells on or off: onsets and frames that agree, and cells sampled together."""

import numpy as np
import pytest
from keras import ops

from crnn_gan.layers.onsets_and_frames import WindowSampler, make_onsets_and_frames_agree
from pipelines.spec import Spec

# Each of three pitches over four steps.
ONSET = np.array([[0, 0, 0, 0], [0, 1, 0, 0], [1, 0, 0, 1]])
FRAME = np.array([[1, 1, 0, 1], [0, 0, 1, 1], [1, 1, 1, 0]])
BLOCKS = (("onset", 0, 1), ("frame", 1, 1))


def agreed(onset, frame, sounding_before):
    bits = np.stack([onset.T, frame.T], axis=-1)[None]
    found = make_onsets_and_frames_agree(ops.convert_to_tensor(bits), sounding_before)
    found = np.asarray(found)
    return found[0, ..., 0].T, found[0, ..., 1].T


def test_a_frame_that_begins_gets_an_onset_and_an_onset_gets_a_frame():
    onset, frame = agreed(ONSET, FRAME, sounding_before=False)
    np.testing.assert_array_equal(onset, [[1, 0, 0, 1], [0, 1, 0, 0], [1, 0, 0, 1]])
    np.testing.assert_array_equal(frame, [[1, 1, 0, 1], [0, 1, 1, 1], [1, 1, 1, 1]])
    onset, _ = agreed(ONSET, FRAME, sounding_before=True)  # The first frames go on from before.
    np.testing.assert_array_equal(onset, [[0, 0, 0, 1], [0, 1, 0, 0], [1, 0, 0, 1]])


def test_the_gradient_by_an_onset_reaches_the_frames_that_it_was_derived_from():
    onset, frame, nudge = ONSET.astype(np.float32), FRAME.astype(np.float32), 1e-3
    before, _ = agreed(onset, frame, sounding_before=False)
    for step, change in ((3, 1.0), (2, -1.0)):  # The first pitch begins at 3, silent at 2.
        moved = frame.copy()
        moved[0, step] += nudge
        found = agreed(onset, moved, sounding_before=False)[0]
        assert (found - before)[0, 3] / nudge == pytest.approx(change, abs=0.01)


def test_one_number_decides_a_pitch_for_some_steps_in_all_planes():
    sampler = WindowSampler(5, 2, 2, steps_per_number=2, onsets_from_frames=False)
    assert sampler.numbers_shape == (3, 2)
    numbers = np.arange(6, dtype=np.float32).reshape(1, 3, 2)
    cells = np.asarray(sampler.for_each_cell(numbers)).reshape(5, 2, 2)
    expected = [[0, 1], [0, 1], [2, 3], [2, 3], [4, 5]]
    np.testing.assert_array_equal(cells[..., 0], expected)
    np.testing.assert_array_equal(cells[..., 1], expected)


@pytest.mark.parametrize(
    ("wanted", "blocks"), [(True, BLOCKS), (False, BLOCKS), (True, BLOCKS[1:])]
)
def test_onsets_come_from_frames_where_that_is_wanted_and_there_are_both(wanted, blocks):
    spec = Spec("roll", (None, 3, len(blocks)), "uint8", 2, "16th", blocks)
    sampler = WindowSampler.of(spec, 4, 2, wanted)
    assert (sampler.steps, sampler.pitches, sampler.planes) == (4, 3, len(blocks))
    assert sampler.onsets_from_frames == (wanted and len(blocks) == 2)


def test_windows_in_a_row_are_one_piano_roll_whose_notes_go_on_over_the_border():
    sampler = WindowSampler(1, 1, 2, steps_per_number=1, onsets_from_frames=True)
    on = np.array([[[False, True], [False, True], [False, False]]])  # Onset and frame.
    silence = ops.zeros((1, 1, 1, 2), "int32")
    found = np.asarray(sampler.piano_roll(ops.convert_to_tensor(on), silence))
    np.testing.assert_array_equal(found[0, :, 0], [[1, 1], [0, 1], [0, 0]])
    found = np.asarray(sampler.piano_roll(ops.convert_to_tensor(on), found[:, 1:2]))
    np.testing.assert_array_equal(found[0, :, 0], [[0, 1], [0, 1], [0, 0]])
