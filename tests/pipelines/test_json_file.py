"""JSON files that others may have written: what is refused before anything looks at the values."""

import pytest

from pipelines import json_file
from pipelines.json_file import JSONFileError, parse_json, read_json


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "it is empty; expected JSON"),
        (b" \n", "it is empty"),
        (b"\xef\xbb\xbf{}", "byte order mark; expected UTF-8 without one"),
        (b"\xff\xfe{\0}\0", "byte order mark"),
        (b'{"a": "\xff"}', "byte 7 is no UTF-8"),
        (b'{"a" 1}', "line 1, column 6: Expecting ':' delimiter; expected JSON"),
        (b'{"a": 1} x', "Extra data"),
        (b'{"a": 1, "b": {"c": 1, "c": 2}}', 'it has the key "c" twice'),
        (b"[NaN]", "it holds NaN"),
        (b"[-Infinity]", "it holds -Infinity"),
        (b"[1e999]", "it holds 1e999, which is too large"),
        (b"[" + b"9" * 5000 + b"]", r"it holds 9{60}\.\.\.; expected whole numbers of at most 64"),
        (b"[18446744073709551616]", "at most 64 bits"),
        (b'["\\ud800"]', "half of a surrogate pair"),
        (b"[" * 33 + b"]" * 33, "it is nested more than 32 deep"),
        (b"[" * 1_000_000, "it is nested more than 32 deep"),
        (b'{"a":' * 1_000_000, "it is nested more than 32 deep"),
    ],
)
def test_what_is_no_json_of_ours_is_refused_in_words(content, said):
    with pytest.raises(JSONFileError, match=said):
        parse_json(content)


def test_what_json_allows_comes_back():
    assert parse_json(b'{"a": [1, -2.5e3, true, null, "[[{{\\"[[\\\\"]}\n') == {
        "a": [1, -2500.0, True, None, '[[{{"[[\\']
    }
    assert parse_json(b"[-9223372036854775808, 18446744073709551615]") == [-(2**63), 2**64 - 1]
    assert parse_json(b'["\\ud83c\\udfb5"]') == ["\U0001f3b5"]
    assert parse_json(b"[" * 32 + b"]" * 32) is not None


def test_brackets_in_a_string_that_does_not_end_take_no_time():
    with pytest.raises(JSONFileError, match="Unterminated string"):
        parse_json(b'"' + b'\\"[' * 500_000)


def test_a_directory_and_a_file_that_is_too_large_are_refused(tmp_path, monkeypatch):
    with pytest.raises(JSONFileError, match="a directory stands in its place"):
        read_json(tmp_path)
    monkeypatch.setattr(json_file, "MOST_BYTES", 2**20)
    (tmp_path / "large.json").write_bytes(b" " * 2**20 + b"1")
    with pytest.raises(JSONFileError, match="larger than 1 MiB"):
        read_json(tmp_path / "large.json")
