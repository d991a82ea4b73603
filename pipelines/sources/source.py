"""Source and Piece: where music comes from, one file a collection.

A source lists its pieces cheaply and reads one of them at a time. `read` runs in worker
processes, so a source is a frozen dataclass that can be pickled and imports neither
TensorFlow nor anything slow before it must.
"""

from __future__ import annotations

import abc
import dataclasses
import importlib
import pkgutil
from typing import Any, ClassVar

from pipelines.score import Score
from pipelines.settings import Settings

UNKNOWN = "unknown"  # Composer or genre of a piece whose place in the collection does not tell.


@dataclasses.dataclass(frozen=True, slots=True)  # A list of a million is kept.
class Piece:
    """One piece of a collection: what is known of it before it is read.

    Attributes:
      key: stable name, unique in its source; the same on every machine.
      group: pieces of one group fall in the same split; "" where only the notes can tell,
        and the digest of the notes is taken.
      composer, genre: names; `UNKNOWN` where the collection does not say.
      title: the collection's name for it; a title inside the file goes before it.
      licence: of this piece.
      path: the file to read.
      number: the tune to read from a file of several; None where it holds one.
      size_bytes: of the file; what reading it costs, roughly.
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


def with_notes(score: Score) -> Score:
    """Gives the Score itself. ValueError where it has no notes, as `Source.read` promises."""
    if not len(score.notes):
        raise ValueError("it has no notes")
    return score


class SourceError(OSError):
    """What stops all reading, such as a full disk: not the fault of one piece."""


class Source(Settings, abc.ABC):
    """A collection of music. Subclasses are named `Source`, one a file; fields are flags.

    Attributes:
      name: the name of its file, and the value of --source.
      licence, citation, homepage: of the collection as a whole.
      pieces_per_task: pieces a worker process takes at once; more where one is quick.
      download_bytes: what `fetch` gets at most; None where nobody knows.
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
        """Downloads, verifies and unpacks what is not here yet; does nothing where all is.

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
          ValueError: nothing to read there, or a flag names what the source does not have.
        """

    @abc.abstractmethod
    def read(self, piece: Piece) -> Score:
        """Reads one piece.

        Raises:
          ValueError, OSError: its file cannot be taken; the piece is skipped.
          SourceError: no piece can be taken.
        """

    def flags(self) -> dict[str, Any]:
        """The flags that decide which music comes out, as plain JSON values."""
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in dataclasses.asdict(self).items()  # type: ignore[call-overload]
        }


def source_names() -> list[str]:
    """Lists the sources, from the files beside this one."""
    package = importlib.import_module("pipelines.sources")
    return sorted(m.name for m in pkgutil.iter_modules(package.__path__) if m.name != "source")


def source_class(name: str) -> type[Source]:
    """Finds a source by the name of its file. ValueError names those there are."""
    if name not in source_names():
        raise ValueError(
            f"there is no source {name!r}; the sources are: {', '.join(source_names())}"
        )
    return importlib.import_module(f"pipelines.sources.{name}").Source
