"""Renders MIDI files: piano rolls, sound, sheet music and its pictures."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Iterator
from pathlib import Path

from crnn_gan.rendering.rendering import RenderFlags, account, render
from pipelines.command_line import parse, run_command
from pipelines.formats import midi
from pipelines.formats.reading import MIDI_SUFFIXES
from pipelines.leftovers import remove_leftovers
from pipelines.music_files import files_below
from pipelines.settings import UsageError, flag

USAGE = """python -m crnn_gan.render --midi=FILE | --midi_dir=DIR --render=png,wav,musicxml,score

Writes NAME.png, NAME.wav, NAME.musicxml and NAME.svg for each NAME.mid, beside it or below
--out_dir. What each kind loses, and what it needs, is in docs/rendering.md."""


@dataclasses.dataclass(frozen=True)
class Flags:
    """What to render, and where it goes."""

    midi: str = flag("", "a MIDI file")
    midi_dir: str = flag("", "a folder of MIDI files, at any depth")
    out_dir: str = flag("", "folder for what is written, made if it is missing; by default beside")


def main(argv: list[str]) -> None:
    """Renders by a command line, and prints a line per piece.

    Raises:
      ValueError: no file could be read.
    """
    flags, wanted = parse(argv, USAGE, Flags, RenderFlags)
    if not wanted.render:
        raise UsageError("say what to make: --render=png,wav,musicxml,score, or some of them")
    wanted.require_possible()
    places = list(_places(flags))
    for folder in {stem.parent for _, stem in places}:
        remove_leftovers(folder)
    pieces, unread = [], 0
    for path, stem in places:
        try:
            score = midi.read_score(path)
        except midi.MidiError as error:
            print(f"{path}: not read: {error}", flush=True)
            unread += 1
            continue
        stem.parent.mkdir(parents=True, exist_ok=True)
        pieces.append(render(score, stem, wanted))
        print(f"{stem}: {', '.join(pieces[-1].files) or 'nothing written'}", flush=True)
    print(*account(pieces), sep="\n")
    if unread:
        print(f"{unread} file{'' if unread == 1 else 's'} not read")
    if not pieces:
        raise ValueError("no file could be read")


def _places(flags: Flags) -> Iterator[tuple[Path, Path]]:
    """Gives (MIDI file, stem of what is written of it).

    Raises:
      UsageError: there are no files, or two would be written to one place.
    """
    if bool(flags.midi) == bool(flags.midi_dir):
        raise UsageError("give either --midi or --midi_dir")
    folder = Path(flags.midi_dir) if flags.midi_dir else Path(flags.midi).parent
    files = sorted(files_below(folder, MIDI_SUFFIXES)) if flags.midi_dir else [Path(flags.midi)]
    if not files:
        raise UsageError(f"{folder}: no file that ends in {', '.join(MIDI_SUFFIXES)}")
    out_dir = Path(flags.out_dir) if flags.out_dir else folder
    stems = [out_dir / file.relative_to(folder).with_suffix("") for file in files]
    first = dict(zip(reversed(stems), reversed(files), strict=True))
    for file, stem in zip(files, stems, strict=True):
        if first[stem] != file:
            raise UsageError(f"{first[stem]} and {file} would be written to one place; rename one")
    yield from zip(files, stems, strict=True)


def run() -> int:
    """Runs the command; gives its exit status."""
    return run_command(main, lambda argv: "the files that were written stay")


if __name__ == "__main__":
    sys.exit(run())
