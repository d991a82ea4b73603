"""Small plots as SVG: generated music in the accent colour over real music in grey.

Plots are stretched to their boxes; labels are HTML beside them and keep their size.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from crnn_gan.evaluation.evaluation import HistogramRow, StatisticRow
from crnn_gan.metrics.bands import Band
from crnn_gan.report.elements import Markup, element
from crnn_gan.report.numbers import number

WIDTH, HEIGHT = 240, 80  # Units of a small plot.
BINS = 20
OUTLIER = 2.0  # Ranges are cut at so many widths of the middle 90 %.
RANGE_WIDTH, RANGE_HEIGHT, BAND_SHARE = 180, 18, 0.44  # Of a range plot.
SHADES = 12  # Of a heat map.
MOST_BIN_NAMES, MOST_LETTERS = 16, 60  # Below a histogram.


def distribution(row: StatisticRow, title: Markup) -> Markup:
    """Plots the histograms of generated pieces and real windows, on equal bins."""
    if len({*row.generated, *row.real}) == 1:
        text = f"all values of both sets are {number(row.mean)}"
        return _figure(title, element("p", text, class_="none"))
    edges, is_cut = bin_edges(row.generated, row.real)
    generated, real = shares(row.generated, edges), shares(row.real, edges)
    top = max(*generated, *real, 1e-9)
    # A bin of an integer reaches 0.5 to both sides of it.
    half = 0.5 if edges[0] != round(edges[0]) and edges[1] - edges[0] == 1 else 0.0
    low, high = float(edges[0]) + half, float(edges[-1]) - half
    picture = _svg(
        element("path", class_="real", d=_steps(real, top)),
        element("path", class_="generated", d=_steps(generated, top)),
        label=f"{row.name}: generated mean {number(row.mean)}, real {number(row.band.mean)}",
    )
    ends = [
        element("span", f"{'≤ ' if is_cut[0] else ''}{number(low)}"),
        element("span", row.unit, class_="unit"),
        element("span", f"{'≥ ' if is_cut[1] else ''}{number(high)}"),
    ]
    return _figure(title, picture, element("div", ends, class_="ends"))


def bin_edges(
    generated: Sequence[float], real: Sequence[float]
) -> tuple[np.ndarray, tuple[bool, bool]]:
    """Computes the edges of the bins that both sets share.

    Returns:
      float64 [bin + 1]; and whether values lie below the first or above the last edge, which
      then count in the outermost bins. Integers of a small range get a bin each.
    """
    values = np.array([*generated, *real], float)
    low, high = float(values.min(initial=np.inf)), float(values.max(initial=-np.inf))
    if not len(values):
        low, high = 0.0, 1.0
    else:
        near, far = np.percentile(values, [5, 95]).tolist()
        reach = OUTLIER * (far - near)
        if reach > 0:
            low, high = max(low, near - reach), min(high, far + reach)
    if high - low < BINS and (values == np.rint(values)).all():
        edges = np.arange(math.floor(low), math.ceil(high) + 2) - 0.5
    else:
        edges = np.linspace(low, high if high > low else low + 1, BINS + 1)
    is_cut = bool((values < edges[0]).any()), bool((values > edges[-1]).any())
    return edges, is_cut


def shares(values: Sequence[float], edges: np.ndarray) -> list[float]:
    """Gives the share of values in each bin; those outside count in the outermost."""
    if not len(values):
        return [0.0] * (len(edges) - 1)
    inside = np.clip(np.array(values, float), edges[0], edges[-1])
    return (np.histogram(inside, edges)[0] / len(values)).tolist()


def range_plot(band: Band, values: Sequence[float], mean: float) -> Markup:
    """Plots generated values against the band of real music.

    All range plots have the band at the same place, so that a column of them can be read as one:
    the band grey, its median a line, the middle 90 % of the values a bar, their mean a dot. A
    mean far outside is an arrow at the edge.
    """
    middle = RANGE_HEIGHT / 2
    left, right = RANGE_WIDTH * (1 - BAND_SHARE) / 2, RANGE_WIDTH * (1 + BAND_SHARE) / 2
    low, high = np.percentile(values, [5, 95]).tolist() if len(values) else (mean, mean)
    bar = [_clamped(_place(value, band)) for value in (low, high)]
    at = _place(mean, band)
    median = _clamped(_place(band.median, band))
    if at != _clamped(at):
        turn = 1 if at > 0 else -1
        tip = _clamped(at) + 2 * turn
        mark = element("path", class_="dot", d=f"M{tip:g} {middle:g}l{-9 * turn} -5v10z")
    else:
        mark = element("circle", class_="dot", cx=round(at, 1), cy=middle, r=4)
    return element(
        "svg",
        element("rect", class_="band", x=left, y=2, width=right - left, height=RANGE_HEIGHT - 4),
        element("path", class_="median", d=f"M{median:.1f} 2v{RANGE_HEIGHT - 4}"),
        element("path", class_="spread", d=f"M{bar[0]:.1f} {middle:g}H{max(bar[1], bar[0]):.1f}"),
        mark,
        class_="range",
        viewBox=f"0 0 {RANGE_WIDTH} {RANGE_HEIGHT}",
        aria_hidden="true",
    )


def _place(value: float, band: Band) -> float:
    """The position of a value on a range plot, not clamped. A band of zero width is a point."""
    if band.high == band.low:
        outside = (value > band.low) - (value < band.low)
        return RANGE_WIDTH / 2 if not outside else math.copysign(math.inf, outside)
    share = (value - band.low) / (band.high - band.low) - 0.5
    return RANGE_WIDTH * (0.5 + BAND_SHARE * share)


def _clamped(place: float) -> float:
    return min(max(place, 6.0), RANGE_WIDTH - 6.0)


def pair_plot(value: float, real: float) -> Markup:
    """Plots a number as a dot and that of real music as a line, from 0 (or the minimum) on."""
    low, high = min(0.0, value, real), max(0.0, value, real) or 1.0
    dot, line = (6 + (RANGE_WIDTH - 12) * (v - low) / (high - low) for v in (value, real))
    zero = 6 + (RANGE_WIDTH - 12) * -low / (high - low)
    middle = RANGE_HEIGHT / 2
    return element(
        "svg",
        element("path", class_="axis", d=f"M6 {middle:g}H{RANGE_WIDTH - 6}M{zero:.1f} 5v8"),
        element("path", class_="mark", d=f"M{line:.1f} 2v{RANGE_HEIGHT - 4}"),
        element("circle", class_="dot", cx=round(dot, 1), cy=middle, r=4),
        class_="range",
        viewBox=f"0 0 {RANGE_WIDTH} {RANGE_HEIGHT}",
        aria_hidden="true",
    )


def paired_bars(row: HistogramRow, title: Markup) -> Markup:
    """Plots the bins of a histogram, real and generated side by side."""
    count = max(1, len(row.generated))
    top = max(*row.generated, *row.real, 1e-9)
    slot = WIDTH / count

    def bars(values: Sequence[float], shift: float) -> str:
        heights = [(i, HEIGHT * value / top) for i, value in enumerate(values) if value > 0]
        return "".join(
            f"M{(i + shift) * slot:.2f} {HEIGHT}v{-tall:.2f}h{0.4 * slot:.2f}v{tall:.2f}z"
            for i, tall in heights
        )

    picture = _svg(
        element("path", class_="bar-real", d=bars(row.real, 0.08)),
        element("path", class_="bar-generated", d=bars(row.generated, 0.52)),
        label=f"{row.name}: the mean histogram of generated and of real music",
    )
    every = math.ceil(count / MOST_BIN_NAMES)
    named = [
        element("span", name if i % every == 0 else "", style=f"width:{100 / count:.4g}%")
        for i, name in enumerate(row.bins)
    ]
    return _figure(title, picture, element("div", named, class_=f"bins{_upright(row)}"))


def _upright(row: HistogramRow) -> str:
    """The class for names that are too long to be side by side."""
    longest = max((len(name) for name in row.bins), default=0)
    return " upright" if longest * min(len(row.bins), MOST_BIN_NAMES) > MOST_LETTERS else ""


def heat_maps(row: HistogramRow, title: Markup) -> Markup:
    """Plots a matrix of generated and of real music side by side, on one scale of shades."""
    top = max(*row.generated, *row.real, 1e-9)
    named = len(row.bins) <= MOST_BIN_NAMES and row.shape[0] == row.shape[1] == len(row.bins)
    names = [element("span", name) for name in row.bins] if named else []
    sets = (("generated", row.generated), ("real", row.real))
    maps = [
        element(
            "div",
            element("div", names, class_=f"columns{_upright(row)}"),
            element("div", names, class_="rows"),
            _heat_map(np.array(values).reshape(row.shape) / top, f"{row.name}, {name}"),
            element("p", name, class_="key"),
            class_="map",
        )
        for name, values in sets
    ]
    note = f"the largest is {number(100 * top)} % of all; from row to column"
    return element(
        "figure",
        element("figcaption", title),
        element("div", maps, class_="maps"),
        element("p", note, class_="ends"),
        class_=f"plot{' whole' if _upright(row) else ''}",
    )


def _heat_map(values: np.ndarray, label: str) -> Markup:
    """A heat map of [row, column] of 0..1, the first row on top."""
    rows, columns = values.shape
    shade = np.rint(values * SHADES).astype(int)
    paths = []
    for level in range(1, SHADES + 1):
        cells = np.argwhere(shade == level).tolist()
        if cells:
            data = "".join(f"M{column} {row}h1v1h-1z" for row, column in cells)
            paths.append(element("path", d=data, fill_opacity=level / SHADES))
    frame = element("path", class_="line", d=f"M0 0H{columns}V{rows}H0z")
    return element(
        "svg",
        paths,
        frame,
        class_="heat",
        viewBox=f"0 0 {columns} {rows}",
        role="img",
        aria_label=label,
    )


def curve(
    name: Markup, epochs: Sequence[int], values: Sequence[float | None], band: Band | None
) -> Markup:
    """Plots a value over the epochs, with the band of real music behind it."""
    known = [(e, v) for e, v in zip(epochs, values, strict=True) if v is not None]
    if not known:
        return _figure(name, element("p", "not measured", class_="none"))
    shown = [v for _, v in known] + ([band.low, band.high] if band else [])
    low, high = min(shown), max(shown)
    room = 0.06 * (high - low) or 0.5
    low, high = low - room, high + room
    span = max(1, epochs[-1] - epochs[0])

    def x(epoch: int) -> float:
        return WIDTH * (epoch - epochs[0]) / span

    def y(value: float) -> float:
        return HEIGHT * (high - value) / (high - low)

    data, is_drawing = "", False
    for epoch, value in zip(epochs, values, strict=True):
        if value is not None:
            data += f"{'L' if is_drawing else 'M'}{x(epoch):.1f} {y(value):.1f}"
            # A value between two gaps is a dot: a round end of a line of no length.
            data += "" if is_drawing else "h0"
        is_drawing = value is not None
    shading = None
    if band:
        tall = max(y(band.low) - y(band.high), 0.5)
        shading = element(
            "rect", class_="band", x=0, y=round(y(band.high), 2), width=WIDTH, height=round(tall, 2)
        )
    line = element("path", class_="curve", d=data)
    last = known[-1][1]
    picture = _svg(shading, line, label=f"over the epochs, {number(last)} at the end")
    ends = [
        element("span", f"epoch {epochs[0]}"),
        element("span", f"{number(known[0][1])} → {number(last)}", class_="unit"),
        element("span", str(epochs[-1])),
    ]
    scale = [element("span", number(high - room)), element("span", number(low + room))]
    return _figure(
        name,
        element("div", picture, element("div", scale, class_="scale"), class_="scaled"),
        element("div", ends, class_="ends"),
    )


def _steps(shares: Sequence[float], top: float) -> str:
    """The outline of a histogram, from the lower left corner."""
    wide = WIDTH / len(shares)
    steps = "".join(f"V{HEIGHT * (1 - s / top):.1f}h{wide:.3f}" for s in shares)
    return f"M0 {HEIGHT}{steps}V{HEIGHT}z"


def _svg(*children: Markup | None, label: str) -> Markup:
    return element(
        "svg",
        *children,
        class_="small",
        viewBox=f"0 0 {WIDTH} {HEIGHT}",
        preserveAspectRatio="none",
        role="img",
        aria_label=label,
    )


def _figure(title: Markup, *children: Markup) -> Markup:
    return element("figure", element("figcaption", title), *children, class_="plot")
