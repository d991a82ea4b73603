"""config.json: what a run is built from again, and what is said when it cannot be."""

import dataclasses
import importlib.metadata
import json
import math

import keras
import pytest

from crnn_gan.models.registry import config_class
from crnn_gan.runs import configuration
from crnn_gan.runs.configuration import RunConfig
from crnn_gan.runs.run import load_run
from pipelines.codecs.note_tuples import Codec

SETTINGS = {"window_steps": 8, "hidden_size_g": 5, "hidden_size_d": 4, "average": 0.0}


def a_run(**changed) -> RunConfig:
    codec = Codec(tones_per_cell=2, ticks_per_quarter=24)
    values = {
        "model": "c_rnn_gan",
        "config": dataclasses.asdict(config_class("c_rnn_gan")(**SETTINGS)),
        "codec": codec.to_json(),
        "spec": dataclasses.replace(codec.spec, classes={"composer": ("bach", "haydn")}),
        "training": {"precision": "float32", "seed": 3, "composer": ["bach"]},
        "data": {"configuration": "0" * 64, "licence": "CC BY 4.0"},
        "versions": {"keras": "3.14.0"},
    }
    return RunConfig(**{**values, **changed})


def test_a_configuration_comes_back_as_it_was_written(tmp_path):
    a_run().write(tmp_path)
    assert RunConfig.read(tmp_path) == a_run()


def test_the_file_is_json_that_names_every_setting_of_the_model(tmp_path):
    a_run().write(tmp_path)
    values = json.loads((tmp_path / "config.json").read_text())
    fields = {field.name for field in dataclasses.fields(config_class("c_rnn_gan"))}
    assert values["config"].keys() == fields
    assert values["config"]["hidden_size_g"] == 5
    assert values["spec"]["classes"] == {"composer": ["bach", "haydn"]}


def test_the_codec_of_a_run_is_built_with_its_fields(tmp_path):
    a_run().write(tmp_path)
    assert RunConfig.read(tmp_path).build_codec() == Codec(tones_per_cell=2, ticks_per_quarter=24)


def test_the_model_of_a_run_is_the_same_each_time_and_another_seed_gives_another():
    first, again = (a_run().build_model().generator.get_weights() for _ in range(2))
    other = a_run(training={"precision": "float32", "seed": 4}).build_model()
    assert all((a == b).all() for a, b in zip(first, again, strict=True))
    assert any((a != b).any() for a, b in zip(first, other.generator.get_weights(), strict=True))


def test_a_directory_without_a_configuration_is_no_run(tmp_path):
    with pytest.raises(ValueError, match=r"is not a run directory.*give the --run_dir of"):
        RunConfig.read(tmp_path)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('{"model": "c_rnn_', "Unterminated string"),
        ("[]", r"the file is \[\]; expected an object; mend it, or train again"),
        ("{}", "the file has no key 'model'"),
        ('{"spec": {"kind": "vectors"}}', "shape"),
    ],
)
def test_a_damaged_configuration_is_named(tmp_path, content, said):
    (tmp_path / "config.json").write_text(content)
    with pytest.raises(ValueError, match=rf"config\.json cannot be read: .*{said}"):
        RunConfig.read(tmp_path)


def with_value(folder, path, value):
    """Writes a run's config.json in which the value of a key's path is another."""
    a_run().write(folder)
    values = json.loads((folder / "config.json").read_text())
    *way, last = path.split(".")
    holder = values
    for key in way:
        holder = holder[key]
    holder[last] = value
    (folder / "config.json").write_text(json.dumps(values))


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("model", 3, "model is 3; expected a text"),
        ("codec", None, "codec is null; expected an object"),
        ("codec.name", "hats", 'codec.name is "hats"; expected one of abc_text|'),
        ("codec.tones_per_cell", 0, "codec.tones_per_cell is 0; expected a whole number, 1 to 128"),
        ("codec.tones_per_cell", 4, "spec.shape is [null, 13]; expected [null, 25]"),
        ("spec.kind", "hats", 'spec.kind is "hats"; expected one of tokens|vectors'),
        ("spec.shape", [None, 10**9], "spec.shape is [null, 1000000000]; expected [null,"),
        ("spec.size", "9", 'spec.size is "9"; expected a whole number, 1 or more'),
        ("spec.blocks", [["a", 0]], 'spec.blocks[0] is ["a", 0]; expected a list of 3'),
        ("training.seed", -1, "training.seed is -1; expected a whole number, 0 to 4294967295"),
        ("training.composer", "bach", 'training.composer is "bach"; expected a list'),
        ("data.licence", 3, "data.licence is 3; expected a text"),
        ("versions.keras", [], "versions.keras is []; expected a text"),
    ],
)
def test_a_value_that_cannot_be_is_named_with_its_path_and_what_was_expected(
    tmp_path, path, value, said
):
    with_value(tmp_path, path, value)
    with pytest.raises(ValueError) as error:
        RunConfig.read(tmp_path)
    assert f"config.json cannot be read: {said}" in str(error.value)
    assert str(error.value).endswith("; mend it, or train again in another --run_dir")


def test_a_key_of_another_version_is_named_with_that_version(tmp_path):
    with_value(tmp_path, "training.hats", 3)
    values = json.loads((tmp_path / "config.json").read_text())
    values["versions"]["git_revision"] = "abc123"
    (tmp_path / "config.json").write_text(json.dumps(values))
    with pytest.raises(
        ValueError, match=r'training has the key "hats".*version "abc123": use that'
    ):
        RunConfig.read(tmp_path)


def test_of_an_exported_model_the_epoch_stands_there_too_and_the_remedy_is_another(tmp_path):
    exported = dataclasses.replace(a_run(), epoch=7, chosen="the newest")
    exported.write(tmp_path)
    assert RunConfig.read(tmp_path) == exported
    (tmp_path / "signature.json").write_text("{}")
    (tmp_path / "config.json").write_text("null")
    with pytest.raises(ValueError, match=r"the file is null; expected an object.*export the model"):
        RunConfig.read(tmp_path)
    (tmp_path / "config.json").unlink()
    with pytest.raises(ValueError, match=r"has lost its config.json; export the model again"):
        RunConfig.read(tmp_path)


def test_a_directory_in_the_place_of_the_file_is_said(tmp_path):
    (tmp_path / "config.json").mkdir()
    with pytest.raises(ValueError, match="a directory stands in its place"):
        RunConfig.read(tmp_path)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"hidden_size_g": 10**9}, r"would have [\d,]{20,} weights; at most 1,073,741,824"),
        ({"num_layers_g": 10**9}, "config.num_layers_g is 1000000000; expected a whole number, 1"),
        ({"hidden_size_g": "9"}, 'config.hidden_size_g is "9"; expected a whole number, 1 or more'),
        ({"learning_rate": None}, "config.learning_rate is null; expected a number, above 0"),
    ],
)
def test_a_model_that_nothing_could_hold_is_refused_before_it_is_built(settings, said):
    run = a_run(config={**a_run().config, **settings})
    with pytest.raises(ValueError, match=said):
        run.build_model()


def test_weights_are_counted_before_they_are_made(monkeypatch):
    """Those of the averages, which compiling adds, come after that."""
    names = [v for v in a_run().build_model().variables if "average" not in v.path]
    count = sum(math.prod(variable.shape) for variable in names)
    monkeypatch.setattr(configuration, "MOST_WEIGHTS", count)
    a_run().build_model()
    monkeypatch.setattr(configuration, "MOST_WEIGHTS", 10)
    with pytest.raises(ValueError, match="weights; at most 10 are taken: give smaller or fewer"):
        a_run().build_model()


def test_settings_that_this_version_does_not_know_are_named():
    run = a_run(config={**a_run().config, "number_of_hats": 3})
    with pytest.raises(
        ValueError, match=r"the settings of c_rnn_gan are not those of this version.*number_of_hats"
    ):
        run.build_model()


def test_a_model_that_is_not_there_is_named_with_those_that_are():
    with pytest.raises(ValueError, match=r"no model 'composer_9000'.*c_rnn_gan"):
        a_run(model="composer_9000").build_model()


def test_a_run_that_was_never_trained_cannot_be_loaded(tmp_path):
    a_run().write(tmp_path)
    with pytest.raises(ValueError, match=r"has no checkpoint yet; train it for an epoch first"):
        load_run(tmp_path)


def test_the_versions_are_those_of_the_installed_packages():
    versions = configuration.versions()
    assert versions["keras"] == importlib.metadata.version("keras")
    assert {"tensorflow", "numpy", "symusic", "music21", "git_revision"} < versions.keys()


def test_recurrent_nets_are_compiled_by_xla_on_jax_and_not_on_a_cpu_with_tensorflow():
    if configuration.automatic_precision() != "float32":
        pytest.skip("this machine has a GPU")
    assert configuration.wants_jit() == (keras.backend.backend() == "jax")
