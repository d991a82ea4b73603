"""Notes as tensors: what codecs share where arrays are decoded, in TensorFlow ops.

TensorFlow is imported when a function is called: encoding needs none.
"""

from __future__ import annotations

from typing import Any

from pipelines.array_operations import operations_on


def round_to_int(values: Any, low: int, high: int) -> Any:
    """Rounds and clips to int32 in [low, high]; NaN becomes low."""
    import tensorflow as tf

    values = tf.where(tf.math.is_nan(values), tf.cast(low, values.dtype), values)
    return tf.cast(tf.round(tf.clip_by_value(values, float(low), float(high))), tf.int32)


def one_note_per_pitch(onset: Any, length: Any, pitch: Any, velocity: Any, valid: Any) -> Any:
    """Sorts notes by (onset, pitch), and makes each pitch monophonic, as on a piano.

    Of notes with equal onset and pitch the longest stays; a note ends at the next onset of
    its pitch at the latest.

    Args:
      onset, length, pitch, velocity: int32 [batch, note].
      valid: bool [batch, note].

    Returns:
      (int32 [batch, note, 4], zeros after the last valid note; int32 [batch] count).
    """
    import tensorflow as tf

    def reorder(key: Any, *values: Any) -> list[Any]:
        order = tf.argsort(key, axis=1, stable=True)
        return [tf.gather(value, order, batch_dims=1) for value in values]

    last = tf.int64.max
    onset64, pitch64 = tf.cast(onset, tf.int64), tf.cast(pitch, tf.int64)
    # Longest first among equal onsets; 2**20 ticks is above any length, 2**31 any onset.
    key = (pitch64 * 2**31 + onset64) * 2**20 - tf.cast(length, tf.int64)
    onset, length, pitch, velocity, valid = reorder(
        tf.where(valid, key, last), onset, length, pitch, velocity, valid
    )
    repeated = valid[:, 1:] & (pitch[:, 1:] == pitch[:, :-1]) & (onset[:, 1:] == onset[:, :-1])
    valid &= ~tf.pad(repeated, [[0, 0], [1, 0]])
    key = tf.cast(pitch, tf.int64) * 2**31 + tf.cast(onset, tf.int64)
    onset, length, pitch, velocity, valid = reorder(
        tf.where(valid, key, last), onset, length, pitch, velocity, valid
    )
    is_repeated = valid[:, 1:] & (pitch[:, 1:] == pitch[:, :-1])
    room = tf.where(is_repeated, onset[:, 1:] - onset[:, :-1], tf.int32.max)
    length = tf.minimum(length, tf.pad(room, [[0, 0], [0, 1]], constant_values=tf.int32.max))
    key = tf.cast(onset, tf.int64) * 128 + tf.cast(pitch, tf.int64)
    columns = reorder(tf.where(valid, key, last), onset, length, pitch, velocity, valid)
    notes = tf.stack(columns[:4], axis=-1) * tf.cast(columns[4], tf.int32)[..., None]
    return notes, tf.reduce_sum(tf.cast(valid, tf.int32), axis=1)


def in_rows(row: Any, values: Any, rows: Any) -> tuple[Any, Any]:
    """Puts a flat list into the padded rows of a batch, on arrays as on tensors.

    Args:
      row: integers [value], which do not decrease.
      values: integers [value, column]; those of a row keep their order.
      rows: how many there are, of the dtype of `row`.

    Returns:
      (int32 [rows, most values of a row, column], padded with zeros; int32 [rows] count).
    """
    ops = operations_on(row)
    count = ops.count(row, rows)
    first, place = ops.cumsum(count) - count, ops.range(ops.largest(count))
    is_there = place[None, :] < count[:, None]
    index = ops.where(is_there, first[:, None] + place, 0)
    padded = ops.take(values, index) * ops.cast(is_there, values.dtype)[..., None]
    return ops.cast(padded, "int32"), ops.cast(count, "int32")
