"""A tiny model that really generates, for the tests of what an exported model offers."""

import dataclasses
from pathlib import Path
from typing import ClassVar

import keras
import pytest

from crnn_gan.generation import saved_model
from crnn_gan.music_model import Control, MusicModel, Noise
from pipelines.codecs.note_tuples import Codec
from pipelines.spec import Spec

HIDDEN = 37  # Odd on purpose: widths that fill no vector register show differences in rounding.


@dataclasses.dataclass(frozen=True)
class NoConfig:
    """The tiny model has nothing to set."""


class TinyModel(MusicModel):
    """Two dense layers over the sum of a step's noise and the piece's own."""

    Config = NoConfig
    accepts = ("vectors",)
    controls: ClassVar = {
        "temperature": Control(1.0, 0.1, 2.0, "scale of the noise of each step"),
        "spread": Control(0.5, 0.0, 4.0, "scale of the output"),
    }

    def __init__(self, config: NoConfig, spec: Spec):
        super().__init__(config, spec, name="tiny")
        self.hidden = keras.layers.Dense(HIDDEN, activation="tanh", name="hidden")
        self.output_layer = keras.layers.Dense(spec.size, name="output")
        self.critic = keras.layers.Dense(1, name="critic")  # Sampling does not need it.
        self.hidden.build((None, None, 5))
        self.output_layer.build((None, None, HIDDEN))
        self.critic.build((None, None, spec.size))

    def noise_spec(self, count, length):
        return {
            "step": Noise((count, length, 5), "normal", per_step=True),
            "piece": Noise((count, 5), "uniform", per_step=False),
        }

    def generate(self, noise, temperature, spread):
        x = noise["step"] * temperature[:, None, None] + noise["piece"][:, None, :]
        return self.output_layer(self.hidden(x)) * spread[:, None, None]


@pytest.fixture(scope="session")
def codec() -> Codec:
    return Codec()


@pytest.fixture(scope="session")
def model(codec: Codec) -> TinyModel:
    keras.utils.set_random_seed(3)
    return TinyModel(NoConfig(), codec.spec)


@pytest.fixture(scope="session")
def sampler(model: TinyModel, codec: Codec) -> saved_model.Sampler:
    return saved_model.build(model, codec, default_length=12)


@pytest.fixture(scope="session")
def exported(sampler: saved_model.Sampler, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "tiny"
    saved_model.save(sampler, folder, {"model": "tiny"}, "# tiny\n")
    return folder


@pytest.fixture(scope="session")
def loaded(exported: Path) -> saved_model.Sampler:
    return saved_model.load(exported)
