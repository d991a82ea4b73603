"""JSON values against type hints: what stands there, what was expected, and where."""

from __future__ import annotations

import dataclasses
from typing import Annotated, Any, Literal, NotRequired, TypedDict

import pytest

from pipelines.json_schema import SchemaError, UnknownKeyError, fields_of, value_of
from pipelines.settings import Bounds, Settings, UsageError, flag


class Shard(TypedDict):
    file: str
    records: Annotated[int, Bounds(at_least=0)]
    notes: NotRequired[int]


@dataclasses.dataclass(frozen=True)
class Network(Settings):
    units: int = flag(8, "units", at_least=1, at_most=64)
    layers: tuple[int, ...] = flag((1,), "layers", at_least=1)
    cell: Literal["lstm", "gru"] = flag("lstm", "cell")
    rate: float | None = flag(None, "rate", above=0)
    gated: bool = flag(True, "gated")
    name: str = flag(help="name")

    def __post_init__(self):
        super().__post_init__()
        if self.name == "none":
            raise UsageError("--name is none; give another")


def test_an_object_becomes_the_dataclass_and_lists_its_tuples():
    values = {"units": 3, "layers": [2, 4], "rate": 1, "name": "x"}
    assert value_of(Network, values) == Network(units=3, layers=(2, 4), rate=1, name="x")
    assert value_of(tuple[tuple[str, int], ...], [["a", 1]]) == (("a", 1),)
    assert value_of(dict[str, Shard], {"a": {"file": "f", "records": 0}}) == {
        "a": {"file": "f", "records": 0}
    }


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (None, "network is null; expected an object"),
        ([], r"network is \[\]; expected an object"),
        ({"units": "3"}, 'network.units is "3"; expected a whole number, 1 to 64'),
        ({"units": 3.0}, "network.units is 3.0; expected a whole number, 1 to 64"),
        ({"units": True}, "network.units is true; expected a whole number, 1 to 64"),
        ({"units": 65}, "network.units is 65; expected a whole number, 1 to 64"),
        ({"layers": 3}, "network.layers is 3; expected a list"),
        ({"layers": [1, 0]}, r"network.layers\[1\] is 0; expected a whole number, 1 or more"),
        ({"cell": "rnn"}, r'network.cell is "rnn"; expected one of lstm\|gru'),
        ({"cell": []}, r"network.cell is \[\]; expected one of"),
        ({"rate": 0}, "network.rate is 0; expected a number, above 0"),
        ({"rate": float("inf")}, "network.rate is Infinity; expected a number, above 0"),
        ({"gated": 1}, "network.gated is 1; expected true or false"),
        ({"name": {}}, r"network.name is {}; expected a text"),
        ({}, "network has no key 'name'"),
        ({"hats": 3}, 'network has the key "hats", which this version does not know'),
        ({"a\nb": 3}, r'network has the key "a\\nb", which'),
        ({"name": "none"}, "network: --name is none; give another"),
    ],
)
def test_a_value_that_does_not_fit_is_said_with_its_path_and_what_was_expected(values, said):
    if isinstance(values, dict) and "name" not in values and values:
        values = {"name": "x", **values}
    with pytest.raises(SchemaError, match=said) as error:
        value_of(Network, values, "network")
    assert "\n" not in str(error.value)


def test_what_another_version_wrote_is_told_from_what_is_wrong():
    with pytest.raises(UnknownKeyError):
        value_of(Network, {"name": "x", "hats": 3})
    with pytest.raises(UnknownKeyError, match='splits has the key "d"'):
        value_of(dict[Literal["a", "b"], int], {"a": 1, "b": 2, "d": 3}, "splits")


def test_paths_go_through_lists_dictionaries_and_strange_names():
    shards = {"train a": [{"file": "f", "records": -1}]}
    with pytest.raises(
        SchemaError, match=r'^splits\["train a"\]\[0\].records is -1; expected a wh'
    ):
        value_of(dict[str, list[Shard]], shards, "splits")
    with pytest.raises(SchemaError, match=r"^splits\.a has no key 'records'"):
        value_of(dict[str, Shard], {"a": {"file": "f", "notes": 2}}, "splits")
    with pytest.raises(SchemaError, match="splits has no key 'b'"):
        value_of(dict[Literal["a", "b"], int], {"a": 1}, "splits")
    with pytest.raises(SchemaError, match=r"^the file is \[1\]; expected a list of 2"):
        value_of(tuple[int, str], [1])


def test_a_long_value_is_cut():
    with pytest.raises(SchemaError, match=r'^a is "x{59}\.\.\.; expected a whole number$'):
        value_of(int, "x" * 10_000, "a")


def test_some_fields_may_be_missing_and_further_keys_known():
    assert fields_of(Network, {"units": 3, "epoch": 7}, "", ["epoch"]) == {"units": 3}
    with pytest.raises(SchemaError, match="the file is 3; expected an object"):
        fields_of(Network, 3, "")


def test_a_hint_that_no_json_value_has_is_a_fault_of_the_program():
    with pytest.raises(TypeError, match="no type of a JSON value"):
        value_of(complex, 3)
    assert value_of(Any, [3]) == [3]
