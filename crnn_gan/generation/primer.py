"""Primers: a music file that generated pieces continue, as an array of the model's codec."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np

from crnn_gan.generation.interface import longest
from pipelines.codecs.codec import Codec
from pipelines.formats.reading import SUFFIXES, read


@dataclasses.dataclass(frozen=True)
class Primer:
    """What pieces go on from.

    Attributes:
      array: [steps, ...] as the codec's spec says, int32, without its end token.
      quarters: that it lasts, of what the codec decodes; 0 of sound, whose steps are its time.
    """

    array: np.ndarray
    quarters: float


def read_primer(path: Path, codec: Codec, most_steps: int = 0) -> Primer:
    """Reads a music file and encodes it.

    Args:
      path: of any format that is read for training, or of the codec's `own_suffixes`.
      codec: of the model.
      most_steps: takes the first steps only; 0 takes all.

    Raises:
      ValueError: the file is of no kind that fits, cannot be read or has no notes; it has pitches
        that the codec has not; or it is longer than a piece may be. OSError: it is not there.
    """
    array = codec.without_end(_encoded(path, codec))
    if not len(array):
        raise ValueError(f"the codec {codec.name} finds nothing to encode in the primer {path}")
    if most_steps:
        array = array[:most_steps]
    most = longest(codec.spec)
    if len(array) > most:
        raise ValueError(
            f"the primer {path} has {len(array)} steps ({codec.spec.step}), more than {most}; "
            "take its beginning with --primer_steps"
        )
    return Primer(array.astype(np.int32), codec.duration_quarters(array))


def _encoded(path: Path, codec: Codec) -> np.ndarray:
    suffix = path.suffix.lower()
    if suffix in codec.own_suffixes:
        return codec.read(path)
    if suffix not in SUFFIXES:
        fitting = ", ".join([*codec.own_suffixes, *SUFFIXES])
        raise ValueError(
            f"the primer {path} is of no kind that fits; a model of the codec {codec.name} goes on "
            f"from a file that ends in {fitting}"
        )
    score = read(path)
    if not len(score.notes):
        raise ValueError(f"the primer {path} has no notes; give one that has, or no --primer")
    try:
        array = codec.encode(score)
    except ValueError as error:  # Sound by a synthesizer that is not here.
        fitting = ", ".join(codec.own_suffixes)
        raise ValueError(f"the primer {path}: {error}; or give one of {fitting}") from None
    if lost := codec.lost_pitches(score, array):
        names = ", ".join(map(str, lost))
        raise ValueError(
            f"the primer {path} has pitches that the codec {codec.name} of this model does not "
            f"hold: {names} (MIDI key numbers); transpose the primer, or leave those notes out"
        )
    return array
