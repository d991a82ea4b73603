"""Tests of pipelines/preparation/listing.py."""

import pytest

from pipelines import prepare
from pipelines.preparation import listing
from pipelines.sources.source import source_class, source_names


@pytest.fixture(autouse=True)
def empty_cache(tmp_path, monkeypatch):
    """No collection is on this machine."""
    monkeypatch.setenv("CRNN_GAN_CACHE_DIR", str(tmp_path))


def heads(text):
    """The first line of each source's paragraph, by name."""
    lines = [line for line in text.splitlines() if not line.startswith(" ")]
    return {line.split()[0]: line for line in lines}


def test_the_list_names_every_source_with_size_and_licence_and_needs_no_data_dir(capsys):
    prepare.main(["--list"])
    text = capsys.readouterr().out
    assert list(heads(text)) == source_names()
    words = " ".join(text.split())
    for name in source_names():
        assert " ".join(source_class(name).licence.split()) in words
    for name in ("corpus", "folder"):
        assert heads(text)[name].split() == [name, "no", "download", "needed"]
    assert heads(text)["jsb_chorales_16th"].endswith(" 1.7 MB              not present")
    assert "any directory of music files" in words


def test_what_is_here_is_said_to_be_present(monkeypatch):
    monkeypatch.setattr(source_class("maestro"), "is_present", lambda source: True)
    assert heads(listing.sources())["maestro"].endswith("  present")


@pytest.mark.parametrize("columns", [60, 100])
def test_text_is_wrapped_at_the_width_of_the_terminal(monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", str(columns))
    indented = [line for line in listing.sources().splitlines() if line.startswith(" ")]
    assert columns - 20 < max(map(len, indented)) <= columns
