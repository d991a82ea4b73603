"""Plots of a prepared directory: histograms and composers, as one PNG of small multiples."""

from __future__ import annotations

import io
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pipelines.preparation.data_counts import BLOCKS, DURATION_EDGES, LENGTH_EDGES, MOST_AT_ONCE
from pipelines.split import SPLITS

COLOURS = dict(zip(SPLITS, ("#0072b2", "#d55e00", "#009e73"), strict=True))  # Of Okabe and Ito.
INCHES = (12.0, 7.0)
DOTS_PER_INCH = 110
# Places of the plots, as shares of the figure: a layout that is found takes twice the time.
UPPER_ROW = {"left": 0.055, "right": 0.985, "bottom": 0.56, "top": 0.91, "wspace": 0.2}
LOWER_ROW = {"left": 0.055, "right": 0.595, "bottom": 0.085, "top": 0.44, "wspace": 0.2}
COMPOSERS = (0.785, 0.085, 0.2, 0.355)  # Left, bottom, width, height; names stand to the left.
MOST_COMPOSERS = 12
LONGEST_NAME = 24  # Characters of a composer's name.


def plot(counts: Mapping[str, np.ndarray], hours: Mapping[str, Mapping[str, float]]) -> bytes:
    """Plots pitch, velocity, duration, polyphony, length and composers; gives a PNG.

    Args:
      counts: for each split the sum of `data_counts.counts` of its pieces.
      hours: for each composer the hours of each split.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # No screen is asked for.
    from matplotlib.figure import Figure

    figure = Figure(INCHES, DOTS_PER_INCH)
    FigureCanvasAgg(figure)
    pitch, velocity, duration = figure.subplots(1, 3, gridspec_kw=UPPER_ROW)
    polyphony, length = figure.subplots(1, 2, gridspec_kw=LOWER_ROW)
    composers = figure.add_axes(COMPOSERS)
    _steps(pitch, counts, "pitch", np.arange(129) - 0.5)
    pitch.set(title="Pitch", xlabel="pitch (C4 is middle C)", ylabel="% of notes")
    _ticks(pitch, range(0, 128, 12), [f"C{octave}" for octave in range(-1, 10)])
    _steps(velocity, counts, "velocity", np.arange(129) - 0.5)
    velocity.set(title="Velocity", xlabel="MIDI velocity", ylabel="% of notes", xlim=(0, 128))
    _steps(duration, counts, "duration", _closed(DURATION_EDGES))
    duration.set(title="Duration", xlabel="length of a note, seconds", ylabel="% of notes")
    duration.set_xscale("log")
    _ticks(duration, (0.01, 0.1, 1, 10), ("0.01", "0.1", "1", "10"))
    _steps(polyphony, counts, "polyphony", np.arange(MOST_AT_ONCE + 2) - 0.5)
    polyphony.set(title="Polyphony", xlabel="notes at once", ylabel="% of time")
    ticks = [*range(0, MOST_AT_ONCE, 2), MOST_AT_ONCE]
    _ticks(polyphony, ticks, [*map(str, ticks[:-1]), f"{MOST_AT_ONCE}+"])
    _steps(length, counts, "length", _closed(LENGTH_EDGES))
    length.set(title="Length", xlabel="length of a piece, minutes", ylabel="% of pieces")
    length.set_xscale("log")
    minutes = (0.02, 0.1, 0.5, 1, 5, 30, 120)
    _ticks(length, [60 * number for number in minutes], [f"{number:g}" for number in minutes])
    _composers(composers, hours)
    for plot in (pitch, velocity, duration, polyphony, length):
        plot.set_ylim(bottom=0)
        plot.locator_params(axis="y", nbins=6, steps=[1, 2, 5, 10])
        plot.grid(axis="y", alpha=0.3)
    handles, names = pitch.get_legend_handles_labels()
    figure.legend(handles, names, loc="upper center", ncols=len(SPLITS), frameon=False)
    file = io.BytesIO()
    with warnings.catch_warnings():
        # Letters that the font lacks are shown as boxes; the card's table has them all.
        warnings.filterwarnings("ignore", "Glyph", UserWarning)
        figure.savefig(file, format="png", metadata={"Software": None})
    return file.getvalue()


def _steps(plot: Any, counts: Mapping[str, np.ndarray], name: str, edges: np.ndarray) -> None:
    """Plots a histogram of each split, as shares of its sum."""
    filled = []
    for split in SPLITS:
        values = counts[split][BLOCKS[name]]
        if not values.any():
            continue
        shares, colour = 100 * values / values.sum(), COLOURS[split]
        if split == "train":
            plot.stairs(shares, edges, color=colour, alpha=0.25, fill=True)
        plot.stairs(shares, edges, color=colour, label=split, linewidth=1.2)
        filled += np.flatnonzero(values).tolist()
    first, last = min(filled, default=0), max(filled, default=len(values) - 1)
    plot.set_xlim(edges[max(first - 1, 0)], edges[min(last + 2, len(edges) - 1)])


def _closed(edges: np.ndarray) -> np.ndarray:
    """Gives the bins below the first edge and above the last one a width to be plotted with."""
    return np.concatenate([[edges[0] ** 2 / edges[1]], edges, [edges[-1] ** 2 / edges[-2]]])


def _ticks(plot: Any, places: Sequence[float], names: Sequence[str]) -> None:
    """Names places on the horizontal axis, which keeps its limits."""
    limits = plot.get_xlim()
    plot.set_xticks(places, names)
    plot.set_xticks([], minor=True)
    plot.set_xlim(limits)


def _composers(plot: Any, hours: Mapping[str, Mapping[str, float]]) -> None:
    """Plots the hours of the composers who have most, as bars of splits."""
    totals = {composer: sum(by_split.values()) for composer, by_split in hours.items()}
    shown = sorted(totals, key=lambda composer: (-totals[composer], composer))[:MOST_COMPOSERS]
    left = np.zeros(len(shown))
    for split in SPLITS:
        widths = np.array([hours[composer][split] for composer in shown])
        plot.barh(range(len(shown)), widths, left=left, color=COLOURS[split])
        left += widths
    names = [name[: LONGEST_NAME - 1] + "…" * (len(name) >= LONGEST_NAME) for name in shown]
    # A dollar sign would begin a formula.
    plot.set_yticks(range(len(shown)), [name.replace("$", r"\$") for name in names])
    plot.invert_yaxis()
    more = len(totals) - len(shown)
    title = f"Composers ({len(shown)} of {len(totals)})" if more else "Composers"
    plot.set(title=title, xlabel="hours")
    plot.locator_params(axis="x", nbins=5, steps=[1, 2, 5, 10])
    plot.grid(axis="x", alpha=0.3)
