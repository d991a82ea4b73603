"""What every file in pipelines/sources keeps to; a new one is tested the moment it exists."""

import dataclasses
import json
import pickle
import subprocess
import sys

import pytest

from pipelines import command_line, prepare
from pipelines.codecs.codec import codec_class, codec_names
from pipelines.sources.source import Source, source_class, source_names

every_source = pytest.mark.parametrize("name", source_names())


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
    types = prepare.Flags, source_class(name), codec_class(codec)
    _, source, _ = command_line.parse(["--data_dir=x"], "", *types)
    assert source == source_class(name)()


@every_source
def test_it_can_be_sent_to_a_worker_process_and_written_in_a_manifest(name):
    source = source_class(name)()
    assert pickle.loads(pickle.dumps(source)) == source
    assert json.loads(json.dumps(source.flags())) == source.flags()


def test_sources_and_prepare_load_no_tensorflow():
    names = ", ".join(f"pipelines.sources.{name}" for name in source_names())
    code = f"import sys, pipelines.prepare, {names}; sys.exit('tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_source_that_does_not_exist_is_refused_with_those_that_do():
    with pytest.raises(ValueError, match=r"no source 'vinyl'; the sources are: .*folder"):
        source_class("vinyl")
