"""Score -> files: piano roll, sound, sheet music, engraved sheet music."""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

from crnn_gan.rendering import engraving, sheet_music, sound
from pipelines.atomic_file import open_atomically, write_atomically
from pipelines.score import Score
from pipelines.settings import Settings, UsageError, flag

KINDS = {
    "png": "a piano roll",
    "wav": "sound",
    "musicxml": "sheet music",
    "score": "engraved sheet music, SVG",
}
SUFFIXES = {"png": ".png", "wav": ".wav", "musicxml": ".musicxml", "score": ".svg"}


@dataclasses.dataclass(frozen=True)
class RenderFlags(Settings):
    """Further files of each piece."""

    render: tuple[str, ...] = flag(
        (),
        "files to write next to each MIDI file, one or several of "
        + ", ".join(f"{kind} ({what})" for kind, what in KINDS.items()),
    )
    renderer: Literal["fluidsynth", "additive"] = flag(
        "fluidsynth",
        "synthesizer of wav; fluidsynth: needs the extra 'audio', the system library and a "
        "soundfont; additive: additive synthesis of a piano, needs nothing",
    )
    soundfont: str = flag("", "soundfont file (SF2), for renderer=fluidsynth")

    def require_possible(self) -> None:
        """Raises UsageError where a kind is unknown or its dependencies are missing."""
        for kind in self.render:
            if kind not in KINDS:
                raise UsageError(f"--render={kind}: give one or several of {', '.join(KINDS)}")
        try:
            if "wav" in self.render:
                sound.require_renderer(self.renderer, self.soundfont)
            if "score" in self.render:
                engraving.require_verovio()
        except ValueError as error:
            raise UsageError(f"--render={','.join(self.render)}: {error}") from None


@dataclasses.dataclass(frozen=True)
class Rendered:
    """The files of a piece.

    Attributes:
      files: {kind: files written}; of a score, one per page.
      reasons: {kind: why there is no file}.
      lost: {kind: {kind of loss in words: count}}, of what the file cannot hold.
    """

    files: dict[str, tuple[Path, ...]]
    reasons: dict[str, str]
    lost: dict[str, dict[str, int]]


def render(score: Score, stem: Path, flags: RenderFlags) -> Rendered:
    """Writes the files of a piece, each atomically.

    Args:
      score: any.
      stem: path without suffix; its name is also the title of a Score without one.
        Further pages of a score are STEM-2.svg, STEM-3.svg.
      flags: the kinds of files, and how sound is made; `require_possible` was called.

    Returns:
      The files, and the reasons for missing ones.

    Raises:
      OSError: a file cannot be written.
    """
    rendered = Rendered({}, {}, {})
    music: sheet_music.SheetMusic | None = None
    for kind in flags.render:
        path = stem.with_name(stem.name + SUFFIXES[kind])
        try:
            if kind in ("musicxml", "score"):
                music = music or sheet_music.to_musicxml(score, stem.name)
                rendered.files[kind] = _write_sheet_music(kind, music, path)
                lost = music.lost
            else:
                write = _write_roll if kind == "png" else _write_sound
                lost = write(score, path, flags)
                rendered.files[kind] = (path,)
        except ValueError as error:
            rendered.reasons[kind] = str(error)
            continue
        if lost:
            rendered.lost[kind] = lost
    return rendered


def _write_roll(score: Score, path: Path, flags: RenderFlags) -> dict[str, int]:
    del flags  # A piano roll has none.
    from crnn_gan.rendering import piano_roll_plot

    piano_roll_plot.save_png(score, path, path.stem)
    return {}


def _write_sound(score: Score, path: Path, flags: RenderFlags) -> dict[str, int]:
    samples = sound.sound_of(score, flags.renderer, flags.soundfont)
    with open_atomically(path) as file:
        sound.write_wav(samples, file)
    drums = int(score.notes["is_drum"].sum()) if flags.renderer == "additive" else 0
    return {"drum notes omitted": drums} if drums else {}


def _write_sheet_music(kind: str, music: sheet_music.SheetMusic, path: Path) -> tuple[Path, ...]:
    if kind == "musicxml":
        write_atomically(path, music.musicxml)
        return (path,)
    pages = engraving.engraved(music.musicxml)
    paths = [path, *(path.with_stem(f"{path.stem}-{n}") for n in range(2, len(pages) + 1))]
    for page_path, page in zip(paths, pages, strict=True):
        write_atomically(page_path, page)
    return tuple(paths)


def account(pieces: Sequence[Rendered]) -> Iterator[str]:
    """Summarises the files of several pieces, one line each: written, missing, lost."""
    kinds = dict.fromkeys(kind for piece in pieces for kind in (*piece.files, *piece.reasons))
    for kind in kinds:
        written = sum(kind in piece.files for piece in pieces)
        yield f"{kind}: {written} of {len(pieces)} pieces written"
        reasons = collections.Counter(
            piece.reasons[kind] for piece in pieces if kind in piece.reasons
        )
        for reason, count in reasons.most_common():
            yield f"{kind}: {count} not written: {reason}"
        lost: collections.Counter[str] = collections.Counter()
        for piece in pieces:
            lost.update(piece.lost.get(kind, {}))
        for what, count in lost.items():
            yield f"{kind}: {count} {what}"
