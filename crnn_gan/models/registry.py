"""Finds model families by the names of their files."""

from __future__ import annotations

import importlib
import pkgutil
from typing import TYPE_CHECKING, Any

from crnn_gan.training import keras_settings

if TYPE_CHECKING:
    from crnn_gan.music_model import MusicModel


def model_names() -> list[str]:
    """Lists the model families: the files beside this one."""
    package = importlib.import_module("crnn_gan.models")
    return sorted(m.name for m in pkgutil.iter_modules(package.__path__) if m.name != "registry")


def model_class(name: str) -> type[MusicModel]:
    """Finds a model by the name of its file. ValueError names those there are, or says what Keras
    lacks."""
    return _model_file(name).Model


def config_class(name: str) -> type:
    """Finds the Config of a model by the name of its file. ValueError names those there are."""
    return _model_file(name).Config


def _model_file(name: str) -> Any:
    if name not in model_names():
        raise ValueError(f"there is no model {name!r}; the models are: {', '.join(model_names())}")
    keras_settings.apply()
    return importlib.import_module(f"crnn_gan.models.{name}")
