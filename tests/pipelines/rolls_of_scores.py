"""Rolls and voices of Scores: what undoes `pipelines/formats/benchmark_rolls.py`, for its tests."""

import numpy as np

from pipelines.formats.benchmark_rolls import LOWEST_PITCH, PITCHES, REST
from pipelines.score import Score


def roll_of_score(score: Score, frames_per_quarter: int, frames: int | None = None) -> np.ndarray:
    """Gives bool [frame, 88] of a Score whose times are whole frames, as `score_of_roll` makes.

    Args:
      score: a Score.
      frames_per_quarter: as for `score_of_roll`.
      frames: of the roll; by default it ends with the last note.

    Raises:
      ValueError: a note is between two frames, or not on the 88 keys.
    """
    pitch = score.notes["pitch"].astype(int) - LOWEST_PITCH
    if ((pitch < 0) | (pitch >= PITCHES)).any():
        raise ValueError("a note is not on the 88 keys of a piano roll")
    roll = np.zeros((_frames(score, frames_per_quarter, frames), PITCHES), bool)
    at, note = _sounding(score, frames_per_quarter)
    roll[at, pitch[note]] = True
    return roll


def voices_of_score(
    score: Score, voices: int, frames_per_quarter: int, frames: int | None = None
) -> np.ndarray:
    """Gives int64 [frame, voice] of a Score, as `score_of_voices` makes.

    Raises:
      ValueError: a note is between two frames, or its track is not one of the voices.
    """
    if (score.notes["track"] >= voices).any():
        raise ValueError(f"a note is of a track above {voices - 1}; give more voices")
    out = np.full((_frames(score, frames_per_quarter, frames), voices), REST, np.int64)
    at, note = _sounding(score, frames_per_quarter)
    out[at, score.notes["track"][note]] = score.notes["pitch"][note]
    return out


def _frames(score: Score, frames_per_quarter: int, frames: int | None) -> int:
    if frames is not None:
        return frames
    return -(-score.length_ticks * frames_per_quarter // score.ticks_per_quarter)


def _sounding(score: Score, frames_per_quarter: int) -> tuple[np.ndarray, np.ndarray]:
    """Gives (frame, index of the note) of each frame of each note."""
    first, wrong = np.divmod(score.notes["onset"] * frames_per_quarter, score.ticks_per_quarter)
    length, odd = np.divmod(score.notes["duration"] * frames_per_quarter, score.ticks_per_quarter)
    if wrong.any() or odd.any():
        raise ValueError(f"a note is between two of {frames_per_quarter} frames a quarter")
    note = np.repeat(np.arange(len(first)), length)
    passed = np.arange(length.sum()) - np.repeat(np.cumsum(length) - length, length)
    return first[note] + passed, note
