"""A recurrent network that writes cells: each given all before it in its piece."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any, NamedTuple

import keras
from keras import ops

from crnn_gan.autoregressive.cell_decisions import CellDecisions
from crnn_gan.autoregressive.cell_fields import TONE_FIELDS, CellFields, OneHots
from crnn_gan.autoregressive.key_state import KeyState, after_cell, before_each_cell, start
from crnn_gan.autoregressive.piece_prior import OfPiece, PiecePrior
from crnn_gan.autoregressive.sampling import sample_token
from crnn_gan.layers.recurrent import LSTM, time_major
from crnn_gan.layers.row_product import row_product
from pipelines.spec import Spec

TRANSPOSITIONS = 49  # From 24 semitones down to 24 up.


class _TeacherForced(NamedTuple):
    """What the decisions of cells are made from, given the true cells before them.

    Attributes:
      context: float32 [rows, context_units]; a row is a step of a window.
      state: before the cells.
      piece, transposition: of each row.
      cells: the true ones.
    """

    context: Any
    state: KeyState
    piece: OfPiece
    transposition: Any
    cells: OneHots


class CellGenerator(keras.layers.Layer):
    """LSTMs that are fed their own last cell, and the decisions of the next one.

    The generator of C-RNN-GAN (Mogren 2016, section 3) with categorical outputs. Inputs of a cell:
    the cell before, one-hot; the ticks that each key still sounds (as logarithms), and the shortest
    and the longest of them, as classes; the place in the beat; what is drawn once for the piece
    (`PiecePrior`: its tonality; the one velocity of all tones, or that they have several); and by
    how many semitones the window was transposed in training, 0 in generation. The context of the
    decisions is the hidden states of all layers and the inputs, each times a kernel.

    Args:
      spec: of the kind "cells".
      units: of each LSTM; the context has twice as many.
      num_layers: LSTMs.
      dropout: rate, of the layers' outputs and of the rectified context.
      seed: random numbers of dropout come from it.
    """

    def __init__(
        self,
        spec: Spec,
        units: int,
        num_layers: int,
        dropout: float,
        seed: keras.random.SeedGenerator,
        **kwargs: Any,
    ):
        super().__init__(**kwargs, autocast=False)
        self.fields = CellFields(spec)
        self.units, self.dropout = units, dropout
        # Not the generator itself, which Keras would then count twice.
        self.drop = functools.partial(keras.random.dropout, rate=dropout, seed=seed)
        self.layers = [LSTM(units, dtype=self.dtype_policy) for _ in range(num_layers)]
        self.context_units = 2 * units
        self.prior = PiecePrior(self.fields, name="prior")
        self.decisions = CellDecisions(self.fields, self.context_units, name="decisions")
        edges = self.fields.ticks["length"]
        self.length_edges = (edges[1:] + edges[:-1]) / 2 if len(edges) > 1 else edges

    def build(self, *_: Any) -> None:
        """Makes the weights."""
        sizes = self.fields.sizes
        self.prior.build()
        classes = 2 * (sizes["length"] + 1)
        self.cell_size = self.fields.critic_size + sizes["pitch"]  # As an input of the next.
        size = self.cell_size + sizes["pitch"] + classes + sizes["beat_phase"]
        self.input_size = size + self.prior.input_size + 1 + TRANSPOSITIONS

        def kernel(name: str, *shape: int) -> Any:
            initializer = "glorot_uniform" if len(shape) > 1 else "zeros"
            return self.add_weight(shape, initializer, name=name, autocast=False)

        size = self.input_size
        for layer in self.layers:
            layer.build((None, None, size))
            size = self.units
        self.hidden_kernel = kernel("hidden_kernel", len(self.layers) * size, self.context_units)
        self.input_kernel = kernel("input_kernel", self.input_size, self.context_units)
        self.context_bias = kernel("context_bias", self.context_units)
        self.decisions.build()

    # --- Inputs ---

    def _cell_input(self, music: Any, is_first: Any) -> Any:
        """Gives cells [..., fields] as inputs of the next; a first cell's time is left out."""
        cells = self.fields.one_hots(music)
        cells = cells._replace(time=cells.time * (1 - is_first)[..., None])
        return ops.concatenate([self.fields.joined(cells), sum(cells.pitch)], axis=-1)

    def _inputs(self, before: Any, state: KeyState, piece: OfPiece, transposition: Any) -> Any:
        """Gives the network's inputs, float32 [rows, input_size].

        Args:
          before: `_cell_input` of the cell before; zeros before the first.
          state: before the cell.
          piece: of each row.
          transposition: int32 [rows], semitones.
        """
        sizes, left = self.fields.sizes, state.ticks_left
        sounds = left > 0
        longest = ops.max(left, axis=-1)
        shortest = ops.min(ops.where(sounds, left, ops.full_like(left, 1e9)), axis=-1)
        shortest = ops.where(longest > 0, shortest, 0.0)
        half = TRANSPOSITIONS // 2
        return ops.concatenate(
            [
                before,
                ops.log1p(left) / 3.0,
                self._length_class(shortest),
                self._length_class(longest),
                ops.one_hot(state.phase, sizes["beat_phase"], dtype="float32"),
                self.prior.inputs(piece),
                state.is_first[:, None],
                ops.one_hot(transposition + half, TRANSPOSITIONS, dtype="float32"),
            ],
            axis=-1,
        )

    def _length_class(self, ticks: Any) -> Any:
        """Gives ticks [rows] as a class of the lengths, one-hot; the first is that of 0."""
        above = ops.cast(ticks[:, None] > self.length_edges, "int32")
        place = ops.sum(above, axis=-1) + ops.cast(ticks > 0, "int32")
        return ops.one_hot(place, self.fields.sizes["length"] + 1, dtype="float32")

    # --- Likelihood ---

    def negative_log_likelihood(
        self, music: Any, transposition: Any = None, training: bool = False
    ) -> tuple[Any, dict[str, Any]]:
        """Gives -ln p of each cell given all before it, nats: float32 [batch, time]; and its parts.

        The first cell's has that of what is drawn once for the piece. Teacher forcing: all cells at
        once.

        Args:
          music: int32 [batch, time, fields].
          transposition: int32 [batch], semitones; None: 0.
          training: whether dropout is on.
        """
        music = ops.cast(music, "int32")
        teacher = self._teacher_forced(music, transposition, training)
        context = teacher.context
        mask = self.drop(ops.ones_like(context)) if training and self.dropout else None
        nats, parts = self.decisions.negative_log_likelihood(
            context,
            teacher.state,
            self.fields.velocities_of(teacher.piece.dynamics),
            teacher.cells,
            mask,
        )
        shape = ops.shape(music)[:2]
        of_piece = self.prior.negative_log_likelihood(
            teacher.state.phase, teacher.piece, teacher.transposition
        )
        parts["piece"] = of_piece * teacher.state.is_first
        nats = nats + parts["piece"]
        return ops.reshape(nats, shape), {n: ops.reshape(p, shape) for n, p in parts.items()}

    def straight_through(self, music: Any) -> Any:
        """Gives sampled cells, one-hot, whose gradient is that of their probabilities.

        Args:
          music: int32 [batch, time, fields].

        Returns:
          float32 [batch, time, critic_size].
        """
        teacher = self._teacher_forced(music, None, False)
        found: dict[str, list[Any]] = {}

        def choose(name: str, tone: int | None, logits: Any) -> Any:
            true = getattr(teacher.cells, name)
            true = true if tone is None else true[tone]
            # 0 of a tone that is not there, and of a first cell's time.
            soft = ops.exp(ops.log_softmax(logits, axis=-1)) * ops.sum(true, axis=-1, keepdims=True)
            soft = soft * is_later if name == "time" else soft
            # The difference is exactly 0: times and masks are made of the sum.
            found.setdefault(name, []).append(true + (soft - ops.stop_gradient(soft)))
            return found[name][-1]

        is_later = 1 - teacher.state.is_first[:, None]
        velocities = self.fields.velocities_of(teacher.piece.dynamics)
        self.decisions.walk(teacher.context, teacher.state, velocities, None, choose)
        (time,), (tones,) = found["time"], found["tones"]
        cells = OneHots(time, tones, *(tuple(found[name]) for name in TONE_FIELDS))
        return ops.reshape(
            self.fields.joined(cells), (*ops.shape(music)[:2], self.fields.critic_size)
        )

    def _teacher_forced(self, music: Any, transposition: Any, training: bool) -> _TeacherForced:
        """Gives what the decisions of each cell of music are made from, given those before it."""
        rows, time = ops.shape(music)[0], ops.shape(music)[1]
        piece = self.prior.of(music)
        if transposition is None:
            transposition = ops.zeros_like(piece.dynamics)
        before = before_each_cell(self.fields, music)
        cells = ops.pad(self._cell_input(music, before.is_first), ((0, 0), (1, 0), (0, 0)))[:, :-1]

        def flat(x: Any) -> Any:
            return ops.reshape(x, (-1, *x.shape[2:]))

        def of_each_step(x: Any) -> Any:
            return ops.reshape(ops.broadcast_to(x[:, None], (rows, time)), (-1,))

        state, piece = KeyState(*map(flat, before)), OfPiece(*map(of_each_step, piece))
        transposition = of_each_step(ops.cast(transposition, "int32"))
        inputs = self._inputs(flat(cells), state, piece, transposition)
        hidden = self._hidden(ops.reshape(inputs, (rows, time, self.input_size)), training)
        true = self.fields.one_hots(ops.reshape(music, (-1, music.shape[-1])))
        context = self._context(flat(hidden), inputs)
        return _TeacherForced(context, state, piece, transposition, true)

    def _hidden(self, inputs: Any, training: bool) -> Any:
        """Gives the hidden states of all layers, float32 [batch, time, layers * units]."""
        h, states = time_major(inputs), []
        for layer in self.layers:
            h = layer.time_major(h)
            if training and self.dropout:
                h = self.drop(h)
            states.append(h)
        return time_major(ops.concatenate(states, axis=-1))

    def _context(self, hidden: Any, inputs: Any) -> Any:
        """Gives the context [rows, context_units]."""
        kernel = ops.concatenate([self.hidden_kernel, self.input_kernel], axis=0)
        both = ops.concatenate([hidden, inputs], axis=-1)
        return row_product(both, kernel) + self.context_bias

    # --- Generation ---

    def begin(self, uniform: Any, temperature: Any) -> tuple[Any, ...]:
        """Gives the state before the first cell of pieces, nested tuples of tensors.

        Args:
          uniform: float32 [batch, 3] in [0, 1), of what is drawn once for a piece.
          temperature: float32 [batch].
        """
        return self._begin(*self.prior.sample(uniform, temperature))

    def step(
        self, state: tuple[Any, ...], uniform: Any, temperatures: Mapping[str, Any]
    ) -> tuple[tuple[Any, ...], Any]:
        """Samples a cell; gives (state, int32 [batch, fields]).

        Args:
          state: as `begin` or the step before gave it.
          uniform: float32 [batch, decisions] in [0, 1).
          temperatures: of each kind of field, float32 [batch].
        """
        _, keys, _, piece = state
        network, context = self._advance(state)
        chosen: list[Any] = []

        def choose(name: str, tone: int | None, logits: Any) -> Any:
            number = uniform[:, len(chosen)]
            chosen.append(sample_token(logits, number, temperatures[name]))
            one_hot = ops.one_hot(chosen[-1], logits.shape[-1], dtype="float32")
            if tone is None:
                return one_hot
            return one_hot * ops.cast(chosen[1] >= tone, "float32")[:, None]

        self.decisions.walk(context, keys, self.fields.velocities_of(piece.dynamics), None, choose)
        time, tones, *rest = chosen
        there = [
            ops.where(tones >= index // len(TONE_FIELDS), category, 0)
            for index, category in enumerate(rest)
        ]
        time = ops.where(keys.is_first > 0, 0, time)
        cell = ops.stack([ops.zeros_like(time), time, tones, *there], axis=-1)
        state = self._after(state, network, cell)
        return state, ops.concatenate([state[1].phase[:, None], cell[:, 1:]], axis=-1)

    def begin_of(self, music: Any, valid_steps: Any = None) -> tuple[Any, ...]:
        """Gives the state before the first cell of given pieces, and -ln p of what is drawn once
        for them, nats: float32 [batch].

        Args:
          music: int32 [batch, time, fields].
          valid_steps: int32 [batch], steps of each before its padding; None: all.
        """
        phase = self.fields.column(music[:, 0], "beat_phase")
        piece = self.prior.of(music, valid_steps)
        return self._begin(phase, piece), self.prior.negative_log_likelihood(phase, piece)

    def step_negative_log_likelihood(
        self, state: tuple[Any, ...], cell: Any
    ) -> tuple[tuple[Any, ...], Any]:
        """Gives (state, -ln p of a cell, nats: float32 [batch]), as `negative_log_likelihood` does.

        Args:
          state: as `begin_of` or the step before gave it.
          cell: int32 [batch, fields].
        """
        _, keys, _, piece = state
        network, context = self._advance(state)
        nats, _ = self.decisions.negative_log_likelihood(
            context, keys, self.fields.velocities_of(piece.dynamics), self.fields.one_hots(cell)
        )
        return self._after(state, network, cell), nats

    def _begin(self, phase: Any, piece: OfPiece) -> tuple[Any, ...]:
        """Gives (the network's state, that of the keys, the input of no cell, `piece`)."""
        rows = ops.shape(phase)[0]
        network = tuple(layer.initial_state(rows) for layer in self.layers)
        return network, start(self.fields, phase), ops.zeros((rows, self.cell_size)), piece

    def _advance(self, state: tuple[Any, ...]) -> tuple[tuple[Any, ...], Any]:
        """Gives (the network's state, the context of the next cell's decisions)."""
        network, keys, before, piece = state
        inputs = self._inputs(before, keys, piece, ops.zeros_like(piece.dynamics))
        x, after, hidden = inputs, [], []
        for layer, layer_state in zip(self.layers, network, strict=True):
            x, layer_state = layer.step(x, layer_state)
            after.append(layer_state)
            hidden.append(x)
        return tuple(after), self._context(ops.concatenate(hidden, axis=-1), inputs)

    def _after(self, state: tuple[Any, ...], network: Any, cell: Any) -> tuple[Any, ...]:
        """Gives the state after a cell."""
        _, keys, _, piece = state
        now = after_cell(self.fields, keys, cell)
        return network, now, self._cell_input(cell, keys.is_first), piece
