"""Links in web pages: to MIDI files, and to the pages of frames."""

from __future__ import annotations

import dataclasses
import re
import urllib.parse
from html.parser import HTMLParser

from pipelines.formats.reading import MIDI_SUFFIXES


@dataclasses.dataclass(frozen=True)
class Links:
    """Links of a page, as absolute addresses, each once, in the order of the page.

    Attributes:
      music: MIDI files.
      frames: pages that are part of it, or that it sends the reader on to.
    """

    music: tuple[str, ...]
    frames: tuple[str, ...]


def links_in(page: str, address: str) -> Links:
    """Reads the links of a page.

    Args:
      page: HTML, however broken.
      address: of the page; what relative links start from, unless the page has a <base>.
    """
    parser = _LinkParser(address)
    parser.feed(page)
    parser.close()
    music = [url for url in map(parser.whole, parser.links) if url and is_midi(url)]
    frames = [url for url in map(parser.whole, parser.frames) if url and not is_midi(url)]
    return Links(_each_once(music), _each_once(frames))


def is_midi(url: str) -> bool:
    """Tells whether an address names a MIDI file, in whatever case, before any query."""
    path = urllib.parse.unquote(urllib.parse.urlsplit(url).path)
    return path.lower().endswith(MIDI_SUFFIXES)


def same_file(url: str) -> str:
    """Gives a name that addresses of one file share: host and path, without http or https."""
    parts = urllib.parse.urlsplit(url)
    return f"{parts.netloc.lower()}{parts.path}" + (f"?{parts.query}" if parts.query else "")


def _each_once(urls: list[str]) -> tuple[str, ...]:
    first = {same_file(url): url for url in reversed(urls)}
    return tuple(url for url in dict.fromkeys(urls) if first[same_file(url)] == url)


class _LinkParser(HTMLParser):
    def __init__(self, address: str) -> None:
        super().__init__()
        self.base = address
        self.links: list[str] = []
        self.frames: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        if tag == "base" and values.get("href"):
            self.base = urllib.parse.urljoin(self.base, values["href"].strip())
        elif tag in ("a", "area") and values.get("href"):
            self.links.append(values["href"])
        elif tag in ("embed", "bgsound", "audio", "source") and values.get("src"):
            self.links.append(values["src"])
        elif tag in ("frame", "iframe") and values.get("src"):
            self.frames.append(values["src"])
        elif tag == "meta" and values.get("http-equiv", "").lower() == "refresh":
            found = re.search(r"url\s*=\s*['\"]?([^'\"]+)", values.get("content", ""), re.I)
            if found:
                self.frames.append(found.group(1))

    def whole(self, link: str) -> str:
        """Gives the whole address of a link, spaces quoted; "" where it is none of the web's."""
        cleaned = re.sub(r"[\r\n\t]", "", link).strip().replace("\\", "/")
        try:
            parts = urllib.parse.urlsplit(urllib.parse.urljoin(self.base, cleaned))
        except ValueError:  # Such as an IPv6 address that is not closed.
            return ""
        if parts.scheme not in ("http", "https") or not parts.netloc:
            return ""
        path = urllib.parse.quote(parts.path, safe="/%:@!$&'()*+,;=~-._")
        return urllib.parse.urlunsplit(parts._replace(path=path, fragment=""))
