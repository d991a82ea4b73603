"""Primers: a file that pieces go on from, as the array that a model's codec makes of it."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np

from crnn_gan.signatures.interface import LONGEST
from pipelines.codecs.codec import NoteCodec
from pipelines.formats.reading import read
from pipelines.score import Score


@dataclasses.dataclass(frozen=True)
class Primer:
    """What pieces go on from.

    Attributes:
      array: [steps, ...] as the codec's spec says, int32.
      ticks: that it lasts, of what the codec decodes.
    """

    array: np.ndarray
    ticks: int


def read_primer(path: Path, codec: NoteCodec, most_steps: int = 0) -> Primer:
    """Reads a music file and encodes it.

    Args:
      path: of any format that is read for training.
      codec: of the model.
      most_steps: takes the first steps only; 0 takes all.

    Raises:
      ValueError: the file cannot be read or has no notes; it has pitches that the codec has not;
        or it is longer than a piece may be. OSError: it is not there.
    """
    score = read(path)
    if not len(score.notes):
        raise ValueError(f"the primer {path} has no notes; give one that has, or no --primer")
    array = codec.encode(score)
    if not len(array):
        raise ValueError(f"the codec {codec.name} finds nothing to encode in the primer {path}")
    _refuse_other_pitches(path, score, codec, array)
    if most_steps:
        array = array[:most_steps]
    if len(array) > LONGEST:
        raise ValueError(
            f"the primer {path} has {len(array)} steps ({codec.spec.step}), more than {LONGEST}; "
            "take its beginning with --primer_steps"
        )
    seconds = float(np.asarray(codec.struck(array[None]).seconds, np.float64).sum())
    ticks = round(seconds * 1e6 / codec.microseconds_per_quarter * codec.ticks_per_quarter)
    return Primer(array.astype(np.int32), ticks)


def _refuse_other_pitches(path: Path, score: Score, codec: NoteCodec, array: np.ndarray) -> None:
    """Raises ValueError where the file has pitches that are lost in the array."""
    lost = set(score.notes["pitch"][~score.notes["is_drum"]].tolist())
    lost -= set(codec.decode(array).score.notes["pitch"].tolist())
    if lost:
        names = ", ".join(map(str, sorted(lost)))
        raise ValueError(
            f"the primer {path} has pitches that the codec {codec.name} of this model does not "
            f"hold: {names} (MIDI key numbers); transpose the primer, or leave those notes out"
        )
