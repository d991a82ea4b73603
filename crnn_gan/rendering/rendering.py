"""Score -> files beside it: piano roll, sound, sheet music and its picture."""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

from crnn_gan.rendering import engraving, sheet_music, sound
from pipelines.atomic_file import open_atomically, write_atomically
from pipelines.score import Score
from pipelines.settings import UsageError, flag

KINDS = {
    "png": "a piano roll",
    "wav": "sound",
    "musicxml": "sheet music",
    "score": "a picture of the sheet music, SVG",
}
SUFFIXES = {"png": ".png", "wav": ".wav", "musicxml": ".musicxml", "score": ".svg"}


@dataclasses.dataclass(frozen=True)
class RenderFlags:
    """What else to make of each piece."""

    render: tuple[str, ...] = flag(
        (),
        "files to write beside each MIDI file, one or several of "
        + ", ".join(f"{kind} ({what})" for kind, what in KINDS.items()),
    )
    renderer: Literal["fluidsynth", "additive"] = flag(
        "fluidsynth",
        "of wav; fluidsynth: needs the extra 'audio', the library of that name, and a "
        "soundfont; additive: a piano of sines, of this project",
    )
    soundfont: str = flag("", "an SF2 file, for renderer=fluidsynth")

    def require_possible(self) -> None:
        """Raises UsageError where a kind is unknown or what it needs is not here."""
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
    """What became of a piece.

    Attributes:
      files: {kind: files that were written}; of a score, a file a page.
      reasons: {kind: why there is no file}.
      lost: {kind: {what of the piece its file does not hold, in words: how many}}.
    """

    files: dict[str, tuple[Path, ...]]
    reasons: dict[str, str]
    lost: dict[str, dict[str, int]]


def render(score: Score, stem: Path, flags: RenderFlags) -> Rendered:
    """Writes the files of a piece, each whole or not at all.

    Args:
      score: any.
      stem: of the files' names, to which suffixes are added; also the title of a Score
        without one. The further pages of a picture are called STEM-2.svg, STEM-3.svg.
      flags: the kinds of files, and how sound is made; `require_possible` was called.

    Returns:
      The files, and in words what was not possible.

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
    del flags  # A roll is a roll.
    from crnn_gan.rendering import piano_roll_plot

    piano_roll_plot.save_png(score, path, path.stem)
    return {}


def _write_sound(score: Score, path: Path, flags: RenderFlags) -> dict[str, int]:
    samples = sound.sound_of(score, flags.renderer, flags.soundfont)
    with open_atomically(path) as file:
        sound.write_wav(samples, file)
    drums = int(score.notes["is_drum"].sum()) if flags.renderer == "additive" else 0
    return {"drum notes left out": drums} if drums else {}


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
    """Says in words what was written of several pieces, and what was not: a line each."""
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
