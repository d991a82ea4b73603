"""What every model file must give; a new file is tested the moment it exists.

Tracing costs most of it, so a model of each kind is built once, and composes through one graph.
Where the graph is not what is asserted, TensorFlow runs eagerly (`called`); JAX compiles always,
since it would compile each operation by itself.
"""

import contextlib
import dataclasses
import json
from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from crnn_gan.generation.blocks import memory_of
from crnn_gan.generation.noise import draw_numpy
from crnn_gan.models.registry import config_class, model_class, model_names
from crnn_gan.runs.configuration import RunConfig
from crnn_gan.runs.trainer_flags import TrainerFlags, run_config_of
from crnn_gan.training.variable_paths import model_variables
from pipelines.batches.conditions import SIZES
from pipelines.codecs.codec import codec_class

CODECS = {
    "tokens": "events",
    "vectors": "note_tuples",
    "cells": "cells",
    "roll": "piano_roll",
    "audio": "audio",
}
PAIRS = [(name, kind) for name in model_names() for kind in model_class(name).accepts]
SHORT, LONG = 8, 16  # Steps of pieces: whole windows of the families that make whole ones.
ON_TENSORFLOW = keras.backend.backend() == "tensorflow"
MOST_WEIGHTS = 100_000  # Of a preset that is trained within seconds.
# Tables as music has them: without any there is a category for every value. A third and a fourth
# tone of a cell have decisions like the second's, and double the graph.
TABLES = dict(
    tones_per_cell=2,
    times=(0, 3, 6, 12), lengths=(3, 6, 12), velocities=(40, 70, 90), pitches=tuple(range(48, 73)),
)  # fmt: skip


@pytest.fixture(scope="module", params=model_names())
def name(request):
    return request.param


@pytest.fixture(scope="module", params=PAIRS, ids=lambda pair: "-".join(pair))
def model(request):
    """A tiny model of each kind of data that it takes, with classes as prepare adds them."""
    name, kind = request.param
    classes = {"composer": ("a", "b"), "genre": ("classical",)}
    spec = dataclasses.replace(codec_of(kind).spec, classes=classes)
    return tiny(name, spec, **({"average": 0.9} if keeps_an_average(name) else {}))


def codec_of(kind):
    return codec_class(CODECS[kind])(**(TABLES if kind == "cells" else {}))


def keeps_an_average(name):
    return "average" in {field.name for field in dataclasses.fields(config_class(name))}


def tiny(name, spec, **settings):
    keras.utils.set_random_seed(0)
    preset = model_class(name).presets["tiny"]
    made = model_class(name)(config_class(name)(**(preset | settings)), spec, seed=0)
    random = np.random.default_rng(0)
    for variable in made.trainable_variables:  # So that biases, which begin at 0, count too.
        moved = np.array(variable) + 0.1 * random.normal(size=variable.shape)
        variable.assign(moved.astype("float32"))
    made.compile(jit_compile=not ON_TENSORFLOW)
    return made


def compose(model, count, length, seed=0, **controls):
    """Composes through the graph of this batch and length."""
    return np.asarray(model.predict_on_batch(inputs_of(model, count, length, seed, **controls)))


def called(model, inputs):
    """Gives what predict_on_batch does, on TensorFlow without a graph."""
    return np.asarray(model(inputs) if ON_TENSORFLOW else model.predict_on_batch(inputs))


def inputs_of(model, count, length, seed=0, **controls):
    noise = draw_numpy(model.noise_spec(count, length), np.arange(seed, seed + count))
    return {"noise": noise, "controls": values_of(model, count, **controls)}


def values_of(model, count, **controls):
    """The values of all controls, for each row: those given, the others as they are by default."""
    values = {
        name: np.full((count, *np.shape(control.default)), control.default, control.dtype)
        for name, control in model.controls.items()
    }
    return values | {n: np.full(count, value, values[n].dtype) for n, value in controls.items()}


def test_each_field_has_a_help_text_and_a_name_of_its_own(name):
    fields = dataclasses.fields(config_class(name))
    assert [field.name for field in fields if not field.metadata.get("help")] == []
    of_trainer = {field.name for field in dataclasses.fields(TrainerFlags)}
    assert of_trainer & {field.name for field in fields} == set()


def test_the_config_goes_through_json(name):
    config = config_class(name)()
    assert config_class(name)(**json.loads(json.dumps(dataclasses.asdict(config)))) == config


def test_a_run_has_the_same_settings_when_it_is_read_again(name, tmp_path):
    codec = codec_class("events")()
    manifest = SimpleNamespace(codec=codec.to_json(), spec=codec.spec, configuration="", source={})
    flags = TrainerFlags(model=name, data_dir="data", run_dir="run")
    run = run_config_of(flags, config_class(name)(), manifest)
    run.write(tmp_path)
    assert RunConfig.read(tmp_path) == run


def test_each_preset_makes_a_config_and_tiny_may_come_after_any(name):
    presets = model_class(name).presets
    for fields in presets.values():
        assert config_class(name)(**fields) is not None
        assert config_class(name)(**(fields | presets["tiny"])).max_epoch == 2


def test_an_alias_names_a_field_and_is_none_itself(name):
    fields = {field.name for field in dataclasses.fields(config_class(name))}
    aliases = model_class(name).aliases
    assert set(aliases.values()) <= fields
    assert not set(aliases) & fields
    assert not set(model_class(name).retired) & fields


def test_another_kind_of_data_is_refused_with_the_codecs_that_do(name):
    kinds = set(CODECS) - set(model_class(name).accepts)
    for kind in kinds:
        with pytest.raises(ValueError, match=rf"gives '{kind}'; {name} takes .* --codec="):
            tiny(name, codec_of(kind).spec)


def test_tiny_is_tiny(model):
    assert sum(int(np.prod(v.shape)) for v in model.trainable_variables) < MOST_WEIGHTS


def test_every_variable_has_a_path_that_is_the_same_for_an_equal_model(model):
    paths = list(model_variables(model))
    assert len(paths) == len(model.variables)
    equal = tiny(model.name, model.spec, **dataclasses.asdict(model.config))
    assert list(model_variables(equal)) == paths


def test_windows_pieces_and_batches_have_sizes(model):
    assert model.window_steps >= 1 and model.batch_windows >= 1
    assert model.piece_steps == model.piece_steps_for(model.config, model.spec) >= 1


def test_the_stages_have_epochs_and_each_phase_an_optimizer_and_variables(model):
    assert all(stage.epochs > 0 for stage in model.stages)
    assert sum(stage.epochs for stage in model.stages) == model.config.max_epoch
    groups = [group for stage in model.stages for p in stage.phases for group in p.moves]
    assert all(group.variables for group in groups)
    assert {group.name for group in groups} == set(model.optimizer.by_phase)


def test_the_defaults_of_the_controls_lie_in_their_range(model):
    for control in model.controls.values():
        assert control.low <= np.min(control.default) <= np.max(control.default) <= control.high
        assert control.help


def test_the_same_noise_gives_the_same_array_and_other_noise_another(model):
    first = compose(model, 2, SHORT)
    assert first.shape == (2, SHORT, *model.spec.shape[1:])
    np.testing.assert_array_equal(first, compose(model, 2, SHORT))
    assert not np.array_equal(first, compose(model, 2, SHORT, seed=9))


def test_an_average_of_the_weights_composes_where_one_is_kept(model):
    if not keeps_an_average(model.name):
        pytest.skip(f"{model.name} keeps no average of its weights")
    plain = tiny(model.name, model.spec, average=0.0)
    assert model.averages and not plain.averages
    before, weights = compose(model, 2, SHORT), np.asarray(model.trainable_variables[0])
    with restored(model):
        for mean in model.averages.values():
            mean.assign(np.array(mean) * 1.5 + 0.2)
        np.testing.assert_array_equal(model.trainable_variables[0], weights)
        composed = compose(model, 2, SHORT)
        assert not np.array_equal(composed, before)
        model.take_averages()
        own = {id(v) for v in (*model.averages.values(), model.batches)}
        others = [v for v in model.variables if id(v) not in own]
        for weight, average in zip(plain.variables, others, strict=True):
            weight.assign(np.array(average))
    np.testing.assert_allclose(called(plain, inputs_of(plain, 2, SHORT)), composed, atol=1e-5)


@contextlib.contextmanager
def restored(model):
    """Gives the model's variables back the values that they had."""
    before = [np.array(variable) for variable in model.variables]
    try:
        yield
    finally:
        for variable, value in zip(model.variables, before, strict=True):
            variable.assign(value)


def test_a_row_is_the_same_whatever_the_batch(model):
    row = compose(model, 2, SHORT)[1:]
    np.testing.assert_allclose(row, called(model, inputs_of(model, 1, SHORT, seed=1)), atol=1e-5)


def test_a_longer_request_begins_with_the_shorter(model):
    # Where keys are released within a piece, its last tokens depend on where it ends.
    free = {"closes": 0} if "closes" in model.controls else {}
    long, short = called(model, inputs_of(model, 2, LONG, **free)), compose(model, 2, SHORT, **free)
    np.testing.assert_allclose(long[:, :SHORT], short, atol=1e-5)


def test_a_piece_is_the_same_in_whatever_blocks_it_is_written(model):
    if not model.steps_together or not ON_TENSORFLOW:
        pytest.skip("exported models alone, which are TensorFlow's, are written in blocks")
    extend = tf.function(model.extend, autograph=False)  # Compiled once where it is compiled.
    # One window cannot be halved.
    windows = [n.shape[1] for n in model.noise_spec(2, SHORT).values() if n.per_step]
    length = LONG if 1 in windows else SHORT
    given, spec = inputs_of(model, 2, length), model.noise_spec(2, length)
    noise, controls = (given[name] for name in ("noise", "controls"))
    state = model.begin(
        np.full(2, length, np.int32),
        {name: value for name, value in noise.items() if not spec[name].per_step},
        **controls,
    )
    halves = []
    for half in range(2):
        parts = {n: np.split(noise[n], 2, axis=1)[half] for n in noise if spec[n].per_step}
        state, arrays = extend(state, parts, **controls)
        halves.append(arrays)
    written = np.concatenate(halves, axis=1)
    np.testing.assert_allclose(written, compose(model, 2, length), atol=1e-5)


def test_the_noise_of_a_block_begins_where_a_value_of_the_random_counter_does(model):
    spec = model.noise_spec(1, model.steps_together)
    numbers = [np.prod(noise.shape) for noise in spec.values() if noise.per_step]
    assert [number for number in numbers if number % 4] == []


def test_the_memory_of_a_request_grows_with_its_pieces_and_steps(model):
    if not ON_TENSORFLOW:
        pytest.skip("exported models are TensorFlow's")
    memory = memory_of(model, codec_of(model.spec.kind))
    taken = [memory.of(*asked) for asked in ((1, 1), (1, 2), (17, 2), (17, 9000), (170, 9000))]
    assert taken == sorted(set(taken)) and memory.of(16, 1000) < memory.limit_bytes
    rows, noises = memory.rows_together, model.noise_spec(memory.rows_together, 1).values()
    assert memory.of(rows, 1) > 4 * sum(np.prod(noise.shape) for noise in noises)


def music(model, rows, time, seed=0):
    """Random arrays [rows, time, ...] as the model's Spec says, sparse where they are rolls."""
    random, spec = np.random.default_rng(seed), model.spec
    shape = (rows, time, *spec.shape[1:])
    if spec.kind in ("tokens", "audio"):
        return random.integers(0, spec.size, shape).astype(spec.dtype)
    if spec.kind == "cells":
        return cells(random, spec, shape)
    return (random.random(shape) < 0.1).astype(spec.dtype)


def cells(random, spec, shape):
    """Random cells whose pitches ascend. All pieces have several velocities and are in C major: the
    nats of a first step have those of both, and so depend on its own cell alone."""
    sizes = [size for _, _, size in spec.blocks]
    arrays = random.integers(0, sizes, shape)
    arrays[:, 0, [2, 5, 8]] = 1, 0, 1
    tones = len(spec.values["tones"])
    in_chord = np.flatnonzero(np.isin(np.array(spec.values["pitch"]) % 12, (0, 4, 7)))
    keys = np.broadcast_to(in_chord, (*shape[:2], len(in_chord)))
    arrays[..., 3::3] = np.sort(random.permuted(keys, axis=-1)[..., :tones], axis=-1)
    is_there = np.arange(tones) <= arrays[..., 2:3]
    arrays[..., 3:] *= is_there.repeat(3, axis=-1)
    return arrays.astype(spec.dtype)


def nats(model, arrays):
    if not model.measures_likelihood:
        pytest.skip(f"{model.name} gives no probabilities")
    return called(model, {"batch": {"music": arrays}})


def test_the_nats_of_a_step_depend_on_it_and_on_those_before_alone(model):
    arrays = music(model, 2, 9)
    other = arrays.copy()
    other[:, 5] = music(model, 2, 9, seed=1)[:, 5]
    before, after = nats(model, arrays), nats(model, other)
    assert before.shape == (2, 9) and np.isfinite(before).all() and (before > 0).all()
    np.testing.assert_allclose(before[:, :5], after[:, :5], atol=1e-5)
    assert (np.abs(before[:, 5] - after[:, 5]) > 1e-6).all()


def test_the_probabilities_of_all_first_tokens_sum_to_1(model):
    if model.spec.kind not in ("tokens", "audio"):
        pytest.skip("a frame has too many states to try all")
    every = np.arange(model.spec.size, dtype=model.spec.dtype)[:, None]
    assert np.exp(-nats(model, np.repeat(every, 2, axis=1))[:, 0]).sum() == pytest.approx(1, 1e-4)


def test_a_piece_goes_on_from_a_primer_as_from_its_own_beginning(model):
    if not model.continues:
        pytest.skip(f"{model.name} takes no primer")
    free = {"closes": 0} if "closes" in model.controls else {}
    values = {name: ops.convert_to_tensor(v) for name, v in values_of(model, 2, **free).items()}
    noise = draw_numpy(model.noise_spec(2, 9), np.array([4, 4]))  # Two rows of one piece.
    whole = np.asarray(model.generate(noise, **values))
    later = {
        name: value[:, 4:] if model.noise_spec(2, 9)[name].per_step else value
        for name, value in noise.items()
    }
    continued = model.generate(later, primer=ops.convert_to_tensor(whole[0, :4]), **values)
    np.testing.assert_array_equal(continued, whole[:, 4:])


@contextlib.contextmanager
def precision(policy):
    keras.config.set_dtype_policy(policy)
    try:
        yield
    finally:
        keras.config.set_dtype_policy("float32")


def test_a_model_in_half_precision_generates_and_measures_likelihood_as_in_float32(model):
    """As the trainer has it do on a GPU, between epochs."""
    if not ON_TENSORFLOW:
        pytest.skip("JAX would compile it once more, of the same layers")
    with precision("mixed_bfloat16"):
        half = tiny(model.name, model.spec)
        assert np.isfinite(called(half, inputs_of(half, 2, SHORT))).all()
        if model.measures_likelihood:
            arrays = music(model, 2, SHORT)
            np.testing.assert_allclose(nats(half, arrays), nats(model, arrays), rtol=0.1, atol=0.1)


def training_batch(model):
    arrays = music(model, model.batch_windows, model.window_steps)
    if arrays.dtype == np.float32:
        arrays = arrays + np.random.default_rng(2).normal(size=arrays.shape).astype("float32")
    rows = len(arrays)
    batch = {"music": arrays, **{name: np.zeros(rows, np.int32) for name in model.spec.classes}}
    if model.pads_windows:
        batch["valid_steps"] = np.full(rows, model.window_steps, np.int32)
        batch["start_step"] = np.zeros(rows, np.int32)
    try:
        conditions = model.conditions_of(codec_of(model.spec.kind))
    except ValueError as refusal:
        pytest.skip(f"the trainer refuses this data: {refusal}")
    for name in conditions.names if conditions else ():
        batch[name] = np.ones((rows, model.window_steps, SIZES[name]), np.float32)
    return tf.data.Dataset.from_tensors(batch)


def test_a_step_of_training_leaves_finite_float32_weights_and_by_likelihood_moves_all(model):
    """In half precision on TensorFlow, where job scripts train in float32; in float32 on JAX."""
    if not model.measures_likelihood and not ON_TENSORFLOW:
        pytest.skip("a critic has weights that its loss does not see")
    data = training_batch(model)
    with precision("mixed_bfloat16" if ON_TENSORFLOW else "float32"):
        model, seen = tiny(model.name, model.spec), []
        for stage in model.stages if model.measures_likelihood else model.stages[-1:]:
            model.enter(stage)
            groups = [group for phase in stage.phases for group in phase.moves]
            if model.measures_likelihood:  # A critic has weights that its loss does not see.
                seen += [v.path for g in groups if g.name == "discriminator" for v in g.variables]
                groups = [group for group in groups if group.name != "discriminator"]
            moves = [variable for group in groups for variable in group.variables]
            before = [np.array(variable) for variable in moves]
            model.fit(data, verbose=0, shuffle=False)
            if model.measures_likelihood:
                pairs = zip(moves, before, strict=True)
                assert [v.path for v, value in pairs if np.array_equal(v, value)] == []
            seen += [variable.path for variable in moves]
    weights = model.trainable_variables
    assert all(np.isfinite(np.array(v)).all() and v.dtype == "float32" for v in weights)
    if model.measures_likelihood:
        assert set(seen) == {variable.path for variable in weights}
