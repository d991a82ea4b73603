"""Exported models: a SavedModel that turns seeds into files of music, and how it is loaded.

`build` needs the model to be on the TensorFlow backend; `load`, and what it gives, need
TensorFlow alone.
"""

from __future__ import annotations

import dataclasses
import inspect
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from crnn_gan.generation import export_folder
from crnn_gan.generation.audit import audited_copy
from crnn_gan.generation.blocks import memory_of, pieces
from crnn_gan.generation.controls import GeneratesMusic
from crnn_gan.generation.excerpt import Excerpt
from crnn_gan.generation.interface import Argument, Interface
from crnn_gan.generation.loaded_functions import LoadedFunctions
from crnn_gan.generation.memory import Memory
from crnn_gan.generation.request_checks import checked, fitting, primer_checks
from pipelines.codecs.codec import Codec
from pipelines.file_faults import write_error
from pipelines.leftovers import FOLDER_END, temporary_folder
from pipelines.permissions import give_usual_permissions


@dataclasses.dataclass(frozen=True)
class Sampler:
    """A model that makes pieces, in this process or loaded from a SavedModel.

    Attributes:
      module: has the tf.functions `generate`, `serving_default`, and `continue_primer` of a
        model that continues.
      interface: what they take.
    """

    module: Any
    interface: Interface

    def generate(self, **values: Any) -> dict[str, tf.Tensor]:
        """Makes `count` pieces; values as `interface.arguments` says, those with defaults may lack.

        Raises:
          tf.errors.InvalidArgumentError: a value is out of its range.
        """
        return self.module.generate(**values)

    def continue_primer(self, primer: Any, **values: Any) -> dict[str, tf.Tensor]:
        """Makes `count` pieces that go on from a primer; values as for `generate`.

        Args:
          primer: [steps, ...] as the model's codec encodes it; the pieces begin with it, and
            `length` counts what comes after.

        Raises:
          ValueError: the model cannot.
          tf.errors.InvalidArgumentError: a value is out of its range, or the primer is empty or
            holds what the codec does not know.
        """
        if not self.interface.continues:
            raise ValueError("this model cannot go on from a primer")
        return self.module.continue_primer(primer, **values)


def build(
    model: GeneratesMusic, codec: Codec, default_length: int, excerpt: Excerpt | None = None
) -> Sampler:
    """Gives a sampler that holds each weight that sampling needs once. It can be saved.

    Its module's methods are tf.functions that give what `pieces` gives:

      generate(seed, count=1, length=default_length, each control=its default): scalars;
        row i is the piece of seed + i.
      serving_default(seed, length, each control): rank 1, one of each a piece.
      continue_primer(primer, and what generate takes): of a model that continues; primer is
        int32 [steps, ...] as the codec's spec says. Pieces begin with it; length counts after it.

    All refuse in words (`tf.errors.InvalidArgumentError`) what is out of range, and what would
    take more memory than `Interface.memory` says. The same seed gives the same piece in any batch.

    Args:
      model: a model on the TensorFlow backend, its weights in float32.
      codec: that of the data it was trained on.
      default_length: steps of a piece where a caller gives none.
      excerpt: steps of each piece that `generate` and `serving_default` give, cut from the model's
        array before it is decoded; None for all. For evaluation, not to be saved.

    Raises:
      ValueError: a default is out of its range, or `generate` needs a variable that is
        not float32, such as the state of a seed generator.
    """
    memory = memory_of(model, codec)
    interface = Interface.of(model.controls, codec, default_length, model.continues)
    length = interface.arguments["length"]
    most = max(default_length, min(length.high, memory.most_steps))
    arguments = interface.arguments | {"length": dataclasses.replace(length, high=most)}
    interface = dataclasses.replace(interface, arguments=arguments, memory=memory)
    batched = _batched(model, codec, interface.arguments, memory, excerpt)
    module = tf.Module(name="sampler")
    module.weights = _weights(model, batched)
    module.serving_default = batched
    module.generate = _scalar(batched, interface.arguments)
    if model.continues:
        module.continue_primer = _continuing(model, codec, interface.arguments, memory)
    return Sampler(module, interface)


def _batched(
    model: GeneratesMusic,
    codec: Codec,
    arguments: Mapping[str, Argument],
    memory: Memory,
    excerpt: Excerpt | None,
) -> Any:
    each = {n: dataclasses.replace(a, default=None) for n, a in arguments.items() if n != "count"}

    def serving_default(*args: tf.Tensor, **kwargs: tf.Tensor) -> dict[str, tf.Tensor]:
        values = checked(each, dict(zip(each, args, strict=False)) | kwargs)
        values = fitting(memory, values)
        seed, length = values.pop("seed"), values.pop("length")
        return pieces(model, codec, seed, length, values, excerpt=excerpt)

    return _function(serving_default, each, shape=[None])


def _scalar(batched: Any, arguments: Mapping[str, Argument]) -> Any:
    def generate(*args: tf.Tensor, **kwargs: tf.Tensor) -> dict[str, tf.Tensor]:
        values = dict(zip(arguments, args, strict=False)) | kwargs
        first = {name: values.pop(name)[None] for name in ("seed", "count")}
        count = checked(arguments, first)["count"][0]
        seeds = first["seed"] + tf.range(tf.cast(count, tf.int64))
        return batched(seed=seeds, **{n: _repeated(value, count) for n, value in values.items()})

    return _function(generate, arguments, shape=[])


def _continuing(
    model: GeneratesMusic, codec: Codec, arguments: Mapping[str, Argument], memory: Memory
) -> Any:
    spec = codec.spec

    def continue_primer(primer: tf.Tensor, *args: tf.Tensor, **kwargs: tf.Tensor) -> dict:
        values = dict(zip(arguments, args, strict=False)) | kwargs
        first = {name: value[None] for name, value in values.items() if name != "count"}
        count = checked(arguments, {"seed": first["seed"], "count": values["count"][None]})["count"]
        with tf.control_dependencies(primer_checks(primer, spec)):
            primer = tf.identity(primer)
        first = checked(arguments, first)
        seeds = first.pop("seed") + tf.range(tf.cast(count[0], tf.int64))
        each = {n: _repeated(value[0], count[0]) for n, value in first.items()}
        each = fitting(memory, {"seed": seeds, **each}, tf.shape(primer)[0])
        return pieces(model, codec, each.pop("seed"), each.pop("length"), each, primer)

    shape = [None, *spec.shape[1:]]
    return _function(continue_primer, arguments, [], {"primer": tf.TensorSpec(shape, tf.int32)})


def _function(
    python_function: Callable,
    arguments: Mapping[str, Argument],
    shape: list[int | None],
    before: Mapping[str, tf.TensorSpec] | None = None,
) -> Any:
    """Gives a tf.function whose parameters are the arguments, each of this shape.

    `before` are parameters of other shapes that come first, by name.
    """
    before = before or {}
    kind, absent = inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.empty
    parameters = [inspect.Parameter(name, kind) for name in before]
    parameters += [
        inspect.Parameter(n, kind, default=absent if a.default is None else _constant(a))
        for n, a in arguments.items()
    ]
    # tf.function and SavedModel take names and defaults from here, so that a caller in
    # Python may write generate(seed=7) for a model whose controls are known only now.
    python_function.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    specs = [tf.TensorSpec(spec.shape, spec.dtype, name) for name, spec in before.items()]
    specs += [
        tf.TensorSpec(shape + [a.size] * bool(a.size), a.dtype, name)
        for name, a in arguments.items()
    ]
    return tf.function(python_function, input_signature=specs, autograph=False)


def _repeated(value: tf.Tensor, count: tf.Tensor) -> tf.Tensor:
    """Gives a number, or a vector, once for each of some pieces."""
    return tf.repeat(value[None], count, axis=0)


def _constant(argument: Argument) -> Any:
    """Gives an argument's default as a parameter of a tf.function takes it."""
    return tf.constant(argument.default, argument.dtype) if argument.size else argument.default


def _weights(model: GeneratesMusic, function: Any) -> list[tf.Variable]:
    """Lists the variables that a function reads, in the order that the model has them."""
    read = {id(variable) for variable in function.get_concrete_function().graph.variables}
    named = [(v.path, v.value) for v in model.variables if id(v.value) in read]
    if wrong := [f"{path} ({v.dtype.name})" for path, v in named if v.dtype != tf.float32]:
        raise ValueError(
            f"sampling reads {', '.join(wrong)}; an exported model holds float32 weights only: "
            "load it in float32, and let generate take its randomness from the noise"
        )
    return [variable for _, variable in named]


def save(sampler: Sampler, folder: Path, config: Mapping[str, Any], card: str) -> None:
    """Writes an exported model: SavedModel, signature.json, config.json, card.md.

    It is made beside `folder` and renamed into place when it is whole; an exported model
    that is already there is replaced at once, and stays if anything fails before.

    Raises:
      ValueError: `folder` exists and is not an exported model, or the model would touch
        more than numbers (see `audit`).
      OSError: it cannot be written.
    """
    folder = Path(folder).resolve()  # A link, as jobs make to the latest, names its model.
    refuse_target(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    export_folder.clean(folder)
    try:
        with temporary_folder(folder, FOLDER_END) as staging:
            _write(sampler, staging, config, card)
            for path in (staging, *staging.rglob("*")):
                give_usual_permissions(path)
            with audited_copy(staging):
                pass  # It raises where the model would be refused.
            export_folder.put_in_place(staging, folder)
    except (tf.errors.OpError, OSError) as error:
        raise write_error(error, folder, "export again; what was there is untouched") from None


def refuse_target(folder: Path) -> None:
    """Refuses to replace what is not an exported model.

    Raises:
      ValueError: `folder` is something else.
    """
    if folder.exists() and not (folder / "saved_model.pb").is_file():
        raise ValueError(f"{folder} exists and is not an exported model; give another directory")


def _write(sampler: Sampler, folder: Path, config: Mapping[str, Any], card: str) -> None:
    module = sampler.module
    signatures = {name: getattr(module, name) for name in sampler.interface.functions}
    # The gradients of hand-written layers are for training, and cannot be saved from a loop.
    options = tf.saved_model.SaveOptions(experimental_custom_gradients=False)
    tf.saved_model.save(module, str(folder), signatures=signatures, options=options)
    in_file = operations(folder, sampler.interface.functions)
    described = {**sampler.interface.to_json(), "signatures": in_file}
    for name, values in (("signature.json", described), ("config.json", config)):
        text = json.dumps(values, indent=2, allow_nan=False)
        (folder / name).write_text(text + "\n", encoding="utf-8")
    (folder / "card.md").write_text(card, encoding="utf-8")


def operations(folder: Path, names: Sequence[str]) -> dict[str, Any]:
    """Gives, for each signature, the operation, its output's index, dtype and shape of each tensor.

    The names that the C interface of TensorFlow wants are made while saving, so they are
    read from the file; None in a shape is an axis of any size.
    """
    saved = saved_model_pb2.SavedModel.FromString((folder / "saved_model.pb").read_bytes())
    definitions = saved.meta_graphs[0].signature_def

    def tensor(info: Any) -> dict[str, Any]:
        operation, index = info.name.split(":")
        shape = [None if axis.size < 0 else axis.size for axis in info.tensor_shape.dim]
        dtype = tf.as_dtype(info.dtype).name
        return {"operation": operation, "index": int(index), "dtype": dtype, "shape": shape}

    return {
        name: {
            "inputs": {n: tensor(info) for n, info in sorted(definitions[name].inputs.items())},
            "outputs": {n: tensor(info) for n, info in sorted(definitions[name].outputs.items())},
        }
        for name in sorted(names)
    }


def load(folder: Path) -> Sampler:
    """Loads an exported model for sampling, after an audit of its graph. Needs no Keras.

    What is loaded is a private copy of what was audited. Weights are read by their places in the
    exported module, so that nothing in the file says what is restored or from where.

    Raises:
      ValueError: the folder is not an exported model, its graph holds more than generating music
        needs (see `audit`), or it is damaged.
      OSError: it cannot be read, or there is no room for the copy.
    """
    interface = Interface.read(Path(folder))
    options = tf.saved_model.LoadOptions(experimental_skip_checkpoint=True)
    with audited_copy(Path(folder)) as audited:
        try:
            module = tf.saved_model.load(str(audited.folder), options=options)
            for weight, value in zip(module.weights, audited.weights, strict=True):
                weight.assign(value)
            functions = LoadedFunctions(module, interface)
        except Exception as error:  # TensorFlow raises whatever a damaged graph leads it to.
            reason = " ".join(str(error).split())[:200]
            raise ValueError(
                f"{folder} cannot be loaded ({type(error).__name__}: {reason}); export it again"
            ) from error
    return Sampler(functions, interface)
