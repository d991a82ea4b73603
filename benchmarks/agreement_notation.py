"""Whether our readers of MusicXML and kern agree with independent ones, and where they do not.

On files of the music21 corpus, drawn at random, as many of each kind. Every file is read without
repeats by ours and by another reader: music21, verovio (run/setup.sh score), or partitura
(pip install partitura). Notes are compared as (onset, length, pitch) in quarters, from the first
onset, to 1/48 quarter; of a file that differs, the row says which notes only one of the two has.

    python benchmarks/agreement_notation.py --readers=music21,verovio --files=200

Prints per reader and kind how many files have the same notes, and the same onsets and pitches.
"""

from __future__ import annotations

import base64
import collections
import dataclasses
import random
import sys
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from machine import machine

from pipelines.command_line import parse, run_command
from pipelines.formats import midi, notation
from pipelines.score import Score
from pipelines.settings import Settings, flag
from pipelines.sources.corpus import corpus_root

KINDS = {"MusicXML": notation.MUSICXML_SUFFIXES, "kern": notation.KERN_SUFFIXES}
GRID = 48  # Steps per quarter in which notes are compared.

Note = tuple[float, float, int]  # Onset and length in quarters, MIDI key number.


@dataclasses.dataclass(frozen=True)
class Flags(Settings):
    """What to compare."""

    readers: tuple[str, ...] = flag(
        ("music21", "verovio"), "other readers: music21, verovio, partitura"
    )
    files: int = flag(200, "files of each kind", at_least=1)
    seed: int = flag(0, "random seed of the choice of files", at_least=0)
    largest_kilobytes: int = flag(1000, "largest file, as it lies on the disk", at_least=1)
    show: bool = flag(False, "print every file that differs")


@dataclasses.dataclass(frozen=True)
class Comparison:
    """One file read twice.

    Attributes:
      refused: what the readers that cannot read it say, by their names.
      ours, theirs: notes that only one of them has.
      same_onsets: whether onsets and pitches are the same.
    """

    path: Path
    refused: dict[str, str] = dataclasses.field(default_factory=dict)
    ours: Counter[Any] = dataclasses.field(default_factory=Counter)
    theirs: Counter[Any] = dataclasses.field(default_factory=Counter)
    same_onsets: bool = False

    @property
    def is_same(self) -> bool:
        """Whether both have the same notes."""
        return not (self.refused or self.ours or self.theirs)


def read_ours(path: Path) -> Iterator[Note]:
    """The notes of our reader."""
    yield from _notes(notation.read(path, plays_repeats=False).score)


def _notes(score: Score) -> Iterator[Note]:
    for onset, length, pitch in score.notes[["onset", "duration", "pitch"]].tolist():
        yield onset / score.ticks_per_quarter, length / score.ticks_per_quarter, pitch


def read_music21(path: Path) -> Iterator[Note]:
    """The notes of music21, its ties stripped; grace notes and chord symbols left out."""
    import music21

    score = music21.converter.parse(path, forceSource=True, storePickle=False)
    for part in score.parts:
        sounding = part.toSoundingPitch().stripTies()
        for element in sounding.flatten().getElementsByClass("NotRest"):
            if "Harmony" in element.classes or element.quarterLength <= 0:
                continue
            for pitch in element.pitches:
                yield float(element.offset), float(element.quarterLength), pitch.midi


def read_verovio(path: Path) -> Iterator[Note]:
    """The notes of the MIDI file that verovio makes, which has grace notes and ornaments too."""
    import verovio

    verovio.enableLog(verovio.LOG_OFF)
    toolkit = verovio.toolkit()
    toolkit.setOptions({"expandNever": True})
    if not toolkit.loadFile(str(path)):
        raise ValueError("verovio cannot read it")
    score = midi.read_score(base64.b64decode(toolkit.renderToMIDI()))
    yield from _notes(score)


def read_partitura(path: Path) -> Iterator[Note]:
    """The notes of partitura, whose times begin with the part."""
    import partitura

    for part in partitura.load_score(str(path)).parts:
        start = float(part.quarter_map(part.first_point.t))
        for row in part.note_array():
            if row["duration_div"]:
                onset = float(row["onset_quarter"]) - start
                yield onset, float(row["duration_quarter"]), int(row["pitch"])


READERS: dict[str, Callable[[Path], Iterable[Note]]] = {
    "music21": read_music21,
    "verovio": read_verovio,
    "partitura": read_partitura,
}


def compare(paths: Iterable[Path], reader: str) -> list[Comparison]:
    """Reads files with our reader and another."""
    return [_compare(path, reader) for path in paths]


def _compare(path: Path, reader: str) -> Comparison:
    read: dict[str, Counter[Any]] = {}
    refused: dict[str, str] = {}
    for name, function in {"ours": read_ours, reader: READERS[reader]}.items():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                read[name] = _on_grid(function(path))
            except Exception as error:  # The others raise whatever they meet inside.
                refused[name] = repr(error)[:100]
    if refused:
        return Comparison(path, refused)
    ours, theirs = read["ours"], read[reader]
    return Comparison(path, {}, ours - theirs, theirs - ours, _onsets(ours) == _onsets(theirs))


def _on_grid(notes: Iterable[Note]) -> Counter[Any]:
    listed = list(notes)
    first = min((onset for onset, _, _ in listed), default=0)
    return collections.Counter(
        (round((onset - first) * GRID), round(length * GRID), pitch)
        for onset, length, pitch in listed
    )


def _onsets(notes: Counter[Any]) -> set[tuple[int, int]]:
    return {(onset, pitch) for onset, _, pitch in notes}


def corpus_files(suffixes: tuple[str, ...], flags: Flags) -> list[Path]:
    """Draws files of the corpus."""
    found = sorted(
        path
        for suffix in suffixes
        for path in corpus_root().rglob(f"*{suffix}")
        if path.stat().st_size <= 1000 * flags.largest_kilobytes
    )
    return random.Random(flags.seed).sample(found, min(flags.files, len(found)))


def main(argv: list[str]) -> None:
    """Prints the table."""
    (flags,) = parse(argv, __doc__ or "", Flags)
    print(machine())
    print("reader\tkind\tfiles\tsame notes\tsame onsets and pitches\trefused by ours, by it")
    for reader in flags.readers:
        for kind, suffixes in KINDS.items():
            compared = compare(corpus_files(suffixes, flags), reader)
            refused = [sum(name in c.refused for c in compared) for name in ("ours", reader)]
            same = sum(c.is_same for c in compared)
            onsets = sum(c.same_onsets for c in compared)
            print(reader, kind, len(compared), same, onsets, refused, sep="\t", flush=True)
            for one in compared if flags.show else ():
                if not one.is_same:
                    _show(one)


def _show(one: Comparison) -> None:
    ours, theirs = (sorted(notes.elements())[:4] for notes in (one.ours, one.theirs))
    counts = f"{one.ours.total()} only ours {ours}, {one.theirs.total()} only theirs {theirs}"
    print(f"  {one.path.relative_to(corpus_root())}: {one.refused or counts}")


if __name__ == "__main__":
    sys.exit(run_command(main))
