"""The state of the music beside a network: how long each key still sounds, the place in the beat.

A network that is fed cells alone would have to add up times and lengths by itself. This state
follows from the cells, without weights or gradients, and is an input of the next cell.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from keras import ops

from crnn_gan.autoregressive.cell_fields import CellFields
from crnn_gan.layers.loops import scan, stacked


class KeyState(NamedTuple):
    """The state just after a cell, one row each, or before the first one.

    Attributes:
      ticks_left: float32 [rows, keys], ticks that each key of the Spec's pitches still sounds.
      phase: int32 [rows], the cell's place in its quarter note, ticks; before the first cell that
        of the first cell.
      is_first: float32 [rows], 1 before the first cell, else 0.
    """

    ticks_left: Any
    phase: Any
    is_first: Any


def start(fields: CellFields, phase: Any) -> KeyState:
    """Gives the state before the first cell, whose place in the beat is `phase`, int32 [rows]."""
    rows = ops.shape(phase)[0]
    return KeyState(
        ops.zeros((rows, fields.sizes["pitch"])), ops.cast(phase, "int32"), ops.ones((rows,))
    )


def at_time(fields: CellFields, state: KeyState, time: Any) -> KeyState:
    """Gives the state when a cell begins, before its tones do.

    Args:
      state: after the cell before.
      time: float32 [rows, times], the cell's time, one-hot; the first cell's is not read.
    """
    ticks = ops.sum(time * fields.ticks["time"], axis=-1) * (1 - state.is_first)
    left = ops.maximum(state.ticks_left - ticks[:, None], 0.0)
    phase = (state.phase + ops.cast(ticks, "int32")) % fields.sizes["beat_phase"]
    return KeyState(left, phase, state.is_first)


def after_cell(fields: CellFields, state: KeyState, cell: Any) -> KeyState:
    """Gives the state after a cell, int32 [rows, fields]."""
    cells = fields.one_hots(cell)
    begun = at_time(fields, state, cells.time)
    left = begun.ticks_left
    for pitch, length in zip(cells.pitch, cells.length, strict=True):
        ticks = ops.sum(length * fields.ticks["length"], axis=-1)
        left = left * (1 - pitch) + ticks[:, None] * pitch
    return KeyState(left, begun.phase, ops.zeros_like(state.is_first))


def before_each_cell(fields: CellFields, music: Any) -> KeyState:
    """Gives the state before each cell of music [batch, time, fields]: rows are [batch, time]."""
    phase = fields.column(music[:, 0], "beat_phase")

    def step(state: Any, elements: Any) -> tuple[Any, tuple[Any, ...]]:
        before = KeyState(*state)
        after = after_cell(fields, before, ops.cast(elements[0], "int32"))
        outputs = before.ticks_left, ops.cast(before.phase, "float32")[:, None]
        return tuple(after), (*outputs, before.is_first[:, None])

    # As float32: of whole numbers oneDNN would say that it transposes none.
    cells = ops.transpose(ops.cast(music, "float32"), (1, 0, 2))
    series = scan(step, tuple(start(fields, phase)), [cells], [fields.sizes["pitch"], 1, 1])
    left, phases, is_first = (ops.transpose(stacked(s), (1, 0, 2)) for s in series)
    return KeyState(left, ops.cast(phases[..., 0], "int32"), is_first[..., 0])
