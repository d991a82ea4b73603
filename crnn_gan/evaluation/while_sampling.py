"""While sampling: what is made is looked for in the music that the model learned from."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

from crnn_gan.evaluation.reference import learned_from, read_reference
from crnn_gan.generation.pieces import Make, Sampled
from crnn_gan.originality.comparing import Yardstick
from crnn_gan.originality.known import Known
from crnn_gan.originality.originality import PieceOriginality
from crnn_gan.originality.verdicts import place_in_words
from pipelines.codecs.codec import codec_from_json

ATTEMPTS = 10  # Times as many pieces as were asked for are made, at most, to have originals.
AT_ONCE = 256  # Pieces that are looked for at once.
FEWEST = 16  # Pieces that are made at once when some are missing: rows are made 16 at a time.


def with_originality(
    model_dir: Path, reference: str, mode: Literal["warn", "resample"]
) -> Callable[[Make], Make]:
    """Gives what turns a maker of pieces into one that looks for them in known music.

    Args:
      model_dir, reference: as for `yardstick_of`.
      mode: "warn" keeps every piece, "resample" those that are original.

    Raises:
      ValueError: as `yardstick_of`.
    """
    yardstick = yardstick_of(model_dir, reference)
    say = functools.partial(print, file=sys.stderr, flush=True)

    def chosen(make: Make) -> Make:
        if mode == "warn":
            return lambda values: with_verdicts(make(values), yardstick)
        return lambda values: originals(make, values, yardstick, say)

    return chosen


def yardstick_of(model_dir: Path, reference: str) -> Yardstick:
    """Reads the music that a model may have copied.

    Args:
      model_dir: a run directory or an exported model.
      reference: prepared data or a folder of music; "" is the data that a run was trained on.

    Raises:
      ValueError: nobody says where the music is, or it is not there.
    """
    config = json.loads((model_dir / "config.json").read_text(encoding="utf-8"))
    learned = (Path(reference), (), None) if reference else learned_from(model_dir)
    path, composer, works_per_composer = learned
    codec = codec_from_json(config["codec"]).require_scores()
    found = read_reference(path, composer, codec, works_per_composer)
    names, scores = [piece.name for piece in found.known], [piece.score for piece in found.known]
    held_out = () if found.knows_held_out else [piece.score for piece in found.held_out]
    return Yardstick(Known.of(names, scores), held_out)


def with_verdicts(pieces: Iterable[Sampled], yardstick: Yardstick) -> Iterator[Sampled]:
    """Gives the pieces with their verdicts as remarks."""
    for piece, found in _judged(pieces, yardstick):
        yield dataclasses.replace(piece, remark=_remark(found))


def originals(
    make: Make, values: Mapping[str, Any], yardstick: Yardstick, say: Callable[[str], None]
) -> Iterator[Sampled]:
    """Makes pieces until so many as asked for are original, with further seeds.

    Args:
      make: gives the pieces of `seed` to `seed + count - 1`.
      values: seed, count and all else that `make` takes.
      yardstick: says what is original.
      say: is told of each piece that is rejected, and at the end how many were.

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
        for piece, found in _judged(batch, yardstick):
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
            "model has learned its music by heart: try a higher temperature, an earlier "
            "checkpoint, or --originality=warn, which keeps all pieces and says what is copied"
        )


def _remark(found: PieceOriginality) -> str:
    where = f"; {place_in_words(found.matches[0])}" if found.matches else ""
    return f"{found.verdict}: {found.reason}{where}"


def _judged(
    pieces: Iterable[Sampled], yardstick: Yardstick
) -> Iterator[tuple[Sampled, PieceOriginality]]:
    """Pieces beside what was found about them, some at once."""
    rest = iter(pieces)
    while some := list(itertools.islice(rest, AT_ONCE)):
        scores = [piece.read() for piece in some]
        yield from zip(some, yardstick.judge(scores), strict=True)
