"""corpus: the scores that are installed with music21. Nothing is downloaded.

Each score is parsed once and cached; tunes in ABC notation are not. What of a score is
kept and what is not: docs/data.md.
"""

from __future__ import annotations

import dataclasses
import importlib.metadata
import importlib.util
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar, Literal

from pipelines import score_cache
from pipelines.cache_folder import DEFAULT_IN_WORDS, cache_folder
from pipelines.formats import abc_files, abc_notation, notation
from pipelines.reading_result import Reading
from pipelines.settings import flag
from pipelines.sources import source
from pipelines.sources.source import Piece, with_notes
from pipelines.split import spread_sample

READER_VERSION = 2  # Raise it when `notation` gives other Scores: the cache follows.

# Composers as the corpus names its folders, with the genre we give them.
GENRES = {
    "bach": "baroque",
    "beach": "romantic",
    "beethoven": "classical",
    "chopin": "romantic",
    "ciconia": "medieval",
    "corelli": "baroque",
    "cpebach": "classical",
    "essenFolksong": "folk",
    "airdsAirs": "folk",
    "handel": "baroque",
    "haydn": "classical",
    "johnson_j_r": "song",
    "joplin": "ragtime",
    "josquin": "renaissance",
    "leadSheet": "song",
    "liliuokalani": "song",
    "luca": "renaissance",
    "lusitano": "renaissance",
    "miscFolk": "folk",
    "monteverdi": "renaissance",
    "mozart": "classical",
    "oneills1850": "folk",
    "palestrina": "renaissance",
    "ryansMammoth": "folk",
    "schoenberg": "modern",
    "schubert": "romantic",
    "schumann_clara": "romantic",
    "schumann_robert": "romantic",
    "trecento": "medieval",
    "verdi": "romantic",
    "weber": "romantic",
    "webern": "modern",
}
# Names of a work inside its composer's folder: what the first group of each catches.
WORKS = {
    "bach": r"(bwv\d+)",  # bwv248.35-3 is a chorale of BWV 248.
    "monteverdi": r"(madrigal\.\d+\.\d+)",  # madrigal.3.1_old is another edition.
    "palestrina": r"\w+?_(\d+)",  # Kyrie_27_a is a section of mass 27.
    "schumann_clara": r"(polonaise_op1)",
}
# Collections by name: what the keys of their pieces begin with, as a regular expression.
COLLECTIONS = {
    "airds_airs": r"airdsAirs/",
    "bach_chorales": r"bach/(?!bwv846\.)",  # BWV 846 is a prelude for keyboard.
    "essen_folksong": r"essenFolksong/",
    "oneills_1850": r"oneills1850/",
    "quartets": r"haydn/|mozart/k(80|155|156|458)/|beethoven/|schumann_robert/opus41",
    "ryans_mammoth": r"ryansMammoth/",
    "songs": r"schubert/|schumann_robert/opus48|beach/|handel/|verdi/|webern/|johnson_j_r/|"
    r"leadSheet/|liliuokalani/",
}
ABC_FOLDERS = {"airdsAirs", "essenFolksong", "oneills1850", "ryansMammoth"}
DEFAULT_COMPOSERS = ("bach", "haydn", "mozart", "beethoven", "schumann_robert", "schumann_clara")
DEFAULT_WORKS = 100
SUFFIXES = (".mxl", ".xml", ".musicxml", ".krn", ".abc")  # The first of a score is taken.
COPIES = {  # Also there as:
    "bach/bwv197.7-a.mxl",  # bwv398.mxl, in another key.
    "schumann_robert/dichterliebe_no2.xml",  # opus48no2.mxl.
}


@dataclasses.dataclass(frozen=True)
class Source(source.Notation, source.Source):
    """The music21 corpus: some composers and how many pieces of each, or a collection."""

    name: ClassVar[str] = "corpus"
    licence: ClassVar[str] = (
        "per score: free of copyright or licensed for use, some without commercial use; "
        "see corpus/license.txt of music21"
    )
    citation: ClassVar[str] = (
        "M. S. Cuthbert and C. Ariza, music21: a toolkit for computer-aided musicology and "
        "symbolic music data, ISMIR 2010"
    )
    homepage: ClassVar[str] = "https://www.music21.org"
    pieces_per_task: ClassVar[int] = 1

    collection: Literal[
        "by_composer",
        "airds_airs",
        "bach_chorales",
        "essen_folksong",
        "oneills_1850",
        "quartets",
        "ryans_mammoth",
        "songs",
    ] = flag(
        default="by_composer",
        help="part of the corpus to take: by_composer are the pieces of --composer, up to "
        "--works_per_composer; else a whole collection",
    )
    composer: tuple[str, ...] = flag(
        default=DEFAULT_COMPOSERS,
        help="composers to take, separated by commas, as the corpus names its folders; or all",
    )
    works_per_composer: int | None = flag(
        default=DEFAULT_WORKS,
        help="most pieces per composer, always the same choice, spread over the works",
        at_least=1,
    )
    largest_megabytes: float = flag(
        default=6.0,
        help="largest score, MB of MusicXML; larger ones, such as whole quartets in one file, take "
        "longest to parse and are left out",
        above=0,
    )
    cache_dir: str = flag(
        default="",
        help=f"directory of parsed scores; by default {DEFAULT_IN_WORDS}",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        unknown = sorted(set(self.composer) - set(GENRES) - {"all"})
        if unknown or not self.composer:
            raise ValueError(
                f"the corpus has no composer {', '.join(unknown) or 'of that name'}; --composer "
                f"takes all, or some of {', '.join(sorted(GENRES))}"
            )
        chosen = (self.composer, self.works_per_composer)
        if self.collection != "by_composer" and chosen != (DEFAULT_COMPOSERS, DEFAULT_WORKS):
            raise ValueError(
                f"--collection={self.collection} takes all of it, and --composer and "
                "--works_per_composer would choose from it; leave them or the collection out"
            )

    def flags(self) -> dict[str, Any]:
        """See `source.Source.flags`; the cache does not change which music comes out."""
        return {name: value for name, value in super().flags().items() if name != "cache_dir"}

    def pieces(self) -> list[Piece]:
        """Lists the chosen pieces from the names of the files. See `source.Source.pieces`."""
        if self.collection != "by_composer":
            return self._pieces_of_collection()
        composers = sorted(GENRES) if "all" in self.composer else sorted(set(self.composer))
        listed = []
        for composer in composers:
            found = {
                piece.key: piece
                for piece in _pieces_of(corpus_root(), composer)
                if piece.size_bytes <= self.largest_megabytes * 1e6
            }
            chosen = spread_sample(found, self.works_per_composer)
            listed += [found[key] for key in chosen]
        if not listed:
            raise ValueError(
                f"no score of {', '.join(composers)} is as small as "
                f"--largest_megabytes={self.largest_megabytes}; give a larger number"
            )
        return sorted(listed, key=lambda piece: piece.key)

    def _pieces_of_collection(self) -> list[Piece]:
        pattern = re.compile(COLLECTIONS[self.collection])
        return sorted(
            (
                piece
                for composer in GENRES
                for piece in _pieces_of(corpus_root(), composer)
                if pattern.match(piece.key) and piece.size_bytes <= self.largest_megabytes * 1e6
            ),
            key=lambda piece: piece.key,
        )

    def read_counted(self, piece: Piece) -> Reading:
        """Reads a piece from the cache, or from the corpus into the cache."""
        if piece.path.endswith(".abc"):
            return _named(abc_notation.read(piece.path, piece.number, self.plays_repeats), piece)
        path = self.cached(piece)
        reading = score_cache.read(path)
        if reading is None:
            reading = parse(piece, self.plays_repeats)
            score_cache.write(path, reading)
        return reading

    def cached(self, piece: Piece) -> Path:
        """The file in the cache that holds the parsed piece, when it has been parsed."""
        folder = cache_folder(self.cache_dir) / f"corpus-{piece.fingerprint}-{self.repeats}"
        return folder / f"{piece.key}.score"


def corpus_root() -> Path:
    """The folder of the scores, inside the installed music21; music21 is not imported."""
    found = importlib.util.find_spec("music21")
    if found is None or found.origin is None:
        raise ValueError("music21, whose corpus this is, is not installed; run: run/setup.sh")
    return Path(found.origin).parent / "corpus"


def _pieces_of(root: Path, composer: str) -> Iterator[Piece]:
    """Lists the pieces of a composer's folder: one per file, or one per tune of an ABC file."""
    version = f"music21-{importlib.metadata.version('music21')}-reader-{READER_VERSION}"
    for path in _one_encoding_each(root, composer):
        place = path.relative_to(root).as_posix()
        for number in _tunes(path):
            yield Piece(
                key=place if number is None else f"{place}#{number}",
                group=_group(composer, path.relative_to(root / composer)),
                composer=composer,
                genre=GENRES[composer],
                title=path.stem if number is None else f"{path.stem} {number}",
                licence=Source.licence,
                path=str(path),
                number=number,
                size_bytes=_score_bytes(path),
                fingerprint=version,
            )


def _score_bytes(path: Path) -> int:
    """The bytes of a score, unpacked."""
    if path.suffix != ".mxl":
        return path.stat().st_size
    with zipfile.ZipFile(path) as packed:
        return sum(member.file_size for member in packed.infolist())


def _one_encoding_each(root: Path, composer: str) -> list[Path]:
    """Lists the scores of a folder; of two encodings of a score, the first of SUFFIXES."""
    chosen: dict[Path, Path] = {}
    for suffix in SUFFIXES:
        for path in sorted((root / composer).rglob(f"*{suffix}")):
            if path.relative_to(root).as_posix() not in COPIES:
                chosen.setdefault(path.with_suffix("") if suffix != ".abc" else path, path)
    return sorted(chosen.values())


def _group(composer: str, place: Path) -> str:
    """The work that a file belongs to; "" for folk tunes, whose files are mere volumes."""
    return "" if composer in ABC_FOLDERS else f"{composer}/{_work(composer, place)}"


def _work(composer: str, place: Path) -> str:
    """The work a file belongs to: its folder where there is one, else by the file's name."""
    if len(place.parts) > 1:
        return place.parts[0]
    found = re.match(WORKS.get(composer, r"(.+)"), place.stem)
    return found.group(1) if found else place.stem


def _tunes(path: Path) -> list[int | None]:
    """The tune numbers of an ABC file of several; [None] for a file that is one score."""
    if path.suffix != ".abc":
        return [None]
    numbers = abc_files.tune_numbers(path)
    return [*numbers] if len(numbers) > 1 else [None]


# Reading.


def parse(piece: Piece, plays_repeats: bool = True) -> Reading:
    """Parses a piece. ValueError where it cannot be read or has no notes."""
    return _named(notation.read(piece.path, plays_repeats), piece)


def _named(reading: Reading, piece: Piece) -> Reading:
    """Gives a reading that has notes, its Score under the title and composer of the piece."""
    score = with_notes(reading).score
    score = dataclasses.replace(score, title=score.title or piece.title, composer=piece.composer)
    return dataclasses.replace(reading, score=score)
