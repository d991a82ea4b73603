"""Outputs of a model are checked before they are read."""

import numpy as np
import pytest

from crnn_gan.generation.made_outputs import require_outputs

TWO = np.array([b"MThd", b"MThd"], object)


def notes(**changed):
    made = {
        "midi_bytes": TWO,
        "notes": np.zeros((2, 5, 4), np.int32),
        "note_count": np.zeros(2, np.int32),
    }
    return made | changed


def test_what_our_models_give_is_taken():
    require_outputs(notes(), "midi_bytes", 2)
    require_outputs(notes(notes=np.zeros((2, 0, 4), np.int32)), "midi_bytes", 2)
    require_outputs({"text": TWO}, "text", 2)
    require_outputs({"wav_bytes": TWO, "samples": np.zeros(3)}, "wav_bytes", 2)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("notes", np.zeros((2, 5, 4), np.float32), r"notes of float32 \[2, 5, 4\]; expected whole"),
        ("notes", np.zeros((2, 5), np.int32), r"notes of int32 \[2, 5\]; .* \[2, any, 4\]"),
        ("notes", np.zeros((2, 5, 1), np.int32), r"notes of int32 \[2, 5, 1\]"),
        ("note_count", np.zeros((), np.int32), r"note_count of int32 \[\]; .* \[2\]"),
        ("midi_bytes", TWO[:1], r"midi_bytes of object \[1\]; expected bytes \[2\]"),
        ("midi_bytes", np.zeros(2, np.float32), "midi_bytes of float32"),
        ("midi_bytes", np.array(["x", "y"], object), "midi_bytes of object"),
    ],
)
def test_another_type_or_shape_is_named_with_what_was_expected(name, value, said):
    with pytest.raises(ValueError, match=said):
        require_outputs(notes(**{name: value}), "midi_bytes", 2)


def test_an_output_that_lacks_is_named():
    made = notes()
    del made["note_count"]
    with pytest.raises(ValueError, match="gives no note_count, which belongs to midi_bytes"):
        require_outputs(made, "midi_bytes", 2)
