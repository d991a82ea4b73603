"""Assertions of an exported graph that refuse a request in words, before anything is computed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from crnn_gan.generation.interface import SUM_TOLERANCE, Argument, longest
from crnn_gan.generation.memory import Memory
from pipelines.spec import Spec


def checked(
    arguments: Mapping[str, Argument], values: Mapping[str, tf.Tensor]
) -> dict[str, tf.Tensor]:
    """Gives the same values [batch], in a graph that fails in words when one is out of range.

    What is computed from the result waits for the check: a length of two thousand million
    is refused before its noise is drawn.

    Raises:
      tf.errors.InvalidArgumentError: when the graph runs, with name, value and range; or
        when the values are not one of each a piece.
    """
    assertions = []
    for name, value in values.items():
        with tf.control_dependencies([_one_each(name, value, values["seed"])]):
            assertions.append(_in_range(name, tf.identity(value), arguments[name]))
    with tf.control_dependencies(assertions):
        return {name: tf.identity(value) for name, value in values.items()}


def fitting(
    memory: Memory, values: Mapping[str, tf.Tensor], primer_steps: Any = 0
) -> dict[str, tf.Tensor]:
    """Gives the same values [batch], in a graph that fails in words when all of them together take
    too much memory; as `checked`, before any is taken."""
    steps = tf.reduce_max(values["length"]) + primer_steps
    with tf.control_dependencies([memory.assertion(tf.size(values["seed"]), steps)]):
        return {name: tf.identity(value) for name, value in values.items()}


def _one_each(name: str, value: tf.Tensor, seeds: tf.Tensor) -> Any:
    sizes = [tf.strings.as_string(tf.shape(x)[0]) for x in (value, seeds)]
    text = [f"{name} has ", sizes[0], " values and seed ", sizes[1]]
    text = tf.strings.join([*text, "; give one of each a piece, and 1 piece or more"])
    is_one_each = (tf.shape(value)[0] == tf.size(seeds)) & (tf.size(seeds) > 0)
    return tf.debugging.Assert(is_one_each, [text])


def _in_range(name: str, value: tf.Tensor, argument: Argument) -> Any:
    low, high = (tf.constant(end, argument.dtype) for end in (argument.low, argument.high))
    good = (value >= low) & (value <= high)  # Not a number is not good.
    if argument.size:
        good = tf.reduce_all(good, axis=-1)
        total = tf.reduce_sum(value, axis=-1)
        if argument.sums_to_one:
            good &= (total == 0) | (tf.abs(total - 1) <= SUM_TOLERANCE)
    first_bad = value[tf.argmin(tf.cast(good, tf.int32))]
    shown = tf.strings.as_string(first_bad, shortest=argument.dtype == "float32")
    shown = tf.strings.reduce_join(shown, separator=",") if argument.size else shown
    text = tf.strings.join([f"{name} is ", shown, f"; {argument.range}"])
    return tf.debugging.Assert(tf.reduce_all(good), [text])


def primer_checks(primer: tf.Tensor, spec: Spec) -> list[Any]:
    """Gives assertions of a graph that fail in words where a primer is none.

    Args:
      primer: int32 [steps, ...].
      spec: of the codec.
    """
    steps = tf.shape(primer)[0]
    most = longest(spec)
    text = tf.strings.join(
        ["primer has ", tf.strings.as_string(steps), f" steps; give 1 to {most}"]
    )
    checks = [tf.debugging.Assert((steps > 0) & (steps <= most), [text])]
    if spec.kind in ("tokens", "audio"):
        known = (primer >= 0) & (primer < spec.size)
        what = "tokens" if spec.kind == "tokens" else "levels"
        words = f"primer holds {what} that are none; give 0 to {spec.size - 1}"
        checks.append(tf.debugging.Assert(tf.reduce_all(known), [words]))
    if spec.kind == "cells":
        last = [size - 1 for _, _, size in spec.blocks]
        known = (primer >= 0) & (primer <= last)
        fields = ", ".join(
            f"{name} 0 to {top}" for (name, _, _), top in zip(spec.blocks, last, strict=True)
        )
        words = f"primer holds categories that are none; give {fields}"
        checks.append(tf.debugging.Assert(tf.reduce_all(known), [words]))
    return checks
