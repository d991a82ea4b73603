"""Backpropagation through time of an LSTM: forward, backward, and the backward pass's own.

Long short-term memory (Hochreiter and Schmidhuber 1997) with a forget gate (Gers et al. 2000),
gates in the order of `keras.layers.LSTM`: input i, forget f, candidate g, output o. Only what is
recurrent runs in a loop; the products with the inputs and the gradients of the weights are one
matrix product each over all steps, before or after it.

Everything is time-major: z [time, batch, 4 * units] are the gates' pre-activations without the
recurrent term, h [time, batch, units] the outputs. Loops and states are float32; a matrix product
is computed in the dtype of its second factor.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from keras import ops

from crnn_gan.layers.loops import scan, stacked, with_gradient


class Cell(NamedTuple):
    """Residuals of one step, saved for the backward pass; each float32 [batch, units]."""

    i: Any
    f: Any
    g: Any
    o: Any
    tanh_c: Any
    c_before: Any


def dot(a: Any, b: Any) -> Any:
    """Gives the product with a matrix b [rows, columns] as float32, computed in b's dtype."""
    return ops.cast(ops.matmul(ops.cast(a, b.dtype), b), "float32")


def shifted(h: Any, reverse: bool = False, first: Any = None) -> Any:
    """Gives [time, batch, size] shifted by one step: at index 3 that of step 2; with `reverse` that
    of step 4, as a reversed loop runs. At the first step of the loop `first`, by default zeros."""
    first = ops.zeros_like(h[:1]) if first is None else first[None]
    return ops.concatenate([h[1:], first] if reverse else [first, h[:-1]], axis=0)


def weight_gradient(inputs: Any, dz: Any, kernel: Any) -> Any:
    """Gives the sum over time and batch of inputs' x dz, in kernel's dtype."""
    rows, columns = kernel.shape
    inputs = ops.cast(ops.reshape(inputs, (-1, rows)), kernel.dtype)
    return ops.matmul(ops.transpose(inputs), ops.cast(ops.reshape(dz, (-1, columns)), kernel.dtype))


def bias_gradient(dz: Any) -> Any:
    """Gives the sum over time and batch of dz, as a product: faster than a sum on CPUs."""
    dz = ops.reshape(dz, (-1, dz.shape[-1]))
    return ops.matmul(ops.ones((1, ops.shape(dz)[0])), dz)[0]


def with_bias(z: Any, bias: Any) -> Any:
    """Gives z [time * batch, size] + bias [size], float32."""
    return with_gradient(
        lambda z, bias: (z + bias, lambda dz: (dz, bias_gradient(dz))), (z, bias), ()
    )


# One step.


def cell(z: Any, c_before: Any) -> tuple[Any, Any, Cell]:
    """Gives (h, c, residuals) of one step, of its pre-activations z [batch, 4 * units]."""
    i, f, g, o = ops.split(z, 4, axis=-1)
    i, f, g, o = ops.sigmoid(i), ops.sigmoid(f), ops.tanh(g), ops.sigmoid(o)
    c = f * c_before + i * g
    tanh_c = ops.tanh(c)
    return o * tanh_c, c, Cell(i, f, g, o, tanh_c, c_before)


def cell_backward(dh: Any, dc: Any, cell: Cell) -> tuple[Any, Any, Any]:
    """Gives the derivatives (by z, by c_before, total by c) of one step from those by h and c."""
    i, f, g, o, tanh_c, c_before = cell
    dc = dc + dh * (o * (1 - tanh_c * tanh_c))
    gates = [
        dc * (g * (i * (1 - i))),
        dc * (c_before * (f * (1 - f))),
        dc * (i * (1 - g * g)),
        dh * (tanh_c * (o * (1 - o))),
    ]
    return ops.concatenate(gates, axis=-1), dc * f, dc


def cell_tangent(z_dot: Any, c_before_dot: Any, cell: Cell) -> tuple[Any, Any]:
    """Gives the tangent (h_dot, c_dot) of one step for tangents of z and c_before."""
    i, f, g, o, tanh_c, c_before = cell
    zi, zf, zg, zo = ops.split(z_dot, 4, axis=-1)
    c_dot = (
        zi * (g * (i * (1 - i)))
        + zf * (c_before * (f * (1 - f)))
        + zg * (i * (1 - g * g))
        + c_before_dot * f
    )
    return zo * (tanh_c * (o * (1 - o))) + c_dot * (o * (1 - tanh_c * tanh_c)), c_dot


def cell_curvature(
    z_dot: Any, c_before_dot: Any, c_dot: Any, dh: Any, dc: Any, cell: Cell
) -> tuple[Any, Any, Any]:
    """Gives the derivatives by (z, c_before, c) of dh * h_dot + dc * c_dot, of one step.

    `dc` is the total derivative by c, as `cell_backward` gives it. What reaches z through c is not
    in the first; `cell_backward` adds it.
    """
    i, f, g, o, tanh_c, c_before = cell
    zi, zf, zg, zo = ops.split(z_dot, 4, axis=-1)
    # First derivatives of the gates; the second are di * (1 - 2 * i) and -2 * g * dg.
    di, df, dg, do = i * (1 - i), f * (1 - f), 1 - g * g, o * (1 - o)
    dt = 1 - tanh_c * tanh_c
    gates = [
        dc * di * ((1 - 2 * i) * zi * g + dg * zg),
        dc * df * ((1 - 2 * f) * zf * c_before + c_before_dot),
        dc * dg * (di * zi - 2 * i * g * zg),
        dh * do * ((1 - 2 * o) * zo * tanh_c + dt * c_dot),
    ]
    by_c = dh * dt * (do * zo - 2 * o * tanh_c * c_dot)
    return ops.concatenate(gates, axis=-1), dc * df * zf, by_c


# A layer.


def lstm(z: Any, kernel: Any, reverse: bool = False) -> Any:
    """Gives the outputs h [time, batch, units], float32, of an LSTM whose first state is zeros.

    Args:
      z: float32 [time, batch, 4 * units], inputs times kernel plus bias.
      kernel: recurrent kernel [units, 4 * units]; products are computed in its dtype.
      reverse: from the last step to the first; h stays aligned with z.
    """

    def function(z: Any, kernel: Any) -> tuple[Any, Callable]:
        h, cells = _forward(z, kernel, reverse)

        def gradient(dh: Any) -> tuple[Any, Any]:
            dz = _backward(z, kernel, dh, h, cells, reverse)
            return dz, weight_gradient(shifted(h, reverse), dz, kernel)

        return h, gradient

    return with_gradient(function, (z, kernel), ())


def _forward(z: Any, kernel: Any, reverse: bool) -> tuple[Any, list[Any]]:
    def step(state: Any, elements: Any) -> tuple[tuple, tuple]:
        h, c = state
        h, c, residuals = cell(elements[0] + dot(h, kernel), c)
        return (h, c), (h, *residuals)

    units = kernel.shape[0]
    zero = ops.zeros_like(z[0, :, :units])
    h, *cells = scan(step, (zero, zero), (z,), [units] * 7, reverse)
    return stacked(h), cells


def _backward(z: Any, kernel: Any, dh: Any, h: Any, cells: Sequence[Any], reverse: bool) -> Any:
    """Gives dz of `lstm` from dh, with a hand-written gradient of its own.

    The transpose of the backward loop is the tangent of the forward loop. So, with the derivative
    by dz as the tangent z_dot, the derivative by dh is the tangent h_dot, and that by z the
    derivative of sum(dh * h_dot), by one more backward loop.
    """

    def function(z: Any, kernel: Any, dh: Any, h: Any, *cells: Any) -> tuple[Any, Callable]:
        units = kernel.shape[0]
        transposed = ops.transpose(kernel)
        zero = ops.zeros_like(dh[0])

        def step(state: Any, elements: Any) -> tuple[tuple, tuple]:
            dh = state[0] + elements[0]
            dz, dc_before, dc = cell_backward(dh, state[1], Cell(*elements[1:]))
            return (dot(dz, transposed), dc_before), (dz, dh, dc)

        sizes = [4 * units, units, units]
        dz, *by_state = scan(step, (zero, zero), (dh, *cells), sizes, not reverse)
        dz = stacked(dz)

        def tangent(state: Any, elements: Any) -> tuple[tuple, tuple]:
            z_dot = elements[0] + dot(state[0], kernel)
            h_dot, c_dot = cell_tangent(z_dot, state[1], Cell(*elements[1:]))
            return (h_dot, c_dot), (h_dot, z_dot, state[1], c_dot)

        def second(state: Any, elements: Any) -> tuple[tuple, tuple]:
            residuals = Cell(*elements[5:])
            z_dot, c_before_dot, c_dot, dh, dc = elements[:5]
            by_z, by_c_before, by_c = cell_curvature(z_dot, c_before_dot, c_dot, dh, dc, residuals)
            dz, dc_before, _ = cell_backward(state[0], state[1] + by_c, residuals)
            dz = dz + by_z
            return (dot(dz, transposed), dc_before + by_c_before), (dz,)

        def gradient(z_dot: Any) -> tuple[Any, Any, Any]:
            sizes = [units, 4 * units, units, units]
            h_dot, *dots = scan(tangent, (zero, zero), (z_dot, *cells), sizes, reverse)
            elements = (*dots, *by_state, *cells)
            (d2z,) = scan(second, (zero, zero), elements, [4 * units], not reverse)
            h_dot, d2z = stacked(h_dot), stacked(d2z)
            by_kernel = weight_gradient(shifted(h, reverse), d2z, kernel)
            by_kernel = by_kernel + weight_gradient(shifted(h_dot, reverse), dz, kernel)
            return d2z, by_kernel, h_dot

        return dz, gradient

    return with_gradient(function, (z, kernel, dh), (h, *cells))
