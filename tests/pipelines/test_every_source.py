"""What every file in pipelines/sources keeps to; a new one is tested the moment it exists."""

import dataclasses
import json
import pickle
import re
import subprocess
import sys
from typing import get_args, get_type_hints
from urllib.parse import urlsplit

import pytest

from pipelines import command_line, prepare
from pipelines.codecs.codec import codec_class, codec_names
from pipelines.collection import Collection
from pipelines.music_archives import UNPACKED_HERE
from pipelines.shaping import Shaping
from pipelines.sources.source import Source, source_class, source_names

every_source = pytest.mark.parametrize("name", source_names())
collections = [name for name in source_names() if issubclass(source_class(name), Collection)]
every_collection = pytest.mark.parametrize("name", collections)
# Whose files nobody has published a checksum of: `download` keeps that of the first download.
WITHOUT_CHECKSUM = {"piano_midi_de"}
FROM_PAGES = {"composer_pages"}  # Whose files are found by following links.


@every_source
def test_it_is_named_after_its_file_and_says_what_it_is(name):
    source = source_class(name)
    assert issubclass(source, Source) and source.name == name
    assert source.licence and source.pieces_per_task >= 1
    assert isinstance(source.citation, str) and isinstance(source.homepage, str)
    assert sys.modules[source.__module__].__doc__.startswith(f"{name}: ")


@every_source
def test_its_fields_are_flags_with_a_help_text_and_a_default(name):
    fields = dataclasses.fields(source_class(name))
    assert source_class(name).__dataclass_params__.frozen
    assert all(field.metadata["help"] for field in fields)
    assert all(field.default is not dataclasses.MISSING for field in fields)


@every_source
@pytest.mark.parametrize("codec", codec_names())
def test_no_flag_of_it_has_the_name_of_another(name, codec):
    types = prepare.Flags, source_class(name), codec_class(codec), Shaping
    _, source, _, shaping = command_line.parse(["--data_dir=x"], "", *types)
    assert source == source_class(name)() and shaping == Shaping()


@every_source
def test_it_can_be_sent_to_a_worker_process_and_written_in_a_manifest(name):
    source = source_class(name)()
    assert pickle.loads(pickle.dumps(source)) == source
    assert json.loads(json.dumps(source.flags())) == source.flags()


@every_collection
def test_a_collection_states_its_licence_citation_and_homepage(name):
    source = source_class(name)
    assert len(source.licence) > 3 and len(source.citation) > 10
    assert is_address(source.homepage)
    assert source.suffixes and all(suffix == suffix.lower() for suffix in source.suffixes)
    assert all(suffix.startswith(".") for suffix in source.suffixes + source.metadata_suffixes)


@every_collection
def test_every_archive_has_well_formed_addresses_a_checksum_and_a_size(name):
    source = source_class(name)
    for archive in source.archives:
        assert all(is_address(url) for url in archive.urls)
        assert len(set(archive.urls)) == len(archive.urls)
        if archive.urls and name not in WITHOUT_CHECKSUM:
            assert re.fullmatch("[0-9a-f]{64}", archive.sha256)
            assert archive.size_bytes > 0
        if archive.urls:
            assert archive.name == archive.name.strip("/.") and "/" not in archive.name
            suffixes = UNPACKED_HERE if archive.is_packed else source.suffixes
            assert archive.name.endswith(suffixes)
        assert archive.pieces is None or archive.pieces > 0


@every_collection
def test_what_a_collection_downloads_at_most_is_the_size_of_its_archives(name):
    source = source_class(name)
    sizes = {}
    for archive in source.archives:
        sizes[archive.edition] = sizes.get(archive.edition, 0) + (archive.size_bytes or 0)
    assert source.download_bytes == (max(sizes.values()) or None)


@every_collection
def test_a_collection_is_downloaded_or_says_how_to_get_it_by_hand(name, tmp_path):
    source = source_class(name)(cache_dir=str(tmp_path))
    assert source.wanted() and not source.is_present()
    has_addresses = all(archive.urls for archive in source.wanted())
    assert bool(source.by_hand) != (has_addresses or name in FROM_PAGES)
    with pytest.raises(ValueError, match="--path"):
        source.pieces()
    if source.by_hand:
        with pytest.raises(ValueError, match="by hand") as error:
            source.fetch()
        for said in (source.licence, source.homepage, str(source.home), "--path"):
            assert said in str(error.value)


@every_collection
def test_each_edition_of_a_collection_has_an_archive(name):
    source = source_class(name)
    editions = {archive.edition for archive in source.archives} - {""}
    for field in dataclasses.fields(source):
        values = set(get_args(get_type_hints(source)[field.name]))
        if values & editions:
            assert values == editions
            for value in values:
                (archive,) = source(**{field.name: value}).wanted()
                assert archive.edition == value


def is_address(url):
    parts = urlsplit(url)
    is_whole = parts.scheme in ("http", "https") and bool(parts.netloc)
    return is_whole and not re.search(r"\s", url) and url.isascii()


def test_sources_and_prepare_load_no_tensorflow():
    names = ", ".join(f"pipelines.sources.{name}" for name in source_names())
    code = f"import sys, pipelines.prepare, {names}; sys.exit('tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_source_that_does_not_exist_is_refused_with_those_that_do():
    with pytest.raises(ValueError, match=r"no source 'vinyl'; the sources are: .*folder"):
        source_class("vinyl")
