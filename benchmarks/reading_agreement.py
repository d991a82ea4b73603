"""How far independent readers agree with ours on real files: one table of all formats.

MIDI against a sequencer written out with mido, ABC against abc2midi, MusicXML and kern against
verovio: onsets, pitches and lengths, of MIDI also velocities, programs and pedals; of ABC with
repeats, of MusicXML and kern without. What the others do otherwise, and why, stands in
docs/data.md; each line here is printed in full by a benchmark of its own (`agreement_midi.py`,
`agreement_abc.py`, `agreement_notation.py`).

    python benchmarks/reading_agreement.py [--path=../shared/data] [--files=200]

A reader that is not installed is named, and its format left out.
"""

from __future__ import annotations

import dataclasses
import importlib.util
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import agreement_abc
import agreement_midi
import agreement_notation
from machine import machine

from pipelines.command_line import parse, run_command
from pipelines.settings import Settings, flag


@dataclasses.dataclass(frozen=True)
class Flags(Settings):
    """Which files."""

    path: str = flag("../shared/data", "folder that holds performances, scores and abc")
    files: int = flag(200, "files, or tunes of ABC, to compare of each format at least", at_least=1)


class Line(NamedTuple):
    """A line of the table: files compared, with equal notes, and refused by one of the two."""

    compared: int
    equal: int
    refused: int


def of_midi(flags: Flags) -> Line:
    """Compares files of performances and of scores, half of each."""
    paths = [
        path
        for name in ("performances", "scores")
        for path in agreement_midi.evenly_spaced(Path(flags.path) / name, -(-flags.files // 2))
    ]
    rows, refused = agreement_midi.compare(paths)
    equal = sum(row.has_equal_pedals and not any(row.missing.values()) for row in rows)
    return Line(len(paths), equal, len(refused))


def of_abc(flags: Flags) -> Line:
    """Compares tunes, whole files at a time."""
    rows: list[agreement_abc.Row] = []
    for path in sorted((Path(flags.path) / "abc").rglob("*.abc")):
        if len(rows) < flags.files:
            rows += agreement_abc.compare([path])
    refused = sum(row.reason in ("refused", "no MIDI") for row in rows)
    return Line(len(rows), sum(not row.reason for row in rows), refused)


def of_notation(kind: str) -> Callable[[Flags], Line]:
    """Compares files of the music21 corpus, of up to 60 kB, since verovio takes long for others."""

    def line(flags: Flags) -> Line:
        chosen = agreement_notation.Flags(files=flags.files, largest_kilobytes=60)
        paths = agreement_notation.corpus_files(agreement_notation.KINDS[kind], chosen)
        compared = agreement_notation.compare(paths, "verovio")
        refused = sum(bool(one.refused) for one in compared)
        return Line(len(compared), sum(one.is_same for one in compared), refused)

    return line


# Format: the other reader, whether it is there, and how to get it; the comparison.
FORMATS = {
    "MIDI": ("mido", True, "", of_midi),
    "ABC": ("abc2midi", bool(shutil.which("abc2midi")), "apt-get install abcmidi", of_abc),
    **{
        kind: (
            "verovio",
            importlib.util.find_spec("verovio") is not None,
            "run/setup.sh score",
            of_notation(kind),
        )
        for kind in agreement_notation.KINDS
    },
}


def main(argv: list[str]) -> None:
    """Prints the table."""
    (flags,) = parse(argv, __doc__ or "", Flags)
    print(machine())
    print(f"{'format':10}{'other reader':14}{'compared':>9}{'equal':>7}{'refused by one':>16}")
    for name, (other, is_there, remedy, compare) in FORMATS.items():
        if not is_there:
            print(f"{name:10}{other:14} is not installed: {remedy}")
            continue
        line = compare(flags)
        counts = f"{line.compared:9}{line.equal:7}{line.refused:16}"
        print(f"{name:10}{other:14}{counts}", flush=True)


if __name__ == "__main__":
    sys.exit(run_command(main))
