"""Piano rolls as SVG: seconds to the right, pitch upwards, velocity as colour.

A piece is plotted in rows, like systems of sheet music. The SVG of a row holds the notes only and
fills its box: position is linear in time, so that a playhead can be overlaid. Labels are HTML
beside it and keep their size on any screen.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np

from crnn_gan.metrics.measures import measures
from crnn_gan.originality.originality import Match
from crnn_gan.rendering.velocity_colours import colour_at
from crnn_gan.report.elements import Markup, element, markup
from pipelines.score import Score

UNITS_PER_SECOND = 50  # Of the horizontal axis: a resolution of 20 ms.
UNITS_PER_SEMITONE = 6
THICKNESS = 5  # Of a note, so that neighbours do not touch.
BUCKETS = 12  # Shades of velocity.
DRUMS = "d"
SECONDS_PER_ROW, LONGEST_SINGLE_ROW = 24, 30  # Pieces up to the latter take one row.
MOST_SECONDS = 8 * SECONDS_PER_ROW  # Plotted of a piece.
FEWEST_SEMITONES = 25
STEPS = (1, 2, 5, 10)  # Seconds between two labels.
MOST_LABELS, MOST_BARS = 8, 2000
BLACK_KEYS = (1, 3, 6, 8, 10)


@dataclasses.dataclass(frozen=True)
class SvgPianoRoll:
    """A piano roll, and how much of the piece it shows.

    Attributes:
      svg: the rows, HTML.
      seconds: length that is plotted, from the beginning.
      is_whole: whether that is the whole piece.
    """

    svg: Markup
    seconds: float
    is_whole: bool


def seconds_per_row(scores: Sequence[Score]) -> int:
    """Gives the length of a row, the same for all pieces, so that they can be compared."""
    if are_long(scores):
        return SECONDS_PER_ROW
    return max(4, *(math.ceil(score.length_seconds) for score in scores), 4)


def are_long(scores: Sequence[Score]) -> bool:
    """Tells whether a piece takes more than one row."""
    return max((score.length_seconds for score in scores), default=0.0) > LONGEST_SINGLE_ROW


def plot(
    score: Score, name: str, row_seconds: int, most_notes: int, matches: Sequence[Match] = ()
) -> SvgPianoRoll:
    """Plots a piece.

    Args:
      score: any piece; an empty one gives an empty row.
      name: label for screen readers.
      row_seconds: seconds per row.
      most_notes: most notes per row; no row follows once as many are plotted.
      matches: shared passages to mark.
    """
    wanted = min(score.length_seconds, MOST_SECONDS)
    starts = np.arange(0, max(wanted, 1e-3), row_seconds)
    onset, end = score.onset_seconds, score.end_seconds
    inside = (onset < starts[:, None] + row_seconds) & (end > starts[:, None])  # [row, note]
    before = np.cumsum(inside.sum(axis=1)) - inside.sum(axis=1)
    starts, inside = starts[before < most_notes], inside[before < most_notes]
    shown = [np.flatnonzero(row)[:most_notes] for row in inside]
    until = float(starts[-1]) + row_seconds
    if inside[-1].sum() > most_notes:
        until = float(onset[np.flatnonzero(inside[-1])[most_notes]])
    pitch = pitch_range(score.notes["pitch"][inside.any(axis=0)])
    bars = score.seconds_at(bar_ticks(score, until))
    marks = [_span(score, match) for match in matches]
    rows = []
    for first, chosen in zip(starts.tolist(), shown, strict=True):
        time = (first, first + row_seconds)
        notes = score.notes[chosen]
        left, right = (np.clip(edge[chosen], *time) - first for edge in (onset, end))
        paths = note_paths(left, right, notes, pitch[1])
        label = f"{name}: piano roll, second {time[0]:g} to {time[1]:g}, {len(notes)} notes"
        picture = _svg(paths, time, pitch, bars, marks, label)
        rows.append(_row(picture, time, pitch, bars))
    whole = score.length_seconds
    return SvgPianoRoll(markup(rows), min(until, whole), until >= whole)


def pitch_range(pitches: np.ndarray) -> tuple[int, int]:
    """Gives the lowest and highest key of a roll: a semitone of margin, two octaves or more."""
    low, high = (int(pitches.min()), int(pitches.max())) if len(pitches) else (60, 60)
    room = max(0, FEWEST_SEMITONES - (high - low + 3))
    return low - 1 - (room + 1) // 2, high + 1 + room // 2


def note_paths(
    start: np.ndarray, end: np.ndarray, notes: np.ndarray, highest: int
) -> dict[str, str]:
    """Gives the notes of a row as strokes, one path per shade: {class: path data}.

    Args:
      start, end: float [note], seconds from the beginning of the row.
      notes: [note] of `NOTE`.
      highest: the key at the top of the row.

    Returns:
      Soft before loud, drums first. A stroke is "M x y h width", x and width in 1/50 s; it ends
      1/50 s before the note does, so that repeated notes are separate.
    """
    left = np.rint(start * UNITS_PER_SECOND).astype(int)
    width = np.maximum(np.rint(end * UNITS_PER_SECOND).astype(int) - left - 1, 2)
    middle = (highest - notes["pitch"].astype(int)) * UNITS_PER_SEMITONE + UNITS_PER_SEMITONE // 2
    shade = np.where(notes["is_drum"], -1, (notes["velocity"].astype(int) - 1) * BUCKETS // 127)
    paths = {}
    for bucket in np.unique(shade).tolist():
        chosen = shade == bucket
        columns = (array[chosen].tolist() for array in (left, middle, width))
        strokes = (f"M{x} {y}h{length}" for x, y, length in zip(*columns, strict=True))
        paths[DRUMS if bucket < 0 else f"v{bucket}"] = "".join(strokes)
    return paths


def bar_ticks(score: Score, until_seconds: float) -> np.ndarray:
    """Gives the onsets of the bars, up to the end of the piece or a time: float64 [bar], ticks.

    4/4 before the first meter. At most 2000: a meter of 1/32768 is allowed, and no plot shows its
    bars.
    """
    ticks = measures(score).begins(score.length_ticks, MOST_BARS)
    return ticks[score.seconds_at(ticks) < until_seconds]


def shades() -> list[tuple[str, str, str]]:
    """Gives (class, colour on paper, colour on a dark screen) of each shade of velocity."""
    places = [(bucket + 0.5) / BUCKETS for bucket in range(BUCKETS)]
    return [
        (f"v{bucket}", colour_at(place), colour_at(place, whitened=0.3))
        for bucket, place in enumerate(places)
    ]


def clock(seconds: float) -> str:
    """Formats a time as minutes and seconds: 0:07, 61:40."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02}"


def _span(score: Score, match: Match) -> tuple[float, float]:
    first, last = score.seconds_at(np.array(match.piece_quarters) * score.ticks_per_quarter)
    return float(first), float(last)


def _svg(
    paths: dict[str, str],
    time: tuple[float, float],
    pitch: tuple[int, int],
    bars: np.ndarray,
    marks: Sequence[tuple[float, float]],
    label: str,
) -> Markup:
    """The SVG of a row."""
    first, last = time
    width, height = round((last - first) * UNITS_PER_SECOND), _height(pitch)
    black = [key for key in range(pitch[0], pitch[1] + 1) if key % 12 in BLACK_KEYS]
    stripes = "".join(f"M0 {_y(key, pitch) + UNITS_PER_SEMITONE // 2}h{width}" for key in black)
    octaves = "".join(f"M0 {_y(key, pitch) + UNITS_PER_SEMITONE}h{width}" for key in _cs(pitch))
    inside = bars[(bars > first) & (bars < last)]
    lines = "".join(f"M{round((bar - first) * UNITS_PER_SECOND)} 0v{height}" for bar in inside)
    layers = [
        element("path", class_="black", d=stripes) if stripes else None,
        element("path", class_="line", d=octaves + lines) if octaves + lines else None,
        [_mark(mark, time, height) for mark in marks if mark[0] < last and mark[1] > first],
        [element("path", class_=name, d=data) for name, data in paths.items()],
    ]
    return element(
        "svg",
        *layers,
        class_="roll",
        data_start=first,
        data_end=last,
        viewBox=f"0 0 {width} {height}",
        preserveAspectRatio="none",
        role="img",
        aria_label=label,
        style=f"--semitones:{pitch[1] - pitch[0] + 1}",
    )


def _mark(mark: tuple[float, float], time: tuple[float, float], height: int) -> Markup:
    left = round((max(mark[0], time[0]) - time[0]) * UNITS_PER_SECOND)
    right = round((min(mark[1], time[1]) - time[0]) * UNITS_PER_SECOND)
    return element("rect", class_="match", x=left, y=0, width=max(right - left, 2), height=height)


def _row(
    picture: Markup, time: tuple[float, float], pitch: tuple[int, int], bars: np.ndarray
) -> Markup:
    """An SVG with octaves to the left, bars above and seconds below."""
    first, last = time
    height = _height(pitch)
    octaves = [
        _label(f"C{key // 12 - 1}", "top", (_y(key, pitch) + UNITS_PER_SEMITONE / 2) / height)
        for key in _cs(pitch)
    ]
    visible = [(i + 1, t) for i, t in enumerate(bars.tolist()) if first <= t < last]
    step = math.ceil(len(visible) / MOST_LABELS) or 1
    # Counted from bar 1 in every row, so that the same bars are labelled.
    numbers = [
        _label(str(number), "left", (at - first) / (last - first))
        for number, at in visible
        if (number - 1) % step == 0
    ]
    step = next(s for s in (*STEPS, math.ceil(last - first)) if (last - first) / s <= MOST_LABELS)
    seconds = [
        _label(clock(at), "left", (at - first) / (last - first))
        for at in range(math.ceil(first / step) * step, math.ceil(last), step)
    ]
    return element(
        "div",
        element("div", numbers, class_="bars", aria_hidden="true"),
        element("div", octaves, class_="octaves", aria_hidden="true"),
        picture,
        element("div", seconds, class_="seconds", aria_hidden="true"),
        class_="system",
    )


def _label(text: str, side: str, share: float) -> Markup:
    return element("span", text, style=f"{side}:{100 * share:.4g}%")


def _height(pitch: tuple[int, int]) -> int:
    return (pitch[1] - pitch[0] + 1) * UNITS_PER_SEMITONE


def _y(key: int, pitch: tuple[int, int]) -> int:
    """The upper edge of a key."""
    return (pitch[1] - key) * UNITS_PER_SEMITONE


def _cs(pitch: tuple[int, int]) -> range:
    """The Cs of a row; the line of one is its lower edge."""
    return range(-(-pitch[0] // 12) * 12, pitch[1] + 1, 12)
