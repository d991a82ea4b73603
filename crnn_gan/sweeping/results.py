"""Results of a sweep: a table and a plot."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from crnn_gan.metrics.bands import in_words
from crnn_gan.runs.best import BAND_DISTANCE, HELD_OUT_NATS
from crnn_gan.sweeping.sweep_runs import COLLAPSED, DIVERGED, DONE, DROPPED, SweepRun
from pipelines.atomic_file import write_atomically

COLOURS = {DONE: "#2f6f4f", COLLAPSED: "#b3423a", DIVERGED: "#b3423a", DROPPED: "#9aa0a8"}
INK, LINES = "#2b2f36", ("#31688e", "#d1495b", "#66a182", "#edae49")
COLUMNS = 4  # Of small plots.


def table(runs: Sequence[SweepRun], by: str) -> list[dict[str, str]]:
    """Gives a row per run: status, best epoch by `by` and its value, varied settings."""
    rows = []
    for run in runs:
        how, why = run.ended
        best = run.best(by)
        rows.append(
            {
                "run": run.name,
                "ended": how or "not yet",
                "epochs": str(run.epoch),
                "best epoch": str(best.epoch) if best else "",
                by: f"{best.distance:.4g}" if best else "",
                **run.tried,
                "why": why or ("" if how else run.last_words()),
            }
        )
    return rows


def in_columns(rows: Sequence[Mapping[str, str]]) -> str:
    """Formats a table for a terminal; its last column may be of any length."""
    names = list(rows[0])
    lines = [names, *([row[name] for name in names] for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(names) - 1)]
    return "\n".join(
        "  ".join([*(c.ljust(w) for c, w in zip(line, widths, strict=False)), line[-1]]).rstrip()
        for line in lines
    )


def write(
    folder: Path, runs: Sequence[SweepRun], rows: Sequence[Mapping[str, str]], by: str
) -> None:
    """Writes sweep.tsv and sweep.png."""
    lines = [list(rows[0]), *(list(row.values()) for row in rows)]
    text = "".join("\t".join(cell.replace("\t", " ") for cell in line) + "\n" for line in lines)
    write_atomically(folder / "sweep.tsv", text.encode())
    image = io.BytesIO()
    plot(runs, by).savefig(image, format="png")
    write_atomically(folder / "sweep.png", image.getvalue())


def plot(runs: Sequence[SweepRun], by: str) -> Figure:
    """Plots the losses of each run, and the compared value against each varied setting."""
    settings = list(runs[0].tried)
    above = math.ceil(len(runs) / COLUMNS)
    below = math.ceil(len(settings) / COLUMNS)
    figure = Figure(figsize=(14, 2.3 * above + 3.1 * below), dpi=100, layout="constrained")
    FigureCanvasAgg(figure)
    parts: Any = figure.subfigures(2, 1, height_ratios=[2.3 * above, 3.1 * below])
    _plot_losses(parts[0], runs, above)
    _plot_settings(parts[1], runs, by, settings, below)
    return figure


def _plot_losses(figure: Any, runs: Sequence[SweepRun], rows: int) -> None:
    figure.suptitle("losses of each run, by epoch", color=INK, fontsize=11)
    axes = figure.subplots(rows, COLUMNS, squeeze=False, sharex=True)
    for place, axis in enumerate(axes.flat):
        if place >= len(runs):
            axis.axis("off")
            continue
        run = runs[place]
        losses = run.losses
        names = [n for n in (losses[-1].losses if losses else ()) if n.endswith("_loss")]
        for name, colour in zip(names, LINES, strict=False):
            known = [(row.epoch, row.losses[name]) for row in losses if name in row.losses]
            axis.plot(*zip(*known, strict=True), color=colour, linewidth=1.2, marker=".",
                      markersize=3, label=name)  # fmt: skip
        how = run.ended[0] or "not yet"
        axis.set_title(f"{run.name}: {how}", fontsize=9, color=COLOURS.get(how, INK))
        axis.tick_params(labelsize=7)
    handles, labels = axes.flat[0].get_legend_handles_labels()
    if handles:
        figure.legend(
            handles, [in_words(x) for x in labels], loc="upper right", fontsize=8, frameon=False,
            ncols=len(labels),
        )  # fmt: skip


def _plot_settings(
    figure: Any, runs: Sequence[SweepRun], by: str, settings: Sequence[str], rows: int
) -> None:
    what = in_words(by) if by in (BAND_DISTANCE, HELD_OUT_NATS) else f"distance in {in_words(by)}"
    figure.suptitle(f"least {what} of each run, by setting", color=INK, fontsize=11)
    axes = figure.subplots(rows, COLUMNS, squeeze=False)
    found = [(run, best.distance) for run in runs if (best := run.best(by)) is not None]
    for place, axis in enumerate(axes.flat):
        if place >= len(settings):
            axis.axis("off")
            continue
        name = settings[place]
        words = [run.tried[name] for run, _ in found]
        numbers = [_number(word) for word in words]
        if all(number is not None for number in numbers):
            x = [float(number) for number in numbers if number is not None]
            if x and min(x) > 0 and max(x) / min(x) > 20:
                axis.set_xscale("log")
            else:
                axis.locator_params(axis="x", nbins=5)
        else:
            order = sorted(set(words))
            x = [order.index(word) for word in words]
            axis.set_xticks(range(len(order)), order)
        for (run, value), at in zip(found, x, strict=True):
            colour = COLOURS.get(run.ended[0], INK)
            axis.scatter(at, value, color=colour, s=22)
            axis.annotate(run.name, (at, value), fontsize=7, xytext=(3, 3),
                          textcoords="offset points")  # fmt: skip
        axis.set_xlabel(in_words(name), fontsize=9)
        axis.tick_params(labelsize=8)


def _number(word: str) -> float | None:
    try:
        return float(word)
    except ValueError:
        return None
