"""Real music that generated pieces are compared with: prepared data, or a folder of music.

Generated pieces are compared with some real pieces (`compared`); so are other real pieces, as a
baseline (`held_out`). Copies are searched in all pieces that a model may have learned from
(`known`). Of prepared data the training split is `compared` and `known`, the other splits are
`held_out`; or, `against` held-out music, not trained on, one half of the other splits is
`compared` and the other half `held_out`. A folder has no splits: a random half is `compared`, the
other half `held_out`, and all of it `known`.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from crnn_gan.runs.configuration import RunConfig
from pipelines import records
from pipelines.codecs.codec import ScoreCodec
from pipelines.json_file import read_text, shown
from pipelines.music_files import printable
from pipelines.preparation.data_card import CARD
from pipelines.score import Score
from pipelines.settings import UsageError
from pipelines.sources import folder
from pipelines.split import Split, unit_hash

Against = Literal["training", "held_out"]


class NamedScore(NamedTuple):
    """A piece and its name."""

    name: str
    score: Score


@dataclasses.dataclass(frozen=True)
class Reference:
    """Real music.

    Attributes:
      name: name of its folder.
      compared: pieces that the generated ones are compared with.
      held_out: pieces that serve as a baseline.
      known: pieces that a model may have learned from.
      knows_held_out: whether the held-out pieces are among the known ones.
      codec: codec that the pieces were encoded and decoded with; None for files as they are.
      card: the data card, Markdown; "" where there is none.
      left_out: files that could not be read, a line each with the reason.
      against: whether the compared pieces are training or held-out pieces; of a folder "training".
    """

    name: str
    compared: tuple[NamedScore, ...]
    held_out: tuple[NamedScore, ...]
    known: tuple[NamedScore, ...]
    knows_held_out: bool
    codec: ScoreCodec | None = None
    card: str = ""
    left_out: tuple[str, ...] = ()
    against: Against = "training"

    @property
    def compared_in_words(self) -> str:
        """Says which pieces are compared."""
        if self.knows_held_out:
            return "half of the pieces"
        return (
            "half of the held-out pieces" if self.against != "training" else "the training pieces"
        )

    @property
    def never_learned(self) -> tuple[NamedScore, ...]:
        """The pieces that no model learned from."""
        if self.knows_held_out:
            return ()
        return (self.compared if self.against != "training" else ()) + self.held_out


def read_reference(
    path: Path,
    composer: Sequence[str] = (),
    codec: ScoreCodec | None = None,
    works_per_composer: int | None = None,
    against: Against = "training",
) -> Reference:
    """Reads prepared data or a folder of music files.

    Args:
      path: a directory that `pipelines.prepare` wrote, or any directory of music.
      composer: keep only the pieces of these composers; () keeps all. Prepared data only.
      codec: codec of the generated pieces, if any: files are encoded and decoded with it, so that
        both are on one grid. Prepared data has its own.
      works_per_composer: most training pieces per composer, the same that training takes; None
        for all. Prepared data only.
      against: which pieces are compared; "held_out" of prepared data only.

    Raises:
      ValueError: there is no music, or none that can be read.
    """
    if (path / records.MANIFEST).is_file():
        return _prepared(path, composer, works_per_composer, against)
    refuse_settings(path, composer, against)
    pieces, left_out = read_folder(path)
    if codec:
        pieces, refused = _through(codec, pieces)
        left_out += refused
    first, second = halves(pieces)
    return Reference(folder_name(path), first, second, pieces, True, codec, left_out=left_out)


def refuse_settings(path: Path, composer: Sequence[str], against: Against) -> None:
    """Refuses what only prepared data can give, before anything is sampled or read.

    Args:
      path, composer, against: as for `read_reference`.

    Raises:
      ValueError: the path is a folder of files, and the others are not its.
    """
    if (path / records.MANIFEST).is_file():
        return
    if composer:
        raise ValueError(f"{path} is a folder of files: only prepared data has composers")
    if against != "training":
        raise ValueError(
            f"{path} is a folder of files: only prepared data says which pieces were held out, as "
            "--against=held_out needs"
        )


def halves(
    pieces: tuple[NamedScore, ...],
) -> tuple[tuple[NamedScore, ...], tuple[NamedScore, ...]]:
    """Splits pieces into two random halves, a function of their number alone."""
    order = np.random.Generator(np.random.Philox(len(pieces))).permutation(len(pieces))
    middle = (len(pieces) + 1) // 2
    first, second = np.sort(order[:middle]), np.sort(order[middle:])
    return tuple(pieces[i] for i in first), tuple(pieces[i] for i in second)


def halves_of_groups(
    pieces: Sequence[NamedScore], group_of: Mapping[str, str]
) -> tuple[tuple[NamedScore, ...], tuple[NamedScore, ...]]:
    """Splits pieces into two halves of about as many; a group, such as a work, is in one of them.

    A function of the groups alone: the largest first, each goes to the half that has fewer pieces.

    Args:
      pieces: real music.
      group_of: the group of each piece, by name.
    """
    groups: dict[str, list[int]] = {}
    for index, piece in enumerate(pieces):
        groups.setdefault(group_of[piece.name], []).append(index)
    found: tuple[list[int], list[int]] = [], []
    for name in sorted(groups, key=lambda name: (-len(groups[name]), unit_hash(name))):
        min(found, key=len).extend(groups[name])
    first, second = (tuple(pieces[index] for index in sorted(half)) for half in found)
    return first, second


def learned_from(model_dir: Path) -> tuple[Path, tuple[str, ...], int | None]:
    """Finds the prepared data that a model was trained on, and the subset of it.

    Args:
      model_dir: a run directory or an exported model.

    Returns:
      The directory, the composers (() for all), and how many works of each (None for all).

    Raises:
      UsageError: config.json does not name the data, or it is missing.
    """
    training = RunConfig.read(model_dir).training
    data_dir = training.get("data_dir", "")
    if not os.path.isdir(data_dir):  # noqa: PTH112 - also of what no disk could hold
        named = shown(data_dir) if data_dir else "unnamed data"
        raise UsageError(
            f"{model_dir} was trained on {named}, which is not found from here; give its place "
            "with --reference=DIR"
        )
    return Path(data_dir), tuple(training.get("composer", ())), training.get("works_per_composer")


def folder_name(path: Path) -> str:
    """Gives the name of a folder, also of "." and of paths with "..".

    Unprintable characters are escaped as in Python.
    """
    whole = path.expanduser().resolve()
    return _shown(printable(whole.name or str(whole)))


def read_folder(path: Path) -> tuple[tuple[NamedScore, ...], tuple[str, ...]]:
    """Reads every music file of a folder, searched to any depth, in the order of their names.

    Returns:
      The pieces that have notes, and a line with the reason for each other file. In both,
      unprintable characters are escaped as in Python.

    Raises:
      ValueError: it is not a folder, or has no music file.
    """
    source = folder.Source(path=str(path))
    pieces, left_out = [], []
    for piece in source.pieces():
        try:
            pieces.append(NamedScore(_shown(piece.key), source.read(piece)))
        except (ValueError, OSError) as error:
            reason = str(error).removeprefix(f"{piece.path}: ")
            left_out.append(_shown(f"{piece.key}: {printable(reason)}"))
    return tuple(pieces), tuple(left_out)


def _shown(text: str) -> str:
    """Escapes line breaks, control characters and changes of direction."""
    return "".join(
        sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in text
    )


def _through(
    codec: ScoreCodec, pieces: Sequence[NamedScore]
) -> tuple[tuple[NamedScore, ...], tuple[str, ...]]:
    """The pieces after encoding and decoding, and a line for each that the codec refuses."""
    taken, refused = [], []
    for name, score in pieces:
        try:
            array = codec.encode(score)
            if len(score.notes) and not len(array):
                raise ValueError(f"codec {codec.name} finds nothing to encode in it")
            taken.append(NamedScore(name, codec.decode(array).score))
        except ValueError as error:
            refused.append(f"{name}: {error}")
    return tuple(taken), tuple(refused)


def _prepared(
    data_dir: Path, composer: Sequence[str], works_per_composer: int | None, against: Against
) -> Reference:
    manifest = records.read_manifest(data_dir)
    its_codec = manifest.build_codec()
    try:
        codec = its_codec.require_scores()
    except ValueError:
        raise ValueError(
            f"{data_dir} was prepared with --codec={its_codec.name}, which decodes to "
            "no notes; give a directory of another codec, or of music files, as the reference"
        ) from None
    known = tuple(_decoded(data_dir, codec, "train", composer, works_per_composer))
    rows = [
        (row["key"], row["split"], row["group"])
        for row in records.read_pieces(data_dir, manifest, ("key", "split", "composer", "group"))
        if not composer or row["composer"] in composer
    ]
    there = {split for _, split, _ in rows}
    held_out = tuple(
        piece
        for split in ("validation", "test")
        if split in there
        for piece in _decoded(data_dir, codec, split, composer)
    )
    compared = known
    if against == "held_out":
        if not held_out:
            raise ValueError(
                f"{data_dir} has no held-out piece{' of these composers' if composer else ''} to "
                "compare with: leave --against away, or prepare more music"
            )
        compared, held_out = halves_of_groups(held_out, {key: group for key, _, group in rows})
    card = data_dir / CARD
    text = read_text(card) if card.is_file() else ""
    return Reference(
        folder_name(data_dir), compared, held_out, known, False, codec, text, against=against
    )


def _decoded(
    data_dir: Path,
    codec: ScoreCodec,
    split: Split,
    composer: Sequence[str],
    works_per_composer: int | None = None,
) -> Iterator[NamedScore]:
    from pipelines import dataset  # Imports TensorFlow, which a folder of files does without.

    pieces = dataset.load(data_dir, split, composer, works_per_composer)
    for key, decoded in zip(pieces.keys, codec.decode_all(pieces.arrays), strict=True):
        yield NamedScore(key, decoded.score)
