"""Array operations under one name for NumPy arrays and TensorFlow tensors.

A function that calls `operations_on(its input)` works on a NumPy array as on a tensor in an
exported graph. TensorFlow's ops, called one by one, take many times as long as NumPy's
(docs/decisions/0023).
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np


def operations_on(values: Any) -> SimpleNamespace:
    """Gives the operations for a NumPy array, else for a tensor (TensorFlow is imported then).

    where, maximum, cumsum, stack, reshape, shape: as both have them.
    cast(values, dtype), concat(list of [value, ...]), range(count).
    take(values, places): values[place, ...] at integers of any shape.
    places(mask): int64, where bool [value] is true.
    order(values): int64 or int32 [value] that sorts; equal values keep their order.
    largest(values): of integers [value], 0 where there is none.
    count(row, rows): how often each of 0 to rows - 1 stands in integers [value].
    """
    if isinstance(values, np.ndarray):
        return SimpleNamespace(
            where=np.where,
            maximum=np.maximum,
            cumsum=np.cumsum,
            stack=np.stack,
            reshape=np.reshape,
            shape=np.shape,
            cast=lambda values, dtype: np.asarray(values).astype(dtype),
            concat=np.concatenate,
            range=np.arange,
            take=lambda values, places: np.take(values, places, axis=0),
            places=np.flatnonzero,
            order=lambda values: np.argsort(values, kind="stable"),
            largest=lambda values: np.max(values, initial=0),
            count=lambda row, rows: np.bincount(row, minlength=rows),
        )
    import tensorflow as tf

    return SimpleNamespace(
        where=tf.where,
        maximum=tf.maximum,
        cumsum=tf.cumsum,
        stack=tf.stack,
        reshape=tf.reshape,
        shape=lambda values: tf.unstack(tf.shape(values, tf.int64)),
        cast=tf.cast,
        concat=lambda parts: tf.concat(parts, 0),
        range=tf.range,
        take=tf.gather,
        places=lambda mask: tf.where(mask)[:, 0],
        order=lambda values: tf.argsort(values, stable=True),
        largest=lambda values: tf.reduce_max(tf.concat([values, tf.zeros_like(values[:1])], 0)),
        count=lambda row, rows: tf.math.unsorted_segment_sum(tf.ones_like(row), row, rows),
    )
