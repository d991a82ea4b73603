"""The pieces to evaluate: sampled from a run or an exported model, or the files of a folder."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crnn_gan.evaluation.reference import NamedScore, folder_name, read_folder
from crnn_gan.generation.card import numbers
from crnn_gan.generation.pieces import sampled
from pipelines.codecs.codec import ScoreCodec

if TYPE_CHECKING:  # TensorFlow is slow to import, and a folder of files needs none.
    from crnn_gan.generation.saved_model import Sampler


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
      notes: what a reader has to know of them, in sentences.
    """

    name: str
    made: str
    pieces: tuple[NamedScore, ...]
    left_out: tuple[str, ...] = ()
    codec: ScoreCodec | None = None
    steps: int | None = None
    notes: tuple[str, ...] = ()


def from_folder(midi_dir: Path) -> Generated:
    """Reads the music files of a folder and those below it.

    Raises:
      ValueError: no folder, or no music file in it.
    """
    pieces, left_out = read_folder(midi_dir)
    name = folder_name(midi_dir)
    return Generated(name, f"the files of {name}", pieces, left_out)


def from_sampler(
    sampler: Sampler, values: Mapping[str, Any], name: str, model: str, codec: ScoreCodec
) -> Generated:
    """Samples pieces, as `crnn_gan.sample` does, and reads their files back.

    Args:
      sampler: of a run or an exported model.
      values: the arguments of `Sampler.generate`, seed, count and length among them.
      name: of the run or model, which names of pieces begin with.
      model: what it is, in words.
      codec: that the model decodes by.
    """
    pieces, faults = [], []
    for piece in sampled(sampler, values):
        pieces.append(NamedScore(f"{name}-{piece.seed}", piece.read()))
        faults.append(piece.faults)
    first, count = values["seed"], values["count"]
    settings = ", ".join(
        f"{key} {numbers(value)}"
        for key, value in values.items()
        if key not in ("seed", "count", "length")
    )
    made = f"sampled from {model}, seeds {first} to {first + count - 1}, {values['length']} steps"
    made += f" each, {settings}" if settings else " each"
    notes = _notes_of_text(pieces, faults)
    return Generated(name, made, tuple(pieces), (), codec, values["length"], notes)


def _notes_of_text(pieces: Sequence[NamedScore], faults: Sequence[int]) -> tuple[str, ...]:
    """Says how many pieces have faults in their text, and of how many nothing can be read."""
    faulty = sum(count > 0 for count in faults)
    if not faulty:
        return ()
    unread = sum(
        count > 0 and not len(piece.score.notes)
        for count, piece in zip(faults, pieces, strict=True)
    )
    return (
        f"The text of {faulty} of {len(pieces)} pieces ({faulty / len(pieces):.0%}) has faults, "
        f"{sum(faults)} in all, which are passed over; of {unread} of them no note can be read.",
    )
