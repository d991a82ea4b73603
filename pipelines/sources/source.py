"""Source and Piece: collections of music, one file each.

A source lists its pieces cheaply and reads one at a time. `read` runs in worker
processes, so a source is a frozen dataclass that can be pickled and imports neither
TensorFlow nor anything slow before it must.
"""

from __future__ import annotations

import abc
import dataclasses
import importlib
import pkgutil
from typing import Any, ClassVar, Literal

from pipelines.reading_result import Reading
from pipelines.score import Score
from pipelines.settings import Settings, flag

UNKNOWN = "unknown"  # Composer or genre of a piece for which the collection does not say.


@dataclasses.dataclass(frozen=True, slots=True)  # A list of a million is kept.
class Piece:
    """A piece of a collection, as it is known before it is read.

    Attributes:
      key: stable name, unique in its source; the same on every machine.
      group: pieces of one group, such as the movements of a work, fall in the same split; ""
        where the collection does not say: then `Score.notes_digest` is the group.
      composer, genre: names; `UNKNOWN` where the collection does not say.
      title: the collection's name for it; a title inside the file goes before it.
      licence: of this piece.
      path: the file to read.
      number: the tune to read from a file of several; None where it holds one.
      size_bytes: of the file, as a rough cost of reading it.
      fingerprint: changes when the file does.
      split: "train", "validation" or "test" where the collection publishes one, else "".
    """

    key: str
    group: str
    composer: str
    genre: str
    title: str
    licence: str
    path: str
    number: int | None = None
    size_bytes: int = 0
    fingerprint: str = ""
    split: str = ""


def with_notes(reading: Reading) -> Reading:
    """Gives the reading itself. ValueError where it has no notes, as `Source.read` promises."""
    if not len(reading.score.notes):
        raise ValueError("it has no notes")
    return reading


class SourceError(OSError):
    """A failure that stops all reading, such as a full disk: not the fault of one piece."""


class Source(Settings, abc.ABC):
    """Base class of collections of music. One per file, named `Source`; fields are flags.

    Attributes:
      name: the name of its file, and the value of --source.
      licence, citation, homepage: of the collection as a whole.
      pieces_per_task: pieces that a worker process takes at once; more where reading is quick.
      download_bytes: size of the download at most; None where it is not known.
      by_hand: how to get it, where no address is stable or no licence clear; else "".
    """

    name: ClassVar[str]
    licence: ClassVar[str]
    citation: ClassVar[str]
    homepage: ClassVar[str]
    pieces_per_task: ClassVar[int] = 32
    download_bytes: ClassVar[int | None] = 0
    by_hand: ClassVar[str] = ""

    def fetch(self) -> None:
        """Downloads, verifies and unpacks what is missing; does nothing if nothing is.

        Raises:
          OSError: an address does not answer or sends something else, or the disk is full.
          ValueError: it must be got by hand; the text says how, and where to put it.
        """

    def is_present(self) -> bool:
        """Tells whether `pieces` would need no download."""
        return True

    @abc.abstractmethod
    def pieces(self) -> list[Piece]:
        """Lists the pieces that the flags choose, sorted by key.

        Raises:
          ValueError: there is nothing to read, or a flag names what the source does not have.
        """

    @abc.abstractmethod
    def read_counted(self, piece: Piece) -> Reading:
        """Reads one piece; gives its Score, and counts of what of the file is not in it.

        Raises:
          ValueError, OSError: its file cannot be read; the piece is skipped.
          SourceError: no piece can be read.
        """

    def read(self, piece: Piece) -> Score:
        """Reads one piece. See `read_counted`."""
        return self.read_counted(piece).score

    def flags(self) -> dict[str, Any]:
        """The flags that decide which music comes out, as JSON values."""
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in dataclasses.asdict(self).items()  # type: ignore[call-overload]
        }


@dataclasses.dataclass(frozen=True)
class Notation(Settings):
    """What sources of notation have to set: a file of MIDI is played, a score has to be."""

    repeats: Literal["played", "once"] = flag(
        "played",
        "repeats, endings and jumps of ABC, MusicXML and kern: played, as the music sounds; once, "
        "each passage as it stands on the page",
    )

    @property
    def plays_repeats(self) -> bool:
        """Whether repeats are played."""
        return self.repeats == "played"


def source_names() -> list[str]:
    """Lists the names of the sources: of the files beside this one."""
    package = importlib.import_module("pipelines.sources")
    return sorted(m.name for m in pkgutil.iter_modules(package.__path__) if m.name != "source")


def source_class(name: str) -> type[Source]:
    """Gives the source of a name. ValueError, which lists all names, where there is none."""
    if name not in source_names():
        raise ValueError(
            f"there is no source {name!r}; the sources are: {', '.join(source_names())}"
        )
    return importlib.import_module(f"pipelines.sources.{name}").Source
