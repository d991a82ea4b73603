"""Whether our MIDI reader has the notes that a sequencer plays, written out here with mido.

The sequencer merges the tracks by tick, then track, then place; programs, pedals and channel modes
are those of a channel, whichever track sets them. Notes are paired within a track, channel and
pitch, first in first out; a note that nothing ends, ends with its track. One that ends where it
begins lasts a tick. Files of format 2 are left out: they are several pieces.

Prints for each folder how many files were compared, and of how many notes onset and pitch, then
also end, then also velocity and program are equal; and of how many files the pedals. A line for
each file that differs says how.

    python benchmarks/agreement_midi.py --path=../shared/data [--files=250]

Ends with status 1 where a file differs that `EXPLAINED` does not name.
"""

from __future__ import annotations

import collections
import dataclasses
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import mido

from pipelines.command_line import parse, run_command
from pipelines.formats import midi
from pipelines.score import Score
from pipelines.settings import Settings, flag

FOLDERS = ("performances", "scores", "abc", "nasty_midi")
PEDALS = (64, 66, 67)
# Of a note: onset, pitch; end; velocity, program.
WHAT = {"onset, pitch": 2, "end": 3, "velocity, program": 5}
EXPLAINED = {"ntrks_65535.mid": "mido takes its number of tracks for -1, and reads none"}


@dataclasses.dataclass(frozen=True)
class Flags(Settings):
    """Which files."""

    path: str = flag("../shared/data", "folder that holds performances, scores, abc, nasty_midi")
    files: int = flag(250, "files to compare of each folder, evenly spaced", at_least=1)


class Played(NamedTuple):
    """What a file sounds like.

    Attributes:
      notes: (onset, pitch, end, velocity, program) of each, sorted.
      pedals: {(tick, controller, value)} of all channels; copies count once.
    """

    notes: list[tuple[int, ...]]
    pedals: set[tuple[int, int, int]]


class Row(NamedTuple):
    """One file compared: of each of `WHAT`, how many notes of either side the other has not."""

    path: Path
    notes: int
    missing: dict[str, int]
    has_equal_pedals: bool


def sequencer(path: Path) -> Played | None:
    """Plays a file; None where it is of format 2."""
    file = mido.MidiFile(path, clip=True)
    if file.type == 2:
        return None
    events, ends = [], []
    for index, track in enumerate(file.tracks):
        tick = 0
        for place, message in enumerate(track):
            tick += message.time
            events.append((tick, index, place, message))
            if message.type == "end_of_track":
                break
        ends.append(tick)
    programs, pedals = [0] * 16, set()
    values: collections.Counter[tuple[int, int]] = collections.Counter()
    down: dict[tuple[int, int, int], Any] = collections.defaultdict(collections.deque)
    notes: list[tuple[int, ...]] = []

    def end(key: tuple[int, int, int], tick: int) -> None:
        onset, velocity, program = down[key].popleft()
        notes.append((onset, key[2], max(tick, onset + 1), velocity, program))

    for tick, index, _, message in sorted(events, key=lambda event: event[:3]):
        kind = message.type
        if kind == "program_change":
            programs[message.channel] = message.program
        elif kind == "note_on" and message.velocity:
            key = (index, message.channel, message.note)
            down[key].append((tick, message.velocity, programs[message.channel]))
        elif kind in ("note_on", "note_off"):
            if down[index, message.channel, message.note]:
                end((index, message.channel, message.note), tick)
        elif kind == "control_change" and message.control in PEDALS:
            pedals.add((tick, message.control, message.value))
            values[message.channel, message.control] = message.value
        elif kind == "control_change" and message.control == 121:
            for control in PEDALS:
                if values[message.channel, control]:
                    pedals.add((tick, control, 0))
                    values[message.channel, control] = 0
        elif kind == "control_change" and message.control in (120, 123, 124, 125, 126, 127):
            for key in down:
                while key[1] == message.channel and down[key]:
                    end(key, tick)
    for key in down:
        while down[key]:
            end(key, ends[key[0]])
    return Played(sorted(notes), pedals)


def ours(score: Score) -> Played:
    """Gives what our reader read."""
    notes = score.notes
    columns = (notes["onset"], notes["pitch"], score.end_ticks, notes["velocity"], notes["program"])
    rows = sorted(zip(*(column.tolist() for column in columns), strict=True))
    return Played(rows, {(tick, *move) for tick, *move, _ in score.pedal.tolist()})


def compare(paths: Iterable[Path]) -> tuple[list[Row], list[str]]:
    """Gives a row for each file that both read, and a line for each of the others."""
    rows, refused = [], []
    for path in paths:
        try:
            score = midi.read_score(path)
        except midi.MidiError as error:
            refused.append(f"{path.name}: we refuse it, it {error.reason}")
            continue
        try:
            played = sequencer(path)
        except Exception as error:  # mido lets out whatever its parts raise.
            refused.append(f"{path.name}: mido refuses it, {type(error).__name__} {error}")
            continue
        if played is None:
            refused.append(f"{path.name}: format 2")
            continue
        read = ours(score)
        missing = {}
        for what, columns in WHAT.items():
            first, second = (
                collections.Counter(note[:columns] for note in side.notes)
                for side in (read, played)
            )
            missing[what] = ((first - second) + (second - first)).total()
        rows.append(Row(path, len(played.notes), missing, read.pedals == played.pedals))
    return rows, refused


def evenly_spaced(folder: Path, count: int) -> list[Path]:
    """Gives up to `count` MIDI files of a folder."""
    found = sorted(path for path in folder.rglob("*.mid") if path.is_file())
    return [found[index * len(found) // count] for index in range(min(count, len(found)))]


def main(argv: list[str]) -> None:
    """Runs the comparison and prints it."""
    (flags,) = parse(argv, __doc__ or "", Flags)
    print(
        f"{'':14}{'files':>6}{'notes':>9}" + "".join(f"{what:>19}" for what in WHAT) + "   pedals"
    )
    differing, others = [], []
    for name in FOLDERS:
        rows, refused = compare(evenly_spaced(Path(flags.path) / name, flags.files))
        notes = sum(row.notes for row in rows)
        equal = [notes - sum(row.missing[what] for row in rows) for what in WHAT]
        pedals = sum(row.has_equal_pedals for row in rows)
        print(
            f"{name:14}{len(rows):6}{notes:9}" + "".join(f"{n:19}" for n in equal) + f"{pedals:9}"
        )
        differing += [r for r in rows if any(r.missing.values()) or not r.has_equal_pedals]
        others += refused
    for row in differing:
        reason = EXPLAINED.get(row.path.name, f"pedals equal: {row.has_equal_pedals}")
        print(f"{row.path.name}: of {row.notes} notes, differ {row.missing}; {reason}")
    print(f"not compared: {len(others)}", *others, sep="\n  ")
    unexplained = [row for row in differing if row.path.name not in EXPLAINED]
    if unexplained:
        raise ValueError(f"{len(unexplained)} files differ")


def run() -> int:
    """The command's exit status."""
    return run_command(main)


if __name__ == "__main__":
    sys.exit(run())
