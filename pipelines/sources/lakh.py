"""lakh: the Lakh MIDI dataset, collected from the web; popular music for the most part.

Files of the subsets full, matched and aligned are named by the MD5 of their content, which
is their group: a song that occurs in several transcriptions may fall in several splits.
Files of `clean` are named by artist and title, which is their group.
"""

from __future__ import annotations

import dataclasses
import re
from pathlib import PurePosixPath
from typing import ClassVar, Literal

from pipelines.collection import Collection
from pipelines.music_archives import Archive
from pipelines.settings import flag

ADDRESS = "http://hog.ee.columbia.edu/craffel/lmd"  # It does not answer to https.


@dataclasses.dataclass(frozen=True)
class Source(Collection):
    """The Lakh MIDI dataset, in one of its subsets."""

    name: ClassVar[str] = "lakh"
    licence: ClassVar[str] = "CC BY 4.0 for the collection; most songs in it are under copyright"
    citation: ClassVar[str] = (
        "C. Raffel, Learning-based methods for comparing sequences, with applications to "
        "audio-to-MIDI alignment and matching, PhD thesis, Columbia University, 2016"
    )
    homepage: ClassVar[str] = "https://colinraffel.com/projects/lmd/"
    download_bytes: ClassVar[int | None] = 1_768_163_879
    archives: ClassVar[tuple[Archive, ...]] = (
        Archive(
            name="lmd_full.tar.gz",
            urls=(f"{ADDRESS}/lmd_full.tar.gz",),
            sha256="6fcfe2ac49ca08f3f214cec86ab138d4fc4dabcd7f27f491a838dae6db45a12b",
            size_bytes=1_768_163_879,
            edition="full",
            root="lmd_full",
            pieces=178_561,
        ),
        Archive(
            name="lmd_matched.tar.gz",
            urls=(f"{ADDRESS}/lmd_matched.tar.gz",),
            sha256="621ff830aed771f469e5bfa13dc12a33c6ed69090adeda63d0b5c47783af0191",
            size_bytes=1_407_072_670,
            edition="matched",
            root="lmd_matched",
            pieces=116_189,
        ),
        Archive(
            name="lmd_aligned.tar.gz",
            urls=(f"{ADDRESS}/lmd_aligned.tar.gz",),
            sha256="2bf5400e82eba73204644946515489b68811e1e656b0cfd854efc14377f6e53b",
            size_bytes=272_169_548,
            edition="aligned",
            root="lmd_aligned",
        ),
        Archive(
            name="clean_midi.tar.gz",
            urls=(f"{ADDRESS}/clean_midi.tar.gz",),
            sha256="de1bb64cbc0cf35545a05b5c3e786aa6890cfa144edffc4b827ff41bf8c33dc5",
            size_bytes=234_283_029,
            edition="clean",
            root="clean_midi",
            pieces=17_256,
        ),
    )

    subset: Literal["full", "matched", "aligned", "clean"] = flag(
        default="clean",
        help="subset of the Lakh MIDI dataset: clean has files named by artist and title; matched "
        "and aligned belong to songs of the Million Song Dataset",
    )

    def edition(self) -> str:
        """See `Collection.edition`."""
        return self.subset

    def described(self, place: PurePosixPath) -> dict[str, str]:
        """See `Collection.described`."""
        if self.subset != "clean":
            return {"group": f"md5: {place.stem.lower()}"}
        artist = place.parts[0]
        title = re.sub(r"\.\d+$", "", place.stem)  # Title.1.mid is another file of Title.mid.
        return {
            "composer": artist,
            "title": title,
            "group": f"{artist.casefold()}: {title.casefold()}",
        }
