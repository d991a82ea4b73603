"""bach_student_corpus: 520 pieces of Bach, transposed by students for a course project.

Only its MIDI files (`transposed_*.mid`) are read; its text of four characters per 16th is
what the codec `sixteenths` makes of them.
"""

from __future__ import annotations

import dataclasses
from pathlib import PurePosixPath
from typing import ClassVar

from pipelines.collection import Collection
from pipelines.music_archives import Archive


@dataclasses.dataclass(frozen=True)
class Source(Collection):
    """The Bach corpus of a student project, got by hand."""

    name: ClassVar[str] = "bach_student_corpus"
    licence: ClassVar[str] = "none: the repository has no licence file; do not redistribute"
    citation: ClassVar[str] = "github.com/jalbi/CIS419-Project, revision 4de6f75"
    homepage: ClassVar[str] = "https://github.com/jalbi/CIS419-Project"
    by_hand: ClassVar[str] = (
        "see whether you may use it; take the folder midi_files of the repository, or the .zip "
        "that its page offers of all."
    )
    genre: ClassVar[str] = "baroque"
    archives: ClassVar[tuple[Archive, ...]] = (Archive(name="", root="midi_files", pieces=520),)

    def described(self, place: PurePosixPath) -> dict[str, str]:
        """See `Collection.described`."""
        return {"composer": "bach", "title": place.stem.removeprefix("transposed_")}
