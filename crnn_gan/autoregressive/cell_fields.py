"""Fields of a cell: their sizes, what each category means, and cells as numbers for a network.

A cell is one step of a Spec of the kind "cells": int32 [fields], the place in the beat, the time
since the cell before, the number of tones, and pitch, length and velocity of each tone.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from keras import ops

from pipelines.keys import FROM_TONIC, normalized
from pipelines.spec import Spec

TONALITIES = 24  # Major from C up, then minor.
TONE_FIELDS = ("pitch", "length", "velocity")


class OneHots(NamedTuple):
    """Cells as one-hot vectors, float32; those of tones that are not there are 0.

    Attributes:
      time: [..., times].
      tones: [..., tones], of the number of tones.
      pitch, length, velocity: for each tone [..., categories].
    """

    time: Any
    tones: Any
    pitch: tuple[Any, ...]
    length: tuple[Any, ...]
    velocity: tuple[Any, ...]


class CellFields:
    """What a Spec of cells says of their fields.

    Attributes:
      names: of the fields, in order: "beat_phase", "time", "tones", "pitch 1", "length 1", ...
      sizes: number of categories of "beat_phase", "time", "tones", "pitch", "length", "velocity".
      most_tones: of a cell.
      ticks: of each category of "time" and of "length", float32 [categories].
      pitch_classes: of each category of "pitch", int [categories].
      critic_size: numbers of a cell as `one_hots` and `joined` give it.
    """

    def __init__(self, spec: Spec):
        """Reads a Spec of the kind "cells"."""
        self.names = [name for name, _, _ in spec.blocks]
        self.sizes = {name: len(values) for name, values in spec.values.items()}
        self.most_tones = int(spec.values["tones"][-1])
        self.pitch_classes = np.array(spec.values["pitch"]) % 12
        self.ticks = {n: np.array(spec.values[n], "float32") for n in ("time", "length")}
        self.critic_size = self.sizes["time"] + self.most_tones
        self.critic_size += self.most_tones * sum(self.sizes[name] for name in TONE_FIELDS)

    @property
    def decisions(self) -> int:
        """Categories that make a cell, beside its place in the beat: all fields but the first."""
        return len(self.names) - 1

    def column(self, music: Any, name: str, tone: int | None = None) -> Any:
        """Gives a field of cells [..., fields]: int32 [...]. `tone` counts from 0."""
        name = name if tone is None else f"{name} {tone + 1}"
        return ops.cast(music[..., self.names.index(name)], "int32")

    def is_there(self, music: Any) -> Any:
        """Tells which tones cells [..., fields] have: bool [..., tones]."""
        count = self.column(music, "tones")[..., None] + 1
        return ops.arange(self.most_tones, dtype="int32") < count

    def one_hots(self, music: Any) -> OneHots:
        """Gives cells [..., fields] as one-hot vectors."""
        there = ops.expand_dims(ops.cast(self.is_there(music), "float32"), -1)

        def of_tones(name: str) -> tuple[Any, ...]:
            first = self.names.index(f"{name} 1")
            categories = ops.cast(music[..., first :: len(TONE_FIELDS)], "int32")
            one_hots = ops.one_hot(categories, self.sizes[name], dtype="float32")
            return tuple(ops.unstack(one_hots * there, self.most_tones, axis=-2))

        def of_cell(name: str) -> Any:
            return ops.one_hot(self.column(music, name), self.sizes[name], dtype="float32")

        return OneHots(of_cell("time"), of_cell("tones"), *map(of_tones, TONE_FIELDS))

    def joined(self, cells: OneHots) -> Any:
        """Gives one-hot vectors as one: float32 [..., critic_size]."""
        return ops.concatenate(
            [cells.time, cells.tones, *cells.pitch, *cells.length, *cells.velocity], axis=-1
        )

    def windows(self, music: Any) -> Any:
        """Gives windows as a critic sees them: float32 [batch, time, critic_size].

        The time of the first cell is that of category 0. In a window from the middle of a piece
        another stands there; what is generated has none, and would be known by it.

        Args:
          music: [batch, time, fields].
        """
        cells = self.one_hots(music)
        is_first = (ops.arange(ops.shape(music)[1]) == 0)[:, None]
        none = ops.one_hot(0, self.sizes["time"], dtype="float32")
        return self.joined(cells._replace(time=ops.where(is_first, none, cells.time)))

    def dynamics(self, music: Any, valid_steps: Any = None) -> Any:
        """Gives the one velocity of pieces, or that they have several.

        Args:
          music: [batch, time, fields].
          valid_steps: int32 [batch], steps of each before its padding; None: all.

        Returns:
          int32 [batch]: the category of the velocity that all tones have; `sizes["velocity"]` where
          they have several.
        """
        there, several = self.is_there(music), self.sizes["velocity"]
        if valid_steps is not None:
            step = ops.arange(ops.shape(music)[1], dtype="int32")
            there = there & (step < valid_steps[:, None])[..., None]
        tones = range(self.most_tones)
        velocity = ops.stack([self.column(music, "velocity", tone) for tone in tones], axis=-1)
        highest = ops.max(ops.where(there, velocity, -1), axis=(1, 2))
        lowest = ops.min(ops.where(there, velocity, several), axis=(1, 2))
        return ops.where(highest == lowest, highest, several)

    def velocities_of(self, dynamics: Any) -> Any:
        """Gives the velocities that tones may have: bool [rows, velocities].

        Args:
          dynamics: int32 [rows], see `dynamics`.
        """
        count = self.sizes["velocity"]
        category = ops.arange(count, dtype="int32")
        return (dynamics[:, None] == count) | (dynamics[:, None] == category)

    def tonality(self, music: Any, valid_steps: Any = None) -> Any:
        """Gives the major or minor key that fits the tones of pieces best: see `pipelines.keys`.

        Args:
          music, valid_steps: as for `dynamics`.

        Returns:
          int32 [batch]: the tonic's pitch class of major keys, 12 more of minor keys.
        """
        cells = self.one_hots(music)
        ticks = [ops.sum(length * self.ticks["length"], axis=-1) for length in cells.length]
        tones = sum(p * t[..., None] for p, t in zip(cells.pitch, ticks, strict=True))
        if valid_steps is not None:
            step = ops.arange(ops.shape(music)[1], dtype="int32")
            tones = tones * ops.cast(step < valid_steps[:, None], "float32")[..., None]
        sounding = ops.sum(tones, axis=1)
        return ops.argmax(ops.matmul(sounding, self._profiles), axis=-1)

    @property
    def _profiles(self) -> np.ndarray:
        """Gives float32 [pitches, tonalities]: what a tick of a pitch adds to how well keys fit."""
        of_classes = np.zeros((12, 2, 12), "float32")  # [pitch class, mode, tonic].
        for tonic in range(12):
            of_classes[FROM_TONIC[tonic], :, tonic] = normalized("aarden_essen").T
        return of_classes[self.pitch_classes].reshape(-1, TONALITIES)
