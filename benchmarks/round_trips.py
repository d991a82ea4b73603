"""What every codec gives back of real music: notes, times, velocities, pedal, texts.

Each file is encoded and decoded. Drums are ignored, and a pitch holds one note at a time: of
a unison the longest, and a note ends where its pitch has a new onset. Then a note is
back where a decoded one of its pitch is the nearest to it, it is the nearest to that one, and
they begin within half a second or, where the codec counts in note values, a quarter.

  back      share of the notes that are back
  wrong     decoded notes that are none of the piece, per note of it
  onset     |decoded - written| of the notes that are back, in milliseconds: median, 95 %, most,
            the share within 10 ms, and that within half a step of the codec's grid
  end       the same of their ends
  velocity  |decoded - written|, mean and most
  pedal     share of the time in which the sustain pedal is up or down as it was, of files with
            a pedal and codecs that have one

Note values are compared at the tempo of the piece, because such a codec keeps none. For them
a second table says of how many files, rounded to the codec's grid beforehand, all notes come
back exactly (onset, length and pitch; one note at a time per pitch; within the codec's pitches),
and of how many notes.

A third says of how many tunes of ABC `abc_text --headers=whole` gives back each character.

    python benchmarks/round_trips.py [--data=DIR] [--files=300]
"""

from __future__ import annotations

import collections
import dataclasses
import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from pipelines.codecs.codec import Codec, codec_class, codec_from_json, codec_names
from pipelines.codecs.note_codec import NoteCodec
from pipelines.command_line import parse, run_command
from pipelines.formats import abc_files, abc_notation, midi
from pipelines.grid import one_note_per_key
from pipelines.score import Score
from pipelines.score_arrays import NOTE, SUSTAIN, TEMPO
from pipelines.settings import Settings, flag

# Beside the defaults of every codec.
MORE_SETTINGS: tuple[dict[str, Any], ...] = (
    {"name": "events", "pedal_levels": 2},
    {"name": "note_tuples", "tones_per_cell": 3},
    {"name": "piano_roll", "planes": "onset,frame,velocity"},
    {"name": "piano_roll", "planes": "frame"},
    {"name": "piano_roll", "planes": "onset,frame,velocity", "step_seconds": 0.01},
    {"name": "sixteenths", "voices": 0},
)


@dataclasses.dataclass(frozen=True)
class Flags(Settings):
    """Which collections."""

    data: str = flag("../shared/data", "folder that holds the collections")
    collections: tuple[str, ...] = flag(
        (
            "performances",
            "scores/piano-midi.de",
            "scores/asap_midi_scores",
            "scores/bach_chorales_jsbchorales.net",
        ),
        "folders of MIDI files in it",
    )
    abc: str = flag("abc", "folder of ABC files in it")
    files: int = flag(0, "files per collection, evenly spaced; 0: all", at_least=0)


@dataclasses.dataclass(frozen=True)
class Grid:
    """How a codec counts time.

    Attributes:
      is_clock: its steps are seconds, not note values.
      from_first_note: its time begins with the first note, not at tick 0.
      step: seconds, else ticks of what it decodes.
    """

    is_clock: bool
    from_first_note: bool
    step: float

    @classmethod
    def of(cls, codec: NoteCodec) -> Grid:
        """Finds out by encoding a note after two quarters of rest, at two tempi."""
        note = np.array([(2, 4, 60, 64, 0, 0, False)], NOTE)
        slow, fast = (
            Score(1, note, tempi=np.array([(0, tempo)], TEMPO)) for tempo in (1_000_000, 250_000)
        )
        array = codec.encode(slow)
        is_clock = array.tobytes() != codec.encode(fast).tobytes()
        first = int(codec.decode(array).score.notes["onset"][0])
        if not is_clock:
            return cls(False, first == 0, 1)
        tick = codec.microseconds_per_quarter / codec.ticks_per_quarter / 1e6
        return cls(True, first == 0, getattr(codec, "step_milliseconds", tick * 1000) / 1000)


@dataclasses.dataclass
class Tally:
    """What was measured of a codec on a collection."""

    counts: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)
    errors: dict[str, list[np.ndarray]] = dataclasses.field(
        default_factory=lambda: collections.defaultdict(list)
    )

    def of(self, name: str) -> np.ndarray:
        """All errors of a name."""
        return np.concatenate([np.zeros(0), *self.errors[name]])


def monophonic_by_pitch(score: Score) -> np.ndarray:
    """Gives [note] without drums, one at a time per pitch."""
    notes = score.notes[~score.notes["is_drum"]]
    order, length = one_note_per_key(
        notes["onset"], notes["onset"] + notes["duration"], notes["pitch"]
    )
    notes = notes[order]
    notes["duration"] = length
    return notes


def nearest(key: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Gives the place of the nearest of `others`, sorted, to each key."""
    after = np.searchsorted(others, key).clip(1, len(others) - 1) if len(others) > 1 else 0
    before = np.maximum(after - 1, 0) + np.zeros(len(key), np.int64)
    after = before + (len(others) > 1)
    return np.where(others[after] - key < key - others[before], after, before)


def matched(
    pitch: np.ndarray, onset: np.ndarray, pitch_back: np.ndarray, onset_back: np.ndarray, far: float
) -> tuple[np.ndarray, np.ndarray]:
    """Pairs notes of one pitch that are each other's nearest and nearer than `far`."""
    if not len(pitch) or not len(pitch_back):
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    key, key_back = pitch * 2.0**32 + onset, pitch_back * 2.0**32 + onset_back
    order, order_back = np.argsort(key), np.argsort(key_back)
    there = order_back[nearest(key, key_back[order_back])]
    back = order[nearest(key_back, key[order])]
    pairs = (back[there] == np.arange(len(key))) & (np.abs(key - key_back[there]) <= far)
    return np.flatnonzero(pairs), there[pairs]


def compare(score: Score, back: Score, grid: Grid, tally: Tally) -> None:
    """Adds what came back of one piece."""
    notes, notes_back = monophonic_by_pitch(score), monophonic_by_pitch(back)
    onset, end = notes["onset"], notes["onset"] + notes["duration"]
    onset_back = notes_back["onset"].astype(np.float64)
    end_back = onset_back + notes_back["duration"]
    if grid.is_clock:
        seconds = [score.seconds_at(onset), score.seconds_at(end)]
        seconds += [back.seconds_at(onset_back), back.seconds_at(end_back)]
        steps = [times / grid.step for times in seconds]
        far = 0.5 / grid.step
    else:
        ratio = score.ticks_per_quarter / back.ticks_per_quarter
        if grid.from_first_note and len(onset):
            first = np.floor(onset.min() / ratio + 0.5)
            onset_back, end_back = onset_back + first, end_back + first
        steps = [onset / ratio, end / ratio, onset_back, end_back]
        seconds = [score.seconds_at(times * ratio) for times in steps]
        far = back.ticks_per_quarter
    here, there = matched(notes["pitch"], steps[0], notes_back["pitch"], steps[2], far)
    tally.counts.update(notes=len(notes), back=len(here), wrong=len(notes_back) - len(here))
    for name, written, decoded in (("onset", 0, 2), ("end", 1, 3)):
        for unit, times, scale in (("ms", seconds, 1000), ("steps", steps, 1)):
            error = np.abs(times[decoded][there] - times[written][here]) * scale
            tally.errors[f"{name} {unit}"].append(error)
    velocity = notes["velocity"][here].astype(int) - notes_back["velocity"][there]
    tally.errors["velocity"].append(np.abs(velocity))


def compare_pedal(score: Score, back: Score, tally: Tally) -> None:
    """Adds for how long the sustain pedal is as it was."""
    sides = []
    for piece in (score, back):
        pedal = piece.pedal[piece.pedal["controller"] == SUSTAIN]
        sides.append((piece.seconds_at(pedal["tick"]), pedal["value"] >= 64))
    if not len(sides[0][0]):
        return
    times = np.unique(np.concatenate([[0, score.length_seconds], *(at for at, _ in sides)]))
    states = []
    for at, is_down in sides:
        latest = np.searchsorted(at, times[:-1], side="right") - 1
        states.append((latest >= 0) & np.append(is_down, False)[latest])
    same = np.diff(times)[states[0] == states[1]].sum()
    tally.errors["pedal same"].append(np.array([same]))
    tally.errors["pedal all"].append(np.array([times[-1] - times[0]]))


def on_keys(score: Score, codec: Codec) -> list[tuple[int, int, int]]:
    """Gives (onset from the first, duration, pitch) of the notes within the codec's pitches."""
    notes, low = monophonic_by_pitch(score), getattr(codec, "lowest_pitch", 0)
    pitch = notes["pitch"].astype(np.int64)
    notes = notes[(pitch >= low) & (pitch < low + getattr(codec, "pitches", 128))]
    onset = notes["onset"] - notes["onset"].min(initial=2**40)
    columns = onset, notes["duration"], notes["pitch"]
    return list(zip(*(column.tolist() for column in columns), strict=True))


def compare_exactly(score: Score, codec: NoteCodec, tally: Tally) -> None:
    """Adds whether a piece that lies on the codec's grid comes back as it is."""
    on_grid = score.quantized(codec.ticks_per_quarter)
    written = on_keys(on_grid, codec)
    decoded = on_keys(codec.decode(codec.encode(on_grid)).score, codec)
    same = collections.Counter(written) & collections.Counter(decoded)
    tally.counts.update(files=1, exact_files=written == decoded)
    tally.counts.update(grid_notes=len(written), exact_notes=sum(same.values()))


def setting_name(codec: Codec) -> str:
    """The codec's name and the fields that differ from its defaults."""
    values, usual = codec.to_json(), type(codec)().to_json()
    said = [f"{key}={value}" for key, value in values.items() if value != usual[key]]
    return " ".join([codec.name, *said])


def share(part: float, whole: float) -> str:
    """A share in percent; "100" where all is meant, "-" of nothing."""
    if not whole:
        return "-"
    return "100" if part == whole else f"{min(100 * part / whole, 99.99):.2f}"


def spread(tally: Tally, name: str) -> str:
    """Median, 95 %, most, share within 10 ms and within half a step."""
    errors, steps = tally.of(f"{name} ms"), tally.of(f"{name} steps")
    if not len(errors):
        return f"{'-':>8}" * 5
    middle, most_of, most = np.quantile(errors, [0.5, 0.95, 1])
    # Half a step, and what float64 and a tick of the decoded piece add to it.
    near = [np.count_nonzero(errors <= 10 + 1e-6), np.count_nonzero(steps <= 0.5 + 1e-6)]
    cells = [f"{x:.1f}" for x in (middle, most_of, most)] + [share(n, len(errors)) for n in near]
    return "".join(f"{cell:>8}" for cell in cells)


def row(name: str, tally: Tally) -> str:
    """A line of the first table."""
    counts, velocity = tally.counts, tally.of("velocity")
    loud = [f"{velocity.mean():.1f}", f"{velocity.max():.0f}"] if len(velocity) else ["-", "-"]
    pedal = share(tally.of("pedal same").sum(), tally.of("pedal all").sum())
    cells = [share(counts["back"], counts["notes"]), share(counts["wrong"], counts["notes"])]
    text = "".join(f"{cell:>7}" for cell in cells)
    text += spread(tally, "onset") + " |" + spread(tally, "end") + " |"
    return f"{name:54}" + text + "".join(f"{cell:>6}" for cell in loud) + f"{pedal:>7}"


TIMES = "".join(f"{name:>8}" for name in ("95 %", "most", "10 ms", "step/2"))
HEAD = f"{'':54}{'back':>7}{'wrong':>7}{'onset':>8}{TIMES} |{'end':>8}{TIMES} |"
HEAD += f"{'veloc':>6}{'most':>6}{'pedal':>7}"


def readable(folder: Path, count: int) -> Iterable[Score]:
    """Reads evenly spaced files of a folder."""
    found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in (".mid", ".midi"))
    if not found:
        raise ValueError(f"there is no MIDI file in {folder}; give --data=DIR --collections=DIR")
    count = min(count or len(found), len(found))
    for index in range(count):
        yield midi.read_score(found[index * len(found) // count])


def measure(folder: Path, count: int, codecs: list[NoteCodec]) -> None:
    """Prints the first two tables of a collection."""
    grids = {codec: Grid.of(codec) for codec in codecs}
    tallies = {codec: Tally() for codec in codecs}
    files = 0
    for score in readable(folder, count):
        files += 1
        for codec, tally in tallies.items():
            back = codec.decode(codec.encode(score)).score
            compare(score, back, grids[codec], tally)
            if codec.has_pedal:
                compare_pedal(score, back, tally)
            if not grids[codec].is_clock:
                compare_exactly(score, codec, tally)
    notes = tallies[codecs[0]].counts["notes"]
    print(f"\n{folder.name}: {files} files, {notes} notes\n{HEAD}")
    for codec, tally in tallies.items():
        print(row(setting_name(codec), tally))
    print(f"{'on the grid beforehand, %':54}{'files':>7}{'notes':>9}")
    for codec, tally in tallies.items():
        counts = tally.counts
        if counts["files"]:
            exact = share(counts["exact_files"], counts["files"])
            print(
                f"{setting_name(codec):54}{exact:>7}"
                f"{share(counts['exact_notes'], counts['grid_notes']):>9}"
            )
    sys.stdout.flush()


def measure_texts(folder: Path, count: int) -> None:
    """Prints of how many tunes each character comes back."""
    codec: Any = codec_from_json({"name": "abc_text", "headers": "whole"})
    print(f"\n{setting_name(codec)}: tunes whose text comes back, character for character")
    by_folder: dict[str, list[Path]] = collections.defaultdict(list)
    for path in sorted(folder.rglob("*.abc")):
        by_folder[path.parent.name].append(path)
    for name, paths in by_folder.items():
        tunes = [
            tune.text
            for path in paths
            for tune in abc_files.tunes(abc_files.decoded(path.read_bytes()))
        ]
        tunes = tunes[:: max(1, len(tunes) // count)] if count else tunes
        counts: collections.Counter[str] = collections.Counter()
        for text in tunes:
            try:
                score = abc_notation.read_tune(text).score
            except abc_notation.AbcError:
                counts["not read"] += 1
                continue
            counts["read"] += 1
            counts["same"] += codec.text(codec.encode(score)) == text
        print(f"{name:54}{counts['same']} of {counts['read']}, {counts['not read']} not read")


def main(argv: list[str]) -> None:
    """Runs the comparison and prints it."""
    (flags,) = parse(argv, __doc__ or "", Flags)
    codecs = [codec_class(name)() for name in codec_names()]
    codecs += [codec_from_json(values) for values in MORE_SETTINGS]
    codecs.sort(key=lambda codec: (codec.name, json.dumps(codec.to_json())))
    with_notes = [codec for codec in codecs if isinstance(codec, NoteCodec)]
    without = sorted({codec.name for codec in codecs if not isinstance(codec, NoteCodec)})
    print(f"skipped, since they give no notes: {', '.join(without) or 'none'}")
    for name in flags.collections:
        measure(Path(flags.data) / name, flags.files, with_notes)
    if "abc_text" in codec_names():
        measure_texts(Path(flags.data) / flags.abc, flags.files)


def run() -> int:
    """The command's exit status."""
    return run_command(main)


if __name__ == "__main__":
    sys.exit(run())
