"""signature.json as others may have written it: each fault is named, and no value is guessed."""

import json

import pytest

from crnn_gan.generation.controls import Control
from crnn_gan.generation.interface import Interface
from pipelines.codecs.note_tuples import Codec

CONTROLS = {
    "temperature": Control(1.0, 0.1, 2.0, "scale"),
    "top_k": Control(0, 0, 1000, "most likely tokens", "int32"),
    "histogram": Control((0.0,) * 12, 0.0, 1.0, "pitch classes", sums_to_one=True),
}


def written(folder, path="", value=None):
    """Writes a signature.json, the value of a key's path changed; gives its folder."""
    values = json.loads(json.dumps(Interface.of(CONTROLS, Codec(), 40, continues=True).to_json()))
    values["signatures"] = {"generate": {"inputs": {}, "outputs": {}}}
    *way, last = path.split(".")
    holder = values
    for key in way:
        holder = holder[key]
    if path:
        holder[last] = value
    (folder / "signature.json").write_text(json.dumps(values))
    return folder


def test_what_was_written_comes_back(tmp_path):
    assert Interface.read(written(tmp_path)) == Interface.of(CONTROLS, Codec(), 40, True)


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("format", 2, "its format is not 1"),
        ("arguments", [], "arguments is []; expected an object"),
        ("arguments", {}, "arguments has no key 'seed'"),
        ("arguments.seed", None, "arguments.seed is null; expected an object"),
        ("arguments.a b", {}, 'arguments["a b"] has no key'),
        ("arguments.length.low", "1", 'arguments.length.low is "1"; expected a number'),
        ("arguments.length.high", 0, "arguments.length: low is 1 and high 0; expected low <= high"),
        ("arguments.length.high", 2**40, "arguments.length: low is 1 and high"),
        ("arguments.length.default", 10**6, "length is 1000000; give 1 to 100000"),
        ("arguments.top_k.default", 0.5, "arguments.top_k: its dtype is int32; expected whole"),
        ("arguments.top_k.dtype", "int8", "expected one of int32|int64|float32"),
        ("arguments.histogram.default", [0.5] * 12, "histogram is 0.5,"),
        ("arguments.histogram.size", 10**9, "expected a whole number, 0 to 1024"),
        ("arguments.histogram.size", -1, "expected a whole number, 0 to 1024"),
        ("ticks_per_quarter", 0, "ticks_per_quarter is 0; expected a whole number, 1"),
        ("continues", "no", 'continues is "no"; expected true or false'),
        ("file.output", "hats", 'file.output is "hats"; expected one of the outputs'),
        ("file.output", "note_count", "expected one of the outputs that is a file"),
        ("file.suffix", "/../x", "file.suffix"),
        ("outputs", {"midi_bytes": 3}, "outputs.midi_bytes is 3; expected a text"),
        ("signatures", {"generate": 3}, "signatures.generate is 3; expected an object"),
        ("hats", 3, 'the file has the key "hats"'),
    ],
)
def test_a_fault_is_named_with_its_path_and_what_was_expected(tmp_path, path, value, said):
    with pytest.raises(ValueError) as error:
        Interface.read(written(tmp_path, path, value))
    assert said in str(error.value) and "export the model again" in str(error.value)
    assert "\n" not in str(error.value)
