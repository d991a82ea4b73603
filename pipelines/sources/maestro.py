"""maestro: virtuoso piano performances, captured with velocity and pedal on a Disklavier.

The split is the published one. A group is a title of a composer, whatever its case and
punctuation; the titles are not spelled alike for all performances of a work, which the
published split, made by composition, allows for.
"""

from __future__ import annotations

import csv
import dataclasses
import re
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar, Literal

from pipelines.collection import Collection
from pipelines.music_archives import Archive, Place
from pipelines.music_files import files_below
from pipelines.settings import flag
from pipelines.sources.source import Piece
from pipelines.split import SPLITS

ADDRESS = "https://storage.googleapis.com/magentadata/datasets/maestro"
COLUMNS = ("canonical_composer", "canonical_title", "split", "midi_filename")


@dataclasses.dataclass(frozen=True)
class Source(Collection):
    """The MAESTRO dataset, in one of its versions."""

    name: ClassVar[str] = "maestro"
    licence: ClassVar[str] = "CC BY-NC-SA 4.0"
    citation: ClassVar[str] = (
        "C. Hawthorne et al., Enabling factorized piano music modeling and generation with the "
        "MAESTRO dataset, ICLR 2019"
    )
    homepage: ClassVar[str] = "https://magenta.tensorflow.org/datasets/maestro"
    download_bytes: ClassVar[int | None] = 59_243_107
    metadata_suffixes: ClassVar[tuple[str, ...]] = (".csv",)
    genre: ClassVar[str] = "classical"
    archives: ClassVar[tuple[Archive, ...]] = (
        Archive(
            name="maestro-v1.0.0-midi.zip",
            urls=(f"{ADDRESS}/v1.0.0/maestro-v1.0.0-midi.zip",),
            sha256="f620f9e1eceaab8beea10617599add2e9c83234199b550382a2f603098ae7135",
            size_bytes=46_579_421,
            edition="v1",
        ),
        Archive(
            name="maestro-v2.0.0-midi.zip",
            urls=(f"{ADDRESS}/v2.0.0/maestro-v2.0.0-midi.zip",),
            sha256="ec2cc9d94886c6b376db1eaa2b8ad1ce62ff9f0a28b3744782b13163295dadf3",
            size_bytes=59_243_107,
            edition="v2",
        ),
        Archive(
            name="maestro-v3.0.0-midi.zip",
            urls=(f"{ADDRESS}/v3.0.0/maestro-v3.0.0-midi.zip",),
            sha256="70470ee253295c8d2c71e6d9d4a815189e35c89624b76d22fce5a019d5dde12c",
            size_bytes=58_416_533,
            edition="v3",
            pieces=1276,  # 962 of training, 137 of validation, 177 of test.
        ),
    )

    version: Literal["v1", "v2", "v3"] = flag(default="v3", help="version of the MAESTRO dataset")

    def edition(self) -> str:
        """See `Collection.edition`."""
        return self.version

    def listed(self, here: Place) -> Iterator[Piece]:
        """Lists the rows of the table that lies beside the music."""
        table = self._table(here.path)
        with table.open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                if row["split"] not in SPLITS:
                    raise ValueError(f"{table} has the split {row['split']!r}; it is damaged")
                yield self.piece(
                    here,
                    table.parent / row["midi_filename"],
                    key=row["midi_filename"],
                    composer=row["canonical_composer"],
                    title=row["canonical_title"],
                    group=f"{_plain(row['canonical_composer'])}: {_plain(row['canonical_title'])}",
                    split=row["split"],
                )

    def _table(self, folder: Path) -> Path:
        for path in sorted(files_below(folder, (".csv",))):
            with path.open(encoding="utf-8", newline="") as file:
                if set(COLUMNS) <= set(next(csv.reader(file), ())):
                    return path
        raise ValueError(
            f"{folder} holds no table (.csv) with the columns {', '.join(COLUMNS)}, as MAESTRO has"
        )


def _plain(title: str) -> str:
    return " ".join(re.findall(r"\w+", title.casefold()))
