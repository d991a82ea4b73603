"""Pieces as plain numbers, for the player of the page.

{"pieces": [{"name", "seconds", "notes", "pedal"}]}. `notes` is flat, four integers per note in
order of onset: milliseconds since the onset of the note before (the first: since the beginning),
duration in milliseconds, pitch, velocity. `pedal` is flat too, two integers per event of the
sustain pedal (controller 64): milliseconds since the beginning, value.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import numpy as np

from pipelines.score import Score
from pipelines.score_arrays import PEDAL_DOWN, SUSTAIN

MOST_SECONDS = 4 * 3600  # Of a piece; later notes are cut off.


def piece_music(name: str, score: Score, most_notes: int | None = None) -> dict[str, Any]:
    """Converts a piece for the player.

    Args:
      name: its name on the page.
      score: any piece. Drums are skipped, which have no pitch.
      most_notes: most notes, and most changes of the pedal; None for all. Everything after
        `MOST_SECONDS` is cut off.

    Returns:
      {"name", "seconds", "notes", "pedal"}, as the module docstring says. `seconds` is the
      end of the last note included.
    """
    notes = score.notes[~score.notes["is_drum"]][:most_notes]
    onset = _milliseconds(score, notes["onset"])
    notes, onset = (array[onset < 1000 * MOST_SECONDS] for array in (notes, onset))
    end = np.minimum(_milliseconds(score, notes["onset"] + notes["duration"]), 1000 * MOST_SECONDS)
    columns = (
        np.diff(onset, prepend=0),
        np.maximum(end - onset, 1),
        notes["pitch"],
        notes["velocity"],
    )
    last = int(end.max(initial=0))
    pressed = _pedal_changes(score)
    at = _milliseconds(score, pressed["tick"])
    pressed, at = (array[at <= last][:most_notes] for array in (pressed, at))
    return {
        "name": name,
        "seconds": last / 1000,
        "notes": np.stack(columns, axis=1).astype(np.int64).ravel().tolist(),
        "pedal": np.stack([at, pressed["value"]], axis=1).astype(np.int64).ravel().tolist(),
    }


def _pedal_changes(score: Score) -> np.ndarray:
    """The events at which the sustain pedal goes down or up; it begins up."""
    sustain = score.pedal[score.pedal["controller"] == SUSTAIN]
    is_down = sustain["value"] >= PEDAL_DOWN
    return sustain[np.diff(is_down, prepend=False)]


def music_json(pieces: Iterable[dict[str, Any]]) -> str:
    """Serialises {"pieces": [...]} as JSON for a script element.

    "<" is escaped, so that no name of a piece can end that element.
    """
    text = json.dumps({"pieces": list(pieces)}, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c")


def _milliseconds(score: Score, ticks: np.ndarray) -> np.ndarray:
    """int64 [n], milliseconds from the beginning; they do not decrease where ticks do not."""
    return np.rint(score.seconds_at(ticks) * 1000).astype(np.int64)
