"""The pieces to evaluate: sampled from a run or an exported model, or the files of a folder."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crnn_gan.evaluation.reference import NamedScore, folder_name, read_folder
from crnn_gan.sample import sampled
from pipelines.codecs.codec import NoteCodec
from pipelines.formats import midi

if TYPE_CHECKING:  # TensorFlow is slow to import, and a folder of files needs none.
    from crnn_gan.signatures.saved_model import Sampler


@dataclasses.dataclass(frozen=True)
class Generated:
    """Pieces and how they came about.

    Attributes:
      name: of the run, model or folder.
      made: how they came about, in words, without a full stop.
      pieces: with their names; of a model one without notes is kept, it is a finding.
      left_out: files that could not be read or have no notes, a line each with the reason.
      codec: that the model decodes by; None where nobody knows.
      steps: length asked for, in that codec's steps; None where nobody knows.
    """

    name: str
    made: str
    pieces: tuple[NamedScore, ...]
    left_out: tuple[str, ...] = ()
    codec: NoteCodec | None = None
    steps: int | None = None


def from_folder(midi_dir: Path) -> Generated:
    """Reads the music files of a folder and those below it.

    Raises:
      ValueError: no folder, or no music file in it.
    """
    pieces, left_out = read_folder(midi_dir)
    name = folder_name(midi_dir)
    return Generated(name, f"the files of {name}", pieces, left_out)


def from_sampler(
    sampler: Sampler, values: Mapping[str, Any], name: str, model: str, codec: NoteCodec
) -> Generated:
    """Samples pieces, as `crnn_gan.sample` does, and reads the MIDI files back.

    Args:
      sampler: of a run or an exported model.
      values: the arguments of `Sampler.generate`, seed, count and length among them.
      name: of the run or model, which names of pieces begin with.
      model: what it is, in words.
      codec: that the model decodes by.
    """
    pieces = tuple(
        NamedScore(f"{name}-{piece.seed}", midi.read_score(piece.midi_bytes))
        for piece in sampled(sampler, values)
    )
    first, count = values["seed"], values["count"]
    settings = ", ".join(
        f"{key} {value:g}"
        for key, value in values.items()
        if key not in ("seed", "count", "length")
    )
    made = f"sampled from {model}, seeds {first} to {first + count - 1}, {values['length']} steps"
    made += f" each, {settings}" if settings else " each"
    return Generated(name, made, pieces, (), codec, values["length"])
