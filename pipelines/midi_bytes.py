"""Standard MIDI Files from note tensors, in TensorFlow ops that an exported graph can hold."""

from __future__ import annotations

import tensorflow as tf

LONGEST_DELTA_TICKS = 2**28 - 1  # Four bytes of seven bits: the most that the format can say.
EVENT_BYTES = 7  # Up to 4 of delta time, then status and two bytes of data.
OFF, CONTROL, ON = range(3)  # The order of events at one tick.
STATUS = (0x80, 0xB0, 0x90)  # Of each of them on channel 1.
END_OF_TRACK = b"\x00\xff\x2f\x00"


def midi_bytes(
    notes: tf.Tensor,
    count: tf.Tensor,
    ticks_per_quarter: int,
    microseconds_per_quarter: int,
    program: int = 0,
    controls: tf.Tensor | None = None,
    control_count: tf.Tensor | None = None,
) -> tf.Tensor:
    """Gives a complete Standard MIDI File of format 0 for each row.

    At equal ticks note-offs come before note-ons, so that a repeated pitch sounds again, and
    between them the controls, so that a pedal pressed with a chord holds it and not the last.
    A rest of 2**28 ticks or more is cut to the longest delta time of the format.

    Args:
      notes: int32 [batch, note, 4] of onset tick, duration ticks (1 or more), pitch
        (0..127) and velocity (1..127), as `Codec.notes` gives them.
      count: int32 [batch], how many notes of each row count; those after are ignored.
      ticks_per_quarter: 1..32767.
      microseconds_per_quarter: the tempo, 1..16777215.
      program: General MIDI program of channel 1, 0..127.
      controls: int32 [batch, event, 3] of tick, controller (0..127) and value (0..127), as
        `NoteCodec.pedal` gives them; those of one tick keep their order.
      control_count: int32 [batch], how many controls of each row count.

    Returns:
      string [batch].

    Raises:
      ValueError: a number that the header cannot hold.

    Source: Standard MIDI Files 1.0 (MIDI Manufacturers Association, RP-001).
    """
    _require("ticks_per_quarter", ticks_per_quarter, 1, 32767)
    _require("microseconds_per_quarter", microseconds_per_quarter, 1, 2**24 - 1)
    _require("program", program, 0, 127)
    start = (
        b"MThd"
        + b"".join(n.to_bytes(size, "big") for n, size in ((6, 4), (0, 2), (1, 2)))
        + ticks_per_quarter.to_bytes(2, "big")
        + b"MTrk"
    )
    setting = b"\x00\xff\x51\x03" + microseconds_per_quarter.to_bytes(3, "big")
    setting += bytes([0, 0xC0, program])
    keys, events = _packed_notes(notes, count)
    total = 2 * count
    if controls is not None:
        more = _packed_controls(controls, control_count)
        keys, events = (tf.concat(pair, axis=1) for pair in zip((keys, events), more, strict=True))
        total += control_count
    events = tf.gather(events, tf.argsort(keys, axis=1, stable=True), batch_dims=1)
    events, present = _event_bytes(events, total)
    event_bytes = tf.reduce_sum(tf.cast(present, tf.int32), axis=1)
    track_bytes = len(setting) + event_bytes + len(END_OF_TRACK)
    batch = tf.shape(count)[0]
    columns = [_row(start, batch), _big_endian(track_bytes), _row(setting, batch)]
    before = tf.concat(columns, axis=1)
    after = _row(END_OF_TRACK, batch)
    whole = tf.concat([before, events, after], axis=1)
    kept = tf.concat([_all_of(before), present, _all_of(after)], axis=1)
    return _strings(tf.boolean_mask(whole, kept), len(start) + 4 + track_bytes)


def _require(name: str, value: int, low: int, high: int) -> None:
    if not low <= value <= high:
        raise ValueError(f"{name} is {value}; a MIDI file holds {low} to {high}")


def _packed_notes(notes: tf.Tensor, count: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Gives int64 [batch, 2 * note] twice: what sorts the events, and the events.

    Both hold, from the highest bits down, tick, kind (2 bits), pitch and velocity (7 bits
    each). The two events of each note that does not count become the largest number, and
    come last.
    """
    onset, duration, pitch, velocity = tf.unstack(tf.cast(notes, tf.int64), axis=2)
    on = ((onset * 4 + ON) * 128 + pitch) * 128 + velocity
    off = (((onset + duration) * 4 + OFF) * 128 + pitch) * 128
    counts = tf.sequence_mask(count, tf.shape(notes)[1])
    events = tf.concat([tf.where(counts, x, tf.int64.max) for x in (on, off)], axis=1)
    return events, events


def _packed_controls(controls: tf.Tensor, count: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Gives the same of controls, int64 [batch, event]; what sorts them is tick and kind alone."""
    tick, controller, value = tf.unstack(tf.cast(controls, tf.int64), axis=2)
    key = (tick * 4 + CONTROL) * 2**14
    counts = tf.sequence_mask(count, tf.shape(controls)[1])
    keys, events = key, key + controller * 128 + value
    return tf.where(counts, keys, tf.int64.max), tf.where(counts, events, tf.int64.max)


def _event_bytes(events: tf.Tensor, count: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Gives uint8 [batch, byte] and bool [batch, byte], which of them are in the file.

    Args:
      events: int64 [batch, event], packed and sorted.
      count: int32 [batch], how many of each row count.
    """
    tick = tf.bitwise.right_shift(events, 16)
    delta = tf.minimum(tick - tf.pad(tick[:, :-1], [[0, 0], [1, 0]]), LONGEST_DELTA_TICKS)
    time, time_present = _variable_length(tf.cast(delta, tf.int32))
    kind = tf.bitwise.right_shift(events, 14) % 4
    status = tf.gather(tf.constant((*STATUS, 0), tf.int64), kind)  # 3 is of what does not count.
    number, value = tf.bitwise.right_shift(events, 7) % 128, events % 128
    message = tf.cast(tf.stack([status, number, value], axis=2), tf.uint8)
    counts = tf.sequence_mask(count, tf.shape(events)[1])[..., None]
    present = tf.concat([time_present, _all_of(message)], axis=2) & counts
    shape = [tf.shape(events)[0], EVENT_BYTES * tf.shape(events)[1]]
    return (tf.reshape(tf.concat([time, message], axis=2), shape), tf.reshape(present, shape))


def _variable_length(values: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Gives uint8 [batch, value, 4] and bool [batch, value, 4], which bytes are written."""
    shifts = tf.constant([21, 14, 7, 0])
    septets = tf.bitwise.right_shift(values[..., None], shifts) % 128
    more_follow = tf.constant([0x80, 0x80, 0x80, 0])
    written = (septets + more_follow, (values[..., None] >= 2**shifts) | (shifts == 0))
    return tf.cast(written[0], tf.uint8), written[1]


def _big_endian(values: tf.Tensor) -> tf.Tensor:
    """Gives the four bytes of int32 [batch] as uint8 [batch, 4]."""
    shifted = tf.bitwise.right_shift(values[:, None], tf.constant([24, 16, 8, 0]))
    return tf.cast(shifted % 256, tf.uint8)


def _row(text: bytes, batch: tf.Tensor) -> tf.Tensor:
    return tf.tile(tf.constant(list(text), tf.uint8)[None, :], [batch, 1])


def _all_of(x: tf.Tensor) -> tf.Tensor:
    return tf.ones_like(x, tf.bool)


def _strings(values: tf.Tensor, sizes: tf.Tensor) -> tf.Tensor:
    """Cuts uint8 [byte] into strings of `sizes` bytes, [batch].

    TensorFlow has no op from bytes to strings, but a serialized uint8 tensor ends with
    its bytes as they are, which is faster than joining one-byte strings.
    """

    def cut(bounds: tf.Tensor) -> tf.Tensor:
        serialized = tf.io.serialize_tensor(values[bounds[0] : bounds[1]])
        size = bounds[1] - bounds[0]
        return tf.strings.substr(serialized, -size, size)

    ends = tf.cumsum(sizes)
    bounds = tf.stack([ends - sizes, ends], axis=1)
    return tf.map_fn(cut, bounds, fn_output_signature=tf.TensorSpec([], tf.string))
