"""MusicModel: what every model gives, and the registry of model files."""

from __future__ import annotations

import dataclasses
import importlib
import pkgutil
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

import keras

from crnn_gan.training.phases import PhasedModel, Stage
from pipelines.codecs.codec import Kind, Spec


@dataclasses.dataclass(frozen=True)
class Noise:
    """One named noise that `generate` wants.

    Attributes:
      shape: [batch, ...]; when `per_step`, [batch, time, ...].
      distribution: "uniform" in [0, 1) or "normal" (mean 0, deviation 1).
      per_step: the second axis is time, so a longer piece begins with the shorter one.
    """

    shape: tuple[int, ...]
    distribution: Literal["uniform", "normal"]
    per_step: bool


@dataclasses.dataclass(frozen=True)
class Control:
    """A number that a caller of `generate` may set for each piece: float32, low..high."""

    default: float
    low: float
    high: float
    help: str


class MusicModel(PhasedModel):
    """Base of all models: a subclass named `Model` in a file of this folder.

    Beside it stands `Config`, a frozen dataclass: each field has a help text, and is a flag
    and a key of config.json. Subclasses draw their networks once in
    `__init__(config, spec, seed)` and set:

      presets: named sets of Config fields that differ from the defaults.
      accepts: the kinds of Spec it can learn.
      retired: flags of older programs that are accepted, with what to say of them.

    and give `stages`, `optimizer_for(phase)` (see `PhasedModel`), `noise_spec` and
    `generate`. `generate` is a pure function of weights, noise and controls.
    """

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    accepts: ClassVar[tuple[Kind, ...]]
    retired: ClassVar[Mapping[str, str]] = {}

    def __init__(self, config: Any, spec: Spec, seed: int = 0, name: str | None = None):
        super().__init__(name=name)
        if spec.kind not in self.accepts:
            raise ValueError(
                f"the codec gives {spec.kind!r}; {type(self).__module__.rsplit('.', 1)[-1]} takes "
                f"{' or '.join(map(repr, self.accepts))}: prepare the data with another --codec"
            )
        self.config, self.spec = config, spec
        self.seed = keras.random.SeedGenerator(seed, name="training_noise")

    @property
    def stages(self) -> Sequence[Stage]:
        """The stages of training, in order."""
        raise TypeError(f"{type(self).__name__} does not say its stages")

    def optimizer_for(self, phase: str) -> keras.optimizers.Optimizer:
        """Gives a new optimizer for a phase."""
        raise TypeError(f"{type(self).__name__} does not say its optimizers")

    @classmethod
    def controls_for(cls, config: Any) -> Mapping[str, Control]:
        """Names what a caller of `generate` may set, when the model has this Config."""
        return {}

    @property
    def controls(self) -> Mapping[str, Control]:
        """What a caller of `generate` may set, by name."""
        return self.controls_for(self.config)

    @property
    def batch_windows(self) -> int:
        """Windows that a batch of data holds."""
        return int(self.config.batch_size)

    def begin_epoch(self, epoch: int) -> None:
        """Sets what changes by the epoch, from 0 over all stages: learning rates, lengths."""

    def call(self, inputs: Mapping[str, Mapping[str, Any]]) -> Any:
        """Generates, so that `predict_on_batch` composes: {"noise": ..., "controls": ...}."""
        return self.generate(inputs["noise"], **inputs["controls"])

    def noise_spec(self, count: int, length: int) -> dict[str, Noise]:
        """Names the noises of `count` pieces of `length` steps (ints, or scalar tensors)."""
        raise TypeError(f"{type(self).__name__} does not say its noises")

    def generate(self, noise: Mapping[str, Any], **controls: Any) -> Any:
        """Gives codec arrays [batch, time, ...] as `spec` says; controls are float32 [batch]."""
        raise TypeError(f"{type(self).__name__} cannot generate")


def model_names() -> list[str]:
    """Lists the models, from the files beside this one."""
    package = importlib.import_module("crnn_gan.models")
    return sorted(m.name for m in pkgutil.iter_modules(package.__path__) if m.name != "model")


def model_class(name: str) -> type[MusicModel]:
    """Finds a model by the name of its file. ValueError names those there are."""
    return _model_file(name).Model


def config_class(name: str) -> type:
    """Finds the Config of a model by the name of its file. ValueError names those there are."""
    return _model_file(name).Config


def _model_file(name: str) -> Any:
    if name not in model_names():
        raise ValueError(f"there is no model {name!r}; the models are: {', '.join(model_names())}")
    return importlib.import_module(f"crnn_gan.models.{name}")
