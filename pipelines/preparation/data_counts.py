"""Histograms of a piece, of the same size for every piece, so that they can be summed.

They are computed where a piece is prepared, summed over each split, and plotted by
`pipelines/preparation/data_card.py`. Notes are counted as the codec gets them: after shaping,
before the codec's grid; so a note ends with its key unless shaping has applied the pedal.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from pipelines.score import Score
from pipelines.score_arrays import SUSTAIN

# Edges of bins, seconds: four to the factor of 2 from 10 ms to 41 s, and two from 1 s to 4.5 h.
DURATION_EDGES = 0.01 * 2.0 ** (np.arange(49) / 4)
LENGTH_EDGES = 2.0 ** (np.arange(29) / 2)
MOST_AT_ONCE = 16  # The last count of polyphony is of this many notes or more.

_SIZES = {
    "pitch": 128,  # Notes of each MIDI pitch.
    "velocity": 128,  # Notes of each velocity.
    "duration": len(DURATION_EDGES) + 1,  # Notes: below the first edge, between two, above.
    "polyphony": MOST_AT_ONCE + 1,  # Microseconds while 0, 1, ... notes sound.
    "length": len(LENGTH_EDGES) + 1,  # Pieces by the end of their last note.
    "drum_notes": 1,  # Notes of drums, which are in none of the above.
    "pieces_with_sustain": 1,  # Pieces whose sustain pedal moves.
}
_LASTS = np.cumsum(list(_SIZES.values())).tolist()
BLOCKS = {
    name: slice(last - size, last)
    for (name, size), last in zip(_SIZES.items(), _LASTS, strict=True)
}
COUNTS = _LASTS[-1]


def counts(score: Score) -> np.ndarray:
    """Gives the histograms of a piece: int64 [COUNTS], whose parts `BLOCKS` names."""
    out = np.zeros(COUNTS, np.int64)
    is_drum = score.notes["is_drum"]
    notes = score.notes[~is_drum] if is_drum.any() else score.notes
    begins = score.seconds_at(notes["onset"])
    ends = score.seconds_at(notes["onset"] + notes["duration"])
    out[BLOCKS["pitch"]] = np.bincount(notes["pitch"], minlength=128)
    out[BLOCKS["velocity"]] = np.bincount(notes["velocity"], minlength=128)
    duration_bins = np.searchsorted(DURATION_EDGES, ends - begins, side="right")
    out[BLOCKS["duration"]] = np.bincount(duration_bins, minlength=_SIZES["duration"])
    out[BLOCKS["polyphony"]] = _microseconds_by_notes_at_once(begins, ends)
    length = np.searchsorted(LENGTH_EDGES, score.length_seconds, side="right")
    out[BLOCKS["length"].start + length] = 1
    out[BLOCKS["drum_notes"]] = is_drum.sum()
    out[BLOCKS["pieces_with_sustain"]] = (score.pedal["controller"] == SUSTAIN).any()
    return out


def by_name(counted: np.ndarray) -> dict[str, list[int]]:
    """Gives {name: histogram} of counts, as JSON values."""
    return {name: counted[block].tolist() for name, block in BLOCKS.items()}


def from_names(parts: Mapping[str, Any]) -> np.ndarray:
    """Gives the counts that `by_name` was given: int64 [COUNTS]."""
    return np.concatenate([np.array(parts[name], np.int64) for name in BLOCKS])


def packed(counted: np.ndarray) -> bytes:
    """Compresses counts, most of which are 0, to bytes."""
    return zlib.compress(counted.astype("<i8").tobytes(), 1)


def unpacked(content: bytes) -> np.ndarray:
    """Gives the counts that `packed` was given: int64 [COUNTS]."""
    return np.frombuffer(zlib.decompress(content), "<i8").astype(np.int64)


def _microseconds_by_notes_at_once(begins: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Gives int64 [0 .. MOST_AT_ONCE], how long so many notes sound, up to the last end."""
    times = np.concatenate([begins, ends])
    order = np.argsort(times, kind="stable")
    change = np.repeat(np.array([1, -1]), len(begins))[order]
    times = times[order]
    at_once = np.minimum(np.concatenate([[0], np.cumsum(change)[:-1]]), MOST_AT_ONCE)
    lasting = np.diff(times, prepend=0.0)
    seconds = np.bincount(at_once[: len(times)], weights=lasting, minlength=MOST_AT_ONCE + 1)
    return np.rint(seconds * 1e6).astype(np.int64)
