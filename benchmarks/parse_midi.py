"""How fast MIDI files become Scores and note_tuples records, beside other libraries.

Prints ratios of processor time, each over the files that both have read, one reader
after the other on every file in a shuffled order, in one run:

  ours      pipelines.formats.midi.read_score: validated, sorted, notes left open closed
  symusic   symusic alone to NumPy arrays: notes and controls of each track, the maps
  mido      mido.MidiFile, notes paired first in first out within each track
  merged    the same after mido.merge_tracks, as most code that uses mido does it
  music21   converter.parse, then the pitch, offset and length of each note

and of ours with the encoding to note_tuples against what the others need to parse alone:
encoding from their objects would come on top. mido reads every tenth file and music21
every hundredth, because they would take minutes and hours for all.

    python benchmarks/parse_midi.py --path=DIR [--files=500]
"""

from __future__ import annotations

import collections
import dataclasses
import random
import sys
import time
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

import mido
import music21
import symusic
from machine import machine

from pipelines.codecs import note_tuples
from pipelines.command_line import parse, run_command
from pipelines.formats import midi
from pipelines.settings import Settings, flag

EVERY = {"ours": 1, "ours and encoding": 1, "symusic": 1}
EVERY |= {"mido": 10, "merged": 10, "music21": 100}


@dataclasses.dataclass(frozen=True)
class Flags(Settings):
    """Which files."""

    path: str = flag("../shared/data", "folder of MIDI files, searched to any depth")
    files: int = flag(500, "files to read, evenly spaced among all", at_least=1)
    seed: int = flag(0, "random seed of the order of turns", at_least=0)


def read_symusic(path: Path) -> Any:
    """Parses with symusic and gives its arrays."""
    score: Any = symusic.Score(str(path))
    voices = [(track.notes.numpy(), track.controls.numpy()) for track in score.tracks]
    maps = [score.tempos.numpy(), score.time_signatures.numpy(), score.key_signatures.numpy()]
    return voices, maps


def read_mido(path: Path) -> list[tuple[int, int, int, int]]:
    """Parses with mido and gives (onset, duration, pitch, velocity), ticks."""
    return pair(mido.MidiFile(path).tracks)


def read_merged(path: Path) -> list[tuple[int, int, int, int]]:
    """Gives what `read_mido` does, from one merged track."""
    return pair([mido.merge_tracks(mido.MidiFile(path).tracks)])


def pair(tracks: list[Any]) -> list[tuple[int, int, int, int]]:
    """Pairs note-ons and note-offs, first in first out."""
    notes = []
    for track in tracks:
        tick = 0
        sounding: dict[tuple[int, int], Any] = collections.defaultdict(collections.deque)
        for message in track:
            tick += message.time
            if message.type == "note_on" and message.velocity:
                sounding[message.channel, message.note].append((tick, message.velocity))
            elif message.type in ("note_on", "note_off"):
                begun = sounding[message.channel, message.note]
                if begun:
                    onset, velocity = begun.popleft()
                    notes.append((onset, tick - onset, message.note, velocity))
    return sorted(notes)


def read_music21(path: Path) -> list[tuple[float, float, int]]:
    """Parses with music21 and gives (onset, duration, pitch), quarters."""
    stream = music21.converter.parse(path, forceSource=True).flatten()
    return [
        (float(note.offset), float(note.quarterLength), pitch.midi)
        for note in stream.notes
        for pitch in note.pitches
    ]


def measure(paths: list[Path], seed: int) -> dict[str, dict[Path, float]]:
    """Gives the processor seconds of each reader on each of its files."""
    codec = note_tuples.Codec()
    readers: dict[str, Callable[[Path], Any]] = {
        "ours": midi.read_score,
        "ours and encoding": lambda path: codec.encode(midi.read_score(path)),
        "symusic": read_symusic,
        "mido": read_mido,
        "merged": read_merged,
        "music21": read_music21,
    }
    for read in readers.values():
        read(paths[0])  # Imports and caches are not what is measured.
    chance = random.Random(seed)
    seconds: dict[str, dict[Path, float]] = {name: {} for name in readers}
    for index, path in enumerate(paths):
        names = [name for name in readers if index % EVERY[name] == 0]
        for name in chance.sample(names, len(names)):
            begin = time.process_time()
            readers[name](path)
            seconds[name][path] = time.process_time() - begin
    return seconds


def ratio(seconds: dict[str, dict[Path, float]], rival: str, name: str) -> float:
    """Gives how many times faster `name` is than `rival`, on the files that both have read."""
    both = seconds[rival].keys() & seconds[name].keys()
    return sum(seconds[rival][path] for path in both) / sum(seconds[name][path] for path in both)


def readable(folder: Path, count: int) -> list[Path]:
    """Gives evenly spaced files of a folder that every reader should manage."""
    found = [path for path in sorted(folder.rglob("*.mid")) if "nasty_midi" not in path.parts]
    if not found:
        raise ValueError(f"there is no .mid file in {folder}; give --path=DIR")
    return [found[index * len(found) // count] for index in range(min(count, len(found)))]


def main(argv: list[str]) -> None:
    """Runs the comparison and prints it."""
    (flags,) = parse(argv, __doc__ or "", Flags)
    print(machine())
    paths = readable(Path(flags.path), flags.files)
    seconds = measure(paths, flags.seed)
    notes = sum(len(midi.read_score(path).notes) for path in paths)
    versions = ", ".join(f"{n} {metadata.version(n)}" for n in ("symusic", "mido", "music21"))
    print(f"{len(paths)} files, {notes} notes, seed {flags.seed}; {versions}")
    print(f"{'':12}{'files':>6}  {'ours is faster':>15}  {'ours with encoding is faster':>29}")
    for rival in ("symusic", "mido", "merged", "music21"):
        times = [ratio(seconds, rival, name) for name in ("ours", "ours and encoding")]
        print(f"{rival:12}{len(seconds[rival]):6}  {times[0]:14.2f}x  {times[1]:28.2f}x")


def run() -> int:
    """The command's exit status."""
    return run_command(main)


if __name__ == "__main__":
    sys.exit(run())
