"""Backpropagation through time of a stack of LSTMs whose output is fed back as its next input.

The generator of C-RNN-GAN (Mogren 2016, section 3). As in `backpropagation.py` everything is
time-major, states are float32, and the gradients of the weights are one matrix product each, after
the backward loop. Second derivatives are the backend's, and slow.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from keras import ops

from crnn_gan.layers.backpropagation import (
    Cell,
    bias_gradient,
    cell,
    cell_backward,
    dot,
    shifted,
    weight_gradient,
)
from crnn_gan.layers.loops import scan, stacked, with_gradient


class FeedbackWeights(NamedTuple):
    """Weights of `feedback_lstm`.

    Attributes:
      feedback: float32 [features, units].
      output: float32 [units, features].
      output_bias: float32 [features].
      layers: (kernel [units, 4 * units], recurrent kernel [units, 4 * units], bias
        float32 [4 * units]) of each layer; products are computed in the kernels' dtype.
    """

    feedback: Any
    output: Any
    output_bias: Any
    layers: tuple[tuple[Any, Any, Any], ...]


def bounded(y: Any, limit: float | None) -> Any:
    """Gives limit * tanh(y); y where the limit is None."""
    return y if limit is None else limit * ops.tanh(y)


def feedback_step(
    x: Any,
    state: Sequence[Any],
    masks: Sequence[Any],
    weights: FeedbackWeights,
    limit: float | None,
) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """Gives (state, residuals for the backward pass) of one step; see `feedback_lstm`.

    Args:
      x: float32 [batch, units].
      state: y [batch, features], then h and c [batch, units] of each layer.
      masks: for each layer [batch, units], or none.
    """
    y, states = state[0], []
    u = ops.relu(x + dot(y, weights.feedback))
    below, residuals = u, []
    for k, (kernel, recurrent_kernel, bias) in enumerate(weights.layers):
        h, c = state[1 + 2 * k : 3 + 2 * k]
        # Two products: faster on CPUs than one with both kernels, which no cache holds.
        h, c, at = cell(dot(below, kernel) + dot(h, recurrent_kernel) + bias, c)
        below = h * masks[k] if masks else h
        states += [h, c]
        residuals += [h, *at]
    y = bounded(dot(below, weights.output) + weights.output_bias, limit)
    return (y, *states), (y, u, *residuals)


def feedback_lstm(
    x: Any, first: Any, weights: FeedbackWeights, masks: Sequence[Any], limit: float | None
) -> Any:
    """Gives y [time, batch, features], float32; y of step 3 has y of step 2 as input.

    u = relu(x + y_before * feedback); the layers; y = bounded(h * output + bias, limit).

    Args:
      x: float32 [time, batch, units], the terms of relu's argument that do not depend on y.
      first: float32 [batch, features], the first step's y_before.
      weights: see `FeedbackWeights`.
      masks: dropout masks, for each layer [time, batch, units], multiplied with its outputs to the
        layer above, not with its recurrent state; or none.
      limit: see `bounded`.
    """

    def function(x: Any, first: Any, weights: FeedbackWeights, *masks: Any) -> tuple[Any, Callable]:
        y, u, *residuals = _feedback_forward(x, first, weights, masks, limit)
        y = stacked(y)

        def gradient(dy: Any) -> tuple[Any, Any, FeedbackWeights]:
            cells = [series for k, series in enumerate(residuals) if k % 7]
            dy, du, dz = _feedback_backward(dy, y, u, cells, weights, masks, limit)
            inputs = [stacked(u), *(stacked(h) for h in residuals[::7])]
            by_weights = _feedback_weight_gradients(
                (dy, du, dz), shifted(y, first=first), inputs, weights, masks
            )
            return du, dot(du[0], ops.transpose(weights.feedback)), by_weights

        return y, gradient

    return with_gradient(function, (x, first, weights), masks)


def _feedback_forward(
    x: Any, first: Any, weights: FeedbackWeights, masks: Sequence[Any], limit: float | None
) -> list[Any]:
    def step(state: Any, elements: Any) -> tuple[tuple, tuple]:
        return feedback_step(elements[0], state, elements[1:], weights, limit)

    features, units = weights.feedback.shape
    initial = (first, *[ops.zeros_like(x[0])] * (2 * len(weights.layers)))
    sizes = [features, units, *[units] * (7 * len(weights.layers))]
    return scan(step, initial, (x, *masks), sizes)


def _feedback_backward(
    dy: Any,
    y: Any,
    u: Any,
    cells: Sequence[Any],
    weights: FeedbackWeights,
    masks: Sequence[Any],
    limit: float | None,
) -> tuple[Any, Any, list[Any]]:
    """Gives the derivatives by the arguments of `bounded` and of relu, and by each layer's z."""
    features, units = weights.feedback.shape
    count = len(weights.layers)
    transposed = [
        (ops.transpose(kernel), ops.transpose(past)) for kernel, past, _ in weights.layers
    ]
    to_h, to_y = ops.transpose(weights.output), ops.transpose(weights.feedback)

    def step(state: Any, elements: Any) -> tuple[tuple, tuple]:
        dy, y, u = elements[:3]
        cells, masks = elements[3 : 3 + 6 * count], elements[3 + 6 * count :]
        dy = dy + state[0]
        if limit is not None:
            dy = dy * (limit - y * y / limit)
        below = dot(dy, to_h)
        states: list[Any] = []
        dzs: list[Any] = []
        for k in reversed(range(count)):
            dh, dc = state[1 + 2 * k : 3 + 2 * k]
            dh = dh + (below * masks[k] if masks else below)
            dz, dc, _ = cell_backward(dh, dc, Cell(*cells[6 * k : 6 * k + 6]))
            to_below, to_past = transposed[k]
            below = dot(dz, to_below)
            states, dzs = [dot(dz, to_past), dc, *states], [dz, *dzs]
        du = below * ops.cast(u > 0, "float32")
        return (dot(du, to_y), *states), (dy, du, *dzs)

    zero = ops.zeros((ops.shape(dy)[1], units))
    initial = (ops.zeros_like(dy[0]), *[zero] * (2 * count))
    sizes = [features, units, *[4 * units] * count]
    elements = (dy, y, u, *cells, *masks)
    dy, du, *dz = [stacked(s) for s in scan(step, initial, elements, sizes, reverse=True)]
    return dy, du, dz


def _feedback_weight_gradients(
    derivatives: tuple[Any, Any, Sequence[Any]],
    y_before: Any,
    outputs: Sequence[Any],
    weights: FeedbackWeights,
    masks: Sequence[Any],
) -> FeedbackWeights:
    """Gives the derivatives by the weights; `outputs` are u and each layer's h."""
    dy, du, dzs = derivatives
    below, *hs = outputs
    layers = []
    for k, (kernel, recurrent_kernel, _) in enumerate(weights.layers):
        by_kernel = weight_gradient(below, dzs[k], kernel)
        by_past = weight_gradient(shifted(hs[k]), dzs[k], recurrent_kernel)
        layers.append((by_kernel, by_past, bias_gradient(dzs[k])))
        below = hs[k] * masks[k] if masks else hs[k]
    return FeedbackWeights(
        weight_gradient(y_before, du, weights.feedback),
        weight_gradient(below, dy, weights.output),
        bias_gradient(dy),
        tuple(layers),
    )
