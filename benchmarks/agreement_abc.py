"""How far ABC tunes are read as abc2midi reads them: pitches, onsets, durations, with repeats.

Both read every tune of the files. A tune agrees where the notes are equal, onsets and durations
to 1/48 of a quarter note. Grace notes, chord symbols, fermatas and decorations, which abc2midi
plays in ways of its own, are kept from it. A tune that does not agree counts under the first
of these that is so:

  refused           we do not read it
  no MIDI           abc2midi writes no file of it
  repeats           played without repeats, there are the same pitches
  times             the pitches agree, one after the other
  pitches           the onsets agree
  other             none of these

    python benchmarks/agreement_abc.py --path=DIR [--examples=3]

abc2midi is in Debian's package abcmidi (apt-get install abcmidi).
"""

from __future__ import annotations

import collections
import dataclasses
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import mido
import numpy as np

from pipelines.command_line import parse, run_command
from pipelines.formats import abc_files
from pipelines.formats.abc_fields import AbcError
from pipelines.formats.abc_notation import read_tune
from pipelines.formats.abc_tokens import FIELD_LINE, TOKEN
from pipelines.score import Score
from pipelines.settings import Settings, flag

GRID = 48  # Parts of a quarter note.
TICKS = 480  # Of abc2midi, whose notes begin and end a tick late and early.
COMMAND = "abc2midi"
OPTIONS = ("-NGRA", "-NGUI", "-NCOM", "-NFER", "-NFNP", "-OCC", "-silent")

Note = tuple[int, int, int]  # Onset, pitch, duration, in parts of a quarter note.


class Row(NamedTuple):
    """A tune as both read it; `reason` is "" where they agree."""

    path: Path
    number: int
    reason: str


@dataclasses.dataclass(frozen=True)
class Flags(Settings):
    """Which files."""

    path: str = flag("../shared/data/abc", "folder of ABC files, searched to any depth")
    examples: int = flag(3, "tunes to name of each reason and folder", at_least=0)


def compare(paths: Iterable[Path]) -> list[Row]:
    """Reads the tunes of files in both ways.

    Raises:
      FileNotFoundError: abc2midi is not installed.
    """
    if shutil.which(COMMAND) is None:
        raise FileNotFoundError(f"{COMMAND} is not installed; expected it of the package abcmidi")
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for path in paths:
            for tune in abc_files.tunes_of_file(path):
                theirs = notes_of_abc2midi(tune.text, Path(folder))
                rows.append(Row(path, tune.number, _reason(tune.text, theirs)))
    return rows


def notes_of_abc2midi(text: str, folder: Path) -> list[Note]:
    """Gives the notes of a tune as abc2midi plays them; none where it writes no MIDI file."""
    source, target = folder / "tune.abc", folder / "tune.mid"
    # Chords would be broken a little.
    text = re.sub(r"^(X:.*\n)?", "X:1\n%%MIDI chordattack 0\n", text, count=1)
    text = re.sub(r"(?m)^R:.*\n", "", _without_decorations(text))  # It swings hornpipes.
    source.write_text(f"{text}\n", encoding="utf-8")
    target.unlink(missing_ok=True)
    command = [COMMAND, str(source), "1", "-o", str(target), *OPTIONS]
    subprocess.run(command, capture_output=True, check=False)
    return _notes_of_midi(target) if target.exists() and target.stat().st_size else []


def _without_decorations(text: str) -> str:
    lines = (
        line
        if FIELD_LINE.match(line) or line.startswith("%")
        else "".join(t.group() for t in TOKEN.finditer(line) if t.lastgroup != "decoration")
        for line in text.split("\n")
    )
    return "\n".join(lines)


def _notes_of_midi(path: Path) -> list[Note]:
    found = []
    for track in mido.MidiFile(path).tracks:
        now, sounding = 0, collections.defaultdict[int, list[int]](list)
        for message in track:
            now += message.time
            if message.type == "note_on" and message.velocity:
                sounding[message.note].append(now)
            elif message.type in ("note_on", "note_off") and sounding[message.note]:
                start = sounding[message.note].pop(0)
                found.append(_note(start - 1, message.note, now - start + 1, TICKS))
    return sorted(found)


def _note(onset: int, pitch: int, duration: int, ticks: int) -> Note:
    return round(onset * GRID / ticks), pitch, round(duration * GRID / ticks)


def _notes_of_score(score: Score) -> list[Note]:
    notes = score.notes[["onset", "pitch", "duration"]].tolist()
    return sorted(_note(*note, score.ticks_per_quarter) for note in notes)


def _reason(text: str, theirs: list[Note]) -> str:
    """Gives the first reason of those above for which the readings differ."""
    try:
        ours = _notes_of_score(read_tune(text).score)
    except AbcError:
        return "refused"
    if not theirs:
        return "no MIDI"
    if _agree(ours, theirs):
        return ""
    written = collections.Counter(
        read_tune(text, plays_repeats=False).score.notes["pitch"].tolist()
    )
    played = collections.Counter(pitch for _, pitch, _ in theirs)
    if set(written) == set(played) and len(ours) != len(theirs):
        return "repeats"
    if [pitch for _, pitch, _ in ours] == [pitch for _, pitch, _ in theirs]:
        return "times"
    if [onset for onset, _, _ in ours] == [onset for onset, _, _ in theirs]:
        return "pitches"
    return "other"


def _agree(ours: list[Note], theirs: list[Note]) -> bool:
    """Tells whether notes are equal; a rounding may differ by one part."""
    if len(ours) != len(theirs):
        return False
    first, second = np.array(ours), np.array(theirs)
    return bool((abs(first - second) <= [1, 0, 1]).all())


def lines(rows: Sequence[Row], examples: int) -> Iterator[str]:
    """Gives a table: a line for each folder and reason."""
    for folder in dict.fromkeys(row.path.parent for row in rows):
        own = [row for row in rows if row.path.parent == folder]
        agreeing = sum(not row.reason for row in own)
        yield f"{folder.name}: {len(own)} tunes, {agreeing} agree"
        for reason, count in collections.Counter(row.reason for row in own).most_common():
            named = [f"{row.path.name} {row.number}" for row in own if row.reason == reason]
            if reason:
                yield f"  {reason:10} {count:5}  {', '.join(named[:examples])}"


def main(argv: list[str]) -> None:
    (flags,) = parse(argv, __doc__ or "", Flags)
    try:
        rows = compare(sorted(Path(flags.path).rglob("*.abc")))
    except FileNotFoundError as error:
        print(f"skipped: {error}")
        return
    print("\n".join(lines(rows, flags.examples)))
    return 0


if __name__ == "__main__":
    sys.exit(run_command(main))
