"""jsb_chorales_16th: Bach's chorales in four voices, a frame per 16th, with published split.

The split is that of the polyphonic benchmark. A frame does not distinguish a held note
from a repeated one: `pipelines/formats/benchmark_rolls.py` says what is made of it. Track 0 is
the soprano.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterator
from typing import ClassVar

from pipelines.collection import Collection
from pipelines.formats import benchmark_rolls
from pipelines.music_archives import Archive, Place
from pipelines.reading_result import Reading
from pipelines.sources.source import Piece, with_notes

FRAMES_PER_QUARTER = 4


@dataclasses.dataclass(frozen=True)
class Source(Collection):
    """The JSB chorales, with a frame per 16th."""

    name: ClassVar[str] = "jsb_chorales_16th"
    licence: ClassVar[str] = "none stated; the music is free of copyright"
    citation: ClassVar[str] = (
        "N. Boulanger-Lewandowski, Y. Bengio and P. Vincent, ICML 2012, for the split; "
        "C.-Z. A. Huang et al., Counterpoint by convolution, ISMIR 2017, for the voices"
    )
    homepage: ClassVar[str] = "https://github.com/czhuang/JSB-Chorales-dataset"
    download_bytes: ClassVar[int | None] = 1_666_444
    suffixes: ClassVar[tuple[str, ...]] = (".json",)
    genre: ClassVar[str] = "baroque"
    archives: ClassVar[tuple[Archive, ...]] = (
        Archive(
            name="Jsb16thSeparated.json",
            urls=(
                "https://raw.githubusercontent.com/czhuang/JSB-Chorales-dataset/"
                "9a7f733ddb4ed91f48da64ac7f0f621c34aadd4d/Jsb16thSeparated.json",
            ),
            sha256="79294cc374f9252e95ef4b703161524c1c53dc1f712c236f00f1c1f5d54af5a7",
            size_bytes=1_666_444,
            pieces=229 + 76 + 77,
        ),
    )

    def listed(self, here: Place) -> Iterator[Piece]:
        """Lists the chorales of the file; `number` counts them through all splits."""
        number = 0
        for split, sequences in _sequences(str(here.path), here.fingerprint).items():
            for index, voices in enumerate(sequences):
                key = f"{split}/{index:03d}"
                yield self.piece(
                    here,
                    here.path,
                    key=key,
                    title=f"chorale {key}",
                    composer="bach",
                    number=number,
                    size_bytes=voices.size,
                    split=split,
                )
                number += 1

    def read_counted(self, piece: Piece) -> Reading:
        """Makes a Score of the voices. See `source.Source.read_counted`."""
        every = _sequences(piece.path, piece.fingerprint)
        voices = [one for sequences in every.values() for one in sequences][piece.number or 0]
        return with_notes(Reading(benchmark_rolls.score_of_voices(voices, FRAMES_PER_QUARTER)))


@functools.lru_cache(maxsize=1)  # Else each of hundreds of pieces would read the whole file.
def _sequences(path: str, fingerprint: str) -> benchmark_rolls.Sequences:
    return benchmark_rolls.read_json_voices(path)
