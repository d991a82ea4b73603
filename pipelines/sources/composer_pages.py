"""composer_pages: the MIDI files that the original C-RNN-GAN was trained on.

They are linked from 171 index pages of 154 composers (`pipelines/composer_page_list.py`).
Links are taken absolute and relative, with http and https, in any case, from frames too.
Pages and files that do not come do not stop the others. Those whose server refuses them (404,
410, 403, or something else in place of a MIDI file) are dead: counted, named in
`dead_links.tsv` beside the music, and not asked for again until that file is deleted. Those
that fail in another way, or whose host failed too often, are counted, named in
`failed_links.tsv`, and asked for again in the next run. What was got before is not asked for
again. One connection at a time, with a pause.

Files got by hand go in folders named after their composers: --path takes the folder of those.
"""

from __future__ import annotations

import dataclasses
import hashlib
import re
import sys
import time
import urllib.parse
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any, ClassVar

from pipelines.atomic_file import write_atomically
from pipelines.collection import Collection
from pipelines.composer_page_list import PAGES
from pipelines.downloads import web_pages
from pipelines.downloads.known_file import DeadAddressError, DownloadError
from pipelines.downloads.web_links import links_in, same_file
from pipelines.leftovers import remove_leftovers
from pipelines.music_archives import Archive, Place
from pipelines.music_files import files_below
from pipelines.settings import flag
from pipelines.sources.source import Piece
from pipelines.split import spread_sample, unit_hash

DEAD = "dead_links.tsv"
FAILED = "failed_links.tsv"  # Of the last run; nothing reads it.
LARGEST_PAGE_BYTES, LARGEST_FILE_BYTES = 4 << 20, 16 << 20
MOST_FRAMES = 20  # Of one index page, frames of frames included.
GIVEN_UP_AFTER = 10  # Failures of a host in a row; to say that a file is not there is none.


@dataclasses.dataclass(frozen=True)
class Source(Collection):
    """The index pages of the original C-RNN-GAN: which composers, how many pieces."""

    name: ClassVar[str] = "composer_pages"
    licence: ClassVar[str] = "none stated: sequenced by many hands; do not redistribute"
    citation: ClassVar[str] = (
        "O. Mogren, C-RNN-GAN: continuous recurrent neural networks with adversarial training, "
        "NIPS workshop on constructive machine learning, 2016"
    )
    homepage: ClassVar[str] = "https://github.com/olofmogren/c-rnn-gan"
    download_bytes: ClassVar[int | None] = None  # The original's copy had 94 MB in 3,029 files.
    genre: ClassVar[str] = "classical"
    archives: ClassVar[tuple[Archive, ...]] = (Archive(name=""),)
    pages: ClassVar[tuple[tuple[str, str], ...]] = PAGES

    composer: tuple[str, ...] = flag(
        default=("all",),
        help="composers to take, separated by commas, as the original C-RNN-GAN named its folders; "
        "or all",
    )
    works_per_composer: int | None = flag(
        default=None,
        help="most pieces per composer, always the same choice; by default all",
        at_least=1,
    )
    pause_seconds: float = flag(
        default=0.5, help="pause between two requests to web servers, seconds", at_least=0
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        known = {composer for composer, _ in self.pages}
        unknown = sorted(set(self.composer) - known - {"all"})
        if unknown or not self.composer:
            raise ValueError(
                f"there is no page of {', '.join(unknown) or 'nobody'}; --composer takes all, or "
                f"some of {', '.join(sorted(known))}"
            )

    def flags(self) -> dict[str, Any]:
        """See `source.Source.flags`; the pause does not change which music comes out."""
        return {name: value for name, value in super().flags().items() if name != "pause_seconds"}

    def wanted_pages(self) -> list[tuple[str, str]]:
        """The (composer, address) that the flags choose."""
        return [page for page in self.pages if {page[0], "all"} & set(self.composer)]

    def fetch(self) -> None:
        """Gets what is not here yet. See `source.Source.fetch`.

        Raises:
          OSError: not one page could be read, or the disk is full.
        """
        if self.path:
            return super().fetch()
        visit = _Visit(self.home, self.pause_seconds)
        of_composer: dict[str, dict[str, str]] = {}  # {composer: {file: address of the file}}
        for composer, address in self.wanted_pages():
            found = of_composer.setdefault(composer, {})
            for url in visit.links(composer, address):
                found.setdefault(_file_name(url), url)
        if not visit.pages_read:
            raise OSError(f"none of the index pages could be read: {visit.last_failure}")
        for composer, files in of_composer.items():
            left = self.works_per_composer or len(files)
            for name in sorted(files, key=lambda name: (unit_hash(name), name)):
                if left and visit.get(composer, files[name], name):
                    left -= 1
        visit.report()

    def is_present(self) -> bool:
        """Tells whether `fetch` would ask the web for nothing."""
        if self.path:
            return super().is_present()
        dead = _read_dead(self.home / DEAD)
        files: dict[str, set[str]] = {}
        for composer, address in self.wanted_pages():
            kept = _read_links(_index_path(self.home, composer, address))
            if kept is None and address not in dead:
                return False
            files.setdefault(composer, set()).update(u for u in kept or () if u not in dead)
        for composer, urls in files.items():
            here = sum(_is_here(self.home, composer, _file_name(url)) for url in urls)
            if here < min(self.works_per_composer or len(urls), len(urls)):
                return False
        return any(files.values())

    def listed(self, here: Place) -> Iterable[Piece]:
        """Lists the files of the chosen composers."""
        of_composer: dict[str, dict[str, Path]] = {}
        for path in files_below(here.path, self.suffixes):
            of_composer.setdefault(path.parent.name, {})[path.name] = path
        for composer, files in of_composer.items():
            if {composer, "all"} & set(self.composer):
                for name in spread_sample(files, self.works_per_composer):
                    yield self.piece(here, files[name], key=f"{composer}/{name}", composer=composer)

    def how_to_get(self, archive: Archive) -> str:
        """See `Collection.how_to_get`."""
        return (
            f"no file of {self.name} is in {self.home}; prepare gets them from the pages, or "
            "--path takes a folder of folders named after their composers"
        )

    def described(self, place: PurePosixPath) -> dict[str, str]:
        """See `Collection.described`."""
        return {"title": re.sub(r"-[0-9a-f]{8}$", "", place.stem)}


class _Visit:
    """One run over the pages, at one request at a time."""

    def __init__(self, home: Path, pause_seconds: float) -> None:
        self.home, self.pause_seconds = home, pause_seconds
        home.mkdir(parents=True, exist_ok=True)
        self.dead = _read_dead(home / DEAD)
        self.failures: dict[str, int] = {}  # Of each host, in a row.
        self.next_request = 0.0
        self.pages_read = self.files_new = self.files_here = 0
        self.last_failure = f"all were dead before, as {home / DEAD} says"
        self.newly_dead = 0
        self.failed: dict[str, tuple[str, str]] = {}  # In this run.

    def links(self, composer: str, address: str) -> tuple[str, ...]:
        """Gives the music that a page links, from the cache where it was read before."""
        index = _index_path(self.home, composer, address)
        links = _read_links(index)
        if links is None:
            links, is_whole = self._read_page(composer, address)
            if links is None:
                return ()
            if is_whole:
                index.parent.mkdir(parents=True, exist_ok=True)
                remove_leftovers(index.parent)
                write_atomically(index, "".join(f"{url}\n" for url in links).encode())
            print(f"{composer}: {len(links)} files on {address}", file=sys.stderr)
        self.pages_read += 1
        return links

    def get(self, composer: str, url: str, name: str) -> bool:
        """Gets one file; tells whether it is here."""
        if _is_here(self.home, composer, name):
            self.files_here += 1
            return True
        content = self._ask(url, composer, lambda: web_pages.fetch_bytes(url, LARGEST_FILE_BYTES))
        if content is None:
            return False
        if not (content[:4] == b"MThd" or (content[:4] == b"RIFF" and content[8:12] == b"RMID")):
            self._bury(url, composer, "it sends something that is no MIDI file")
            return False
        path = self.home / composer / name
        path.parent.mkdir(parents=True, exist_ok=True)
        remove_leftovers(path.parent)
        write_atomically(path, content)
        self.files_new += 1
        return True

    def report(self) -> None:
        """Says what came and what did not."""
        print(f"{self.files_new} files came, {self.files_here} were here before", file=sys.stderr)
        _write_links(self.home / DEAD, self.dead)
        if self.dead:
            print(
                f"note: {len(self.dead)} addresses are dead, {self.newly_dead} of them found "
                f"in this run; {self.home / DEAD} names them (delete it to try them again)",
                file=sys.stderr,
            )
        failed = self.home / FAILED
        failed.unlink(missing_ok=True)
        if self.failed:
            _write_links(failed, self.failed)
            *_, (_, last) = self.failed.values()
            print(
                f"note: {len(self.failed)} addresses failed (the last: {last}); "
                f"{failed} names them, and the next run asks for them again",
                file=sys.stderr,
            )

    def _read_page(self, composer: str, address: str) -> tuple[tuple[str, ...] | None, bool]:
        """Gives the music on a page and its frames; None where the page itself does not come.

        Also tells whether it is all: a frame that failed may have more in the next run.
        """
        music: dict[str, str] = {}
        waiting, seen, is_first = [address], {same_file(address)}, True
        while waiting and len(seen) <= MOST_FRAMES:
            url = waiting.pop(0)
            page = self._ask(
                url, composer, lambda url=url: web_pages.fetch_text(url, LARGEST_PAGE_BYTES)
            )
            if page is None and is_first:
                return None, False
            is_first = False
            links = links_in(page or "", url)
            for link in links.music:
                music.setdefault(same_file(link), link)
            for frame in links.frames:
                if same_file(frame) not in seen:
                    seen.add(same_file(frame))
                    waiting.append(frame)
        return tuple(music.values()), not seen & {same_file(url) for url in self.failed}

    def _ask(self, url: str, composer: str, get: Any) -> Any:
        """Gives what an address gives, politely; None where it is dead or fails."""
        if url in self.dead or url in self.failed:
            return None
        host = urllib.parse.urlsplit(url).netloc.lower()
        if self.failures.get(host, 0) >= GIVEN_UP_AFTER:
            self._fail(url, composer, f"not asked for: {host} failed {GIVEN_UP_AFTER} times before")
            return None
        time.sleep(max(0.0, self.next_request - time.monotonic()))
        try:
            answer = get()
        except DeadAddressError as error:
            answer = None
            self._bury(url, composer, str(error))
        except DownloadError as error:
            self.failures[host] = self.failures.get(host, 0) + 1
            self._fail(url, composer, str(error))
            return None
        finally:
            self.next_request = time.monotonic() + self.pause_seconds
        self.failures[host] = 0
        return answer

    def _bury(self, url: str, composer: str, reason: str) -> None:
        """Notes a dead address, at once on disk if a page was read: a run may be stopped."""
        self.last_failure = reason
        self.dead[url] = (composer, " ".join(reason.split()))
        self.newly_dead += 1
        if self.pages_read:
            _write_links(self.home / DEAD, self.dead)

    def _fail(self, url: str, composer: str, reason: str) -> None:
        """Notes an address that is asked for again in the next run, and not in this one."""
        self.last_failure = reason
        self.failed[url] = (composer, " ".join(reason.split()))


def _index_path(home: Path, composer: str, address: str) -> Path:
    return home / "index" / f"{composer}-{_digest(address)}.txt"


def _read_links(index: Path) -> tuple[str, ...] | None:
    return tuple(index.read_text().split()) if index.is_file() else None


def _write_links(path: Path, links: Mapping[str, tuple[str, str]]) -> None:
    lines = ["address\tcomposer\treason"]
    lines += [f"{url}\t{composer}\t{why}" for url, (composer, why) in links.items()]
    write_atomically(path, ("\n".join(lines) + "\n").encode())


def _read_dead(path: Path) -> dict[str, tuple[str, str]]:
    if not path.is_file():
        return {}
    rows = [line.split("\t") for line in path.read_text().splitlines()[1:]]
    return {row[0]: (row[1], row[2]) for row in rows if len(row) == 3}


def _is_here(home: Path, composer: str, name: str) -> bool:
    return (home / composer / name).is_file()


def _file_name(url: str) -> str:
    """A file name that no two addresses share: letters of the address's own, and a hash."""
    base = PurePosixPath(urllib.parse.unquote(urllib.parse.urlsplit(url).path)).stem
    readable = re.sub(r"[^-_.()A-Za-z0-9]", "", base).lstrip(".")[:80] or "unnamed"
    return f"{readable}-{_digest(same_file(url))}.mid"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]
