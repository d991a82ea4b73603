"""The pieces to evaluate: sampled from a run or an exported model, or the files of a folder."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crnn_gan.evaluation.reference import NamedScore, folder_name, read_folder
from crnn_gan.generation.card import numbers
from crnn_gan.generation.excerpt import Excerpt
from crnn_gan.generation.pieces import sampled
from pipelines.codecs.codec import ScoreCodec

if TYPE_CHECKING:  # TensorFlow is slow to import, and a folder of files needs none.
    from crnn_gan.generation.saved_model import Sampler


@dataclasses.dataclass(frozen=True)
class Generated:
    """Generated pieces and their origin.

    Attributes:
      name: name of the run, model or folder.
      made: their origin, in words, without a full stop.
      pieces: named pieces; those of a model are kept even without notes.
      left_out: files that could not be read or have no notes, a line each with the reason.
      codec: codec of the model; None where unknown.
      steps: length in steps of the codec, of the excerpt where pieces are excerpts; None where
        unknown.
      notes: caveats, in sentences.
    """

    name: str
    made: str
    pieces: tuple[NamedScore, ...]
    left_out: tuple[str, ...] = ()
    codec: ScoreCodec | None = None
    steps: int | None = None
    notes: tuple[str, ...] = ()


def from_folder(midi_dir: Path) -> Generated:
    """Reads the music files of a folder, searched to any depth.

    Raises:
      ValueError: it is not a folder, or has no music file.
    """
    pieces, left_out = read_folder(midi_dir)
    name = folder_name(midi_dir)
    return Generated(name, f"the files of {name}", pieces, left_out)


def from_sampler(
    sampler: Sampler,
    values: Mapping[str, Any],
    name: str,
    model: str,
    codec: ScoreCodec,
    excerpt: Excerpt | None = None,
) -> Generated:
    """Samples pieces, as `crnn_gan.sample` does, and reads their files back.

    Args:
      sampler: of a run or an exported model.
      values: the arguments of `Sampler.generate`, seed, count and length among them.
      name: name of the run or model, the prefix of the names of pieces.
      model: description of the model.
      codec: codec of the model.
      excerpt: the steps of each piece that the sampler gives; None where it gives all.
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
    made += f", of which {excerpt} are measured" if excerpt else ""
    notes = _notes_of_text(pieces, faults)
    steps = excerpt.steps if excerpt else values["length"]
    return Generated(name, made, tuple(pieces), (), codec, steps, notes)


def _notes_of_text(pieces: Sequence[NamedScore], faults: Sequence[int]) -> tuple[str, ...]:
    """Describes how many pieces have faults in their text, and how many are unreadable."""
    faulty = sum(count > 0 for count in faults)
    if not faulty:
        return ()
    unread = sum(
        count > 0 and not len(piece.score.notes)
        for count, piece in zip(faults, pieces, strict=True)
    )
    return (
        f"The text of {faulty} of {len(pieces)} pieces ({faulty / len(pieces):.0%}) has faults, "
        f"{sum(faults)} in all, which are ignored; {unread} of them have no readable note.",
    )
