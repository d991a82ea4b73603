"""Originality while sampling: pieces are compared with the training data, and rejected or kept."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

from crnn_gan.evaluation.reference import learned_from, read_reference
from crnn_gan.generation.pieces import Make, Sampled
from crnn_gan.originality.classification import place_in_words
from crnn_gan.originality.comparing import OriginalityClassifier
from crnn_gan.originality.originality import PieceOriginality
from crnn_gan.originality.reference_pieces import ReferencePieces
from crnn_gan.runs.configuration import RunConfig

ATTEMPTS = 10  # Most pieces sampled per piece requested.
BATCH = 256  # Pieces that are compared at once.
FEWEST = 16  # Pieces sampled at once when some are missing: batches are padded to 16 rows.


def with_originality(
    model_dir: Path, reference: str, mode: Literal["warn", "resample"]
) -> Callable[[Make], Make]:
    """Wraps a sampling function so that its pieces are classified.

    Args:
      model_dir, reference: as for `classifier_of`.
      mode: "warn" keeps every piece with a remark, "resample" samples until all are original.

    Raises:
      ValueError: as `classifier_of`.
    """
    classifier = classifier_of(model_dir, reference)
    say = functools.partial(print, file=sys.stderr, flush=True)

    def wrapped(make: Make) -> Make:
        if mode == "warn":
            return lambda values: with_labels(make(values), classifier)
        return lambda values: originals(make, values, classifier, say)

    return wrapped


def classifier_of(model_dir: Path, reference: str) -> OriginalityClassifier:
    """Builds a classifier from the music that a model may have copied.

    Args:
      model_dir: a run directory or an exported model.
      reference: prepared data or a folder of music; "" for the data that the model was trained on.

    Raises:
      ValueError: the music is unknown or missing.
    """
    learned = (Path(reference), (), None) if reference else learned_from(model_dir)
    path, composer, works_per_composer = learned
    codec = RunConfig.read(model_dir).build_codec().require_scores()
    found = read_reference(path, composer, codec, works_per_composer)
    names, scores = [piece.name for piece in found.known], [piece.score for piece in found.known]
    held_out = [piece.score for piece in found.never_learned]
    return OriginalityClassifier(ReferencePieces.of(names, scores), held_out)


def with_labels(pieces: Iterable[Sampled], classifier: OriginalityClassifier) -> Iterator[Sampled]:
    """Gives the pieces with their labels as remarks."""
    for piece, found in _classified(pieces, classifier):
        yield dataclasses.replace(piece, remark=_remark(found))


def originals(
    make: Make,
    values: Mapping[str, Any],
    classifier: OriginalityClassifier,
    say: Callable[[str], None],
) -> Iterator[Sampled]:
    """Samples with further seeds until as many pieces as requested are original.

    Args:
      make: samples the pieces of seeds `seed` to `seed + count - 1`.
      values: seed, count and all else that `make` takes.
      classifier: decides which are original.
      say: called with a line per rejected piece, and at the end with their number.

    Raises:
      ValueError: `ATTEMPTS` times as many pieces were not enough.
    """
    wanted, seed = values["count"], values["seed"]
    end = seed + ATTEMPTS * wanted
    kept, rejected = 0, list[int]()
    while kept < wanted and seed < end:
        count = min(max(wanted - kept, FEWEST), end - seed)
        batch = make({**values, "seed": seed, "count": count})
        seed += count
        for piece, found in _classified(batch, classifier):
            if found.verdict != "original":
                rejected.append(piece.seed)
                say(f"seed {piece.seed} rejected, {_remark(found)}")
                continue
            yield dataclasses.replace(piece, remark=_remark(found))
            kept += 1
            if kept == wanted:
                break
    if rejected:
        seeds = ", ".join(map(str, rejected))
        say(f"{len(rejected)} of {kept + len(rejected)} pieces rejected, of seeds {seeds}")
    if kept < wanted:
        raise ValueError(
            f"of {ATTEMPTS * wanted} pieces {kept} are original, {wanted} were asked for; the "
            "model has memorised its training data: try a higher temperature, an earlier "
            "checkpoint, or --originality=warn, which keeps all pieces and says what is copied"
        )


def _remark(found: PieceOriginality) -> str:
    where = f"; {place_in_words(found.matches[0])}" if found.matches else ""
    return f"{found.verdict}: {found.reason}{where}"


def _classified(
    pieces: Iterable[Sampled], classifier: OriginalityClassifier
) -> Iterator[tuple[Sampled, PieceOriginality]]:
    """Pieces with their originality, a batch at a time."""
    rest = iter(pieces)
    while some := list(itertools.islice(rest, BATCH)):
        scores = [piece.read() for piece in some]
        yield from zip(some, classifier.classify(scores), strict=True)
