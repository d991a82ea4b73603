"""What every model file must give; a new file is tested the moment it exists."""

import dataclasses
import json

import keras
import numpy as np
import pytest

from crnn_gan.models.model import config_class, model_class, model_names
from crnn_gan.signatures.noise import draw_numpy
from crnn_gan.train import Flags
from pipelines.codecs.codec import codec_class, codec_names

SMALLER = {"hidden_size_g": 4, "hidden_size_d": 4, "songlength": 5, "batch_size": 2}


def accepted_spec(name):
    """The Spec of the first codec that a model takes, with classes as prepare adds them."""
    specs = [codec_class(codec)().spec for codec in codec_names()]
    spec = next(s for s in specs if s.kind in model_class(name).accepts)
    return dataclasses.replace(spec, classes={"composer": ("a", "b"), "genre": ("classical",)})


@pytest.fixture(scope="module", params=model_names())
def name(request):
    return request.param


@pytest.fixture(scope="module")
def model(name):
    cls = config_class(name)
    fields = {field.name for field in dataclasses.fields(cls)}
    config = cls(**{key: value for key, value in SMALLER.items() if key in fields})
    keras.utils.set_random_seed(0)
    made = model_class(name)(config, accepted_spec(name), seed=0)
    made.compile(jit_compile=keras.backend.backend() == "jax")
    return made


def compose(model, count, length, seed=0, **controls):
    noise = draw_numpy(model.noise_spec(count, length), np.arange(seed, seed + count))
    values = {name: control.default for name, control in model.controls.items()} | controls
    values = {name: np.full(count, value, np.float32) for name, value in values.items()}
    return np.asarray(model.predict_on_batch({"noise": noise, "controls": values}))


def test_each_field_has_a_help_text_and_a_name_of_its_own(name):
    fields = dataclasses.fields(config_class(name))
    assert [field.name for field in fields if not field.metadata.get("help")] == []
    of_trainer = {field.name for field in dataclasses.fields(Flags)}
    assert of_trainer & {field.name for field in fields} == set()


def test_the_config_goes_through_json(name):
    config = config_class(name)()
    assert config_class(name)(**json.loads(json.dumps(dataclasses.asdict(config)))) == config


def test_each_preset_makes_a_config(name):
    for preset, fields in model_class(name).presets.items():
        assert config_class(name)(**fields) is not None, preset


def test_the_stages_have_epochs_and_each_phase_an_optimizer_and_variables(model):
    assert all(stage.epochs > 0 for stage in model.stages)
    groups = [group for stage in model.stages for p in stage.phases for group in p.moves]
    assert all(group.variables for group in groups)
    assert {group.name for group in groups} == set(model.optimizer.by_phase)


def test_the_defaults_of_the_controls_lie_in_their_range(model):
    for control in model.controls.values():
        assert control.low <= control.default <= control.high
        assert control.help


def test_the_same_noise_gives_the_same_array_and_other_noise_another(model):
    first = compose(model, 2, 5)
    assert first.shape == (2, 5, *model.spec.shape[1:])
    np.testing.assert_array_equal(first, compose(model, 2, 5))
    assert not np.array_equal(first, compose(model, 2, 5, seed=9))


def test_a_row_is_the_same_whatever_the_batch(model):
    np.testing.assert_allclose(compose(model, 3, 5)[1:2], compose(model, 1, 5, seed=1), atol=1e-5)


def test_a_longer_request_begins_with_the_shorter(model):
    np.testing.assert_allclose(compose(model, 2, 7)[:, :5], compose(model, 2, 5), atol=1e-5)
