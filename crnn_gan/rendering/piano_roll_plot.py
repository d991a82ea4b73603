"""Piano rolls as images: time to the right, pitch upwards, velocity as colour.

Plotted with matplotlib's objects, not pyplot: no figure outlives its call and no global state
changes, so a training run may plot one per epoch without growing.
"""

from __future__ import annotations

import gc
import io
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import Collection, LineCollection, PolyCollection
from matplotlib.colors import LinearSegmentedColormap, Normalize, to_rgba
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox, IdentityTransform
from PIL import Image

from crnn_gan.rendering import velocity_colours
from pipelines.atomic_file import write_atomically
from pipelines.score import Score

WIDTH = 1600  # Pixels.
LEFT, RIGHT, TOP, BOTTOM, GAP = 64, 24, 60, 58, 34  # Pixels around and between the rows.
TICK, PAD = 3 / 72 * 100, 3.5 / 72 * 100  # Pixels of a tick mark, and from it to its label.
SEMITONE = 8  # Pixels, fewer for many rows or a wide range.
TALLEST = 1800  # Pixels of all rows together.
SHORTEST = 3.5  # Pixels, so that the shortest notes are visible.
QUARTERS_PER_ROW, MOST_ROWS = 64, 8  # Longer pieces get longer rows.
FEWEST_SEMITONES = 25

INK, FAINT, BLACK_KEY, DRUM = "#2b2f36", "#d9dce1", "#f3f4f6", "#9aa0a8"
SOFT_TO_LOUD = LinearSegmentedColormap.from_list("soft_to_loud", velocity_colours.SOFT_TO_LOUD)
VELOCITY = Normalize(1, 127)


def plot(score: Score, title: str = "") -> np.ndarray:
    """Plots a piece, a long one in several rows like a page of music.

    Args:
      score: any piece; an empty one gives an empty roll.
      title: heading; the number of notes follows it.

    Returns:
      The image, uint8 [height, width, 3], RGB. It is 1600 pixels wide; its height depends on the
      range of pitches and the number of rows.
    """
    rows, quarters = _rows(score)
    lowest, highest = _pitches(score)
    semitone = min(SEMITONE, TALLEST / (rows * (highest - lowest)))
    row_height = semitone * (highest - lowest)
    height = round(TOP + rows * row_height + (rows - 1) * GAP + BOTTOM)
    figure = Figure(figsize=(WIDTH / 100, height / 100), dpi=100, facecolor="white")
    canvas = FigureCanvasAgg(figure)
    for row in range(rows):
        bottom = height - TOP - (row + 1) * row_height - row * GAP
        place = _Row(row * quarters, (row + 1) * quarters, lowest, semitone, bottom, row_height)
        _frame(figure, place)
        _notes(figure, place, score)
    _write(figure, (LEFT + WIDTH - RIGHT) / 2, bottom - 27, "quarters", 10, ha="center", va="top")
    _head(figure, height, title, len(score.notes))
    canvas.draw()
    picture = np.asarray(canvas.buffer_rgba())[..., :3].copy()
    del canvas, figure
    # A figure is in reference cycles with its megabytes of canvas. Collecting young generations
    # takes no measurable time and keeps memory 100 MB lower.
    gc.collect(1)
    return picture


def encode_png(picture: np.ndarray) -> bytes:
    """Encodes an image, uint8 [height, width, 3], as PNG."""
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "PNG")
    return file.getvalue()


def save_png(score: Score, path: str | Path, title: str = "") -> None:
    """Plots a piece into a PNG file, written atomically."""
    write_atomically(Path(path), encode_png(plot(score, title)))


class _Row(NamedTuple):
    """Position of a row of the roll: quarters from left to right, pixels from the bottom."""

    first_quarter: int
    last_quarter: int
    lowest: float
    semitone: float
    bottom: float
    height: float

    @property
    def top(self) -> float:
        """Its upper edge, pixels."""
        return self.bottom + self.height

    def x(self, quarters: Any) -> Any:
        """Converts quarters to pixels."""
        share = (quarters - self.first_quarter) / (self.last_quarter - self.first_quarter)
        return LEFT + share * (WIDTH - LEFT - RIGHT)

    def y(self, pitches: Any) -> Any:
        """Converts pitches to pixels."""
        return self.bottom + (pitches - self.lowest) * self.semitone


def _add(figure: Figure, artist: Collection) -> Collection:
    """Adds an artist in pixel coordinates; axes would take most of the time."""
    artist.set_transform(IdentityTransform())
    figure.add_artist(artist)
    return artist


def _corners(left: float, bottom: float, right: float, top: float) -> list[tuple[float, float]]:
    return [(left, bottom), (left, top), (right, top), (right, bottom)]


def _write(figure: Figure, x: float, y: float, text: str, points: float, **how: Any) -> None:
    # A dollar sign in a title is no formula.
    how = {"color": INK, "parse_math": False, **how}
    figure.text(x, y, text, fontsize=points, transform=IdentityTransform(), **how)


def _rows(score: Score) -> tuple[int, int]:
    """Gives the number of rows and the quarters of each, a multiple of 4."""
    quarters = max(1, -(-score.length_ticks // score.ticks_per_quarter))
    rows = min(-(-quarters // QUARTERS_PER_ROW), MOST_ROWS)
    return rows, max(16, -(-quarters // (4 * rows)) * 4)


def _pitches(score: Score) -> tuple[float, float]:
    """Gives the lowest and highest edge of a row, semitones: two octaves or more."""
    pitches = score.notes["pitch"].astype(int)
    low, high = (pitches.min(), pitches.max()) if len(pitches) else (60, 60)
    room = max(0, FEWEST_SEMITONES - (high - low + 3)) / 2
    return float(low - 1.5 - np.ceil(room)), float(high + 1.5 + np.floor(room))


def _frame(figure: Figure, row: _Row) -> None:
    """Plots the background of a row: black keys, a line per octave, ticks every few quarters."""
    right, highest = WIDTH - RIGHT, row.lowest + row.height / row.semitone
    keys = np.arange(np.ceil(row.lowest), np.floor(highest) + 1)
    black = row.y(keys[np.isin(keys % 12, [1, 3, 6, 8, 10])])
    stripes = [_corners(LEFT, y - row.semitone / 2, right, y + row.semitone / 2) for y in black]
    _add(figure, PolyCollection(stripes, facecolors=BLACK_KEY, linewidths=0, zorder=0))
    octaves = [key for key in range(0, 128, 12) if row.lowest < key < highest]
    span = row.last_quarter - row.first_quarter
    step = 4 * max(1, round(span / 64))
    ticks = range(row.first_quarter, row.last_quarter + 1, step)
    lines: list[Any] = [[(LEFT, row.y(key - 0.5)), (right, row.y(key - 0.5))] for key in octaves]
    lines += [[(row.x(beat), row.bottom), (row.x(beat), row.top)] for beat in ticks]
    _add(figure, LineCollection(lines, colors=FAINT, linewidths=0.8, zorder=1))
    frame = _corners(LEFT, row.bottom, right, row.top)
    edges = [[*frame, frame[0]]]
    edges += [[(LEFT - TICK, row.y(key)), (LEFT, row.y(key))] for key in octaves]
    edges += [[(row.x(beat), row.bottom - TICK), (row.x(beat), row.bottom)] for beat in ticks]
    _add(figure, LineCollection(edges, colors=FAINT, linewidths=0.8, zorder=2.5))
    for key in octaves:
        place = LEFT - TICK - PAD, row.y(key)
        _write(figure, *place, f"C{key // 12 - 1}", 9, ha="right", va="center_baseline")
    for beat in ticks:
        _write(figure, row.x(beat), row.bottom - TICK - PAD, f"{beat}", 9, ha="center", va="top")


def _notes(figure: Figure, row: _Row, score: Score) -> None:
    """Plots the notes that sound within a row as bars, softer ones lighter."""
    notes, ticks = score.notes, score.ticks_per_quarter
    is_here = notes["onset"] < row.last_quarter * ticks
    notes = notes[is_here & (score.end_ticks > row.first_quarter * ticks)]
    left = row.x(notes["onset"] / ticks)
    right = np.maximum(row.x((notes["onset"] + notes["duration"]) / ticks), left + SHORTEST)
    low, high = (row.y(notes["pitch"] + side) for side in (-0.42, 0.42))
    corners = [(left, low), (left, high), (right, high), (right, low)]
    bars = np.stack([np.stack(corner, axis=-1) for corner in corners], axis=1)
    colours = SOFT_TO_LOUD(VELOCITY(notes["velocity"]))
    colours[notes["is_drum"]] = to_rgba(DRUM)
    edge = row.semitone / 16  # White, separates repeated notes.
    drawn = PolyCollection(
        list(bars), facecolors=colours, edgecolors="white", linewidths=edge, zorder=2
    )
    drawn.set_clip_box(Bbox([(LEFT, row.bottom), (WIDTH - RIGHT, row.top)]))
    _add(figure, drawn)


def _head(figure: Figure, height: int, title: str, count: int) -> None:
    """Writes the title on the left and the colour legend on the right."""
    notes = f"{count} note{'' if count == 1 else 's'}"
    _write(figure, LEFT, height - 30, title or notes, 14, va="center")
    if title:
        extent = figure.texts[-1].get_window_extent()
        _write(figure, extent.x1 + 16, height - 31, notes, 11, va="center", color=DRUM)
    right = WIDTH - RIGHT
    shades = np.broadcast_to(SOFT_TO_LOUD(np.linspace(0, 1, 120)), (10, 120, 4))
    figure.figimage(shades, right - 150, height - 36)
    for x, text in [(right - 156, "velocity  1"), (right, "127")]:
        _write(figure, x, height - 31, text, 9, va="center", ha="right")
