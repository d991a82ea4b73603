"""Reads piano rolls of the benchmark sets, from MATLAB, JSON and NumPy files, as Scores.

A roll is bool [frame, 88], A0 (MIDI 21) first: which keys sound in each frame. Voices are
int [frame, voice]: the pitch of each voice, `REST` where it rests.

Neither distinguishes a held note from a repeated one. The rule here: consecutive frames of the
same pitch (in voices: of the same voice) are one note. So a Score has the frames of each pitch
as the roll has them, and no more. Every note has velocity `VELOCITY`. A Score ends with its
last note, so empty frames after it are lost.
"""

from __future__ import annotations

import io
import json
import os
from pathlib import Path
from typing import Any

import numpy as np

from pipelines.formats.npz_arrays import NpzArrays
from pipelines.score import Score
from pipelines.score_arrays import NOTE

LOWEST_PITCH, PITCHES = 21, 88
REST = -1
VELOCITY = 64
TICKS_PER_QUARTER = 480
LARGEST_ARRAY_BYTES = 64 * 2**20  # Of an array of packed rolls; 5 million frames.
# What the files call the published splits, and what we call them.
SPLIT_NAMES = {"train": "train", "valid": "validation", "test": "test"}

Sequences = dict[str, list[np.ndarray]]


def read_mat(path: str | os.PathLike[str]) -> Sequences:
    """Reads rolls from a MATLAB file of cells `traindata`, `validdata` and `testdata`.

    Returns:
      {"train", "validation", "test"}: bool [frame, 88] each.

    Raises:
      ValueError: damaged, or no such cells of 88 columns in it.
      OSError: the file cannot be read.
    """
    import scipy.io

    content = Path(path).read_bytes()
    try:
        cells = scipy.io.loadmat(io.BytesIO(content))
    except Exception as error:  # scipy raises whatever it meets inside.
        raise ValueError(f"{path} is no MATLAB file, or damaged: {error!r}") from error
    out = {}
    for theirs, ours in SPLIT_NAMES.items():
        found = cells.get(f"{theirs}data")
        if found is None or found.dtype != object:
            raise ValueError(f"{path} has no cells {theirs}data; it is no benchmark set")
        out[ours] = [_checked_roll(roll, f"{path}, {theirs}data") for roll in found.ravel()]
    return out


def read_packed(path: str | os.PathLike[str], name: str) -> Sequences:
    """Reads the rolls of one set from a NumPy file that holds several, packed in bits.

    The file holds `NAME/SPLIT/lengths` (int [sequence]) and `NAME/SPLIT/frames` (uint8
    [all frames, 11], `numpy.packbits` of 88 columns), and nothing pickled.

    Raises:
      ValueError: damaged, pickled, or no such set in it.
      OSError: the file cannot be read.
    """
    out = {}
    try:
        with NpzArrays(path, LARGEST_ARRAY_BYTES) as file:
            for theirs, ours in SPLIT_NAMES.items():
                lengths = file[f"{name}/{theirs}/lengths"]
                packed = file[f"{name}/{theirs}/frames"]
                rolls = np.unpackbits(packed, axis=1, count=PITCHES).astype(bool)
                if lengths.sum() != len(rolls) or (lengths < 1).any():
                    raise ValueError(f"the lengths of {theirs} do not add up to its frames")
                out[ours] = np.split(rolls, np.cumsum(lengths)[:-1])
    except (ValueError, TypeError) as error:  # TypeError: of arrays of another kind.
        raise ValueError(f"{path} holds no packed rolls named {name!r}: {error}") from error
    return out


def read_json_rolls(path: str | os.PathLike[str]) -> Sequences:
    """Reads rolls from JSON: {"train", "valid", "test"}, a list of pitches per frame.

    Returns:
      {"train", "validation", "test"}: bool [frame, 88] each.

    Raises:
      ValueError: damaged, or other JSON than that.
      OSError: the file cannot be read.
    """
    return _read_json(path, _roll_of_pitches)


def read_json_voices(path: str | os.PathLike[str]) -> Sequences:
    """Reads voices from JSON: {"train", "valid", "test"}, a pitch or -1 per voice and frame.

    Returns:
      {"train", "validation", "test"}: int64 [frame, voice] each.

    Raises:
      ValueError, OSError: as `read_json_rolls`.
    """
    return _read_json(path, _checked_voices)


def _read_json(path: str | os.PathLike[str], of_frames: Any) -> Sequences:
    with Path(path).open(encoding="utf-8") as file:
        try:
            values = json.load(file)
            return {
                ours: [of_frames(frames) for frames in values[theirs]]
                for theirs, ours in SPLIT_NAMES.items()
            }
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise ValueError(
                f"{path} does not hold lists of frames under train, valid and test: {error!r}"
            ) from error


def _roll_of_pitches(frames: list[list[int]]) -> np.ndarray:
    """Makes bool [frame, 88] of the pitches in each frame."""
    lengths = [len(frame) for frame in frames]
    pitches = np.array([pitch for frame in frames for pitch in frame], np.float64)
    if not np.isin(pitches, np.arange(LOWEST_PITCH, LOWEST_PITCH + PITCHES)).all():
        raise ValueError(f"a pitch is not of {LOWEST_PITCH} to {LOWEST_PITCH + PITCHES - 1}")
    roll = np.zeros((len(frames), PITCHES), bool)
    roll[np.repeat(np.arange(len(frames)), lengths), pitches.astype(int) - LOWEST_PITCH] = True
    return roll


def _checked_voices(frames: list[list[int]]) -> np.ndarray:
    voices = np.array(frames)
    if voices.ndim != 2 or voices.dtype.kind not in "if":
        raise ValueError("the frames of a sequence have not all as many voices")
    if not np.isin(voices, np.arange(REST, 128)).all():
        raise ValueError(f"a pitch is neither of 0 to 127 nor {REST}, a rest")
    return voices.astype(np.int64)


def _checked_roll(roll: np.ndarray, where: str) -> np.ndarray:
    if roll.ndim != 2 or roll.shape[1] != PITCHES or not np.isin(roll, (0, 1)).all():
        raise ValueError(f"{where}: an array of shape {roll.shape} is no roll of 0 and 1 [., 88]")
    return roll.astype(bool)


# Scores.


def score_of_roll(roll: np.ndarray, frames_per_quarter: int) -> Score:
    """Gives the Score of a roll, as this file's docstring says.

    Args:
      roll: bool [frame, 88].
      frames_per_quarter: 1 where a frame is a quarter note, 2 an eighth; divides 480.

    Raises:
      ValueError: frames_per_quarter does not divide 480.
    """
    pitches = np.where(roll, np.arange(LOWEST_PITCH, LOWEST_PITCH + PITCHES), REST)
    return _score_of_runs(pitches, np.zeros(PITCHES, np.int16), frames_per_quarter)


def score_of_voices(voices: np.ndarray, frames_per_quarter: int) -> Score:
    """Gives the Score of voices, the first as track 0, as this file's docstring says.

    Args:
      voices: int [frame, voice].
      frames_per_quarter: as for `score_of_roll`.

    Raises:
      ValueError: frames_per_quarter does not divide 480.
    """
    return _score_of_runs(voices, np.arange(voices.shape[1], dtype=np.int16), frames_per_quarter)


def _score_of_runs(pitches: np.ndarray, tracks: np.ndarray, frames_per_quarter: int) -> Score:
    """Makes a note of each run of one pitch down a column of [frame, column]."""
    if frames_per_quarter < 1 or TICKS_PER_QUARTER % frames_per_quarter:
        raise ValueError(
            f"frames_per_quarter is {frames_per_quarter}; give a divisor of {TICKS_PER_QUARTER}"
        )
    ticks_per_frame = TICKS_PER_QUARTER // frames_per_quarter
    # A rest below each column parts it from the next, when they are laid end to end.
    laid = np.pad(pitches, ((0, 1), (0, 0)), constant_values=REST).T.ravel()
    first = np.flatnonzero(np.diff(laid, prepend=REST))
    length = np.diff(first, append=len(laid))
    is_note = laid[first] != REST
    first, length = first[is_note], length[is_note]
    column, frame = np.divmod(first, len(pitches) + 1)
    notes = np.zeros(len(first), NOTE)
    notes["onset"], notes["duration"] = frame * ticks_per_frame, length * ticks_per_frame
    notes["pitch"], notes["track"], notes["velocity"] = laid[first], tracks[column], VELOCITY
    return Score.from_unsorted(TICKS_PER_QUARTER, notes)
