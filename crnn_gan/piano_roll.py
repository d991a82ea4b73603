"""Piano rolls: a Score as a picture, time to the right, pitch upwards, velocity as colour.

Drawn with matplotlib's objects, never pyplot: no figure outlives its call, and nothing
outside is changed, so a training run may draw one an epoch for as long as it likes.
"""

from __future__ import annotations

import gc
import io
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.colors import LinearSegmentedColormap, Normalize, to_rgba
from matplotlib.figure import Figure
from PIL import Image

from pipelines.atomic_file import write_atomically
from pipelines.score import Score

WIDTH = 1600  # Pixels.
LEFT, RIGHT, TOP, BOTTOM, GAP = 64, 24, 60, 58, 34  # Pixels around and between the rows.
HALF_TONE = 8  # Pixels, unless many rows or a wide span need less.
TALLEST = 1800  # Pixels for all rows together.
SHORTEST = 3.5  # Pixels, so that the shortest notes are seen too.
QUARTERS_A_ROW, MOST_ROWS = 64, 8  # Longer pieces get longer rows.
FEWEST_HALF_TONES = 25

INK, FAINT, BLACK_KEY, DRUM = "#2b2f36", "#d9dce1", "#f3f4f6", "#9aa0a8"
SOFT_TO_LOUD = LinearSegmentedColormap.from_list(  # Most of its change where most music lies.
    "soft_to_loud",
    [
        (0, "#a8dccb"),
        (0.3, "#45aab0"),
        (0.48, "#2f6fb3"),
        (0.63, "#5a3795"),
        (0.8, "#b0246e"),
        (1, "#f0562b"),
    ],
)
VELOCITY = Normalize(1, 127)


def draw(score: Score, title: str = "") -> np.ndarray:
    """Draws a piece; a long one in several rows, as a page of music.

    Args:
      score: any piece; an empty one gives an empty roll.
      title: written above; the count of notes follows it.

    Returns:
      The picture, uint8 [height, width, 3], red green blue. It is 1600 pixels wide; its
      height follows from the span of the pitches and the count of rows.
    """
    rows, quarters = _rows(score)
    lowest, highest = _pitches(score)
    half_tone = min(HALF_TONE, TALLEST / (rows * (highest - lowest)))
    row_height = half_tone * (highest - lowest)
    height = round(TOP + rows * row_height + (rows - 1) * GAP + BOTTOM)
    figure = Figure(figsize=(WIDTH / 100, height / 100), dpi=100, facecolor="white")
    canvas = FigureCanvasAgg(figure)
    for row in range(rows):
        bottom = height - TOP - (row + 1) * row_height - row * GAP
        axes = figure.add_axes(_box(LEFT, bottom, WIDTH - LEFT - RIGHT, row_height, height))
        _frame(axes, (row * quarters, (row + 1) * quarters), (lowest, highest))
        _notes(axes, score, half_tone)
    axes.set_xlabel("quarters", color=INK, fontsize=10)
    _head(figure, height, title, len(score.notes))
    canvas.draw()
    picture = np.asarray(canvas.buffer_rgba())[..., :3].copy()
    del axes, canvas, figure
    # A figure is in cycles with its megabytes of canvas. Looking through young objects alone
    # takes no time that can be measured and keeps memory 100 MB lower than waiting does.
    gc.collect(1)
    return picture


def encode_png(picture: np.ndarray) -> bytes:
    """Gives the PNG file of a picture, uint8 [height, width, 3]."""
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "PNG")
    return file.getvalue()


def save_png(score: Score, path: str | Path, title: str = "") -> None:
    """Draws a piece into a PNG file, which is there whole or not at all."""
    write_atomically(Path(path), encode_png(draw(score, title)))


def _box(left: float, bottom: float, width: float, height: float, whole: float) -> Any:
    return (left / WIDTH, bottom / whole, width / WIDTH, height / whole)


def _rows(score: Score) -> tuple[int, int]:
    """Gives the count of rows and the quarters of each, whole groups of 4."""
    quarters = max(1, -(-score.length_ticks // score.ticks_per_quarter))
    rows = min(-(-quarters // QUARTERS_A_ROW), MOST_ROWS)
    return rows, max(16, -(-quarters // (4 * rows)) * 4)


def _pitches(score: Score) -> tuple[float, float]:
    """Gives the lowest and highest edge of a row, half tones: two octaves or more."""
    pitches = score.notes["pitch"].astype(int)
    low, high = (pitches.min(), pitches.max()) if len(pitches) else (60, 60)
    room = max(0, FEWEST_HALF_TONES - (high - low + 3)) / 2
    return float(low - 1.5 - np.ceil(room)), float(high + 1.5 + np.floor(room))


def _frame(axes: Axes, time: tuple[int, int], pitch: tuple[float, float]) -> None:
    """Sets up a row: stripes for the black keys, a line an octave, a tick every few quarters."""
    axes.set(xlim=time, ylim=pitch)
    for key in range(int(np.ceil(pitch[0])), int(pitch[1]) + 1):
        if key % 12 in (1, 3, 6, 8, 10):
            axes.axhspan(key - 0.5, key + 0.5, color=BLACK_KEY, linewidth=0, zorder=0)
    octaves = [key for key in range(0, 128, 12) if pitch[0] < key < pitch[1]]
    step = 4 * max(1, round((time[1] - time[0]) / 64))
    axes.set_yticks(octaves, [f"C{key // 12 - 1}" for key in octaves])
    axes.set_xticks(range(time[0], time[1] + 1, step))
    lines = [[(time[0], key - 0.5), (time[1], key - 0.5)] for key in octaves]
    lines += [[(beat, pitch[0]), (beat, pitch[1])] for beat in range(time[0], time[1], step)]
    axes.add_collection(LineCollection(lines, colors=FAINT, linewidths=0.8, zorder=1))
    axes.tick_params(colors=INK, labelsize=9, length=3, color=FAINT)
    for edge in axes.spines.values():
        edge.set_color(FAINT)


def _notes(axes: Axes, score: Score, half_tone: float) -> None:
    """Draws the notes that sound within a row as bars, softer ones lighter."""
    start, end = np.array(axes.get_xlim()) * score.ticks_per_quarter
    shortest = (end - start) * SHORTEST / (WIDTH - LEFT - RIGHT)
    notes = score.notes
    notes = notes[(notes["onset"] < end) & (score.end_ticks > start)]
    left = notes["onset"] / score.ticks_per_quarter
    right = left + np.maximum(notes["duration"], shortest) / score.ticks_per_quarter
    middle = notes["pitch"].astype(float)
    corners = [(left, middle - 0.42), (left, middle + 0.42)]
    corners += [(right, middle + 0.42), (right, middle - 0.42)]
    bars = np.stack([np.stack(corner, axis=-1) for corner in corners], axis=1)
    colours = SOFT_TO_LOUD(VELOCITY(notes["velocity"]))
    colours[notes["is_drum"]] = to_rgba(DRUM)
    edge = half_tone / 16  # White, tells repeated notes apart.
    axes.add_collection(
        PolyCollection(
            list(bars), facecolors=colours, edgecolors="white", linewidths=edge, zorder=2
        )
    )


def _head(figure: Figure, height: float, title: str, count: int) -> None:
    """Writes the title on the left and the key of the colours on the right."""
    notes = f"{count} note{'' if count == 1 else 's'}"
    figure.text(LEFT / WIDTH, 1 - 30 / height, title or notes, color=INK, fontsize=14, va="center")
    if title:
        extent = figure.texts[0].get_window_extent()
        x, y = (extent.x1 + 16) / WIDTH, 1 - 31 / height
        figure.text(x, y, notes, color=DRUM, fontsize=11, va="center")
    right = WIDTH - RIGHT
    axes = figure.add_axes(_box(right - 150, height - 36, 120, 10, height))
    axes.imshow(np.linspace(0, 1, 128)[None], aspect="auto", cmap=SOFT_TO_LOUD)
    axes.set_axis_off()
    for x, text in [(right - 156, "velocity  1"), (right, "127")]:
        y = 1 - 31 / height
        figure.text(x / WIDTH, y, text, color=INK, fontsize=9, va="center", ha="right")
