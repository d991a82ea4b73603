"""Paths of a model's variables, over attributes, that are the same in every process.

Checkpoints store variables by them. Keras' own paths would not do: layers without a name are
numbered through a process ("dense_7/kernel"), and those of a functional model do not begin with the
model's name. A path over attributes is what one reads in the code: `generator/dense_1/kernel`.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import keras

# Attributes in which Keras lists again what others hold.
_LISTS_OF_KERAS = frozenset(
    {"_layers", "_metrics", "_seed_generators", "_trainable_variables", "_non_trainable_variables"}
)


def model_variables(model: keras.Model) -> dict[str, keras.Variable]:
    """Gives all of `model.variables` by path, in the order of `model.variables`.

    A part of a path is the name of an attribute without leading underscores, the index in a list,
    the key in a dictionary, or the name of a layer in a functional or sequential model; one that
    was given no name is known there by its class and number ("dense", "dense_1").

    Raises:
      TypeError: no attribute leads to a variable.
    """
    wanted = {id(variable) for variable in model.variables}
    paths: dict[int, str] = {}
    for path, variable in _walk(model, "", set()):
        if id(variable) in wanted:
            paths.setdefault(id(variable), path)
    lost = [variable.path for variable in model.variables if id(variable) not in paths]
    if lost:
        raise TypeError(
            f"no attribute of {type(model).__name__} leads to its variable {lost[0]}: assign the "
            "variable, or the layer that has it, to one, so that a checkpoint can name it"
        )
    return {paths[id(variable)]: variable for variable in model.variables}


def optimizer_variables(
    optimizer: keras.optimizers.Optimizer, moved: Mapping[str, keras.Variable]
) -> dict[str, keras.Variable]:
    """Gives an optimizer's variables by path: `learning_rate`, `momentums/generator/dense/kernel`.

    Args:
      optimizer: a built one.
      moved: the variables that it was built with, by path, in their order.
    """
    found: dict[str, keras.Variable] = {}
    for name, value in vars(optimizer).items():
        name = name.lstrip("_")
        if isinstance(value, keras.optimizers.Optimizer):  # Within one that scales losses.
            inner = optimizer_variables(value, moved)
            found |= {f"{name}/{path}": variable for path, variable in inner.items()}
        elif isinstance(value, keras.Variable):
            found[name] = value
        elif isinstance(value, list) and len(value) == len(moved) and _are_variables(value):
            found |= {f"{name}/{path}": slot for path, slot in zip(moved, value, strict=True)}
    own = {id(variable) for variable in optimizer.variables}
    return {path: variable for path, variable in found.items() if id(variable) in own}


def _are_variables(values: Sequence[Any]) -> bool:
    return all(isinstance(value, keras.Variable) for value in values)


def _walk(value: Any, path: str, seen: set[int]) -> Iterator[tuple[str, keras.Variable]]:
    """Gives each variable that a value holds, with its path."""
    if isinstance(value, keras.Variable):
        yield path, value
        return
    if id(value) in seen:
        return
    seen.add(id(value))
    for name, child in _children(value):
        yield from _walk(child, f"{path}/{name}" if path else name, seen)


def _children(value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        yield from ((str(key), child) for key, child in value.items())
    elif isinstance(value, list | tuple):
        yield from ((str(index), child) for index, child in enumerate(value))
    elif isinstance(value, keras.Model) and _is_graph(value):
        yield from _layers_of(value)
    elif isinstance(value, keras.layers.Layer | keras.metrics.Metric | keras.random.SeedGenerator):
        for name, child in vars(value).items():
            if name not in _LISTS_OF_KERAS and not name.startswith("_self_"):
                yield name.lstrip("_"), child


def _is_graph(model: keras.Model) -> bool:
    """Tells whether a model is functional or sequential: its parts are layers, no attributes."""
    return hasattr(model, "operations") or isinstance(model, keras.Sequential)


def _layers_of(model: keras.Model) -> Iterator[tuple[str, Any]]:
    numbers: dict[str, Iterator[int]] = {}
    for layer in model.layers:
        kind = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", type(layer).__name__).lower()
        if re.fullmatch(rf"{kind}(_\d+)?", layer.name):
            number = next(numbers.setdefault(kind, itertools.count()))
            yield f"{kind}_{number}" if number else kind, layer
        else:
            yield layer.name, layer
