"""Windows of real pieces, as long as the generated ones that they are compared with.

They are drawn by the rule of `pipelines.batches.weighting`, as the windows of training are.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from crnn_gan.evaluation.reference import NamedScore
from pipelines.batches import weighting
from pipelines.codecs.codec import ScoreCodec
from pipelines.score import Score


def windows_of_steps(
    pieces: Sequence[NamedScore], codec: ScoreCodec, steps: int, count: int, seed: int
) -> list[NamedScore]:
    """Cuts windows of `steps` steps of a codec, of pieces in proportion to their steps.

    Pieces shorter than a window are skipped, as in training on windows without padding. Of a codec
    whose windows may not start anywhere (`starts_anywhere`), gives the beginning of each piece
    once, shorter pieces whole.

    Args:
      pieces: real music; where none is as long as a window, all are taken whole.
      codec: codec of the generated pieces, so that both are on one grid.
      steps: length of a window.
      count: number of windows.
      seed: random seed of pieces and places.
    """
    arrays = [codec.encode(piece.score) for piece in pieces]
    random = np.random.Generator(np.random.Philox(seed))
    names, windows = [], []
    if codec.starts_anywhere:
        lengths = [len(array) for array in arrays]
        drawn = weighting.draw_pieces(lengths, np.full(count, steps), random)
    else:
        drawn = weighting.beginnings(len(arrays), count, random)
    for index in drawn.tolist():
        array = arrays[index]
        start = weighting.draw_start(len(array), steps, random) if codec.starts_anywhere else 0
        windows.append(array[start : start + steps])
        names.append(pieces[index].name)
    scores = [decoded.score for decoded in codec.decode_all(windows)]
    return [NamedScore(name, score) for name, score in zip(names, scores, strict=True)]


def windows_of_notes(
    pieces: Sequence[NamedScore], notes: Sequence[int], count: int, seed: int
) -> list[NamedScore]:
    """Cuts windows of as many notes as the generated pieces have, at random places.

    Args:
      pieces: real music, drawn in proportion to their notes; where none has as many notes as a
        window, one is taken whole.
      notes: notes of each generated piece; windows take them in turn.
      count: number of windows.
      seed: random seed of pieces and places.
    """
    random = np.random.Generator(np.random.Philox(seed))
    windows = []
    sizes = [max(1, notes[turn % len(notes)]) for turn in range(count)]
    drawn = weighting.draw_pieces([len(piece.score.notes) for piece in pieces], sizes, random)
    for index, wanted in zip(drawn.tolist(), sizes, strict=False):  # No pieces, no windows.
        score = pieces[index].score
        start = weighting.draw_start(len(score.notes), wanted, random)
        windows.append(NamedScore(pieces[index].name, _notes_from(score, start, wanted)))
    return windows


def _notes_from(score: Score, start: int, count: int) -> Score:
    """A window of `count` notes from note `start` on, with all other events of its time."""
    if count >= len(score.notes):
        return score
    chosen = score.notes[start : start + count]
    first, last = int(chosen["onset"][0]), int((chosen["onset"] + chosen["duration"]).max())
    cropped = score.crop(first, last)
    moved = chosen.copy()
    moved["onset"] -= first
    return dataclasses.replace(cropped, notes=moved, abc="")
